// Package ledger remembers the last apply of every project: which commits, by
// whom, by which pull request and with which versions, and what became of that
// pull request. It is what tells a difference that somebody made outside from
// one that was merged and never applied.
package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/store"
)

// Outcome is what an apply came to.
type Outcome string

// Outcomes of an apply.
const (
	Applied     Outcome = "applied"
	Failed      Outcome = "failed"      // a part of it may have been done
	Interrupted Outcome = "interrupted" // nobody knows what of it was done
)

// Entry is one apply of one project.
type Entry struct {
	Repo      string `json:"repo"`
	Project   string `json:"project"` // ID
	Dir       string `json:"dir"`
	Workspace string `json:"workspace"`

	Outcome Outcome   `json:"outcome"`
	When    time.Time `json:"when"` // it ended, or was found interrupted
	Pull    int       `json:"pull"`
	Job     string    `json:"job,omitempty"`
	Run     string    `json:"run,omitempty"`
	Actor   string    `json:"actor,omitempty"` // GitHub login of who asked for it; "" for weir itself
	Extra   []string  `json:"extra,omitempty"` // arguments of the plan beyond its own: with any, only a part was applied

	Commit  string `json:"commit"` // what was applied: the merge of Head into Base, which weir made
	Head    string `json:"head"`   // of the pull request
	Base    string `json:"base"`   // of the base branch
	BaseRef string `json:"base_ref"`

	PlanDigest   string `json:"plan_digest,omitempty"`
	ChangeDigest string `json:"change_digest,omitempty"`

	Terraform string            `json:"terraform,omitempty"` // version
	Providers map[string]string `json:"providers,omitempty"` // version by source address, from the lock file
	Modules   map[string]string `json:"modules,omitempty"`   // version by path of calls
	Inputs    map[string]string `json:"inputs,omitempty"`    // keyed digests of variables, as the plan's summary has them

	// Blocks are those that the pull request changed, as blocks.Reader.Changed
	// names them: nil where that is not known, empty where there are none.
	Blocks []string `json:"blocks"`

	// Fate is filled in by Read and List, from what Close has noted.
	Fate Fate `json:"-"`
}

// Whole reports whether everything that the code said then was applied.
func (e Entry) Whole() bool { return e.Outcome == Applied && len(e.Extra) == 0 }

// Fate is what became of a pull request. The zero value is one that is open,
// as far as is known.
type Fate struct {
	Closed   bool      `json:"closed"`
	Merged   bool      `json:"merged,omitempty"`
	MergedAs string    `json:"merged_as,omitempty"` // commit of the base branch
	Head     string    `json:"head,omitempty"`      // its last one: another than Entry.Head, if commits came after the apply
	When     time.Time `json:"when"`                // weir took note of it
}

// Record is what is remembered of one project.
type Record struct {
	Last  Entry  `json:"last"`            // newest apply, whatever it came to
	Whole *Entry `json:"whole,omitempty"` // newest that was Whole; nil: there was none. Not stored where it is the last
}

const (
	applies = "ledger/"       // partition of a repository: project → Record
	fates   = "ledger-pulls"  // OWNER/REPO#NUMBER → Fate
	merges  = "ledger-merges" // OWNER/REPO#COMMIT → number of the pull request that became this commit of the base branch
)

// maxBody bounds a record, far below what a store takes, because it is written
// in the same commit as the outcome of an apply, which nothing may keep back.
const maxBody = 64 << 10

// keyOf is exact: a partition is one repository's, and a project's ID is the
// whole sort key. One that is too long for a key is known by its digest; no ID
// begins with slashes.
func keyOf(repo, project string) store.Key {
	if len(project) > store.MaxSort/2-len("//") {
		sum := sha256.Sum256([]byte(project))
		project = "//" + hex.EncodeToString(sum[:])
	}
	return store.Key{Partition: applies + repo, Sort: project}
}

// fateKey is exact: a repository's name holds no '#'.
func fateKey(repo string, pull int) store.Key {
	return store.Key{Partition: fates, Sort: fmt.Sprintf("%s#%010d", repo, pull)}
}

func mergeKey(repo, commit string) store.Key {
	return store.Key{Partition: merges, Sort: repo + "#" + commit}
}

// Write reads what is remembered of the projects of entries, and returns the
// writes that remember these too, to be made in the commit that records what
// the applies came to. Each project may occur once.
//
// Who owns a project is the only one who applies it, so a conflict says that
// another has got it meanwhile. What is too long is left out, inputs first.
func Write(ctx context.Context, s store.Store, entries ...Entry) ([]store.Write, error) {
	var writes []store.Write
	for some := range slices.Chunk(entries, store.MaxWrites) {
		keys := make([]store.Key, len(some))
		for i, e := range some {
			keys[i] = keyOf(e.Repo, e.Project)
		}
		rows, err := s.Get(ctx, keys...)
		if err != nil {
			return nil, fmt.Errorf("write ledger: %w", err)
		}
		for i, e := range some {
			r, err := decode(rows[i])
			if err != nil {
				return nil, err
			}
			r.Last = e
			body, err := r.encode()
			if err != nil {
				return nil, fmt.Errorf("write %s: %w", keys[i], err)
			}
			writes = append(writes, store.Write{Key: keys[i], Expect: rows[i].Version, Body: body})
		}
	}
	return writes, nil
}

