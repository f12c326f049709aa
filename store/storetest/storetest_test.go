package storetest_test

import (
	"errors"
	"testing"

	"weir/store"
	"weir/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return storetest.Memory() })
}

// A Faulty store that fails nothing is a store like any other.
func TestFaultyConforms(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return &storetest.Faulty{Store: storetest.Memory()} })
}

func TestFaulty(t *testing.T) {
	k := store.Key{Partition: "p", Sort: "s"}
	ctx := t.Context()
	f := &storetest.Faulty{Store: storetest.Memory()}
	f.Fail(1, storetest.Before)
	f.Fail(2, storetest.After)

	exists := func() bool {
		t.Helper()
		r, err := f.Get(ctx, k)
		if err != nil {
			t.Fatal(err)
		}
		return r[0].Version != 0
	}
	if err := f.Commit(ctx, store.Write{Key: k}); !errors.Is(err, storetest.ErrInjected) || exists() {
		t.Errorf("first commit = %v, record exists: %v; want ErrInjected and no effect", err, exists())
	}
	if err := f.Commit(ctx, store.Write{Key: k}); !errors.Is(err, storetest.ErrInjected) || !exists() {
		t.Errorf("second commit = %v, record exists: %v; want ErrInjected and its effect", err, exists())
	}
	f.Fail(1, storetest.After)
	if err := f.Commit(ctx, store.Write{Key: k}); !errors.As(err, new(*store.ConflictError)) {
		t.Errorf("third commit = %v, want the conflict that it would have been", err)
	}
	if got := f.Calls(); got.Commits != 3 || got.Gets == 0 || got.Lists != 0 {
		t.Errorf("calls: got %+v", got)
	}
	f.Reset()
	f.Plan = func(n int, writes []store.Write) storetest.Fault {
		if n == 2 && len(writes) == 1 {
			return storetest.Before
		}
		return storetest.None
	}
	other := store.Write{Op: store.Check, Key: store.Key{Partition: "p", Sort: "other"}}
	if err := f.Commit(ctx, other); err != nil {
		t.Errorf("first commit after Reset: %v", err)
	}
	if err := f.Commit(ctx, other); !errors.Is(err, storetest.ErrInjected) {
		t.Errorf("second commit after Reset = %v, want ErrInjected", err)
	}
}
