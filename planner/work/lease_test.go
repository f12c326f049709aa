package work

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"weir/planner/work/line"
	"weir/store"
	"weir/store/storetest"
)

var errDead = errors.New("this process is dead")

// mortal is the store as one process sees it. From its death on nothing that
// the process does arrives any more, as after kill -9.
type mortal struct {
	store.Store
	dead   atomic.Bool
	dies   int // at this commit, counted from 1; 0: never
	fault  storetest.Fault
	commit atomic.Int64
}

func (m *mortal) Get(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	if m.dead.Load() {
		return nil, errDead
	}
	return m.Store.Get(ctx, keys...)
}

func (m *mortal) List(ctx context.Context, partition, prefix string, page store.Page) ([]store.Record, string, error) {
	if m.dead.Load() {
		return nil, "", errDead
	}
	return m.Store.List(ctx, partition, prefix, page)
}

func (m *mortal) Commit(ctx context.Context, writes ...store.Write) error {
	if m.dead.Load() {
		return errDead
	}
	if m.commit.Add(1) == int64(m.dies) {
		m.dead.Store(true)
		if m.fault == storetest.After {
			_ = m.Store.Commit(ctx, writes...) // nobody is left to be told
		}
		return errDead
	}
	return m.Store.Commit(ctx, writes...)
}

func TestI5_AJobOfADeadWorkerIsDone(t *testing.T) {
	for _, exclusive := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := storetest.Memory()
			first := &mortal{Store: s}
			q1 := &Queue{Store: first, Worker: "same", Lease: 30 * time.Second, Exclusive: exclusive}
			d := newDiary()
			do := func(_ context.Context, j Job) error {
				d.note("attempt %d, crashes %d", j.Attempt, j.Crashes)
				pass(time.Minute)
				return nil
			}
			stop1 := start(t, q1, 1, do)
			accept(t, q1, "d", newJob(Apply, 1))
			pass(20 * time.Second)
			first.dead.Store(true)
			q2 := &Queue{Store: s, Worker: "same", Lease: 30 * time.Second, Exclusive: exclusive}
			stop2 := start(t, q2, 1, do)
			quiet(t, q2)
			stop2()
			stop1()
			if exclusive {
				d.want(t, "0s: attempt 1, crashes 0", "20s: attempt 2, crashes 1")
			} else {
				d.want(t, "0s: attempt 1, crashes 0", "50s: attempt 2, crashes 1")
			}
			if got := states(t, q2, 1); got != "apply:done" {
				t.Errorf("jobs: %s", got)
			}
		})
	}
}

// A worker that lives keeps its jobs, however long they take and whatever is
// accepted meanwhile.
func TestALivingWorkerKeepsItsJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Memory()
		d := newDiary()
		var stops []func()
		for n := range 3 {
			q := &Queue{Store: s, Worker: fmt.Sprint(n), Lease: 3 * time.Second}
			stops = append(stops, start(t, q, 1, doer(d, time.Hour)))
		}
		q := &Queue{Store: s}
		pass(500 * time.Millisecond)
		accept(t, q, "", newJob(Apply, 1))
		for range 100 {
			pass(20 * time.Second)
			accept(t, q, "", newJob(Plan, 1))
		}
		quiet(t, q)
		for _, stop := range stops {
			stop()
		}
		d.want(t, "1s: apply begins", "1h0m1s: apply ends", "1h0m1s: plan begins", "2h0m1s: plan ends")
	})
}

// A worker that cannot reach the store ends its job before another may begin
// it.
func TestI4_AWorkerWithoutStoreStopsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Memory()
		cut := &mortal{Store: s}
		d := newDiary()
		do := func(ctx context.Context, j Job) error {
			d.note("attempt %d begins", j.Attempt)
			err := sleep(ctx, time.Minute)
			d.note("attempt %d: %v", j.Attempt, err)
			return err
		}
		q1 := &Queue{Store: cut, Lease: 30 * time.Second}
		stop1 := start(t, q1, 1, do)
		accept(t, q1, "d", newJob(Plan, 1))
		pass(15 * time.Second) // renewed at 10 s
		cut.dead.Store(true)
		q2 := &Queue{Store: s, Lease: 30 * time.Second}
		stop2 := start(t, q2, 1, do)
		pass(25 * time.Second)
		cut.dead.Store(false) // and is back
		quiet(t, q2)
		stop2()
		stop1()
		d.want(t, "0s: attempt 1 begins", "35s: attempt 1: "+ErrLost.Error(), "41s: attempt 2 begins", "1m41s: attempt 2: <nil>")
		if got := states(t, q2, 1); got != "plan:done" {
			t.Errorf("jobs: %s", got)
		}
	})
}

