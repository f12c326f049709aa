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

// maxProjects of one pull request fit into its record.
const maxProjects = 500

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
		want[i] = locks.Want{Key: key, Keep: old[key].AppliedHead != "", State: p.State}
		names[key] = p.ID()
	}
	if len(want) > maxProjects {
		s.Failure = fmt.Sprintf("This pull request touches %d projects; weir plans at most %d for one pull request. Split it.", len(want), maxProjects)
		return true, nil
	}
	fence, err := t.Queue.Fence(ctx, t.job)
	if err != nil {
		return false, err
	}
	outcome, err := t.Locks.Acquire(ctx, t.job.Repo, t.job.Pull, want, fence)
	if linked := (*locks.TooLinkedError)(nil); errors.As(err, &linked) {
		s.Failure = linked.Error()
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if len(outcome.Granted)+len(outcome.GrantedElsewhere) > 0 {
		t.Queue.Wake()
	}
	var released, fresh []string
	for _, key := range outcome.Released {
		released = append(released, cmp.Or(names[key], key.Dir))
	}
	if released != nil {
		t.note("locks released", "the pull request no longer needs them", released...)
	}
	t.rec.Waiting = nil
	if !outcome.Acquired {
		for _, lock := range outcome.Locks {
			me := locks.Pull{Repo: t.job.Repo, Number: t.job.Pull}
			if lock.Owner == t.job.Pull {
				continue
			}
			waiting := record.Waiting{ID: names[lock.Key]}
			if lock.Holder != me {
				waiting.Owner = lock.Holder.Number
				if lock.Holder.Repo != t.job.Repo {
					waiting.Repo = lock.Holder.Repo
				}
			}
			place := 1 + slices.IndexFunc(lock.Waiters, func(w locks.Waiter) bool { return w.Pull == t.job.Pull })
			if waiting.Place = max(place, 1); waiting.Owner != 0 || place > 1 {
				t.rec.Waiting = append(t.rec.Waiting, waiting)
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
				fresh = append(fresh, p.ID())
			}
		}
		if rec.State == "" || !outcome.Acquired && rec.State != record.Applied {
			rec.State, rec.Note = record.Pending, ""
		}
		records[i] = rec
	}
	if fresh != nil {
		t.note("locks taken", "", fresh...)
	}
	t.rec.Projects = records
	return outcome.Acquired, nil
}
