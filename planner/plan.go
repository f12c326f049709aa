package planner

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"weir/planner/project"
	"weir/planner/record"
	"weir/planner/result"
	"weir/planner/run"
	"weir/planner/scope"
	"weir/planner/work"
	"weir/policy"
)

// plan takes the locks of what the pull request touches, plans it, and tells.
//
// Locks after a failure: a plan that fails keeps the locks that it took, since
// its next commit will need them. A job that cannot even say what the pull
// request touches (a conflict, a broken weir.yaml) changes no lock.
func (t *task) plan(ctx context.Context) error {
	if !t.pr.Open && !t.unappliedMerge() {
		// Handed a lock after it was closed, or a delivery that came late.
		if err := t.close(ctx); err != nil {
			return err
		}
		return t.tooLate(ctx)
	}
	if t.rec.PlanJob == t.job.ID && t.rec.Head == t.pr.Head && t.rec.ToldJob != t.job.ID {
		return t.announce(ctx) // planned before; only telling was left
	}

	var s *scope.Scope
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		s, err = scope.Finder{Checkouts: t.Checkouts}.Find(gctx, t.job.Repo, t.pr, &t.rec.Record, t.job.Command)
		return err
	})
	var begun record.CheckRef
	soFar := t.say.Result(result.Plan)
	begin := func(ctx context.Context) (err error) {
		begun, err = t.say.Set(ctx, result.CheckPlan, record.InProgress, "Planning "+policy.Short(t.pr.Head), soFar)
		return err
	}
	narrowed := t.job.Command.Narrows()
	if !narrowed {
		if err := t.say.Intend(ctx, result.CheckPlan); err != nil {
			return err
		}
		g.Go(func() error { return begin(gctx) })
	}
	err := g.Wait()
	if err == nil && narrowed {
		if s.Unknown != "" {
			return t.notDone(ctx, s.Unknown) // a slip of the pen: what is planned stays as it is
		}
		if err = t.say.Intend(ctx, result.CheckPlan); err == nil {
			err = begin(ctx)
		}
	}
	t.say.Keep(begun)
	if err == nil {
		err = t.planScope(ctx, s)
	}
	switch {
	case err != nil && superseded(ctx):
		return t.stopped(context.WithoutCancel(ctx))
	case err != nil && begun.ID != 0:
		// Whoever tries next, or gives up, has to know the check that
		// says that a plan runs.
		err = errors.Join(err, t.save(context.WithoutCancel(ctx)))
	}
	return err
}

// unappliedMerge says that the pull request was merged to be applied then, and
// something of it has not been applied yet.
func (t *task) unappliedMerge() bool {
	return t.pr.Merged && t.rec.Mode == policy.OnMerge && t.rec.Closed && len(t.rec.Left()) > 0
}

func (t *task) planScope(ctx context.Context, s *scope.Scope) error {
	if t.rec.Closed && t.pr.Open {
		t.rec.Reopen()
	}
	t.rec.Closed, t.rec.Merged = !t.pr.Open, t.pr.Merged
	t.rec.Head, t.rec.Failure, t.rec.Notes, t.rec.Waiting = t.pr.Head, s.Failure, s.Notes, nil
	t.rec.Mode, t.rec.Automerge, t.rec.Submodules, t.rec.LFS = s.Mode, s.Automerge, s.Submodules, s.LFS
	t.rec.PlanJob = ""
	if s.Failure != "" {
		t.rec.Base, t.rec.Merge = "", "" // they were those of another head
		return t.announce(ctx)
	}
	t.rec.Base, t.rec.Merge = s.Checkout.Base, s.Checkout.Merge
	taken, err := t.take(ctx, s)
	if err != nil {
		return err
	}
	t.rec.Failure = s.Failure
	if err := t.save(ctx); err != nil {
		return err
	}
	if s.Failure != "" {
		return t.announce(ctx)
	}
	if !taken {
		return t.announceWaiting(ctx)
	}
	if err := t.planAll(ctx, s); err != nil {
		return err
	}
	t.rec.PlanJob = t.job.ID
	if err := t.save(ctx); err != nil {
		return err
	}
	return t.announce(ctx)
}

