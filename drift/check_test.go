package drift

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/drift/finding"
	"weir/locks"
	"weir/planner/project"
	"weir/planner/record"
	"weir/planner/work"
	"weir/planner/work/job"
	"weir/store"
	"weir/store/storetest"
)

func three() map[string]string {
	return map[string]string{"a/main.tf": code("a"), "b/main.tf": code("b"), "c/main.tf": code("c")}
}

func TestLeastRecentlyCheckedFirst(t *testing.T) {
	w := newWorld(t, three())
	w.do(work.Job{ID: "1", Kind: work.Drift, Repo: repo, Topic: checks, Accepted: time.Now(), Command: &work.Command{Dir: "a", Drift: &job.Drifted{Verb: "check"}}})
	if got := w.look.taken(); !slices.Equal(got, []string{"a"}) {
		t.Fatalf("asked for a, looked at %q", got)
	}
	w.do(w.due())
	if got := w.look.taken(); !slices.Equal(got, []string{"b", "c", "a"}) {
		t.Errorf("looked at %q, want a last", got)
	}
	if got := w.state(); got.Failure != "" || got.Commit == "" {
		t.Errorf("state %+v", got)
	}
	early := w.due()
	early.Accepted = time.Now().Add(-time.Hour)
	w.do(early)
	if got := w.look.taken(); len(got) > 0 {
		t.Errorf("looked again at %q since the job was accepted", got)
	}
	wrong := w.due()
	wrong.Group = "another"
	w.do(wrong)
	if got := w.look.taken(); len(got) > 0 {
		t.Errorf("looked at %q of another group", got)
	}
}

// TestCutShort holds that a job that ended in the middle goes on where it
// ended, whatever ended it.
func TestCutShort(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  func(w *world, cancel func())
		want []string // looked at by the second try
	}{
		{"the process ends", func(w *world, cancel func()) {
			w.look.before = func(_ context.Context, id string) {
				if id == "b" {
					cancel()
				}
			}
		}, []string{"b", "c"}},
		{"the store fails", func(w *world, _ func()) { w.store.Fail(2, storetest.Before) }, []string{"b", "c"}},
		{"the store fails to answer", func(w *world, _ func()) { w.store.Fail(2, storetest.After) }, []string{"c"}},
		{"nobody can be told", func(w *world, _ func()) { w.tell.err = errors.New("down") }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, three())
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c.cut(w, cancel)
			j := w.due()
			if err := w.Do(ctx, j); err == nil {
				t.Fatal("no error")
			}
			w.look.taken()
			w.look.before, w.tell.err = nil, nil
			w.do(j)
			if got := w.look.taken(); !slices.Equal(got, c.want) {
				t.Errorf("then looked at %q, want %q", got, c.want)
			}
			if got := told(w.tell.known); !slices.Equal(got, []string{"a", "b", "c"}) {
				t.Errorf("told %q", got)
			}
		})
	}
}

// TestOwned holds what becomes of projects that a pull request owns.
func TestOwned(t *testing.T) {
	w := newWorld(t, three())
	w.look.plans["a"] = changedOutside("aws_s3_bucket.a")
	w.do(w.due())
	before, _ := w.known("a")
	for _, dir := range []string{"a", "b"} {
		w.locks[repo] = append(w.locks[repo], locks.Lock{Key: locks.Key{Dir: dir, Workspace: "default"}, Owner: 12})
	}
	draft, err := record.Open(t.Context(), w.store, repo, 12)
	if err != nil {
		t.Fatal(err)
	}
	draft.Projects = []record.ProjectRecord{{ID: "a", State: record.Applying}, {ID: "b", State: record.Planned}}
	if err := draft.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.look.taken()
	delete(w.look.plans, "a")
	due := w.due()
	w.later(due)
	if got := w.look.taken(); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("looked at %q", got)
	}
	a, _ := w.known("a")
	if diff := cmp.Diff(before.Check, a.Check); diff != "" || a.PutOff != "#12 is being applied" {
		t.Errorf("put off %q (-before +after):\n%s", a.PutOff, diff)
	}
	if b, _ := w.known("b"); b.Check.InFlight != 12 || b.PutOff != "" {
		t.Errorf("b: %+v", b)
	}
	if got := told(w.tell.known); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("told %q", got)
	}
	w.later(due)
	if got := w.look.taken(); len(got) > 0 {
		t.Errorf("still applied, and looked at %q", got)
	}
	old := due
	old.Accepted = due.Accepted.Add(-putOffAtMost)
	w.do(old) // is left to the next check
	w.look.taken()
	w.locks[repo] = nil
	w.do(due)
	if got := w.look.taken(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("then looked at %q", got)
	}
	if a, _ := w.known("a"); a.PutOff != "" || !a.Since.IsZero() || len(a.Check.Findings) > 0 {
		t.Errorf("then a: %+v", a)
	}
}

