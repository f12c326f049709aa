package locks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/locks/format"
	"weir/store"
)

// table is what the store holds of one repository, its intent carried out.
type table struct {
	repo  string
	head  store.Version
	clock time.Time // of the newest change
	seq   int64     // the number of the newest change
	sum   int64     // of the rows' seq
	rows  map[Key]row
	links []string       // repositories that share a state with it
	parts []store.Record // of the intent; none: every row is stored as it is

	summed bool // all of it could be read, whether it adds up or not
}

type row struct {
	Lock
	seq     int64         // the change that wrote it last
	version store.Version // of what is stored
	pending bool          // the intent has it, and it is not stored yet
}

// load reads the rows of a repository as they were at one moment. A listing
// does not promise that: the records of one commit may appear in it one after
// the other. So every row carries the number of the change that wrote it, and
// the head row the sum of these. A row can only be older than the head row that
// was read before it, or carry a higher number than that; so what adds up is of
// one moment, and what does not is read again. Rows that somebody has changed
// by hand never add up, and are taken as they are once the head row has stood
// still for that long: a decision on them is still only carried out on the
// versions that were read.
func (l *Locks) load(ctx context.Context, repo string) (*table, error) {
	var last store.Version
	for try, still := 1, 0; ; try++ {
		t, whole, err := l.read(ctx, repo)
		switch {
		case err != nil:
			return nil, err
		case whole:
			return t, nil
		case t.head == last:
			still++
		default:
			last, still = t.head, 0
		}
		if still == maxStill && t.summed {
			if len(t.parts) == 0 {
				for _, r := range t.rows {
					t.seq = max(t.seq, r.seq) // so that it adds up after the next change
				}
			}
			return t, nil
		}
		if try == maxTries {
			return nil, fmt.Errorf("the locks of %s were never read as of one moment", repo)
		}
		if err := wait(ctx, try); err != nil {
			return nil, err
		}
	}
}

// read is one try of load. It returns false for what is not of one moment.
func (l *Locks) read(ctx context.Context, repo string) (t *table, whole bool, err error) {
	records, err := store.All(ctx, l.Store, format.Partition(repo), "")
	if err != nil {
		return nil, false, err
	}
	t = &table{repo: repo, rows: make(map[Key]row, len(records))}
	var head format.Head
	for _, r := range records {
		switch {
		case r.Key.Sort == format.HeadSort:
			if err := json.Unmarshal(r.Body, &head); err != nil {
				return nil, false, fmt.Errorf("read %s: %w", r.Key, err)
			}
			t.head, t.clock, t.seq, t.links = r.Version, head.Clock, head.Seq, head.Links
		case strings.HasPrefix(r.Key.Sort, format.IntentPrefix):
			t.parts = append(t.parts, r)
		default:
			lock, seq, err := format.DecodeRow(r)
			if err != nil {
				return nil, false, err
			}
			t.rows[lock.Key] = row{Lock: lock, seq: seq, version: r.Version}
		}
	}
	intent, whole, err := format.DecodeIntent(head.Seq, head.Intent, t.parts)
	if err != nil || !whole {
		return t, false, err
	}
	for _, lock := range intent {
		stored := t.rows[lock.Key]
		whole = whole && stored.seq <= head.Seq
		t.rows[lock.Key] = row{Lock: lock, seq: head.Seq, version: stored.version, pending: stored.seq < head.Seq}
	}
	for _, r := range t.rows {
		t.sum += r.seq
		whole = whole && r.seq <= head.Seq
	}
	t.summed = true
	return t, whole && t.sum == head.Sum, nil
}

// Get returns the locks of keys, in their order; one that nobody ever had is
// zero but for its Key.
func (l *Locks) Get(ctx context.Context, repo string, keys []Key) ([]Lock, error) {
	rows, _, err := l.rows(ctx, repo, keys)
	if err != nil {
		return nil, fmt.Errorf("get locks of %s: %w", repo, err)
	}
	locks := make([]Lock, len(rows))
	for i, r := range rows {
		locks[i] = r.Lock
	}
	return locks, nil
}

