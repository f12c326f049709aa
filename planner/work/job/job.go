// Package job is what is accepted work, as plain data.
package job

import "time"

// Kind says what a job does.
type Kind string

const (
	Plan       Kind = "plan"        // plan what the pull request changes
	Apply      Kind = "apply"       // somebody asked for an apply
	Gate       Kind = "gate"        // something changed that the gate looks at; apply if it is open
	Close      Kind = "close"       // the pull request was merged or closed
	Unlock     Kind = "unlock"      // somebody asked to give locks back
	Explain    Kind = "explain"     // somebody asked what the gate waits for
	Help       Kind = "help"        // somebody asked for help, or wrote what is no command
	Refuse     Kind = "refuse"      // not served here (repository not allowed, fork): say so once
	MergeGroup Kind = "merge_group" // a merge queue wants checks on Head
	Drift      Kind = "drift"       // compare what is deployed with the default branch, or do what was asked for on an issue of drift
)

// Kinds are all there are.
var Kinds = []Kind{Plan, Apply, Gate, Close, Unlock, Explain, Help, Refuse, MergeGroup, Drift}

// Job is accepted work on one pull request. It is stored as JSON.
type Job struct {
	ID       string    `json:"id"` // a ULID
	Kind     Kind      `json:"kind"`
	Repo     string    `json:"repo"` // owner/name, as GitHub spells it
	Pull     int       `json:"pull"` // 0 for a merge group and for drift
	Head     string    `json:"head,omitempty"`
	Topic    string    `json:"topic,omitempty"` // of drift: which line it is on, with Issue
	Group    string    `json:"group,omitempty"` // of drift: the projects that are due
	Issue    int       `json:"issue,omitempty"` // of drift: the issue on which it was asked for; 0: none
	Command  *Command  `json:"command,omitempty"`
	Actor    string    `json:"actor,omitempty"`    // GitHub login of who caused it
	Trigger  string    `json:"trigger"`            // for people: "push", "comment", "review", "merge", "lock passed on", …
	Reason   string    `json:"reason,omitempty"`   // for Refuse, Help, and on an issue of drift where Command has no Drift: what to say
	Merged   bool      `json:"merged,omitempty"`   // for Close
	Later    bool      `json:"later,omitempty"`    // it can wait: such jobs get a part of the workers only
	Delivery string    `json:"delivery,omitempty"` // the delivery that caused it, if one did
	Accepted time.Time `json:"accepted"`

	State    State     `json:"state"`
	Attempt  int       `json:"attempt"`            // 1 on the first run; more after a crash or an error of ours
	Errors   int       `json:"errors,omitempty"`   // attempts that ended with an error of ours
	Crashes  int       `json:"crashes,omitempty"`  // attempts whose worker died
	Worker   string    `json:"worker,omitempty"`   // who runs it, or did last
	Stop     bool      `json:"stop,omitempty"`     // a running plan that is to end: a newer job does its work
	NotUntil time.Time `json:"not_until,omitzero"` // a retry waits until then
	Ended    time.Time `json:"ended,omitzero"`
	Note     string    `json:"note,omitempty"` // how it ended or what the last attempt failed on, for people
}

// Full says whether the job is about the whole pull request, in the way that
// an event is, and not narrowed by what a person asked for.
func (j Job) Full() bool {
	return j.Command == nil || !j.Command.Narrows() && len(j.Command.Extra) == 0
}

// Command narrows a job to what a person asked for. Empty fields mean all.
type Command struct {
	Dir       string   `json:"dir,omitempty"`
	Workspace string   `json:"workspace,omitempty"`
	Project   string   `json:"project,omitempty"`
	Extra     []string `json:"extra,omitempty"`   // arguments after --
	Comment   int64    `json:"comment,omitempty"` // id of the comment that held it
	Drift     *Drifted `json:"drift,omitempty"`   // of a drift command
}

// Drifted is what a drift command asks for.
type Drifted struct {
	Verb      string            `json:"verb"` // check, revert, adopt, accept
	Addresses []string          `json:"addresses,omitempty"`
	IDs       map[string]string `json:"ids,omitempty"`    // of adopt: what is to be imported, by address; each is among Addresses
	Owner     string            `json:"owner,omitempty"`  // of accept
	Reason    string            `json:"reason,omitempty"` // likewise
	Until     string            `json:"until,omitempty"`  // likewise, YYYY-MM-DD
}

// Narrows reports whether the command names projects. Without a command, or
// with one that names none, a job is about all.
func (c *Command) Narrows() bool {
	return c != nil && (c.Dir != "" || c.Workspace != "" || c.Project != "")
}

// State of a job.
type State string

const (
	Queued     State = "queued"
	Running    State = "running"
	Done       State = "done"
	Superseded State = "superseded" // a newer job does its work
	Failed     State = "failed"     // given up after an error of ours; Note says which
)
