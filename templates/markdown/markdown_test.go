package markdown

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{
			"resource", "  + resource \"a\" \"b\" {\n      + x = 1\n      ~ y = 2\n      - z = 3\n        w = 4\n    }",
			"+   resource \"a\" \"b\" {\n+       x = 1\n!       y = 2\n-       z = 3\n        w = 4\n    }",
		},
		{"replace, destroy first", "-/+ resource \"a\" \"b\" {", "-/+ resource \"a\" \"b\" {"},
		{"replace, create first", "+/- resource \"a\" \"b\" {", "!+/- resource \"a\" \"b\" {"},
		{"a read is no change", " <= data \"a\" \"b\" {", " <= data \"a\" \"b\" {"},
		{"arrows and words", "      ~ a = 1\n          -> 2\n  # -x\n--- x", "!       a = 1\n          -> 2\n  # -x\n--- x"},
		{
			"YAML that did not change", "      ~ x = <<-EOT\n            - a\n          - - b\n          + - c\n        EOT",
			"!       x = <<-EOT\n            - a\n-           - b\n+           - c\n        EOT",
		},
		{
			"YAML of an attribute that did not change", "        x = <<-EOT\n            - a\n            + b\n        EOT\n      + y = 1",
			"        x = <<-EOT\n            - a\n            + b\n        EOT\n+       y = 1",
		},
		{
			"a text that says EOT", "      + x = <<-EOT\n            EOT\n            - a\n        EOT\n      + y = 1",
			"+       x = <<-EOT\n            EOT\n            - a\n        EOT\n+       y = 1",
		},
		{
			"a text that is removed", "      - x = <<-EOT\n            - a\n        EOT -> null\n      - y = 1 -> null",
			"-       x = <<-EOT\n            - a\n        EOT -> null\n-       y = 1 -> null",
		},
		{
			"an element of a list", "          ~ <<-EOT\n                - a\n              + - b\n            EOT,\n          - 1,",
			"!           <<-EOT\n                - a\n+               - b\n            EOT,\n-           1,",
		},
		{
			"legend", "\nOpenTofu used the selected providers to generate the following execution\nplan. Resource actions are indicated with the following symbols:\n  + create\n\nOpenTofu will perform the following actions:\n\n  + a",
			"OpenTofu will perform the following actions:\n\n+   a",
		},
		{"nothing", "", ""},
		{"colours", "  \x1b[32m+\x1b[0m a", "+   a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Diff(c.in)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Taking the markers away again gives the plan: nothing else is touched.
func FuzzDiff(f *testing.F) {
	f.Add("  + a\n-/+ b\n+/- c\n      ~ d = <<-EOT\n          - e\n        EOT\n")
	f.Fuzz(func(t *testing.T, s string) {
		words := func(s string) string {
			return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \n+-~!/", r) }), " ")
		}
		if strings.Contains(s, "used the selected providers") {
			t.Skip("the legend goes")
		}
		in, out := words(Printable(s)), words(Diff(s))
		if in != out {
			t.Errorf("Diff(%q) says %q", s, out)
		}
	})
}

func TestCut(t *testing.T) {
	long := strings.Repeat("0123456789\n", 100)
	got := Cut("first\n"+long+"last", 200)
	if len(got) > 260 || !strings.HasPrefix(got, "first\n") || !strings.HasSuffix(got, "\nlast") || !strings.Contains(got, "lines left out") {
		t.Errorf("Cut gave %q", got)
	}
	if got := Cut("a\nb", 200); got != "a\nb" {
		t.Errorf("Cut of what is short gave %q", got)
	}
	if got := Cut(strings.Repeat("é", 1000), 200); len(got) > 200 || !strings.HasSuffix(got, "…") {
		t.Errorf("Cut of one line gave %q", got)
	}
}

func TestFence(t *testing.T) {
	for in, want := range map[string]string{
		"a":                "```x\na\n```",
		"```\na\n`````":    "``````x\n```\na\n`````\n``````",
		"\n\na\r\nb\x00\n": "```x\na\nb\ufffd\n```",
	} {
		if got := Fence("x", in); got != want {
			t.Errorf("Fence(%q): got %q, want %q", in, got, want)
		}
	}
}

func TestLink(t *testing.T) {
	for to, want := range map[string]string{
		"https://x.test/a":            "[w](https://x.test/a)",
		"https://x.test/a)(b|c":       "[w](https://x.test/a%29%28b%7Cc)",
		"":                            "w",
		"javascript:alert(1)":         "w",
		"/runs/1":                     "w",
		"https://x.test/a b\"c<d>\\e": "[w](https://x.test/a%20b%22c%3Cd%3E%5Ce)",
	} {
		if got := Link("w", to); got != want {
			t.Errorf("Link to %q: got %q, want %q", to, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		" a\n\tb\x1b[31m c": "a b c",
		"abcdefghijk":       "abcdefghi…",
		"\u202eabc":         "<U+202E>a…",
		"a\u200bb":          "a<U+200B>b",
		"\U000E0041":        "<U+E0041>",
		"\xff":              "\ufffd",
		"a\x1b]0;title\x07": "a\ufffd]0;titl…",
	} {
		if got := Line(in, 10); got != want {
			t.Errorf("Line(%q): got %q, want %q", in, got, want)
		}
	}
}

// Two long addresses that differ in the end only do not look the same.
func TestName(t *testing.T) {
	long := strings.Repeat("module.a.", 100)
	one, two := Name(long+"one"), Name(long+"two")
	if one == two || len([]rune(one)) != maxName || !strings.HasPrefix(one, "module.a.") || !strings.HasSuffix(one, "one") {
		t.Errorf("Name gave %q and %q", one, two)
	}
	if got := Name(strings.Repeat("b", maxName)); len(got) != maxName {
		t.Errorf("what fits was cut: %q", got)
	}
}

func TestSpans(t *testing.T) {
	for in, want := range map[string][]Span{
		"say `weir plan` now": {{Text: "say "}, {Code: true, Text: "weir plan"}, {Text: " now"}},
		"an odd ` one":        {{Text: "an odd ` one"}},
		"` `":                 {{}, {Text: "` `"}, {}},
		"":                    {{}},
	} {
		if diff := cmp.Diff(want, Spans(in)); diff != "" {
			t.Errorf("Spans(%q): -want +got:\n%s", in, diff)
		}
	}
}
