package worktree

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const id = " 0123456789012345678901234567890123456789\t"

func TestParseTree(t *testing.T) {
	for name, c := range map[string]struct {
		out   string
		links []string
		ok    bool
	}{
		"nothing":             {"", nil, true},
		"files and submodule": {"100644 blob" + id + "a/b/c\x00160000 commit" + id + "a/s\x00120000 blob" + id + "a/l\x00", []string{"a/s"}, true},
		"tab in a name":       {"100644 blob" + id + "a\tb\x00", nil, true},
		"up":                  {"100644 blob" + id + "../a\x00", nil, false},
		"absolute":            {"100644 blob" + id + "/a\x00", nil, false},
		"here":                {"100644 blob" + id + "./a\x00", nil, false},
		"empty":               {"100644 blob" + id + "\x00", nil, false},
		"file and directory":  {"100644 blob" + id + "a\x00100644 blob" + id + "a/b\x00", nil, false},
		"nonsense":            {"hello\x00", nil, false},
	} {
		_, links, err := parseTree(c.out)
		if (err == nil) != c.ok {
			t.Errorf("%s: got %v, want fine: %v", name, err, c.ok)
		}
		if got := slices.Sorted(maps.Keys(links)); err == nil && !slices.Equal(got, c.links) {
			t.Errorf("%s: got submodules %q, want %q", name, got, c.links)
		}
	}
}

// Whatever a tree says and a directory holds, cleaning leaves nothing that the
// tree does not have, and touches nothing beside the directory.
func FuzzClean(f *testing.F) {
	f.Add("a\nb/c\nd/e/f", "a\nb/x\nb/c/y\nd\nz/z/z")
	f.Add("a/b", ">a\na")
	f.Fuzz(func(t *testing.T, tracked, present string) {
		dir := t.TempDir()
		root := filepath.Join(dir, "root")
		beside := filepath.Join(dir, "beside")
		for _, d := range []string{root, beside} {
			if err := os.Mkdir(d, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(beside, "precious"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for p := range strings.SplitSeq(tracked, "\n") {
			out.WriteString("100644 blob" + id + p + "\x00")
		}
		tree, _, err := parseTree(out.String())
		if err != nil {
			return
		}
		for p := range strings.SplitSeq(present, "\n") {
			name, link := strings.CutPrefix(p, ">")
			if !IsPath(name) || len(p) > 200 {
				continue
			}
			path := filepath.Join(root, name)
			_ = os.MkdirAll(filepath.Dir(path), 0o700) // what cannot be made is not there
			if link {
				_ = os.Symlink(beside, path)
			} else if info, err := os.Lstat(path); err != nil || info.Mode().IsRegular() {
				_ = os.WriteFile(path, nil, 0o600)
			}
		}
		if err := clean(root, tree, false); err != nil {
			t.Fatal(err)
		}
		err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || path == root {
				return err
			}
			n := tree
			for part := range strings.SplitSeq(strings.TrimPrefix(path, root+"/"), "/") {
				if n = n.names[part]; n == nil {
					t.Errorf("%q was left", path)
					return nil
				}
			}
			if d.IsDir() != (n.names != nil) {
				t.Errorf("%q was left, but is something else", path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(beside, "precious")); err != nil {
			t.Errorf("removed what is beside: %v", err)
		}
	})
}
