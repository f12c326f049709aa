package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/integration/sandbox"
	"weir/server/control"
	"weir/store"
)

// providers is a world's configuration with the real provider hashicorp/local,
// from the mirror that scripts/get-provider makes.
func providers(t *testing.T) []string {
	t.Helper()
	mirror, err := filepath.Abs("../.cache/providers")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mirror); err != nil {
		const why = "no provider hashicorp/local: run scripts/get-provider"
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip("!!! SKIPPED: " + why)
	}
	file := filepath.Join(t.TempDir(), "terraform.rc")
	rc := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror)
	if err := os.WriteFile(file, []byte(rc), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"TF_CLI_CONFIG_FILE=" + file}
}

// files are what a motd project makes outside.
func (w *world) outside(name string) string { return filepath.Join(w.dir, "outside", name) }

// motd is a project that keeps a file, and a value beside it.
func (w *world) motd(name, content string) string {
	return w.project(name, fmt.Sprintf(`terraform {
  required_providers {
    local = { source = "hashicorp/local" }
  }
}

# What people read first.
resource "local_file" "motd" {
  filename = %q
  content  = %q
}

resource "terraform_data" "value" {
  input = %[2]q
}
`, w.outside(name), content))
}

// drifting is a world whose project prod is applied, and then changed outside.
func drifting(t *testing.T, more ...setup) *world {
	t.Helper()
	s := setup{files: map[string]string{"README.md": "infra"}}
	for _, m := range more {
		s.file = m.file
	}
	s.config = providers(t)
	w := newWorld(t, s)
	p := w.pull("first", map[string]string{"prod/main.tf": w.motd("prod", "hello")})
	w.check(p.HeadSHA, "weir/plan", "success")
	w.quiet()
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.merge(p)
	w.quiet()
	w.look("")
	w.noIssue()
	w.do(os.WriteFile(w.outside("prod"), []byte("by hand"), 0o600))
	return w
}

// look has weir look for drift now, and waits until it has.
func (w *world) look(dir string) {
	w.t.Helper()
	_, err := control.Ask(w.t.Context(), filepath.Join(w.dir, "weir"), control.Request{Repo: repo, Dir: dir})
	w.do(err)
	w.quiet()
}

