// Package night measures what it costs to check many projects for drift, and
// what a pull request notices of it.
package night

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"weir/integration/bench/stage"
)

// Setup says what is measured. All fields are needed.
type Setup struct {
	World     func() (*stage.World, error) // makes one without a weir
	Terraform string                       // path of the program
	Dir       string                       // scratch

	Projects int   // of a night
	Parallel []int // drift.max_parallel, one after the other
	Samples  int   // pull requests of each size: without anything else to do, and during a night
	Sizes    []int // projects of those pull requests; not more than Projects
	Repos    int   // over which the projects are spread in one more night; 0: there is none
	Held     int   // repositories whose checks are all under way in a rehearsal while a pull request is planned

	Add func(Row)
	Say func(format string, args ...any)
}

// Row is one line of the table.
type Row struct {
	What, Budget, Measured, Floor, Ratio string

	Judged bool // there is a budget
	Good   bool // and it is kept
}

// cpus is how many the promise is about: so many places there are for terraform.
const cpus = 2

// Measure adds the rows of all nights. An error means that something did not
// work, not that it was slow.
func Measure(ctx context.Context, s Setup) error {
	state, err := s.states(ctx)
	if err != nil {
		return err
	}
	for _, parallel := range s.Parallel {
		if err := s.rehearse(ctx, state, parallel); err != nil {
			return fmt.Errorf("rehearsal with %d at once: %w", parallel, err)
		}
		if err := s.nights(ctx, state, parallel); err != nil {
			return fmt.Errorf("nights with %d at once: %w", parallel, err)
		}
	}
	if s.Repos > 0 {
		if err := s.crowd(ctx, state); err != nil {
			return fmt.Errorf("night of many repositories: %w", err)
		}
	}
	return nil
}

// scene is a world in which weir runs, and the repositories that it checks.
type scene struct {
	Setup
	w     *stage.World
	data  string // weir's directory
	repos []repo
	after int // changes until now
}

// open sets a scene and starts weir there, with environ beside what the world
// sets.
func (s Setup) open(ctx context.Context, repos []repo, state states, parallel, slots int, environ ...string) (*scene, error) {
	w, err := s.World()
	if err != nil {
		return nil, err
	}
	sc := &scene{Setup: s, w: w, data: filepath.Join(w.Dir, "weir")}
	if err := sc.fill(repos, state); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.Env = append(w.Env, fmt.Sprintf("WEIR_DRIFT_MAX_PARALLEL=%d", parallel), fmt.Sprintf("WEIR_TERRAFORM_MAX_PARALLEL=%d", slots),
		"WEIR_DRIFT_SCHEDULE=", "WEIR_LOG_LEVEL=debug")
	w.Env = append(w.Env, environ...)
	if err := w.Start(ctx, sc.data); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return sc, nil
}

// nights measures a first night, a second one, and a third one during which
// there are pull requests.
func (s Setup) nights(ctx context.Context, state states, parallel int) error {
	sc, err := s.open(ctx, []repo{newRepo("infra", s.Projects)}, state, parallel, cpus)
	if err != nil {
		return err
	}
	return errors.Join(sc.three(ctx, parallel), sc.w.Close())
}

func (s *scene) three(ctx context.Context, parallel int) error {
	r := s.repos[0]
	idle, err := s.w.Memory()
	if err != nil {
		return err
	}
	floor, err := s.floor(ctx, r, parallel)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%d projects checked for drift, max_parallel %d", s.Projects, parallel)
	var later night
	for _, one := range []struct {
		what   string
		budget float64
	}{{"nothing initialised", 1.15}, {"a later night", 0.8}} {
		n, err := s.whole(ctx)
		if err != nil {
			return err
		}
		s.Add(n.took(name+": "+one.what, one.budget, floor))
		s.Add(n.exact(name + ": " + one.what))
		s.Add(n.calls(name + ": " + one.what))
		s.Say("   %s", n.routes())
		s.Add(n.commits(name + ": " + one.what))
		later = n
	}
	used, err := s.w.Memory()
	if err != nil {
		return err
	}
	s.Add(memory(name, idle, used))
	s.Say("   the longest terraform command of the later night took %s, the median %s", short(later.longest()), short(later.typical()))

	quiet, err := s.pulls(ctx, r, nil)
	if err != nil {
		return err
	}
	running, err := s.begin(ctx)
	if err != nil {
		return err
	}
	busy, err := s.pulls(ctx, r, running)
	if err != nil {
		return err
	}
	third, err := running.end(ctx)
	if err != nil {
		return err
	}
	s.Add(third.exact(name + ", meanwhile pull requests"))
	for _, size := range s.Sizes {
		s.Add(disturbed(fmt.Sprintf("plan of %s while %d are checked, max_parallel %d", count(size, "project"), s.Projects, parallel),
			quiet[size], third.during(busy[size]), later.longest(), middle))
		s.Say("   %s: quiet %s; meanwhile %s", count(size, "project"), list(quiet[size]), list(busy[size]))
	}
	return nil
}

// crowd measures a night of many small repositories, whose checks are all asked
// for at once, and what a pull request in one more notices of it.
func (s Setup) crowd(ctx context.Context, state states) error {
	var repos []repo
	for i := range s.Repos {
		repos = append(repos, newRepo(fmt.Sprintf("infra-%03d", i), max(1, s.Projects/s.Repos)))
	}
	sc, err := s.open(ctx, repos, state, 1, cpus)
	if err != nil {
		return err
	}
	return errors.Join(sc.among(ctx), sc.w.Close())
}

func (s *scene) among(ctx context.Context) error {
	full, err := s.w.Repo("other", newRepo("other", 1).files(s.w.Dir, first))
	if err != nil {
		return err
	}
	other := newRepo("other", 1)
	other.full = full
	alone := *s
	alone.Sizes = []int{1}
	name := fmt.Sprintf("%d projects checked for drift, of %d repositories, max_parallel 1", s.total(), s.Repos)
	idle, err := s.w.Memory()
	if err != nil {
		return err
	}
	initial, err := s.whole(ctx)
	if err != nil {
		return err
	}
	s.Add(initial.exact(name + ": nothing initialised"))
	later, err := s.whole(ctx)
	if err != nil {
		return err
	}
	s.Add(later.took(name+": a later night", 0, 0))
	s.Add(later.exact(name + ": a later night"))
	s.Add(later.calls(name + ": a later night"))
	s.Say("   %s", later.routes())
	s.Add(later.commits(name + ": a later night"))
	used, err := s.w.Memory()
	if err != nil {
		return err
	}
	s.Add(memory(name, idle, used))
	quiet, err := alone.pulls(ctx, other, nil)
	if err != nil {
		return err
	}
	running, err := s.begin(ctx)
	if err != nil {
		return err
	}
	busy, err := alone.pulls(ctx, other, running)
	if err != nil {
		return err
	}
	third, err := running.end(ctx)
	if err != nil {
		return err
	}
	s.Add(third.exact(name + ", meanwhile pull requests"))
	s.Add(disturbed(fmt.Sprintf("plan of 1 project while %d of %d other repositories are checked, max_parallel 1", s.total(), s.Repos),
		quiet[1], third.during(busy[1]), later.longest(), worst)) // the first of them finds all checks under way
	s.Say("   quiet %s; meanwhile %s", list(quiet[1]), list(busy[1]))
	return nil
}

// total is how many projects are checked in a night.
func (s *scene) total() int {
	n := 0
	for _, r := range s.repos {
		n += len(r.dirs)
	}
	return n
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
