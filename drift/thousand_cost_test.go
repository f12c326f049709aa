package drift

import (
	"context"
	"fmt"
	"testing"
	"time"

	"weir/store/storetest"
)

// TestCostOfANight holds exactly what a check costs the store: one commit and
// one read a project, and the same few more for any number of projects.
func TestCostOfANight(t *testing.T) {
	for _, many := range []int{3, 60} {
		files := map[string]string{}
		for i := range many {
			files[fmt.Sprintf("p%02d/main.tf", i)] = code("x")
		}
		w := newWorld(t, files)
		night := func() storetest.Calls {
			t.Helper()
			w.store.Reset()
			w.do(w.due())
			return w.store.Calls()
		}
		// More are the state of the repository, and the job's fence.
		want := storetest.Calls{Gets: many + 2, Lists: 1, Commits: many + 1}
		for range 2 {
			if got := night(); got != want {
				t.Errorf("%d projects: %+v, want %+v", many, got, want)
			}
		}
		// Two differ: each of them is explained, which asks for its last apply
		// (once more after that) and for the pull requests of its commits, and it is
		// kept what was told.
		w.look.plans["p00"], w.look.plans["p01"] = changedOutside("aws_s3_bucket.a"), changedOutside("aws_s3_bucket.b")
		if got, want := night(), (storetest.Calls{Gets: want.Gets + 4*2, Lists: want.Lists, Commits: want.Commits + 2}); got != want {
			t.Errorf("%d projects, two differ: %+v, want %+v", many, got, want)
		}
		// The next night it is the same, and nothing is told.
		if got, want := night(), (storetest.Calls{Gets: want.Gets + 3*2, Lists: want.Lists, Commits: want.Commits}); got != want {
			t.Errorf("%d projects, two differ as before: %+v, want %+v", many, got, want)
		}
	}
}

// TestClocksGoBack holds that a time which clocks show twice comes once, with
// Run itself, on two servers.
func TestClocksGoBack(t *testing.T) {
	files := three()
	files["weir.yaml"] = "version: 1\ndrift:\n  - {dirs: [a, b], schedule: \"30 2 * * *\", timezone: Europe/Berlin}\n"
	n := newServers(t, files)

	day := func(hour, minute int) time.Time {
		return time.Date(2000, time.October, 29, hour, minute, 0, 0, time.UTC)
	}
	n.inside(func(t *testing.T) {
		until(day(0, 0)) // half past two in summer time is half past midnight, in winter time half past one
		run := func(ctx context.Context, d *Drift) { d.Run(ctx) }
		stopA, stopB := n.start("a", run), n.start("b", run)
		until(day(2, 0))
		stopA()
		stopB()
	})
	all := n.eyes.at(day(0, 0), day(3, 0), func(looked) bool { return true })
	if len(all) != 2 || all[0].dir == all[1].dir {
		t.Fatalf("looked at %v, want a and b, once", all)
	}
	for _, l := range all {
		if l.at.Before(day(0, 30)) || l.at.After(day(0, 45)) {
			t.Errorf("%s was looked at at %s", l.dir, l.at)
		}
	}
}
