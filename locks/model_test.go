package locks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"weir/store"
	"weir/store/storetest"
)

// The model: some processes work on one store, each one operation after the
// other. Every call to the store stops before it happens, and rapid draws which
// one goes on, and how a commit ends. So it explores how the steps of the
// processes can come one after the other, at the grain of single calls, where a
// commit can
//
//   - fail and not happen,
//   - happen and be answered with an error,
//   - be answered with an error and happen later, at any time, or never,
//   - wait for as long as all the others take for everything that they do.
//
// An operation that ended with an error is either done again at once, or given
// up as by a crash, and done again by another process in the end.
//
// Commits hold only a few writes here, so that most operations that change
// something need an intent.

// errLate is the answer to a commit of which nobody knows whether it happens.
var errLate = errors.New("no answer")

// call is a call to the store that waits to go on.
type call struct {
	process int
	commit  []store.Write // nil: a read
	how     chan ending
}

type ending int

const (
	happens ending = iota
	failsBefore
	failsAfter
	noAnswer
)

// stage is the store of one process.
type stage struct {
	store.Store

	model   *model
	process int
}

func (s *stage) wait(writes []store.Write) ending {
	if s.model.free.Load() {
		return happens
	}
	c := &call{process: s.process, commit: writes, how: make(chan ending)}
	s.model.mu.Lock()
	s.model.calls = append(s.model.calls, c)
	s.model.mu.Unlock()
	return <-c.how
}

func (s *stage) Get(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	s.wait(nil)
	return s.Store.Get(ctx, keys...)
}

func (s *stage) List(ctx context.Context, partition, prefix string, page store.Page) ([]store.Record, string, error) {
	s.wait(nil)
	return s.Store.List(ctx, partition, prefix, page)
}

func (s *stage) Commit(ctx context.Context, writes ...store.Write) error {
	switch s.wait(writes) {
	case failsBefore:
		return storetest.ErrInjected
	case failsAfter:
		if err := s.Store.Commit(ctx, writes...); err != nil {
			return err
		}
		return storetest.ErrInjected
	case noAnswer:
		s.model.mu.Lock()
		defer s.model.mu.Unlock()
		s.model.late = append(s.model.late, writes)
		return errLate
	}
	return s.Store.Commit(ctx, writes...)
}

// operation is what one process does for one pull request.
type operation struct {
	Repo  string
	Kind  string // "acquire", "release", "release all" or "work", which is what an apply does
	Pull  int
	Want  []Want
	Again bool // after an error it is done again, otherwise given up

	from, to int // how many commits there were before and after it
	out      Outcome
	err      error
}

func (o *operation) String() string {
	names := []string{}
	for _, w := range o.Want {
		names = append(names, w.Key.Dir+map[bool]string{true: "!"}[w.Keep]+"="+w.State)
	}
	return fmt.Sprintf("%s %s#%d %s", o.Kind, o.Repo, o.Pull, strings.Join(names, " "))
}

// GoString is what rapid shows.
func (o *operation) GoString() string {
	return o.String() + map[bool]string{true: " (again after an error)"}[o.Again]
}

type model struct {
	*world
	past *history
	free atomic.Bool // calls do not stop any more

	mu    sync.Mutex
	calls []*call
	late  [][]store.Write
	ended int
}

func (m *model) do(l *Locks, o *operation) {
	ctx := m.Context()
	for range 5 {
		o.from = m.past.len()
		switch o.Kind {
		case "acquire":
			o.out, o.err = l.Acquire(ctx, o.Repo, o.Pull, o.Want)
		case "release":
			o.out, o.err = l.Release(ctx, o.Repo, o.Pull, keysOf(o.Want))
		case "release all":
			o.out, o.err = l.Release(ctx, o.Repo, o.Pull, nil)
		case "work":
			o.err = m.work(ctx, l, o)
		}
		o.to = m.past.len()
		if o.err == nil || !o.Again {
			return
		}
	}
}

