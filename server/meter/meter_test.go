package meter

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// source counts how often it is asked, and answers with that.
type source struct {
	asked int
	takes time.Duration
	err   error
}

func (s *source) ask(ctx context.Context) (int, error) {
	s.asked++
	if s.takes > 0 {
		t := time.NewTimer(s.takes)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return s.asked, s.err
}

func want(t *testing.T, c *Count, n int, err error) {
	t.Helper()
	if got, gotErr := c.Get(t.Context()); got != n || !errors.Is(gotErr, err) {
		t.Errorf("got %d, %v; want %d, %v", got, gotErr, n, err)
	}
}

func pass(d time.Duration) { <-time.After(d) }

func TestCountKeepsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		c := &Count{Ask: s.ask, Keep: 30 * time.Second}
		want(t, c, 1, nil)
		pass(29 * time.Second)
		want(t, c, 1, nil)
		pass(time.Second)
		want(t, c, 2, nil)
		// What goes wrong is not asked for again at once either.
		s.err = errors.New("away")
		pass(30 * time.Second)
		want(t, c, 3, s.err)
		pass(29 * time.Second)
		want(t, c, 3, s.err)
		before := s.err
		s.err = nil
		want(t, c, 3, before)
		pass(time.Second)
		want(t, c, 4, nil)
	})
}

// An answer that is older than the question would say "nothing to do" of a job
// that has just come.
func TestCountIsNeverOlderThanTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		c := &Count{Ask: s.ask, Gap: time.Second}
		began := time.Now()
		for n := range 5 {
			pass(time.Millisecond)
			want(t, c, n+1, nil)
		}
		if took := time.Since(began); took != 4*time.Second+time.Millisecond {
			t.Errorf("five questions took %v, want a second between two", took)
		}

		// Those who wait together share the next.
		var all sync.WaitGroup
		before := s.asked
		for range 20 {
			all.Go(func() { want(t, c, before+1, nil) })
		}
		all.Wait()

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Get(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that went away got %v", err)
		}
		if s.asked != before+1 {
			t.Errorf("asked %d times for 21 callers", s.asked-before)
		}
	})
}

func TestCountGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: time.Hour}
		c := &Count{Ask: s.ask, Keep: time.Minute}
		began := time.Now()
		want(t, c, 0, context.DeadlineExceeded)
		want(t, c, 0, context.DeadlineExceeded)
		if took := time.Since(began); took != askTime {
			t.Errorf("two callers waited %v for one question, want %v", took, askTime)
		}

		// A caller that goes away does not spoil it for the next.
		s.takes = time.Second
		pass(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if n, err := c.Get(ctx); n != 2 || err != nil {
			t.Errorf("got %d, %v; want 2", n, err)
		}
		want(t, c, 2, nil)
	})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	fixed := func(n int, err error) *Count {
		return &Count{Ask: func(context.Context) (int, error) { return n, err }}
	}
	for _, c := range []struct {
		name          string
		pending, dead *Count
		want, not     []string
	}{
		{"no queue", fixed(3, nil), nil, []string{"\nweir_jobs_pending 3\n"}, []string{"weir_dispatch_dead"}},
		{"a queue", fixed(0, nil), fixed(2, nil), []string{"\nweir_jobs_pending 0\n", "\nweir_dispatch_dead 2\n"}, nil},
		{"nobody answers", fixed(5, errors.New("away")), fixed(5, errors.New("away")), []string{"\nweir_jobs_pending -1\n", "\nweir_dispatch_dead -1\n"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New(c.pending, c.dead)
			m.Delivery("push", 202)
			m.Job("plan", nil, time.Second)
			m.Job("plan", errors.New("ours"), time.Second)
			m.Call("GET", "/user", 200, time.Millisecond)
			w := httptest.NewRecorder()
			m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			text := w.Body.String()
			for _, s := range append(c.want,
				`weir_deliveries_total{event="push",status="202"} 1`, `weir_jobs_total{kind="plan",outcome="done"} 1`,
				`weir_jobs_total{kind="plan",outcome="error"} 1`, `weir_job_seconds_count{kind="plan"} 2`,
				`weir_github_calls_total{method="GET",route="/user",status="200"} 1`) {
				if !strings.Contains(text, s) {
					t.Errorf("no %q in\n%s", s, text)
				}
			}
			for _, s := range c.not {
				if strings.Contains(text, s) {
					t.Errorf("there is a %q", s)
				}
			}
		})
	}
}
