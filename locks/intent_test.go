package locks

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"weir/locks/format"
	"weir/store"
	"weir/store/storetest"
)

// byOwner counts the rows of the shared repository by their owner.
func (w *world) byOwner() map[int]int {
	owners := map[int]int{}
	for _, r := range w.read(w.faulty.Store, repo).rows {
		owners[r.Owner]++
	}
	return owners
}

// The most that one pull request can lock: taken, waited for, handed over and
// given back, each time in one commit that changes all of it, and some more
// that write it out.
func TestI1_ManyProjects(t *testing.T) {
	for name, open := range engines {
		n := 210 // several commits
		if name == "memory" {
			n = 400
		}
		t.Run(name, func(t *testing.T) { manyProjects(t, newWorld(t, open(t)), n) })
	}
}

func manyProjects(t *testing.T, w *world, many int) {
	all := dirs("some/longer/directory/p", many)
	for _, tt := range []struct {
		name string
		op   func() Outcome
		want map[int]int
		told int
	}{
		{"acquire", func() Outcome { return w.acquire(1, all...) }, map[int]int{1: many}, 0},
		{"wait", func() Outcome { return w.acquire(2, all...) }, map[int]int{1: many}, 0},
		{"wait for a few", func() Outcome { return w.acquire(3, all[5:8]...) }, map[int]int{1: many}, 0},
		{"release of one", func() Outcome { return w.release(1, at(all[0])) }, map[int]int{0: 1, 1: many - 1}, 0},
		{"release", func() Outcome { return w.release(1, nil) }, map[int]int{2: many}, 1},
		{"release to the next", func() Outcome { return w.release(2, nil) }, map[int]int{0: many - 3, 3: 3}, 1},
	} {
		before := len(w.told())
		w.faulty.Reset()
		tt.op()
		if diff := cmp.Diff(tt.want, w.byOwner()); diff != "" {
			t.Errorf("%s: locks by owner (-want +got):\n%s", tt.name, diff)
		}
		if n := len(w.told()) - before; n != tt.told {
			t.Errorf("%s: %d were told, want %d", tt.name, n, tt.told)
		}
		if n := w.faulty.Calls().Commits; n > 2+many/90 {
			t.Errorf("%s: %d commits", tt.name, n)
		}
		if t2 := w.read(w.faulty.Store, repo); len(t2.parts) != 0 {
			t.Errorf("%s: the intent is still there", tt.name)
		}
	}
	if out := w.acquire(4, all...); out.Acquired || len(out.Locks) != many {
		t.Errorf("acquired %v, %d locks", out.Acquired, len(out.Locks))
	}
}

// Whatever commit of a change of many rows is the last of a process, before or
// after its effect: the change has happened as a whole or not at all, every way
// of reading says the same, and anybody's next operation goes on from there.
func TestI1_CrashInAnIntent(t *testing.T) {
	all := dirs("p", 250)
	begin := newWorld(t, nil)
	begin.acquire(1, all...)
	begin.acquire(2, all[:200]...)
	begin.acquire(3, "other")
	w := begin.copy(t)
	before := w.state(repo)
	w.release(1, nil)
	after, commits := w.state(repo), w.faulty.Calls().Commits
	if commits != 4 {
		t.Errorf("%d commits, want the intent and three that write it out", commits)
	}
	for n := 1; n <= commits; n++ {
		for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
			t.Run(fmt.Sprint(n, " ", fault), func(t *testing.T) {
				w := begin.copy(t)
				w.faulty.Plan = func(m int, _ []store.Write) storetest.Fault {
					switch {
					case m == n:
						return fault
					case m > n:
						return storetest.Before // the process is gone
					}
					return storetest.None
				}
				_, err := w.Release(t.Context(), repo, 1, nil)
				happened := n > 1 || fault == storetest.After
				if (err == nil) != (n > 1) {
					t.Errorf("Release = %v", err)
				}
				w.faulty.Plan = nil
				want, owner, epoch := before, 1, int64(1)
				if happened {
					want, owner, epoch = after, 2, 2
				}
				if got := w.state(repo); got != want {
					t.Errorf("neither before nor after:\n%s", cmp.Diff(want, got))
				}
				other := w.another()
				for i, d := range []string{all[0], all[150], all[199]} {
					rows, err := other.Get(t.Context(), repo, at(d))
					if err != nil || rows[0].Owner != owner || rows[0].Epoch != epoch {
						t.Errorf("Get %s: %+v, %v, want #%d", d, rows, err, owner)
					}
					checks, _, err := other.Fences(t.Context(), repo, owner, at(d))
					if err != nil {
						t.Fatalf("Fences of %s: %v", d, err)
					}
					mark := store.Write{Key: store.Key{Partition: "runs", Sort: fmt.Sprint(i)}}
					if err := w.faulty.Commit(t.Context(), append(checks, mark)...); err != nil {
						t.Errorf("fenced commit: %v", err)
					}
					lost := new(NotOwnerError)
					if _, _, err := other.Fences(t.Context(), repo, 3-owner, at(d)); !errors.As(err, &lost) || lost.Owner != owner {
						t.Errorf("Fences of %s for #%d: %v", d, 3-owner, err)
					}
				}
				if _, err := other.Acquire(t.Context(), repo, 4, wants("new")); err != nil {
					t.Error(err)
				}
				w.release(4, nil)
				if got := w.state(repo); got != want {
					t.Errorf("after another operation:\n%s", cmp.Diff(want, got))
				}
				w.release(1, nil)
				if got := w.state(repo); got != after {
					t.Errorf("after the release once more:\n%s", cmp.Diff(after, got))
				}
			})
		}
	}
}

