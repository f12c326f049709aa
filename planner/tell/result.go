package tell

import (
	"context"
	"fmt"
	"slices"

	"weir/planner/record"
	"weir/planner/result"
)

// Result begins a Result with what every situation shows.
func (t *Pull) Result(kind result.Kind) result.Result {
	rec := t.Record
	r := result.Result{
		Kind: kind, Job: t.Job.ID, Repo: t.Job.Repo, Pull: t.Job.Pull,
		Head: t.head(), Base: rec.Base, BaseRef: t.PR.Base, Mode: string(rec.Mode), Actor: t.Job.Actor,
		PageURL: t.page(),
		Waiting: rec.Waiting, Failure: rec.Failure, Notes: rec.Notes,
	}
	for _, p := range rec.Projects {
		r.Projects = append(r.Projects, result.Project{
			ID: p.ID, Dir: p.Dir, Workspace: p.Workspace, State: p.State, Run: p.Run, DependsOn: p.DependsOn, Failure: p.Note,
			Deleted: p.Deleted, Extra: p.Extra, AskedBy: p.AskedBy,
		})
	}
	return r
}

// Plans is everything there is to say about the present plans, read back from
// what was stored, so that it can be told again later: also once they are
// applied.
func (t *Pull) Plans(ctx context.Context) (result.Result, error) {
	r := t.Result(result.Plan)
	r.Decision = t.Record.Decision
	runs, err := t.Record.Runs(ctx, t.Store)
	if err != nil {
		return r, err
	}
	for i, p := range t.Record.Projects {
		if err := t.fill(ctx, &r.Projects[i], runs[p.PlanRun]); err != nil {
			return r, err
		}
		for _, on := range p.DependsOn {
			if d := t.Record.Project(on); d != nil && d.State == record.Planned {
				r.Projects[i].Notes = append(r.Projects[i].Notes, fmt.Sprintf(
					"%s changes first. Once it is applied this is planned again, and applied only if the plan is still the same.", on))
			}
		}
	}
	return r, nil
}

// Applies shows the projects that a job has applied or tried to.
func (t *Pull) Applies(ctx context.Context, kind result.Kind, only []string) (result.Result, error) {
	r := t.Result(kind)
	r.Decision = t.Record.Decision
	runs, err := t.Record.Runs(ctx, t.Store)
	if err != nil {
		return r, err
	}
	var shown []result.Project
	for i, p := range t.Record.Projects {
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

// fill adds what a run came to.
func (t *Pull) fill(ctx context.Context, p *result.Project, run record.Run) error {
	if run.ID == "" {
		return nil
	}
	p.RunURL = t.RunURL(run.ID)
	p.Summary, p.Origins, p.Notes = run.Summary, run.Origins, slices.Clone(run.Notes)
	if run.Failure != "" {
		p.Failure = run.Failure
	}
	var err error
	p.Text, err = t.Text(ctx, run)
	return err
}
