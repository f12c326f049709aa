package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/integration/bench/cloud"
	"weir/integration/bench/locktime"
	"weir/integration/bench/rate"
	"weir/integration/bench/takeover"
	"weir/planner/work/measure"
	"weir/store/dynamo"
)

// each is how many jobs a replica does at once where jobs are counted.
const each = 4

// poll is how often a replica looks into the store while there is work.
const poll = time.Second

// replicas measures what several servers on one table do. Without DynamoDB
// Local the row says so.
func (b *bench) replicas(ctx context.Context) error {
	endpoint, err := cloud.Dynamo()
	if b.without("replicas", err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context, string) error{b.locksOnDynamo, b.jobsOfReplicas, b.takeovers} {
		if err := part(ctx, endpoint); err != nil {
			return err
		}
	}
	return nil
}

// without reports whether something is not installed, and adds a row that says
// what is not measured because of it.
func (b *bench) without(what string, err error) bool {
	missing := new(cloud.MissingError)
	if !errors.As(err, &missing) {
		return false
	}
	b.add(row{what: what, measured: missing.Error(), verdict: told})
	return true
}

// locksOnDynamo counts requests through a proxy, and then times without it.
func (b *bench) locksOnDynamo(ctx context.Context, endpoint string) error {
	counter, err := cloud.Count(endpoint)
	if err != nil {
		return err
	}
	defer counter.Close()
	steps, err := onTable(ctx, counter.URL, counter.Requests, 1)
	if err != nil {
		return err
	}
	direct, err := onTable(ctx, endpoint, func() (int64, int64) { return 0, 0 }, b.locks)
	if err != nil {
		return err
	}
	for i, s := range steps {
		s.Took = direct[i].Took
		b.add(locked(", DynamoDB Local", s))
	}
	return nil
}

func onTable(ctx context.Context, endpoint string, count func() (reads, writes int64), rounds int) (steps []locktime.Step, err error) {
	table, err := cloud.Table(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	db, err := dynamo.Open(ctx, table)
	if err != nil {
		return nil, err
	}
	steps, err = locktime.Measure(ctx, db, count, rounds)
	return steps, errors.Join(err, db.Close())
}

// jobsOfReplicas counts the jobs that 1, 2 and 3 replicas do a second, in turns.
func (b *bench) jobsOfReplicas(ctx context.Context, endpoint string) error {
	const most = 3
	queue := b.long
	if queue {
		_, err := cloud.Queue(ctx)
		queue = !b.without(fmt.Sprintf("jobs a second, %d replicas, news over SQS", most), err)
		if err != nil && queue {
			return err
		}
	}
	var rates [most + 1][]measure.Rate // the last is with a queue
	for range b.rounds {
		for i := range rates {
			if i == most && !queue {
				break
			}
			one, err := rate.Jobs(ctx, endpoint, measure.Setup{Replicas: min(i+1, most), Workers: each, Lease: b.lease, Poll: poll}, i == most, b.jobs, b.job)
			if err != nil {
				return err
			}
			rates[i] = append(rates[i], one)
		}
	}
	for i, all := range rates {
		if len(all) == 0 {
			continue
		}
		n := min(i+1, most)
		what := fmt.Sprintf("jobs a second, %d of %s at once a replica, DynamoDB Local: %d replicas", each, seconds(b.job), n)
		switch {
		case n == 1:
			what = what[:len(what)-1]
		case i == most:
			what += ", news over SQS (moto)"
		}
		slices.SortFunc(all, func(a, b measure.Rate) int { return int(a.Took - b.Took) })
		mid := all[(len(all)-1)/2]
		c, jobs := mid.Calls, float64(mid.Jobs)
		full := float64(n*each) / b.job.Seconds()
		b.add(row{
			what: what, verdict: told,
			measured: fmt.Sprintf("%.1f (%.1f reads, %.1f commits a job, %.0f %% of them in vain)", mid.PerSecond(),
				float64(c.Gets+c.Lists)/jobs, float64(c.Commits)/jobs, 100*float64(c.Conflicts)/float64(c.Commits)),
			floor: fmt.Sprintf("%.0f (if a store took no time)", full), ratio: fmt.Sprintf("%.2f", mid.PerSecond()/full),
		})
	}
	return nil
}

// takeovers kills real servers.
func (b *bench) takeovers(ctx context.Context, endpoint string) error {
	table, err := cloud.Table(ctx, endpoint)
	if err != nil {
		return err
	}
	w, err := b.newWorld()
	if err != nil {
		return err
	}
	m := newMany(1, w.Dir)
	pair, err := takeover.New(ctx, w, b.terraform, append([]string{"WEIR_STORE=" + table}, cloud.Environ...), m.files)
	if err != nil {
		return errors.Join(err, w.Close())
	}
	// When the other had nothing to do for a while and looks seldom, so that
	// it finds the job late; and at different times after a sign of life.
	kinds := []struct {
		what              string
		still, from, over time.Duration
	}{
		{"as soon as the first plan in a while begins", b.lease * 3 / 4, 0, 0},
		{"in the midst of a plan", 0, b.lease / 2, b.lease / 3},
	}
	if !b.long {
		kinds = kinds[:1]
	}
	begun, told := make([][]time.Duration, len(kinds)), make([][]time.Duration, len(kinds))
	for round := range b.rounds {
		for i, kind := range kinds {
			if err := wait(ctx, kind.still); err != nil {
				return errors.Join(err, pair.Stop(), w.Close())
			}
			took, err := pair.Kill(ctx, kind.from+kind.over*time.Duration(round)/time.Duration(b.rounds))
			if err != nil {
				return errors.Join(err, pair.Stop(), w.Close())
			}
			begun[i], told[i] = append(begun[i], took.Begun), append(told[i], took.Told)
		}
	}
	for i, kind := range kinds {
		r := atMost("takeover after kill -9 of one of 2 servers, "+kind.what+": planned by the other", b.lease*3/2, begun[i])
		r.budget += " (1.5 × lease)" // the 21 s of docs/operations.md
		r.measured += fmt.Sprintf(", worst %s; told on GitHub %s", seconds(slices.Max(begun[i])), seconds(median(told[i])))
		r.floor, r.ratio = seconds(b.lease)+" (lease)", fmt.Sprintf("%.2f", median(begun[i]).Seconds()/b.lease.Seconds())
		b.add(r)
	}
	return errors.Join(pair.Stop(), w.Close())
}