// A worker that was stopped and comes back (a suspended machine) finds its job
// taken, and can no longer write for it.
func TestI4_AFenceFallsWithTheJob(t *testing.T) {
	for _, exclusive := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := storetest.Memory()
			cut := &mortal{Store: s}
			q1 := &Queue{Store: cut, Lease: 30 * time.Second, Exclusive: exclusive}
			q2 := &Queue{Store: s, Lease: 30 * time.Second, Exclusive: exclusive}
			target := store.Key{Partition: "test", Sort: "x"}
			stop1 := start(t, q1, 1, func(ctx context.Context, j Job) error {
				fence, err := q1.Fence(ctx, j)
				if err != nil {
					t.Errorf("Fence of a job that is held: %v", err)
				}
				pass(time.Minute) // many signs of life
				accept(t, q1, "", newJob(Gate, 1), newJob(Plan, 1))
				if err := s.Commit(ctx, fence, store.Write{Key: target}); err != nil {
					t.Errorf("a commit with a fence that stands: %v", err)
				}
				cut.dead.Store(true)
				pass(time.Minute)
				if err := s.Commit(context.Background(), fence, store.Write{Key: target}); !store.IsConflict(err) {
					t.Errorf("a commit with a fence that fell: %v, want a conflict", err)
				}
				if _, err := q2.Fence(context.Background(), j); !errors.Is(err, ErrLost) {
					t.Errorf("Fence of a lost job = %v, want ErrLost", err)
				}
				if !exclusive && !errors.Is(context.Cause(ctx), ErrLost) {
					t.Errorf("the job ended with %v, want ErrLost", context.Cause(ctx))
				}
				return nil
			})
			accept(t, q1, "", newJob(Apply, 1))
			pass(61 * time.Second)
			stop2 := start(t, q2, 1, func(_ context.Context, j Job) error {
				pass(5 * time.Minute)
				return nil
			})
			quiet(t, q2)
			stop1()
			stop2()
			if got := states(t, q2, 1); got != "apply:done gate:done plan:done" {
				t.Errorf("jobs: %s", got)
			}
		})
	}
}

// TestI9_AJobThatKillsItsWorkerIsGivenUp: each process dies with the job,
// until the next one says so instead of running it.
func TestI9_AJobThatKillsItsWorkerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Memory()
		d := newDiary()
		accept(t, &Queue{Store: s}, "", newJob(Plan, 1))
		for n := range 6 {
			m := &mortal{Store: s}
			q := &Queue{Store: m, Exclusive: true}
			q.GiveUp = func(_ context.Context, j Job, cause error) error {
				d.note("given up after %d: %v", j.Attempt-1, cause)
				if n == 4 {
					m.dead.Store(true) // in the hook, too
				}
				return nil
			}
			stop := start(t, q, 1, func(_ context.Context, j Job) error {
				d.note("attempt %d", j.Attempt)
				m.dead.Store(true)
				return nil
			})
			pass(time.Second)
			stop()
		}
		for i, want := range []string{"attempt 1", "attempt 2", "attempt 3", "attempt 4", "given up after 4: " + ErrCrashed.Error(), "given up after 5: " + ErrCrashed.Error()} {
			if i >= len(d.lines) || !strings.HasSuffix(d.lines[i], ": "+want) {
				t.Fatalf("got:\n%s\nwant %q in line %d", strings.Join(d.lines, "\n"), want, i)
			}
		}
		if got := states(t, &Queue{Store: s}, 1); got != "plan:failed" || len(d.lines) != 6 {
			t.Errorf("jobs: %s, and %v", got, d.lines)
		}
	})
}

