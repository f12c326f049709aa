package project

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func discoverFiles(t *testing.T, data map[string]string) *Set {
	t.Helper()
	f := files{data, map[string]string{}}
	set, err := f.tree().Discover(f.config(t))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func idsOf(projects []Project) []string {
	ids := []string{}
	for _, p := range projects {
		ids = append(ids, p.ID())
	}
	return ids
}

const backend = "terraform {\n  backend \"s3\" {}\n}\n"

func TestID(t *testing.T) {
	for _, test := range []struct {
		p    Project
		want string
	}{
		{Project{Dir: "a", Workspace: "default"}, "a"},
		{Project{Dir: "a", Workspace: "blue"}, "a@blue"},
		{Project{Dir: ".", Workspace: "default"}, "."},
		{Project{Name: "prod", Dir: "a", Workspace: "blue"}, "prod"},
	} {
		if got := test.p.ID(); got != test.want {
			t.Errorf("%+v: %q, want %q", test.p, got, test.want)
		}
	}
}

// TestI6_NamesThatBeginAlike holds that neither finding nor touching goes by
// the beginning of a name.
func TestI6_NamesThatBeginAlike(t *testing.T) {
	dirs := []string{"envs", "envs/prod", "envs/prod-eu", "envs/prod.eu", "envs/prod/eu", "envs/prod0", "env", "envs/pro", "envs/prod eu", "envs/prod@eu"}
	data := map[string]string{}
	for _, dir := range dirs {
		data[dir+"/main.tf"] = backend
	}
	set := discoverFiles(t, data)
	for _, dir := range dirs {
		for _, name := range []string{"main.tf", "files/x", "files/" + dir + "/x"} {
			got := idsOf(set.Affected([]string{dir + "/" + name}, nil))
			if diff := cmp.Diff([]string{dir}, got); diff != "" {
				t.Errorf("%s/%s touches (-want +got):\n%s", dir, name, diff)
			}
		}
		for _, found := range [][]Project{set.Find(dir, "", ""), set.Find("", "", dir), set.Find(dir+"/", "default", dir)} {
			if diff := cmp.Diff([]string{dir}, idsOf(found)); diff != "" {
				t.Errorf("Find of %s (-want +got):\n%s", dir, diff)
			}
		}
	}
	if got := set.Find("envs/p", "", ""); got != nil {
		t.Errorf("Find of envs/p: %v, want nothing", idsOf(got))
	}
	if got := set.Find("envs/prod", "blue", ""); got != nil {
		t.Errorf("Find of envs/prod in blue: %v, want nothing", idsOf(got))
	}
	if got := len(set.Find("", "", "")); got != len(dirs) {
		t.Errorf("Find without conditions: %d, want all %d", got, len(dirs))
	}
}

func TestOrdered(t *testing.T) {
	for _, test := range []struct {
		name  string
		after map[string][]string
		want  string
	}{
		{"none", map[string][]string{"b": nil, "a": nil}, "a b"},
		{"chain", map[string][]string{"a": {"b"}, "b": {"c"}, "c": nil}, "c|b|a"},
		{"diamond", map[string][]string{"d": {"b", "c"}, "b": {"a"}, "c": {"a"}, "a": nil}, "a|b c|d"},
		{"not among them", map[string][]string{"a": {"elsewhere"}, "b": {"a", "elsewhere"}}, "a|b"},
		{"circle", map[string][]string{"a": {"b"}, "b": {"a"}, "c": {"a"}, "d": nil}, "d|a b c"},
		{"itself", map[string][]string{"a": {"a"}}, "a"},
		{"nothing", nil, ""},
	} {
		var projects []Project
		for dir, on := range test.after {
			projects = append(projects, Project{Dir: dir, Workspace: "default", DependsOn: on})
		}
		var levels []string
		for _, level := range Ordered(projects) {
			levels = append(levels, strings.Join(idsOf(level), " "))
		}
		if got := strings.Join(levels, "|"); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestAffectedWithoutBase(t *testing.T) {
	data := map[string]string{"a/main.tf": backend, "b/main.tf": backend, File: "version: 1\n"}
	set := discoverFiles(t, data)
	if got := idsOf(set.Affected([]string{"a/gone.tf"}, nil)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("a deleted file of a touches %v", got)
	}
	if got := idsOf(set.Affected([]string{File}, nil)); len(got) > 0 {
		t.Errorf("weir.yaml without a list touches %v", got)
	}
	data[File] = "version: 1\nprojects: [{dir: a}, {dir: b, autoplan: false}]\n"
	set = discoverFiles(t, data)
	if got := idsOf(set.Affected([]string{File}, nil)); !slices.Equal(got, []string{"a"}) {
		t.Errorf("weir.yaml with a list touches %v, want all that are planned by themselves", got)
	}
}

func TestTouches(t *testing.T) {
	set := discoverFiles(t, map[string]string{
		"a/main.tf": "module \"m\" {\n  source = \"../m\"\n}\n", "m/main.tf": "variable \"x\" {}\n", "b/main.tf": backend,
		File: "version: 1\nprojects:\n- {dir: a, autoplan: {enabled: false, when_modified: ['../x/*']}}\n- {dir: b}\n",
	})
	p := set.Find("a", "", "")[0]
	for name, want := range map[string]bool{"a/main.tf": true, "m/main.tf": true, "x/y": true, "b/main.tf": false, "y": false} {
		if got := set.Touches(p, []string{"z", name}); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	// Deleted and kept-back projects are not in the Set of the checkout.
	gone := Project{Dir: "gone", Workspace: "default", VarFiles: []string{"../x.tfvars"}}
	if !set.Touches(gone, []string{"x.tfvars"}) {
		t.Error("a var file does not touch a project that is not in the Set")
	}
}

// TestCodeHash holds that the hash follows what decides a plan and nothing
// else, wherever the checkout stands.
func TestCodeHash(t *testing.T) {
	f := files{map[string]string{
		"a/main.tf":           backend + "module \"m\" {\n  source = \"../m\"\n}\n",
		"a/scripts/x.sh":      "echo",
		"a/.hidden/x.sh":      "echo",
		"a/sub/main.tf":       backend,
		"a/sub/x.sh":          "x",
		"m/main.tf":           "variable \"x\" {}\n",
		"m/templates/x.tpl":   "x",
		"common.tfvars":       "x = 1\n",
		"shared/deep/file":    "x",
		"shared/other":        "x",
		"other/main.tf":       backend,
		"a/.terraform/x":      "x",
		"a/node_modules/x.js": "x",
		File:                  "version: 1\nprojects:\n- {dir: a, var_files: [../common.tfvars]}\n",
	}, map[string]string{"a/link": "../shared/deep", "m/to-file": "../shared/other"}}
	hash := func(f files) string {
		t.Helper()
		root := f.write(t)
		set, err := Discover(root, f.config(t))
		if err != nil {
			t.Fatal(err)
		}
		sum, err := CodeHash(root, set.Projects[0])
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	was := hash(f)
	if len(was) != 64 {
		t.Errorf("hash is %q", was)
	}
	if again := hash(f); again != was {
		t.Errorf("in another place the hash is %s, not %s", again, was)
	}
	for name, counts := range map[string]bool{
		"a/main.tf": true, "a/scripts/x.sh": true, "a/.hidden/x.sh": true, "m/main.tf": true, "m/templates/x.tpl": true,
		"common.tfvars": true, "shared/deep/file": true, "shared/other": true, "a/new": true,
		"a/sub/main.tf": false, "a/sub/x.sh": false, "other/main.tf": false, "a/.terraform/x": false, "a/node_modules/x.js": false, "README.md": false,
	} {
		old, there := f.data[name]
		f.data[name] = old + "\n# changed\n"
		if got := hash(f) != was; got != counts {
			t.Errorf("a change of %s changes the hash: %v, want %v", name, got, counts)
		}
		if f.data[name] = old; !there {
			delete(f.data, name)
		}
	}
	// The same bytes under other names, or cut in another way, are not the same code.
	delete(f.data, "a/scripts/x.sh")
	f.data["a/scripts/y.sh"] = "echo"
	if hash(f) == was {
		t.Error("a renamed file does not change the hash")
	}
	delete(f.data, "a/scripts/y.sh")
	f.links["a/scripts/x.sh"] = "echo"
	if hash(f) == was {
		t.Error("a link in the place of a file does not change the hash")
	}
}

func TestCodeFilesStayInside(t *testing.T) {
	root := files{map[string]string{"a/main.tf": backend}, map[string]string{"out": "/etc", "a/passwd": "/etc/passwd"}}.write(t)
	for _, p := range []Project{{Dir: ".."}, {Dir: "/etc"}, {Dir: ""}, {Dir: "a/.."}, {Dir: "a", Modules: []string{"../x"}}} {
		if got, err := CodeFiles(root, p); err == nil {
			t.Errorf("%+v: %v, want an error", p, got)
		}
	}
	for _, p := range []Project{{Dir: "out"}, {Dir: "a", VarFiles: []string{"../out/passwd"}}, {Dir: "gone"}} {
		got, err := CodeFiles(root, p)
		if err != nil {
			t.Errorf("%+v: %v", p, err)
		}
		for _, name := range got {
			if name != "out" && !strings.HasPrefix(name, "a/") {
				t.Errorf("%+v has %s", p, name)
			}
		}
		if _, err := CodeHash(root, p); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for name, f := range map[string]files{
		"good": {map[string]string{
			"a/main.tf": backend + "module \"m\" {\n  source = \"../m\"\n}\n", "m/main.tf": "variable \"x\" {}\n",
			"b/main.tf": backend, "c/main.tf": backend,
			File: "version: 1\nprojects:\n- {name: prod, dir: a, workspace: blue}\n- {dir: b, depends_on: [a], autoplan: false}\n",
		}, nil},
		"problems": {map[string]string{
			"a/main.tf": backend + "module \"m\" {\n  source = \"../../m\"\n}\n", "b/main.tf": "resource {", "weir.yml": "",
		}, nil},
		"mistakes": {map[string]string{File: "version: 1\naply: x\nprojects:\n- {dir: ..}\n"}, nil},
		"empty":    {map[string]string{"README.md": "x"}, nil},
	} {
		report, err := Validate(f.write(t))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := name == "good" || name == "empty"; report.OK() != want {
			t.Errorf("%s is OK: %v, want %v", name, report.OK(), want)
		}
		golden := filepath.Join("testdata", "validate-"+name+".txt")
		if *update {
			if err := os.WriteFile(golden, []byte(report.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), report.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := Validate(filepath.Join(t.TempDir(), "gone")); err == nil {
		t.Error("a directory that does not exist is valid")
	}
	outside := files{nil, map[string]string{File: "/etc/hostname"}}.write(t)
	if report, err := Validate(outside); err == nil {
		t.Errorf("a weir.yaml that leads out of the repository was read: %+v", report)
	}
}

// TestStrangeNames holds that a directory whose name cannot be shown or used
// is told and is no project.
func TestStrangeNames(t *testing.T) {
	set := discoverFiles(t, map[string]string{"a\nb/main.tf": backend, `c\d/main.tf`: backend, "e\u202ef/main.tf": backend, "good one/main.tf": backend})
	if diff := cmp.Diff([]string{"good one"}, idsOf(set.Projects)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(set.Problems) != 3 {
		t.Errorf("problems: %v, want 3", set.Problems)
	}
}

// FuzzResolve holds that no link and no module source leads out of the tree.
func FuzzResolve(f *testing.F) {
	f.Add("a/b", "../c", "c", "/etc", "../x")
	f.Add("l", "l/../l", "m", "l/m/..", "./l")
	f.Add("a", "..", "b", "a/..", "../../..")
	f.Add("/", "0", " ", "0", "0") // a name that is no name had no directory to belong to, for ever
	f.Fuzz(func(t *testing.T, link1, to1, link2, to2, source string) {
		tree := files{
			map[string]string{"a/main.tf": fmt.Sprintf("module \"m\" {\n  source = %q\n}\n", source), "a/b/x.tf": "", "x.tf": ""},
			map[string]string{link1: to1, link2: to2},
		}.tree()
		x := newIndex(tree)
		for _, name := range []string{link1, link2, path.Join(link1, "x"), path.Join("a", source)} {
			if strings.HasPrefix(name, "../") || name == ".." || path.IsAbs(name) {
				continue
			}
			actual, _, err := x.resolve(path.Clean(name))
			if err == nil && (actual == ".." || strings.HasPrefix(actual, "../") || path.IsAbs(actual) || path.Clean(actual) != actual) {
				t.Errorf("%q resolves to %q", name, actual)
			}
		}
		set, err := tree.Discover(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range set.Projects {
			for _, dir := range append(p.Modules, p.Dir) {
				if len(x.sources[dir]) == 0 {
					t.Errorf("%q is no directory of the tree", dir)
				}
			}
		}
	})
}

// large is a repository of 50 projects that call a few of 20 modules, and
// 20,000 other files.
func large(tb testing.TB) string {
	root := tb.TempDir()
	put := func(name, data string) {
		full := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(data), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	for i := range 50 {
		text := backend
		for j := range 3 {
			text += fmt.Sprintf("module \"m%d\" {\n  source = \"../../modules/m%d\"\n}\n", j, (i+j)%20)
		}
		for j := range 20 {
			text += fmt.Sprintf("resource \"terraform_data\" \"r%d\" {\n  input = \"${var.name}-%d\"\n}\n", j, j)
		}
		put(fmt.Sprintf("envs/p%d/main.tf", i), text)
		put(fmt.Sprintf("envs/p%d/variables.tf", i), "variable \"name\" {\n  type = string\n}\n")
	}
	for i := range 20 {
		put(fmt.Sprintf("modules/m%d/main.tf", i), "resource \"terraform_data\" \"r\" {}\n")
	}
	for i := range 20_000 {
		put(fmt.Sprintf("services/s%d/src/d%d/f%d.go", i/200, i/20%10, i), "package x\n")
	}
	return root
}

// BenchmarkDiscover measures what finding the projects takes where 20,000
// other files stand around them: from disk, from a list, and the base's Set
// from the difference. hash50 is the code of all projects.
func BenchmarkDiscover(b *testing.B) {
	root := large(b)
	b.Run("disk", func(b *testing.B) {
		for b.Loop() {
			if _, err := Discover(root, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	set, err := Discover(root, nil)
	if err != nil {
		b.Fatal(err)
	}
	tree := set.index.tree
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			if _, err := tree.Discover(nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("before", func(b *testing.B) {
		for b.Loop() {
			if _, err := set.Before(nil, []string{"envs/p1/main.tf"}, Tree{Files: []string{"envs/p1/main.tf"}, Read: tree.Read}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("hash50", func(b *testing.B) {
		for b.Loop() {
			for _, p := range set.Projects {
				if _, err := CodeHash(root, p); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
