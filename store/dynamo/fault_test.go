package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/store"
	"weir/store/dynamo"
)

// throughProxy returns a store behind a proxy, and one beside it.
func throughProxy(t *testing.T) (p *proxy, through, beside *dynamo.Store) {
	t.Helper()
	raw := create(t)
	p, endpoint := newProxy(t)
	table, _, _ := strings.Cut(raw, "endpoint=")
	return p, open(t, table+"endpoint="+endpoint), open(t, raw)
}

func get(t *testing.T, s store.Store, k store.Key) store.Record {
	t.Helper()
	records, err := s.Get(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return records[0]
}

// Whatever happens to a request and its answer, the commit is made once, and
// the caller is told so.
func TestAnswerLost(t *testing.T) {
	for name, f := range map[string]fault{
		"never seen": cutBefore, "answer cut": cutAfter, "seen late": cutDuring, "silent": silent,
		"throttled": throttled, "another transaction": conflicted, "their error": broken,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s, beside := throughProxy(t)
			k, other := store.Key{Partition: "p", Sort: "a"}, store.Key{Partition: "p", Sort: "b"}
			commit := func(what string, writes ...store.Write) {
				t.Helper()
				p.first(f)
				if err := s.Commit(t.Context(), writes...); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if n := p.count("TransactWriteItems"); n < 2 {
					t.Errorf("%s: %d requests, so nothing was injected", what, n)
				}
			}
			commit("create", store.Write{Key: k, Body: []byte("1")}, store.Write{Key: other, Body: []byte("1")})
			created := get(t, beside, k)
			if f == silent {
				return // each takes as long as an answer may
			}
			commit("update", store.Write{Key: k, Expect: created.Version, Body: []byte("2")})
			updated := get(t, beside, k)
			if string(updated.Body) != "2" || updated.Version == created.Version {
				t.Errorf("after the update: %+v", updated)
			}
			commit("check", store.Write{Op: store.Check, Key: k, Expect: updated.Version})
			// No version in the table tells who deleted a record.
			commit("delete", store.Write{Op: store.Delete, Key: k, Expect: updated.Version},
				store.Write{Op: store.Delete, Key: other, Expect: get(t, beside, other).Version})
			if r := get(t, beside, k); r.Version != 0 {
				t.Errorf("after the delete: %+v", r)
			}
		})
	}
}

// A conflict is one also when its answer was lost, and shows who is in the way.
func TestConflictAfterLostAnswer(t *testing.T) {
	for name, f := range map[string]fault{"never seen": cutBefore, "answer cut": cutAfter, "their error": broken} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s, beside := throughProxy(t)
			k := store.Key{Partition: "p", Sort: "a"}
			if err := beside.Commit(t.Context(), store.Write{Key: k, Body: []byte("theirs")}); err != nil {
				t.Fatal(err)
			}
			p.first(f)
			err := s.Commit(t.Context(), store.Write{Key: k, Body: []byte("ours")}, store.Write{Key: store.Key{Partition: "p", Sort: "b"}})
			var conflict *store.ConflictError
			if !errors.As(err, &conflict) || len(conflict.Conflicts) != 1 || string(conflict.Conflicts[0].Body) != "theirs" {
				t.Errorf("Commit = %v, want a conflict with theirs", err)
			}
			if r := get(t, beside, store.Key{Partition: "p", Sort: "b"}); r.Version != 0 {
				t.Errorf("half of it is there: %+v", r)
			}
		})
	}
}

// While its answer was lost somebody else has written over the commit: it has
// happened all the same.
func TestOverwrittenBeforeItIsKnown(t *testing.T) {
	t.Parallel()
	p, s, beside := throughProxy(t)
	k := store.Key{Partition: "p", Sort: "a"}
	p.inject(func(operation string, n int) fault {
		switch {
		case operation != "TransactWriteItems":
		case n == 1:
			return cutAfter
		case n == 2:
			now := get(t, beside, k)
			if err := beside.Commit(t.Context(), store.Write{Key: k, Expect: now.Version, Body: []byte("theirs")}); err != nil {
				t.Error(err)
			}
		}
		return pass
	})
	if err := s.Commit(t.Context(), store.Write{Key: k, Body: []byte("ours")}); err != nil {
		t.Errorf("Commit = %v, want nil: it has happened", err)
	}
	if r := get(t, beside, k); string(r.Body) != "theirs" {
		t.Errorf("theirs was lost: %+v", r)
	}
}

// A caller that goes away does not make the outcome unknown.
func TestCancelledWhileSent(t *testing.T) {
	t.Parallel()
	p, s, beside := throughProxy(t)
	k := store.Key{Partition: "p", Sort: "a"}
	ctx, cancel := context.WithCancel(t.Context())
	p.inject(func(operation string, n int) fault {
		cancel()
		return pass
	})
	if err := s.Commit(ctx, store.Write{Key: k, Body: []byte("1")}); err != nil || get(t, beside, k).Version == 0 {
		t.Errorf("Commit cancelled while it was sent = %v, and there is %+v; want it done", err, get(t, beside, k))
	}
	// An answer that is lost is asked for after the end, too.
	ctx, cancel = context.WithCancel(t.Context())
	p.inject(func(operation string, n int) fault {
		cancel()
		if operation == "TransactWriteItems" && n == 1 {
			return cutAfter
		}
		return pass
	})
	if err := s.Commit(ctx, store.Write{Key: k, Expect: get(t, beside, k).Version, Body: []byte("2")}); err != nil {
		t.Errorf("Commit whose answer was lost and whose caller left = %v, want nil", err)
	}
	// What has certainly not happened is not tried again for a caller who left.
	ctx, cancel = context.WithCancel(t.Context())
	p.inject(func(operation string, n int) fault {
		cancel()
		return throttled
	})
	if err := s.Commit(ctx, store.Write{Key: k, Expect: get(t, beside, k).Version, Body: []byte("3")}); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit that was throttled until its caller left = %v, want context.Canceled", err)
	}
	if r := get(t, beside, k); string(r.Body) != "2" {
		t.Errorf("got %q, want 2", r.Body)
	}
}