// encode leaves out what is too long, of the newest apply first.
func (r Record) encode() ([]byte, error) {
	switch {
	case r.Last.Whole():
		r.Whole = nil // the same
	case r.Whole != nil:
		whole := *r.Whole
		r.Whole = &whole // may be shortened here
	}
	body, err := json.Marshal(r)
	for _, e := range []*Entry{&r.Last, r.Whole} {
		for _, shorten := range []func(){
			func() { e.Inputs, e.Blocks = nil, nil },
			func() { e.Modules = nil },
			func() { e.Providers, e.Extra = nil, e.Extra[:min(len(e.Extra), 1)] },
		} {
			if e != nil && err == nil && len(body) > maxBody {
				shorten()
				body, err = json.Marshal(r)
			}
		}
	}
	return body, err
}

func decode(row store.Record) (Record, error) {
	var r Record
	if row.Version == 0 {
		return r, nil
	}
	if err := json.Unmarshal(row.Body, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", row.Key, err)
	}
	if r.Last.Whole() {
		whole := r.Last
		r.Whole = &whole
	}
	return r, nil
}

// Close notes what became of a pull request, in the place of what was noted
// before. One that was merged stays so.
func Close(ctx context.Context, s store.Store, repo string, pull int, fate Fate) error {
	err := store.Retry(ctx, func() error {
		keys := []store.Key{fateKey(repo, pull), mergeKey(repo, fate.MergedAs)}
		rows, err := s.Get(ctx, keys...)
		if err != nil {
			return err
		}
		var old Fate
		if rows[0].Version != 0 {
			if err := json.Unmarshal(rows[0].Body, &old); err != nil {
				return err
			}
		}
		if old.Merged && (!fate.Merged || old.MergedAs != "") {
			return nil
		}
		body, err := json.Marshal(fate)
		if err != nil {
			return err
		}
		writes := []store.Write{{Key: keys[0], Expect: rows[0].Version, Body: body}}
		if fate.MergedAs != "" {
			writes = append(writes, store.Write{Key: keys[1], Expect: rows[1].Version, Body: []byte(strconv.Itoa(pull))})
		}
		return s.Commit(ctx, writes...)
	})
	if err != nil {
		return fmt.Errorf("note what became of %s#%d: %w", repo, pull, err)
	}
	return nil
}

// Read returns what is remembered of a project, and false where that is
// nothing.
func Read(ctx context.Context, s store.Store, repo, project string) (Record, bool, error) {
	rows, err := s.Get(ctx, keyOf(repo, project))
	if err != nil {
		return Record{}, false, fmt.Errorf("read ledger of %s in %s: %w", project, repo, err)
	}
	r, err := decode(rows[0])
	if err != nil || rows[0].Version == 0 {
		return Record{}, false, err
	}
	records := []Record{r}
	if err := tellFates(ctx, s, records); err != nil {
		return Record{}, false, err
	}
	return records[0], true, nil
}

// List returns what is remembered of a repository's projects, in the order of
// their IDs.
func List(ctx context.Context, s store.Store, repo string) ([]Record, error) {
	rows, err := store.All(ctx, s, applies+repo, "")
	if err != nil {
		return nil, fmt.Errorf("read ledger of %s: %w", repo, err)
	}
	records := make([]Record, len(rows))
	for i, row := range rows {
		if records[i], err = decode(row); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(records, func(a, b Record) int { return cmp.Compare(a.Last.Project, b.Last.Project) })
	return records, tellFates(ctx, s, records)
}

// tellFates fills in what became of the pull requests that records name.
func tellFates(ctx context.Context, s store.Store, records []Record) error {
	named := map[store.Key][]*Entry{}
	for i := range records {
		r := &records[i]
		for _, e := range []*Entry{&r.Last, r.Whole} {
			if e != nil {
				key := fateKey(e.Repo, e.Pull)
				named[key] = append(named[key], e)
			}
		}
	}
	keys := make([]store.Key, 0, len(named))
	for key := range named {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b store.Key) int { return strings.Compare(a.Sort, b.Sort) })
	for some := range slices.Chunk(keys, store.MaxWrites) {
		rows, err := s.Get(ctx, some...)
		if err != nil {
			return fmt.Errorf("read ledger: %w", err)
		}
		for _, row := range rows {
			if row.Version == 0 {
				continue
			}
			var fate Fate
			if err := json.Unmarshal(row.Body, &fate); err != nil {
				return fmt.Errorf("read %s: %w", row.Key, err)
			}
			for _, e := range named[row.Key] {
				// One that was closed and opened again may have applied since.
				if fate.Merged || !fate.When.Before(e.When) {
					e.Fate = fate
				}
			}
		}
	}
	return nil
}

// Merges returns the pull requests of a repository that became commits of the
// base branch, by these commits. Those of others are missing.
func Merges(ctx context.Context, s store.Store, repo string, commits ...string) (map[string]int, error) {
	pulls := map[string]int{}
	for some := range slices.Chunk(commits, store.MaxWrites) {
		keys := make([]store.Key, len(some))
		for i, commit := range some {
			keys[i] = mergeKey(repo, commit)
		}
		rows, err := s.Get(ctx, keys...)
		if err != nil {
			return nil, fmt.Errorf("read merges of %s: %w", repo, err)
		}
		for i, row := range rows {
			if row.Version == 0 {
				continue
			}
			if pulls[some[i]], err = strconv.Atoi(string(row.Body)); err != nil {
				return nil, fmt.Errorf("read %s: %w", row.Key, err)
			}
		}
	}
	return pulls, nil
}