// work writes what may only be written by the owner of the locks.
func (m *model) work(ctx context.Context, l *Locks, o *operation) error {
	checks, rows, err := l.Fences(ctx, o.Repo, o.Pull, keysOf(o.Want))
	if lost := new(NotOwnerError); errors.As(err, &lost) || len(rows) == 0 && err == nil {
		return nil
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.ended++
	mark := fmt.Sprintf("%s %d", o, m.ended)
	m.mu.Unlock()
	err = l.Store.Commit(ctx, append(checks, store.Write{Key: store.Key{Partition: "work", Sort: mark}, Body: fmt.Append(nil, o.Pull, rows)})...)
	if err == nil || store.IsConflict(err) {
		return nil
	}
	return err
}

func drawOperation(t *rapid.T) *operation {
	o := &operation{
		Repo:  rapid.SampledFrom([]string{repo, repo, "acme/other"}).Draw(t, "repo"),
		Kind:  rapid.SampledFrom([]string{"acquire", "work", "release all", "release"}).Draw(t, "kind"),
		Pull:  rapid.SampledFrom([]int{1, 1, 2, 2, 3}).Draw(t, "pull"),
		Again: rapid.Bool().Draw(t, "again"),
	}
	all, most := dirs("p", 9), 9
	switch {
	case o.Kind == "release all":
		return o
	case o.Kind == "work":
		most = 2
	case rapid.Bool().Draw(t, "everything"):
		o.Want = wants(all...)
	}
	if o.Want == nil {
		o.Want = wants(rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, most, rapid.ID[string]).Draw(t, "projects")...)
	}
	if o.Kind == "acquire" && len(o.Want) > 0 {
		o.Want[0].Keep = rapid.Bool().Draw(t, "keep")
		o.Want[len(o.Want)-1].State = rapid.SampledFrom([]string{"", "X", "Y"}).Draw(t, "state")
	}
	return o
}

// bubble is a test in a synctest bubble, where nobody may ask for its deadline.
type bubble struct{ *testing.T }

func TestI1_I10_Model(t *testing.T) {
	checks := "250"
	if os.Getenv("WEIR_CHAOS") != "" {
		checks = "15000"
	}
	setFlag(t, "rapid.checks", checks)
	setFlag(t, "rapid.shrinktime", "30m") // by the clock of the bubble
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubble{t}, func(t *rapid.T) { runModel(t) })
	})
}

func runModel(t *rapid.T) {
	m := &model{past: &history{Store: storetest.Memory()}}
	m.world = newWorld(t, m.past)
	process := func(n int) *Locks {
		l := m.another()
		l.small = 6
		l.Store = &stage{Store: m.faulty, model: m, process: n}
		return l
	}
	var all []*operation
	if rapid.Bool().Draw(t, "#1 has everything") {
		m.acquire(1, dirs("p", 9)...)
	}
	lists := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(drawOperation), 1, 4), 1, 3).Draw(t, "operations of each process")
	running := len(lists)
	var wg sync.WaitGroup
	for n, list := range lists {
		all = append(all, list...)
		wg.Go(func() {
			l := process(n)
			for _, o := range list {
				m.do(l, o)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			running--
		})
	}
	defer func() { // also when rapid gives up in the middle
		m.letGo()
		wg.Wait()
	}()
	for range 2000 {
		synctest.Wait()
		m.mu.Lock()
		slices.SortFunc(m.calls, func(a, b *call) int { return a.process - b.process })
		waiting, late, left := len(m.calls), len(m.late), running
		m.mu.Unlock()
		if left == 0 {
			break
		}
		if waiting < left { // some wait for their next try
			if waiting+late == 0 || rapid.IntRange(0, 3).Draw(t, "time passes") == 0 {
				<-time.After(2 * maxWait)
				continue
			}
		}
		switch i := rapid.IntRange(0, waiting+late-1).Draw(t, "goes on"); {
		case i < waiting:
			how := happens
			if m.calls[i].commit != nil {
				how = rapid.SampledFrom([]ending{happens, happens, happens, happens, failsBefore, failsAfter, noAnswer}).Draw(t, "ending")
			}
			m.take(i) <- how
		default:
			m.happenLate(i - waiting)
		}
	}
	m.letGo()
	wg.Wait()
	for rapid.Bool().Draw(t, "late") && len(m.late) > 0 {
		m.happenLate(rapid.IntRange(0, len(m.late)-1).Draw(t, "which"))
	}
	m.finish(t, all)
}

