package lease

import (
	"context"
	"time"

	"weir/store"
)

// Watch looks at the signs of life of others. Its zero value with a Table is
// ready for use, by one goroutine.
type Watch struct {
	Table Table

	seen map[string]sighting
}

// sighting is when a sign of life was first seen to be what it is, on the
// clock of this process alone.
type sighting struct {
	beat  store.Version
	since time.Time
}

// Silent reads the signs of life of all ids, and returns those that have been
// the same at every look for as long as a lease lasts, with what they were: who
// takes one has to see to it, in the same commit, that its Beat is still that.
// An id that is not asked for is forgotten, and seen anew when it comes again.
func (w *Watch) Silent(ctx context.Context, ids []string) (map[string]store.Version, error) {
	if len(ids) == 0 {
		w.seen = nil
		return nil, nil
	}
	records, err := store.All(ctx, w.Table.Store, w.Table.Partition, "")
	if err != nil {
		return nil, err
	}
	beats := make(map[string]store.Version, len(records))
	for _, r := range records {
		beats[r.Key.Sort] = r.Version
	}
	now := time.Now()
	silent := map[string]store.Version{}
	seen := make(map[string]sighting, len(ids))
	for _, id := range ids {
		s := sighting{beat: beats[w.Table.Beat(id).Sort], since: now}
		if before, ok := w.seen[id]; ok && before.beat == s.beat {
			s.since = before.since
		}
		if seen[id] = s; now.Sub(s.since) >= w.Table.Time {
			silent[id] = s.beat
		}
	}
	w.seen = seen
	return silent, nil
}
