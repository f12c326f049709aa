package issues

import (
	"context"
	"errors"
	"fmt"

	"weir/drift/finding"
	"weir/policy"
	"weir/server/github"
)

// Talk is what commands on issues need of GitHub.
type Talk interface {
	Right(ctx context.Context, repo, login string) (policy.Right, error)
	Issue(ctx context.Context, repo string, number int) (finding.Issue, error)
	Propose(ctx context.Context, repo string, b finding.Branch) (finding.Proposed, error)
	Commenter
}

// People is a drift.People.
type People struct {
	GitHub Talk
}

// MayWrite says whether somebody has write access.
func (p People) MayWrite(ctx context.Context, repo, login string) (bool, error) {
	right, err := p.GitHub.Right(ctx, repo, login)
	return err == nil && right.CanWrite(), err
}

// Issue returns an issue of weir's own; ok is false for every other.
func (p People) Issue(ctx context.Context, repo string, number int) (issue finding.Issue, ok bool, err error) {
	issue, err = p.GitHub.Issue(ctx, repo, number)
	var none *github.NotFoundError
	if errors.As(err, &none) {
		return issue, false, nil
	}
	return issue, err == nil, err
}

// Say comments once for a job.
func (p People) Say(ctx context.Context, repo string, number int, job, text string) error {
	_, err := p.GitHub.PostComment(ctx, repo, number, fmt.Sprintf("<!-- weir kind=drift job=%s -->\n%s\n", job, text), false)
	return err
}

// Propose opens a pull request, or brings the one that is open up to date.
func (p People) Propose(ctx context.Context, repo string, b finding.Branch) (made finding.Proposed, refused string, err error) {
	made, err = p.GitHub.Propose(ctx, repo, b)
	var taken *github.TakenError
	if errors.As(err, &taken) {
		return made, fmt.Sprintf("The branch `%s` has a newest commit that is not weir's, so it is left as it is. Merge, close or delete it, and ask again.", taken.Branch), nil
	}
	return made, "", err
}
