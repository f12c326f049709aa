package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/planner/record"
	"weir/planner/scope"
	"weir/planner/work"
	"weir/policy"
	"weir/store"
)

// TestI10_WhatWasMissedIsPutRight: pull requests were closed, pushed to, opened
// and approved while nothing was delivered.
func TestI10_WhatWasMissedIsPutRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for n := 1; n <= 8; n++ {
			w.put("acme/app", n, nil)
		}
		w.put("acme/app-infra", 1, nil)
		pass(time.Second)
		for n := 1; n <= 7; n++ {
			w.planned("acme/app", n, fmt.Sprintf("p%d", n))
		}
		w.planned("acme/app", 8, "p1") // waits for #1
		w.planned("acme/app-infra", 1, "p1")
		before := w.reconciler()
		if report := w.round(before); len(report.Asked) > 0 {
			t.Fatalf("nothing differs, but %q", report.Asked)
		}

		pass(time.Hour) // weir is down
		w.put("acme/app", 1, func(p *scope.PullRequest) { p.Open, p.Merged = false, true })
		w.put("acme/app", 2, func(p *scope.PullRequest) { p.Open = false })
		w.put("acme/app", 3, func(p *scope.PullRequest) { p.Head = "bbbb" })
		w.put("acme/app", 4, nil)
		w.reviews["acme/app#4"] = []policy.Review{{ID: 1, State: "approved", Submitted: time.Now()}}
		w.put("acme/app", 5, nil) // only talked about
		w.put("acme/app", 6, func(p *scope.PullRequest) { p.Draft = true })
		w.put("acme/app", 9, nil) // new
		w.put("other/app", 1, nil)
		pass(time.Second)

		r := w.reconciler()
		w.calls = nil
		report := w.round(r)
		want := map[string][]work.Kind{
			"acme/app#1": {work.Close}, "acme/app#2": {work.Close}, "acme/app#3": {work.Plan}, "acme/app#4": {work.Gate}, "acme/app#9": {work.Plan},
		}
		got := map[string][]work.Kind{}
		for _, repo := range []string{"acme/app", "acme/app-infra", "other/app"} {
			for n := 1; n <= 9; n++ {
				if kinds := w.jobs(repo, n); kinds != nil {
					got[pullName(repo, n)] = kinds
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if diff := cmp.Diff([]string{"weir reconciled: It was merged, and weir was not told."}, w.audit("acme/app", 1)); diff != "" {
			t.Errorf("audit log: -want +got:\n%s", diff)
		}
		wantCalls := []string{
			"deliveries", "repositories", "list acme/app", "get acme/app#1", "get acme/app#2",
			"reviews acme/app#4", "reviews acme/app#5", "reviews acme/app#6", "list acme/app-infra",
		}
		if diff := cmp.Diff(wantCalls, w.calls); diff != "" {
			t.Errorf("calls: -want +got:\n%s", diff)
		}
		if diff := cmp.Diff(Report{Repos: 2, Calls: 7, Asked: []string{
			"acme/app#1: It was merged, and weir was not told.", "acme/app#2: It was closed, and weir was not told.",
			"acme/app#3: Its newest commit is bbbb, and weir was not told.", "acme/app#4: It was reviewed, and weir was not told.",
			"acme/app#9: It is open, and weir was never told of it.",
		}}, report); diff != "" {
			t.Errorf("report: -want +got:\n%s", diff)
		}

		// The jobs wait, or have just been done without changing anything: nothing is asked for twice.
		for i := range 3 {
			pass(10 * time.Minute)
			w.calls = nil
			if report := w.round(r); len(report.Asked) > 0 {
				t.Errorf("asked again: %q", report.Asked)
			}
			if reviews := slices.Contains(w.calls, "reviews acme/app#5"); reviews != (i == 0) {
				t.Errorf("round %d read the reviews of what has not changed: %t", i+2, reviews)
			}
			w.work()
		}
	})
}

