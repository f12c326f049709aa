package drift

import (
	"context"
	"errors"
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
	"weir/planner/checkout"
	"weir/planner/project"
	"weir/planner/run"
	"weir/planner/terraform"
	"weir/planner/work"
)

// looked is a project that was looked at, and when that began.
type looked struct {
	repo, dir string
	at        time.Time
}

func (l looked) group() string { return strings.Split(l.dir, "/")[0] }

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
			d.Log.Error("list", "err", err)
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
