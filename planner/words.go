package planner

import (
	"weir/planner/gate"
	"weir/planner/record"
	"weir/planner/scope"
)

// Names of the packages below that those who show results use.
type (
	Record      = record.Record
	Run         = record.Run
	State       = record.State
	Waiting     = record.Waiting
	CommentRef  = record.CommentRef
	CheckStatus = record.CheckStatus
	ResultKind  = record.Kind
	PullRequest = scope.PullRequest
	Facts       = gate.Facts
	Teams       = gate.Teams
)

// The states of a project; see package record.
const (
	Pending     = record.Pending
	Planning    = record.Planning
	Planned     = record.Planned
	NoChanges   = record.NoChanges
	PlanFailed  = record.PlanFailed
	Applying    = record.Applying
	Applied     = record.Applied
	ApplyFailed = record.ApplyFailed
	Interrupted = record.Interrupted
	Skipped     = record.Skipped
)

// The statuses of a check; see package record.
const (
	InProgress     = record.InProgress
	Success        = record.Success
	Failure        = record.Failure
	ActionRequired = record.ActionRequired
	Cancelled      = record.Cancelled
)
