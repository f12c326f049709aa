package meter

import (
	"context"
	"sync"
	"time"
)

// askTime bounds one question: a page waits for its answer.
const askTime = 3 * time.Second

// Cached is an answer that it costs something to ask for, such as a call to
// AWS or reading much of the store. Its methods are safe for concurrent use;
// the fields must not change after the first call.
type Cached[T any] struct {
	// Ask finds the answer out. It is never called twice at the same time,
	// and given up after three seconds.
	Ask func(context.Context) (T, error)

	// Keep is how long an answer is good enough, also one that is an error.
	// With 0 an answer is only for those who wanted one when it was asked for.
	Keep time.Duration

	// Gap is the least time between two questions. Who comes earlier, and to
	// whom no older answer is good enough, waits.
	Gap time.Duration

	init  sync.Once
	turn  chan struct{} // held by who asks
	asked time.Time
	last  T
	err   error
}

// Count is a number of something.
type Count = Cached[int]

// Get returns the answer, asking for it if none is good enough. Callers share
// it: what it points to must not be changed. A caller that goes away does not
// spoil the answer for others.
func (c *Cached[T]) Get(ctx context.Context) (T, error) {
	var none T
	came := time.Now()
	c.init.Do(func() { c.turn = make(chan struct{}, 1) })
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return none, ctx.Err()
	}
	if !c.asked.IsZero() && c.asked.After(came.Add(-c.Keep)) {
		return c.last, c.err
	}
	if wait := c.Gap - time.Since(c.asked); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	c.asked = time.Now()
	c.last, c.err = c.Ask(ask)
	return c.last, c.err
}
