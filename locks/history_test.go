package locks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"weir/locks/format"
	"weir/store"
	"weir/store/storetest"
)

// history is a store that remembers every commit that succeeded, in order.
type history struct {
	store.Store

	mu      sync.Mutex
	commits [][]store.Write
}

func (h *history) Commit(ctx context.Context, writes ...store.Write) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.Store.Commit(ctx, writes...)
	if err == nil {
		h.commits = append(h.commits, slices.Clone(writes))
	}
	return err
}

// len returns how many commits there are so far.
func (h *history) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.commits)
}

// place is a project of a repository.
type place struct {
	repo string
	Key
}

func (p place) String() string { return p.repo + " " + p.Key.String() }

// moment is all locks after one commit.
type moment map[place]Lock

// replay carries out the commits of a history once more on an empty store, and
// returns the moment before the first and after each of them, and every way in
// which one owner was not the only one. It knows nothing of how the commits
// came about.
func (h *history) replay(ctx context.Context) (moments []moment, broken []string, err error) {
	again := storetest.Memory()
	versions := map[store.Key]store.Version{}
	owners := map[string]int{} // by place and epoch
	now := moment{}
	moments = append(moments, now)
	for i, writes := range h.commits {
		var fresh []store.Write
		for _, w := range writes {
			w.Expect = versions[w.Key]
			fresh = append(fresh, w)
		}
		if err := again.Commit(ctx, fresh...); err != nil {
			return nil, nil, fmt.Errorf("commit %d again: %w", i, err)
		}
		touched := map[string]bool{}
		for _, w := range writes {
			r, err := again.Get(ctx, w.Key)
			if err != nil {
				return nil, nil, err
			}
			versions[w.Key] = r[0].Version
			if repo, ok := strings.CutPrefix(w.Key.Partition, format.IndexPartition+"/"); ok {
				touched[repo] = true
			}
		}
		before := now
		now = moment{}
		for p, l := range before {
			if !touched[p.repo] {
				now[p] = l
			}
		}
		for repo := range touched {
			t, whole, err := (&Locks{Store: again}).read(ctx, repo)
			if err != nil || !whole {
				return nil, nil, fmt.Errorf("after commit %d: rows of one moment: %v, %w", i, whole, err)
			}
			for k, r := range t.rows {
				now[place{repo, k}] = r.Lock
			}
		}
		moments = append(moments, now)
		for p, was := range before {
			is, kept := now[p]
			switch {
			case !kept:
				broken = append(broken, fmt.Sprintf("commit %d: the row of %v was deleted", i, p))
			case is.Epoch < was.Epoch, is.Owner != 0 && is.Owner != was.Owner && is.Epoch == was.Epoch:
				broken = append(broken, fmt.Sprintf("commit %d: %v from #%d, epoch %d to #%d, epoch %d", i, p, was.Owner, was.Epoch, is.Owner, is.Epoch))
			}
		}
		states := map[string]Pull{}
		waits := map[Pull][]Lock{}
		for p, l := range now {
			for _, w := range l.Waiters {
				one := l
				one.State = w.State
				waits[Pull{Repo: p.repo, Number: w.Pull}] = append(waits[Pull{Repo: p.repo, Number: w.Pull}], one)
			}
			if l.Owner == 0 {
				continue
			}
			if by, taken := states[l.State]; taken && l.State != "" && by != (Pull{Repo: p.repo, Number: l.Owner}) {
				broken = append(broken, fmt.Sprintf("commit %d: state %s belongs to %v and %s#%d", i, l.State, by, p.repo, l.Owner))
			}
			states[l.State] = Pull{Repo: p.repo, Number: l.Owner}
			id := fmt.Sprint(p.repo, p.Key, l.Epoch)
			if owner, seen := owners[id]; seen && owner != l.Owner {
				broken = append(broken, fmt.Sprintf("commit %d: epoch %d of %v belongs to #%d and #%d", i, l.Epoch, p, owner, l.Owner))
			}
			owners[id] = l.Owner
		}
		for p, list := range waits {
			if !slices.ContainsFunc(list, func(l Lock) bool {
				by, taken := states[l.State]
				return l.Owner != 0 || l.State != "" && taken && by != p
			}) {
				broken = append(broken, fmt.Sprintf("I10: after commit %d nothing keeps %v waiting", i, p))
			}
		}
	}
	return moments, broken, nil
}
