package work

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir/planner/work/job"
	"weir/planner/work/line"
	"weir/store"
	"weir/store/storetest"
)

func newJob(kind Kind, pull int) Job { return Job{Kind: kind, Repo: "acme/app", Pull: pull} }

// accept queues jobs and fails the test if that fails.
func accept(t testing.TB, q *Queue, delivery string, jobs ...Job) bool {
	t.Helper()
	fresh, err := q.Accept(context.Background(), delivery, jobs...)
	if err != nil {
		t.Fatalf("Accept %q: %v", delivery, err)
	}
	return fresh
}

// states returns the jobs of a pull request as "kind:state" words.
func states(t testing.TB, q *Queue, pull int) string {
	t.Helper()
	jobs, err := q.Jobs(context.Background(), "acme/app", pull)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, j := range jobs {
		words = append(words, fmt.Sprintf("%s:%s", j.Kind, j.State))
	}
	return strings.Join(words, " ")
}

func TestAcceptIsOneReadAndOneCommit(t *testing.T) {
	s := &storetest.Faulty{Store: storetest.Memory()}
	q := &Queue{Store: s}
	for n, jobs := range [][]Job{{newJob(Plan, 1)}, {newJob(Plan, 1)}, {newJob(Plan, 1), newJob(Apply, 2), newJob(Gate, 1)}, nil} {
		s.Reset()
		if !accept(t, q, fmt.Sprint(n), jobs...) {
			t.Errorf("delivery %d was not fresh", n)
		}
		if diff := cmp.Diff(storetest.Calls{Gets: 1, Commits: 1}, s.Calls()); diff != "" {
			t.Errorf("delivery %d (-want +got):\n%s", n, diff)
		}
	}
	if got, want := states(t, q, 1), "plan:superseded plan:superseded plan:queued gate:queued"; got != want {
		t.Errorf("jobs of 1: got %s, want %s", got, want)
	}
	if got, want := states(t, q, 2), "apply:queued"; got != want {
		t.Errorf("jobs of 2: got %s, want %s", got, want)
	}
}

func TestI5_ADeliveryIsAcceptedOnce(t *testing.T) {
	q := &Queue{Store: storetest.Memory()}
	if !accept(t, q, "d1", newJob(Apply, 1)) {
		t.Error("the first time was not fresh")
	}
	for range 3 {
		if accept(t, q, "d1", newJob(Apply, 1)) {
			t.Error("the same delivery was fresh again")
		}
	}
	other := &Queue{Store: q.Store} // after a restart
	if accept(t, other, "d1", newJob(Apply, 1)) {
		t.Error("the same delivery was fresh for another process")
	}
	if got := states(t, q, 1); got != "apply:queued" {
		t.Errorf("jobs: got %s", got)
	}
	for range 2 {
		if !accept(t, q, "", newJob(Apply, 1)) {
			t.Error("jobs without a delivery were not fresh")
		}
	}
	if got := states(t, q, 1); got != "apply:queued apply:queued apply:queued" {
		t.Errorf("jobs: got %s", got)
	}
}

