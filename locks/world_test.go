package locks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/locks/format"
	"weir/store"
	"weir/store/storetest"
)

// tester is what *testing.T and *rapid.T have in common.
type tester interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// world is a lock table on a store that watches every commit and reports what
// may never be, whoever made it and however an operation went on.
type world struct {
	tester
	*Locks
	faulty *storetest.Faulty

	mu      sync.Mutex
	owners  map[string]map[Key]map[int64]int // by repository, key and epoch: every owner that ever was
	tolds   int
	commits int
}

// copy returns a world in memory for another test that is as w is now. Nobody
// may be at work in w, and it has to be in memory, too.
func (w *world) copy(t tester) *world {
	t.Helper()
	c := newWorld(t, nil)
	from, to := w.faulty.Store.(*watched), c.faulty.Store.(*watched)
	if _, err := store.Copy(t.Context(), from.Store, to.Store); err != nil {
		t.Fatalf("%v", err)
	}
	to.tables = map[string]*table{}
	for repo := range from.tables {
		to.tables[repo] = c.read(to.Store, repo)
	}
	for repo, keys := range w.owners {
		for k, epochs := range keys {
			for epoch, owner := range epochs {
				c.remember(repo, k, epoch, owner)
			}
		}
	}
	c.tolds, c.commits = w.tolds, w.commits
	return c
}

const tellPartition = "told"

// newWorld returns a world on s; nil means a store in memory.
func newWorld(t tester, s store.Store) *world {
	if s == nil {
		s = storetest.Memory()
	}
	w := &world{tester: t, owners: map[string]map[Key]map[int64]int{}}
	w.faulty = &storetest.Faulty{Store: &watched{Store: s, world: w}}
	w.Locks = w.another()
	return w
}

// another returns a second lock table on the same store, as another process
// has it.
func (w *world) another() *Locks {
	return &Locks{Store: w.faulty, Grant: func(_ context.Context, repo string, pull int) ([]store.Write, error) {
		w.mu.Lock()
		w.tolds++
		n := w.tolds
		w.mu.Unlock()
		body, err := json.Marshal(told{Repo: repo, Pull: pull})
		return []store.Write{{Key: store.Key{Partition: tellPartition, Sort: fmt.Sprintf("%09d", n)}, Body: body}}, err
	}}
}

type told struct {
	Repo string
	Pull int
}

// watched shows each commit that succeeded to its world.
type watched struct {
	store.Store
	world  *world
	mu     sync.Mutex
	tables map[string]*table // by repository, after its newest commit
}

func (s *watched) Commit(ctx context.Context, writes ...store.Write) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.Store.Commit(ctx, writes...); err != nil {
		if invalid := new(store.InvalidError); errors.As(err, &invalid) {
			s.world.Errorf("a commit that no store can take: %v", err)
		}
		return err
	}
	for _, w := range writes {
		repo, ok := strings.CutPrefix(w.Key.Partition, format.IndexPartition+"/")
		if ok && w.Op == store.Put && !slices.ContainsFunc(writes, func(h store.Write) bool { return h.Key == format.HeadKey(repo) }) {
			s.world.Errorf("%q was put without the head of its repository", w.Key)
		}
		if !ok || w.Key.Sort != format.HeadSort {
			continue
		}
		was, is := s.tables[repo], s.world.read(s.Store, repo)
		if was == nil {
			was = &table{}
		}
		if s.tables == nil {
			s.tables = map[string]*table{}
		}
		s.tables[repo] = is
		s.world.watch(repo, was, is, writes)
	}
	return nil
}

func (w *world) read(s store.Store, repo string) *table {
	t, err := (&Locks{Store: s}).load(w.Context(), repo)
	if err != nil {
		w.Fatalf("%v", err)
	}
	return t
}

// watch asserts what holds for every single commit.
func (w *world) watch(repo string, was, is *table, writes []store.Write) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.commits++
	tells := map[int]int{}
	for _, wr := range writes {
		if wr.Key.Partition == tellPartition {
			var to told
			if err := json.Unmarshal(wr.Body, &to); err != nil {
				w.Errorf("told %s, %v", wr.Body, err)
			}
			if to.Repo == repo {
				tells[to.Pull]++
			}
		}
	}
	if !slices.ContainsFunc(writes, func(h store.Write) bool { return h.Key == format.HeadKey(repo) && h.Op == store.Put }) {
		if diff := cmp.Diff(was.logical(), is.logical()); diff != "" {
			w.Errorf("locks of %s changed without its head:\n%s", repo, diff)
		}
	}
	got := map[int]bool{}
	for k, now := range is.rows {
		old := was.rows[k]
		switch {
		case now.Owner == old.Owner || now.Owner == 0:
			if now.Epoch != old.Epoch {
				w.Errorf("I1: %s went from epoch %d to %d without a new owner", k, old.Epoch, now.Epoch)
			}
		default:
			got[now.Owner] = true
			if now.Epoch != old.Epoch+1 {
				w.Errorf("I1: %s went from epoch %d to %d with a new owner", k, old.Epoch, now.Epoch)
			}
		}
		if now.Owner != 0 {
			w.remember(repo, k, now.Epoch, now.Owner)
		}
		if now.Place(now.Owner) > 0 && now.Owner != 0 {
			w.Errorf("#%d owns %s and waits for it", now.Owner, k)
		}
		if !slices.IsSortedFunc(now.Waiters, format.ByArrival) {
			w.Errorf("the queue of %s is out of order: %v", k, now.Waiters)
		}
	}
	for k := range was.rows {
		if _, kept := is.rows[k]; !kept {
			w.Errorf("I1: the row of %s was deleted, so its epochs begin again", k)
		}
	}
	for pull, n := range tells {
		if n != 1 || !got[pull] {
			w.Errorf("I10: #%d was told %d times; it got locks: %v", pull, n, got[pull])
		}
	}
	// One may get locks untold: the one who asks.
	if len(got) > len(tells)+1 {
		w.Errorf("I10: %v got locks, only %v were told", got, tells)
	}
	for _, pull := range unserved(is) { // where states matter, history judges
		w.Errorf("I10: #%d could be served and was not:\n%s", pull, describe(is))
	}
}

