package work

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/store"
	"weir/store/storetest"
)

// Replicas share what there is to do: no pull request is in two hands, none is
// left, and none of the replicas does it all.
func TestReplicasShareTheWork(t *testing.T) {
	everyWay(t, func(t *testing.T, f *fifo) {
		s := storetest.Memory()
		var mu sync.Mutex
		share, doing, order := map[*Queue]int{}, map[int]bool{}, map[int][]Kind{}
		all := cluster(t, s, f, 3, 2, func(ctx context.Context, q *Queue, j Job) error {
			mu.Lock()
			if doing[j.Pull] {
				t.Errorf("%s of %d begins while another job of it runs", j.Kind, j.Pull)
			}
			doing[j.Pull] = true
			share[q]++
			order[j.Pull] = append(order[j.Pull], j.Kind)
			mu.Unlock()
			pass(time.Second)
			mu.Lock()
			doing[j.Pull] = false
			mu.Unlock()
			return nil
		})
		began := time.Now()
		for pull := 1; pull <= 30; pull++ { // any replica takes any delivery
			accept(t, all[pull%3].q, fmt.Sprint("a", pull), newJob(Plan, pull))
			accept(t, all[(pull+1)%3].q, fmt.Sprint("b", pull), newJob(Apply, pull))
		}
		quiet(t, all[0].q)
		took := time.Since(began)
		stopAll(all)
		if took > 15*time.Second { // 60 jobs of a second by 6 hands
			t.Errorf("60 jobs of a second took 6 workers %v", took)
		}
		for i, r := range all {
			if n := share[r.q]; n < 10 || n > 30 {
				t.Errorf("replica %d did %d of 60 jobs", i, n)
			}
		}
		for pull, kinds := range order {
			if fmt.Sprint(kinds) != "[plan apply]" {
				t.Errorf("order of %d: %v", pull, kinds)
			}
		}
	})
}

// What is written for a plan that runs elsewhere ends it within a poll.
func TestAStopWishReachesTheReplicaThatRuns(t *testing.T) {
	for _, stopper := range []Kind{Plan, Unlock, Close} {
		everyWay(t, func(t *testing.T, f *fifo) {
			s := storetest.Memory()
			d := newDiary()
			all := cluster(t, s, f, 2, 1, func(ctx context.Context, q *Queue, j Job) error {
				if d.note("%s begins", j.Kind); len(d.lines) > 1 {
					return nil
				}
				err := sleep(ctx, time.Hour)
				d.note("%v", context.Cause(ctx))
				return err
			})
			accept(t, all[0].q, "", newJob(Plan, 1))
			pass(10 * time.Minute)
			other := all[0]
			all[0].q.mu.Lock()
			if len(all[0].q.running) > 0 {
				other = all[1]
			}
			all[0].q.mu.Unlock()
			began := time.Now()
			accept(t, other.q, "", newJob(stopper, 1))
			quiet(t, other.q)
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("%s: the plan elsewhere was ended and the job done after %v", stopper, took)
			}
			stopAll(all)
			if got, want := states(t, other.q, 1), fmt.Sprintf("plan:superseded %s:done", stopper); got != want {
				t.Errorf("got %s, want %s: %v", got, want, d.lines)
			}
		})
	}
}

// A replica that ends gives its plans to the others at once.
func TestAReplicaThatEndsGivesItsPlansBack(t *testing.T) {
	everyWay(t, func(t *testing.T, f *fifo) {
		s := storetest.Memory()
		var mu sync.Mutex
		by := map[int]*Queue{}
		attempts := map[int]int{}
		all := cluster(t, s, f, 2, 4, func(ctx context.Context, q *Queue, j Job) error {
			mu.Lock()
			by[j.Pull], attempts[j.Pull] = q, j.Attempt
			mu.Unlock()
			return sleep(ctx, 5*time.Minute)
		})
		for pull := range 4 {
			accept(t, all[0].q, "", newJob(Plan, pull+1))
		}
		pass(time.Minute)
		all[0].stop() // within Drain
		began := time.Now()
		pass(3 * time.Second)
		mu.Lock()
		for pull := range 4 {
			if by[pull+1] != all[1].q || attempts[pull+1] != 1 {
				t.Errorf("plan of %d is not done by the other, or as attempt %d", pull+1, attempts[pull+1])
			}
		}
		mu.Unlock()
		quiet(t, all[1].q)
		if took := time.Since(began); took > 310*time.Second {
			t.Errorf("the plans were done after %v", took)
		}
		stopAll(all)
	})
}

