package drift

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/locks"
	"weir/planner/record"
	"weir/planner/work"
	"weir/planner/work/job"
	"weir/store"
	"weir/store/storetest"
)

const zones = `version: 1
drift:
  - {dirs: ["berlin/**"], schedule: "30 2 * * 0,3,4,5", timezone: Europe/Berlin}
  - {dirs: ["tokyo/**"], schedule: "0 10 * * 1,3", timezone: Asia/Tokyo}
  - {dirs: ["weekly/**"], schedule: "0 4 * * 0", timezone: America/New_York}
  - {dirs: ["off/**"], schedule: "off"}
`

// The repositories, which together have a thousand projects, and how many of
// each group they have. What takes many tries happens in the small one.
const small = "acme/infra"

var share = map[string]map[string]int{
	repo:  {"berlin": 280, "tokyo": 240, "weekly": 360, "off": 20, "rest": 60},
	small: {"berlin": 12, "tokyo": 10, "weekly": 10, "off": 2, "rest": 6},
}

func utc(day, hour, minute int) time.Time {
	return time.Date(2000, time.March, day, hour, minute, 0, 0, time.UTC)
}

// slots are when the groups are due from Monday, 20 March 2000, to Sunday. In
// Berlin that Sunday has no half past two: its clocks go from two to three.
var slots = map[string][]time.Time{
	"berlin": {utc(22, 1, 30), utc(23, 1, 30), utc(24, 1, 30), utc(26, 1, 0)},
	"tokyo":  {utc(20, 1, 0), utc(22, 1, 0)},
	"weekly": {utc(26, 9, 0)},
	"rest":   {utc(21, 3, 0), utc(24, 3, 0)},
	"off":    nil,
}

// Projects that are not like the others.
var (
	failing  = looked{repo: repo, dir: "berlin/000"}  // its plans fail
	faulty   = looked{repo: small, dir: "weekly/000"} // weir's own fault
	applying = looked{repo: small, dir: "rest/000"}   // a pull request applies it at one of its slots
)

// many are the files of a repository with many projects.
func many(repo string) map[string]string {
	files := map[string]string{"weir.yaml": zones}
	for group, n := range share[repo] {
		for i := range n {
			files[fmt.Sprintf("%s/%03d/main.tf", group, i)] = code("x")
		}
	}
	return files
}

// TestThousandProjects holds what the schedule promises, through a week of a
// thousand projects and two servers, with all that comes between: servers that
// are started anew in the middle of a check, a night in which none runs,
// checks that somebody asks for, a project that cannot be planned, one that
// weir fails at, one that is being applied, and a day on which clocks change.
func TestThousandProjects(t *testing.T) {
	n := newServers(t, many(repo))
	n.also(small, many(small))
	n.locks[small] = []locks.Lock{{Key: locks.Key{Dir: applying.dir, Workspace: "default"}, Owner: 12}}
	var mu sync.Mutex
	biggest := 0
	n.store.Plan = func(_ int, writes []store.Write) storetest.Fault {
		mu.Lock()
		defer mu.Unlock()
		for _, w := range writes {
			biggest = max(biggest, len(w.Body))
		}
		return storetest.None
	}
	n.inside(func(t *testing.T) {
		until(utc(19, 22, 0))
		stopA, stopB := n.start("a", seldom), n.start("b", seldom)
		n.apply(record.Planned)

		until(utc(21, 2, 30)) // Tuesday: it is being applied when its group is due
		n.apply(record.Applying)
		at := n.due(small, "")
		until(at.Add(100 * time.Second))
		if k := n.remembered(applying); k.PutOff != "#12 is being applied" || k.Check.Started.After(utc(21, 0, 0)) || k.Check.InFlight != 12 {
			t.Errorf("while it is applied: %+v", k)
		}
		n.apply(record.Applied)

		until(utc(22, 12, 0)) // Wednesday noon: somebody asks
		desk := &Drift{Queue: &work.Queue{Store: n.store}, Serves: n.Serves}
		for _, dir := range asked {
			if err := desk.Ask(t.Context(), small, work.Command{Dir: dir, Drift: &job.Drifted{Verb: "check"}}, "comment"); err != nil {
				t.Error(err)
			}
		}

		until(n.due(repo, "berlin/**").Add(time.Minute)) // Thursday: both are started anew in the middle of it
		stopA()
		stopA = n.start("a", seldom)
		stopB()
		stopB = n.start("b", seldom)
		if len(n.eyes.cut) == 0 {
			t.Error("no look was cut short")
		}

		until(utc(24, 0, 30)) // Friday: none runs in the night
		stopA()
		stopB()
		until(utc(24, 6, 5))
		stopA, stopB = n.start("a", seldom), n.start("b", seldom)

		until(utc(27, 0, 0))
		stopA()
		stopB()
		n.nothingWaits()
	})
	n.everyProject()
	n.inOrder()
	if n.eyes.faults != 6 {
		t.Errorf("weir's own fault was met %d times, want 6: then it is given up until the next slot", n.eyes.faults)
	}
	if biggest > store.MaxBody/20 {
		t.Errorf("a record of %d bytes", biggest)
	}
}

