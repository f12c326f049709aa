package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"weir/server/github/rest"
)

// Merge merges a pull request if its head is still the given one; method is
// merge, squash or rebase. One that is merged already, at that head, is fine. GitHub's
// refusal comes back as its text: not mergeable, a moved head, a rule, or a
// right that weir lacks.
func (g *Client) Merge(ctx context.Context, repo string, number int, head, method string) (refusal string, err error) {
	if head == "" {
		return "", errors.New("github: a merge needs the head that it is for")
	}
	path, err := rest.RepoPath(repo, "pulls", strconv.Itoa(number), "merge")
	if err != nil {
		return "", err
	}
	what := "merge " + pull(repo, number)
	for attempt := 1; ; attempt++ {
		var done struct {
			Merged  bool   `json:"merged"`
			Message string `json:"message"`
		}
		_, err = g.api.In(ctx, repo, what, rest.Call{
			Method: http.MethodPut, Path: path, Body: map[string]string{"sha": head, "merge_method": method}, Out: &done,
		})
		if err == nil && done.Merged {
			return "", nil
		}
		if err == nil {
			err = &Error{What: what, Status: http.StatusConflict, Message: done.Message}
		}
		text, refused := refusalOf(err)
		if !refused && !rest.Unclear(err) {
			return "", err
		}
		// A repeated request is refused because the first one was heard.
		pr, look := g.PullRequest(ctx, repo, number)
		if look != nil {
			return "", errors.Join(err, look)
		}
		switch {
		case pr.Merged && pr.Head == head:
			return "", nil
		case pr.Merged:
			return fmt.Sprintf("it was merged at another head, %s", pr.Head), nil
		case !refused:
			return "", err
		case !strings.HasPrefix(text, "Base branch was modified") || attempt == 3:
			return text, nil
		}
		// GitHub asks to try again while the base branch moves.
		if rest.Pause(ctx, attempt) != nil {
			return "", err
		}
	}
}

// refusalOf returns the text with which GitHub refused.
func refusalOf(err error) (string, bool) {
	var e *Error
	if !errors.As(err, &e) {
		return "", false
	}
	switch e.Status {
	case http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusConflict, http.StatusUnprocessableEntity:
		return cmp.Or(e.Message, http.StatusText(e.Status)), true
	}
	return "", false
}