// What changes between reading and committing is left to the next round.
func TestAJobThatIsFasterWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("acme/app", 1, nil)
		w.planned("acme/app", 1, "prod")
		pass(time.Hour)
		w.put("acme/app", 1, func(p *scope.PullRequest) { p.Head = "bbbb" })
		r := w.reconciler()
		r.Queue = lateQueue{w.queue, func() {
			rec, version, err := record.Load(t.Context(), w.store, "acme/app", 1)
			w.do(err)
			rec.Head = "bbbb"
			write, err := record.Put(record.PullKey("acme/app", 1), version, rec)
			w.do(err)
			w.do(w.store.Commit(t.Context(), write))
		}}
		pass(time.Second)
		if report := w.round(r); len(report.Asked) > 0 || w.jobs("acme/app", 1) != nil || w.audit("acme/app", 1) != nil {
			t.Errorf("asked %q, jobs %v, audit %q", report.Asked, w.jobs("acme/app", 1), w.audit("acme/app", 1))
		}
	})
}

// Trouble in one repository, or at the end of the limit, is not the end of all.
func TestTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, repo := range []string{"acme/a", "acme/b", "acme/c"} {
			w.put(repo, 1, nil)
			w.planned(repo, 1, "prod")
		}
		pass(time.Hour)
		for _, repo := range []string{"acme/a", "acme/b", "acme/c"} {
			w.put(repo, 1, func(p *scope.PullRequest) { p.Open = false })
		}
		pass(time.Second)
		r := w.reconciler()
		w.fail["list acme/a"] = errors.New("gone")
		w.fail["get acme/b#1"] = limit{}
		report, err := r.Round(t.Context())
		if err == nil || !strings.Contains(err.Error(), "gone") || !limited(err) || len(report.Asked) > 0 {
			t.Errorf("report %+v, error %v", report, err)
		}
		w.fail = map[string]error{"deliveries": errors.New("no deliveries")}
		w.calls = nil
		report, err = r.Round(t.Context()) // goes on with b
		if err == nil || len(report.Asked) != 3 {
			t.Errorf("report %+v, error %v", report, err)
		}
		lists := slices.DeleteFunc(w.calls, func(c string) bool { return !strings.HasPrefix(c, "list ") })
		if diff := cmp.Diff([]string{"list acme/b", "list acme/c", "list acme/a"}, lists); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

type limit struct{}

func (limit) Error() string    { return "used up" }
func (limit) Later() time.Time { return time.Now() }

// However many repositories there are, a round makes only so many calls, and
// the rounds after it come to the others.
func TestManyRepositories(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 2*maxCalls + 50 {
			w.put(fmt.Sprintf("acme/r%03d", i), 1, nil)
		}
		w.put("acme/work", 1, nil)
		w.planned("acme/work", 1, "prod")
		r := w.reconciler()
		seen := map[string]int{}
		for i := range 3 {
			w.calls = nil
			if report := w.round(r); i < 2 && report.Calls != maxCalls {
				t.Errorf("round %d made %d calls", i, report.Calls)
			}
			for _, c := range w.calls {
				seen[c]++
			}
			pass(10 * time.Minute)
		}
		for i := range 2*maxCalls + 50 {
			if call := fmt.Sprintf("list acme/r%03d", i); seen[call] == 0 {
				t.Errorf("no %s in three rounds", call)
			}
		}
		if seen["list acme/work"] != 3 {
			t.Errorf("the repository with work was looked at %d times, want in each round", seen["list acme/work"])
		}
	})
}

