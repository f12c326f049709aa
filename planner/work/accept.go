package work

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"weir/store"
)

// What one commit accepts: not more deliveries than fit into it if each finds a
// full line, nor more keys than leave room for the records of replaced jobs.
const (
	groupSize  = 16
	groupKeys  = 80
	acceptTime = 15 * time.Second
)

// accepted is the record of a delivery. Its jobs name it in turn.
type accepted struct {
	At   time.Time `json:"at"`
	Jobs int       `json:"jobs"`
}

// acceptance is a call of Accept on its way.
type acceptance struct {
	delivery string
	jobs     []Job
	keys     []store.Key
	fresh    bool
	err      error
	done     chan struct{}
}

// keysOf returns what has to be read, the delivery's key first.
func keysOf(delivery string, jobs []Job) []store.Key {
	var keys []store.Key
	if delivery != "" {
		keys = append(keys, store.Key{Partition: inDeliveries, Sort: delivery})
	}
	for _, j := range jobs {
		if k := j.line(); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// Accept queues jobs, in their order, and records the delivery that caused
// them, all in one commit. If the delivery was accepted before, nothing
// happens, fresh is false and there is no error. The empty delivery is none:
// its jobs are always queued.
//
// An error leaves open whether the jobs are queued; the same delivery can be
// accepted again to be sure. Jobs can be for at most 79 pull requests.
func (q *Queue) Accept(ctx context.Context, delivery string, jobs ...Job) (fresh bool, err error) {
	q.init()
	if len(delivery) > 300 {
		return false, fmt.Errorf("accept delivery %.300s…: its id is too long", delivery)
	}
	prepared := make([]Job, len(jobs))
	for i, j := range jobs {
		if prepared[i], err = q.prepare(j, delivery); err != nil {
			return false, err
		}
	}
	if delivery == "" && len(jobs) == 0 {
		return true, nil
	}
	a := &acceptance{delivery: delivery, jobs: prepared, done: make(chan struct{})}
	a.keys = keysOf(delivery, prepared)
	if len(a.keys) > groupKeys {
		return false, fmt.Errorf("accept delivery %q: jobs for %d pull requests at once", delivery, len(a.keys))
	}
	q.mu.Lock()
	q.waiting = append(q.waiting, a)
	lead := !q.accepting
	q.accepting = true
	q.mu.Unlock()
	if lead {
		go q.acceptAll()
	}
	select {
	case <-a.done:
		return a.fresh, a.err
	case <-ctx.Done():
		return false, fmt.Errorf("accept delivery %q: %w", delivery, context.Cause(ctx))
	}
}

// acceptAll commits until nobody waits. Those who wait behind a commit share
// the next one, so that many deliveries of one pull request never conflict
// with each other.
func (q *Queue) acceptAll() {
	for {
		q.mu.Lock()
		n, keys := 0, 0
		for n < min(len(q.waiting), groupSize) && keys+len(q.waiting[n].keys) <= groupKeys {
			keys += len(q.waiting[n].keys)
			n++
		}
		group := q.waiting[:n:n]
		q.waiting = q.waiting[n:]
		if n == 0 {
			q.waiting, q.accepting = nil, false
		}
		q.mu.Unlock()
		if n == 0 {
			return
		}
		q.acceptGroup(group)
	}
}

func (q *Queue) acceptGroup(group []*acceptance) {
	ctx, cancel := context.WithTimeout(context.Background(), acceptTime)
	defer cancel()
	err := retry(ctx, func() error { return q.tryGroup(ctx, group) })
	for _, a := range group {
		if err != nil {
			a.fresh, a.err = false, fmt.Errorf("accept delivery %q: %w", a.delivery, err)
		}
		close(a.done)
	}
}

// tryGroup reads once and commits once.
func (q *Queue) tryGroup(ctx context.Context, group []*acceptance) error {
	var keys []store.Key
	for _, a := range group {
		for _, k := range a.keys {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	read, err := q.Store.Get(ctx, keys...)
	if err != nil {
		return err
	}
	records := make(map[store.Key]store.Record, len(read))
	for _, r := range read {
		records[r.Key] = r
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	var writes []store.Write
	taken := map[string]bool{} // deliveries of this group
	changed := map[store.Key]*line{}
	for _, a := range group {
		a.fresh = a.delivery == "" || !taken[a.delivery] && records[a.keys[0]].Version == 0
		if !a.fresh {
			continue
		}
		if a.delivery != "" {
			taken[a.delivery] = true
			writes = append(writes, store.Write{Key: a.keys[0], Body: encode(accepted{At: now, Jobs: len(a.jobs)})})
		}
		for _, j := range a.jobs {
			l := changed[j.line()]
			if l == nil {
				old, err := decode[line](records[j.line()])
				if err != nil {
					return err
				}
				l = &old
				changed[j.line()] = l
			}
			l.push(j, now)
		}
	}
	room := store.MaxWrites - len(writes) - len(changed)
	for k, l := range changed {
		ws := save(l, records[k], 1+room)
		room -= len(ws) - 1
		writes = append(writes, ws...)
	}
	if err := q.Store.Commit(ctx, writes...); err != nil {
		return err
	}
	q.touch(slices.Collect(maps.Keys(changed))...)
	return nil
}