// A claim that was committed though we were told that it failed is taken back.
func TestUnknownClaimIsTakenBack(t *testing.T) {
	for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
		synctest.Test(t, func(t *testing.T) {
			s := &storetest.Faulty{Store: storetest.Memory()}
			q := &Queue{Store: s}
			accept(t, q, "", newJob(Apply, 1))
			s.Reset()
			s.Fail(1, fault)
			d := newDiary()
			stop := start(t, q, 1, doer(d, 0))
			quiet(t, q)
			stop()
			d.want(t, "0s: apply begins", "0s: apply ends")
			jobs, err := q.Jobs(t.Context(), "acme/app", 1)
			if err != nil || len(jobs) != 1 || jobs[0].Attempt != 1 || jobs[0].Crashes != 0 {
				t.Errorf("jobs %+v, %v", jobs, err)
			}
		})
	}
}

// The end of a job is recorded as soon as the store takes it, and the job is
// not done again.
func TestI5_TheEndOfAJobIsRecordedAfterAFault(t *testing.T) {
	for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
		synctest.Test(t, func(t *testing.T) {
			s := &storetest.Faulty{Store: storetest.Memory()}
			q := &Queue{Store: s, Exclusive: true}
			accept(t, q, "", newJob(Apply, 1))
			s.Reset()
			for n := range 5 {
				s.Fail(2+n, fault)
			}
			d := newDiary()
			stop := start(t, q, 1, doer(d, 0))
			quiet(t, q)
			stop()
			d.want(t, "0s: apply begins", "0s: apply ends")
			if got := states(t, q, 1); got != "apply:done" {
				t.Errorf("jobs: %s", got)
			}
		})
	}
}

// github sends deliveries until each was acknowledged.
type github struct {
	pending []string
	jobs    map[string][]Job
}

func (g *github) send(q *Queue) {
	for len(g.pending) > 0 {
		if _, err := q.Accept(context.Background(), g.pending[0], g.jobs[g.pending[0]]...); err != nil {
			return
		}
		g.pending = g.pending[1:]
	}
}

// TestI5_CrashAtEveryCommit lets the process die before and after each of its
// commits, and its successor too, and expects everything to be done all the
// same.
func TestI5_CrashAtEveryCommit(t *testing.T) {
	for _, exclusive := range []bool{true, false} {
		for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
			for dies := 1; dies < 25; dies++ {
				synctest.Test(t, func(t *testing.T) { crash(t, exclusive, fault, dies) })
			}
		}
	}
}

func crash(t *testing.T, exclusive bool, fault storetest.Fault, dies int) {
	s := storetest.Memory()
	g := &github{pending: []string{"d1", "d2", "d3", "d4"}, jobs: map[string][]Job{
		"d1": {newJob(Plan, 1)},
		"d2": {newJob(Apply, 2), newJob(Help, 1)},
		"d3": {newJob(Plan, 1)},
		"d4": {newJob(Apply, 1), newJob(Apply, 2)},
	}}
	var stops []func()
	for _, at := range []int{dies, dies/2 + 1, 0} {
		m := &mortal{Store: s, dies: at, fault: fault}
		q := &Queue{Store: m, Worker: "same", Exclusive: exclusive, Lease: 9 * time.Second}
		stops = append(stops, start(t, q, 2, func(context.Context, Job) error { pass(7 * time.Second); return nil }))
		g.send(q)
		for range 60 {
			pass(time.Second)
			if m.dead.Load() {
				break
			}
		}
	}
	last := &Queue{Store: s}
	quiet(t, last)
	for _, stop := range stops {
		stop()
	}
	one, two := states(t, last, 1), states(t, last, 2)
	if two != "apply:done apply:done" {
		t.Errorf("dies %v commit %d: jobs of 2: %s", fault, dies, two)
	}
	for _, word := range strings.Fields(one) {
		if word != "plan:done" && word != "apply:done" && word != "help:done" && word != "plan:superseded" {
			t.Errorf("dies %v commit %d: jobs of 1: %s", fault, dies, one)
		}
	}
	if !strings.Contains(one, "plan:done apply:done") || strings.Count(one, "plan:") != 2 || strings.Count(one, "apply:") != 1 || strings.Count(one, "help:") != 1 {
		t.Errorf("dies %v commit %d: jobs of 1: %s", fault, dies, one)
	}
	for _, p := range []string{inQueue, inLeases} {
		if records, err := store.All(t.Context(), s, p, ""); err != nil || len(records) > 0 {
			t.Errorf("dies %v commit %d: left in %s: %v, %v", fault, dies, p, records, err)
		}
	}
}