// Where the repositories are named, GitHub is not asked which there are. What
// weir began in others is ended all the same.
func TestNamedRepositories(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("acme/app", 1, nil)
		w.put("acme/new", 1, nil)
		w.put("other/left", 1, nil)
		w.planned("other/left", 1, "prod")
		pass(time.Hour)
		w.put("other/left", 1, func(p *scope.PullRequest) { p.Open = false })
		pass(time.Second)
		r := w.reconciler()
		r.Hooks, r.Named = nil, []string{"acme/new", "other/new"}
		w.round(r)
		if diff := cmp.Diff([]string{"list other/left", "get other/left#1", "list acme/new"}, w.calls); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if diff := cmp.Diff([]work.Kind{work.Close}, w.jobs("other/left", 1)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// A repository is one, however a person spells it; under its old name nothing
// new begins.
func TestNamesOfRepositories(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.put("acme/App", 1, nil)
		w.put("acme/new", 1, nil)
		w.put("acme/now", 1, nil)
		w.planned("acme/App", 1, "prod")
		w.planned("acme/once", 1, "prod")
		w.renamed = map[string]string{"acme/once": "acme/now"}
		r := w.reconciler()
		r.Hooks, r.Named = nil, []string{"acme/app", "acme/NEW"}
		w.round(r)
		pass(time.Hour)
		for _, repo := range []string{"acme/App", "acme/new", "acme/now"} {
			w.put(repo, 1, func(p *scope.PullRequest) { p.Head = "bbbb" })
		}
		w.put("acme/new", 2, nil)
		pass(time.Hour)
		report := w.round(r)
		if diff := cmp.Diff([]string{
			"acme/App#1: Its newest commit is bbbb, and weir was not told.",
			"acme/new#1: It is open, and weir was never told of it.", "acme/new#2: It is open, and weir was never told of it.",
		}, report.Asked); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// A page that is full is not all: what is on the next is open too.
func TestManyOpenPulls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.perPage = 3
		for n := 1; n <= 3*maxOpenPages+2; n++ {
			w.put("acme/app", n, nil)
		}
		w.planned("acme/app", 1, "p1") // beyond the last page that is read
		w.planned("acme/app", 5, "p5")
		report := w.round(w.reconciler())
		if len(report.Asked) > 0 || slices.Contains(w.calls, "get acme/app#5") || !slices.Contains(w.calls, "get acme/app#1") {
			t.Errorf("asked %q by %q", report.Asked, w.calls)
		}
	})
}

func TestDeliveriesAreAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.perPage = 2
		add := func(id int64, code int) {
			w.attempts = append([]Delivery{{
				ID: id, GUID: fmt.Sprint("guid-", id), Event: "issue_comment", Action: "created", At: time.Now().UTC(), Code: code, Status: "whatever",
			}}, w.attempts...)
		}
		for id := range int64(5) {
			add(id+1, 503)
			add(id+100, 202)
			pass(time.Hour)
		}
		r := w.reconciler()
		asked := func() (ids []string) {
			w.calls = nil
			w.round(r)
			for _, c := range w.calls {
				if id, ok := strings.CutPrefix(c, "redeliver "); ok {
					ids = append(ids, id)
				}
			}
			return ids
		}
		w.deliver = func(d Delivery) Delivery {
			if d.Code = 202; d.GUID == "guid-3" {
				d.Code = 503
			}
			return d
		}
		if diff := cmp.Diff([]string{"1", "2", "3", "4", "5"}, asked()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if audit := w.audit("", 0); len(audit) != 5 || !strings.Contains(audit[2], "guid-3") || !strings.HasPrefix(audit[2], "weir reconciled: ") {
			t.Errorf("audit log: %q", audit)
		}
		pass(10 * time.Minute)
		if ids := asked(); ids != nil {
			t.Errorf("asked for %v within the hour", ids)
		}
		pass(time.Hour)
		if ids := asked(); len(ids) != 1 {
			t.Errorf("asked for %v, want the one that failed again", ids)
		}
		for range 20 {
			pass(time.Hour)
			asked()
		}
		n := 0
		for _, d := range w.attempts {
			if d.GUID == "guid-3" {
				n++
			}
		}
		if n != maxAttempts {
			t.Errorf("%d attempts of what is refused each time, want %d", n, maxAttempts)
		}
		w.calls = nil
		w.round(r)
		if pages := slices.DeleteFunc(w.calls, func(c string) bool { return c != "deliveries" }); len(pages) != 1 {
			t.Errorf("%d pages of deliveries, once all is settled", len(pages))
		}
	})
}

// lateQueue lets something happen just before a job is queued.
type lateQueue struct {
	*work.Queue
	meanwhile func()
}

func (q lateQueue) Writes(ctx context.Context, job work.Job) ([]store.Write, error) {
	q.meanwhile()
	return q.Queue.Writes(ctx, job)
}
