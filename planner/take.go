package planner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"weir/locks"
	"weir/planner/record"
	"weir/planner/scope"
)

// take asks for the locks of all projects that the pull request touches, and
// gives back those that it no longer touches. Where others own some, the
// pull request waits, and taken is false.
func (t *task) take(ctx context.Context, s *scope.Scope) (taken bool, err error) {
	old := map[locks.Key]record.ProjectRecord{}
	for _, p := range t.rec.Projects {
		old[p.Key()] = p
	}
	want := make([]locks.Want, len(s.Projects))
	names := map[locks.Key]string{}
	for i, p := range s.Projects {
		key := locks.Key{Dir: p.Dir, Workspace: p.Workspace}
		// What was applied here must not slip to another pull request
		// before this one is merged.
		want[i] = locks.Want{Key: key, Keep: old[key].AppliedHead != ""}
		names[key] = p.ID()
	}
	outcome, err := t.Locks.Acquire(ctx, t.job.Repo, t.job.Pull, want)
	var many *locks.TooManyError
	if errors.As(err, &many) {
		s.Failure = fmt.Sprintf("This pull request touches %d projects; weir can lock at most %d for one pull request. Split it.", many.Wanted, many.Max)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if len(outcome.Granted) > 0 {
		t.Queue.Wake()
	}
	for _, key := range outcome.Released {
		t.note("lock released", "the pull request no longer needs it", cmp.Or(names[key], key.Dir))
	}
	t.rec.Waiting = nil
	if !outcome.Acquired {
		for _, lock := range outcome.Locks {
			if lock.Owner == t.job.Pull {
				continue
			}
			place := 1 + slices.IndexFunc(lock.Waiters, func(w locks.Waiter) bool { return w.Pull == t.job.Pull })
			if lock.Owner != 0 || place > 1 {
				t.rec.Waiting = append(t.rec.Waiting, record.Waiting{ID: names[lock.Key], Owner: lock.Owner, Place: max(place, 1)})
			}
		}
	}
	records := make([]record.ProjectRecord, len(s.Projects))
	for i, p := range s.Projects {
		rec := old[locks.Key{Dir: p.Dir, Workspace: p.Workspace}]
		rec.ID, rec.Dir, rec.Workspace = p.ID(), p.Dir, p.Workspace
		rec.DependsOn, rec.VarFiles, rec.Version, rec.Backend, rec.Deleted = p.DependsOn, p.VarFiles, p.TerraformVersion, p.Backend, p.Deleted
		if epoch := outcome.Locks[i].Epoch; rec.Epoch != epoch {
			rec.Epoch = epoch
			if outcome.Acquired {
				t.note("lock taken", fmt.Sprintf("epoch %d", epoch), p.ID())
			}
		}
		if rec.State == "" || !outcome.Acquired && rec.State != record.Applied {
			rec.State, rec.Note = record.Pending, ""
		}
		records[i] = rec
	}
	t.rec.Projects = records
	return outcome.Acquired, nil
}
