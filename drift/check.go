package drift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"weir/drift/finding"
	"weir/drift/owners"
	"weir/planner/checkout"
	"weir/planner/ledger"
	"weir/planner/project"
	"weir/planner/record"
	"weir/planner/run"
	"weir/planner/scope"
	"weir/planner/work"
	"weir/store"
)

// survey is one job's look at a repository.
type survey struct {
	*Drift
	job   work.Job
	repo  finding.Repository
	pull  int // whose worktree is used: 0 for checks, an issue's number for what is asked for there
	co    *checkout.Checkout
	head  string // the newest commit of the default branch
	cfg   *project.Config
	set   *project.Set
	known map[string]Known // by project
	codes owners.Rules     // CODEOWNERS
	began time.Time        // before the commit was fetched

	mu    sync.Mutex     // of what follows
	owner map[string]int // by project: the pull request that owns it
	owned time.Time      // when that was read
}

// check looks at the projects that are due, or asked for, those first that
// were not looked at for longest, and tells what it found.
func (d *Drift) check(ctx context.Context, job work.Job) error {
	letGo, err := d.hold(ctx, job.Repo)
	if err != nil {
		return err
	}
	defer letGo()
	fence, err := d.Queue.Fence(ctx, job)
	if err != nil {
		return err
	}
	s := &survey{Drift: d, job: job, began: time.Now()}
	failure, err := s.open(ctx)
	if err != nil {
		return err
	}
	untold := ""
	put := func() error {
		return d.editState(ctx, job.Repo, func(state *State) {
			*state = State{
				Repo: job.Repo, URL: strings.TrimSuffix(s.repo.CloneURL, ".git"), Commit: s.head, At: time.Now().UTC(),
				Failure: failure, Untold: untold, Unheard: state.Unheard,
			}
		}, fence)
	}
	if failure != "" {
		return put()
	}
	if err := s.read(ctx); err != nil {
		return err
	}
	wrong, err := s.look(ctx, fence, s.due())
	if err != nil {
		return err
	}
	gone := s.gone()
	err = s.tell(ctx, fence, gone)
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		untold = refused.Sentence
	case err != nil:
		return errors.Join(wrong, err, d.queueNotices(ctx, job.Repo))
	}
	if untold == "" { // else their issues are closed later
		if err := d.forget(ctx, fence, gone); err != nil {
			return errors.Join(wrong, err)
		}
	}
	if wrong != nil { // what was looked at is told, and only the rest is tried again
		return errors.Join(wrong, d.queueNotices(ctx, job.Repo))
	}
	if err := put(); err != nil {
		return err
	}
	if err := d.queueNotices(ctx, job.Repo); err != nil {
		return err
	}
	return s.putOff(time.Now())
}

// How long a project is put off that is being applied, and for how long that
// is done before it is left to the next check.
const (
	putOffFor    = time.Minute
	putOffAtMost = 30 * time.Minute
)

// putOffError has a job go on later.
type putOffError struct {
	project string
	until   time.Time
}

func (e *putOffError) Error() string { return e.project + " is being applied" }

// Later is when the job is to go on.
func (e *putOffError) Later() time.Time { return e.until }

// putOff is an error while a project that is due is being applied.
func (s *survey) putOff(now time.Time) error {
	if now.Sub(s.job.Accepted) >= putOffAtMost {
		return nil
	}
	for _, p := range s.due() {
		if s.known[p.ID()].PutOff != "" {
			return &putOffError{p.ID(), now.Add(putOffFor)}
		}
	}
	return nil
}

// open checks the newest commit of the default branch out and finds its
// projects. What is wrong with the repository is the first result.
func (s *survey) open(ctx context.Context) (failure string, err error) {
	if s.repo, err = s.GitHub.Repository(ctx, s.job.Repo); err != nil {
		return "", err
	}
	s.head, err = s.Checkouts.Fetch(ctx, s.job.Repo, s.repo.CloneURL, s.repo.Branch)
	var none *checkout.GoneError
	switch {
	case errors.As(err, &none):
		return "The default branch " + s.repo.Branch + " has no commit, or does not exist.", nil
	case err != nil:
		return "", err
	}
	for range 3 { // until nobody pushes meanwhile
		if failure, err = s.checkOut(ctx); failure != "" || err != nil || s.co.Base == s.head {
			break
		}
		s.head = s.co.Base
	}
	if failure != "" || err != nil {
		return failure, err
	}
	s.set, failure = scope.Discover(s.co.Root)
	if failure != "" {
		return failure, nil
	}
	files, err := s.Checkouts.Files(ctx, s.job.Repo, s.head, owners.Paths()...)
	s.codes = owners.Read(files)
	return "", err
}

