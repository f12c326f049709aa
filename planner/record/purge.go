package record

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"weir/store"
)

// PurgeRuns forgets runs that began before a time, except those that an open
// pull request still shows. The audit log keeps what was applied for good.
func PurgeRuns(ctx context.Context, s store.Store, before time.Time) error {
	page := store.Page{}
	for {
		rows, next, err := s.List(ctx, runPartition, "", page)
		if err != nil {
			return fmt.Errorf("purge runs: %w", err)
		}
		for _, row := range rows {
			id, err := ulid.ParseStrict(row.Key.Sort)
			if err != nil {
				return fmt.Errorf("purge run %s: %w", row.Key.Sort, err)
			}
			if !ulid.Time(id.Time()).Before(before) {
				return nil // runs are listed by time
			}
			if err := purgeRun(ctx, s, row); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		page.After = next
	}
}

func purgeRun(ctx context.Context, s store.Store, row store.Record) error {
	var run Run
	if err := Decode(row.Body, &run); err != nil {
		return fmt.Errorf("purge run %s: %w", row.Key.Sort, err)
	}
	rec, known, err := ReadPull(ctx, s, run.Repo, run.Pull)
	if err != nil {
		return err
	}
	if known && !rec.Closed {
		for _, p := range rec.Projects {
			if p.Run == run.ID || p.PlanRun == run.ID {
				return nil
			}
		}
	}
	err = s.Commit(ctx, store.Write{Op: store.Delete, Key: row.Key, Expect: row.Version})
	var conflict *store.ConflictError
	if err != nil && !errors.As(err, &conflict) { // changed just now: it is in use
		return fmt.Errorf("purge run %s: %w", run.ID, err)
	}
	return nil
}
