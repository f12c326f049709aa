// Package run plans or applies one project: terraform, its log, its artifacts,
// and what came of it as data. It writes no records; who calls it does.
package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"weir/planner/artifact"
	"weir/planner/live"
	"weir/planner/project"
	"weir/planner/record"
	"weir/planner/terraform"
	"weir/store"
)

// Runs runs terraform. All fields are needed.
type Runs struct {
	Terraform *terraform.Runner
	Artifacts *artifact.Artifacts
	Logs      *live.Logs
	DataDir   string // absolute; for terraform's data directories and the states of projects without a backend
	Shared    bool   // other servers do runs too, so that no state may be in DataDir
}

// Files is the checkout that a run works on.
type Files struct {
	Root string // absolute path
	Tree string // Git's id of the tree
}

// New begins a run of a project.
func New(verb string, rec *record.Record, p *record.ProjectRecord, job string) *record.Run {
	state := record.Planning
	if verb == "apply" {
		state = record.Applying
	}
	return &record.Run{
		ID: ulid.Make().String(), Repo: rec.Repo, Pull: rec.Pull, Project: p.ID, Dir: p.Dir, Workspace: p.Workspace,
		Verb: verb, State: state, Head: rec.Head, Job: job, Started: time.Now().UTC(),
	}
}

