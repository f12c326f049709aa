// Package locktime measures what it takes to lock many projects at once, and
// to let them go.
package locktime

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"weir/locks"
	"weir/store"
)

// Projects is how many are locked: as many as one commit can lock.
const Projects = locks.OneCommit

// Step is a thing that was done to all the locks at once.
type Step struct {
	What          string // "" for the usual case: others had the locks before
	Reads, Writes int64  // what the store was asked, in the first round
	Took          []time.Duration
}

// Counting is a store that counts what it is asked, and leaves the work to
// another.
type Counting struct {
	store.Store

	reads, writes atomic.Int64
}

// Get implements store.Store.
func (c *Counting) Get(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	c.reads.Add(1)
	return c.Store.Get(ctx, keys...)
}

// List implements store.Store.
func (c *Counting) List(ctx context.Context, partition, prefix string, page store.Page) ([]store.Record, string, error) {
	c.reads.Add(1)
	return c.Store.List(ctx, partition, prefix, page)
}

// Commit implements store.Store.
func (c *Counting) Commit(ctx context.Context, writes ...store.Write) error {
	c.writes.Add(1)
	return c.Store.Commit(ctx, writes...)
}

// Count returns the reads and writes until now.
func (c *Counting) Count() (reads, writes int64) { return c.reads.Load(), c.writes.Load() }

// Measure locks and releases so many times, each in a repository of its own,
// which the store must not know. count says what the store has been asked
// until now.
func Measure(ctx context.Context, s store.Store, count func() (reads, writes int64), rounds int) ([]Step, error) {
	table := &locks.Locks{Store: s}
	wants := make([]locks.Want, Projects)
	for i := range wants {
		wants[i] = locks.Want{Key: locks.Key{Dir: fmt.Sprintf("envs/p%03d", i), Workspace: "default"}}
	}
	acquire := func(repo string, pull int) (bool, error) {
		out, err := table.Acquire(ctx, repo, pull, wants)
		return out.Acquired, err
	}
	// Another pull request had them first: in a repository's life that is
	// the usual case. What the very first one takes is told too.
	steps := []Step{{What: "the very first of the repository"}, {What: "released"}, {}, {What: "asked for again by their owner"}}
	do := []func(repo string) (bool, error){
		func(repo string) (bool, error) { return acquire(repo, 1) },
		func(repo string) (bool, error) {
			out, err := table.Release(ctx, repo, 1, nil)
			return len(out.Released) == len(wants), err
		},
		func(repo string) (bool, error) { return acquire(repo, 2) },
		func(repo string) (bool, error) { return acquire(repo, 2) },
	}
	for round := range rounds {
		repo := fmt.Sprintf("acme/infra-%d", round)
		for i := range steps {
			reads, writes := count()
			began := time.Now()
			done, err := do[i](repo)
			steps[i].Took = append(steps[i].Took, time.Since(began))
			if err == nil && !done {
				err = errors.New("not all of them")
			}
			if err != nil {
				return nil, fmt.Errorf("locks of %d projects, %s: %w", Projects, steps[i].What, err)
			}
			if round == 0 {
				steps[i].Reads, steps[i].Writes = count()
				steps[i].Reads -= reads
				steps[i].Writes -= writes
			}
		}
	}
	return steps, nil
}
