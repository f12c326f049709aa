package planner

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"weir/locks"
	"weir/planner/project"
	"weir/planner/record"
	"weir/planner/result"
	"weir/planner/run"
	"weir/planner/scope"
	"weir/planner/work"
	"weir/policy"
	"weir/store"
)

// apply asks the gate and, if it is open, applies. It serves every door: a
// review, a comment, the button of a check, the end of a plan, a merge.
func (t *task) apply(ctx context.Context) error {
	if t.ended() {
		return t.tooLate(ctx)
	}
	only, failure := t.named()
	if failure != "" {
		return t.notDone(ctx, failure)
	}
	trigger := t.trigger()
	decision, err := t.gate(ctx, trigger, only, false)
	if err != nil {
		return err
	}
	before := t.rec.Decision
	t.rec.Decision = &decision
	mine := t.appliedHere()
	switch {
	case decision.Open:
		err = t.applyAll(ctx, decision, only)
	case len(mine) > 0: // an earlier attempt has applied these and could not tell
		err = t.finish(ctx, mine)
	default:
		return t.shut(ctx, decision, before, trigger)
	}
	if err == nil && t.pr.Merged && len(t.rec.Left()) == 0 {
		return t.close(ctx)
	}
	return err
}

// named resolves what a command narrows an apply to; nil means everything.
func (t *task) named() (only []string, failure string) {
	c := t.job.Command
	if !c.Narrows() {
		return nil, ""
	}
	for _, p := range t.rec.Projects {
		if scope.Selects(c, p.ID, p.Dir, p.Workspace) {
			only = append(only, p.ID)
		}
	}
	if only == nil {
		return nil, fmt.Sprintf("This pull request has no plan of a project with %s. It has: %s", scope.Describe(c), strings.Join(t.rec.IDs(), ", "))
	}
	return only, ""
}

func (t *task) trigger() policy.Trigger {
	switch {
	case t.pr.Merged && t.job.Kind == work.Close:
		return policy.ByMerge
	case t.job.Kind == work.Gate:
		return policy.ByReview
	case t.job.Trigger == "check":
		return policy.ByCheck
	}
	return policy.ByComment
}

// appliedHere names the projects whose apply ended in an earlier attempt of
// this very job.
func (t *task) appliedHere() []string {
	var mine []string
	for _, p := range t.rec.Projects {
		if p.Job == t.job.ID && (p.State == record.Applied || p.State == record.ApplyFailed) {
			mine = append(mine, p.ID)
		}
	}
	return mine
}

// shut tells that the gate is closed, to whoever asked, and has a new plan
// made if that can help.
func (t *task) shut(ctx context.Context, d policy.Decision, before *policy.Decision, trigger policy.Trigger) error {
	asked := trigger == policy.ByComment || trigger == policy.ByCheck
	replan := d.Replan() && t.pr.Open
	if asked {
		r := t.say.Result(result.Refused)
		r.Decision = &d
		if replan {
			r.Notes = append(r.Notes, "It is planned again now.")
		}
		if _, err := t.say.Comment(ctx, r); err != nil {
			return err
		}
		t.note("apply refused", missing(d))
	}
	if t.rec.Head == t.pr.Head && t.rec.ToldJob != "" && len(t.rec.Waiting) == 0 {
		if !asked && !reflect.DeepEqual(before, &d) && t.worthTelling() {
			r, err := t.say.Plans(ctx) // the plan comment says what is still missing
			if err != nil {
				return err
			}
			if _, err := t.say.Comment(ctx, r); err != nil {
				return err
			}
		}
		status, title := t.say.ApplyStatus(d)
		r := t.say.Result(result.Explain)
		r.Decision = &d
		if err := t.say.Check(ctx, result.CheckApply, status, title, r); err != nil {
			return err
		}
	}
	if err := t.save(ctx); err != nil {
		return err
	}
	if replan || len(t.rec.Projects) == 0 && t.rec.ToldJob == "" && len(t.rec.Waiting) == 0 && t.pr.Open {
		return t.follow(ctx, work.Plan, "the gate asks for a newer plan")
	}
	return nil
}

