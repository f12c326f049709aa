package locks

import (
	"context"
	"fmt"
	"slices"

	"weir/locks/format"
	"weir/store"
)

// A change of more rows than one commit can write is committed as an intent:
// one commit puts, beside the head row, what all those rows are from now on.
// That is the whole of the change, for everybody at once: the head row orders
// it among the others, and whoever reads the repository takes the rows from the
// intent, whatever the stored ones still say. Nothing is ever rolled back.
//
// Then the rows are written as the intent says, by whoever made it or meets it,
// as often as it takes: no operation begins, and no fence is given out, before
// that is done. A row that was written carries the number of the change, so that
// each row is written once, at the version that was there before. The last of
// these commits takes the intent away.
//
// A process that was stopped in the middle and goes on much later finds each
// version that it counts on gone, and changes nothing.

// complete writes the rows of a repository's intent, if it has one, and takes
// the intent away. Others may do the same at the same time.
func (l *Locks) complete(ctx context.Context, repo string) error {
	for try := 1; ; try++ {
		t, err := l.load(ctx, repo)
		if err != nil {
			return err
		}
		err = l.writeIntent(ctx, t)
		if !store.IsConflict(err) || try == maxTries {
			return err
		}
		if err := wait(ctx, try); err != nil {
			return err
		}
	}
}

// writeIntent is one try of complete, on a table that was just read.
func (l *Locks) writeIntent(ctx context.Context, t *table) error {
	if len(t.parts) == 0 {
		return nil
	}
	var left []row
	for _, r := range t.rows {
		if r.pending {
			left = append(left, r)
		}
	}
	slices.SortFunc(left, func(a, b row) int { return a.Key.Compare(b.Key) })
	head, err := format.EncodeHead(t.repo, t.head, format.Head{Clock: t.clock, Seq: t.seq, Sum: t.sum, Links: t.links})
	if err != nil {
		return err
	}
	end := []store.Write{head}
	for _, p := range t.parts {
		end = append(end, store.Write{Op: store.Delete, Key: p.Key, Expect: p.Version})
	}
	for {
		writes := []store.Write{{Op: store.Check, Key: head.Key, Expect: t.head}}
		last := len(left)+len(end) <= l.maxWrites()
		if last {
			writes = slices.Clone(end)
		}
		n := min(len(left), l.maxWrites()-len(writes))
		for _, r := range left[:n] {
			w, err := format.EncodeRow(t.repo, r.Lock, t.seq, r.version)
			if err != nil {
				return err
			}
			writes = append(writes, w)
		}
		if err := l.Store.Commit(ctx, writes...); err != nil {
			return fmt.Errorf("complete a change of locks: %w", err)
		}
		if left = left[n:]; last {
			return nil
		}
	}
}
