package evidence

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir/drift/kind"
	"weir/drift/upstream"
	"weir/planner/checkout"
	"weir/planner/ledger"
	"weir/planner/project"
	"weir/planner/terraform/plan"
	"weir/store"
	"weir/store/storetest"
)

const repo = "acme/app"

type testGatherer struct{ Gatherer }

func gatherer(t *testing.T) testGatherer {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	db := storetest.Memory()
	t.Cleanup(func() { _ = db.Close() })
	return testGatherer{Gatherer{Store: db, Log: log, Checkouts: &checkout.Repos{
		Dir:   filepath.Join(t.TempDir(), "checkouts"),
		Token: func(context.Context, string) (string, error) { return "", nil },
		Log:   log,
	}}}
}

// branch is the newest commit of main.
func (g testGatherer) branch(t *testing.T, u upstream.Upstream) Place {
	t.Helper()
	head, err := g.Checkouts.Fetch(t.Context(), repo, u.URL, "main")
	if err != nil {
		t.Fatal(err)
	}
	co, err := g.Checkouts.Open(t.Context(), checkout.Request{Repo: repo, CloneURL: u.URL, BaseRef: "main", Pull: 1, Head: head})
	if err != nil {
		t.Fatal(err)
	}
	return Place{Repo: repo, Root: co.Root, Head: head}
}

// pull is what pull request 9 comes to.
func (g testGatherer) pull(t *testing.T, u upstream.Upstream) Place {
	t.Helper()
	head := u.Git("rev-parse", "refs/pull/9/head")
	co, err := g.Checkouts.Open(t.Context(), checkout.Request{Repo: repo, CloneURL: u.URL, BaseRef: "main", Pull: 9, Head: head})
	if err != nil {
		t.Fatal(err)
	}
	return Place{Repo: repo, Root: co.Root, Head: co.Base, Own: &Own{Pull: 9, Merge: co.Merge, Files: co.Changed}}
}

func resource(name, value string) string {
	return "resource \"terraform_data\" \"" + name + "\" {\n  input = \"" + value + "\"\n}\n"
}

// TestPullRequest holds that what a pull request adds is told apart from the
// commits before it, whose changes of the same files it does not take over.
func TestPullRequest(t *testing.T) {
	u := upstream.New(t)
	u.Commit(map[string]string{"live/a.tf": resource("a", "1"), "live/b.tf": resource("b", "1"), "other/main.tf": resource("o", "1")})
	first := u.Git("rev-parse", "HEAD")
	u.Git("checkout", "--quiet", "-b", "pull")
	u.Commit(map[string]string{"live/b.tf": resource("b", "2"), "other/main.tf": resource("o", "2")})
	u.Git("update-ref", "refs/pull/9/head", "HEAD")
	u.Git("checkout", "--quiet", "main")
	u.Commit(map[string]string{"live/a.tf": resource("a", "2")})
	second := u.Git("rev-parse", "HEAD")

	g, p := gatherer(t), project.Project{Dir: "live", Workspace: "default"}
	at := g.pull(t, u)
	write(t, g.Store, ledger.Entry{Repo: repo, Project: p.ID(), Dir: "live", Workspace: "default", Outcome: ledger.Applied, Pull: 3, Base: first, Head: first})
	made := Plan{Summary: plan.Summary{Changes: []plan.Change{{Address: "terraform_data.a", Action: plan.Update}}, Update: 1}, Terraform: "1.11.0"}
	e, err := g.Of(t.Context(), at, p, made)
	if err != nil {
		t.Fatal(err)
	}
	want := []kind.Touch{
		{Commit: at.Own.Merge, Pull: 9, Files: []string{"live/b.tf"}, Blocks: []string{"terraform_data.b#input"}},
		{Commit: second, Files: []string{"live/a.tf"}, Blocks: []string{"terraform_data.a#input"}},
	}
	if diff := cmp.Diff(want, e.Since); diff != "" {
		t.Errorf("commits (-want +got):\n%s", diff)
	}
	if e.Own != 9 || e.Applied == nil || e.Applied.State != kind.Open || e.Applied.Gone {
		t.Errorf("own %d, applied %+v", e.Own, e.Applied)
	}

	// That it is open is no news to the pull request that was applied itself.
	write(t, g.Store, ledger.Entry{Repo: repo, Project: p.ID(), Dir: "live", Workspace: "default", Outcome: ledger.Applied, Pull: 9, Base: second, Head: first})
	if e, err = g.Of(t.Context(), at, p, made); err != nil || e.Applied.State != "" {
		t.Errorf("applied %+v, %v", e.Applied, err)
	}
	if diff := cmp.Diff(want[:1], e.Since); diff != "" {
		t.Errorf("commits since its own apply (-want +got):\n%s", diff)
	}
}

// TestFileElsewhere holds that a file that the code reads and that lies beside the project's directories is
// the pull request's own change, too.
func TestFileElsewhere(t *testing.T) {
	u := upstream.New(t)
	u.Commit(map[string]string{"live/a.tf": "resource \"aws_x\" \"a\" {\n  policy = file(\"../shared/policy.json\")\n}\n", "shared/policy.json": "good"})
	first := u.Git("rev-parse", "HEAD")
	u.Git("checkout", "--quiet", "-b", "pull")
	u.Commit(map[string]string{"shared/policy.json": "bad"})
	u.Git("update-ref", "refs/pull/9/head", "HEAD")
	u.Git("checkout", "--quiet", "main")
	g, p := gatherer(t), project.Project{Dir: "live", Workspace: "default"}
	at := g.pull(t, u)
	write(t, g.Store, ledger.Entry{Repo: repo, Project: p.ID(), Dir: "live", Workspace: "default", Outcome: ledger.Applied, Pull: 3, Base: first, Head: first})
	made := Plan{Summary: plan.Summary{Changes: []plan.Change{{Address: "aws_x.a", Action: plan.Update}}, Update: 1}}
	e, err := g.Of(t.Context(), at, p, made)
	if err != nil {
		t.Fatal(err)
	}
	if e.Since[0].Blocks != nil && len(e.Since[0].Blocks) == 0 {
		t.Errorf("#9 is said to have changed nothing: %+v", e.Since[0])
	}
}

// TestNothingToExplain holds that a plan without a difference costs nothing.
func TestNothingToExplain(t *testing.T) {
	g := Gatherer{Store: nil, Checkouts: nil} // to ask them would be a crash
	e, err := g.Of(t.Context(), Place{Repo: repo}, project.Project{Dir: "live"}, Plan{Terraform: "1.11.0"})
	if diff := cmp.Diff(kind.Evidence{Now: kind.Versions{Terraform: "1.11.0"}}, e, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func write(t *testing.T, db store.Store, e ledger.Entry) {
	t.Helper()
	writes, err := ledger.Write(t.Context(), db, e)
	if err == nil {
		err = db.Commit(t.Context(), writes...)
	}
	if err != nil {
		t.Fatal(err)
	}
}
