package locks

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"weir/locks/format"
	"weir/store"
)

// spot is where a row is.
type spot struct {
	repo string
	Key
}

func (s spot) compare(o spot) int { return cmp.Or(cmp.Compare(s.repo, o.repo), s.Key.Compare(o.Key)) }

// draft is a group of tables with changes that are not committed yet.
type draft struct {
	base     *group
	rows     map[spot]Lock // those that were touched
	now      time.Time
	self     Pull   // the pull request that asks and so need not be told, if any
	granted  []Pull // pull requests that were handed locks and have to be told
	released []Key  // locks that were given back
	over     bool   // more have to be told than one commit can
	parts    map[string][][]byte
}

func newDraft(g *group, now time.Time, self Pull) *draft {
	return &draft{base: g, rows: map[spot]Lock{}, now: now, self: self}
}

func (d *draft) get(s spot) Lock {
	if l, ok := d.rows[s]; ok {
		return l
	}
	l := d.base.row(s).Lock
	l.Key = s.Key
	return l
}

// all calls fn with every row that exists, in no order.
func (d *draft) all(fn func(spot, Lock)) {
	for repo, t := range d.base.tables {
		for k, r := range t.rows {
			if _, touched := d.rows[spot{repo, k}]; !touched {
				fn(spot{repo, k}, r.Lock)
			}
		}
	}
	for s, l := range d.rows {
		fn(s, l)
	}
}

// changed returns the rows of each repository that differ from the tables, in
// order, and how many they are.
func (d *draft) changed() (rows map[string][]Lock, n int) {
	rows = map[string][]Lock{}
	for _, s := range slices.SortedFunc(maps.Keys(d.rows), spot.compare) {
		l, was := d.rows[s], d.base.row(s)
		if was.version == 0 && !was.pending || was.Owner != l.Owner || was.Epoch != l.Epoch || was.State != l.State ||
			!was.Since.Equal(l.Since) || !slices.EqualFunc(was.Waiters, l.Waiters, sameWaiter) {
			rows[s.repo] = append(rows[s.repo], l)
			n++
		}
	}
	return rows, n
}

func sameWaiter(a, b Waiter) bool {
	return a.Pull == b.Pull && a.Since.Equal(b.Since) && a.State == b.State
}

// intents returns the bodies of the records of intents with these changes, and
// how many they are.
func (d *draft) intents() (n int, err error) {
	if d.parts == nil {
		rows, _ := d.changed()
		d.parts = map[string][][]byte{}
		for repo, list := range rows {
			if d.parts[repo], err = format.EncodeIntent(d.base.tables[repo].seq+1, list); err != nil {
				return 0, err
			}
		}
	}
	for _, parts := range d.parts {
		n += len(parts)
	}
	return n, nil
}

// writes returns what makes the draft true beside others writes in the same
// commit of at most most: for each repository its head row, or a check of it,
// and the rows that changed, or an intent with these.
func (d *draft) writes(others, most int) ([]store.Write, error) {
	changed, n := d.changed()
	direct := len(d.base.tables)+n+others <= most
	if !direct {
		if _, err := d.intents(); err != nil {
			return nil, err
		}
	}
	var writes []store.Write
	for repo, t := range d.base.tables {
		if len(changed[repo]) == 0 {
			writes = append(writes, store.Write{Op: store.Check, Key: format.HeadKey(repo), Expect: t.head})
			continue
		}
		body := format.Head{Clock: d.now, Seq: t.seq + 1, Sum: t.sum, Links: t.links}
		for _, lock := range changed[repo] {
			body.Sum += body.Seq - t.rows[lock.Key].seq
			if direct {
				w, err := format.EncodeRow(repo, lock, body.Seq, t.rows[lock.Key].version)
				if err != nil {
					return nil, err
				}
				writes = append(writes, w)
			}
		}
		if !direct {
			body.Intent = len(d.parts[repo])
			for i, part := range d.parts[repo] {
				writes = append(writes, store.Write{Op: store.Put, Key: format.PartKey(repo, i), Body: part})
			}
		}
		head, err := format.EncodeHead(repo, t.head, body)
		if err != nil {
			return nil, err
		}
		writes = append(writes, head)
	}
	return writes, nil
}

// drop takes a pull request out of a row: as its owner and from its queue.
func (d *draft) drop(s spot, pull int) {
	l := d.get(s)
	if l.Owner == pull {
		l.Owner, l.Since = 0, time.Time{}
		d.released = append(d.released, s.Key)
	}
	l.Waiters = slices.DeleteFunc(slices.Clone(l.Waiters), func(w Waiter) bool { return w.Pull == pull })
	d.rows[s] = l
}

