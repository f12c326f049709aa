package issues

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"weir/drift"
	"weir/drift/finding"
	"weir/drift/schedule"
	"weir/store"
	text "weir/templates/drift"
)

// Page reads what the page of drift shows.
func Page(ctx context.Context, s store.Store, name string) (text.Page, error) {
	page := text.Page{Name: name}
	states, err := drift.States(ctx, s)
	if err != nil {
		return page, err
	}
	known, err := drift.Read(ctx, s, "")
	if err != nil {
		return page, err
	}
	slots, err := schedule.Book{Store: s}.All(ctx)
	if err != nil {
		return page, err
	}
	next := map[[2]string]time.Time{}
	for _, slot := range slots {
		next[[2]string{slot.Repo, slot.Name}] = slot.Due
	}
	for _, state := range states {
		repo := text.Repo{Name: state.Repo, Failure: cmp.Or(state.Failure, state.Schedule), Untold: state.Untold, Unheard: state.Unheard, Commit: state.Commit, At: state.At}
		for _, k := range known {
			if k.Check.Repo == state.Repo {
				repo.Projects = append(repo.Projects, row(k, state, next[[2]string{state.Repo, k.Group}]))
			}
		}
		rank := map[string]int{"bad": 0, "wait": 1}
		slices.SortStableFunc(repo.Projects, func(a, b text.Row) int {
			order := func(r text.Row) int {
				if n, ok := rank[r.Tone()]; ok {
					return n
				}
				return len(rank)
			}
			return cmp.Compare(order(a), order(b))
		})
		page.Repos = append(page.Repos, repo)
	}
	return page, nil
}

func row(k drift.Known, state drift.State, next time.Time) text.Row {
	const most = 30
	var open []int
	var failed []bool
	for _, p := range k.History[max(0, len(k.History)-most):] {
		open, failed = append(open, p.Open), append(failed, p.Failed)
	}
	return text.Row{
		Check: k.Check, Since: k.Since, Next: next, PutOff: k.PutOff, History: text.History(open, failed),
		Issue: k.Issue, IssueURL: issueURL(state.URL, k.Issue),
	}
}

// issueURL is "" where GitHub's address of the repository is not known.
func issueURL(repo string, number int) string {
	if repo == "" {
		return ""
	}
	return fmt.Sprintf("%s/issues/%d", repo, number)
}

// Document is what /api/v1/drift answers.
type Document struct {
	Repositories []Repository `json:"repositories"`
}

// Repository is one in a Document.
type Repository struct {
	Repo     string    `json:"repo"`
	Commit   string    `json:"commit"`
	At       time.Time `json:"at"`
	Failure  string    `json:"failure,omitempty"`
	Untold   string    `json:"untold,omitempty"`
	Unheard  []string  `json:"unheard,omitempty"`
	Projects []Project `json:"projects"`
}

// Project is one in a Document.
type Project struct {
	Project   string            `json:"project"`
	Dir       string            `json:"dir"`
	Workspace string            `json:"workspace"`
	Checked   *time.Time        `json:"checked,omitempty"`
	Next      *time.Time        `json:"next,omitempty"`
	Since     *time.Time        `json:"since,omitempty"`
	Failure   string            `json:"failure,omitempty"`
	Severity  finding.Severity  `json:"severity,omitempty"`
	InFlight  int               `json:"in_flight,omitempty"`
	Issue     int               `json:"issue,omitempty"`
	Findings  []finding.Finding `json:"findings"`
}

// API reads what /api/v1/drift answers.
func API(ctx context.Context, s store.Store) (Document, error) {
	page, err := Page(ctx, s, "")
	d := Document{Repositories: []Repository{}}
	for _, r := range page.Repos {
		repo := Repository{Repo: r.Name, Commit: r.Commit, At: r.At, Failure: r.Failure, Untold: r.Untold, Unheard: r.Unheard, Projects: []Project{}}
		for _, p := range r.Projects {
			c := p.Check
			one := Project{
				Project: c.Project, Dir: c.Dir, Workspace: c.Workspace, Checked: set(c.Started), Next: set(p.Next), Since: set(p.Since),
				Failure: c.Failure, Severity: c.Worst(), InFlight: c.InFlight, Issue: p.Issue, Findings: c.Findings,
			}
			if one.Findings == nil {
				one.Findings = []finding.Finding{}
			}
			repo.Projects = append(repo.Projects, one)
		}
		d.Repositories = append(d.Repositories, repo)
	}
	return d, err
}

func set(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
