package integration

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// cluster is a sandbox and several weirs that share a table of DynamoDB, each a
// process with a directory of its own, behind a balancer that takes turns.
type cluster struct {
	*world
	lease    time.Duration
	replicas []*replica
	balancer *balancer
	ledger   *ledger
	again    map[int64]bool // deliveries that were sent again
}

// replica is one of these weirs. Its methods are safe for concurrent use.
type replica struct {
	c     *cluster
	name  string
	env   []string
	proxy *proxy // to the table
	cloud *proxy // to the bucket and the queue; nil: it has none
	log   *lockedBuffer
	url   atomic.Pointer[string]

	mu     sync.Mutex
	proc   *exec.Cmd // nil: it is down
	ended  chan struct{}
	paused bool
	kills  int
	woken  chan struct{} // closed when it is not paused any more
}

// newCluster starts n replicas, whose workers are dead after a lease. Plan files
// and logs are in a folder that they share, and nobody is told of work.
func newCluster(t *testing.T, n int, lease time.Duration, seed uint64, s setup) *cluster {
	t.Helper()
	return newClusterOn(t, nil, n, lease, seed, s)
}

// newClusterOn is newCluster with a bucket and a queue, if where is not nil.
func newClusterOn(t *testing.T, where *cloud, n int, lease time.Duration, seed uint64, s setup) *cluster {
	t.Helper()
	s.noServer, s.gate = true, true
	s.config = append(shared(t), s.config...)
	c := &cluster{lease: lease, again: map[int64]bool{}}
	c.world = newWorld(t, s)
	var table, endpoint string
	for _, e := range c.env {
		if rest, ok := strings.CutPrefix(e, "WEIR_STORE=dynamodb://"); ok {
			table, _, _ = strings.Cut(rest, "?")
			_, endpoint, _ = strings.Cut(rest, "endpoint=")
		}
	}
	c.ledger = newLedger(t, endpoint, table)
	c.balancer = newBalancer(c)
	for i := range n {
		r := &replica{c: c, name: fmt.Sprintf("replica-%d", i), proxy: newProxy(t, endpoint, seed*16+uint64(i)), log: &lockedBuffer{}}
		tmp := filepath.Join(c.dir, r.name+"-tmp")
		c.do(os.MkdirAll(tmp, 0o700))
		r.env = append(slices.Clone(c.env), serveEnv+"=1", raceEnv(), leaseEnv+"="+lease.String(), "TMPDIR="+tmp,
			"WEIR_DATA_DIR="+filepath.Join(c.dir, r.name), "WEIR_PUBLIC_URL="+c.balancer.url(), "WEIR_TERRAFORM_BINARY="+c.script(r.name),
			"WEIR_STORE=dynamodb://"+table+"?region=eu-west-1&endpoint="+r.proxy.url())
		if where != nil {
			r.cloud = newProxy(t, where.server, seed*16+8+uint64(i))
			r.env = append(r.env, where.env(r.cloud.url())...)
		}
		c.replicas = append(c.replicas, r)
	}
	t.Cleanup(c.finish)
	var starting sync.WaitGroup
	for i, r := range c.replicas {
		begin := func() {
			if err := r.start(); err != nil {
				t.Error(err)
			}
		}
		if i == 0 {
			begin() // it makes what all share
		} else {
			starting.Go(begin)
		}
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	c.serveAt(c.balancer.url())
	return c
}

// script is the world's terraform, which also writes down who ran it and what
// plan file was applied where: what happened, apart from weir's own records.
func (c *cluster) script(name string) string {
	file := filepath.Join(c.dir, "terraform-"+name)
	c.do(os.WriteFile(file, []byte(fmt.Sprintf(`#!/bin/sh
for last; do :; done
case "$1" in
plan) echo %[3]q >> %[1]q/planned-by ;;
apply) echo "$(sha256sum < "$last" | cut -c 1-64)" %[3]q "$(basename "$PWD")" >> %[1]q/applied-by ;;
esac
exec %[2]q "$@"
`, c.gateDir(), filepath.Join(c.dir, "terraform"), name)), 0o700))
	return file
}

// lines are what the scripts have written down.
func (c *cluster) lines(name string) [][]string {
	c.t.Helper()
	data, err := os.ReadFile(filepath.Join(c.gateDir(), name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Fatal(err)
	}
	var all [][]string
	for line := range strings.Lines(string(data)) {
		all = append(all, strings.Fields(line))
	}
	return all
}

// planner is the replica that has planned last.
func (c *cluster) planner() *replica {
	c.t.Helper()
	all := c.lines("planned-by")
	if len(all) == 0 {
		c.t.Fatal("nothing was planned")
	}
	return c.named(all[len(all)-1][0])
}

// applier is the replica that has applied last, or begun to.
func (c *cluster) applier() *replica {
	c.t.Helper()
	all := c.lines("applied-by")
	if len(all) == 0 {
		c.t.Fatal("nothing was applied")
	}
	return c.named(all[len(all)-1][1])
}

func (c *cluster) named(name string) *replica {
	return c.replicas[slices.IndexFunc(c.replicas, func(r *replica) bool { return r.name == name })]
}

// other is a replica that is not r.
func (c *cluster) other(r *replica) *replica {
	return c.replicas[(slices.Index(c.replicas, r)+1)%len(c.replicas)]
}

func (r *replica) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = r.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ready, ended := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		r.log.copyFrom(out, ready)
		_ = cmd.Wait() // killed, mostly
	}()
	r.mu.Lock()
	r.proc, r.ended, r.paused = cmd, ended, false
	r.mu.Unlock()
	select {
	case address := <-ready:
		url := "http://" + address
		r.url.Store(&url)
		return nil
	case <-ended:
		r.mu.Lock()
		if r.proc == cmd {
			r.proc = nil
			r.wake()
		}
		r.mu.Unlock()
		return fmt.Errorf("%s did not start:\n%s", r.name, r.log)
	case <-time.After(60 * time.Second):
		return fmt.Errorf("%s is not ready after a minute", r.name)
	}
}

