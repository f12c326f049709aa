package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"weir/store"
)

func openInternal(t *testing.T, opts ...Option) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "weir.db"), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func key(sort string) store.Key { return store.Key{Partition: "p", Sort: sort} }

// counted counts transactions of the file, and holds each until it gets one
// from let, if that is not nil.
func counted(s *Store, let chan struct{}) *int {
	n := new(int)
	update := s.update
	s.update = func(fn func(*bbolt.Tx) error) error {
		if *n++; let != nil {
			<-let
		}
		return update(fn)
	}
	return n
}

// pass lets time pass in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

// While one transaction waits for the disk, the commits behind it become one,
// each with its own outcome.
func TestCommitsAreGrouped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openInternal(t)
		let := make(chan struct{})
		transactions := counted(s, let)
		var wg sync.WaitGroup
		errs := make([]error, 101)
		commit := func(n int, w store.Write) {
			wg.Go(func() { errs[n] = s.Commit(t.Context(), w) })
			synctest.Wait() // so that they queue in order
		}
		commit(0, store.Write{Key: key("first")})
		for n := 1; n <= 100; n++ {
			commit(n, store.Write{Key: key(fmt.Sprint(n / 2)), Body: []byte{byte(n)}}) // 2k and 2k+1 collide
		}
		close(let)
		wg.Wait()
		if *transactions != 2 {
			t.Errorf("101 commits made %d transactions, want 2", *transactions)
		}
		for n, err := range errs {
			var conflict *store.ConflictError
			if lost := n > 1 && n%2 == 1; lost != errors.As(err, &conflict) || !lost && err != nil {
				t.Errorf("commit %d: %v, want a conflict: %v", n, err, lost)
			} else if lost && conflict.Conflicts[0].Body[0] != byte(n-1) {
				t.Errorf("commit %d lost to %v, want the one before it", n, conflict.Conflicts)
			}
		}
	})
}

// A commit that waits behind another can be given up, and then nothing of it
// happens.
func TestCancelledWhileQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openInternal(t)
		let := make(chan struct{})
		counted(s, let)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Commit(t.Context(), store.Write{Key: key("first")}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Commit(ctx, store.Write{Key: key("second")}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Commit = %v, want context.DeadlineExceeded", err)
		}
		close(let)
		wg.Wait()
		r, err := s.Get(t.Context(), key("first"), key("second"))
		if err != nil || r[0].Version == 0 || r[1].Version != 0 {
			t.Errorf("got %v, %v; want the first only", r, err)
		}
	})
}

// A commit that has begun is known to have happened, also if nobody wants it
// any more.
func TestCancelledWhileCommitting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openInternal(t)
		ctx, cancel := context.WithCancel(t.Context())
		update := s.update
		s.update = func(fn func(*bbolt.Tx) error) error {
			return update(func(tx *bbolt.Tx) error {
				err := fn(tx)
				cancel()
				return err
			})
		}
		if err := s.Commit(ctx, store.Write{Key: key("a")}); err != nil {
			t.Errorf("Commit = %v, want its true outcome", err)
		}
	})
}

// Commits that have begun when the store is closed succeed, later ones fail.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openInternal(t)
		let := make(chan struct{})
		counted(s, let)
		var first, second, closed error
		var wg sync.WaitGroup
		wg.Go(func() { first = s.Commit(t.Context(), store.Write{Key: key("first")}) })
		synctest.Wait()
		wg.Go(func() { second = s.Commit(t.Context(), store.Write{Key: key("second")}) })
		synctest.Wait()
		wg.Go(func() { closed = s.Close() })
		synctest.Wait()
		close(let)
		wg.Wait()
		if first != nil || !errors.Is(second, ErrClosed) || closed != nil {
			t.Errorf("first commit %v, second %v, Close %v; want nil, ErrClosed, nil", first, second, closed)
		}
	})
}

