package work

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/store"
	"weir/store/storetest"
)

// diary notes what happens, each with the seconds since the test began.
type diary struct {
	mu    sync.Mutex
	began time.Time
	lines []string
}

func newDiary() *diary { return &diary{began: time.Now()} }

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%s: ", time.Since(d.began).Round(time.Second))+fmt.Sprintf(format, args...))
}

func (d *diary) want(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.lines, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(d.lines, "\n"), strings.Join(want, "\n"))
	}
}

// pass lets time pass, which in these tests is not the world's.
func pass(d time.Duration) { <-time.After(d) }

// quiet waits until q has nothing to do.
func quiet(t *testing.T, q *Queue) {
	t.Helper()
	if err := q.Quiet(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestRunWakesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory(), Exclusive: true, Poll: time.Hour}
		began := time.Now()
		stop := start(t, q, 1, func(context.Context, Job) error { return nil })
		synctest.Wait()
		accept(t, q, "", newJob(Plan, 1))
		quiet(t, q)
		writes, err := q.Writes(t.Context(), newJob(Plan, 1))
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Store.Commit(t.Context(), writes...); err != nil {
			t.Fatal(err)
		}
		q.Wake()
		quiet(t, q)
		if d := time.Since(began); d != 0 {
			t.Errorf("two jobs took %v to begin", d)
		}
		stop()
	})
}

func TestRunPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &storetest.Faulty{Store: storetest.Memory()}
		q := &Queue{Store: s}
		stop := start(t, q, 1, func(context.Context, Job) error { return nil })
		synctest.Wait()
		accept(t, &Queue{Store: s.Store}, "", newJob(Plan, 1)) // another process
		pass(1100 * time.Millisecond)
		if got := states(t, q, 1); got != "plan:done" {
			t.Errorf("a second after another process accepted it: %s", got)
		}
		s.Reset()
		pass(time.Minute)
		if c := s.Calls(); c.Lists > 61 || c.Gets+c.Commits > 0 {
			t.Errorf("a minute without work took %+v", c)
		}
		stop()
	})
}

func TestRunTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory(), Exclusive: true}
		for range 3 {
			accept(t, q, "", newJob(Apply, 1))
		}
		pass(time.Second)
		accept(t, q, "", newJob(Apply, 2))
		pass(time.Second)
		accept(t, q, "", newJob(Apply, 3), newJob(Apply, 3))
		d := newDiary()
		stop := start(t, q, 1, func(_ context.Context, j Job) error {
			d.note("%d", j.Pull)
			pass(10 * time.Second)
			return nil
		})
		quiet(t, q)
		stop()
		d.want(t, "0s: 1", "10s: 2", "20s: 3", "30s: 1", "40s: 3", "50s: 1")
	})
}

func TestRunBoundsWorkersAndKeepsPullRequestsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory()}
		for n := range 60 {
			accept(t, q, "", newJob([]Kind{Apply, Help, Explain}[n%3], 1+n%7))
		}
		var mu sync.Mutex
		busy, most := map[int]bool{}, 0
		stop := start(t, q, 4, func(_ context.Context, j Job) error {
			mu.Lock()
			if busy[j.Pull] {
				t.Errorf("two jobs of %d run", j.Pull)
			}
			busy[j.Pull] = true
			most = max(most, len(busy))
			mu.Unlock()
			pass(time.Second)
			mu.Lock()
			delete(busy, j.Pull)
			mu.Unlock()
			return nil
		})
		quiet(t, q)
		stop()
		if most != 4 {
			t.Errorf("%d jobs ran at once, want 4", most)
		}
	})
}

func TestRunRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		q := &Queue{Store: storetest.Memory(), Exclusive: true}
		q.GiveUp = func(_ context.Context, j Job, cause error) error {
			d.note("given up after %d: %v", j.Attempt, cause)
			return nil
		}
		accept(t, q, "", newJob(Apply, 1))
		var waits []time.Duration
		last := time.Now()
		stop := start(t, q, 1, func(_ context.Context, j Job) error {
			waits = append(waits, time.Since(last))
			last = time.Now()
			if j.Attempt == 3 {
				panic("oops")
			}
			return errors.New("GitHub is down")
		})
		quiet(t, q)
		stop()
		for i, want := range []time.Duration{0, time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute} {
			if i >= len(waits) || waits[i] < want*8/10 || waits[i] > want*12/10+10*time.Millisecond {
				t.Fatalf("waits %v, want about %v for attempt %d", waits, want, i+1)
			}
		}
		jobs, err := q.Jobs(t.Context(), "acme/app", 1)
		if err != nil || len(jobs) != 1 || jobs[0].State != Failed || jobs[0].Attempt != 6 || strings.Contains(jobs[0].Note, "GitHub") {
			t.Errorf("jobs %+v, %v; want one that failed after 6 attempts and does not repeat the error", jobs, err)
		}
		if len(d.lines) != 1 || !strings.HasSuffix(d.lines[0], "given up after 6: GitHub is down") {
			t.Errorf("told: %v", d.lines)
		}
	})
}

// limit is an error that says when it will be over.
type limit struct{ until time.Time }