// Plan plans one project. What came of it is in p and r, which nobody else may
// touch meanwhile; a mistake of the user's is among that, an error is ours.
func (x *Runs) Plan(ctx context.Context, files Files, found project.Project, p *record.ProjectRecord, r *record.Run) error {
	defer func() { r.Ended = time.Now().UTC() }()
	switch {
	case found.Deleted:
		r.State, p.State = record.NoChanges, record.NoChanges
		r.Notes = append(r.Notes, "The directory is deleted here. Terraform cannot plan what is not there: the resources that it manages stay as they are, "+
			"and nobody manages them any more. To destroy them, restore the directory, run `weir plan -d "+found.Dir+" -- -destroy`, apply that, and delete it then.")
		return nil
	case found.Refused != "":
		r.State, r.Failure = record.PlanFailed, found.Refused
		p.State, p.Note = record.PlanFailed, found.Refused
		return nil
	case found.Note != "":
		r.Notes = append(r.Notes, found.Note)
	}
	if x.Shared && p.Backend == "" {
		r.State, r.Failure = record.PlanFailed, noBackend
		p.State, p.Note = record.PlanFailed, r.Failure
		return nil
	}
	dir, err := x.tempDir("plan-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // swept at the next start
	out := filepath.Join(dir, "plan")
	plan, failure, err := x.plan(ctx, files, found, p, r, out)
	if err != nil {
		return err
	}
	if failure != nil {
		r.State, r.Failure = record.PlanFailed, failure.Message
		p.State, p.Note = record.PlanFailed, firstLine(failure.Message)
		return nil
	}
	if p.Backend == "" {
		r.Notes = append(r.Notes, "No backend block: the state is kept on weir's own disk. Configure a backend before you rely on it.")
	}
	r.Notes = append(r.Notes, plan.Notes...)
	if p.PlanDigest, err = x.Artifacts.PutFile(ctx, scopeOf(r), out); err != nil {
		return fmt.Errorf("keep the plan of %s: %w", p.ID, err)
	}
	if r.Text, err = x.Artifacts.Put(ctx, scopeOf(r), []byte(plan.Text)); err != nil {
		return fmt.Errorf("keep the plan of %s: %w", p.ID, err)
	}
	r.Summary, r.Terraform, r.Providers = fit(plan.Summary), plan.Version, plan.Providers
	r.State, p.State = record.NoChanges, record.NoChanges
	if !plan.Summary.Empty() {
		r.State, p.State = record.Planned, record.Planned
		p.ChangeDigest = digestOf(p, plan.Summary)
	}
	return nil
}

// Changed plans a project again and says whether that plan would do something
// else than the one that was shown. It keeps nothing.
func (x *Runs) Changed(ctx context.Context, files Files, found project.Project, p *record.ProjectRecord, r *record.Run) (bool, error) {
	dir, err := x.tempDir("plan-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir) // swept at the next start
	plan, failure, err := x.plan(ctx, files, found, p, r, filepath.Join(dir, "plan"))
	if err != nil {
		return false, err
	}
	if failure != nil || plan.Summary.Empty() {
		return true, nil
	}
	return digestOf(p, plan.Summary) != p.ChangeDigest, nil
}

// Look plans a project to see how what is deployed differs from what is
// declared. It changes nothing, keeps nothing, and lets all other runs go
// first. environ takes the place of variables of the server's. Why it could not
// be planned is a sentence for people.
func (x *Runs) Look(ctx context.Context, repo string, files Files, found project.Project, environ map[string]string) (plan *terraform.Plan, failure string, err error) {
	switch {
	case found.Refused != "":
		return nil, found.Refused, nil
	case x.Shared && found.Backend == "":
		return nil, noBackend, nil
	}
	dir, err := x.tempDir("look-")
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(dir) // swept at the next start
	hash, err := project.CodeHash(files.Root, found)
	if err != nil {
		return nil, "", fmt.Errorf("look at %s: %w", found.ID(), err)
	}
	home := home(repo, found.Dir, found.Workspace)
	target := terraform.Target{
		Root: files.Root, Dir: found.Dir, Workspace: found.Workspace, VarFiles: found.VarFiles, Version: found.TerraformVersion,
		// Not the directory that plans use: none of them waits for a look.
		DataDir: filepath.Join(x.DataDir, "drift", home), Look: true, Environ: environ,
	}
	if found.Backend == "" {
		target.State = filepath.Join(x.DataDir, "states", home, "terraform.tfstate")
	}
	plan, failed, err := x.Terraform.Plan(ctx, target, terraform.Code{Module: hash, Tree: files.Tree}, filepath.Join(dir, "plan"))
	if err != nil {
		return nil, "", fmt.Errorf("look at %s: %w", found.ID(), err)
	}
	if failed != nil {
		return nil, failed.Message, nil
	}
	return plan, "", nil
}

// noBackend refuses a project whose state would be on one server's disk.
const noBackend = "There is no backend block, so that the state would be kept on weir's own disk, " +
	"and this weir is several servers. Configure a backend, such as s3."

func (x *Runs) plan(ctx context.Context, files Files, found project.Project, p *record.ProjectRecord, r *record.Run, out string) (*terraform.Plan, *terraform.Failure, error) {
	hash, err := project.CodeHash(files.Root, found)
	if err != nil {
		return nil, nil, fmt.Errorf("plan %s: %w", p.ID, err)
	}
	target, err := x.target(files.Root, p, r)
	if err != nil {
		return nil, nil, err
	}
	plan, failure, err := x.Terraform.Plan(ctx, target, terraform.Code{Module: hash, Tree: files.Tree}, out)
	if sealErr := x.seal(ctx, r); err == nil {
		err = sealErr
	}
	if err != nil {
		return nil, nil, fmt.Errorf("plan %s: %w", p.ID, err)
	}
	return plan, failure, nil
}

// Fetch unseals the plan file that was shown, and nothing else: its digest is
// checked. cleanup removes the file.
func (x *Runs) Fetch(ctx context.Context, p *record.ProjectRecord, s artifact.Scope) (file string, cleanup func(), err error) {
	dir, err := x.tempDir("apply-")
	if err != nil {
		return "", nil, err
	}
	cleanup = func() { _ = os.RemoveAll(dir) } // swept at the next start
	file = filepath.Join(dir, "plan")
	if err := x.Artifacts.Fetch(ctx, s, p.PlanDigest, file); err != nil {
		cleanup()
		return "", nil, fmt.Errorf("fetch the plan of %s: %w", p.ID, err)
	}
	return file, cleanup, nil
}

// Apply applies a plan file. It always comes to an outcome, which is in p and
// r; nothing but terraform itself ends it.
func (x *Runs) Apply(ctx context.Context, root, planFile string, p *record.ProjectRecord, r *record.Run) {
	ctx = context.WithoutCancel(ctx)
	var output string
	var failure *terraform.Failure
	target, err := x.target(root, p, r)
	if err == nil {
		output, failure, err = x.Terraform.Apply(ctx, target, planFile)
	}
	if err != nil {
		failure = &terraform.Failure{Stage: "apply", Message: "weir could not run terraform: " + err.Error()}
	}
	r.Ended = time.Now().UTC()
	if err := x.seal(ctx, r); err != nil {
		r.Notes = append(r.Notes, "The log of this apply could not be kept.")
	}
	if output != "" {
		if r.Text, err = x.Artifacts.Put(ctx, scopeOf(r), []byte(output)); err != nil {
			r.Notes = append(r.Notes, "What terraform printed could not be kept.")
		}
	}
	if failure == nil {
		r.State, p.State, p.AppliedHead = record.Applied, record.Applied, p.PlanHead
		return
	}
	r.State, r.Failure = record.ApplyFailed, failure.Message
	p.State, p.Note = record.ApplyFailed, firstLine(failure.Message)
	if !failure.Stale {
		// Something may have been done: the lock stays until the merge.
		p.AppliedHead = p.PlanHead
	}
}

// Salvage ends a run whose process died, and keeps what it had printed.
func (x *Runs) Salvage(ctx context.Context, r *record.Run) error {
	r.State, r.Ended, r.Failure = record.Interrupted, time.Now().UTC(), "interrupted: weir was stopped while terraform ran"
	left, err := x.Logs.Left(r.ID)
	if err != nil || len(left) == 0 {
		return err
	}
	if r.Log, err = x.Artifacts.Put(ctx, scopeOf(r), left); err != nil {
		return fmt.Errorf("keep the log of run %s: %w", r.ID, err)
	}
	return nil // the live log goes with a sweep, once the record has this one
}

// Text is what a run has to show: the plan, or what the apply printed; nothing
// once its pull request was closed.
func (x *Runs) Text(ctx context.Context, r record.Run) (string, error) {
	if r.Text == "" {
		return "", nil
	}
	text, err := x.Artifacts.Get(ctx, scopeOf(&r), r.Text)
	var gone *artifact.NotFoundError
	if errors.As(err, &gone) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the text of run %s: %w", r.ID, err)
	}
	return string(text), nil
}

// Prepare makes the directories that runs use, and empties those that a
// process before may have left.
func (x *Runs) Prepare() error {
	if err := os.RemoveAll(x.temp()); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	for _, dir := range []string{x.temp(), filepath.Join(x.DataDir, "terraform"), filepath.Join(x.DataDir, "states")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("data_dir: %w", err)
		}
	}
	return nil
}

