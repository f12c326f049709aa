package owners

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func root(text string) map[string][]byte { return map[string][]byte{"CODEOWNERS": []byte(text)} }

// all are the owners as they are written in a file.
func (o Owners) all() string {
	var s []string
	for _, name := range append(append([]string(nil), o.Users...), o.Teams...) {
		s = append(s, "@"+name)
	}
	return strings.Join(s, " ")
}

// The example on GitHub's page, with the directories that its comments are
// about.
func TestDocumentedExample(t *testing.T) {
	t.Parallel()
	const example = `# This is a comment.
*       @global-owner1 @global-owner2
*.tf    @tf-owner #This is an inline comment.
*.go docs@example.com
*.txt @octo-org/octocats
/build/logs/ @doctocat
docs/*  @docs
apps/ @octocat
/docs/ @doctocat
/scripts/ @doctocat @octocat
**/logs @octocat
/apps/ @octocat
/apps/github
/apps/gitlab @doctocat
`
	r := Read(root(example))
	if len(r.Problems) > 0 {
		t.Errorf("problems: %q", r.Problems)
	}
	for dir, want := range map[string]string{
		".": "@tf-owner", "": "@tf-owner", "envs/prod": "@tf-owner",
		"build/logs": "@octocat", "build/logs/x": "@octocat", "deeply/nested/logs": "@octocat", "logs": "@octocat",
		"docs": "@doctocat", "docs/build-app": "@doctocat", "x/docs": "@tf-owner",
		"x/apps": "@octocat", "x/apps/y": "@octocat", "scripts/a/b": "@doctocat @octocat",
		"apps": "@octocat", "apps/main": "@octocat", "apps/github": "", "apps/github/x": "", "apps/gitlab": "@doctocat", "apps/github2": "@octocat",
	} {
		if got := r.Of(dir).all(); got != want {
			t.Errorf("%q: %q, want %q", dir, got, want)
		}
	}
}

