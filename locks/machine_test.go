package locks

import (
	crand "crypto/rand"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"weir/integration/services"
	"weir/store"
	"weir/store/bolt"
	"weir/store/dynamo"
	"weir/store/storetest"
)

// machine does random operations on the lock table, with commits that fail on
// the way, and asserts after each what a pull request was promised. The world
// beneath asserts the rest for every commit.
type machine struct {
	*world
	dirs  []string
	pulls []int
}

func TestI1_I6_I10_RandomOperations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{
			world: newWorld(t, nil),
			dirs:  []string{"a", "b", "c", "d", "e"},
			pulls: []int{1, 2, 3, 12, 21},
		}
		t.Repeat(map[string]func(*rapid.T){
			"acquire": m.acquireAny,
			"release": m.releaseAny,
			"fence":   m.fenceAny,
		})
		m.drain(t)
	})
}

// The same with operations too big for one commit: some pull requests want
// everything there is, others one project of it each.
func TestI1_I10_RandomBigOperations(t *testing.T) {
	setFlag(t, "rapid.checks", "5") // each is some thousand commits
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{world: newWorld(t, nil), dirs: dirs("p", 130)}
		m.acquire(1, m.slice(t, OneCommit)...)
		m.acquire(2, m.slice(t, 20)...)
		for pull := range 55 {
			m.pulls = append(m.pulls, 100+pull)
			m.acquire(100+pull, m.slice(t, rapid.SampledFrom([]int{1, 1, 1, 2, 5}).Draw(t, "few"))...)
		}
		m.pulls = append(m.pulls, 1, 2, 3)
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			m.act(t, rapid.IntRange(1, 3).Draw(t, "pull"), m.slice(t, rapid.SampledFrom([]int{0, 1, 50, 97, 98}).Draw(t, "many")), nil)
		}
		for pull := range 3 {
			m.free(t, 1+pull, nil)
		}
	})
}

// setFlag sets a flag for the time of a test, unless somebody has set it.
func setFlag(t *testing.T, name, value string) {
	t.Helper()
	given := flag.Lookup(name)
	if given.Value.String() != given.DefValue {
		return
	}
	if err := flag.Set(given.Name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := flag.Set(given.Name, given.DefValue); err != nil {
			t.Error(err)
		}
	})
}

// slice returns n directories that follow each other.
func (m *machine) slice(t *rapid.T, n int) []string {
	from := rapid.IntRange(0, len(m.dirs)-n).Draw(t, "from")
	return m.dirs[from : from+n]
}

func (m *machine) acquireAny(t *rapid.T) {
	pull := rapid.SampledFrom(m.pulls).Draw(t, "pull")
	want := rapid.SliceOfNDistinct(rapid.SampledFrom(m.dirs), 0, 4, rapid.ID[string]).Draw(t, "want")
	keep := rapid.SliceOfN(rapid.SampledFrom(m.dirs), 0, 1).Draw(t, "keep")
	m.act(t, pull, want, keep)
}

// act acquires, in spite of commits that go wrong, and checks the outcome
// against the rows before.
func (m *machine) act(t *rapid.T, pull int, dirs, keep []string) {
	before := m.read(m.faulty.Store, repo)
	var list []Want
	for _, w := range wants(dirs...) {
		w.Keep = slices.Contains(keep, w.Key.Dir)
		list = append(list, w)
	}
	m.fault(t)
	out, err := m.Acquire(t.Context(), repo, pull, list)
	if errors.Is(err, storetest.ErrInjected) {
		m.faulty.Reset()
		out, err = m.Acquire(t.Context(), repo, pull, list)
	}
	m.faulty.Reset()
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	after := m.read(m.faulty.Store, repo)
	wanted := map[Key]Want{}
	for i, w := range list {
		wanted[w.Key] = w
		if now := after.rows[w.Key].Lock; now.Owner != out.Locks[i].Owner || now.Epoch != out.Locks[i].Epoch || out.Locks[i].Key != w.Key {
			t.Fatalf("the outcome says %+v, the row %+v", out.Locks[i], now)
		}
	}
	blocked := false
	for k, r := range after.rows {
		w, isWanted := wanted[k]
		switch {
		case !isWanted && r.Has(pull):
			t.Fatalf("#%d has %s, which it does not want", pull, k)
		case !isWanted:
		case out.Acquired && r.Owner != pull:
			t.Fatalf("I1: #%d acquired all, but #%d owns %s", pull, r.Owner, k)
		case !out.Acquired && r.Owner == pull && (!w.Keep || before.rows[k].Owner != pull):
			t.Fatalf("I1: #%d did not acquire all, but owns %s", pull, k)
		case !out.Acquired && r.Owner != pull && r.Place(pull) == 0:
			t.Fatalf("I10: #%d wants %s and neither owns it nor waits", pull, k)
		}
		blocked = blocked || isWanted && r.Owner != pull && r.Owner != 0
		if w.Keep && before.rows[k].Owner == pull && r.Owner != pull {
			t.Fatalf("#%d lost %s, which it keeps", pull, k)
		}
	}
	if !out.Acquired && !blocked {
		t.Fatalf("#%d waits for nobody", pull)
	}
	m.othersKeep(t, pull, before, after)
}

