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
	do        func(ctx context.Context, job Job) error
	workers   int
	looked    time.Time // when everything was last read
	view      map[store.Key]seen
	sightings map[string]sighting
	attempts  sync.WaitGroup
}

// seen is a line as it was last read, or as it was left by our own claim.
type seen struct {
	line
	version store.Version
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
	for ctx.Err() == nil {
		until, err := r.round(ctx)
		if err != nil && ctx.Err() == nil {
			q.Log.Error("the queue does not get on; it is tried again", "err", err)
		}
		r.wait(ctx, until)
	}
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
			r.looked = time.Time{} // everything has to be read again
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
// the next poll.
func (r *runner) wait(ctx context.Context, until time.Time) {
	d := r.q.Poll
	if !until.IsZero() {
		d = min(d, max(time.Until(until), time.Millisecond))
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-r.q.wake:
	case <-t.C:
	case <-ctx.Done():
	}
}

// look reads the lines that we have changed, and at each poll all of them.
func (r *runner) look(ctx context.Context) error {
	q := r.q
	q.mu.Lock()
	all := q.rescan || time.Since(r.looked) >= q.Poll
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
		r.looked = began
		return r.bringBack(ctx, r.take(records))
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
// the jobs that run elsewhere.
func (r *runner) take(records []store.Record) (elsewhere []Job) {
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	for _, rec := range records {
		l, err := decode[line](rec)
		if err != nil {
			r.q.Log.Error("a line of the queue cannot be read", "err", err)
		}
		if err != nil || rec.Version == 0 {
			delete(r.view, rec.Key)
			continue
		}
		r.view[rec.Key] = seen{l, rec.Version}
		for _, j := range l.Jobs {
			if j.State != Running {
				continue
			}
			if a := r.q.running[j.ID]; a == nil || a.job.Worker != j.Worker || a.job.Attempt != j.Attempt {
				elsewhere = append(elsewhere, j)
			} else if j.Stop {
				a.cancel(ErrSuperseded)
			}
		}
	}
	return elsewhere
}

// bringBack puts back in the queue what nobody runs any more.
func (r *runner) bringBack(ctx context.Context, elsewhere []Job) error {
	dead, err := r.dead(ctx, elsewhere)
	if err != nil {
		return err
	}
	for _, job := range dead {
		var unmoved *store.Version
		if s, ok := r.sightings[job.ID]; ok {
			unmoved = &s.beat
		}
		err := r.q.settle(ctx, job, unmoved, func(l *line, i int, now time.Time) {
			l.requeue(i, fmt.Sprintf("The worker of attempt %d died.", job.Attempt), now, time.Time{}, func(j *Job) {
				if j.Worker == r.q.self {
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
		}
	}
	return nil
}

// best returns the line to be served next, with the index of its job, or -1
// and when there may be one.
func (r *runner) best(now time.Time) (key store.Key, index int, until time.Time) {
	index = -1
	ours := map[store.Key]bool{}
	r.q.mu.Lock()
	for _, a := range r.q.running {
		ours[a.job.line()] = true
	}
	full := len(r.q.running) >= r.workers
	r.q.mu.Unlock()
	if full {
		return key, index, until
	}
	var since time.Time
	for k, l := range r.view {
		if ours[k] {
			continue // perhaps lost to another, and not ended here yet
		}
		i, at := l.next(now)
		switch {
		case i < 0 && (until.IsZero() || !at.IsZero() && at.Before(until)):
			until = at
		case i < 0:
		case index < 0 || l.since(i).Before(since),
			l.since(i).Equal(since) && l.Jobs[i].ID < r.view[key].Jobs[index].ID:
			key, index, since = k, i, l.since(i)
		}
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

	writes := save(&l, key, r.view[key].version, store.MaxWrites-2)
	writes = append(writes, store.Write{Key: claimKey(a.job.ID), Body: encode(claim{a.job.Worker, a.job.Attempt})})
	if !r.q.Exclusive {
		writes = append(writes, store.Write{Key: beatKey(a.job.ID), Body: []byte("{}")})
	}
	try, done := context.WithTimeout(ctx, claimTime)
	err := r.q.Store.Commit(try, writes...)
	done()
	if err != nil {
		cancel(err)
		r.q.forget(a, false)
		delete(r.view, key)
		if store.IsConflict(err) {
			r.q.touch(key)
			return nil
		}
		return fmt.Errorf("claim job %s: %w", a.job.ID, err)
	}
	r.view[key] = seen{line: l} // Accept and the end of the job have it read again
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
		if a.job.Kind == Plan || a.job.Kind == MergeGroup {
			a.cancel(ErrShutdown)
		} else {
			r.q.Log.Info("waiting for a job to end", "job", a.job.ID, "repo", a.job.Repo, "pull", a.job.Pull, "kind", a.job.Kind)
		}
	}
	r.q.mu.Unlock()
	<-done
}
