package issues

import (
	"context"

	"weir/drift/proposal"
	"weir/planner/scope"
	"weir/server/github"
	"weir/store"
)

// Facts are GitHub's, and of the pull requests that weir itself has opened who
// asked for them.
type Facts struct {
	*github.Client
	Store store.Store
}

// PullRequest returns a pull request as GitHub shows it now.
func (f Facts) PullRequest(ctx context.Context, repo string, number int) (scope.PullRequest, error) {
	pr, err := f.Client.PullRequest(ctx, repo, number)
	if err != nil {
		return pr, err
	}
	pr.AskedBy, pr.Unvouched, err = proposal.Vouch(ctx, f.Store, repo, pr.HeadRef, pr.Head, pr.Base)
	return pr, err
}