// A disk without room fails the commits that need more of it and nothing else.
func TestDiskFull(t *testing.T) {
	s := openInternal(t, func(o *options) { o.bolt.MaxSize, o.bolt.InitialMmapSize = 2<<20, 0 })
	body := make([]byte, 300<<10)
	var written []store.Key
	var err error
	for n := 0; err == nil && n < 100; n++ {
		k := key(fmt.Sprint(n))
		if err = s.Commit(t.Context(), store.Write{Key: k, Body: body}); err == nil {
			written = append(written, k)
		}
	}
	if err == nil || errors.As(err, new(*store.ConflictError)) {
		t.Fatalf("Commit on a full disk = %v, want an error that is no conflict", err)
	}
	if len(written) == 0 {
		t.Fatal("not a single commit fit")
	}
	for range 3 {
		if err := s.Commit(t.Context(), store.Write{Key: key("x"), Body: make([]byte, store.MaxBody)}); err == nil {
			t.Error("a large commit succeeded")
		}
	}
	records, err := s.Get(t.Context(), written...)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if len(r.Body) != len(body) {
			t.Errorf("%s: got %d bytes back, want %d", r.Key, len(r.Body), len(body))
		}
	}
	// Making room helps at once.
	if err := s.Commit(t.Context(), store.Write{Op: store.Delete, Key: written[0], Expect: records[0].Version}); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if err := s.Commit(t.Context(), store.Write{Key: key("again"), Body: body}); err != nil {
		t.Errorf("Commit into the room of a deleted record: %v", err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
}

// After a failed sync a later commit would succeed on top of pages that may
// be missing.
func TestFailedSyncEndsWriting(t *testing.T) {
	for name, failure := range map[string]error{
		"data or meta": syscall.EIO,
		"growing":      errors.New("file sync error: input/output error"),
	} {
		t.Run(name, func(t *testing.T) {
			s := openInternal(t)
			update := s.update
			s.update = func(fn func(*bbolt.Tx) error) error { return errors.Join(update(fn), failure) }
			err := s.Commit(t.Context(), store.Write{Key: key("a")})
			if err == nil || errors.As(err, new(*store.ConflictError)) {
				t.Errorf("Commit = %v, want an error that is no conflict", err)
			}
			s.update = update
			if err := s.Commit(t.Context(), store.Write{Key: key("b")}); err == nil || !strings.Contains(err.Error(), "started again") {
				t.Errorf("the next Commit = %v, want that weir has to be started again", err)
			}
			if err := s.Ready(t.Context()); err == nil {
				t.Error("Ready says that all is well")
			}
			if _, err := s.Get(t.Context(), key("a")); err != nil {
				t.Errorf("Get: %v", err)
			}
		})
	}
}

// Other errors pass: a full disk does not stop what comes when it has room.
func TestOtherErrorsPass(t *testing.T) {
	s := openInternal(t)
	update := s.update
	full := fmt.Errorf("write: %w", &fs.PathError{Op: "write", Path: s.path, Err: syscall.ENOSPC})
	s.update = func(func(*bbolt.Tx) error) error { return full }
	if err := s.Commit(t.Context(), store.Write{Key: key("a")}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Commit = %v, want ENOSPC", err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Ready = %v, want ENOSPC", err)
	}
	s.update = update
	if err := s.Commit(t.Context(), store.Write{Key: key("a")}); err != nil {
		t.Errorf("Commit = %v", err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("Ready = %v", err)
	}
}

// Memory that cannot be read, as in a file that was cut short while open, is
// an error and not the end of the process.
func TestFaultIsAnError(t *testing.T) {
	s := openInternal(t)
	update := s.update
	s.update = func(func(*bbolt.Tx) error) error { panic("assertion failed: page 7 already freed") }
	err := s.Commit(t.Context(), store.Write{Key: key("a")})
	if err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("Commit = %v, want that the file is damaged", err)
	}
	s.update = update
	if err := s.Commit(t.Context(), store.Write{Key: key("a")}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("the next Commit = %v, want that the file is damaged", err)
	}
	if err := s.Ready(t.Context()); err == nil {
		t.Error("Ready says that all is well")
	}
}

func TestReadyWritesOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openInternal(t)
		transactions := counted(s, nil)
		ask := func(want int, why string) {
			t.Helper()
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					if err := s.Ready(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if *transactions != want {
				t.Errorf("%s: got %d transactions, want %d", why, *transactions, want)
			}
		}
		ask(1, "the first time")
		pass(probeEvery / 2)
		ask(1, "soon after")
		pass(probeEvery)
		ask(2, "a second later")
		pass(probeEvery)
		if err := s.Commit(t.Context(), store.Write{Key: key("a")}); err != nil {
			t.Fatal(err)
		}
		ask(3, "after a commit has shown that writing works")
	})
}

// A failure is not tried again more than once a second, and is not believed
// longer than that.
func TestReadyRemembersFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openInternal(t)
		update, tries := s.update, 0
		s.update = func(func(*bbolt.Tx) error) error { tries++; return errors.New("no room") }
		for range 20 {
			if err := s.Ready(t.Context()); err == nil {
				t.Error("Ready succeeded")
			}
		}
		if tries != 1 {
			t.Errorf("Ready tried %d times, want once", tries)
		}
		s.update = update
		pass(probeEvery)
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("Ready, when there is room again: %v", err)
		}
		// A commit that fails ends the good news at once.
		s.update = func(func(*bbolt.Tx) error) error { return errors.New("no room") }
		if err := s.Commit(t.Context(), store.Write{Key: key("a")}); err == nil {
			t.Error("Commit succeeded")
		}
		if err := s.Ready(t.Context()); err == nil {
			t.Error("Ready succeeded after a commit has failed")
		}
	})
}

// A disk that hangs makes Ready as late as its context, not later.
func TestReadyWithHangingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openInternal(t)
		let := make(chan struct{})
		counted(s, let)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ready = %v, want context.DeadlineExceeded", err)
		}
		close(let)
	})
}
