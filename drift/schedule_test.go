package drift

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/drift/finding"
	"weir/drift/schedule"
	"weir/planner/record"
	"weir/planner/work"
	"weir/store"
	"weir/store/storetest"
)

// replica is a server's Drift, as far as its schedule goes.
func replica(s store.Store, cron string) *Drift {
	d := &Drift{Store: s, Queue: &work.Queue{Store: s}, Cron: cron, Serves: func(string) bool { return true }}
	d.init()
	return d
}

// queued returns all jobs of the repository's checks, those that a newer one
// replaced first.
func queued(t *testing.T, s store.Store) []work.Job {
	t.Helper()
	rows, err := s.Get(t.Context(), store.Key{Partition: "queue", Sort: repo + "#0!" + checks})
	if err != nil {
		t.Fatal(err)
	}
	var line struct{ Jobs, Ended []work.Job }
	if rows[0].Version != 0 {
		if err := record.Decode(rows[0].Body, &line); err != nil {
			t.Fatal(err)
		}
	}
	return append(line.Ended, line.Jobs...)
}

// TestOneJobASlot holds that of two servers that look at the same time one
// queues the check, and that a slot that was due while none ran is done late,
// once, however many were missed.
func TestOneJobASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Memory()
		defer s.Close()
		a, b := replica(s, "0 3 * * *"), replica(s, "0 3 * * *")
		look := func(replicas ...*Drift) {
			done := make(chan error, len(replicas))
			for _, d := range replicas {
				go func() { done <- d.queueDue(t.Context(), repo, d.groupsOf(nil), time.Now()) }()
			}
			for range replicas {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		look(a, b)
		if got := queued(t, s); len(got) > 0 {
			t.Fatalf("queued at first: %+v", got)
		}
		<-time.After(24 * time.Hour)
		look(a, b)
		look(a, b)
		got := queued(t, s)
		if len(got) != 1 || got[0].Kind != work.Drift || got[0].Group != others || got[0].Topic != checks || got[0].Trigger != "schedule" {
			t.Fatalf("queued %+v", got)
		}
		<-time.After(5 * 24 * time.Hour) // none runs
		c := replica(s, "0 3 * * *")
		look(c)
		look(c)
		after := queued(t, s)
		if len(after) != 2 || after[0].State != work.Superseded || after[1].State != work.Queued {
			t.Errorf("queued after the restart: %+v", after)
		}
	})
}

// TestQueueDueFails holds that a slot whose job could not be queued is due
// again, and is not lost.
func TestQueueDueFails(t *testing.T) {
	for _, fault := range []storetest.Fault{storetest.Before, storetest.After} {
		synctest.Test(t, func(t *testing.T) {
			s := &storetest.Faulty{Store: storetest.Memory()}
			defer s.Close()
			d := replica(s, "0 3 * * *")
			groups := d.groupsOf(nil)
			if err := d.queueDue(t.Context(), repo, groups, time.Now()); err != nil {
				t.Fatal(err)
			}
			<-time.After(24 * time.Hour)
			s.Fail(1, fault)
			if err := d.queueDue(t.Context(), repo, groups, time.Now()); !errors.Is(err, storetest.ErrInjected) {
				t.Errorf("got %v", err)
			}
			if err := d.queueDue(t.Context(), repo, groups, time.Now()); err != nil {
				t.Error(err)
			}
			if got := queued(t, s); len(got) != 1 {
				t.Errorf("fault %d: queued %+v", fault, got)
			}
		})
	}
}

