package schedule

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/store"
	"weir/store/storetest"
)

// world is a thousand groups of many repositories.
func world(repos, each int) map[string][]Group {
	crons := []string{"0 5 * * *", "30 2 * * *", "0 */6 * * *", "15 1-3 * * *", "0 4 * * 1-5", "0 0 * * 0"}
	zones := []string{"", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"}
	all := map[string][]Group{}
	for r := range repos {
		repo := fmt.Sprintf("acme/repo-%d", r)
		for g := range each {
			n := r*each + g
			all[repo] = append(all[repo], Group{Name: fmt.Sprintf("group-%d", g), Cron: crons[n%len(crons)], Zone: zones[n/len(crons)%len(zones)]})
		}
	}
	return all
}

const jobs = "jobs"

// replica looks every ten minutes, and accepts a job for each slot that it
// gets.
type replica struct {
	name  string
	book  Book
	all   map[string][]Group
	t     *testing.T
	wrong bool // errors are expected: its store fails now and then
}

func (r replica) run(ctx context.Context) {
	repos := slices.Sorted(maps.Keys(r.all))
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for n := 0; ; n++ {
		for _, repo := range repos {
			now := time.Now()
			slots, err := r.book.Due(ctx, repo, r.all[repo], now)
			if err != nil && !r.wrong && ctx.Err() == nil {
				r.t.Error(err)
			}
			for i, s := range slots {
				job := store.Write{Key: store.Key{Partition: jobs, Sort: fmt.Sprintf("%s %s %d %d", s.ID(), r.name, n, i)}, Body: []byte(now.Format(time.RFC3339))}
				if _, err := r.book.Claim(ctx, s, now, job); err != nil && !r.wrong {
					r.t.Error(err)
				}
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// wantJobs compares the jobs with what the expressions say: one job for every
// slot between two moments, and soon after it was due.
func wantJobs(t *testing.T, s store.Store, all map[string][]Group, from, to time.Time, soon time.Duration) {
	t.Helper()
	rows, err := store.All(t.Context(), s, jobs, "")
	if err != nil {
		t.Fatal(err)
	}
	times := map[string][]time.Time{}
	for _, row := range rows {
		begun, err := time.Parse(time.RFC3339, string(row.Body))
		if err != nil {
			t.Fatal(err)
		}
		times[strings.Fields(row.Key.Sort)[0]] = append(times[strings.Fields(row.Key.Sort)[0]], begun)
	}
	slots := 0
	for repo, groups := range all {
		for _, g := range groups {
			tm, err := parse(g.Cron, g.Zone)
			if err != nil {
				t.Fatal(err)
			}
			for slot, _ := tm.slot(repo, g, from); slot.Due.Add(soon).Before(to); slot, _ = tm.slot(repo, g, slot.At) {
				slots++
				got := times[slot.ID()]
				delete(times, slot.ID())
				if len(got) != 1 || got[0].Before(slot.Due) || got[0].After(slot.Due.Add(soon)) {
					t.Errorf("%s %s %q, due at %s: jobs at %s", slot.ID(), g.Cron, g.Zone, slot.Due, got)
				}
			}
		}
	}
	for id, got := range times {
		if len(got) > 1 || got[0].Before(to.Add(-soon-Spread)) {
			t.Errorf("%s is no slot, and has jobs at %s", id, got)
		}
	}
	if slots == 0 {
		t.Error("no slots at all")
	}
}

// sleep lets time pass where it is not real.
func sleep(d time.Duration) { <-time.After(d) }

// until lets time pass until a moment.
func until(at time.Time) { sleep(time.Until(at)) }

// TestThousandGroups goes through nights in which the clocks change, with
// WEIR_CHAOS more of them.
func TestThousandGroups(t *testing.T) {
	nights := []string{"2027-10-30T22:00:00Z", "2027-03-13T22:00:00Z"}
	if os.Getenv("WEIR_CHAOS") == "" {
		nights = nights[:1]
	}
	for _, day := range nights {
		t.Run(day, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				from := at(t, day)
				until(from)
				to := from.Add(10 * time.Hour)
				s := storetest.Memory()
				all := world(10, 100)
				ctx, stop := context.WithDeadline(t.Context(), to)
				defer stop()
				replica{name: "one", book: Book{s}, all: all, t: t}.run(ctx)
				wantJobs(t, s, all, from, to, 10*time.Minute)
			})
		})
	}
}

// TestReplicas has several servers look at the same moments, on a store that
// fails now and then before or after a commit, and one of them stop and start
// again.
func TestReplicas(t *testing.T) {
	for replicas := 2; replicas <= 3; replicas++ {
		t.Run(fmt.Sprint(replicas), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				from := at(t, "2027-10-30T12:00:00Z")
				until(from)
				to := from.Add(24 * time.Hour)
				memory := storetest.Memory()
				all := world(3, 20)
				var wg sync.WaitGroup
				for i := range replicas {
					random := rand.New(rand.NewPCG(uint64(i), 1)) // the same faults each time
					var mu sync.Mutex
					faulty := &storetest.Faulty{Store: memory, Plan: func(int, []store.Write) storetest.Fault {
						mu.Lock()
						defer mu.Unlock()
						if random.IntN(4) > 0 || time.Until(to) < time.Hour {
							return storetest.None
						}
						return storetest.Before + storetest.Fault(random.IntN(2))
					}}
					wg.Go(func() {
						for start := from; start.Before(to); start = start.Add(6 * time.Hour) {
							until(start)
							ctx, stop := context.WithDeadline(t.Context(), start.Add(6*time.Hour-time.Duration(i)*10*time.Minute))
							replica{name: fmt.Sprint(i, " ", start.Unix()), book: Book{faulty}, all: all, t: t, wrong: true}.run(ctx)
							stop()
						}
					})
				}
				wg.Wait()
				wantJobs(t, memory, all, from, to, time.Hour)
			})
		})
	}
}

// TestRestartAcrossSlots stops all servers for days.
func TestRestartAcrossSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := at(t, "2027-03-01T12:00:00Z")
		until(from)
		s := storetest.Memory()
		all := map[string][]Group{"acme/app": {{Name: "a", Cron: "0 5 * * *"}, {Name: "b", Cron: "*/10 * * * *"}, {Name: "c", Cron: "0 5 1 * *"}}}
		run := func(d time.Duration) {
			var wg sync.WaitGroup
			for i := range 3 {
				wg.Go(func() {
					ctx, stop := context.WithTimeout(t.Context(), d)
					defer stop()
					replica{name: fmt.Sprint(i, " ", time.Now().Unix()), book: Book{s}, all: all, t: t}.run(ctx)
				})
			}
			wg.Wait()
		}
		run(time.Minute)
		sleep(4 * 24 * time.Hour)
		run(time.Minute)
		rows, err := store.All(t.Context(), s, jobs, "")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range rows {
			got = append(got, strings.Fields(r.Key.Sort)[0])
		}
		want := []string{"drift-acme/app#a@2027-03-02T05:00:00Z", "drift-acme/app#b@2027-03-01T12:10:00Z"}
		if !slices.Equal(got, want) {
			t.Errorf("jobs of %v, want %v", got, want)
		}
	})
}
