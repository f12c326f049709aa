package locks

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

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

const (
	intentPrefix = "i"       // followed by the number of the part, after the head row and before the rows
	partSize     = 300 << 10 // bytes of one record of an intent
	maxParts     = 10        // leaves room for the writes of others in a commit
)

// intentKey names the first record of an intent. It exists exactly as long as
// the rows of the repository may not be what they say.
func intentKey(repo string) store.Key { return partKey(repo, 0) }

func partKey(repo string, n int) store.Key {
	return store.Key{Partition: partition(repo), Sort: fmt.Sprintf("%s%03d", intentPrefix, n)}
}

// encodeIntent returns the bodies of the records that hold rows.
func encodeIntent(seq int64, rows []Lock) ([][]byte, error) {
	list := make([]rowBody, len(rows))
	for i, lock := range rows {
		list[i] = newRowBody(lock, seq)
		list[i].Dir, list[i].Workspace = []byte(lock.Key.Dir), []byte(lock.Key.Workspace)
	}
	// Rows of one change are much alike, so this makes them many times smaller.
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if err := errors.Join(json.NewEncoder(z).Encode(list), z.Close()); err != nil {
		return nil, fmt.Errorf("encode %d locks: %w", len(rows), err)
	}
	var parts [][]byte
	for part := range slices.Chunk(buf.Bytes(), partSize) {
		parts = append(parts, append(binary.BigEndian.AppendUint64(nil, uint64(seq)), part...)) // #nosec G115 -- counts from 1
	}
	return parts, nil
}

// decodeIntent returns the rows of an intent from its records, which are in
// order, or ok false if they are not all of this change.
func decodeIntent(seq int64, want int, parts []store.Record) (rows []rowBody, ok bool, err error) {
	if want == 0 || len(parts) != want {
		return nil, len(parts) == want, nil
	}
	var buf bytes.Buffer
	for _, p := range parts {
		if len(p.Body) < 8 {
			return nil, false, fmt.Errorf("read %s: %d bytes are no part of an intent", p.Key, len(p.Body))
		}
		if binary.BigEndian.Uint64(p.Body) != uint64(seq) { // #nosec G115 -- counts from 1
			return nil, false, nil
		}
		buf.Write(p.Body[8:])
	}
	z, err := gzip.NewReader(&buf)
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", parts[0].Key, err)
	}
	body, err := io.ReadAll(z)
	if err == nil {
		err = json.Unmarshal(body, &rows)
	}
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", parts[0].Key, err)
	}
	return rows, true, nil
}

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
	slices.SortFunc(left, func(a, b row) int { return a.Key.compare(b.Key) })
	head, err := encodeHead(t.repo, t.head, headBody{Clock: t.clock, Seq: t.seq, Sum: t.sum, Links: t.links})
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
			w, err := encodeLock(t.repo, r.Lock, t.seq, r.version)
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
