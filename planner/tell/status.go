package tell

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"weir/planner/record"
	"weir/planner/result"
	"weir/policy"
)

// Both sets both checks of the head commit by the outcome of its plans.
func (t *Pull) Both(ctx context.Context, r result.Result, d policy.Decision) error {
	g, gctx := errgroup.WithContext(ctx)
	var plan, apply record.CheckRef
	g.Go(func() (err error) {
		status, title := t.planStatus()
		plan, err = t.Set(gctx, result.CheckPlan, status, title, r)
		return err
	})
	g.Go(func() (err error) {
		status, title := t.ApplyStatus(d)
		apply, err = t.Set(gctx, result.CheckApply, status, title, r)
		return err
	})
	err := g.Wait()
	t.Keep(plan)
	t.Keep(apply)
	return err
}

// planStatus is what the check weir/plan says once all plans have ended.
func (t *Pull) planStatus() (record.CheckStatus, string) {
	rec := t.Record
	failed := 0
	for _, p := range rec.Projects {
		if p.State == record.PlanFailed {
			failed++
		}
	}
	switch {
	case rec.Failure != "":
		line, _, _ := strings.Cut(strings.TrimSpace(rec.Failure), "\n")
		return record.Failure, line
	case failed > 0:
		return record.Failure, fmt.Sprintf("%d of %d failed", failed, len(rec.Projects))
	case len(rec.Projects) == 0:
		return record.Success, "No project is touched"
	}
	return record.Success, fmt.Sprintf("%d planned", len(rec.Projects))
}

// ApplyStatus is what the check weir/apply says outside of an apply.
func (t *Pull) ApplyStatus(d policy.Decision) (record.CheckStatus, string) {
	rec := t.Record
	if rec.Failure != "" {
		return record.ActionRequired, "Waits for a plan"
	}
	if d.Nothing {
		for _, p := range rec.Projects {
			if p.AppliedHead != "" {
				return record.Success, "Everything is applied"
			}
		}
		return record.Success, "Nothing to apply"
	}
	missing := d.Missing()
	switch {
	case len(missing) == 0:
		return record.ActionRequired, "Will be applied now"
	case rec.Mode == policy.OnMerge && !t.PR.Merged && len(missing) == 1 && missing[0].Name == "asked":
		// A required check must not keep it from the merge that it waits for.
		return record.Success, "Ready: it is applied after the merge"
	}
	return record.ActionRequired, "Waits: " + missing[0].Reason
}
