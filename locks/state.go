package locks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"weir/locks/format"
	"weir/store"
)

// A state belongs to whoever owns a row that has it: the owner of one project
// with a state keeps the owners of all others with the same state away. Within
// a repository that needs nothing more than its rows.
//
// Which repositories have a state is in a record of that state. The first time
// that a repository wants it, it is added, and is linked with those that are
// there already: in one commit the head rows of all of them name each other. An
// operation reads its own repository and every one that it is linked with,
// directly or through others, decides on all of them together, and commits on
// the head rows of all. So it does not matter in which of them a process works,
// and a repository that shares no state with another costs nothing more.
//
// Links stay: states move between repositories rarely, and one that did will
// be asked for on the other side again.

// maxLinked is how many repositories may have to be read and checked together.
const maxLinked = 30

// group is a repository with all that it is linked with.
type group struct {
	repo   string
	tables map[string]*table
}

func (g *group) own() *table { return g.tables[g.repo] }

func (g *group) row(s spot) row { return g.tables[s.repo].rows[s.Key] }

func (l *Locks) loadGroup(ctx context.Context, repo string) (*group, error) {
	g := &group{repo: repo, tables: map[string]*table{}}
	for todo := []string{repo}; len(todo) > 0; todo = todo[1:] {
		if g.tables[todo[0]] != nil {
			continue
		}
		t, err := l.load(ctx, todo[0])
		if err != nil {
			return nil, err
		}
		g.tables[todo[0]] = t
		todo = append(todo, t.links...)
	}
	return g, nil
}

// clock is of the newest change.
func (g *group) clock() time.Time {
	var newest time.Time
	for _, t := range g.tables {
		if t.clock.After(newest) {
			newest = t.clock
		}
	}
	return newest
}

// unknown returns the states that no row of the repository ever had.
func (t *table) unknown(want []Want) []string {
	known := map[string]bool{"": true}
	for _, r := range t.rows {
		known[r.State] = true
		for _, w := range r.Waiters {
			known[w.State] = true
		}
	}
	var states []string
	for _, w := range want {
		if !known[w.State] {
			known[w.State] = true
			states = append(states, w.State)
		}
	}
	return states
}

// register makes known that a repository has states, and links it with the
// others that have them. It can be repeated.
func (l *Locks) register(ctx context.Context, repo string, states []string) error {
	for chunk := range slices.Chunk(states, l.maxWrites()) {
		for try := 1; ; try++ {
			err := l.registerSome(ctx, repo, chunk)
			if err == nil {
				break
			}
			if !store.IsConflict(err) || try == maxTries {
				return fmt.Errorf("register states: %w", err)
			}
			if err := wait(ctx, try); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Locks) registerSome(ctx context.Context, repo string, states []string) error {
	keys := make([]store.Key, len(states))
	for i, s := range states {
		keys[i] = format.StateKey(s)
	}
	records, err := l.Store.Get(ctx, keys...)
	if err != nil {
		return err
	}
	var alone []store.Write
	for i, r := range records {
		b := format.StateBody{State: states[i]}
		if r.Version != 0 {
			if err := json.Unmarshal(r.Body, &b); err != nil {
				return fmt.Errorf("read %s: %w", r.Key, err)
			}
		}
		if slices.Contains(b.Repos, repo) {
			continue
		}
		others := b.Repos
		b.Repos = append(slices.Clone(others), repo)
		body, err := json.Marshal(b)
		if err != nil {
			return fmt.Errorf("encode %s: %w", r.Key, err)
		}
		w := store.Write{Op: store.Put, Key: r.Key, Expect: r.Version, Body: body}
		if len(others) == 0 {
			alone = append(alone, w)
			continue
		}
		links, err := l.link(ctx, b.Repos)
		if err != nil {
			return err
		}
		if err := l.Store.Commit(ctx, append(links, w)...); err != nil {
			return err
		}
	}
	return l.Store.Commit(ctx, alone...)
}

// TooLinkedError says that the states that a pull request wants would link more
// repositories than can be locked together. Nothing was changed.
type TooLinkedError struct {
	Repos []string // some of them
}

func (e *TooLinkedError) Error() string {
	return fmt.Sprintf("more than %d repositories share states, among them %v", maxLinked, e.Repos)
}

// link returns the writes after which each of repos names all others in its
// head row. It moves the head rows, so that no operation that does not know of
// a link is committed after it.
func (l *Locks) link(ctx context.Context, repos []string) ([]store.Write, error) {
	together := map[string]bool{}
	for _, repo := range repos {
		g, err := l.loadGroup(ctx, repo)
		if err != nil {
			return nil, err
		}
		for r := range g.tables {
			together[r] = true
		}
	}
	if len(together) > maxLinked {
		return nil, &TooLinkedError{Repos: repos}
	}
	keys := make([]store.Key, len(repos))
	for i, r := range repos {
		keys[i] = format.HeadKey(r)
	}
	records, err := l.Store.Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	var writes []store.Write
	for i, r := range records {
		var b format.Head
		if r.Version != 0 {
			if err := json.Unmarshal(r.Body, &b); err != nil {
				return nil, fmt.Errorf("read %s: %w", r.Key, err)
			}
		}
		for _, o := range repos {
			if o != repos[i] && !slices.Contains(b.Links, o) {
				b.Links = append(b.Links, o)
			}
		}
		w, err := format.EncodeHead(repos[i], r.Version, b)
		if err != nil {
			return nil, err
		}
		writes = append(writes, w)
	}
	return writes, nil
}
