// Package record holds what the GitHub stand-in keeps and tells of: plain data
// that every other package of it shares.
package record

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kinds of account.
const (
	KindUser         = "User"
	KindBot          = "Bot"
	KindOrganization = "Organization"
)

// User is an account.
type User struct {
	ID      int64
	Login   string
	Kind    string
	Created time.Time
}

// Permission is what an account may do in a repository: none, read, triage,
// write, maintain or admin.
type Permission string

var ranks = map[Permission]int{"none": 0, "": 0, "read": 1, "triage": 2, "write": 3, "maintain": 4, "admin": 5}

// Valid says whether there is such a permission.
func (p Permission) Valid() bool {
	_, ok := ranks[p]
	return ok
}

// AtLeast says whether the permission includes another.
func (p Permission) AtLeast(o Permission) bool { return ranks[p] >= ranks[o] }

// Repo is a repository.
type Repo struct {
	ID            int64
	Owner         User
	Name          string
	Private       bool
	DefaultBranch string
	Parent        string // full name of what it is a fork of
	Created       time.Time
	Pushed        time.Time
	OpenIssues    int
}

// FullName is OWNER/NAME.
func (r Repo) FullName() string { return r.Owner.Login + "/" + r.Name }

// MaxBody is the number of characters that a body may have.
const MaxBody = 65536

// Label is a label on an issue or a pull request.
type Label struct {
	ID          int64
	Name        string
	Color       string // six hexadecimal digits
	Description string
}

// Issue is an issue, or what a pull request shares with one.
type Issue struct {
	ID       int64
	Repo     Repo
	Number   int
	Title    string
	Body     string
	Author   User
	State    string // open or closed
	Labels   []Label
	Comments int
	Created  time.Time
	Updated  time.Time
	Closed   time.Time // zero while open
	IsPull   bool
	Draft    bool

	Assignees   []User
	ClosedBy    User   // of an issue, not of a pull request
	StateReason string // completed, not_planned, reopened or ""
	// Association of the author with the repository.
	Association string
}

// Pull is a pull request.
type Pull struct {
	Issue
	PullID   int64
	HeadRepo Repo
	HeadRef  string
	HeadSHA  string
	BaseRef  string
	BaseSHA  string // of the base branch when the pull request was last opened, pushed to or retargeted

	Merged   bool
	MergedBy User
	MergedAt time.Time
	MergeSHA string // the merge commit, or while open the test merge

	// Mergeable is nil until it was computed.
	Mergeable *bool
	// MergeState is clean, dirty, blocked, draft, behind, unstable or
	// unknown.
	MergeState string

	Commits, Additions, Deletions, ChangedFiles int
	ReviewRequests                              []User
}

// Edit changes what a pull request or an issue says, or where it goes; a nil
// field stays as it is.
type Edit struct {
	Title, Body, State, Base *string

	// Of issues alone.
	StateReason       *string `json:"state_reason"`
	Labels, Assignees *[]string
}

// NewIssue describes an issue to be opened.
type NewIssue struct {
	Title, Body       string
	Labels, Assignees []string
}

// Comment is a comment on an issue or a pull request.
type Comment struct {
	ID        int64
	Repo      Repo
	Number    int
	OnPull    bool // whether that is a pull request
	Author    User
	App       int64 // that wrote it; 0 for a person
	Body      string
	Created   time.Time
	Updated   time.Time
	Minimized string // the reason, in lower case; "" while it is shown
	Reactions []Reaction
	// Association of the author with the repository.
	Association string
}

// Reaction is an emoji that somebody left on a comment.
type Reaction struct {
	ID      int64
	User    User
	Content string
	Created time.Time
}

// NodeID is the name of the comment in GraphQL.
func (c Comment) NodeID() string { return fmt.Sprintf("IC_%d", c.ID) }

// Review of a pull request. State is upper case, as in REST: APPROVED,
// CHANGES_REQUESTED, COMMENTED or DISMISSED.
type Review struct {
	ID          int64
	Author      User
	State       string
	Body        string
	Commit      string
	Submitted   time.Time
	Association string
}

// Action is a button of a check run.
type Action struct {
	Label, Description, Identifier string
}

// CheckRun is a check run of an App.
type CheckRun struct {
	ID         int64
	Repo       Repo
	Name       string
	HeadSHA    string
	Status     string // queued, in_progress or completed
	Conclusion string // "" until completed
	Title      string
	Summary    string
	Text       string
	DetailsURL string
	ExternalID string
	Actions    []Action
	Started    time.Time
	Completed  time.Time // zero until completed
	App        App
	Suite      Suite
	Pulls      []Pull // open pull requests of the commit in the same repository
}

