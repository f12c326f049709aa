package work

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

var errDown = errors.New("the queue of messages is down")

// letter is one message in a fifo.
type letter struct {
	line  string
	until time.Time // hidden from all until then
	owner *mailbox  // who received it last
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
	sent    int
	got     int
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
	m.sent++
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
		free := !time.Now().Before(l.until)
		if free && (!busy[l.line] || m.double) {
			l.owner, l.until = &m, time.Now().Add(hidden)
			m.got++
			go m.extend(l)
			return l.line, nil
		}
		busy[l.line] = true
	}
	return "", nil
}

// extend keeps a letter hidden for as long as its owner lives and has it.
func (m *mailbox) extend(l *letter) {
	for {
		pass(hidden / 3)
		m.mu.Lock()
		if l.owner != m || m.dead.Load() || m.down {
			m.mu.Unlock()
			return
		}
		l.until = time.Now().Add(hidden)
		m.mu.Unlock()
	}
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
		if l.line != line || l.owner == nil || l.owner.mortal != m.mortal {
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

// cluster starts replicas on one store, with news unless f is nil.
func cluster(t *testing.T, n, workers int, f *fifo, s *mortal, do func(q *Queue, ctx context.Context, j Job) error) []*replica {
	t.Helper()
	var all []*replica
	for range n {
		m := &mortal{Store: s}
		q := &Queue{Store: m, Lease: 30 * time.Second}
		if f != nil {
			q.Dispatch = mailbox{f, m}
		}
		stop := start(t, q, workers, func(ctx context.Context, j Job) error { return do(q, ctx, j) })
		all = append(all, &replica{m, q, stop})
	}
	t.Cleanup(func() {})
	return all
}
