package drift

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/drift/finding"
	"weir/planner/record"
	"weir/planner/work"
	"weir/store"
	"weir/store/storetest"
)

// TestLearn holds since when something differs, when that changed, and the
// points of the page.
func TestLearn(t *testing.T) {
	start := time.Date(2026, 3, 1, 1, 0, 0, 0, time.UTC)
	at := func(day int) time.Time { return start.AddDate(0, 0, day) }
	one := finding.Finding{Address: "a.a", Attribute: "x", Kind: finding.Changed, Severity: finding.High}
	value := one
	value.Deployed = "other"
	two := finding.Finding{Address: "a.b", Kind: finding.Deleted, Severity: finding.Low}
	hidden := one
	hidden.Ignored = &finding.Ignored{Owner: "ann"}
	var k Known
	for day, c := range []struct {
		name           string
		check          finding.Check
		since, changed time.Time
	}{
		{"nothing", finding.Check{}, time.Time{}, time.Time{}},
		{"something", finding.Check{Findings: []finding.Finding{one}}, at(1), at(1)},
		{"another value", finding.Check{Findings: []finding.Finding{value}}, at(1), at(1)},
		{"more", finding.Check{Findings: []finding.Finding{two, one}}, at(1), at(3)},
		{"in another order", finding.Check{Findings: []finding.Finding{one, two}}, at(1), at(3)},
		{"a failure", finding.Check{Failure: "No."}, at(1), at(5)},
		{"less", finding.Check{Findings: []finding.Finding{two}}, at(1), at(6)},
		{"hidden", finding.Check{Findings: []finding.Finding{hidden}}, time.Time{}, at(7)},
		{"gone", finding.Check{}, time.Time{}, at(7)},
		{"a failure first", finding.Check{Failure: "No."}, at(9), at(9)},
	} {
		c.check.Started = at(day)
		before := len(k.History)
		k.PutOff = "later"
		k = k.learn(c.check, "group")
		if !k.Since.Equal(c.since) || !k.Changed.Equal(c.changed) || k.PutOff != "" || k.Group != "group" || len(k.History) != before+1 {
			t.Errorf("%s: since %s, changed %s, put off %q", c.name, k.Since, k.Changed, k.PutOff)
		}
	}
	want := []Point{
		{At: at(4), Open: 2, Worst: finding.High},
		{At: at(5), Failed: true},
		{At: at(6), Open: 1, Worst: finding.Low},
		{At: at(7), Hidden: 1},
	}
	if diff := cmp.Diff(want, k.History[4:8]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for range 2 * maxHistory {
		k = k.learn(finding.Check{Started: at(20)}, "group")
	}
	if len(k.History) != maxHistory || !k.History[0].At.Equal(at(20)) {
		t.Errorf("%d points from %s", len(k.History), k.History[0].At)
	}
}

// TestTooMany holds that findings larger than a record are cut, the worst
// staying, and that the same findings are no change in the next check.
func TestTooMany(t *testing.T) {
	ctx, s := t.Context(), storetest.Memory()
	defer s.Close()
	d := &Drift{Store: s}
	check := finding.Check{Repo: repo, Project: "a", Started: time.Date(2026, 3, 1, 1, 0, 0, 0, time.UTC)}
	for range 500 {
		check.Findings = append(check.Findings, finding.Finding{Address: rand.Text(), Deployed: randomText(1000), Severity: finding.High})
	}
	q := &queue{store: s}
	fence, err := q.Fence(ctx, work.Job{})
	if err != nil {
		t.Fatal(err)
	}
	var k Known
	for range 2 {
		cut, err := bounded(check)
		if err != nil {
			t.Fatal(err)
		}
		k = k.learn(cut, others)
		k.Told = cut.Open()
		if k, err = d.put(ctx, fence, k); err != nil {
			t.Fatal(err)
		}
		check.Started = check.Started.AddDate(0, 0, 1)
	}
	all, err := Read(ctx, s, repo)
	if err != nil || len(all) != 1 {
		t.Fatalf("got %d, %v", len(all), err)
	}
	got := all[0]
	if n := len(got.Check.Findings); n == 0 || n == 500 || !got.Check.Cut || got.Check.Findings[0].Address != check.Findings[0].Address {
		t.Errorf("%d findings, cut %v", n, got.Check.Cut)
	}
	if !got.Changed.Equal(got.Since) || len(got.History) != 2 {
		t.Errorf("since %s, changed %s", got.Since, got.Changed)
	}
}

// TestLongName holds that no ID is too long to be known, and none of those is
// taken for another.
func TestLongName(t *testing.T) {
	ctx, s := t.Context(), storetest.Memory()
	defer s.Close()
	d := &Drift{Store: s}
	fence, err := (&queue{store: s}).Fence(ctx, work.Job{})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("ä", 3000)
	for _, id := range []string{"a", long, long + "b"} {
		if _, err := d.put(ctx, fence, Known{Check: finding.Check{Repo: repo, Project: id}}); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := Read(ctx, s, ""); err != nil || len(all) != 3 {
		t.Errorf("got %d, %v", len(all), err)
	}
	if all, err := Read(ctx, s, "acme/ap"); err != nil || len(all) != 0 {
		t.Errorf("of another repository: %d, %v", len(all), err)
	}
}

// TestLongState holds that a state that was packed can be read.
func TestLongState(t *testing.T) {
	s := storetest.Memory()
	defer s.Close()
	d := &Drift{Store: s}
	want := State{Repo: repo, Failure: strings.Repeat("no_such_key\n", 10_000)}
	if err := d.editState(t.Context(), repo, func(s *State) { *s = want }, store.Write{Op: store.Check, Key: fenceKey()}); err != nil {
		t.Fatal(err)
	}
	if got, err := States(t.Context(), s); err != nil || !cmp.Equal(got, []State{want}) {
		t.Errorf("got %d states, %v", len(got), err)
	}
}

// TestTold holds that what people were told is kept, and written only where it
// is something else than before.
func TestTold(t *testing.T) {
	w := newWorld(t, three())
	w.look.plans["a"] = changedOutside("aws_s3_bucket.a")
	w.tell.issues["a"] = 5
	w.do(w.due())
	a, _ := w.known("a")
	if a.Issue != 5 || len(a.Told) != 1 || a.Told[0].Key() != a.Check.Findings[0].Key() {
		t.Errorf("told %+v on #%d", a.Told, a.Issue)
	}
	w.store.Reset()
	w.do(w.due())
	if got := w.store.Calls().Commits; got != 4 { // three checks and the state
		t.Errorf("%d commits", got)
	}
	delete(w.look.plans, "a")
	w.do(w.due())
	if a, _ := w.known("a"); len(a.Told) > 0 {
		t.Errorf("told %+v", a.Told)
	}
}

// witness knows who did everything when it is asked for the second time.
type witness struct{ asked int }

func (w *witness) Who(_ context.Context, found []finding.Finding, _ map[string]map[string]any, _, _ time.Time) (map[finding.Key]finding.By, map[finding.Key]string) {
	w.asked++
	by, nobody := map[finding.Key]finding.By{}, map[finding.Key]string{}
	for _, f := range found {
		nobody[f.Key()] = "It was long ago."
	}
	for _, f := range found {
		if w.asked == 2 {
			by[f.Key()] = finding.By{Who: "eve"}
		}
	}
	return by, nobody
}

// TestBlame holds that who did it is remembered for as long as it is not undone,
// also while checks fail.
func TestBlame(t *testing.T) {
	w := newWorld(t, map[string]string{"a/main.tf": code("a")})
	seen := &witness{}
	w.Witness = seen
	w.look.plans["a"] = changedOutside("aws_s3_bucket.a")
	w.do(w.due())
	if a, _ := w.known("a"); a.Check.Findings[0].By != nil || a.Check.Findings[0].Nobody != "It was long ago." {
		t.Errorf("at first found %+v", a.Check.Findings)
	}
	for _, failure := range []string{"", "", "No.", "No.", ""} {
		w.look.failures["a"] = failure
		w.do(w.due())
		a, _ := w.known("a")
		if failure == "" && (len(a.Check.Findings) != 1 || a.Check.Findings[0].By == nil || a.Check.Findings[0].By.Who != "eve" || a.Check.Findings[0].Nobody != "" || a.Blamed != nil) {
			t.Errorf("found %+v", a.Check.Findings)
		}
	}
	if seen.asked != 2 {
		t.Errorf("asked %d times", seen.asked)
	}
}

// TestReadBroken holds that a record that cannot be read is an error.
func TestReadBroken(t *testing.T) {
	s := storetest.Memory()
	defer s.Close()
	for _, key := range []store.Key{keyOf(repo, "a"), stateKey(repo)} {
		if err := record.Commit(t.Context(), s, store.Write{Key: key, Body: []byte("{")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Read(t.Context(), s, repo); err == nil {
		t.Error("read what is broken")
	}
	if _, err := States(t.Context(), s); err == nil {
		t.Error("read a state that is broken")
	}
}

func randomText(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(rand.Text())
	}
	return b.String()
}
