package github

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

	"github.com/google/go-github/v60/github"

	"weir/planner/scope"
	"weir/policy"
	"weir/server/github/rest"
)

// ghost is the account that GitHub shows for one that was deleted.
const ghost = "ghost"

func pull(repo string, number int) string { return repo + "#" + strconv.Itoa(number) }

// PullRequest returns a pull request as GitHub shows it now. Mergeable is nil
// while GitHub works it out, which asking makes it do.
func (g *Client) PullRequest(ctx context.Context, repo string, number int) (scope.PullRequest, error) {
	path, err := rest.RepoPath(repo, "pulls", strconv.Itoa(number))
	if err != nil {
		return scope.PullRequest{}, err
	}
	var pr github.PullRequest
	if _, err := g.api.In(ctx, repo, "read pull request "+pull(repo, number), rest.Get(path, &pr)); err != nil {
		return scope.PullRequest{}, err
	}
	base, head := pr.GetBase(), pr.GetHead()
	p := scope.PullRequest{
		Pull: policy.Pull{
			Number: pr.GetNumber(), Author: login(pr.User), Head: head.GetSHA(), Base: base.GetRef(), Default: base.GetRepo().GetDefaultBranch(), Draft: pr.GetDraft(),
			Open: pr.GetState() == "open", Merged: pr.GetMerged() || pr.MergedAt != nil, Mergeable: pr.Mergeable, MergeableState: pr.GetMergeableState(),
		},
		Title: pr.GetTitle(), URL: pr.GetHTMLURL(), HeadRef: head.GetRef(), BaseSHA: base.GetSHA(),
		Fork:      isFork(head.GetRepo(), base.GetRepo()),
		CloneURL:  bareURL(cmp.Or(base.GetRepo().GetCloneURL(), cloneURL(base.GetRepo().GetHTMLURL()))),
		UpdatedAt: pr.GetUpdatedAt().Time,
	}
	if p.Merged {
		p.MergedAs = pr.GetMergeCommitSHA()
	}
	if p.Head == "" || p.Base == "" || p.CloneURL == "" {
		return scope.PullRequest{}, &Error{
			What: "read pull request " + pull(repo, number), Status: http.StatusOK,
			Message: "the answer lacks the head, the base or the clone URL",
		}
	}
	return p, nil
}

// cloneURL is where Git finds a repository whose page is known.
func cloneURL(page string) string {
	if page == "" {
		return ""
	}
	return strings.TrimSuffix(page, "/") + ".git"
}

// isFork reports whether a head is in another repository. That of a fork that
// was deleted is null. A server that gives no ids is taken by the names.
func isFork(head, base *github.Repository) bool {
	return head == nil || head.GetID() != base.GetID() || !strings.EqualFold(head.GetFullName(), base.GetFullName())
}

// login returns an account's name; an account that was deleted has none.
func login(u *github.User) string {
	if u.GetLogin() == "" {
		return ghost
	}
	return u.GetLogin()
}

// bareURL takes credentials out of a URL, should a server put any there.
func bareURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}

// Reviews returns all reviews in the order they were submitted, without those
// that their author has not submitted yet. The review of a deleted account is
// by "ghost", who has no rights.
func (g *Client) Reviews(ctx context.Context, repo string, number int) ([]policy.Review, error) {
	path, err := rest.RepoPath(repo, "pulls", strconv.Itoa(number), "reviews")
	if err != nil {
		return nil, err
	}
	reviews := []policy.Review{}
	seen := map[int64]bool{} // pages move when a review is submitted meanwhile
	err = rest.Pages(ctx, g.api, repo, "list reviews of "+pull(repo, number), rest.Get(path, nil), func(page []*github.PullRequestReview) {
		for _, r := range page {
			state := strings.ToLower(r.GetState())
			if state == "pending" || r.ID != nil && seen[r.GetID()] {
				continue
			}
			seen[r.GetID()] = true
			reviews = append(reviews, policy.Review{
				ID: r.GetID(), Author: login(r.User), Bot: r.GetUser().GetType() == "Bot" || strings.HasSuffix(login(r.User), "[bot]"),
				State: state, Commit: r.GetCommitID(), Submitted: r.GetSubmittedAt().Time,
			})
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(reviews, func(a, b policy.Review) int {
		return cmp.Or(a.Submitted.Compare(b.Submitted), cmp.Compare(a.ID, b.ID))
	})
	return reviews, nil
}

// Right returns a person's right on a repository: maintain counts as write,
// triage as read. Somebody whom GitHub does not know there has none.
func (g *Client) Right(ctx context.Context, repo, login string) (policy.Right, error) {
	if login == "" || login == ghost {
		return policy.None, nil
	}
	path, err := rest.RepoPath(repo, "collaborators", login, "permission")
	if err != nil {
		return policy.None, err
	}
	var level struct {
		Permission string `json:"permission"`
		RoleName   string `json:"role_name"`
	}
	c := rest.Get(path, &level)
	c.Absent = true
	_, err = g.api.In(ctx, repo, fmt.Sprintf("ask for the right of %s in %s", login, repo), c)
	if rest.StatusOf(err) == http.StatusNotFound {
		return policy.None, nil
	}
	if err != nil {
		return policy.None, err
	}
	// The permission is the nearest of GitHub's old four; the role, which an
	// organisation may name as it likes, counts only where that is missing.
	switch cmp.Or(level.Permission, level.RoleName) {
	case "admin":
		return policy.Admin, nil
	case "write", "maintain":
		return policy.Write, nil
	case "read", "triage":
		return policy.Read, nil
	}
	return policy.None, nil
}

// Member reports whether somebody is in a team, written org/team, or in one of
// the teams below it. An invitation that was not accepted yet does not count. A
// team that does not exist has no members. Where the App lacks the permission
// to see members, the error is a *HiddenTeamError.
func (g *Client) Member(ctx context.Context, team, login string) (bool, error) {
	org, slug, ok := strings.Cut(team, "/")
	if !ok || !rest.IsPart(org) || !rest.IsPart(slug) {
		return false, fmt.Errorf("github: %q is not a team: org/team is", team)
	}
	if login == ghost || !rest.IsPart(login) {
		return false, nil
	}
	var membership struct {
		State string `json:"state"`
	}
	c := rest.Get("orgs/"+url.PathEscape(org)+"/teams/"+url.PathEscape(slug)+"/memberships/"+url.PathEscape(login), &membership)
	c.Absent = true
	_, err := g.api.In(ctx, org, fmt.Sprintf("ask whether %s is in %s", login, team), c)
	var lost *NotServedError
	if rest.StatusOf(err) == http.StatusNotFound || errors.As(err, &lost) {
		return false, nil
	}
	if rest.StatusOf(err) == http.StatusForbidden {
		return false, &HiddenTeamError{Team: team}
	}
	return membership.State == "active", err
}

// HiddenTeamError says that weir may not see who is in a team.
type HiddenTeamError struct{ Team string }

func (e *HiddenTeamError) Error() string { return "github: the members of " + e.Team + " are hidden" }

// Hidden says what to do about it.
func (e *HiddenTeamError) Hidden() string {
	return "weir may not see who is in " + e.Team + ", which a rule asks for: its App needs the permission Members (read) of the organisation"
}
