package drift

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"weir/drift/finding"
	"weir/drift/schedule"
	"weir/planner/record"
	"weir/planner/scope"
	"weir/planner/work"
	"weir/store"
)

// How often the schedule is looked at, and how often the repositories and
// their weir.yaml are read again for it.
const (
	every   = 20 * time.Second
	reread  = 30 * time.Minute
	reask   = time.Hour // GitHub about the default branch
	maxRead = 50        // repositories read in one look
)

// forgotten is after how long nothing is stored any more of a repository that
// is not checked any more; see schedule.Book.Due.
const forgotten = 2 * time.Hour

// plan is what a repository's weir.yaml said when it was last read.
type plan struct {
	groups []schedule.Group // nil: it was not read yet
	read   time.Time
	at     finding.Repository // as GitHub said at asked
	asked  time.Time
	left   time.Time // since when the repository is not checked any more; zero: it is
}

// Run makes a job of each check that is due, until ctx ends. Of all servers
// that share the store one does, whatever their clocks say.
func (d *Drift) Run(ctx context.Context) {
	d.init()
	plans := map[string]plan{}
	var named time.Time // when the repositories were last listed
	for ctx.Err() == nil {
		if time.Since(named) >= reread {
			if err := d.list(ctx, plans); err != nil {
				d.Log.Warn("the repositories to check for drift cannot be listed; it is tried again", "err", err)
			} else {
				named = time.Now()
			}
		}
		d.round(ctx, plans)
		select {
		case <-ctx.Done():
		case <-time.After(every + rand.N(every/4)): // #nosec G404 -- jitter
		}
	}
}

// list makes plans have the repositories that are checked, and for a while
// those that were, so that what is stored of them is forgotten.
func (d *Drift) list(ctx context.Context, plans map[string]plan) error {
	names := d.Named
	if names == nil {
		var err error
		if names, err = d.GitHub.Repositories(ctx); err != nil {
			return err
		}
	}
	installed := slices.Clone(names)
	if d.Cron == "" {
		// Only those can have a schedule that say so, and to look into all
		// that an App is installed on would clone them all.
		known, err := d.Locks.Repos(ctx)
		if err != nil {
			return err
		}
		names = slices.DeleteFunc(slices.Clone(names), func(repo string) bool { return !slices.Contains(known, repo) })
	}
	checked := map[string]bool{}
	for _, repo := range names {
		checked[repo] = d.Serves(repo)
		if p, ok := plans[repo]; checked[repo] && (!ok || !p.left.IsZero()) {
			plans[repo] = plan{}
		}
	}
	slots, err := schedule.Book{Store: d.Store}.All(ctx) // of before a restart, too
	if err != nil {
		return err
	}
	states, err := States(ctx, d.Store)
	if err != nil {
		return err
	}
	stored := make([]string, 0, len(slots)+len(states))
	for _, slot := range slots {
		stored = append(stored, slot.Repo)
	}
	serves := func(repo string) bool { return d.Serves(repo) && slices.Contains(installed, repo) }
	for _, state := range states {
		if !serves(state.Repo) {
			stored = append(stored, state.Repo)
		}
	}
	for _, repo := range stored {
		if _, ok := plans[repo]; !ok {
			plans[repo] = plan{}
		}
	}
	for repo, p := range plans {
		switch {
		case checked[repo]:
		case p.left.IsZero():
			plans[repo] = plan{groups: []schedule.Group{}, left: time.Now()}
		case time.Since(p.left) >= forgotten:
			if !serves(repo) {
				if err := d.drop(ctx, repo); err != nil {
					return err
				}
			}
			delete(plans, repo)
		}
	}
	return nil
}

