package planner

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"weir/locks"
	"weir/planner/project"
	"weir/planner/record"
	"weir/planner/run"
	"weir/planner/scope"
	"weir/planner/work"
	"weir/policy"
	"weir/store"
)

// apply asks the gate and, if it is open, applies. It serves every door: a
// review, a comment, the button of a check, the end of a plan, a merge.
func (t *task) apply(ctx context.Context) error {
	only, failure := t.named()
	if failure != "" {
		r := t.result(ResultRefused)
		r.Failure = failure
		_, err := t.tell(ctx, r)
		return err
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
	if c == nil || c.Dir == "" && c.Workspace == "" && c.Project == "" {
		return nil, ""
	}
	for _, p := range t.rec.Projects {
		if scope.Selects(c, p.ID, p.Dir, p.Workspace) {
			only = append(only, p.ID)
		}
	}
	if only == nil {
		return nil, "This pull request has no plan of a project " + scope.Describe(c) + "."
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
		if p.Job == t.job.ID && (p.State == Applied || p.State == ApplyFailed) {
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
		r := t.result(ResultRefused)
		r.Decision = &d
		if replan {
			r.Notes = append(r.Notes, "It is planned again now.")
		}
		if _, err := t.tell(ctx, r); err != nil {
			return err
		}
		t.note("apply refused", missing(d))
	}
	if t.rec.Head == t.pr.Head && t.rec.ToldJob != "" && len(t.rec.Waiting) == 0 {
		if !asked && !reflect.DeepEqual(before, &d) && t.worthTelling() {
			// The plan comment says what is still missing: keep it true.
			r, err := t.planResult(ctx)
			if err != nil {
				return err
			}
			if _, err := t.tell(ctx, r); err != nil {
				return err
			}
		}
		status, title := t.applyStatus(d)
		if err := t.check(ctx, CheckApply, status, title, t.result(ResultExplain)); err != nil {
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
	var s string
	for i, r := range d.Missing() {
		if i > 0 {
			s += "; "
		}
		s += r.Name + ": " + r.Reason
	}
	return s
}

// applyAll applies every planned project, dependencies first. A failure stops
// what depends on it and nothing else.
func (t *task) applyAll(ctx context.Context, d policy.Decision, only []string) error {
	if err := t.check(ctx, CheckApply, InProgress, "Applying", t.result(ResultApply)); err != nil {
		return err
	}
	done := t.appliedHere()
	failed := map[string]bool{}
	for _, level := range t.levels() {
		for _, id := range level {
			p := t.rec.Project(id)
			if p.State != Planned || only != nil && !slices.Contains(only, id) {
				continue
			}
			if blocker := dependsOnAny(*p, failed, t); blocker != "" {
				failed[id] = true
				p.State, p.Job, p.Note = Skipped, t.job.ID, "not applied, because "+blocker+" was not"
				done = append(done, id)
				continue
			}
			changed, err := t.changed(ctx, p, done)
			if err != nil {
				return err
			}
			if changed {
				failed[id] = true
				p.State, p.Job, p.Note = Skipped, t.job.ID, "a project that it depends on was applied, and now its plan is another: it needs an approval of its own"
				done = append(done, id)
				continue
			}
			if err := t.applyOne(ctx, d, p); err != nil {
				return err
			}
			failed[id] = p.State != Applied
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

// dependsOnAny names a dependency that was not applied though it should have
// been.
func dependsOnAny(p record.ProjectRecord, failed map[string]bool, t *task) string {
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
	co, err := t.Checkouts.At(ctx, scope.Request(t.job.Repo, t.pr), p.PlanMerge)
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
	again := run.New("plan", &t.rec, p, t.job.ID)
	return t.Runs.Changed(ctx, run.Files{Root: co.Root, Tree: co.Tree}, found[0], p, again)
}

// applyOne takes one project through Planned → Applying → Applied or
// ApplyFailed. The first transition is the one conditional write that lets
// terraform change something (I4): it holds only if nothing has touched the
// pull request's record since the gate decided on it, this worker still has
// the job, and the lock is still held in the epoch that the plan was made in.
func (t *task) applyOne(ctx context.Context, d policy.Decision, p *record.ProjectRecord) error {
	file, cleanup, err := t.Runs.Fetch(ctx, p, t.scope())
	if err != nil {
		return err
	}
	defer cleanup()
	co, err := t.Checkouts.At(ctx, scope.Request(t.job.Repo, t.pr), p.PlanMerge)
	if err != nil {
		return err
	}
	one := run.New("apply", &t.rec, p, t.job.ID)
	one.Head = p.PlanHead
	before := *p
	p.State, p.Job, p.Run, p.Note = Applying, t.job.ID, one.ID, ""
	e := t.note("apply started", "the gate is open", p.ID)
	e.Digests, e.Decision = map[string]string{p.ID: p.PlanDigest}, &d
	if err := t.commitApplying(ctx, p, one); err != nil {
		*p = before
		t.audit = nil
		var lost *locks.NotOwnerError
		if errors.As(err, &lost) {
			p.State, p.Job, p.Note = Skipped, t.job.ID, lost.Error()
			return nil
		}
		return err
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
			!slices.ContainsFunc(conflict.Conflicts, func(r store.Record) bool { return r.Key == fences[0].Key }) {
			return err
		}
	}
}

// applyEnded records what came of an apply. The record must not be lost: if
// the store does not take it, it is tried again for a while; after that the
// next start finds an interrupted apply and says so.
func (t *task) applyEnded(ctx context.Context, p *record.ProjectRecord, one *record.Run) error {
	what := "applied"
	if p.State != Applied {
		what = "apply failed"
	}
	t.note(what, p.Note, p.ID).Digests = map[string]string{p.ID: p.PlanDigest}
	const tries = 5
	for try := 1; ; try++ {
		err := t.saveRuns(ctx, []*record.Run{one})
		var conflict *store.ConflictError
		if err == nil || try == tries || errors.As(err, &conflict) {
			return err
		}
		t.log.Error("the outcome of an apply could not be stored", "project", p.ID, "state", p.State, "try", try, "err", err)
		select {
		case <-time.After(time.Duration(try) * time.Second):
		case <-ctx.Done():
		}
	}
}

// finish tells what was applied, sets the checks, and goes on: a merge if all
// is done and the repository wants it, a new plan of what failed.
func (t *task) finish(ctx context.Context, done []string) error {
	again := false
	for _, id := range done {
		again = again || t.rec.Project(id).State != Applied
	}
	if again {
		// After the unexpected a person decides, on fresh facts: no
		// approval that was given before counts for the plans to come.
		t.rec.Posted = nil
	}
	r, err := t.applyResult(ctx, ResultApply, done)
	if err != nil {
		return err
	}
	if _, err := t.tell(ctx, r); err != nil {
		return err
	}
	left := t.rec.Left()
	status, title := Success, "Everything is applied"
	switch {
	case again:
		status, title = Failure, "The apply failed; what is left is planned again"
	case len(left) > 0:
		status, title = ActionRequired, fmt.Sprintf("%d of %d projects are not applied yet", len(left), len(t.rec.Projects))
	}
	if err := t.check(ctx, CheckApply, status, title, r); err != nil {
		return err
	}
	if !again && len(left) == 0 {
		t.rec.Decision = &policy.Decision{Nothing: true}
	}
	if err := t.save(ctx); err != nil {
		return err
	}
	switch {
	case again:
		return t.follow(ctx, work.Plan, "an apply failed")
	case len(left) == 0 && t.rec.Automerge != "" && t.pr.Open:
		return t.automerge(ctx)
	}
	return nil
}

// applyResult shows the projects that a job has applied or tried to.
func (t *task) applyResult(ctx context.Context, kind ResultKind, only []string) (Result, error) {
	r := t.result(kind)
	r.Decision = t.rec.Decision
	runs, err := t.rec.Runs(ctx, t.Store)
	if err != nil {
		return r, err
	}
	var shown []ProjectResult
	for i, p := range t.rec.Projects {
		if !slices.Contains(only, p.ID) {
			continue
		}
		one := runs[p.Run]
		if one.Verb != "apply" {
			one = record.Run{}
		}
		if err := t.fill(ctx, &r.Projects[i], one); err != nil {
			return r, err
		}
		shown = append(shown, r.Projects[i])
	}
	r.Projects = shown
	return r, nil
}

func (t *task) automerge(ctx context.Context) error {
	refusal, err := t.Teller.Merge(ctx, t.job.Repo, t.job.Pull, t.pr.Head, t.rec.Automerge)
	if err != nil {
		return err
	}
	if refusal == "" {
		return nil
	}
	return t.tellOnce(ctx, "automerge-"+t.pr.Head, "Everything is applied, but GitHub refused the merge: "+refusal)
}

// recoverApply looks for an apply that was running when its worker died.
// Nobody knows what terraform had done by then, so it is told and planned
// again, and never applied again by itself (I4). The record keeps that it is
// to be told until that has happened.
func (t *task) recoverApply(ctx context.Context) (bool, error) {
	var runs []*record.Run
	for i := range t.rec.Projects {
		p := &t.rec.Projects[i]
		if p.State != Applying {
			continue
		}
		one, ok, err := record.ReadRun(ctx, t.Store, p.Run)
		if err != nil {
			return false, err
		}
		if ok {
			if err := t.Runs.Salvage(ctx, &one); err != nil {
				t.log.Error("what a dead run had printed could not be kept", "run", one.ID, "err", err)
			}
			runs = append(runs, &one)
		}
		p.State, p.AppliedHead = Interrupted, p.PlanHead
		p.Note = "weir was stopped while terraform applied it; part of it may have been done"
		t.rec.Untold = append(t.rec.Untold, p.ID)
		t.note("apply interrupted", p.Note, p.ID).Digests = map[string]string{p.ID: p.PlanDigest}
	}
	if len(t.rec.Untold) == 0 {
		return false, nil
	}
	t.rec.Posted = nil // a person decides anew, on the plan to come
	if len(t.audit) > 0 {
		if err := t.saveRuns(ctx, runs); err != nil {
			return false, err
		}
	}
	r, err := t.applyResult(ctx, ResultInterrupted, t.rec.Untold)
	if err != nil {
		return false, err
	}
	if _, err := t.tell(ctx, r); err != nil {
		return false, err
	}
	if err := t.check(ctx, CheckApply, Failure, "The apply was interrupted", r); err != nil {
		return false, err
	}
	if t.job.Kind != work.Plan {
		if err := t.follow(ctx, work.Plan, "an apply was interrupted"); err != nil {
			return false, err
		}
	}
	t.rec.Untold = nil
	return true, t.save(ctx)
}
