package planner

import (
	"context"
	"time"
)

// Teller tells people what a job came to. Each method is safe to repeat: what
// was told already is not told twice.
type Teller interface {
	// Tell posts the comments of a result. Those in replace are edited in
	// place, those in outdated are minimised. fresh says that this job has
	// never tried to tell before, so that there is nothing to look for.
	Tell(ctx context.Context, r Result, replace, outdated []CommentRef, fresh bool) (Told, error)
	// Check sets one check of a commit and returns its id, which is to be
	// given back for the next update; 0 makes a new one.
	Check(ctx context.Context, c Check, r Result) (int64, error)
	// Merge merges the pull request if its head is still the given one.
	// A refusal of GitHub's comes back as text.
	Merge(ctx context.Context, repo string, number int, head, method string) (refusal string, err error)
}

// Told is where a result can be read.
type Told struct {
	Comments []CommentRef
	At       time.Time // when GitHub says it was last changed
}

// Names of weir's checks.
const (
	CheckPlan  = "weir/plan"
	CheckApply = "weir/apply"
)

// Check is one check run (or commit status) as it should stand.
type Check struct {
	ID         int64
	Repo       string
	Head       string
	Name       string
	Status     CheckStatus
	Title      string // one line
	DetailsURL string
}
