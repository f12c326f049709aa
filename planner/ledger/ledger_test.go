package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/store"
	"weir/store/storetest"
)

const repo = "acme/app"

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func entry(project string, pull int, outcome Outcome, when time.Time) Entry {
	return Entry{
		Repo: repo, Project: project, Dir: project, Workspace: "default", Outcome: outcome, When: when, Pull: pull, Job: "J", Run: "R",
		Actor: "alice", Commit: "c0", Head: "h0", Base: "b0", BaseRef: "main", PlanDigest: "p", ChangeDigest: "d",
		Terraform: "1.11.4", Providers: map[string]string{"registry.terraform.io/hashicorp/local": "1.4.0"},
		Modules: map[string]string{"vpc": "5.0.0"}, Inputs: map[string]string{"size": "0a"},
	}
}

// write records entries as the planner does: with what else it commits.
func write(t *testing.T, s store.Store, entries ...Entry) {
	t.Helper()
	writes, err := Write(t.Context(), s, entries...)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s store.Store, project string) Record {
	t.Helper()
	r, ok, err := Read(t.Context(), s, repo, project)
	if err != nil || !ok {
		t.Fatalf("%s: known %v, %v", project, ok, err)
	}
	return r
}

func TestWriteAndRead(t *testing.T) {
	s := storetest.Memory()
	if r, ok, err := Read(t.Context(), s, repo, "prod"); ok || err != nil || r.Whole != nil {
		t.Errorf("of nothing: %v, %v, %v", r, ok, err)
	}
	first := entry("prod", 1, Applied, noon)
	write(t, s, first)
	if diff := cmp.Diff(Record{Last: first, Whole: &first}, read(t, s, "prod")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// What failed, was interrupted, or was applied in part is the last, and
	// hides nothing of what was applied before.
	part := entry("prod", 2, Applied, noon.Add(time.Hour))
	part.Extra = []string{"-target=a.b"}
	for _, e := range []Entry{part, entry("prod", 2, Failed, noon.Add(2*time.Hour)), entry("prod", 3, Interrupted, noon.Add(3*time.Hour))} {
		write(t, s, e)
		if diff := cmp.Diff(Record{Last: e, Whole: &first}, read(t, s, "prod")); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", e.Outcome, diff)
		}
	}
	again := entry("prod", 4, Applied, noon.Add(4*time.Hour))
	write(t, s, again)
	if diff := cmp.Diff(Record{Last: again, Whole: &again}, read(t, s, "prod")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A repository or project whose name begins like another one's is another one.
func TestI6_ExactProjects(t *testing.T) {
	s := storetest.Memory()
	long := strings.Repeat("d/", 500)
	projects := []string{"a", "a-b", "a/b", "a@blue", "a#1", long + "x", long + "y", "ä/" + strings.Repeat("ö", 400)}
	for i, p := range projects {
		write(t, s, entry(p, i+1, Applied, noon))
	}
	for _, other := range []string{"acme/app-infra", "acme/ap"} {
		e := entry("a", 99, Applied, noon)
		e.Repo = other
		write(t, s, e)
	}
	for i, p := range projects {
		if r := read(t, s, p); r.Last.Project != p || r.Last.Pull != i+1 {
			t.Errorf("%.20s: %.20s of #%d", p, r.Last.Project, r.Last.Pull)
		}
	}
	list, err := List(t.Context(), s, repo)
	if err != nil || len(list) != len(projects) {
		t.Fatalf("%d projects, %v", len(list), err)
	}
	for i := range list[1:] {
		if list[i].Last.Project >= list[i+1].Last.Project {
			t.Errorf("%.20s before %.20s", list[i].Last.Project, list[i+1].Last.Project)
		}
	}
	if list, err := List(t.Context(), s, "acme/none"); err != nil || len(list) != 0 {
		t.Errorf("of nothing: %v, %v", list, err)
	}
}

func TestFate(t *testing.T) {
	s := storetest.Memory()
	note := func(pull int, f Fate) {
		t.Helper()
		if err := Close(t.Context(), s, repo, pull, f); err != nil {
			t.Fatal(err)
		}
	}
	merged := Fate{Closed: true, Merged: true, MergedAs: "m1", Head: "h1", When: noon.Add(time.Hour)}
	write(t, s, entry("prod", 1, Applied, noon), entry("dev", 1, Applied, noon), entry("dns", 11, Applied, noon))
	note(1, merged)
	note(1, merged)
	note(1, Fate{Closed: true, When: noon.Add(2 * time.Hour)}) // an old delivery
	for _, p := range []string{"prod", "dev"} {
		if r := read(t, s, p); r.Last.Fate != merged || r.Whole.Fate != merged {
			t.Errorf("%s: %+v", p, r.Last.Fate)
		}
	}
	if r := read(t, s, "dns"); r.Last.Fate != (Fate{}) {
		t.Errorf("#11 became of #1: %+v", r.Last.Fate)
	}

	// Applied after the merge.
	write(t, s, entry("prod", 1, Applied, noon.Add(2*time.Hour)))
	if r := read(t, s, "prod"); r.Last.Fate != merged {
		t.Errorf("applied after the merge: %+v", r.Last.Fate)
	}

	// Closed, opened again, applied, closed again, and merged in the end.
	closed := Fate{Closed: true, Head: "h1", When: noon.Add(3 * time.Hour)}
	note(2, closed)
	write(t, s, entry("prod", 2, Applied, noon.Add(4*time.Hour)))
	if r := read(t, s, "prod"); r.Last.Fate != (Fate{}) {
		t.Errorf("opened again: %+v", r.Last.Fate)
	}
	closed.When = noon.Add(5 * time.Hour)
	note(2, closed)
	if r := read(t, s, "prod"); r.Last.Fate != closed {
		t.Errorf("closed again: %+v", r.Last.Fate)
	}
	merged.When = noon.Add(6 * time.Hour)
	note(2, merged)
	write(t, s, entry("prod", 3, Failed, noon.Add(7*time.Hour)))
	if r := read(t, s, "prod"); r.Last.Fate != (Fate{}) || r.Whole.Fate != merged {
		t.Errorf("of two pull requests: %+v and %+v", r.Last.Fate, r.Whole.Fate)
	}
}

// Many projects of many pull requests are read in few calls.
func TestListManyProjects(t *testing.T) {
	s := &storetest.Faulty{Store: storetest.Memory()}
	for i := range 250 {
		write(t, s, entry(fmt.Sprintf("p%03d", i), i+1, Applied, noon))
		if err := Close(t.Context(), s, repo, i+1, Fate{Closed: true, Merged: true, MergedAs: fmt.Sprint(i), When: noon}); err != nil {
			t.Fatal(err)
		}
	}
	s.Reset()
	list, err := List(t.Context(), s, repo)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range list {
		if r.Last.Project != fmt.Sprintf("p%03d", i) || r.Last.Fate.MergedAs != fmt.Sprint(i) || r.Whole.Fate.MergedAs != fmt.Sprint(i) {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if calls := s.Calls(); len(list) != 250 || calls.Gets != 3 {
		t.Errorf("%d projects with %d reads", len(list), calls.Gets)
	}
}

// Another pull request that has got the project meanwhile is a conflict; one
// that is closed meanwhile is none.
func TestConflicts(t *testing.T) {
	s := storetest.Memory()
	writes, err := Write(t.Context(), s, entry("prod", 1, Applied, noon))
	if err != nil {
		t.Fatal(err)
	}
	if err := Close(t.Context(), s, repo, 1, Fate{Closed: true, When: noon}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), writes...); err != nil {
		t.Errorf("after the pull request was closed: %v", err)
	}
	late, err := Write(t.Context(), s, entry("prod", 1, Failed, noon))
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, entry("prod", 2, Applied, noon))
	if err := s.Commit(t.Context(), late...); !store.IsConflict(err) {
		t.Errorf("after another pull request: %v, want a conflict", err)
	}
}

// Two servers that note at the same moment both succeed, and merged wins.
func TestCloseTogether(t *testing.T) {
	memory := storetest.Memory()
	other := false
	s := &storetest.Faulty{Store: memory, Plan: func(n int, _ []store.Write) storetest.Fault {
		if !other {
			other = true
			if err := Close(t.Context(), memory, repo, 1, Fate{Closed: true, Merged: true, MergedAs: "m", When: noon}); err != nil {
				t.Error(err)
			}
		}
		return storetest.None
	}}
	write(t, memory, entry("prod", 1, Applied, noon))
	if err := Close(t.Context(), s, repo, 1, Fate{Closed: true, When: noon}); err != nil {
		t.Fatal(err)
	}
	if r := read(t, memory, "prod"); !r.Last.Fate.Merged {
		t.Errorf("%+v", r.Last.Fate)
	}
}

// Whatever is in it, an entry never keeps the outcome of an apply from being
// stored.
func TestLongEntries(t *testing.T) {
	many := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("name-%06d", i)] = strings.Repeat("x", 64)
		}
		return m
	}
	size := func(s store.Store) int {
		rows, err := s.Get(t.Context(), keyOf(repo, "prod"))
		if err != nil {
			t.Fatal(err)
		}
		return len(rows[0].Body)
	}
	for _, test := range []struct {
		inputs, modules, providers int
		want                       string
	}{
		{10, 10, 10, "inputs modules providers"},
		{5000, 10, 10, "modules providers"},
		{5000, 5000, 10, "providers"},
		{5000, 5000, 5000, ""},
	} {
		s := storetest.Memory()
		e := entry("prod", 1, Applied, noon)
		e.Inputs, e.Modules, e.Providers = many(test.inputs), many(test.modules), many(test.providers)
		write(t, s, e)
		r := read(t, s, "prod")
		var kept []string
		for _, part := range []struct {
			name string
			has  map[string]string
		}{{"inputs", r.Whole.Inputs}, {"modules", r.Whole.Modules}, {"providers", r.Whole.Providers}} {
			if len(part.has) > 0 {
				kept = append(kept, part.name)
			}
		}
		if got := strings.Join(kept, " "); got != test.want || r.Last.Commit == "" || size(s) > maxBody {
			t.Errorf("%d, %d, %d: %q is kept in %d bytes, want %q", test.inputs, test.modules, test.providers, got, size(s), test.want)
		}
		if len(e.Inputs) != test.inputs {
			t.Error("the caller's entry was cut")
		}
	}

	// What is cut of an apply in part cuts nothing of the one before, unless
	// it has to, and it is still one in part.
	s := storetest.Memory()
	e := entry("prod", 1, Applied, noon)
	write(t, s, e)
	part := entry("prod", 2, Applied, noon)
	part.Extra = strings.Fields(strings.Repeat("-target=a.b ", 10_000))
	write(t, s, part)
	r := read(t, s, "prod")
	if r.Last.Whole() || len(part.Extra) != 10_000 || size(s) > maxBody {
		t.Errorf("%d bytes, whole: %v", size(s), r.Last.Whole())
	}
	if diff := cmp.Diff(&e, r.Whole); diff != "" {
		t.Errorf("the one before (-want +got):\n%s", diff)
	}
}

