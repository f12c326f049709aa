package server

import (
	"context"
	"time"

	"weir/server/meter"
	"weir/templates"
)

// How often others are asked for what /metrics and the pages show.
const (
	keepDead   = 45 * time.Second       // a call to SQS
	gapPending = 250 * time.Millisecond // a query of a table that others use too
)

// newMeter makes the metrics; dead is nil without a dispatch queue.
func (s *Server) newMeter(dead func(context.Context) (int, error)) {
	s.pending = &meter.Count{Ask: s.queue.Pending}
	if s.cfg.Shared() {
		s.pending.Gap = gapPending
	}
	if dead != nil {
		s.dead = &meter.Count{Keep: keepDead, Ask: func(ctx context.Context) (int, error) {
			n, err := dead(ctx)
			if err != nil {
				s.log.Warn("dead letters cannot be counted", "err", err)
			}
			return n, err
		}}
	}
	s.metrics = meter.New(s.pending, s.dead)
}

// deadLetters says how the dead-letter queue is; nothing without a queue.
func (s *Server) deadLetters(ctx context.Context) []templates.Health {
	if s.dead == nil {
		return nil
	}
	n, err := s.dead.Get(ctx)
	return []templates.Health{templates.DeadLetters(n, err)}
}