// rows returns the rows of keys as they were at one moment, and whether that is
// what is stored.
func (l *Locks) rows(ctx context.Context, repo string, keys []Key) (rows []row, stored bool, err error) {
	if err := validate(repo, 1, keys...); err != nil {
		return nil, false, err
	}
	rows = make([]row, len(keys))
	if len(keys) < store.MaxWrites {
		names := []store.Key{format.IntentKey(repo)}
		for _, k := range keys {
			if name := format.RowKey(repo, k); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		records, err := l.Store.Get(ctx, names...)
		if err != nil {
			return nil, false, err
		}
		if records[0].Version == 0 {
			found := map[Key]row{}
			for _, r := range records[1:] {
				if r.Version == 0 {
					continue
				}
				lock, seq, err := format.DecodeRow(r)
				if err != nil {
					return nil, false, err
				}
				found[lock.Key] = row{Lock: lock, seq: seq, version: r.Version}
			}
			for i, k := range keys {
				rows[i] = found[k]
				rows[i].Key = k
			}
			return rows, true, nil
		}
	}
	t, err := l.load(ctx, repo)
	if err != nil {
		return nil, false, err
	}
	for i, k := range keys {
		rows[i] = t.rows[k]
		rows[i].Key = k
	}
	return rows, len(t.parts) == 0, nil
}

// List returns the locks of a repository that somebody owns or waits for, by
// directory and workspace.
func (l *Locks) List(ctx context.Context, repo string) ([]Lock, error) {
	if err := validate(repo, 1); err != nil {
		return nil, fmt.Errorf("list locks: %w", err)
	}
	g, err := l.loadGroup(ctx, repo)
	if err != nil {
		return nil, fmt.Errorf("list locks of %s: %w", repo, err)
	}
	d := newDraft(g, time.Time{}, Pull{})
	held := d.holders()
	var locks []Lock
	for k, r := range g.own().rows {
		if r.Owner != 0 || len(r.Waiters) > 0 {
			state := r.State
			if len(r.Waiters) > 0 {
				state = r.Waiters[0].State
			}
			locks = append(locks, d.seen(held, k, state))
		}
	}
	slices.SortFunc(locks, func(a, b Lock) int { return a.Key.Compare(b.Key) })
	return locks, nil
}

// Repos returns the repositories that ever had a lock, in order.
func (l *Locks) Repos(ctx context.Context) ([]string, error) {
	records, err := store.All(ctx, l.Store, format.IndexPartition, "")
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
// remembers, and checks of what was read with them: of each row, in the order
// of keys, and one that no change of many rows is under way in the repository.
// A commit with these checks conflicts if a lock changed its owner meanwhile,
// but also if somebody only came to wait for it: on a conflict of any of them
// ask again. If the pull request does not own a key, it returns the
// *NotOwnerError of the first.
func (l *Locks) Fences(ctx context.Context, repo string, pull int, keys []Key) ([]store.Write, []Lock, error) {
	if err := validate(repo, pull); err != nil {
		return nil, nil, fmt.Errorf("fence locks: %w", err)
	}
	if len(keys) >= store.MaxWrites {
		return nil, nil, fmt.Errorf("fence locks of %s#%d: %d keys, at most %d fit into a commit", repo, pull, len(keys), store.MaxWrites-1)
	}
	rows, stored, err := l.rows(ctx, repo, keys)
	for try := 1; err == nil && !stored && try <= maxTries; try++ {
		if err = l.complete(ctx, repo); err == nil {
			rows, stored, err = l.rows(ctx, repo, keys)
		}
	}
	if err == nil && !stored {
		err = fmt.Errorf("gave up after %d tries: changes of many rows one after the other", maxTries)
	}
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
		checks = append(checks, store.Write{Op: store.Check, Key: format.RowKey(repo, r.Key), Expect: r.version})
		locks = append(locks, r.Lock)
	}
	return append(checks, store.Write{Op: store.Check, Key: format.IntentKey(repo)}), locks, nil
}