func TestStoreThatDoesNotAnswer(t *testing.T) {
	s := storetest.Memory()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, try := range map[string]func() error{
		"Write": func() error { _, err := Write(ctx, s, entry("prod", 1, Applied, noon)); return err },
		"Read":  func() error { _, _, err := Read(ctx, s, repo, "prod"); return err },
		"List":  func() error { _, err := List(ctx, s, repo); return err },
		"Close": func() error { return Close(ctx, s, repo, 1, Fate{Closed: true}) },
	} {
		if err := try(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := s.Commit(t.Context(), store.Write{Key: keyOf(repo, "prod"), Body: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(t.Context(), s, repo, "prod"); err == nil || !strings.Contains(err.Error(), "ledger/acme/app / prod") {
		t.Errorf("of what cannot be read: %v", err)
	}
}

// TestMerges holds that a commit of the base branch names its pull request, of
// exactly its repository, also where it was closed before it was known as what.
func TestMerges(t *testing.T) {
	s := storetest.Memory()
	defer s.Close()
	closing := func(repo string, pull int, as string) {
		t.Helper()
		for range 2 {
			if err := Close(t.Context(), s, repo, pull, Fate{Closed: true, Merged: true, MergedAs: as, When: noon}); err != nil {
				t.Fatal(err)
			}
		}
	}
	closing("acme/app", 7, "")
	closing("acme/app", 7, "c7")
	closing("acme/app", 8, "c8")
	closing("acme/app-infra", 9, "c9")
	got, err := Merges(t.Context(), s, "acme/app", "c8", "c9", "c7", "none")
	if diff := cmp.Diff(map[string]int{"c7": 7, "c8": 8}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if none, err := Merges(t.Context(), s, "acme/app"); err != nil || len(none) != 0 {
		t.Errorf("of no commits: %v, %v", none, err)
	}
}