// world is several processes on one store, and what GitHub sends to them.
type world struct {
	t     *testing.T
	store store.Store
	news  *fifo // nil: none
	procs []*process
	sent  map[string]Job
	acked map[string]bool

	mu    sync.Mutex
	doing map[int]*process // who does a job of a pull request
	done  map[string]int   // by delivery: how often its job came to its end
}

type process struct {
	*mortal
	q    *Queue
	stop func()
}

func (w *world) start() {
	p := &process{mortal: &mortal{Store: w.store}}
	p.q = &Queue{Store: p.mortal, Lease: 30 * time.Second}
	if w.news != nil {
		p.q.Dispatch = mailbox{w.news, p.mortal}
	}
	p.stop = start(w.t, p.q, 2, func(ctx context.Context, j Job) error { return w.do(ctx, p, j) })
	w.procs = append(w.procs, p)
}

func (w *world) do(ctx context.Context, p *process, j Job) error {
	w.mu.Lock()
	if other := w.doing[j.Pull]; other != nil && !other.dead.Load() && !p.dead.Load() {
		w.t.Errorf("%s of %d begins while another job of it runs", j.Kind, j.Pull)
	}
	w.doing[j.Pull] = p
	w.mu.Unlock()
	err := sleep(ctx, time.Duration(len(j.ID)+j.Attempt)*time.Second/3)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.doing[j.Pull] == p {
		delete(w.doing, j.Pull)
	}
	if err != nil && j.Kind != Plan && !p.dead.Load() {
		w.t.Errorf("%s was ended: %v", j.Kind, err)
	}
	if err == nil && !p.dead.Load() {
		w.done[j.Delivery]++
	}
	return err
}

// TestI5_Model lets several processes come, work and die at random while
// deliveries arrive out of order, twice and at any of them.
func TestI5_Model(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kinds := []Kind{Plan, Plan, Apply, Gate, Unlock, Help, Close}
		type step struct {
			What, Who, Pull int
			Kind            Kind
			Narrow          bool
			Wait            int
		}
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{
				What: rapid.IntRange(0, 9).Draw(t, "what"), Who: rapid.IntRange(0, 9).Draw(t, "who"), Pull: rapid.IntRange(1, 3).Draw(t, "pull"),
				Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Narrow: rapid.Bool().Draw(t, "narrow"), Wait: rapid.IntRange(0, 20).Draw(t, "wait"),
			}
		}), 1, 40).Draw(rt, "steps")
		news := rapid.SampledFrom([]*fifo{nil, {}, {lose: true}, {double: true}, {down: true}}).Draw(rt, "news")
		if news != nil {
			news = &fifo{lose: news.lose, double: news.double, down: news.down}
		}
		synctest.Test(t, func(t *testing.T) {
			w := &world{t: t, store: storetest.Memory(), news: news, sent: map[string]Job{}, acked: map[string]bool{}, doing: map[int]*process{}, done: map[string]int{}}
			w.start()
			crashes := 0
			for n, s := range steps {
				p := w.procs[s.Who%len(w.procs)]
				switch {
				case s.What == 0 && len(w.procs) < 3:
					w.start()
				case s.What == 1 && crashes < 3: // fewer than a job survives
					crashes++
					p.dead.Store(true)
					w.start()
				case s.What == 2:
					for d, j := range w.sent { // any of them, once more
						w.send(p, d, j)
						break
					}
				default:
					j := newJob(s.Kind, s.Pull)
					if s.Narrow {
						j.Command = &Command{Dir: "a"}
					}
					w.send(p, fmt.Sprint("d", n), j)
				}
				pass(time.Duration(s.Wait) * time.Second / 10)
			}
			w.start()
			last := w.procs[len(w.procs)-1]
			for d, j := range w.sent {
				if !w.acked[d] {
					w.send(last, d, j)
				}
			}
			quiet(t, last.q)
			for _, p := range w.procs {
				p.stop()
			}
			w.check()
		})
		if t.Failed() {
			rt.FailNow()
		}
	})
}

