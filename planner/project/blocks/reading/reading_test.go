package reading

import (
	"path/filepath"
	"testing"
)

// TestRelative holds that a name is seen from a directory as the standard
// library has it.
func TestRelative(t *testing.T) {
	names := []string{".", "a", "b", "ab", "a/b", "a/bc", "a/b/c", "a/b/c/d", "b/a", "b/a/c"}
	for _, dir := range names {
		for _, name := range names {
			want, err := filepath.Rel(filepath.FromSlash(dir), filepath.FromSlash(name))
			if err != nil {
				t.Fatal(err)
			}
			if got := relative(name, dir); got != filepath.ToSlash(want) {
				t.Errorf("%s from %s: %s, want %s", name, dir, got, want)
			}
		}
	}
}

// TestLike holds what names with holes stand for.
func TestLike(t *testing.T) {
	for _, test := range []struct {
		text, pattern string
		want          bool
	}{
		{"a.md", "\x00.md", true},
		{"docs/a.md", "\x00.md", true},
		{"a.md", "\x00.mdx", false},
		{"a.md", "a\x00md", true},
		{"a", "a\x00a", false}, // one letter is not two
		{"ab", "a\x00b", true},
		{"a-b-c", "a\x00-b\x00c", true},
		{"a-c-b", "a\x00-b\x00c", false},
		{"a-b", "a\x00-\x00-b", false},
		{"x/a", "a\x00", false},
		{"../a", "\x00", false},
		{"..", "\x00", false},
		{"../a", "../\x00", true},
		{"..a", "\x00", true},
	} {
		if got := like(test.text, []string{test.pattern}); got != test.want {
			t.Errorf("%q and %q: %v, want %v", test.text, test.pattern, got, test.want)
		}
	}
}