// A replica that dies is noticed: without news after the lease, its last sign
// of life being a third of it old at most; with news, the store is looked at
// once a lease, too.
func TestI5_ADeadReplicaIsNoticedInTime(t *testing.T) {
	const lease = 30 * time.Second
	for second := range 12 {
		everyWay(t, func(t *testing.T, f *fifo) {
			s := storetest.Memory()
			var mu sync.Mutex
			var owner *Queue
			var began time.Time
			attempt := 0
			all := cluster(t, s, f, 3, 2, func(ctx context.Context, q *Queue, j Job) error {
				mu.Lock()
				owner, began, attempt = q, time.Now(), j.Attempt
				mu.Unlock()
				if j.Attempt > 1 {
					return nil
				}
				return sleep(ctx, time.Hour)
			})
			accept(t, all[0].q, "", newJob(Apply, 1))
			pass(time.Duration(60+second) * time.Second)
			mu.Lock()
			for _, r := range all {
				if r.q == owner {
					r.dead.Store(true)
				}
			}
			mu.Unlock()
			died := time.Now()
			pass(5 * time.Minute)
			mu.Lock()
			took := began.Sub(died)
			mu.Unlock()
			longest := lease + lease/10 + 2*time.Second
			if f != nil {
				longest += lease
			}
			if attempt != 2 || took < lease/2 || took > longest {
				t.Errorf("killed after %d s: attempt %d began %v later, want at most %v", 60+second, attempt, took, longest)
			}
			stopAll(all)
		})
	}
}

// Looking costs little while there is nothing to do.
func TestIdleReplicasReadLittle(t *testing.T) {
	everyWay(t, func(t *testing.T, f *fifo) {
		counted := &storetest.Faulty{Store: storetest.Memory()}
		all := cluster(t, counted, f, 3, 2, func(context.Context, *Queue, Job) error { return nil })
		accept(t, all[0].q, "", newJob(Plan, 1))
		pass(time.Minute)
		counted.Reset()
		pass(time.Hour)
		c := counted.Calls()
		most := 3 * 1300
		if f != nil {
			most = 3 * 210
		}
		t.Logf("an idle replica reads the store %d times an hour", c.Lists/3)
		if c.Lists > most || c.Lists < 100 || c.Gets+c.Commits > 0 {
			t.Errorf("3 idle replicas made %+v in an hour, want at most %d lists", c, most)
		}
		stopAll(all)
	})
}

// With work everywhere, a replica reads a few records a second, not all.
func TestBusyReplicasReadAtABoundedRate(t *testing.T) {
	everyWay(t, func(t *testing.T, f *fifo) {
		counted := &storetest.Faulty{Store: storetest.Memory()}
		all := cluster(t, counted, f, 3, 2, func(ctx context.Context, _ *Queue, _ Job) error { return sleep(ctx, 2*time.Hour) })
		for pull := range 20 {
			accept(t, all[0].q, "", newJob(Plan, pull+1))
		}
		pass(time.Minute)
		counted.Reset()
		pass(time.Hour / 4)
		c := counted.Calls()
		t.Logf("a replica with two plans, in a quarter of an hour: %d lists, %d gets, %d commits", c.Lists/3, c.Gets/3, c.Commits/3)
		if c.Lists > 3*1250 || c.Gets > 3*(900+200) || c.Commits > 3*2*100 {
			t.Errorf("3 replicas made %+v in a quarter of an hour", c)
		}
		for _, r := range all {
			r.dead.Store(true)
		}
		stopAll(all)
	})
}

