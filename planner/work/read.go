package work

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"weir/planner/work/history"
	"weir/planner/work/line"
	"weir/store"
)

// maxHistory is how many jobs Jobs returns at most.
const maxHistory = 100

// Jobs returns the newest jobs of a pull request, at most 100, oldest first:
// those that have ended and were not purged, those that run and those that
// wait.
func (q *Queue) Jobs(ctx context.Context, repo string, pull int) ([]Job, error) {
	// The line is read first: a job that ends meanwhile is then in both.
	key := lineOf(Job{Repo: repo, Pull: pull})
	records, err := q.Store.Get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read jobs of %s: %w", key.Sort, err)
	}
	l, err := decode[line.Line](records[0])
	if err != nil {
		return nil, err
	}
	byID := map[string]Job{}
	for _, j := range slices.Concat(l.Jobs, l.Ended) {
		byID[j.ID] = j
	}
	past, err := q.history().Newest(ctx, key.Sort, maxHistory)
	if err != nil {
		return nil, err
	}
	for _, r := range past {
		j, err := decode[Job](r)
		if err != nil {
			return nil, err
		}
		byID[j.ID] = j
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
	record, err := q.history().Get(ctx, id)
	if err != nil {
		return Job{}, false, err
	}
	job, err = decode[Job](record)
	return job, err == nil && record.Version != 0, err
}

func (q *Queue) history() history.Table {
	return history.Table{Store: q.Store, Records: inJobs, Lines: inHistory}
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

func (q *Queue) lines(ctx context.Context) ([]line.Line, error) {
	records, err := store.All(ctx, q.Store, inQueue, "")
	if err != nil {
		return nil, err
	}
	all := make([]line.Line, len(records))
	for i, r := range records {
		if all[i], err = decode[line.Line](r); err != nil {
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
	if err := q.history().Forget(ctx, before); err != nil {
		return err
	}
	return history.Forget(ctx, q.Store, inDeliveries, before, func(r store.Record) (time.Time, error) {
		a, err := decode[accepted](r)
		return a.At, err
	})
}