func TestI5_ADeliveryIsAcceptedOnceByMany(t *testing.T) {
	s := storetest.Memory()
	queues := []*Queue{{Store: s}, {Store: s}, {Store: s}}
	const deliveries = 30
	var mu sync.Mutex
	fresh := map[string]int{}
	var wg sync.WaitGroup
	for n := range deliveries * len(queues) * 2 {
		wg.Go(func() {
			delivery := fmt.Sprint(n % deliveries)
			if accept(t, queues[n%len(queues)], delivery, newJob(Help, 1+n%deliveries%3)) {
				mu.Lock()
				fresh[delivery]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for n := range deliveries {
		if got := fresh[fmt.Sprint(n)]; got != 1 {
			t.Errorf("delivery %d was fresh %d times", n, got)
		}
	}
	if n, err := queues[0].Pending(t.Context()); n != deliveries || err != nil {
		t.Errorf("Pending = %d, %v; want %d", n, err, deliveries)
	}
}

// Whatever becomes of the commit, the same delivery sent again leads to its
// jobs, once.
func TestI5_AcceptAfterAFault(t *testing.T) {
	for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
		s := &storetest.Faulty{Store: storetest.Memory()}
		q := &Queue{Store: s}
		s.Fail(1, fault)
		if fresh, err := q.Accept(t.Context(), "d", newJob(Apply, 1)); fresh || !errors.Is(err, storetest.ErrInjected) {
			t.Errorf("Accept = %v, %v; want the fault", fresh, err)
		}
		accept(t, q, "d", newJob(Apply, 1))
		if got := states(t, q, 1); got != "apply:queued" {
			t.Errorf("fault %v: got %s, want one job", fault, got)
		}
	}
}

func TestAcceptMeetsOthers(t *testing.T) {
	s := &storetest.Faulty{Store: storetest.Memory()}
	other := &Queue{Store: s.Store}
	q := &Queue{Store: s}
	s.Plan = func(n int, _ []store.Write) storetest.Fault {
		if n <= 3 { // somebody is quicker three times
			accept(t, other, "", newJob(Apply, 1))
		}
		return storetest.None
	}
	accept(t, q, "d", newJob(Plan, 1))
	// Ids of different processes have no order within a millisecond.
	got := strings.Fields(states(t, q, 1))
	slices.Sort(got)
	if want := []string{"apply:queued", "apply:queued", "apply:queued", "plan:queued"}; !slices.Equal(got, want) {
		t.Errorf("jobs: got %s, want %s", got, want)
	}
}

func TestAcceptRefuses(t *testing.T) {
	q := &Queue{Store: storetest.Memory()}
	many := make([]Job, 100)
	for i := range many {
		many[i] = newJob(Plan, i+1)
	}
	for name, jobs := range map[string][]Job{
		"unknown kind":   {{Kind: "x", Repo: "a/b", Pull: 1}},
		"no repository":  {{Kind: Plan, Pull: 1}},
		"no owner":       {{Kind: Plan, Repo: "/b", Pull: 1}},
		"two slashes":    {{Kind: Plan, Repo: "a/b/c", Pull: 1}},
		"a number sign":  {{Kind: Plan, Repo: "a/b#1", Pull: 1}},
		"no number":      {{Kind: Plan, Repo: "a/b"}},
		"no head":        {{Kind: MergeGroup, Repo: "a/b"}},
		"one of several": {newJob(Plan, 1), {Kind: Plan, Repo: "a/b"}},
		"too large":      {{Kind: Plan, Repo: "a/b", Pull: 1, Reason: strings.Repeat("x", line.MaxJob)}},
		"too many":       many,
	} {
		if _, err := q.Accept(t.Context(), "d", jobs...); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := q.Accept(t.Context(), strings.Repeat("d", 301), newJob(Plan, 1)); err == nil {
		t.Error("a long delivery was accepted")
	}
	if n, err := q.Pending(t.Context()); n != 0 || err != nil {
		t.Errorf("Pending = %d, %v", n, err)
	}
	if !accept(t, q, "d", many[:79]...) {
		t.Error("the delivery is not fresh though its jobs were refused")
	}
}

func TestAcceptDoesNotWaitForADeadStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: stuck{storetest.Memory()}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := q.Accept(ctx, "d", newJob(Plan, 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Accept = %v, want the deadline", err)
		}
		if _, err := q.Accept(t.Context(), "e", newJob(Plan, 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Accept without a deadline = %v, want one after all", err)
		}
	})
}

// stuck is a store that answers no commit.
type stuck struct{ store.Store }

func (stuck) Commit(ctx context.Context, _ ...store.Write) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestWritesIsOneWrite(t *testing.T) {
	s := storetest.Memory()
	q := &Queue{Store: s}
	accept(t, q, "d", newJob(Plan, 1), newJob(Gate, 1))
	writes, err := q.Writes(t.Context(), newJob(Plan, 1))
	if err != nil || len(writes) != 1 {
		t.Fatalf("Writes = %v, %v; want one write", writes, err)
	}
	if got := states(t, q, 1); got != "plan:queued gate:queued" {
		t.Errorf("before the commit: %s", got)
	}
	if err := s.Commit(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
	if got := states(t, q, 1); got != "plan:superseded gate:queued plan:queued" {
		t.Errorf("after the commit: %s", got)
	}
	if err := s.Commit(t.Context(), writes...); !store.IsConflict(err) {
		t.Errorf("the same writes again: %v, want a conflict", err)
	}
	if _, err := q.Writes(t.Context(), Job{}); err == nil {
		t.Error("Writes of no job succeeded")
	}
}

// Names that are prefixes of each other are different pull requests.
func TestI6_JobsOfExactlyOnePullRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory(), Exclusive: true}
		jobs := []Job{
			{Kind: Plan, Repo: "acme/app", Pull: 1},
			{Kind: Plan, Repo: "acme/app", Pull: 12},
			{Kind: Plan, Repo: "acme/app-infra", Pull: 1},
			{Kind: MergeGroup, Repo: "acme/app", Head: "1"},
			{Kind: MergeGroup, Repo: "acme/app", Head: "12"},
		}
		accept(t, q, "", jobs...)
		check := func() {
			t.Helper()
			for _, j := range jobs[:3] {
				got, err := q.Jobs(t.Context(), j.Repo, j.Pull)
				if err != nil || len(got) != 1 || got[0].Repo != j.Repo || got[0].Pull != j.Pull {
					t.Errorf("Jobs of %s#%d = %+v, %v", j.Repo, j.Pull, got, err)
				}
			}
		}
		check()
		stop := start(t, q, 8, func(context.Context, Job) error { return nil })
		if err := q.Quiet(t.Context()); err != nil {
			t.Error(err)
		}
		check()
		stop()
	})
}

func TestGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory(), Exclusive: true}
		accept(t, q, "d", Job{Kind: Apply, Repo: "acme/app", Pull: 1, Actor: "ann", Command: &Command{Dir: "a", Comment: 5}})
		jobs, err := q.Jobs(t.Context(), "acme/app", 1)
		if err != nil || len(jobs) != 1 {
			t.Fatalf("Jobs = %v, %v", jobs, err)
		}
		want := Job{
			ID: jobs[0].ID, Kind: Apply, Repo: "acme/app", Pull: 1, Actor: "ann", Delivery: "d",
			Command: &Command{Dir: "a", Comment: 5}, Accepted: time.Now().UTC(), State: Queued,
		}
		got, ok, err := q.Get(t.Context(), want.ID)
		if diff := cmp.Diff(want, got); diff != "" || !ok || err != nil {
			t.Errorf("Get = %v, %v (-want +got):\n%s", ok, err, diff)
		}
		stop := start(t, q, 1, func(context.Context, Job) error { pass(time.Second); return nil })
		if err := q.Quiet(t.Context()); err != nil {
			t.Error(err)
		}
		stop()
		want.State, want.Attempt, want.Ended = Done, 1, want.Accepted.Add(time.Second)
		got, ok, err = q.Get(t.Context(), want.ID)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Job{}, "Worker")); diff != "" || !ok || err != nil {
			t.Errorf("Get after its end = %v, %v (-want +got):\n%s", ok, err, diff)
		}
		for _, id := range []string{"", "x", strings.Repeat("0", 26), "../" + want.ID} {
			if got, ok, err := q.Get(t.Context(), id); ok || err != nil {
				t.Errorf("Get(%q) = %+v, %v, %v", id, got, ok, err)
			}
		}
	})
}

func TestPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Memory()
		q := &Queue{Store: s, Exclusive: true}
		ctx := t.Context()
		for n := range 150 {
			accept(t, q, fmt.Sprintf("old %d", n), newJob(Help, 1+n%5))
		}
		run := func() {
			stop := start(t, q, 4, func(context.Context, Job) error { return nil })
			if err := q.Quiet(ctx); err != nil {
				t.Error(err)
			}
			stop()
		}
		run()
		pass(24 * time.Hour)
		accept(t, q, "new", newJob(Help, 1))
		run()
		accept(t, q, "waiting", newJob(Help, 1))
		if err := q.Purge(ctx, time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := states(t, q, 1); got != "help:done help:queued" {
			t.Errorf("jobs after Purge: %s", got)
		}
		if got := states(t, q, 2); got != "" {
			t.Errorf("jobs of another after Purge: %s", got)
		}
		var left []string
		for _, p := range []string{inQueue, inLeases, inJobs, inHistory, inDeliveries} {
			records, err := store.All(ctx, s, p, "")
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, fmt.Sprintf("%s %d", p, len(records)))
		}
		if want := []string{"queue 1", "lease 0", "job 1", "history 1", "delivery 2"}; !slices.Equal(left, want) {
			t.Errorf("left: %v, want %v", left, want)
		}
	})
}

// start runs q until the function that it returns is called.
func start(t testing.TB, q *Queue, workers int, do func(context.Context, Job) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx, workers, do) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
}

// Quiet waits until no job waits or runs, also not for its next attempt.
func (q *Queue) Quiet(ctx context.Context) error {
	q.init()
	for {
		q.mu.Lock()
		changed := q.changed
		q.mu.Unlock()
		n, err := q.Pending(ctx)
		if err != nil || n == 0 {
			return err
		}
		t := time.NewTimer(q.Poll) // others may do the jobs
		select {
		case <-changed:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return fmt.Errorf("wait for %d jobs: %w", n, context.Cause(ctx))
		}
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Drift belongs to a repository, on lines of its own, one a topic.
func TestDriftHasLinesOfItsOwn(t *testing.T) {
	q := &Queue{Store: storetest.Memory()}
	checks := Job{Kind: Drift, Repo: "acme/app", Topic: "checks"}
	asked := Job{Kind: Drift, Repo: "acme/app", Topic: "asked", Issue: 7, Command: &Command{Dir: "prod", Drift: &job.Drifted{Verb: "adopt"}}}
	group := Job{Kind: MergeGroup, Repo: "acme/app", Head: "!checks"}
	for i, j := range []Job{checks, asked, group, checks} {
		if _, err := q.Accept(t.Context(), fmt.Sprint(i), j); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := q.Accept(t.Context(), "without", Job{Kind: Drift, Repo: "acme/app"}); err == nil {
		t.Error("drift without a topic was accepted")
	}
	rows, err := store.All(t.Context(), q.Store, inQueue, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 {
		t.Errorf("%d lines, want 3", len(rows))
	}
	if n, err := q.Pending(t.Context()); err != nil || n != 3 {
		t.Errorf("%d jobs wait, %v; want three: a check that waits does the work of the next", n, err)
	}
	if lineOf(checks) == lineOf(asked) || lineOf(checks) == lineOf(Job{Repo: "acme/app", Pull: 1}) {
		t.Error("two topics share a line")
	}
}
