package planner

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"weir/planner/artifact"
	"weir/planner/record"
	"weir/store"
)

// result begins a Result with what every situation shows.
func (t *task) result(kind ResultKind) Result {
	r := Result{
		Kind: kind, Job: t.job.ID, Repo: t.job.Repo, Pull: t.job.Pull,
		Head: t.pr.Head, Base: t.rec.Base, BaseRef: t.pr.Base, Mode: string(t.rec.Mode), Actor: t.job.Actor,
		PageURL: t.PageURL(t.job.Repo, t.job.Pull),
		Waiting: t.rec.Waiting, Failure: t.rec.Failure, Notes: t.rec.Notes,
	}
	if r.Head == "" {
		r.Head = t.rec.Head
	}
	for _, p := range t.rec.Projects {
		r.Projects = append(r.Projects, ProjectResult{
			ID: p.ID, Dir: p.Dir, Workspace: p.Workspace, State: p.State, Run: p.Run, DependsOn: p.DependsOn, Failure: p.Note,
		})
	}
	return r
}

// planResult is everything there is to say about the present plans, read back
// from what was stored, so that it can be told again later.
func (t *task) planResult(ctx context.Context) (Result, error) {
	r := t.result(ResultPlan)
	r.Decision = t.rec.Decision
	runs, err := t.rec.Runs(ctx, t.Store)
	if err != nil {
		return r, err
	}
	for i, p := range t.rec.Projects {
		if err := t.fill(ctx, &r.Projects[i], runs[p.Run]); err != nil {
			return r, err
		}
		for _, on := range p.DependsOn {
			if d := t.rec.Project(on); d != nil && d.State == Planned {
				r.Projects[i].Notes = append(r.Projects[i].Notes, fmt.Sprintf(
					"%s changes first. Once it is applied this is planned again, and applied only if the plan is still the same.", on))
			}
		}
	}
	return r, nil
}

// fill adds what a run came to.
func (t *task) fill(ctx context.Context, p *ProjectResult, run record.Run) error {
	if run.ID == "" {
		return nil
	}
	p.RunURL = t.RunURL(run.ID)
	p.Summary, p.Notes = run.Summary, slices.Clone(run.Notes)
	if run.Failure != "" {
		p.Failure = run.Failure
	}
	var err error
	p.Text, err = t.Runs.Text(ctx, run)
	return err
}

func (t *task) scope() artifact.Scope {
	return artifact.Scope{Repo: t.job.Repo, Pull: t.job.Pull}
}

// tell posts a result. A plan, or the news that it waits, replaces the comment
// of the same kind and commit, and outdates all others of these two kinds.
func (t *task) tell(ctx context.Context, r Result) (Told, error) {
	var replace, outdated []CommentRef
	lasting := r.Kind == ResultPlan || r.Kind == ResultLocked
	if lasting {
		for _, c := range t.rec.Comments {
			switch {
			case c.Minimised:
			case c.Kind == r.Kind && c.Head == r.Head:
				replace = append(replace, c)
			default:
				outdated = append(outdated, c)
			}
		}
	}
	told, err := t.Teller.Tell(ctx, r, replace, outdated, t.job.Attempt <= 1)
	if err != nil {
		return told, err
	}
	if !lasting {
		return told, nil
	}
	t.rec.Comments = slices.DeleteFunc(t.rec.Comments, func(c CommentRef) bool { return slices.Contains(replace, c) })
	for i := range t.rec.Comments {
		t.rec.Comments[i].Minimised = true
	}
	const most = 50
	t.rec.Comments = append(t.rec.Comments, told.Comments...)
	t.rec.Comments = t.rec.Comments[max(0, len(t.rec.Comments)-most):]
	return told, nil
}

// tellOnce says something that is true of the pull request for good, once.
func (t *task) tellOnce(ctx context.Context, what, text string) error {
	key := store.Key{Partition: "told", Sort: fmt.Sprintf("%s#%010d#%s", t.job.Repo, t.job.Pull, what)}
	rows, err := t.Store.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("tell once: %w", err)
	}
	if rows[0].Version != 0 {
		return nil
	}
	r := t.result(ResultNotServed)
	r.Text = text
	if _, err := t.Teller.Tell(ctx, r, nil, nil, t.job.Attempt <= 1); err != nil {
		return err
	}
	w, err := record.Put(key, 0, t.job.ID)
	if err != nil {
		return err
	}
	var conflict *store.ConflictError
	if err := record.Commit(ctx, t.Store, w); err != nil && !errors.As(err, &conflict) {
		return fmt.Errorf("tell once: %w", err)
	}
	return nil
}

// check sets a check and keeps its reference for the next save.
func (t *task) check(ctx context.Context, name string, status CheckStatus, title string, r Result) error {
	ref, err := t.checkRef(ctx, name, status, title, r)
	t.keepCheck(ref)
	return err
}

// checkRef sets a check on the head commit. It writes nothing into the task,
// so that two may be set at once.
func (t *task) checkRef(ctx context.Context, name string, status CheckStatus, title string, r Result) (record.CheckRef, error) {
	head := t.pr.Head
	if head == "" {
		head = t.rec.Head
	}
	ref := record.CheckRef{Head: head, Name: name, Status: status, Title: title}
	for _, c := range t.rec.Checks {
		if c.Head != head || c.Name != name {
			continue
		}
		if c.Status == status && c.Title == title && status != InProgress && r.Kind != ResultPlan {
			return c, nil
		}
		ref.ID = c.ID
	}
	id, err := t.Teller.Check(ctx, Check{
		ID: ref.ID, Repo: t.job.Repo, Head: head, Name: name, Status: status, Title: title, DetailsURL: t.PageURL(t.job.Repo, t.job.Pull),
	}, r)
	if err != nil {
		return record.CheckRef{}, err
	}
	ref.ID = id
	return ref, nil
}

// keepCheck remembers a check, and forgets those of older commits.
func (t *task) keepCheck(ref record.CheckRef) {
	if ref.Name == "" {
		return
	}
	t.rec.Checks = slices.DeleteFunc(t.rec.Checks, func(c record.CheckRef) bool { return c.Name == ref.Name || c.Head != ref.Head })
	t.rec.Checks = append(t.rec.Checks, ref)
}

// explain tells what the gate waits for.
func (t *task) explain(ctx context.Context) error {
	decision, err := t.gate(ctx, "", nil, false)
	if err != nil {
		return err
	}
	r := t.result(ResultExplain)
	r.Decision = &decision
	_, err = t.tell(ctx, r)
	return err
}

func (t *task) help(ctx context.Context) error {
	r := t.result(ResultHelp)
	r.Text = t.job.Reason
	_, err := t.tell(ctx, r)
	return err
}

// refuse tells, once, why a pull request is not served here.
func (t *task) refuse(ctx context.Context) error {
	return t.tellOnce(ctx, "refused", t.job.Reason)
}

// mergeGroup lets a merge queue pass: each of its pull requests has shown both
// checks on its own head before it could be queued.
func (t *task) mergeGroup(ctx context.Context) error {
	t.pr.Head = t.job.Head
	r := t.result(ResultPlan)
	for _, name := range []string{CheckPlan, CheckApply} {
		if _, err := t.Teller.Check(ctx, Check{
			Repo: t.job.Repo, Head: t.job.Head, Name: name, Status: Success,
			Title: "Checked on each pull request before it was queued",
		}, r); err != nil {
			return err
		}
	}
	return nil
}
