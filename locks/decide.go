package locks

import (
	"slices"
	"time"

	"weir/locks/format"
)

// room is how much fits into one commit.
type room struct {
	max      int // writes
	perGrant int // writes for telling one pull request
	also     int // the caller's own writes, in the last step
}

// step is one commit of an operation.
type step struct {
	draft *draft
	final bool // nothing is left to do after it
}

// fits reports whether a step can be one commit: the head rows, what changed or
// intents of it, and what goes with it.
func (r room) fits(s step) bool {
	n := len(s.draft.base.tables) + r.perGrant*len(s.draft.granted)
	if s.final {
		n += r.also
	}
	if s.draft.over {
		return false
	}
	if _, changed := s.draft.changed(); n+changed <= r.max {
		return true
	}
	parts, err := s.draft.intents()
	return err == nil && parts <= format.MaxParts && n+parts <= r.max
}

// Every step leaves nobody waiting who could be served, and counts on finding
// that so: then what one freed row makes possible is to serve a few waiters.

// acquire returns the next step of Acquire. It tries to do all in one. Where
// that does not fit, because too many have to be told that they are handed what
// becomes free, it first gives back what is not wanted any more, then queues
// for what it cannot have, then gives back what is wanted but cannot be kept,
// as much as fits each time; a last step without any of these always fits.
func acquire(g *group, now time.Time, pull int, want []Want, room room) step {
	wanted := map[Key]bool{}
	for _, w := range want {
		wanted[w.Key] = true
	}
	rows := g.own().rows
	var unwanted []Key
	for k, r := range rows {
		if !wanted[k] && r.Has(pull) {
			unwanted = append(unwanted, k)
		}
	}
	slices.SortFunc(unwanted, Key.Compare)

	all := newDraft(g, now, Pull{Repo: g.repo, Number: pull})
	for _, k := range unwanted {
		all.drop(spot{g.repo, k}, pull)
	}
	all.conclude(pull, want)
	last := step{draft: all, final: true}
	if room.fits(last) {
		return last
	}
	if len(unwanted) > 0 {
		return most(unwanted, room, func(keys []Key) step {
			d := newDraft(g, now, Pull{})
			for _, k := range keys {
				d.drop(spot{g.repo, k}, pull)
			}
			d.settle()
			return step{draft: d}
		})
	}
	queue := newDraft(g, now, Pull{})
	var owned []Want
	for _, w := range want {
		switch r := rows[w.Key]; {
		case r.Owner != pull:
			if r.Place(pull) == 0 {
				queue.wait(spot{g.repo, w.Key}, Waiter{Pull: pull, Since: now, State: w.State})
			}
		case !w.Keep:
			owned = append(owned, w)
		}
	}
	if len(queue.rows) > 0 {
		// Without standing in the queue of a lock that somebody owns, it
		// would be handed back at once what it gives back.
		return step{draft: queue}
	}
	if len(owned) == 0 {
		return last // cannot be, see above; the store refuses it
	}
	return most(owned, room, func(list []Want) step {
		d := newDraft(g, now, Pull{})
		for _, w := range list {
			d.giveBack(spot{g.repo, w.Key}, pull, w.State)
		}
		d.settle()
		return step{draft: d}
	})
}

// conclude serves the pull request with all that it wants, or else makes it
// wait for all of it.
func (d *draft) conclude(pull int, want []Want) {
	at := func(w Want) spot { return spot{d.base.repo, w.Key} }
	owns := func(w Want) bool { return d.get(at(w)).Owner == pull }
	me, held := Pull{Repo: d.base.repo, Number: pull}, d.holders()
	for _, w := range want {
		l := d.get(at(w))
		switch by, taken := held[w.State]; {
		case l.Owner != pull:
			d.wait(at(w), Waiter{Pull: pull, Since: d.now, State: w.State})
		case w.State == "" || w.State == l.State: // an unknown state is taken for the one before
		case taken && by != me:
			d.giveBack(at(w), pull, w.State)
		default:
			l.State = w.State
			d.rows[at(w)] = l
		}
	}
	d.settle()
	if !slices.ContainsFunc(want, func(w Want) bool { return !owns(w) }) {
		return
	}
	for _, w := range want {
		if owns(w) && !w.Keep {
			d.giveBack(at(w), pull, w.State)
		}
	}
	d.settle()
}

// release returns the next step of Release: as much of it as fits into one
// commit with all that is handed on because of it.
func release(g *group, now time.Time, pull int, keys []Key, room room) step {
	var mine []Key
	for k, r := range g.own().rows {
		if r.Has(pull) && (keys == nil || slices.Contains(keys, k)) {
			mine = append(mine, k)
		}
	}
	slices.SortFunc(mine, Key.Compare)
	if len(mine) == 0 {
		return step{draft: newDraft(g, now, Pull{}), final: true}
	}
	return most(mine, room, func(keys []Key) step {
		d := newDraft(g, now, Pull{})
		for _, k := range keys {
			d.drop(spot{g.repo, k}, pull)
		}
		d.settle()
		return step{draft: d, final: len(keys) == len(mine)}
	})
}

// most returns the step for as many of what is to be freed as fits. One always
// does: its row and its state serve at most two waiters.
func most[T any](list []T, room room, try func([]T) step) step {
	for n := len(list); ; n /= 2 {
		if s := try(list[:n]); n <= 1 || room.fits(s) {
			return s
		}
	}
}
