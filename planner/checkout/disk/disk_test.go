package disk

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestRemoveAllWithoutARightToIt(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "x", "a", "b", "c")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(deep, "root")); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{deep, filepath.Dir(deep), filepath.Join(dir, "x")} {
		if err := os.Chmod(d, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveAll(filepath.Join(dir, "x")); err != nil || Exists(filepath.Join(dir, "x")) {
		t.Errorf("got %v, still there: %v", err, Exists(filepath.Join(dir, "x")))
	}
	if err := RemoveAll(filepath.Join(dir, "x", "y")); err != nil {
		t.Errorf("nothing in nothing: %v", err)
	}
}

func TestTemp(t *testing.T) {
	base := t.TempDir()
	temp, err := NewTemp(filepath.Join(base, "tmp"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := temp.Discard(filepath.Join(base, "nothing")); err != nil {
		t.Errorf("nothing: %v", err)
	}
	kept := temp.Name()
	for _, dir := range []string{filepath.Join(base, "x", "y"), kept, filepath.Join(temp.Dir, "other-1")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(temp.Discard(filepath.Join(base, "x")), temp.Sweep()); err != nil {
		t.Fatal(err)
	}
	if Exists(filepath.Join(base, "x")) || Exists(filepath.Join(temp.Dir, "other-1")) || !Exists(kept) {
		t.Error("removed what is in use, or left what is not")
	}
	old := time.Now().Add(-25 * time.Hour)
	if err := errors.Join(os.Chtimes(kept, old, old), temp.Sweep()); err != nil || Exists(kept) {
		t.Errorf("got %v, what is old is still there: %v", err, Exists(kept))
	}
}

func TestRemoveFilesFollowsNoLink(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	for _, path := range []string{filepath.Join(outside, "a"), filepath.Join(dir, "a"), filepath.Join(dir, "b")} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := RemoveFiles(dir, func(info os.FileInfo) bool { return info.Name() == "a" }); err != nil {
		t.Fatal(err)
	}
	if Exists(filepath.Join(dir, "a")) || !Exists(filepath.Join(dir, "b")) || !Exists(filepath.Join(outside, "a")) {
		t.Error("removed the wrong files")
	}
	if err := RemoveFiles(filepath.Join(dir, "none"), func(os.FileInfo) bool { return true }); err != nil {
		t.Error(err)
	}
}

func TestReplaceFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	for _, content := range []string{"one", "two"} {
		if err := ReplaceFile(name, content, 0o700); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != content {
			t.Errorf("got %q, %v, want %q", got, err, content)
		}
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	if err := ReplaceFile(filepath.Join(name, "x"), "", 0o600); err == nil {
		t.Error("wrote below a file")
	}
}
