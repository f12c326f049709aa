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
// to; whoever tells saves it.
type Pull struct {
	*Voice
	Job    work.Job
	PR     *scope.PullRequest
	Record *record.Record
}

// Comment posts a result. A plan, or the news that it waits, replaces the
// comment of the same kind and commit, and outdates all others of these two
// kinds.
func (t *Pull) Comment(ctx context.Context, r result.Result) (result.Told, error) {
	rec := t.Record
	var replace, outdated []record.CommentRef
	lasting := r.Kind == result.Plan || r.Kind == result.Locked
	if lasting {
		for _, c := range rec.Comments {
			switch {
			case c.Minimised:
			case c.Kind == r.Kind && c.Head == r.Head:
				replace = append(replace, c)
			default:
				outdated = append(outdated, c)
			}
		}
	}
	told, err := t.Teller.Tell(ctx, r, replace, outdated, t.Job.Attempt <= 1)
	if err != nil || !lasting {
		return told, err
	}
	rec.Comments = slices.DeleteFunc(rec.Comments, func(c record.CommentRef) bool { return slices.Contains(replace, c) })
	for i := range rec.Comments {
		rec.Comments[i].Minimised = true
	}
	const most = 50
	rec.Comments = append(rec.Comments, told.Comments...)
	rec.Comments = rec.Comments[max(0, len(rec.Comments)-most):]
	return told, nil
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

// Check sets a check and keeps where it is.
func (t *Pull) Check(ctx context.Context, name string, status record.CheckStatus, title string, r result.Result) error {
	ref, err := t.Set(ctx, name, status, title, r)
	t.Keep(ref)
	return err
}

// Set sets a check on the head commit. It writes nothing into the record, so
// that two may be set at once.
func (t *Pull) Set(ctx context.Context, name string, status record.CheckStatus, title string, r result.Result) (record.CheckRef, error) {
	head := t.head()
	ref := record.CheckRef{Head: head, Name: name, Status: status, Title: title}
	for _, c := range t.Record.Checks {
		if c.Head != head || c.Name != name {
			continue
		}
		if c.Status == status && c.Title == title && status != record.InProgress && r.Kind != result.Plan {
			return c, nil
		}
		ref.ID = c.ID
	}
	id, err := t.Teller.Check(ctx, result.Check{
		ID: ref.ID, Repo: t.Job.Repo, Head: head, Name: name, Status: status, Title: title, DetailsURL: t.page(),
	}, r)
	if err != nil {
		return record.CheckRef{}, err
	}
	ref.ID = id
	return ref, nil
}

// Keep remembers a check, and forgets those of older commits.
func (t *Pull) Keep(ref record.CheckRef) {
	if ref.Name == "" {
		return
	}
	rec := t.Record
	rec.Checks = slices.DeleteFunc(rec.Checks, func(c record.CheckRef) bool { return c.Name == ref.Name || c.Head != ref.Head })
	rec.Checks = append(rec.Checks, ref)
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
