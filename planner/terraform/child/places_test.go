package child

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// Who can wait goes after all who cannot, and never has more than its share.
func TestPlacesServeFirstWhoCannotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{free: 2, later: 1}
		var mu sync.Mutex
		var order []string
		end := map[string]chan struct{}{}
		run := func(name string, later bool) {
			end[name] = make(chan struct{})
			go func() {
				if err := p.take(t.Context(), later); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				<-end[name]
				p.give(later)
			}()
			synctest.Wait()
		}
		run("check 1", true)
		run("check 2", true) // only one at once, though there is room
		run("plan 1", false)
		run("check 3", true)
		run("plan 2", false)
		for _, name := range []string{"plan 1", "check 1", "plan 2", "check 2", "check 3"} {
			close(end[name])
			synctest.Wait()
		}
		if want := []string{"check 1", "plan 1", "plan 2", "check 2", "check 3"}; !slices.Equal(order, want) {
			t.Errorf("order %q, want %q", order, want)
		}
		if p.free != 2 || p.later != 1 {
			t.Errorf("%d places are free and %d for who can wait; want 2 and 1", p.free, p.later)
		}
	})
}

// Who can wait gets no place between two commands of a run that cannot, and
// all places once that has ended.
func TestPlacesBetweenTwoCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{free: 2, later: 2}
		take := func(later bool) {
			if err := p.take(t.Context(), later); err != nil {
				t.Error(err)
			}
		}
		end := p.begin()
		take(false)
		take(true) // the other place is nobody's
		served := make(chan bool, 1)
		go func() { take(true); served <- true }()
		synctest.Wait()
		p.give(false)
		synctest.Wait()
		if len(served) > 0 {
			t.Fatal("a check got between two commands of a run")
		}
		take(false) // at once
		p.give(false)
		end()
		synctest.Wait()
		if len(served) != 1 {
			t.Fatal("nobody was served although the run is over")
		}
		end() // twice is once
		p.give(true)
		p.give(true)
		if p.free != 2 || p.later != 2 || p.runs != 0 || p.busy != 0 {
			t.Errorf("left %d free, %d for who can wait, %d runs, %d busy", p.free, p.later, p.runs, p.busy)
		}
	})
}

// Whoever gives up waiting leaves nothing behind, at whatever moment.
func TestPlacesGivenUp(t *testing.T) {
	enough := errors.New("enough")
	for range 300 {
		p := &places{free: 1, later: 1}
		if err := p.take(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		for _, later := range []bool{false, true, false} {
			wg.Go(func() {
				switch err := p.take(ctx, later); {
				case err == nil:
					p.give(later)
				case !errors.Is(err, enough):
					t.Errorf("got %v, want the cause", err)
				}
			})
		}
		wg.Go(func() { cancel(enough) })
		p.give(false)
		wg.Wait()
		if p.free != 1 || p.later != 1 || len(p.waiting[0])+len(p.waiting[1]) > 0 {
			t.Fatalf("left: %+v", p)
		}
	}
}
