package child

import (
	"context"
	"slices"
	"sync"
)

// places are what commands need to run: so many, and of them no more than some
// for commands that can wait. Who waits longest is served first, but who can
// wait only when nobody else does.
type places struct {
	mu      sync.Mutex
	free    int
	later   int // of the free ones, how many those may have that can wait
	waiting [2][]chan struct{}
}

// lineOf is where a command waits.
func lineOf(later bool) int {
	if later {
		return 1
	}
	return 0
}

// take waits for a place, until ctx ends.
func (p *places) take(ctx context.Context, later bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	line := lineOf(later)
	mine := make(chan struct{})
	p.mu.Lock()
	p.waiting[line] = append(p.waiting[line], mine)
	p.serve()
	p.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting[line], mine); i >= 0 {
		p.waiting[line] = slices.Delete(p.waiting[line], i, i+1)
	} else { // it was given at the same moment
		p.put(later)
	}
	return context.Cause(ctx)
}

// give returns a place.
func (p *places) give(later bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.put(later)
}

// put is give with mu held.
func (p *places) put(later bool) {
	p.free++
	if later {
		p.later++
	}
	p.serve()
}

// serve hands out what is free. It is called with mu held.
func (p *places) serve() {
	for line, left := range []*int{nil, &p.later} {
		for p.free > 0 && len(p.waiting[line]) > 0 && (left == nil || *left > 0) {
			close(p.waiting[line][0])
			p.waiting[line] = p.waiting[line][1:]
			p.free--
			if left != nil {
				*left--
			}
		}
	}
}
