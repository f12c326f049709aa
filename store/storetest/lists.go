package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir/store"
)

// fill makes one record for each sort key.
func (c *client) fill(t *testing.T, partition string, keys []string) {
	t.Helper()
	for chunk := range slices.Chunk(keys, store.MaxWrites) {
		writes := make([]store.Write, len(chunk))
		for i, k := range chunk {
			writes[i] = store.Write{Key: store.Key{Partition: partition, Sort: k}, Body: []byte(k)}
		}
		c.commit(t, writes...)
	}
}

// list reads all pages of at most limit records, from after on.
func (c *client) list(t *testing.T, partition, prefix, after string, limit int) []store.Record {
	t.Helper()
	var all []store.Record
	page := store.Page{After: after, Limit: limit}
	for {
		records, next, err := c.List(t.Context(), partition, prefix, page)
		if err != nil {
			t.Fatalf("List %q %q %+v: %v", partition, prefix, page, err)
		}
		if limit > 0 && len(records) > limit {
			t.Fatalf("List %q %q %+v returned %d records", partition, prefix, page, len(records))
		}
		all = append(all, records...)
		if next == "" {
			return all
		}
		if next <= page.After {
			t.Fatalf("List %q %q %+v goes back to %q", partition, prefix, page, next)
		}
		page.After = next
	}
}

func testOrder(t *testing.T, c *client) {
	keys := []string{"b", "a", "B", "aa", "a/b", "a#", "é", "z", "10", "9", "a b", "\x7f", "~"}
	c.fill(t, c.space, keys)
	slices.Sort(keys)
	records := c.list(t, c.space, "", "", 0)
	if diff := diffSorts(keys, records); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	for _, r := range records {
		if r.Key.Partition != c.space || string(r.Body) != r.Key.Sort || r.Version != c.get(t, r.Key).Version {
			t.Errorf("List returned %+v, Get %+v", r, c.get(t, r.Key))
		}
	}
	if got := c.list(t, c.space+"/none", "", "", 0); len(got) != 0 {
		t.Errorf("List of a partition that never was returned %v", sorts(got))
	}
}

func testPages(t *testing.T, c *client) {
	var keys []string
	for i := range 23 {
		keys = append(keys, fmt.Sprintf("k%02d", i))
	}
	c.fill(t, c.space, append(slices.Clone(keys), "a", "j", "l", "z"))
	for _, limit := range []int{1, 2, 5, 22, 23, 24, 27, 100} {
		if diff := diffSorts(keys, c.list(t, c.space, "k", "", limit)); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", limit, diff)
		}
	}
	for after, want := range map[string][]string{
		"k":       keys,      // before the first
		"a":       keys,      // outside of the prefix, before it
		"k05":     keys[6:],  // one of them
		"k05x":    keys[6:],  // between two
		"k22":     {},        // the last
		"zz":      {},        // outside of the prefix, after it
		"k21\xff": keys[22:], // between the last two
	} {
		if diff := diffSorts(want, c.list(t, c.space, "k", after, 4)); diff != "" {
			t.Errorf("after %q (-want +got):\n%s", after, diff)
		}
	}
	// A record that was listed may be gone when the next page is read.
	_, next, err := c.List(t.Context(), c.space, "k", store.Page{Limit: 3})
	if err != nil || next != "k02" {
		t.Fatalf("first page ends at %q, %v; want k02", next, err)
	}
	c.commit(t, store.Write{Op: store.Delete, Key: c.key("k02"), Expect: c.get(t, c.key("k02")).Version})
	if diff := diffSorts(keys[3:], c.list(t, c.space, "k", next, 0)); diff != "" {
		t.Errorf("after a deleted record (-want +got):\n%s", diff)
	}
}