func TestWhichFileCounts(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{
		".github/codeowners": []byte("* @wrong-case"), "envs/CODEOWNERS": []byte("* @not-there"),
		"docs/CODEOWNERS": []byte("* @third"),
	}
	check := func(want string, problems int) {
		t.Helper()
		r := Read(files)
		if got := r.Of("envs/prod").all(); got != want || len(r.Problems) != problems {
			t.Errorf("got %q, problems %q; want %q and %d", got, r.Problems, want, problems)
		}
	}
	check("@third", 0)
	files["CODEOWNERS"] = []byte("* @second")
	check("@second", 0)
	files[".github/CODEOWNERS"] = []byte("* @first")
	check("@first", 0)
	files[".github/CODEOWNERS"] = nil
	check("", 0) // the first that exists, though it is empty
	line := []byte("* @first\n")
	files[".github/CODEOWNERS"] = bytes.Repeat(line, MaxSize/len(line))
	check("@first", 0)
	files[".github/CODEOWNERS"] = append(bytes.Repeat([]byte("\n"), MaxSize-len(line)), line...)
	check("", 1)
	files = nil
	check("", 0)
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, dir, want string
		problem               string // part of the only one; "" for none
	}{
		{"teams and users", "* @alice @Acme/Infra bob@example.com @bob", "a", "@alice @bob @Acme/Infra", ""},
		{"an address alone owns, and is left out", "* @alice\n* bob@example.technology", "a", "", ""},
		{"everybody once", "* @Alice @alice @acme/infra @ACME/infra @acme", "a", "@Alice @acme @acme/infra", ""},
		{"a managed user", "* @alice_acme", "a", "@alice_acme", ""},
		{"tabs, CRLF, no end of line", "\t*\t@alice\t \t@bob \r\n", "a", "@alice @bob", ""},
		{"byte order mark", "\uFEFF* @alice", "a", "@alice", ""},
		{"only the last line of two that are equal", "* @alice\n* @bob", "a", "@bob", ""},
		{"no owner takes away", "* @alice\n/a/", "a", "", ""},
		{"a comment takes away", "* @alice\n/a/ # @bob", "a", "", ""},
		{"a comment without blank", "* @alice#@bob", "a", "@alice", ""},
		{"a hash within a pattern", "* @alice\n/a#b/ @bob", "a#b", "@bob", ""},
		{"an escaped blank", "/my\\ envs/prod/ @bob", "my envs/prod", "@bob", ""},
		{"a blank that is not escaped", "* @alice\n/my envs/prod/ @bob", "my envs/prod", "@alice", "neither"},
		{"an escaped asterisk", "/a\\*/ @bob", "a*", "@bob", ""},
		{"an escaped asterisk is none", "/a\\*/ @bob", "ab", "", ""},
		{"an escaped slash", "\\/a\\/b/ @bob", "a/b", "@bob", ""},
		{"an escaped bracket", "/a\\[1\\]/ @bob", "a[1]", "@bob", ""},
		{"other letters", "/Zürich/*.tf @bob", "Zürich", "@bob", ""},
		{"one other letter", "/Z?rich/ @bob", "Zürich", "@bob", ""},
		{"case matters", "* @alice\n/Envs/ @bob", "envs", "@alice", ""},
		{"negation", "* @alice\n!/a/ @bob", "a", "@alice", "negation"},
		{"an escaped exclamation mark", "/!a/ @bob\n\\!a/ @carol", "!a", "@carol", ""},
		{"a range", "* @alice\n/[ab]/ @bob", "a", "@alice", "ranges"},
		{"a section as in GitLab", "* @alice\n[Infra] @bob", "a", "@alice", "ranges"},
		{"an escaped hash", "* @alice\n\\#a/ @bob", "#a", "@alice", "begin with `#`"},
		{"three asterisks", "* @alice\n***/*.tf @bob", "a", "@alice", "asterisks"},
		{"two and an escaped one", "/**\\**/ @bob", "a*b", "@bob", ""},
		{"a last backslash", "* @alice\n/a\\", "a", "@alice", "backslash"},
		{"an owner that is none", "* @alice\n/a/ @bob carol", "a", "@alice", "`carol`"},
		{"half a team", "* @alice\n/a/ @acme/", "a", "@alice", "`@acme/`"},
		{"two names in one", "* @alice\n/a/ @bob@carol", "a", "@alice", "`@bob@carol`"},
		{"half an address", "* @alice\n/a/ docs@", "a", "@alice", "`docs@`"},
		{"a name that would be markup", "* @alice\n/a/ @`x`<!--", "a", "@alice", "`@?x?<!--`"},
		{"an owner without a pattern is a pattern", "* @alice\n@acme/infra", "a", "@alice", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := Read(root(c.text))
			if got := r.Of(c.dir).all(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			switch {
			case c.problem == "" && len(r.Problems) > 0, c.problem != "" && len(r.Problems) != 1,
				c.problem != "" && !strings.Contains(r.Problems[0], c.problem):
				t.Errorf("problems %q, want one of %q", r.Problems, c.problem)
			}
		})
	}
}

func TestProblemsAreCounted(t *testing.T) {
	t.Parallel()
	r := Read(map[string][]byte{"docs/CODEOWNERS": []byte("# x\n" + strings.Repeat("!x\n", 25) + "* @alice\n")})
	if len(r.Problems) != 21 {
		t.Fatalf("%d problems", len(r.Problems))
	}
	want := []string{"Line 2 of `docs/CODEOWNERS` is skipped: CODEOWNERS has no negation (`!`).", "5 more lines of `docs/CODEOWNERS` are skipped."}
	if d := cmp.Diff(want, []string{r.Problems[0], r.Problems[20]}); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if got := r.Of("a").all(); got != "@alice" {
		t.Errorf("the lines after them: %q", got)
	}
}

// What is said of the owners is the caller's own.
func TestOwnersAreACopy(t *testing.T) {
	t.Parallel()
	r := Read(root("* @alice @acme/infra"))
	o := r.Of("a")
	o.Users[0], o.Teams[0] = "mallory", "mallory"
	if got := r.Of("a").all(); got != "@alice @acme/infra" {
		t.Errorf("got %q", got)
	}
}

// patterns and the directories that they count for, of dirs.
var dirs = []string{".", "envs", "envs/prod", "envs/prod/eu", "envs/product", "a/envs/prod", "prod", "main.tf"}

