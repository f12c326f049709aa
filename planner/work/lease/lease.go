// Package lease says who of many processes holds a thing, and finds out when
// the holder has died.
//
// A holder writes signs of life. Whoever sees the same sign for as long as a
// lease lasts, on its own clock, may take the thing: clocks of two machines
// are never compared.
package lease

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"weir/store"
)

// Holder is one attempt of one process. No two that ever hold the same thing
// may be equal.
type Holder struct {
	Worker  string `json:"worker"`
	Attempt int    `json:"attempt"`
}

// Holds reports whether r is this holder's claim.
func (h Holder) Holds(r store.Record) bool {
	var c Holder
	return r.Version != 0 && json.Unmarshal(r.Body, &c) == nil && c == h
}

// Table is the leases in one partition of a store.
type Table struct {
	Store     store.Store
	Partition string
	Time      time.Duration // how long a lease lasts
}

// Claim returns the key of the record that says who holds id. It is written
// when the thing is taken and removed when that is over, and does not change
// in between, so that a fence on it never meets the holder's signs of life.
func (t Table) Claim(id string) store.Key {
	return store.Key{Partition: t.Partition, Sort: id + "/claim"}
}

// Beat returns the key of the record that the holder rewrites to show that it
// lives. Only its version means something.
func (t Table) Beat(id string) store.Key {
	return store.Key{Partition: t.Partition, Sort: id + "/beat"}
}

// Take returns the writes that make h the holder of what nobody holds.
// Without beats no signs of life are begun.
func (t Table) Take(id string, h Holder, beats bool) []store.Write {
	body, err := json.Marshal(h)
	if err != nil {
		panic(fmt.Sprintf("lease: encode %+v: %v", h, err)) // a string and a number
	}
	writes := []store.Write{{Key: t.Claim(id), Body: body}}
	if beats {
		writes = append(writes, store.Write{Key: t.Beat(id), Body: []byte("{}")})
	}
	return writes
}

// Fence returns a write that changes nothing and lets a commit happen only
// while h holds id. held is false if it does not any more.
func (t Table) Fence(ctx context.Context, id string, h Holder) (fence store.Write, held bool, err error) {
	records, err := t.Store.Get(ctx, t.Claim(id))
	if err != nil || !h.Holds(records[0]) {
		return store.Write{}, false, err
	}
	return store.Write{Op: store.Check, Key: records[0].Key, Expect: records[0].Version}, true, nil
}

// Keep shows that h lives until ctx ends. It returns earlier, with the reason,
// once others hold id or may take it: when nothing could be shown for five
// sixths of the lease. began is when h was about to take it. failed is told of
// each attempt that failed and is made again.
func (t Table) Keep(ctx context.Context, id string, h Holder, began time.Time, failed func(error)) error {
	next := began.Add(t.Time / 3)
	for sleep(ctx, time.Until(next)) {
		now := time.Now()
		last := began.Add(t.Time * 5 / 6)
		try, cancel := context.WithDeadline(ctx, last)
		lost, err := t.renew(try, id, h)
		cancel()
		switch {
		case ctx.Err() != nil:
			continue
		case lost:
			return fmt.Errorf("renew the lease of %s: another holds it", id)
		case err == nil:
			began, next = now, now.Add(t.Time/3)
			continue
		case !time.Now().Before(last):
			return fmt.Errorf("renew the lease of %s: %w", id, err)
		}
		failed(err)
		next = time.Now().Add(min(t.Time/12, time.Until(last)))
	}
	return nil
}

func (t Table) renew(ctx context.Context, id string, h Holder) (lost bool, err error) {
	err = store.Retry(ctx, func() error {
		records, err := t.Store.Get(ctx, t.Claim(id), t.Beat(id))
		if lost = err == nil && !h.Holds(records[0]); lost || err != nil {
			return err
		}
		return t.Store.Commit(ctx,
			store.Write{Op: store.Check, Key: records[0].Key, Expect: records[0].Version},
			store.Write{Key: records[1].Key, Expect: records[1].Version, Body: []byte("{}")})
	})
	return lost, err
}

// sleep waits for d, and reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
