package integration

import (
	"strings"
	"testing"
	"time"
)

// briefly is a lease for tests of one takeover.
const briefly = 2 * time.Second

func TestI5_ReplicaKilledDuringAPlan(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, briefly, 1, setup{})
	c.hold("plan")
	p := c.pull("change", map[string]string{"prod/main.tf": c.counted("prod", "two")})
	c.held("plan")
	dead := c.planner()
	dead.kill(true)
	c.open("plan")
	began := time.Now()
	c.comment(p, "plan", "two")
	t.Logf("planned by another %v after the death", time.Since(began))
	c.check(p.HeadSHA, "weir/plan", "success")
	c.settle()
	c.noPending(p.HeadSHA)
	if c.planner() == dead {
		t.Error("planned by the dead")
	}
	c.wantCounts(p, 1, 0)
	c.owner("prod", p.Number)
	c.wantOnce(p.Number)
}

func TestI4_ReplicaKilledDuringAnApply(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, briefly, 1, setup{})
	p := c.planned("change", "two")
	c.hold("apply")
	c.review("bob", p, "APPROVE")
	c.held("apply")
	c.applier().kill(true)
	c.open("apply")
	c.comment(p, "apply", "interrupted")
	c.settle()
	c.check(p.HeadSHA, "weir/plan", "success")
	c.check(p.HeadSHA, "weir/apply", "action_required")
	c.wantCounts(p, 1, 1)
	c.wantApplied("prod")
	c.owner("prod", p.Number)
	if n := c.calls("apply"); n != 1 {
		t.Errorf("terraform applied %d times, want once: an interrupted apply is never repeated by itself", n)
	}

	c.review("bob", p, "APPROVE")
	c.settle()
	c.check(p.HeadSHA, "weir/apply", "success")
	c.wantApplied("prod", "two")
	c.wantCounts(p, 1, 2)
	c.noPending(p.HeadSHA)
	c.wantOnce(p.Number)
}

// The apply of a paused replica goes on, and ends while the replica is not
// there or after it has come back. In between its work was given to another.
func TestI4_ReplicaPausedDuringAnApply(t *testing.T) {
	t.Parallel()
	for name, early := range map[string]bool{"ends meanwhile": true, "ends afterwards": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 2, briefly, 1, setup{})
			p := c.planned("change", "two")
			c.hold("apply")
			c.review("bob", p, "APPROVE")
			c.held("apply")
			paused := c.applier()
			paused.pause()
			c.balancer.only(c.other(paused))
			c.comment(p, "apply", "interrupted")
			c.settle()
			c.check(p.HeadSHA, "weir/apply", "action_required")
			before := c.pullAPI(p.Number)
			if early {
				c.open("apply")
				c.until("terraform has applied", func() bool { return len(c.applied("prod")) == 1 })
			}
			paused.resume()
			paused.logs("msg=\"job lost\"")
			c.open("apply")
			paused.logs("another worker took this job over")
			c.balancer.only(nil)
			c.settle()
			after := c.pullAPI(p.Number)
			if len(after.Projects) != 1 || after.Projects[0] != before.Projects[0] || after.Projects[0].State != "planned" {
				t.Errorf("who came back has changed the record:\n%+v\n%+v", before, after)
			}
			c.check(p.HeadSHA, "weir/apply", "action_required")
			c.wantCounts(p, 1, 1)
			c.noPending(p.HeadSHA)

			// The plan that was made meanwhile is refused by terraform if the
			// apply came through.
			c.review("bob", p, "APPROVE")
			c.settle()
			c.wantApplied("prod", "two")
			c.noPending(p.HeadSHA)
			c.owner("prod", p.Number)
			c.wantOnce(p.Number)
			paused.kill(true) // it may go on trying for a while
		})
	}
}

