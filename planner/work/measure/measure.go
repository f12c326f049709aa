// Package measure says how fast replicas share work, and what they ask of
// their store for it. It is for benchmarks; the server does not use it.
package measure

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"weir/planner/work"
	"weir/planner/work/news"
	"weir/store"
)

// Setup is how replicas share a store.
type Setup struct {
	Store    store.Store
	Replicas int
	Workers  int                    // of each
	Lease    time.Duration          // 0: as a Queue has it
	Poll     time.Duration          // likewise
	News     func() news.Dispatcher // called for each replica; nil: none
}

// Calls is what replicas asked their store.
type Calls struct {
	Gets, Lists, Commits, Conflicts int64 // Conflicts are of the Commits
}

// Rate is what Throughput found.
type Rate struct {
	Jobs  int
	Took  time.Duration
	Calls Calls // for all jobs, from their acceptance on
}

// PerSecond returns how many jobs were done in a second.
func (r Rate) PerSecond() float64 { return float64(r.Jobs) / r.Took.Seconds() }

// Throughput has so many jobs done, one for each pull request and each taking
// so long, that were accepted before the replicas began.
func Throughput(ctx context.Context, s Setup, jobs int, long time.Duration) (Rate, error) {
	f := s.fleet()
	for n := range jobs {
		if _, err := f.queues[n%len(f.queues)].Accept(ctx, "", work.Job{Kind: work.Plan, Repo: "acme/measured", Pull: n + 1}); err != nil {
			return Rate{}, err
		}
	}
	var left atomic.Int64
	left.Store(int64(jobs))
	done := make(chan struct{})
	began := time.Now()
	stop := f.run(ctx, func(ctx context.Context, _ int, _ work.Job) error {
		select {
		case <-time.After(long):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if left.Add(-1) == 0 {
			close(done)
		}
		return nil
	})
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("measure %d jobs: %w", jobs, context.Cause(ctx))
	}
	took := time.Since(began)
	err = errors.Join(err, stop())
	return Rate{Jobs: jobs, Took: took, Calls: f.calls()}, err
}

// Takeover kills the replica that runs a job, and returns how long it took
// another to begin it anew. There have to be two replicas or more.
func Takeover(ctx context.Context, s Setup) (time.Duration, error) {
	f := s.fleet()
	type start struct {
		replica int
		job     work.Job
	}
	starts := make(chan start, 2)
	stop := f.run(ctx, func(ctx context.Context, replica int, job work.Job) error {
		starts <- start{replica, job}
		if job.Attempt > 1 {
			return nil
		}
		<-ctx.Done()
		return context.Cause(ctx)
	})
	took, err := func() (time.Duration, error) {
		if _, err := f.queues[0].Accept(ctx, "", work.Job{Kind: work.Plan, Repo: "acme/measured", Pull: 1}); err != nil {
			return 0, err
		}
		var killed time.Time
		for {
			select {
			case one := <-starts:
				if one.job.Attempt > 1 {
					return time.Since(killed), nil
				}
				killed = time.Now()
				f.doors[one.replica].shut.Store(true)
			case <-ctx.Done():
				return 0, fmt.Errorf("measure a takeover: %w", context.Cause(ctx))
			}
		}
	}()
	return took, errors.Join(err, stop())
}

// Idle returns what one replica asks of a store without work, in an hour, from
// what it did in so long.
func Idle(ctx context.Context, s Setup, long time.Duration) (Calls, error) {
	f := s.fleet()
	stop := f.run(ctx, func(context.Context, int, work.Job) error { return nil })
	warm := 10 * time.Second // until it has slowed down
	for _, d := range []time.Duration{warm, long} {
		for _, door := range f.doors {
			door.reset()
		}
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	c := f.calls()
	scale := func(n int64) int64 {
		return int64(float64(n) * float64(time.Hour) / float64(long) / float64(len(f.doors)))
	}
	return Calls{Gets: scale(c.Gets), Lists: scale(c.Lists), Commits: scale(c.Commits), Conflicts: scale(c.Conflicts)}, stop()
}

// fleet is replicas, each with its own door to the store.
type fleet struct {
	workers int
	queues  []*work.Queue
	doors   []*door
}

func (s Setup) fleet() *fleet {
	f := &fleet{workers: max(s.Workers, 1)}
	for range max(s.Replicas, 1) {
		d := &door{Store: s.Store}
		q := &work.Queue{Store: d, Lease: s.Lease, Poll: s.Poll, Drain: time.Millisecond}
		if s.News != nil {
			q.Dispatch = s.News()
		}
		f.doors, f.queues = append(f.doors, d), append(f.queues, q)
	}
	return f
}

// run starts all replicas. stop ends them.
func (f *fleet) run(ctx context.Context, do func(ctx context.Context, replica int, job work.Job) error) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	errs := make([]error, len(f.queues))
	for i, q := range f.queues {
		all.Go(func() {
			errs[i] = q.Run(ctx, f.workers, func(ctx context.Context, job work.Job) error { return do(ctx, i, job) })
		})
	}
	return func() error {
		cancel()
		for _, d := range f.doors {
			d.shut.Store(false)
		}
		all.Wait()
		return errors.Join(errs...)
	}
}

func (f *fleet) calls() (sum Calls) {
	for _, d := range f.doors {
		sum.Gets += d.gets.Load()
		sum.Lists += d.lists.Load()
		sum.Commits += d.commits.Load()
		sum.Conflicts += d.conflicts.Load()
	}
	return sum
}

var errShut = errors.New("this replica is cut off")

// door is a store as one replica sees it: counted, and shut when it is killed.
type door struct {
	store.Store
	shut                            atomic.Bool
	gets, lists, commits, conflicts atomic.Int64
}

func (d *door) reset() {
	for _, n := range []*atomic.Int64{&d.gets, &d.lists, &d.commits, &d.conflicts} {
		n.Store(0)
	}
}

// Get implements store.Store.
func (d *door) Get(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	if d.shut.Load() {
		return nil, errShut
	}
	d.gets.Add(1)
	return d.Store.Get(ctx, keys...)
}

// List implements store.Store.
func (d *door) List(ctx context.Context, partition, prefix string, page store.Page) ([]store.Record, string, error) {
	if d.shut.Load() {
		return nil, "", errShut
	}
	d.lists.Add(1)
	return d.Store.List(ctx, partition, prefix, page)
}

// Commit implements store.Store.
func (d *door) Commit(ctx context.Context, writes ...store.Write) error {
	if d.shut.Load() {
		return errShut
	}
	d.commits.Add(1)
	err := d.Store.Commit(ctx, writes...)
	if store.IsConflict(err) {
		d.conflicts.Add(1)
	}
	return err
}
