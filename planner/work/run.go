package work

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"weir/store"
)

// claimTime bounds a commit of the queue's own.
const claimTime = 15 * time.Second

// runner is one call of Run. Its view is read and changed by Run alone.
type runner struct {
	q         *Queue
	ctx       context.Context // of Run
	do        Do
	workers   int
	looked    time.Time // when everything was last read
	view      map[store.Key]seen
	sightings map[string]sighting
	attempts  sync.WaitGroup
}

// seen is a line as it was last read, or as it was left by our own claim.
type seen struct {
	line
	record store.Record
}

// Run does jobs until ctx ends, at most workers at once: one at a time for a
// pull request, and those first that could have been done for longest, so that
// a pull request with many jobs takes turns with the others.
//
// do gets a context that does not end with ctx; context.Cause says why it
// ended: ErrSuperseded or ErrShutdown (plans and merge groups only), or
// ErrLost. When do returns nil, the job is Done. When it was superseded, it
// ends as that. Any other error, or a panic, is one of ours: the job is tried
// again after 1 s, 5 s, 30 s, 2 min and 10 min, and then given up. A job whose
// worker died is tried again at once, and is given up after four deaths.
//
// When ctx ends, nothing more is claimed. Plans that are not ready after Drain
// go back to the queue as if they had never begun. All others are waited for,
// however long they take, because nothing may cut an apply short. Then Run
// returns nil. A Queue can have one Run at a time.
func (q *Queue) Run(ctx context.Context, workers int, do func(ctx context.Context, job Job) error) error {
	q.init()
	q.mu.Lock()
	active := q.active
	q.active = true
	q.mu.Unlock()
	if active {
		return errors.New("run jobs: this queue runs them already")
	}
	r := &runner{q: q, ctx: ctx, do: do, workers: max(workers, 1), view: map[store.Key]seen{}, sightings: map[string]sighting{}}
	poll := orDefault(q.Poll, time.Second)
	for ctx.Err() == nil {
		until, err := r.round(ctx, poll)
		if err != nil && ctx.Err() == nil {
			q.log().Error("the queue does not get on; it is tried again", "err", err)
		}
		wait := poll
		if !until.IsZero() {
			wait = min(wait, max(time.Until(until), time.Millisecond))
		}
		r.wait(ctx, wait)
	}
	r.drain()
	q.mu.Lock()
	q.active = false
	q.mu.Unlock()
	return nil
}

// round reads what has changed and claims what can be. It returns when there
// may be more to claim, zero if that is not known.
func (r *runner) round(ctx context.Context, poll time.Duration) (until time.Time, err error) {
	if err := r.look(ctx, poll); err != nil {
		r.again()
		return time.Time{}, err
	}
	for ctx.Err() == nil {
		if r.q.busy() >= r.workers {
			return time.Time{}, nil
		}
		key, i, at := r.best(time.Now())
		if i < 0 {
			return at, nil
		}
		if err := r.claim(key, i); err != nil {
			r.again()
			return time.Time{}, err
		}
	}
	return time.Time{}, nil
}

// again makes the next round read everything.
func (r *runner) again() { r.looked = time.Time{} }

// wait returns when there is something to look at, but not later than after d.
func (r *runner) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-r.q.wake:
	case <-t.C:
	case <-ctx.Done():
	}
}

// look reads the lines that we have changed, and at each poll all of them.
func (r *runner) look(ctx context.Context, poll time.Duration) error {
	q := r.q
	q.mu.Lock()
	all := q.rescan || time.Since(r.looked) >= poll
	touched := make([]store.Key, 0, len(q.touched))
	for k := range q.touched {
		touched = append(touched, k)
	}
	q.rescan = false
	clear(q.touched)
	q.mu.Unlock()

	if all {
		began := time.Now()
		records, err := store.All(ctx, q.Store, inQueue, "")
		if err != nil {
			return err
		}
		clear(r.view)
		foreign := r.take(records)
		if err := r.bringBack(ctx, foreign); err != nil {
			return err
		}
		r.looked = began
		return nil
	}
	for keys := range slices.Chunk(touched, store.MaxWrites) {
		records, err := q.Store.Get(ctx, keys...)
		if err != nil {
			return fmt.Errorf("read lines: %w", err)
		}
		r.take(records)
	}
	return nil
}

// take adds records to the view, stops our plans that are to end, and returns
// the jobs that others run.
func (r *runner) take(records []store.Record) (foreign []Job) {
	for _, rec := range records {
		if rec.Version == 0 {
			delete(r.view, rec.Key)
			continue
		}
		l, err := decodeLine(rec)
		if err != nil {
			r.q.log().Error("a line of the queue cannot be read", "err", err)
			delete(r.view, rec.Key)
			continue
		}
		r.view[rec.Key] = seen{l, rec}
		for _, j := range l.Jobs {
			if j.State != Running {
				continue
			}
			if a := r.q.attempt(j); a == nil {
				foreign = append(foreign, j)
			} else if j.Stop {
				a.cancel(ErrSuperseded)
			}
		}
	}
	return foreign
}