// follow queues a job that follows from this one, once, however often this
// one is tried.
func (t *task) follow(ctx context.Context, kind work.Kind, trigger string) error {
	_, err := t.Queue.Accept(ctx, fmt.Sprintf("after-%s-%s", t.job.ID, kind), work.Job{
		Kind: kind, Repo: t.job.Repo, Pull: t.job.Pull, Trigger: trigger,
	})
	return err
}

func missing(d policy.Decision) string {
	var all []string
	for _, r := range d.Missing() {
		all = append(all, r.Name+": "+r.Reason)
	}
	return strings.Join(all, "; ")
}

// applyAll applies every planned project, dependencies first. A failure stops
// what depends on it and nothing else.
func (t *task) applyAll(ctx context.Context, d policy.Decision, only []string) error {
	if err := t.say.Begin(ctx, result.CheckApply, "Applying", t.say.Result(result.Apply)); err != nil {
		return err
	}
	done := t.appliedHere()
	failed := map[string]bool{}
	for _, level := range t.levels() {
		for _, id := range level {
			p := t.rec.Project(id)
			if p.State != record.Planned || only != nil && !slices.Contains(only, id) {
				continue
			}
			if blocker := t.blocker(*p, failed); blocker != "" {
				failed[id] = true
				p.State, p.Job, p.Note = record.Skipped, t.job.ID, "not applied, because "+blocker+" was not"
				done = append(done, id)
				continue
			}
			changed, err := t.changed(ctx, p, done)
			if err != nil {
				return err
			}
			if changed {
				failed[id] = true
				p.State, p.Job, p.Note = record.Skipped, t.job.ID, "a project that it depends on was applied, and now its plan is another: it needs an approval of its own"
				done = append(done, id)
				continue
			}
			if err := t.applyOne(ctx, d, p); err != nil {
				return err
			}
			failed[id] = p.State != record.Applied
			done = append(done, id)
		}
	}
	return t.finish(ctx, done)
}

// levels orders the projects of the record by their dependencies.
func (t *task) levels() [][]string {
	projects := make([]project.Project, len(t.rec.Projects))
	for i, p := range t.rec.Projects {
		projects[i] = project.Project{Dir: p.Dir, Workspace: p.Workspace, DependsOn: p.DependsOn}
		if projects[i].ID() != p.ID {
			projects[i].Name = p.ID
		}
	}
	var levels [][]string
	for _, level := range project.Ordered(projects) {
		var ids []string
		for _, p := range level {
			ids = append(ids, p.ID())
		}
		levels = append(levels, ids)
	}
	return levels
}

// blocker names a dependency that was not applied though it should have been.
func (t *task) blocker(p record.ProjectRecord, failed map[string]bool) string {
	for _, on := range p.DependsOn {
		if failed[on] {
			return on
		}
		if d := t.rec.Project(on); d != nil && d.Stage() == policy.Unplanned {
			return on
		}
	}
	return ""
}

// changed says whether a project whose dependency was applied in this very job
// would now do something else than was approved. If it would not, the plan
// file that was shown is the one that is applied (I2).
func (t *task) changed(ctx context.Context, p *record.ProjectRecord, done []string) (bool, error) {
	if !slices.ContainsFunc(p.DependsOn, func(on string) bool { return slices.Contains(done, on) }) {
		return false, nil
	}
	co, err := t.Checkouts.At(ctx, scope.Again(&t.rec.Record, t.pr, p.PlanBase, p.PlanHead), p.PlanMerge)
	if err != nil {
		return false, err
	}
	set, failure := scope.Discover(co.Root)
	if failure != "" {
		return true, nil
	}
	found := set.Find(p.Dir, p.Workspace, "")
	if len(found) != 1 {
		return true, nil
	}
	again := run.New("plan", &t.rec.Record, p, t.job.ID)
	return t.Runs.Changed(ctx, run.Files{Root: co.Root, Tree: co.Tree}, found[0], p, again)
}

// paused is how long the commit of an apply may take before the claim on the
// job is looked at once more: below any lease.
const paused = 5 * time.Second

