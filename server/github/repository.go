package github

import (
	"cmp"
	"context"
	"net/http"

	"github.com/google/go-github/v60/github"

	"weir/drift/finding"
	"weir/server/github/rest"
)

// Repository says what a repository is called now, which branch is its default
// one, and where to clone it from.
func (g *Client) Repository(ctx context.Context, repo string) (finding.Repository, error) {
	path, err := rest.RepoPath(repo)
	if err != nil {
		return finding.Repository{}, err
	}
	var r github.Repository
	if _, err := g.api.In(ctx, repo, "ask about "+repo, rest.Get(path, &r)); err != nil {
		return finding.Repository{}, err
	}
	found := finding.Repository{
		Name: r.GetFullName(), Branch: r.GetDefaultBranch(), CloneURL: bareURL(cmp.Or(r.GetCloneURL(), cloneURL(r.GetHTMLURL()))),
	}
	if found.Name == "" || found.Branch == "" || found.CloneURL == "" {
		return finding.Repository{}, &Error{What: "ask about " + repo, Status: http.StatusOK, Message: "the answer lacks the name, the default branch or the clone URL"}
	}
	return found, nil
}
