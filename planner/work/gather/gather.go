// Package gather lets callers that come while something is being done share
// the next time.
package gather

import (
	"context"
	"sync"
)

// Group does something for one or more items at a time. The fields must not
// change after the first Add.
type Group[T any] struct {
	// Fit returns how many of those that wait can be done at once, from the
	// first on; at least one.
	Fit func(waiting []T) int

	// Do does it. It is never called twice at the same time.
	Do func(ctx context.Context, items []T)

	mu      sync.Mutex
	waiting []T
	busy    bool
}

// Add has an item done and does not wait for it. Do gets the values of the
// context of one of those that came, and not its end.
func (g *Group[T]) Add(ctx context.Context, item T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, item)
	if !g.busy {
		g.busy = true
		go g.work(context.WithoutCancel(ctx))
	}
}

func (g *Group[T]) work(ctx context.Context) {
	for {
		g.mu.Lock()
		if len(g.waiting) == 0 {
			g.busy = false
			g.mu.Unlock()
			return
		}
		n := g.Fit(g.waiting)
		items := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		g.mu.Unlock()
		g.Do(ctx, items)
	}
}
