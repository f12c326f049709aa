package child

import (
	"context"
	"slices"
	"sync"
)

// places are what commands need to run: so many, and of them no more than some
// for commands that can wait. Who waits longest is served first, but who can
// wait only when nobody else does, nor is about to: a run that has begun is
// between two commands when it has no place.
type places struct {
	mu      sync.Mutex
	free    int
	later   int // of the free ones, how many those may have that can wait
	runs    int // that have begun and cannot wait
	busy    int // places of commands that cannot wait
	waiting [2][]chan struct{}
}

// begin says that a run has begun that cannot wait. It returns what ends it.
func (p *places) begin() (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runs++
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.runs--
		p.serve()
	})
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
	} else {
		p.busy--
	}
	p.serve()
}

// serve hands out what is free. It is called with mu held.
func (p *places) serve() {
	next := func(line int) {
		close(p.waiting[line][0])
		p.waiting[line] = p.waiting[line][1:]
		p.free--
	}
	for p.free > 0 && len(p.waiting[0]) > 0 {
		next(0)
		p.busy++
	}
	for p.free > max(p.runs-p.busy, 0) && p.later > 0 && len(p.waiting[1]) > 0 {
		next(1)
		p.later--
	}
}
