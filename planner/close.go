package planner

import (
	"context"
	"fmt"
	"slices"
	"time"

	"weir/locks"
	"weir/planner/ledger"
	"weir/planner/record"
	"weir/planner/result"
	"weir/planner/work"
	"weir/policy"
)

// close ends a pull request: what is to be applied on merge is applied, the
// locks pass on, the files go. With `apply: merge` the locks stay until
// everything is applied or somebody unlocks, as nobody else may plan on top of
// what main says and nobody has applied.
func (t *task) close(ctx context.Context) error {
	if t.pr.Open {
		// Reopened meanwhile, or an old delivery: the order of arrival must
		// not matter, and this job may have taken the place of a plan.
		return t.follow(ctx, work.Plan, "reopened")
	}
	again := t.rec.Closed
	t.rec.Closed, t.rec.Merged = true, t.pr.Merged
	if t.rec.Stored() {
		fate := ledger.Fate{Closed: true, Merged: t.pr.Merged, MergedAs: t.pr.MergedAs, Head: t.pr.Head, When: time.Now().UTC()}
		if err := ledger.Close(ctx, t.Store, t.job.Repo, t.job.Pull, fate); err != nil {
			return err
		}
	}
	left := t.leftToApply()
	if t.pr.Merged && t.rec.Mode == policy.OnMerge && len(left) > 0 {
		if t.Gate.Elsewhere(t.pr) == nil {
			return t.applyMerged(ctx, again)
		}
		t.rec.Mode = "" // it keeps no lock for an apply that never comes
	}

	outcome, err := t.release(ctx, nil)
	if err != nil {
		return err
	}
	if !t.rec.Stored() {
		return nil // weir never knew it: nothing else to end
	}
	if len(outcome.Released) > 0 {
		t.note("locks released", "the pull request was closed", t.rec.IDs()...)
	}
	if err := t.tellClosed(ctx, left, outcome.Granted); err != nil {
		return err
	}
	t.rec.Posted, t.rec.Waiting, t.rec.Decision = nil, nil, nil
	if err := t.save(ctx); err != nil {
		return err
	}
	if err := t.Checkouts.Remove(ctx, t.job.Repo, t.job.Pull); err != nil {
		return err
	}
	return t.Runs.Artifacts.Remove(ctx, t.files())
}

// release gives locks back, nil for all, provided that this worker still has
// the job: else they may be those of a pull request that was opened again.
func (t *task) release(ctx context.Context, keys []locks.Key) (locks.Outcome, error) {
	fence, err := t.Queue.Fence(ctx, t.job)
	if err != nil {
		return locks.Outcome{}, err
	}
	outcome, err := t.Locks.Release(ctx, t.job.Repo, t.job.Pull, keys, fence)
	if len(outcome.Granted)+len(outcome.GrantedElsewhere) > 0 {
		t.Queue.Wake()
	}
	return outcome, err
}

// ended says that the pull request is closed and nothing of it is to be applied
// any more: its locks have gone, or go now.
func (t *task) ended() bool {
	return !t.pr.Open && t.rec.Closed && !t.unappliedMerge()
}

// tooLate answers who asks for something when all is over. A review needs no
// answer.
func (t *task) tooLate(ctx context.Context) error {
	if t.job.Command == nil {
		return nil
	}
	return t.notDone(ctx, "Nothing is done: "+t.over())
}

// over says why nothing can be done any more.
func (t *task) over() string {
	what := "closed"
	if t.pr.Merged {
		what = "merged"
	}
	return fmt.Sprintf("this pull request is %s: its locks and plans are gone. A pull request that touches these projects plans and applies them.", what)
}

