package locks

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir/store/storetest"
)

// in acquires directories with states, "dir=state", in a repository.
func (w *world) in(repo string, pull int, list ...string) Outcome {
	w.Helper()
	out, err := w.Acquire(w.Context(), repo, pull, stated(list...))
	if err != nil {
		w.Fatalf("%v", err)
	}
	return out
}

func stated(list ...string) []Want {
	var want []Want
	for _, s := range list {
		var one Want
		one.Key.Workspace = "default"
		for i, r := range s {
			if r == '=' {
				one.Key.Dir, one.State = s[:i], s[i+1:]
			}
		}
		if one.State == "" {
			one.Key.Dir = s
		}
		want = append(want, one)
	}
	return want
}

func (w *world) out(repo string, pull int) Outcome {
	w.Helper()
	out, err := w.Release(w.Context(), repo, pull, nil)
	if err != nil {
		w.Fatalf("%v", err)
	}
	return out
}

func TestI1_OneStateInOneRepository(t *testing.T) {
	w := newWorld(t, nil)
	if out := w.in(repo, 1, "a=X", "b=X"); !out.Acquired {
		t.Error("#1 is kept away by itself")
	}
	w.out(repo, 1)
	w.in(repo, 1, "a=X")
	out := w.in(repo, 2, "b=X", "c")
	if out.Acquired || !slices.Equal(out.Blockers, []Pull{{Repo: repo, Number: 1}}) {
		t.Errorf("#2: %+v, want that #1 blocks it", out)
	}
	if out := w.in(repo, 3, "b"); !out.Acquired {
		t.Error("#3, which knows no state, was kept away")
	}
	w.out(repo, 3)
	w.want("a: #1", "b: free; waiting: #2", "c: free; waiting: #2")
	if out := w.out(repo, 1); !slices.Equal(out.Granted, []int{2}) {
		t.Errorf("granted %v, want #2", out.Granted)
	}
	w.want("b: #2", "c: #2")
}

// Across repositories: blocked, told by whom, handed over, in order, exactly.
func TestI1_I10_OneStateInTwoRepositories(t *testing.T) {
	w := newWorld(t, nil)
	w.in("acme/other", 12, "x=X", "y")
	out := w.in(repo, 1, "a=X", "b")
	if out.Acquired || !slices.Equal(out.Blockers, []Pull{{Repo: "acme/other", Number: 12}}) || out.Locks[0].Holder.String() != "acme/other#12" {
		t.Errorf("%+v, want that acme/other#12 blocks it", out)
	}
	w.in("acme/third", 1, "z=X")
	w.in(repo, 2, "c=X")
	w.in("acme/unrelated", 7, "x=Y")
	list, err := w.List(t.Context(), repo)
	if err != nil || len(list) != 3 || list[0].Holder.String() != "acme/other#12" || list[1].Holder != (Pull{}) {
		t.Errorf("List: %+v, %v", list, err)
	}
	for _, tt := range []struct {
		repo    string
		pull    int
		granted []Pull
	}{
		{"acme/unrelated", 7, nil},
		{"acme/other", 12, []Pull{{Repo: repo, Number: 1}}},
		{"acme/other", 12, nil},
		{repo, 1, []Pull{{Repo: "acme/third", Number: 1}}},
		{"acme/third", 1, []Pull{{Repo: repo, Number: 2}}},
		{repo, 2, nil},
	} {
		out := w.out(tt.repo, tt.pull)
		if diff := cmp.Diff(tt.granted, out.GrantedElsewhere); diff != "" {
			t.Errorf("release %s#%d (-want +got):\n%s", tt.repo, tt.pull, diff)
		}
	}
	if got := w.told(); !slices.Equal(got, []int{1, 1, 2}) {
		t.Errorf("told %v", got)
	}
	w.want("")
}

// A project gets another state with a new commit.
func TestI1_StateChanges(t *testing.T) {
	w := newWorld(t, nil)
	w.in("acme/other", 12, "x=Y")
	w.in(repo, 1, "a=X", "b")
	before, err := w.Get(t.Context(), repo, at("a"))
	if err != nil {
		t.Fatal(err)
	}
	if out := w.in(repo, 1, "a=Z", "b"); !out.Acquired || out.Locks[0].State != "Z" || out.Locks[0].Epoch != before[0].Epoch {
		t.Errorf("to a free state: %+v", out)
	}
	if out := w.in("acme/other", 13, "y=X"); !out.Acquired {
		t.Errorf("the old state is not free: %+v", out)
	}
	if out := w.in(repo, 1, "a", "b"); !out.Acquired || out.Locks[0].State != "Z" {
		t.Errorf("to an unknown state: %+v", out)
	}
	if out := w.in(repo, 1, "a=Y", "b"); out.Acquired || out.Locks[0].Owner != 0 || out.Locks[1].Owner != 0 {
		t.Errorf("to a state of another: %+v", out)
	}
	w.out("acme/other", 12)
	w.want("a: #1", "b: #1")
}

