package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/integration/sandbox"
)

// many makes n projects that need no terraform of their own.
func many(n int, content string) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("envs/p%03d/main.tf", i)] = content
	}
	return files
}

func TestMoreProjectsThanCanBePlanned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: many(501, resource("one")), gate: true})
	p := w.pull("all", many(501, resource("two")))
	w.comment(p, "plan", "501", "Split")
	w.check(p.HeadSHA, "weir/plan", "failure")
	w.quiet()
	w.noPending(p.HeadSHA)
	if calls := w.calls("plan"); calls != 0 {
		t.Errorf("terraform planned %d times, want never", calls)
	}
	if rows := w.locks(); len(rows) != 0 {
		t.Errorf("%d locks, want none", len(rows))
	}
	w.review("bob", p, "APPROVE")
	w.say("alice", p, "weir apply")
	w.comment(p, "apply")
	w.quiet()
	w.noPending(p.HeadSHA)
}

// More than one commit of the store can write.
func TestMoreProjectsThanOneCommitLocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: many(101, resource("one")), config: []string{"WEIR_TERRAFORM_BINARY=" + fakeTerraform(t)}})
	p := w.pull("all", many(101, resource("two")))
	w.check(p.HeadSHA, "weir/plan", "success")
	q := w.pull("one", map[string]string{"envs/p100/main.tf": resource("three")})
	w.comment(q, "locked", fmt.Sprintf("#%d", p.Number))
	if rows := w.locks(); len(rows) != 101 {
		t.Errorf("%d locks, want 101", len(rows))
	}
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.merge(p)
	w.comment(q, "plan", "p100")
	w.quiet()
	if rows := w.locks(); len(rows) != 1 {
		t.Errorf("%d locks are left after the merge, want the one of #%d", len(rows), q.Number)
	}
}

func TestI6_RepositoriesWhoseNamesArePrefixes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{config: []string{"WEIR_REPOS=acme/app,acme/app-infra"}})
	names := []string{"acme/app", "acme/app-infra"}
	pulls := map[string]sandbox.Pull{}
	for _, full := range names {
		w.createRepo(strings.TrimPrefix(full, "acme/"), map[string]string{"env/main.tf": resource("x"), "env-eu/main.tf": resource("x")})
		_, err := w.box.Push(sandbox.Change{Repo: full, Branch: "b", As: "alice", Files: map[string]string{"env/main.tf": resource("y"), "env-eu/main.tf": resource("y")}})
		w.do(err)
		p, err := w.box.OpenPull("alice", sandbox.NewPull{Repo: full, Head: "b", Title: "b"})
		w.do(err)
		pulls[full] = p
		_, err = w.box.WaitCheck(w.patience(), full, p.HeadSHA, "weir/plan", "success")
		w.do(err)
	}
	if a, b := pulls[names[0]].Number, pulls[names[1]].Number; a != b {
		t.Fatalf("the test needs equal numbers, not %d and %d", a, b)
	}
	w.quiet()
	held := func() (got []string) {
		for _, row := range w.locks() {
			got = append(got, row.Repo+"/"+row.Dir)
		}
		slices.Sort(got)
		return got
	}
	want := func(rows ...string) {
		t.Helper()
		w.do(w.box.WaitDelivered(w.patience()))
		w.quiet()
		if got := held(); !slices.Equal(got, rows) {
			t.Errorf("locks: %q, want %q", got, rows)
		}
	}
	want("acme/app-infra/env", "acme/app-infra/env-eu", "acme/app/env", "acme/app/env-eu")
	say := func(full, body string) {
		_, err := w.box.Comment("bob", full, pulls[full].Number, body)
		w.do(err)
	}
	say("acme/app", "weir unlock -d env")
	want("acme/app-infra/env", "acme/app-infra/env-eu", "acme/app/env-eu")
	say("acme/app", "weir unlock")
	want("acme/app-infra/env", "acme/app-infra/env-eu")
	say("acme/app", "weir plan")
	want("acme/app-infra/env", "acme/app-infra/env-eu", "acme/app/env", "acme/app/env-eu")
	w.do(w.box.ClosePull("alice", "acme/app", pulls["acme/app"].Number))
	want("acme/app-infra/env", "acme/app-infra/env-eu")
	// Its plan files are still there: it can be applied.
	_, err := w.box.Review("bob", "acme/app-infra", pulls["acme/app-infra"].Number, "APPROVE", "")
	w.do(err)
	_, err = w.box.WaitCheck(w.patience(), "acme/app-infra", pulls["acme/app-infra"].HeadSHA, "weir/apply", "success")
	w.do(err)
}

