package work

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/store"
)

// claim is the record of who runs a job. It is written when a job is claimed
// and removed when that is over, and does not change in between, so that a
// fence on it never meets the worker's own signs of life.
type claim struct {
	Worker  string `json:"worker"`
	Attempt int    `json:"attempt"`
}

func claimKey(id string) store.Key { return store.Key{Partition: inLeases, Sort: id + "/claim"} }

// beatKey is of the record that a worker rewrites to show that it lives. Only
// its version means something.
func beatKey(id string) store.Key { return store.Key{Partition: inLeases, Sort: id + "/beat"} }

// holds says whether r is the claim of this very attempt.
func (j Job) holds(r store.Record) bool {
	var c claim
	return r.Version != 0 && json.Unmarshal(r.Body, &c) == nil && c == claim{j.Worker, j.Attempt}
}

// Fence returns a write that changes nothing and lets a commit happen only
// while this worker still has the job, which is to be the one that Run handed
// out. It does not conflict with anything but the loss of the job. If the job
// is lost already, the error is ErrLost.
func (q *Queue) Fence(ctx context.Context, job Job) (store.Write, error) {
	records, err := q.Store.Get(ctx, claimKey(job.ID))
	if err != nil {
		return store.Write{}, fmt.Errorf("fence job %s: %w", job.ID, err)
	}
	if !job.holds(records[0]) {
		return store.Write{}, fmt.Errorf("fence job %s: %w", job.ID, ErrLost)
	}
	return store.Write{Op: store.Check, Key: records[0].Key, Expect: records[0].Version}, nil
}

// beat shows that this worker lives until ctx ends, and ends the job with
// ErrLost when that fails for so long that others may think it dead. began is
// when the job was about to be claimed.
func (q *Queue) beat(ctx context.Context, a *attempt, began time.Time) {
	lease := q.lease()
	pause := lease / 3
	for sleep(ctx, pause) == nil {
		now := time.Now()
		last := began.Add(lease * 5 / 6)
		try, cancel := context.WithDeadline(ctx, last)
		lost, err := q.renew(try, a.job)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && !lost:
			began, pause = now, lease/3
			continue
		case lost || !time.Now().Before(last):
			q.log().Warn("job lost", "job", a.job.ID, "repo", a.job.Repo, "pull", a.job.Pull, "taken", lost, "err", err)
			a.cancel(ErrLost)
			return
		}
		q.log().Warn("cannot renew the lease of a job", "job", a.job.ID, "err", err)
		pause = min(lease/12, time.Until(last))
	}
}

func (q *Queue) renew(ctx context.Context, job Job) (lost bool, err error) {
	for {
		records, err := q.Store.Get(ctx, claimKey(job.ID), beatKey(job.ID))
		if err != nil {
			return false, err
		}
		if !job.holds(records[0]) {
			return true, nil
		}
		err = q.Store.Commit(ctx,
			store.Write{Op: store.Check, Key: records[0].Key, Expect: records[0].Version},
			store.Write{Key: records[1].Key, Expect: records[1].Version, Body: []byte("{}")})
		if !isConflict(err) {
			return false, err
		}
	}
}

// sighting is when the sign of life of another's job was first seen to be what
// it is, on the clock of this process alone.
type sighting struct {
	beat  store.Version
	since time.Time
}

// dead returns the ids of the jobs in running, all of other workers, whose
// worker is dead.
func (r *runner) dead(ctx context.Context, running []Job) ([]Job, error) {
	if r.q.Exclusive || len(running) == 0 {
		clear(r.sightings)
		return running, nil
	}
	records, err := store.All(ctx, r.q.Store, inLeases, "")
	if err != nil {
		return nil, err
	}
	beats := make(map[string]store.Version, len(records))
	for _, rec := range records {
		beats[rec.Key.Sort] = rec.Version
	}
	var dead []Job
	seen := make(map[string]sighting, len(running))
	for _, j := range running {
		now := sighting{beat: beats[beatKey(j.ID).Sort], since: time.Now()}
		if before, ok := r.sightings[j.ID]; ok && before.beat == now.beat {
			now.since = before.since
		}
		seen[j.ID] = now
		if time.Since(now.since) >= r.q.lease() {
			dead = append(dead, j)
		}
	}
	r.sightings = seen
	return dead, nil
}

// settle ends this attempt of a job in the store: it changes the line and
// removes the claim. It returns ErrLost, and changes nothing, if the claim is
// no longer the attempt's; that is also so when it was settled before.
// unmoved, if not nil, is what the sign of life must still be.
func (q *Queue) settle(ctx context.Context, job Job, unmoved *store.Version, change func(l *line, i int, now time.Time)) error {
	keys := []store.Key{job.line(), claimKey(job.ID), beatKey(job.ID)}
	for pause := time.Millisecond; ; pause *= 2 {
		records, err := q.Store.Get(ctx, keys...)
		if err != nil {
			return fmt.Errorf("settle job %s: %w", job.ID, err)
		}
		l, err := decodeLine(records[0])
		if err != nil {
			return err
		}
		i := l.running(job.ID, job.Worker, job.Attempt)
		beat := records[2]
		if i < 0 || !job.holds(records[1]) || unmoved != nil && beat.Version != *unmoved {
			return fmt.Errorf("settle job %s: %w", job.ID, ErrLost)
		}
		change(&l, i, time.Now().UTC().Truncate(time.Millisecond))
		writes := save(&l, records[0], store.MaxWrites-2)
		writes = append(writes, store.Write{Op: store.Delete, Key: keys[1], Expect: records[1].Version})
		if beat.Version != 0 || !q.Exclusive {
			writes = append(writes, store.Write{Op: store.Delete, Key: keys[2], Expect: beat.Version})
		}
		if err = q.Store.Commit(ctx, writes...); !isConflict(err) {
			if err != nil {
				return fmt.Errorf("settle job %s: %w", job.ID, err)
			}
			q.touch(keys[0])
			return nil
		}
		if err := sleep(ctx, min(pause, 50*time.Millisecond)); err != nil {
			return err
		}
	}
}

// free takes a job back from a worker that is dead, or from one of our own
// attempts that was claimed without our knowing. i says which beat it had.
func (r *runner) free(ctx context.Context, job Job, note string, count func(*Job)) error {
	var unmoved *store.Version
	if s, ok := r.sightings[job.ID]; ok {
		unmoved = &s.beat
	}
	return r.q.settle(ctx, job, unmoved, func(l *line, i int, now time.Time) {
		l.requeue(i, note, now, time.Time{}, count)
	})
}

// sortJobs orders jobs by their ids, which is the order of acceptance.
func sortJobs(jobs []Job) {
	slices.SortFunc(jobs, func(a, b Job) int { return strings.Compare(a.ID, b.ID) })
}
