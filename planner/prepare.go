package planner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"weir/locks"
	"weir/planner/checkout"
	"weir/planner/project"
	"weir/planner/work"
	"weir/policy"
)

// scope is what a plan job works on.
type scope struct {
	checkout *checkout.Checkout
	set      *project.Set
	projects []project.Project // touched by the pull request, or asked for
	asked    []string          // IDs that the command names; nil: all
	failure  string            // why nothing can be planned, for people
	notes    []string
}

// prepare finds out what the pull request touches. What is wrong with the
// pull request comes back as scope.failure.
func (t *task) prepare(ctx context.Context) (*scope, error) {
	req := t.request()
	if t.pr.Merged {
		req.Head = t.pr.MergedAs // main itself, with what was merged
	}
	co, err := t.Checkouts.Open(ctx, req)
	var conflict *checkout.ConflictError
	if errors.As(err, &conflict) {
		return &scope{failure: fmt.Sprintf("%s cannot be merged into %s; conflicts in:\n%s\nMerge or rebase, and push.",
			shortID(conflict.Head), t.pr.Base, strings.Join(conflict.Files, "\n"))}, nil
	}
	if err != nil {
		return nil, err
	}
	s := &scope{checkout: co}

	// The guard comes from the base branch (I7); the pull request's own
	// version of it only says which projects there are.
	base, failure, err := t.baseConfig(ctx, co.Base)
	if err != nil {
		return nil, err
	}
	t.rec.Mode, t.rec.Automerge = policy.OnApproval, ""
	if failure != "" {
		s.notes = append(s.notes, fmt.Sprintf("%s of %s is broken, so nothing can be applied until it is mended: %s", project.File, t.pr.Base, failure))
	} else {
		t.rec.Mode = policy.Mode(base.Apply)
		if base.Automerge != "off" {
			t.rec.Automerge = base.Automerge
		}
	}
	if slices.Contains(co.Changed, project.File) {
		s.notes = append(s.notes, project.File+" is changed here: its projects count at once, everything else (apply, automerge, approvals) once it is merged.")
	}

	if base != nil && (base.Checkout.Submodules || base.Checkout.LFS) {
		req.Submodules, req.LFS = base.Checkout.Submodules, base.Checkout.LFS
		if co, err = t.Checkouts.Open(ctx, req); err != nil {
			return nil, err
		}
		s.checkout = co
	}
	if s.set, s.failure = t.discover(co); s.failure != "" {
		return s, nil
	}
	before, err := t.before(ctx, co, s.set, base)
	if err != nil {
		return nil, err
	}
	s.projects = s.set.Affected(co.Changed, before)
	if t.pr.Merged {
		s.projects = slices.DeleteFunc(slices.Clone(s.set.Projects), func(p project.Project) bool { return t.project(p.ID()) == nil })
	}
	for _, problem := range s.set.Told(co.Changed, s.projects) {
		s.notes = append(s.notes, problem.String())
	}
	return s, t.narrow(s)
}

// discover finds the projects of a checkout by its own weir.yaml.
func (t *task) discover(co *checkout.Checkout) (set *project.Set, failure string) {
	cfg, err := project.Load(co.Root)
	if err != nil {
		return nil, err.Error()
	}
	if set, err = project.Discover(co.Root, cfg); err != nil {
		return nil, err.Error()
	}
	return set, ""
}

// before finds the projects of the base branch, so that a change cannot keep
// one of them from being planned (I7) and a deleted one is told.
func (t *task) before(ctx context.Context, co *checkout.Checkout, set *project.Set, cfg *project.Config) (*project.Set, error) {
	names, err := t.Checkouts.List(ctx, t.job.Repo, co.Base)
	if err != nil {
		return nil, err
	}
	was := project.Tree{Read: func(name string) ([]byte, error) { return t.Checkouts.File(ctx, t.job.Repo, co.Base, name) }}
	for _, name := range co.Changed {
		if _, ok := slices.BinarySearch(names, name); ok {
			was.Files = append(was.Files, name)
		}
	}
	return set.Before(cfg, co.Changed, was)
}

// narrow applies what a command names. A project that is named but not
// touched is added; a name that fits nothing is the user's mistake.
func (t *task) narrow(s *scope) error {
	c := t.job.Command
	if c == nil || c.Dir == "" && c.Workspace == "" && c.Project == "" {
		return nil
	}
	s.asked = []string{}
	for _, p := range s.projects {
		if commandNames(c, p.ID(), p.Dir, p.Workspace) {
			s.asked = append(s.asked, p.ID())
		}
	}
	for _, p := range s.set.Projects {
		if commandNames(c, p.ID(), p.Dir, p.Workspace) && !slices.Contains(s.asked, p.ID()) {
			s.asked = append(s.asked, p.ID())
			s.projects = append(s.projects, p)
		}
	}
	slices.SortFunc(s.projects, func(a, b project.Project) int { return strings.Compare(a.ID(), b.ID()) })
	if len(s.asked) == 0 {
		s.failure = "There is no project " + describe(c) + ". Projects here: " + ids(s.set.Projects)
	}
	return nil
}