func (m *machine) releaseAny(t *rapid.T) {
	pull := rapid.SampledFrom(m.pulls).Draw(t, "pull")
	var keys []Key
	if rapid.Bool().Draw(t, "some") {
		keys = at(rapid.SliceOfN(rapid.SampledFrom(m.dirs), 0, 3).Draw(t, "keys")...)
	}
	m.free(t, pull, keys)
}

func (m *machine) free(t *rapid.T, pull int, keys []Key) {
	before := m.read(m.faulty.Store, repo)
	m.fault(t)
	_, err := m.Release(t.Context(), repo, pull, keys)
	if errors.Is(err, storetest.ErrInjected) {
		m.faulty.Reset()
		_, err = m.Release(t.Context(), repo, pull, keys)
	}
	m.faulty.Reset()
	if err != nil {
		t.Fatalf("Release: %v", err)
	}
	after := m.read(m.faulty.Store, repo)
	for k, was := range before.rows {
		in := keys == nil || slices.Contains(keys, k)
		now := after.rows[k]
		if in && now.Has(pull) {
			t.Fatalf("#%d still has %s", pull, k)
		}
		if !in && was.Owner == pull && now.Owner != pull {
			t.Fatalf("I6: #%d lost %s, which was not released", pull, k)
		}
		if !in && was.Place(pull) > 0 && !now.Has(pull) {
			t.Fatalf("I6: #%d left the queue of %s", pull, k)
		}
	}
	m.othersKeep(t, pull, before, after)
}

// othersKeep asserts that an operation of one pull request takes nothing from
// another: neither a lock nor a place.
func (m *machine) othersKeep(t *rapid.T, pull int, before, after *table) {
	for k, was := range before.rows {
		now := after.rows[k]
		if was.Owner != 0 && was.Owner != pull && (now.Owner != was.Owner || now.Epoch != was.Epoch) {
			t.Fatalf("I6: an operation of #%d took %s from #%d", pull, k, was.Owner)
		}
		for _, w := range was.Waiters {
			if w.Pull != pull && !now.Has(w.Pull) {
				t.Fatalf("I6: an operation of #%d took #%d out of the queue of %s", pull, w.Pull, k)
			}
		}
	}
}

func (m *machine) fenceAny(t *rapid.T) {
	pull := rapid.SampledFrom(m.pulls).Draw(t, "pull")
	keys := at(rapid.SliceOfNDistinct(rapid.SampledFrom(m.dirs), 1, 3, rapid.ID[string]).Draw(t, "keys")...)
	locks, err := m.Get(t.Context(), repo, keys)
	if err != nil {
		t.Fatal(err)
	}
	owns := !slices.ContainsFunc(locks, func(l Lock) bool { return l.Owner != pull })
	_, _, err = m.Fences(t.Context(), repo, pull, keys)
	if lost := new(NotOwnerError); owns && err != nil || !owns && !errors.As(err, &lost) {
		t.Fatalf("Fences for #%d on %v: %v", pull, locks, err)
	}
}

// fault makes one of the next commits go wrong, or none.
func (m *machine) fault(t *rapid.T) {
	if kind := rapid.SampledFrom([]storetest.Fault{storetest.None, storetest.None, storetest.Before, storetest.After}).Draw(t, "fault"); kind != storetest.None {
		m.faulty.Fail(rapid.IntRange(1, 3).Draw(t, "at commit"), kind)
	}
}

