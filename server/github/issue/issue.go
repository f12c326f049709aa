// Package issue keeps issues of weir's own: each is opened once, found again
// by the hidden first line of its body, and edited in place.
package issue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/google/go-github/v60/github"

	"weir/drift/finding"
	"weir/server/github/rest"
)

const (
	marker  = "<!-- weir "
	maxBody = 65536 // characters; GitHub refuses more with 422

	maxAssignees = 10
)

// Issues keeps issues. Its methods may be called at the same time.
type Issues struct {
	API *rest.Client
	// Own returns what tells weir's own account from others.
	Own func(ctx context.Context) (func(*github.User) bool, error)

	labels sync.Map // repository and label, as far as they are known to exist
}

func name(repo string, number int) string { return repo + "#" + strconv.Itoa(number) }

// read returns an issue, and whether it is weir's own: nobody else's account
// wrote it, it has a marker, and it is no pull request.
func read(i *github.Issue, own func(*github.User) bool) (finding.Issue, bool) {
	f := finding.Issue{Number: i.GetNumber(), Title: i.GetTitle(), Body: i.GetBody(), Open: i.GetState() == "open"}
	for _, l := range i.Labels {
		f.Labels = append(f.Labels, l.GetName())
	}
	for _, a := range i.Assignees {
		f.Assignees = append(f.Assignees, a.GetLogin())
	}
	return f, !i.IsPullRequest() && strings.HasPrefix(f.Body, marker) && own(i.User)
}

// Issue returns an issue of weir's own. Everything else with this number, and
// an issue that was deleted, is a NotFoundError. Where weir cannot keep issues
// the error is a RefusedError.
func (s *Issues) Issue(ctx context.Context, repo string, number int) (finding.Issue, error) {
	own, err := s.Own(ctx)
	if err != nil {
		return finding.Issue{}, err
	}
	path, err := rest.RepoPath(repo, "issues", strconv.Itoa(number))
	if err != nil {
		return finding.Issue{}, err
	}
	what := "read issue " + name(repo, number)
	var i github.Issue
	c := rest.Get(path, &i)
	c.Absent = true
	if _, err := s.API.In(ctx, repo, what, c); err != nil {
		return finding.Issue{}, lost(repo, what, err)
	}
	f, ok := read(&i, own)
	if !ok {
		return finding.Issue{}, &rest.NotFoundError{What: what, Message: "it is no issue of weir's"}
	}
	return f, nil
}

// DriftIssues returns all issues about drift that weir opened, open and closed,
// by number. Where weir cannot keep issues the error is a RefusedError.
func (s *Issues) DriftIssues(ctx context.Context, repo string) ([]finding.Issue, error) {
	own, err := s.Own(ctx)
	if err != nil {
		return nil, err
	}
	path, err := rest.RepoPath(repo, "issues")
	if err != nil {
		return nil, err
	}
	// GitHub's search would find the marker itself, but some minutes late.
	list := rest.Get(path+"?state=all&sort=created&direction=asc&labels="+url.QueryEscape(finding.Label), nil)
	found := map[int]finding.Issue{} // pages move when a label is taken off meanwhile
	err = rest.Pages(ctx, s.API, repo, "list issues of "+repo, list, func(page []*github.Issue) {
		for _, i := range page {
			if f, ok := read(i, own); ok {
				found[f.Number] = f
			}
		}
	})
	if err != nil {
		return nil, refused(repo, err)
	}
	var all []finding.Issue
	for _, f := range found {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b finding.Issue) int { return cmp.Compare(a.Number, b.Number) })
	return all, nil
}

// OpenIssue opens an issue once: where weir's own issue with the same first
// line stands already, open or closed, the oldest such is returned as it is.
// The body begins with weir's marker. The label finding.Label is added to the
// others; labels that do not exist are made.
//
// Assignees never keep an issue from being opened. Those whom GitHub does not
// let be assigned are left out, and so are all beyond the first ten. Where weir
// cannot keep issues the error is a RefusedError.
//
// GitHub's documentation of "Create an issue" says that assignees are dropped
// without a word where the caller has no push access, and that 422 means that
// the validation failed; one login that is unknown, or cannot be assigned, is
// enough for that. Ten is the limit of "Add assignees to an issue".
func (s *Issues) OpenIssue(ctx context.Context, repo string, issue finding.Issue) (finding.Issue, error) {
	if !strings.HasPrefix(issue.Body, marker) {
		return finding.Issue{}, errors.New("github: an issue must begin with weir's marker")
	}
	if err := checkBody(issue.Body); err != nil {
		return finding.Issue{}, err
	}
	path, err := rest.RepoPath(repo, "issues")
	if err != nil {
		return finding.Issue{}, err
	}
	if !slices.Contains(issue.Labels, finding.Label) {
		issue.Labels = append(slices.Clone(issue.Labels), finding.Label)
	}
	var opened finding.Issue
	look := func() (bool, error) {
		all, err := s.DriftIssues(ctx, repo)
		at := slices.IndexFunc(all, func(i finding.Issue) bool { return firstLine(i.Body) == firstLine(issue.Body) })
		if at >= 0 {
			opened = all[at]
		}
		return at >= 0, err
	}
	var late []string
	post := func(assignees []string) error {
		if err := s.makeLabels(ctx, repo, issue.Labels); err != nil {
			return err
		}
		var made github.Issue
		body := map[string]any{"title": issue.Title, "body": issue.Body, "labels": issue.Labels}
		if len(assignees) > 0 {
			body["assignees"] = assignees
		}
		_, err := s.API.In(ctx, repo, "open an issue in "+repo, rest.Call{Method: http.MethodPost, Path: path, Body: body, Out: &made, Once: true})
		opened, _ = read(&made, func(*github.User) bool { return true })
		return err
	}
	people := issue.Assignees[:min(len(issue.Assignees), maxAssignees)]
	send := func() error {
		err := post(people)
		if rest.StatusOf(err) == http.StatusUnprocessableEntity && len(people) > 0 {
			late = people // one of them is nobody here
			err = post(nil)
		}
		return err
	}
	if err := rest.AtMostOnce(ctx, true, look, send); err != nil {
		return finding.Issue{}, refused(repo, err)
	}
	if opened.Number == 0 { // the answer did not tell what was made
		if found, err := look(); err != nil || !found {
			return finding.Issue{}, cmp.Or(err, fmt.Errorf("github: the issue that was opened in %s cannot be found", repo))
		}
	}
	return opened, s.Assign(ctx, repo, opened.Number, late)
}

