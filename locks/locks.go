// Package locks says which pull request owns a project, and who waits for it.
//
// A lock lasts from the first plan to the merge or close of a pull request
// and never expires. A pull request gets all the projects that it asks for,
// or none of them: then it waits, and is handed all of them in one commit as
// soon as that is possible, first come, first served among those that can go.
// Each time a lock changes its owner its epoch grows by one; lock rows are
// never deleted, so an epoch never comes twice.
//
// Each operation reads the rows of one repository, decides in pure code, and
// commits what changed together with the repository's head row, which every
// change of a repository moves on. So the operations of a repository happen
// one after the other, however many processes there are, and no waiter is
// overlooked because somebody else changed another row meanwhile.
package locks

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/locks/format"
	"weir/store"
)

// MaxProjects is how many projects one pull request can lock. Up to OneCommit
// of them are one read and one write transaction: a store commit less the
// repository's own row and one write for the caller. More of them become its
// own in one commit too, and take one more for each hundred to be written out.
const (
	MaxProjects = 2000
	OneCommit   = store.MaxWrites - 2
	maxNames    = 2 << 20 // bytes of the names of all projects of a pull request
	maxAlso     = store.MaxWrites / 2
)

type (
	// Key names a project within its repository.
	Key = format.Key
	// Lock is the row of one project.
	Lock = format.Lock
	// Waiter is a pull request that wants a lock.
	Waiter = format.Waiter
	// Pull names a pull request of any repository.
	Pull = format.Pull
)

// Want is one project that a pull request has to own.
type Want struct {
	Key Key
	// Keep says that a lock which the pull request owns is not given back
	// while it waits for others, because it has applied there already:
	// nothing may slip between the apply and the merge. It is given back
	// all the same if State is a new one, which belongs to somebody else.
	Keep bool
	// State names the state that the project has, the same for every project
	// of any repository that has it too: at most one pull request owns the
	// projects of a state. Empty means that it is not known, and for a pull
	// request that has the project already that it is as before.
	State string
}

// Outcome is what Acquire or Release came to.
type Outcome struct {
	Acquired bool   // Acquire only: the pull request owns all that it wants
	Locks    []Lock // Acquire: the rows of all wanted projects as they are now, in the order wanted; Release: the rows that it left
	Released []Key  // locks that this pull request gave back
	Granted  []int  // pull requests that were handed locks from their queues by this call, and told by Grant
	Blockers []Pull // Acquire only: who owns what is wanted, or its state, each once

	// GrantedElsewhere are those that were handed locks in other repositories,
	// because they waited for a state.
	GrantedElsewhere []Pull
}

// Locks is the lock table of all repositories. It must not be copied. Several
// of them, also in several processes, may share a store.
type Locks struct {
	Store store.Store
	Now   func() time.Time // nil: time.Now

	// Grant makes the writes that have to happen together with handing
	// locks to a waiter (such as queueing its plan), so that nobody is
	// handed a lock without being told. At most one write a call, of a key
	// that no other write of the commit has. It is called again for a
	// commit that has to be tried again, so it must do nothing but make
	// writes, and it must not use these Locks. May be nil.
	Grant func(ctx context.Context, repo string, pull int) ([]store.Write, error)

	small int // for tests: how many writes fit into one commit; 0: store.MaxWrites

	mu    sync.Mutex
	gates map[string]*gate // one for each repository in use
}

func (l *Locks) maxWrites() int { return cmp.Or(l.small, store.MaxWrites) }

// TooManyError says that a pull request wants more projects than can be locked
// together, by their number or the length of their names. Nothing was changed.
type TooManyError struct {
	Wanted, Max int
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("%d projects wanted, at most %d can be locked together", e.Wanted, e.Max)
}

// NotOwnerError says that a pull request does not own a lock that it should,
// and who does. Owner is 0 if nobody does, and Pull itself if the lock went to
// somebody else and came back, so that its epoch is another one.
type NotOwnerError struct {
	Key   Key
	Pull  int
	Owner int
}

func (e *NotOwnerError) Error() string {
	switch e.Owner {
	case 0:
		return fmt.Sprintf("#%d does not own the lock of %s: nobody does", e.Pull, e.Key)
	case e.Pull:
		return fmt.Sprintf("#%d has owned the lock of %s only since somebody else had it", e.Pull, e.Key)
	}
	return fmt.Sprintf("#%d does not own the lock of %s: #%d does", e.Pull, e.Key, e.Owner)
}

// seen is a row as people see it who want it with a state.
func (d *draft) seen(held map[string]Pull, k Key, state string) Lock {
	lock := d.get(spot{d.base.repo, k})
	lock.Holder = held[state]
	if state == "" {
		lock.Holder = Pull{}
	}
	if lock.Owner != 0 {
		lock.Holder = Pull{Repo: d.base.repo, Number: lock.Owner}
	}
	return lock
}

