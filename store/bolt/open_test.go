package bolt_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"weir/store"
	"weir/store/bolt"
)

var someKey = store.Key{Partition: "p", Sort: "s"}

func TestOpenRefuses(t *testing.T) {
	foreign := func(t *testing.T, path string, fill func(*bbolt.Tx) error) {
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(fill), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		want    string
	}{
		{"a missing directory", func(t *testing.T, path string) {
			if err := os.Remove(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}, "its directory does not exist"},
		{"a directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
		{"a read-only file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, nil, 0o400); err != nil {
				t.Fatal(err)
			}
		}, "read-only"},
		{"a text", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database\n", 4000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a store of weir's"},
		{"a database of something else", func(t *testing.T, path string) {
			foreign(t, path, func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket([]byte("theirs"))
				return err
			})
		}, "something else"},
		{"a store of a later weir", func(t *testing.T, path string) {
			foreign(t, path, func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucket([]byte("weir"))
				if err != nil {
					return err
				}
				if _, err := tx.CreateBucket([]byte("records")); err != nil {
					return err
				}
				return b.Put([]byte("format"), []byte("2"))
			})
		}, `format "2"`},
		{"a truncated file", func(t *testing.T, path string) {
			foreign(t, path, func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucket([]byte("records"))
				if err != nil {
					return err
				}
				return b.Put([]byte("k"), make([]byte, 1<<20))
			})
			if err := os.Truncate(path, 12<<10); err != nil {
				t.Fatal(err)
			}
		}, "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data", "weir.db")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			tt.prepare(t, path)
			s, err := bolt.Open(path)
			if err == nil {
				t.Fatalf("Open succeeded; Close: %v", s.Close())
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: got error %q, want it to name the file and %q", err, tt.want)
			}
		})
	}
}

func TestOpenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.db")
	first, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v; want 0600", info.Mode(), err)
	}
	_, err = bolt.Open(path, bolt.LockWait(50*time.Millisecond))
	if err == nil || !strings.Contains(err.Error(), "another weir process") || !strings.Contains(err.Error(), path) {
		t.Errorf("second Open = %v, want that another weir process uses %s", err, path)
	}
	if err := first.Commit(t.Context(), store.Write{Key: someKey, Body: []byte("kept")}); err != nil {
		t.Errorf("Commit after somebody else tried to open the file: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := again.Get(t.Context(), someKey); err != nil || string(r[0].Body) != "kept" {
		t.Errorf("Get after opening again: %v, %v", r, err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// wantUnwritable asserts that commits and Ready fail, not with a conflict, and
// that reads go on.
func wantUnwritable(t *testing.T, s *bolt.Store, want string) {
	t.Helper()
	err := s.Commit(t.Context(), store.Write{Key: store.Key{Partition: "p", Sort: "new"}})
	if err == nil || errors.As(err, new(*store.ConflictError)) || !strings.Contains(err.Error(), want) {
		t.Errorf("Commit = %v, want an error with %q that is no conflict", err, want)
	}
	// A conflict would be a promise too, about a file that is not there.
	if err := s.Commit(t.Context(), store.Write{Key: someKey}); err == nil || errors.As(err, new(*store.ConflictError)) {
		t.Errorf("Commit that would be a conflict = %v, want an error that is no conflict", err)
	}
	if err := s.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Ready = %v, want an error with %q", err, want)
	}
	if r, err := s.Get(t.Context(), someKey); err != nil || string(r[0].Body) != "kept" {
		t.Errorf("Get meanwhile: %v, %v", r, err)
	}
}

func wantWritable(t *testing.T, s *bolt.Store) {
	t.Helper()
	r, err := s.Get(t.Context(), someKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), store.Write{Key: someKey, Expect: r[0].Version, Body: []byte("kept")}); err != nil {
		t.Errorf("Commit: %v", err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
}

func TestFileBecomesReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.db")
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	wantWritable(t, s)
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	wantUnwritable(t, s, "read-only")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	wantWritable(t, s)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A commit to a file that was deleted would succeed and be gone after a
// restart.
func TestFileDisappears(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "data", "weir.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	wantWritable(t, s)
	if err := os.Rename(filepath.Dir(path), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	wantUnwritable(t, s, "no such file or directory")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantUnwritable(t, s, "replaced")
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "moved"), filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	wantWritable(t, s)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A relative path means the same file also after the process went elsewhere.
func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := bolt.Open("weir.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	wantWritable(t, s)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
