package integration

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"weir/integration/sandbox"
)

// forgetState makes a state not know a resource any more, as one does who made
// it by hand, or who lost the state.
func (w *world) forgetState(project, address string) {
	w.t.Helper()
	program, err := exec.LookPath("terraform")
	if err != nil {
		program, err = exec.LookPath("tofu")
	}
	w.do(err)
	out, err := exec.CommandContext(w.t.Context(), program, "state", "rm", "-state="+w.state(project), address).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
}

// answered waits for an answer on an issue.
func (w *world) answered(issue sandbox.Issue, text string) sandbox.Comment {
	w.t.Helper()
	c, err := w.box.WaitComment(w.patience(), repo, issue.Number, text, func(c sandbox.Comment) bool {
		return isKind(c, "drift") && strings.Contains(c.Body, text)
	})
	w.do(err)
	return c
}

// A resource exists, and the state does not know it: its id is named, an import
// is proposed that changes nothing, approved, applied and merged. Another one
// was removed from the code and is to stay: it is let go of.
func TestDriftIsImportedAndForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: map[string]string{"README.md": "infra"}})
	const kept = "# By hand.\nresource \"terraform_data\" \"by_hand\" {\n}\n"
	p := w.pull("first", map[string]string{"prod/main.tf": w.project("prod", kept+"\nresource \"terraform_data\" \"old\" {\n}")})
	w.check(p.HeadSHA, "weir/plan", "success")
	w.quiet()
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.merge(p)
	w.quiet()
	w.forgetState("prod", "terraform_data.by_hand")
	_, err := w.box.Push(sandbox.Change{Repo: repo, Branch: "main", As: "alice", Files: map[string]string{"prod/main.tf": w.project("prod", kept)}})
	w.do(err)
	w.quiet()
	w.look("")
	issue := w.issue("prod", func(i sandbox.Issue) bool { return i.State == "open" })

	// Without an id, and unnamed, neither is adopted.
	w.tell("alice", issue, "weir drift adopt")
	refused := w.answered(issue, "Nothing of it can be written into the code")
	for _, text := range []string{"`weir drift adopt 'terraform_data.by_hand=ID'`", "`weir drift adopt 'terraform_data.old'`"} {
		if !strings.Contains(refused.Body, text) {
			t.Errorf("%q is missing:\n%s", text, refused.Body)
		}
	}

	w.tell("alice", issue, `weir drift adopt 'terraform_data.by_hand=made "by" ${hand}' terraform_data.old`)
	q := w.proposed(issue)
	w.comment(q, "plan", "1 to import")
	w.check(q.HeadSHA, "weir/apply", "action_required")
	w.quiet()
	for _, text := range []string{"`terraform_data.by_hand`, imported as `made \"by\" ${hand}`", "`terraform_data.old`, which Terraform lets go of", "writes Terraform's state and nothing else"} {
		if !strings.Contains(q.Body, text) {
			t.Errorf("%q is missing:\n%s", text, q.Body)
		}
	}
	w.review("bob", q, "APPROVE")
	w.check(q.HeadSHA, "weir/apply", "success")
	w.merge(q)
	w.quiet()
	if state := w.stateOf("prod"); !strings.Contains(state, `"made \"by\" ${hand}"`) || strings.Contains(state, `"old"`) {
		t.Errorf("the state is %s", state)
	}
	code := w.file("prod/main.tf")
	for _, text := range []string{kept, "import {\n  to = terraform_data.by_hand\n  id = \"made \\\"by\\\" $${hand}\"\n}", "removed {\n  from = terraform_data.old\n"} {
		if !strings.Contains(code, text) {
			t.Errorf("%s has no\n%s", filepath.Join("prod", "main.tf"), code)
		}
	}
	w.look("")
	w.issue("prod", func(i sandbox.Issue) bool { return i.Number == issue.Number && i.State == "closed" })
	w.noIssue()
}
