// Package disk makes directories appear and disappear as a whole, and removes
// what hostile code has left, without being led anywhere else by it.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Temp is a directory for what is half-made or no longer needed, on the same
// file system as what it is for.
type Temp struct {
	Dir string // absolute
	Log *slog.Logger

	session string
}

// NewTemp makes the directory if it is not there.
func NewTemp(dir string, log *slog.Logger) (*Temp, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &Temp{Dir: dir, Log: log, session: strconv.FormatUint(rand.Uint64(), 36)}, nil //nolint:gosec // a name, no secret
}

// Name is a path in the directory that nothing has yet.
func (t *Temp) Name() string {
	_ = os.MkdirAll(t.Dir, 0o700)                                                    // whoever uses the name says that it failed
	return filepath.Join(t.Dir, t.session+"-"+strconv.FormatUint(rand.Uint64(), 36)) //nolint:gosec // a name, no secret
}

// Discard makes a file or directory disappear at once and then deletes it. It
// is no error if it is not there, nor if not all of it can be deleted: it is
// out of the way.
func (t *Temp) Discard(path string) error {
	trash := t.Name()
	if err := Move(path, trash); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("set aside %s: %w", path, err)
	}
	if err := RemoveAll(trash); err != nil {
		t.Log.Warn("cannot delete all of a directory that is no longer needed", "path", trash, "error", err)
	}
	return nil
}

// Move is os.Rename also for a directory that may not be written to, which its
// new place is written into.
func Move(from, to string) error {
	info, err := os.Lstat(from)
	if err == nil && info.IsDir() && info.Mode().Perm()&0o700 != 0o700 {
		err = os.Chmod(from, 0o755) //nolint:gosec // as git makes them
	}
	if err != nil {
		return err
	}
	return os.Rename(from, to)
}

// Sweep deletes what earlier processes left, and what has lain for a day.
func (t *Temp) Sweep() error {
	entries, err := os.ReadDir(t.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || strings.HasPrefix(e.Name(), t.session+"-") && time.Since(info.ModTime()) < 24*time.Hour {
			continue
		}
		errs = append(errs, RemoveAll(filepath.Join(t.Dir, e.Name())))
	}
	return errors.Join(errs...)
}

// RemoveAll is os.RemoveAll for directories, too, that nobody may write to.
func RemoveAll(path string) error {
	parent, err := os.OpenRoot(filepath.Dir(path))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close() // only read
	return RemoveIn(parent, filepath.Base(path))
}

// RemoveIn is RemoveAll for a name in an open directory.
func RemoveIn(parent *os.Root, name string) error {
	err := parent.RemoveAll(name)
	if err == nil || !errors.Is(err, os.ErrPermission) {
		return err
	}
	openUp(parent, name)
	return parent.RemoveAll(name)
}

// openUp lets the owner into a directory and all below it. What cannot be
// opened cannot be removed either, which says so.
func openUp(parent *os.Root, name string) {
	dir, err := OpenDir(parent, name)
	if err != nil {
		return
	}
	defer dir.Close() // only read
	entries, _ := ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			openUp(dir, e.Name())
		}
	}
}

// OpenDir opens a directory, which is no link, and makes sure that its owner
// may do everything in it.
func OpenDir(parent *os.Root, name string) (*os.Root, error) {
	info, err := parent.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &os.PathError{Op: "open", Path: name, Err: syscall.ENOTDIR}
	}
	if info.Mode().Perm()&0o700 != 0o700 {
		if err := parent.Chmod(name, 0o755); err != nil {
			return nil, err
		}
	}
	return parent.OpenRoot(name)
}

// ReadDir lists an open directory, in no order.
func ReadDir(dir *os.Root) ([]os.DirEntry, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	return f.ReadDir(-1)
}

// RemoveFiles removes the files below a directory that are not wanted. It is
// no error if the directory is not there.
func RemoveFiles(dir string, unwanted func(os.FileInfo) bool) error {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close() // only read
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil && !d.IsDir() {
			info, err = d.Info()
		}
		if err == nil && info != nil && unwanted(info) {
			err = root.Remove(path)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil // whoever else works here was faster
		}
		return err
	})
}

// Exists says whether something, be it a dangling link, has this path.
func Exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// ReplaceFile writes a file that is there in full or not at all. Its directory
// exists.
func ReplaceFile(name, content string, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-")
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error counts
	}
	return err
}