func (limit) Error() string      { return "rate limit" }
func (l limit) Later() time.Time { return l.until }

// TestRunWaitsForALimit: a rate limit that lasted longer than all retries once
// made weir give up, while it could tell nobody.
func TestRunWaitsForALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory(), Exclusive: true}
		q.GiveUp = func(context.Context, Job, error) error {
			t.Error("given up")
			return nil
		}
		accept(t, q, "", newJob(Apply, 1))
		over := time.Now().Add(50 * time.Minute)
		attempts := 0
		stop := start(t, q, 1, func(context.Context, Job) error {
			if attempts++; attempts < 12 || time.Now().Before(over) {
				return fmt.Errorf("list reviews: %w", limit{over})
			}
			return nil
		})
		quiet(t, q)
		stop()
		jobs, err := q.Jobs(t.Context(), "acme/app", 1)
		if err != nil || len(jobs) != 1 || jobs[0].State != Done || jobs[0].Errors != 0 {
			t.Errorf("jobs %+v, %v; want one that is done without an error", jobs, err)
		}
	})
}

// TestI9_GivenUpOnlyWhenTold: while GitHub is down, nobody can be told either.
func TestI9_GivenUpOnlyWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory(), Exclusive: true}
		up, told := time.Now().Add(3*time.Hour), 0
		q.GiveUp = func(context.Context, Job, error) error {
			if time.Now().Before(up) {
				return errors.New("GitHub is down")
			}
			told++
			return nil
		}
		accept(t, q, "", newJob(Apply, 1))
		stop := start(t, q, 1, func(context.Context, Job) error { return errors.New("a defect") })
		quiet(t, q)
		stop()
		if got := states(t, q, 1); got != "apply:failed" || told != 1 {
			t.Errorf("%s, told %d times; want a failed job that was told of once", got, told)
		}
	})
}

func TestRunSurvivesPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory()}
		panics := 0
		q.GiveUp = func(context.Context, Job, error) error {
			if panics++; panics > 3 {
				return nil
			}
			panic("oops")
		}
		accept(t, q, "", newJob(Apply, 1), newJob(Apply, 2))
		stop := start(t, q, 1, func(_ context.Context, j Job) error {
			if j.Pull == 1 {
				panic(errors.New("oops"))
			}
			return nil
		})
		quiet(t, q)
		stop()
		if got := states(t, q, 1) + " " + states(t, q, 2); got != "apply:failed apply:done" {
			t.Errorf("jobs: %s", got)
		}
	})
}

// doer runs until its context ends or its time is over, and notes why.
func doer(d *diary, takes time.Duration) func(context.Context, Job) error {
	return func(ctx context.Context, j Job) error {
		d.note("%s begins", j.Kind)
		if err := sleep(ctx, takes); err != nil {
			d.note("%s: %v", j.Kind, err)
			return fmt.Errorf("terraform was interrupted: %w", ctx.Err())
		}
		d.note("%s ends", j.Kind)
		return nil
	}
}

func TestI5_ANewerHeadIsPlannedNext(t *testing.T) {
	for _, exclusive := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			q := &Queue{Store: storetest.Memory(), Exclusive: exclusive}
			d := newDiary()
			stop := start(t, q, 2, doer(d, time.Minute))
			accept(t, q, "d1", newJob(Plan, 1))
			pass(10 * time.Second)
			accept(t, q, "d2", newJob(Plan, 1), newJob(Plan, 1))
			quiet(t, q)
			stop()
			d.want(t, "0s: plan begins", "10s: plan: "+ErrSuperseded.Error(), "10s: plan begins", "1m10s: plan ends")
			if got := states(t, q, 1); got != "plan:superseded plan:superseded plan:done" {
				t.Errorf("jobs: %s", got)
			}
		})
	}
}

// Another process accepts the push.
func TestI5_ANewerHeadFromAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory()}
		d := newDiary()
		stop := start(t, q, 2, doer(d, time.Minute))
		accept(t, q, "d1", newJob(Plan, 1))
		pass(9500 * time.Millisecond)
		accept(t, &Queue{Store: q.Store}, "d2", newJob(Close, 1)) // seen at the next poll
		quiet(t, q)
		stop()
		d.want(t, "0s: plan begins", "10s: plan: "+ErrSuperseded.Error(), "10s: close begins", "1m10s: close ends")
	})
}

func TestI4_AnApplyIsNotCutShort(t *testing.T) {
	for _, kind := range []Kind{Apply, Gate, Close, Unlock} {
		synctest.Test(t, func(t *testing.T) {
			q := &Queue{Store: storetest.Memory(), Drain: time.Second}
			d := newDiary()
			stop := start(t, q, 2, doer(d, time.Hour))
			accept(t, q, "d1", newJob(kind, 1))
			pass(time.Minute)
			accept(t, q, "d2", newJob(Plan, 1))
			accept(t, q, "d3", newJob(Unlock, 1))
			accept(t, q, "d4", newJob(Close, 1))
			pass(time.Minute)
			stop() // waits for it
			d.want(t, fmt.Sprintf("0s: %s begins", kind), fmt.Sprintf("1h0m0s: %s ends", kind))
			if n, err := q.Pending(t.Context()); n != 2 || err != nil { // close and unlock
				t.Errorf("Pending = %d, %v; want 2", n, err)
			}
		})
	}
}

func TestShutdownSendsPlansBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Memory()
		q := &Queue{Store: s, Exclusive: true, Drain: 5 * time.Second}
		d := newDiary()
		accept(t, q, "", newJob(Plan, 1), Job{Kind: MergeGroup, Repo: "acme/app", Head: "abc"})
		stop := start(t, q, 2, doer(d, time.Hour))
		pass(time.Minute)
		accept(t, q, "", newJob(Plan, 2)) // no worker for it any more
		stop()
		if took := time.Since(d.began); took != time.Minute+5*time.Second {
			t.Errorf("the shutdown was over after %v", took)
		}
		jobs, err := q.Jobs(t.Context(), "acme/app", 1)
		if err != nil || len(jobs) != 1 || jobs[0].State != Queued || jobs[0].Attempt != 0 || jobs[0].Errors+jobs[0].Crashes != 0 {
			t.Errorf("jobs %+v, %v; want the plan in the queue as new", jobs, err)
		}
		next := &Queue{Store: s, Exclusive: true}
		stop = start(t, next, 3, doer(newDiary(), time.Second))
		quiet(t, next)
		stop()
		if got := states(t, next, 1) + " " + states(t, next, 2); got != "plan:done plan:done" {
			t.Errorf("after the next start: %s", got)
		}
	})
}

// A plan that is ready within the drain time ends as usual.
func TestShutdownLetsPlansEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory(), Exclusive: true, Drain: 5 * time.Second}
		accept(t, q, "", newJob(Plan, 1))
		stop := start(t, q, 1, doer(newDiary(), 4*time.Second))
		synctest.Wait()
		stop()
		if got := states(t, q, 1); got != "plan:done" {
			t.Errorf("jobs: %s", got)
		}
	})
}

func TestDoMaySayItIsSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory(), Exclusive: true}
		accept(t, q, "", newJob(Plan, 1))
		stop := start(t, q, 1, func(context.Context, Job) error { return fmt.Errorf("plan: %w", ErrSuperseded) })
		quiet(t, q)
		stop()
		if got := states(t, q, 1); got != "plan:superseded" {
			t.Errorf("jobs: %s", got)
		}
	})
}

func TestRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory()}
		do := func(context.Context, Job) error { return nil }
		stop := start(t, q, 1, do)
		synctest.Wait()
		if err := q.Run(t.Context(), 1, do); err == nil {
			t.Error("a second Run at the same time began")
		}
		stop()
		start(t, q, 1, do)() // but after the first it may
	})
}

func TestJobsMayQueueJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory(), Exclusive: true}
		accept(t, q, "d", newJob(Close, 1))
		stop := start(t, q, 1, func(ctx context.Context, j Job) error {
			if j.Kind == Close {
				_, err := q.Accept(ctx, "", newJob(Plan, 1), newJob(Plan, 2))
				return err
			}
			return nil
		})
		quiet(t, q)
		stop()
		if got := states(t, q, 1) + " " + states(t, q, 2); got != "close:done plan:done plan:done" {
			t.Errorf("jobs: %s", got)
		}
	})
}

func TestQuietEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory()}
		accept(t, q, "", newJob(Plan, 1))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := q.Quiet(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Quiet = %v, want the deadline", err)
		}
	})
}

// A store that takes no commits (a full disk) is asked now and then, and work
// goes on when it is back.
func TestRunDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &storetest.Faulty{Store: storetest.Memory()}
		q := &Queue{Store: s, Exclusive: true}
		accept(t, q, "", newJob(Plan, 1), newJob(Plan, 2), newJob(Plan, 3))
		s.Reset()
		var full atomic.Bool
		full.Store(true)
		s.Plan = func(int, []store.Write) storetest.Fault {
			if full.Load() {
				return storetest.Before
			}
			return storetest.None
		}
		stop := start(t, q, 4, func(context.Context, Job) error { return nil })
		pass(time.Minute)
		if c := s.Calls(); c.Commits > 62 || c.Lists > 62 {
			t.Errorf("a minute without disk took %+v", c)
		}
		full.Store(false)
		quiet(t, q)
		stop()
		if got := states(t, q, 3); got != "plan:done" {
			t.Errorf("jobs: %s", got)
		}
	})
}

// A line that cannot be read holds up nobody else.
func TestRunPassesBrokenLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory(), Exclusive: true}
		if err := q.Store.Commit(t.Context(), store.Write{Key: lineOf(newJob(Plan, 9)), Body: []byte("{")}); err != nil {
			t.Fatal(err)
		}
		accept(t, q, "", newJob(Plan, 1))
		if _, err := q.Accept(t.Context(), "", newJob(Plan, 9)); err == nil {
			t.Error("a job was added to a broken line")
		}
		stop := start(t, q, 1, func(context.Context, Job) error { return nil })
		pass(time.Minute)
		stop()
		if got := states(t, q, 1); got != "plan:done" {
			t.Errorf("jobs: %s", got)
		}
	})
}
