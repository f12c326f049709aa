package github

import (
	"context"
	"fmt"
	"strconv"

	"github.com/google/go-github/v60/github"

	"weir/planner/reconcile"
	"weir/planner/scope"
	"weir/policy"
	"weir/server/github/rest"
)

// mostPages bounds the lists of installations and of the repositories of each:
// no organisation is known that has more than 10,000.
const mostPages = 100

// Repositories returns the full names of the repositories that the App can act
// in, in GitHub's order. Archived ones, where nothing can change, are left out,
// and installations that are suspended. With a token it returns none.
func (g *Client) Repositories(ctx context.Context) ([]string, error) {
	if g.api.AppID() == 0 {
		return nil, nil
	}
	var installations []int64
	for page := 1; page > 0 && page <= mostPages; {
		var list []*github.Installation
		resp, err := g.api.Answer(ctx, "list the App's installations", rest.Get(fmt.Sprintf("app/installations?per_page=100&page=%d", page), &list))
		if err != nil {
			return nil, err
		}
		for _, i := range list {
			if i.SuspendedAt == nil {
				installations = append(installations, i.GetID())
			}
		}
		page = resp.NextPage
	}
	var repos []string
	for _, id := range installations {
		what := fmt.Sprintf("list the repositories of installation %d", id)
		for page := 1; page > 0 && page <= mostPages; {
			var list struct {
				Repositories []*github.Repository `json:"repositories"`
			}
			resp, err := g.api.InInstallation(ctx, id, what, rest.Get(fmt.Sprintf("installation/repositories?per_page=100&page=%d", page), &list))
			if err != nil {
				return nil, err
			}
			for _, r := range list.Repositories {
				if !r.GetArchived() && r.GetFullName() != "" {
					repos = append(repos, r.GetFullName())
				}
			}
			page = resp.NextPage
		}
	}
	return repos, nil
}

// OpenPulls returns a page of a repository's open pull requests, those that
// changed last first. What only a pull request that is asked for by itself
// tells is missing: whether it can be merged, and where to clone it from.
func (g *Client) OpenPulls(ctx context.Context, repo string, page int) (reconcile.Open, error) {
	path, err := rest.RepoPath(repo, "pulls")
	if err != nil {
		return reconcile.Open{}, err
	}
	var list []*github.PullRequest
	path += "?state=open&sort=updated&direction=desc&per_page=100&page=" + strconv.Itoa(page)
	resp, err := g.api.In(ctx, repo, "list open pull requests of "+repo, rest.Get(path, &list))
	if err != nil {
		return reconcile.Open{}, err
	}
	open := reconcile.Open{Next: resp.NextPage}
	for _, pr := range list {
		base, head := pr.GetBase(), pr.GetHead()
		if pr.GetNumber() == 0 || head.GetSHA() == "" || base.GetRef() == "" {
			continue // nothing that could be compared
		}
		open.Repo = base.GetRepo().GetFullName()
		open.Pulls = append(open.Pulls, scope.PullRequest{
			Pull: policy.Pull{
				Number: pr.GetNumber(), Author: login(pr.User), Head: head.GetSHA(), Base: base.GetRef(), Draft: pr.GetDraft(),
				Open: pr.GetState() == "open",
			},
			Title: pr.GetTitle(), URL: pr.GetHTMLURL(), HeadRef: head.GetRef(), BaseSHA: base.GetSHA(),
			Fork: isFork(head.GetRepo(), base.GetRepo()), UpdatedAt: pr.GetUpdatedAt().Time,
		})
	}
	return open, nil
}
