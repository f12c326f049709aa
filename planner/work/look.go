package work

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"weir/planner/work/line"
	"weir/planner/work/pace"
	"weir/store"
)

// load returns what decides how often the store is looked at.
func (r *runner) load() pace.Load {
	return pace.Load{
		Work: len(r.view) > 0, Elsewhere: !r.q.Exclusive && len(r.elsewhere()) > 0, Concern: len(r.concern()) > 0,
		Told: r.q.desk.Works(),
	}
}

// look reads the lines that we have changed, those that others may have
// changed to our concern, and from time to time all. Then it takes back the
// jobs of the dead.
func (r *runner) look(ctx context.Context) error {
	q, now := r.q, time.Now()
	load := r.load() // locks, too
	q.mu.Lock()
	all := q.rescan || r.pace.Scan(now, load)
	lines := maps.Clone(q.touched)
	q.rescan = false
	clear(q.touched)
	q.mu.Unlock()
	if all {
		records, err := store.All(ctx, q.Store, inQueue, "")
		if err != nil {
			return err
		}
		clear(r.view)
		r.take(records)
		r.pace.Scanned(now, len(r.view) > 0)
		return r.bringBack(ctx, now)
	}
	if r.pace.Peek(now) {
		maps.Copy(lines, r.concern())
	}
	for keys := range slices.Chunk(slices.Collect(maps.Keys(lines)), store.MaxWrites) {
		records, err := q.Store.Get(ctx, keys...)
		if err != nil {
			return fmt.Errorf("read lines: %w", err)
		}
		r.take(records)
	}
	return r.bringBack(ctx, now)
}

// take adds records to the view, and stops our plans that are to end.
func (r *runner) take(records []store.Record) {
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	for _, rec := range records {
		r.q.desk.Looked(rec.Key.Sort)
		l, err := decode[line.Line](rec)
		if err != nil {
			r.q.Log.Error("a line of the queue cannot be read", "err", err)
		}
		if err != nil || rec.Version == 0 {
			delete(r.view, rec.Key)
			continue
		}
		r.view[rec.Key] = seen{l, rec.Version}
		for _, j := range l.Jobs {
			if a := r.q.runs(j); a != nil && j.Stop {
				a.cancel(ErrSuperseded)
			}
		}
	}
}

// runs returns the attempt here that j is, or nil. It is called with mu held.
func (q *Queue) runs(j Job) *attempt {
	if a := q.running[j.ID]; a != nil && j.State == Running && holderOf(a.job) == holderOf(j) {
		return a
	}
	return nil
}

// elsewhere returns the jobs that run, but not here.
func (r *runner) elsewhere() (jobs []Job) {
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	for _, l := range r.view {
		for _, j := range l.Jobs {
			if j.State == Running && r.q.runs(j) == nil {
				jobs = append(jobs, j)
			}
		}
	}
	return jobs
}

// concern returns the lines in which others may ask a plan of ours to end, and
// those that we were told of and that wait for another.
func (r *runner) concern() map[store.Key]bool {
	lines := map[store.Key]bool{}
	for _, name := range r.q.desk.Held() {
		lines[store.Key{Partition: inQueue, Sort: name}] = true
	}
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	for _, a := range r.q.running {
		if !r.q.Exclusive && a.job.Kind == Plan {
			lines[lineOf(a.job)] = true
		}
	}
	return lines
}

// bringBack puts back in the queue what nobody runs any more: what a worker
// was running that is silent, and what we are said to run, but were told that
// it could not be claimed.
func (r *runner) bringBack(ctx context.Context, now time.Time) error {
	elsewhere := r.elsewhere()
	silent := map[string]store.Version{}
	if !r.q.Exclusive && r.pace.Watch(now) {
		ids := make([]string, len(elsewhere))
		for i, j := range elsewhere {
			ids[i] = j.ID
		}
		var err error
		if silent, err = r.watch.Silent(ctx, ids); err != nil {
			return err
		}
	}
	for _, job := range elsewhere {
		beat, dead := silent[job.ID]
		unmoved := &beat
		if r.q.Exclusive || job.Worker == r.self {
			unmoved = nil
		} else if !dead {
			continue
		}
		err := r.q.settle(ctx, job, unmoved, func(l *line.Line, i int, now time.Time) {
			l.Requeue(i, fmt.Sprintf("The worker of attempt %d died.", job.Attempt), now, time.Time{}, func(j *Job) {
				if j.Worker == r.self {
					j.Attempt, j.Note = j.Attempt-1, "" // it never began
				} else {
					j.Crashes++
				}
			})
		})
		switch {
		case errors.Is(err, ErrLost): // it lives, or another was quicker
		case err != nil:
			return err
		default:
			r.q.Log.Warn("took back a job that nobody runs", "job", job.ID, "repo", job.Repo, "pull", job.Pull,
				"kind", job.Kind, "worker", job.Worker, "attempt", job.Attempt)
			r.q.tell(lineOf(job), fmt.Sprintf("%s-%d", job.ID, job.Attempt))
		}
	}
	return nil
}