// States cost nothing where no other repository has them, and one check where
// one has.
func TestBudgetOfStates(t *testing.T) {
	w := newWorld(t, nil)
	var list []string
	for i, d := range dirs("p", OneCommit-1) {
		list = append(list, fmt.Sprintf("%s=s3://bucket/%d", d, i))
	}
	w.in(repo, 1, list...)
	w.out(repo, 1)
	for linked := range 2 {
		w.faulty.Reset()
		w.in(repo, 1, list...)
		w.out(repo, 1)
		if got, want := w.faulty.Calls(), (storetest.Calls{Lists: 2 + 2*linked, Commits: 2}); got != want {
			t.Errorf("%d linked: %+v, want %+v", linked, got, want)
		}
		w.in("acme/other", 1, "x=s3://bucket/5")
		w.out("acme/other", 1)
	}
}

// More rows than a commit holds, in two repositories at once.
func TestI1_IntentsOfTwoRepositories(t *testing.T) {
	w := newWorld(t, nil)
	var mine, theirs []string
	for i, d := range dirs("p", 150) {
		mine = append(mine, fmt.Sprintf("%s=%d", d, i))
		theirs = append(theirs, fmt.Sprintf("q/%s=%d", d, i))
	}
	w.in(repo, 1, mine...)
	out := w.in("acme/other", 2, theirs...)
	if out.Acquired || len(out.Blockers) != 1 {
		t.Errorf("blockers %v", out.Blockers)
	}
	if out := w.out(repo, 1); !slices.Equal(out.GrantedElsewhere, []Pull{{Repo: "acme/other", Number: 2}}) {
		t.Errorf("granted %v", out.GrantedElsewhere)
	}
	list, err := w.List(t.Context(), "acme/other")
	if err != nil || len(list) != 150 || slices.ContainsFunc(list, func(l Lock) bool { return l.Owner != 2 }) {
		t.Errorf("%d locks, %v", len(list), err)
	}
}

func TestTooLinked(t *testing.T) {
	w := newWorld(t, nil)
	var last error
	for i := range maxLinked + 2 {
		_, last = w.Acquire(t.Context(), fmt.Sprintf("acme/r%d", i), 1, stated("a=X"))
	}
	if many := new(TooLinkedError); !errors.As(last, &many) {
		t.Errorf("error %v, want a *TooLinkedError", last)
	}
}

// Random operations in three repositories on few states, with commits that go
// wrong, judged by the history of all commits.
func TestI1_I10_RandomStates(t *testing.T) {
	repos := []string{"acme/a", "acme/b", "acme/c"}
	rapid.Check(t, func(t *rapid.T) {
		past := &history{Store: storetest.Memory()}
		w := newWorld(t, past)
		for range rapid.IntRange(1, 25).Draw(t, "operations") {
			r, pull := rapid.SampledFrom(repos).Draw(t, "repo"), rapid.IntRange(1, 3).Draw(t, "pull")
			w.small = rapid.SampledFrom([]int{0, 8}).Draw(t, "writes in a commit")
			list := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"p=X", "q=Y", "r=X", "s=Z", "t", "u=Y"}), 0, 4, rapid.ID[string]).Draw(t, "want")
			if fault := rapid.SampledFrom([]storetest.Fault{storetest.None, storetest.None, storetest.Before, storetest.After}).Draw(t, "fault"); fault != storetest.None {
				w.faulty.Fail(rapid.IntRange(1, 3).Draw(t, "at commit"), fault)
			}
			release := rapid.IntRange(0, 2).Draw(t, "release") == 0
			_, err := insist(func() (Outcome, error) {
				if release {
					return w.Release(t.Context(), r, pull, nil)
				}
				return w.Acquire(t.Context(), r, pull, stated(list...))
			})
			w.faulty.Reset()
			if err != nil {
				t.Fatalf("%v", err)
			}
		}
		for _, r := range repos { // owners end, and everybody who waits is served meanwhile
			for pull := range 3 {
				w.out(r, pull+1)
			}
		}
		for _, r := range repos {
			if got := w.state(r); got != "" {
				t.Errorf("left in %s:\n%s", r, got)
			}
		}
		_, broken, err := past.replay(t.Context())
		if err != nil {
			t.Fatalf("%v", err)
		}
		for _, b := range broken {
			t.Errorf("I1: %s", b)
		}
	})
}
