package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Whatever the data directory is called: its path is made part of URLs, where
// some letters mean something, and the start failed with a complaint about keys
// that nobody had set.
func TestDefaultsInAnyDirectory(t *testing.T) {
	for _, name := range []string{"plain", "a#b", "what?", "50%", "%41", "%2F", "two words", "a+b", "ü", "a:b", "a;b&c=d", "[x]", "{x}", `back\slash`, "@", "\"'", "trailing#", "x?y#z", "a\tb"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), name)
			c, _, err := load(t, good, "WEIR_DATA_DIR="+dir)
			if err != nil {
				t.Fatal(err)
			}
			private := c.Private()
			for what, place := range map[string]struct{ got, want string }{
				"data_dir":  {c.DataDir, dir},
				"store":     {pathOf(c.Store, "bolt"), filepath.Join(dir, "weir.db")},
				"artifacts": {pathOf(c.Artifacts, "file"), filepath.Join(dir, "artifacts")},
				"seal_key":  {pathOf(c.SealKey, "file"), filepath.Join(dir, "seal.key")},
			} {
				if place.got != place.want || !slices.Contains(private, place.want) {
					t.Errorf("%s is at %q, want %q, among the private %q", what, place.got, place.want, private)
				}
			}
		})
	}
}

func TestPrivatePaths(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for place, want := range map[string]string{
		"file:///a/b": "/a/b", "file:///a%23b": "/a#b", "file:///a%20b%3F": "/a b?", "file:///a b": "/a b", "file:///100%25": "/100%",
		"file://./a%23": filepath.Join(here, "a#"), "file://localhost/x%25": "/x%", "FILE:///x": "/x", "file:/x": "/x",
	} {
		c, _, err := load(t, good+"artifacts: "+place+"\nseal_key: "+place+"-key\n")
		if err != nil {
			t.Errorf("%s: %v", place, err)
			continue
		}
		if got := c.Private(); !slices.Contains(got, want) || !slices.Contains(got, want+"-key") {
			t.Errorf("%s: got %q, want %q in it", place, got, want)
		}
	}
	for place, want := range map[string]string{"bolt:///a%23b": "/a#b", "bolt:///a#b?": "/a#b?", "bolt://./x%25": filepath.Join(here, "x%")} {
		c, _, err := load(t, good+"store: "+place+"\n")
		if err != nil || !slices.Contains(c.Private(), want) {
			t.Errorf("%s: got %v, %v, want %q in it", place, c, err, want)
		}
	}
}

// Whoever writes such a path as it is is told how to write it.
func TestPathsThatAreToBeEscaped(t *testing.T) {
	for _, place := range []string{"file:///a#b", "file:///a?b", "file:///a?", "file:///a#", "file:///50%", "file://./a#b"} {
		for _, key := range []string{"artifacts", "seal_key"} {
			_, _, err := load(t, good+key+": \""+place+"\"\n")
			if err == nil || !strings.Contains(err.Error(), key+" (line 6): a file:// URL holds a path and nothing else; in a path write %23 for #") {
				t.Errorf("%s: %s: got %v", key, place, err)
			}
		}
	}
}
