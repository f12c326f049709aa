package integration

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"weir/integration/sandbox"
)

// mortal is a weir of its own process that dies and is started again.
type mortal struct {
	*world
	mu        sync.Mutex
	down      bool            // killed, and not started again yet
	dead      chan struct{}   // gets a value at each death
	keeper    sync.WaitGroup  // starts it again
	again     map[string]bool // deliveries that were sent again
	deaths    int
	seen      atomic.Int64 // calls since dieAt
	ending    bool
	meanwhile func() // done at the first death, before weir lives again
}

func newMortal(t *testing.T, s setup) *mortal {
	t.Helper()
	s.process, s.gate = true, true
	m := &mortal{world: newWorld(t, s), dead: make(chan struct{}, 1), again: map[string]bool{}}
	m.keeper.Go(func() {
		for range m.dead {
			m.stop()
			m.open("plan")
			m.open("apply")
			m.mu.Lock()
			do := m.meanwhile
			m.meanwhile = nil
			m.mu.Unlock()
			if do != nil {
				do()
			}
			m.startProcess()
			m.mu.Lock()
			m.down = false
			m.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		m.box.ClearFaults()
		m.mu.Lock()
		m.ending = true
		close(m.dead)
		m.mu.Unlock()
		m.keeper.Wait()
	})
	return m
}

// die kills weir, and what it has started too if all is set.
func (m *mortal) die(all bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down || m.ending {
		return
	}
	m.down = true
	m.deaths++
	pid := m.proc.Process.Pid
	if all {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // it must not see that they die
		killChildren(m.t, pid)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL) // it is ours, and waited for only after this
	m.dead <- struct{}{}
}

// dieAt lets weir die at its n-th call of GitHub or Git from now on, before or
// after its effect.
func (m *mortal) dieAt(n int, effect, all bool) {
	m.seen.Store(0)
	m.box.Fault(sandbox.Rule{Effect: effect, Match: func(*http.Request) bool {
		if m.seen.Add(1) != int64(n) {
			return false
		}
		m.die(all)
		return true
	}})
}

// settle waits until weir lives, has been told everything and has done it.
// What it was not there for is delivered again, as an operator would.
func (m *mortal) settle() {
	m.t.Helper()
	m.until("weir has done everything", func() bool {
		m.mu.Lock()
		down := m.down
		m.mu.Unlock()
		if down || m.box.WaitDelivered(m.patience()) != nil {
			return false
		}
		for _, d := range m.box.Deliveries() {
			if d.Code >= 300 || d.Code == 0 {
				if id := fmt.Sprint(d.ID); !m.again[id] {
					m.again[id] = true
					m.do(m.box.Redeliver(d.ID))
					return false
				}
			}
		}
		return strings.Contains(m.get("/metrics"), "\nweir_jobs_pending 0\n")
	})
}

// lives takes a pull request from its opening to its merge while weir may die
// at any moment, and says how many approvals that took.
func (m *mortal) lives() {
	m.t.Helper()
	p := m.pull("change", map[string]string{"prod/main.tf": m.counted("prod", "two")})
	m.settle()
	m.check(p.HeadSHA, "weir/plan", "success")
	m.check(p.HeadSHA, "weir/apply", "action_required")
	m.comment(p, "plan", "two")
	approvals := 0
	for m.conclusion(p.HeadSHA, "weir/apply") != "success" {
		if approvals++; approvals > 2 {
			m.t.Fatalf("approved %d times, weir/apply is %q", approvals, m.conclusion(p.HeadSHA, "weir/apply"))
		}
		m.review("bob", p, "APPROVE")
		m.settle()
		m.noPending(p.HeadSHA)
		m.owner("prod", p.Number)
	}
	if got := len(m.applied("prod")); got > approvals || got == 0 {
		m.t.Errorf("%d applies after %d approvals", got, approvals)
	}
	if got := m.count(p, "plan"); got != 1 {
		m.t.Errorf("%d plan comments for one commit, want one", got)
	}
	if got := m.count(p, "apply"); got != approvals {
		m.t.Errorf("%d apply comments after %d approvals", got, approvals)
	}
	if approvals > 1 {
		m.comment(p, "apply", "interrupted")
	}
	m.merge(p)
	m.settle()
	m.owner("prod", 0)
	m.noPending(p.HeadSHA)
	if n := m.count(p, "error"); n != 0 {
		m.t.Errorf("%d error comments", n)
	}
}

func TestI4_KilledAtEachCall(t *testing.T) {
	t.Parallel()
	clean := newMortal(t, setup{})
	clean.settle()
	clean.box.ResetCalls()
	clean.lives()
	calls := len(clean.box.Calls())
	t.Logf("%d calls", calls)
	step, both := 7, false
	if os.Getenv("WEIR_CHAOS") != "" {
		step, both = 1, true
	}
	for n := 1; n <= calls; n += step {
		for _, effect := range []bool{false, true} {
			if turn := n / step % 4; !both && effect != (turn == 1 || turn == 2) {
				continue // in turn, as is whether terraform dies, too
			}
			t.Run(fmt.Sprintf("%d effect %t", n, effect), func(t *testing.T) {
				t.Parallel()
				m := newMortal(t, setup{})
				m.settle()
				m.dieAt(n, effect, n%2 == 0)
				m.lives()
				// What is due at the same time is told in one call or in two, so
				// that the last calls are not always there to die at.
				if seen := m.seen.Load(); m.deaths != 1 && (m.deaths > 1 || seen >= int64(n) || n < calls-3) {
					t.Errorf("weir died %d times in %d calls, want once", m.deaths, seen)
				}
			})
		}
	}
}

// What happens while nobody listens counts as much as what is heard.
func TestI4_ADraftWhileWeirIsDead(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, 6} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			m := newMortal(t, setup{})
			m.settle()
			m.box.HoldDeliveries()
			p := m.pull("change", map[string]string{"prod/main.tf": m.counted("prod", "two")})
			m.meanwhile = func() { m.do(m.box.Draft("alice", repo, p.Number)) }
			m.dieAt(n, true, true)
			m.box.ReleaseDeliveries(sandbox.Order{})
			m.settle()
			m.review("bob", p, "APPROVE")
			m.settle()
			m.wantApplied("prod")
			m.comment(p, "plan", "draft")
			m.noPending(p.HeadSHA)
			m.do(m.box.Ready("alice", repo, p.Number))
			m.settle()
			m.wantApplied("prod", "two")
			m.wantCounts(p, 1, 1)
		})
	}
}