// apply sets what the record of pull request 12 says of a project.
func (n *servers) apply(state record.State) {
	n.t.Helper()
	draft, err := record.Open(n.t.Context(), n.store, applying.repo, 12)
	if err == nil {
		draft.Projects = []record.ProjectRecord{{ID: applying.dir, State: state}}
		err = draft.Save(n.t.Context())
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

// asked are projects of the small repository that somebody asks for on Wednesday.
var asked = []string{"berlin/003", "berlin/011"}

// everyProject holds that each project was looked at once a slot of its group,
// soon after it was due, and otherwise only where somebody asked.
func (n *servers) everyProject() {
	n.t.Helper()
	wrong := 0
	for repo, groups := range share {
		for group, many := range groups {
			for i := range many {
				here := looked{repo: repo, dir: fmt.Sprintf("%s/%03d", group, i)}
				if here == faulty {
					continue
				}
				all := n.eyes.at(time.Time{}, utc(28, 0, 0), func(l looked) bool { return l.repo == repo && l.dir == here.dir })
				want := len(slots[group])
				if repo == small && slices.Contains(asked, here.dir) {
					want++
				}
				good := len(all) == want
				for _, slot := range slots[group] {
					end := slot.Add(45 * time.Minute)
					if slot.Day() == 24 {
						end = utc(24, 7, 0) // when nobody looked for the night
					}
					then := slices.DeleteFunc(slices.Clone(all), func(l looked) bool { return l.at.Before(slot) || l.at.After(end) })
					good = good && len(then) == 1
				}
				if wrong++; good {
					wrong--
				} else if wrong < 10 {
					n.t.Errorf("%s of %s was looked at %d times, want %d: %v", here.dir, repo, len(all), want, all)
				}
			}
		}
	}
}

// inOrder holds that at each slot those came first that had waited for
// longest, and those last that somebody had asked for meanwhile.
func (n *servers) inOrder() {
	n.t.Helper()
	for repo, groups := range share {
		for group := range groups {
			last, newest := map[string]time.Time{}, time.Time{}
			looks := n.eyes.at(time.Time{}, utc(28, 0, 0), func(l looked) bool { return l.repo == repo && l.group() == group })
			for i := 0; i < len(looks); {
				if i > 0 && looks[i].at.Sub(looks[i-1].at) > time.Hour {
					newest = time.Time{} // another slot
				}
				together := i // some begin in the same moment, in any order
				for ; i < len(looks) && looks[i].at.Equal(looks[together].at); i++ {
					l := looks[i]
					begunBefore := l.repo == applying.repo && l.dir == applying.dir && l.at.Day() == 21 ||
						slices.ContainsFunc(n.eyes.cut, func(c looked) bool { return c.repo == l.repo && c.dir == l.dir && l.at.Sub(c.at).Abs() < time.Hour })
					if before := last[l.dir]; before.Before(newest) && !begunBefore {
						n.t.Errorf("%s: %s was last looked at at %s, and at %s comes after one of %s", repo, l.dir, before, l.at, newest)
					}
				}
				for _, l := range looks[together:i] {
					if last[l.dir].After(newest) {
						newest = last[l.dir]
					}
				}
				for _, l := range looks[together:i] {
					last[l.dir] = l.at
				}
			}
		}
	}
	thursday := n.eyes.at(utc(23, 0, 0), utc(24, 0, 0), func(l looked) bool { return l.repo == small && l.group() == "berlin" })
	first := slices.IndexFunc(thursday, func(l looked) bool { return slices.Contains(asked, l.dir) })
	for _, l := range thursday[first:] {
		if !slices.Contains(asked, l.dir) && l.at.After(thursday[first].at) {
			n.t.Errorf("%s comes after %s, which was asked for on the day before", l.dir, thursday[first].dir)
		}
	}
}

// remembered is what is known of a project.
func (n *servers) remembered(p looked) Known {
	n.t.Helper()
	all, err := Read(n.t.Context(), n.store, p.repo)
	if err != nil {
		n.t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(k Known) bool { return k.Check.Dir == p.dir })
	if i < 0 {
		n.t.Fatalf("nothing is known of %s of %s", p.dir, p.repo)
	}
	return all[i]
}

// nothingWaits holds that all jobs have ended, and what they left.
func (n *servers) nothingWaits() {
	n.t.Helper()
	ctx := n.t.Context()
	lines, err := store.All(ctx, n.store, "queue", "")
	if err != nil || len(lines) > 0 {
		n.t.Errorf("%d lines of jobs are left: %v", len(lines), err)
	}
	states, err := States(ctx, n.store)
	if err != nil || len(states) != 2 || states[0].Failure == "" == (states[1].Failure == "") {
		n.t.Errorf("states %+v, %v: want one that tells of weir's own fault", states, err)
	}
	all, err := Read(ctx, n.store, "")
	if want := 1000 - share[repo]["off"] - share[small]["off"] - 1; err != nil || len(all) != want {
		n.t.Errorf("%d projects are known, want %d: %v", len(all), want, err)
	}
	for _, k := range all {
		if group, _, _ := strings.Cut(k.Check.Dir, "/"); len(k.History) < len(slots[group]) || k.PutOff != "" {
			n.t.Errorf("%s of %s: %d points of its history, put off %q", k.Check.Dir, k.Check.Repo, len(k.History), k.PutOff)
		}
		if fails := k.Check.Repo == failing.repo && k.Check.Dir == failing.dir; fails != (k.Check.Failure != "") {
			n.t.Errorf("%s of %s: failure %q", k.Check.Dir, k.Check.Repo, k.Check.Failure)
		}
	}
}
