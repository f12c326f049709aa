package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/integration/bench/cloud"
	"weir/integration/services"
	"weir/server"
	"weir/server/config"
)

// serveEnv makes the test binary be the server, and leaseEnv says for how long
// a worker of it may be silent.
const (
	serveEnv = "BENCH_SERVE"
	leaseEnv = "BENCH_LEASE"
)

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		if len(os.Args) > 1 && os.Args[1] == "version" {
			return
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err := serve(ctx)
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func serve(ctx context.Context) error {
	lease, err := time.ParseDuration(os.Getenv(leaseEnv))
	if err != nil {
		return server.Main(ctx, "", os.Environ(), "test", os.Stderr)
	}
	cfg, _, err := config.Load("", os.Environ())
	if err != nil {
		return err
	}
	s, err := server.New(ctx, cfg, os.Environ(), "test", slog.New(slog.NewTextHandler(os.Stderr, nil)), server.WithLease(lease))
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// Every kind of section runs, on next to nothing. What does not depend on the speed of
// the machine is within its budget even so.
func TestSections(t *testing.T) {
	t.Parallel()
	b, log := tiny(t)
	if _, err := exec.LookPath("xargs"); err != nil {
		t.Skipf("SKIPPED, this test shows nothing here: %v", err)
	}
	if _, err := os.Stat("/proc/self/smaps_rollup"); err != nil {
		t.Skipf("SKIPPED, memory is measured on Linux only: %v", err)
	}
	if err := b.run(t.Context(), regexp.MustCompile("^(projects-backend|files|calls|locks|deliveries|start|memory|processes)$")); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	judged(t, b, log, regexp.MustCompile("GitHub calls|^locks of|lost over|processes at once"), 12)
}

// Projects are checked for drift, each once, and a pull request does not wait
// for the end of it.
func TestNight(t *testing.T) {
	t.Parallel()
	b, log := tiny(t)
	if _, err := exec.LookPath("xargs"); err != nil {
		t.Skipf("SKIPPED, this test shows nothing here: %v", err)
	}
	if _, err := os.Stat("/proc/self/smaps_rollup"); err != nil {
		t.Skipf("SKIPPED, memory is measured on Linux only: %v", err)
	}
	if err := b.run(t.Context(), regexp.MustCompile("^night$")); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	judged(t, b, log, regexp.MustCompile("checked; failed|^rehearsal"), 7)
}

// What replicas do is measured, too, with a server that is killed.
func TestReplicas(t *testing.T) {
	t.Parallel()
	services.Dynamo(t)
	b, log := tiny(t)
	b.environ = append(b.environ, leaseEnv+"="+b.lease.String())
	b.long = os.Getenv("WEIR_CHAOS") != ""
	wantJobs, wantTakeovers := 3, 1
	if b.long {
		wantJobs, wantTakeovers = 4, 2
	}
	if err := b.run(t.Context(), regexp.MustCompile("^replicas$")); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	judged(t, b, log, regexp.MustCompile("^locks of"), 4)
	var jobs, takeovers int
	for _, r := range b.rows {
		if strings.HasPrefix(r.what, "jobs a second") {
			jobs++
		}
		if strings.HasPrefix(r.what, "takeover") {
			takeovers++
		}
	}
	if jobs != wantJobs || takeovers != wantTakeovers {
		t.Errorf("%d rows of jobs and %d of takeovers, want %d and %d:\n%s", jobs, takeovers, wantJobs, wantTakeovers, table(b.rows))
	}
}

// tiny measures next to nothing.
func tiny(t *testing.T) (*bench, *strings.Builder) {
	t.Helper()
	terraform, err := findTerraform()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI needs terraform: %v", err)
		}
		t.Skipf("SKIPPED, this test shows nothing here: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	b := &bench{
		size: size{
			rounds: 1, projects: 2, calls: []int{1, 2}, files: 20, load: 500 * time.Millisecond, rate: 20,
			starts: 1, records: 60, limits: []int{2}, idle: 10 * time.Millisecond, resources: 20, plans: 2, rest: 10 * time.Millisecond,
			locks: 1, jobs: 12, job: time.Millisecond, lease: time.Second, night: 4, atOnce: []int{1}, held: 4, samples: 1, sizes: []int{1, 2},
		},
		serve: []string{self, "server"}, environ: []string{serveEnv + "=1", "GORACE=" + os.Getenv("GORACE")}, terraform: terraform, dir: t.TempDir(), log: &log,
	}
	if os.Getenv("WEIR_CHAOS") != "" {
		b.held = 34 // more than a server has workers
	}
	return b, &log
}

// judged fails for rows that are over their budget and do not depend on time.
func judged(t *testing.T, b *bench, log *strings.Builder, exact *regexp.Regexp, atLeast int) {
	t.Helper()
	n := 0
	for _, r := range b.rows {
		if exact.MatchString(r.what) {
			n++
			if r.verdict != ok {
				t.Errorf("%s: %s instead of %s\n%s", r.what, r.measured, r.budget, log)
			}
		}
	}
	if n < atLeast {
		t.Errorf("only %d rows are independent of time:\n%s", n, table(b.rows))
	}
}

// What is not installed is a line in the table, and no failure.
func TestMissing(t *testing.T) {
	b := &bench{log: new(strings.Builder)}
	if b.without("replicas", nil) || b.without("replicas", errors.New("broken")) {
		t.Error("what is there, or broken, is not missing")
	}
	if !b.without("replicas", fmt.Errorf("start: %w", &cloud.MissingError{Text: "not here"})) {
		t.Error("what is missing is not")
	}
	if got := table(b.rows); !strings.Contains(got, "| not here ") {
		t.Errorf("the table does not tell:\n%s", got)
	}
}

func TestTable(t *testing.T) {
	got := table([]row{
		against("plans", 1.15, []time.Duration{3 * time.Second, time.Second, 2 * time.Second}, []time.Duration{time.Second, time.Second, time.Second}),
		atMost("ready", 150*time.Millisecond, []time.Duration{20 * time.Millisecond}),
		more("files", 1500*time.Millisecond, []time.Duration{2 * time.Second}, []time.Duration{time.Second}),
		{what: "beside", measured: "1", verdict: told},
	})
	want := `
| what   | budget           | measured         | floor  | ratio |          |
|--------|------------------|------------------|--------|-------|----------|
| plans  | ≤ 1.15 × floor   | 2.00 s           | 1.00 s | 2.00  | **over** |
| ready  | ≤ 150 ms         | 20 ms            | –      | –     | ok       |
| files  | ≤ floor + 1.50 s | 2.00 s (+1.00 s) | 1.00 s | 2.00  | ok       |
| beside | –                | 1                | –      | –     | –        |
`
	if got != want[1:] {
		t.Errorf("got\n%swant\n%s", got, want[1:])
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i
	}
	for _, c := range []struct {
		all     []int
		p, want int
	}{
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
		{hundred, 1, 1},
		{[]int{7}, 50, 7},
		{[]int{7}, 99, 7},
		{[]int{1, 2}, 50, 1},
		{[]int{3, 1, 2}, 50, 2},
		{[]int{1, 2, 3}, 99, 3},
	} {
		if got := percentile(c.all, c.p); got != c.want {
			t.Errorf("percentile %d of %d numbers: got %d, want %d", c.p, len(c.all), got, c.want)
		}
	}
}
