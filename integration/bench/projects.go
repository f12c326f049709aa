package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"weir/integration/bench/stage"
)

// away50 is how far away GitHub is where it is not on the same machine.
const away50 = 50 * time.Millisecond

// code is a small project. With a state it has a backend that keeps it there.
func code(state, value string) string {
	backend := ""
	if state != "" {
		backend = fmt.Sprintf("terraform {\n  backend \"local\" {\n    path = %q\n  }\n}\n\n", state)
	}
	return backend + fmt.Sprintf("resource \"terraform_data\" \"a\" {\n  input = %q\n}\n\noutput \"a\" {\n  value = terraform_data.a.output\n}\n", value)
}

// many is a repository of many small projects, of which each change touches all.
type many struct {
	dirs   []string
	states string // directory; "" for projects without a backend
}

func newMany(n int, states string) many {
	m := many{states: states}
	for i := range n {
		m.dirs = append(m.dirs, fmt.Sprintf("envs/p%03d", i))
	}
	return m
}

// files are all projects with a value.
func (m many) files(value string) map[string]string {
	files := map[string]string{}
	for _, dir := range m.dirs {
		state := ""
		if m.states != "" {
			state = filepath.Join(m.states, strings.ReplaceAll(dir, "/", "-")+".tfstate")
		}
		files[dir+"/main.tf"] = code(state, value)
	}
	return files
}

func (b *bench) projectsWithBackend(ctx context.Context) error {
	return b.manyProjects(ctx, "local backend", true)
}

func (b *bench) projectsWithoutBackend(ctx context.Context) error {
	return b.manyProjects(ctx, "no backend", false)
}

// times are of one way to plan a large pull request.
type times struct{ first, commit, pull []time.Duration }

// manyProjects compares plans of a large pull request with the floor, in turns,
// GitHub being near and then far.
func (b *bench) manyProjects(ctx context.Context, kind string, backend bool) error {
	w, err := b.newWorld()
	if err != nil {
		return err
	}
	m := newMany(b.projects, "")
	if backend {
		m.states = filepath.Join(w.Dir, "states")
	}
	repo, err := w.Repo("infra", m.files("first"))
	if err != nil {
		return err
	}
	if err := w.Install(); err != nil {
		return err
	}
	var floor []time.Duration
	var near, far times
	for round := range b.rounds {
		before, err := b.floorOf(ctx, w, repo, m.dirs)
		if err != nil {
			return err
		}
		if err := largePulls(ctx, w, repo, m, &near); err != nil {
			return err
		}
		after, err := b.floorOf(ctx, w, repo, m.dirs)
		if err != nil {
			return err
		}
		took := (before + after) / 2
		floor = append(floor, took)
		w.Box.Latency(away50)
		err = largePulls(ctx, w, repo, m, &far)
		w.Box.Latency(0)
		if err != nil {
			return err
		}
		b.say("   round %d: floor %s; first %s, commit %s, pull %s; far %s, %s, %s", round+1, seconds(took),
			seconds(near.first[round]), seconds(near.commit[round]), seconds(near.pull[round]),
			seconds(far.first[round]), seconds(far.commit[round]), seconds(far.pull[round]))
	}
	n := fmt.Sprintf("%d projects, %s: ", b.projects, kind)
	b.add(against(n+"nothing initialised", 1.15, near.first, floor))
	b.add(against(n+"later commit", 0.8, near.commit, floor))
	b.add(against(n+"later pull request", 0.8, near.pull, floor))
	b.add(farther(n+"nothing initialised, GitHub 50 ms away", near.first, far.first))
	b.add(farther(n+"later commit, GitHub 50 ms away", near.commit, far.commit))
	b.add(farther(n+"later pull request, GitHub 50 ms away", near.pull, far.pull))
	return w.Close()
}

// floorOf is the floor on a checkout of its own, which is not counted.
func (b *bench) floorOf(ctx context.Context, w *stage.World, repo string, dirs []string) (time.Duration, error) {
	checkout, err := b.clone(ctx, w, repo)
	if err != nil {
		return 0, err
	}
	return b.floor(ctx, checkout, dirs)
}

// farther is the row of what distance costs.
func farther(what string, near, far []time.Duration) row {
	r := more(what, 500*time.Millisecond, far, near)
	r.budget = "≤ near + 0.50 s"
	return r
}

// largePulls times a pull request, a further commit and a further pull request
// on a server that starts with nothing.
func largePulls(ctx context.Context, w *stage.World, repo string, m many, t *times) error {
	if err := w.Fresh(ctx); err != nil {
		return err
	}
	first, err := w.Change(ctx, repo, m.files("second"))
	if err != nil {
		return err
	}
	commit, err := w.Push(ctx, first.Pull, m.files("third"))
	if err != nil {
		return err
	}
	if err := w.Away(ctx, first.Pull); err != nil {
		return err
	}
	pull, err := w.Change(ctx, repo, m.files("fourth"))
	if err != nil {
		return err
	}
	if err := w.Away(ctx, pull.Pull); err != nil {
		return err
	}
	t.first, t.commit, t.pull = append(t.first, first.Took), append(t.commit, commit.Took), append(t.pull, pull.Took)
	return w.Stop()
}

// manyFiles times one project in a repository with many other files.
func (b *bench) manyFiles(ctx context.Context) error {
	w, err := b.newWorld()
	if err != nil {
		return err
	}
	m := newMany(1, filepath.Join(w.Dir, "states"))
	files := m.files("first")
	random := rand.New(rand.NewPCG(1, 2)) // the same files in each run
	for i := range b.files {
		var text strings.Builder
		for text.Len() < 2000 {
			fmt.Fprintf(&text, "%016x %016x\n", random.Uint64(), random.Uint64())
		}
		files[fmt.Sprintf("other/%03d/%05d.txt", i/50, i)] = text.String()
	}
	repo, err := w.Repo("infra", files)
	if err != nil {
		return err
	}
	if err := w.Install(); err != nil {
		return err
	}
	var floor []time.Duration
	var t times
	for range b.rounds {
		took, err := b.floorOf(ctx, w, repo, m.dirs)
		if err != nil {
			return err
		}
		floor = append(floor, took)
		if err := largePulls(ctx, w, repo, m, &t); err != nil {
			return err
		}
	}
	n := fmt.Sprintf("1 project among %d other files: ", b.files)
	b.add(more(n+"later pull request, warm mirror", 1500*time.Millisecond, t.pull, floor))
	b.add(more(n+"later commit", 1500*time.Millisecond, t.commit, floor))
	b.add(atMost(n+"first time, nothing cloned", 4*time.Second, t.first))
	return w.Close()
}
