package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"weir/store"
)

// ErrInjected is what a Faulty store answers when it was told to fail.
var ErrInjected = errors.New("injected fault")

// Fault says how a commit goes wrong.
type Fault int

const (
	None   Fault = iota
	Before       // nothing happens, and the answer is an error
	After        // it happens, and the answer is an error all the same
)

// Calls counts what a Faulty store was asked.
type Calls struct {
	Gets, Lists, Commits int
}

// Faulty wraps a store, counts the calls, and fails commits on demand, before
// or after their effect. Its zero value with a Store fails nothing. All methods
// are safe for concurrent use.
type Faulty struct {
	store.Store

	// Plan, if set, is asked at each commit what should happen to it: n
	// counts commits since the last Reset from 1, and writes must not be
	// changed. It may use the wrapped store, for example to let somebody
	// else commit first. It is called without a lock held.
	Plan func(n int, writes []store.Write) Fault

	mu     sync.Mutex
	calls  Calls
	faults map[int]Fault
}

// Fail makes the n-th commit from now on go wrong, counted from 1.
func (f *Faulty) Fail(n int, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.faults == nil {
		f.faults = map[int]Fault{}
	}
	f.faults[f.calls.Commits+n] = fault
}

// Calls returns how often each method was called since the last Reset.
func (f *Faulty) Calls() Calls {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Reset sets the counts to zero and forgets what Fail was told. Plan stays.
func (f *Faulty) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.faults = Calls{}, nil
}

// Get implements store.Store.
func (f *Faulty) Get(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	f.mu.Lock()
	f.calls.Gets++
	f.mu.Unlock()
	return f.Store.Get(ctx, keys...)
}

// List implements store.Store.
func (f *Faulty) List(ctx context.Context, partition, prefix string, page store.Page) ([]store.Record, string, error) {
	f.mu.Lock()
	f.calls.Lists++
	f.mu.Unlock()
	return f.Store.List(ctx, partition, prefix, page)
}

// Commit implements store.Store. A commit that would have failed anyway fails
// as it would have.
func (f *Faulty) Commit(ctx context.Context, writes ...store.Write) error {
	f.mu.Lock()
	f.calls.Commits++
	n, fault := f.calls.Commits, f.faults[f.calls.Commits]
	f.mu.Unlock()
	if fault == None && f.Plan != nil {
		fault = f.Plan(n, writes)
	}
	if fault == Before {
		return fmt.Errorf("commit %d, before its effect: %w", n, ErrInjected)
	}
	err := f.Store.Commit(ctx, writes...)
	if err == nil && fault == After {
		return fmt.Errorf("commit %d, after its effect: %w", n, ErrInjected)
	}
	return err
}
