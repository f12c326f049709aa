package record

import (
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"weir/store"
	"weir/store/storetest"
)

func TestPurgeRuns(t *testing.T) {
	s := storetest.Memory()
	old, now := time.Now().Add(-60*24*time.Hour), time.Now()
	id := func(at time.Time) string { return ulid.MustNew(ulid.Timestamp(at), ulid.DefaultEntropy()).String() }
	shown, replaced, ofClosed, recent := id(old), id(old), id(old), id(now)
	put := func(key store.Key, value any) {
		w, err := Put(key, 0, value)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	for run, pull := range map[string]int{shown: 1, replaced: 1, ofClosed: 2, recent: 2} {
		put(RunKey(run), Run{ID: run, Repo: "acme/app", Pull: pull})
	}
	put(PullKey("acme/app", 1), Record{Repo: "acme/app", Pull: 1, Projects: []ProjectRecord{{ID: "a", Run: shown}}})
	put(PullKey("acme/app", 2), Record{Repo: "acme/app", Pull: 2, Closed: true, Projects: []ProjectRecord{{ID: "a", Run: ofClosed}}})
	if err := PurgeRuns(t.Context(), s, now.Add(-30*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	for run, want := range map[string]bool{shown: true, replaced: false, ofClosed: false, recent: true} {
		if _, ok, err := ReadRun(t.Context(), s, run); err != nil || ok != want {
			t.Errorf("run %s is kept: %v, want %v (%v)", run, ok, want, err)
		}
	}
}