// wait puts a pull request into the queue of a row. Where it is already there,
// it keeps its place.
func (d *draft) wait(s spot, w Waiter) {
	l := d.get(s)
	l.Waiters = slices.Clone(l.Waiters)
	if place := l.Place(w.Pull); place > 0 {
		at := &l.Waiters[place-1]
		at.State = cmp.Or(w.State, at.State)
	} else {
		l.Waiters = append(l.Waiters, w)
		slices.SortFunc(l.Waiters, format.ByArrival)
	}
	d.rows[s] = l
}

// giveBack frees a lock and puts its owner into its queue, as early as it got
// the lock.
func (d *draft) giveBack(s spot, pull int, state string) {
	l := d.get(s)
	d.drop(s, pull)
	d.wait(s, Waiter{Pull: pull, Since: l.Since, State: cmp.Or(state, l.State)})
}

// grant hands a waiter all that it waits for.
func (d *draft) grant(to Pull) {
	var spots []spot
	d.all(func(s spot, l Lock) {
		if s.repo == to.Repo && l.Place(to.Number) > 0 {
			spots = append(spots, s)
		}
	})
	for _, s := range spots {
		l := d.get(s)
		state := l.Waiters[l.Place(to.Number)-1].State
		d.drop(s, to.Number)
		l = d.rows[s]
		l.Owner, l.Since, l.Epoch, l.State = to.Number, d.now, l.Epoch+1, state
		d.rows[s] = l
	}
	if to != d.self {
		d.granted = append(d.granted, to)
	}
}

// settle hands locks to waiters until nobody can be served, or until more were
// than fit into a commit.
func (d *draft) settle() {
	for to, ok := d.next(); ok && !d.over; to, ok = d.next() {
		d.grant(to)
		d.over = len(d.granted) >= store.MaxWrites
	}
}

// holders returns who owns each state.
func (d *draft) holders() map[string]Pull {
	held := map[string]Pull{}
	d.all(func(s spot, l Lock) {
		if l.Owner != 0 && l.State != "" {
			held[l.State] = Pull{Repo: s.repo, Number: l.Owner}
		}
	})
	return held
}

// claim is one thing that a waiter waits for, and who is ahead of it there.
type claim struct {
	lock  Lock
	me    Waiter
	ahead []Pull
}

// next returns the waiter that is served next. Only one whose every wanted lock
// is free can go, and it is not held up by those that cannot. Among those that
// can go, nobody is served before one who stands ahead of it in the queue of a
// lock that both want, or came before it for a state that both want. Where that
// goes in a circle (a pull request that gave a lock back is ahead in its queue,
// and behind in others) the one that has waited longest for anything is served.
func (d *draft) next() (Pull, bool) {
	claims := map[Pull][]claim{}
	queues := map[string][]Pull{}
	since := map[string]map[Pull]time.Time{}
	held := d.holders()
	stuck := map[Pull]bool{}
	d.all(func(s spot, l Lock) {
		var ahead []Pull
		for _, w := range l.Waiters {
			p := Pull{Repo: s.repo, Number: w.Pull}
			claims[p] = append(claims[p], claim{lock: l, me: w, ahead: slices.Clip(ahead)})
			ahead = append(ahead, p)
			if by, taken := held[w.State]; l.Owner != 0 || taken && by != p {
				stuck[p] = true
			}
			if w.State == "" {
				continue
			}
			if since[w.State] == nil {
				since[w.State] = map[Pull]time.Time{}
			}
			if t, seen := since[w.State][p]; !seen || w.Since.Before(t) {
				since[w.State][p] = w.Since
			}
			if !slices.Contains(queues[w.State], p) {
				queues[w.State] = append(queues[w.State], p)
			}
		}
	})
	maps.DeleteFunc(claims, func(p Pull, _ []claim) bool { return stuck[p] })
	if len(claims) == 0 {
		return Pull{}, false
	}
	first := func(p Pull) time.Time {
		return slices.MinFunc(claims[p], func(a, b claim) int { return a.me.Since.Compare(b.me.Since) }).me.Since
	}
	can := slices.SortedFunc(maps.Keys(claims), func(a, b Pull) int {
		return cmp.Or(first(a).Compare(first(b)), cmp.Compare(a.Repo, b.Repo), cmp.Compare(a.Number, b.Number))
	})
	for _, p := range can {
		overtakes := slices.ContainsFunc(claims[p], func(c claim) bool {
			return slices.ContainsFunc(c.ahead, func(o Pull) bool { return claims[o] != nil }) ||
				slices.ContainsFunc(queues[c.me.State], func(o Pull) bool {
					return claims[o] != nil && since[c.me.State][o].Before(since[c.me.State][p])
				})
		})
		if !overtakes {
			return p, true
		}
	}
	return can[0], true
}
