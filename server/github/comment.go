package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/go-github/v60/github"

	"weir/server/github/rest"
)

const (
	maxComment = 65536 // characters; GitHub refuses more with 422
	marker     = "<!-- weir "
	// ungraphed is how long GraphQL is left alone after a server did not
	// know it.
	ungraphed = time.Hour
)

// Comment is a comment as it stands on GitHub.
type Comment struct {
	ID   int64
	Node string    // for Minimise
	At   time.Time // last changed, by GitHub's clock, in whole seconds
	URL  string
}

// PostComment posts a comment once. The body's first line is weir's marker,
// `<!-- weir kind=… job=ID -->`, and must be different for each comment that is
// meant: where weir's own comment with that first line stands already, that
// one is returned.
//
// It is looked for where fresh is false, and after every attempt that may have
// had its effect though it failed. The one gap that GitHub leaves is a comment
// that appears only after it was looked for.
func (g *Client) PostComment(ctx context.Context, repo string, number int, body string, fresh bool) (Comment, error) {
	if !strings.HasPrefix(body, marker) {
		return Comment{}, errors.New("github: a comment must begin with weir's marker")
	}
	if n := utf8.RuneCountInString(body); n > maxComment {
		return Comment{}, fmt.Errorf("github: a comment of %d characters is longer than GitHub's %d", n, maxComment)
	}
	path, err := rest.RepoPath(repo, "issues", strconv.Itoa(number), "comments")
	if err != nil {
		return Comment{}, err
	}
	var comment Comment
	look := func() (bool, error) {
		found, err := g.findComment(ctx, repo, number, path, firstLine(body))
		if found != nil {
			comment = *found
		}
		return found != nil, err
	}
	send := func() error {
		var posted github.IssueComment
		_, err := g.api.In(ctx, repo, "post a comment on "+pull(repo, number), rest.Call{
			Method: http.MethodPost, Path: path, Body: map[string]string{"body": body}, Out: &posted, Once: true,
		})
		comment = asComment(&posted)
		return err
	}
	if err := rest.AtMostOnce(ctx, !fresh, look, send); err != nil {
		return Comment{}, err
	}
	if comment.ID == 0 { // the answer did not tell what was made
		if _, err := look(); err != nil {
			return Comment{}, err
		}
	}
	return comment, nil
}

