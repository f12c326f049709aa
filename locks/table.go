package locks

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/store"
)

// indexPartition lists the repositories that ever had a lock. Those of one
// repository are in a partition of their own: the head row, which sorts first,
// so that it is never newer than the rows that are read after it, and a row
// for each project.
const (
	indexPartition = "locks"
	headSort       = "h"
	projectPrefix  = "p" // followed by directory, NUL, workspace
	longPrefix     = "q" // followed by a hash of the same, where that is too long
)

func partition(repo string) string { return indexPartition + "/" + repo }

func indexKey(repo string) store.Key { return store.Key{Partition: indexPartition, Sort: repo} }

func headKey(repo string) store.Key { return store.Key{Partition: partition(repo), Sort: headSort} }

func rowKey(repo string, k Key) store.Key {
	name := k.Dir + "\x00" + k.Workspace
	sort := projectPrefix + name
	if len(sort) > store.MaxKey {
		sum := sha256.Sum256([]byte(name))
		sort = longPrefix + hex.EncodeToString(sum[:])
	}
	return store.Key{Partition: partition(repo), Sort: sort}
}

// table is what the store holds of one repository.
type table struct {
	head  store.Version
	clock time.Time // of the newest change
	rows  map[Key]row
}

type row struct {
	Lock
	version store.Version
}

type headBody struct {
	Clock time.Time `json:"clock"`
}

type rowBody struct {
	Owner   int          `json:"owner"`
	Epoch   int64        `json:"epoch"`
	Since   time.Time    `json:"since,omitzero"`
	Waiters []waiterBody `json:"waiters,omitempty"`

	// The name of a project whose row key has only a hash of it. Bytes,
	// because a path need not be UTF-8.
	Dir       []byte `json:"dir,omitempty"`
	Workspace []byte `json:"workspace,omitempty"`
}

type waiterBody struct {
	Pull  int       `json:"pull"`
	Since time.Time `json:"since"`
}

func (l *Locks) load(ctx context.Context, repo string) (*table, error) {
	records, err := store.All(ctx, l.Store, partition(repo), "")
	if err != nil {
		return nil, err
	}
	t := &table{rows: make(map[Key]row, len(records))}
	for _, r := range records {
		if r.Key.Sort == headSort {
			var h headBody
			if err := json.Unmarshal(r.Body, &h); err != nil {
				return nil, fmt.Errorf("read %s: %w", r.Key, err)
			}
			t.head, t.clock = r.Version, h.Clock
			continue
		}
		lock, err := decodeLock(r)
		if err != nil {
			return nil, err
		}
		t.rows[lock.Key] = row{Lock: lock, version: r.Version}
	}
	return t, nil
}

func encodeLock(repo string, l Lock, expect store.Version) (store.Write, error) {
	b := rowBody{Owner: l.Owner, Epoch: l.Epoch, Since: l.Since}
	for _, w := range l.Waiters {
		b.Waiters = append(b.Waiters, waiterBody(w))
	}
	key := rowKey(repo, l.Key)
	if strings.HasPrefix(key.Sort, longPrefix) {
		b.Dir, b.Workspace = []byte(l.Key.Dir), []byte(l.Key.Workspace)
	}
	body, err := json.Marshal(b)
	if err != nil {
		return store.Write{}, fmt.Errorf("encode lock %s: %w", l.Key, err)
	}
	return store.Write{Op: store.Put, Key: key, Expect: expect, Body: body}, nil
}

func decodeLock(r store.Record) (Lock, error) {
	var b rowBody
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return Lock{}, fmt.Errorf("read %q: %w", r.Key, err)
	}
	l := Lock{Owner: b.Owner, Epoch: b.Epoch, Since: b.Since}
	if name, ok := strings.CutPrefix(r.Key.Sort, projectPrefix); ok {
		l.Key.Dir, l.Key.Workspace, _ = strings.Cut(name, "\x00")
	} else {
		l.Key = Key{Dir: string(b.Dir), Workspace: string(b.Workspace)}
	}
	for _, w := range b.Waiters {
		l.Waiters = append(l.Waiters, Waiter(w))
	}
	return l, nil
}

