package planner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"weir/planner/artifact"
	"weir/planner/project"
	"weir/planner/terraform"
	"weir/planner/work"
	"weir/policy"
	"weir/store"
)

// plan takes the locks of what the pull request touches, plans it, and tells.
//
// Locks after a failure: a plan that fails keeps the locks that it took, since
// its next commit will need them. A job that cannot even say what the pull
// request touches (a conflict, a broken weir.yaml) changes no lock.
func (t *task) plan(ctx context.Context) error {
	if !t.pr.Open && !t.unappliedMerge() {
		// Handed a lock after it was closed, or a delivery that came late.
		return t.close(ctx)
	}
	if t.rec.PlanJob == t.job.ID && t.rec.Head == t.pr.Head && t.rec.ToldJob != t.job.ID {
		return t.announce(ctx) // planned before; only telling was left
	}

	var s *scope
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		s, err = t.prepare(gctx)
		return err
	})
	var begun CheckRef
	soFar := t.result(ResultPlan) // prepare changes the record
	g.Go(func() (err error) {
		begun, err = t.checkRef(gctx, CheckPlan, InProgress, "Planning "+shortID(t.pr.Head), soFar)
		return err
	})
	err := g.Wait()
	t.keepCheck(begun)
	if err == nil {
		err = t.planScope(ctx, s)
	}
	switch {
	case err != nil && superseded(ctx):
		return t.stopped(context.WithoutCancel(ctx))
	case err != nil && begun.ID != 0:
		// Whoever tries next, or gives up, has to know the check that
		// says that a plan runs.
		err = errors.Join(err, t.save(context.WithoutCancel(ctx)))
	}
	return err
}

// unappliedMerge says that the pull request was merged to be applied then, and
// something of it has not been applied yet.
func (t *task) unappliedMerge() bool {
	return t.pr.Merged && t.rec.Mode == policy.OnMerge && t.rec.Closed && len(t.left()) > 0
}

func (t *task) planScope(ctx context.Context, s *scope) error {
	t.rec.Closed, t.rec.Merged = !t.pr.Open, t.pr.Merged
	t.rec.Head, t.rec.Failure, t.rec.Notes, t.rec.Waiting = t.pr.Head, s.failure, s.notes, nil
	t.rec.PlanJob = ""
	if s.failure != "" {
		return t.announce(ctx)
	}
	t.rec.Base, t.rec.Merge = s.checkout.Base, s.checkout.Merge
	taken, err := t.take(ctx, s)
	if err != nil {
		return err
	}
	t.rec.Failure = s.failure
	if err := t.save(ctx); err != nil {
		return err
	}
	if s.failure != "" {
		return t.announce(ctx)
	}
	if !taken {
		return t.announceWaiting(ctx)
	}
	if err := t.planAll(ctx, s); err != nil {
		return err
	}
	t.rec.PlanJob = t.job.ID
	if err := t.save(ctx); err != nil {
		return err
	}
	return t.announce(ctx)
}