// attempt returns the attempt of ours that runs a job, nil if none does.
func (q *Queue) attempt(j Job) *attempt {
	q.mu.Lock()
	defer q.mu.Unlock()
	if a := q.running[j.ID]; a != nil && a.job.Worker == j.Worker && a.job.Attempt == j.Attempt {
		return a
	}
	return nil
}

func (q *Queue) busy() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.running)
}

// bringBack puts back in the queue what nobody runs any more.
func (r *runner) bringBack(ctx context.Context, foreign []Job) error {
	var others []Job
	for _, j := range foreign {
		if j.Worker != r.q.self {
			others = append(others, j)
			continue
		}
		// Claimed by a commit of which we were told that it failed.
		if err := r.free(ctx, j, "", func(j *Job) { j.Attempt-- }); err != nil && !errors.Is(err, ErrLost) {
			return err
		}
	}
	dead, err := r.dead(ctx, others)
	if err != nil {
		return err
	}
	for _, j := range dead {
		note := fmt.Sprintf("The worker of attempt %d died.", j.Attempt)
		err := r.free(ctx, j, note, func(j *Job) { j.Crashes++ })
		if errors.Is(err, ErrLost) {
			continue // it lives, or another was quicker
		}
		if err != nil {
			return err
		}
		r.q.log().Warn("took a job back from a dead worker", "job", j.ID, "repo", j.Repo, "pull", j.Pull, "kind", j.Kind, "worker", j.Worker, "attempt", j.Attempt)
	}
	return nil
}

// best returns the line to be served next, with the index of its job, or -1
// and when there may be one.
func (r *runner) best(now time.Time) (key store.Key, index int, until time.Time) {
	ours := map[store.Key]bool{}
	r.q.mu.Lock()
	for _, a := range r.q.running {
		ours[a.job.line()] = true
	}
	r.q.mu.Unlock()
	index = -1
	var since time.Time
	for k, l := range r.view {
		if ours[k] {
			continue // perhaps lost to another, and not ended here yet
		}
		i, at := l.next(now)
		switch {
		case i < 0:
			if !at.IsZero() && (until.IsZero() || at.Before(until)) {
				until = at
			}
			continue
		case index >= 0 && since.Before(l.since(i)),
			index >= 0 && since.Equal(l.since(i)) && r.view[key].Jobs[index].ID < l.Jobs[i].ID:
			continue
		}
		key, index, since = k, i, l.since(i)
	}
	return key, index, until
}

// claim makes job i of a line ours and begins it. A conflict is no error: the
// line is read again.
func (r *runner) claim(key store.Key, i int) error {
	l := r.view[key].line
	l.Jobs = slices.Clone(l.Jobs)
	began := time.Now()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.ctx))
	a := &attempt{job: l.claim(i, r.q.self), cancel: cancel}
	r.q.mu.Lock()
	r.q.running[a.job.ID] = a
	r.q.mu.Unlock()

	writes := save(&l, r.view[key].record, store.MaxWrites-2)
	writes = append(writes, store.Write{Key: claimKey(a.job.ID), Body: encode(claim{a.job.Worker, a.job.Attempt})})
	if !r.q.Exclusive {
		writes = append(writes, store.Write{Key: beatKey(a.job.ID), Body: []byte("{}")})
	}
	try, done := context.WithTimeout(ctx, claimTime)
	err := r.q.Store.Commit(try, writes...)
	done()
	if err != nil {
		cancel(err)
		r.q.forget(a)
		delete(r.view, key)
		if isConflict(err) {
			r.q.touch(key)
			return nil
		}
		return fmt.Errorf("claim job %s: %w", a.job.ID, err)
	}
	r.view[key] = seen{line: l} // Accept and the end of the job have it read again
	r.attempts.Go(func() { r.run(ctx, a, began) })
	return nil
}

func (q *Queue) forget(a *attempt) {
	q.mu.Lock()
	delete(q.running, a.job.ID)
	q.notify()
	q.mu.Unlock()
}

// drain waits for what still runs, and sends plans back that take too long.
func (r *runner) drain() {
	done := make(chan struct{})
	go func() {
		r.attempts.Wait()
		close(done)
	}()
	t := time.NewTimer(orDefault(r.q.Drain, 10*time.Second))
	defer t.Stop()
	select {
	case <-done:
		return
	case <-t.C:
	}
	r.q.mu.Lock()
	for _, a := range r.q.running {
		if a.job.Kind == Plan || a.job.Kind == MergeGroup {
			a.cancel(ErrShutdown)
		} else {
			r.q.log().Info("waiting for a job to end", "job", a.job.ID, "repo", a.job.Repo, "pull", a.job.Pull, "kind", a.job.Kind)
		}
	}
	r.q.mu.Unlock()
	<-done
}