// applyOne takes one project through Planned → Applying → Applied or
// ApplyFailed. The first transition is the one conditional write that lets
// terraform change something (I4): it holds only if nothing has touched the
// pull request's record since the gate decided on it, this worker still has
// the job, and the lock is still held in the epoch that the plan was made in.
func (t *task) applyOne(ctx context.Context, d policy.Decision, p *record.ProjectRecord) error {
	file, cleanup, err := t.Runs.Fetch(ctx, p, t.files())
	if err != nil {
		return err
	}
	defer cleanup()
	co, err := t.Checkouts.At(ctx, scope.Again(&t.rec.Record, t.pr, p.PlanBase, p.PlanHead), p.PlanMerge)
	if err != nil {
		return err
	}
	one := run.New("apply", &t.rec.Record, p, t.job.ID)
	one.Head = p.PlanHead
	if planned, ok, err := record.ReadRun(ctx, t.Store, p.PlanRun); err != nil {
		return err
	} else if ok {
		one.Summary = planned.Summary // an apply does exactly what its plan says
	}
	before := *p
	p.State, p.Job, p.Run, p.Note = record.Applying, t.job.ID, one.ID, ""
	e := t.note("apply started", "the gate is open", p.ID)
	e.Digests, e.Decision = map[string]string{p.ID: p.PlanDigest}, &d
	began := time.Now()
	if err := t.commitApplying(ctx, p, one); err != nil {
		*p = before
		t.rec.Unnote()
		var lost *locks.NotOwnerError
		if errors.As(err, &lost) {
			p.State, p.Job, p.Note = record.Skipped, t.job.ID, lost.Error()
			return nil
		}
		return err
	}
	if time.Since(began) > paused {
		// Long enough for another worker to have reported this apply as
		// interrupted. It runs only if nobody has.
		if _, err := t.Queue.Fence(ctx, t.job); err != nil {
			return fmt.Errorf("apply %s: %w", p.ID, err)
		}
	}
	t.Runs.Apply(ctx, co.Root, file, p, one)
	return t.applyEnded(context.WithoutCancel(ctx), p, one)
}

// commitApplying is the commit point of an apply. Waiters that join a lock
// change its row without changing its owner, so fences are read again a few
// times before giving up.
func (t *task) commitApplying(ctx context.Context, p *record.ProjectRecord, one *record.Run) error {
	runWrite, err := record.Put(record.RunKey(one.ID), 0, one)
	if err != nil {
		return err
	}
	const tries = 10
	for try := 1; ; try++ {
		fences, rows, err := t.Locks.Fences(ctx, t.job.Repo, t.job.Pull, []locks.Key{p.Key()})
		if err != nil {
			return err
		}
		if rows[0].Epoch != p.Epoch {
			return &locks.NotOwnerError{Key: rows[0].Key, Pull: t.job.Pull, Owner: rows[0].Owner}
		}
		err = t.save(ctx, append(fences, runWrite)...)
		var conflict *store.ConflictError
		if err == nil || !errors.As(err, &conflict) || try == tries ||
			!slices.ContainsFunc(conflict.Conflicts, func(r store.Record) bool {
				return slices.ContainsFunc(fences, func(w store.Write) bool { return w.Key == r.Key })
			}) {
			return err
		}
	}
}

// applyEnded records what came of an apply. The record must not be lost: if
// the store does not take it, it is tried again for a while; after that the
// next start finds an interrupted apply and says so.
func (t *task) applyEnded(ctx context.Context, p *record.ProjectRecord, one *record.Run) error {
	what := "applied"
	if p.State != record.Applied {
		what = "apply failed"
	}
	t.note(what, p.Note, p.ID).Digests = map[string]string{p.ID: p.PlanDigest}
	const tries = 5
	for try := 1; ; try++ {
		var entry []store.Write
		var err error
		// A stale plan has changed nothing; and a ledger that is out of order
		// keeps no outcome back.
		if p.AppliedHead == p.PlanHead && try < 3 {
			entry, err = record.Remember(ctx, t.Store, t.rec.Record, *p, *one, t.job.Actor)
		}
		if err == nil {
			err = t.saveRuns(ctx, []*record.Run{one}, entry...)
		}
		var conflict *store.ConflictError
		if err == nil || try == tries || errors.As(err, &conflict) && entry == nil || errors.Is(err, work.ErrLost) {
			return err
		}
		t.log.Error("the outcome of an apply could not be stored", "project", p.ID, "state", p.State, "try", try, "err", err)
		select {
		case <-time.After(time.Duration(try) * time.Second):
		case <-ctx.Done():
		}
	}
}
