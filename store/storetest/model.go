package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir/store"
)

// testModel does the same random operations on the store and on a model that
// is too simple to be wrong, and compares every answer.
func testModel(t *testing.T, c *client) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{
			c:        c,
			space:    fmt.Sprintf("%s/%d", c.space, unique.Add(1)),
			records:  map[store.Key]store.Record{},
			versions: map[store.Key][]store.Version{},
		}
		t.Repeat(map[string]func(*rapid.T){
			"commit": m.commit,
			"get":    m.get,
			"list":   m.list,
		})
	})
}

type model struct {
	c        *client
	space    string
	records  map[store.Key]store.Record
	versions map[store.Key][]store.Version // every version that was ever seen
}

var modelParts = rapid.SampledFrom([]string{"a", "ab", "a/b", "b", "\x00", "a\x00", "\xff", "b#"})

func (m *model) drawKey(t *rapid.T) store.Key {
	return store.Key{Partition: m.space + modelParts.Draw(t, "partition"), Sort: modelParts.Draw(t, "sort")}
}

func (m *model) commit(t *rapid.T) {
	var writes []store.Write
	var conflicts []store.Record
	for _, k := range rapid.SliceOfNDistinct(rapid.Custom(m.drawKey), 1, 5, rapid.ID[store.Key]).Draw(t, "keys") {
		w := store.Write{Key: k, Op: rapid.SampledFrom([]store.Op{store.Put, store.Put, store.Delete, store.Check}).Draw(t, "op")}
		if w.Op == store.Put {
			w.Body = rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "body")
		}
		w.Expect = m.records[k].Version
		if known := m.versions[k]; len(known) > 0 && rapid.IntRange(0, 9).Draw(t, "stale") == 0 {
			w.Expect = rapid.SampledFrom(append([]store.Version{0}, known...)).Draw(t, "expect")
		}
		if w.Expect != m.records[k].Version {
			conflicts = append(conflicts, m.record(k))
		}
		writes = append(writes, w)
	}
	err := m.c.Commit(t.Context(), writes...)
	if conflicts != nil {
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) {
			t.Fatalf("Commit = %v, want a conflict", err)
		}
		byKey := func(a, b store.Record) int { return strings.Compare(a.Key.String(), b.Key.String()) }
		if diff := cmp.Diff(slices.SortedFunc(slices.Values(conflicts), byKey), slices.SortedFunc(slices.Values(conflict.Conflicts), byKey), sameBody); diff != "" {
			t.Fatalf("conflicts (-want +got):\n%s", diff)
		}
		return
	}
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	for _, w := range writes {
		switch w.Op {
		case store.Delete:
			delete(m.records, w.Key)
		case store.Put:
			version := m.c.get(t, w.Key).Version
			if version <= 0 || slices.Contains(m.versions[w.Key], version) {
				t.Fatalf("%s got version %d, and had %v before", w.Key, version, m.versions[w.Key])
			}
			m.versions[w.Key] = append(m.versions[w.Key], version)
			m.records[w.Key] = store.Record{Key: w.Key, Version: version, Body: w.Body}
		}
	}
}

func (m *model) record(k store.Key) store.Record {
	r := m.records[k]
	r.Key = k
	return r
}

func (m *model) get(t *rapid.T) {
	keys := rapid.SliceOfN(rapid.Custom(m.drawKey), 1, 8).Draw(t, "keys")
	want := make([]store.Record, len(keys))
	for i, k := range keys {
		want[i] = m.record(k)
	}
	got, err := m.c.Get(t.Context(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameBody); diff != "" {
		t.Fatalf("Get (-want +got):\n%s", diff)
	}
}

func (m *model) list(t *rapid.T) {
	partition := m.space + modelParts.Draw(t, "partition")
	prefix := rapid.SampledFrom([]string{"", "a", "ab", "\x00", "\xff", "b"}).Draw(t, "prefix")
	after := rapid.SampledFrom([]string{"", "a", "a\x00", "b", "\xff"}).Draw(t, "after")
	limit := rapid.IntRange(0, 4).Draw(t, "limit")
	var want []store.Record
	for k, r := range m.records {
		if k.Partition == partition && strings.HasPrefix(k.Sort, prefix) && k.Sort > after {
			want = append(want, r)
		}
	}
	slices.SortFunc(want, func(a, b store.Record) int { return strings.Compare(a.Key.Sort, b.Key.Sort) })
	var got []store.Record
	for page := (store.Page{After: after, Limit: limit}); ; {
		records, next, err := m.c.List(t.Context(), partition, prefix, page)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, records...)
		if next == "" {
			break
		}
		page.After = next
	}
	if diff := cmp.Diff(want, got, sameBody); diff != "" {
		t.Fatalf("List %q %q (-want +got):\n%s", partition, prefix, diff)
	}
}
