package planner

import (
	"context"

	"weir/planner/record"
	"weir/planner/result"
	"weir/planner/work"
	"weir/store"
)

// recoverApply looks for an apply that was running when its worker died.
// Nobody knows what terraform had done by then, so it is told and planned
// again, and never applied again by itself (I4). The record keeps that it is
// to be told until that has happened.
func (t *task) recoverApply(ctx context.Context) (bool, error) {
	var runs []*record.Run
	var entries []store.Write
	for i := range t.rec.Projects {
		p := &t.rec.Projects[i]
		if p.State != record.Applying {
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
		p.State, p.AppliedHead = record.Interrupted, p.PlanHead
		entry, err := record.Remember(ctx, t.Store, t.rec.Record, *p, one, "")
		if err != nil { // telling people matters more
			t.log.Error("an interrupted apply is not in the ledger", "project", p.ID, "err", err)
		}
		entries = append(entries, entry...)
		p.Note = "weir was stopped while terraform applied it; part of it may have been done"
		t.rec.Untold = append(t.rec.Untold, p.ID)
		t.note("apply interrupted", p.Note, p.ID).Digests = map[string]string{p.ID: p.PlanDigest}
	}
	if len(t.rec.Untold) == 0 {
		return false, nil
	}
	t.rec.Posted = nil // a person decides anew, on the plan to come
	if t.rec.Noted() {
		if err := t.saveRuns(ctx, runs, entries...); err != nil {
			return false, err
		}
	}
	r, err := t.say.Applies(ctx, result.Interrupted, t.rec.Untold)
	if err != nil {
		return false, err
	}
	if _, err := t.say.Comment(ctx, r); err != nil {
		return false, err
	}
	if err := t.say.Check(ctx, result.CheckApply, record.Failure, "The apply was interrupted", r); err != nil {
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
