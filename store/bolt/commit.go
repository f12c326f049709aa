package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"weir/store"
)

// One transaction of the file takes at most this many commits, and no more
// after this many bytes, so that nobody waits long for others.
const (
	groupCommits = 256
	groupBytes   = 8 << 20
)

var (
	errReadOnly  = errors.New("the file is read-only")
	errReplaced  = errors.New("the file was replaced by another one while it was open")
	errUnchanged = errors.New("nothing to write")
)

// request is one commit on its way. err belongs to the committer until done is
// closed.
type request struct {
	ctx    context.Context
	writes []store.Write
	probe  bool // write to the probe's own place instead
	err    error
	done   chan struct{}
}

// Commit implements store.Store. Once a commit has begun it is waited for,
// also when ctx is cancelled, so that its outcome is known.
func (s *Store) Commit(ctx context.Context, writes ...store.Write) error {
	if err := store.ValidateWrites(writes); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("commit to store %s: %w", s.path, err)
	}
	if len(writes) == 0 {
		return nil
	}
	r := &request{ctx: ctx, writes: writes, done: make(chan struct{})}
	err := s.enqueue(r)
	if err == nil {
		<-r.done
		err = r.err
	}
	if err == nil || errors.As(err, new(*store.ConflictError)) {
		return err
	}
	return fmt.Errorf("commit to store %s: %w", s.path, err)
}

// enqueue hands r to the committer, which then answers it.
func (s *Store) enqueue(r *request) error {
	select {
	case <-s.closing: // without this a closed store might win the race below
		return ErrClosed
	default:
	}
	select {
	case s.queue <- r:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	case <-s.closing:
		return ErrClosed
	}
}

func (s *Store) commitLoop() {
	defer close(s.stopped)
	for {
		select {
		case r := <-s.queue:
			s.commitGroup(s.gather(r))
		case <-s.closing:
			return
		}
	}
}

// gather returns first and the requests that are waiting behind it.
func (s *Store) gather(first *request) []*request {
	group, size := []*request{first}, first.size()
	for len(group) < groupCommits && size < groupBytes {
		select {
		case r := <-s.queue:
			group = append(group, r)
			size += r.size()
		default:
			return group
		}
	}
	return group
}

func (r *request) size() int {
	n := 0
	for _, w := range r.writes {
		n += len(w.Body)
	}
	return n
}

// commitGroup makes one transaction of group and answers everybody in it.
func (s *Store) commitGroup(group []*request) {
	err := s.writable()
	if err == nil {
		err = guard(func() error { return s.update(func(tx *bbolt.Tx) error { return apply(tx, group) }) })
	}
	switch {
	case errors.Is(err, errUnchanged):
		err = nil
	case err == nil:
		s.probe.wrote()
	default:
		s.probe.failed()
		s.remember(err)
	}
	for _, r := range group {
		// Also a conflict is only known once the transaction that it was
		// found in is durable: it may be one with an earlier commit of
		// the same group.
		if err != nil && (r.err == nil || errors.As(r.err, new(*store.ConflictError))) {
			r.err = err
		}
		close(r.done)
	}
}

// apply judges and carries out each request of group in order. An error it
// returns undoes all; a request that cannot be carried out only gets its own.
func apply(tx *bbolt.Tx, group []*request) error {
	records := tx.Bucket(recordsBucket)
	changed := false
	for _, r := range group {
		if r.err = r.ctx.Err(); r.err != nil {
			continue
		}
		if r.probe {
			if err := tx.Bucket(metaBucket).Put(probeKey, []byte(time.Now().UTC().Format(time.RFC3339Nano))); err != nil {
				return err
			}
			changed = true
			continue
		}
		if r.err = expectations(records, r.writes); r.err != nil {
			continue
		}
		for _, w := range r.writes {
			wrote, err := carryOut(records, w)
			if err != nil {
				return err
			}
			changed = changed || wrote
		}
	}
	if !changed {
		return errUnchanged
	}
	return nil
}

// expectations returns a *store.ConflictError with all that do not hold.
func expectations(records *bbolt.Bucket, writes []store.Write) error {
	var conflicts []store.Record
	for _, w := range writes {
		if now := read(records, w.Key); now.Version != w.Expect {
			conflicts = append(conflicts, now)
		}
	}
	if conflicts != nil {
		return &store.ConflictError{Conflicts: conflicts}
	}
	return nil
}

// carryOut makes one write whose expectation holds and reports whether there
// was anything to do.
func carryOut(records *bbolt.Bucket, w store.Write) (bool, error) {
	switch {
	case w.Op == store.Put:
		version, err := records.NextSequence()
		if err != nil {
			return false, err
		}
		return true, records.Put(encodeKey(w.Key), encode(store.Version(version), w.Body)) // #nosec G115 -- a count of writes
	case w.Op == store.Delete && w.Expect != 0:
		return true, records.Delete(encodeKey(w.Key))
	}
	return false, nil
}

// writable says why nothing can be written, as far as that is known without
// trying. It looks at the path as well as at the open file: a write to a file
// that was deleted or replaced would succeed and be gone after a restart.
func (s *Store) writable() error {
	if d := s.damage.Load(); d != nil {
		return *d
	}
	info, err := os.Stat(s.path)
	switch {
	case err != nil:
		return err
	case !os.SameFile(info, s.file):
		return errReplaced
	case readOnly(info):
		return errReadOnly
	}
	return nil
}

// readOnly reports whether nobody may write the file. Root may all the same,
// and whoever has it open already too, but somebody has said that it should
// not be changed.
func readOnly(info os.FileInfo) bool { return info.Mode().Perm()&0o222 == 0 }

// remember keeps an error after which no later commit can be trusted.
func (s *Store) remember(err error) {
	if errors.As(err, new(*damageError)) {
		s.damage.CompareAndSwap(nil, &err)
		return
	}
	// After a failed sync nobody knows which pages are on the disk, and the
	// kernel reports the loss only once: a later commit would succeed on top
	// of pages that may be missing. bbolt returns the bare error number of
	// a sync, and only of that.
	var number syscall.Errno
	var path *fs.PathError
	if errors.As(err, &number) && !errors.As(err, &path) || strings.Contains(err.Error(), "file sync error") {
		err = fmt.Errorf("the disk failed to make a commit durable; nothing is written until weir is started again: %w", err)
		s.damage.CompareAndSwap(nil, &err)
	}
}