// A commit that a stopped process had under way happens minutes later: whatever
// it was, it changes nothing.
func TestI1_StoppedProcess(t *testing.T) {
	all := dirs("p", 250)
	for stopped := 1; stopped <= 4; stopped++ {
		t.Run(fmt.Sprint(stopped), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.acquire(1, all...)
				w.acquire(2, all...)
				w.faulty.Reset()
				others := w.another()
				done := make(chan error, 1)
				resume := make(chan struct{})
				w.faulty.Plan = func(n int, _ []store.Write) storetest.Fault {
					if n == stopped {
						<-resume
					}
					return storetest.None
				}
				go func() {
					_, err := w.Release(context.WithoutCancel(t.Context()), repo, 1, nil)
					done <- err
				}()
				synctest.Wait()
				step := func(_ Outcome, err error) {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
				}
				step(others.Release(t.Context(), repo, 1, nil))
				step(others.Release(t.Context(), repo, 2, nil))
				step(others.Acquire(t.Context(), repo, 5, wants(all...)))
				step(others.Acquire(t.Context(), repo, 6, wants(all[:120]...)))
				want := w.state(repo)
				close(resume)
				if err := <-done; err != nil {
					t.Error(err)
				}
				if got := w.state(repo); got != want {
					t.Errorf("the stopped process changed something:\n%s", cmp.Diff(want, got))
				}
			})
		})
	}
}

// A fence that was given out before a change of many rows does not hold after
// its commit, though the row itself is not written yet.
func TestI1_FenceMeetsIntent(t *testing.T) {
	all := dirs("p", 250)
	w := newWorld(t, nil)
	w.acquire(1, all...)
	w.acquire(2, all...)
	checks, _, err := w.Fences(t.Context(), repo, 1, at(all[249]))
	if err != nil {
		t.Fatal(err)
	}
	w.faulty.Reset()
	w.faulty.Plan = func(n int, _ []store.Write) storetest.Fault {
		if n == 1 {
			return storetest.None
		}
		return storetest.Before
	}
	w.release(1, nil)
	w.faulty.Plan = nil
	if tab := w.read(w.faulty.Store, repo); len(tab.parts) == 0 || !tab.rows[at(all[249])[0]].pending {
		t.Fatal("the row is written already")
	}
	mark := store.Write{Key: store.Key{Partition: "runs", Sort: "1"}}
	if err := w.faulty.Commit(t.Context(), append(checks, mark)...); !store.IsConflict(err) {
		t.Errorf("commit with the fence of the old owner = %v, want a conflict", err)
	}
}

// torn is a store whose lists are of several moments: some rows are as they
// were before the newest commits.
type torn struct {
	store.Store

	stale map[string]store.Record // by sort key; Version 0: not there yet
	times int
}

func (s *torn) List(ctx context.Context, partition, prefix string, page store.Page) ([]store.Record, string, error) {
	records, next, err := s.Store.List(ctx, partition, prefix, page)
	if s.times == 0 {
		return records, next, err
	}
	s.times--
	var list []store.Record
	for _, r := range records {
		if old, ok := s.stale[r.Key.Sort]; ok {
			r = old
		}
		if r.Version != 0 {
			list = append(list, r)
		}
	}
	return list, next, err
}

// #2 waits for a and b. The list that the release of a sees has the head row of
// a moment when b was free already, and the row of b of before: deciding on
// that, nobody would ever serve #2.
func TestI10_TornList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.acquire(1, "a")
		w.acquire(3, "b")
		w.acquire(2, "a", "b")
		old, err := w.faulty.Get(t.Context(), format.RowKey(repo, at("b")[0]))
		if err != nil {
			t.Fatal(err)
		}
		w.release(3, nil)
		w.Store = &torn{Store: w.faulty, times: 3, stale: map[string]store.Record{old[0].Key.Sort: old[0]}}
		w.release(1, nil)
		w.want("a: #2", "b: #2")
		if got := w.told(); !slices.Equal(got, []int{2}) {
			t.Errorf("told %v, want #2", got)
		}
	})
}

