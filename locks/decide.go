package locks

import (
	"slices"
	"time"
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

// fits reports whether a step can be one commit: the head row, what changed or
// an intent of it, and what goes with it.
func (r room) fits(s step) bool {
	n := 1 + r.perGrant*len(s.draft.granted)
	if s.final {
		n += r.also
	}
	if s.draft.over {
		return false
	}
	if n+len(s.draft.changed()) <= r.max {
		return true
	}
	parts, err := s.draft.intent()
	return err == nil && len(parts) <= maxParts && n+len(parts) <= r.max
}

// Every step leaves nobody waiting who could be served, and counts on finding
// that so: then what one freed row makes possible is to serve one waiter.

// acquire returns the next step of Acquire. It tries to do all in one. Where
// that does not fit, because too many have to be told that they are handed what
// becomes free, it first
// gives back what is not wanted any more, then queues for what it cannot have,
// then gives back what is wanted but cannot be kept, as much as fits each time;
// a last step without any of these always fits.
func acquire(t *table, now time.Time, pull int, want []Want, room room) step {
	wanted := map[Key]bool{}
	for _, w := range want {
		wanted[w.Key] = true
	}
	var unwanted []Key
	for k, r := range t.rows {
		if !wanted[k] && r.has(pull) {
			unwanted = append(unwanted, k)
		}
	}
	slices.SortFunc(unwanted, Key.compare)

	all := newDraft(t, now, pull)
	for _, k := range unwanted {
		all.drop(k, pull)
	}
	all.conclude(pull, want)
	last := step{draft: all, final: true}
	if room.fits(last) {
		return last
	}
	if len(unwanted) > 0 {
		return most(unwanted, room, func(keys []Key) step {
			d := newDraft(t, now, 0)
			for _, k := range keys {
				d.drop(k, pull)
			}
			d.settle()
			return step{draft: d}
		})
	}
	queue := newDraft(t, now, 0)
	var owned []Key
	for _, w := range want {
		switch {
		case t.rows[w.Key].Owner != pull:
			queue.wait(w.Key, pull, now)
		case !w.Keep:
			owned = append(owned, w.Key)
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
	return most(owned, room, func(keys []Key) step {
		d := newDraft(t, now, 0)
		for _, k := range keys {
			d.giveBack(k, pull)
		}
		d.settle()
		return step{draft: d}
	})
}

// conclude serves the pull request with all that it wants, or else makes it
// wait for all of it.
func (d *draft) conclude(pull int, want []Want) {
	owns := func(w Want) bool { return d.get(w.Key).Owner == pull }
	for _, w := range want {
		if !owns(w) {
			d.wait(w.Key, pull, d.now)
		}
	}
	d.settle()
	if !slices.ContainsFunc(want, func(w Want) bool { return !owns(w) }) {
		return
	}
	for _, w := range want {
		if owns(w) && !w.Keep {
			d.giveBack(w.Key, pull)
		}
	}
	d.settle()
}

// release returns the next step of Release: as much of it as fits into one
// commit with all that is handed on because of it.
func release(t *table, now time.Time, pull int, keys []Key, room room) step {
	var mine []Key
	for k, r := range t.rows {
		if r.has(pull) && (keys == nil || slices.Contains(keys, k)) {
			mine = append(mine, k)
		}
	}
	slices.SortFunc(mine, Key.compare)
	if len(mine) == 0 {
		return step{draft: newDraft(t, now, 0), final: true}
	}
	return most(mine, room, func(keys []Key) step {
		d := newDraft(t, now, 0)
		for _, k := range keys {
			d.drop(k, pull)
		}
		d.settle()
		return step{draft: d, final: len(keys) == len(mine)}
	})
}

// most returns the step for as many of keys as fit. One always does: what it
// frees serves at most one waiter, with at most MaxProjects rows.
func most(keys []Key, room room, try func([]Key) step) step {
	for n := len(keys); ; n /= 2 {
		if s := try(keys[:n]); n <= 1 || room.fits(s) {
			return s
		}
	}
}
