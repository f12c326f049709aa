package planner

import "context"

// Merger merges pull requests.
type Merger interface {
	// Merge merges the pull request if its head is still the given one.
	// A refusal of GitHub's comes back as text.
	Merge(ctx context.Context, repo string, number int, head, method string) (refusal string, err error)
}
