// Package planner is the core: it takes a Job through its runs to a Result.
// One verb a file. It knows no HTTP and no Markdown.
//
// A job may be run again at any time: after a crash, or because GitHub did not
// answer. Everything here is therefore written so that doing it twice is the
// same as doing it once, except for an apply, which is never done twice.
package planner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"syscall"

	"weir/locks"
	"weir/planner/artifact"
	"weir/planner/checkout"
	"weir/planner/gate"
	"weir/planner/project"
	"weir/planner/record"
	"weir/planner/result"
	"weir/planner/run"
	"weir/planner/scope"
	"weir/planner/tell"
	"weir/planner/work"
	"weir/policy"
	"weir/store"
)

// Planner does jobs. All fields but those that say so are needed.
type Planner struct {
	Store     store.Store
	Locks     *locks.Locks
	Queue     Queue
	Checkouts *checkout.Repos
	Runs      *run.Runs
	Gate      *gate.Gate
	Facts     gate.Facts
	Voice     *tell.Voice
	Merger    Merger
	Origins   Origins
	Log       *slog.Logger

	AllowForks bool // plan pull requests from forks too
}

// Queue is what the planner needs of package work.
type Queue interface {
	// Accept queues jobs that follow from this one. A delivery that was
	// accepted before is not accepted again.
	Accept(ctx context.Context, delivery string, jobs ...work.Job) (fresh bool, err error)
	// Fence is a write that fails unless this worker still has the job.
	Fence(ctx context.Context, job work.Job) (store.Write, error)
	// Wake makes the queue look for jobs that a commit of ours has added.
	Wake()
}

// Origins says which differences of a plan a pull request did not bring itself.
type Origins interface {
	// Of fills in the run's Origins, also beside an error, Modules and Blocks.
	Of(ctx context.Context, co *checkout.Checkout, p project.Project, r *record.Run) error
}

// task is one job being done.
type task struct {
	*Planner
	job work.Job
	log *slog.Logger

	pr   scope.PullRequest
	rec  *record.Draft
	say  tell.Pull       // of pr and rec
	seen []policy.Review // as the gate has listed them last
}

func (p *Planner) begin(job work.Job) *task {
	t := &task{Planner: p, job: job, log: p.Log.With(
		"job", job.ID, "kind", job.Kind, "repo", job.Repo, "pull", job.Pull, "delivery", job.Delivery)}
	t.know(&record.Draft{Record: record.Record{Repo: job.Repo, Pull: job.Pull}})
	return t
}

func (t *task) know(rec *record.Draft) {
	t.rec = rec
	t.say = tell.Pull{
		Voice: t.Voice, Job: t.job, PR: &t.pr, Record: &rec.Record,
		Save: func(ctx context.Context) error { return t.save(ctx) },
	}
}

// load reads what is remembered of the pull request.
func (t *task) load(ctx context.Context) error {
	rec, err := record.Open(ctx, t.Store, t.job.Repo, t.job.Pull)
	if err != nil {
		return err
	}
	t.know(rec)
	return nil
}

// verbs is the table of what a job of each kind does. Every verb begins with
// fresh facts of the pull request.
var verbs = map[work.Kind]func(*task, context.Context) error{
	work.Plan:       (*task).plan,
	work.Apply:      (*task).apply,
	work.Gate:       (*task).apply,
	work.Close:      (*task).close,
	work.Unlock:     (*task).unlock,
	work.Explain:    (*task).explain,
	work.Help:       (*task).help,
	work.Refuse:     (*task).refuse,
	work.MergeGroup: (*task).mergeGroup,
}

// Do does one job. A user's mistake is told on the pull request and is no
// error. An error is ours: the job is to be tried again.
func (p *Planner) Do(ctx context.Context, job work.Job) error {
	verb, ok := verbs[job.Kind]
	if !ok {
		return fmt.Errorf("job %s: unknown kind %q", job.ID, job.Kind)
	}
	t := p.begin(job)
	if err := t.do(ctx, verb); err != nil {
		return fmt.Errorf("%s %s#%d: %w", job.Kind, job.Repo, job.Pull, err)
	}
	return nil
}

func (t *task) do(ctx context.Context, verb func(*task, context.Context) error) error {
	if t.job.Kind == work.MergeGroup || t.job.Kind == work.Refuse {
		return verb(t, ctx)
	}
	if err := t.load(ctx); err != nil {
		return err
	}
	if err := t.lookAgain(ctx); err != nil {
		return err
	}
	if served, err := t.admit(ctx); err != nil || !served {
		return err
	}
	interrupted, err := t.recoverApply(ctx)
	if err != nil {
		return err
	}
	if err := t.say.EndOthers(ctx); err != nil {
		return err
	}
	if interrupted && (t.job.Kind == work.Apply || t.job.Kind == work.Gate) {
		return nil // told; a plan follows, and a person decides on it
	}
	return verb(t, ctx)
}

