// Package terraform runs terraform or tofu in one directory and turns its
// plans into data. Facts come from `show -json`; text is for people.
package terraform

import (
	"io"
	"time"

	"weir/planner/terraform/plan"
)

// Target is what one command works on.
type Target struct {
	Root      string   // absolute path of the checkout
	Dir       string   // directory of the project, relative to Root, slash-separated
	Workspace string   // Terraform workspace
	VarFiles  []string // relative to Dir
	Version   string   // wanted version of terraform; "": any
	DataDir   string   // absolute; becomes TF_DATA_DIR; kept between runs of one project
	State     string   // absolute path of the state file of a project without a backend block; "" where it has one
	Extra     []string // further arguments of plan, as a person wrote them

	// Look is for plans that nobody applies: no lock on the state is taken,
	// nothing is made that is not there, and every other command goes first.
	Look bool
	// Environ are variables that take the place of the server's, as
	// read-only credentials do for plans that nobody applies.
	Environ map[string]string
	Log     io.Writer
}

// Plan is what one terraform plan came to.
type Plan struct {
	Text      string // terraform's own rendering, without colours
	Summary   Summary
	Version   string            // of terraform
	Providers map[string]string // versions by source address, as the lock file has them
	Took      time.Duration
	Values    []plan.Value              // of a Look: what it would change, whole
	Before    map[string]map[string]any // of a Look: what the state had of resources that differ, by address
	Notes     []string                  // what the reader should know of how it was made, in sentences
}

// Failure is a mistake of the user's or of their cloud's, in words for the
// pull request. It is data, not an error.
type Failure struct {
	Stage   string // "init", "workspace", "plan", "show", "apply"
	Message string // terraform's diagnostics, with file and line where it gave them; sensitive values masked
	Stale   bool   // apply only: the state has moved since the plan was made; nothing was changed
}

// What a plan comes to has its own package; these are its names for those who
// plan and apply.
type (
	// Code identifies the code behind a plan.
	Code = plan.Code
	// Summary is what a plan would do.
	Summary = plan.Summary
	// Change is one resource of a plan.
	Change = plan.Change
	// Attribute is one top-level attribute that differs.
	Attribute = plan.Attribute
	// Output is one root output that changes.
	Output = plan.Output
	// Action is what happens to one resource.
	Action = plan.Action
)

// What happens to one resource.
const (
	Create  = plan.Create
	Update  = plan.Update
	Replace = plan.Replace
	Delete  = plan.Delete
	Read    = plan.Read
	Forget  = plan.Forget
	NoOp    = plan.NoOp // only moved or imported
)
