package work

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"weir/planner/work/lease"
	"weir/planner/work/line"
	"weir/planner/work/pace"
	"weir/store"
)

const (
	claimTime = 15 * time.Second // bounds a commit of the queue's own
	choice    = 8                // among how many lines replicas choose that have the same view
)

// runner is one call of Run. Its view is read and changed by Run alone.
type runner struct {
	q        *Queue
	self     string          // Worker and what makes it unique
	ctx      context.Context // of Run
	do       func(ctx context.Context, job Job) error
	workers  int
	pace     pace.Pace
	view     map[store.Key]seen
	watch    lease.Watch
	attempts sync.WaitGroup
}

// seen is a line as it was last read, or as it was left by our own claim.
type seen struct {
	line.Line
	version store.Version
}

// Run does jobs until ctx ends, at most workers at once: one at a time for a
// pull request, and those first that could have been done for longest, so that
// a pull request with many jobs takes turns with the others.
//
// do gets a context that does not end with ctx; context.Cause says why it
// ended: ErrSuperseded or ErrShutdown (plans, merge groups and drift only), or
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
	r := &runner{
		q: q, self: strings.TrimPrefix(q.Worker+"-"+ulid.Make().String(), "-"), ctx: ctx, do: do, workers: max(workers, 1),
		pace: pace.Pace{Poll: q.Poll, Lease: q.Lease}, view: map[store.Key]seen{}, watch: lease.Watch{Table: q.leases()},
	}
	var listening sync.WaitGroup
	listening.Go(func() { q.desk.Listen(ctx, r.room) })
	for ctx.Err() == nil {
		until, err := r.round(ctx)
		if err != nil && ctx.Err() == nil {
			q.Log.Error("the queue does not get on; it is tried again", "err", err)
		}
		r.handOn(err)
		r.wait(ctx, until)
	}
	listening.Wait()
	r.handOn(context.Cause(ctx))
	r.drain()
	q.mu.Lock()
	q.active = false
	q.mu.Unlock()
	return nil
}

// round reads what has changed and claims what can be. It returns when there
// may be more to claim, zero if that is not known.
func (r *runner) round(ctx context.Context) (until time.Time, err error) {
	defer func() {
		if err != nil {
			r.pace.Failed()
		}
	}()
	if err := r.look(ctx); err != nil {
		return time.Time{}, err
	}
	for ctx.Err() == nil {
		key, i, at := r.best(time.Now())
		if i < 0 {
			return at, nil
		}
		if err := r.claim(key, i); err != nil {
			return time.Time{}, err
		}
	}
	return time.Time{}, nil
}

// wait returns when there is something to look at, at the latest at until or
// when the store is to be looked at all the same.
func (r *runner) wait(ctx context.Context, until time.Time) {
	now := time.Now()
	d := r.pace.Next(now, r.load())
	if !until.IsZero() {
		d = min(d, until.Sub(now))
	}
	t := time.NewTimer(max(d, time.Millisecond))
	defer t.Stop()
	select {
	case <-r.q.wake:
	case <-t.C:
	case <-ctx.Done():
	}
}

// laterPart is the part of the workers that jobs get which can wait: for what
// they wait, such as a place for terraform, they would otherwise hold all.
const laterPart = 4

// laterPlaces returns how many of such jobs may run for this one to begin. What
// a person asked for has one place more, so that it need not wait for the end of
// what takes hours.
func (r *runner) laterPlaces(j Job) int {
	places := r.workers / laterPart
	if j.Command != nil {
		return places + 1
	}
	return max(places, 1)
}

// best returns the line to be served next, with the index of its job, or -1
// and when there may be one. It is one that we were told of, or else the one
// that has waited for longest, or where nobody is told of any one of the first
// few, so that not all replicas want the same.
func (r *runner) best(now time.Time) (key store.Key, index int, until time.Time) {
	ours, later := r.q.here(), r.q.later() // perhaps lost to another, and not ended here yet
	told := r.concern()
	type candidate struct {
		key   store.Key
		index int
		since time.Time
		id    string
	}
	var ready []candidate
	for k, l := range r.view {
		switch i, at := l.Next(now); {
		case ours[k] || len(ours) >= r.workers:
		case i >= 0 && l.Jobs[i].Later && later >= r.laterPlaces(l.Jobs[i]):
		case i >= 0 && told[k]:
			ready = append(ready, candidate{k, i, time.Time{}, l.Jobs[i].ID})
		case i >= 0:
			ready = append(ready, candidate{k, i, l.Since(i), l.Jobs[i].ID})
		case until.IsZero() || !at.IsZero() && at.Before(until):
			until = at
		}
	}
	slices.SortFunc(ready, func(a, b candidate) int { return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.id, b.id)) })
	if len(ready) == 0 {
		return key, -1, until
	}
	one := ready[0]
	if !r.q.Exclusive && !r.q.desk.Works() {
		one = ready[rand.IntN(min(len(ready), choice))] //nolint:gosec // spreads load, guards nothing
	}
	return one.key, one.index, until
}

// claim makes job i of a line ours and begins it. A conflict is no error: the
// line is read again.
func (r *runner) claim(key store.Key, i int) error {
	l := r.view[key].Line
	l.Jobs = slices.Clone(l.Jobs)
	began := time.Now()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.ctx))
	a := &attempt{job: l.Claim(i, r.self), cancel: cancel}
	r.q.mu.Lock()
	r.q.running[a.job.ID] = a
	r.q.mu.Unlock()

	writes := r.q.save(&l, key, r.view[key].version, store.MaxWrites-2)
	writes = append(writes, r.q.leases().Take(a.job.ID, holderOf(a.job), !r.q.Exclusive)...)
	try, done := context.WithTimeout(ctx, claimTime)
	err := r.q.Store.Commit(try, writes...)
	done()
	if err != nil {
		cancel(err)
		r.q.forget(a, false)
		delete(r.view, key)
		if store.IsConflict(err) {
			r.q.touch(key) // somebody was quicker, or it is ours all the same
			return nil
		}
		return fmt.Errorf("claim job %s: %w", a.job.ID, err)
	}
	r.view[key] = seen{Line: l} // Accept and the end of the job have it read again
	r.attempts.Go(func() { r.run(ctx, a, began) })
	return nil
}

// forget takes an attempt off the list; wake says that its place is free now.
func (q *Queue) forget(a *attempt, wake bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.running, a.job.ID)
	if wake {
		q.notify()
	}
}

// drain waits for what still runs, and sends plans back that take too long.
func (r *runner) drain() {
	done := make(chan struct{})
	go func() {
		r.attempts.Wait()
		close(done)
	}()
	t := time.NewTimer(r.q.Drain)
	defer t.Stop()
	select {
	case <-done:
		return
	case <-t.C:
	}
	r.q.mu.Lock()
	for _, a := range r.q.running {
		if a.job.Kind == Plan || a.job.Kind == MergeGroup || a.job.Kind == Drift {
			a.cancel(ErrShutdown)
		} else {
			r.q.Log.Info("waiting for a job to end", "job", a.job.ID, "repo", a.job.Repo, "pull", a.job.Pull, "kind", a.job.Kind)
		}
	}
	r.q.mu.Unlock()
	<-done
}
