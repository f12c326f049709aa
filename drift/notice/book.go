package notice

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"weir/store"
)

// Book knows what each target has heard. Its fields do not change once it is
// used.
type Book struct {
	Store   store.Store
	Targets []Target // see Check
}

// tries bounds how often a target is compared again because another server told
// it at the same moment.
const tries = 5

// Tell tells every target what it has not heard yet of a repository, whose
// projects are now, in any order, each once: those that are missing are gone. A target that
// has heard it all is sent nothing; a new one hears of what is not in order.
//
// Each change is told at least once, whatever fails and wherever the process
// ends: Tell is then to be called again. A notice that may have been sent
// before has the same ID as long as it says the same. A change that was undone
// before it could be told is told only where it may have been heard.
//
// What a target refuses is returned as data, and told at the next call.
// An error is about the others, and calls for another try; it says which, and
// has kept nobody else from being told. Where it holds an error with a method
// Later, that is one of a Sender.
func (b Book) Tell(ctx context.Context, repo Repo, now []Project) ([]Refusal, error) {
	if repo.Name == "" || strings.Contains(repo.Name, "#") {
		return nil, fmt.Errorf("tell of drift: %q is no repository", repo.Name)
	}
	var refusals []Refusal
	var failures []error
	for _, t := range b.Targets {
		if ctx.Err() != nil {
			failures = append(failures, fmt.Errorf("tell of drift: %w", context.Cause(ctx)))
			break
		}
		if !t.hears(repo.Name) {
			continue
		}
		err := b.tell(ctx, t, repo, now)
		var refused *RefusedError
		switch {
		case errors.As(err, &refused):
			refusals = append(refusals, Refusal{Target: t.Name, Reason: refused.Reason})
		case err != nil:
			failures = append(failures, fmt.Errorf("tell %s of the drift of %s: %w", t.Name, repo.Name, err))
		}
	}
	return refusals, errors.Join(failures...)
}

func (b Book) tell(ctx context.Context, t Target, repo Repo, now []Project) error {
	for n := 1; ; n++ {
		// A conflict says that somebody else told the target. Most often of
		// the same, and then there is nothing left to say.
		if err := b.try(ctx, t, repo, now); !store.IsConflict(err) || n == tries {
			return err
		}
	}
}

// try compares, and tells where there is something to tell.
func (b Book) try(ctx context.Context, t Target, repo Repo, now []Project) error {
	key := keyOf(repo.Name, t.Name)
	rows, err := b.Store.Get(ctx, key)
	if err != nil {
		return err
	}
	h, err := decode(rows[0])
	if err != nil {
		return err
	}
	d := t.compare(h, now)
	if len(d.changes) == 0 {
		return nil
	}
	after, err := d.after.encode()
	if err != nil {
		return err
	}
	version := rows[0].Version
	if d.intent.Intent != h.Intent {
		if version, err = b.intend(ctx, key, version, d.intent); err != nil {
			return err
		}
	}
	if err := t.Sender.Send(ctx, t.notice(repo, d)); err != nil {
		return err
	}
	return b.Store.Commit(ctx, store.Write{Key: key, Expect: version, Body: after})
}

// intend stores what is about to be told, and returns the version of that.
func (b Book) intend(ctx context.Context, key store.Key, version store.Version, intent heard) (store.Version, error) {
	body, err := intent.encode()
	if err != nil {
		return 0, err
	}
	if err := b.Store.Commit(ctx, store.Write{Key: key, Expect: version, Body: body}); err != nil {
		return 0, err
	}
	rows, err := b.Store.Get(ctx, key)
	if err != nil {
		return 0, err
	}
	if string(rows[0].Body) != string(body) {
		return 0, &store.ConflictError{Conflicts: rows}
	}
	return rows[0].Version, nil
}

func (t Target) notice(repo Repo, d difference) Notice {
	n := Notice{
		Number: d.intent.Number, Target: t.Name, Repo: repo.Name, At: repo.At.UTC(), Page: repo.Page, Commit: repo.Commit, Least: t.Least,
		Projects: d.changes, More: max(0, len(d.changes)-Most),
	}
	n.Projects = n.Projects[:len(n.Projects)-n.More]
	id := sha256.Sum256([]byte(strings.Join([]string{n.Repo, n.Target, strconv.Itoa(n.Number), d.intent.Intent}, "\x00")))
	n.ID = hex.EncodeToString(id[:16])
	return n
}
