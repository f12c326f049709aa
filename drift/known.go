package drift

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/drift/finding"
	"weir/planner/record"
	"weir/store"
)

// partition holds OWNER/REPO#PROJECT: what is known of a project.
const partition = "drift"

// keyOf is exact: a repository's name holds no '#'. A project whose ID is too
// long for a key is known by its digest; no ID begins with slashes.
func keyOf(repo, id string) store.Key {
	if len(repo)+len("#")+len(id) > store.MaxSort/2 {
		sum := sha256.Sum256([]byte(id))
		id = "//" + hex.EncodeToString(sum[:])
	}
	return store.Key{Partition: partition, Sort: repo + "#" + id}
}

// Read returns what is known of a repository's projects, or of all
// repositories' where repo is empty, in the order of their names.
func Read(ctx context.Context, s store.Store, repo string) ([]Known, error) {
	prefix := ""
	if repo != "" {
		prefix = repo + "#"
	}
	rows, err := store.All(ctx, s, partition, prefix)
	if err != nil {
		return nil, fmt.Errorf("read drift: %w", err)
	}
	all := make([]Known, 0, len(rows))
	for _, row := range rows {
		var k Known
		if err := record.Decode(row.Body, &k); err != nil {
			return nil, fmt.Errorf("read %s: %w", row.Key, err)
		}
		k.version = row.Version
		all = append(all, k)
	}
	return all, nil
}

// learn is what is known after a check.
func (k Known) learn(c finding.Check, group string) Known {
	before := k.Check
	k.Check, k.Group, k.PutOff = c, group, ""
	if !same(before, c) {
		k.Changed = c.Started
	}
	switch {
	case c.Failure == "" && len(c.Open()) == 0:
		k.Since = time.Time{}
	case k.Since.IsZero():
		k.Since = c.Started
	}
	if c.Failure == "" {
		k.Blamed = nil
	} else if blamed := slices.DeleteFunc(slices.Clone(before.Findings), func(f finding.Finding) bool { return f.By == nil }); len(blamed) > 0 {
		k.Blamed = blamed
	}
	k.History = append(slices.Clone(k.History), Point{
		At: c.Started, Open: len(c.Open()), Hidden: len(c.Findings) - len(c.Open()), Worst: c.Worst(), Failed: c.Failure != "",
	})
	k.History = k.History[max(0, len(k.History)-maxHistory):]
	return k
}

// same says whether two checks tell people the same.
func same(a, b finding.Check) bool {
	return a.Failure == b.Failure && slices.Equal(keys(a), keys(b))
}

// keys are the identities of the findings that count.
func keys(c finding.Check) []finding.Key {
	var list []finding.Key
	for _, f := range c.Open() {
		list = append(list, f.Key())
	}
	slices.SortFunc(list, func(a, b finding.Key) int {
		return strings.Compare(a.Address+"\x00"+a.Attribute+"\x00"+string(a.Kind), b.Address+"\x00"+b.Attribute+"\x00"+string(b.Kind))
	})
	return list
}

// bounded leaves findings out, the least bad, until a check and what was told
// of it fit into one record. It is the same for the same findings, so that what
// was left out is no change.
func bounded(c finding.Check) (finding.Check, error) {
	for {
		w, err := record.Put(keyOf(c.Repo, c.Project), 0, c)
		if err != nil || len(w.Body) <= store.MaxBody/4 || len(c.Findings) == 0 {
			return c, err
		}
		c.Findings, c.Cut = c.Findings[:len(c.Findings)/2], true
	}
}

// put stores what is known, provided that this worker still has the job.
func (d *Drift) put(ctx context.Context, fence store.Write, k Known) (Known, error) {
	w, err := record.Put(keyOf(k.Check.Repo, k.Check.Project), k.version, k)
	if err != nil {
		return k, err
	}
	if err := record.Commit(ctx, d.Store, fence, w); err != nil {
		return k, fmt.Errorf("keep the check of %s: %w", k.Check.Project, err)
	}
	rows, err := d.Store.Get(ctx, w.Key)
	if err != nil {
		return k, fmt.Errorf("keep the check of %s: %w", k.Check.Project, err)
	}
	k.version = rows[0].Version
	return k, nil
}

// forget removes what is known of projects that are gone.
func (d *Drift) forget(ctx context.Context, fence store.Write, gone []Known) error {
	for _, k := range gone {
		err := record.Commit(ctx, d.Store, fence, store.Write{Op: store.Delete, Key: keyOf(k.Check.Repo, k.Check.Project), Expect: k.version})
		if err != nil {
			return fmt.Errorf("forget %s: %w", k.Check.Project, err)
		}
	}
	return nil
}

// State of a repository's checks as a whole.
type State struct {
	Repo     string    `json:"repo"`
	URL      string    `json:"url,omitempty"` // its page at GitHub
	Commit   string    `json:"commit"`
	At       time.Time `json:"at"`
	Failure  string    `json:"failure,omitempty"`  // why its projects could not even be found, for people
	Schedule string    `json:"schedule,omitempty"` // why its own schedule cannot be read, likewise
	Untold   string    `json:"untold,omitempty"`   // why there are no issues of it, likewise
	Unheard  []string  `json:"unheard,omitempty"`  // who else was not told, and why, likewise
}

const statePartition = "drift-repository"

// States returns the state of each repository that was checked.
func States(ctx context.Context, s store.Store) ([]State, error) {
	rows, err := store.All(ctx, s, statePartition, "")
	if err != nil {
		return nil, fmt.Errorf("read drift: %w", err)
	}
	all := make([]State, len(rows))
	for i, row := range rows {
		if err := record.Decode(row.Body, &all[i]); err != nil {
			return nil, fmt.Errorf("read %s: %w", row.Key, err)
		}
	}
	return all, nil
}

func stateKey(repo string) store.Key { return store.Key{Partition: statePartition, Sort: repo} }

// state is what is kept of a repository; where there is nothing, the zero value.
func (d *Drift) state(ctx context.Context, repo string) (State, store.Version, error) {
	var state State
	rows, err := d.Store.Get(ctx, stateKey(repo))
	if err == nil && rows[0].Version != 0 {
		err = record.Decode(rows[0].Body, &state)
	}
	if err != nil {
		return state, 0, fmt.Errorf("read the state of drift of %s: %w", repo, err)
	}
	return state, rows[0].Version, nil
}

// editState changes what is kept of a repository, in one commit with others.
func (d *Drift) editState(ctx context.Context, repo string, edit func(*State), others ...store.Write) error {
	const tries = 5 // a conflict may be that of others, which stays
	var err error
	for range tries {
		state, version, wrong := d.state(ctx, repo)
		if wrong != nil {
			return wrong
		}
		edit(&state)
		w, wrong := record.Put(stateKey(repo), version, state)
		if wrong != nil {
			return wrong
		}
		if err = record.Commit(ctx, d.Store, append(slices.Clone(others), w)...); !store.IsConflict(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("keep the state of drift of %s: %w", repo, err)
	}
	return nil
}