// drop forgets all that is known of a repository that weir does not work for
// any more. Another server may do the same.
func (d *Drift) drop(ctx context.Context, repo string) error {
	known, err := Read(ctx, d.Store, repo)
	if err != nil {
		return err
	}
	for _, k := range known {
		err := record.Commit(ctx, d.Store, store.Write{Op: store.Delete, Key: keyOf(repo, k.Check.Project), Expect: k.version})
		if err != nil && !store.IsConflict(err) {
			return fmt.Errorf("forget %s of %s: %w", k.Check.Project, repo, err)
		}
	}
	_, version, err := d.state(ctx, repo)
	if err != nil || version == 0 {
		return err
	}
	err = record.Commit(ctx, d.Store, store.Write{Op: store.Delete, Key: stateKey(repo), Expect: version})
	if err != nil && !store.IsConflict(err) {
		return fmt.Errorf("forget %s: %w", repo, err)
	}
	return nil
}

// round reads what was not read for long, and queues what is due.
func (d *Drift) round(ctx context.Context, plans map[string]plan) {
	read := 0
	for repo, p := range plans {
		if ctx.Err() != nil {
			return
		}
		if p.left.IsZero() && time.Since(p.read) >= reread && read < maxRead {
			read++
			groups, err := d.groups(ctx, repo, &p)
			if err != nil {
				d.Log.Warn("the schedule of drift cannot be read; the one before counts", "repo", repo, "err", err)
				p.read = time.Now().Add(time.Minute - reread) // again in a minute
			} else {
				p.groups, p.read = groups, time.Now()
			}
			plans[repo] = p
		}
		if p.groups == nil {
			continue
		}
		if err := d.queueDue(ctx, repo, p.groups, time.Now().UTC()); err != nil && ctx.Err() == nil {
			d.Log.Warn("drift checks are put off", "repo", repo, "err", err)
		}
	}
}

// groups reads the schedule of a repository's default branch. A weir.yaml that
// is broken leaves the server's schedule, whose check tells what is wrong.
func (d *Drift) groups(ctx context.Context, repo string, p *plan) ([]schedule.Group, error) {
	if time.Since(p.asked) >= reask {
		at, err := d.GitHub.Repository(ctx, repo)
		if err != nil {
			return nil, err
		}
		p.at, p.asked = at, time.Now()
	}
	head, err := d.Checkouts.Fetch(ctx, repo, p.at.CloneURL, p.at.Branch)
	if err != nil {
		p.asked = time.Time{} // it may have been renamed
		return nil, err
	}
	cfg, broken, err := scope.Finder{Checkouts: d.Checkouts}.BaseConfig(ctx, repo, head)
	if err != nil {
		return nil, err
	}
	return d.groupsOf(cfg), d.tellBroken(ctx, repo, broken)
}

// tellBroken keeps why a repository's own schedule cannot be read, for the page:
// without one of the server's no check would tell.
func (d *Drift) tellBroken(ctx context.Context, repo, broken string) error {
	state, version, err := d.state(ctx, repo)
	if err != nil || state.Schedule == broken || version == 0 && broken == "" {
		return err
	}
	return d.editState(ctx, repo, func(s *State) { s.Repo, s.Schedule = repo, broken })
}

// queueDue queues a job for each group that is due: the slot and the job are
// one commit, so that neither is there without the other.
func (d *Drift) queueDue(ctx context.Context, repo string, groups []schedule.Group, now time.Time) error {
	book := schedule.Book{Store: d.Store}
	due, wrong := book.Due(ctx, repo, groups, now)
	errs := []error{wrong}
	for _, slot := range due {
		err := store.Retry(ctx, func() error {
			writes, err := d.Queue.Writes(ctx, work.Job{
				Kind: work.Drift, Repo: repo, Topic: checks, Group: slot.Name, Trigger: "schedule", Later: true,
			})
			if err != nil {
				return err
			}
			_, err = book.Claim(ctx, slot, now, writes...)
			return err
		})
		errs = append(errs, err)
	}
	if len(due) > 0 {
		d.Queue.Wake()
	}
	return errors.Join(errs...)
}
