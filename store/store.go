// Package store keeps the records that outlive a process: locks, jobs, pull
// requests, runs, audit entries. It is the only place where weir remembers.
//
// Logic is never written in an engine. It is written once, above this
// package, as: read, decide in pure code, commit, and on a conflict read
// again. Package storetest holds the suite that every engine passes.
package store

import (
	"context"
	"fmt"
	"strings"
)

// Limits that every engine enforces alike, so that what works on the embedded
// store works on DynamoDB too. They come from DynamoDB's TransactWriteItems
// (100 actions and 4 MB a transaction), item size (400 KB with keys and
// attributes) and sort keys (1,024 bytes). What is over a limit gets an
// *InvalidError.
const (
	MaxWrites = 100
	MaxBody   = 380 << 10
	MaxKey    = 900        // bytes, partition and sort each
	MaxSort   = 1024       // bytes of a sort key, those outside of ASCII counted twice
	MaxCommit = 3800 << 10 // bytes of keys and bodies in one commit
)

// Key names one record. Both parts are non-empty. Records of one partition
// are ordered by the bytes of Sort.
type Key struct {
	Partition string
	Sort      string
}

func (k Key) String() string { return k.Partition + " / " + k.Sort }

// Version is the state of one record. Zero means that there is no record.
// Other values are opaque and never occur twice for one key, not even after a
// delete, so that a version once read proves that nothing has happened since.
type Version int64

// Record is one stored value.
type Record struct {
	Key     Key
	Version Version
	Body    []byte
}

// Op says what a Write does once its expectation holds.
type Op int

const (
	Put    Op = iota // store Body
	Delete           // remove the record; deleting what is not there is no error
	Check            // change nothing: only require the version
)

// Write is one part of a commit. It happens only if the record's current
// version is Expect; Expect zero requires that there is no record.
type Write struct {
	Op     Op
	Key    Key
	Expect Version
	Body   []byte
}

// Page bounds a List. Limit zero means the engine's own choice. After is the
// Next of the page before.
type Page struct {
	After string
	Limit int
}

// Store is what an engine offers. All methods are safe for concurrent use,
// also by many processes where the engine allows many.
type Store interface {
	// Get returns the records of keys, in the order of keys and with
	// Version zero for those that do not exist. Reads are consistent: a
	// commit that returned before Get was called is seen. All records of
	// one Get come from one moment. At most MaxWrites keys.
	Get(ctx context.Context, keys ...Key) ([]Record, error)

	// List returns the records of one partition whose Sort begins with
	// prefix, in ascending order, consistently, and the After of the next
	// page ("" when this was the last). The empty prefix means all. Pages
	// of one listing may come from different moments.
	List(ctx context.Context, partition, prefix string, page Page) (records []Record, next string, err error)

	// Commit makes all writes or none. If an expectation does not hold, it
	// changes nothing and returns a *ConflictError. Each key may occur once.
	// A commit that breaks this or a limit changes nothing and returns an
	// *InvalidError. A context that was cancelled before the call changes
	// nothing. Any other error leaves open whether the writes happened.
	// A commit without writes does nothing.
	Commit(ctx context.Context, writes ...Write) error

	// Ready says whether the store can take writes now.
	Ready(ctx context.Context) error

	Close() error
}

// ConflictError says that a commit changed nothing, because these records are
// not at the version that was expected.
type ConflictError struct {
	Conflicts []Record // as they are now; never empty
}

func (e *ConflictError) Error() string {
	names := make([]string, len(e.Conflicts))
	for i, r := range e.Conflicts {
		names[i] = r.Key.String()
	}
	return "changed meanwhile: " + strings.Join(names, ", ")
}

// All lists a whole partition from its first page to its last.
func All(ctx context.Context, s Store, partition, prefix string) ([]Record, error) {
	var all []Record
	page := Page{}
	for {
		records, next, err := s.List(ctx, partition, prefix, page)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", partition, err)
		}
		all = append(all, records...)
		if next == "" {
			return all, nil
		}
		page.After = next
	}
}