// issue waits for an issue of drift that fits.
func (w *world) issue(what string, fits func(sandbox.Issue) bool) sandbox.Issue {
	w.t.Helper()
	issue, err := w.box.WaitIssue(w.patience(), repo, what, func(i sandbox.Issue) bool {
		return strings.HasPrefix(i.Body, "<!-- weir kind=drift") && fits(i)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return issue
}

// tell comments on an issue.
func (w *world) tell(as string, issue sandbox.Issue, body string) {
	w.t.Helper()
	_, err := w.box.Comment(as, repo, issue.Number, body)
	w.do(err)
}

// noIssue fails if an issue of drift is open.
func (w *world) noIssue() {
	w.t.Helper()
	issues, err := w.box.Issues(repo)
	w.do(err)
	for _, i := range issues {
		if !i.IsPull && i.State == "open" {
			w.t.Errorf("#%d is open: %s\n%s", i.Number, i.Title, i.Body)
		}
	}
}

// proposed waits for the pull request that a command on an issue comes to.
func (w *world) proposed(issue sandbox.Issue) sandbox.Pull {
	w.t.Helper()
	c, err := w.box.WaitComment(w.patience(), repo, issue.Number, "the answer", func(c sandbox.Comment) bool {
		return isKind(c, "drift") && strings.Contains(c.Body, "Opened #")
	})
	if err != nil {
		all, _ := w.box.Comments(repo, issue.Number)
		for _, c := range all {
			w.t.Logf("%s: %s", c.Author.Login, c.Body)
		}
		w.t.Fatal(err)
	}
	var number int
	_, rest, _ := strings.Cut(c.Body, "Opened #")
	if _, err := fmt.Sscanf(rest, "%d", &number); err != nil {
		w.t.Fatalf("%q: %v", c.Body, err)
	}
	p, err := w.box.Pull(repo, number)
	w.do(err)
	return p
}

func TestDriftIsReverted(t *testing.T) {
	t.Parallel()
	w := drifting(t)
	w.look("prod")
	issue := w.issue("prod", func(i sandbox.Issue) bool { return i.State == "open" })
	for _, part := range []string{"1 deleted outside", "`local_file.motd`", "weir drift revert"} {
		if !strings.Contains(issue.Title+issue.Body, part) {
			t.Errorf("the issue has no %q:\n%s\n%s", part, issue.Title, issue.Body)
		}
	}
	w.look("prod")
	if all, err := w.box.Comments(repo, issue.Number); err != nil || len(all) != 0 {
		t.Errorf("told twice: %v, %v", all, err)
	}

	w.tell("eve", issue, "weir drift revert")
	if _, err := w.box.WaitComment(w.patience(), repo, issue.Number, "a refusal", func(c sandbox.Comment) bool {
		return strings.Contains(c.Body, "no write access")
	}); err != nil {
		t.Fatal(err)
	}
	w.tell("alice", issue, "weir drift revert")
	p := w.proposed(issue)
	w.comment(p, "plan", "local_file.motd")
	w.check(p.HeadSHA, "weir/apply", "action_required")
	w.quiet()

	// weir is the author, but alice is who asked: hers is no second pair of eyes.
	w.review("alice", p, "APPROVE")
	w.until("alice is told", func() bool {
		runs, err := w.box.Checks(repo, p.HeadSHA)
		w.do(err)
		return slices.ContainsFunc(runs, func(r sandbox.CheckRun) bool { return strings.Contains(r.Title, "alice asked weir for it") })
	})
	w.quiet()
	if content, err := os.ReadFile(w.outside("prod")); err != nil || string(content) != "by hand" {
		t.Fatalf("applied although only who asked has approved: %q, %v", content, err)
	}
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	if content, err := os.ReadFile(w.outside("prod")); err != nil || string(content) != "hello" {
		t.Errorf("the file holds %q, %v", content, err)
	}
	w.merge(p)
	w.quiet()
	w.look("")
	w.noIssue()
}

func TestDriftIsAdopted(t *testing.T) {
	t.Parallel()
	w := drifting(t)
	w.look("prod")
	issue := w.issue("prod", func(i sandbox.Issue) bool { return i.State == "open" })
	w.tell("alice", issue, "weir drift adopt")
	p := w.proposed(issue)
	w.check(p.HeadSHA, "weir/plan", "success")
	w.comment(p, "plan", "no changes in 1 project")
	if !strings.Contains(p.Body, "`local_file.motd`") {
		t.Errorf("the pull request does not say what it adopts:\n%s", p.Body)
	}
	w.check(p.HeadSHA, "weir/apply", "success")
	w.merge(p)
	w.quiet()
	if code := w.file("prod/main.tf"); strings.Contains(code, "local_file") || !strings.Contains(code, `resource "terraform_data" "value"`) {
		t.Errorf("main.tf is now:\n%s", code)
	}
	w.look("")
	w.noIssue()
	if content, err := os.ReadFile(w.outside("prod")); err != nil || string(content) != "by hand" {
		t.Errorf("the file holds %q, %v", content, err)
	}
}

// file is a file of the default branch.
func (w *world) file(name string) string {
	w.t.Helper()
	data, ok, err := w.box.File(repo, "main", name)
	w.do(err)
	if !ok {
		w.t.Fatalf("there is no %s", name)
	}
	return data
}

func TestMergedAndNeverApplied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	p := w.pull("first", map[string]string{"prod/main.tf": w.project("prod", `resource "terraform_data" "a" { input = "two" }`)})
	w.check(p.HeadSHA, "weir/plan", "success")
	w.quiet()
	w.merge(p) // by hand, before anybody approved
	w.quiet()
	w.look("")
	issue := w.issue("prod", func(i sandbox.Issue) bool { return i.State == "open" })
	for _, part := range []string{"merged, never applied", fmt.Sprintf("#%d", p.Number), "`terraform_data.a`"} {
		if !strings.Contains(issue.Title+issue.Body, part) {
			t.Errorf("the issue has no %q:\n%s\n%s", part, issue.Title, issue.Body)
		}
	}

	// Accepted for a while, it is counted and not told.
	w.tell("alice", issue, `weir drift accept --owner alice --reason "after the freeze" --until 2999-12-31`)
	q := w.proposed(issue)
	w.check(q.HeadSHA, "weir/apply", "success")
	w.merge(q)
	w.quiet()
	if rules := w.file("weir.yaml"); !strings.Contains(rules, "after the freeze") {
		t.Errorf("weir.yaml is now:\n%s", rules)
	}
	w.look("")
	w.noIssue()
	if api := w.get("/api/v1/drift"); !strings.Contains(api, `"ignored":{"owner":"alice"`) {
		t.Errorf("what is hidden is not counted: %s", api)
	}
}

// A check that fails says so, and keeps no other from being checked; a project
// that is removed from the repository is not checked any more.
func TestChecksThatFail(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{config: providers(t)})
	broken := w.project("broken", `resource "terraform_data" "b" { input = var.missing }`)
	provider := w.project("provider", "terraform {\n  required_providers {\n    lost = { source = \"hashicorp/lost\" }\n  }\n}\nresource \"lost_thing\" \"a\" {\n}\n")
	_, err := w.box.Push(sandbox.Change{Repo: repo, Branch: "main", As: "alice", Files: map[string]string{"broken/main.tf": broken, "provider/main.tf": provider}})
	w.do(err)
	w.quiet()
	w.look("")
	issue := w.issue("broken", func(i sandbox.Issue) bool { return strings.Contains(i.Title, "broken") && i.State == "open" })
	if !strings.Contains(issue.Body, "failed") || !strings.Contains(issue.Body, "undeclared input variable") {
		t.Errorf("the issue:\n%s", issue.Body)
	}
	issue = w.issue("provider", func(i sandbox.Issue) bool { return strings.Contains(i.Title, "provider") && i.State == "open" })
	if !strings.Contains(issue.Title, "the check fails") || !strings.Contains(issue.Body, "hashicorp/lost") {
		t.Errorf("the issue: %s\n%s", issue.Title, issue.Body)
	}
	w.issue("prod", func(i sandbox.Issue) bool { return strings.Contains(i.Title, "prod") && i.State == "open" }) // never applied
	_, err = w.box.Push(sandbox.Change{Repo: repo, Branch: "main", As: "alice", Delete: []string{"broken"}})
	w.do(err)
	w.quiet()
	w.look("")
	w.issue("broken", func(i sandbox.Issue) bool { return strings.Contains(i.Title, "broken") && i.State == "closed" })
	if page := w.get("/drift"); strings.Contains(page, "broken") || !strings.Contains(page, "prod") {
		t.Errorf("the page:\n%s", page)
	}
}