// checkOut puts the files of s.head into the worktree, by the rules of its own
// weir.yaml.
func (s *survey) checkOut(ctx context.Context) (failure string, err error) {
	if s.cfg, failure, err = (scope.Finder{Checkouts: s.Checkouts}).BaseConfig(ctx, s.job.Repo, s.head); failure != "" || err != nil {
		return failure, err
	}
	request := checkout.Request{
		Repo: s.job.Repo, CloneURL: s.repo.CloneURL, Pull: s.pull, BaseRef: s.repo.Branch, Head: s.head,
		Submodules: s.cfg.Checkout.Submodules, LFS: s.cfg.Checkout.LFS,
	}
	s.co, err = s.Checkouts.Open(ctx, request)
	var bad *checkout.SubmoduleError
	if errors.As(err, &bad) {
		return fmt.Sprintf("The submodule %s cannot be checked out: %s.", bad.Path, bad.Reason), nil
	}
	return "", err
}

// read finds out what is known.
func (s *survey) read(ctx context.Context) error {
	all, err := Read(ctx, s.Store, s.job.Repo)
	if err != nil {
		return err
	}
	s.known = map[string]Known{}
	for _, k := range all {
		s.known[k.Check.Project] = k
	}
	return nil
}

// ownersFor is for how long it is good enough to know who owned what: what is
// found is looked at once more with who owns it then.
const ownersFor = 15 * time.Second

// busy returns the pull request that owns a project, as it was no longer than
// age ago, and why the project cannot be looked at now: it is being applied.
func (s *survey) busy(ctx context.Context, p project.Project, age time.Duration) (owner int, why string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.owned) > age || s.owned.IsZero() {
		rows, err := s.Locks.List(ctx, s.job.Repo)
		if err != nil {
			return 0, "", err
		}
		s.owned, s.owner = time.Now(), map[string]int{}
		for _, q := range s.set.Projects {
			for _, row := range rows {
				if row.Key.Dir == q.Dir && row.Key.Workspace == q.Workspace {
					s.owner[q.ID()] = row.Owner
				}
			}
		}
	}
	owner = s.owner[p.ID()]
	if owner == 0 {
		return 0, "", nil
	}
	rec, _, err := record.ReadPull(ctx, s.Store, s.job.Repo, owner)
	if err != nil {
		return owner, "", err
	}
	if own := rec.Project(p.ID()); own != nil && own.State == record.Applying {
		why = fmt.Sprintf("#%d is being applied", owner)
	}
	return owner, why, nil
}

// overtaken says why what was found of a project may not be true any more: it
// is being applied now, or was since the commit was fetched.
func (s *survey) overtaken(ctx context.Context, p project.Project) (owner int, why string, err error) {
	owner, why, err = s.busy(ctx, p, 0)
	if why != "" || err != nil {
		return owner, why, err
	}
	last, ok, err := ledger.Read(ctx, s.Store, s.job.Repo, p.ID())
	if err == nil && ok && last.Last.When.After(s.began) {
		why = fmt.Sprintf("#%d was applied meanwhile", last.Last.Pull)
	}
	return owner, why, err
}

// due are the projects to look at, those first that wait longest. What this
// job has looked at before it was cut short is not due again.
func (s *survey) due() []project.Project {
	var due []project.Project
	for _, p := range s.set.Projects {
		rule, group := ruleOf(s.cfg, p.Dir)
		switch {
		case !s.known[p.ID()].Check.Started.Before(s.job.Accepted):
		case s.job.Command != nil && !scope.Selects(s.job.Command, p.ID(), p.Dir, p.Workspace):
		case s.job.Command == nil && group != s.job.Group:
		case s.job.Command == nil && rule != nil && rule.Schedule == "off":
		default:
			due = append(due, p)
		}
	}
	slices.SortStableFunc(due, func(a, b project.Project) int {
		return s.known[a.ID()].Check.Started.Compare(s.known[b.ID()].Check.Started)
	})
	return due
}

