package planner

import (
	"context"
	"time"

	"weir/policy"
)

// PullRequest is a pull request as GitHub shows it now.
type PullRequest struct {
	policy.Pull
	Title     string
	URL       string // its page
	HeadRef   string
	BaseSHA   string
	Fork      bool   // its head is in another repository
	CloneURL  string // of the base repository, without credentials
	MergedAs  string // merge commit, once merged
	UpdatedAt time.Time
}

// Facts is what the planner asks GitHub.
type Facts interface {
	PullRequest(ctx context.Context, repo string, number int) (PullRequest, error)
	Reviews(ctx context.Context, repo string, number int) ([]policy.Review, error)
	Right(ctx context.Context, repo, login string) (policy.Right, error)
	// Checks returns all check runs and statuses of a commit, and the names
	// that the branch requires (nil where GitHub does not let us know).
	Checks(ctx context.Context, repo, commit, branch string) ([]policy.Check, []string, error)
}

// Teams answers who belongs to a team, written org/team.
type Teams interface {
	Member(ctx context.Context, team, login string) (bool, error)
}

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

// CheckStatus is a check run's conclusion, or that it has none yet.
type CheckStatus string

const (
	InProgress     CheckStatus = "in_progress"
	Success        CheckStatus = "success"
	Failure        CheckStatus = "failure"
	ActionRequired CheckStatus = "action_required"
	Cancelled      CheckStatus = "cancelled"
)
