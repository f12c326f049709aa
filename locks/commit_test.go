package locks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/store"
	"weir/store/storetest"
)

func dirs(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s/%03d", prefix, i)
	}
	return list
}

// The budget: 98 projects, and a write of the caller's, in one read and one
// write transaction.
func TestBudgetOf98Projects(t *testing.T) {
	w := newWorld(t, nil)
	also := store.Write{Key: store.Key{Partition: "jobs", Sort: "1"}}
	for _, tt := range []struct {
		name string
		op   func() (Outcome, error)
	}{
		{"acquire in a new repository", func() (Outcome, error) {
			return w.Acquire(t.Context(), "acme/new", 1, wants(dirs("p", OneCommit)...))
		}},
		{"acquire with a write of the caller's", func() (Outcome, error) {
			w.acquire(7, "other")
			w.faulty.Reset()
			return w.Acquire(t.Context(), repo, 1, wants(dirs("p", OneCommit)...), also)
		}},
		{"wait", func() (Outcome, error) { return w.Acquire(t.Context(), repo, 2, wants(dirs("p", OneCommit)...)) }},
		{"release to the one who waits", func() (Outcome, error) { return w.Release(t.Context(), repo, 1, nil) }},
		{"release", func() (Outcome, error) { return w.Release(t.Context(), repo, 2, nil) }},
	} {
		w.faulty.Reset()
		if _, err := tt.op(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got, want := w.faulty.Calls(), (storetest.Calls{Lists: 1, Commits: 1}); got != want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
		}
	}
	w.want("other: #7")
}

func TestTooMany(t *testing.T) {
	w := newWorld(t, nil)
	long := strings.Repeat("x", 2000)
	for _, tt := range []struct {
		want     []Want
		expected TooManyError
	}{
		{wants(dirs("p", MaxProjects+1)...), TooManyError{Wanted: MaxProjects + 1, Max: MaxProjects}},
		{wants(dirs(long, 1500)...), TooManyError{Wanted: 1500, Max: 1500 * maxNames / (1500 * (2004 + len("default")))}},
	} {
		_, err := w.Acquire(t.Context(), repo, 1, tt.want)
		if many := new(TooManyError); !errors.As(err, &many) || *many != tt.expected {
			t.Errorf("%d projects: %v, want %v", len(tt.want), err, &tt.expected)
		}
	}
	if _, err := w.Acquire(t.Context(), repo, 1, wants("a"), make([]store.Write, maxAlso+1)...); err == nil {
		t.Errorf("%d writes beside: no error", maxAlso+1)
	}
	w.want("")
	if out := w.acquire(1, append(dirs("p", MaxProjects), dirs("p", 50)...)...); !out.Acquired {
		t.Error("as many as possible, some twice: not acquired")
	}
}

// The caller's writes happen with the conclusion or not at all, and only on
// the state that was read.
func TestAlso(t *testing.T) {
	w := newWorld(t, nil)
	record := store.Key{Partition: "pulls", Sort: "1"}
	exists := func() bool {
		t.Helper()
		r, err := w.faulty.Get(t.Context(), record)
		if err != nil {
			t.Fatal(err)
		}
		return r[0].Version != 0
	}
	put := store.Write{Key: record, Body: []byte("x")}
	if _, err := w.Acquire(t.Context(), repo, 1, wants("a"), put); err != nil || !exists() {
		t.Fatalf("Acquire: %v, written: %v", err, exists())
	}
	// A version that is gone will never come again: no use in trying.
	w.faulty.Reset()
	_, err := w.Acquire(t.Context(), repo, 1, wants("a", "b"), put)
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) || conflict.Conflicts[0].Key != record {
		t.Errorf("Acquire with a stale write = %v, want its conflict", err)
	}
	if n := w.faulty.Calls().Commits; n != 1 {
		t.Errorf("tried %d times", n)
	}
	w.want("a: #1")
	// Where the locks need no change, the writes still depend on them.
	r, err := w.faulty.Get(t.Context(), record)
	if err != nil {
		t.Fatal(err)
	}
	remove := store.Write{Op: store.Delete, Key: record, Expect: r[0].Version}
	other := w.another()
	w.faulty.Reset()
	w.faulty.Plan = func(n int, _ []store.Write) storetest.Fault {
		if n == 1 {
			if _, err := other.Release(t.Context(), repo, 1, nil); err != nil {
				t.Error(err)
			}
		}
		return storetest.None
	}
	out, err := w.Acquire(t.Context(), repo, 1, wants("a"), remove)
	if err != nil || !out.Acquired || out.Locks[0].Epoch != 2 || exists() {
		t.Errorf("Acquire while its lock is released: %+v, %v; written: %v", out, err, !exists())
	}
	// In a repository that nobody ever locked too.
	w.faulty.Plan = nil
	if out, err := w.Acquire(t.Context(), "acme/empty", 1, nil, put); err != nil || !out.Acquired || !exists() {
		t.Errorf("Acquire of nothing: %+v, %v; written: %v", out, err, exists())
	}
}

