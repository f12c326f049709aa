package mirror

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const someID = "0123456789012345678901234567890123456789"

func TestParseObjects(t *testing.T) {
	blob := func(data string) string { return fmt.Sprintf("%s blob %d\n%s\n", someID, len(data), data) }
	has := func(data string) Object { return Object{ID: someID, Kind: "blob", Data: data} }
	for name, c := range map[string]struct {
		out   string
		names []string
		want  []Object
		ok    bool
	}{
		"one":                      {blob("x"), []string{"a"}, []Object{has("x")}, true},
		"two, one with line ends":  {blob("x\ny missing\n") + blob(""), []string{"a", "b"}, []Object{has("x\ny missing\n"), has("")}, true},
		"missing":                  {"a:b missing\n" + blob("x"), []string{"a:b", "c"}, []Object{{}, has("x")}, true},
		"missing, odd name":        {"a:b\nc missing\n", []string{"a:b\nc"}, []Object{{}}, true},
		"link out":                 {"symlink 4\n../x\n" + blob("x"), []string{"a", "b"}, []Object{{}, has("x")}, true},
		"link to nothing":          {"dangling 3\na:b\n", []string{"a:b"}, []Object{{}}, true},
		"link to itself":           {"loop 3\na:b\n", []string{"a:b"}, []Object{{}}, true},
		"under a file":             {"notdir 3\na:b\n", []string{"a:b"}, []Object{{}}, true},
		"nothing":                  {"", nil, []Object{}, true},
		"too little":               {someID + " blob 5\nabc\n", []string{"a"}, nil, false},
		"too much":                 {blob("x") + "y", []string{"a"}, []Object{has("x")}, false},
		"nonsense":                 {"hello\n", []string{"a"}, nil, false},
		"a link longer than there": {"symlink 400\nx\n", []string{"a"}, nil, false},
		"a negative length":        {"symlink -2\nx\n", []string{"a"}, nil, false},
	} {
		got, ok := parseObjects(c.out, c.names)
		if ok != c.ok {
			t.Errorf("%s: got %v, want %v", name, ok, c.ok)
		}
		if d := cmp.Diff(c.want, got); ok && d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// What parseObjects takes is what it was made of.
func FuzzParseObjects(f *testing.F) {
	f.Add("a", "content", "b")
	f.Add("a b", "x missing\n", "sym\nlink")
	f.Fuzz(func(t *testing.T, first, data, second string) {
		if strings.Contains(first+second, "\x00") || objectHeader.MatchString(first) {
			return
		}
		out := fmt.Sprintf("%s blob %d\n%s\n%s missing\n", someID, len(data), data, second)
		if strings.HasPrefix(out, first+" missing\n") {
			return
		}
		got, ok := parseObjects(out, []string{first, second})
		if !ok || len(got) != 2 || got[0].Data != data || got[1].ID != "" {
			t.Errorf("parseObjects(%q) = %v, %v", out, got, ok)
		}
		parseObjects(data, []string{first, second}) // may be anything, must not panic
	})
}
