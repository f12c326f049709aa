package planner

import (
	"context"
	"fmt"
	"strings"

	"weir/planner/record"
	"weir/planner/result"
	"weir/planner/work"
	"weir/policy"
)

// finish tells what was applied, sets the checks, and goes on: a merge if all
// is done and the repository wants it, a new plan of what failed or was only
// applied in part.
func (t *task) finish(ctx context.Context, done []string) error {
	var failed, partly []string
	for _, id := range done {
		switch p := t.rec.Project(id); {
		case p.State != record.Applied:
			failed = append(failed, id)
			continue
		case len(p.Extra) > 0:
			partly = append(partly, id)
		}
		t.rec.UseUp(id)
	}
	if len(failed) > 0 {
		// After the unexpected a person decides, on fresh facts: no
		// approval that was given before counts for the plans to come.
		t.rec.Posted = nil
	}
	r, err := t.say.Applies(ctx, result.Apply, done)
	if err != nil {
		return err
	}
	for _, id := range partly {
		p := t.rec.Project(id)
		r.Notes = append(r.Notes, fmt.Sprintf("%s was applied with `%s` alone. It is planned again now, without that, to show what is left.",
			id, strings.Join(p.Extra, " ")))
		p.State, p.Note = record.Pending, "applied with "+strings.Join(p.Extra, " ")+"; what is left is planned again"
	}
	if _, err := t.say.Comment(ctx, r); err != nil {
		return err
	}
	left := t.rec.Left()
	status, title := record.Success, "Everything is applied"
	switch {
	case len(failed) > 0:
		status, title = record.Failure, "The apply failed; what is left is planned again"
	case len(partly) > 0:
		status, title = record.ActionRequired, "Applied in part; what is left is planned again"
	case len(left) > 0:
		status, title = record.ActionRequired, fmt.Sprintf("%d of %d projects are not applied yet", len(left), len(t.rec.Projects))
	default:
		t.rec.Decision = &policy.Decision{Nothing: true}
	}
	if err := t.say.Check(ctx, result.CheckApply, status, title, r); err != nil {
		return err
	}
	if len(failed)+len(partly) > 0 {
		// It runs after this job, so it may be queued before the save.
		if err := t.follow(ctx, work.Plan, "an apply left something"); err != nil {
			return err
		}
		return t.save(ctx)
	}
	if err := t.save(ctx); err != nil {
		return err
	}
	if err := t.retellPlans(ctx); err != nil {
		return err
	}
	if len(left) == 0 && t.rec.Automerge != "" && t.pr.Open {
		return t.automerge(ctx)
	}
	return nil
}

// retellPlans keeps the plan comment true, once what it says has been decided
// on or done.
func (t *task) retellPlans(ctx context.Context) error {
	if !t.say.Shown(result.Plan) {
		return nil
	}
	r, err := t.say.Plans(ctx)
	if err != nil {
		return err
	}
	if _, err := t.say.Comment(ctx, r); err != nil {
		return err
	}
	return t.save(ctx)
}

func (t *task) automerge(ctx context.Context) error {
	refusal, err := t.Merger.Merge(ctx, t.job.Repo, t.job.Pull, t.pr.Head, t.rec.Automerge)
	if err != nil {
		return err
	}
	if refusal == "" {
		return nil
	}
	return t.say.Once(ctx, "automerge-"+t.pr.Head, "Everything is applied, but GitHub refused the merge: "+refusal)
}
