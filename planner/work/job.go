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
	Attempt  int       `json:"attempt"` // 1 on the first run; more after a crash or an error of ours
	Worker   string    `json:"worker,omitempty"`
	NotUntil time.Time `json:"not_until,omitzero"` // a retry waits until then
	Ended    time.Time `json:"ended,omitzero"`
	Note     string    `json:"note,omitempty"` // how it ended or what the last attempt failed on, for people
}

// Command narrows a job to what a person asked for. Empty fields mean all.
type Command struct {
	Dir       string   `json:"dir,omitempty"`
	Workspace string   `json:"workspace,omitempty"`
	Project   string   `json:"project,omitempty"`
	Extra     []string `json:"extra,omitempty"`   // arguments after --
	Comment   int64    `json:"comment,omitempty"` // id of the comment that held it
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

// ErrSuperseded is the cause of the context of a running plan whose pull
// request got a newer head, was closed or was unlocked.
var ErrSuperseded = errors.New("superseded by a newer event of the pull request")

// ErrLost is the cause of the context of a job whose lease another worker has
// taken: nothing more may be written for it.
var ErrLost = errors.New("another worker took this job over")
