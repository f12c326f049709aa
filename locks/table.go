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

type headBody struct {
	Clock  time.Time `json:"clock"`
	Seq    int64     `json:"seq"`
	Sum    int64     `json:"sum"`
	Intent int       `json:"intent,omitempty"` // in how many records
	Links  []string  `json:"links,omitempty"`
}

type rowBody struct {
	Owner   int          `json:"owner"`
	Epoch   int64        `json:"epoch"`
	Since   time.Time    `json:"since,omitzero"`
	State   string       `json:"state,omitempty"`
	Waiters []waiterBody `json:"waiters,omitempty"`
	Seq     int64        `json:"seq,omitempty"`

	// The name of a project whose row key has only a hash of it. Bytes,
	// because a path need not be UTF-8.
	Dir       []byte `json:"dir,omitempty"`
	Workspace []byte `json:"workspace,omitempty"`
}

type waiterBody struct {
	Pull  int       `json:"pull"`
	Since time.Time `json:"since"`
	State string    `json:"state,omitempty"`
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
	records, err := store.All(ctx, l.Store, partition(repo), "")
	if err != nil {
		return nil, false, err
	}
	t = &table{repo: repo, rows: make(map[Key]row, len(records))}
	var head headBody
	for _, r := range records {
		switch {
		case r.Key.Sort == headSort:
			if err := json.Unmarshal(r.Body, &head); err != nil {
				return nil, false, fmt.Errorf("read %s: %w", r.Key, err)
			}
			t.head, t.clock, t.seq, t.links = r.Version, head.Clock, head.Seq, head.Links
		case strings.HasPrefix(r.Key.Sort, intentPrefix):
			t.parts = append(t.parts, r)
		default:
			one, err := decodeRow(r)
			if err != nil {
				return nil, false, err
			}
			t.rows[one.Key] = one
		}
	}
	intent, whole, err := decodeIntent(head.Seq, head.Intent, t.parts)
	if err != nil || !whole {
		return t, false, err
	}
	for _, b := range intent {
		lock := b.lock(Key{Dir: string(b.Dir), Workspace: string(b.Workspace)})
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

func encodeHead(repo string, expect store.Version, b headBody) (store.Write, error) {
	body, err := json.Marshal(b)
	if err != nil {
		return store.Write{}, fmt.Errorf("encode %s: %w", headKey(repo), err)
	}
	return store.Write{Op: store.Put, Key: headKey(repo), Expect: expect, Body: body}, nil
}

func newRowBody(l Lock, seq int64) rowBody {
	b := rowBody{Owner: l.Owner, Epoch: l.Epoch, Since: l.Since, State: l.State, Seq: seq}
	for _, w := range l.Waiters {
		b.Waiters = append(b.Waiters, waiterBody(w))
	}
	return b
}

func (b rowBody) lock(k Key) Lock {
	l := Lock{Key: k, Owner: b.Owner, Epoch: b.Epoch, Since: b.Since, State: b.State}
	for _, w := range b.Waiters {
		l.Waiters = append(l.Waiters, Waiter(w))
	}
	return l
}

func encodeLock(repo string, l Lock, seq int64, expect store.Version) (store.Write, error) {
	b := newRowBody(l, seq)
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

func decodeRow(r store.Record) (row, error) {
	var b rowBody
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return row{}, fmt.Errorf("read %q: %w", r.Key, err)
	}
	k := Key{Dir: string(b.Dir), Workspace: string(b.Workspace)}
	if name, ok := strings.CutPrefix(r.Key.Sort, projectPrefix); ok {
		k.Dir, k.Workspace, _ = strings.Cut(name, "\x00")
	}
	return row{Lock: b.lock(k), seq: b.Seq, version: r.Version}, nil
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
		names := []store.Key{intentKey(repo)}
		for _, k := range keys {
			if name := rowKey(repo, k); !slices.Contains(names, name) {
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
				one, err := decodeRow(r)
				if err != nil {
					return nil, false, err
				}
				found[one.Key] = one
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
		checks = append(checks, store.Write{Op: store.Check, Key: rowKey(repo, r.Key), Expect: r.version})
		locks = append(locks, r.Lock)
	}
	return append(checks, store.Write{Op: store.Check, Key: intentKey(repo)}), locks, nil
}

func byArrival(a, b Waiter) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Pull, b.Pull)) }
