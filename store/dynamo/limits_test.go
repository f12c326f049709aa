package dynamo_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/store"
	"weir/store/bolt"
	"weir/store/dynamo"
)

// noise returns bytes that cannot be packed.
func noise(seed byte, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// What package store allows fits into a transaction and into items.
func TestLargestCommit(t *testing.T) {
	t.Parallel()
	s := open(t, create(t))
	writes := make([]store.Write, store.MaxWrites)
	left := store.MaxCommit
	for i := range writes {
		w := &writes[i]
		w.Key = store.Key{
			Partition: strings.Repeat("\xff", store.MaxKey-3) + fmt.Sprintf("%03d", i),
			Sort:      strings.Repeat("\xff", store.MaxSort/2-2) + fmt.Sprintf("%03d", i),
		}
		left -= len(w.Key.Partition) + len(w.Key.Sort)
	}
	for i := range writes {
		writes[i].Body = noise(byte(i), min(left, store.MaxBody))
		left -= len(writes[i].Body)
	}
	if err := s.Commit(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
	keys := make([]store.Key, len(writes))
	for i, w := range writes {
		keys[i] = w.Key
	}
	records, err := s.Get(t.Context(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range records {
		if r.Version == 0 || !bytes.Equal(r.Body, writes[i].Body) {
			t.Errorf("record %d: %d bytes at version %d, want %d bytes", i, len(r.Body), r.Version, len(writes[i].Body))
		}
		writes[i].Expect = r.Version
	}
	// All of it in the way at once.
	for i := range writes {
		writes[i].Expect = 0
	}
	var conflict *store.ConflictError
	if err := s.Commit(t.Context(), writes...); !errors.As(err, &conflict) || len(conflict.Conflicts) != len(writes) {
		t.Errorf("the same once more = %.200v, want a conflict with all", err)
	}
}

// More than a transaction may read comes from one moment all the same: a commit
// that changes the first record and the last is made where a reading in halves
// is between the two.
func TestLargeGetIsOneMoment(t *testing.T) {
	t.Parallel()
	p, s, writer := throughProxy(t)
	keys := make([]store.Key, 12) // more than a transaction reads
	put := func(seed byte, expect func(int) store.Version) error {
		writes := make([]store.Write, 2)
		for i, at := range []int{0, len(keys) - 1} {
			writes[i] = store.Write{Key: keys[at], Expect: expect(at), Body: noise(seed, store.MaxBody)}
		}
		return writer.Commit(t.Context(), writes...)
	}
	for i := range keys {
		keys[i] = store.Key{Partition: "p", Sort: fmt.Sprintf("%02d", i)}
		if i > 0 && i < len(keys)-1 {
			if err := writer.Commit(t.Context(), store.Write{Key: keys[i], Body: noise(byte(i), store.MaxBody)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := put(0, func(int) store.Version { return 0 }); err != nil {
		t.Fatal(err)
	}
	var commits byte
	p.inject(func(operation string, n int) fault {
		// All of it is refused, and once more; the halves are the third and the
		// fourth request, and from then on two of each three.
		if operation == "TransactGetItems" && n == 4 {
			commits++
			if err := put(commits, func(at int) store.Version { return get(t, writer, keys[at]).Version }); err != nil {
				t.Error(err)
			}
		}
		return pass
	})
	records, err := s.Get(t.Context(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	if n := p.count("TransactGetItems"); commits != 1 || n != 10 {
		t.Errorf("%d commits during %d requests, want one in ten: all, and three readings", commits, n)
	}
	if !bytes.Equal(records[0].Body, records[len(keys)-1].Body) || !bytes.Equal(records[0].Body, noise(commits, store.MaxBody)) || records[6].Version == 0 {
		t.Error("Get saw half of a commit")
	}
}

// Many goroutines of several processes' stores, on two records at once.
func TestContention(t *testing.T) {
	const stores, workers, each = 4, 16, 3
	raw := create(t)
	all := make([]*dynamo.Store, stores)
	for i := range all {
		all[i] = open(t, raw)
	}
	keys := []store.Key{{Partition: "p", Sort: "a"}, {Partition: "q", Sort: "b"}}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			s := all[w%stores]
			for range each {
				err := store.Retry(t.Context(), func() error {
					now, err := s.Get(t.Context(), keys...)
					if err != nil {
						return err
					}
					var writes []store.Write
					for _, r := range now {
						n, _ := strconv.Atoi(string(r.Body))
						writes = append(writes, store.Write{Key: r.Key, Expect: r.Version, Body: []byte(strconv.Itoa(n + 1))})
					}
					return s.Commit(t.Context(), writes...)
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if got, want := string(get(t, all[0], k).Body), strconv.Itoa(workers*each); got != want {
			t.Errorf("%s: got %s, want %s", k, got, want)
		}
	}
}

func contents(t *testing.T, s store.Dumper) map[store.Key]string {
	t.Helper()
	all := map[store.Key]string{}
	if err := s.Dump(t.Context(), func(r store.Record) error {
		all[r.Key] = string(r.Body)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// From the embedded store to DynamoDB and back nothing is lost or changed.
func TestCopyThereAndBack(t *testing.T) {
	t.Parallel()
	embedded := func(name string) *bolt.Store {
		s, err := bolt.Open(filepath.Join(t.TempDir(), name), bolt.NoSync())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	from, back, there := embedded("from.db"), embedded("back.db"), open(t, create(t))
	want := 0
	for i := range 600 {
		body := noise(byte(i), i%300)
		if i%120 == 0 {
			body = noise(byte(i), store.MaxBody)
		}
		k := store.Key{Partition: fmt.Sprintf("p%c%d", i%251, i%7), Sort: fmt.Sprintf("%c\xff%d", i%253, i)}
		if err := from.Commit(t.Context(), store.Write{Key: k, Body: body}); err != nil {
			t.Fatal(err)
		}
		want++
	}
	if n, err := store.Copy(t.Context(), from, there); err != nil || n != want {
		t.Fatalf("Copy there = %d, %v, want %d", n, err, want)
	}
	if n, err := store.Copy(t.Context(), there, back); err != nil || n != want {
		t.Fatalf("Copy back = %d, %v, want %d", n, err, want)
	}
	if diff := cmp.Diff(contents(t, from), contents(t, back)); diff != "" {
		t.Errorf("there and back (-before +after):\n%s", diff)
	}
	_, err := store.Copy(t.Context(), from, there)
	wantError(t, "Copy into a store that is not empty", err, "not empty")
}
