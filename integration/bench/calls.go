package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"weir/integration/bench/locktime"
	"weir/integration/sandbox"
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

// locksOfMany counts what it takes to lock as many projects as one pull
// request can, and to let them go.
func (b *bench) locksOfMany(ctx context.Context) error {
	db, err := bolt.Open(filepath.Join(b.dir, "locks.db"))
	if err != nil {
		return err
	}
	counted := &locktime.Counting{Store: db}
	steps, err := locktime.Measure(ctx, counted, counted.Count, max(3, b.rounds))
	if err != nil {
		return err
	}
	for _, s := range steps {
		b.add(locked("", s))
	}
	return db.Close()
}

// locked is the row of a step of many locks.
func locked(where string, s locktime.Step) row {
	what := fmt.Sprintf("locks of %d projects", locktime.Projects)
	if s.What != "" {
		what += ", " + s.What
	}
	return row{
		what: what + where, budget: "1 read, 1 write", measured: fmt.Sprintf("%d read, %d write, %s", s.Reads, s.Writes, seconds(median(s.Took))),
		verdict: within(s.Reads <= 1 && s.Writes <= 1),
	}
}
