package integration

import (
	"strings"
	"testing"
)

// What was applied before the close need not be so any more.
func TestReopenedAfterOthersHaveApplied(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.planned("change", "two")
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.quiet()
	w.do(w.box.ClosePull("alice", repo, p.Number))
	w.owner("prod", 0)
	q := w.planned("other", "three")
	w.review("bob", q, "APPROVE")
	w.check(q.HeadSHA, "weir/apply", "success")
	w.quiet()
	w.do(w.box.ClosePull("alice", repo, q.Number))
	w.owner("prod", 0)
	w.quiet()
	plans := w.calls("plan")
	w.do(w.box.ReopenPull("alice", repo, p.Number))
	w.owner("prod", p.Number)
	w.quietly()
	if w.calls("plan") != plans+1 {
		t.Errorf("terraform planned %d times after the reopening, want once", w.calls("plan")-plans)
	}
	if got := w.conclusion(p.HeadSHA, "weir/apply"); got != "action_required" {
		t.Errorf("weir/apply is %q, want action_required: the state holds what the other pull request applied", got)
	}
	w.wantApplied("prod", "two", "three")
}

// A pull request that has ended is still talked about.
func TestWordsAfterTheMerge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.planned("change", "two")
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.quiet()
	w.merge(p)
	w.owner("prod", 0)
	w.quiet()
	w.review("carol", p, "APPROVE")
	w.say("alice", p, "weir plan")
	w.say("alice", p, "weir apply")
	w.say("alice", p, "weir explain")
	w.say("alice", p, "weir unlock")
	w.comment(p, "explain")
	w.quietly()
	w.wantApplied("prod", "two")
	w.owner("prod", 0)
	w.noPending(p.HeadSHA)
	if got := w.conclusion(p.HeadSHA, "weir/apply"); got != "success" {
		t.Errorf("weir/apply is %q, want success", got)
	}

	// The same of one that was closed without being applied.
	p = w.planned("closed", "three")
	w.do(w.box.ClosePull("alice", repo, p.Number))
	w.owner("prod", 0)
	w.quiet()
	w.review("carol", p, "APPROVE")
	w.say("alice", p, "weir plan")
	w.say("alice", p, "weir apply")
	w.say("alice", p, "weir explain")
	w.comment(p, "explain")
	w.quietly()
	w.wantApplied("prod", "two")
	w.owner("prod", 0)
	w.noPending(p.HeadSHA)
}

// quietly is quiet, and fails if a job ended with an error of weir's.
func (w *world) quietly() {
	w.t.Helper()
	w.until("no job is pending or failed", func() bool {
		if failed := w.failedJobs(); failed != "" {
			w.t.Fatalf("a job failed: %s", failed)
		}
		return w.box.WaitDelivered(w.patience()) == nil && strings.Contains(w.get("/metrics"), "\nweir_jobs_pending 0\n")
	})
}

// failedJobs is the newest line of weir's log of an error of ours, "" if none.
func (w *world) failedJobs() (last string) {
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, "level=ERROR msg=\"job") {
			last = line
		}
	}
	return last
}

func TestNothingLeftToApply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.planned("change", "two")
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.quiet()
	before := len(w.comments(p))
	w.say("alice", p, "weir apply")
	w.quiet()
	answers := w.comments(p)[before+1:]
	if len(answers) != 1 {
		t.Errorf("%d answers to `weir apply` with nothing to apply, want one", len(answers))
	}
	for _, c := range answers {
		if !strings.Contains(strings.ToLower(c.Body), "nothing") && !strings.Contains(c.Body, "already") {
			t.Errorf("the answer does not say that nothing is left:\n%s", c.Body)
		}
	}
	w.wantApplied("prod", "two")
	if got := w.conclusion(p.HeadSHA, "weir/apply"); got != "success" {
		t.Errorf("weir/apply is %q, want success", got)
	}
}
