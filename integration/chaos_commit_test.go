package integration

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/server"
	"weir/server/config"
	"weir/store"
	"weir/store/storetest"
)

// dieEnv names the commit at which weir kills itself, and whether before or
// after its effect: "7,1".
const dieEnv = "INTEGRATION_DIE"

// leaseEnv is how long a worker of a weir that is a process may be silent.
const leaseEnv = "INTEGRATION_LEASE"

// dieServe is weir, which kills itself at the commit that dieEnv names.
func dieServe(ctx context.Context) error {
	var at, after int
	_, _ = fmt.Sscanf(os.Getenv(dieEnv), "%d,%d", &at, &after)
	cfg, _, err := config.Load("", os.Environ())
	if err != nil {
		return err
	}
	options := []server.Option{server.WithStore(func(inner store.Store) store.Store {
		return &dier{Faulty: &storetest.Faulty{Store: inner}, at: at, after: after == 1}
	})}
	if lease, err := time.ParseDuration(os.Getenv(leaseEnv)); err == nil {
		options = append(options, server.WithLease(lease))
	}
	s, err := server.New(ctx, cfg, os.Environ(), "test", slog.New(slog.NewTextHandler(os.Stderr, nil)), options...)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

type dier struct {
	*storetest.Faulty
	at    int
	after bool
}

func (d *dier) Commit(ctx context.Context, writes ...store.Write) error {
	n := d.Calls().Commits + 1
	if n == d.at && !d.after {
		die()
	}
	err := d.Faulty.Commit(ctx, writes...)
	if n == d.at && d.after && err == nil {
		die()
	}
	return err
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// TestI4_KilledAtEachCommit kills weir before and after each of its commits,
// and has something else happen before it lives again.
func TestI4_KilledAtEachCommit(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"", "push", "close"} {
		for n := 1; n <= 27; n++ {
			for after := range 2 {
				if what == "close" && n < 4 || !chosen(2*n+after) {
					continue // before the fourth commit there is no pull request to close
				}
				t.Run(fmt.Sprintf("%s %d %d", what, n, after), func(t *testing.T) {
					t.Parallel()
					m := newMortal(t, setup{config: []string{fmt.Sprintf("%s=%d,%d", dieEnv, n, after)}})
					m.watch()
					var head string
					p := m.pull("change", map[string]string{"prod/main.tf": m.counted("prod", "two")})
					m.mu.Lock()
					m.meanwhile = func() {
						switch what {
						case "push":
							head = m.push("change", map[string]string{"prod/main.tf": m.counted("prod", "three")})
						case "close":
							m.do(m.box.ClosePull("alice", repo, p.Number))
						}
					}
					m.mu.Unlock()
					m.settle()
					if head == "" && what != "close" || m.deaths == 0 {
						m.noPending(p.HeadSHA)
						m.check(p.HeadSHA, "weir/plan", "success")
					}
					approvals := 0
					for i := 0; i < 2 && head == "" && m.conclusion(p.HeadSHA, "weir/apply") == "action_required"; i++ {
						approvals++
						m.review("bob", p, "APPROVE")
						m.settle()
						m.noPending(p.HeadSHA)
					}
					if len(m.applied("prod")) > approvals {
						t.Errorf("%d applies, %d approvals", len(m.applied("prod")), approvals)
					}
					if what == "" {
						m.check(p.HeadSHA, "weir/apply", "success")
						m.owner("prod", p.Number)
						if c := m.count(p, "plan"); c != 1 {
							t.Errorf("%d plan comments", c)
						}
						if c := m.count(p, "apply"); c != approvals {
							t.Errorf("%d apply comments, %d approvals", c, approvals)
						}
						m.merge(p)
						m.settle()
						m.owner("prod", 0)
						m.noPending(p.HeadSHA)
					}
					m.settle()
					m.noPending(p.HeadSHA)
					if head != "" {
						m.noPending(head)
						if got := m.conclusion(head, "weir/plan"); got != "success" {
							t.Errorf("weir/plan of new head: %q", got)
						}
					}
					if what == "close" && m.deaths > 0 {
						if rows := m.locks(); len(rows) != 0 {
							t.Errorf("locks %+v", rows)
						}
					}
					live := 0
					for _, c := range m.comments(p) {
						if isKind(c, "plan") && c.Minimized == "" {
							live++
						}
						if isKind(c, "error") {
							t.Errorf("error: %s", c.Body)
						}
					}
					if live > 1 {
						t.Errorf("%d live plan comments", live)
					}
				})
			}
		}
	}
}

// watch notices deaths that come from within.
func (m *mortal) watch() {
	go func() {
		proc := m.proc
		tick := time.NewTicker(3 * time.Millisecond)
		defer tick.Stop()
		for {
			data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", proc.Process.Pid))
			if err != nil || strings.Contains(string(data), ") Z ") {
				m.mu.Lock()
				if m.ending {
					m.mu.Unlock()
					return
				}
				m.down = true
				m.deaths++
				for i, e := range m.env {
					if strings.HasPrefix(e, dieEnv) {
						m.env[i] = dieEnv + "=0,0"
					}
				}
				m.dead <- struct{}{}
				m.mu.Unlock()
				return
			}
			select {
			case <-m.t.Context().Done():
				return
			case <-tick.C:
			}
		}
	}()
}
