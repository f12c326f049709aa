// Package record is what weir remembers of pull requests and runs, and the
// audit log of what was done to them.
package record

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/locks"
	"weir/planner/terraform"
	"weir/policy"
	"weir/store"
)

// State is where one project of a pull request stands.
type State string

// The states of a project. The only way into Applying is the gate.
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
	Skipped     State = "skipped"      // not applied, because a project it depends on was not
)

// Record is what weir remembers of one pull request. It is one record of the
// store, so that each transition is one conditional write.
type Record struct {
	Repo   string `json:"repo"`
	Pull   int    `json:"pull"`
	Title  string `json:"title"`
	Author string `json:"author"`
	URL    string `json:"url"`

	Head       string      `json:"head"` // head of the newest plan
	Base       string      `json:"base"` // commit of the base branch it was planned on
	BaseRef    string      `json:"base_ref"`
	Merge      string      `json:"merge"` // the merge commit that was planned
	Closed     bool        `json:"closed,omitempty"`
	Merged     bool        `json:"merged,omitempty"`
	Mode       policy.Mode `json:"mode"`
	Automerge  string      `json:"automerge,omitempty"`  // merge, squash, rebase; "" for off
	Submodules bool        `json:"submodules,omitempty"` // checked out too
	LFS        bool        `json:"lfs,omitempty"`        // likewise
	PlanJob    string      `json:"plan_job,omitempty"`   // job whose plans these are, once all have ended
	ToldJob    string      `json:"told_job,omitempty"`   // job whose plans stand in a comment

	Projects []ProjectRecord `json:"projects"`          // in the order of their IDs
	Waiting  []Waiting       `json:"waiting,omitempty"` // locks it waits for; then nothing is planned
	Failure  string          `json:"failure,omitempty"` // why nothing could be planned (conflict, broken weir.yaml, …)
	Notes    []string        `json:"notes,omitempty"`

	Untold   []string         `json:"untold,omitempty"`   // projects whose interrupted apply is still to be told
	Decision *policy.Decision `json:"decision,omitempty"` // the gate's newest word
	Posted   []policy.Posted  `json:"posted,omitempty"`   // plans that can be approved
	Comments []CommentRef     `json:"comments,omitempty"` // plan and lock comments, oldest first
	Checks   []CheckRef       `json:"checks,omitempty"`   // of Head, and those of other commits that still run
	Telling  *Telling         `json:"telling,omitempty"`  // a comment that may stand although Comments does not know it
	Updated  time.Time        `json:"updated"`
}

// ProjectRecord is one project of a pull request.
type ProjectRecord struct {
	ID        string `json:"id"`
	Dir       string `json:"dir"`
	Workspace string `json:"workspace"`
	State     State  `json:"state"`
	Epoch     int64  `json:"epoch"`              // of its lock when it was planned
	Run       string `json:"run"`                // newest run
	PlanRun   string `json:"plan_run,omitempty"` // the run that made the plan
	Job       string `json:"job"`                // job that made the newest transition

	PlanDigest   string   `json:"plan_digest,omitempty"`   // of the plan file
	ChangeDigest string   `json:"change_digest,omitempty"` // of what it would do; "" without changes
	PlanHead     string   `json:"plan_head,omitempty"`
	PlanBase     string   `json:"plan_base,omitempty"`
	PlanRef      string   `json:"plan_ref,omitempty"`     // base branch that PlanBase was the newest commit of
	PlanMerge    string   `json:"plan_merge,omitempty"`   // commit that was planned
	AppliedHead  string   `json:"applied_head,omitempty"` // head whose plan was applied last, by this pull request
	DependsOn    []string `json:"depends_on,omitempty"`
	VarFiles     []string `json:"var_files,omitempty"`
	Version      string   `json:"version,omitempty"` // wanted version of terraform
	Backend      string   `json:"backend,omitempty"`
	Extra        []string `json:"extra,omitempty"`    // arguments of the plan, beyond its own
	AskedBy      string   `json:"asked_by,omitempty"` // who asked for it with them
	Deleted      bool     `json:"deleted,omitempty"`
	Note         string   `json:"note,omitempty"` // failure or reason, in words
}

// Stage is what the gate sees of the project's state.
func (p ProjectRecord) Stage() policy.Stage {
	switch p.State {
	case Planned:
		return policy.Ready
	case NoChanges:
		return policy.Unchanged
	case Applied:
		return policy.Done
	}
	return policy.Unplanned
}