// An intent of which some records are not to be seen yet, or one that is gone
// already, is no intent.
func TestI1_TornIntent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		all := dirs("p", 250)
		w.acquire(1, all...)
		w.acquire(2, all...)
		w.faulty.Reset()
		w.faulty.Plan = func(n int, _ []store.Write) storetest.Fault {
			return map[bool]storetest.Fault{true: storetest.None, false: storetest.Before}[n == 1]
		}
		w.release(1, nil)
		w.faulty.Plan = nil
		part, err := w.faulty.Get(t.Context(), format.IntentKey(repo))
		if err != nil {
			t.Fatal(err)
		}
		hidden := &torn{Store: w.faulty, times: 3, stale: map[string]store.Record{part[0].Key.Sort: {}}}
		reader := &Locks{Store: hidden}
		list, err := reader.List(t.Context(), repo)
		if err != nil || len(list) != 250 || list[7].Owner != 2 || hidden.times != 0 {
			t.Errorf("List: %d locks, %v, read %d times", len(list), err, 3-hidden.times)
		}
		w.release(2, nil)
		w.want("")
	})
}

// Rows that somebody changed by hand, or an older weir without numbers, are
// taken as they are: a lock table is never out of order for good.
func TestRowsThatNeverAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Locks{Store: storetest.Memory()}
		if _, err := l.Acquire(t.Context(), repo, 1, wants("a", "b")); err != nil {
			t.Fatal(err)
		}
		r, err := l.Store.Get(t.Context(), format.RowKey(repo, at("b")[0]))
		if err != nil {
			t.Fatal(err)
		}
		byHand := store.Write{Key: r[0].Key, Expect: r[0].Version, Body: []byte(`{"owner":9,"epoch":7,"seq":900}`)}
		if err := l.Store.Commit(t.Context(), byHand); err != nil {
			t.Fatal(err)
		}
		if out, err := l.Acquire(t.Context(), repo, 2, wants("b", "c")); err != nil || out.Locks[0].Owner != 9 {
			t.Errorf("Acquire: %+v, %v", out, err)
		}
		if _, whole, err := l.read(t.Context(), repo); err != nil || !whole {
			t.Errorf("after the next change it adds up: %v, %v", whole, err)
		}
		if _, err := l.Release(t.Context(), repo, 9, nil); err != nil {
			t.Error(err)
		}
		if rows, err := l.Get(t.Context(), repo, at("b", "c")); err != nil || rows[0].Owner != 2 || rows[1].Owner != 2 || rows[0].Epoch != 8 {
			t.Errorf("Get: %+v, %v", rows, err)
		}
	})
}

// The order of an intent's records is the order of their names.
func TestIntentEncoding(t *testing.T) {
	var rows []Lock
	for i := range 1000 { // names that do not compress
		name := fmt.Sprint(i, "-")
		random := rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)})
		noise := make([]byte, 750)
		_, _ = random.Read(noise) // never fails
		name += hex.EncodeToString(noise)
		rows = append(rows, Lock{Key: Key{Dir: name, Workspace: "\xff"}, Owner: i, Epoch: int64(i), Waiters: []Waiter{{Pull: 1 + i}}})
	}
	parts, err := format.EncodeIntent(7, rows)
	if err != nil || len(parts) < 2 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	var records []store.Record
	for i, p := range parts {
		records = append(records, store.Record{Key: format.PartKey(repo, i), Body: p})
	}
	got, ok, err := format.DecodeIntent(7, len(parts), records)
	if err != nil || !ok || len(got) != len(rows) {
		t.Fatalf("%d rows, %v, %v", len(got), ok, err)
	}
	for i, lock := range got {
		if diff := cmp.Diff(rows[i], lock); diff != "" {
			t.Fatalf("row %d (-want +got):\n%s", i, diff)
		}
	}
	for name, tt := range map[string]struct {
		seq  int64
		want int
		list []store.Record
	}{
		"of another change": {8, len(parts), records},
		"a part is missing": {7, len(parts), records[1:]},
		"one too many":      {7, len(parts) - 1, records},
		"none expected":     {7, 0, records},
	} {
		if _, ok, err := format.DecodeIntent(tt.seq, tt.want, tt.list); ok || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
	damaged := slices.Clone(records)
	damaged[0].Body = slices.Clone(damaged[0].Body)
	damaged[0].Body[100] ^= 1
	if _, _, err := format.DecodeIntent(7, len(parts), damaged); err == nil {
		t.Error("a damaged intent is read without an error")
	}
}
