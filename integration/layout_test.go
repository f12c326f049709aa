package integration

import (
	"bytes"
	"cmp"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// maxLines is how much non-test Go a package may hold.
const maxLines = 1500

// layout is the table of docs/architecture.md as data: which packages there
// may be, and which of ours each may import outside of tests. "x/..." means x
// and everything below it. A package that is not in the table fails, so that a
// new one is a decision and not an accident.
var layout = map[string][]string{
	".": {"server", "server/control", "integration/demo"},

	"webhook":      {"webhook/text"},
	"webhook/text": {},
	"policy":       {},

	"store":           {},
	"store/bolt":      {"store"},
	"store/dynamo":    {"store"},
	"store/storetest": {"store"},
	"locks":           {"store", "locks/format"},
	"locks/format":    {"store"},

	"planner": {"locks", "policy", "store", "planner/..."},

	// Steps of the core, each apart, in the order in which they build on
	// each other.
	"planner/live":   {},
	"planner/record": {"locks", "policy", "store", "planner/terraform", "planner/ledger"},
	"planner/scope":  {"policy", "planner/record", "planner/checkout", "planner/project", "planner/project/module", "planner/work"},
	"planner/gate": {
		"locks", "policy", "store", "planner/record", "planner/scope", "planner/checkout", "planner/project", "planner/terraform",
	},
	"planner/run":       {"store", "planner/record", "planner/live", "planner/artifact", "planner/project", "planner/terraform"},
	"planner/result":    {"policy", "planner/record", "planner/terraform"},
	"planner/reconcile": {"locks", "policy", "store", "planner/record", "planner/scope", "planner/work"},
	"planner/tell":      {"policy", "store", "planner/record", "planner/result", "planner/scope", "planner/work"},

	// These know nothing of each other; what they share is the planner's.
	"planner/project/...":   {"planner/project/..."},
	"planner/checkout/...":  {"planner/checkout/..."},
	"planner/terraform/...": {"planner/terraform/..."},
	"planner/artifact/...":  {"planner/artifact/..."},
	"planner/work/...":      {"store", "planner/work/..."},

	"drift":                  {"planner/...", "locks", "store", "drift/...", "templates/markdown"},
	"drift/accept":           {"drift/finding", "planner/project", "planner/project/config", "planner/project/edit/rule", "templates/markdown"},
	"drift/adopt":            {"drift/finding", "planner/project/edit", "planner/terraform", "templates/markdown"},
	"drift/evidence":         {"drift/kind", "planner/...", "store"},
	"drift/finding":          {},
	"drift/kind":             {"drift/finding", "planner/terraform/plan"},
	"drift/rule":             {"drift/finding"},
	"drift/owners":           {},
	"server/notify":          {"drift/finding", "drift/notice"},
	"drift/notice":           {"drift/finding", "store"},
	"drift/origin":           {"drift/evidence", "drift/finding", "drift/kind", "planner/...", "store"},
	"drift/proposal":         {"store"},
	"drift/schedule":         {"store"},
	"drift/report":           {"drift/finding"},
	"drift/upstream":         {},
	"drift/cloudtrail":       {"drift/finding", "drift/cloudtrail/calls"},
	"drift/cloudtrail/calls": {},
	"planner/ledger":         {"store"},
	"templates":              {"planner/...", "policy", "drift/finding", "templates/elsewhere", "templates/markdown"},
	"templates/elsewhere":    {"drift/finding", "planner/record", "planner/result", "templates/markdown"},
	"templates/markdown":     {},
	"templates/drift":        {"drift/finding", "templates/markdown"},

	"server": {
		"webhook", "policy", "store/...", "locks", "planner/...", "drift/...", "templates", "templates/markdown",
		"server/config", "server/control", "server/desk", "server/github", "server/issues", "server/meter", "server/tidy",
	},
	"server/control":    {},
	"server/meter":      {},
	"server/tidy":       {"policy", "store", "planner/..."},
	"server/issues":     {"drift/...", "planner/scope", "policy", "store", "server/config", "server/github", "server/meter", "server/notify", "templates/drift"},
	"server/desk":       {"webhook", "drift", "planner/work", "planner/work/job", "planner/result"},
	"server/config":     {},
	"server/github/...": {"planner/result", "planner/record", "planner/scope", "planner/reconcile", "policy", "drift/finding", "server/github/..."},

	"integration":             {"..."},
	"integration/demo":        {"..."},
	"integration/bench/...":   {"..."},
	"integration/services":    {},
	"integration/sandbox/...": {"webhook", "integration/sandbox/..."},
}

// places says where code of others may be imported outside of tests, by the
// beginning of its import path. What is not listed may be imported anywhere.
var places = []struct {
	prefix string
	in     []string
}{
	{"github.com/aws/", []string{"store/dynamo", "planner/artifact/...", "planner/work/dispatch", "drift/cloudtrail"}},
	{"gocloud.dev/", []string{"planner/artifact/..."}},
	{"github.com/google/go-github/", []string{"server/github/...", "integration"}},
	{"github.com/bradleyfalzon/ghinstallation/", []string{"server/github/..."}},
	{"github.com/gofri/go-github-ratelimit/", []string{"server/github/..."}},
	{"github.com/go-chi/", []string{"server"}},
	{"github.com/hashicorp/", []string{"planner/terraform/...", "planner/project/..."}},
	{"github.com/zclconf/go-cty", []string{"planner/terraform/...", "planner/project/..."}},
	{"go.etcd.io/bbolt", []string{"store/bolt"}},

	// What only tests need is not to be linked into the program.
	{"testing", []string{"store/storetest", "drift/upstream"}},
	{"github.com/google/go-cmp/", []string{"store/storetest"}},
	{"github.com/chromedp/", nil},
	{"github.com/getkin/kin-openapi/", nil},
	{"github.com/rogpeppe/go-internal/testscript", nil},
	{"pgregory.net/rapid", []string{"store/storetest"}},
}

// vague are names that say nothing about what a package does.
var vague = []string{"utils", "common", "helpers", "models", "types"}

// source is what the layout looks at in one package: imports and lines of its
// files that are not tests.
type source struct {
	dir     string // relative to the module's root, slash-separated
	imports []string
	lines   int
}

// covers reports whether a pattern of the table means dir.
func covers(pattern, dir string) bool {
	if pattern == "..." {
		return true
	}
	if parent, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dir == parent || strings.HasPrefix(dir, parent+"/")
	}
	return pattern == dir
}

