package integration

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// TestI4_ReplicaAtEachWrite kills a replica, or pauses it for longer than its
// lease, before or after each write of its own: in the plan, and in the apply.
// A write that is held up by the pause reaches the table all the same, when it
// goes on.
func TestI4_ReplicaAtEachWrite(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"plan", "apply"} {
		for n := 1; n <= 12; n++ {
			for _, how := range []string{"killed before", "killed after", "paused before", "paused after"} {
				name := fmt.Sprintf("%s %d %s", what, n, how)
				if os.Getenv("WEIR_CHAOS") == "" && name != "apply 5 paused before" {
					continue // each takes a lease; killed in the plan is TestI9_TellingAPlanOfAnother
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					replicaAtWrite(t, what, n, how[:6] == "killed", how[7:] == "after")
				})
			}
		}
	}
}

func replicaAtWrite(t *testing.T, what string, n int, kill, effect bool) {
	c := newCluster(t, 2, 6*time.Second, 1, setup{})
	c.settle()
	victim := c.replicas[0]
	c.balancer.only(victim)
	hit := make(chan struct{})
	lay := func() {
		victim.proxy.set(&trap{n: n, effect: effect, spring: func() <-chan struct{} {
			c.balancer.only(c.replicas[1])
			defer close(hit)
			if kill {
				victim.kill(true)
				return nil
			}
			return victim.pause()
		}})
	}
	sprung := func() bool {
		victim.proxy.set(nil)
		select {
		case <-hit:
			return true
		default:
			return false
		}
	}
	if what == "plan" {
		lay()
	}
	p := c.pull("change", map[string]string{"prod/main.tf": c.counted("prod", "two")})
	approvals := 0
	if what == "apply" {
		c.settle()
		lay()
		c.review("bob", p, "APPROVE")
		approvals++
	}
	c.settle()
	if !sprung() {
		t.Skip("so many writes there are not")
	}
	if !kill {
		// All that it left is done by now, or it is the last to know; in
		// either case its lease is over.
		select {
		case <-time.After(c.lease + 2*time.Second):
		case <-t.Context().Done():
		}
		victim.resume()
	}
	c.balancer.only(nil)
	c.settle()
	c.noPending(p.HeadSHA)
	c.check(p.HeadSHA, "weir/plan", "success")
	for c.conclusion(p.HeadSHA, "weir/apply") != "success" {
		if approvals++; approvals > 2 {
			t.Fatalf("approved %d times, weir/apply is %q", approvals, c.conclusion(p.HeadSHA, "weir/apply"))
		}
		c.review("bob", p, "APPROVE")
		c.settle()
	}
	if got := c.applied("prod"); len(got) > approvals || slices.Contains(got, "") || len(got) == 0 {
		t.Errorf("applied: %q after %d approvals", got, approvals)
	}
	if got := c.count(p, "plan"); got != 1 {
		t.Errorf("%d plan comments for one commit", got)
	}
	if got := c.count(p, "apply"); got != approvals {
		t.Errorf("%d apply comments after %d approvals", got, approvals)
	}
	c.merge(p)
	c.settle()
	c.owner("prod", 0)
	c.noPending(p.HeadSHA)
	c.wantOnce(p.Number)
}