func (w *world) send(p *process, delivery string, j Job) {
	w.sent[delivery] = j
	if fresh, err := p.q.Accept(context.Background(), delivery, j); err == nil {
		if fresh && w.acked[delivery] {
			w.t.Errorf("delivery %s was fresh after it was acknowledged", delivery)
		}
		w.acked[delivery] = true
	}
}

func (w *world) check() {
	byDelivery := map[string][]Job{}
	newest := map[int]time.Time{} // full plan accepted
	closed := map[int]time.Time{} // or unlocked
	planned := map[int]time.Time{}
	q := &Queue{Store: w.store}
	for pull := 1; pull <= 3; pull++ {
		jobs, err := q.Jobs(context.Background(), "acme/app", pull)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, j := range jobs {
			byDelivery[j.Delivery] = append(byDelivery[j.Delivery], j)
			if j.State != Done && j.State != Superseded {
				w.t.Errorf("%s of %d ended as %s: %s", j.Kind, pull, j.State, j.Note)
			}
			if j.State == Superseded && j.Kind != Plan && j.Kind != Gate {
				w.t.Errorf("%s of %d was superseded", j.Kind, pull)
			}
			switch {
			case j.Kind == Plan && j.Full():
				newest[pull] = later(newest[pull], j.Accepted)
				if j.State == Done {
					planned[pull] = later(planned[pull], j.Accepted)
				}
			case j.Kind == Close, j.Kind == Unlock && j.Full():
				closed[pull] = later(closed[pull], j.Accepted)
			}
		}
	}
	for d := range w.sent {
		if n := len(byDelivery[d]); n != 1 {
			w.t.Errorf("delivery %s has %d jobs", d, n)
			continue
		}
		if j := byDelivery[d][0]; j.State == Done && w.done[d] == 0 {
			w.t.Errorf("delivery %s is done, but nobody did it", d)
		}
	}
	for pull, at := range newest {
		if planned[pull].Before(at) && closed[pull].Before(at) {
			w.t.Errorf("the newest plan of %d was not done", pull)
		}
	}
}

// A sign of life at the last moment keeps the job: what is judged is what was
// seen, not what is there.
func TestTakingAJobBackNeedsAnUnmovedLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Memory()
		q1, q2 := &Queue{Store: s}, &Queue{Store: s}
		running := make(chan Job, 1)
		stop := start(t, q1, 1, func(ctx context.Context, j Job) error {
			running <- j
			return sleep(ctx, time.Hour)
		})
		accept(t, q1, "", newJob(Apply, 1))
		j := <-running
		seen := func() store.Version {
			records, err := s.Get(t.Context(), q1.leases().Beat(j.ID))
			if err != nil {
				t.Fatal(err)
			}
			return records[0].Version
		}
		before := seen()
		pass(11 * time.Second) // it beats
		after := seen()
		q2.init()
		take := func(unmoved store.Version) error {
			return q2.settle(t.Context(), j, &unmoved, func(l *line.Line, i int, now time.Time) { l.End(i, Failed, "taken", now) })
		}
		if err := take(before); !errors.Is(err, ErrLost) {
			t.Errorf("taken with an old sign of life: %v", err)
		}
		if got := states(t, q2, 1); got != "apply:running" {
			t.Errorf("jobs: %s", got)
		}
		if err := take(after); err != nil {
			t.Errorf("not taken though it did not move: %v", err)
		}
		stop()
		if got := states(t, q2, 1); got != "apply:failed" {
			t.Errorf("jobs: %s", got)
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