// planAll plans every project that needs it: those asked for, and those
// without a plan for this head. Projects are planned side by side as far as
// the server's limit allows, dependencies first.
func (t *task) planAll(ctx context.Context, s *scope) error {
	var runs []*Run
	todo := map[string]*Run{}
	for i := range t.rec.Projects {
		p := &t.rec.Projects[i]
		if !t.needsPlan(*p, s.asked) {
			continue
		}
		run := t.newRun("plan", p)
		p.Run, p.Job, p.State, p.Note = run.ID, t.job.ID, Planning, ""
		p.PlanDigest, p.ChangeDigest, p.PlanHead, p.PlanBase, p.PlanMerge = "", "", "", "", ""
		p.Extra = nil
		if t.job.Command != nil && (s.asked == nil || slices.Contains(s.asked, p.ID)) {
			p.Extra = t.job.Command.Extra
		}
		todo[p.ID] = run
		runs = append(runs, run)
	}
	if len(runs) == 0 {
		return nil
	}
	if err := t.saveRuns(ctx, runs); err != nil {
		return err
	}
	for _, level := range project.Ordered(s.projects) {
		g, gctx := errgroup.WithContext(ctx)
		for _, p := range level {
			run, rec := todo[p.ID()], t.project(p.ID())
			if run == nil {
				continue
			}
			g.Go(func() error { return t.planOne(gctx, s, p, rec, run) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return t.saveRuns(ctx, runs)
}

// needsPlan says whether a project has to be planned in this job.
func (t *task) needsPlan(p ProjectRecord, asked []string) bool {
	if asked != nil && slices.Contains(asked, p.ID) {
		return true
	}
	currentPlan := p.PlanHead == t.pr.Head && p.PlanBase == t.rec.Base && (p.State == Planned || p.State == NoChanges)
	applied := p.State == Applied && p.AppliedHead == t.pr.Head
	if asked != nil {
		return !currentPlan && !applied
	}
	return !applied || t.job.Command != nil
}

func (t *task) newRun(verb string, p *ProjectRecord) *Run {
	state := Planning
	if verb == "apply" {
		state = Applying
	}
	return &Run{
		ID: ulid.Make().String(), Repo: t.job.Repo, Pull: t.job.Pull, Project: p.ID, Dir: p.Dir, Workspace: p.Workspace,
		Verb: verb, State: state, Head: t.pr.Head, Job: t.job.ID, Started: time.Now().UTC(),
	}
}

// planOne plans one project. rec and run are its own; nothing else writes them.
func (t *task) planOne(ctx context.Context, s *scope, p project.Project, rec *ProjectRecord, run *Run) (err error) {
	defer func() { run.Ended = time.Now().UTC() }()
	rec.PlanHead, rec.PlanBase, rec.PlanMerge = t.pr.Head, t.rec.Base, t.rec.Merge
	if p.Deleted {
		run.State, rec.State = NoChanges, NoChanges
		run.Notes = append(run.Notes, "The directory is deleted here. Terraform cannot plan what is not there: the resources that it manages stay as they are, "+
			"and nobody manages them any more. To destroy them, restore the directory, run `weir plan -d "+p.Dir+" -- -destroy`, apply that, and delete it then.")
		return nil
	}
	if p.Refused != "" {
		run.State, run.Failure = PlanFailed, p.Refused
		rec.State, rec.Note = PlanFailed, p.Refused
		return nil
	}
	if p.Note != "" {
		run.Notes = append(run.Notes, p.Note)
	}
	dir, err := os.MkdirTemp(t.tempDir(), "plan-")
	if err != nil {
		return fmt.Errorf("plan %s: %w", p.ID(), err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // swept at the next start

	code, err := codeOf(s, p)
	if err != nil {
		return fmt.Errorf("plan %s: %w", p.ID(), err)
	}
	target, err := t.target(s.checkout.Root, rec, run)
	if err != nil {
		return err
	}
	if target.State != "" {
		run.Notes = append(run.Notes, "No backend block: the state is kept on weir's own disk. Configure a backend before you rely on it.")
	}
	out := filepath.Join(dir, "plan")
	plan, failure, err := t.Terraform.Plan(ctx, target, code, out)
	if sealErr := t.seal(ctx, run); sealErr != nil && err == nil {
		err = sealErr
	}
	if err != nil {
		return fmt.Errorf("plan %s: %w", p.ID(), err)
	}
	if failure != nil {
		run.State, run.Failure = PlanFailed, failure.Message
		rec.State, rec.Note = PlanFailed, firstLine(failure.Message)
		return nil
	}
	run.Notes = append(run.Notes, plan.Notes...)
	scope := t.scope()
	if rec.PlanDigest, err = t.Artifacts.PutFile(ctx, scope, out); err != nil {
		return fmt.Errorf("plan %s: %w", p.ID(), err)
	}
	if run.Text, err = t.Artifacts.Put(ctx, scope, []byte(plan.Text)); err != nil {
		return fmt.Errorf("plan %s: %w", p.ID(), err)
	}
	run.Summary = fit(plan.Summary)
	run.State, rec.State = NoChanges, NoChanges
	if !plan.Summary.Empty() {
		run.State, rec.State = Planned, Planned
		rec.ChangeDigest = plan.Summary.ChangeDigest
	}
	return nil
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

// codeOf identifies the code of a project, for digests of plans that do not
// tell everything.
func codeOf(s *scope, p project.Project) (terraform.Code, error) {
	hash, err := project.CodeHash(s.checkout.Root, p)
	return terraform.Code{Module: hash, Tree: s.checkout.Tree}, err
}

// target says where and how terraform runs for a project. It is the same for
// plan and apply.
func (t *task) target(root string, p *ProjectRecord, run *Run) (terraform.Target, error) {
	log, err := t.Live.Create(run.ID)
	if err != nil {
		return terraform.Target{}, err
	}
	home := t.projectHome(p.Dir, p.Workspace)
	target := terraform.Target{
		Root: root, Dir: p.Dir, Workspace: p.Workspace, VarFiles: p.VarFiles, Version: p.Version,
		DataDir: filepath.Join(t.DataDir, "terraform", home), Extra: p.Extra, Log: log,
	}
	if p.Backend == "" {
		target.State = filepath.Join(t.DataDir, "states", home, "terraform.tfstate")
	}
	return target, nil
}

// projectHome is a project's own folder below DataDir. No two projects share
// one, whatever their names hold, and none is inside another's.
func (t *task) projectHome(dir, workspace string) string {
	esc := func(s string) string {
		return strings.NewReplacer("%", "%25", "/", "%2F", "\\", "%5C").Replace(s)
	}
	owner, name, _ := strings.Cut(t.job.Repo, "/")
	return filepath.Join(owner, name, "d-"+esc(dir), "w-"+esc(workspace))
}

func (t *task) scope() artifact.Scope {
	return artifact.Scope{Repo: t.job.Repo, Pull: t.job.Pull}
}

// seal moves the log of a run that has ended into an artifact.
func (t *task) seal(ctx context.Context, run *Run) error {
	ctx = context.WithoutCancel(ctx)
	path, err := t.Live.End(run.ID)
	if err != nil {
		return err
	}
	if run.Log, err = t.Artifacts.PutFile(ctx, t.scope(), path); err != nil {
		return err
	}
	return t.Live.Remove(run.ID)
}

// stopped ends a plan whose place a newer event has taken: what it had begun
// to say is taken back. Nothing is lost, as the newer job plans anew.
func (t *task) stopped(ctx context.Context) error {
	r := t.result(ResultPlan)
	for _, c := range t.rec.Checks {
		if c.Head == t.pr.Head && c.Name == CheckPlan && c.Status == InProgress {
			if err := t.check(ctx, CheckPlan, Cancelled, "Superseded by a newer event", r); err != nil {
				return err
			}
		}
	}
	var runs []*Run
	for i := range t.rec.Projects {
		p := &t.rec.Projects[i]
		if p.State != Planning {
			continue
		}
		p.State, p.Note = Pending, "its plan was superseded"
		if run, ok, err := ReadRun(ctx, t.Store, p.Run); err == nil && ok {
			run.State, run.Ended, run.Failure = Pending, time.Now().UTC(), "superseded by a newer event"
			runs = append(runs, &run)
		}
	}
	if err := t.saveRuns(ctx, runs); err != nil {
		return err
	}
	return work.ErrSuperseded
}

// announce tells of the plans, and has them applied if the gate is open
// already because an approval still counts.
func (t *task) announce(ctx context.Context) error {
	decision, err := t.gate(ctx, policy.ByPlan, nil, true)
	if err != nil {
		return err
	}
	t.rec.Decision = &decision
	r, err := t.planResult(ctx)
	if err != nil {
		return err
	}
	if t.worthTelling() {
		told, err := t.tell(ctx, r)
		if err != nil {
			return err
		}
		t.posted(told.At)
	}
	t.rec.ToldJob = t.job.ID
	if err := t.planChecks(ctx, r, decision); err != nil {
		return err
	}
	if err := t.save(ctx); err != nil {
		return err
	}
	if decision.Open {
		if _, err := t.Queue.Accept(ctx, "after-"+t.job.ID, work.Job{
			Kind: work.Gate, Repo: t.job.Repo, Pull: t.job.Pull, Trigger: "plan",
		}); err != nil {
			return err
		}
	}
	return nil
}

// worthTelling is false for a pull request that touches no project: its checks
// say so, and a comment would be noise, unless somebody asked or an older
// comment says otherwise.
func (t *task) worthTelling() bool {
	return len(t.rec.Projects) > 0 || t.rec.Failure != "" || t.job.Command != nil ||
		slices.ContainsFunc(t.rec.Comments, func(c CommentRef) bool { return !c.Minimised })
}

// posted remembers that the present plans can be seen and approved. The gate
// has listed the reviews after planning and before telling: nobody can have
// seen these plans who had submitted a review by then.
func (t *task) posted(at time.Time) {
	if t.rec.Failure != "" || len(t.rec.Projects) == 0 {
		return
	}
	p := policy.Posted{Head: t.rec.Head, Digests: map[string]string{}, At: at}
	for _, project := range t.rec.Projects {
		if project.State == Planned || project.State == NoChanges {
			p.Digests[project.ID] = project.ChangeDigest
		}
	}
	for _, r := range t.seen {
		p.ReviewsBefore = max(p.ReviewsBefore, r.ID)
	}
	t.rec.Posted = append(t.rec.Posted, p)
	const most = 10
	if extra := len(t.rec.Posted) - most; extra > 0 {
		t.rec.Posted = t.rec.Posted[extra:]
	}
}

func (t *task) announceWaiting(ctx context.Context) error {
	t.rec.Decision = nil
	r := t.result(ResultLocked)
	if _, err := t.tell(ctx, r); err != nil {
		return err
	}
	title := "Waits for " + waitsFor(t.rec.Waiting)
	for _, name := range []string{CheckPlan, CheckApply} {
		if err := t.check(ctx, name, ActionRequired, title, r); err != nil {
			return err
		}
	}
	return t.save(ctx)
}

func waitsFor(waiting []Waiting) string {
	var owners []string
	for _, w := range waiting {
		name := fmt.Sprintf("#%d", w.Owner)
		if w.Owner == 0 {
			name = "its turn"
		}
		if !slices.Contains(owners, name) {
			owners = append(owners, name)
		}
	}
	return strings.Join(owners, ", ")
}

// planChecks sets both checks by the outcome of the plans.
func (t *task) planChecks(ctx context.Context, r Result, d policy.Decision) error {
	failed := 0
	for _, p := range t.rec.Projects {
		if p.State == PlanFailed {
			failed++
		}
	}
	status, title := Success, fmt.Sprintf("%d planned", len(t.rec.Projects))
	switch {
	case t.rec.Failure != "":
		status, title = Failure, firstLine(t.rec.Failure)
	case failed > 0:
		status, title = Failure, fmt.Sprintf("%d of %d failed", failed, len(t.rec.Projects))
	case len(t.rec.Projects) == 0:
		title = "No project is touched"
	}
	g, gctx := errgroup.WithContext(ctx)
	var plan, apply CheckRef
	g.Go(func() (err error) {
		plan, err = t.checkRef(gctx, CheckPlan, status, title, r)
		return err
	})
	g.Go(func() (err error) {
		status, title := t.applyStatus(d)
		apply, err = t.checkRef(gctx, CheckApply, status, title, r)
		return err
	})
	err := g.Wait()
	t.keepCheck(plan)
	t.keepCheck(apply)
	return err
}

// applyStatus is what the check weir/apply says outside of an apply.
func (t *task) applyStatus(d policy.Decision) (CheckStatus, string) {
	if t.rec.Failure != "" {
		return ActionRequired, "Waits for a plan"
	}
	if d.Nothing {
		for _, p := range t.rec.Projects {
			if p.AppliedHead != "" {
				return Success, "Everything is applied"
			}
		}
		return Success, "Nothing to apply"
	}
	missing := d.Missing()
	if len(missing) == 0 {
		return ActionRequired, "Will be applied now"
	}
	return ActionRequired, "Waits: " + missing[0].Reason
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
