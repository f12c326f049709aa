package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/integration/sandbox"
)

// counted is the code of a project whose apply appends its value to a file
// that weir does not know, see world.applied.
func (w *world) counted(name, value string) string {
	w.t.Helper()
	w.do(os.MkdirAll(filepath.Dir(w.appliedFile(name)), 0o700))
	return w.project(name, fmt.Sprintf(`resource "terraform_data" "a" {
  input            = %[1]q
  triggers_replace = %[1]q
  provisioner "local-exec" { command = "echo %[1]s >> %[2]s" }
}
`, value, w.appliedFile(name)))
}

func (w *world) appliedFile(name string) string {
	return filepath.Join(w.dir, "applied", strings.ReplaceAll(name, "/", "-"))
}

// applied lists the values that were applied to a project of counted, the
// oldest first.
func (w *world) applied(name string) []string {
	w.t.Helper()
	data, err := os.ReadFile(w.appliedFile(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	return strings.Fields(string(data))
}

// wantApplied fails unless exactly these values were applied.
func (w *world) wantApplied(name string, values ...string) {
	w.t.Helper()
	if got := w.applied(name); !slices.Equal(got, values) {
		w.t.Errorf("applied to %s: %q, want %q", name, got, values)
	}
}

// noPending fails if a check of weir's on one of the commits has no end.
func (w *world) noPending(commits ...string) {
	w.t.Helper()
	for _, sha := range commits {
		runs, err := w.box.Checks(repo, sha)
		w.do(err)
		for _, run := range runs {
			if run.Status != "completed" {
				w.t.Errorf("check %s of %.8s is left %s: %q", run.Name, sha, run.Status, run.Title)
			}
		}
	}
}

// wantCounts fails unless a pull request has so many comments of weir's.
func (w *world) wantCounts(p sandbox.Pull, plans, applies int) {
	w.t.Helper()
	if gotPlans, gotApplies := w.count(p, "plan"), w.count(p, "apply"); gotPlans != plans || gotApplies != applies {
		w.t.Errorf("#%d has %d plan and %d apply comments, want %d and %d", p.Number, gotPlans, gotApplies, plans, applies)
		for _, c := range w.comments(p) {
			w.t.Logf("comment of %s:\n%s", c.Author.Login, c.Body)
		}
	}
}

// conclusion is what a check says now, "" where it says nothing.
func (w *world) conclusion(sha, name string) string {
	w.t.Helper()
	runs, err := w.box.Checks(repo, sha)
	w.do(err)
	for _, run := range runs {
		if run.Name == name {
			return run.Conclusion
		}
	}
	return ""
}

// planned opens a pull request that changes prod to a value, and waits for
// its plan.
func (w *world) planned(branch, value string) sandbox.Pull {
	w.t.Helper()
	p := w.pull(branch, map[string]string{"prod/main.tf": w.counted("prod", value)})
	w.comment(p, "plan", value)
	w.check(p.HeadSHA, "weir/apply", "action_required")
	w.quiet()
	return p
}

// applying is planned, with an apply that stands still until world.open.
func (w *world) applying(branch, value string) sandbox.Pull {
	w.t.Helper()
	p := w.planned(branch, value)
	w.hold("apply")
	w.review("bob", p, "APPROVE")
	w.held("apply")
	return p
}
