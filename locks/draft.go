package locks

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"weir/store"
)

// draft is a table with changes that are not committed yet.
type draft struct {
	base     *table
	rows     map[Key]Lock // those that were touched
	now      time.Time
	self     int   // the pull request that asks and so need not be told; or 0
	granted  []int // pull requests that were handed locks and have to be told
	released []Key // locks that were given back
	over     bool  // more have to be told than one commit can
	parts    [][]byte
}

func newDraft(t *table, now time.Time, self int) *draft {
	return &draft{base: t, rows: map[Key]Lock{}, now: now, self: self}
}

func (d *draft) get(k Key) Lock {
	if l, ok := d.rows[k]; ok {
		return l
	}
	l := d.base.rows[k].Lock
	l.Key = k
	return l
}

// all calls fn with every row that exists, in no order.
func (d *draft) all(fn func(Lock)) {
	for k, r := range d.base.rows {
		if _, touched := d.rows[k]; !touched {
			fn(r.Lock)
		}
	}
	for _, l := range d.rows {
		fn(l)
	}
}

// changed returns the rows that differ from the table, in order.
func (d *draft) changed() []Lock {
	var changed []Lock
	for k, l := range d.rows {
		was := d.base.rows[k]
		if was.version == 0 || was.Owner != l.Owner || was.Epoch != l.Epoch || !was.Since.Equal(l.Since) || !slices.EqualFunc(was.Waiters, l.Waiters, sameWaiter) {
			changed = append(changed, l)
		}
	}
	slices.SortFunc(changed, func(a, b Lock) int { return a.Key.compare(b.Key) })
	return changed
}

func sameWaiter(a, b Waiter) bool { return a.Pull == b.Pull && a.Since.Equal(b.Since) }

// intent returns the bodies of the records of an intent with these changes.
func (d *draft) intent() ([][]byte, error) {
	if d.parts != nil {
		return d.parts, nil
	}
	var err error
	d.parts, err = encodeIntent(d.base.seq+1, d.changed())
	return d.parts, err
}

// writes returns what makes the draft true beside others writes in the same
// commit of at most most: the head row and the rows that changed, or an intent with these.
func (d *draft) writes(others, most int) ([]store.Write, error) {
	t, changed := d.base, d.changed()
	body := headBody{Clock: d.now, Seq: t.seq + 1, Sum: t.sum}
	for _, lock := range changed {
		body.Sum += body.Seq - t.rows[lock.Key].seq
	}
	var writes []store.Write
	if 1+len(changed)+others <= most {
		for _, lock := range changed {
			w, err := encodeLock(t.repo, lock, body.Seq, t.rows[lock.Key].version)
			if err != nil {
				return nil, err
			}
			writes = append(writes, w)
		}
	} else {
		parts, err := d.intent()
		if err != nil {
			return nil, err
		}
		body.Intent = len(parts)
		for i, part := range parts {
			writes = append(writes, store.Write{Op: store.Put, Key: partKey(t.repo, i), Body: part})
		}
	}
	head, err := encodeHead(t.repo, t.head, body)
	return append(writes, head), err
}

// drop takes a pull request out of a row: as its owner and from its queue.
func (d *draft) drop(k Key, pull int) {
	l := d.get(k)
	if l.Owner == pull {
		l.Owner, l.Since = 0, time.Time{}
		d.released = append(d.released, k)
	}
	l.Waiters = slices.DeleteFunc(slices.Clone(l.Waiters), func(w Waiter) bool { return w.Pull == pull })
	d.rows[k] = l
}

// wait puts a pull request into the queue of a row, if it is not there yet.
func (d *draft) wait(k Key, pull int, since time.Time) {
	l := d.get(k)
	if l.Place(pull) > 0 {
		return
	}
	l.Waiters = append(slices.Clone(l.Waiters), Waiter{Pull: pull, Since: since})
	slices.SortFunc(l.Waiters, byArrival)
	d.rows[k] = l
}

// giveBack frees a lock and puts its owner into its queue, as early as it got
// the lock.
func (d *draft) giveBack(k Key, pull int) {
	since := d.get(k).Since
	d.drop(k, pull)
	d.wait(k, pull, since)
}

// grant hands a waiter all that it waits for.
func (d *draft) grant(pull int) {
	var keys []Key
	d.all(func(l Lock) {
		if l.Place(pull) > 0 {
			keys = append(keys, l.Key)
		}
	})
	for _, k := range keys {
		d.drop(k, pull)
		l := d.rows[k]
		l.Owner, l.Since, l.Epoch = pull, d.now, l.Epoch+1
		d.rows[k] = l
	}
	if pull != d.self {
		d.granted = append(d.granted, pull)
	}
}

// settle hands locks to waiters until nobody can be served, or until more were
// than fit into a commit.
func (d *draft) settle() {
	for pull := d.next(); pull != 0 && !d.over; pull = d.next() {
		d.grant(pull)
		d.over = len(d.granted) >= store.MaxWrites
	}
}

// next returns the waiter that is served next, or 0. Only one whose every
// wanted lock is free can go, and it is not held up by those that cannot.
// Among those that can go, nobody is served before one who stands ahead of it
// in the queue of a lock that both want. Where that goes in a circle (a pull
// request that gave a lock back is ahead in its queue, and behind in others)
// the one that has waited longest for anything is served.
func (d *draft) next() int {
	wants := map[int][]Lock{}
	d.all(func(l Lock) {
		for _, w := range l.Waiters {
			wants[w.Pull] = append(wants[w.Pull], l)
		}
	})
	maps.DeleteFunc(wants, func(_ int, locks []Lock) bool {
		return slices.ContainsFunc(locks, func(l Lock) bool { return l.Owner != 0 })
	})
	if len(wants) == 0 {
		return 0
	}
	first := func(pull int) time.Time {
		earliest := time.Time{}
		for i, l := range wants[pull] {
			if since := l.Waiters[l.Place(pull)-1].Since; i == 0 || since.Before(earliest) {
				earliest = since
			}
		}
		return earliest
	}
	can := slices.SortedFunc(maps.Keys(wants), func(a, b int) int {
		return cmp.Or(first(a).Compare(first(b)), cmp.Compare(a, b))
	})
	for _, pull := range can {
		overtakes := slices.ContainsFunc(wants[pull], func(l Lock) bool {
			ahead := l.Waiters[:l.Place(pull)-1]
			return slices.ContainsFunc(ahead, func(w Waiter) bool { return wants[w.Pull] != nil })
		})
		if !overtakes {
			return pull
		}
	}
	return can[0]
}
