package planner

import (
	"weir/planner/terraform"
	"weir/policy"
)

// Result is what a job came to: plain data, from which comments, checks and
// pages are made.
type Result struct {
	Kind    ResultKind
	Job     string
	Repo    string
	Pull    int
	Head    string
	Base    string // commit planned on
	BaseRef string
	Mode    string // apply: approval, comment, merge
	Actor   string // who asked; "" where nobody did
	PageURL string // of the pull request's page

	Projects []ProjectResult
	Waiting  []Waiting
	Decision *policy.Decision
	Failure  string   // nothing could be done, and why: Markdown-free text, may have several lines
	Notes    []string // sentences that the reader should know, such as "weir.yaml changed here"
	Since    []string // kept or voided approvals: "bob approved 3f2a91c; the plan has changed since: …"

	Unlocked []string // project IDs given back
	Next     []int    // pull requests that were handed locks
	Merged   bool     // kind closed: merged rather than closed
	Text     string   // kinds help, refused, internal: what to say
}

// The situations that a Result tells of.
const (
	ResultPlan        ResultKind = "plan"        // planned, or failed to
	ResultLocked      ResultKind = "locked"      // waits for locks
	ResultApply       ResultKind = "apply"       // applied, some or all
	ResultRefused     ResultKind = "refused"     // the gate was closed when somebody asked for an apply
	ResultInterrupted ResultKind = "interrupted" // an apply was found dead
	ResultUnlocked    ResultKind = "unlocked"
	ResultClosed      ResultKind = "closed" // merged or closed; told only where something is left to tell
	ResultExplain     ResultKind = "explain"
	ResultHelp        ResultKind = "help"
	ResultNotServed   ResultKind = "not_served" // repository or fork not allowed, no write access
	ResultInternal    ResultKind = "internal"   // an error of ours
)

// ProjectResult is one project in a Result.
type ProjectResult struct {
	ID        string
	Dir       string
	Workspace string
	State     State
	Run       string
	RunURL    string
	Summary   *terraform.Summary
	Text      string   // terraform's plan text, or what the apply printed last
	Failure   string   // diagnostics
	Notes     []string // such as "no backend: the state is kept on weir's own disk", "the directory was deleted"
	DependsOn []string
}
