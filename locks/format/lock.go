// Package format says how locks lie in the store: the keys of their records,
// what is in them, and how the rows of a big change are packed.
package format

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Key names a project within its repository. Neither part may contain a NUL.
type Key struct {
	Dir       string
	Workspace string
}

func (k Key) String() string { return k.Dir + " (" + k.Workspace + ")" }

// Compare orders keys by directory and workspace.
func (k Key) Compare(o Key) int {
	return cmp.Or(strings.Compare(k.Dir, o.Dir), strings.Compare(k.Workspace, o.Workspace))
}

// Lock is the row of one project.
type Lock struct {
	Key     Key
	Owner   int // the pull request that owns it; 0: nobody
	Epoch   int64
	Since   time.Time // when Owner got it
	State   string    // what the owner, or the last one, gave as its state
	Waiters []Waiter  // in the order in which they came

	// Holder is who keeps it from those that want it: its owner, or, where
	// nobody owns it, the owner of another project with the state that is
	// wanted. In a Lock from Get it is only ever the owner.
	Holder Pull
}

// Pull names a pull request. The zero value is none.
type Pull struct {
	Repo   string
	Number int
}

// String is as people write it: acme/app#12.
func (p Pull) String() string { return fmt.Sprintf("%s#%d", p.Repo, p.Number) }

// Place returns the place of a pull request in the queue of this lock: 1 is
// the next, 0 means that it does not wait.
func (l Lock) Place(pull int) int {
	return 1 + slices.IndexFunc(l.Waiters, func(w Waiter) bool { return w.Pull == pull })
}

// Waiter is a pull request that wants a lock. It stands in the row of every
// project that it wants and does not own.
type Waiter struct {
	Pull  int
	Since time.Time
	State string // as it was wanted
}

// Has reports whether the pull request owns the lock or waits for it.
func (l Lock) Has(pull int) bool { return l.Owner == pull || l.Place(pull) > 0 }

// ByArrival orders a queue.
func ByArrival(a, b Waiter) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Pull, b.Pull)) }
