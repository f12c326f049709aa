package drift

import (
	"errors"
	"testing"

	"weir/planner/work"
)

// A check lets what somebody asked for go first, between two projects, and goes
// on where it was.
func TestCheckGivesWay(t *testing.T) {
	w := newWorld(t, map[string]string{"a/main.tf": code("x"), "b/main.tf": code("x"), "c/main.tf": code("x")})
	looked := func() (n int) {
		for _, id := range []string{"a", "b", "c"} {
			if k, ok := w.known(id); ok && !k.Check.Started.IsZero() {
				n++
			}
		}
		return n
	}
	j := w.due()
	w.queue.overtaken = func() bool { return looked() == 1 }
	if err := w.Do(t.Context(), j); !errors.Is(err, work.ErrOvertaken) {
		t.Fatalf("got %v, want that it gives way", err)
	}
	if n := looked(); n != 1 {
		t.Errorf("%d projects were looked at, want 1", n)
	}
	first, _ := w.known("a")
	w.queue.overtaken = nil
	w.do(j)
	again, _ := w.known("a")
	if looked() != 3 || !again.Check.Started.Equal(first.Check.Started) {
		t.Errorf("%d projects were looked at, want 3, and the first once", looked())
	}
}
