package work

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"weir/planner/work/line"
	"weir/store"
)

// What one commit accepts: not more deliveries than fit into it if each finds a
// full line, nor more keys than leave room for the records of replaced jobs.
const (
	groupSize  = 16
	groupKeys  = 80
	acceptTime = 15 * time.Second
)

// accepted is the record of a delivery.
type accepted struct {
	At   time.Time `json:"at"`
	Jobs []string  `json:"jobs,omitempty"` // ids
}

// acceptance is a call of Accept on its way.
type acceptance struct {
	delivery string
	jobs     []Job
	keys     []store.Key // to be read: the delivery's first, if there is one
	fresh    bool
	err      error
	done     chan struct{}
}

// Accept queues jobs, in their order, and records the delivery that caused
// them, all in one commit. If the delivery was accepted before, nothing
// happens, fresh is false and there is no error. The empty delivery is none:
// its jobs are always queued.
//
// A command that is too long, or one too many on its pull request or issue, is
// not done, and people are told: see package line.
//
// An error leaves open whether the jobs are queued; the same delivery can be
// accepted again to be sure. At most 79 jobs can be accepted at once.
func (q *Queue) Accept(ctx context.Context, delivery string, jobs ...Job) (fresh bool, err error) {
	q.init()
	if len(delivery) > 300 {
		return false, fmt.Errorf("accept delivery %.300s…: its id is too long", delivery)
	}
	a := &acceptance{delivery: delivery, done: make(chan struct{})}
	if delivery != "" {
		a.keys = append(a.keys, store.Key{Partition: inDeliveries, Sort: delivery})
	}
	for _, j := range jobs {
		if j, err = q.prepare(j, delivery); err != nil {
			return false, err
		}
		a.jobs, a.keys = append(a.jobs, j), append(a.keys, lineOf(j))
	}
	switch {
	case len(a.keys) == 0:
		return true, nil
	case len(a.keys) > groupKeys:
		return false, fmt.Errorf("accept delivery %q: %d jobs at once", delivery, len(jobs))
	}
	q.accepting.Add(ctx, a)
	select {
	case <-a.done:
		return a.fresh, a.err
	case <-ctx.Done():
		return false, fmt.Errorf("accept delivery %q: %w", delivery, context.Cause(ctx))
	}
}

// fit returns how many acceptances fit into one commit.
func fit(waiting []*acceptance) int {
	n, keys := 0, 0
	for n < min(len(waiting), groupSize) && keys+len(waiting[n].keys) <= groupKeys {
		keys += len(waiting[n].keys)
		n++
	}
	return n
}

// acceptAll makes one commit for all. Those who wait behind it share the next,
// so that many deliveries of one pull request never conflict with each other.
func (q *Queue) acceptAll(ctx context.Context, group []*acceptance) {
	try, cancel := context.WithTimeout(ctx, acceptTime)
	defer cancel()
	err := store.Retry(try, func() error { return q.acceptGroup(try, group) })
	for _, a := range group {
		if err != nil {
			a.fresh, a.err = false, fmt.Errorf("accept delivery %q: %w", a.delivery, err)
		}
		close(a.done)
	}
}

// acceptGroup reads once and commits once.
func (q *Queue) acceptGroup(ctx context.Context, group []*acceptance) error {
	records := map[store.Key]store.Record{}
	for _, a := range group {
		for _, k := range a.keys {
			records[k] = store.Record{}
		}
	}
	read, err := q.Store.Get(ctx, slices.Collect(maps.Keys(records))...)
	if err != nil {
		return err
	}
	for _, r := range read {
		records[r.Key] = r
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	var writes []store.Write
	taken := map[string]bool{} // deliveries of this group
	changed, newest := map[store.Key]*line.Line{}, map[store.Key]string{}
	for _, a := range group {
		a.fresh = a.delivery == "" || !taken[a.delivery] && records[a.keys[0]].Version == 0
		if !a.fresh {
			continue
		}
		record := accepted{At: now}
		for _, j := range a.jobs {
			l := changed[lineOf(j)]
			if l == nil {
				old, err := decode[line.Line](records[lineOf(j)])
				if err != nil {
					return err
				}
				l = &old
				changed[lineOf(j)] = l
			}
			l.Push(j, now)
			newest[lineOf(j)] = j.ID
			record.Jobs = append(record.Jobs, j.ID)
		}
		if a.delivery != "" {
			taken[a.delivery] = true
			writes = append(writes, store.Write{Key: a.keys[0], Body: encode(record)})
		}
	}
	room := store.MaxWrites - len(writes) - len(changed)
	for k, l := range changed {
		ws := q.save(l, k, records[k].Version, 1+room)
		room -= len(ws) - 1
		writes = append(writes, ws...)
	}
	if err := q.Store.Commit(ctx, writes...); err != nil {
		return err
	}
	for k, id := range newest {
		q.tell(k, id)
	}
	return nil
}
