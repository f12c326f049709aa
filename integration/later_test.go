package integration

import (
	"context"
	"encoding/json"
	"path/filepath"
	"sync"
	"testing"

	"weir/planner/work"
	"weir/server/control"
	"weir/store"
)

// accepted collects the jobs that are written into lines.
type accepted struct {
	store.Store

	mu   sync.Mutex
	jobs map[string]work.Job
}

func (a *accepted) Commit(ctx context.Context, writes ...store.Write) error {
	err := a.Store.Commit(ctx, writes...)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range writes {
		var line struct{ Jobs []work.Job }
		if json.Unmarshal(w.Body, &line) != nil {
			continue // it is something else
		}
		for _, j := range line.Jobs {
			a.jobs[j.ID] = j
		}
	}
	return nil
}

// Checks of drift may hold a part of the workers only, so that pull requests are
// planned while many repositories are checked: package work leaves the rest to
// jobs that do not say that they can wait.
func TestI10_ChecksLeaveWorkersToPullRequests(t *testing.T) {
	t.Parallel()
	seen := &accepted{jobs: map[string]work.Job{}}
	w := newWorld(t, setup{store: func(s store.Store) store.Store {
		seen.Store = s
		return seen
	}})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two")
	for _, dir := range []string{"", "prod"} {
		_, err := control.Ask(t.Context(), filepath.Join(w.dir, "weir"), control.Request{Repo: repo, Dir: dir})
		w.do(err)
	}
	w.quiet()
	seen.mu.Lock()
	defer seen.mu.Unlock()
	count := map[bool]int{}
	for _, j := range seen.jobs {
		if check := j.Kind == work.Drift; check != j.Later {
			t.Errorf("a %s says that it can wait: %v, want %v", j.Kind, j.Later, check)
		}
		count[j.Later]++
	}
	if count[true] == 0 || count[false] == 0 {
		t.Errorf("jobs that can wait: %d; others: %d", count[true], count[false])
	}
}
