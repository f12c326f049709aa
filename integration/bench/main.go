// Bench measures weir against its budgets: the whole server as a process, real
// Git over HTTP and real terraform, beside the GitHub sandbox. Where a budget
// is a ratio, what it is a ratio to is measured in the same run, in turns.
//
//	go run ./integration/bench -weir bin/weir [-only REGEXP]
//
// With BENCH_SHORT in the environment each measurement is taken once and the
// long ones are cut, which is enough to see that nothing is far off.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"weir/integration/bench/stage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// size says how much is measured.
type size struct {
	rounds    int           // of each comparison with a floor; medians count
	projects  int           // of a large pull request
	calls     []int         // projects of the pull requests whose calls are counted
	files     int           // of the large repository
	load      time.Duration // of deliveries at rate
	rate      int           // deliveries a second
	starts    int           // of the process
	records   int           // in the store of a server that has seen something
	limits    []int         // of terraform processes
	idle      time.Duration // until memory is called idle
	resources int           // of the large plan
	plans     int           // of it
	rest      time.Duration // after them, until memory is read again
	locks     int           // rounds of locking on DynamoDB Local
	jobs      int           // of which it is counted how many a second are done
	job       time.Duration // that each of them takes
	lease     time.Duration // of the servers that are killed: server's own, but in tests
	long      bool          // also with a queue, and kills in the midst of a plan
	night     int           // projects that are checked for drift
	atOnce    []int         // checks
	held      int           // repositories whose checks are held up
	many      int           // repositories over which they are spread once more; 0: not
	samples   int           // pull requests meanwhile, of each size
	sizes     []int         // projects of those pull requests
}

var (
	whole = size{
		rounds: 3, projects: 50, calls: []int{1, 10, 50}, files: 20_000, load: 30 * time.Second, rate: 200,
		starts: 11, records: 10_000, limits: []int{1, 3}, idle: 10 * time.Second, resources: 1200, plans: 40, rest: 3 * time.Minute,
		locks: 11, jobs: 240, job: 100 * time.Millisecond, lease: 14 * time.Second, long: true,
		night: 500, atOnce: []int{1, 2}, held: 40, many: 50, samples: 10, sizes: []int{1, 10},
	}
	short = size{
		rounds: 1, projects: 50, calls: []int{1, 10, 50}, files: 20_000, load: 5 * time.Second, rate: 200,
		starts: 3, records: 10_000, limits: []int{1, 3}, idle: 3 * time.Second, resources: 1200, plans: 5, rest: 10 * time.Second,
		locks: 5, jobs: 120, job: 100 * time.Millisecond, lease: 14 * time.Second, long: true,
		night: 100, atOnce: []int{1, 2}, held: 40, many: 50, samples: 3, sizes: []int{1, 10},
	}
)

// bench is one run of measurements.
type bench struct {
	size
	serve     []string // the command that serves
	environ   []string // of it, beside what is measured
	terraform string   // path of the program
	dir       string   // scratch
	log       io.Writer
	rows      []row
	disturbed []string // what other programs took of the processors, by section
}

// section is a group of measurements that can be run alone.
type section struct {
	name string
	run  func(*bench, context.Context) error
}

var sections = []section{
	{"files", (*bench).manyFiles}, // first: see clone
	{"projects-backend", (*bench).projectsWithBackend},
	{"projects-bare", (*bench).projectsWithoutBackend},
	{"calls", (*bench).callsOfCommands},
	{"locks", (*bench).locksOfMany},
	{"deliveries", (*bench).deliveries},
	{"start", (*bench).start},
	{"memory", (*bench).memory},
	{"processes", (*bench).processes},
	{"replicas", (*bench).replicas},
	{"night", (*bench).nights},
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	weir := flags.String("weir", "bin/weir", "the program to measure")
	only := flags.String("only", "", "measure only sections whose name matches this expression")
	rounds := flags.Int("rounds", 0, "how often each comparison with a floor is made")
	if err := flags.Parse(args); err != nil {
		return err
	}
	which, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	program, err := filepath.Abs(*weir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("%w (make build makes it)", err)
	}
	b := &bench{size: whole, serve: []string{program, "server"}, log: stderr}
	if os.Getenv("BENCH_SHORT") != "" {
		b.size = short
	}
	if *rounds > 0 {
		b.rounds = *rounds
	}
	if b.terraform, err = findTerraform(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "weir-bench-"); err != nil {
		return err
	}
	err = b.run(ctx, which)
	if removeErr := os.RemoveAll(b.dir); err == nil {
		err = removeErr
	}
	// What was measured before an error is worth showing too.
	if _, printErr := fmt.Fprintf(stdout, "%s\n\n%s\nOther programs took of the processors meanwhile: %s.\n",
		b.machine(), table(b.rows), strings.Join(b.disturbed, ", ")); err == nil {
		err = printErr
	}
	return err
}

// newWorld makes a world with an owner acme.
func (b *bench) newWorld() (*stage.World, error) {
	return stage.New(stage.Config{Dir: b.dir, Serve: b.serve, Environ: append([]string{"WEIR_TERRAFORM_BINARY=" + b.terraform}, b.environ...), Owner: "acme"})
}

// wait lets time pass.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run runs the sections whose names match.
func (b *bench) run(ctx context.Context, which *regexp.Regexp) error {
	for _, s := range sections {
		if !which.MatchString(s.name) {
			continue
		}
		b.say("== %s", s.name)
		began, err := stage.BusyNow()
		if err != nil {
			return err
		}
		if err := s.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		ended, err := stage.BusyNow()
		if err != nil {
			return err
		}
		if took := ended.At.Sub(began.At); took > time.Second { // less is below the kernel's precision
			others := fmt.Sprintf("%s %.0f %%", s.name, 100*ended.Others(began))
			b.disturbed = append(b.disturbed, others)
			b.say("   took %.0f s; of the processors other programs took: %s", took.Seconds(), others)
		}
	}
	return nil
}

// add keeps a row, and tells it.
func (b *bench) add(r row) {
	b.rows = append(b.rows, r)
	b.say("%s", strings.Join(r.cells(), " | "))
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.log, format+"\n", args...) // progress, for who looks
}

// machine says where and when the numbers were taken.
func (b *bench) machine() string {
	version := "unknown"
	if out, err := exec.Command(b.terraform, "version").Output(); err == nil {
		version, _, _ = strings.Cut(string(out), "\n")
	}
	return fmt.Sprintf("%s, %s/%s, %d CPUs, %s, %s, %d rounds", time.Now().UTC().Format("2006-01-02 15:04 MST"),
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), version, b.rounds)
}

// findTerraform finds what weir would find, so that both run the same.
func findTerraform() (string, error) {
	for _, name := range []string{"terraform", "tofu"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is neither terraform nor tofu on the PATH")
}
