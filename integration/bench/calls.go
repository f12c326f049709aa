package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"weir/integration/sandbox"
	"weir/locks"
	"weir/store"
	"weir/store/bolt"
)

// callsOfCommands counts what a plan and an apply ask of GitHub.
func (b *bench) callsOfCommands(ctx context.Context) error {
	w, err := b.newWorld()
	if err != nil {
		return err
	}
	for _, n := range b.calls {
		repo, err := w.Repo(fmt.Sprintf("infra-%d", n), newMany(n, filepath.Join(w.Dir, fmt.Sprintf("states-%d", n))).files("first"))
		if err != nil {
			return err
		}
		if n == b.calls[0] {
			if err := w.Install(); err != nil {
				return err
			}
		}
		if err := w.Fresh(ctx); err != nil {
			return err
		}
		m := newMany(n, filepath.Join(w.Dir, fmt.Sprintf("states-%d", n)))
		first, err := w.Change(ctx, repo, m.files("second"))
		if err != nil {
			return err
		}
		later, err := w.Push(ctx, first.Pull, m.files("third"))
		if err != nil {
			return err
		}
		applied, took, err := w.Apply(ctx, later)
		if err != nil {
			return err
		}
		of := fmt.Sprintf(" with %d projects", n)
		if n == 1 {
			of = " with 1 project"
		}
		b.add(counted("GitHub calls of the first plan"+of, 8, first.Calls, first.Took))
		b.add(counted("GitHub calls of a later plan"+of, 8, later.Calls, later.Took))
		b.add(counted("GitHub calls of an apply"+of, 10, applied, took))
		b.say("   plan: %s", routes(first.Calls))
		b.say("   later plan: %s", routes(later.Calls))
		b.say("   apply: %s", routes(applied))
		if err := w.Stop(); err != nil {
			return err
		}
	}
	return w.Close()
}

// counted is the row of a number of calls. Git's requests are told beside it.
func counted(what string, most int, calls []sandbox.Call, took time.Duration) row {
	api, fetches, tokens := 0, 0, 0
	for _, c := range calls {
		switch {
		case strings.Contains(c.Route, ".git/"):
			if strings.HasSuffix(c.Route, "/info/refs") && c.Status == http.StatusOK {
				fetches++
			}
			continue
		case strings.HasPrefix(c.Route, "/app/"):
			tokens++
		}
		api++
	}
	measured := fmt.Sprintf("%d (%d for a token), git fetches: %d, took %s", api, tokens, fetches, seconds(took))
	return row{what: what, budget: fmt.Sprintf("≤ %d", most), measured: measured, verdict: within(api <= most)}
}

func routes(calls []sandbox.Call) string {
	var all []string
	for _, c := range calls {
		all = append(all, fmt.Sprintf("%s %s %d", c.Method, strings.TrimPrefix(c.Route, "/repos/{owner}/{repo}"), c.Status))
	}
	return strings.Join(all, ", ")
}

// counting is a store that counts transactions, and leaves the work to another.
type counting struct {
	store.Store

	reads, writes atomic.Int64
}

func (c *counting) Get(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	c.reads.Add(1)
	return c.Store.Get(ctx, keys...)
}

func (c *counting) List(ctx context.Context, partition, prefix string, page store.Page) ([]store.Record, string, error) {
	c.reads.Add(1)
	return c.Store.List(ctx, partition, prefix, page)
}

func (c *counting) Commit(ctx context.Context, writes ...store.Write) error {
	c.writes.Add(1)
	return c.Store.Commit(ctx, writes...)
}

// locksOfMany counts what it takes to lock as many projects as one pull
// request can, and to let them go.
func (b *bench) locksOfMany(ctx context.Context) error {
	db, err := bolt.Open(filepath.Join(b.dir, "locks.db"))
	if err != nil {
		return err
	}
	counted := &counting{Store: db}
	table := &locks.Locks{Store: counted}
	const repo = "acme/infra"
	wants := make([]locks.Want, locks.OneCommit)
	for i := range wants {
		wants[i] = locks.Want{Key: locks.Key{Dir: fmt.Sprintf("envs/p%03d", i), Workspace: "default"}}
	}
	n := len(wants)
	// Another pull request had them first: in a repository's life that is
	// the usual case. What the very first one takes is told too.
	steps := []struct {
		what string
		do   func() (bool, error)
	}{
		{"the very first of the repository", func() (bool, error) {
			out, err := table.Acquire(ctx, repo, 1, wants)
			return out.Acquired, err
		}},
		{"released", func() (bool, error) {
			out, err := table.Release(ctx, repo, 1, nil)
			return len(out.Released) == n, err
		}},
		{"", func() (bool, error) {
			out, err := table.Acquire(ctx, repo, 2, wants)
			return out.Acquired, err
		}},
		{"asked for again by their owner", func() (bool, error) {
			out, err := table.Acquire(ctx, repo, 2, wants)
			return out.Acquired, err
		}},
	}
	rows := make([]row, len(steps))
	took := make([][]time.Duration, len(steps))
	for round := range max(3, b.rounds) {
		for i, step := range steps {
			counted.reads.Store(0)
			counted.writes.Store(0)
			began := time.Now()
			done, err := step.do()
			took[i] = append(took[i], time.Since(began))
			if err == nil && !done && round == 0 {
				err = errors.New("not all of them")
			}
			if err != nil {
				return fmt.Errorf("locks of %d projects, %s: %w", n, step.what, err)
			}
			if reads, writes := counted.reads.Load(), counted.writes.Load(); round == 0 {
				what := fmt.Sprintf("locks of %d projects", n)
				if step.what != "" {
					what += ", " + step.what
				}
				rows[i] = row{
					what: what, budget: "1 read, 1 write", measured: fmt.Sprintf("%d read, %d write", reads, writes),
					verdict: within(reads <= 1 && writes <= 1),
				}
			}
		}
		if _, err := table.Release(ctx, repo, 2, nil); err != nil {
			return err
		}
	}
	for i, r := range rows {
		r.measured += ", " + seconds(median(took[i]))
		b.add(r)
	}
	return db.Close()
}