// kill ends it as a power cut does, terraform with it if all is set. It
// reports whether it lived.
func (r *replica) kill(all bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.proc == nil {
		return false
	}
	pid := r.proc.Process.Pid
	_ = syscall.Kill(pid, syscall.SIGSTOP) // so that it starts nothing more
	if all {
		killChildren(r.c.t, pid)
	}
	_ = r.proc.Process.Kill()
	<-r.ended
	r.proc = nil
	r.kills++
	r.wake()
	return true
}

// pause stops it, but not what it has started; resume lets it go on as if
// nothing had been. pause returns what is closed by then, nil if it is down.
func (r *replica) pause() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.proc == nil {
		return nil
	}
	if !r.paused {
		r.paused, r.woken = true, make(chan struct{})
		_ = syscall.Kill(r.proc.Process.Pid, syscall.SIGSTOP)
	}
	return r.woken
}

func (r *replica) resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.proc != nil && r.paused {
		_ = syscall.Kill(r.proc.Process.Pid, syscall.SIGCONT)
	}
	r.wake()
}

// wake is called with mu held.
func (r *replica) wake() {
	if r.paused {
		r.paused = false
		close(r.woken)
	}
}

func (r *replica) state() (up, paused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proc != nil, r.paused
}

// ways are all its ways to AWS.
func (r *replica) ways() []*proxy {
	if r.cloud == nil {
		return []*proxy{r.proxy}
	}
	return []*proxy{r.proxy, r.cloud}
}

// to names a way.
func (r *replica) to(way *proxy) string {
	if way == r.cloud {
		return " to bucket and queue"
	}
	return " to the table"
}

// calm lets everything pass on all ways.
func (r *replica) calm() {
	for _, p := range r.ways() {
		p.set(nil)
		p.weather(0)
		p.gossip(0)
		p.light()
	}
}

// logs waits until it has logged a text.
func (r *replica) logs(text string) {
	r.c.t.Helper()
	r.c.until(r.name+" logs "+text, func() bool { return strings.Contains(r.log.String(), text) })
}

