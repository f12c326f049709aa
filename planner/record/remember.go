package record

import (
	"context"
	"time"

	"weir/planner/ledger"
	"weir/store"
)

// Remember returns the writes that keep in the ledger what an apply of one
// project came to, as State says.
func Remember(ctx context.Context, s store.Store, rec Record, p ProjectRecord, one Run, actor string) ([]store.Write, error) {
	plan, _, err := ReadRun(ctx, s, p.PlanRun)
	if err != nil {
		return nil, err
	}
	e := ledger.Entry{
		Repo: rec.Repo, Project: p.ID, Dir: p.Dir, Workspace: p.Workspace, Outcome: ledger.Failed, When: time.Now().UTC(),
		Pull: rec.Pull, Job: one.Job, Run: one.ID, Actor: actor, Extra: p.Extra,
		Commit: p.PlanMerge, Head: p.PlanHead, Base: p.PlanBase, BaseRef: rec.BaseRef,
		PlanDigest: p.PlanDigest, ChangeDigest: p.ChangeDigest, Terraform: plan.Terraform, Providers: plan.Providers, Modules: plan.Modules, Blocks: plan.Blocks,
	}
	switch p.State {
	case Applied:
		e.Outcome = ledger.Applied
	case Interrupted:
		e.Outcome = ledger.Interrupted
	}
	if plan.Summary != nil {
		e.Inputs = plan.Summary.Inputs
	}
	return ledger.Write(ctx, s, e)
}
