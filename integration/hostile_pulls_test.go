package integration

import (
	"fmt"
	"slices"
	"testing"

	"weir/integration/sandbox"
)

func TestDraftsAreNotApplied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.planned("change", "two")
	w.do(w.box.Draft("alice", repo, p.Number))
	w.quiet()
	w.review("bob", p, "APPROVE")
	w.comment(p, "plan", "draft")
	w.say("alice", p, "weir apply")
	w.comment(p, "apply", "draft")
	w.quiet()
	w.wantApplied("prod")
	w.do(w.box.Ready("alice", repo, p.Number))
	w.check(p.HeadSHA, "weir/apply", "success")
	w.quiet()
	w.wantApplied("prod", "two")
	w.noPending(p.HeadSHA)
}

func TestReopenedIsPlannedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.planned("change", "two")
	w.review("carol", p, "REQUEST_CHANGES")
	w.review("bob", p, "APPROVE")
	w.quiet()
	w.do(w.box.ClosePull("alice", repo, p.Number))
	w.owner("prod", 0)
	w.quiet()
	w.noPending(p.HeadSHA)
	plans := w.calls("plan")
	w.do(w.box.ReopenPull("alice", repo, p.Number))
	w.owner("prod", p.Number)
	w.quiet()
	if w.calls("plan") != plans+1 {
		t.Errorf("terraform planned %d times after the reopening, want once", w.calls("plan")-plans)
	}
	w.check(p.HeadSHA, "weir/apply", "action_required")
	w.wantApplied("prod")
	w.review("carol", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.wantApplied("prod", "two")
}

func TestBaseRetargeted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true, config: []string{"WEIR_BASE_BRANCHES=release"}})
	_, err := w.box.Push(sandbox.Change{Repo: repo, Branch: "release", As: "alice", Files: map[string]string{
		"weir.yaml": "version: 1\napprovals:\n  - {when: {dirs: [prod]}, require: {count: 2}}\n",
	}})
	w.do(err)
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two")
	w.quiet()
	w.box.HoldDeliveries()
	w.review("bob", p, "APPROVE")
	w.do(w.box.EditBase("alice", repo, p.Number, "release"))
	w.box.ReleaseDeliveries(sandbox.Order{Reverse: true})
	w.comment(p, "plan", "2 approvals")
	w.quiet()
	if w.calls("apply") != 0 {
		t.Error("applied with one approval where the new base branch asks for two")
	}
	w.review("carol", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
}

func TestMergedByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})

	// While it is planned.
	w.hold("plan")
	p := w.pull("planning", map[string]string{"prod/main.tf": w.counted("prod", "two")})
	w.held("plan")
	w.merge(p)
	w.do(w.box.WaitDelivered(w.patience()))
	w.open("plan")
	w.owner("prod", 0)
	w.quiet()
	w.noPending(p.HeadSHA)

	// While it waits for its turn, and then before it is applied.
	p = w.planned("unapplied", "three")
	q := w.pull("waiting", map[string]string{"prod/more.tf": "# more\n"})
	w.comment(q, "locked", fmt.Sprintf("#%d", p.Number))
	w.owner("prod", p.Number, q.Number)
	w.merge(q)
	w.owner("prod", p.Number)
	w.quiet()
	w.noPending(p.HeadSHA, q.HeadSHA)
	w.merge(p)
	w.owner("prod", 0)
	w.comment(p, "unlocked", "prod")
	w.quiet()
	if got := w.conclusion(p.HeadSHA, "weir/apply"); got != "failure" {
		t.Errorf("weir/apply of what was merged unapplied is %q, want failure", got)
	}
	w.wantApplied("prod")

	// While it is applied.
	p = w.applying("applying", "four")
	q = w.pull("next", map[string]string{"prod/main.tf": w.counted("prod", "five")})
	w.comment(q, "locked")
	w.merge(p)
	w.do(w.box.WaitDelivered(w.patience()))
	w.open("apply")
	w.comment(p, "apply", "prod")
	w.owner("prod", q.Number)
	w.quiet()
	w.wantApplied("prod", "four")
	w.noPending(p.HeadSHA, q.HeadSHA)
	if got := w.conclusion(p.HeadSHA, "weir/apply"); got != "success" {
		t.Errorf("weir/apply of what was merged while it was applied is %q, want success", got)
	}
}

func TestPlanCommentDeletedByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.planned("change", "two")
	c := w.comment(p, "plan")
	w.do(w.box.Grant(repo, "owner", "admin"))
	w.do(w.box.DeleteComment(w.box.As("owner"), repo, c.ID))
	w.say("alice", p, "weir plan")
	w.comment(p, "plan", "two")
	w.quiet()
	w.wantCounts(p, 1, 0)
	w.noPending(p.HeadSHA)
	w.do(w.box.DeleteComment(w.box.As("owner"), repo, w.comment(p, "plan").ID))
	head := w.push("change", map[string]string{"prod/main.tf": w.counted("prod", "three")})
	w.comment(p, "plan", "three")
	w.check(head, "weir/plan", "success")
	w.quiet()
	w.wantCounts(p, 1, 0)
	w.review("bob", p, "APPROVE")
	w.check(head, "weir/apply", "success")
}

func TestI5_EventsInTheWrongOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	// Closed and reopened, told backwards.
	w.box.HoldDeliveries()
	p := w.pull("open", map[string]string{"prod/main.tf": w.counted("prod", "two")})
	w.do(w.box.ClosePull("alice", repo, p.Number))
	w.do(w.box.ReopenPull("alice", repo, p.Number))
	head := w.push("open", map[string]string{"prod/main.tf": w.counted("prod", "three")})
	w.box.ReleaseDeliveries(sandbox.Order{Reverse: true, Duplicate: 1})
	w.comment(p, "plan", "three")
	w.check(head, "weir/plan", "success")
	w.quiet()
	w.owner("prod", p.Number)
	w.wantCounts(p, 1, 0)
	w.noPending(p.HeadSHA, head)

	// Closed for good, told before it was opened.
	w.box.HoldDeliveries()
	q := w.pull("closed", map[string]string{"prod/main.tf": w.counted("prod", "four")})
	w.do(w.box.ClosePull("alice", repo, q.Number))
	w.box.ReleaseDeliveries(sandbox.Order{Reverse: true})
	w.quiet()
	w.owner("prod", p.Number)
	w.noPending(q.HeadSHA)
}

func TestI10_OverlappingSetsAndWaiters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: map[string]string{"a/main.tf": "", "b/main.tf": "", "c/main.tf": ""}})
	change := func(branch string, dirs ...string) sandbox.Pull {
		files := map[string]string{}
		for _, dir := range dirs {
			files[dir+"/"+branch+".tf"] = fmt.Sprintf("resource \"terraform_data\" %q {\n  input = %q\n}\n", branch, branch)
		}
		return w.pull(branch, files)
	}
	first := change("first", "a", "b")
	w.owner("a", first.Number)
	w.owner("b", first.Number)
	second := change("second", "b", "c")
	w.owner("b", first.Number, second.Number)
	third := change("third", "a", "c")
	fourth := change("fourth", "a", "b", "c")
	fifth := change("fifth", "c")
	w.quiet()
	open := []sandbox.Pull{first, second, third, fourth, fifth}
	for len(open) > 0 {
		w.quiet()
		// One that owns all it wants is there at any time, or nobody
		// would ever get on.
		i := slices.IndexFunc(open, func(p sandbox.Pull) bool { return w.conclusion(p.HeadSHA, "weir/plan") == "success" })
		if i < 0 {
			t.Fatalf("nobody is planned, locks: %+v", w.locks())
		}
		w.comment(open[i], "plan")
		w.do(w.box.ClosePull("alice", repo, open[i].Number))
		open = slices.Delete(open, i, i+1)
	}
	w.quiet()
	if rows := w.locks(); len(rows) != 0 {
		t.Errorf("locks that are left: %+v", rows)
	}
}
