package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"weir/store"
)

// testReadsFollowCommits: what a commit has written is seen by every read that
// begins after it returned, whoever reads.
func testReadsFollowCommits(t *testing.T, c *client) {
	const rounds = 50
	written := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range written {
				k := c.key(fmt.Sprint(n))
				if records, err := c.Get(t.Context(), k); err != nil || records[0].Version == 0 {
					t.Errorf("Get %s after its commit: %v, %v", k, records, err)
				}
				records, err := store.All(t.Context(), c, c.space, k.Sort)
				if err != nil || len(records) == 0 || records[0].Key != k {
					t.Errorf("List %s after its commit: %v, %v", k, records, err)
				}
			}
		})
	}
	for n := range rounds {
		if err := c.Commit(t.Context(), store.Write{Key: c.key(fmt.Sprint(n))}); err != nil {
			t.Errorf("Commit: %v", err)
			break
		}
		written <- n
	}
	close(written)
	wg.Wait()
}

// testGetIsOneMoment: one Get never sees half of a commit.
func testGetIsOneMoment(t *testing.T, c *client) {
	a, b := c.key("a"), store.Key{Partition: c.space + "/other", Sort: "b"}
	c.commit(t, store.Write{Key: a, Body: []byte("0")}, store.Write{Key: b, Body: []byte("0")})
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for !done.Load() {
				records, err := c.Get(t.Context(), a, b)
				if err != nil || string(records[0].Body) != string(records[1].Body) {
					t.Errorf("Get saw half of a commit: %v, %v", describe(records), err)
					return
				}
			}
		})
	}
	for n := range 60 {
		body := []byte(strconv.Itoa(n))
		now, err := c.Get(t.Context(), a, b)
		if err == nil {
			err = c.Commit(t.Context(), store.Write{Key: a, Expect: now[0].Version, Body: body}, store.Write{Key: b, Expect: now[1].Version, Body: body})
		}
		if err != nil {
			t.Error(err)
			break
		}
	}
	done.Store(true)
	wg.Wait()
}

// testIncrements: concurrent read, add one, commit, retry loses nothing, also
// across two records that belong together.
func testIncrements(t *testing.T, c *client) {
	const workers, each = 16, 8
	count, twice := c.key("count"), store.Key{Partition: c.space + "/twice", Sort: "count"}
	increment := func() error {
		for {
			now, err := c.Get(t.Context(), count, twice)
			if err != nil {
				return err
			}
			n, m := number(now[0]), number(now[1])
			if m != 2*n {
				return fmt.Errorf("read %d and %d in one get", n, m)
			}
			err = c.Commit(t.Context(),
				store.Write{Key: count, Expect: now[0].Version, Body: []byte(strconv.Itoa(n + 1))},
				store.Write{Key: twice, Expect: now[1].Version, Body: []byte(strconv.Itoa(m + 2))})
			if conflict := new(store.ConflictError); !errors.As(err, &conflict) {
				return err
			}
		}
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				if err := increment(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got, want := number(c.get(t, count)), workers*each; got != want {
		t.Errorf("count: got %d, want %d", got, want)
	}
}

func number(r store.Record) int {
	n, err := strconv.Atoi(string(r.Body))
	if err != nil {
		return 0
	}
	return n
}

// testOneWinner: of many who make the same record, one succeeds and the others
// are shown its record.
func testOneWinner(t *testing.T, c *client) {
	for round := range 10 {
		k := c.key(fmt.Sprint(round))
		var won atomic.Int64
		var wg sync.WaitGroup
		for n := range 16 {
			wg.Go(func() {
				err := c.Commit(t.Context(), store.Write{Key: k, Body: []byte(strconv.Itoa(n))},
					store.Write{Key: c.key(fmt.Sprintf("%d by %d", round, n))})
				var conflict *store.ConflictError
				switch {
				case err == nil:
					won.Add(1)
				case !errors.As(err, &conflict) || len(conflict.Conflicts) != 1 || conflict.Conflicts[0].Version == 0:
					t.Errorf("Commit = %v, want nil or a conflict with the winner", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d of 16 made the same record", won.Load())
		}
		traces, err := store.All(t.Context(), c, c.space, fmt.Sprintf("%d by ", round))
		if err != nil || len(traces) != 1 || traces[0].Key != c.key(fmt.Sprintf("%d by %s", round, c.get(t, k).Body)) {
			t.Errorf("the losers left something: %v, %v", describe(traces), err)
		}
	}
}