// Waiting is a project that another pull request owns.
type Waiting struct {
	ID    string `json:"id"`
	Repo  string `json:"repo,omitempty"` // of the owner, where it is another repository, with the same state
	Owner int    `json:"owner"`          // 0: reserved for this pull request's turn
	Place int    `json:"place"`          // 1: the next to get it
}

// By names the owner as people write it: #12, or acme/other#12; "" where there
// is none.
func (w Waiting) By() string {
	if w.Owner == 0 {
		return ""
	}
	return fmt.Sprintf("%s#%d", w.Repo, w.Owner)
}

// Owners names who is waited for, each once, in a few words.
func Owners(waiting []Waiting) string {
	var owners []string
	for _, w := range waiting {
		if name := cmp.Or(w.By(), "its turn"); !slices.Contains(owners, name) {
			owners = append(owners, name)
		}
	}
	return strings.Join(owners, ", ")
}

// Kind is the situation that a comment tells of; see planner.ResultKind.
type Kind string

// CommentRef finds a comment again.
type CommentRef struct {
	Head      string `json:"head"`
	Kind      Kind   `json:"kind"`
	ID        int64  `json:"id"`
	Node      string `json:"node"`
	Minimised bool   `json:"minimised,omitempty"`
}

// Telling is the intent to post a comment, saved before it is posted.
type Telling struct {
	Job  string `json:"job"`
	Head string `json:"head"`
	Kind Kind   `json:"kind"`
}

// CheckStatus is a check run's conclusion, or that it has none yet.
type CheckStatus string

// The statuses that weir gives its checks.
const (
	InProgress     CheckStatus = "in_progress"
	Success        CheckStatus = "success"
	Failure        CheckStatus = "failure"
	ActionRequired CheckStatus = "action_required"
	Cancelled      CheckStatus = "cancelled"
)

// CheckRef finds a check run again, and says what stands in it, or is about to.
type CheckRef struct {
	Head   string      `json:"head"`
	Name   string      `json:"name"`
	ID     int64       `json:"id"` // 0: not known; it may exist all the same
	Status CheckStatus `json:"status"`
	Title  string      `json:"title"`
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
	Terraform string             `json:"terraform,omitempty"` // version that planned
	Providers map[string]string  `json:"providers,omitempty"` // versions by source address
	Modules   map[string]string  `json:"modules,omitempty"`   // versions by path of calls
	Blocks    []string           `json:"blocks"`              // that the pull request changes, see ledger.Entry
	Origins   []Origin           `json:"origins,omitempty"`   // of what the plan would do and the pull request does not ask for
	Failure   string             `json:"failure,omitempty"`
	Notes     []string           `json:"notes,omitempty"`
}

// Origin is where a difference comes from that a pull request did not bring.
type Origin struct {
	Address    string   `json:"address"`              // of the resource; "output.NAME" for an output
	Attributes []string `json:"attributes,omitempty"` // none: the whole of it
	Kind       string   `json:"kind"`                 // as those of drift: changed outside, merged, never applied, …
	Why        string   `json:"why"`                  // for people
	Pull       int      `json:"pull,omitempty"`       // that Why is about
}

const (
	pullPartition = "pulls"
	runPartition  = "runs"
)

// PullKey is exact: a repository's name holds no '#'.
func PullKey(repo string, pull int) store.Key {
	return store.Key{Partition: pullPartition, Sort: fmt.Sprintf("%s#%010d", repo, pull)}
}

// RunKey names a run.
func RunKey(id string) store.Key { return store.Key{Partition: runPartition, Sort: id} }

// ReadPull returns what is remembered of a pull request, and false where that
// is nothing.
func ReadPull(ctx context.Context, s store.Store, repo string, pull int) (Record, bool, error) {
	rec, version, err := Load(ctx, s, repo, pull)
	return rec, version != 0, err
}

// Load is ReadPull with the version to expect at the next write; zero where
// nothing is remembered.
func Load(ctx context.Context, s store.Store, repo string, pull int) (Record, store.Version, error) {
	rec := Record{Repo: repo, Pull: pull}
	got, err := s.Get(ctx, PullKey(repo, pull))
	if err != nil {
		return rec, 0, fmt.Errorf("read pull request %s#%d: %w", repo, pull, err)
	}
	if got[0].Version == 0 {
		return rec, 0, nil
	}
	if err := Decode(got[0].Body, &rec); err != nil {
		return rec, 0, fmt.Errorf("read pull request %s#%d: %w", repo, pull, err)
	}
	return rec, got[0].Version, nil
}