// Each commit that somebody else gets ahead of is tried again on fresh rows,
// also the first of a repository.
func TestConflictsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		other := w.another()
		ahead := 0
		w.faulty.Plan = func(n int, _ []store.Write) storetest.Fault {
			if n%2 == 1 && ahead < 20 {
				ahead++
				if _, err := other.Acquire(t.Context(), repo, 100+ahead, wants("a")); err != nil {
					t.Error(err)
				}
			}
			return storetest.None
		}
		if out := w.acquire(1, "a", "b"); out.Acquired || out.Locks[0].Place(1) != 20 {
			t.Errorf("outcome: %+v, want place 20", out)
		}
		w.faulty.Plan = nil
		if n := len(w.told()); n != 0 {
			t.Errorf("%d were told", n)
		}
	})
}

// A repository where somebody always gets ahead ends in an error, not in a
// loop, and the wait ends with its context.
func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		other := w.another()
		pull, busy := 100, false
		w.faulty.Plan = func(int, []store.Write) storetest.Fault {
			if busy {
				return storetest.None
			}
			busy = true
			defer func() { busy = false }()
			pull++
			if _, err := other.Acquire(t.Context(), repo, pull, wants("a")); err != nil {
				t.Error(err)
			}
			return storetest.None
		}
		start := time.Now()
		_, err := w.Acquire(t.Context(), repo, 1, wants("a"))
		if conflict := new(store.ConflictError); !errors.As(err, &conflict) {
			t.Errorf("Acquire = %v, want the last conflict", err)
		}
		if took := time.Since(start); took > maxTries*maxWait {
			t.Errorf("gave up after %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := w.Acquire(ctx, repo, 1, wants("a")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire = %v, want context.DeadlineExceeded", err)
		}
	})
}

// An operation that waits for another one of the same repository can be given
// up; other repositories do not wait.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		leave, err := w.enter(t.Context(), repo)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.Acquire(ctx, repo, 1, wants("a")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire = %v, want context.DeadlineExceeded", err)
		}
		if _, err := w.Acquire(t.Context(), "acme/other", 1, wants("a")); err != nil {
			t.Error(err)
		}
		leave()
		w.acquire(1, "a")
		if len(w.gates) != 0 {
			t.Errorf("%d gates are left", len(w.gates))
		}
	})
}

func TestGrantFails(t *testing.T) {
	w := newWorld(t, nil)
	w.acquire(1, "a")
	w.acquire(2, "a")
	tell := w.Grant
	broken := errors.New("no queue")
	for _, grant := range []func(context.Context, string, int) ([]store.Write, error){
		func(context.Context, string, int) ([]store.Write, error) { return nil, broken },
		func(context.Context, string, int) ([]store.Write, error) { return make([]store.Write, 2), nil },
	} {
		w.Grant = grant
		if _, err := w.Release(t.Context(), repo, 1, nil); err == nil {
			t.Error("Release succeeded without telling the next")
		}
		w.want("a: #1; waiting: #2")
	}
	w.Grant = tell
	w.release(1, nil)
	w.want("a: #2")
	if got := w.told(); !slices.Equal(got, []int{2}) {
		t.Errorf("told %v, want #2 once", got)
	}
}

// many is how many are served by one operation: more than one commit can tell.
const many = 104

// faultsAt are the ways in which the n-th commit fails: in turn before and
// after it has happened, and with WEIR_CHAOS both.
func faultsAt(n int) []storetest.Fault {
	both := []storetest.Fault{storetest.Before, storetest.After}
	if os.Getenv("WEIR_CHAOS") != "" {
		return both
	}
	return both[n%2 : n%2+1]
}

