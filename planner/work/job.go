// Package work accepts jobs, hands each to one worker, and brings back those
// whose worker died.
//
// Accepting is one commit that also records the delivery, so a delivery that
// comes twice is done once. Jobs of one pull request run one at a time, in
// order; different pull requests run side by side.
package work

import (
	"errors"

	"weir/planner/work/job"
)

// What a job is has its own package; these are its names for those who queue
// and do jobs.
type (
	// Job is accepted work on one pull request.
	Job = job.Job
	// Kind says what a job does.
	Kind = job.Kind
	// Command narrows a job to what a person asked for.
	Command = job.Command
	// State of a job.
	State = job.State
)

// Kinds of jobs.
const (
	Plan       = job.Plan
	Apply      = job.Apply
	Gate       = job.Gate
	Close      = job.Close
	Unlock     = job.Unlock
	Explain    = job.Explain
	Help       = job.Help
	Refuse     = job.Refuse
	MergeGroup = job.MergeGroup
	Drift      = job.Drift
)

// States of jobs.
const (
	Queued     = job.Queued
	Running    = job.Running
	Done       = job.Done
	Superseded = job.Superseded
	Failed     = job.Failed
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

	// ErrOvertaken is returned by a drift check of which Overtaken is true:
	// it goes on, where do can tell what is left, after those before it.
	ErrOvertaken = errors.New("another check goes first")

	// ErrShutdown ends a plan that was not ready when the process had to
	// end. It is queued as it was, for the next start.
	ErrShutdown = errors.New("the server shuts down")
)

// ErrCrashed is what GiveUp is told of a job whose workers died each time.
var ErrCrashed = errors.New("the process died each time that this job ran")
