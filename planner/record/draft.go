package record

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"weir/store"
)

// Draft is the record of a pull request while a job changes it. What is
// changed counts from the next Save on.
type Draft struct {
	Record

	store   store.Store
	version store.Version
	audit   []Entry // to be written with the next save
}

// Open begins a draft from what is remembered of a pull request.
func Open(ctx context.Context, s store.Store, repo string, pull int) (*Draft, error) {
	rec, version, err := Load(ctx, s, repo, pull)
	if err != nil {
		return nil, err
	}
	return &Draft{Record: rec, store: s, version: version}, nil
}

// Stored reports whether anything has been remembered of the pull request.
func (d *Draft) Stored() bool { return d.version != 0 }

// Noted reports whether audit entries wait for the next save.
func (d *Draft) Noted() bool { return len(d.audit) > 0 }

// Note adds an entry to the audit log with the next save. Its id, time,
// repository and pull request are filled in.
func (d *Draft) Note(e Entry) *Entry {
	e.ID, e.At, e.Repo, e.Pull = ulid.Make().String(), time.Now().UTC(), d.Repo, d.Pull
	d.audit = append(d.audit, e)
	return &d.audit[len(d.audit)-1]
}

// Unnote takes back what was noted since the last save.
func (d *Draft) Unnote() { d.audit = nil }

// Save writes the record, the audit entries that wait and whatever else is
// given, in one commit, provided that nobody has saved it since it was opened.
// The record's own write comes first. It fails with a *store.ConflictError,
// wrapped, if one of the conditions does not hold.
func (d *Draft) Save(ctx context.Context, also ...store.Write) error {
	d.Updated = time.Now().UTC()
	own, err := Put(PullKey(d.Repo, d.Pull), d.version, d.Record)
	if err != nil {
		return err
	}
	writes := append([]store.Write{own}, also...)
	for _, e := range d.audit {
		w, err := e.Write()
		if err != nil {
			return err
		}
		writes = append(writes, w)
	}
	if err := Commit(ctx, d.store, writes...); err != nil {
		return fmt.Errorf("save pull request: %w", err)
	}
	d.audit = nil
	now, err := d.store.Get(ctx, own.Key)
	if err != nil {
		return fmt.Errorf("save pull request: %w", err)
	}
	d.version = now[0].Version
	return nil
}

// PutRuns stores runs, whatever is stored of them, in as many commits as it
// takes, each of them only if fence lets it.
func PutRuns(ctx context.Context, s store.Store, fence store.Write, runs []*Run) error {
	for some := range slices.Chunk(runs, store.MaxWrites-1) {
		keys := make([]store.Key, len(some))
		for i, run := range some {
			keys[i] = RunKey(run.ID)
		}
		rows, err := s.Get(ctx, keys...)
		if err != nil {
			return fmt.Errorf("save runs: %w", err)
		}
		writes, size := []store.Write{fence}, 0
		for i, run := range some {
			w, err := Put(keys[i], rows[i].Version, run)
			if err != nil {
				return err
			}
			if size += len(w.Body); size > store.MaxCommit/2 && len(writes) > 1 {
				if err := Commit(ctx, s, writes...); err != nil {
					return fmt.Errorf("save runs: %w", err)
				}
				writes, size = []store.Write{fence}, len(w.Body)
			}
			writes = append(writes, w)
		}
		if err := Commit(ctx, s, writes...); err != nil {
			return fmt.Errorf("save runs: %w", err)
		}
	}
	return nil
}