var patterns = map[string]string{
	"*":                      ". envs envs/prod envs/prod/eu envs/product a/envs/prod prod main.tf",
	"**":                     ". envs envs/prod envs/prod/eu envs/product a/envs/prod prod main.tf",
	"/**":                    ". envs envs/prod envs/prod/eu envs/product a/envs/prod prod main.tf",
	"*.tf":                   ". envs envs/prod envs/prod/eu envs/product a/envs/prod prod main.tf",
	"/*.tf":                  ". main.tf", // what lies in a directory of that name fits, too
	"/*":                     ". *",       // * not so by gitignore
	"/":                      "",
	"//":                     "",
	"**/":                    "envs envs/prod envs/prod/eu envs/product a/envs/prod prod main.tf",
	"*/":                     "envs envs/prod envs/prod/eu envs/product a/envs/prod prod main.tf",
	"main.tf":                ". envs envs/prod envs/prod/eu envs/product a/envs/prod prod main.tf",
	"/main.tf":               ". main.tf",
	"main.tf/":               "main.tf",
	"main.t?":                ". envs envs/prod envs/prod/eu envs/product a/envs/prod prod main.tf",
	"envs":                   "envs envs/prod envs/prod/eu envs/product a/envs/prod",
	"envs/":                  "envs envs/prod envs/prod/eu envs/product a/envs/prod",
	"/envs":                  "envs envs/prod envs/prod/eu envs/product",
	"/envs/":                 "envs envs/prod envs/prod/eu envs/product",
	"env":                    "",
	"prod":                   "envs/prod envs/prod/eu a/envs/prod prod",
	"prod*":                  "envs/prod envs/prod/eu envs/product a/envs/prod prod",
	"*o*d*":                  "envs/prod envs/prod/eu envs/product a/envs/prod prod",
	"p?od":                   "envs/prod envs/prod/eu a/envs/prod prod",
	"envs/prod":              "envs/prod envs/prod/eu",
	"envs/prod/":             "envs/prod envs/prod/eu",
	"/envs/prod/":            "envs/prod envs/prod/eu",
	"/envs/prod/*":           "envs/prod *",
	"/envs/prod/*.tf":        "envs/prod",
	"/envs/prod/network.tf":  "",
	"/envs/prod/main.tf":     "envs/prod",
	"/envs/*":                "envs *",
	"/envs/*/":               "envs/prod envs/prod/eu envs/product",
	"/envs/*/*":              "envs/prod envs/product *",
	"/envs/*.tf":             "envs",
	"/envs/p*":               "envs/prod envs/prod/eu envs/product",
	"/envs/**":               "envs envs/prod envs/prod/eu envs/product",
	"envs/**/":               "envs/prod envs/prod/eu envs/product",
	"envs/**/*.tf":           "envs envs/prod envs/prod/eu envs/product",
	"envs/**/*":              "envs envs/prod envs/prod/eu envs/product",
	"envs/**/eu":             "envs/prod/eu",
	"envs/**/prod":           "envs/prod envs/prod/eu",
	"envs/**/**/prod/**":     "envs/prod envs/prod/eu",
	"**/prod":                "envs/prod envs/prod/eu a/envs/prod prod",
	"**/prod/":               "envs/prod envs/prod/eu a/envs/prod prod",
	"**/envs/prod/main.tf":   "envs/prod a/envs/prod",
	"**/envs/**/main.tf":     "envs envs/prod envs/prod/eu envs/product a/envs/prod",
	"envs//prod":             "",
	"./envs":                 "",
	"envs/pro**":             "envs/prod envs/prod/eu envs/product",
	"a/**/prod":              "a/envs/prod",
	"a/**/envs":              "a/envs/prod",
	"/*/prod/eu/**/main.tf":  "envs/prod/eu",
	"/envs/prod/eu/main.tf/": "",
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for p, want := range patterns {
		r := Read(root(p + " @x"))
		var got []string
		for _, dir := range dirs {
			if r.Of(dir).all() != "" {
				got = append(got, dir)
			}
		}
		if got := strings.Join(got, " "); got != strings.TrimSuffix(strings.TrimSuffix(want, "*"), " ") && want != got || len(r.Problems) > 0 {
			t.Errorf("%s: counts for %q, want %q; problems %q", p, got, want, r.Problems)
		}
	}
}