// TestPutOffAtFirst holds that a project of which nothing is known yet is told
// only once it was looked at.
func TestPutOffAtFirst(t *testing.T) {
	w := newWorld(t, three())
	w.locks[repo] = []locks.Lock{{Key: locks.Key{Dir: "a", Workspace: "default"}, Owner: 3}}
	draft, err := record.Open(t.Context(), w.store, repo, 3)
	if err != nil {
		t.Fatal(err)
	}
	draft.Projects = []record.ProjectRecord{{ID: "a", State: record.Applying}}
	if err := draft.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.later(w.due())
	if got := told(w.tell.known); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("told %q", got)
	}
	if a, ok := w.known("a"); !ok || a.PutOff == "" || !a.Check.Started.IsZero() {
		t.Errorf("a: %+v", a)
	}
}

// TestOwners holds that CODEOWNERS says whose a project is, unless a rule of
// weir.yaml does.
func TestOwners(t *testing.T) {
	files := three()
	files[".github/CODEOWNERS"] = "* @ann\n/b/ @bob @acme/platform\n"
	files["weir.yaml"] = "version: 1\ndrift:\n  - dirs: [\"c\"]\n    assignees: [carol]\n"
	w := newWorld(t, files)
	w.do(work.Job{ID: "job", Kind: work.Drift, Repo: repo, Topic: checks, Accepted: time.Now(), Command: &work.Command{}})
	for project, want := range map[string][2][]string{
		"a": {{"ann"}, nil}, "b": {{"bob"}, {"acme/platform"}}, "c": {{"carol"}, nil},
	} {
		k, _ := w.known(project)
		if diff := cmp.Diff(want, [2][]string{k.Assignees, k.Teams}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", project, diff)
		}
	}
}

// TestNobodyCanBeTold holds that a repository that takes no issues is checked
// all the same, that this is shown, and that it is no reason to do it again.
func TestNobodyCanBeTold(t *testing.T) {
	w := newWorld(t, three())
	w.look.plans["a"] = changedOutside("aws_s3_bucket.a")
	w.tell.err = &RefusedError{Sentence: "Issues are turned off."}
	w.do(w.due())
	if got := w.state().Untold; got != "Issues are turned off." {
		t.Errorf("the state says %q", got)
	}
	if a, _ := w.known("a"); len(a.Check.Open()) != 1 || len(a.Told) > 0 {
		t.Errorf("a: %+v", a)
	}
	w.tell.err = nil
	w.do(w.due())
	if a, _ := w.known("a"); len(a.Told) != 1 || w.state().Untold != "" {
		t.Errorf("then a: %+v, %q", a, w.state().Untold)
	}
}

// TestFailedCheck holds that what is wrong with one project keeps no other from
// being checked: neither a mistake there, nor an error of ours.
func TestFailedCheck(t *testing.T) {
	w := newWorld(t, three())
	w.look.failures["a"] = "No such provider."
	w.look.plans["b"] = changedOutside("aws_s3_bucket.b")
	w.do(w.due())
	a, _ := w.known("a")
	if a.Check.Failure != "No such provider." || a.Since.IsZero() || !a.History[0].Failed || a.Check.Findings != nil {
		t.Errorf("a: %+v", a)
	}
	b, _ := w.known("b")
	if len(b.Check.Findings) != 1 || b.Check.Findings[0].Kind != finding.Changed || b.Check.Failure != "" {
		t.Errorf("b: %+v", b)
	}

	delete(w.look.failures, "a")
	w.look.errs["a"] = errors.New("no space left on device")
	w.look.taken()
	if err := w.Do(t.Context(), w.due()); err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("got %v", err)
	}
	if got := w.look.taken(); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("looked at %q", got)
	}
	if w.tell.calls != 2 {
		t.Errorf("told %d times, want 2: the others have a right to be told", w.tell.calls)
	}
}

// TestBrokenFile holds that what is known stays while weir.yaml is broken.
func TestBrokenFile(t *testing.T) {
	w := newWorld(t, three())
	w.look.plans["b"] = changedOutside("aws_s3_bucket.b")
	w.do(w.due())
	before, _ := w.known("b")
	w.git.Commit(map[string]string{"weir.yaml": "no_such_key: 1\n"})
	w.look.taken()
	w.do(w.due())
	if got := w.state(); !strings.Contains(got.Failure, "no_such_key") || got.URL == "" || got.Commit == "" {
		t.Errorf("state %+v", got)
	}
	after, _ := w.known("b")
	if diff := cmp.Diff(before.Check, after.Check); diff != "" || len(w.look.taken()) > 0 || w.tell.calls != 1 {
		t.Errorf("(-before +after):\n%s", diff)
	}
	w.git.Commit(map[string]string{"weir.yaml": ""})
	w.do(w.due())
	if got := w.state(); got.Failure != "" {
		t.Errorf("state %+v", got)
	}
}

