package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"weir/planner/record"
	"weir/store"
)

// Partitions of the store.
const (
	inState = "reconcile"       // the newest round, and what it leaves to the next
	inRepos = "reconcile.repos" // since when each repository is looked at
	inAsked = "reconcile.asked" // what was asked for last, by pull request
)

// forgetAsked is when it no longer matters what was asked for.
const forgetAsked = 90 * 24 * time.Hour

// slot is the record of the newest round's begin.
type slot struct {
	At time.Time `json:"at"`
}

// state is what one round leaves to the next.
type state struct {
	Busy  string               `json:"busy,omitempty"`  // repository that was looked at last of those with work
	Rest  string               `json:"rest,omitempty"`  // likewise of the others
	Since time.Time            `json:"since,omitzero"`  // deliveries before it are settled
	Asked map[string]time.Time `json:"asked,omitempty"` // deliveries asked for in the last hour, by GUID
}

// seen is the record of a repository.
type seen struct {
	Since time.Time `json:"since"`
}

// asked is the record of what was asked for last of a pull request.
type asked struct {
	Key string    `json:"key"`
	At  time.Time `json:"at"`

	version store.Version
}

// claim takes the next round for this process: it is due once gap has gone by
// since the newest one. last is when the newest one began, this one or
// another.
func (r *Reconciler) claim(ctx context.Context, gap time.Duration) (mine bool, last time.Time, err error) {
	key := store.Key{Partition: inState, Sort: "round"}
	var newest slot
	version, err := r.get(ctx, key, &newest)
	if err != nil {
		return false, last, fmt.Errorf("claim the round: %w", err)
	}
	now := time.Now().UTC()
	if past := now.Sub(newest.At); version != 0 && past >= 0 && past < gap {
		return false, newest.At, nil
	}
	w, err := record.Put(key, version, slot{At: now})
	if err != nil {
		return false, last, err
	}
	if err := r.Store.Commit(ctx, w); err != nil {
		if store.IsConflict(err) {
			return false, now, nil // somebody else was first, now
		}
		return false, last, fmt.Errorf("claim the round: %w", err)
	}
	return true, now, nil
}

func stateKey() store.Key { return store.Key{Partition: inState, Sort: "state"} }

func (r *Reconciler) state(ctx context.Context) (s state, version store.Version, err error) {
	version, err = r.get(ctx, stateKey(), &s)
	return s, version, err
}

// putState keeps the state. If another round wrote it meanwhile that one
// counts: nothing in it is more than a saving.
func (r *Reconciler) putState(ctx context.Context, s state, version store.Version) error {
	w, err := record.Put(stateKey(), version, s)
	if err != nil {
		return err
	}
	if err := r.Store.Commit(ctx, w); err != nil && !store.IsConflict(err) {
		return fmt.Errorf("keep where the round ended: %w", err)
	}
	return nil
}

// get decodes one record; one that is not there leaves into as it is.
func (r *Reconciler) get(ctx context.Context, key store.Key, into any) (store.Version, error) {
	rows, err := r.Store.Get(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	if rows[0].Version == 0 {
		return 0, nil
	}
	if err := json.Unmarshal(rows[0].Body, into); err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	return rows[0].Version, nil
}

// firstSeen returns since when each repository is looked at, which for those
// that are new is now.
func (r *Reconciler) firstSeen(ctx context.Context, repos []string, now time.Time) (map[string]time.Time, error) {
	rows, err := store.All(ctx, r.Store, inRepos, "")
	if err != nil {
		return nil, err
	}
	since := map[string]time.Time{}
	for _, row := range rows {
		var s seen
		if err := json.Unmarshal(row.Body, &s); err != nil {
			return nil, fmt.Errorf("read %s: %w", row.Key, err)
		}
		since[row.Key.Sort] = s.Since
	}
	for _, repo := range repos {
		if _, known := since[repo]; known {
			continue
		}
		since[repo] = now
		w, err := record.Put(store.Key{Partition: inRepos, Sort: repo}, 0, seen{Since: now})
		if err != nil {
			return nil, err
		}
		if err := r.Store.Commit(ctx, w); err != nil && !store.IsConflict(err) {
			return nil, fmt.Errorf("remember %s: %w", repo, err)
		}
	}
	return since, nil
}

func askedKey(repo string, number int) store.Key {
	return store.Key{Partition: inAsked, Sort: fmt.Sprintf("%s#%010d", repo, number)}
}

// allAsked returns what was asked for, by the names of the records, and
// forgets what is old.
func (r *Reconciler) allAsked(ctx context.Context, now time.Time) (map[string]asked, error) {
	rows, err := store.All(ctx, r.Store, inAsked, "")
	if err != nil {
		return nil, err
	}
	all := map[string]asked{}
	var old []store.Write
	for _, row := range rows {
		var a asked
		if err := json.Unmarshal(row.Body, &a); err != nil {
			return nil, fmt.Errorf("read %s: %w", row.Key, err)
		}
		if now.Sub(a.At) > forgetAsked && len(old) < store.MaxWrites {
			old = append(old, store.Write{Op: store.Delete, Key: row.Key, Expect: row.Version})
			continue
		}
		a.version = row.Version
		all[row.Key.Sort] = a
	}
	if err := r.Store.Commit(ctx, old...); err != nil && !store.IsConflict(err) {
		return nil, fmt.Errorf("forget what was asked for: %w", err)
	}
	return all, nil
}
