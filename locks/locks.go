// Package locks says which pull request owns a project, and who waits for it.
//
// A lock lasts from the first plan to the merge or close of a pull request
// and never expires. A pull request gets all the projects that it asks for,
// or none of them: then it waits, and is handed all of them in one commit as
// soon as that is possible, first come, first served among those that can go.
// Each time a lock changes its owner its epoch grows by one; lock rows are
// never deleted, so an epoch never comes twice.
package locks

import (
	"context"
	"time"

	"weir/store"
)

// MaxProjects is how many projects one pull request can lock: a store commit
// less the repository's own row and one write for the caller.
const MaxProjects = store.MaxWrites - 2

// Key names a project within its repository.
type Key struct {
	Dir       string
	Workspace string
}

// Lock is the row of one project.
type Lock struct {
	Key     Key
	Owner   int // the pull request that owns it; 0: nobody
	Epoch   int64
	Since   time.Time // when Owner got it
	Waiters []Waiter  // in the order in which they are served
}

// Waiter is a pull request that wants a lock. It stands in the row of every
// project that it wants and does not own.
type Waiter struct {
	Pull  int
	Since time.Time
}

// Outcome is what Acquire came to.
type Outcome struct {
	Acquired bool
	Locks    []Lock // the rows of all wanted projects as they are now, in the order wanted
	Released []Key  // locks that this pull request gave back
	Granted  []int  // pull requests that were handed locks by this call
}

// Fence proves, inside another commit, that a lock is still held: it expects
// the row at the version that was read with the epoch.
type Fence struct {
	Key   Key
	Epoch int64
}

// Locks is the lock table of all repositories.
type Locks struct {
	Store store.Store
	Now   func() time.Time // nil: time.Now

	// Grant makes the writes that have to happen together with handing
	// locks to a waiter (such as queueing its plan), so that nobody is
	// handed a lock without being told. At most one write a call. May be nil.
	Grant func(ctx context.Context, repo string, pull int) ([]store.Write, error)
}
