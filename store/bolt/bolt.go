// Package bolt is the embedded engine of package store: one file, one process.
//
// Commits that arrive while another is being made durable are gathered into
// one transaction of the file, each judged on its own and in order, so that
// many callers share the wait for the disk and a single one never waits for a
// timer.
package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"weir/store"
)

// ErrClosed is returned by every method after Close.
var ErrClosed = errors.New("the store is closed")

// The layout of the file. A record's key is the length of its partition in two
// bytes, the partition, and the sort key, so that no partition's records stand
// among another's; its value is the version in eight bytes and the body. The
// version is the bucket's sequence at the time of the write.
var (
	metaBucket    = []byte("weir")
	formatKey     = []byte("format")
	format        = []byte("1")
	probeKey      = []byte("probe")
	recordsBucket = []byte("records")
)

// mapSize is how much address space the file gets at first. Until it has
// outgrown it, no reader holds up a writer that needs the file mapped anew.
const mapSize = 64 << 20

// Store implements store.Store on one file.
type Store struct {
	db   *bbolt.DB
	path string
	file os.FileInfo // of the open file, to notice when path becomes another one

	queue   chan *request // unbuffered: what was received is answered
	closing chan struct{}
	stopped chan struct{} // closed when the committer has ended
	close   sync.Once
	closed  error

	damage atomic.Pointer[error] // why nothing can be written any more
	probe  probe

	// update runs one transaction of the file; tests replace it to make
	// the disk fail.
	update func(func(*bbolt.Tx) error) error
}

// Option changes how a file is opened.
type Option func(*options)

type options struct {
	lockWait time.Duration
	bolt     bbolt.Options
}

// LockWait is how long Open waits for another process to let go of the file.
// The default is one second.
func LockWait(d time.Duration) Option {
	return func(o *options) { o.lockWait = d }
}

// NoSync leaves it to the operating system when to write to the disk: a commit
// survives the end of the process, but not of the machine. For tests.
func NoSync() Option {
	return func(o *options) { o.bolt.NoSync, o.bolt.NoGrowSync = true, true }
}

// Open opens the store in the file at path, or makes it. Its directory has to
// exist, so that a volume that is not mounted is noticed and not replaced by an
// empty store. A file that a crashed process left is opened as it was after
// the last commit that succeeded. Open fails if another process has the file
// open, if it cannot be written, or if it holds anything else than a store.
func Open(path string, opts ...Option) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	o := options{lockWait: time.Second, bolt: bbolt.Options{
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mapSize,
		NoStatistics:    true,
	}}
	for _, opt := range opts {
		opt(&o)
	}
	s := &Store{
		path:    abs,
		queue:   make(chan *request),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
		probe:   probe{turn: make(chan struct{}, 1)},
	}
	if err := s.open(o); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	s.update = s.db.Update
	go s.commitLoop()
	return s, nil
}

func (s *Store) open(o options) error {
	dir, err := os.Stat(filepath.Dir(s.path))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("its directory does not exist: %w", err)
	case err != nil:
		return err
	case !dir.IsDir():
		return fmt.Errorf("%s is not a directory", filepath.Dir(s.path))
	}
	created := false
	switch info, err := os.Stat(s.path); {
	case errors.Is(err, os.ErrNotExist):
		created = true
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case readOnly(info):
		return errReadOnly
	}

	o.bolt.Timeout = o.lockWait
	o.bolt.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag, mode)
		if err != nil {
			return nil, err
		}
		if s.file, err = f.Stat(); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	}
	err = guard(func() error {
		if s.db, err = bbolt.Open(s.path, 0o600, &o.bolt); err != nil {
			return err
		}
		if err := s.layout(); err != nil {
			return errors.Join(err, s.db.Close())
		}
		return nil
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("another weir process uses this file (waited %v for its lock)", o.lockWait)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return fmt.Errorf("it is not a store of weir's, or damaged: %w", err)
	case err != nil:
		return err
	}
	if created {
		// The file's name has to be as durable as its contents.
		if err := syncDir(filepath.Dir(s.path)); err != nil {
			return errors.Join(err, s.db.Close())
		}
	}
	return nil
}

// layout makes the buckets of a new file and refuses a file of another kind.
func (s *Store) layout() error {
	known := false
	err := s.db.View(func(tx *bbolt.Tx) error {
		meta, records := tx.Bucket(metaBucket), tx.Bucket(recordsBucket)
		if meta == nil && records == nil {
			if k, _ := tx.Cursor().First(); k != nil {
				return errors.New("it is a database of something else")
			}
			return nil
		}
		if meta == nil || records == nil {
			return errors.New("it is a database of something else")
		}
		if got := meta.Get(formatKey); string(got) != string(format) {
			return fmt.Errorf("it has format %q, this weir reads format %q", got, format)
		}
		known = true
		return nil
	})
	if err != nil || known {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(recordsBucket); err != nil {
			return err
		}
		return meta.Put(formatKey, format)
	})
}

