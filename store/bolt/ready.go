package bolt

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// probeEvery is how long the answer of Ready is good for.
const probeEvery = time.Second

// probe remembers when writing was last seen to work or to fail.
type probe struct {
	lastWrite atomic.Int64  // unix nanoseconds of the last successful transaction
	turn      chan struct{} // held by the one who tries
	failedAt  time.Time     // of the last try that failed; belongs to the holder of turn
	failure   error         // what it failed on; belongs to the holder of turn
}

// wrote notes that a transaction has succeeded just now, and failed that one
// has not, so that Ready tries again.
func (p *probe) wrote()  { p.lastWrite.Store(time.Now().UnixNano()) }
func (p *probe) failed() { p.lastWrite.Store(0) }

// Ready writes to the file and says what came of it. It writes at most once a
// second, and not at all if a commit has succeeded within that time, so that
// asking often costs nothing.
func (s *Store) Ready(ctx context.Context) error {
	err := s.ready(ctx)
	if err != nil {
		return fmt.Errorf("store %s cannot be written: %w", s.path, err)
	}
	return nil
}

func (s *Store) ready(ctx context.Context) error {
	select {
	case <-s.closing:
		return ErrClosed
	default:
	}
	if err := s.writable(); err != nil {
		return err
	}
	if fresh(time.Unix(0, s.probe.lastWrite.Load())) {
		return nil
	}
	select {
	case s.probe.turn <- struct{}{}:
		defer func() { <-s.probe.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if fresh(time.Unix(0, s.probe.lastWrite.Load())) {
		return nil // whoever had the turn before has succeeded
	}
	if fresh(s.probe.failedAt) {
		return s.probe.failure
	}
	r := &request{ctx: ctx, probe: true, done: make(chan struct{})}
	if err := s.enqueue(r); err != nil {
		return err
	}
	select {
	case <-r.done:
	case <-ctx.Done(): // the disk hangs; that says nothing yet about the next try
		return ctx.Err()
	}
	if r.err != nil && ctx.Err() == nil {
		s.probe.failedAt, s.probe.failure = time.Now(), r.err
	}
	return r.err
}

func fresh(t time.Time) bool {
	age := time.Since(t)
	return age >= 0 && age < probeEvery
}
