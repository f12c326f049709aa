package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"weir/store"
	"weir/store/storetest"
)

func filled(t *testing.T, n int) store.Store {
	t.Helper()
	s := storetest.Memory()
	for i := range n {
		w := store.Write{Key: store.Key{Partition: fmt.Sprint(i % 3), Sort: fmt.Sprint(i)}, Body: []byte(strings.Repeat("x", 3*i))}
		if err := s.Commit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestCopy(t *testing.T) {
	for _, n := range []int{0, 1, store.MaxWrites, store.MaxWrites + 1, 2000} {
		to := storetest.Memory()
		if got, err := store.Copy(t.Context(), filled(t, n), to); err != nil || got != n {
			t.Errorf("Copy of %d = %d, %v", n, got, err)
		}
		count := 0
		for p := range 3 {
			records, err := store.All(t.Context(), to, fmt.Sprint(p), "")
			if err != nil {
				t.Fatal(err)
			}
			count += len(records)
		}
		if count != n {
			t.Errorf("the copy of %d has %d records", n, count)
		}
	}
}

// meddler is a source that somebody changes while it is read.
type meddler struct {
	store.Store
	dumps int
	at    int // which Dump comes after the change
	write func() store.Write
}

func (m *meddler) Dump(ctx context.Context, yield func(store.Record) error) error {
	if m.dumps++; m.dumps == m.at {
		if err := m.Commit(ctx, m.write()); err != nil {
			return err
		}
	}
	d, ok := m.Store.(store.Dumper)
	if !ok {
		return errors.New("no dumper")
	}
	return d.Dump(ctx, yield)
}

func TestCopyNoticesOthers(t *testing.T) {
	k := store.Key{Partition: "0", Sort: "0"}
	for name, tt := range map[string]struct {
		change store.Write
		says   string
	}{
		"added":   {store.Write{Key: store.Key{Partition: "new", Sort: "new"}}, "source alone"},
		"changed": {store.Write{Key: k, Body: []byte("changed")}, "differs"},
		"removed": {store.Write{Op: store.Delete, Key: k}, "target alone"},
	} {
		t.Run(name, func(t *testing.T) {
			from := filled(t, 10)
			write := tt.change
			if write.Key == k {
				now, err := from.Get(t.Context(), k)
				if err != nil {
					t.Fatal(err)
				}
				write.Expect = now[0].Version
			}
			m := &meddler{Store: from, at: 2, write: func() store.Write { return write }}
			if _, err := store.Copy(t.Context(), m, storetest.Memory()); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Copy = %v, want an error that says %q", err, tt.says)
			}
		})
	}
}

func TestCopyRefuses(t *testing.T) {
	if _, err := store.Copy(t.Context(), filled(t, 3), filled(t, 1)); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("Copy into a store with a record = %v", err)
	}
	silent := struct{ store.Store }{storetest.Memory()}
	if _, err := store.Copy(t.Context(), silent, storetest.Memory()); err == nil {
		t.Error("Copy from a store that cannot show what it holds succeeded")
	}
	if _, err := store.Copy(t.Context(), storetest.Memory(), silent); err == nil {
		t.Error("Copy into a store that cannot show what it holds succeeded")
	}
}
