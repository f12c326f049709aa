// Package rate measures how many jobs replicas do on a table of DynamoDB.
package rate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir/integration/bench/cloud"
	"weir/planner/work/dispatch"
	"weir/planner/work/measure"
	"weir/planner/work/news"
	"weir/store/dynamo"
)

// Jobs has so many jobs done that each take so long, on a new table at an
// endpoint. setup has neither a store nor news; with queue all replicas tell
// each other of work over a new queue in moto, else they only look into the
// table.
func Jobs(ctx context.Context, endpoint string, setup measure.Setup, queue bool, jobs int, long time.Duration) (rate measure.Rate, err error) {
	table, err := cloud.Table(ctx, endpoint)
	if err != nil {
		return rate, err
	}
	db, err := dynamo.Open(ctx, table)
	if err != nil {
		return rate, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	setup.Store = db
	if queue {
		all, err := queues(ctx, setup.Replicas)
		if err != nil {
			return rate, err
		}
		next := 0
		setup.News = func() news.Dispatcher {
			next++
			return all[next-1]
		}
		defer func() {
			for _, q := range all {
				err = errors.Join(err, q.Close())
			}
		}()
	}
	if rate, err = measure.Throughput(ctx, setup, jobs, long); err != nil {
		return rate, fmt.Errorf("%d replicas: %w", setup.Replicas, err)
	}
	return rate, nil
}

// queues opens one queue so many times.
func queues(ctx context.Context, n int) ([]*dispatch.Queue, error) {
	raw, err := cloud.Queue(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]*dispatch.Queue, n)
	for i := range all {
		if all[i], err = dispatch.Open(ctx, raw); err != nil {
			for _, opened := range all[:i] {
				err = errors.Join(err, opened.Close())
			}
			return nil, err
		}
	}
	return all, nil
}
