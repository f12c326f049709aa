package bolt_test

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"weir/store"
	"weir/store/bolt"
	"weir/store/storetest"
)

// open returns a store in a new file, as it is opened in production.
func open(t *testing.T, opts ...bolt.Option) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t) })
}

// Commits of many callers share the wait for the disk.
func BenchmarkCommit(b *testing.B) {
	s, err := bolt.Open(filepath.Join(b.TempDir(), "weir.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}()
	var n atomic.Int64
	body := make([]byte, 1000)
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			k := store.Key{Partition: "deliveries", Sort: fmt.Sprint(n.Add(1))}
			if err := s.Commit(b.Context(), store.Write{Key: k, Body: body}); err != nil {
				b.Error(err)
			}
		}
	})
}
