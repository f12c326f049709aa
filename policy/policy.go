// Package policy decides whether a plan may be applied: facts in, Decision
// out. It is pure: it asks nobody and remembers nothing.
package policy

import "time"

// Facts are all that the gate looks at, gathered once.
type Facts struct {
	Pull     Pull
	Mode     Mode
	Trigger  Trigger
	Actor    string           // who asked for the apply; "" where nobody did
	Rights   map[string]Right // of the actor and of everybody who reviewed, by login
	Reviews  []Review         // in the order in which they were submitted
	Posted   []Posted         // the plans that were shown and can be approved, oldest first
	Rules    []Rule           // further approvals that this plan needs
	Checks   []Check          // of the head commit, by anybody; only needed where GitHub says "blocked"
	Bases    []string         // patterns of branches beside the default one whose pull requests may be applied
	Required []string         // names of the checks that the base branch requires; nil: not known
	Projects []Project        // all projects of the pull request
	Only     []string         // IDs of the projects that are to be applied; nil: all
	Unknown  string           // why the base branch's rules cannot be read: keeps the gate closed; "" where they can
}

// Mode is the key apply of weir.yaml: what starts an apply.
type Mode string

// The three modes. In each of them every other requirement holds as well.
const (
	OnApproval Mode = "approval" // as soon as the gate opens
	OnComment  Mode = "comment"  // when somebody writes `weir apply`
	OnMerge    Mode = "merge"    // once the pull request is merged
)

// Trigger is what brought the question up.
type Trigger string

// All triggers.
const (
	ByReview  Trigger = "review"
	ByComment Trigger = "comment"
	ByCheck   Trigger = "check" // the button of a check run
	ByMerge   Trigger = "merge"
	ByPlan    Trigger = "plan" // a plan has ended
	ByNobody  Trigger = ""     // somebody only wants to know
)

// Right is a person's permission on the repository.
type Right string

// The four rights, as GitHub's permission API knows them.
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
	AskedBy        string // who had weir open it, where weir is the author: they approve no more than an author does
	Unvouched      string // why nobody answers for what it holds; then nothing of it is applied. "": somebody does
	Head           string // full commit id
	Base           string // branch
	Default        string // branch that is the repository's default one now; "": not known
	Draft          bool
	Open           bool
	Merged         bool
	Mergeable      *bool  // nil: GitHub has not worked it out
	MergeableState string // clean, dirty, blocked, behind, unstable, draft, unknown
}

// Review is one review as GitHub lists it.
type Review struct {
	ID        int64
	Author    string
	Bot       bool
	State     string // approved, changes_requested, commented, dismissed
	Commit    string // head of the pull request when it was submitted
	Submitted time.Time
}

// Posted is a plan that could be seen on the pull request from At on.
type Posted struct {
	Head    string            `json:"head"`
	Digests map[string]string `json:"digests"` // change digest by project; "" for a plan without changes
	At      time.Time         `json:"at"`      // GitHub's clock, whole seconds
	// ReviewsBefore is the highest review id that existed just before the
	// plan was shown: nobody can have approved it with such a review,
	// whatever the clocks say.
	ReviewsBefore int64 `json:"reviews_before"`
}

// Rule asks for approvals beyond the one that every plan needs.
type Rule struct {
	Text  string   // for people: "2 approvals of acme/platform, because envs/prod deletes"
	Count int      // how many
	Among []string // logins that count; nil: everybody with write access
}

// Check is a check run or commit status of the head commit.
type Check struct {
	Name  string
	Own   bool   // one of weir's: never counts
	State string // success, neutral, skipped, failure, pending, …
}

// Good reports whether the check does not stand in the way.
func (c Check) Good() bool {
	return c.State == "success" || c.State == "neutral" || c.State == "skipped"
}

// Stage is where a project stands, as far as the gate cares.
type Stage int

// The stages of a project.
const (
	Unplanned Stage = iota // no usable plan; Project.Why says why
	Unchanged              // its plan changes nothing
	Ready                  // its plan waits to be applied
	Done                   // applied
)

// Project is one project of the pull request with what makes its plan current.
type Project struct {
	ID          string
	Stage       Stage
	Why         string // why it is Unplanned
	PlanHead    string // head that the plan was made for
	PlanRef     string // base branch that it was made against
	BaseTouched bool   // the base branch has since changed files of this project
	Digest      string // change digest; "" for Unchanged
	Owner       int    // pull request that owns its lock now; 0: nobody
}

// Decision says whether the gate is open, and of each requirement whether it
// is met and why.
type Decision struct {
	Open         bool          `json:"open"`
	Nothing      bool          `json:"nothing,omitempty"` // there is nothing to apply
	Requirements []Requirement `json:"requirements"`
}

// Requirement is one condition of the gate. The same value feeds the comment,
// the check, the audit log and `weir explain`.
type Requirement struct {
	Name   string `json:"name"` // configured, base, planned, current, locked, approved, mergeable, asked
	Met    bool   `json:"met"`
	Reason string `json:"reason"`           // a sentence for people
	Replan bool   `json:"replan,omitempty"` // a new plan would help
}

// Replan reports whether the gate is closed for a reason that a new plan may
// remove.
func (d Decision) Replan() bool {
	for _, r := range d.Requirements {
		if !r.Met && r.Replan {
			return true
		}
	}
	return false
}

// Missing returns the requirements that are not met.
func (d Decision) Missing() []Requirement {
	var missing []Requirement
	for _, r := range d.Requirements {
		if !r.Met {
			missing = append(missing, r)
		}
	}
	return missing
}
