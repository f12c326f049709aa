package meter

import (
	"context"
	"sync"
	"time"
)

// askTime bounds one question: a page waits for its answer.
const askTime = 3 * time.Second

// Count is a number that it costs something to ask for, such as a call to AWS.
// Its methods are safe for concurrent use; the fields must not change after the
// first call.
type Count struct {
	// Ask finds the number out. It is never called twice at the same time,
	// and given up after three seconds.
	Ask func(context.Context) (int, error)

	// Keep is how long an answer is good enough, also one that is an error.
	// With 0 an answer is only for those who wanted one when it was asked for.
	Keep time.Duration

	// Gap is the least time between two questions. Who comes earlier, and to
	// whom no older answer is good enough, waits.
	Gap time.Duration

	init  sync.Once
	turn  chan struct{} // held by who asks
	asked time.Time
	n     int
	err   error
}

// Get returns the number, asking for it if no answer is good enough. A caller
// that goes away does not spoil the answer for others.
func (c *Count) Get(ctx context.Context) (int, error) {
	came := time.Now()
	c.init.Do(func() { c.turn = make(chan struct{}, 1) })
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if !c.asked.IsZero() && c.asked.After(came.Add(-c.Keep)) {
		return c.n, c.err
	}
	if wait := c.Gap - time.Since(c.asked); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	c.asked = time.Now()
	c.n, c.err = c.Ask(ask)
	return c.n, c.err
}