// News that are lost, doubled or cannot be sent at all cost seconds, and never
// a job.
func TestI5_NewsMayBeLost(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(f *fifo)
		longest time.Duration
	}{
		"none":   {func(*fifo) {}, 2 * time.Second},
		"lost":   {func(f *fifo) { f.lose = true }, 32 * time.Second},
		"double": {func(f *fifo) { f.double = true }, 3 * time.Second},
		"down":   {func(f *fifo) { f.down = true }, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fifo{}
				var mu sync.Mutex
				done := 0
				all := cluster(t, storetest.Memory(), f, 3, 2, func(context.Context, *Queue, Job) error {
					mu.Lock()
					done++
					mu.Unlock()
					pass(100 * time.Millisecond)
					return nil
				})
				pass(time.Hour) // long polls are open
				f.set(c.change)
				began := time.Now()
				for pull := range 6 {
					accept(t, all[pull%3].q, fmt.Sprint(pull), newJob(Plan, pull+1), newJob(Apply, pull+1))
				}
				quiet(t, &Queue{Store: all[0].Store})
				if took := time.Since(began); took > c.longest {
					t.Errorf("took %v, want at most %v", took, c.longest)
				}
				f.set(func(f *fifo) { f.lose, f.double, f.down = false, false, false })
				pass(2 * time.Minute)
				began = time.Now()
				accept(t, all[0].q, "", newJob(Plan, 9))
				quiet(t, &Queue{Store: all[0].Store})
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("news are back, but a job took %v", took)
				}
				stopAll(all)
				if f.mu.Lock(); len(f.letters) > 0 {
					t.Errorf("%d messages are left", len(f.letters))
				}
				f.mu.Unlock()
				if done != 13 {
					t.Errorf("%d jobs were done, want 13", done)
				}
			})
		})
	}
}

// A job whose commit was somebody else's is told of by Wake.
func TestWakeTellsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fifo{}
		var mu sync.Mutex
		n := 0
		all := cluster(t, storetest.Memory(), f, 2, 1, func(context.Context, *Queue, Job) error {
			mu.Lock()
			n++
			mu.Unlock()
			pass(time.Minute)
			return nil
		})
		for pull := 1; pull <= 2; pull++ {
			writes, err := all[0].q.Writes(t.Context(), newJob(Plan, pull))
			if err != nil {
				t.Fatal(err)
			}
			if err := all[0].Commit(t.Context(), writes...); err != nil {
				t.Fatal(err)
			}
			all[0].q.Wake()
		}
		pass(2 * time.Second)
		if mu.Lock(); n != 2 {
			t.Errorf("%d jobs run, want one on each replica", n)
		}
		mu.Unlock()
		quiet(t, all[0].q)
		stopAll(all)
	})
}

// A worker that was paused right after its claim, for longer than its lease,
// finds out at once.
func TestI4_APauseAfterTheClaimEndsTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Memory()
		q := &Queue{Store: s}
		q.init()
		ctx, cancel := context.WithCancelCause(context.Background())
		a := &attempt{job: Job{ID: "x", Attempt: 1}, cancel: cancel}
		began := time.Now()
		pass(40 * time.Second)
		q.beat(context.Background(), a, began)
		if !errors.Is(context.Cause(ctx), ErrLost) || time.Since(began) > 41*time.Second {
			t.Errorf("after %v: %v", time.Since(began), context.Cause(ctx))
		}
	})
}

// No two attempts of a job are ever the same holder, also not of one process
// that runs again after it could not record how a job ended.
func TestI4_TwoAttemptsAreNeverOneHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Memory()
		m := &mortal{Store: s}
		q := &Queue{Store: m, Worker: "same"}
		var jobs []Job
		do := func(ctx context.Context, j Job) error {
			jobs = append(jobs, j)
			if len(jobs) == 1 {
				m.dead.Store(true)
			}
			return nil
		}
		accept(t, q, "", newJob(Apply, 1))
		stop := start(t, q, 1, do)
		pass(time.Second)
		stop() // its end could not be recorded
		m.dead.Store(false)
		old, err := q.Fence(t.Context(), jobs[0])
		if err != nil {
			t.Fatal(err) // nobody has taken it yet
		}
		stop = start(t, q, 1, do)
		quiet(t, q)
		if len(jobs) != 2 || jobs[1].Attempt != 2 || jobs[1].Crashes != 1 || holderOf(jobs[1]) == holderOf(jobs[0]) {
			t.Errorf("attempts: %+v", jobs)
		}
		if err := s.Commit(t.Context(), old, store.Write{Key: store.Key{Partition: "test", Sort: "x"}}); !store.IsConflict(err) {
			t.Errorf("the fence of the first attempt: %v, want a conflict", err)
		}
		stop()
	})
}
