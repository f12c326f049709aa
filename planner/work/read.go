package work

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"weir/store"
)

// maxHistory is how many jobs Jobs returns at most.
const maxHistory = 100

// Jobs returns the newest jobs of a pull request, at most 100, oldest first:
// those that have ended and were not purged, those that run and those that
// wait.
func (q *Queue) Jobs(ctx context.Context, repo string, pull int) ([]Job, error) {
	// The line is read first: a job that ends meanwhile is then in both.
	key := Job{Repo: repo, Pull: pull}.line()
	records, err := q.Store.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read jobs of %s: %w", key.Sort, err)
	}
	l, err := decode[line](records[0])
	if err != nil {
		return nil, err
	}
	byID := map[string]Job{}
	for _, j := range slices.Concat(l.Jobs, l.Ended) {
		byID[j.ID] = j
	}
	past, err := store.All(ctx, q.Store, inHistory, key.Sort+"/")
	if err != nil {
		return nil, fmt.Errorf("read jobs of %s: %w", key.Sort, err)
	}
	keys := []store.Key{}
	for _, r := range past[max(0, len(past)-maxHistory):] {
		keys = append(keys, store.Key{Partition: inJobs, Sort: r.Key.Sort[len(key.Sort)+1:]})
	}
	if records, err = q.Store.Get(ctx, keys...); err != nil {
		return nil, fmt.Errorf("read jobs of %s: %w", key.Sort, err)
	}
	for _, r := range records {
		j, err := decode[Job](r)
		if err != nil {
			return nil, err
		}
		if r.Version != 0 { // else it was purged
			byID[j.ID] = j
		}
	}
	all := slices.SortedFunc(maps.Values(byID), func(a, b Job) int { return strings.Compare(a.ID, b.ID) })
	return all[max(0, len(all)-maxHistory):], nil
}

// Get returns a job by its id. ok is false if there is none, or none any more.
func (q *Queue) Get(ctx context.Context, id string) (job Job, ok bool, err error) {
	if len(id) != ulid.EncodedSize {
		return Job{}, false, nil
	}
	// The lines are read first: a job that ends meanwhile is in its record.
	all, err := q.lines(ctx)
	if err != nil {
		return Job{}, false, err
	}
	for _, l := range all {
		for _, j := range slices.Concat(l.Jobs, l.Ended) {
			if j.ID == id {
				return j, true, nil
			}
		}
	}
	records, err := q.Store.Get(ctx, store.Key{Partition: inJobs, Sort: id})
	if err != nil {
		return Job{}, false, fmt.Errorf("read job %s: %w", id, err)
	}
	job, err = decode[Job](records[0])
	return job, err == nil && records[0].Version != 0, err
}

// Pending returns how many jobs wait or run.
func (q *Queue) Pending(ctx context.Context) (int, error) {
	all, err := q.lines(ctx)
	n := 0
	for _, l := range all {
		n += len(l.Jobs)
	}
	return n, err
}

// Quiet waits until no job waits or runs, also not for its next attempt.
func (q *Queue) Quiet(ctx context.Context) error {
	q.init()
	for {
		q.mu.Lock()
		changed := q.changed
		q.mu.Unlock()
		n, err := q.Pending(ctx)
		if err != nil || n == 0 {
			return err
		}
		t := time.NewTimer(q.Poll) // others may do the jobs
		select {
		case <-changed:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return fmt.Errorf("wait for %d jobs: %w", n, context.Cause(ctx))
		}
	}
}

func (q *Queue) lines(ctx context.Context) ([]line, error) {
	records, err := store.All(ctx, q.Store, inQueue, "")
	if err != nil {
		return nil, err
	}
	all := make([]line, len(records))
	for i, r := range records {
		if all[i], err = decode[line](r); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Purge forgets the jobs that have ended, and the deliveries, that are older
// than keep. What waits or runs is never touched. A delivery that is forgotten
// would be accepted again: keep has to be longer than GitHub offers to send a
// delivery once more, which is three days (GitHub Docs, "Redelivering
// webhooks").
func (q *Queue) Purge(ctx context.Context, keep time.Duration) error {
	before := time.Now().Add(-keep)
	for _, partition := range []string{inJobs, inHistory, inDeliveries} {
		if err := q.purge(ctx, partition, before); err != nil {
			return fmt.Errorf("purge %s: %w", partition, err)
		}
	}
	return nil
}

func (q *Queue) purge(ctx context.Context, partition string, before time.Time) error {
	page := store.Page{Limit: store.MaxWrites}
	for {
		records, next, err := q.Store.List(ctx, partition, "", page)
		if err != nil {
			return err
		}
		var writes []store.Write
		for _, r := range records {
			at, err := bornOf(r)
			if err != nil {
				return err
			}
			if at.Before(before) {
				writes = append(writes, store.Write{Op: store.Delete, Key: r.Key, Expect: r.Version})
			} else if partition == inJobs {
				next = "" // all others are younger
			}
		}
		// A conflict means that another process purges, too.
		if err := q.Store.Commit(ctx, writes...); err != nil && !store.IsConflict(err) {
			return err
		}
		if next == "" {
			return nil
		}
		page.After = next
	}
}

// bornOf returns when a job or a delivery was accepted.
func bornOf(r store.Record) (time.Time, error) {
	if r.Key.Partition == inDeliveries {
		a, err := decode[accepted](r)
		return a.At, err
	}
	id, err := ulid.ParseStrict(r.Key.Sort[strings.LastIndex(r.Key.Sort, "/")+1:])
	if err != nil {
		return time.Time{}, fmt.Errorf("id in %s: %w", r.Key, err)
	}
	return ulid.Time(id.Time()), nil
}
