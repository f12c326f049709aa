package integration

import (
	"fmt"
	"strings"
	"testing"

	"weir/integration/sandbox"
)

// reconciled waits until weir has written that it has put a pull request right.
func (w *world) reconciled(pull sandbox.Pull, why string) {
	w.t.Helper()
	w.until(why, func() bool {
		for line := range strings.Lines(w.log.String()) {
			if strings.Contains(line, `msg="put right"`) && strings.Contains(line, fmt.Sprintf(" pull=%d ", pull.Number)) && strings.Contains(line, why) {
				return true
			}
		}
		return false
	})
}

// TestI10_WhatHappenedWhileWeirWasDown: with a token no delivery can be asked
// for again, so that all is found by comparing.
func TestI10_WhatHappenedWhileWeirWasDown(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	w := newWorld(t, setup{token: true, files: map[string]string{"README.md": "# infra\n"}})
	for _, dir := range []string{"prod", "dev", "test", "stage", "new", "gone", "again"} {
		files[dir+"/main.tf"] = ""
	}
	_, err := w.box.Push(sandbox.Change{Repo: repo, As: "alice", Message: "Add projects", Files: files})
	w.do(err)
	change := func(branch, dir, value string) sandbox.Pull {
		return w.pull(branch, map[string]string{dir + "/main.tf": w.counted(dir, value)})
	}
	merged := change("merged", "prod", "one")
	w.comment(merged, "plan", "one")
	waits := w.pull("waits", map[string]string{"prod/more.tf": "resource \"terraform_data\" \"b\" {\n  input = \"two\"\n}\n"})
	w.comment(waits, "locked", "prod")
	pushed := change("pushed", "dev", "one")
	approved := change("approved", "stage", "one")
	talked := change("talked", "test", "one")
	closed := change("closed", "gone", "one")
	again := change("again", "again", "one")
	for _, p := range []sandbox.Pull{pushed, approved, talked, closed, again} {
		w.comment(p, "plan", "one")
	}
	w.do(w.box.ClosePull("alice", repo, again.Number))
	w.owner("again", 0)
	w.quiet()

	w.stop()
	w.review("bob", merged, "APPROVE")
	w.merge(merged)
	head := w.push("pushed", map[string]string{"dev/main.tf": w.counted("dev", "two")})
	w.review("bob", approved, "APPROVE")
	w.say("bob", talked, "What is this for?")
	w.do(w.box.ClosePull("alice", repo, closed.Number))
	w.do(w.box.ReopenPull("alice", repo, again.Number))
	opened := change("opened", "new", "one")
	w.do(w.box.WaitDelivered(w.patience())) // nobody was there
	w.start()

	// What was merged is over, and who waited is handed the lock.
	w.reconciled(merged, "It was merged")
	w.comment(waits, "plan", "two")
	w.owner("prod", waits.Number)
	// What was closed is over.
	w.reconciled(closed, "It was closed")
	w.owner("gone", 0)
	// What was pushed, opened again or opened is planned.
	w.check(head, "weir/plan", "success")
	w.comment(pushed, "plan", "two")
	w.check(opened.HeadSHA, "weir/plan", "success")
	w.owner("new", opened.Number)
	w.owner("again", again.Number)
	// What was approved is applied.
	w.check(approved.HeadSHA, "weir/apply", "success")
	w.wantApplied("stage", "one")
	w.quiet()

	// Nothing else was touched, and each is in the audit log, once.
	w.wantCounts(talked, 1, 0)
	w.owner("test", talked.Number)
	for number, want := range map[int]string{
		merged.Number: "It was merged", pushed.Number: "Its newest commit", approved.Number: "It was reviewed", closed.Number: "It was closed", again.Number: "It was opened again",
		opened.Number: "It is open, and weir was never told", talked.Number: "", waits.Number: "",
	} {
		page := w.get(fmt.Sprintf("/pulls/%s/%d", repo, number))
		if n := strings.Count(page, "reconciled"); want == "" && n != 0 || want != "" && (n != 1 || !strings.Contains(page, want)) {
			t.Errorf("%d lines on #%d are about what was put right, want %q\n%s", n, number, want, page)
		}
	}
	w.noPending(merged.HeadSHA, closed.HeadSHA, approved.HeadSHA)
	for _, sha := range []string{head, talked.HeadSHA, again.HeadSHA, opened.HeadSHA, waits.HeadSHA} {
		if got := w.conclusion(sha, "weir/plan"); got != "success" {
			t.Errorf("weir/plan of %.8s is %q", sha, got)
		}
	}
}

// TestI5_DeliveriesThatGitHubCouldNotMake: what no comparing can find, such as
// a command, is asked for again.
func TestI5_DeliveriesThatGitHubCouldNotMake(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	p := w.planned("change", "two")
	w.stop()
	w.say("alice", p, "weir explain")
	w.say("alice", p, "Nothing for weir.")
	w.do(w.box.WaitDelivered(w.patience()))
	w.start()
	w.comment(p, "explain", "approv")
	w.quiet()
	if n := w.count(p, "explain"); n != 1 {
		t.Errorf("explained %d times", n)
	}
	attempts := map[string][]sandbox.Delivery{}
	for _, d := range w.box.Deliveries() {
		attempts[d.GUID] = append(attempts[d.GUID], d)
	}
	again := 0
	for guid, all := range attempts {
		first, last := all[0], all[len(all)-1]
		switch {
		case first.Code != 0 && len(all) > 1:
			t.Errorf("%s %s arrived, and was asked for again", first.Event, guid)
		case first.Code == 0 && first.Event == "issue_comment":
			again++
			if len(all) != 2 || !last.Redelivery || last.Code != 202 {
				t.Errorf("%s was tried %d times, at last with %d", guid, len(all), last.Code)
			}
		}
	}
	if again != 2 {
		t.Errorf("%d comments were lost and asked for again, want 2", again)
	}
}