// Get returns the locks of keys, in their order; one that nobody ever had is
// zero but for its Key.
func (l *Locks) Get(ctx context.Context, repo string, keys []Key) ([]Lock, error) {
	rows, err := l.rows(ctx, repo, keys)
	if err != nil {
		return nil, fmt.Errorf("get locks of %s: %w", repo, err)
	}
	locks := make([]Lock, len(rows))
	for i, r := range rows {
		locks[i] = r.Lock
	}
	return locks, nil
}

func (l *Locks) rows(ctx context.Context, repo string, keys []Key) ([]row, error) {
	if err := validate(repo, 1, keys...); err != nil {
		return nil, err
	}
	var rows []row
	for chunk := range slices.Chunk(keys, store.MaxWrites) {
		names := make([]store.Key, len(chunk))
		for i, k := range chunk {
			names[i] = rowKey(repo, k)
		}
		records, err := l.Store.Get(ctx, names...)
		if err != nil {
			return nil, err
		}
		for i, r := range records {
			if r.Version == 0 {
				rows = append(rows, row{Lock: Lock{Key: chunk[i]}})
				continue
			}
			lock, err := decodeLock(r)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row{Lock: lock, version: r.Version})
		}
	}
	return rows, nil
}

// List returns the locks of a repository that somebody owns or waits for, by
// directory and workspace.
func (l *Locks) List(ctx context.Context, repo string) ([]Lock, error) {
	if err := validate(repo, 1); err != nil {
		return nil, fmt.Errorf("list locks: %w", err)
	}
	t, err := l.load(ctx, repo)
	if err != nil {
		return nil, fmt.Errorf("list locks of %s: %w", repo, err)
	}
	var locks []Lock
	for _, r := range t.rows {
		if r.Owner != 0 || len(r.Waiters) > 0 {
			locks = append(locks, r.Lock)
		}
	}
	slices.SortFunc(locks, func(a, b Lock) int { return a.Key.compare(b.Key) })
	return locks, nil
}

// Repos returns the repositories that ever had a lock, in order.
func (l *Locks) Repos(ctx context.Context) ([]string, error) {
	records, err := store.All(ctx, l.Store, indexPartition, "")
	if err != nil {
		return nil, fmt.Errorf("list repositories with locks: %w", err)
	}
	repos := make([]string, len(records))
	for i, r := range records {
		repos[i] = r.Key.Sort
	}
	return repos, nil
}

// Fences proves inside another commit that a pull request owns keys: it
// returns the locks, whose epochs the caller compares with those that it
// remembers, and a check of each row at the version that was read with them.
// A commit with these checks conflicts if a lock changed its owner meanwhile,
// but also if somebody only came to wait for it: on a conflict ask again. If
// the pull request does not own a key, it returns the *NotOwnerError of the
// first.
func (l *Locks) Fences(ctx context.Context, repo string, pull int, keys []Key) ([]store.Write, []Lock, error) {
	if err := validate(repo, pull); err != nil {
		return nil, nil, fmt.Errorf("fence locks: %w", err)
	}
	rows, err := l.rows(ctx, repo, keys)
	if err != nil {
		return nil, nil, fmt.Errorf("fence locks of %s#%d: %w", repo, pull, err)
	}
	var (
		checks []store.Write
		locks  []Lock
	)
	for _, r := range rows {
		if r.Owner != pull {
			return nil, nil, &NotOwnerError{Key: r.Key, Pull: pull, Owner: r.Owner}
		}
		checks = append(checks, store.Write{Op: store.Check, Key: rowKey(repo, r.Key), Expect: r.version})
		locks = append(locks, r.Lock)
	}
	return checks, locks, nil
}

func byArrival(a, b Waiter) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Pull, b.Pull)) }
