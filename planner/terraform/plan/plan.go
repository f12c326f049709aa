// Package plan turns a plan of terraform's, in its JSON form, into data for
// people, and into a digest of what it would do.
package plan

// Code identifies the code behind a plan, for change digests of plans that do
// not tell everything themselves. The planner knows Module and Tree;
// package terraform finds out the rest.
type Code struct {
	Module string // hash of the files of the project's directory and of the local modules it calls
	Tree   string // the tree of the whole checkout

	Providers string            // hash of the root module's provider blocks and of what they refer to; "" where that cannot be told
	Backend   string            // hash of what says where the state is; "" where nothing does
	Moving    bool              // variables take part in that
	Outputs   map[string]string // the same of each root output; outputs that refer to more than their own text tells are missing
	Versions  string            // the providers' versions, as the lock file has them
	Remote    string            // hash of the files of downloaded modules; "" where there are none

	ReadsOutside bool // files outside of its modules take part in expressions
	Hidden       bool // a plan's JSON form leaves out some of its expressions (dynamic blocks, downloaded modules)
	RemovedRuns  bool // a removed block has provisioners, of which the plan's JSON form says nothing
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
	Invokes []string `json:"invokes,omitempty"` // addresses of the provider actions that the apply invokes
	Cut     bool     `json:"cut,omitempty"`     // there are more changes, drift or outputs than are listed; the counts are right

	// ChangeDigest is equal for two plans that would do the same. Where a
	// plan does not tell all that it will do (values known only after
	// apply, provisioners), it also covers the code that decides it.
	ChangeDigest string `json:"change_digest"`
	Opaque       string `json:"opaque,omitempty"` // why the digest also covers code; "" where it does not

	// Inputs are keyed digests of the root module's variables, by name: equal
	// for equal values, so that one that has moved since another plan shows.
	Inputs map[string]string `json:"inputs,omitempty"`
}

// Empty says that applying the plan would change nothing at all: no resource,
// no output, no move, import, forget or invoked action.
func (s Summary) Empty() bool {
	return s.Create+s.Update+s.Replace+s.Delete+s.Read+s.Import+s.Move+s.Forget == 0 && len(s.Outputs)+len(s.Invokes) == 0
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

	Provider string   `json:"provider,omitempty"` // source address of its provider, where that is not the one its type is named after
	From     []string `json:"from,omitempty"`     // what decides how many of it there are (count, for_each), as in Attribute
}

// Attribute is one top-level attribute that differs. Before and After are
// compact JSON, cut to a bounded length; "(sensitive)" and "(known after
// apply)" stand for themselves.
type Attribute struct {
	Name          string `json:"name"`
	Before        string `json:"before,omitempty"`
	After         string `json:"after,omitempty"`
	ForcesReplace bool   `json:"forces_replace,omitempty"`

	// From is what the configuration takes the new value from, of resources
	// that are updated or replaced: "var.a" of the root module, "local.a",
	// "data.aws_ami.a.id", "aws_vpc.a.id", each behind "module.m." where it
	// is in a module, without keys; sorted and bounded. It is empty where the
	// configuration does not set the attribute, or in a dynamic block.
	From     []string `json:"from,omitempty"`
	Constant bool     `json:"constant,omitempty"` // the configuration sets it and refers to nothing
}

// Output is one root output that changes.
type Output struct {
	Name   string `json:"name"`
	Action Action `json:"action"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`

	From []string `json:"from,omitempty"` // what its value comes from, as in Attribute
}