// TestRepositoriesThatLeave holds that the schedule of a repository that is not
// checked any more is forgotten, also by a server that began after it had
// left, and that one that comes back at once keeps its slot.
func TestRepositoriesThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Memory()
		defer s.Close()
		d := replica(s, "0 3 * * *")
		if err := d.queueDue(t.Context(), repo, d.groupsOf(nil), time.Now()); err != nil {
			t.Fatal(err)
		}
		slots := func() int {
			t.Helper()
			rows, err := store.All(t.Context(), s, "drift-slots", "")
			if err != nil {
				t.Fatal(err)
			}
			return len(rows)
		}
		// What was found goes with it, but not that of one which is only
		// checked on demand.
		for _, name := range []string{repo, "acme/demand"} {
			k := Known{Check: finding.Check{Repo: name, Project: "a", Started: time.Now()}}
			w, err := record.Put(keyOf(name, "a"), 0, k)
			if err == nil {
				err = record.Commit(t.Context(), s, w)
			}
			if err == nil {
				err = d.editState(t.Context(), name, func(s *State) { s.Repo = name })
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		fresh := replica(s, "0 3 * * *")
		fresh.Named = []string{}
		plans := map[string]plan{}
		pass := func(d *Drift, after time.Duration) {
			t.Helper()
			<-time.After(after)
			if err := d.list(t.Context(), plans); err != nil {
				t.Fatal(err)
			}
			d.round(t.Context(), plans)
		}
		pass(fresh, 0)
		if got, err := (schedule.Book{Store: s}).All(t.Context()); err != nil || len(got) > 0 || slots() != 1 {
			t.Errorf("it is still to come: %v, %v", got, err)
		}
		fresh.Named = []string{repo}
		fresh.GitHub = down{}
		pass(fresh, time.Minute)
		if p, ok := plans[repo]; !ok || !p.left.IsZero() || p.groups != nil {
			t.Errorf("did not come back: %+v", p)
		}
		if all, err := Read(t.Context(), s, repo); err != nil || len(all) != 1 {
			t.Errorf("what was found is forgotten at once: %v, %v", all, err)
		}
		fresh.Named = []string{repo, "acme/demand"}
		fresh.Serves = func(name string) bool { return name != repo }
		pass(fresh, time.Minute)
		pass(fresh, 90*time.Minute)
		if slots() != 0 {
			t.Error("the slot is kept")
		}
		pass(fresh, 2*time.Hour)
		states, err := States(t.Context(), s)
		if err != nil || len(states) != 1 || states[0].Repo != "acme/demand" {
			t.Errorf("states %+v, %v", states, err)
		}
		if all, err := Read(t.Context(), s, ""); err != nil || len(all) != 1 || all[0].Check.Repo != "acme/demand" {
			t.Errorf("known %+v, %v", all, err)
		}
		if _, ok := plans[repo]; ok {
			t.Errorf("plans %v", plans)
		}
	})
}

// down is a GitHub that does not answer.
type down struct{}

func (down) Repositories(context.Context) ([]string, error) { return nil, errors.New("down") }
func (down) Repository(context.Context, string) (finding.Repository, error) {
	return finding.Repository{}, errors.New("down")
}

// TestScheduleIsRead holds that rules of weir.yaml are groups of their own, and
// that a broken one leaves the server's.
func TestScheduleIsRead(t *testing.T) {
	w := newWorld(t, three())
	w.Cron = "0 3 * * *"
	const rules = "version: 1\ndrift:\n  - dirs: [a]\n    schedule: '0 1 * * *'\n    timezone: Europe/Berlin\n  - dirs: [b]\n"
	w.git.Commit(map[string]string{"weir.yaml": rules})
	for _, c := range []struct{ file, want, broken string }{
		{rules, "[0 1 * * */Europe/Berlin 0 3 * * */ 0 3 * * */]", ""},
		{"no_such_key: 1\n", "[0 3 * * */]", "no_such_key"},
		{rules + "# mended\n", "[0 1 * * */Europe/Berlin 0 3 * * */ 0 3 * * */]", ""},
	} {
		w.git.Commit(map[string]string{"weir.yaml": c.file, "d/main.tf": code(fmt.Sprint("d", len(c.file)))})
		groups, err := w.groups(t.Context(), repo, &plan{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, g := range groups {
			got = append(got, g.Cron+"/"+g.Zone)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("got %v, want %s", got, c.want)
		}
		state, _, err := w.Drift.state(t.Context(), repo)
		if err != nil || (state.Schedule == "") != (c.broken == "") || !strings.Contains(state.Schedule, c.broken) {
			t.Errorf("%v, kept %q, want %q", err, state.Schedule, c.broken)
		}
	}
}

// TestRunLooksAgain holds that a list that cannot be read is read again, and
// that Run ends with its context.
func TestRunLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.Memory()
		defer s.Close()
		d := replica(s, "0 3 * * *")
		d.GitHub = down{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		d.Run(ctx)
		if waited := context.Cause(ctx); !errors.Is(waited, context.DeadlineExceeded) {
			t.Errorf("ended by %v", waited)
		}
	})
}

// Without a schedule of the server's, only repositories in which weir has
// planned are looked into: an App may be installed on hundreds.
func TestOnlyRepositoriesThatWeirKnows(t *testing.T) {
	for _, c := range []struct {
		cron string
		held held
		want int
	}{
		{"", held{}, 0},
		{"", held{"acme/other": nil}, 1},
		{"0 5 * * *", held{}, 2},
	} {
		d := &Drift{
			Store: storetest.Memory(), Locks: c.held, Cron: c.cron,
			Named: []string{"acme/app", "acme/other"}, Serves: func(string) bool { return true },
		}
		plans := map[string]plan{}
		if err := d.list(t.Context(), plans); err != nil {
			t.Fatal(err)
		}
		if len(plans) != c.want {
			t.Errorf("cron %q, known %v: %d repositories, want %d", c.cron, c.held, len(plans), c.want)
		}
	}
}
