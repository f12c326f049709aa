package work

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/store"
)

var errDown = errors.New("the queue of messages is down")

// letter is one message in a fifo.
type letter struct {
	line  string
	until time.Time // hidden from all until then
	owner *mortal   // who has it
}

// fifo is what SQS FIFO is to replicas: a message at a time for each line, in
// their order, hidden while somebody has it, and each id once.
type fifo struct {
	mu      sync.Mutex
	letters []*letter
	ids     map[string]bool
	down    bool
	lose    bool // takes messages and never hands them out
	double  bool // hands out each twice, at the same time
}

// mailbox is a fifo as one replica sees it; a dead one does nothing any more.
type mailbox struct {
	*fifo
	*mortal
}

const hidden = 30 * time.Second

func (f *fifo) set(change func(*fifo)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (m mailbox) Send(_ context.Context, line, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down || m.dead.Load() {
		return errDown
	}
	if m.lose || m.ids[id] {
		return nil
	}
	if m.ids == nil {
		m.ids = map[string]bool{}
	}
	m.ids[id] = true
	m.letters = append(m.letters, &letter{line: line})
	if m.double {
		m.letters = append(m.letters, &letter{line: line})
	}
	return nil
}

func (m mailbox) Receive(ctx context.Context) (string, error) {
	for range 200 { // 20 seconds
		line, err := m.take()
		if line != "" || err != nil {
			return line, err
		}
		if sleep(ctx, 100*time.Millisecond) != nil {
			return "", ctx.Err()
		}
	}
	return "", nil
}

func (m mailbox) take() (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down || m.dead.Load() {
		return "", errDown
	}
	busy := map[string]bool{}
	for _, l := range m.letters {
		if l.owner != nil && l.owner.dead.Load() { // who lives extends it
			l.owner, l.until = nil, time.Now().Add(hidden)
		}
		if l.owner == nil && !time.Now().Before(l.until) && (!busy[l.line] || m.double) {
			l.owner = m.mortal
			return l.line, nil
		}
		busy[l.line] = true
	}
	return "", nil
}

func (m mailbox) Done(line string)   { m.let(line, true) }
func (m mailbox) Return(line string) { m.let(line, false) }

func (m mailbox) let(line string, done bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down || m.dead.Load() {
		return
	}
	m.letters = slices.DeleteFunc(m.letters, func(l *letter) bool {
		if l.line != line || l.owner != m.mortal {
			return false
		}
		l.owner, l.until = nil, time.Time{}
		return done
	})
}

// replica is one process on a store that others use too.
type replica struct {
	*mortal
	q    *Queue
	stop func()
}

// cluster starts replicas on one store, with news if f is not nil. Each does at
// most so many jobs at once.
func cluster(t *testing.T, s store.Store, f *fifo, n, workers int, do func(ctx context.Context, q *Queue, j Job) error) []*replica {
	t.Helper()
	all := make([]*replica, n)
	for i := range all {
		m := &mortal{Store: s}
		q := &Queue{Store: m, Worker: fmt.Sprint("r", i), Drain: time.Second}
		if f != nil {
			q.Dispatch = mailbox{f, m}
		}
		all[i] = &replica{mortal: m, q: q}
		all[i].stop = sync.OnceFunc(start(t, q, workers, func(ctx context.Context, j Job) error { return do(ctx, q, j) }))
	}
	return all
}

func stopAll(all []*replica) {
	for _, r := range all {
		r.stop()
	}
}

// everyWay runs a test without news and with.
func everyWay(t *testing.T, test func(t *testing.T, f *fifo)) {
	t.Run("polls", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, nil) }) })
	t.Run("news", func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, &fifo{}) }) })
}