func checkBody(body string) error {
	if n := utf8.RuneCountInString(body); n > maxBody {
		return fmt.Errorf("github: an issue of %d characters is longer than GitHub's %d", n, maxBody)
	}
	return nil
}

func firstLine(body string) string {
	line, _, _ := strings.Cut(body, "\n")
	return strings.TrimRight(line, "\r ")
}

// Colour and description of the labels that weir makes.
const (
	colour      = "d4a72c"
	description = "What is deployed differs from the code"
)

// makeLabels makes labels that do not exist. It asks once for each. Where weir
// may not make them, opening an issue may still do so.
func (s *Issues) makeLabels(ctx context.Context, repo string, labels []string) error {
	path, err := rest.RepoPath(repo, "labels")
	if err != nil {
		return err
	}
	for _, label := range labels {
		key := strings.ToLower(repo + "\x00" + label)
		if _, known := s.labels.Load(key); known {
			continue
		}
		body := map[string]string{"name": label, "color": colour, "description": description}
		_, err := s.API.In(ctx, repo, "make the label "+label+" in "+repo, rest.Call{Method: http.MethodPost, Path: path, Body: body, Absent: true})
		switch rest.StatusOf(err) {
		case http.StatusUnprocessableEntity, http.StatusForbidden, http.StatusNotFound: // it exists, or weir may not
		default:
			if err != nil {
				return err
			}
		}
		s.labels.Store(key, true)
	}
	return nil
}

// EditIssue makes an issue open or closed, and replaces title and body, of
// which one that is empty stays as it is. Labels and assignees are left as
// people have made them. One that was deleted gives a NotFoundError.
func (s *Issues) EditIssue(ctx context.Context, repo string, issue finding.Issue) error {
	path, err := rest.RepoPath(repo, "issues", strconv.Itoa(issue.Number))
	if err != nil {
		return err
	}
	body := map[string]string{"state": "closed"}
	if issue.Open {
		body["state"] = "open"
	}
	if issue.Title != "" {
		body["title"] = issue.Title
	}
	if issue.Body != "" {
		if err := checkBody(issue.Body); err != nil {
			return err
		}
		body["body"] = issue.Body
	}
	what := "edit issue " + name(repo, issue.Number)
	_, err = s.API.In(ctx, repo, what, rest.Call{Method: http.MethodPatch, Path: path, Body: body, Absent: true})
	return lost(repo, what, err)
}

// Assign assigns people to an issue, besides those who are. Those whom GitHub
// does not let be assigned are left out; where weir may assign nobody, that is
// all of them. It asks once, and once for each of them where GitHub refuses
// all for one.
func (s *Issues) Assign(ctx context.Context, repo string, number int, logins []string) error {
	if len(logins) == 0 {
		return nil
	}
	path, err := rest.RepoPath(repo, "issues", strconv.Itoa(number), "assignees")
	if err != nil {
		return err
	}
	assign := func(logins ...string) error {
		what := "assign " + strings.Join(logins, ", ") + " to " + name(repo, number)
		_, err := s.API.In(ctx, repo, what, rest.Call{Method: http.MethodPost, Path: path, Body: map[string][]string{"assignees": logins}, Absent: true})
		return err
	}
	err = assign(logins...)
	if rest.StatusOf(err) == http.StatusUnprocessableEntity && len(logins) > 1 {
		for _, login := range logins {
			if err = assign(login); err != nil && !denied(err) {
				return err
			}
		}
	}
	if denied(err) {
		return nil
	}
	return err
}

// denied reports whether GitHub lets somebody not be assigned, or weir not
// assign.
func denied(err error) bool {
	switch rest.StatusOf(err) {
	case http.StatusUnprocessableEntity, http.StatusForbidden, http.StatusNotFound:
		return true
	}
	return false
}
