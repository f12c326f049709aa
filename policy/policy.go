// Package policy decides whether a plan may be applied: facts in, Decision
// out. It is pure: it asks nobody and remembers nothing.
package policy

import "time"

// Facts are all that the gate looks at, gathered once.
type Facts struct {
	Pull     Pull
	Mode     string // apply of weir.yaml: approval, comment, merge
	Trigger  Trigger
	Actor    string // who asked for the apply; "" where nobody did
	Rights   map[string]Right
	Reviews  []Review
	Posted   []Posted // every plan that was shown, oldest first
	Checks   []Check  // of the head commit, by anybody
	Required []string // names of checks that the base branch requires; nil: not known
	Projects []Project
}

// Trigger is what brought the question up.
type Trigger string

const (
	ByReview  Trigger = "review"
	ByComment Trigger = "comment"
	ByCheck   Trigger = "check"
	ByMerge   Trigger = "merge"
	ByPlan    Trigger = "plan" // a plan has ended
)

// Right is a person's permission on the repository.
type Right string

const (
	None  Right = "none"
	Read  Right = "read"
	Write Right = "write"
	Admin Right = "admin"
)

// CanWrite reports whether the right includes write access.
func (r Right) CanWrite() bool { return r == Write || r == Admin }

// Pull is the pull request as GitHub shows it now.
type Pull struct {
	Number         int
	Author         string
	Head           string
	Base           string // branch
	Draft          bool
	Open           bool
	Merged         bool
	Mergeable      *bool  // nil: GitHub has not worked it out
	MergeableState string // clean, dirty, blocked, behind, unstable, draft, unknown
}

// Review is one review as GitHub lists it, in the order submitted.
type Review struct {
	ID        int64
	Author    string
	Bot       bool
	State     string // approved, changes_requested, commented, dismissed
	Commit    string
	Submitted time.Time
}

// Posted is a plan comment as it could be seen from At on.
type Posted struct {
	Head          string
	ChangeDigest  string    // of the whole pull request
	At            time.Time // GitHub's clock
	ReviewsBefore int64     // the highest review id that existed when it was posted
}

// Check is a check run or commit status of the head commit.
type Check struct {
	Name  string
	Own   bool   // one of weir's
	State string // success, neutral, skipped, failure, pending, …
}

// Project is one project of the pull request with what makes its plan current.
type Project struct {
	ID           string
	State        string // as in planner.ProjectState
	PlanHead     string // head the plan was made for
	BaseTouched  bool   // the base branch has since changed files of this project
	ChangeDigest string
	LockOwned    bool
}

// Decision says whether the gate is open, and of each requirement whether it
// is met and why.
type Decision struct {
	Open         bool          `json:"open"`
	Requirements []Requirement `json:"requirements"`
}

// Requirement is one condition of the gate. The same value feeds the comment,
// the check, the audit log and `weir explain`.
type Requirement struct {
	Name   string `json:"name"` // planned, current, locked, approved, mergeable, asked
	Met    bool   `json:"met"`
	Reason string `json:"reason"`           // a sentence for people
	Replan bool   `json:"replan,omitempty"` // a new plan would help
}
