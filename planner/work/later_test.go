package work

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/store/storetest"
)

// Jobs that can wait hold a part of the workers at most, however many there are
// and however long they take, and all of them are done.
func TestI10_JobsThatCanWaitLeaveWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory(), Exclusive: true, Poll: time.Hour}
		var mu sync.Mutex
		running, most := 0, 0
		var done []string
		stop := start(t, q, 8, func(_ context.Context, j Job) error {
			if j.Kind != Drift {
				mu.Lock()
				defer mu.Unlock()
				done = append(done, "plan")
				return nil
			}
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			pass(time.Hour)
			mu.Lock()
			defer mu.Unlock()
			running--
			done = append(done, j.Repo)
			return nil
		})
		defer stop()
		for i := range 20 {
			accept(t, q, "", Job{Kind: Drift, Repo: fmt.Sprintf("acme/r%02d", i), Topic: "checks", Later: true})
		}
		synctest.Wait()
		began := time.Now()
		accept(t, q, "", newJob(Plan, 1))
		synctest.Wait()
		mu.Lock()
		if !slices.Equal(done, []string{"plan"}) || time.Since(began) > time.Second {
			t.Errorf("done after %s: %q", time.Since(began), done)
		}
		mu.Unlock()
		quiet(t, q)
		mu.Lock()
		defer mu.Unlock()
		if most != 2 || len(done) != 21 {
			t.Errorf("%d ran at once, want 2 of 8; %d were done, want 21", most, len(done))
		}
	})
}