// A long listing comes complete, however the engine cuts it into pages.
func testLongList(t *testing.T, c *client) {
	var keys []string
	for i := range 1234 {
		keys = append(keys, fmt.Sprintf("%06d", i))
	}
	c.fill(t, c.space, keys)
	if diff := diffSorts(keys, c.all(t, c.space)); diff != "" {
		t.Errorf("many records (-want +got):\n%s", diff)
	}
	// Some engines bound a page by its bytes, and pack what can be packed.
	random, body := rand.NewChaCha8([32]byte{}), make([]byte, store.MaxBody)
	var large []string
	for i := range 6 {
		k := store.Key{Partition: c.space + "/large", Sort: fmt.Sprintf("%02d", i)}
		_, _ = random.Read(body) // never fails
		c.commit(t, store.Write{Key: k, Body: body})
		large = append(large, k.Sort)
	}
	if diff := diffSorts(large, c.all(t, c.space+"/large")); diff != "" {
		t.Errorf("large records (-want +got):\n%s", diff)
	}
}

// No prefix of a name is an identity.
func testExactPartitions(t *testing.T, c *client) {
	suffixes := []string{"", "1", "12", "-infra", "/", "/1", "\x00", "\x00a", "\xff", "#", " "}
	for _, s := range suffixes {
		c.fill(t, c.space+s, []string{"of " + s, "a", "\x00"})
	}
	for _, s := range suffixes {
		want := []string{"\x00", "a", "of " + s}
		slices.Sort(want)
		if diff := diffSorts(want, c.list(t, c.space+s, "", "", 2)); diff != "" {
			t.Errorf("partition %q (-want +got):\n%s", c.space+s, diff)
		}
	}
	// What ends the partition and begins the sort key is never confused.
	c.commit(t, store.Write{Key: store.Key{Partition: c.space + "/x", Sort: "yz"}, Body: []byte("1")})
	for _, k := range []store.Key{{Partition: c.space + "/xy", Sort: "z"}, {Partition: c.space + "/", Sort: "xyz"}} {
		if r := c.get(t, k); r.Version != 0 {
			t.Errorf("Get %s found %s", k, r.Body)
		}
	}
}

func testExactPrefixes(t *testing.T, c *client) {
	keys := []string{"acme/app", "acme/app/1", "acme/app/12", "acme/app-infra/1", "acme/ap", "acme0", "b", "\xff", "\xffa", "\xff\xff"}
	c.fill(t, c.space, keys)
	slices.Sort(keys)
	for _, prefix := range []string{"", "a", "acme/app", "acme/app/", "acme/app/1", "acme/app/12", "acme/app/123", "c", "\xff", "\xff\xff", "\xff\xff\xff"} {
		want := []string{}
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) {
				want = append(want, k)
			}
		}
		for _, limit := range []int{0, 1, 3} {
			if diff := diffSorts(want, c.list(t, c.space, prefix, "", limit)); diff != "" {
				t.Errorf("prefix %q, pages of %d (-want +got):\n%s", prefix, limit, diff)
			}
		}
	}
}

func testBinaryKeys(t *testing.T, c *client) {
	parts := []string{"\x00", "\x00\x00", "\x00\xff", "\xff", "\xff\x00", "/", "#", "//", "/#", "\n", "\x80", "\xed\xa0\x80", "😀", " ", "%2f", "..", `\`, `"`}
	for _, p := range parts {
		c.fill(t, c.space+p, parts)
	}
	sorted := slices.Clone(parts)
	slices.Sort(sorted)
	for _, p := range parts {
		if diff := diffSorts(sorted, c.list(t, c.space+p, "", "", 4)); diff != "" {
			t.Errorf("partition %q (-want +got):\n%s", c.space+p, diff)
		}
		for _, s := range parts {
			k := store.Key{Partition: c.space + p, Sort: s}
			if r := c.get(t, k); string(r.Body) != s {
				t.Errorf("Get %q = %q, want %q", k, r.Body, s)
			}
		}
	}
	if got := c.all(t, c.space); len(got) != 0 {
		t.Errorf("partition %q holds %q", c.space, sorts(got))
	}
}
