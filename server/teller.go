package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"weir/planner/record"
	"weir/planner/result"
	"weir/server/github"
	"weir/templates"
)

// teller puts results into words and onto GitHub. It is the planner's Teller.
type teller struct {
	github *github.Client
	names  []string // of commands
	log    *slog.Logger
}

// Tell posts or edits the comments of a result and minimises outdated ones.
func (t *teller) Tell(ctx context.Context, r result.Result, replace, outdated []record.CommentRef, fresh bool) (result.Told, error) {
	if r.Kind == result.Help {
		r.Text = join(r.Text, templates.HelpText(t.names))
	}
	var told result.Told
	for i, body := range templates.Comment(r) {
		comment, err := t.put(ctx, r, body, replace, i, fresh)
		if err != nil {
			return told, err
		}
		told.Comments = append(told.Comments, record.CommentRef{Head: r.Head, Kind: r.Kind, ID: comment.ID, Node: comment.Node})
		if comment.At.After(told.At) {
			told.At = comment.At
		}
	}
	if told.At.IsZero() {
		told.At = time.Now()
	}
	told.At = told.At.UTC().Truncate(time.Second)
	if len(replace) > len(told.Comments) {
		outdated = append(outdated, replace[len(told.Comments):]...)
	}
	t.minimise(ctx, r.Repo, outdated)
	return told, nil
}

func (t *teller) put(ctx context.Context, r result.Result, body string, replace []record.CommentRef, i int, fresh bool) (github.Comment, error) {
	if i < len(replace) {
		comment, err := t.github.EditComment(ctx, r.Repo, replace[i].ID, body)
		var gone *github.NotFoundError
		if !errors.As(err, &gone) {
			return comment, err
		}
		// Somebody deleted it: say it anew.
	}
	return t.github.PostComment(ctx, r.Repo, r.Pull, body, fresh)
}

// minimise folds old comments. It is a courtesy: where GitHub does not do it,
// they simply stay open.
func (t *teller) minimise(ctx context.Context, repo string, outdated []record.CommentRef) {
	var nodes []string
	for _, c := range outdated {
		if c.Node != "" {
			nodes = append(nodes, c.Node)
		}
	}
	if len(nodes) == 0 {
		return
	}
	if err := t.github.Minimise(ctx, repo, nodes); err != nil {
		t.log.Warn("old comments were not minimised", "repo", repo, "err", err)
	}
}

// Check sets a check, with its title and summary in words.
func (t *teller) Check(ctx context.Context, c result.Check, r result.Result) (int64, error) {
	var summary string
	c.Title, summary = templates.CheckText(c, r)
	return t.github.SetCheck(ctx, c, summary)
}

// Find returns the comments that a job has posted.
func (t *teller) Find(ctx context.Context, repo string, pull int, job string) ([]record.CommentRef, error) {
	comments, err := t.github.JobComments(ctx, repo, pull, job)
	refs := make([]record.CommentRef, len(comments))
	for i, c := range comments {
		refs[i] = record.CommentRef{ID: c.ID, Node: c.Node}
	}
	return refs, err
}

// Merge merges the pull request.
func (t *teller) Merge(ctx context.Context, repo string, number int, head, method string) (string, error) {
	return t.github.Merge(ctx, repo, number, head, method)
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "\n\n" + b
}
