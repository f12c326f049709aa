package integration

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"weir/planner/record"
	"weir/server/config"
	"weir/webhook"
)

const root = ".."

// pages returns the text of the manual's pages, by their path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() && (base == "node_modules" || base == "testdata" || base == "example" || base == "bin" || len(base) > 2 && base[0] == '.') {
			return fs.SkipDir
		}
		if !strings.HasSuffix(base, ".md") {
			return nil
		}
		data, err := os.ReadFile(name)
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func page(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	fence   = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	span    = regexp.MustCompile("`([^`\n]+)`")
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// anchors are the fragments that GitHub makes of a page's headings.
func anchors(text string) []string {
	var names []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := strings.ToLower(strings.TrimSpace(m[1]))
		name = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(name, "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}

func TestLinksResolve(t *testing.T) {
	t.Parallel()
	for name, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(span.ReplaceAllString(fence.ReplaceAllString(text, ""), ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			target, fragment, _ := strings.Cut(m[1], "#")
			file, there := name, text
			if target != "" {
				file = filepath.Join(filepath.Dir(name), filepath.FromSlash(target))
				if _, err := os.Stat(file); err != nil {
					t.Errorf("%s: the link to %s leads nowhere", name, m[1])
					continue
				}
			}
			if fragment == "" {
				continue
			}
			if target != "" {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Errorf("%s: the link to %s: %v", name, m[1], err)
					continue
				}
				there = string(data)
			}
			if !slices.Contains(anchors(there), fragment) {
				t.Errorf("%s: %s has no heading for #%s", name, file, fragment)
			}
		}
	}
}

// TestArchitectureNamesWhatExists: the tour named files that had moved.
func TestArchitectureNamesWhatExists(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	top := map[string]bool{}
	for _, e := range entries {
		top[e.Name()] = true
	}
	named := 0
	for _, m := range span.FindAllStringSubmatch(fence.ReplaceAllString(page(t, "docs/architecture.md"), ""), -1) {
		first, _, _ := strings.Cut(m[1], "/")
		if !top[first] && !strings.HasSuffix(m[1], ".go") || strings.ContainsAny(m[1], " {") {
			continue
		}
		named++
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(m[1]))); err != nil {
			t.Errorf("docs/architecture.md names %s: %v", m[1], err)
		}
	}
	if named < 50 {
		t.Errorf("docs/architecture.md names %d paths; the test no longer finds them", named)
	}
	// The other way round: no package without a place in the tour.
	tour := page(t, "docs/architecture.md")
	for _, dir := range packages(t) {
		parent := path.Dir(dir)
		if strings.Contains(tour, "`"+dir+"`") || strings.Contains(parent, "/") && strings.Contains(tour, "`"+parent+"`") {
			continue
		}
		if dir != "." {
			t.Errorf("docs/architecture.md does not name the package %s", dir)
		}
	}
}

// packages lists the folders with Go files that are not tests.
func packages(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := d.Name(); d.IsDir() && (base == "node_modules" || base == "testdata" || base == "tools" || len(base) > 2 && base[0] == '.') {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			dir, err := filepath.Rel(root, filepath.Dir(name))
			if err != nil {
				return err
			}
			dirs = append(dirs, filepath.ToSlash(dir))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

func TestCommandsOfTheManual(t *testing.T) {
	t.Parallel()
	manual := page(t, "docs/commands.md")
	verbs := map[webhook.Verb]bool{}
	for _, m := range fence.FindAllStringSubmatch(manual, -1) {
		for line := range strings.Lines(m[2]) {
			line = strings.TrimSpace(line)
			commands := webhook.Parse(line, []string{"weir"}, "weir[bot]")
			if len(commands) != 1 || commands[0].Problem != "" {
				t.Errorf("docs/commands.md: %q is read as %+v", line, commands)
				continue
			}
			if got := commands[0].Line("weir"); got != line {
				t.Errorf("docs/commands.md: %q is read as %q", line, got)
			}
			verbs[commands[0].Verb] = true
		}
	}
	want := map[webhook.Verb]bool{webhook.Plan: true, webhook.Apply: true, webhook.Unlock: true, webhook.Explain: true, webhook.Help: true, webhook.Drift: true}
	if diff := gocmp.Diff(want, verbs); diff != "" {
		t.Errorf("commands shown in docs/commands.md (-want +got):\n%s", diff)
	}

	_, arguments, _ := strings.Cut(manual, "**Arguments for Terraform**")
	arguments, _, _ = strings.Cut(arguments, "\n\n")
	values := map[string]string{"-target": "a.b", "-replace": "a.b", "-var": "a=b", "-var-file": "a.tfvars", "-parallelism": "4"}
	names := 0
	for _, m := range span.FindAllStringSubmatch(arguments, -1) {
		if !strings.HasPrefix(m[1], "-") || m[1] == "--" {
			continue
		}
		names++
		line := "weir plan -- " + m[1]
		if value := values[m[1]]; value != "" {
			line += "=" + value
		}
		if c := webhook.Parse(line, []string{"weir"}, ""); len(c) != 1 || c[0].Problem != "" {
			t.Errorf("docs/commands.md names %s, which is read as %+v", m[1], c)
		}
	}
	if names != 7 {
		t.Errorf("docs/commands.md names %d arguments, want 7", names)
	}
}

func TestStatesOfTheManual(t *testing.T) {
	t.Parallel()
	_, table, _ := strings.Cut(page(t, "docs/commands.md"), "## States of a project")
	var got []record.State
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(table, -1) {
		got = append(got, record.State(m[1]))
	}
	want := []record.State{
		record.Pending, record.Planning, record.Planned, record.NoChanges, record.PlanFailed,
		record.Applying, record.Applied, record.ApplyFailed, record.Interrupted, record.Skipped,
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("states in docs/commands.md (-want +got):\n%s", diff)
	}
}

// TestServerConfigurationsOfTheManual: each server configuration that the
// manual shows is one that weir starts with.
func TestServerConfigurationsOfTheManual(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"app.pem", "webhook-secret", "pages-password", "token"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("something"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"docs/deployment.md", "docs/configuration.md", "README.md"} {
		shown := 0
		for _, m := range fence.FindAllStringSubmatch(page(t, name), -1) {
			if m[1] != "yaml" {
				continue
			}
			shown++
			file := filepath.Join(dir, "weir-server.yaml")
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(m[2], "/etc/weir/", filepath.ToSlash(dir)+"/")), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, err := config.Load(file, nil); err != nil {
				t.Errorf("the configuration in %s: %v", name, err)
			}
		}
		if shown == 0 {
			t.Errorf("%s shows no configuration", name)
		}
	}
}

// TestMetricsOfTheManual: an alert on a metric that does not exist never rings.
func TestMetricsOfTheManual(t *testing.T) {
	t.Parallel()
	code, err := os.ReadFile(filepath.Join(root, "server", "meter", "meter.go"))
	if err != nil {
		t.Fatal(err)
	}
	// Outputs of the module are named in the same way.
	outputs, err := os.ReadFile(filepath.Join(root, "deploy", "aws", "outputs.tf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, manual := range []string{"docs/deployment.md", "docs/operations.md"} {
		found := 0
		for _, name := range regexp.MustCompile(`\bweir_\w+`).FindAllString(page(t, manual), -1) {
			switch {
			case strings.Contains(string(code), `"`+name+`"`):
				found++
			case !strings.Contains(string(outputs), `output "`+name+`"`):
				t.Errorf("%s names the metric %s, which there is not", manual, name)
			}
		}
		if found == 0 {
			t.Errorf("%s names no metric", manual)
		}
	}
}