func TestRemovedProject(t *testing.T) {
	w := newWorld(t, three())
	w.look.plans["b"] = changedOutside("aws_s3_bucket.b")
	w.tell.issues["b"] = 5
	w.do(w.due())
	w.git.Commit(map[string]string{"b/main.tf": ""})
	delete(w.tell.issues, "b")
	w.tell.err = errors.New("down")
	j := w.due()
	if err := w.Do(t.Context(), j); err == nil {
		t.Error("no error")
	}
	if b, ok := w.known("b"); !ok || b.Issue != 5 {
		t.Errorf("forgotten before anybody was told: %+v", b)
	}
	w.tell.err = nil
	w.do(j)
	if got := told(w.tell.gone); !slices.Equal(got, []string{"b"}) || !slices.Equal(told(w.tell.known), []string{"a", "c"}) {
		t.Errorf("gone %q of %q", got, told(w.tell.known))
	}
	if _, ok := w.known("b"); ok {
		t.Error("b is still known")
	}
}

// TestLostJob holds that a worker that lost the job writes nothing and tells
// nobody.
func TestLostJob(t *testing.T) {
	w := newWorld(t, three())
	w.look.before = func(ctx context.Context, id string) {
		if id == "b" {
			w.queue.lose(ctx, t)
		}
	}
	if err := w.Do(t.Context(), w.due()); !store.IsConflict(err) {
		t.Errorf("got %v, want a conflict", err)
	}
	for id, want := range map[string]bool{"a": true, "b": false, "c": false} {
		if _, ok := w.known(id); ok != want {
			t.Errorf("%s is known: %v", id, ok)
		}
	}
	if got, err := States(t.Context(), w.store); len(got) > 0 || err != nil || w.tell.calls > 0 {
		t.Errorf("state %+v, %v, told %d times", got, err, w.tell.calls)
	}
}

func TestAtOnce(t *testing.T) {
	w := newWorld(t, three())
	w.AtOnce = 3
	var here sync.WaitGroup // until all three are looked at
	here.Add(3)
	w.look.before = func(context.Context, string) {
		here.Done()
		here.Wait()
	}
	w.do(w.due())
	if got := slices.Sorted(slices.Values(w.look.taken())); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("looked at %q", got)
	}
}

// TestDueThousand holds the order of a thousand projects in groups.
func TestDueThousand(t *testing.T) {
	cfg, err := project.Parse(project.File, []byte("version: 1\ndrift:\n  - dirs: [even/*]\n    schedule: '0 1 * * *'\n  - dirs: [off/*]\n    schedule: 'off'\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, even := ruleOf(cfg, "even/1")
	accepted := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	known, set := map[string]Known{}, &project.Set{}
	want := map[string]int{}
	for i := range 1000 {
		group := []string{"even", "odd", "off"}[i%3]
		p := project.Project{Dir: fmt.Sprintf("%s/%04d", group, i), Workspace: "default"}
		set.Projects = append(set.Projects, p)
		k := Known{Check: finding.Check{Project: p.ID()}}
		switch i % 5 {
		case 0: // never looked at
		case 1: // by this job, before it was cut short
			k.Check.Started = accepted.Add(time.Duration(i+1) * time.Second)
			known[p.ID()] = k
			continue
		default:
			k.Check.Started = accepted.Add(-time.Duration(i*7919%1000+1) * time.Minute)
			known[p.ID()] = k
		}
		want[group]++
	}
	for group, n := range map[string]int{even: want["even"], others: want["odd"], "": want["even"] + want["odd"] + want["off"]} {
		s := &survey{cfg: cfg, set: set, known: known, job: work.Job{Group: group, Accepted: accepted}}
		if group == "" {
			s.job.Command = &work.Command{Drift: &job.Drifted{Verb: "check"}} // of all
		}
		due := s.due()
		if len(due) != n {
			t.Errorf("group %q: %d are due, want %d", group, len(due), n)
		}
		if !slices.IsSortedFunc(due, func(a, b project.Project) int {
			return known[a.ID()].Check.Started.Compare(known[b.ID()].Check.Started)
		}) {
			t.Errorf("group %q is not in order", group)
		}
	}
	if got := len(slices.Collect(maps.Keys(want))); got != 3 {
		t.Errorf("%d groups", got)
	}
}
