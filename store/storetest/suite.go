package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/store"
)

// Run is the conformance suite of store.Store. Each test calls open for a new
// store, which open closes at the end of the test it is given; closing twice
// must be possible. Stores may share what is behind them: the suite uses each
// partition once.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *client)
	}{
		{"Get", testGet},
		{"Conditions", testConditions},
		{"Check", testCheck},
		{"AllOrNone", testAllOrNone},
		{"HundredWrites", testHundredWrites},
		{"Limits", testLimits},
		{"Bodies", testBodies},
		{"VersionsNeverRepeat", testVersionsNeverRepeat},
		{"Order", testOrder},
		{"Pages", testPages},
		{"LongList", testLongList},
		{"ExactPartitions", testExactPartitions},
		{"ExactPrefixes", testExactPrefixes},
		{"BinaryKeys", testBinaryKeys},
		{"Dump", testDump},
		{"Cancelled", testCancelled},
		{"ReadsFollowCommits", testReadsFollowCommits},
		{"GetIsOneMoment", testGetIsOneMoment},
		{"Increments", testIncrements},
		{"OneWinner", testOneWinner},
		{"Model", testModel},
		{"ReadyAndClose", testReadyAndClose},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(t, &client{Store: open(t), space: fmt.Sprintf("%s-%d", strings.ToLower(c.name), unique.Add(1))})
		})
	}
}

func testGet(t *testing.T, c *client) {
	a, b, gone := c.key("a"), c.key("b"), c.key("gone")
	c.put(t, a, "1")
	c.put(t, b, "2")
	got, err := c.Get(t.Context(), b, gone, a, b)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{b.String() + "=2", gone.String() + " absent", a.String() + "=1", b.String() + "=2"}
	if diff := cmp.Diff(want, describe(got)); diff != "" {
		t.Errorf("Get (-want +got):\n%s", diff)
	}
	if got, err := c.Get(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("Get of no keys = %v, %v, want nothing", got, err)
	}
}

func testConditions(t *testing.T, c *client) {
	for _, tt := range []struct {
		name   string
		exists bool
		op     store.Op
		stale  bool // expect an older version of the record
		absent bool // expect that there is no record
		ok     bool
		after  string
	}{
		{name: "create", op: store.Put, absent: true, ok: true, after: "=new"},
		{name: "create what exists", exists: true, op: store.Put, absent: true, after: "=old"},
		{name: "update", exists: true, op: store.Put, ok: true, after: "=new"},
		{name: "update an older version", exists: true, op: store.Put, stale: true, after: "=old"},
		{name: "update what is gone", op: store.Put, stale: true, after: " absent"},
		{name: "delete", exists: true, op: store.Delete, ok: true, after: " absent"},
		{name: "delete an older version", exists: true, op: store.Delete, stale: true, after: "=old"},
		{name: "delete what is gone", op: store.Delete, stale: true, after: " absent"},
		{name: "delete what is not there", op: store.Delete, absent: true, ok: true, after: " absent"},
		{name: "delete as absent what exists", exists: true, op: store.Delete, absent: true, after: "=old"},
		{name: "check", exists: true, op: store.Check, ok: true, after: "=old"},
		{name: "check an older version", exists: true, op: store.Check, stale: true, after: "=old"},
		{name: "check absence", op: store.Check, absent: true, ok: true, after: " absent"},
		{name: "check absence of what exists", exists: true, op: store.Check, absent: true, after: "=old"},
		{name: "check what is gone", op: store.Check, stale: true, after: " absent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := c.key(tt.name)
			older := c.put(t, k, "older")
			current := c.put(t, k, "old")
			if !tt.exists {
				c.commit(t, store.Write{Op: store.Delete, Key: k, Expect: current})
			}
			w := store.Write{Op: tt.op, Key: k, Expect: current}
			switch {
			case tt.absent:
				w.Expect = 0
			case tt.stale:
				w.Expect = older
			}
			if tt.op == store.Put {
				w.Body = []byte("new")
			}
			before := c.get(t, k)
			err := c.Commit(t.Context(), w)
			if tt.ok && err != nil {
				t.Errorf("Commit: %v", err)
			}
			if !tt.ok {
				wantConflict(t, err, before)
			}
			if got, want := describe([]store.Record{c.get(t, k)})[0], k.String()+tt.after; got != want {
				t.Errorf("afterwards: got %s, want %s", got, want)
			}
		})
	}
}

