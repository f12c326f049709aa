package finding

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A marker is one line that no name ends early, and it names one project.
func TestMarker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(
			rapid.String(),
			rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) }),
			rapid.StringMatching(`[a-z/@ .%+<>!\r\n-]{0,20}`),
		).Draw(t, "name")
		marker := Marker(name)
		if strings.Count(marker, "-->") != 1 || !strings.HasSuffix(marker, "-->") || strings.ContainsAny(marker, "\r\n") {
			t.Fatalf("marker of %q: %q", name, marker)
		}
		for _, rest := range []string{"", "\ntext", "\r\ntext", " \ntext", "\n" + Marker("other")} {
			if got := ProjectOf(marker + rest); got != name {
				t.Fatalf("with %q behind it: got %q, want %q", rest, got, name)
			}
		}
	})
}

func TestProjectOf(t *testing.T) {
	for _, body := range []string{
		"", "text", "text\n" + Marker("a"), " " + Marker("a"), Marker("a") + " text",
		"<!-- weir kind=plan project=a -->", "<!-- weir kind=drift-summary -->", "<!-- weir kind=drift project=a", "<!-- weir kind=drift project=%zz -->",
	} {
		if got := ProjectOf(body); got != "" {
			t.Errorf("%q: got %q, want none", body, got)
		}
	}
}

func TestWorst(t *testing.T) {
	hidden := &Ignored{Owner: "alice"}
	for _, c := range []struct {
		findings []Finding
		want     Severity
		open     int
	}{
		{nil, "", 0},
		{[]Finding{{Severity: High, Ignored: hidden}}, "", 0},
		{[]Finding{{Severity: Low}, {Severity: High, Ignored: hidden}}, Low, 1},
		{[]Finding{{Severity: Low}, {Severity: Medium}}, Medium, 2},
		{[]Finding{{Severity: Medium}, {Severity: High}, {Severity: Low}}, High, 3},
	} {
		check := Check{Findings: c.findings}
		if got := check.Worst(); got != c.want {
			t.Errorf("%+v: worst %q, want %q", c.findings, got, c.want)
		}
		if got := len(check.Open()); got != c.open {
			t.Errorf("%+v: %d open, want %d", c.findings, got, c.open)
		}
	}
}