func syncDir(dir string) error {
	d, err := os.Open(dir) // #nosec G304 -- the directory of the configured file
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	if err := store.ValidateKeys(keys); err != nil {
		return nil, err
	}
	records := make([]store.Record, len(keys))
	err := s.view(ctx, func(b *bbolt.Bucket) {
		for i, k := range keys {
			records[i] = read(b, k)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("get from store %s: %w", s.path, err)
	}
	return records, nil
}

// A page of List has at most this many records, and ends early once it has
// this many bytes.
const (
	pageRecords = 1000
	pageBytes   = 4 << 20
)

// List implements store.Store.
func (s *Store) List(ctx context.Context, partition, prefix string, page store.Page) ([]store.Record, string, error) {
	if err := store.ValidateList(partition, prefix, page); err != nil {
		return nil, "", err
	}
	limit := page.Limit
	if limit == 0 || limit > pageRecords {
		limit = pageRecords
	}
	var (
		records []store.Record
		next    string
	)
	begin := encodeKey(store.Key{Partition: partition})
	within := append(begin[:len(begin):len(begin)], prefix...)
	from := within
	if page.After > prefix {
		from = append(begin[:len(begin):len(begin)], page.After...)
	}
	err := s.view(ctx, func(b *bbolt.Bucket) {
		c, size := b.Cursor(), 0
		for k, v := c.Seek(from); hasPrefix(k, within); k, v = c.Next() {
			sort := string(k[len(begin):])
			if page.After != "" && sort <= page.After {
				continue
			}
			if len(records) == limit || size > pageBytes {
				next = records[len(records)-1].Key.Sort
				return
			}
			records = append(records, decode(store.Key{Partition: partition, Sort: sort}, v))
			size += len(k) + len(v)
		}
	})
	if err != nil {
		return nil, "", fmt.Errorf("list %s in store %s: %w", partition, s.path, err)
	}
	return records, next, nil
}

func (s *Store) view(ctx context.Context, fn func(*bbolt.Bucket)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			fn(tx.Bucket(recordsBucket))
			return nil
		})
	})
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// Close waits for the commits that have begun, refuses those that have not,
// and lets go of the file. Closing twice is fine.
func (s *Store) Close() error {
	s.close.Do(func() {
		close(s.closing)
		<-s.stopped
		if d := s.damage.Load(); d != nil && errors.As(*d, new(*damageError)) {
			return // bbolt may hold its own locks for ever after a fault
		}
		if err := s.db.Close(); err != nil {
			s.closed = fmt.Errorf("close store %s: %w", s.path, err)
		}
	})
	return s.closed
}

func encodeKey(k store.Key) []byte {
	b := make([]byte, 2, 2+len(k.Partition)+len(k.Sort))
	binary.BigEndian.PutUint16(b, uint16(len(k.Partition))) // #nosec G115 -- at most store.MaxKey
	b = append(b, k.Partition...)
	return append(b, k.Sort...)
}

func encode(v store.Version, body []byte) []byte {
	b := make([]byte, 8, 8+len(body))
	binary.BigEndian.PutUint64(b, uint64(v)) // #nosec G115 -- never negative
	return append(b, body...)
}

func decode(k store.Key, value []byte) store.Record {
	return store.Record{
		Key:     k,
		Version: store.Version(binary.BigEndian.Uint64(value)), // #nosec G115 -- written from a Version
		Body:    append([]byte{}, value[8:]...),                // bbolt's memory ends with the transaction
	}
}

// read returns the record of k, with Version zero if there is none.
func read(b *bbolt.Bucket, k store.Key) store.Record {
	if v := b.Get(encodeKey(k)); v != nil {
		return decode(k, v)
	}
	return store.Record{Key: k}
}

func hasPrefix(k, prefix []byte) bool {
	return len(k) >= len(prefix) && string(k[:len(prefix)]) == string(prefix)
}

// damageError says that the file's contents made no sense.
type damageError struct {
	fault any
}

func (e *damageError) Error() string { return fmt.Sprintf("the file is damaged: %v", e.fault) }

// guard turns a fault in bbolt, which trusts its file and reads it through
// mapped memory, into a *damageError, so that a truncated or overwritten file
// does not end the process.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = &damageError{fault: fault}
		}
	}()
	return fn()
}
