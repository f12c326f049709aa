package planner

import (
	"context"
	"time"

	"weir/planner/ledger"
	"weir/planner/record"
	"weir/store"
)

// remember returns the writes that keep in the ledger what an apply came to.
func (t *task) remember(ctx context.Context, outcome ledger.Outcome, one *record.Run, p *record.ProjectRecord) ([]store.Write, error) {
	plan, _, err := record.ReadRun(ctx, t.Store, p.PlanRun)
	if err != nil {
		return nil, err
	}
	e := ledger.Entry{
		Repo: t.job.Repo, Project: p.ID, Dir: p.Dir, Workspace: p.Workspace, Outcome: outcome, When: time.Now().UTC(),
		Pull: t.job.Pull, Job: t.job.ID, Run: one.ID, Actor: t.job.Actor, Extra: p.Extra,
		Commit: p.PlanMerge, Head: p.PlanHead, Base: p.PlanBase, BaseRef: t.rec.BaseRef,
		PlanDigest: p.PlanDigest, ChangeDigest: p.ChangeDigest, Terraform: plan.Terraform, Providers: plan.Providers,
	}
	if plan.Summary != nil {
		e.Inputs = plan.Summary.Inputs
	}
	return ledger.Write(ctx, t.Store, e)
}

// outcomeOf is how the ledger calls the state of a project after its apply.
func outcomeOf(s record.State) ledger.Outcome {
	switch s {
	case record.Applied:
		return ledger.Applied
	case record.Interrupted:
		return ledger.Interrupted
	}
	return ledger.Failed
}

// noteFate keeps what became of the pull request: what was applied for one that
// is never merged is not what main says.
func (t *task) noteFate(ctx context.Context) error {
	if !t.rec.Stored() {
		return nil
	}
	return ledger.Close(ctx, t.Store, t.job.Repo, t.job.Pull, ledger.Fate{
		Closed: true, Merged: t.pr.Merged, MergedAs: t.pr.MergedAs, Head: t.pr.Head, When: time.Now().UTC(),
	})
}
