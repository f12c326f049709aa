// Package finding is what a drift check came to, as plain data: what is
// stored, shown on the page, and told in issues.
package finding

import "time"

// Kind says why what is deployed and what is in Git differ.
type Kind string

// Kinds of findings.
const (
	Changed  Kind = "changed outside"       // somebody or something changed it, not Terraform
	Deleted  Kind = "deleted outside"       // it is gone, not by Terraform
	Unmerged Kind = "applied, never merged" // a pull request that was closed or is not merged applied it
	Merged   Kind = "merged, never applied" // the code says so since a merge that nobody applied
	Version  Kind = "version"               // Terraform, a provider or a module moved, and with it a default
	Data     Kind = "data"                  // a data source or a variable has another value
	Unknown  Kind = "unexplained"           // the plan differs, and nothing that weir knows says why
)

// Severity orders findings for people.
type Severity string

// Severities, the worst first.
const (
	High   Severity = "high"
	Medium Severity = "medium"
	Low    Severity = "low"
)

// Finding is one difference: an attribute of a resource, or the whole of one.
type Finding struct {
	Address   string   `json:"address"`             // of the resource, as Terraform writes it; "output.NAME" for an output
	Type      string   `json:"type"`                // of the resource; "" for an output
	Attribute string   `json:"attribute,omitempty"` // top-level; "" where the whole resource is meant
	Kind      Kind     `json:"kind"`
	Severity  Severity `json:"severity"`
	Action    string   `json:"action,omitempty"` // what a plan would do to the resource: create, update, replace, delete, read, forget; "" for nothing
	Declared  string   `json:"declared,omitempty"`
	Deployed  string   `json:"deployed,omitempty"` // compact JSON, cut; "(sensitive)" and "(known after apply)" for themselves
	Why       string   `json:"why,omitempty"`      // a sentence for people: which commit, which pull request, which version
	Pull      int      `json:"pull,omitempty"`     // the pull request that Why is about

	Ignored *Ignored `json:"ignored,omitempty"` // hidden by a rule of weir.yaml; nil: it counts
	By      *By      `json:"by,omitempty"`      // who did it, where that is known
	Nobody  string   `json:"nobody,omitempty"`  // why it is not known who did it, where somebody was asked: a sentence for people
}

// Key is what makes two findings the same from check to check: people are
// told again only when the set of keys changes.
type Key struct {
	Address, Attribute string
	Kind               Kind
}

// Key returns the finding's identity within its project.
func (f Finding) Key() Key { return Key{f.Address, f.Attribute, f.Kind} }

// Ignored is the rule that hides a finding.
type Ignored struct {
	Owner  string `json:"owner"`
	Reason string `json:"reason"`
	Until  string `json:"until"` // last day that it counts, YYYY-MM-DD in UTC
}

// By is who changed a resource, as a cloud's own log tells.
type By struct {
	Who     string    `json:"who"`  // a name for people: a user, a role and its session
	How     string    `json:"how"`  // console, cli, terraform (not weir's own), sdk, service
	What    string    `json:"what"` // the cloud's name of the call
	When    time.Time `json:"when"`
	EventID string    `json:"event_id"`
	Sure    string    `json:"sure"` // certain, likely, possible: how well the event fits the finding
}

// Check is one drift check of one project. It is stored.
type Check struct {
	Repo      string    `json:"repo"`
	Project   string    `json:"project"` // ID
	Dir       string    `json:"dir"`
	Workspace string    `json:"workspace"`
	Name      string    `json:"name,omitempty"`
	Commit    string    `json:"commit"` // that was compared with what is deployed
	Started   time.Time `json:"started"`
	Took      Duration  `json:"took"`

	Failure  string    `json:"failure,omitempty"`   // why nothing could be compared, for people; a state of its own
	InFlight int       `json:"in_flight,omitempty"` // the pull request that owns the project now
	Findings []Finding `json:"findings,omitempty"`  // ignored ones too; the worst first, then by address and attribute
	Ended    []string  `json:"ended,omitempty"`     // rules whose end date has passed, in words for people
	Unused   []string  `json:"unused,omitempty"`    // rules that hide nothing, likewise
	Cut      bool      `json:"cut,omitempty"`       // there are more findings than are listed

	Terraform string `json:"terraform,omitempty"` // version that compared
}

// Duration is in nanoseconds, as time.Duration.
type Duration = time.Duration

// Open returns the findings that no rule hides.
func (c Check) Open() []Finding {
	var open []Finding
	for _, f := range c.Findings {
		if f.Ignored == nil {
			open = append(open, f)
		}
	}
	return open
}

// Worst returns the severity of the worst finding that counts, "" if there is
// none.
func (c Check) Worst() Severity {
	worst := Severity("")
	rank := map[Severity]int{Low: 1, Medium: 2, High: 3}
	for _, f := range c.Open() {
		if rank[f.Severity] > rank[worst] {
			worst = f.Severity
		}
	}
	return worst
}