// drain lets every pull request end, owners first, and asserts that everybody
// who waited was served meanwhile and nothing is left.
func (m *machine) drain(t *rapid.T) {
	for round := 0; ; round++ {
		locks, err := m.List(t.Context(), repo)
		if err != nil {
			t.Fatal(err)
		}
		if len(locks) == 0 {
			return
		}
		i := slices.IndexFunc(locks, func(l Lock) bool { return l.Owner != 0 })
		if i < 0 || round > 1000 {
			t.Fatalf("I10: these wait and nobody owns anything:\n%s", m.state(repo))
		}
		m.free(t, locks[i].Owner, nil)
	}
}

// 64 contenders in four processes want overlapping sets, again and again, on
// every engine, while one commit in ten goes wrong.
func TestI1_Contenders(t *testing.T) {
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			rounds := map[bool]int{true: 1, false: 3}[name == "dynamodb"] // a commit there takes long
			contend(t, open(t), rounds)
		})
	}
}

var engines = map[string]func(*testing.T) store.Store{
	"memory": func(*testing.T) store.Store { return storetest.Memory() },
	"bolt": func(t *testing.T) store.Store {
		file, err := bolt.Open(filepath.Join(t.TempDir(), "weir.db"), bolt.NoSync())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := file.Close(); err != nil {
				t.Error(err)
			}
		})
		return file
	},
	"dynamodb": func(t *testing.T) store.Store {
		address := "dynamodb://weir-" + crand.Text() + "?region=eu-west-1&endpoint=" + url.QueryEscape(services.Dynamo(t))
		if err := dynamo.Init(t.Context(), address); err != nil {
			t.Fatal(err)
		}
		s, err := dynamo.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	},
}

func contend(t *testing.T, s store.Store, rounds int) {
	w := newWorld(t, s)
	w.faulty.Plan = func(int, []store.Write) storetest.Fault {
		return map[int]storetest.Fault{0: storetest.Before, 1: storetest.After}[rand.IntN(20)]
	}
	processes := []*Locks{w.Locks, w.another(), w.another(), w.another()}
	for i, l := range processes {
		l.small = []int{0, 4}[i%2] // half of them change nearly everything by intents
	}
	all := dirs("p", 12)
	var holders sync.Map // by directory: who works there now
	work := func(l *Locks, pull int, out Outcome, want []Want) error {
		checks, _, err := l.Fences(t.Context(), repo, pull, keysOf(want))
		if errors.Is(err, storetest.ErrInjected) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, o := range want {
			if other, busy := holders.LoadOrStore(o.Key, pull); busy {
				return fmt.Errorf("I1: #%d and #%d work in %s", pull, other, o.Key)
			}
		}
		mark := store.Write{Key: store.Key{Partition: "work", Sort: fmt.Sprint(pull, " ", out.Locks[0].Epoch)}}
		err = w.faulty.Commit(t.Context(), append(checks, mark)...)
		if conflict := new(store.ConflictError); errors.As(err, &conflict) {
			err = nil // somebody came to wait
		}
		if errors.Is(err, storetest.ErrInjected) {
			err = nil
		}
		for _, o := range want {
			holders.Delete(o.Key)
		}
		return err
	}
	var wg sync.WaitGroup
	for n := range 64 {
		wg.Go(func() {
			l, pull := processes[n%4], n+1
			for range rounds {
				from, size := rand.IntN(len(all)-4), 1+rand.IntN(4)
				want := wants(all[from : from+size]...)
				out, err := insist(func() (Outcome, error) { return l.Acquire(t.Context(), repo, pull, want) })
				if err != nil {
					t.Error(err)
					return
				}
				if out.Acquired {
					if err := work(l, pull, out, want); err != nil {
						t.Error(err)
					}
				}
				if _, err := insist(func() (Outcome, error) { return l.Release(t.Context(), repo, pull, nil) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	w.want("")
}

// insist does an operation until no injected fault ends it.
func insist(op func() (Outcome, error)) (Outcome, error) {
	for {
		if out, err := op(); !errors.Is(err, storetest.ErrInjected) {
			return out, err
		}
	}
}