func testCheck(t *testing.T, c *client) {
	guard, data := c.key("guard"), c.key("data")
	version := c.put(t, guard, "g")
	c.commit(t, store.Write{Op: store.Check, Key: guard, Expect: version}, store.Write{Key: data, Body: []byte("1")})
	if got := c.get(t, guard).Version; got != version {
		t.Errorf("a check changed the version from %d to %d", version, got)
	}
	c.put(t, guard, "changed")
	before := c.get(t, data)
	err := c.Commit(t.Context(), store.Write{Op: store.Check, Key: guard, Expect: version},
		store.Write{Key: data, Expect: before.Version, Body: []byte("2")})
	wantConflict(t, err, c.get(t, guard))
	if diff := cmp.Diff(before, c.get(t, data)); diff != "" {
		t.Errorf("written in spite of a failed check (-before +after):\n%s", diff)
	}
	// Checks alone are a commit too.
	c.commit(t, store.Write{Op: store.Check, Key: data, Expect: before.Version}, store.Write{Op: store.Check, Key: c.key("absent")})
}

func testAllOrNone(t *testing.T, c *client) {
	version := c.put(t, c.key("updated"), "old")
	deleted := c.put(t, c.key("deleted"), "old")
	c.put(t, c.key("taken 1"), "old")
	c.put(t, c.key("taken 2"), "old")
	before := c.all(t, c.space)
	err := c.Commit(t.Context(),
		store.Write{Key: c.key("created"), Body: []byte("new")},
		store.Write{Key: c.key("taken 2"), Body: []byte("new")},
		store.Write{Key: c.key("updated"), Expect: version, Body: []byte("new")},
		store.Write{Op: store.Delete, Key: c.key("deleted"), Expect: deleted},
		store.Write{Key: c.key("taken 1"), Body: []byte("new")},
		store.Write{Op: store.Delete, Key: c.key("never"), Expect: version},
	)
	wantConflict(t, err, c.get(t, c.key("taken 2")), c.get(t, c.key("taken 1")), store.Record{Key: c.key("never")})
	if diff := cmp.Diff(before, c.all(t, c.space)); diff != "" {
		t.Errorf("a commit with conflicts changed something (-before +after):\n%s", diff)
	}
}