// logical returns the locks, however they are stored.
func (t *table) logical() map[Key]Lock {
	locks := map[Key]Lock{}
	for k, r := range t.rows {
		locks[k] = r.Lock
	}
	return locks
}

func (w *world) remember(repo string, k Key, epoch int64, owner int) {
	if w.owners[repo] == nil {
		w.owners[repo] = map[Key]map[int64]int{}
	}
	if w.owners[repo][k] == nil {
		w.owners[repo][k] = map[int64]int{}
	}
	if before, seen := w.owners[repo][k][epoch]; seen && before != owner {
		w.Errorf("I1: epoch %d of %s had the owners #%d and #%d", epoch, k, before, owner)
	}
	w.owners[repo][k][epoch] = owner
}

// unserved returns who waits only for locks that are free.
func unserved(t *table) []int {
	blocked := map[int]bool{}
	for _, r := range t.rows {
		for _, w := range r.Waiters {
			blocked[w.Pull] = blocked[w.Pull] || r.Owner != 0 || w.State != ""
		}
	}
	var pulls []int
	for pull, b := range blocked {
		if !b {
			pulls = append(pulls, pull)
		}
	}
	return pulls
}

// describe renders the rows that somebody has or wants, such as
// "a: #1, epoch 2; waiting: #3 #4".
func describe(t *table) string {
	var lines []string
	for k, r := range t.rows {
		if r.Owner == 0 && len(r.Waiters) == 0 {
			continue
		}
		line := k.Dir
		if k.Workspace != "default" {
			line = k.String()
		}
		line += ": free"
		if r.Owner != 0 {
			line = strings.TrimSuffix(line, "free") + fmt.Sprintf("#%d", r.Owner)
		}
		if len(r.Waiters) > 0 {
			line += "; waiting:"
		}
		for _, w := range r.Waiters {
			line += fmt.Sprintf(" #%d", w.Pull)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

const repo = "acme/app"

func at(dirs ...string) []Key {
	keys := make([]Key, len(dirs))
	for i, d := range dirs {
		keys[i] = Key{Dir: d, Workspace: "default"}
	}
	return keys
}

// wants turns "a", "b!" into wants; the "!" stands for Keep.
func wants(dirs ...string) []Want {
	list := make([]Want, len(dirs))
	for i, d := range dirs {
		name, keep := strings.CutSuffix(d, "!")
		list[i] = Want{Key: at(name)[0], Keep: keep}
	}
	return list
}

// acquire asks in the repository that the tests share.
func (w *world) acquire(pull int, dirs ...string) Outcome {
	w.Helper()
	out, err := w.Acquire(w.Context(), repo, pull, wants(dirs...))
	if err != nil {
		w.Fatalf("%v", err)
	}
	return out
}

func (w *world) release(pull int, keys []Key) Outcome {
	w.Helper()
	out, err := w.Release(w.Context(), repo, pull, keys)
	if err != nil {
		w.Fatalf("%v", err)
	}
	return out
}

// state returns what describe says of a repository now.
func (w *world) state(repo string) string { return describe(w.read(w.faulty.Store, repo)) }

// want asserts the state of the shared repository.
func (w *world) want(lines ...string) {
	w.Helper()
	if diff := cmp.Diff(strings.Join(lines, "\n"), w.state(repo)); diff != "" {
		w.Errorf("locks of %s (-want +got):\n%s", repo, diff)
	}
}

// told returns who was told of locks, in order.
func (w *world) told() []int {
	w.Helper()
	records, err := store.All(w.Context(), w.faulty.Store, tellPartition, "")
	if err != nil {
		w.Fatalf("%v", err)
	}
	pulls := []int{}
	for _, r := range records {
		var to told
		if err := json.Unmarshal(r.Body, &to); err != nil {
			w.Fatalf("%v", err)
		}
		pulls = append(pulls, to.Pull)
	}
	return pulls
}

var _ tester = (*testing.T)(nil)
