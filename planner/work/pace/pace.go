// Package pace says how often a store is looked at, so that what others have
// done is seen soon and looking costs little while there is nothing to see.
package pace

import (
	"math/rand/v2"
	"time"
)

// Load is what the pace depends on.
type Load struct {
	Work      bool // something waits or runs anywhere, as far as is known
	Elsewhere bool // something runs elsewhere, whose worker may die
	Concern   bool // others may change something that concerns us
	Told      bool // others tell us of what there is to do
}

// Pace is used by one goroutine.
type Pace struct {
	Poll  time.Duration // how soon a change by others is to be seen while there is work
	Lease time.Duration // how long the dead are silent before it is noticed

	scanned, watched, peeked time.Time
	idle                     time.Duration
	jitter                   float64 // keeps those that began together apart
}

// Scan reports whether everything is to be read: each Poll while there is
// work, then less often, down to about every fourth Poll, and about once a
// Lease where others tell of what there is to do.
func (p *Pace) Scan(now time.Time, l Load) bool { return now.Sub(p.scanned) >= p.scan(l) }

func (p *Pace) scan(l Load) time.Duration {
	switch {
	case l.Told:
		return max(p.Poll, time.Duration(float64(p.Lease)*p.jitter))
	case l.Work:
		return p.Poll
	}
	return max(p.Poll, time.Duration(float64(p.idle)*p.jitter))
}

// Peek reports whether that is to be read now which concerns us, each Poll,
// and notes that it is.
func (p *Pace) Peek(now time.Time) bool { return due(&p.peeked, now, p.Poll) }

// Watch reports whether signs of life are to be read now, ten times a Lease,
// and notes that they are.
func (p *Pace) Watch(now time.Time) bool { return due(&p.watched, now, p.watch()) }

func due(last *time.Time, now time.Time, every time.Duration) bool {
	if now.Sub(*last) < every {
		return false
	}
	*last = now
	return true
}

func (p *Pace) watch() time.Duration { return max(p.Poll, p.Lease/10) }

// Scanned notes that everything was read, and whether there was any work.
func (p *Pace) Scanned(at time.Time, work bool) {
	p.scanned, p.peeked = at, at
	p.jitter = 0.6 + 0.4*rand.Float64() //nolint:gosec // spreads requests, guards nothing
	if p.idle = min(p.idle*3/2, 5*p.Poll); work || p.idle == 0 {
		p.idle = p.Poll
	}
}

// Failed makes everything be read anew, after a Poll.
func (p *Pace) Failed() { p.scanned = time.Time{} }

// Next returns how long nothing has to be read.
func (p *Pace) Next(now time.Time, l Load) time.Duration {
	if p.scanned.IsZero() {
		return p.Poll
	}
	next := p.scanned.Add(p.scan(l))
	if t := p.peeked.Add(p.Poll); l.Concern && t.Before(next) {
		next = t
	}
	if t := p.watched.Add(p.watch()); l.Elsewhere && t.Before(next) {
		next = t
	}
	return next.Sub(now)
}
