package integration

import (
	"strings"
	"testing"
)

// A slip of the pen once replaced the plan comment by an error, while the
// approval of the plan stayed.
func TestCommandThatNamesNoProject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	plan := w.comment(p, "plan", "two")
	w.check(p.HeadSHA, "weir/plan", "success")
	for _, command := range []string{"weir plan -d nope", "weir unlock -p nope", "weir apply -w nope"} {
		before := w.count(p, "error")
		w.say("bob", p, command)
		w.until("an answer to "+command, func() bool { return w.count(p, "error") > before })
	}
	w.comment(p, "error", "`-d nope`", "prod")
	w.quiet()
	w.check(p.HeadSHA, "weir/plan", "success")
	w.owner("prod", p.Number)
	if now := w.comment(p, "plan", "two"); now.Body != plan.Body {
		t.Errorf("the plan comment is now\n%s", now.Body)
	}
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
}

// After an apply the plan comment once still said that an approval was needed,
// and the comment of the apply that nothing had changed.
func TestWhatIsSaidAfterAnApply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two", "an approval of somebody")
	w.review("bob", p, "APPROVE")
	apply := w.comment(p, "apply", "prod", "1 created")
	if strings.Contains(apply.Body, "nothing changed") {
		t.Errorf("the apply says that nothing changed:\n%s", apply.Body)
	}
	w.quiet()
	if plan := w.comment(p, "plan", "two"); strings.Contains(plan.Body, "an approval of somebody") {
		t.Errorf("the plan comment still asks for an approval:\n%s", plan.Body)
	}
	if n := w.count(p, "plan"); n != 1 {
		t.Errorf("%d plan comments, want one", n)
	}

	w.say("bob", p, "weir unlock")
	w.comment(p, "unlocked", "prod")
	w.do(w.box.ClosePull("alice", repo, p.Number))
	w.comment(p, "unlocked", "Closed without a merge, after it was applied", "`prod`")
}

// What was applied of a plan with -target is not everything.
func TestPlanWithArgumentsOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	two := resource("two") + strings.ReplaceAll(resource("three"), "\"a\"", "\"b\"")
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", two)})
	w.comment(p, "plan", "2 to create")
	w.say("carol", p, "weir plan -d prod -- -target=terraform_data.a")
	w.comment(p, "plan", "-target=terraform_data.a", "carol")
	w.review("bob", p, "APPROVE")
	w.comment(p, "apply", "1 created", "-target=terraform_data.a", "what is left")
	w.comment(p, "plan", "terraform_data.b", "1 to create")
	w.check(p.HeadSHA, "weir/apply", "action_required")
	w.quiet()
	if state := w.stateOf("prod"); !strings.Contains(state, "two") || strings.Contains(state, "three") {
		t.Errorf("applied something else than the target:\n%s", state)
	}
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	if state := w.stateOf("prod"); !strings.Contains(state, "three") {
		t.Errorf("the rest was not applied:\n%s", state)
	}
}
