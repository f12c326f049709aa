// Package tell says on a pull request what a job came to, and keeps true what
// was said: one plan comment a head commit, edited in place, and one check of a
// name. Where it was said is kept in the record.
package tell

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"weir/planner/record"
	"weir/planner/result"
	"weir/planner/scope"
	"weir/planner/work"
	"weir/store"
)

// Teller tells people. Each method is safe to repeat: what was told already is
// not told twice.
type Teller interface {
	// Tell posts the comments of a result. Those in replace are edited in
	// place, those in outdated are minimised. fresh says that this job has
	// never tried to tell before, so that there is nothing to look for.
	Tell(ctx context.Context, r result.Result, replace, outdated []record.CommentRef, fresh bool) (result.Told, error)
	// Check sets one check of a commit and returns its id, which is to be
	// given back for the next update; 0 makes a new one.
	Check(ctx context.Context, c result.Check, r result.Result) (int64, error)
	// Find returns the comments that a job has posted.
	Find(ctx context.Context, repo string, pull int, job string) ([]record.CommentRef, error)
}

// Voice is how weir speaks. All fields are needed.
type Voice struct {
	Teller  Teller
	Store   store.Store
	Text    func(ctx context.Context, r record.Run) (string, error) // what a run has to show
	PageURL func(repo string, pull int) string
	RunURL  func(id string) string
}

// Pull tells of one pull request in the course of one job. Record is written
// to. What might be left half said by a crash is saved before it is begun; the
// rest is for the caller to save.
type Pull struct {
	*Voice
	Job    work.Job
	PR     *scope.PullRequest
	Record *record.Record
	Save   func(ctx context.Context) error
}

// Comment posts a result. A plan, or the news that it waits, replaces the
// comment of the same kind and commit, and outdates all others of these two
// kinds.
func (t *Pull) Comment(ctx context.Context, r result.Result) (result.Told, error) {
	if r.Kind != result.Plan && r.Kind != result.Locked {
		return t.Teller.Tell(ctx, r, nil, nil, t.Job.Attempt <= 1)
	}
	rec := t.Record
	if err := t.recall(ctx); err != nil {
		return result.Told{}, err
	}
	var replace, outdated []record.CommentRef
	for _, c := range rec.Comments {
		switch {
		case c.Minimised:
		case c.Kind == r.Kind && c.Head == r.Head:
			replace = append(replace, c)
		default:
			outdated = append(outdated, c)
		}
	}
	if len(replace) == 0 {
		rec.Telling = &record.Telling{Job: t.Job.ID, Head: r.Head, Kind: r.Kind}
		if err := t.Save(ctx); err != nil {
			return result.Told{}, err
		}
	}
	told, err := t.Teller.Tell(ctx, r, replace, outdated, t.Job.Attempt <= 1)
	if err != nil {
		return told, err
	}
	rec.Telling = nil
	rec.Comments = slices.DeleteFunc(rec.Comments, func(c record.CommentRef) bool { return slices.Contains(replace, c) })
	for i := range rec.Comments {
		rec.Comments[i].Minimised = true
	}
	const most = 50
	rec.Comments = append(rec.Comments, told.Comments...)
	rec.Comments = rec.Comments[max(0, len(rec.Comments)-most):]
	return told, nil
}

// recall looks for comments of a job that died before it could note them.
func (t *Pull) recall(ctx context.Context) error {
	rec := t.Record
	if rec.Telling == nil || rec.Telling.Job == t.Job.ID {
		return nil // what this job has posted itself is found by its marker
	}
	found, err := t.Teller.Find(ctx, rec.Repo, rec.Pull, rec.Telling.Job)
	if err != nil {
		return err
	}
	for _, c := range found {
		c.Head, c.Kind = rec.Telling.Head, rec.Telling.Kind
		if !slices.ContainsFunc(rec.Comments, func(known record.CommentRef) bool { return known.ID == c.ID }) {
			rec.Comments = append(rec.Comments, c)
		}
	}
	rec.Telling = nil
	return nil
}

// Shown reports whether a comment of this kind stands on the pull request for
// its newest planned commit.
func (t *Pull) Shown(kind result.Kind) bool {
	return slices.ContainsFunc(t.Record.Comments, func(c record.CommentRef) bool {
		return c.Kind == kind && c.Head == t.Record.Head && !c.Minimised
	})
}

// Once says something that is true of the pull request for good, once.
func (t *Pull) Once(ctx context.Context, what, text string) error {
	key := store.Key{Partition: "told", Sort: fmt.Sprintf("%s#%010d#%s", t.Job.Repo, t.Job.Pull, what)}
	rows, err := t.Store.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("tell once: %w", err)
	}
	if rows[0].Version != 0 {
		return nil
	}
	r := t.Result(result.NotServed)
	r.Text = text
	if _, err := t.Teller.Tell(ctx, r, nil, nil, t.Job.Attempt <= 1); err != nil {
		return err
	}
	w, err := record.Put(key, 0, t.Job.ID)
	if err != nil {
		return err
	}
	var conflict *store.ConflictError
	if err := record.Commit(ctx, t.Store, w); err != nil && !errors.As(err, &conflict) {
		return fmt.Errorf("tell once: %w", err)
	}
	return nil
}

