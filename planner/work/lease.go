package work

import (
	"context"
	"fmt"
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
	c, err := decode[claim](r)
	return err == nil && r.Version != 0 && c == claim{j.Worker, j.Attempt}
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
	pause := q.Lease / 3
	for sleep(ctx, pause) == nil {
		now := time.Now()
		last := began.Add(q.Lease * 5 / 6)
		try, cancel := context.WithDeadline(ctx, last)
		lost, err := q.renew(try, a.job)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && !lost:
			began, pause = now, q.Lease/3
			continue
		case lost || !time.Now().Before(last):
			q.Log.Warn("job lost", "job", a.job.ID, "repo", a.job.Repo, "pull", a.job.Pull, "taken", lost, "err", err)
			a.cancel(ErrLost)
			return
		}
		q.Log.Warn("cannot renew the lease of a job", "job", a.job.ID, "err", err)
		pause = min(q.Lease/12, time.Until(last))
	}
}

func (q *Queue) renew(ctx context.Context, job Job) (lost bool, err error) {
	err = store.Retry(ctx, func() error {
		records, err := q.Store.Get(ctx, claimKey(job.ID), beatKey(job.ID))
		if lost = err == nil && !job.holds(records[0]); lost || err != nil {
			return err
		}
		return q.Store.Commit(ctx,
			store.Write{Op: store.Check, Key: records[0].Key, Expect: records[0].Version},
			store.Write{Key: records[1].Key, Expect: records[1].Version, Body: []byte("{}")})
	})
	return lost, err
}

// sighting is when the sign of life of another's job was first seen to be what
// it is, on the clock of this process alone.
type sighting struct {
	beat  store.Version
	since time.Time
}

// dead returns those jobs whose worker is dead, of all that run and not here.
// One that we are said to run was claimed by a commit of which we were told
// that it failed.
func (r *runner) dead(ctx context.Context, elsewhere []Job) (dead []Job, err error) {
	if r.q.Exclusive || len(elsewhere) == 0 {
		return elsewhere, nil
	}
	records, err := store.All(ctx, r.q.Store, inLeases, "")
	if err != nil {
		return nil, err
	}
	beats := make(map[string]store.Version, len(records))
	for _, rec := range records {
		beats[rec.Key.Sort] = rec.Version
	}
	seen := make(map[string]sighting, len(elsewhere))
	for _, j := range elsewhere {
		now := sighting{beat: beats[beatKey(j.ID).Sort], since: time.Now()}
		if before, ok := r.sightings[j.ID]; ok && before.beat == now.beat {
			now.since = before.since
		}
		seen[j.ID] = now
		if j.Worker == r.q.self || time.Since(now.since) >= r.q.Lease {
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
	err := store.Retry(ctx, func() error {
		records, err := q.Store.Get(ctx, job.line(), claimKey(job.ID), beatKey(job.ID))
		if err != nil {
			return err
		}
		l, err := decode[line](records[0])
		if err != nil {
			return err
		}
		i, beat := l.running(job), records[2]
		if i < 0 || !job.holds(records[1]) || unmoved != nil && beat.Version != *unmoved {
			return ErrLost
		}
		change(&l, i, time.Now().UTC().Truncate(time.Millisecond))
		writes := save(&l, job.line(), records[0].Version, store.MaxWrites-2)
		for _, r := range records[1:] {
			writes = append(writes, store.Write{Op: store.Delete, Key: r.Key, Expect: r.Version})
		}
		return q.Store.Commit(ctx, writes...)
	})
	if err != nil {
		return fmt.Errorf("settle job %s: %w", job.ID, err)
	}
	q.touch(job.line())
	return nil
}
