package planner

import (
	"context"

	"weir/planner/record"
	"weir/planner/result"
	"weir/policy"
)

// explain tells what the gate waits for.
func (t *task) explain(ctx context.Context) error {
	r := t.say.Result(result.Explain)
	if t.ended() {
		r.Decision = &policy.Decision{Requirements: []policy.Requirement{{Name: "mergeable", Reason: t.over()}}}
	} else {
		decision, err := t.gate(ctx, "", nil, false)
		if err != nil {
			return err
		}
		r.Decision = &decision
	}
	_, err := t.say.Comment(ctx, r)
	return err
}

// notDone answers a command that cannot be done as it was written, and changes
// nothing.
func (t *task) notDone(ctx context.Context, why string) error {
	r := t.say.Result(result.NotServed)
	r.Text = why
	_, err := t.say.Comment(ctx, r)
	return err
}

func (t *task) help(ctx context.Context) error {
	r := t.say.Result(result.Help)
	r.Text = t.job.Reason
	_, err := t.say.Comment(ctx, r)
	return err
}

// refuse tells, once, why a pull request is not served here.
func (t *task) refuse(ctx context.Context) error {
	return t.say.Once(ctx, "refused", t.job.Reason)
}

// mergeGroup lets a merge queue pass: each of its pull requests has shown both
// checks on its own head before it could be queued.
func (t *task) mergeGroup(ctx context.Context) error {
	t.pr.Head = t.job.Head
	for _, name := range []string{result.CheckPlan, result.CheckApply} {
		if err := t.say.Check(ctx, name, record.Success, "Checked on each pull request before it was queued", t.say.Result(result.Plan)); err != nil {
			return err
		}
	}
	return nil
}
