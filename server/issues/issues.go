// Package issues tells of drift on GitHub: it puts what was found into words
// and makes the issues fit, as package report decides.
package issues

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"weir/drift"
	"weir/drift/finding"
	"weir/drift/report"
	"weir/server/github"
	text "weir/templates/drift"
)

// Most is how many issues of projects weir keeps open in one repository; a
// summary has the rest.
const Most = 20

// Pace is how fast one server writes about drift: GitHub takes 80 writes a
// minute and 500 an hour that make content ("Rate limits for the REST API",
// secondary rate limits), and the comments of pull requests are among them.
func Pace() *rate.Limiter { return rate.NewLimiter(rate.Every(12*time.Second), 30) }

// GitHub is what is done there.
type GitHub interface {
	// DriftIssues returns all issues, open and closed, that weir opened
	// about drift.
	DriftIssues(ctx context.Context, repo string) ([]finding.Issue, error)
	// OpenIssue opens an issue once: where one with the same first line
	// stands already, that one is returned.
	OpenIssue(ctx context.Context, repo string, issue finding.Issue) (finding.Issue, error)
	// EditIssue sets the title, the body, and whether the issue is open.
	// An empty title or body is left as it is.
	EditIssue(ctx context.Context, repo string, issue finding.Issue) error
}

// Commenter posts comments.
type Commenter interface {
	PostComment(ctx context.Context, repo string, number int, body string, fresh bool) (github.Comment, error)
}

// Teller is a drift.Teller.
type Teller struct {
	GitHub   GitHub
	Comments Commenter
	Name     string        // of the command, such as weir
	Page     func() string // URL of the page of drift
	Log      *slog.Logger  // needed
	Pace     *rate.Limiter // of writes, so that GitHub takes those of pull requests; nil: none
}

// Tell makes the issues of a repository fit to its checks.
func (t *Teller) Tell(ctx context.Context, repo finding.Repository, known, gone []drift.Known) (map[string]int, error) {
	items := make([]report.Item, 0, len(known)+len(gone))
	all := append(append([]drift.Known(nil), known...), gone...)
	for i, k := range all {
		items = append(items, t.item(repo, k, i >= len(known)))
	}
	numbers, err := t.make(ctx, repo, items, all)
	var refused *github.RefusedError
	if errors.As(err, &refused) {
		t.Log.Warn("nobody can be told of drift", "repo", repo.Name, "err", err)
		return nil, &drift.RefusedError{Sentence: refused.Sentence}
	}
	return numbers, err
}

// make makes the issues fit to items, which are told of all.
func (t *Teller) make(ctx context.Context, repo finding.Repository, items []report.Item, all []drift.Known) (map[string]int, error) {
	standing, err := t.GitHub.DriftIssues(ctx, repo.Name)
	if err != nil {
		return nil, err
	}
	steps := report.Decide(items, standing, Most, report.Summary{Marker: text.SummaryMarker, Render: func(rest []int) (string, string) {
		list := make([]text.Project, len(rest))
		for i, n := range rest {
			list[i] = t.project(repo, all[n])
		}
		return text.SummaryTitle(len(rest)), text.Summary(list, Most)
	}})
	numbers := map[string]int{}
	for _, s := range steps {
		number, err := t.do(ctx, repo.Name, s)
		if err != nil {
			return numbers, err
		}
		if s.Item >= 0 && s.Verb != report.Close {
			numbers[all[s.Item].Check.Project] = number
		}
	}
	return numbers, nil
}

// do does one step. The comment goes first: should the edit fail, the step is
// the same when it is decided again, and the comment is found to stand.
func (t *Teller) do(ctx context.Context, repo string, s report.Step) (number int, err error) {
	if s.Verb != report.Remain && t.Pace != nil {
		if err := t.Pace.Wait(ctx); err != nil {
			return s.Number, err
		}
	}
	if s.Comment != "" {
		if _, err := t.Comments.PostComment(ctx, repo, s.Number, s.Comment, false); err != nil {
			return s.Number, err
		}
	}
	switch s.Verb {
	case report.Open:
		made, err := t.GitHub.OpenIssue(ctx, repo, finding.Issue{
			Title: s.Title, Body: s.Body, Open: true, Labels: []string{finding.Label}, Assignees: s.Assignees,
		})
		return made.Number, err
	case report.Edit:
		err = t.GitHub.EditIssue(ctx, repo, finding.Issue{Number: s.Number, Title: s.Title, Body: s.Body, Open: true})
	case report.Close:
		err = t.GitHub.EditIssue(ctx, repo, finding.Issue{Number: s.Number})
	}
	return s.Number, err
}

// item is what shall be told of a project.
func (t *Teller) item(repo finding.Repository, k drift.Known, gone bool) report.Item {
	c := k.Check
	return report.Item{
		Marker: finding.Marker(c.Project), Differs: !gone && differs(c), Severity: c.Worst(),
		Title: text.Title(c), Body: text.Body(t.project(repo, k)), Set: text.Set(c), Foot: text.Foot,
		News: text.News(k.Told, c), Closed: text.Closed(c, gone), Assignees: k.Assignees,
	}
}

func (t *Teller) project(repo finding.Repository, k drift.Known) text.Project {
	return text.Project{Check: k.Check, Since: k.Since, Branch: repo.Branch, Name: t.Name, Page: t.Page(), PutOff: k.PutOff, Teams: k.Teams}
}

// differs says whether there is something to tell. What an open pull request
// has applied and not merged yet is on its way, and not told here.
func differs(c finding.Check) bool {
	if c.Failure != "" {
		return true
	}
	for _, f := range c.Open() {
		if c.InFlight == 0 || f.Kind != finding.Unmerged || f.Pull != c.InFlight {
			return true
		}
	}
	return false
}