func TestI2_PlannedByOneAppliedByAnother(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, briefly, 1, setup{})
	p := c.planned("change", "two")
	shown := c.pullAPI(p.Number).Projects[0]
	dead := c.planner()
	dead.kill(true)
	c.balancer.only(c.other(dead))
	c.review("bob", p, "APPROVE")
	c.check(p.HeadSHA, "weir/apply", "success")
	c.settle()
	c.wantApplied("prod", "two")
	applied := c.lines("applied-by")
	if len(applied) != 1 || applied[0][0] != shown.PlanDigest || c.named(applied[0][1]) == dead {
		t.Errorf("applied: %q, want plan file %s by another than %s", applied, shown.PlanDigest, dead.name)
	}
	if n := c.calls("plan"); n != 1 {
		t.Errorf("planned %d times, want once", n)
	}
	c.wantCounts(p, 1, 1)
	c.wantOnce(p.Number)
}

func TestOneReplicaCancelsThePlanOfAnother(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"push", "unlock"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, 2, briefly, 1, setup{})
			c.hold("plan")
			p := c.pull("change", map[string]string{"prod/main.tf": c.counted("prod", "two")})
			c.held("plan")
			busy := c.planner()
			c.balancer.only(c.other(busy))
			head := p.HeadSHA
			if what == "push" {
				head = c.push("change", map[string]string{"prod/main.tf": c.counted("prod", "three")})
				c.until("terraform was ended and begun again", func() bool { return c.calls("plan") == 2 })
				c.open("plan")
				c.check(head, "weir/plan", "success")
				c.comment(p, "plan", "three")
				c.owner("prod", p.Number)
			} else {
				c.say("alice", p, "weir unlock")
				c.comment(p, "unlocked")
				c.owner("prod", 0)
			}
			c.settle()
			busy.logs("job superseded")
			for _, one := range c.comments(p) {
				if isKind(one, "plan") && strings.Contains(one.Body, `"two"`) {
					t.Errorf("the plan that was cancelled is told:\n%s", one.Body)
				}
			}
			c.noPending(p.HeadSHA, head)
			c.wantOnce(p.Number)
		})
	}
}

func TestI5_OnePullRequestOnThreeReplicas(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, briefly, 1, setup{})
	p := c.pull("change", map[string]string{"prod/main.tf": c.counted("prod", "v0")})
	head := p.HeadSHA
	for _, value := range []string{"v1", "v2", "v3"} {
		c.say("alice", p, "weir plan")
		head = c.push("change", map[string]string{"prod/main.tf": c.counted("prod", value)})
		c.say("bob", p, "weir explain")
	}
	c.settle()
	c.check(head, "weir/plan", "success")
	c.comment(p, "plan", "v3")
	for range 3 {
		c.review("bob", p, "APPROVE")
		c.say("carol", p, "weir apply")
	}
	c.settle()
	c.check(head, "weir/apply", "success")
	c.wantApplied("prod", "v3")
	c.noPending(p.HeadSHA, head)
	c.merge(p)
	c.settle()
	c.owner("prod", 0)
	if len(c.balancer.taken) != 3 {
		t.Errorf("deliveries were accepted by %v, want all three", c.balancer.taken)
	}
	c.wantOnce(p.Number)
}

// A head that conflicts has no merge. A replica that had never seen the one of
// the head before once tried to make it of the new one, in vain.
func TestConflictSeenByAnotherReplica(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2, briefly, 1, setup{})
	p := c.planned("change", "two")
	dead := c.planner()
	other := c.pull("other", map[string]string{"prod/main.tf": c.counted("prod", "three")})
	c.merge(other)
	c.settle()
	head := c.push("change", map[string]string{"prod/main.tf": c.counted("prod", "four")})
	c.settle()
	c.check(head, "weir/plan", "failure")
	dead.kill(true)
	c.balancer.only(c.other(dead))
	c.say("alice", p, "weir explain")
	c.comment(p, "explain")
	c.settle()
}

// A replica dies after it has planned and before it has told: the one that
// takes over has nothing of the repository yet.
func TestI9_TellingAPlanOfAnother(t *testing.T) {
	t.Parallel()
	replicaAtWrite(t, "plan", 11, true, true)
}