// finish ends all that still live, and fails the test for those that had ended
// by themselves.
func (c *cluster) finish() {
	c.open("plan")
	c.open("apply")
	for _, r := range c.replicas {
		r.calm()
		r.resume()
		r.mu.Lock()
		if r.proc != nil {
			select {
			case <-r.ended:
				c.t.Errorf("%s has ended by itself", r.name)
			default:
				_ = r.proc.Process.Signal(syscall.SIGTERM)
			}
		}
		r.mu.Unlock()
	}
	for _, r := range c.replicas {
		if r.proc == nil {
			continue
		}
		select {
		case <-r.ended:
		case <-time.After(30 * time.Second):
			c.t.Errorf("%s does not end", r.name)
			r.kill(true)
		}
	}
	if dir := os.Getenv("WEIR_CHAOS_LOGS"); dir != "" {
		for _, r := range c.replicas {
			c.do(os.WriteFile(filepath.Join(dir, strings.ReplaceAll(c.t.Name(), "/", "-")+"-"+r.name), []byte(r.log.String()), 0o600))
		}
	}
	for _, r := range c.replicas {
		c.raced(r.log)
	}
	if c.t.Failed() {
		for _, r := range c.replicas {
			log := r.log.String()
			c.t.Logf("the end of %s's log:\n%s", r.name, log[max(0, len(log)-20_000):])
		}
	}
}

// settle waits until every event was accepted by a replica, and all that
// follows from it is done. What was not accepted is delivered again, as an
// operator would.
func (c *cluster) settle() {
	c.t.Helper()
	last := ""
	c.await("weir has done everything", 5*time.Minute, func() bool {
		if err := c.box.WaitDelivered(c.patience()); err != nil {
			last = err.Error()
			return false
		}
		accepted := map[string]bool{}
		for _, d := range c.box.Deliveries() {
			accepted[d.GUID] = accepted[d.GUID] || d.Code >= 200 && d.Code < 300
		}
		missing := false
		for _, d := range c.box.Deliveries() {
			if !accepted[d.GUID] {
				missing = true
				if !c.again[d.ID] {
					c.again[d.ID] = true
					c.do(c.box.Redeliver(d.ID))
				}
			}
		}
		if missing {
			last = "events that nobody has accepted"
			return false
		}
		_, pending, _ := strings.Cut(c.get("/metrics"), "\nweir_jobs_pending ")
		pending, _, _ = strings.Cut(pending, "\n")
		last = "weir_jobs_pending " + pending
		return pending == "0"
	}, func() string { return last })
}

// await is until with a time of its own.
func (c *cluster) await(what string, d time.Duration, ok func() bool, why func() string) {
	c.t.Helper()
	deadline := time.After(d)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			c.t.Fatalf("waited %v in vain: %s: %s", d, what, why())
		case <-tick.C:
		}
	}
}

// wantOnce fails unless each plan file was applied at most once, as the
// processes say and the history does, and each comment was written once.
func (c *cluster) wantOnce(numbers ...int) {
	c.t.Helper()
	begun := c.ledger.audit()
	ran := map[string]string{}
	for _, l := range c.lines("applied-by") {
		plan := l[0] + " " + l[2]
		if by := ran[plan]; by != "" {
			c.t.Errorf("plan file %s was applied by %s and then by %s", plan, by, l[1])
		}
		ran[plan] = l[1]
		if !begun[plan] {
			c.t.Errorf("%s applied plan file %s, which the history does not know; it knows %v", l[1], plan, slices.Collect(maps.Keys(begun)))
		}
	}
	for _, number := range numbers {
		times, live := map[string]int{}, 0
		all, err := c.box.Comments(repo, number)
		c.do(err)
		for _, one := range all {
			if marker, _, ok := strings.Cut(one.Body, "\n"); ok && strings.HasPrefix(marker, "<!-- weir ") {
				if times[marker]++; times[marker] == 2 {
					c.t.Errorf("#%d was told twice: %s", number, marker)
				}
			}
			if isKind(one, "plan") && one.Minimized == "" {
				live++
			}
			if isKind(one, "error") && strings.Contains(one.Body, "weir's own fault") {
				c.t.Errorf("#%d was given up:\n%s", number, one.Body)
			}
		}
		if live > 1 {
			c.t.Errorf("#%d has %d plan comments that are not minimised", number, live)
		}
	}
}