func testHundredWrites(t *testing.T, c *client) {
	writes := make([]store.Write, store.MaxWrites)
	for i := range writes {
		writes[i] = store.Write{Key: store.Key{Partition: fmt.Sprintf("%s/%d", c.space, i%7), Sort: fmt.Sprint(i)}, Body: []byte("a")}
	}
	c.commit(t, writes...)
	keys := make([]store.Key, len(writes))
	for i := range writes {
		keys[i] = writes[i].Key
	}
	records, err := c.Get(t.Context(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[store.Version]bool{}
	for i, r := range records {
		if r.Key != keys[i] || r.Version == 0 || string(r.Body) != "a" {
			t.Errorf("record %d: got %+v", i, r)
		}
		seen[r.Version] = true
		writes[i].Expect, writes[i].Body = r.Version, []byte("b")
	}
	writes[99].Expect++
	wantConflict(t, c.Commit(t.Context(), writes...), records[99])
	writes[99].Expect--
	c.commit(t, writes...)
}

func testLimits(t *testing.T, c *client) {
	long := strings.Repeat("k", store.MaxKey)
	c.commit(t, store.Write{Key: store.Key{Partition: (c.space + long)[:store.MaxKey], Sort: long}, Body: make([]byte, store.MaxBody)})

	wide := store.Key{Partition: (c.space + strings.Repeat("é", store.MaxKey))[:store.MaxKey], Sort: strings.Repeat("é", store.MaxSort/4)}
	c.commit(t, store.Write{Key: wide, Body: []byte("x")})
	if r := c.get(t, wide); string(r.Body) != "x" {
		t.Errorf("a wide key: got %+v", r)
	}

	many := make([]store.Write, store.MaxWrites+1)
	for i := range many {
		many[i] = store.Write{Key: c.key(fmt.Sprint("many ", i))}
	}
	large := make([]store.Write, 11)
	for i := range large {
		large[i] = store.Write{Key: c.key(fmt.Sprint("large ", i)), Body: make([]byte, store.MaxBody)}
	}
	good := store.Write{Key: c.key("good"), Body: []byte("x")}
	for name, writes := range map[string][]store.Write{
		"too many":             many,
		"too large in all":     large,
		"a key twice":          {good, {Key: c.key("other")}, {Op: store.Check, Key: good.Key}},
		"empty partition":      {good, {Key: store.Key{Sort: "s"}}},
		"empty sort key":       {good, {Key: store.Key{Partition: c.space}}},
		"partition too long":   {good, {Key: store.Key{Partition: long + "x", Sort: "s"}}},
		"sort key too long":    {good, {Key: c.key(long + "x")}},
		"sort key too wide":    {good, {Key: c.key(strings.Repeat("é", 300))}},
		"body too large":       {good, {Key: c.key("b"), Body: make([]byte, store.MaxBody+1)}},
		"a body for a check":   {good, {Op: store.Check, Key: c.key("b"), Body: []byte("x")}},
		"a body for a delete":  {good, {Op: store.Delete, Key: c.key("b"), Body: []byte("x")}},
		"unknown operation":    {good, {Op: 17, Key: c.key("b")}},
		"negative expectation": {good, {Key: c.key("b"), Expect: -1}},
	} {
		wantInvalid(t, name, c.Commit(t.Context(), writes...))
	}
	if got := c.all(t, c.space); len(got) != 0 {
		t.Errorf("refused commits left %v", describe(got))
	}
	if err := c.Commit(t.Context()); err != nil {
		t.Errorf("Commit of nothing: %v", err)
	}

	_, err := c.Get(t.Context(), make([]store.Key, store.MaxWrites+1)...)
	wantInvalid(t, "get of too many", err)
	_, err = c.Get(t.Context(), store.Key{Partition: c.space})
	wantInvalid(t, "get of an empty sort key", err)
	_, _, err = c.List(t.Context(), "", "", store.Page{})
	wantInvalid(t, "list of no partition", err)
	_, _, err = c.List(t.Context(), c.space, "", store.Page{Limit: -1})
	wantInvalid(t, "list with a negative limit", err)
}

func testBodies(t *testing.T, c *client) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for i, body := range [][]byte{nil, {}, {0}, every, bytes.Repeat([]byte{0xff, 0}, store.MaxBody/2)} {
		k := c.key(fmt.Sprint(i))
		given := bytes.Clone(body)
		c.commit(t, store.Write{Key: k, Body: given})
		clear(given) // the store has its own copy
		r := c.get(t, k)
		if r.Version == 0 || !bytes.Equal(r.Body, body) {
			t.Errorf("body %d: got %d bytes at version %d, want the %d bytes that were put", i, len(r.Body), r.Version, len(body))
		}
		clear(r.Body) // and so has the caller
		if again := c.get(t, k); !bytes.Equal(again.Body, body) {
			t.Errorf("body %d changed with what Get had returned", i)
		}
	}
}

// ABA: a version that was read proves that nothing has happened since, also
// when the record was deleted and made again as it was.
func testVersionsNeverRepeat(t *testing.T, c *client) {
	k, other := c.key("a"), c.key("b")
	seen := map[store.Version]bool{}
	for range 20 {
		for range 2 {
			v := c.put(t, k, "same")
			if seen[v] {
				t.Fatalf("version %d occurred twice", v)
			}
			seen[v] = true
		}
		c.put(t, other, "x")
		c.commit(t, store.Write{Op: store.Delete, Key: k, Expect: c.get(t, k).Version},
			store.Write{Op: store.Delete, Key: other, Expect: c.get(t, other).Version})
	}
	c.put(t, k, "same")
	for v := range seen {
		wantConflict(t, c.Commit(t.Context(), store.Write{Key: k, Expect: v, Body: []byte("lost update")}), c.get(t, k))
	}
}

func testCancelled(t *testing.T, c *client) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Commit(ctx, store.Write{Key: c.key("a")}); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit with a cancelled context = %v, want context.Canceled", err)
	}
	if _, err := c.Get(ctx, c.key("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("Get with a cancelled context = %v, want context.Canceled", err)
	}
	if _, _, err := c.List(ctx, c.space, "", store.Page{}); !errors.Is(err, context.Canceled) {
		t.Errorf("List with a cancelled context = %v, want context.Canceled", err)
	}
	if got := c.all(t, c.space); len(got) != 0 {
		t.Errorf("a cancelled commit left %v", describe(got))
	}
}

