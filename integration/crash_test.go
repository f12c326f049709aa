package integration

import (
	"strings"
	"testing"
)

func TestI4_KilledDuringAnApply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true, process: true})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two")
	w.hold("apply")
	w.review("bob", p, "APPROVE")
	w.held("apply")
	w.kill(true)
	w.open("apply")

	w.startProcess()
	w.comment(p, "apply", "interrupted")
	w.check(p.HeadSHA, "weir/plan", "success")
	w.quiet()
	w.check(p.HeadSHA, "weir/apply", "action_required")
	if applies := w.calls("apply"); applies != 1 {
		t.Errorf("terraform applied %d times, want once: an interrupted apply is never repeated by itself", applies)
	}
	w.owner("prod", p.Number)

	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	if !strings.Contains(w.stateOf("prod"), `"two"`) {
		t.Error("not applied after a new approval")
	}
}

func TestI5_KilledDuringAPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true, process: true})
	w.hold("plan")
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.held("plan")
	w.kill(true)
	w.open("plan")
	w.startProcess()
	w.comment(p, "plan", "two")
	w.check(p.HeadSHA, "weir/plan", "success")
	w.quiet()
	if n := w.count(p, "plan"); n != 1 {
		t.Errorf("%d plan comments, want one", n)
	}
}

func TestShutdownLetsAnApplyFinish(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true, process: true})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two")
	w.hold("apply")
	w.review("bob", p, "APPROVE")
	w.held("apply")
	stopped := make(chan struct{})
	go func() { w.stop(); close(stopped) }()
	w.until("weir says that it stops", func() bool { return strings.Contains(w.log.String(), "stopping") })
	w.open("apply")
	<-stopped
	if !strings.Contains(w.stateOf("prod"), `"two"`) {
		t.Error("the apply did not finish")
	}
	w.startProcess()
	w.check(p.HeadSHA, "weir/apply", "success")
	w.quiet()
	if n := w.count(p, "apply"); n != 1 {
		t.Errorf("%d apply comments, want one", n)
	}
}
