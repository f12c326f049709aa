package reconcile

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// rounds counts how many rounds there were: each asks once for the
// repositories.
func (h *hub) rounds() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.calls {
		if c == "repositories" {
			n++
		}
	}
	return n
}

// However many replicas there are, each slot has one round.
func TestOneRoundASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		for range 10 {
			r := w.reconciler()
			r.Hooks = nil
			ended.Go(func() { r.Run(ctx) })
			pass(500 * time.Millisecond)
		}
		synctest.Wait()
		if n := w.rounds(); n != 1 {
			t.Errorf("%d rounds while ten replicas start within five seconds, want one", n)
		}
		// The others started after that round began, and share one more.
		pass(time.Minute)
		synctest.Wait()
		if n := w.rounds(); n != 2 {
			t.Errorf("%d rounds in the first minute, want two", n)
		}
		pass(time.Hour)
		synctest.Wait()
		if n := w.rounds(); n < 2+5 || n > 2+6 {
			t.Errorf("%d rounds in an hour, want one each ten minutes or so", n)
		}
		cancel()
		ended.Wait()
	})
}

// A process that starts looks at once, also when another has just looked: what
// happened between the two was lost.
func TestARestartLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			r := w.reconciler()
			done := make(chan struct{})
			go func() {
				defer close(done)
				r.Run(ctx)
			}()
			pass(startGap + time.Second)
			synctest.Wait()
			if n := w.rounds(); n != i+1 {
				t.Errorf("start %d: %d rounds", i+1, n)
			}
			cancel()
			<-done
		}
	})
}

// While the store is away nothing is looked at, and the next try comes soon.
func TestTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w.do(w.store.Close())
		r := w.reconciler()
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Run(ctx)
		}()
		pass(5 * time.Minute)
		synctest.Wait()
		if len(w.calls) > 0 {
			t.Errorf("GitHub was asked: %q", w.calls)
		}
		cancel()
		<-done
	})
}
