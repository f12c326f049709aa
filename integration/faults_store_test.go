package integration

import (
	"fmt"
	"testing"

	"weir/store"
	"weir/store/storetest"
)

// TestI4_StoreFailsAtEachCommit plays the main job with a store that fails at
// one commit, before its effect or after it.
func TestI4_StoreFailsAtEachCommit(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, n int, fault storetest.Fault) int {
		var faulty *storetest.Faulty
		w := newWorld(t, setup{gate: true, store: func(s store.Store) store.Store {
			faulty = &storetest.Faulty{Store: s}
			return faulty
		}})
		w.quiet()
		faulty.Reset()
		if n > 0 {
			faulty.Fail(n, fault)
		}
		redeliver := func() { // as an operator does with what was not accepted
			w.do(w.box.WaitDelivered(w.patience()))
			for _, d := range w.box.Deliveries() {
				if d.Code >= 500 && !d.Redelivery {
					w.do(w.box.Redeliver(d.ID))
				}
			}
			w.do(w.box.WaitDelivered(w.patience()))
		}
		p := w.pull("change", map[string]string{"prod/main.tf": w.counted("prod", "two")})
		redeliver()
		w.comment(p, "plan", "two")
		w.check(p.HeadSHA, "weir/apply", "action_required")
		w.quiet()
		w.review("bob", p, "APPROVE")
		redeliver()
		w.quiet()
		if got := w.conclusion(p.HeadSHA, "weir/apply"); got != "success" {
			t.Logf("weir/apply is %q after the first approval: %s", got, w.comments(p)[len(w.comments(p))-1].Body)
			w.review("bob", p, "APPROVE")
			redeliver()
			w.quiet()
		}
		w.check(p.HeadSHA, "weir/apply", "success")
		w.merge(p)
		redeliver()
		w.owner("prod", 0)
		w.quiet()
		commits := faulty.Calls().Commits
		w.wantApplied("prod", "two")
		w.wantCounts(p, 1, 1)
		if k := w.count(p, "error"); k > 0 {
			t.Errorf("%d error comments", k)
		}
		w.noPending(p.HeadSHA)
		if rows := w.locks(); len(rows) != 0 {
			t.Errorf("locks that are left: %+v", rows)
		}
		return commits
	}
	n := run(t, 0, storetest.None)
	t.Logf("%d commits", n)
	for i := 1; i <= n; i++ {
		for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
			if !chosen(2*i + int(fault)) {
				continue
			}
			t.Run(fmt.Sprintf("%d-%d", i, fault), func(t *testing.T) {
				t.Parallel()
				run(t, i, fault)
			})
		}
	}
}
