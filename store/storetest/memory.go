// Package storetest holds the suite that every engine of package store passes,
// and two stores for the tests of others: Memory, which passes it too, and
// Faulty, which fails on demand.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"weir/store"
)

// Memory returns a new, empty store that keeps nothing beyond its life. It
// holds to the same contract as every engine.
func Memory() store.Store {
	return &memory{records: map[store.Key]store.Record{}}
}

var errClosed = errors.New("the store is closed")

type memory struct {
	mu       sync.Mutex
	records  map[store.Key]store.Record
	sequence store.Version
	closed   bool
}

func (m *memory) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return errClosed
	}
	return nil
}

func (m *memory) Get(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	if err := store.ValidateKeys(keys); err != nil {
		return nil, err
	}
	if err := m.lock(ctx); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	records := make([]store.Record, len(keys))
	for i, k := range keys {
		records[i] = m.read(k)
	}
	return records, nil
}

func (m *memory) read(k store.Key) store.Record {
	r := m.records[k]
	r.Key, r.Body = k, bytes.Clone(r.Body)
	return r
}

func (m *memory) List(ctx context.Context, partition, prefix string, page store.Page) ([]store.Record, string, error) {
	if err := store.ValidateList(partition, prefix, page); err != nil {
		return nil, "", err
	}
	if err := m.lock(ctx); err != nil {
		return nil, "", err
	}
	defer m.mu.Unlock()
	var found []store.Record
	for k := range m.records {
		if k.Partition == partition && strings.HasPrefix(k.Sort, prefix) && k.Sort > page.After {
			found = append(found, m.read(k))
		}
	}
	slices.SortFunc(found, func(a, b store.Record) int { return strings.Compare(a.Key.Sort, b.Key.Sort) })
	if page.Limit > 0 && len(found) > page.Limit {
		found = found[:page.Limit]
		return found, found[page.Limit-1].Key.Sort, nil
	}
	return found, "", nil
}

func (m *memory) Commit(ctx context.Context, writes ...store.Write) error {
	if err := store.ValidateWrites(writes); err != nil {
		return err
	}
	if err := m.lock(ctx); err != nil {
		return err
	}
	defer m.mu.Unlock()
	var conflicts []store.Record
	for _, w := range writes {
		if m.records[w.Key].Version != w.Expect {
			conflicts = append(conflicts, m.read(w.Key))
		}
	}
	if conflicts != nil {
		return &store.ConflictError{Conflicts: conflicts}
	}
	for _, w := range writes {
		switch w.Op {
		case store.Put:
			m.sequence++
			body := append([]byte{}, w.Body...)
			m.records[w.Key] = store.Record{Key: w.Key, Version: m.sequence, Body: body}
		case store.Delete:
			delete(m.records, w.Key)
		}
	}
	return nil
}

// Dump implements store.Dumper.
func (m *memory) Dump(ctx context.Context, yield func(store.Record) error) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	var all []store.Record
	for k := range m.records {
		all = append(all, m.read(k))
	}
	m.mu.Unlock()
	for _, r := range all {
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Ready(ctx context.Context) error {
	if err := m.lock(ctx); err != nil {
		return err
	}
	m.mu.Unlock()
	return nil
}

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