func (x *Runs) temp() string { return filepath.Join(x.DataDir, "tmp") }

func (x *Runs) tempDir(pattern string) (string, error) {
	dir, err := os.MkdirTemp(x.temp(), pattern)
	if err != nil {
		return "", fmt.Errorf("run: %w", err)
	}
	return dir, nil
}

// target says where and how terraform runs for a project. It is the same for
// plan and apply.
func (x *Runs) target(root string, p *record.ProjectRecord, r *record.Run) (terraform.Target, error) {
	log, err := x.Logs.Create(r.ID)
	if err != nil {
		return terraform.Target{}, err
	}
	home := home(r.Repo, p.Dir, p.Workspace)
	target := terraform.Target{
		Root: root, Dir: p.Dir, Workspace: p.Workspace, VarFiles: p.VarFiles, Version: p.Version,
		DataDir: filepath.Join(x.DataDir, "terraform", home), Extra: p.Extra, Log: log,
	}
	if p.Backend == "" {
		target.State = filepath.Join(x.DataDir, "states", home, "terraform.tfstate")
	}
	return target, nil
}

// home is a project's own folder below DataDir. No two projects share one,
// whatever their names hold, and none is inside another's.
func home(repo, dir, workspace string) string {
	escape := strings.NewReplacer("%", "%25", "/", "%2F", "\\", "%5C")
	owner, name, _ := strings.Cut(repo, "/")
	return filepath.Join(owner, name, "d-"+escape.Replace(dir), "w-"+escape.Replace(workspace))
}

func scopeOf(r *record.Run) artifact.Scope { return artifact.Scope{Repo: r.Repo, Pull: r.Pull} }

// seal moves the log of a run that has ended into an artifact.
func (x *Runs) seal(ctx context.Context, r *record.Run) error {
	ctx = context.WithoutCancel(ctx)
	path, err := x.Logs.End(r.ID)
	if err != nil {
		return err
	}
	if r.Log, err = x.Artifacts.PutFile(ctx, scopeOf(r), path); err != nil {
		return fmt.Errorf("keep the log of run %s: %w", r.ID, err)
	}
	return x.Logs.Remove(r.ID)
}

// fit makes a summary small enough for its run's record. The counts and the
// digest stay; the plan's text has the rest.
func fit(s terraform.Summary) *terraform.Summary {
	const most = store.MaxBody / 2
	size := func() int {
		body, err := json.Marshal(s)
		if err != nil {
			return most + 1
		}
		return len(body)
	}
	if size() <= most {
		return &s
	}
	s.Cut = true
	s.Changes, s.Drift = withoutAttributes(s.Changes), withoutAttributes(s.Drift)
	for size() > most && len(s.Changes)+len(s.Drift)+len(s.Outputs) > 0 {
		s.Changes, s.Drift, s.Outputs = s.Changes[:len(s.Changes)/2], s.Drift[:len(s.Drift)/2], s.Outputs[:len(s.Outputs)/2]
	}
	return &s
}

func withoutAttributes(changes []terraform.Change) []terraform.Change {
	bare := slices.Clone(changes)
	for i := range bare {
		bare[i].Attributes = nil
	}
	return bare
}

// digestOf is the change digest of a project's plan. The same change in another
// workspace, directory or kind of backend is another change.
func digestOf(p *record.ProjectRecord, s terraform.Summary) string {
	h := sha256.New()
	for _, part := range []string{s.ChangeDigest, p.Dir, p.Workspace, p.Backend} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
