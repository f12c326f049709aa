// Package drift compares what is deployed with what is in Git: on a schedule
// and when somebody asks, read-only, one project at a time, and never before a
// pull request's own runs. What it finds is explained, kept, and told.
package drift

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"weir/drift/finding"
	"weir/drift/notice"
	"weir/drift/schedule"
	"weir/locks"
	"weir/planner/checkout"
	"weir/planner/project"
	"weir/planner/run"
	"weir/planner/terraform"
	"weir/planner/work"
	"weir/planner/work/job"
	"weir/store"
)

// GitHub is what is asked of GitHub about repositories.
type GitHub interface {
	// Repositories returns the full names of all repositories that an App
	// is installed on; none without an App.
	Repositories(ctx context.Context) ([]string, error)
	Repository(ctx context.Context, repo string) (finding.Repository, error)
}

// Queue is what is needed of package work.
type Queue interface {
	Accept(ctx context.Context, delivery string, jobs ...work.Job) (fresh bool, err error)
	Writes(ctx context.Context, job work.Job) ([]store.Write, error)
	Fence(ctx context.Context, job work.Job) (store.Write, error)
	Overtaken(ctx context.Context, job work.Job) (bool, error)
	Wake()
}

// Looker plans a project and changes nothing, see run.Runs.Look.
type Looker interface {
	Look(ctx context.Context, repo string, files run.Files, found project.Project, environ map[string]string) (*terraform.Plan, string, error)
}

// Locks is what is needed of package locks.
type Locks interface {
	// Repos returns the repositories in which there ever was a lock.
	Repos(ctx context.Context) ([]string, error)
	List(ctx context.Context, repo string) ([]locks.Lock, error)
}

// Teller tells people what a check came to, and is asked again after an error:
// what it has told already it does not tell twice.
type Teller interface {
	// Tell makes what people see of a repository's projects fit to their
	// checks, and returns the issues: by project, 0 where there is none.
	// gone are projects that are not in the repository any more. Where a
	// person has to do something first it is a *RefusedError.
	Tell(ctx context.Context, repo finding.Repository, known, gone []Known) (map[string]int, error)
}

// RefusedError says why nobody can be told: it is shown, and is no reason to try
// again before the next check.
type RefusedError struct {
	Sentence string // for people: what is wrong, and what to do
}

func (e *RefusedError) Error() string { return e.Sentence }

// Witness says who did something outside, where a cloud's own log knows.
type Witness interface {
	// Who answers what it can, and fails no check: why it does not know is in
	// nobody. Before are the resources as the state had them, by address.
	Who(ctx context.Context, found []finding.Finding, before map[string]map[string]any, since, until time.Time) (by map[finding.Key]finding.By, nobody map[finding.Key]string)
}

// Drift checks projects. All fields but those that say so are needed; they do
// not change once it is used.
type Drift struct {
	Store     store.Store
	Queue     Queue
	Locks     Locks
	Checkouts *checkout.Repos
	Looker    Looker
	GitHub    GitHub
	People    People
	Witness   Witness         // nil: nobody is asked who did it
	Teller    Teller          // nil: what is found is kept and told nobody
	Targets   []notice.Target // who is told beside; none: nobody
	Page      func() string   // URL of the page of drift; needed for Targets

	Serves  func(repo string) bool // whether weir works for a repository
	Named   []string               // repositories to check; nil: all that the App is installed on
	Cron    string                 // when, for repositories that do not say; "": not by themselves
	Environ map[string]string      // variables of checks in place of the server's, such as read-only credentials
	AtOnce  int                    // checks at once; 0: one

	Log *slog.Logger // nil: none

	once  sync.Once
	alone sync.Map // repository to chan struct{}: one worktree for all checks of one
}

// Topics of jobs: each is done one at a time for a repository.
const (
	checks   = "checks"
	Commands = "commands" // asked for on an issue
)

func (d *Drift) init() {
	d.once.Do(func() {
		if d.Log == nil {
			d.Log = slog.New(slog.DiscardHandler)
		}
		d.AtOnce = max(d.AtOnce, 1)
	})
}

// Do does one job of kind drift. What is wrong with a repository is kept and
// told, and is no error. An error is ours: the job is to be tried again, and
// goes on where it ended.
func (d *Drift) Do(ctx context.Context, job work.Job) error {
	d.init()
	do := d.check
	switch job.Topic {
	case Commands:
		do = d.command
	case notices:
		do = d.notify
	}
	if err := do(ctx, job); err != nil {
		return fmt.Errorf("drift of %s: %w", job.Repo, err)
	}
	return nil
}

