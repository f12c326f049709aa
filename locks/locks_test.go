package locks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/store"
)

func TestI1_AllOrNone(t *testing.T) {
	w := newWorld(t, nil)
	if out := w.acquire(1, "a", "b"); !out.Acquired {
		t.Error("#1 did not get free locks")
	}
	out := w.acquire(2, "b", "c")
	if out.Acquired {
		t.Error("#2 got the lock of #1")
	}
	w.want("a: #1", "b: #1; waiting: #2", "c: free; waiting: #2")
	got := []string{}
	for _, l := range out.Locks {
		got = append(got, fmt.Sprintf("%s #%d place %d", l.Key.Dir, l.Owner, l.Place(2)))
	}
	if diff := cmp.Diff([]string{"b #1 place 1", "c #0 place 1"}, got); diff != "" {
		t.Errorf("locks of the outcome (-want +got):\n%s", diff)
	}
	// One that waits does not keep free locks from others.
	if out := w.acquire(3, "c"); !out.Acquired {
		t.Error("#3 was held up by #2, which cannot go")
	}
	w.want("a: #1", "b: #1; waiting: #2", "c: #3; waiting: #2")
}

func TestI10_ReleaseServesTheNext(t *testing.T) {
	w := newWorld(t, nil)
	w.acquire(1, "a", "b")
	w.acquire(2, "a", "c")
	w.acquire(3, "b")
	w.acquire(4, "a")
	w.want("a: #1; waiting: #2 #4", "b: #1; waiting: #3", "c: free; waiting: #2")
	before, err := w.Get(t.Context(), repo, at("a", "b", "c"))
	if err != nil {
		t.Fatal(err)
	}

	out := w.release(1, nil)
	w.want("a: #2; waiting: #4", "b: #3", "c: #2")
	if diff := cmp.Diff([]int{2, 3}, out.Granted); diff != "" {
		t.Errorf("granted (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(at("a", "b"), out.Released); diff != "" {
		t.Errorf("released (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{2, 3}, w.told()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	after, err := w.Get(t.Context(), repo, at("a", "b", "c"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range after {
		if after[i].Epoch != before[i].Epoch+1 || after[i].Since.IsZero() {
			t.Errorf("%s: epoch %d after %d, since %v; want one more and a time", after[i].Key, after[i].Epoch, before[i].Epoch, after[i].Since)
		}
	}
	w.release(2, nil)
	w.release(3, nil)
	w.want("a: #4")
	w.release(4, nil)
	w.want("")
	if diff := cmp.Diff([]int{2, 3, 4}, w.told()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// #1 holds a and wants a and b, #2 holds b and wants a and b: keeping what one
// has while waiting, both would wait for ever.
func TestI10_NoDeadlock(t *testing.T) {
	w := newWorld(t, nil)
	w.acquire(1, "a")
	w.acquire(2, "b")
	if out := w.acquire(1, "a", "b"); out.Acquired || !slices.Equal(out.Released, at("a")) {
		t.Errorf("#1: %+v, want that it gives a back", out)
	}
	w.want("a: free; waiting: #1", "b: #2; waiting: #1")
	if out := w.acquire(2, "a", "b"); !out.Acquired {
		t.Errorf("#2: %+v, want that it gets both", out)
	}
	w.want("a: #2; waiting: #1", "b: #2; waiting: #1")
	w.release(2, nil)
	w.want("a: #1", "b: #1")
	if diff := cmp.Diff([]int{1}, w.told()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestAcquire(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(w *world)
		do    func(w *world) Outcome
		want  []string
		told  []int
	}{{
		name:  "the same again",
		setup: func(w *world) { w.acquire(1, "a", "b") },
		do:    func(w *world) Outcome { return w.acquire(1, "b", "a") },
		want:  []string{"a: #1", "b: #1"},
	}, {
		name:  "the same again, waiting",
		setup: func(w *world) { w.acquire(1, "a"); w.acquire(2, "a"); w.acquire(3, "a") },
		do:    func(w *world) Outcome { return w.acquire(2, "a") },
		want:  []string{"a: #1; waiting: #2 #3"},
	}, {
		name:  "more, which is free",
		setup: func(w *world) { w.acquire(1, "a") },
		do:    func(w *world) Outcome { return w.acquire(1, "a", "b") },
		want:  []string{"a: #1", "b: #1"},
	}, {
		name:  "less",
		setup: func(w *world) { w.acquire(1, "a", "b"); w.acquire(2, "b") },
		do:    func(w *world) Outcome { return w.acquire(1, "a") },
		want:  []string{"a: #1", "b: #2"},
		told:  []int{2},
	}, {
		name:  "nothing",
		setup: func(w *world) { w.acquire(1, "a", "b"); w.acquire(2, "b"); w.acquire(3, "c"); w.acquire(2, "b", "c") },
		do:    func(w *world) Outcome { return w.acquire(2) },
		want:  []string{"a: #1", "b: #1", "c: #3"},
	}, {
		name:  "other projects instead",
		setup: func(w *world) { w.acquire(1, "a", "b"); w.acquire(2, "a"); w.acquire(3, "b") },
		do:    func(w *world) Outcome { return w.acquire(1, "c") },
		want:  []string{"a: #2", "b: #3", "c: #1"},
		told:  []int{2, 3},
	}, {
		name: "what somebody can have now who came before",
		// #2 waits for a and b, #1 lets a go and wants b instead.
		setup: func(w *world) { w.acquire(1, "a"); w.acquire(2, "a", "b") },
		do:    func(w *world) Outcome { return w.acquire(1, "b") },
		want:  []string{"a: #2", "b: #2; waiting: #1"},
		told:  []int{2},
	}, {
		name:  "a waiter wants less, which is free",
		setup: func(w *world) { w.acquire(1, "a"); w.acquire(2, "a", "b") },
		do:    func(w *world) Outcome { return w.acquire(2, "b") },
		want:  []string{"a: #1", "b: #2"},
	}, {
		name:  "what it gives back serves another",
		setup: func(w *world) { w.acquire(1, "a"); w.acquire(2, "b"); w.acquire(3, "a") },
		do:    func(w *world) Outcome { return w.acquire(1, "a", "b") },
		want:  []string{"a: #3; waiting: #1", "b: #2; waiting: #1"},
		told:  []int{3},
	}, {
		name:  "what was applied is kept while it waits",
		setup: func(w *world) { w.acquire(1, "a", "b"); w.acquire(2, "c"); w.acquire(3, "a"); w.acquire(4, "b") },
		do:    func(w *world) Outcome { return w.acquire(1, "a!", "b", "c") },
		want:  []string{"a: #1; waiting: #3", "b: #4; waiting: #1", "c: #2; waiting: #1"},
		told:  []int{4},
	}, {
		name:  "keeping what it does not own is no reason to get it",
		setup: func(w *world) { w.acquire(1, "a") },
		do:    func(w *world) Outcome { return w.acquire(2, "a!", "b") },
		want:  []string{"a: #1; waiting: #2", "b: free; waiting: #2"},
	}, {
		name:  "a key twice",
		setup: func(w *world) { w.acquire(1, "b"); w.acquire(2, "a") },
		do:    func(w *world) Outcome { return w.acquire(1, "a", "a", "b", "b!") },
		want:  []string{"a: #2; waiting: #1", "b: #1"},
	}} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			tt.setup(w)
			before := len(w.told())
			out := tt.do(w)
			w.want(tt.want...)
			told := w.told()[before:]
			if diff := cmp.Diff(append([]int{}, tt.told...), told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(append([]int{}, out.Granted...), told); diff != "" {
				t.Errorf("granted, but not told (-granted +told):\n%s", diff)
			}
		})
	}
}

// Repeating what is so already writes nothing, and keeps epochs and places.
func TestAcquireIsIdempotent(t *testing.T) {
	w := newWorld(t, nil)
	w.acquire(1, "a", "b")
	w.acquire(2, "b", "c")
	before := w.read(w.faulty.Store, repo)
	w.faulty.Reset()
	w.acquire(2, "c", "b")
	w.acquire(1, "a", "b")
	w.release(3, nil)
	if got := w.faulty.Calls(); got.Commits != 0 || got.Lists != 3 {
		t.Errorf("calls: got %+v, want three reads", got)
	}
	if diff := cmp.Diff(before, w.read(w.faulty.Store, repo), cmp.AllowUnexported(table{}, row{})); diff != "" {
		t.Errorf("rows changed:\n%s", diff)
	}
}

func TestOrder(t *testing.T) {
	t.Run("first come, first served", func(t *testing.T) {
		w := newWorld(t, nil)
		w.acquire(1, "a")
		for _, pull := range []int{9, 5, 7, 3} {
			w.acquire(pull, "a")
		}
		w.want("a: #1; waiting: #9 #5 #7 #3")
		for _, next := range []int{9, 5, 7, 3} {
			if out := w.release(w.owner("a"), nil); !slices.Equal(out.Granted, []int{next}) {
				t.Errorf("granted %v, want #%d", out.Granted, next)
			}
		}
	})
	t.Run("a clock that stands still or goes back changes nothing", func(t *testing.T) {
		w := newWorld(t, nil)
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		w.Now = func() time.Time { return now }
		w.acquire(1, "a")
		w.acquire(9, "a")
		now = now.Add(-time.Hour)
		w.acquire(5, "a")
		w.acquire(3, "a")
		w.want("a: #1; waiting: #9 #5 #3")
	})
	t.Run("wanting one more project does not jump its queue", func(t *testing.T) {
		w := newWorld(t, nil)
		w.acquire(1, "a") // long before the others
		w.acquire(9, "b")
		w.acquire(2, "b")
		w.acquire(1, "a", "b")
		w.want("a: free; waiting: #1", "b: #9; waiting: #2 #1")
		w.release(9, nil)
		w.want("a: free; waiting: #1", "b: #2; waiting: #1")
		w.release(2, nil)
		w.want("a: #1", "b: #1")
	})
	t.Run("what was given back keeps its place", func(t *testing.T) {
		w := newWorld(t, nil)
		w.acquire(9, "b")
		w.acquire(1, "a")
		w.acquire(8, "c")
		w.acquire(2, "a", "c")
		w.acquire(1, "a", "b")
		w.want("a: free; waiting: #1 #2", "b: #9; waiting: #1", "c: #8; waiting: #2")
	})
	t.Run("a circle of places is served by the longest wait", func(t *testing.T) {
		w := newWorld(t, nil)
		w.acquire(9, "b")
		w.acquire(1, "a")
		w.acquire(2, "a", "b")
		w.acquire(1, "a", "b")
		w.want("a: free; waiting: #1 #2", "b: #9; waiting: #2 #1")
		w.release(9, nil)
		w.want("a: #1; waiting: #2", "b: #1; waiting: #2")
	})
}

func (w *world) owner(dir string) int {
	w.Helper()
	locks, err := w.Get(w.Context(), repo, at(dir))
	if err != nil {
		w.Fatalf("%v", err)
	}
	return locks[0].Owner
}

func TestI6_ExactScope(t *testing.T) {
	w := newWorld(t, nil)
	repos := []string{"acme/app", "acme/app-infra", "acme/app/", "acme/ap", "acme", "acme/app\xff"}
	keys := []Key{
		{Dir: "envs/prod", Workspace: "default"},
		{Dir: "envs/prod", Workspace: "prod"},
		{Dir: "envs/prod2", Workspace: "default"},
		{Dir: "envs", Workspace: "prod"},
		{Dir: "envs/prod ", Workspace: "default"},
		{Dir: ".", Workspace: "default"},
		{Dir: "", Workspace: ""},
		{Dir: "", Workspace: "default"},
		{Dir: "caf\xe9", Workspace: "default"},
		{Dir: "caf\xe8", Workspace: "default"},
		{Dir: strings.Repeat("long/", 300), Workspace: "\xff"},
		{Dir: strings.Repeat("long/", 300), Workspace: "\xfe"},
	}
	for _, repo := range repos {
		for i, k := range keys {
			// Each project to another pull request, and 12 waits for all.
			out, err := w.Acquire(t.Context(), repo, i+100, []Want{{Key: k}})
			if err != nil || !out.Acquired {
				t.Fatalf("%s %q: %+v, %v", repo, k, out, err)
			}
		}
	}
	unchanged := map[string]string{}
	for _, repo := range repos {
		unchanged[repo] = w.state(repo)
		locks, err := w.List(t.Context(), repo)
		if err != nil || len(locks) != len(keys) {
			t.Errorf("List %s: %d locks, %v; want %d", repo, len(locks), err, len(keys))
		}
		for _, k := range keys {
			if !slices.ContainsFunc(locks, func(l Lock) bool { return l.Key == k }) {
				t.Errorf("List %s lacks %q", repo, k)
			}
		}
	}
	// 1, 10 and 1000 own nothing, and 100 does not own the second project.
	for _, pull := range []int{1, 10, 11, 1000} {
		w.release(pull, nil)
	}
	w.release(100, keys[1:])
	w.release(100, []Key{})
	for _, repo := range repos {
		if got := w.state(repo); got != unchanged[repo] {
			t.Errorf("%s changed:\n%s", repo, cmp.Diff(unchanged[repo], got))
		}
	}
	for i, k := range keys {
		out, err := w.Release(t.Context(), repo, i+100, []Key{k})
		if err != nil || len(out.Released) != 1 || len(out.Locks) != 1 || out.Locks[0].Key != k {
			t.Errorf("Release of %q: %+v, %v", k, out, err)
		}
		if locks, err := w.List(t.Context(), repo); err != nil || len(locks) != len(keys)-i-1 {
			t.Errorf("after the release of %q: %d locks, %v", k, len(locks), err)
		}
	}
	for _, r := range repos[1:] {
		if got := w.state(r); got != unchanged[r] {
			t.Errorf("%s changed:\n%s", r, cmp.Diff(unchanged[r], got))
		}
	}
	got, err := w.Repos(t.Context())
	slices.Sort(repos)
	if diff := cmp.Diff(repos, got); err != nil || diff != "" {
		t.Errorf("Repos: %v (-want +got):\n%s", err, diff)
	}
}

func TestI6_ReleaseOfOneProject(t *testing.T) {
	w := newWorld(t, nil)
	w.acquire(1, "a", "b")
	w.acquire(12, "a", "c")
	w.acquire(13, "b")
	if out := w.release(1, at("b", "never")); !slices.Equal(out.Granted, []int{13}) {
		t.Errorf("granted %v, want #13", out.Granted)
	}
	w.want("a: #1; waiting: #12", "b: #13", "c: free; waiting: #12")
	// Leaving the queue of what keeps it waiting serves it with the rest.
	out := w.release(12, at("a"))
	w.want("a: #1", "b: #13", "c: #12")
	if !slices.Equal(out.Granted, []int{12}) || len(out.Released) != 0 {
		t.Errorf("outcome: %+v, want that #12 was granted and gave nothing back", out)
	}
}

func TestFences(t *testing.T) {
	w := newWorld(t, nil)
	w.acquire(1, "a", "b")
	mark := store.Write{Key: store.Key{Partition: "runs", Sort: "1"}, Body: []byte("applying")}

	checks, locks, err := w.Fences(t.Context(), repo, 1, at("a", "b"))
	if err != nil || len(checks) != 3 || locks[0].Epoch != 1 || locks[1].Key.Dir != "b" {
		t.Fatalf("Fences: %v, %v, %v", checks, locks, err)
	}
	if err := w.faulty.Commit(t.Context(), append(checks, mark)...); err != nil {
		t.Errorf("commit with good fences: %v", err)
	}
	w.release(1, at("b"))
	var conflict *store.ConflictError
	mark.Key.Sort = "2"
	if err := w.faulty.Commit(t.Context(), append(checks, mark)...); !errors.As(err, &conflict) {
		t.Errorf("commit after a lock was lost = %v, want a conflict", err)
	}
	var lost *NotOwnerError
	if _, _, err := w.Fences(t.Context(), repo, 1, at("a", "b")); !errors.As(err, &lost) || lost.Owner != 0 || lost.Key.Dir != "b" {
		t.Errorf("Fences = %v, want that nobody owns b", err)
	}
	w.acquire(12, "b")
	if _, _, err := w.Fences(t.Context(), repo, 1, at("a", "b")); !errors.As(err, &lost) || lost.Owner != 12 {
		t.Errorf("Fences = %v, want that #12 owns b", err)
	}
	// Losing it and getting it again is another epoch, and the old fences
	// do not come true again.
	w.release(12, nil)
	w.acquire(1, "a", "b")
	if err := w.faulty.Commit(t.Context(), append(checks, mark)...); !errors.As(err, &conflict) {
		t.Errorf("commit with fences of an older epoch = %v, want a conflict", err)
	}
	if _, locks, err = w.Fences(t.Context(), repo, 1, at("b", "a")); err != nil || locks[0].Epoch != 3 || locks[1].Epoch != 1 {
		t.Errorf("Fences: %v, %v; want b at epoch 3 and a at 1", locks, err)
	}
	for _, e := range []NotOwnerError{{Key: at("a")[0], Pull: 1, Owner: 12}, {Key: at("a")[0], Pull: 1}, {Key: at("a")[0], Pull: 1, Owner: 1}} {
		if !strings.Contains(e.Error(), "#1 ") || !strings.Contains(e.Error(), "a (default)") {
			t.Errorf("error %q does not say who and what", e.Error())
		}
	}
}

func TestMistakes(t *testing.T) {
	w := newWorld(t, nil)
	for name, err := range map[string]error{
		"no repository": second(w.Acquire(t.Context(), "", 1, nil)),
		"pull 0":        second(w.Acquire(t.Context(), repo, 0, wants("a"))),
		"a NUL":         second(w.Acquire(t.Context(), repo, 1, wants("a\x00b"))),
		"release of 0":  second(w.Release(t.Context(), repo, 0, nil)),
		"a NUL in Get":  second(w.Get(t.Context(), repo, at("\x00"))),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	w.want("")
}

func second[T any](_ T, err error) error { return err }
