package locks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"weir/locks/format"
	"weir/store"
)

// An operation that others get ahead of tries again this often, and waits a
// random part of a time that grows to maxWait in between: with the gate only
// other processes can get ahead, one commit at a time.
const (
	maxTries  = 60
	firstWait = 4 * time.Millisecond
	maxWait   = 250 * time.Millisecond
	maxStill  = 12 // about a second
)

// run carries out an operation step by step: each time it reads the rows of
// the repository, lets decide say what to do, and commits that. The caller's
// writes go with the final step. It returns what was done and the last draft.
func (l *Locks) run(ctx context.Context, repo string, want []Want, also []store.Write, decide func(*group, time.Time, room) step) (Outcome, *draft, error) {
	leave, err := l.enter(ctx, repo)
	if err != nil {
		return Outcome{}, nil, err
	}
	defer leave()
	r := room{max: l.maxWrites(), also: len(also)}
	if l.Grant != nil {
		r.perGrant = 1
	}
	var out Outcome
	indexed := false    // the index is known to have the repository
	registered := false // all states are known to be those of the repository
	for try := 1; ; {
		g, err := l.loadGroup(ctx, repo)
		if err != nil {
			return out, nil, err
		}
		if states := g.own().unknown(want); len(states) > 0 && !registered {
			if err := l.register(ctx, repo, states); err != nil {
				return out, nil, err
			}
			registered = true
			continue
		}
		pending := false
		for _, t := range g.tables {
			if err == nil && len(t.parts) > 0 {
				pending, err = true, l.writeIntent(ctx, t)
			}
		}
		if pending && err == nil {
			continue
		}
		extra := also
		var s step
		if err == nil {
			s = decide(g, l.now(g), r)
			if !s.final {
				extra = nil
			}
			err = l.commit(ctx, s.draft, extra, indexed || g.own().seq != 0)
		}
		var conflict *store.ConflictError
		switch {
		case err == nil:
			out.Released = append(out.Released, s.draft.released...)
			for _, p := range s.draft.granted {
				if p.Repo == repo {
					out.Granted = append(out.Granted, p.Number)
				} else {
					out.GrantedElsewhere = append(out.GrantedElsewhere, p)
				}
			}
			for changed := range s.draft.parts {
				// It has happened. What goes wrong from here is put right by
				// the next who meets it.
				_ = l.complete(ctx, changed)
			}
			if s.final {
				return out, s.draft, nil
			}
			try = 1
			continue
		case !errors.As(err, &conflict):
			return out, nil, err
		case conflicts(conflict, extra):
			return out, nil, err // their versions will never come again
		case try == maxTries:
			return out, nil, fmt.Errorf("gave up after %d tries: %w", try, err)
		}
		indexed = indexed || slices.ContainsFunc(conflict.Conflicts, func(c store.Record) bool { return c.Key == format.IndexKey(repo) })
		if err := wait(ctx, try); err != nil {
			return out, nil, err
		}
		try++
	}
}

func conflicts(e *store.ConflictError, writes []store.Write) bool {
	return slices.ContainsFunc(e.Conflicts, func(r store.Record) bool {
		return slices.ContainsFunc(writes, func(w store.Write) bool { return w.Key == r.Key })
	})
}

// now is later than every time in the tables, so that the order of arrival is
// the order of commits, whatever the clocks of several machines show.
func (l *Locks) now(g *group) time.Time {
	now := time.Now
	if l.Now != nil {
		now = l.Now
	}
	n := now().UTC().Round(0).Truncate(time.Microsecond)
	if last := g.clock(); !n.After(last) {
		n = last.Add(time.Microsecond)
	}
	return n
}

// commit makes a draft true, together with what has to happen with it.
func (l *Locks) commit(ctx context.Context, d *draft, also []store.Write, indexed bool) error {
	repo := d.base.repo
	_, changed := d.changed()
	if changed == 0 && len(also) == 0 {
		return nil
	}
	var tells []store.Write
	for _, pull := range d.granted {
		if l.Grant == nil {
			break
		}
		tell, err := l.Grant(ctx, pull.Repo, pull.Number)
		if err != nil {
			return fmt.Errorf("tell %s of its locks: %w", pull, err)
		}
		if len(tell) > 1 {
			return fmt.Errorf("tell %s of its locks: %d writes, at most one is possible", pull, len(tell))
		}
		tells = append(tells, tell...)
	}
	others := append(tells, also...)
	writes, err := d.writes(len(others), l.maxWrites())
	if err != nil {
		return err
	}
	writes = append(writes, others...)
	if !indexed && changed > 0 {
		index := store.Write{Op: store.Put, Key: format.IndexKey(repo)}
		if len(writes) < l.maxWrites() {
			return l.Store.Commit(ctx, append(writes, index)...)
		}
		// Listed first, so that no lock is ever missing from a list of all.
		if err := l.Store.Commit(ctx, index); err != nil && !errors.As(err, new(*store.ConflictError)) {
			return err
		}
	}
	return l.Store.Commit(ctx, writes...)
}

// wait lets a random time pass before the next try.
func wait(ctx context.Context, try int) error {
	limit := min(maxWait, firstWait<<min(try, 10))
	timer := time.NewTimer(rand.N(limit)) // #nosec G404 -- no secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gate lets one operation of this process at a time work on a repository. It
// is not what makes locks right, the store's conditions are: it saves tries
// that could only fail.
type gate struct {
	turn  chan struct{}
	users int
}

func (l *Locks) enter(ctx context.Context, repo string) (leave func(), err error) {
	l.mu.Lock()
	g := l.gates[repo]
	if g == nil {
		if l.gates == nil {
			l.gates = map[string]*gate{}
		}
		g = &gate{turn: make(chan struct{}, 1)}
		l.gates[repo] = g
	}
	g.users++
	l.mu.Unlock()
	forget := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if g.users--; g.users == 0 {
			delete(l.gates, repo)
		}
	}
	select {
	case g.turn <- struct{}{}:
		return func() { <-g.turn; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, ctx.Err()
	}
}
