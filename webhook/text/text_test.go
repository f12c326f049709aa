package text

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLines(t *testing.T) {
	const body = "one\r\n> two\n```\nthree\n```\n<!-- four -->\nfive <!-- six --> seven\n    eight"
	want := []string{"one", "five   seven"}
	if diff := cmp.Diff(want, Lines(body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzQuote holds that a quoted word is read as that word.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a", "a b", `it's`, `a\b`, `"`, "--x='y'", "ü\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words, problem := Words("a " + Quote(s) + "  b")
		if problem != "" || !slices.Equal(words, []string{"a", s, "b"}) {
			t.Errorf("%q was read as %q, %s", Quote(s), words, problem)
		}
	})
}

func TestClosest(t *testing.T) {
	for word, want := range map[string]string{"plna": "plan", "PLAN": "plan", "apply": "", "pl": "plan", "x": ""} {
		if got, _ := Closest(word, []string{"plan"}); got != want {
			t.Errorf("closest to %q is %q, want %q", word, got, want)
		}
	}
}