// If commits are never answered again, but reads are, a read tells.
func TestReadTells(t *testing.T) {
	t.Parallel()
	p, s, beside := throughProxy(t)
	k := store.Key{Partition: "p", Sort: "a"}
	p.inject(func(operation string, n int) fault {
		switch {
		case operation != "TransactWriteItems":
			return pass
		case n == 1:
			return cutAfter
		}
		return cutBefore
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := s.Commit(ctx, store.Write{Key: k, Body: []byte("1")}); err != nil {
		t.Errorf("Commit that has happened = %v, want nil", err)
	}
	if r := get(t, beside, k); string(r.Body) != "1" {
		t.Errorf("got %+v", r)
	}
	// And where not even that helps, the error is neither nil nor a conflict.
	p.inject(func(string, int) fault { return cutAfter })
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := s.Commit(ctx, store.Write{Key: store.Key{Partition: "p", Sort: "b"}})
	if err == nil || store.IsConflict(err) || !strings.Contains(err.Error(), "not known") {
		t.Errorf("Commit with DynamoDB away = %v, want an error that leaves it open", err)
	}
}

func TestRefusedIsInvalid(t *testing.T) {
	t.Parallel()
	p, s, _ := throughProxy(t)
	p.first(malformed)
	err := s.Commit(t.Context(), store.Write{Key: store.Key{Partition: "p", Sort: "a"}})
	if invalid := new(store.InvalidError); !errors.As(err, &invalid) {
		t.Errorf("Commit = %v, want a *store.InvalidError", err)
	}
}

func TestReadsSurviveFaults(t *testing.T) {
	t.Parallel()
	p, s, beside := throughProxy(t)
	var keys []store.Key
	for i := range 5 {
		keys = append(keys, store.Key{Partition: "p", Sort: fmt.Sprint(i)})
		if err := beside.Commit(t.Context(), store.Write{Key: keys[i]}); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []fault{cutBefore, cutAfter, throttled, conflicted, broken} {
		p.inject(func(_ string, n int) fault {
			if n == 1 {
				return f
			}
			return pass
		})
		if records, err := s.Get(t.Context(), keys...); err != nil || len(records) != 5 || records[4].Version == 0 {
			t.Errorf("fault %d: Get = %v, %v", f, records, err)
		}
		if r := get(t, s, keys[2]); r.Version == 0 {
			t.Errorf("fault %d: Get of one = %v", f, r)
		}
		if records, err := store.All(t.Context(), s, "p", ""); err != nil || len(records) != 5 {
			t.Errorf("fault %d: List = %v, %v", f, records, err)
		}
	}
}

// Many writers, each with its own connection through bad network: a counter
// ends at the number of commits that were told to have happened, and a log holds
// each of them once.
func TestNothingTwiceNothingLost(t *testing.T) {
	t.Parallel()
	const writers, each = 6, 12
	raw := create(t)
	beside := open(t, raw)
	p, endpoint := newProxy(t)
	table, _, _ := strings.Cut(raw, "endpoint=")
	count := store.Key{Partition: "p", Sort: "count"}
	if err := beside.Commit(t.Context(), store.Write{Key: count, Body: []byte("0")}); err != nil {
		t.Fatal(err)
	}
	faults := []fault{pass, pass, pass, cutBefore, cutAfter, cutDuring, throttled, conflicted, broken}
	p.inject(func(string, int) fault { return faults[rand.N(len(faults))] })
	var done atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		s := open(t, table+"endpoint="+endpoint)
		wg.Go(func() {
			for i := range each {
				entry := store.Key{Partition: "log", Sort: fmt.Sprintf("%d-%d", w, i)}
				err := store.Retry(t.Context(), func() error {
					now, err := s.Get(t.Context(), count)
					if err != nil {
						return err
					}
					n, err := strconv.Atoi(string(now[0].Body))
					if err != nil {
						return err
					}
					return s.Commit(t.Context(), store.Write{Key: count, Expect: now[0].Version, Body: []byte(strconv.Itoa(n + 1))},
						store.Write{Key: entry, Body: []byte(strconv.Itoa(n + 1))})
				})
				if err != nil {
					t.Errorf("%s: %v", entry, err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	log, err := store.All(t.Context(), beside, "log", "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(get(t, beside, count).Body), fmt.Sprint(done.Load()); got != want || len(log) != writers*each {
		t.Errorf("count %s and %d entries, want %s and %d", got, len(log), want, writers*each)
	}
	seen := map[string]bool{}
	for _, r := range log {
		if seen[string(r.Body)] {
			t.Errorf("two commits made the count %s", r.Body)
		}
		seen[string(r.Body)] = true
	}
}
