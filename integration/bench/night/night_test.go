package night

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/store"
	"weir/store/bolt"
)

// What is counted is what the store has written, while it is open, and nothing
// that only reads or fails.
func TestTransactions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "weir.db")
	db, err := bolt.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	before, err := transactions(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, expect := range []store.Version{0, 1, 1, 2} { // the third is a conflict
		key := store.Key{Partition: "test", Sort: "one"}
		err := db.Commit(t.Context(), store.Write{Key: key, Expect: expect, Body: []byte("a body")})
		if store.IsConflict(err) != (i == 2) {
			t.Fatalf("commit %d: %v", i, err)
		}
		if _, err := db.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	after, err := transactions(file)
	if err != nil || after-before != 3 {
		t.Errorf("got %d transactions, %v, want 3", after-before, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDisturbed(t *testing.T) {
	began := time.Now()
	samples := func(took ...time.Duration) (all []sample) {
		for i, d := range took {
			all = append(all, sample{took: d, ended: began.Add(time.Duration(i+1) * time.Minute)})
		}
		return all
	}
	// The last pull request was planned when all had been checked.
	n := night{last: began.Add(3 * time.Minute)}
	busy := n.during(samples(150*time.Millisecond, 900*time.Millisecond, 160*time.Millisecond, time.Millisecond))
	quiet := samples(100*time.Millisecond, 120*time.Millisecond, 110*time.Millisecond)
	const budget = "≤ quiet + 60 ms (longest command of a check)"
	for _, c := range []struct {
		name string
		busy []sample
		pick func([]sample) time.Duration
		want Row
	}{
		{"the median counts", busy, middle, Row{
			What: "a", Budget: budget, Measured: "160 ms (+50 ms), worst 900 ms, of 3", Floor: "110 ms, worst 120 ms (quiet)", Ratio: "1.45", Judged: true, Good: true,
		}},
		{"the worst counts", busy, worst, Row{
			What: "a", Budget: budget, Measured: "worst 900 ms (+790 ms), median 160 ms, of 3", Floor: "110 ms, worst 120 ms (quiet)", Ratio: "8.18", Judged: true,
		}},
		{"none", nil, middle, Row{What: "a", Budget: budget, Measured: "none was planned before the night's end"}},
	} {
		if diff := cmp.Diff(c.want, disturbed("a", quiet, c.busy, 60*time.Millisecond, c.pick)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestExact(t *testing.T) {
	for _, c := range []struct {
		night night
		good  bool
	}{
		{night{projects: 3, checked: 3}, true},
		{night{projects: 3, checked: 2}, false},
		{night{projects: 3, checked: 2, failed: 1}, false},
		{night{projects: 3, checked: 3, again: 1}, false},
		{night{projects: 3, checked: 3, wrong: 1}, false},
	} {
		if r := c.night.exact("a"); !r.Judged || r.Good != c.good {
			t.Errorf("%+v: %+v", c.night, r)
		}
	}
}
