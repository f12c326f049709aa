// Package schedule decides when the projects of a repository are checked for
// drift, and which of many servers does it.
//
// For each group of projects the store holds the time of its next check. Who
// moves that time on, in one conditional write, does the check that was due: so
// one server does it, a restart loses none, and however many were missed
// meanwhile, one is done for all of them.
package schedule

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/store"
)

// Spread bounds how much later than its time a check may be, so that those of
// all repositories do not begin in the same second. It is never more than a
// tenth of the time until the next one.
const Spread = 10 * time.Minute

const partition = "drift-slots"

// Group is projects of one repository that are checked together.
type Group struct {
	Name string // unique in the repository, at most 100 bytes; see Name
	Cron string // five fields; Off or "": never by itself
	Zone string // IANA name; "" is UTC
}

// Name is a name for the group of a rule, made of the directories that it
// names, so that rules can change places.
func Name(dirs []string) string {
	sum := sha256.Sum256([]byte(strings.Join(dirs, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// Slot is the next check of a group.
type Slot struct {
	Repo string
	Group
	At  time.Time // by the expression
	Due time.Time // At, and what spreads it

	gone    time.Time // when a server first found that no group has it; zero: one has
	last    bool      // none follows: the schedule is another now
	version store.Version
}

// ID names the slot, the same on every server: of two jobs with it, one is
// enough.
func (s Slot) ID() string {
	return fmt.Sprintf("drift-%s#%s@%s", s.Repo, s.Name, s.At.UTC().Format(time.RFC3339))
}

// Book keeps the slots of all repositories.
type Book struct {
	Store store.Store
}

// Servers read a new weir.yaml at different moments, and for a while it may
// be one that cannot be read. So a slot that no group has is kept for some
// time, and a server whose groups have it counts more than one's that have not.
const (
	keep    = time.Hour
	restate = time.Minute // how often the latter says so
)

// Due makes what is stored of a repository fit to its groups, and returns the
// slots that may be claimed now, the longest due first.
//
// A group that was not known gets its first slot after now. One whose schedule
// is another than before likewise, at once; but a slot of the one before that
// was due already is still to be done. A group that is not named any more, or
// off, is forgotten after an hour; until then its slot waits for it to come
// back. Of two groups with one name the first counts.
//
// Groups may differ between servers for a while: no slot is lost by that, but
// a group that differs may be checked by the old schedule and by the new one.
//
// Slots may come back together with an error: what is wrong with one group
// keeps no other from being checked.
func (b Book) Due(ctx context.Context, repo string, groups []Group, now time.Time) ([]Slot, error) {
	if repo == "" || strings.Contains(repo, "#") {
		return nil, fmt.Errorf("drift schedule: %q is no repository", repo)
	}
	timed, wrong := plans(groups)
	var due []Slot
	err := store.Retry(ctx, func() error {
		rows, err := store.All(ctx, b.Store, partition, repo+"#")
		if err != nil {
			return err
		}
		slots, err := read(rows)
		if err != nil {
			return err
		}
		next := decide(repo, timed, slots, now)
		due = next.due
		for some := range slices.Chunk(next.writes, store.MaxWrites) {
			if err := b.Store.Commit(ctx, some...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(wrong, fmt.Errorf("drift schedule of %s: %w", repo, err))
	}
	return due, wrong
}

// All returns the next slot of every group of every repository, as they are
// stored, the earliest first. Those that are due may be claimed.
func (b Book) All(ctx context.Context) ([]Slot, error) {
	rows, err := store.All(ctx, b.Store, partition, "")
	if err != nil {
		return nil, fmt.Errorf("drift schedule: %w", err)
	}
	slots, err := read(rows)
	if err != nil {
		return nil, fmt.Errorf("drift schedule: %w", err)
	}
	slots = slices.DeleteFunc(slots, func(s Slot) bool { return !s.gone.IsZero() })
	slices.SortFunc(slots, inOrder)
	return slots, nil
}

// Claim takes a slot that is due, sets the time of the next one after now, and
// makes the other writes, all in one commit. false says that the slot is
// somebody else's, or that its schedule has changed; then nothing was written.
//
// A *store.ConflictError, wrapped, is about the other writes: nothing was
// written, and the slot can be claimed again. After any other error that may
// have happened or not: if it did not, Due returns the slot again.
func (b Book) Claim(ctx context.Context, slot Slot, now time.Time, also ...store.Write) (bool, error) {
	if now.Before(slot.Due) {
		return false, fmt.Errorf("claim %s: it is due only at %s", slot.ID(), slot.Due)
	}
	t, err := parse(slot.Cron, slot.Zone)
	if err == nil && t == nil {
		err = errors.New("its schedule is off")
	}
	if err != nil {
		return false, fmt.Errorf("claim %s: %w", slot.ID(), err)
	}
	after := now
	if slot.At.After(after) {
		after = slot.At
	}
	own := store.Write{Op: store.Delete, Key: slot.key(), Expect: slot.version}
	if next, ok := t.slot(slot.Repo, slot.Group, after); ok && !slot.last {
		next.version = slot.version
		own = next.write()
	}
	err = b.Store.Commit(ctx, append([]store.Write{own}, also...)...)
	var conflict *store.ConflictError
	if errors.As(err, &conflict) && slices.ContainsFunc(conflict.Conflicts, func(r store.Record) bool { return r.Key == own.Key }) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("claim %s: %w", slot.ID(), err)
	}
	return true, nil
}

// plan is a group and when it comes; nil where what it says makes no sense.
type plan struct {
	group  Group
	timing *timing
}

// plans reads the schedules of groups. Those that are off are left out.
func plans(groups []Group) (timed []plan, wrong error) {
	seen := map[string]bool{}
	for _, g := range groups {
		if seen[g.Name] {
			continue
		}
		seen[g.Name] = true
		t, err := parse(g.Cron, g.Zone)
		if len(g.Name) > 100 {
			t, err = nil, errors.New("its name is too long")
		}
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("drift schedule of group %.100s: %w", g.Name, err))
		}
		if err != nil || t != nil {
			timed = append(timed, plan{g, t})
		}
	}
	return timed, wrong
}

// decision is what is to be done about a repository's groups.
type decision struct {
	due    []Slot
	writes []store.Write
}

// decide compares the groups of a repository with what is stored. It is pure.
func decide(repo string, groups []plan, stored []Slot, now time.Time) decision {
	var d decision
	known, had := map[store.Key]Slot{}, map[store.Key]bool{}
	for _, s := range stored {
		known[s.key()] = s
	}
	waits := map[string]bool{} // names of groups whose next check is not due
	broken := map[string]bool{}
	for _, p := range groups {
		if p.timing == nil { // left as it is until somebody mends it
			broken[p.group.Name] = true
			continue
		}
		next, comes := p.timing.slot(repo, p.group, now)
		if !comes {
			continue
		}
		old, ok := known[next.key()]
		had[next.key()], next.version = true, old.version
		due := ok && !now.Before(old.Due) && !old.forgotten(now)
		waits[p.group.Name] = !due
		switch {
		case due:
			d.due = append(d.due, old)
		case !ok, old.forgotten(now), p.timing.beyond(old, next, now):
			d.writes = append(d.writes, next.write())
		case !old.gone.IsZero() && now.Sub(old.gone) >= restate:
			old.gone = time.Time{}
			d.writes = append(d.writes, old.write())
		}
	}
	for _, s := range stored {
		switch {
		case had[s.key()], broken[s.Name]:
		case s.forgotten(now):
			d.writes = append(d.writes, store.Write{Op: store.Delete, Key: s.key(), Expect: s.version})
		case !s.gone.IsZero():
		case waits[s.Name] && !now.Before(s.Due): // its schedule was changed after it was due
			s.last = true
			d.due = append(d.due, s)
		default:
			s.gone = now
			d.writes = append(d.writes, s.write())
		}
	}
	slices.SortFunc(d.due, inOrder)
	return d
}

// forgotten says that no group has had the slot for long.
func (s Slot) forgotten(now time.Time) bool { return !s.gone.IsZero() && now.Sub(s.gone) > keep }

// slot returns the first slot of a group after a moment, and whether there is
// one.
func (t timing) slot(repo string, g Group, after time.Time) (Slot, bool) {
	at := t.next(after)
	if at.IsZero() {
		return Slot{}, false
	}
	spread := Spread
	if following := t.next(at); !following.IsZero() {
		spread = min(spread, following.Sub(at)/10)
	}
	s := Slot{Repo: repo, Group: g, At: at}
	s.Due = at.Add(time.Duration(share(repo, g.Name) * float64(spread)).Truncate(time.Second))
	return s, true
}

// share is a number from 0 to below 1, always the same for one group.
func share(repo, name string) float64 {
	sum := sha256.Sum256([]byte(repo + "#" + name))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

// beyond says that a slot is later than the two that come next: whoever set it
// had a clock that was wrong, and without this the group might wait for years.
// Another server's clock may well be some slots ahead, but not by an hour.
func (t timing) beyond(s, next Slot, now time.Time) bool {
	return s.At.After(next.At) && s.At.Sub(now) > time.Hour && s.At.After(t.next(next.At))
}

// body is what is stored of a slot.
type body struct {
	Name string    `json:"name"`
	Cron string    `json:"cron"`
	Zone string    `json:"zone,omitempty"`
	At   time.Time `json:"at"`
	Due  time.Time `json:"due"`
	Gone time.Time `json:"gone,omitzero"`
}

// key is exact: a repository's name holds no '#', and what follows the last
// one always has the same length.
func (s Slot) key() store.Key {
	return store.Key{Partition: partition, Sort: s.Repo + "#" + s.Name + "#" + Name([]string{s.Cron, s.Zone})}
}

// write puts the slot in the place of the version that it has.
func (s Slot) write() store.Write {
	data, err := json.Marshal(body{Name: s.Name, Cron: s.Cron, Zone: s.Zone, At: s.At.UTC(), Due: s.Due.UTC(), Gone: s.gone.UTC()})
	if err != nil {
		panic(fmt.Sprintf("drift schedule: encode %s: %v", s.ID(), err)) // only by a year beyond 9999
	}
	return store.Write{Key: s.key(), Expect: s.version, Body: data}
}

func read(rows []store.Record) ([]Slot, error) {
	slots := make([]Slot, 0, len(rows))
	for _, row := range rows {
		var b body
		if err := json.Unmarshal(row.Body, &b); err != nil {
			return nil, fmt.Errorf("read %s: %w", row.Key, err)
		}
		repo, _, _ := strings.Cut(row.Key.Sort, "#")
		slots = append(slots, Slot{
			Repo: repo, Group: Group{Name: b.Name, Cron: b.Cron, Zone: b.Zone}, At: b.At, Due: b.Due, gone: b.Gone, version: row.Version,
		})
	}
	return slots, nil
}

func inOrder(a, b Slot) int {
	return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Repo, b.Repo), cmp.Compare(a.Name, b.Name))
}
