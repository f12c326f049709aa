package planner

import (
	"weir/planner/gate"
	"weir/planner/record"
	"weir/planner/result"
	"weir/planner/scope"
)

// Names of the packages below that those who show results use.
type (
	Record        = record.Record
	Run           = record.Run
	State         = record.State
	Waiting       = record.Waiting
	CommentRef    = record.CommentRef
	CheckStatus   = record.CheckStatus
	ResultKind    = record.Kind
	Result        = result.Result
	ProjectResult = result.Project
	Told          = result.Told
	Check         = result.Check
	PullRequest   = scope.PullRequest
	Facts         = gate.Facts
	Teams         = gate.Teams
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

// The kinds of a result, and the names of checks; see package result.
const (
	ResultPlan        = result.Plan
	ResultLocked      = result.Locked
	ResultApply       = result.Apply
	ResultRefused     = result.Refused
	ResultInterrupted = result.Interrupted
	ResultUnlocked    = result.Unlocked
	ResultClosed      = result.Closed
	ResultExplain     = result.Explain
	ResultHelp        = result.Help
	ResultNotServed   = result.NotServed
	ResultInternal    = result.Internal
	CheckPlan         = result.CheckPlan
	CheckApply        = result.CheckApply
)