// What GitHub is asked for does not grow with the projects: one call more for
// each would be over every limit here.
func TestFewCalls(t *testing.T) {
	const projects = 20
	for _, blocked := range []bool{false, true} {
		t.Run(fmt.Sprintf("blocked %t", blocked), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{files: many(projects, resource("one")), config: []string{"WEIR_TERRAFORM_BINARY=" + fakeTerraform(t)}})
			if blocked {
				w.do(w.box.Protect(repo, "main", sandbox.Protection{Checks: []string{"weir/plan", "weir/apply", "lint"}, Reviews: 1}))
			}
			calls := func(what string, most int) {
				t.Helper()
				w.quiet()
				var n int
				var text strings.Builder
				for _, c := range w.box.ResetCalls() {
					if strings.HasPrefix(c.Path, "/acme/") || c.Path == "/user" || c.Path == "/app" || strings.Contains(c.Path, "access_tokens") ||
						strings.HasPrefix(c.Path, "/app/") || c.Path == "/installation/repositories" || c.Path == "/repos/"+repo+"/pulls" {
						continue // Git, what is asked once, and reconciling
					}
					n++
					fmt.Fprintf(&text, "\n%s %s %d", c.Method, c.Path, c.Status)
				}
				if n > most {
					t.Errorf("%d calls for %s, at most %d allowed:%s", n, what, most, &text)
				} else {
					t.Logf("%d calls for %s:%s", n, what, &text)
				}
			}
			w.quiet()
			w.box.ResetCalls()
			p := w.pull("all", many(projects, resource("two")))
			w.check(p.HeadSHA, "weir/apply", "action_required")
			calls("a plan", 8)
			if blocked {
				_, err := w.box.SetStatus(w.box.As("alice"), repo, p.HeadSHA, sandbox.Status{Context: "lint", State: "success"})
				w.do(err)
			}
			w.quiet()
			w.box.ResetCalls()
			w.review("bob", p, "APPROVE")
			w.check(p.HeadSHA, "weir/apply", "success")
			w.quiet()
			most := 10
			if blocked {
				most = 11 // where a status of somebody else is required; see docs/performance.md
			}
			calls("an apply", most)
			w.box.ResetCalls()
			head := w.push("all", many(projects, resource("three")))
			w.check(head, "weir/apply", "action_required")
			calls("a plan of a push", 8)
		})
	}
}

// fakeTerraform is a script that answers as terraform does where a resource is
// created, in no time: for tests that need many projects.
func fakeTerraform(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("terraform")
	if err != nil {
		if program, err = exec.LookPath("tofu"); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	run := func(args ...string) []byte {
		cmd := exec.Command(program, args...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("terraform %v: %v", args, err)
		}
		return out
	}
	for name, content := range map[string][]byte{
		"main.tf": []byte(resource("two")), "terraform": fmt.Appendf(nil, `#!/bin/sh
case "$1" in
init) exit 0 ;;
plan)
  for arg in "$@"; do case "$arg" in -out=*) echo "$PWD" > "${arg#-out=}" ;; esac; done
  echo "Plan: 1 to add, 0 to change, 0 to destroy."
  exit 2 ;;
show) # each code has a plan of its own
  sed "s/two/$(sed -n 's/.*input = "\(.*\)"/\1/p' main.tf)/g" %[1]q/plan.json ;;
apply) echo "Apply complete! Resources: 1 added, 0 changed, 0 destroyed." ;;
version) exec %[2]q "$@" ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac
`, dir, program),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run("init", "-input=false")
	run("plan", "-input=false", "-out=plan")
	if err := os.WriteFile(filepath.Join(dir, "plan.json"), run("show", "-json", "plan"), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "terraform")
}
