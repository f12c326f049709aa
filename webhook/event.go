// Package webhook turns a POST of GitHub's into an Event: size, signature,
// payload. It decides nothing about what follows from it.
package webhook

// Event is what a delivery means, reduced to what weir acts on.
type Event struct {
	Delivery string // X-GitHub-Delivery
	Name     string // X-GitHub-Event
	Action   string

	Repo         string // owner/name
	Pull         int    // 0 where the event has none
	Issue        *Issue // issues, and issue_comment on what is no pull request
	Sender       Actor  // who caused it
	Installation int64  // the App's installation; 0 for a webhook that is not an App's

	Head    string // head commit, where the payload tells it
	HeadRef string // branch name, without refs/heads/
	Base    string // base branch
	Merged  bool   // pull_request closed
	Draft   bool

	Comment  *Comment  // issue_comment
	Review   *Review   // pull_request_review
	CheckRun *CheckRun // check_run

	Ref   string // push: full ref name
	After string // push: the new commit

	// Ignored says why an event that was parsed needs no work; "" where
	// it may need some.
	Ignored string
}

// Actor is a GitHub account.
type Actor struct {
	Login string
	Bot   bool // an App's account, by its type or by its login
}

// Issue that is no pull request.
type Issue struct {
	Number int
	Author Actor
	// Marker is the first line of the body, if it is hidden as that of
	// issues which weir opens; anybody can write such a line.
	Marker string
}

// Comment on a pull request or an issue.
type Comment struct {
	ID     int64
	Body   string
	Author Actor
}

// Review of a pull request.
type Review struct {
	ID     int64
	State  string // lower case: approved, changes_requested, commented, dismissed
	Author Actor  // empty when the account was deleted
	Commit string
}

// CheckRun that somebody pressed a button on.
type CheckRun struct {
	ID         int64
	Name       string
	Head       string
	Identifier string // of the requested action
	AppID      int64  // the App that made the check run
	Pulls      []int  // pull requests of Head in the same repository
}
