// Package terraform runs terraform or tofu in one directory and turns its
// plans into data. Facts come from `show -json`; text is for people.
package terraform

import (
	"io"
	"time"
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
	Log       io.Writer
}

// Code identifies the code behind a plan, for change digests of plans that do
// not tell everything themselves.
type Code struct {
	Module string // hash of the files of the project's directory and of the local modules it calls
	Tree   string // the tree of the whole checkout
}

// Plan is what one terraform plan came to.
type Plan struct {
	Text    string // terraform's own rendering, without colours
	Summary Summary
	Version string // of terraform
	Took    time.Duration
}

// Failure is a mistake of the user's or of their cloud's, in words for the
// pull request. It is data, not an error.
type Failure struct {
	Stage   string // "init", "workspace", "plan", "show", "apply"
	Message string // terraform's diagnostics, with file and line where it gave them; sensitive values masked
	Stale   bool   // apply only: the state has moved since the plan was made; nothing was changed
}

// Summary is what a plan would do, from its JSON form. It holds no sensitive
// value and can be shown and stored.
type Summary struct {
	Create  int `json:"create"`
	Update  int `json:"update"`
	Replace int `json:"replace"`
	Delete  int `json:"delete"`
	Read    int `json:"read,omitempty"`
	Import  int `json:"import,omitempty"`
	Move    int `json:"move,omitempty"`
	Forget  int `json:"forget,omitempty"`

	Changes []Change `json:"changes,omitempty"` // everything but no-ops; destroys and replacements first, then by address
	Drift   []Change `json:"drift,omitempty"`   // what changed outside of terraform and matters to this plan
	Outputs []Output `json:"outputs,omitempty"` // outputs that change

	// ChangeDigest is equal for two plans that would do the same. Where a
	// plan does not tell all that it will do (values known only after
	// apply, provisioners), it also covers the code that decides it.
	ChangeDigest string `json:"change_digest"`
	Opaque       string `json:"opaque,omitempty"` // why the digest also covers code; "" where it does not
}

// Empty says that applying the plan would change nothing at all: no resource,
// no output, no move, import or forget.
func (s Summary) Empty() bool {
	return s.Create+s.Update+s.Replace+s.Delete+s.Read+s.Import+s.Move+s.Forget == 0 && len(s.Outputs) == 0
}

// Action is what happens to one resource.
type Action string

const (
	Create  Action = "create"
	Update  Action = "update"
	Replace Action = "replace"
	Delete  Action = "delete"
	Read    Action = "read"
	Forget  Action = "forget"
	NoOp    Action = "no-op" // only moved or imported
)

// Change is one resource of a plan.
type Change struct {
	Address    string      `json:"address"`
	Type       string      `json:"type"`
	Action     Action      `json:"action"`
	Reason     string      `json:"reason,omitempty"`   // why it is replaced or deleted, in words
	Previous   string      `json:"previous,omitempty"` // its address before a move
	Importing  string      `json:"importing,omitempty"`
	Attributes []Attribute `json:"attributes,omitempty"` // top-level attributes that differ; bounded
}

// Attribute is one top-level attribute that differs. Before and After are
// compact JSON, cut to a bounded length; "(sensitive)" and "(known after
// apply)" stand for themselves.
type Attribute struct {
	Name          string `json:"name"`
	Before        string `json:"before,omitempty"`
	After         string `json:"after,omitempty"`
	ForcesReplace bool   `json:"forces_replace,omitempty"`
}

// Output is one root output that changes.
type Output struct {
	Name   string `json:"name"`
	Action Action `json:"action"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}
