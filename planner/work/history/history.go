// Package history keeps what has ended until it is old enough to be forgotten.
package history

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"weir/store"
)

// Table is records that have a ULID and belong to a line, whose newest can be
// found. Both of its partitions are its own.
type Table struct {
	Store   store.Store
	Records string // partition; ID: the record
	Lines   string // partition; LINE/ID: that the record is one of the line's
}

// Add returns the two writes that keep a record.
func (t Table) Add(line, id string, body []byte) []store.Write {
	return []store.Write{
		{Key: store.Key{Partition: t.Records, Sort: id}, Body: body},
		{Key: store.Key{Partition: t.Lines, Sort: line + "/" + id}, Body: []byte("{}")},
	}
}

// Get returns a record; its version is zero if there is none.
func (t Table) Get(ctx context.Context, id string) (store.Record, error) {
	records, err := t.Store.Get(ctx, store.Key{Partition: t.Records, Sort: id})
	if err != nil {
		return store.Record{}, fmt.Errorf("read %s of %s: %w", id, t.Records, err)
	}
	return records[0], nil
}

// Newest returns the newest records of a line, at most n, oldest first; n is at
// most store.MaxWrites.
func (t Table) Newest(ctx context.Context, line string, n int) ([]store.Record, error) {
	past, err := store.All(ctx, t.Store, t.Lines, line+"/")
	if err != nil {
		return nil, err
	}
	keys := []store.Key{}
	for _, r := range past[max(0, len(past)-n):] {
		keys = append(keys, store.Key{Partition: t.Records, Sort: r.Key.Sort[len(line)+1:]})
	}
	records, err := t.Store.Get(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", t.Records, line, err)
	}
	found := records[:0]
	for _, r := range records {
		if r.Version != 0 { // else it was forgotten meanwhile
			found = append(found, r)
		}
	}
	return found, nil
}

// Forget removes the records that were made before a moment.
func (t Table) Forget(ctx context.Context, before time.Time) error {
	born := func(r store.Record) (time.Time, error) {
		id, err := ulid.ParseStrict(r.Key.Sort[strings.LastIndex(r.Key.Sort, "/")+1:])
		if err != nil {
			return time.Time{}, fmt.Errorf("id in %s: %w", r.Key, err)
		}
		return ulid.Time(id.Time()), nil
	}
	if err := forget(ctx, t.Store, t.Records, before, true, born); err != nil {
		return err
	}
	return forget(ctx, t.Store, t.Lines, before, false, born)
}

// Forget removes the records of a partition that were made before a moment.
func Forget(ctx context.Context, s store.Store, partition string, before time.Time, born func(store.Record) (time.Time, error)) error {
	return forget(ctx, s, partition, before, false, born)
}

// forget stops at the first record that stays where they are in the order of
// their age.
func forget(ctx context.Context, s store.Store, partition string, before time.Time, byAge bool, born func(store.Record) (time.Time, error)) error {
	page := store.Page{Limit: store.MaxWrites}
	for {
		records, next, err := s.List(ctx, partition, "", page)
		if err != nil {
			return fmt.Errorf("forget %s: %w", partition, err)
		}
		var writes []store.Write
		for _, r := range records {
			at, err := born(r)
			if err != nil {
				return fmt.Errorf("forget %s: %w", partition, err)
			}
			if at.Before(before) {
				writes = append(writes, store.Write{Op: store.Delete, Key: r.Key, Expect: r.Version})
			} else if byAge {
				next = ""
			}
		}
		// A conflict means that another process forgets, too.
		if err := s.Commit(ctx, writes...); err != nil && !store.IsConflict(err) {
			return fmt.Errorf("forget %s: %w", partition, err)
		}
		if next == "" {
			return nil
		}
		page.After = next
	}
}
