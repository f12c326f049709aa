package drift

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/drift/finding"
	"weir/drift/schedule"
	"weir/drift/upstream"
	"weir/locks"
	"weir/planner/checkout"
	"weir/planner/project"
	"weir/planner/record"
	"weir/planner/run"
	"weir/planner/terraform"
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

// looked is a project that was looked at, and when that began.
type looked struct {
	repo, dir string
	at        time.Time
}

func (l looked) group() string { return strings.Split(l.dir, "/")[0] }

// Projects that are not like the others.
var (
	failing  = looked{repo: repo, dir: "berlin/000"}  // its plans fail
	faulty   = looked{repo: small, dir: "weekly/000"} // weir's own fault
	applying = looked{repo: small, dir: "rest/000"}   // a pull request applies it at one of its slots
)

// eyes are a Looker that takes some seconds, and notes what was looked at.
type eyes struct {
	mu     sync.Mutex
	looks  []looked
	faults int      // looks at faulty
	cut    []looked // that ended before they came to anything
}

func (e *eyes) Look(ctx context.Context, repo string, _ run.Files, p project.Project, _ map[string]string) (*terraform.Plan, string, error) {
	l := looked{repo, p.Dir, time.Now()}
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(2+p.Dir[len(p.Dir)-1]%3) * time.Second):
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch here := (looked{repo: repo, dir: p.Dir}); {
	case ctx.Err() != nil:
		e.cut = append(e.cut, l)
		return nil, "", context.Cause(ctx)
	case here == faulty:
		e.faults++
		return nil, "", errors.New("a fault")
	case here == failing:
		e.looks = append(e.looks, l)
		return nil, "Error: no such region", nil
	}
	e.looks = append(e.looks, l)
	return &terraform.Plan{Version: "1.9.0"}, "", nil
}

// at returns the looks at some projects from one moment to before another, in
// their order.
func (e *eyes) at(from, to time.Time, which func(looked) bool) []looked {
	e.mu.Lock()
	defer e.mu.Unlock()
	looks := slices.DeleteFunc(slices.Clone(e.looks), func(l looked) bool { return l.at.Before(from) || !l.at.Before(to) || !which(l) })
	slices.SortStableFunc(looks, func(a, b looked) int { return a.at.Compare(b.at) })
	return looks
}

// servers are some that share a store. Each has checkouts of its own.
type servers struct {
	*world
	eyes      *eyes
	checkouts map[string]*checkout.Repos
	places    places
}

// places is a GitHub that knows where repositories are, and takes a moment.
type places map[string]string

func (p places) Repositories(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(p)), nil
}

func (p places) Repository(_ context.Context, name string) (finding.Repository, error) {
	<-time.After(100 * time.Millisecond)
	return finding.Repository{Name: name, Branch: "main", CloneURL: p[name]}, nil
}

// step is how often a server looks at the schedule: more seldom than by Run,
// since a week is long.
const step = 15 * time.Minute

// start starts a server that does not know anything but what is stored. stop
// ends it kindly.
func (n *servers) start(name string, schedules func(ctx context.Context, d *Drift)) (stop func()) {
	d := &Drift{
		Store: n.store, Locks: n.locks, Looker: n.eyes, Teller: &teller{}, People: n.people, GitHub: n.places, Checkouts: n.checkouts[name],
		Serves: func(string) bool { return true }, Cron: "0 3 * * 2,5", AtOnce: 4,
	}
	q := &work.Queue{Store: n.store, Worker: name, Poll: 2 * time.Minute, Lease: 10 * time.Minute, GiveUp: d.GiveUp}
	d.Queue = q
	ctx, cancel := context.WithCancel(n.t.Context())
	var all sync.WaitGroup
	all.Go(func() { schedules(ctx, d) })
	all.Go(func() {
		if err := q.Run(ctx, 4, d.Do); err != nil {
			n.t.Error(err)
		}
	})
	return func() { cancel(); all.Wait() }
}

// seldom does what Run does, once a step, and reads weir.yaml only once: that
// takes Git, and Git takes real time.
func seldom(ctx context.Context, d *Drift) {
	d.init()
	plans := map[string]plan{}
	for ctx.Err() == nil {
		if err := d.list(ctx, plans); err != nil {
			d.Log.Error(err.Error())
		}
		d.round(ctx, plans)
		for repo, p := range plans {
			if p.groups != nil {
				p.read = time.Now().Add(24 * time.Hour)
				plans[repo] = p
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(time.Now().Truncate(step).Add(step))):
		}
	}
}

func until(at time.Time) { <-time.After(time.Until(at)) }

// due returns when a server that looks each step finds that the group of a
// directory is due.
func (n *servers) due(repo, dirs string) time.Time {
	n.t.Helper()
	name := others
	if dirs != "" {
		name = schedule.Name([]string{dirs})
	}
	all, err := schedule.Book{Store: n.store}.All(n.t.Context())
	i := slices.IndexFunc(all, func(s schedule.Slot) bool { return s.Repo == repo && s.Name == name })
	if err != nil || i < 0 {
		n.t.Fatalf("no slot of %q in %s: %v", dirs, repo, err)
	}
	return all[i].Due.Add(step - time.Nanosecond).Truncate(step)
}

func newServers(t *testing.T, files map[string]string) *servers {
	n := &servers{world: newWorld(t, files), eyes: &eyes{}, checkouts: map[string]*checkout.Repos{}}
	n.places = places{repo: n.git.URL}
	for _, name := range []string{"a", "b"} {
		n.checkouts[name] = &checkout.Repos{Dir: filepath.Join(t.TempDir(), "checkouts"), Token: n.Checkouts.Token}
	}
	return n
}

// also adds another repository.
func (n *servers) also(name string, files map[string]string) {
	n.t.Helper()
	git := upstream.New(n.t)
	git.Commit(files)
	if err := os.Symlink(git.Work, filepath.Join(filepath.Dir(git.Work), filepath.Base(name)+".git")); err != nil {
		n.t.Fatal(err)
	}
	n.places[name] = strings.TrimSuffix(git.URL, repo+".git") + name + ".git"
}

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

// inside runs f with a clock of its own. Git is real: its server stands
// outside, and while a git runs the clock stands still.
func (n *servers) inside(f func(t *testing.T)) {
	outside := n.t
	defer func() { n.t = outside }()
	synctest.Test(outside, func(t *testing.T) {
		n.t = t
		f(t)
	})
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
					good = good && 1 == len(slices.DeleteFunc(slices.Clone(all), func(l looked) bool { return l.at.Before(slot) || l.at.After(end) }))
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
