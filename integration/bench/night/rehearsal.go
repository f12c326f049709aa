package night

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weir/integration/bench/stage"
)

// most is how many projects a rehearsal has in its first repository, if there
// are so many. The others have one each.
const most = 20

// rehearse finds out what does not depend on the speed of the machine, with a
// program in terraform's place that counts itself. Checks are held up until a
// pull request was planned, which so has to be possible while checks go on.
// There is a place more than checks may have, so that they could take it.
func (s Setup) rehearse(ctx context.Context, state states, parallel int) error {
	dir, err := os.MkdirTemp(s.Dir, "rehearsal-")
	if err != nil {
		return err
	}
	c := counter{dir: dir}
	if err := c.write(s.Terraform); err != nil {
		return err
	}
	repos := []repo{newRepo("infra", min(s.Projects, most))}
	for len(repos) < s.Held {
		repos = append(repos, newRepo(fmt.Sprintf("infra-%d", len(repos)), 1))
	}
	sc, err := s.open(ctx, repos, state, parallel, parallel+1, "WEIR_TERRAFORM_BINARY="+c.program())
	if err != nil {
		return err
	}
	return errors.Join(sc.rehearsal(ctx, c, parallel), sc.w.Close())
}

func (s *scene) rehearsal(ctx context.Context, c counter, parallel int) error {
	r := s.repos[0]
	running, err := s.begin(ctx)
	if err != nil {
		return err
	}
	if err := c.wait(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, s.w.Tail())
	}
	// Of another project than those that are held up, which are the first.
	one := r
	one.dirs = r.dirs[len(r.dirs)-1:]
	p, err := s.w.Open(r.full, one.files(s.w.Dir, "change"))
	if err != nil {
		return err
	}
	if err := s.w.Success(ctx, p, "weir/plan"); err != nil {
		return fmt.Errorf("while checks are held up: %w", err)
	}
	pending, err := s.get(ctx, "/metrics")
	if err != nil {
		return err
	}
	held := !strings.Contains(string(pending), "\nweir_jobs_pending 0\n")
	if err := c.letGo(); err != nil {
		return err
	}
	n, err := running.end(ctx)
	if err != nil {
		return err
	}
	counted, err := c.read()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("rehearsal with %s of %s, drift.max_parallel %d", count(n.projects, "project"), repositories(len(s.repos)), parallel)
	s.Add(n.exact(name))
	s.Add(Row{
		What: name + ": processes at once, of checks; of all", Budget: fmt.Sprintf("≤ %d; ≤ %d", parallel, parallel+1),
		Measured: fmt.Sprintf("%d; %d (%d in all)", counted.checks, counted.all, counted.processes), Judged: true, Good: counted.checks <= parallel && counted.all <= parallel+1,
	})
	s.Add(Row{
		What: name + ": projects planned once by checks", Budget: fmt.Sprint(n.projects),
		Measured: fmt.Sprint(counted.once), Judged: true, Good: counted.once == n.projects && counted.plans == n.projects,
	})
	s.Add(Row{
		What: name + ": a pull request is planned while checks are held up", Budget: "yes",
		Measured: map[bool]string{true: "yes", false: "the checks had ended"}[held], Judged: true, Good: held,
	})
	return nil
}

// counter is a program in terraform's place and what it keeps in a directory:
// running/ has a file for each process, whose name begins with who asked for
// it.
type counter struct{ dir string }

func (c counter) program() string { return filepath.Join(c.dir, "terraform") }
func (c counter) hold() string    { return filepath.Join(c.dir, "hold") }
func (c counter) held() string    { return filepath.Join(c.dir, "held") }

// write makes the program. The number of processes is at its highest just after
// one has begun, so each beginning is counted and none in between is missed.
// Checks are known by the directory that terraform keeps its data in.
func (c counter) write(terraform string) error {
	text := fmt.Sprintf(`#!/bin/sh
count() { echo $#; }
case "$TF_DATA_DIR" in */weir/drift/*) who=check ;; *) who=pull ;; esac
: > %[1]q/running/$who-$$
count %[1]q/running/* >> %[1]q/all
if [ $who = check ]; then
  count %[1]q/running/check-* >> %[1]q/checks
  if [ "$1" = plan ]; then
    echo "$PWD" >> %[1]q/planned
    case "$PWD" in */p000)
      : > %[3]q
      while [ -e %[2]q ]; do sleep 0.02; done ;;
    esac
  fi
fi
%[4]q "$@"
code=$?
rm %[1]q/running/$who-$$
exit $code
`, c.dir, c.hold(), c.held(), terraform)
	return errors.Join(
		os.Mkdir(filepath.Join(c.dir, "running"), 0o700), os.WriteFile(c.hold(), nil, 0o600), os.WriteFile(c.program(), []byte(text), 0o700))
}

// wait waits until a check is held up.
func (c counter) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stage.Patience, errors.New("no check has begun"))
	defer cancel()
	for {
		if _, err := os.Stat(c.held()); err == nil {
			return nil
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

func (c counter) letGo() error { return os.Remove(c.hold()) }

// counted is what the program has counted.
type counted struct {
	checks, all int // at once
	processes   int
	plans, once int // plans of checks, and directories that have exactly one
}

func (c counter) read() (counted, error) {
	var sum counted
	for _, one := range []struct {
		name string
		most *int
	}{{"checks", &sum.checks}, {"all", &sum.all}} {
		lines, err := c.lines(one.name)
		if err != nil {
			return sum, err
		}
		for _, line := range lines {
			n, err := strconv.Atoi(line)
			if err != nil {
				return sum, fmt.Errorf("count processes: %w", err)
			}
			*one.most = max(*one.most, n)
		}
		sum.processes = len(lines) // the last is of all
	}
	lines, err := c.lines("planned")
	times := map[string]int{}
	for _, line := range lines {
		times[line]++
	}
	for _, n := range times {
		if n == 1 {
			sum.once++
		}
	}
	sum.plans = len(lines)
	return sum, err
}

func (c counter) lines(name string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(c.dir, name))
	return strings.Fields(string(text)), err
}