// TestPatternsAreGits asks Git what it says of the same patterns in a
// .gitignore, as far as GitHub's documentation does not differ.
func TestPatternsAreGits(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no git")
		}
		t.Skip("SKIPPED: there is no git, with which the patterns are compared")
	}
	repo := t.TempDir()
	git := func(in string, args ...string) (string, error) {
		c := exec.CommandContext(t.Context(), "git", append([]string{"-C", repo, "-c", "core.ignoreCase=false"}, args...)...) // #nosec G204 -- the test's own
		c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
		c.Stdin = strings.NewReader(in)
		out, err := c.Output()
		return string(out), err
	}
	if _, err := git("", "init", "-q"); err != nil {
		t.Fatal(err)
	}
	var files strings.Builder
	for _, dir := range dirs {
		files.WriteString(filepath.ToSlash(filepath.Join(dir, "main.tf")) + "\n")
	}
	for p, want := range patterns {
		if strings.HasSuffix(want, " *") {
			continue
		}
		if err := os.WriteFile(filepath.Join(repo, ".gitignore"), []byte(p+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := git(files.String(), "check-ignore", "--no-index", "--stdin")
		if err != nil && out != "" {
			t.Fatal(err)
		}
		var got []string
		for _, file := range strings.Fields(out) {
			got = append(got, filepath.ToSlash(filepath.Dir(file)))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: Git says %q, the table %q", p, got, want)
		}
	}
}

// slow is far more than anything here takes (at most a second), also with the
// race detector.
const slow = 20 * time.Second

// TestAnyFile: no file panics, none takes long, and a line at the end that
// fits all is the one that counts.
func TestAnyFile(t *testing.T) {
	t.Parallel()
	piece := rapid.SampledFrom([]string{
		"*", "**", "***", "?", "/", "\\", "\\ ", " ", "\t", "\n", "\r", "#", "!", "[", "]", "@", "@a", "@a/b", "a@b", "a", "envs", "main.tf", "\x00", "\xff", "é", "\uFEFF",
	})
	text := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 0, 60).Draw(t, "pieces"), "") })
	rapid.Check(t, func(t *rapid.T) {
		file := rapid.OneOf(text, rapid.String()).Draw(t, "file")
		dir := rapid.SampledFrom([]string{".", "envs", "a/a/a", "envs/é", "\xff", "a b"}).Draw(t, "dir")
		r := Read(root(file))
		for _, name := range append(r.Of(dir).Users, r.Of(dir).Teams...) {
			if strings.ContainsAny(name, "@# \t\n`") || name == "" {
				t.Fatalf("%q cannot be an owner", name)
			}
		}
		if got := Read(root(file + "\n* @last")).Of(dir).all(); got != "@last" {
			t.Fatalf("the last line does not count: %q", got)
		}
		if got := Read(root(file + "\n*")).Of(dir).all(); got != "" {
			t.Fatalf("the last line takes nothing away: %q", got)
		}
		before := r.Of(dir)
		if d := cmp.Diff(before, Read(root(file+"\n/nowhere/else @last")).Of(dir)); d != "" {
			t.Fatalf("a line about something else changes it:\n%s", d)
		}
		if d := cmp.Diff(before, Read(root("* @first\n/"+"nowhere @x\n* \n"+file)).Of(dir)); d != "" {
			t.Fatalf("lines before, that own nothing in the end, change it:\n%s", d)
		}
	})
}

func TestLargeFilesAreFast(t *testing.T) {
	t.Parallel()
	fill := func(s string) string { return strings.Repeat(s, MaxSize/4/len(s)) }
	deep := strings.Repeat("a/", 100) + "a"
	long := strings.Repeat("a", 255)
	for name, text := range map[string]string{
		"lines":           fill("*a*b*c* @x\n"),
		"deep lines":      fill("**/a/**/b/**/c @x\n"),
		"stars":           fill("*a") + " @x",
		"stars, long":     strings.Repeat("*a", 1500) + "b @x",
		"many long":       fill(strings.Repeat("*a", 20) + "b @x\n"),
		"parts":           fill("**/a/") + "b @x",
		"parts, deep":     strings.Repeat("**/a/", 900) + "b @x",
		"owners":          "* " + fill("@a ") + "\n/x",
		"owners, unalike": "* " + unalike() + "\n/x",
		"bad lines":       fill("!\n"),
		"empty lines":     fill("\n"),
		"slashes":         fill("/"),
		"backslashes":     fill("\\"),
	} {
		began := time.Now()
		r := Read(root(text))
		for _, dir := range []string{"a/b/c", deep, long} {
			_ = r.Of(dir)
		}
		if took := time.Since(began); took > slow {
			t.Errorf("%s: took %v", name, took)
		} else {
			t.Logf("%s: %v", name, took)
		}
	}
}

func unalike() string {
	var b strings.Builder
	for i := 0; b.Len() < MaxSize/4; i++ {
		fmt.Fprintf(&b, "@u%d ", i)
	}
	return b.String()
}
