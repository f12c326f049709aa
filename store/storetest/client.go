package storetest

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir/store"
)

// unique numbers the partitions of one run of the tests.
var unique atomic.Int64

// An absent body and an empty one are the same.
var sameBody = cmpopts.EquateEmpty()

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// client is a store under test and the partition of one test.
type client struct {
	store.Store
	space string
}

func (c *client) key(sort string) store.Key { return store.Key{Partition: c.space, Sort: sort} }

// put stores body under k, whatever is there, and returns the new version.
func (c *client) put(t tester, k store.Key, body string) store.Version {
	t.Helper()
	c.commit(t, store.Write{Key: k, Expect: c.get(t, k).Version, Body: []byte(body)})
	return c.get(t, k).Version
}

func (c *client) get(t tester, k store.Key) store.Record {
	t.Helper()
	records, err := c.Get(t.Context(), k)
	if err != nil {
		t.Fatalf("Get %s: %v", k, err)
	}
	if len(records) != 1 || records[0].Key != k {
		t.Fatalf("Get %s = %v", k, records)
	}
	return records[0]
}

func (c *client) commit(t tester, writes ...store.Write) {
	t.Helper()
	if err := c.Commit(t.Context(), writes...); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func (c *client) all(t tester, partition string) []store.Record {
	t.Helper()
	records, err := store.All(t.Context(), c.Store, partition, "")
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func describe(records []store.Record) []string {
	var lines []string
	for _, r := range records {
		if r.Version == 0 {
			lines = append(lines, r.Key.String()+" absent")
			continue
		}
		lines = append(lines, fmt.Sprintf("%s=%s", r.Key, r.Body))
	}
	return lines
}

func sorts(records []store.Record) []string {
	names := []string{}
	for _, r := range records {
		names = append(names, r.Key.Sort)
	}
	return names
}

func diffSorts(want []string, got []store.Record) string {
	return cmp.Diff(want, sorts(got), sameBody)
}