// applyMerged applies a pull request that was merged with `apply: merge`.
func (t *task) applyMerged(ctx context.Context, again bool) error {
	if !again {
		if err := t.save(ctx); err != nil {
			return err
		}
		if t.rec.ToldJob != t.rec.PlanJob { // the merge took the place of that job
			return t.follow(ctx, work.Plan, "merged before its plan was told")
		}
	}
	decision, err := t.gate(ctx, policy.ByMerge, nil, false)
	if err != nil {
		return err
	}
	t.rec.Decision = &decision
	if !decision.Open {
		if mine := t.appliedHere(); len(mine) > 0 {
			return t.finish(ctx, mine)
		}
		r := t.say.Result(result.Closed)
		r.Merged, r.Decision = true, &decision
		r.Notes = append(r.Notes, "The locks stay until it is applied, or until somebody writes `weir unlock`.")
		if _, err := t.say.Comment(ctx, r); err != nil {
			return err
		}
		status, title := t.say.ApplyStatus(decision)
		if err := t.say.Check(ctx, result.CheckApply, status, title, r); err != nil {
			return err
		}
		return t.save(ctx)
	}
	if err := t.applyAll(ctx, decision, nil); err != nil {
		return err
	}
	if len(t.rec.Left()) > 0 {
		return nil // told by finish; the locks stay
	}
	return t.close(ctx)
}

// tellClosed tells what a merge or close leaves behind; where that is nothing
// it says nothing.
func (t *task) tellClosed(ctx context.Context, left []string, next []int) error {
	r := t.say.Result(result.Closed)
	r.Merged, r.Next, r.Notes = t.pr.Merged, next, append(r.Notes, t.Gate.Elsewhere(t.pr)...)
	applied := false
	for i, p := range t.rec.Projects {
		if p.AppliedHead == "" {
			continue
		}
		applied = true
		if p.Stage() != policy.Ready { // unlocked or planned again since: what counts here is that it was applied
			r.Projects[i].State = record.Applied
		}
	}
	if t.pr.Merged && len(left) > 0 || !t.pr.Merged && applied {
		if _, err := t.say.Comment(ctx, r); err != nil {
			return err
		}
	}
	for _, c := range slices.Clone(t.rec.Checks) {
		switch {
		case c.Name == result.CheckPlan && (c.Status == record.InProgress || c.Status == record.ActionRequired):
			if err := t.say.End(ctx, c, record.Cancelled, "The pull request is closed", r); err != nil {
				return err
			}
		case c.Name != result.CheckApply || c.Status == record.Success:
		case t.pr.Merged && len(left) > 0:
			if err := t.say.Check(ctx, c.Name, record.Failure, "Merged, but never applied", r); err != nil {
				return err
			}
		default:
			if err := t.say.Check(ctx, c.Name, record.Cancelled, "The pull request is closed", r); err != nil {
				return err
			}
		}
	}
	return nil
}

// leftToApply names the projects with something to apply, or that nobody
// could plan.
func (t *task) leftToApply() []string {
	if t.rec.Failure != "" && len(t.rec.Projects) == 0 {
		return nil
	}
	return t.rec.Left()
}

// unlock gives locks back because a person asked for it: all of the pull
// request's, or those of the named projects. Their plans can no longer be
// applied.
func (t *task) unlock(ctx context.Context) error {
	only, failure := t.named()
	if failure != "" {
		return t.notDone(ctx, failure)
	}
	if only == nil {
		only = t.rec.IDs()
	}
	// Everything means everything: also a wait that no record tells of.
	keys := t.rec.Keys(only)
	if len(only) == len(t.rec.Projects) {
		keys = nil
	}
	outcome, err := t.release(ctx, keys)
	if err != nil {
		return err
	}
	for i := range t.rec.Projects {
		p := &t.rec.Projects[i]
		if !slices.Contains(only, p.ID) {
			continue
		}
		if p.State == record.Planned || p.State == record.NoChanges || p.State == record.PlanFailed || p.State == record.Pending {
			p.State, p.Job, p.Note = record.Pending, t.job.ID, "unlocked by "+t.job.Actor+"; `weir plan` takes the lock again"
		}
	}
	t.rec.Waiting = slices.DeleteFunc(t.rec.Waiting, func(w record.Waiting) bool { return slices.Contains(only, w.ID) })
	t.rec.Decision = nil
	t.note("locks released", "weir unlock", only...)
	r := t.say.Result(result.Unlocked)
	r.Unlocked, r.Next = only, outcome.Granted
	if _, err := t.say.Comment(ctx, r); err != nil {
		return err
	}
	if t.pr.Open && len(only) > 0 {
		// The plan check too: this may have stopped a plan that ran.
		for _, name := range []string{result.CheckPlan, result.CheckApply} {
			if err := t.say.Check(ctx, name, record.ActionRequired, "Unlocked; waits for `weir plan`", r); err != nil {
				return err
			}
		}
	}
	return t.save(ctx)
}