func coversAny(patterns []string, dir string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return covers(p, dir) })
}

// check returns what is wrong with one package, a sentence each.
func check(s source) []string {
	var wrong []string
	for part := range strings.SplitSeq(s.dir, "/") {
		if slices.Contains(vague, part) {
			wrong = append(wrong, fmt.Sprintf("%s: %q says nothing about what the package does", s.dir, part))
		}
	}
	if s.lines > maxLines {
		wrong = append(wrong, fmt.Sprintf("%s: %d lines of Go outside of tests, at most %d", s.dir, s.lines, maxLines))
	}
	allowed, ok := layout[s.dir]
	if !ok {
		for pattern, imports := range layout {
			if strings.HasSuffix(pattern, "/...") && covers(pattern, s.dir) {
				allowed, ok = imports, true
			}
		}
	}
	if !ok {
		wrong = append(wrong, s.dir+": no such package in the layout")
	}
	for _, imported := range s.imports {
		ours, isOurs := strings.CutPrefix(imported, "weir/")
		switch {
		case imported == "weir":
			wrong = append(wrong, s.dir+": imports the program itself")
		case isOurs && ok && !coversAny(allowed, ours):
			wrong = append(wrong, fmt.Sprintf("%s: may not import weir/%s", s.dir, ours))
		case !isOurs:
			for _, place := range places {
				if begins(imported, place.prefix) && !coversAny(place.in, s.dir) {
					wrong = append(wrong, fmt.Sprintf("%s: may not import %s", s.dir, imported))
				}
			}
		}
	}
	return wrong
}

// begins reports whether an import path is prefix or lies below it.
func begins(imported, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return imported == prefix || strings.HasPrefix(imported, prefix+"/")
}