// Suite holds all check runs of an App on a commit.
type Suite struct {
	ID                 int64
	Repo               Repo
	HeadSHA            string
	HeadBranch         string
	Before             string
	Status, Conclusion string
	Runs               int
	App                App
	Created, Updated   time.Time
	Message            string // of the commit
	Tree               string
	Author             User
	Pulls              []Pull
}

// Status is a commit status.
type Status struct {
	ID          int64
	Repo        Repo
	SHA         string
	Context     string
	State       string // error, failure, pending or success
	Description string
	TargetURL   string
	Creator     User
	Created     time.Time
	Updated     time.Time
}

// App is a GitHub App. There is at most one in a sandbox.
type App struct {
	ID          int64
	Slug        string
	Owner       User
	Permissions map[string]string // such as "checks": "write"
	Events      []string
	Created     time.Time
}

// Bot is the login of the App's account.
func (a App) Bot() string { return a.Slug + "[bot]" }

// Installation of the App in an account.
type Installation struct {
	ID      int64
	App     App
	Account User
	Repos   []string // full names; nil for all of the account's
	Created time.Time
	Updated time.Time
	// Suspended installations give no tokens.
	Suspended bool
}

// Covers says whether the installation includes a repository.
func (i Installation) Covers(full string) bool {
	owner, _, _ := strings.Cut(full, "/")
	if !strings.EqualFold(owner, i.Account.Login) {
		return false
	}
	return i.Repos == nil || slices.ContainsFunc(i.Repos, func(name string) bool { return strings.EqualFold(name, full) })
}

// Protection is what a branch asks of a pull request before it is merged.
type Protection struct {
	Checks     []string // names of checks that must have succeeded
	Strict     bool     // and on an up-to-date branch
	Reviews    int      // approvals by people with write access
	DismissOld bool     // a push dismisses approvals
	Classic    bool     // branch protection rather than a ruleset: only administrators may read it
}

// Group is a merge group of the queue.
type Group struct {
	HeadSHA, HeadRef, BaseSHA, BaseRef string
	Message, Tree                      string
	Author                             User
	At                                 time.Time
}

// Push is an update of a branch.
type Push struct {
	Ref           string // full name
	Before, After string // forty zeros for none
	Forced        bool
	Commits       []PushedCommit
}

// PushedCommit is a commit in a push.
type PushedCommit struct {
	SHA, Tree, Message, Name, Email string
	When                            time.Time
	Added, Removed, Modified        []string
}

// Event is something that happened and that webhooks tell of. Only the fields
// that belong to Name are set; all of them are copies.
type Event struct {
	Name, Action string
	Sender       User
	Repo         Repo
	Installation int64 // 0 without an App there

	Pull      *Pull
	Issue     *Issue
	Comment   *Comment
	Review    *Review
	Check     *CheckRun
	Suite     *Suite
	Status    *Status
	Push      *Push
	Group     *Group
	Label     *Label
	Assignee  *User
	Installed *Installation
	Repos     []Repo // installation

	Before, After string  // pull_request synchronize
	Identifier    string  // check_run requested_action
	Changes       Changes // edited
}

// Changes holds what fields were before an edit; nil for those that were not
// edited.
type Changes struct {
	Title, Body, BaseRef, BaseSHA *string
}

// Error is a refusal as GitHub words it.
type Error struct {
	Status  int
	Message string
	Fields  []FieldError
}

// FieldError is one reason of a validation error.
type FieldError struct {
	Resource, Field, Code, Message string
}

// Error implements error.
func (e *Error) Error() string {
	text := fmt.Sprintf("%d %s", e.Status, e.Message)
	for _, f := range e.Fields {
		text += fmt.Sprintf(" (%s %s: %s %s)", f.Resource, f.Field, f.Code, f.Message)
	}
	return text
}

// NotFound is the answer to what does not exist, or may not be known to.
func NotFound() *Error { return &Error{Status: 404, Message: "Not Found"} }

// Forbidden is the answer to what may be seen but not done.
func Forbidden(message string) *Error { return &Error{Status: 403, Message: message} }

// Invalid is the answer to a field that GitHub would not take.
func Invalid(resource, field, code, message string) *Error {
	return &Error{Status: 422, Message: "Validation Failed", Fields: []FieldError{{resource, field, code, message}}}
}

// Now is the time at the granularity of GitHub's.
func Now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// Email is the address that stands in an account's commits.
func (u User) Email() string { return fmt.Sprintf("%d+%s@users.noreply.github.com", u.ID, u.Login) }

// SortBy sorts by a number, in place.
func SortBy[T any](s []T, key func(T) int64) {
	slices.SortFunc(s, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}