// take returns where the i-th call waits.
func (m *model) take(i int) chan<- ending {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.calls[i]
	m.calls = slices.Delete(m.calls, i, i+1)
	return c.how
}

// letGo lets everything go on to its end without a stop.
func (m *model) letGo() {
	m.free.Store(true)
	synctest.Wait()
	for len(m.calls) > 0 {
		m.take(0) <- happens
	}
}

// happenLate lets a commit happen that was answered long ago, if it still can.
func (m *model) happenLate(i int) {
	writes := m.late[i]
	m.late = slices.Delete(m.late, i, i+1)
	if err := m.faulty.Commit(m.Context(), writes...); err != nil && !store.IsConflict(err) {
		m.Errorf("late commit: %v", err)
	}
}

// finish does again what was given up, ends every pull request, and judges what
// happened by the history of all commits.
func (m *model) finish(t *rapid.T, all []*operation) {
	other := m.another()
	for _, o := range all {
		if o.err != nil && !errors.Is(o.err, storetest.ErrInjected) && !errors.Is(o.err, errLate) {
			t.Errorf("%v: %v", o, o.err)
		}
		if o.err != nil {
			m.do(other, o)
		}
		if o.err != nil {
			t.Errorf("%v, once more: %v", o, o.err)
		}
	}
	for _, name := range []string{repo, "acme/other"} {
		for pull := range 3 {
			if _, err := other.Release(t.Context(), name, pull+1, nil); err != nil {
				t.Errorf("release %s#%d: %v", name, pull+1, err)
			}
		}
	}
	for _, name := range []string{repo, "acme/other"} {
		if got := m.state(name); got != "" {
			t.Errorf("left in %s:\n%s", name, got)
		}
	}
	moments, broken, err := m.past.replay(t.Context())
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, b := range broken {
		t.Errorf("I1: %s", b)
	}
	for _, o := range all {
		if o.Kind == "work" {
			continue
		}
		if !slices.ContainsFunc(moments[o.from:o.to+1], o.holds) {
			t.Errorf("%v came to %+v, which was true at no moment", o, o.out)
		}
	}
	for i, writes := range m.past.commits {
		for _, w := range writes {
			if w.Key.Partition != "work" {
				continue
			}
			for _, o := range all {
				if strings.HasPrefix(w.Key.Sort, o.String()+" ") && slices.ContainsFunc(o.Want, func(w Want) bool { return moments[i][place{o.Repo, w.Key}].Owner != o.Pull }) {
					t.Errorf("I1: %v worked without its locks", o)
				}
			}
		}
	}
}

// holds reports whether what an operation answered was so at a moment.
func (o *operation) holds(at moment) bool {
	if o.Kind != "acquire" {
		for p, l := range at {
			if p.repo == o.Repo && (o.Kind == "release all" || slices.ContainsFunc(o.Want, func(w Want) bool { return w.Key == p.Key })) && l.Has(o.Pull) {
				return false
			}
		}
		return true
	}
	for i, w := range o.Want {
		is, said := at[place{o.Repo, w.Key}], o.out.Locks[i]
		switch {
		case is.Owner != said.Owner || is.Epoch != said.Epoch || said.Key != w.Key:
			return false
		case o.out.Acquired && is.Owner != o.Pull:
			return false
		case !o.out.Acquired && is.Owner == o.Pull && !w.Keep, !o.out.Acquired && is.Owner != o.Pull && is.Place(o.Pull) == 0:
			return false
		}
	}
	return true
}
