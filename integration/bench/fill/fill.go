// Package fill makes the store of a server that has seen something.
package fill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"weir/planner/record"
	"weir/planner/work"
	"weir/store"
	"weir/store/bolt"
)

// Store makes an embedded store in a file, with about so many records, as a
// server leaves it that has been in use: jobs that ended, the deliveries that
// caused them, closed pull requests and their runs.
func Store(ctx context.Context, file string, records int) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	db, err := bolt.Open(file)
	if err != nil {
		return err
	}
	err = errors.Join(doneJobs(ctx, db, records*6/10/3), closedPulls(ctx, db, records*4/10))
	return errors.Join(err, db.Close())
}

// doneJobs has n jobs done, which leaves three records each.
func doneJobs(ctx context.Context, db store.Store, n int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := &work.Queue{Store: db, Exclusive: true}
	ran := make(chan error, 1)
	go func() {
		ran <- queue.Run(ctx, 32, func(context.Context, work.Job) error { return nil })
	}()
	for i := range n {
		if _, err := queue.Accept(ctx, fmt.Sprintf("filled-%06d", i), work.Job{
			Kind: work.Plan, Repo: "acme/infra", Pull: 1 + i%500, Head: strings.Repeat("a", 40), Trigger: "push",
		}); err != nil {
			return err
		}
	}
	for {
		left, err := queue.Pending(ctx)
		if err != nil {
			return err
		}
		if left == 0 {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	cancel()
	if err := <-ran; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// closedPulls writes n records: closed pull requests of nine runs each.
func closedPulls(ctx context.Context, db store.Store, n int) error {
	for pull := 1; n > 0; pull++ {
		rec := record.Record{Repo: "acme/infra", Pull: pull, Title: "Change " + strconv.Itoa(pull), Author: "alice", Head: strings.Repeat("a", 40), Closed: true}
		writes := make([]store.Write, 0, 10)
		for i := range 9 {
			p := record.ProjectRecord{ID: fmt.Sprintf("envs/p%03d", i), Dir: fmt.Sprintf("envs/p%03d", i), Workspace: "default", State: record.Applied}
			one := record.Run{ID: ulid.Make().String(), Repo: rec.Repo, Pull: pull, Project: p.ID, Dir: p.Dir, Workspace: p.Workspace, Verb: "plan", State: record.Planned, Head: rec.Head}
			p.Run = one.ID
			rec.Projects = append(rec.Projects, p)
			w, err := record.Put(record.RunKey(one.ID), 0, one)
			if err != nil {
				return err
			}
			writes = append(writes, w)
		}
		w, err := record.Put(record.PullKey(rec.Repo, pull), 0, rec)
		if err != nil {
			return err
		}
		writes = append(writes, w)
		if err := record.Commit(ctx, db, writes...); err != nil {
			return err
		}
		n -= len(writes)
	}
	return nil
}