// Acquire gives a pull request all the wanted locks or none, where want is
// everything that its newest head touches; a key wanted twice counts once.
//
// If every wanted lock is its own or free, and no pull request that came
// before can be served with it, it owns all of them afterwards. Otherwise it
// waits for all of them: it stands in the queue of each, and gives back those
// that it owned (except with Keep), so that two pull requests can never block
// each other; its place in their queues is by the time when it got them. In
// both cases it gives back what it does not want any more and leaves those
// queues. Whatever becomes free is handed on in the same commit.
//
// The caller's own writes in also, at most half of store.MaxWrites, happen in
// the commit that concludes this. If one of them conflicts, Acquire returns the
// *store.ConflictError and the conclusion has not happened. They must not have
// keys of a write of Grant.
//
// Calling it again with the same want changes nothing, so it is safe to repeat
// after an error, which leaves open what happened. What does not fit into one
// commit, because some hundred others are handed what becomes free, is done in
// several, each of them valid by itself; with an error comes what the ones
// before have done.
func (l *Locks) Acquire(ctx context.Context, repo string, pull int, want []Want, also ...store.Write) (Outcome, error) {
	wanted := unique(want)
	if limit := mostOf(wanted); len(wanted) > limit {
		return Outcome{}, &TooManyError{Wanted: len(wanted), Max: limit}
	}
	if len(also) > maxAlso {
		return Outcome{}, fmt.Errorf("acquire locks for %s#%d: %d writes of the caller's, at most %d are possible", repo, pull, len(also), maxAlso)
	}
	if err := validate(repo, pull, keysOf(wanted)...); err != nil {
		return Outcome{}, fmt.Errorf("acquire locks: %w", err)
	}
	out, last, err := l.run(ctx, repo, wanted, also, func(g *group, now time.Time, room room) step {
		return acquire(g, now, pull, wanted, room)
	})
	if err != nil {
		return out, fmt.Errorf("acquire locks for %s#%d: %w", repo, pull, err)
	}
	out.Acquired = true
	held := last.holders()
	for _, w := range want {
		lock := last.seen(held, w.Key, w.State)
		out.Acquired = out.Acquired && lock.Owner == pull
		out.Locks = append(out.Locks, lock)
		if me := (Pull{Repo: repo, Number: pull}); lock.Holder != me && lock.Holder != (Pull{}) && !slices.Contains(out.Blockers, lock.Holder) {
			out.Blockers = append(out.Blockers, lock.Holder)
		}
	}
	return out, nil
}

// Release gives back the locks of exactly this pull request and takes it out
// of their queues: those of keys, or all that it has if keys is nil. What
// becomes free is handed on in the same commit; what does not fit into one
// commit is done in several, each of them valid by itself. Calling it again
// changes nothing, or completes what an error or a crash left undone. also is
// as for Acquire.
func (l *Locks) Release(ctx context.Context, repo string, pull int, keys []Key, also ...store.Write) (Outcome, error) {
	if err := validate(repo, pull, keys...); err != nil {
		return Outcome{}, fmt.Errorf("release locks: %w", err)
	}
	touched := map[Key]bool{}
	out, last, err := l.run(ctx, repo, nil, also, func(g *group, now time.Time, room room) step {
		s := release(g, now, pull, keys, room)
		for at := range s.draft.rows {
			if at.repo == repo && g.row(at).Has(pull) {
				touched[at.Key] = true
			}
		}
		return s
	})
	if err != nil {
		return out, fmt.Errorf("release locks of %s#%d: %w", repo, pull, err)
	}
	for k := range touched {
		if lock := last.get(spot{repo, k}); !lock.Has(pull) {
			out.Locks = append(out.Locks, lock)
		}
	}
	slices.SortFunc(out.Locks, func(a, b Lock) int { return a.Key.Compare(b.Key) })
	return out, nil
}

// unique returns want with each key once, with Keep if any of its wants had it
// and with the first state that any had.
func unique(want []Want) []Want {
	var out []Want
	at := map[Key]int{}
	for _, w := range want {
		if i, seen := at[w.Key]; seen {
			out[i].Keep = out[i].Keep || w.Keep
			out[i].State = cmp.Or(out[i].State, w.State)
			continue
		}
		at[w.Key] = len(out)
		out = append(out, w)
	}
	return out
}

// mostOf returns how many projects with names like these can be locked together.
func mostOf(want []Want) int {
	names := 0
	for _, w := range want {
		names += len(w.Key.Dir) + len(w.Key.Workspace)
	}
	if names <= maxNames {
		return MaxProjects
	}
	return min(MaxProjects, int(int64(len(want))*maxNames/int64(names)))
}

func keysOf(want []Want) []Key {
	keys := make([]Key, len(want))
	for i, w := range want {
		keys[i] = w.Key
	}
	return keys
}

// validate refuses what only a mistake in weir can ask for: GitHub has no
// repository without a name or pull request 0, and Git no path with a NUL.
func validate(repo string, pull int, keys ...Key) error {
	if repo == "" || strings.ContainsRune(repo, 0) {
		return fmt.Errorf("%q is no repository", repo)
	}
	if pull <= 0 {
		return fmt.Errorf("%s has no pull request %d", repo, pull)
	}
	for _, k := range keys {
		if strings.ContainsRune(k.Dir+k.Workspace, 0) {
			return fmt.Errorf("project %q has a NUL in its name", k)
		}
	}
	return nil
}
