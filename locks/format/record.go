package format

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"weir/store"
)

// IndexPartition lists the repositories that ever had a lock. Those of one
// repository are in a partition of their own: the head row, which sorts first,
// so that it is never newer than the rows that are read after it, and a row
// for each project.
const (
	IndexPartition = "locks"
	HeadSort       = "h"
	projectPrefix  = "p" // followed by directory, NUL, workspace
	longPrefix     = "q" // followed by a hash of the same, where that is too long
)

// Partition is where the records of a repository are.
func Partition(repo string) string { return IndexPartition + "/" + repo }

// IndexKey names the record that lists a repository.
func IndexKey(repo string) store.Key { return store.Key{Partition: IndexPartition, Sort: repo} }

// HeadKey names the head row of a repository.
func HeadKey(repo string) store.Key { return store.Key{Partition: Partition(repo), Sort: HeadSort} }

// RowKey names the row of a project.
func RowKey(repo string, k Key) store.Key {
	name := k.Dir + "\x00" + k.Workspace
	sort := projectPrefix + name
	if len(sort) > store.MaxKey {
		sum := sha256.Sum256([]byte(name))
		sort = longPrefix + hex.EncodeToString(sum[:])
	}
	return store.Key{Partition: Partition(repo), Sort: sort}
}

const (
	IntentPrefix = "i"       // followed by the number of the part, after the head row and before the rows
	partSize     = 300 << 10 // bytes of one record of an intent
	MaxParts     = 10        // leaves room for the writes of others in a commit
)

// IntentKey names the first record of an intent. It exists exactly as long as
// the rows of the repository may not be what they say.
func IntentKey(repo string) store.Key { return PartKey(repo, 0) }

// PartKey names the n-th record of an intent, from 0. Their order is that of
// their names.
func PartKey(repo string, n int) store.Key {
	return store.Key{Partition: Partition(repo), Sort: fmt.Sprintf("%s%03d", IntentPrefix, n)}
}

// EncodeIntent returns the bodies of the records that hold rows.
func EncodeIntent(seq int64, rows []Lock) ([][]byte, error) {
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

// DecodeIntent returns the rows of an intent from its records, which are in
// order, or ok false if they are not all of this change.
func DecodeIntent(seq int64, want int, parts []store.Record) (rows []Lock, ok bool, err error) {
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
	var list []rowBody
	if err == nil {
		err = json.Unmarshal(body, &list)
	}
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", parts[0].Key, err)
	}
	for _, b := range list {
		rows = append(rows, b.lock(Key{Dir: string(b.Dir), Workspace: string(b.Workspace)}))
	}
	return rows, true, nil
}

// Head is the head row of a repository.
type Head struct {
	Clock  time.Time `json:"clock"`
	Seq    int64     `json:"seq"`
	Sum    int64     `json:"sum"`
	Intent int       `json:"intent,omitempty"` // in how many records
	Links  []string  `json:"links,omitempty"`
}

type rowBody struct {
	Owner   int          `json:"owner"`
	Epoch   int64        `json:"epoch"`
	Since   time.Time    `json:"since,omitzero"`
	State   string       `json:"state,omitempty"`
	Waiters []waiterBody `json:"waiters,omitempty"`
	Seq     int64        `json:"seq,omitempty"`

	// The name of a project whose row key has only a hash of it. Bytes,
	// because a path need not be UTF-8.
	Dir       []byte `json:"dir,omitempty"`
	Workspace []byte `json:"workspace,omitempty"`
}

type waiterBody struct {
	Pull  int       `json:"pull"`
	Since time.Time `json:"since"`
	State string    `json:"state,omitempty"`
}

// EncodeHead returns the write of a head row.
func EncodeHead(repo string, expect store.Version, b Head) (store.Write, error) {
	body, err := json.Marshal(b)
	if err != nil {
		return store.Write{}, fmt.Errorf("encode %s: %w", HeadKey(repo), err)
	}
	return store.Write{Op: store.Put, Key: HeadKey(repo), Expect: expect, Body: body}, nil
}

func newRowBody(l Lock, seq int64) rowBody {
	b := rowBody{Owner: l.Owner, Epoch: l.Epoch, Since: l.Since, State: l.State, Seq: seq}
	for _, w := range l.Waiters {
		b.Waiters = append(b.Waiters, waiterBody(w))
	}
	return b
}

func (b rowBody) lock(k Key) Lock {
	l := Lock{Key: k, Owner: b.Owner, Epoch: b.Epoch, Since: b.Since, State: b.State}
	for _, w := range b.Waiters {
		l.Waiters = append(l.Waiters, Waiter(w))
	}
	return l
}

// EncodeRow returns the write of a row by the change seq.
func EncodeRow(repo string, l Lock, seq int64, expect store.Version) (store.Write, error) {
	b := newRowBody(l, seq)
	key := RowKey(repo, l.Key)
	if strings.HasPrefix(key.Sort, longPrefix) {
		b.Dir, b.Workspace = []byte(l.Key.Dir), []byte(l.Key.Workspace)
	}
	body, err := json.Marshal(b)
	if err != nil {
		return store.Write{}, fmt.Errorf("encode lock %s: %w", l.Key, err)
	}
	return store.Write{Op: store.Put, Key: key, Expect: expect, Body: body}, nil
}

// DecodeRow returns the lock of a row and the change that wrote it.
func DecodeRow(r store.Record) (lock Lock, seq int64, err error) {
	var b rowBody
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return Lock{}, 0, fmt.Errorf("read %q: %w", r.Key, err)
	}
	k := Key{Dir: string(b.Dir), Workspace: string(b.Workspace)}
	if name, ok := strings.CutPrefix(r.Key.Sort, projectPrefix); ok {
		k.Dir, k.Workspace, _ = strings.Cut(name, "\x00")
	}
	return b.lock(k), b.Seq, nil
}
