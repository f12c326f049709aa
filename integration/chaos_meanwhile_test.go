package integration

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"weir/integration/sandbox"
)

// TestI9_MuchHappensWhileWeirIsDead kills weir at each of its calls, in the
// plan and in the apply, and does something else before it lives again.
func TestI9_MuchHappensWhileWeirIsDead(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"push", "close", "merge", "draft", "say plan", "dismiss", "base"} {
		for n := 1; n <= 20; n++ {
			for i, effect := range []bool{false, true} {
				if !chosen(2*n + i) {
					continue
				}
				t.Run(fmt.Sprintf("%s %d %t", what, n, effect), func(t *testing.T) {
					t.Parallel()
					m := newMortal(t, setup{})
					m.settle()
					head := ""
					approved := 0
					p := m.heldPull("change", map[string]string{"prod/main.tf": m.counted("prod", "two")})
					m.meanwhile = func() {
						switch what {
						case "push":
							head = m.push("change", map[string]string{"prod/main.tf": m.counted("prod", "three")})
						case "close":
							m.do(m.box.ClosePull("alice", repo, p.Number))
						case "merge":
							m.merge(p)
						case "draft":
							m.do(m.box.Draft("alice", repo, p.Number))
						case "say plan":
							m.say("alice", p, "weir plan")
						case "dismiss":
							rs, err := m.box.Reviews(repo, p.Number)
							m.do(err)
							if len(rs) > 0 {
								_, err := m.box.DismissReview("carol", repo, p.Number, rs[0].ID)
								m.do(err)
							}
						case "base":
							_, err := m.box.Push(sandbox.Change{Repo: repo, As: "alice", Files: map[string]string{"prod/other.tf": "# base moves\n"}})
							m.do(err)
						}
					}
					m.dieAt(n, effect, n%2 == 0)
					m.box.ReleaseDeliveries(sandbox.Order{})
					m.settle()
					if m.deaths == 0 { // in the apply then
						m.review("bob", p, "APPROVE")
						approved++
						m.settle()
					}
					if m.deaths == 0 {
						t.Skip("so many calls there are not")
					}
					m.settle()
					m.noPending(p.HeadSHA)
					if head != "" {
						m.noPending(head)
						if got := m.conclusion(head, "weir/plan"); got != "success" {
							t.Errorf("weir/plan of the newest commit is %q", got)
						}
					}
					if got := m.applied("prod"); len(got) > approved || slices.Contains(got, "three") {
						t.Errorf("applied: %q after %d approvals", got, approved)
					}
					if got := m.count(p, "error"); got > 0 {
						t.Errorf("%d error comments", got)
					}
					open := 0
					perJob := map[string]int{}
					for _, c := range m.comments(p) {
						if isKind(c, "plan") && c.Minimized == "" {
							open++
						}
						if strings.HasPrefix(c.Body, "<!-- weir") {
							line, _, _ := strings.Cut(c.Body, "\n")
							perJob[line]++
						}
					}
					if open > 1 {
						t.Errorf("%d plan comments that are not minimised", open)
						for _, c := range m.comments(p) {
							t.Logf("%s: %.300s", c.Minimized, c.Body)
						}
					}
					for line, k := range perJob {
						if k > 1 {
							t.Errorf("%d times: %s", k, line)
						}
					}
					if what == "close" || what == "merge" {
						if rows := m.locks(); len(rows) != 0 {
							t.Errorf("locks that are left: %+v", rows)
						}
					} else {
						m.owner("prod", p.Number)
					}
					for _, kind := range []string{"plan", "apply"} {
						if what == "push" || what == "draft" || what == "say plan" || what == "base" {
							h := p.HeadSHA
							if head != "" {
								h = head
							}
							if m.conclusion(h, "weir/"+kind) == "" {
								t.Errorf("no weir/%s on the head", kind)
							}
						}
					}
				})
			}
		}
	}
}

// heldPull opens a pull request and holds its deliveries back.
func (w *world) heldPull(branch string, files map[string]string) sandbox.Pull {
	w.box.HoldDeliveries()
	return w.pull(branch, files)
}

// chosen says whether a case of many is run: every 72nd, and all of them with
// WEIR_CHAOS.
func chosen(n int) bool { return n%72 == 4 || os.Getenv("WEIR_CHAOS") != "" }
