package schedule

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir/store"
	"weir/store/storetest"
)

const repo = "acme/app"

// due asks for the slots that are due and returns their IDs and the slots.
func due(t *testing.T, b Book, now time.Time, groups ...Group) []Slot {
	t.Helper()
	slots, err := b.Due(t.Context(), repo, groups, now)
	if err != nil {
		t.Fatal(err)
	}
	return slots
}

// stored returns when each group comes next.
func stored(t *testing.T, b Book) map[string]string {
	t.Helper()
	slots, err := b.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := map[string]string{}
	for _, s := range slots {
		if s.Due.Before(s.At) || s.Due.Sub(s.At) >= Spread {
			t.Errorf("%s is due at %s", s.ID(), s.Due)
		}
		next[s.Repo+"#"+s.Name] = s.At.Format(time.RFC3339)
	}
	return next
}

func wantStored(t *testing.T, b Book, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, stored(t, b)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

func claim(t *testing.T, b Book, s Slot, now time.Time, also ...store.Write) bool {
	t.Helper()
	won, err := b.Claim(t.Context(), s, now, also...)
	if err != nil {
		t.Fatal(err)
	}
	return won
}

func TestFirstSightDoesNotRun(t *testing.T) {
	b := Book{storetest.Memory()}
	g := Group{Name: "a", Cron: "0 5 * * *"}
	if got := due(t, b, at(t, "2026-03-02T05:00:00Z"), g); len(got) != 0 {
		t.Errorf("due at first sight: %v", got)
	}
	wantStored(t, b, map[string]string{"acme/app#a": "2026-03-03T05:00:00Z"})
	if got := due(t, b, at(t, "2026-03-03T04:59:59Z"), g); len(got) != 0 {
		t.Errorf("due before its time: %v", got)
	}
	now := at(t, "2026-03-03T05:10:00Z")
	got := due(t, b, now, g)
	if len(got) != 1 || got[0].ID() != "drift-acme/app#a@2026-03-03T05:00:00Z" {
		t.Fatalf("due: %v", got)
	}
	if !claim(t, b, got[0], now) {
		t.Error("nobody else wanted it, and it was not given")
	}
	if claim(t, b, got[0], now) {
		t.Error("given twice")
	}
	wantStored(t, b, map[string]string{"acme/app#a": "2026-03-04T05:00:00Z"})
}

// Slots that were missed are done late, once for all of them.
func TestMissedSlots(t *testing.T) {
	b := Book{storetest.Memory()}
	g := Group{Name: "a", Cron: "0 */6 * * *"}
	due(t, b, at(t, "2026-03-02T01:00:00Z"), g)
	now := at(t, "2026-03-05T20:00:00Z") // fifteen slots later
	got := due(t, b, now, g)
	if len(got) != 1 || got[0].At != at(t, "2026-03-02T06:00:00Z") {
		t.Fatalf("due: %v", got)
	}
	// A restart before the claim loses nothing.
	b = Book{b.Store}
	if again := due(t, b, now.Add(time.Minute), g); len(again) != 1 || !claim(t, b, again[0], now) {
		t.Errorf("after a restart: %v", again)
	}
	if got := due(t, b, now, g); len(got) != 0 {
		t.Errorf("due again: %v", got)
	}
	wantStored(t, b, map[string]string{"acme/app#a": "2026-03-06T00:00:00Z"})
}

func TestChangedSchedule(t *testing.T) {
	b := Book{storetest.Memory()}
	first := at(t, "2026-03-02T12:00:00Z")
	due(t, b, first, Group{Name: "a", Cron: "0 5 * * 1"})
	wantStored(t, b, map[string]string{"acme/app#a": "2026-03-09T05:00:00Z"})

	// Earlier, later, in another zone: at once, and without a check.
	for _, step := range []struct{ cron, zone, want string }{
		{"0 5 * * *", "", "2026-03-03T05:00:00Z"},
		{"0 11 * * *", "", "2026-03-03T11:00:00Z"},
		{"0 11 * * *", "America/New_York", "2026-03-02T16:00:00Z"},
		{"0 5 1 1 *", "", "2027-01-01T05:00:00Z"},
	} {
		if got := due(t, b, first, Group{Name: "a", Cron: step.cron, Zone: step.zone}); len(got) != 0 {
			t.Errorf("%s %s is due: %v", step.cron, step.zone, got)
		}
		wantStored(t, b, map[string]string{"acme/app#a": step.want})
	}

	// Off and gone are forgotten; back again is a first sight.
	for _, groups := range [][]Group{{{Name: "a", Cron: Off}}, {{Name: "a"}}, {}, {{Name: "a", Cron: "0 0 31 2 *"}}} {
		due(t, b, first, groups...)
		wantStored(t, b, map[string]string{})
		late := first.AddDate(2, 0, 0)
		for range 2 {
			if got := due(t, b, late, Group{Name: "a", Cron: "0 5 1 1 *"}); len(got) != 0 {
				t.Errorf("due when it comes back: %v", got)
			}
		}
		wantStored(t, b, map[string]string{"acme/app#a": "2029-01-01T05:00:00Z"})
		due(t, b, late)
		due(t, b, late.Add(2*time.Hour))
		if rows, err := store.All(t.Context(), b.Store, partition, ""); err != nil || len(rows) != 0 {
			t.Errorf("kept of what is gone: %v, %v", rows, err)
		}
	}
}

// A slot that was due when its schedule changed is still done, once, and what
// follows is by the new one.
func TestDueSlotOutlivesAChange(t *testing.T) {
	b := Book{storetest.Memory()}
	due(t, b, at(t, "2026-03-02T01:00:00Z"), Group{Name: "a", Cron: "0 5 * * *"})
	now := at(t, "2026-03-02T07:00:00Z")
	changed := Group{Name: "a", Cron: "0 6 * * *"}
	got := due(t, b, now, changed)
	if len(got) != 1 || got[0].ID() != "drift-acme/app#a@2026-03-02T05:00:00Z" || !claim(t, b, got[0], now) || claim(t, b, got[0], now) {
		t.Errorf("due: %v", got)
	}
	if got := due(t, b, now, changed); len(got) != 0 {
		t.Errorf("due again: %v", got)
	}
	wantStored(t, b, map[string]string{"acme/app#a": "2026-03-03T06:00:00Z"})
}

// A weir.yaml that cannot be read for some minutes loses no slot.
func TestGroupThatIsGoneForMinutes(t *testing.T) {
	b := Book{storetest.Memory()}
	g, others := Group{Name: "a", Cron: "0 5 * * *"}, Group{Name: "others", Cron: "0 9 * * *"}
	due(t, b, at(t, "2026-03-02T01:00:00Z"), g, others)
	due(t, b, at(t, "2026-03-02T04:50:00Z"), others)
	wantStored(t, b, map[string]string{"acme/app#others": "2026-03-02T09:00:00Z"})
	now := at(t, "2026-03-02T05:20:00Z")
	if got := due(t, b, now, others); len(got) != 0 {
		t.Errorf("due while it is gone: %v", got)
	}
	got := due(t, b, now, g, others)
	if len(got) != 1 || !claim(t, b, got[0], now) {
		t.Errorf("due: %v", got)
	}
	wantStored(t, b, map[string]string{"acme/app#a": "2026-03-03T05:00:00Z", "acme/app#others": "2026-03-02T09:00:00Z"})
}

// Servers that have read weir.yaml at different moments once set the slots of
// each other anew, again and again, and past the moment that was due.
func TestServersWithDifferentGroups(t *testing.T) {
	for _, test := range []struct {
		name           string
		before, behind []Group
		want           []string // by ID, in their order
	}{
		{
			"changed",
			[]Group{{Name: "a", Cron: "0 5 * * *"}},
			[]Group{{Name: "a", Cron: "0 6 * * *"}},
			[]string{"a@2026-03-02T05:00:00Z", "a@2026-03-02T06:00:00Z"},
		},
		{"added", nil, []Group{{Name: "a", Cron: "0 5 * * *"}}, []string{"a@2026-03-02T05:00:00Z"}},
		{"removed", []Group{{Name: "a", Cron: "0 5 * * *"}}, nil, []string{"a@2026-03-02T05:00:00Z"}},
		{"off", []Group{{Name: "a", Cron: "0 5 * * *"}}, []Group{{Name: "a", Cron: Off}}, []string{"a@2026-03-02T05:00:00Z"}},
	} {
		b := Book{storetest.Memory()}
		due(t, b, at(t, "2026-03-02T01:00:00Z"), test.before...)
		due(t, b, at(t, "2026-03-02T01:00:00Z"), test.behind...)
		var got []string
		for now := at(t, "2026-03-02T01:00:20Z"); now.Before(at(t, "2026-03-02T08:00:00Z")); now = now.Add(20 * time.Second) {
			groups := test.before
			if now.Unix()/20%2 == 0 {
				groups = test.behind
			}
			for _, s := range due(t, b, now, groups...) {
				if claim(t, b, s, now) {
					got = append(got, strings.TrimPrefix(s.ID(), "drift-acme/app#"))
				}
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// Repositories and groups are told apart exactly (I6).
func TestI6_ExactGroups(t *testing.T) {
	b := Book{storetest.Memory()}
	now := at(t, "2026-03-02T01:00:00Z")
	for _, r := range []string{"acme/app", "acme/app-infra", "acme/ap"} {
		if _, err := b.Due(t.Context(), r, []Group{{Name: "a", Cron: "0 5 * * *"}, {Name: "a#b", Cron: "0 6 * * *"}, {Name: "", Cron: "0 7 * * *"}}, now); err != nil {
			t.Fatal(err)
		}
	}
	due(t, b, now)
	want := map[string]string{}
	for _, r := range []string{"acme/app-infra", "acme/ap"} {
		want[r+"#a"], want[r+"#a#b"], want[r+"#"] = "2026-03-02T05:00:00Z", "2026-03-02T06:00:00Z", "2026-03-02T07:00:00Z"
	}
	wantStored(t, b, want)
	for _, r := range []string{"", "acme/app#a"} {
		if _, err := b.Due(t.Context(), r, nil, now); err == nil {
			t.Errorf("repository %q is taken", r)
		}
	}
}

// What is wrong with one group keeps no other from being checked, and loses
// nothing of its own.
func TestBrokenGroup(t *testing.T) {
	b := Book{storetest.Memory()}
	good, bad := Group{Name: "a", Cron: "0 5 * * *"}, Group{Name: "b", Cron: "0 5 * * *"}
	due(t, b, at(t, "2026-03-02T01:00:00Z"), good, bad)
	now := at(t, "2026-03-02T06:00:00Z")
	broken := bad
	broken.Zone = "Nowhere"
	got, err := b.Due(t.Context(), repo, []Group{broken, good, {Name: strings.Repeat("n", 101), Cron: "0 5 * * *"}, {Name: "a", Cron: "what"}}, now)
	if err == nil || !strings.Contains(err.Error(), "group b:") || !strings.Contains(err.Error(), "too long") || strings.Contains(err.Error(), "what") {
		t.Errorf("error: %v", err)
	}
	if len(got) != 1 || got[0].Name != "a" {
		t.Errorf("due: %v", got)
	}
	if got := due(t, b, now, good, bad); len(got) != 2 {
		t.Errorf("due once it is mended: %v", got)
	}
}

// The job is accepted in the commit of the claim, or neither is.
func TestClaimWithTheJob(t *testing.T) {
	s := &storetest.Faulty{Store: storetest.Memory()}
	b := Book{s}
	g := Group{Name: "a", Cron: "0 5 * * *"}
	due(t, b, at(t, "2026-03-02T01:00:00Z"), g)
	now := at(t, "2026-03-02T06:00:00Z")
	slot := due(t, b, now, g)[0]
	job := store.Key{Partition: "jobs", Sort: "1"}
	accepted := func() bool {
		rows, err := s.Get(t.Context(), job)
		if err != nil {
			t.Fatal(err)
		}
		return rows[0].Version != 0
	}

	_, err := b.Claim(t.Context(), slot, now, store.Write{Key: job, Expect: 7, Body: []byte("x")})
	if !store.IsConflict(err) || accepted() {
		t.Errorf("claim with a write that fails: %v, job accepted: %v", err, accepted())
	}
	s.Fail(1, storetest.Before)
	if _, err := b.Claim(t.Context(), slot, now, store.Write{Key: job, Body: []byte("x")}); !errors.Is(err, storetest.ErrInjected) || accepted() {
		t.Errorf("claim of a store that fails: %v, job accepted: %v", err, accepted())
	}
	if again := due(t, b, now, g); len(again) != 1 {
		t.Errorf("due after two claims that failed: %v", again)
	}
	s.Fail(1, storetest.After)
	if _, err := b.Claim(t.Context(), slot, now, store.Write{Key: job, Body: []byte("x")}); err == nil || !accepted() {
		t.Errorf("claim without an answer: %v, job accepted: %v", err, accepted())
	}
	if again := due(t, b, now, g); len(again) != 0 {
		t.Errorf("due after it was claimed: %v", again)
	}
	if claim(t, b, slot, now, store.Write{Key: store.Key{Partition: "jobs", Sort: "2"}, Body: []byte("x")}) {
		t.Error("claimed twice")
	}
}

func TestClaimRefuses(t *testing.T) {
	b := Book{storetest.Memory()}
	now := at(t, "2026-03-02T05:00:00Z")
	for _, s := range []Slot{
		{Repo: repo, Group: Group{Name: "a", Cron: "0 5 * * *"}, At: now, Due: now.Add(time.Second)},
		{Repo: repo, Group: Group{Name: "a", Cron: Off}, At: now, Due: now},
		{Repo: repo, Group: Group{Name: "a", Cron: "x"}, At: now, Due: now},
	} {
		if won, err := b.Claim(t.Context(), s, now); won || err == nil {
			t.Errorf("%s: %v, %v", s.ID(), won, err)
		}
	}
}

// A clock that was years ahead once does not keep a group from being checked,
// and one that is some minutes ahead changes nothing.
func TestWrongClock(t *testing.T) {
	b := Book{storetest.Memory()}
	daily, often := Group{Name: "a", Cron: "0 5 * * *"}, Group{Name: "b", Cron: "* * * * *"}
	due(t, b, at(t, "2062-03-02T01:00:00Z"), daily, often)
	now := at(t, "2026-03-02T01:00:00Z")
	due(t, b, now, daily, often)
	wantStored(t, b, map[string]string{"acme/app#a": "2026-03-02T05:00:00Z", "acme/app#b": "2026-03-02T01:01:00Z"})
	ahead := now.Add(20 * time.Minute)
	for _, s := range due(t, b, ahead, daily, often) {
		claim(t, b, s, ahead)
	}
	if got := due(t, b, now, daily, often); len(got) != 0 {
		t.Errorf("due on the slower clock: %v", got)
	}
	wantStored(t, b, map[string]string{"acme/app#a": "2026-03-02T05:00:00Z", "acme/app#b": "2026-03-02T01:21:00Z"})
}

func TestSpread(t *testing.T) {
	buckets := make([]int, 10)
	for i := range 1000 {
		tm, err := parse("0 5 * * *", "")
		if err != nil {
			t.Fatal(err)
		}
		s, ok := tm.slot(fmt.Sprintf("acme/repo-%d", i), Group{Name: "a"}, at(t, "2026-03-02T00:00:00Z"))
		if !ok {
			t.Fatal("no slot")
		}
		again, _ := tm.slot(s.Repo, Group{Name: "a"}, at(t, "2026-03-02T00:00:00Z"))
		if diff := cmp.Diff(s, again, cmpopts.IgnoreUnexported(Slot{})); diff != "" {
			t.Errorf("another time at the second look:\n%s", diff)
		}
		buckets[int(s.Due.Sub(s.At)/time.Minute)]++
	}
	for minute, n := range buckets {
		if n < 60 || n > 140 {
			t.Errorf("minute %d has %d of a thousand checks", minute, n)
		}
	}
	for i := range 100 { // never into the next slot
		tm, err := parse("*/5 * * * *", "")
		if err != nil {
			t.Fatal(err)
		}
		s, _ := tm.slot(fmt.Sprintf("acme/repo-%d", i), Group{Name: "a"}, at(t, "2026-03-02T00:00:00Z"))
		if d := s.Due.Sub(s.At); d < 0 || d >= 30*time.Second {
			t.Errorf("%s of five minutes", d)
		}
	}
}

func TestName(t *testing.T) {
	names := map[string]bool{}
	for _, dirs := range [][]string{nil, {"a"}, {"b"}, {"a", "b"}, {"ab"}, {"a,b"}, {"b", "a"}} {
		names[Name(dirs)] = true
	}
	if again := Name([]string{"b", "a"}); len(names) != 7 || !names[again] {
		t.Errorf("names are not told apart: %v", names)
	}
}

func TestStoreThatDoesNotAnswer(t *testing.T) {
	b := Book{storetest.Memory()}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Due(ctx, repo, []Group{{Name: "a", Cron: "0 5 * * *"}}, time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("Due: %v", err)
	}
	if _, err := b.All(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("All: %v", err)
	}
	if err := b.Store.Commit(t.Context(), store.Write{Key: store.Key{Partition: partition, Sort: repo + "#a"}, Body: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Due(t.Context(), repo, nil, time.Now()); err == nil || !strings.Contains(err.Error(), repo) {
		t.Errorf("Due of what cannot be read: %v", err)
	}
}