// ReadPulls returns all pull requests that weir remembers, open ones first,
// then by the time of their newest change.
func ReadPulls(ctx context.Context, s store.Store) ([]Record, error) {
	rows, err := store.All(ctx, s, pullPartition, "")
	if err != nil {
		return nil, err
	}
	records := make([]Record, 0, len(rows))
	for _, row := range rows {
		var rec Record
		if err := Decode(row.Body, &rec); err != nil {
			return nil, fmt.Errorf("read pull request %s: %w", row.Key.Sort, err)
		}
		records = append(records, rec)
	}
	slices.SortStableFunc(records, func(a, b Record) int {
		if a.Closed != b.Closed {
			if a.Closed {
				return 1
			}
			return -1
		}
		return b.Updated.Compare(a.Updated)
	})
	return records, nil
}

// ReadRun returns one run, and false where there is none of that id.
func ReadRun(ctx context.Context, s store.Store, id string) (Run, bool, error) {
	runs, err := ReadRuns(ctx, s, []string{id})
	if err != nil || len(runs) == 0 {
		return Run{}, false, err
	}
	return runs[id], true, nil
}

// ReadRuns returns the runs of these ids that exist.
func ReadRuns(ctx context.Context, s store.Store, ids []string) (map[string]Run, error) {
	runs := make(map[string]Run, len(ids))
	for some := range slices.Chunk(ids, store.MaxWrites) {
		keys := make([]store.Key, len(some))
		for i, id := range some {
			keys[i] = RunKey(id)
		}
		rows, err := s.Get(ctx, keys...)
		if err != nil {
			return nil, fmt.Errorf("read runs: %w", err)
		}
		for _, row := range rows {
			if row.Version == 0 {
				continue
			}
			var run Run
			if err := Decode(row.Body, &run); err != nil {
				return nil, fmt.Errorf("read run %s: %w", row.Key.Sort, err)
			}
			runs[run.ID] = run
		}
	}
	return runs, nil
}

// Commit writes and finds out what happened if the store did not say: an
// error that is no conflict leaves it open, so the first record is read and
// compared with what was to be written.
func Commit(ctx context.Context, s store.Store, writes ...store.Write) error {
	err := s.Commit(ctx, writes...)
	var conflict *store.ConflictError
	if err == nil || errors.As(err, &conflict) {
		return err
	}
	first := writes[0]
	if first.Op != store.Put {
		return err
	}
	now, readErr := s.Get(ctx, first.Key)
	if readErr == nil && now[0].Version != first.Expect && bytes.Equal(now[0].Body, first.Body) {
		return nil
	}
	return err
}

// Project finds a project of the record by its ID; nil where there is none.
func (r *Record) Project(id string) *ProjectRecord {
	for i := range r.Projects {
		if r.Projects[i].ID == id {
			return &r.Projects[i]
		}
	}
	return nil
}

// IDs names the projects.
func (r *Record) IDs() []string {
	names := make([]string, len(r.Projects))
	for i, p := range r.Projects {
		names[i] = p.ID
	}
	return names
}

// Left names the projects that still have something to apply, or that nobody
// could plan.
func (r *Record) Left() []string {
	var left []string
	for _, p := range r.Projects {
		if s := p.Stage(); s == policy.Ready || s == policy.Unplanned {
			left = append(left, p.ID)
		}
	}
	return left
}

// Keys returns the lock keys of the projects, or of those whose ID is in only.
func (r *Record) Keys(only []string) []locks.Key {
	var keys []locks.Key
	for _, p := range r.Projects {
		if only == nil || slices.Contains(only, p.ID) {
			keys = append(keys, p.Key())
		}
	}
	return keys
}

// Reopen forgets all plans: their files went when the pull request was closed,
// and its locks, so that others may have applied theirs since.
func (r *Record) Reopen() {
	for i := range r.Projects {
		p := &r.Projects[i]
		p.State, p.Note, p.PlanRun, p.PlanDigest, p.ChangeDigest, p.PlanHead = Pending, "", "", "", "", ""
	}
}

// Runs returns the newest run of every project and the one that made its plan,
// by id.
func (r *Record) Runs(ctx context.Context, s store.Store) (map[string]Run, error) {
	var ids []string
	for _, p := range r.Projects {
		if p.Run != "" {
			ids = append(ids, p.Run)
		}
		if p.PlanRun != "" && p.PlanRun != p.Run {
			ids = append(ids, p.PlanRun)
		}
	}
	return ReadRuns(ctx, s, ids)
}

// Key is the project's lock.
func (p ProjectRecord) Key() locks.Key { return locks.Key{Dir: p.Dir, Workspace: p.Workspace} }