// Check sets a check of the head commit and keeps where it is.
func (t *Pull) Check(ctx context.Context, name string, status record.CheckStatus, title string, r result.Result) error {
	ref, err := t.Set(ctx, name, status, title, r)
	t.Keep(ref)
	return err
}

// Begin sets a check of the head commit to say that something runs.
func (t *Pull) Begin(ctx context.Context, name, title string, r result.Result) error {
	if err := t.Intend(ctx, name); err != nil {
		return err
	}
	return t.Check(ctx, name, record.InProgress, title, r)
}

// Intend saves that a check of the head commit is about to say that something
// runs, so that whoever comes after a crash knows that it has to be ended.
func (t *Pull) Intend(ctx context.Context, name string) error {
	ref := record.CheckRef{Head: t.head(), Name: name, Status: record.InProgress}
	if known := t.known(ref.Head, name); known != nil {
		ref.ID = known.ID
	}
	t.Keep(ref)
	return t.Save(ctx)
}

// Set sets a check of the head commit. It writes nothing into the record, so
// that two may be set at once.
func (t *Pull) Set(ctx context.Context, name string, status record.CheckStatus, title string, r result.Result) (record.CheckRef, error) {
	return t.set(ctx, record.CheckRef{Head: t.head(), Name: name, Status: status, Title: title}, r)
}

// End ends a check that runs, of whichever commit.
func (t *Pull) End(ctx context.Context, c record.CheckRef, status record.CheckStatus, title string, r result.Result) error {
	ref, err := t.set(ctx, record.CheckRef{Head: c.Head, Name: c.Name, Status: status, Title: title}, r)
	t.Keep(ref)
	return err
}

// Running are the checks that say that something runs.
func (t *Pull) Running() []record.CheckRef {
	var running []record.CheckRef
	for _, c := range t.Record.Checks {
		if c.Status == record.InProgress {
			running = append(running, c)
		}
	}
	return running
}

// EndOthers ends the checks of other commits that say that something runs: a
// job died with them, and the commit has been replaced since.
func (t *Pull) EndOthers(ctx context.Context) error {
	for _, c := range t.Running() {
		if c.Head == t.head() {
			continue
		}
		status, title := record.Cancelled, "Superseded by a newer commit"
		if c.Name == result.CheckApply {
			status, title = record.Failure, "The apply was interrupted"
		}
		r := t.Result(result.Explain)
		r.Head, r.Projects = c.Head, nil
		if err := t.End(ctx, c, status, title, r); err != nil {
			return err
		}
	}
	return nil
}

func (t *Pull) known(head, name string) *record.CheckRef {
	for i, c := range t.Record.Checks {
		if c.Head == head && c.Name == name {
			return &t.Record.Checks[i]
		}
	}
	return nil
}

func (t *Pull) set(ctx context.Context, ref record.CheckRef, r result.Result) (record.CheckRef, error) {
	sought := false
	if c := t.known(ref.Head, ref.Name); c != nil {
		if c.Status == ref.Status && c.Title == ref.Title && ref.Status != record.InProgress && r.Kind != result.Plan {
			return *c, nil
		}
		ref.ID = c.ID
		begins := ref.Status == record.InProgress && t.Job.Attempt <= 1
		sought = c.ID == 0 && c.Status == record.InProgress && !begins
	}
	id, err := t.Teller.Check(ctx, result.Check{
		ID: ref.ID, Repo: t.Job.Repo, Head: ref.Head, Name: ref.Name, Status: ref.Status, Title: ref.Title, DetailsURL: t.page(), Sought: sought,
	}, r)
	if err != nil {
		return record.CheckRef{}, err
	}
	ref.ID = id
	return ref, nil
}

// Keep remembers a check, and forgets those of other commits that have ended.
func (t *Pull) Keep(ref record.CheckRef) {
	if ref.Name == "" {
		return
	}
	rec := t.Record
	rec.Checks = slices.DeleteFunc(rec.Checks, func(c record.CheckRef) bool {
		if c.Head == ref.Head {
			return c.Name == ref.Name
		}
		return c.Status != record.InProgress
	})
	if ref.Head == t.head() || ref.Status == record.InProgress {
		rec.Checks = append(rec.Checks, ref)
	}
}

func (t *Pull) head() string {
	if t.PR.Head == "" { // not asked for
		return t.Record.Head
	}
	return t.PR.Head
}

// page is where the pull request is shown; a merge group has no page.
func (t *Pull) page() string {
	if t.Job.Pull == 0 {
		return ""
	}
	return t.PageURL(t.Job.Repo, t.Job.Pull)
}
