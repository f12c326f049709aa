package cloudtrail

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// interval keeps requests to the two a second that LookupEvents allows an
	// account and region (AWS CloudTrail API Reference), with some room for
	// requests that the network brings together.
	interval = 550 * time.Millisecond
	// maxQueue is how many requests wait for one account and region, about
	// half a minute.
	maxQueue = 60
	// setback is how long nothing is sent after a request was one too many:
	// somebody else asks too.
	setback = 2 * time.Second
)

// errBusy means that too many requests wait already.
var errBusy = errors.New("too many questions wait for CloudTrail")

// pace spaces requests, apart for each place. The zero value is ready.
type pace struct {
	mu   sync.Mutex
	next map[place]time.Time // when the next request may be sent
}

// wait returns when a request may be sent, or errBusy at once, or the context's
// error once that has ended. A wait that ended early gives its turn back if
// nobody has come after it.
func (p *pace) wait(ctx context.Context, where place) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	turn, err := p.turn(where)
	if err != nil {
		return err
	}
	timer := time.NewTimer(time.Until(turn))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.next[where].Equal(turn.Add(interval)) {
			p.next[where] = turn
		}
		return context.Cause(ctx)
	}
}

func (p *pace) turn(where place) (time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	turn := p.next[where]
	if turn.Before(now) {
		turn = now
	}
	if turn.Sub(now) >= maxQueue*interval {
		return time.Time{}, errBusy
	}
	if p.next == nil {
		p.next = map[place]time.Time{}
	}
	p.next[where] = turn.Add(interval)
	return turn, nil
}

// back makes the next request of a place wait.
func (p *pace) back(where place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(setback); p.next[where].Before(until) {
		p.next[where] = until
	}
}