// look looks at projects, some at once, and keeps what it found of each. wrong
// is why some could not be looked at, by a fault of ours: it keeps no other from
// being looked at, since it may be those projects' own and come again. After
// err, nothing more can be done or kept.
func (s *survey) look(ctx context.Context, fence store.Write, due []project.Project) (wrong, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.AtOnce)
	results, faults := make([]Known, len(due)), make([]error, len(due))
	var overtaken atomic.Bool // what was asked for goes first; its job tells what was found so far, too
	for i, p := range due {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			first, err := s.Queue.Overtaken(ctx, s.job)
			if err != nil {
				return err
			}
			if first || overtaken.Load() {
				overtaken.Store(true)
				return nil
			}
			known, err := s.lookAt(ctx, p)
			switch {
			case err != nil && ctx.Err() != nil:
				return err
			case err != nil:
				faults[i] = fmt.Errorf("check %s: %w", p.ID(), err)
				s.Log.Error("a project cannot be checked", "repo", s.job.Repo, "project", p.ID(), "err", err)
				return nil
			}
			results[i], err = s.put(ctx, fence, known)
			return err
		})
	}
	if err = group.Wait(); err == nil && overtaken.Load() {
		err = work.ErrOvertaken
	}
	for i, p := range due {
		if results[i].version != 0 {
			s.known[p.ID()] = results[i]
		}
	}
	return errors.Join(faults...), err
}

// lookAt looks at one project. A project that is being applied is put off.
func (s *survey) lookAt(ctx context.Context, p project.Project) (Known, error) {
	rule, group := ruleOf(s.cfg, p.Dir)
	known := s.known[p.ID()]
	check := finding.Check{
		Repo: s.job.Repo, Project: p.ID(), Dir: p.Dir, Workspace: p.Workspace, Name: p.Name,
		Commit: s.head, Started: time.Now().UTC(),
	}
	blank := check
	blank.Started = time.Time{}
	putOff := func(why string) Known {
		if known.version == 0 {
			known.Check, known.Group = blank, group // nothing is known of it
			known.Check.InFlight = check.InFlight
		}
		known.PutOff = why
		return known
	}
	var why string
	var err error
	if check.InFlight, why, err = s.busy(ctx, p, ownersFor); err != nil {
		return known, err
	} else if why != "" {
		return putOff(why), nil
	}
	plan, failure, err := s.Looker.Look(ctx, s.job.Repo, run.Files{Root: s.co.Root, Tree: s.co.Tree}, p, s.Environ)
	if err != nil {
		return known, err
	}
	check.Took = time.Since(check.Started)
	check.Failure = failure
	if plan != nil {
		check.Terraform = plan.Version
		if err := s.explain(ctx, &check, p, rule, plan); err != nil {
			return known, err
		}
	}
	if len(check.Findings) > 0 || check.Failure != "" {
		if check.InFlight, why, err = s.overtaken(ctx, p); err != nil {
			return known, err
		} else if why != "" {
			return putOff(why), nil
		}
	}
	if check, err = bounded(check); err != nil {
		return known, err
	}
	known = known.learn(check, group)
	owned := s.codes.Of(p.Dir)
	known.Assignees, known.Teams = owned.Users, owned.Teams
	if rule != nil && len(rule.Assignees) > 0 {
		known.Assignees, known.Teams = rule.Assignees, nil
	}
	s.Log.Info("checked", "repo", check.Repo, "project", check.Project, "findings", len(check.Findings), "failure", failure != "", "took", check.Took)
	return known, nil
}

// gone are the projects that something is known of and that are not in the
// repository any more.
func (s *survey) gone() []Known {
	var gone []Known
	for id, k := range s.known {
		if !slices.ContainsFunc(s.set.Projects, func(p project.Project) bool { return p.ID() == id }) {
			gone = append(gone, k)
		}
	}
	slices.SortFunc(gone, byProject)
	return gone
}

func byProject(a, b Known) int { return cmp.Compare(a.Check.Project, b.Check.Project) }

// tell makes the issues fit and keeps which they are.
func (s *survey) tell(ctx context.Context, fence store.Write, gone []Known) error {
	if s.Teller == nil {
		return nil
	}
	var known []Known
	for id, k := range s.known {
		if !slices.ContainsFunc(gone, func(g Known) bool { return g.Check.Project == id }) && !k.Check.Started.IsZero() {
			known = append(known, k)
		}
	}
	slices.SortFunc(known, byProject)
	issues, err := s.Teller.Tell(ctx, s.repo, known, gone)
	if err != nil {
		return err
	}
	for _, k := range known {
		told := k.Check.Open()
		if issues[k.Check.Project] == k.Issue && slices.EqualFunc(told, k.Told, func(a, b finding.Finding) bool { return a.Key() == b.Key() }) {
			continue
		}
		k.Issue, k.Told = issues[k.Check.Project], told
		if k, err = s.put(ctx, fence, k); err != nil {
			return err
		}
		s.known[k.Check.Project] = k
	}
	return nil
}

// sentence ends a text as one.
func sentence(text string) string { return strings.TrimRight(text, ".\n ") + "." }
