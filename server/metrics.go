package server

import (
	"context"
	"fmt"
	"time"

	"weir/server/issues"
	"weir/server/meter"
	"weir/templates"
)

// How often others are asked for what /metrics and the pages show.
const (
	keepDead   = 45 * time.Second       // a call to SQS
	keepDrift  = time.Minute            // reads what is known of all projects
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
	s.metrics.Drift(&meter.Cached[[]meter.DriftProject]{Keep: keepDrift, Ask: func(ctx context.Context) ([]meter.DriftProject, error) {
		return issues.Meter(ctx, s.store)
	}})
}

// deadLetters says how the dead-letter queue is; nothing without a queue.
func (s *Server) deadLetters(ctx context.Context) []templates.Health {
	if s.dead == nil {
		return nil
	}
	h := templates.Health{Name: "Dispatch", Tone: "wait"}
	n, err := s.dead.Get(ctx)
	switch {
	case err != nil:
		h.Text = "the dead-letter queue cannot be read; the server's log says why. Jobs do not depend on it."
	case n > 0:
		h.Text = fmt.Sprintf("the dead-letter queue holds about %d: news of work that came back again and again. weir has lost nothing, "+
			"because what there is to do stands in the store. Look what it was, and empty the queue: `docs/operations.md` says how under “Dead letters”.", n)
	default:
		h.Tone, h.Text = "good", "no dead letters"
	}
	return []templates.Health{h}
}