// commandNames reports whether a command's options select a project. A
// directory is a whole directory: envs/prod does not name envs/prod-eu.
func commandNames(c *work.Command, id, dir, workspace string) bool {
	if c == nil {
		return true
	}
	return (c.Project == "" || c.Project == id) &&
		(c.Dir == "" || path.Clean(c.Dir) == dir) &&
		(c.Workspace == "" || c.Workspace == workspace)
}

func describe(c *work.Command) string {
	var parts []string
	for _, part := range []struct{ flag, value string }{{"-p", c.Project}, {"-d", c.Dir}, {"-w", c.Workspace}} {
		if part.value != "" {
			parts = append(parts, part.flag+" "+part.value)
		}
	}
	return strings.Join(parts, " ")
}

func ids(projects []project.Project) string {
	const most = 30
	var names []string
	for i, p := range projects {
		if i == most {
			return strings.Join(names, ", ") + fmt.Sprintf(" and %d more", len(projects)-most)
		}
		names = append(names, p.ID())
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

// take asks for the locks of all projects that the pull request touches, and
// gives back those that it no longer touches. Where others own some, the
// pull request waits, and taken is false.
func (t *task) take(ctx context.Context, s *scope) (taken bool, err error) {
	old := map[locks.Key]ProjectRecord{}
	for _, p := range t.rec.Projects {
		old[locks.Key{Dir: p.Dir, Workspace: p.Workspace}] = p
	}
	want := make([]locks.Want, len(s.projects))
	names := map[locks.Key]string{}
	for i, p := range s.projects {
		key := locks.Key{Dir: p.Dir, Workspace: p.Workspace}
		// What was applied here must not slip to another pull request
		// before this one is merged.
		want[i] = locks.Want{Key: key, Keep: old[key].AppliedHead != ""}
		names[key] = p.ID()
	}
	outcome, err := t.Locks.Acquire(ctx, t.job.Repo, t.job.Pull, want)
	var many *locks.TooManyError
	if errors.As(err, &many) {
		s.failure = fmt.Sprintf("This pull request touches %d projects; weir can lock at most %d for one pull request. Split it.", many.Wanted, many.Max)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if len(outcome.Granted) > 0 {
		t.Queue.Wake()
	}
	for _, key := range outcome.Released {
		t.note("lock released", "the pull request no longer needs it", cmp.Or(names[key], key.Dir))
	}
	t.rec.Waiting = nil
	if !outcome.Acquired {
		for _, lock := range outcome.Locks {
			if lock.Owner == t.job.Pull {
				continue
			}
			place := 1 + slices.IndexFunc(lock.Waiters, func(w locks.Waiter) bool { return w.Pull == t.job.Pull })
			if lock.Owner != 0 || place > 1 {
				t.rec.Waiting = append(t.rec.Waiting, Waiting{ID: names[lock.Key], Owner: lock.Owner, Place: max(place, 1)})
			}
		}
	}
	records := make([]ProjectRecord, len(s.projects))
	for i, p := range s.projects {
		rec := old[locks.Key{Dir: p.Dir, Workspace: p.Workspace}]
		rec.ID, rec.Dir, rec.Workspace = p.ID(), p.Dir, p.Workspace
		rec.DependsOn, rec.VarFiles, rec.Version, rec.Backend, rec.Deleted = p.DependsOn, p.VarFiles, p.TerraformVersion, p.Backend, p.Deleted
		if epoch := outcome.Locks[i].Epoch; rec.Epoch != epoch {
			rec.Epoch = epoch
			if outcome.Acquired {
				t.note("lock taken", fmt.Sprintf("epoch %d", epoch), p.ID())
			}
		}
		if rec.State == "" || !outcome.Acquired && rec.State != Applied {
			rec.State, rec.Note = Pending, ""
		}
		if !outcome.Acquired && rec.State == Pending {
			rec.Note = "it waits for its lock"
		}
		records[i] = rec
	}
	t.rec.Projects = records
	return outcome.Acquired, nil
}

func (t *task) tempDir() string { return filepath.Join(t.DataDir, "tmp") }

func shortID(commit string) string {
	if len(commit) > 7 {
		return commit[:7]
	}
	return commit
}
