// Package proposal remembers who asked for the pull requests that weir opens
// itself: GitHub shows weir as their author, whose approval nobody would miss.
package proposal

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"weir/store"
)

// Branches begins the names of the branches that weir proposes from. weir is
// the author of their pull requests, so GitHub does not tell whose they are.
const Branches = "weir/drift/"

// Proposal is what weir has proposed from a branch.
type Proposal struct {
	Actor string `json:"actor"` // GitHub login of who asked for it last
	Head  string `json:"head"`  // the commit that weir made
	Base  string `json:"base"`  // branch that the pull request is against: with another one it is another change
}

const partition = "drift-proposals"

// keyOf is exact: a repository's name holds no '#'.
func keyOf(repo, branch string) store.Key {
	return store.Key{Partition: partition, Sort: repo + "#" + branch}
}

// Put keeps who asked for a proposal. Until that is done nothing of it can be
// applied.
func Put(ctx context.Context, s store.Store, repo, branch string, p Proposal) error {
	err := store.Retry(ctx, func() error {
		key := keyOf(repo, branch)
		rows, err := s.Get(ctx, key)
		if err != nil {
			return err
		}
		body, err := json.Marshal(p)
		if err != nil {
			return err
		}
		return s.Commit(ctx, store.Write{Key: key, Expect: rows[0].Version, Body: body})
	})
	if err != nil {
		return fmt.Errorf("keep who asked for %s: %w", branch, err)
	}
	return nil
}

// Vouch says who asked for what a branch of weir's proposes against another one,
// or why that is not known: then nothing of it may be applied, because its author, weir, is nobody
// whose approval would be missed. For all other branches both are empty.
func Vouch(ctx context.Context, s store.Store, repo, branch, head, base string) (actor, unvouched string, err error) {
	if !strings.HasPrefix(branch, Branches) {
		return "", "", nil
	}
	rows, err := s.Get(ctx, keyOf(repo, branch))
	if err != nil {
		return "", "", fmt.Errorf("read who asked for %s: %w", branch, err)
	}
	var p Proposal
	if rows[0].Version != 0 {
		err = json.Unmarshal(rows[0].Body, &p)
	}
	switch {
	case err != nil:
		return "", "", fmt.Errorf("read %s: %w", rows[0].Key, err)
	case p.Actor == "" || p.Head == "" || p.Head != head:
		return p.Actor, "its branch begins with " + Branches + ", and its newest commit is not what weir proposed: take the change to a branch of your own", nil
	case p.Base == "" || p.Base != base:
		return p.Actor, "weir has proposed it against another branch than " + base + ": change that back, or take the change to a branch of your own", nil
	}
	return p.Actor, "", nil
}
