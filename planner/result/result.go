// Package result is what a job came to: plain data, from which comments,
// checks and pages are made. It decides nothing.
package result

import (
	"time"

	"weir/planner/record"
	"weir/planner/terraform"
	"weir/policy"
)

// Result is what a job came to.
type Result struct {
	Kind    Kind
	Job     string
	Repo    string
	Pull    int
	Head    string
	Base    string // commit planned on
	BaseRef string
	Mode    string // apply: approval, comment, merge
	Actor   string // who asked; "" where nobody did
	PageURL string // of the pull request's page

	Projects []Project
	Waiting  []record.Waiting
	Decision *policy.Decision
	Failure  string   // nothing could be done, and why: Markdown-free text, may have several lines
	Notes    []string // sentences that the reader should know, such as "weir.yaml changed here"

	Unlocked []string // project IDs given back
	Next     []int    // pull requests that were handed locks
	Merged   bool     // kind closed: merged rather than closed
	Text     string   // kinds help, refused, internal: what to say
}

// Kind is the situation that a Result tells of.
type Kind = record.Kind

// All situations.
const (
	Plan        Kind = "plan"        // planned, or failed to
	Locked      Kind = "locked"      // waits for locks
	Apply       Kind = "apply"       // applied, some or all
	Refused     Kind = "refused"     // the gate was closed when somebody asked for an apply
	Interrupted Kind = "interrupted" // an apply was found dead
	Unlocked    Kind = "unlocked"
	Closed      Kind = "closed" // merged or closed; told only where something is left to tell
	Explain     Kind = "explain"
	Help        Kind = "help"
	NotServed   Kind = "not_served" // repository or fork not allowed, no write access
	Internal    Kind = "internal"   // an error of ours
)

// Project is one project in a Result.
type Project struct {
	ID        string
	Dir       string
	Workspace string
	State     record.State
	Run       string
	RunURL    string
	Summary   *terraform.Summary
	Origins   []record.Origin
	Text      string   // terraform's plan text, or what the apply printed last
	Failure   string   // diagnostics
	Notes     []string // such as "no backend: the state is kept on weir's own disk", "the directory was deleted"
	DependsOn []string
	Deleted   bool     // the pull request deletes its directory
	Extra     []string // arguments that its plan was asked for with, such as -target
	AskedBy   string   // who asked for it with them
}

// Told is where a result can be read.
type Told struct {
	Comments []record.CommentRef
	At       time.Time // when GitHub says it was last changed
}

// Names of weir's checks.
const (
	CheckPlan  = "weir/plan"
	CheckApply = "weir/apply"
)

// Check is one check run (or commit status) as it should stand.
type Check struct {
	ID         int64
	Repo       string
	Head       string
	Name       string
	Status     record.CheckStatus
	Title      string // one line
	DetailsURL string
	Sought     bool // its id is not known, but it may exist: look for it first
}
