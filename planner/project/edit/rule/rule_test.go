package rule

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"weir/planner/project/config"
)

var update = flag.Bool("update", false, "write what is got as what is wanted")

var known = config.IgnoreRule{
	Address: `aws_instance.web["a"]`, Attribute: "tags", Owner: "acme/platform", Reason: "scaled by hand: until the fair", Until: "2026-12-31",
}

// TestGolden adds an ignore rule to the files of testdata, each in three kinds
// of line ends: NAME.in, whose first line may be "# dir: X", becomes NAME.out,
// or the error is NAME.error.
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no archives", err)
	}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		wrote := &txtar.Archive{Comment: archive.Comment}
		for _, in := range archive.Files {
			base, ok := strings.CutSuffix(in.Name, ".in")
			if !ok {
				continue
			}
			t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar")+"/"+base, func(t *testing.T) {
				dir := "envs/prod"
				if first, _, _ := strings.Cut(string(in.Data), "\n"); strings.HasPrefix(first, "# dir: ") {
					dir = strings.TrimPrefix(first, "# dir: ")
				}
				got := txtar.File{Name: base + ".out"}
				result, err := Accept(in.Data, dir, []config.IgnoreRule{known})
				if got.Data = result; err != nil {
					got = txtar.File{Name: base + ".error", Data: []byte(strings.TrimSuffix(err.Error(), "\n") + "\n")}
				}
				wrote.Files = append(wrote.Files, in, got)
				if *update {
					return
				}
				i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == got.Name })
				if i < 0 {
					t.Fatalf("%s is not wanted:\n%s", got.Name, got.Data)
				}
				if diff := diff.Diff(string(archive.Files[i].Data), string(got.Data)); diff != "" {
					t.Error(diff)
				}
				if err != nil {
					return
				}
				for _, end := range []string{"\n", "\r\n", "\r"} {
					ends := func(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\n"), []byte(end)) }
					again, err := Accept(ends(in.Data), dir, []config.IgnoreRule{known})
					if err != nil || !bytes.Equal(again, ends(result)) {
						t.Errorf("with line ends %q: %v\n%q", end, err, again)
					}
				}
				verify(t, in.Data, result, dir, known)
			})
		}
		if *update {
			if err := os.WriteFile(name, txtar.Format(wrote), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// verify checks what Accept promises of a result.
func verify(t interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}, in, out []byte, dir string, r config.IgnoreRule,
) {
	t.Helper()
	before, err := config.Parse("weir.yaml", in)
	if err != nil {
		t.Fatalf("%v", err)
	}
	after, err := config.Parse("weir.yaml", out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fits := func(c *config.Config, dir string) config.DriftRule {
		for _, r := range c.Drift {
			if r.Fits(dir) {
				return r
			}
		}
		return config.DriftRule{}
	}
	old, now := fits(before, dir), fits(after, dir)
	r.Attribute = cmp.Or(r.Attribute, "*")
	want := append(slices.Clip(old.Ignore), r)
	if slices.Contains(old.Ignore, r) {
		want = old.Ignore
	}
	if diff := diff.Diff(want, now.Ignore); diff != "" {
		t.Errorf("ignored now: %s", diff)
	}
	old.Dirs, old.Ignore, now.Dirs, now.Ignore = nil, nil, nil, nil
	if diff := diff.Diff(old, now); diff != "" {
		t.Errorf("the rest of the rule: %s", diff)
	}
	for _, other := range []string{".", "envs", "envs/prod", "envs/prod2", "envs/test", "envs/prod/x", "b", "a"} {
		if other != dir && !reflect.DeepEqual(fits(before, other), fits(after, other)) {
			t.Errorf("%s is another now:\n%s", other, out)
		}
	}
	// One piece was put in, and nothing else changed.
	n := 0
	for n < len(in) && in[n] == out[n] {
		n++
	}
	if !bytes.HasSuffix(out, in[n:]) {
		t.Errorf("more than one piece changed:\n%s", out)
	}
	again, err := Accept(out, dir, []config.IgnoreRule{r, r})
	if err != nil || !bytes.Equal(again, out) {
		t.Errorf("a second time: %v\n%s", err, again)
	}
}

func TestNoFile(t *testing.T) {
	got, err := Accept(nil, ".", []config.IgnoreRule{{Address: "a.b", Owner: "alice", Reason: "Known; see #12", Until: "2026-12-31"}})
	if err != nil {
		t.Fatal(err)
	}
	want := `version: 1
drift:
  - dirs: ["."]
    ignore:
      - address: a.b
        owner: alice
        reason: "Known; see #12"
        until: 2026-12-31
`
	if diff := diff.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if got, err := Accept(nil, ".", nil); got != nil || err != nil {
		t.Errorf("no rules: %q, %v", got, err)
	}
}

func TestRefused(t *testing.T) {
	change := func(f func(*config.IgnoreRule)) config.IgnoreRule {
		r := known
		f(&r)
		return r
	}
	for _, test := range []struct {
		name, file, dir string
		rule            config.IgnoreRule
		want            string
	}{
		{"outside", "", "../a", known, "leaves the repository"},
		{"no reason", "", "a", change(func(r *config.IgnoreRule) { r.Reason = "" }), `the ignore rule of "aws_instance.web[\"a\"]": drift[0].ignore[0].reason`},
		{"no day", "", "a", change(func(r *config.IgnoreRule) { r.Until = "2026-02-30" }), "is no day of the calendar"},
		{"owner", "", "a", change(func(r *config.IgnoreRule) { r.Owner = "@alice" }), "owner"},
		{"address", "", "a", change(func(r *config.IgnoreRule) { r.Address = "a\nb" }), "line break"},
		{"bytes", "", "a", change(func(r *config.IgnoreRule) { r.Reason = "\xff" }), "not UTF-8"},
		{"too many braces", "", "a/{{{{", known, "too many alternatives"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Accept([]byte(test.file), test.dir, []config.IgnoreRule{test.rule})
			if got != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, %v; want %s", got, err, test.want)
			}
		})
	}
	_, err := Accept([]byte("version: 2\n"), "a", []config.IgnoreRule{known})
	if wrong := config.Errors(nil); !errors.As(err, &wrong) {
		t.Errorf("a broken file: %v", err)
	}
}