// sources reads the packages of the module at root, and names the folders with
// vague names that hold no Go at all.
func sources(root string) ([]source, error) {
	found := map[string]*source{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if entry.IsDir() {
			if rel == "." {
				return nil
			}
			base := entry.Name()
			if base == "testdata" || base == "node_modules" || base == "bin" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
				return filepath.SkipDir
			}
			if slices.Contains(vague, base) {
				found[rel] = &source{dir: rel}
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		dir := path.Dir(rel)
		s := found[dir]
		if s == nil {
			s = &source{dir: dir}
			found[dir] = s
		}
		if strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		body, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s.lines += bytes.Count(body, []byte("\n"))
		file, err := parser.ParseFile(token.NewFileSet(), name, body, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if !slices.Contains(s.imports, imported) {
				s.imports = append(s.imports, imported)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	all := make([]source, 0, len(found))
	for _, s := range found {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b source) int { return cmp.Compare(a.dir, b.dir) })
	return all, nil
}

func TestLayout(t *testing.T) {
	t.Parallel()
	all, err := sources("..")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found only %d packages: looked in the wrong place", len(all))
	}
	for _, s := range all {
		for _, wrong := range check(s) {
			t.Error(wrong)
		}
	}
}

func TestLayoutCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   source
		want []string
	}{
		{"as decided", source{dir: "locks", imports: []string{"context", "weir/store"}, lines: maxLines}, nil},
		{"own subfolders", source{dir: "planner", imports: []string{"weir/planner/work"}}, nil},
		{
			"a planner subfolder imports a neighbour",
			source{dir: "planner/project", imports: []string{"weir/planner/checkout"}},
			[]string{"planner/project: may not import weir/planner/checkout"},
		},
		{
			"a prefix of a name is not the name",
			source{dir: "server", imports: []string{"weir/storefront"}},
			[]string{"server: may not import weir/storefront"},
		},
		{
			"the store knows its engines",
			source{dir: "store", imports: []string{"weir/store/bolt"}},
			[]string{"store: may not import weir/store/bolt"},
		},
		{
			"the server imports tests",
			source{dir: "server", imports: []string{"weir/integration/sandbox"}},
			[]string{"server: may not import weir/integration/sandbox"},
		},
		{"HCL in a subfolder of its place", source{
			dir: "planner/project/module", imports: []string{"github.com/hashicorp/hcl/v2", "weir/planner/project"},
		}, nil},
		{"any depth of the sandbox", source{dir: "integration/sandbox/rest/v3", imports: []string{"weir/integration/sandbox/gitrepo"}}, nil},
		{
			"the sandbox stays independent of the server",
			source{dir: "integration/sandbox", imports: []string{"weir/server/github"}},
			[]string{"integration/sandbox: may not import weir/server/github"},
		},
		{
			"the sandbox does not speak go-github",
			source{dir: "integration/sandbox", imports: []string{"github.com/google/go-github/v60/github"}},
			[]string{"integration/sandbox: may not import github.com/google/go-github/v60/github"},
		},
		{
			"AWS in the core",
			source{dir: "planner", imports: []string{"github.com/aws/aws-sdk-go-v2/aws"}},
			[]string{"planner: may not import github.com/aws/aws-sdk-go-v2/aws"},
		},
		{"AWS in its place", source{dir: "store/dynamo", imports: []string{"github.com/aws/aws-sdk-go-v2/service/dynamodb"}}, nil},
		{
			"HCL in the comments",
			source{dir: "templates", imports: []string{"github.com/hashicorp/hcl/v2"}},
			[]string{"templates: may not import github.com/hashicorp/hcl/v2"},
		},
		{
			"chi below the server",
			source{dir: "server/github", imports: []string{"github.com/go-chi/chi/v5"}},
			[]string{"server/github: may not import github.com/go-chi/chi/v5"},
		},
		{
			"the program tests itself",
			source{dir: "server", imports: []string{"testing"}},
			[]string{"server: may not import testing"},
		},
		{
			"testing/fstest too",
			source{dir: "policy", imports: []string{"testing/fstest"}},
			[]string{"policy: may not import testing/fstest"},
		},
		{
			"the program as a library",
			source{dir: "integration", imports: []string{"weir"}},
			[]string{"integration: imports the program itself"},
		},
		{
			"one line too many",
			source{dir: "policy", lines: maxLines + 1},
			[]string{"policy: 1501 lines of Go outside of tests, at most 1500"},
		},
		{
			"not decided",
			source{dir: "planner/cache", imports: []string{"weir/store"}},
			[]string{"planner/cache: no such package in the layout"},
		},
		{
			"a vague name",
			source{dir: "server/utils"},
			[]string{`server/utils: "utils" says nothing about what the package does`, "server/utils: no such package in the layout"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := gocmp.Diff(c.want, check(c.in)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// The decision that explains the dependencies names each direct one, and none
// that is not there.
func TestDependenciesAreExplained(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	const decision = "../docs/decisions/0003-direct-dependencies.md"
	text, err := os.ReadFile(decision)
	if err != nil {
		t.Fatal(err)
	}
	direct, explained := directRequirements(string(mod)), explainedModules(string(text))
	if len(direct) == 0 {
		t.Fatal("go.mod requires nothing: read wrongly")
	}
	for _, module := range direct {
		if !slices.Contains(explained, module) {
			t.Errorf("%s has no line for %s", decision, module)
		}
	}
	for _, module := range explained {
		if !slices.Contains(direct, module) {
			t.Errorf("%s explains %s, which go.mod does not require directly", decision, module)
		}
	}
}

// directRequirements returns the module paths that a go.mod requires without
// "// indirect".
func directRequirements(mod string) []string {
	var direct []string
	block := false
	for line := range strings.Lines(mod) {
		line = strings.TrimSpace(line)
		switch {
		case line == "require (":
			block = true
			continue
		case line == ")":
			block = false
			continue
		}
		single, isSingle := strings.CutPrefix(line, "require ")
		if isSingle {
			line = single
		}
		fields := strings.Fields(line)
		if (block || isSingle) && len(fields) >= 2 && !strings.HasPrefix(line, "//") && !strings.HasSuffix(line, "// indirect") {
			direct = append(direct, fields[0])
		}
	}
	return direct
}

// explainedModules returns the module paths that begin a row of the table:
// "| `path` | why |".
func explainedModules(text string) []string {
	var modules []string
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			if module, _, ok := strings.Cut(rest, "` |"); ok {
				modules = append(modules, module)
			}
		}
	}
	return modules
}

func TestDirectRequirements(t *testing.T) {
	t.Parallel()
	const mod = "module m\n\ngo 1.26.0\n\nrequire example.com/a v1.0.0\n\nrequire (\n\texample.com/b v1.0.0\n\texample.com/c v1.0.0 // indirect\n)\n\nreplace example.com/d => ../d\n"
	if diff := gocmp.Diff([]string{"example.com/a", "example.com/b"}, directRequirements(mod)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