// A release that serves more than can be told in one commit: each project has
// somebody who waits for it.
func TestI10_BigRelease(t *testing.T) {
	before := newWorld(t, nil)
	before.acquire(1, dirs("p", many)...)
	for i, d := range dirs("p", many) {
		before.acquire(100+i, d)
	}
	check := func(t *testing.T, w *world) {
		t.Helper()
		for i, d := range dirs("p", many) {
			if got := w.owner(d); got != 100+i {
				t.Errorf("%s: owner #%d, want #%d", d, got, 100+i)
			}
		}
		told := w.told()
		slices.Sort(told)
		if len(slices.Compact(slices.Clone(told))) != many || len(told) != many {
			t.Errorf("told %v, want each once", told)
		}
	}
	w := before.copy(t)
	out := w.release(1, nil)
	check(t, w)
	if len(out.Released) != many || len(out.Granted) != many || len(out.Locks) != many {
		t.Errorf("released %d, granted %d, %d locks; want %d of each", len(out.Released), len(out.Granted), len(out.Locks), many)
	}
	commits := w.faulty.Calls().Commits
	if commits < 4 || commits > 12 {
		t.Errorf("%d commits", commits)
	}
	// A crash before or after each of them, and then once more.
	for n := 1; n <= commits; n++ {
		for _, fault := range faultsAt(n) {
			w := before.copy(t)
			w.faulty.Fail(n, fault)
			if _, err := w.Release(t.Context(), repo, 1, nil); err != nil && !errors.Is(err, storetest.ErrInjected) {
				t.Errorf("fault %d in commit %d: Release = %v", fault, n, err)
			}
			w.release(1, nil)
			check(t, w)
		}
	}
}

// The same for a pull request that wants other projects, and for one that has
// to give back what it has.
func TestI10_BigAcquire(t *testing.T) {
	before := newWorld(t, nil)
	before.acquire(1, dirs("p", many)...)
	before.acquire(2, "taken")
	for i, d := range dirs("p", many) {
		before.acquire(100+i, d)
	}
	for name, want := range map[string][]string{
		"other projects": dirs("q", many),
		"one too many":   append(dirs("p", many-1), "taken"),
	} {
		t.Run(name, func(t *testing.T) {
			also := store.Write{Key: store.Key{Partition: "pulls", Sort: "1"}}
			check := func(t *testing.T, w *world, out Outcome) {
				t.Helper()
				acquired := name == "other projects"
				if out.Acquired != acquired {
					t.Errorf("acquired: %v", out.Acquired)
				}
				for _, l := range out.Locks {
					if acquired && l.Owner != 1 || !acquired && (l.Owner == 1 || l.Place(1) == 0) {
						t.Errorf("%s: owner #%d, place %d", l.Key, l.Owner, l.Place(1))
					}
				}
				for i, d := range dirs("p", many) {
					if got := w.owner(d); got != 100+i {
						t.Errorf("%s: owner #%d, want #%d", d, got, 100+i)
					}
				}
				if n := len(w.told()); n != many {
					t.Errorf("%d were told, want %d", n, many)
				}
				if r, err := w.faulty.Get(t.Context(), also.Key); err != nil || r[0].Version == 0 {
					t.Errorf("the caller's write: %v, %v", r, err)
				}
			}
			w := before.copy(t)
			out, err := w.Acquire(t.Context(), repo, 1, wants(want...), also)
			if err != nil {
				t.Fatal(err)
			}
			check(t, w, out)
			commits := w.faulty.Calls().Commits
			for n := 1; n <= commits; n++ {
				for _, fault := range faultsAt(n) {
					w := before.copy(t)
					w.faulty.Fail(n, fault)
					if _, err := w.Acquire(t.Context(), repo, 1, wants(want...), also); err != nil && !errors.Is(err, storetest.ErrInjected) {
						t.Errorf("fault %d in commit %d: Acquire = %v", fault, n, err)
					}
					again := []store.Write{also}
					if r, err := w.faulty.Get(t.Context(), also.Key); err != nil || r[0].Version != 0 {
						again = nil // it has happened
					}
					out, err := w.Acquire(t.Context(), repo, 1, wants(want...), again...)
					if err != nil {
						t.Fatal(err)
					}
					check(t, w, out)
				}
			}
		})
	}
}