// testDump: an engine that can show all it holds shows each record once.
func testDump(t *testing.T, c *client) {
	d, ok := c.Store.(store.Dumper)
	if !ok {
		t.Skip("the engine is no store.Dumper")
	}
	want := map[store.Key]string{}
	for _, p := range []string{"", "\x00", "\xff", "/é"} {
		var sorts []string
		for i := range 500 {
			k := store.Key{Partition: c.space + p, Sort: fmt.Sprintf("%c%d", i%256, i)}
			want[k] = k.Sort
			sorts = append(sorts, k.Sort)
		}
		c.fill(t, c.space+p, sorts)
	}
	for i := range 7 {
		k := c.key(fmt.Sprint("large ", i))
		c.commit(t, store.Write{Key: k, Body: make([]byte, store.MaxBody)})
		want[k] = string(make([]byte, store.MaxBody))
	}
	got := map[store.Key]string{}
	err := d.Dump(t.Context(), func(r store.Record) error {
		if !strings.HasPrefix(r.Key.Partition, c.space) {
			return nil // of another test, where they share what is behind
		}
		if _, twice := got[r.Key]; twice || r.Version == 0 {
			t.Errorf("%q came twice, or at version %d", r.Key, r.Version)
		}
		got[r.Key] = string(r.Body)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Dump (-want +got):\n%s", diff)
	}
	stop := errors.New("enough")
	if err := d.Dump(t.Context(), func(store.Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Dump whose yield fails = %v, want its error", err)
	}
}

func testReadyAndClose(t *testing.T, c *client) {
	for range 3 {
		if err := c.Ready(t.Context()); err != nil {
			t.Errorf("Ready: %v", err)
		}
	}
	if got := c.all(t, c.space); len(got) != 0 {
		t.Errorf("Ready left %v", describe(got))
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	var conflict *store.ConflictError
	if err := c.Commit(t.Context(), store.Write{Key: c.key("a")}); err == nil || errors.As(err, &conflict) {
		t.Errorf("Commit after Close = %v, want an error that is no conflict", err)
	}
	if _, err := c.Get(t.Context(), c.key("a")); err == nil {
		t.Error("Get after Close succeeded")
	}
	if _, _, err := c.List(t.Context(), c.space, "", store.Page{}); err == nil {
		t.Error("List after Close succeeded")
	}
	if err := c.Ready(t.Context()); err == nil {
		t.Error("Ready after Close succeeded")
	}
}

func wantConflict(t *testing.T, err error, want ...store.Record) {
	t.Helper()
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) {
		t.Errorf("Commit = %v, want a *store.ConflictError", err)
		return
	}
	byKey := func(a, b store.Record) int { return strings.Compare(a.Key.String(), b.Key.String()) }
	got := slices.SortedFunc(slices.Values(conflict.Conflicts), byKey)
	slices.SortFunc(want, byKey)
	if diff := cmp.Diff(want, got, sameBody); diff != "" {
		t.Errorf("conflicts (-want +got):\n%s", diff)
	}
}

func wantInvalid(t *testing.T, what string, err error) {
	t.Helper()
	var invalid *store.InvalidError
	if !errors.As(err, &invalid) {
		t.Errorf("%s: got error %v, want a *store.InvalidError", what, err)
	}
}