// lookAgain fetches the pull request: what a delivery said may be old by now.
func (t *task) lookAgain(ctx context.Context) error {
	pr, err := t.Facts.PullRequest(ctx, t.job.Repo, t.job.Pull)
	if err != nil {
		return err
	}
	t.pr = pr
	t.rec.Title, t.rec.Author, t.rec.URL, t.rec.BaseRef = pr.Title, pr.Author, pr.URL, pr.Base
	t.log = t.log.With("head", pr.Head)
	return nil
}

// admit says whether the job may be done at all: forks only where the server
// allows them, commands and buttons only for people with write access.
func (t *task) admit(ctx context.Context) (bool, error) {
	if t.pr.Fork && !t.AllowForks {
		return false, t.say.Once(ctx, "fork", "This pull request comes from a fork. weir does not plan forks here, because a plan runs the "+
			"pull request's code with the server's credentials. Somebody with write access can push the branch to this repository instead.")
	}
	if t.job.Actor == "" || t.job.Command == nil {
		return true, nil
	}
	right, err := t.Facts.Right(ctx, t.job.Repo, t.job.Actor)
	if err != nil {
		return false, err
	}
	if right.CanWrite() {
		return true, nil
	}
	return false, t.notDone(ctx, fmt.Sprintf("%s has no write access to this repository, so `weir %s` was not done.", t.job.Actor, t.job.Kind))
}

// save stores the record, its audit entries and whatever else is given, in one
// commit, provided that this worker still has the job.
func (t *task) save(ctx context.Context, also ...store.Write) error {
	return t.saveRuns(ctx, nil, also...)
}

// saveRuns stores runs, and after them the record that names them, as save
// does.
func (t *task) saveRuns(ctx context.Context, runs []*record.Run, also ...store.Write) error {
	fence, err := t.Queue.Fence(ctx, t.job)
	if err != nil {
		return err
	}
	if err := record.PutRuns(ctx, t.Store, fence, runs); err != nil {
		return err
	}
	return t.rec.Save(ctx, append([]store.Write{fence}, also...)...)
}

// note adds an audit entry to the next save.
func (t *task) note(what, why string, projects ...string) *record.Entry {
	return t.rec.Note(record.Entry{
		Job: t.job.ID, Who: cmp.Or(t.job.Actor, "weir"), What: what, Why: why, Projects: projects, Head: t.pr.Head,
	})
}

// files names the artifacts of the pull request.
func (t *task) files() artifact.Scope { return artifact.Scope{Repo: t.job.Repo, Pull: t.job.Pull} }

// gate asks the gate, and keeps the reviews that it saw. Only what a person
// asked for by a command or a button counts as asked for.
func (t *task) gate(ctx context.Context, trigger policy.Trigger, only []string, justPlanned bool) (policy.Decision, error) {
	q := gate.Question{PR: t.pr, Record: &t.rec.Record, Trigger: trigger, Only: only, JustPlanned: justPlanned}
	if t.job.Command != nil {
		q.Actor = t.job.Actor
	}
	decision, reviews, err := t.Gate.Ask(ctx, q)
	t.seen = reviews
	return decision, err
}

// GiveUp tells people that a job ended in an error of ours and will not be
// tried again. It fails if they could not be told.
func (p *Planner) GiveUp(ctx context.Context, job work.Job, cause error) error {
	t := p.begin(job)
	t.log.Error("giving up", "err", cause)
	if job.Pull == 0 {
		return nil
	}
	if err := t.load(ctx); err != nil {
		return err
	}
	r := t.say.Result(result.Internal)
	r.Text = fmt.Sprintf("This is weir's own fault, while it did `%s`. Nothing more is tried by itself; `weir plan` starts anew. "+
		"The server's log says more under the number of the job.", t.job.Kind)
	if errors.Is(cause, syscall.ENOSPC) {
		r.Text = "The disk of the server that runs weir is full. " + r.Text
	}
	_, told := t.say.Comment(ctx, r)
	// The checks are another way to tell, where a conversation is locked.
	var errs []error
	for _, c := range t.say.Running() {
		errs = append(errs, t.say.End(ctx, c, record.Failure, "Internal error, job "+t.job.ID, r))
	}
	if len(errs) == 0 || errors.Join(errs...) != nil {
		errs = append(errs, told)
	}
	if t.rec.Stored() {
		errs = append(errs, t.rec.Save(ctx))
	}
	return errors.Join(errs...)
}

// superseded reports whether the job ended because a newer event took its
// place, and the shutdown of the server likewise: not an error of ours.
func superseded(ctx context.Context) bool {
	return errors.Is(context.Cause(ctx), work.ErrSuperseded)
}
