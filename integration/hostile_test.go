package integration

import (
	"testing"

	"weir/integration/sandbox"
	"weir/integration/sandbox/hub"
)

func TestI2_PushDuringAnApply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.applying("change", "two")
	head := w.push("change", map[string]string{"prod/main.tf": w.counted("prod", "evil")})
	w.review("eve", p, "APPROVE")
	w.do(w.box.WaitDelivered(w.patience()))
	w.open("apply")
	w.comment(p, "apply", "prod")
	w.check(head, "weir/plan", "success")
	w.comment(p, "plan", "evil")
	w.quiet()
	w.wantApplied("prod", "two")
	w.wantCounts(p, 2, 1)
	w.noPending(p.HeadSHA, head)
	if got := w.conclusion(head, "weir/apply"); got != "action_required" {
		t.Errorf("weir/apply of the pushed commit is %q, want action_required", got)
	}
	w.owner("prod", p.Number)
}

func TestI4_EverybodyApprovesDuringAnApply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.applying("change", "two")
	w.review("carol", p, "APPROVE")
	w.say("alice", p, "weir apply")
	w.review("bob", p, "APPROVE")
	w.do(w.box.WaitDelivered(w.patience()))
	w.open("apply")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.quiet()
	w.wantApplied("prod", "two")
	if calls := w.calls("apply"); calls != 1 {
		t.Errorf("terraform applied %d times, want once", calls)
	}
	if got := w.conclusion(p.HeadSHA, "weir/apply"); got != "success" {
		t.Errorf("weir/apply is %q, want success", got)
	}
	// What was planned can still be read.
	w.comment(p, "plan", "terraform_data.a", "two")
}

func TestI4_TwoApprovalsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.planned("change", "two")
	w.box.HoldDeliveries()
	w.review("bob", p, "APPROVE")
	w.review("carol", p, "APPROVE")
	w.box.ReleaseDeliveries(sandbox.Order{Duplicate: 2})
	w.check(p.HeadSHA, "weir/apply", "success")
	w.quiet()
	w.wantApplied("prod", "two")
	w.wantCounts(p, 1, 1)
}

func TestDismissedDuringAnApply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.applying("change", "two")
	reviews, err := w.box.Reviews(repo, p.Number)
	w.do(err)
	_, err = w.box.DismissReview("carol", repo, p.Number, reviews[0].ID)
	w.do(err)
	w.do(w.box.WaitDelivered(w.patience()))
	w.open("apply")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.quiet()
	w.wantApplied("prod", "two")
	w.wantCounts(p, 1, 1)
	w.noPending(p.HeadSHA)
}

func TestI3_WhoseApprovalsDoNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.planned("change", "two")
	w.do(w.box.Grant(repo, "robot[bot]", "write"))
	w.review("eve", p, "APPROVE")
	w.review("robot[bot]", p, "APPROVE")
	if _, err := w.box.Review("alice", repo, p.Number, "APPROVE", "Mine."); err == nil {
		t.Error("the sandbox lets an author approve; GitHub does not")
	}
	w.quiet()
	w.wantApplied("prod")

	// Of an old commit, of which GitHub lets anybody submit a review.
	head := w.push("change", map[string]string{"prod/main.tf": w.counted("prod", "three")})
	w.comment(p, "plan", "three")
	w.check(head, "weir/apply", "action_required")
	w.quiet()
	_, err := w.box.AddReview(w.box.As("bob"), repo, p.Number, hub.NewReview{Event: "APPROVE", Body: "The old one.", Commit: p.HeadSHA})
	w.do(err)
	w.quiet()
	w.say("bob", p, "weir apply")
	w.comment(p, "apply", "bob approved")
	w.quiet()
	w.wantApplied("prod")

	// An outsider who is let in counts, one who is sent away does not.
	w.review("carol", p, "COMMENT")
	w.do(w.box.Grant(repo, "carol", "read"))
	w.review("carol", p, "APPROVE")
	w.quiet()
	w.wantApplied("prod")
	w.say("carol", p, "weir apply")
	w.comment(p, "error", "carol has no write access")
	w.quiet()
	w.wantApplied("prod")
	w.review("bob", p, "APPROVE")
	w.check(head, "weir/apply", "success")
	w.wantApplied("prod", "three")
}

func TestPlanRightAfterApply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.applying("change", "two")
	w.say("alice", p, "weir plan")
	w.do(w.box.WaitDelivered(w.patience()))
	w.open("apply")
	w.comment(p, "apply", "prod")
	w.until("it is planned twice", func() bool { return w.calls("plan") >= 2 })
	w.quiet()
	w.check(p.HeadSHA, "weir/apply", "success")
	w.review("carol", p, "APPROVE")
	w.say("alice", p, "weir apply")
	w.quiet()
	w.wantApplied("prod", "two")
	if got := w.conclusion(p.HeadSHA, "weir/apply"); got != "success" {
		t.Errorf("weir/apply is %q after everything was applied, want success", got)
	}
	w.owner("prod", p.Number)
}

func TestApplyOneWhenAnotherFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: map[string]string{
		"weir.yaml": "version: 1\napply: comment\n", "bad/main.tf": "", "good/main.tf": "",
	}, gate: true})
	p := w.pull("both", map[string]string{
		"bad/main.tf":  w.project("bad", "resource \"terraform_data\" \"n\" {\n  provisioner \"local-exec\" { command = \"exit 3\" }\n}\n"),
		"good/main.tf": w.counted("good", "two"),
	})
	w.comment(p, "plan", "`bad`", "`good`")
	w.review("bob", p, "APPROVE")
	w.quiet()
	w.say("alice", p, "weir apply -p bad")
	w.comment(p, "apply", "exit status 3")
	w.quiet()
	w.wantApplied("good")
	w.review("carol", p, "APPROVE")
	w.quiet()
	w.say("alice", p, "weir apply -p good")
	w.until("good is applied", func() bool { return len(w.applied("good")) > 0 })
	w.quiet()
	w.wantApplied("good", "two")
	if got := w.conclusion(p.HeadSHA, "weir/apply"); got == "success" {
		t.Error("weir/apply is success while bad was not applied")
	}
	w.noPending(p.HeadSHA)
	w.owner("bad", p.Number)
}

func TestI3_ForcePushBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.planned("change", "two")
	w.review("carol", p, "REQUEST_CHANGES") // so that the approval does nothing yet
	w.review("bob", p, "APPROVE")
	w.quiet()
	second := w.push("change", map[string]string{"prod/main.tf": w.counted("prod", "three")})
	w.comment(p, "plan", "three")
	w.check(second, "weir/apply", "action_required")
	w.quiet()
	w.review("bob", p, "APPROVE") // of three
	w.quiet()
	back, err := w.box.Push(sandbox.Change{Repo: repo, Branch: "change", From: p.HeadSHA, As: "alice", Message: "back", Files: map[string]string{"prod/main.tf": w.counted("prod", "two")}})
	w.do(err)
	w.check(back, "weir/plan", "success")
	w.quiet()
	// Carol takes her objection back. What counts now is a plan of two, and
	// bob's newest word is for three.
	reviews, err := w.box.Reviews(repo, p.Number)
	w.do(err)
	_, err = w.box.DismissReview("carol", repo, p.Number, reviews[0].ID)
	w.do(err)
	w.quiet()
	w.wantApplied("prod")
	w.review("bob", p, "APPROVE")
	w.check(back, "weir/apply", "success")
	w.quiet()
	w.wantApplied("prod", "two")
	w.noPending(p.HeadSHA, second, back)
}
