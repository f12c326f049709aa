// Package planner is the core: it takes a Job through its runs to a Result.
// One verb a file. It knows no HTTP and no Markdown.
package planner

import (
	"time"

	"weir/planner/terraform"
	"weir/policy"
)

// State is where one project of a pull request stands.
type State string

const (
	Pending     State = "pending"      // touched, not planned yet
	Planning    State = "planning"     // terraform plan runs
	Planned     State = "planned"      // there is a plan that would change something
	NoChanges   State = "no_changes"   // there is a plan that would change nothing
	PlanFailed  State = "plan_failed"  // init or plan failed
	Applying    State = "applying"     // terraform apply runs, or died
	Applied     State = "applied"      // the plan was applied
	ApplyFailed State = "apply_failed" // the apply failed
	Interrupted State = "interrupted"  // weir died during the apply; nobody knows what was done
	Skipped     State = "skipped"      // a project it depends on failed
)

// Record is what weir remembers of one pull request. It is one record of the
// store, so that each transition is one conditional write.
type Record struct {
	Repo   string `json:"repo"`
	Pull   int    `json:"pull"`
	Title  string `json:"title"`
	Author string `json:"author"`
	URL    string `json:"url"`

	Head    string `json:"head"` // head of the newest plan
	Base    string `json:"base"` // commit of the base branch it was planned on
	BaseRef string `json:"base_ref"`
	Merge   string `json:"merge"` // the merge commit that was planned
	Closed  bool   `json:"closed,omitempty"`
	Merged  bool   `json:"merged,omitempty"`
	Mode    string `json:"mode"` // apply: approval, comment, merge

	Projects []ProjectRecord `json:"projects"`          // in the order of their IDs
	Waiting  []Waiting       `json:"waiting,omitempty"` // locks it waits for; then there are no plans
	Failure  string          `json:"failure,omitempty"` // why nothing could be planned (conflict, broken weir.yaml, …)

	Decision *policy.Decision `json:"decision,omitempty"` // the gate's newest word
	Posted   []policy.Posted  `json:"posted,omitempty"`
	Comments []CommentRef     `json:"comments,omitempty"` // plan comments, oldest first
	Checks   map[string]int64 `json:"checks,omitempty"`   // check run ids of Head by name
	Updated  time.Time        `json:"updated"`
}

// ProjectRecord is one project of a pull request.
type ProjectRecord struct {
	ID        string `json:"id"`
	Dir       string `json:"dir"`
	Workspace string `json:"workspace"`
	State     State  `json:"state"`
	Epoch     int64  `json:"epoch"` // of its lock when it was planned
	Run       string `json:"run"`   // newest run
	Job       string `json:"job"`   // job that made the newest transition

	PlanDigest   string `json:"plan_digest,omitempty"`   // of the plan file
	ChangeDigest string `json:"change_digest,omitempty"` // of what it would do
	PlanHead     string `json:"plan_head,omitempty"`
	PlanMerge    string `json:"plan_merge,omitempty"` // commit that was planned
	PlanBase     string `json:"plan_base,omitempty"`

	Create    int      `json:"create,omitempty"`
	Update    int      `json:"update,omitempty"`
	Replace   int      `json:"replace,omitempty"`
	Delete    int      `json:"delete,omitempty"`
	DependsOn []string `json:"depends_on,omitempty"`
	Note      string   `json:"note,omitempty"` // failure or reason, in words
}

// Waiting is a project that another pull request owns.
type Waiting struct {
	ID    string `json:"id"`
	Owner int    `json:"owner"`
	Place int    `json:"place"` // 1: the next to get it
}

// CommentRef finds a comment again.
type CommentRef struct {
	Head      string `json:"head"`
	ID        int64  `json:"id"`
	Node      string `json:"node"`
	Part      int    `json:"part"`
	Minimised bool   `json:"minimised,omitempty"`
}

// Run is one terraform plan or apply of one project.
type Run struct {
	ID        string             `json:"id"` // a ULID
	Repo      string             `json:"repo"`
	Pull      int                `json:"pull"`
	Project   string             `json:"project"` // ID
	Dir       string             `json:"dir"`
	Workspace string             `json:"workspace"`
	Verb      string             `json:"verb"` // plan, apply
	State     State              `json:"state"`
	Head      string             `json:"head"`
	Job       string             `json:"job"`
	Started   time.Time          `json:"started"`
	Ended     time.Time          `json:"ended,omitzero"`
	Log       string             `json:"log,omitempty"`  // artifact digest of the log, once it has ended
	Text      string             `json:"text,omitempty"` // artifact digest of the plan's text
	Summary   *terraform.Summary `json:"summary,omitempty"`
	Failure   string             `json:"failure,omitempty"`
}
