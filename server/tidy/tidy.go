// Package tidy removes what nobody needs any more.
package tidy

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"weir/planner/checkout"
	"weir/planner/live"
	"weir/planner/record"
	"weir/planner/work"
	"weir/policy"
	"weir/store"
)

const (
	every       = 6 * time.Hour
	keepHistory = 30 * 24 * time.Hour
)

// Tidy removes the files of pull requests that have ended, and what has been
// history for long. All fields are needed.
type Tidy struct {
	Store     store.Store
	Queue     *work.Queue
	Checkouts *checkout.Repos
	Logs      *live.Logs
	NeedsLog  func(ctx context.Context, run string) (bool, error)
	Log       *slog.Logger
}

// Run tidies at once and then now and again, until ctx ends.
func (t *Tidy) Run(ctx context.Context) {
	for {
		if err := t.once(ctx); err != nil && ctx.Err() == nil {
			t.Log.Warn("tidying up failed; it is tried again later", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

func (t *Tidy) once(ctx context.Context) error {
	err := t.Checkouts.Sweep(ctx, func(repo string, pull int) bool { return t.needsCheckout(ctx, repo, pull) })
	return errors.Join(err, t.Queue.Purge(ctx, keepHistory), record.PurgeRuns(ctx, t.Store, time.Now().Add(-keepHistory)), t.Logs.Sweep(ctx, t.NeedsLog))
}

// needsCheckout says whether the files of a pull request are still of use. It
// is asked just before they would be removed, and in doubt they stay. Those of
// the default branch, which drift is looked for in, always are.
func (t *Tidy) needsCheckout(ctx context.Context, repo string, pull int) bool {
	if pull == 0 {
		return true
	}
	jobs, err := t.Queue.Jobs(ctx, repo, pull)
	if err != nil {
		return true
	}
	for _, job := range jobs {
		if job.State == work.Queued || job.State == work.Running {
			return true // it may be its very first plan, which no record tells of yet
		}
	}
	rec, known, err := record.ReadPull(ctx, t.Store, repo, pull)
	return err != nil || known && (!rec.Closed || rec.Merged && rec.Mode == policy.OnMerge && len(rec.Left()) > 0)
}