// TestOnly checks that the pattern of a directory fits it alone.
func TestOnly(t *testing.T) {
	names := rapid.StringMatching(`[a!*?\[\]{}^,. -]{1,4}(/[a!*?\[\]{}^,.-]{1,3})?`).Filter(func(s string) bool {
		clean, err := config.CleanDir(s)
		return err == nil && clean == s && strings.Count(s, "{") < 3 &&
			// Parse takes these for patterns that leave the repository.
			!slices.Contains(strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("/{,}!", r) }), "..")
	})
	rapid.Check(t, func(t *rapid.T) {
		dir, other := names.Draw(t, "dir"), names.Draw(t, "other")
		r := config.DriftRule{Dirs: []string{only(dir)}}
		if !r.Fits(dir) || r.Fits(other) != (dir == other) {
			t.Errorf("%s fits %s: %v, %s: %v", only(dir), dir, r.Fits(dir), other, r.Fits(other))
		}
		if !isOnly(r.Dirs, dir) {
			t.Errorf("%s is not known as the pattern of %s", only(dir), dir)
		}
		if out, err := Accept(nil, dir, []config.IgnoreRule{known}); err != nil {
			t.Error(err)
		} else {
			verify(t, nil, out, dir, known)
		}
	})
}

// TestProperty puts files together from pieces that people write, with
// comments and blank lines anywhere.
func TestProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		step, gap := rapid.SampledFrom([]int{2, 4}).Draw(t, "step"), rapid.SampledFrom([]int{1, 1, 3}).Draw(t, "gap")
		in := rapid.SampledFrom([]int{0, step}).Draw(t, "in")
		var text strings.Builder
		line := func(indent int, s string) {
			for range rapid.IntRange(0, 6).Draw(t, "noise") / 5 {
				text.WriteString(rapid.SampledFrom([]string{"\n", "# a comment\twith a tab\n", "      # further in\n", "  #\n"}).Draw(t, "between"))
			}
			text.WriteString(strings.Repeat(" ", indent) + s)
			text.WriteString(rapid.SampledFrom([]string{"", "", " # why", "  "}).Draw(t, "behind") + "\n")
		}
		entry := func(indent int, lines ...string) {
			for i, s := range lines {
				if i == 0 {
					line(indent, "-"+strings.Repeat(" ", gap)+s)
				} else {
					line(indent+1+gap, s)
				}
			}
		}
		if rapid.Bool().Draw(t, "header") {
			line(0, "---")
		}
		drift := func() {
			line(0, "drift:")
			for range rapid.IntRange(1, 3).Draw(t, "rules") {
				dirs := rapid.SampledFrom([]string{"[envs/prod]", `["envs/prod", 'envs/prod']`, "[envs/*]", `["**"]`, "[a, b]"}).Draw(t, "dirs")
				entry(in, "dirs: "+dirs)
				if rapid.Bool().Draw(t, "schedule") {
					line(in+1+gap, rapid.SampledFrom([]string{"schedule: 0 5 * * 1-5", "schedule: off"}).Draw(t, "schedule"))
				}
				if rapid.Bool().Draw(t, "ignore") {
					line(in+1+gap, "ignore:")
					for range rapid.IntRange(1, 2).Draw(t, "ignores") {
						reason := rapid.SampledFrom([]string{
							"reason: known", "reason: \"a # b\"", "reason: >-\n                over\n\n                # lines",
							"reason: known,\n                 and more",
						}).Draw(t, "reason")
						entry(in+1+gap+in, "address: a.b", "owner: alice", "until: 2026-01-02", reason)
					}
				}
				if rapid.Bool().Draw(t, "severity") {
					line(in+1+gap, "severity:")
					entry(in+1+gap+in, "types: [aws_*]", "severity: low")
				}
			}
		}
		parts := []func(){
			func() { line(0, "version: 1") }, drift, func() { line(0, "apply: merge") },
			func() { line(0, "projects:"); entry(in, "dir: envs/prod"); entry(in, "dir: b", "workspace: blue") },
		}
		for i, part := range rapid.Permutation(parts).Draw(t, "order") {
			if i == 0 || rapid.IntRange(0, 3).Draw(t, "part") > 0 {
				part()
			}
		}
		file := text.String()
		if rapid.Bool().Draw(t, "crlf") {
			file = strings.ReplaceAll(file, "\n", "\r\n")
		}
		if rapid.Bool().Draw(t, "cut") {
			file = strings.TrimRight(file, "\r\n")
		}
		if _, err := config.Parse("weir.yaml", []byte(file)); err != nil {
			return // such as one without a version
		}
		r := known
		r.Reason = rapid.OneOf(rapid.StringMatching(`[A-Za-z'":#,\\ \n-]{1,30}`), rapid.String(), rapid.SampledFrom([]string{
			"yes", "null", "a: b", "a #b", "- a", "é, ü", " a ", "'a'", `"`, `a "b" 'c'`, "a\tb", "\u2028", "\U0001f600", "2026-01-01", "%", "@a", "`", "x\ny\n",
		})).Filter(func(s string) bool { return strings.TrimSpace(s) != "" && !strings.Contains(s, "\x00") }).Draw(t, "text")
		dir := rapid.SampledFrom([]string{"envs/prod", "envs/test", "b", ".", "x"}).Draw(t, "dir")
		out, err := Accept([]byte(file), dir, []config.IgnoreRule{r})
		if err != nil {
			t.Fatalf("%v\n%s", err, file)
		}
		verify(t, []byte(file), out, dir, r)
	})
}
