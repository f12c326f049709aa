package work

import (
	"context"
	"fmt"
	"time"

	"weir/planner/work/lease"
	"weir/planner/work/line"
	"weir/store"
)

func (q *Queue) leases() lease.Table {
	return lease.Table{Store: q.Store, Partition: inLeases, Time: q.Lease}
}

// holder is this attempt of the job, which no other is equal to: each Run has
// its own name, and counts a job's attempts.
func holderOf(j Job) lease.Holder { return lease.Holder{Worker: j.Worker, Attempt: j.Attempt} }

// Fence returns a write that changes nothing and lets a commit happen only
// while this worker still has the job, which is to be the one that Run handed
// out. It does not conflict with anything but the loss of the job. If the job
// is lost already, the error is ErrLost.
func (q *Queue) Fence(ctx context.Context, job Job) (store.Write, error) {
	q.init()
	fence, held, err := q.leases().Fence(ctx, job.ID, holderOf(job))
	if err == nil && !held {
		err = ErrLost
	}
	if err != nil {
		return store.Write{}, fmt.Errorf("fence job %s: %w", job.ID, err)
	}
	return fence, nil
}

// Overtaken reports whether another job of the line is to be done before the
// rest of this one, which this worker has: of drift, a check that somebody asked
// for goes before the schedule's, and one of named projects before those of all.
// The job gives way by returning ErrOvertaken.
func (q *Queue) Overtaken(ctx context.Context, job Job) (bool, error) {
	q.init()
	records, err := q.Store.Get(ctx, lineOf(job))
	if err != nil {
		return false, fmt.Errorf("look who is before job %s: %w", job.ID, err)
	}
	l, err := decode[line.Line](records[0])
	if err != nil {
		return false, err
	}
	i := l.Running(job)
	return i >= 0 && l.Overtaken(i, time.Now()), nil
}

// beat shows that this worker lives until ctx ends, and ends the job with
// ErrLost when others have it or may think this worker dead. began is when the
// job was about to be claimed.
func (q *Queue) beat(ctx context.Context, a *attempt, began time.Time) {
	err := q.leases().Keep(ctx, a.job.ID, holderOf(a.job), began, func(err error) {
		q.Log.Warn("cannot renew the lease of a job", "job", a.job.ID, "err", err)
	})
	if err != nil {
		q.Log.Warn("job lost", "job", a.job.ID, "repo", a.job.Repo, "pull", a.job.Pull, "err", err)
		a.cancel(ErrLost)
	}
}

// settle ends this attempt of a job in the store: it changes the line and
// removes the claim. It returns ErrLost, and changes nothing, if the claim is
// no longer the attempt's; that is also so when it was settled before.
// unmoved, if not nil, is what the sign of life must still be.
func (q *Queue) settle(ctx context.Context, job Job, unmoved *store.Version, change func(l *line.Line, i int, now time.Time)) error {
	leases := q.leases()
	err := store.Retry(ctx, func() error {
		records, err := q.Store.Get(ctx, lineOf(job), leases.Claim(job.ID), leases.Beat(job.ID))
		if err != nil {
			return err
		}
		l, err := decode[line.Line](records[0])
		if err != nil {
			return err
		}
		i, beat := l.Running(job), records[2]
		if i < 0 || !holderOf(job).Holds(records[1]) || unmoved != nil && beat.Version != *unmoved {
			return ErrLost
		}
		change(&l, i, time.Now().UTC().Truncate(time.Millisecond))
		writes := q.save(&l, lineOf(job), records[0].Version, store.MaxWrites-2)
		for _, r := range records[1:] {
			writes = append(writes, store.Write{Op: store.Delete, Key: r.Key, Expect: r.Version})
		}
		return q.Store.Commit(ctx, writes...)
	})
	q.touch(lineOf(job))
	if err != nil {
		return fmt.Errorf("settle job %s: %w", job.ID, err)
	}
	return nil
}
