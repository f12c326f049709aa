// Package work accepts jobs, hands each to one worker, and brings back those
// whose worker died.
//
// Accepting is one commit that also records the delivery, so a delivery that
// comes twice is done once. Jobs of one pull request run one at a time, in
// order; different pull requests run side by side.
package work

import (
	"errors"
	"time"
)

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
)

var kinds = []Kind{Plan, Apply, Gate, Close, Unlock, Explain, Help, Refuse, MergeGroup}

// Job is accepted work on one pull request. It is stored as JSON.
type Job struct {
	ID       string    `json:"id"` // a ULID
	Kind     Kind      `json:"kind"`
	Repo     string    `json:"repo"` // owner/name, as GitHub spells it
	Pull     int       `json:"pull"` // 0 for a merge group
	Head     string    `json:"head,omitempty"`
	Command  *Command  `json:"command,omitempty"`
	Actor    string    `json:"actor,omitempty"`    // GitHub login of who caused it
	Trigger  string    `json:"trigger"`            // for people: "push", "comment", "review", "merge", "lock passed on", …
	Reason   string    `json:"reason,omitempty"`   // for Refuse and Help: what to say
	Merged   bool      `json:"merged,omitempty"`   // for Close
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

// full says whether the job is about the whole pull request, in the way that
// an event is, and not narrowed by what a person asked for.
func (j Job) full() bool {
	return j.Command == nil || !j.Command.Narrows() && len(j.Command.Extra) == 0
}

// Command narrows a job to what a person asked for. Empty fields mean all.
type Command struct {
	Dir       string   `json:"dir,omitempty"`
	Workspace string   `json:"workspace,omitempty"`
	Project   string   `json:"project,omitempty"`
	Extra     []string `json:"extra,omitempty"`   // arguments after --
	Comment   int64    `json:"comment,omitempty"` // id of the comment that held it
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

// Causes of the context of a running job. Package context keeps them apart
// from its error: see context.Cause.
var (
	// ErrSuperseded ends a plan whose pull request got a newer head, was
	// closed or was unlocked. A job that returns it ends as Superseded.
	ErrSuperseded = errors.New("superseded by a newer event of the pull request")

	// ErrLost ends a job that another worker may have taken: nothing more
	// may be written for it.
	ErrLost = errors.New("another worker took this job over")

	// ErrShutdown ends a plan that was not ready when the process had to
	// end. It is queued as it was, for the next start.
	ErrShutdown = errors.New("the server shuts down")
)

// ErrCrashed is what GiveUp is told of a job whose workers died each time.
var ErrCrashed = errors.New("the process died each time that this job ran")