// planAll plans every project that needs it: those asked for, and those
// without a plan for this head. Projects are planned side by side as far as
// the server's limit allows, dependencies first.
func (t *task) planAll(ctx context.Context, s *scope.Scope) error {
	var runs []*record.Run
	todo := map[string]*record.Run{}
	for i := range t.rec.Projects {
		p := &t.rec.Projects[i]
		if !t.needsPlan(*p, s.Asked) {
			continue
		}
		one := run.New("plan", &t.rec.Record, p, t.job.ID)
		p.Run, p.PlanRun, p.Job, p.State, p.Note = one.ID, one.ID, t.job.ID, record.Planning, ""
		p.PlanDigest, p.ChangeDigest = "", ""
		p.PlanHead, p.PlanBase, p.PlanRef, p.PlanMerge = t.pr.Head, t.rec.Base, t.pr.Base, t.rec.Merge
		p.Extra, p.AskedBy = nil, ""
		if c := t.job.Command; c != nil && len(c.Extra) > 0 && (s.Asked == nil || slices.Contains(s.Asked, p.ID)) {
			p.Extra, p.AskedBy = c.Extra, t.job.Actor
		}
		todo[p.ID] = one
		runs = append(runs, one)
	}
	if len(runs) == 0 {
		return nil
	}
	if err := t.saveRuns(ctx, runs); err != nil {
		return err
	}
	files := run.Files{Root: s.Checkout.Root, Tree: s.Checkout.Tree}
	for _, level := range project.Ordered(s.Projects) {
		g, gctx := errgroup.WithContext(ctx)
		for _, p := range level {
			one, known := todo[p.ID()], t.rec.Project(p.ID())
			if one == nil {
				continue
			}
			g.Go(func() error {
				if err := t.Runs.Plan(gctx, files, p, known, one); err != nil {
					return err
				}
				return t.originsOf(gctx, s, p, one)
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return t.saveRuns(ctx, runs)
}

// originsOf adds where differences come from that the pull request did not
// bring. A plan is worth telling without that.
func (t *task) originsOf(ctx context.Context, s *scope.Scope, p project.Project, one *record.Run) error {
	if err := t.Origins.Of(ctx, s.Checkout, p, one); err != nil && ctx.Err() == nil {
		t.log.Warn("where differences come from cannot be found out", "project", p.ID(), "err", err)
		one.Notes = append(one.Notes, "What of this plan was merged earlier and never applied could not be found out; the server's log says why.")
	}
	return context.Cause(ctx)
}

// needsPlan says whether a project has to be planned in this job.
func (t *task) needsPlan(p record.ProjectRecord, asked []string) bool {
	if asked != nil && slices.Contains(asked, p.ID) {
		return true
	}
	currentPlan := p.PlanHead == t.pr.Head && p.PlanBase == t.rec.Base && (p.State == record.Planned || p.State == record.NoChanges)
	applied := p.State == record.Applied && p.AppliedHead == t.pr.Head
	if asked != nil {
		return !currentPlan && !applied
	}
	return !applied || t.job.Command != nil
}

// stopped ends a plan whose place a newer event has taken: what it had begun
// to say is taken back. Nothing is lost, as the newer job plans anew.
func (t *task) stopped(ctx context.Context) error {
	r := t.say.Result(result.Plan)
	for _, c := range t.say.Running() {
		if c.Name == result.CheckPlan {
			if err := t.say.End(ctx, c, record.Cancelled, "Superseded by a newer event", r); err != nil {
				return err
			}
		}
	}
	var runs []*record.Run
	for i := range t.rec.Projects {
		p := &t.rec.Projects[i]
		if p.State != record.Planning {
			continue
		}
		p.State, p.Note = record.Pending, "its plan was superseded"
		if one, ok, err := record.ReadRun(ctx, t.Store, p.Run); err == nil && ok {
			one.State, one.Ended, one.Failure = record.Pending, time.Now().UTC(), "superseded by a newer event"
			runs = append(runs, &one)
		}
	}
	if err := t.saveRuns(ctx, runs); err != nil {
		return err
	}
	return work.ErrSuperseded
}

// announce tells of the plans, and has them applied if the gate is open
// already because an approval still counts.
func (t *task) announce(ctx context.Context) error {
	var decision policy.Decision
	t.rec.Decision = nil
	if t.rec.Failure == "" {
		var err error
		// Another server may have planned before it died.
		if decision, err = t.gate(ctx, policy.ByPlan, nil, t.job.Attempt <= 1); err != nil {
			return err
		}
		t.rec.Decision = &decision
	}
	r, err := t.say.Plans(ctx)
	if err != nil {
		return err
	}
	if t.worthTelling() {
		told, err := t.say.Comment(ctx, r)
		if err != nil {
			return err
		}
		t.rec.Post(told.At, t.seen)
	}
	t.rec.ToldJob = t.job.ID
	if err := t.say.Both(ctx, r, decision); err != nil {
		return err
	}
	if err := t.save(ctx); err != nil {
		return err
	}
	if decision.Open {
		if _, err := t.Queue.Accept(ctx, "after-"+t.job.ID, work.Job{
			Kind: work.Gate, Repo: t.job.Repo, Pull: t.job.Pull, Trigger: "plan",
		}); err != nil {
			return err
		}
	}
	return nil
}

// worthTelling is false for a pull request that touches no project: its checks
// say so, and a comment would be noise, unless somebody asked or an older
// comment says otherwise.
func (t *task) worthTelling() bool {
	return len(t.rec.Projects) > 0 || t.rec.Failure != "" || t.job.Command != nil ||
		slices.ContainsFunc(t.rec.Comments, func(c record.CommentRef) bool { return !c.Minimised })
}

func (t *task) announceWaiting(ctx context.Context) error {
	t.rec.Decision = nil
	r := t.say.Result(result.Locked)
	if _, err := t.say.Comment(ctx, r); err != nil {
		return err
	}
	title := "Waits for " + record.Owners(t.rec.Waiting)
	for _, name := range []string{result.CheckPlan, result.CheckApply} {
		if err := t.say.Check(ctx, name, record.ActionRequired, title, r); err != nil {
			return err
		}
	}
	return t.save(ctx)
}