// findComment returns weir's own comment with a first line, nil where there is
// none. It reads from the newest page to the oldest, since what it looks for
// is nearly always new.
func (g *Client) findComment(ctx context.Context, repo string, number int, path, line string) (*Comment, error) {
	self, err := g.self(ctx)
	if err != nil {
		return nil, err
	}
	var found *Comment
	look := func(page []*github.IssueComment) {
		for _, c := range page {
			// Of copies the oldest is what they were copied from.
			if firstLine(c.GetBody()) == line && self.wrote(c.User) && (found == nil || c.GetID() < found.ID) {
				one := asComment(c)
				found = &one
			}
		}
	}
	what, list := "list comments of "+pull(repo, number), rest.Get(path, nil)
	next, last, err := rest.Page(ctx, g.api, repo, what, list, 1, look)
	if err != nil || found != nil || next == 0 {
		return found, err
	}
	// From the last page backwards, a comment that is deleted meanwhile
	// moves the others towards pages that are still to be read. Those that
	// are added are on pages after the last. GitHub does not always tell
	// which page is the last one; then the next one leads there.
	newest := max(last, next)
	for newest > 0 && found == nil {
		next, _, err := rest.Page(ctx, g.api, repo, what, list, newest, look)
		if err != nil {
			return nil, err
		}
		if next <= newest {
			break
		}
		newest = next
	}
	for p := last - 1; p > 0 && found == nil; p-- {
		if _, _, err := rest.Page(ctx, g.api, repo, what, list, p, look); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// JobComments returns weir's own comments whose marker names a job.
func (g *Client) JobComments(ctx context.Context, repo string, number int, job string) ([]Comment, error) {
	path, err := rest.RepoPath(repo, "issues", strconv.Itoa(number), "comments")
	if err != nil {
		return nil, err
	}
	self, err := g.self(ctx)
	if err != nil {
		return nil, err
	}
	var found []Comment
	err = rest.Pages(ctx, g.api, repo, "list comments of "+pull(repo, number), rest.Get(path, nil), func(page []*github.IssueComment) {
		for _, c := range page {
			line := firstLine(c.GetBody())
			if strings.HasPrefix(line, marker) && slices.Contains(strings.Fields(line), "job="+job) && self.wrote(c.User) {
				found = append(found, asComment(c))
			}
		}
	})
	return found, err
}

func firstLine(body string) string {
	line, _, _ := strings.Cut(body, "\n")
	return strings.TrimRight(line, "\r ")
}

func asComment(c *github.IssueComment) Comment {
	return Comment{ID: c.GetID(), Node: c.GetNodeID(), At: c.GetUpdatedAt().Time, URL: c.GetHTMLURL()}
}

// EditComment replaces the body of a comment. One that was deleted gives a
// NotFoundError.
func (g *Client) EditComment(ctx context.Context, repo string, id int64, body string) (Comment, error) {
	path, err := rest.RepoPath(repo, "issues", "comments", strconv.FormatInt(id, 10))
	if err != nil {
		return Comment{}, err
	}
	if n := utf8.RuneCountInString(body); n > maxComment {
		return Comment{}, fmt.Errorf("github: a comment of %d characters is longer than GitHub's %d", n, maxComment)
	}
	var edited github.IssueComment
	_, err = g.api.In(ctx, repo, fmt.Sprintf("edit comment %d of %s", id, repo), rest.Call{
		Method: http.MethodPatch, Path: path, Body: map[string]string{"body": body}, Out: &edited, Absent: true,
	})
	if err != nil {
		return Comment{}, err
	}
	c := asComment(&edited)
	c.ID = id // whatever the answer tells
	return c, nil
}

// nodeID is the form of GitHub's node ids; nothing in it ends a string.
var nodeID = regexp.MustCompile(`^[A-Za-z0-9_=+/-]{1,200}$`)

// Minimise folds comments as outdated, all in one request. Comments that do
// not exist any more are passed over. A GitHub without GraphQL gives an
// UnsupportedError, and is not asked again for an hour.
func (g *Client) Minimise(ctx context.Context, repo string, nodes []string) error {
	what := "minimise comments of " + repo
	if len(nodes) == 0 {
		return nil
	}
	unsupported := &UnsupportedError{What: "GraphQL, with which comments are minimised"}
	g.mu.Lock()
	off := time.Now().Before(g.graphOff)
	g.mu.Unlock()
	if off {
		return unsupported
	}
	var query strings.Builder
	query.WriteString("mutation {")
	for i, node := range nodes {
		if !nodeID.MatchString(node) {
			return fmt.Errorf("github: %s: %q is not a node id", what, node)
		}
		fmt.Fprintf(&query, " m%d: minimizeComment(input: {subjectId: %q, classifier: OUTDATED}) { minimizedComment { isMinimized } }", i, node)
	}
	query.WriteString(" }")

	var answer struct {
		Data   json.RawMessage `json:"data"`
		Errors []graphError    `json:"errors"`
	}
	_, err := g.api.In(ctx, repo, what, rest.Call{
		Method: http.MethodPost, Path: g.api.GraphURL(), Body: map[string]string{"query": query.String()}, Out: &answer, Absent: true,
	})
	switch rest.StatusOf(err) {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
		g.mu.Lock()
		g.graphOff = time.Now().Add(ungraphed)
		g.mu.Unlock()
		return unsupported
	}
	if err != nil {
		return err
	}
	for _, e := range answer.Errors {
		switch e.Type {
		case "NOT_FOUND": // deleted
		case "RATE_LIMITED":
			return &RateLimitError{What: what, Until: time.Now().Add(ungraphed)} // an hour's window
		default:
			return &Error{What: what, Status: http.StatusOK, Message: e.Message}
		}
	}
	return nil
}

// graphError is one error in an answer of GraphQL, which is 200 all the same.
type graphError struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}