// Whoever pushes to weir's own branch gets nothing applied: weir is the author,
// so that nobody's own approval would be missing.
func TestI3_PushToWeirsOwnBranch(t *testing.T) {
	t.Parallel()
	w := drifting(t)
	w.look("prod")
	issue := w.issue("prod", func(i sandbox.Issue) bool { return i.State == "open" })
	w.tell("alice", issue, "weir drift revert")
	p := w.proposed(issue)
	w.comment(p, "plan", "local_file.motd")
	w.quiet()
	head, err := w.box.Push(sandbox.Change{Repo: repo, Branch: p.HeadRef, As: "carol", Files: map[string]string{"prod/main.tf": w.motd("prod", "carol's")}})
	w.do(err)
	w.check(head, "weir/plan", "success")
	w.quiet()
	w.review("carol", p, "APPROVE")
	w.review("bob", p, "APPROVE")
	w.until("the gate says why", func() bool {
		runs, err := w.box.Checks(repo, head)
		w.do(err)
		return slices.ContainsFunc(runs, func(r sandbox.CheckRun) bool { return strings.Contains(r.Title, "not what weir proposed") })
	})
	w.quiet()
	if content, err := os.ReadFile(w.outside("prod")); err != nil || string(content) != "by hand" {
		t.Errorf("the file holds %q, %v", content, err)
	}
}

// spoiled is a store whose ledger cannot be read.
type spoiled struct{ store.Store }

func (s spoiled) Get(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	rows, err := s.Store.Get(ctx, keys...)
	for i, row := range rows {
		if strings.HasPrefix(row.Key.Partition, "ledger/") {
			rows[i].Version, rows[i].Body = 1, []byte("{")
		}
	}
	return rows, err
}

// A ledger that is out of order keeps no outcome of an apply back.
func TestI4_OutcomeWithoutALedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{store: func(s store.Store) store.Store { return spoiled{s} }})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", `resource "terraform_data" "a" { input = "two" }`)})
	w.check(p.HeadSHA, "weir/plan", "success")
	w.quiet()
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.quiet()
	if n := w.count(p, "apply"); n != 1 {
		t.Errorf("%d apply comments, want one", n)
	}
	if !strings.Contains(w.stateOf("prod"), `"two"`) {
		t.Error("nothing was applied")
	}
}