// Ask queues a check of a repository's projects, or of those that a command
// names.
func (d *Drift) Ask(ctx context.Context, repo string, command work.Command, trigger string) error {
	return d.ask(ctx, repo, command, trigger, "")
}

// ask queues a check; of two with the same delivery, the first.
func (d *Drift) ask(ctx context.Context, repo string, command work.Command, trigger, delivery string) error {
	if !d.Serves(repo) {
		return fmt.Errorf("%s is not among the repositories that this weir serves", repo)
	}
	command.Drift = &job.Drifted{Verb: "check"}
	_, err := d.Queue.Accept(ctx, delivery, work.Job{Kind: work.Drift, Repo: repo, Topic: checks, Command: &command, Trigger: trigger, Later: true})
	return err
}

// groupsOf are the groups of projects that are checked together, by the rules
// of weir.yaml; projects that no rule names are in the server's.
func (d *Drift) groupsOf(cfg *project.Config) []schedule.Group {
	var groups []schedule.Group
	if cfg != nil {
		for _, rule := range cfg.Drift {
			groups = append(groups, schedule.Group{Name: schedule.Name(rule.Dirs), Cron: orDefault(rule.Schedule, d.Cron), Zone: rule.Timezone})
		}
	}
	return append(groups, schedule.Group{Name: others, Cron: d.Cron})
}

func orDefault(cron, server string) string {
	if cron == "" {
		return server
	}
	return cron
}

// others is the group of the projects that no rule names.
const others = "others"

// ruleOf returns the first rule of weir.yaml that names a directory, and its
// group.
func ruleOf(cfg *project.Config, dir string) (*project.DriftRule, string) {
	if cfg != nil {
		for i := range cfg.Drift {
			if cfg.Drift[i].Fits(dir) {
				return &cfg.Drift[i], schedule.Name(cfg.Drift[i].Dirs)
			}
		}
	}
	return nil, others
}

// hold waits until no other job of this process uses the repository's
// worktree, and returns the function that lets go of it.
func (d *Drift) hold(ctx context.Context, repo string) (func(), error) {
	place, _ := d.alone.LoadOrStore(repo, make(chan struct{}, 1))
	held := place.(chan struct{}) //nolint:errcheck // nothing else is stored
	select {
	case held <- struct{}{}:
		return func() { <-held }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the files: %w", context.Cause(ctx))
	}
}

// Known is what weir remembers of the drift of one project.
type Known struct {
	Check   finding.Check `json:"check"`
	Group   string        `json:"group"`
	Since   time.Time     `json:"since,omitzero"` // since when there has been something that counts; zero: there is nothing
	Changed time.Time     `json:"changed"`        // when the set of findings last changed
	Issue   int           `json:"issue,omitempty"`
	PutOff  string        `json:"put_off,omitempty"` // why the newest check was not done: the findings are of the one before

	Told   []finding.Finding `json:"told,omitempty"`   // what people were told last
	Blamed []finding.Finding `json:"blamed,omitempty"` // while checks fail: what the last one that did not knew who did it of

	Assignees []string `json:"assignees,omitempty"` // of its issue
	Teams     []string `json:"teams,omitempty"`     // that own it, as ORG/TEAM: GitHub assigns none
	History   []Point  `json:"history,omitempty"`   // the newest last

	version store.Version
}

// Point is what one check came to, in numbers.
type Point struct {
	At     time.Time        `json:"at"`
	Open   int              `json:"open"`
	Hidden int              `json:"hidden,omitempty"`
	Worst  finding.Severity `json:"worst,omitempty"`
	Failed bool             `json:"failed,omitempty"`
}

// maxHistory is how many points are kept of a project: some months of nightly
// checks.
const maxHistory = 120

// GiveUp tells that a job ended in an error of ours: on the issue where it was
// asked for, or, of a check, on the page.
func (d *Drift) GiveUp(ctx context.Context, job work.Job, cause error) error {
	d.init()
	d.Log.Error("giving up", "job", job.ID, "kind", job.Kind, "repo", job.Repo, "err", cause)
	if job.Topic == Commands {
		return d.People.Say(ctx, job.Repo, job.Issue, job.ID, "This is weir's own fault, and was not done. The server's log says more under job "+job.ID+". It can be asked for again.")
	}
	why := "This is weir's own fault, and nothing more is tried until the next check. The server's log says more under job " + job.ID + "."
	return d.editState(ctx, job.Repo, func(s *State) {
		if job.Topic == notices {
			s.Unheard = []string{"Somebody beside the issues was not told. " + why}
			return
		}
		s.Repo, s.At, s.Failure = job.Repo, time.Now().UTC(), why
	})
}
