package config

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/tools/txtar"
)

var ignorePlaces = cmpopts.IgnoreUnexported(Config{})

// TestParseMistakes compares what is told of each mistake with
// testdata/mistakes.txtar.
func TestParseMistakes(t *testing.T) {
	const file = "testdata/mistakes.txtar"
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	var files []txtar.File
	for _, f := range archive.Files {
		if name, ok := strings.CutSuffix(f.Name, ".want"); ok {
			want[name] = string(f.Data)
			continue
		}
		_, err := Parse("weir.yaml", f.Data)
		got := "no mistake\n"
		var mistakes Errors
		if errors.As(err, &mistakes) {
			got = mistakes.Error() + "\n"
		} else if err != nil {
			t.Errorf("%s: %T, want Errors", f.Name, err)
		}
		files = append(files, f, txtar.File{Name: f.Name + ".want", Data: []byte(got)})
	}
	for i := 0; i < len(files); i += 2 {
		name := files[i].Name
		if diff := cmp.Diff(want[name], string(files[i+1].Data)); diff != "" && !*update {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if *update {
		archive.Files = files
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestParseNothingIsTheDefault(t *testing.T) {
	want := &Config{Version: 1, Apply: "approval", Automerge: "off"}
	for _, doc := range []string{"", "\n", "# version: 1\n", "---\n", "version: 1\n"} {
		got, err := Parse("weir.yaml", []byte(doc))
		if err != nil {
			t.Errorf("%q: %v", doc, err)
			continue
		}
		if diff := cmp.Diff(want, got, ignorePlaces); diff != "" {
			t.Errorf("%q (-want +got):\n%s", doc, diff)
		}
	}
}

func TestParse(t *testing.T) {
	cfg, err := Parse("weir.yaml", []byte(`version: 1
apply: merge
automerge: squash
checkout: {submodules: true, lfs: true}
projects:
  - name: prod
    dir: ./envs/prod/
    terraform_version: 1.11.4
    autoplan:
      when_modified: ["*.tf*", "../../modules/**"]
    depends_on: [envs/network, dns, dns, "envs/prod@blue"]
    var_files: [./prod.tfvars, ../common.tfvars]
  - {dir: envs/network, autoplan: false}
  - {dir: envs/prod, workspace: blue, autoplan: {enabled: true}}
  - {name: dns, dir: .}
approvals:
  - {when: {dirs: ["envs/prod/**"], actions: [delete, replace]}, require: {count: 2, teams: [acme/platform]}}
  - {require: {users: [alice]}}
drift:
  - {dirs: ["**"], schedule: 0 5 * * 1-5}
  - dirs: [envs/*]
    schedule: off
    timezone: Europe/Berlin
    ignore:
      - {address: "aws_x.y[*]", owner: alice, reason: known, until: 2026-12-31}
      - {address: a.b, attribute: tags, owner: acme/platform, reason: "tagged: outside", until: "2026-12-31"}
    severity: [{types: [aws_*], attributes: [tags], severity: low}, {severity: high}]
    assignees: [alice]
`))
	if err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	want := &Config{
		Version: 1, Apply: "merge", Automerge: "squash", Checkout: Checkout{Submodules: true, LFS: true},
		Projects: []Project{
			{
				Name: "prod", Dir: "envs/prod", Workspace: "default", TerraformVersion: "1.11.4",
				Autoplan:  Autoplan{WhenModified: []string{"*.tf*", "../../modules/**"}},
				DependsOn: []string{"dns", "envs/network", "envs/prod@blue"}, VarFiles: []string{"prod.tfvars", "../common.tfvars"},
			},
			{Dir: "envs/network", Workspace: "default", Autoplan: Autoplan{Enabled: &no}},
			{Dir: "envs/prod", Workspace: "blue", Autoplan: Autoplan{Enabled: &yes}},
			{Name: "dns", Dir: ".", Workspace: "default"},
		},
		Approvals: []ApprovalRule{
			{When: When{Dirs: []string{"envs/prod/**"}, Actions: []string{"delete", "replace"}}, Require: Require{Count: 2, Teams: []string{"acme/platform"}}},
			{Require: Require{Count: 1, Users: []string{"alice"}}},
		},
		Drift: []DriftRule{
			{Dirs: []string{"**"}, Schedule: "0 5 * * 1-5"},
			{
				Dirs: []string{"envs/*"}, Schedule: "off", Timezone: "Europe/Berlin", Assignees: []string{"alice"},
				Ignore: []IgnoreRule{
					{Address: "aws_x.y[*]", Attribute: "*", Owner: "alice", Reason: "known", Until: "2026-12-31"},
					{Address: "a.b", Attribute: "tags", Owner: "acme/platform", Reason: "tagged: outside", Until: "2026-12-31"},
				},
				Severity: []SeverityRule{{Types: []string{"aws_*"}, Attributes: []string{"tags"}, Severity: "low"}, {Severity: "high"}},
			},
		},
	}
	if diff := cmp.Diff(want, cfg, ignorePlaces); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := cfg.Line("projects[2].dir"); got != 14 {
		t.Errorf("projects[2].dir is on line %d, want 14", got)
	}
	if got := cfg.Line("drift[1].ignore[1].until"); got != 26 {
		t.Errorf("drift[1].ignore[1].until is on line %d, want 26", got)
	}
	if got := cfg.Line("projects[1].workspace"); got != 13 {
		t.Errorf("projects[1].workspace, which is not written, is on line %d, want that of projects[1], 13", got)
	}
}

func TestDriftRuleFits(t *testing.T) {
	rule := DriftRule{Dirs: []string{"envs/prod/**", "shared", "a?"}}
	for dir, want := range map[string]bool{
		"envs/prod": true, "envs/prod/eu/west": true, "envs/prod-eu": false, "envs": false, "shared": true, "shared/x": false, "ab": true, ".": false,
	} {
		if got := rule.Fits(dir); got != want {
			t.Errorf("%s: %v, want %v", dir, got, want)
		}
	}
	if !(DriftRule{Dirs: []string{"**"}}).Fits(".") {
		t.Error("** does not fit the root")
	}
}

func TestParseErrorsAreFoundByType(t *testing.T) {
	_, err := Parse("weir.yaml", []byte("version: 1\nx: 1\ny: 2\n"))
	var one *Error
	if !errors.As(err, &one) || one.Line != 2 || one.File != "weir.yaml" {
		t.Errorf("errors.As finds %v in %v, want the mistake on line 2", one, err)
	}
}

func TestParseCountsWindowsLinesOnce(t *testing.T) {
	_, err := Parse("weir.yaml", []byte("version: 1\r\n# x\r\nprojects:\r\n  - dir: ..\r\n"))
	if got, want := err.Error(), `weir.yaml:4:10: projects[0].dir ".." leaves the repository`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestParseHostileInput feeds what takes a YAML parser quadratic time or a
// stack without end.
func TestParseHostileInput(t *testing.T) {
	const n = maxConfigSize
	for name, doc := range map[string]string{
		"too large":       strings.Repeat("#\n", n),
		"flow sequences":  strings.Repeat("[\n", n/2),
		"flow mappings":   strings.Repeat("{a: \n", n/5),
		"block sequences": strings.Repeat("- ", n/2),
		"questions":       strings.Repeat("? ? ? ? ? ? ? ? ? ? ? ? ? ? ? ? ? ? ? ? ?\n", n/50),
		"tags":            strings.Repeat("!a ", n/3),
		"anchors":         strings.Repeat("&a ", n/3),
		"quotes":          strings.Repeat(`"`, n),
		"directives":      strings.Repeat("%", n),
		"not UTF-8":       "version: 1\n\xff\n",
		"NUL":             "version: 1\x00\n",
		"aliases": "version: 1\nprojects:\n- {dir: a, var_files: &x [" + strings.Repeat("a, ", 1300) + "]}\n" +
			strings.Repeat("- {dir: a, var_files: *x}\n", 5000),
	} {
		if cfg, err := Parse("weir.yaml", []byte(doc)); err == nil {
			t.Errorf("%s: %+v, want a mistake", name, cfg)
		}
	}
}

func TestPattern(t *testing.T) {
	for _, test := range []struct {
		dir, pattern, file string
		want               bool
	}{
		{"envs/prod", "*.tf", "envs/prod/main.tf", true},
		{"envs/prod", "*.tf", "envs/prod/x/main.tf", false},
		{"envs/prod", "*.tf", "envs/prod-eu/main.tf", false},
		{"envs/prod", "*.tf*", "envs/prod/a.tfvars", true},
		{"envs/prod", "**", "envs/prod/x/y", true},
		{"envs/prod", "**/*.tf", "envs/prod/main.tf", true},
		{"envs/prod", "../../modules/**", "modules/vpc/main.tf", true},
		{"envs/prod", "../../modules/**", "modules-old/main.tf", false},
		{"envs/prod", "./../prod/./*.tf", "envs/prod/main.tf", false}, // only the beginning is worked out
		{"envs/prod", "./../prod/*.tf", "envs/prod/main.tf", true},
		{"envs/prod", "*", "envs/prod/.terraform.lock.hcl", true},
		{"envs/[a]*", "*.tf", "envs/[a]*/main.tf", true},
		{"envs/[a]*", "*.tf", "envs/ab/main.tf", false},
		{"envs/{a,b}", "*.tf", "envs/a/main.tf", false},
		{".", "*.tf", "main.tf", true},
		{".", "envs/**", "envs/a/b", true},
		{"a", "../*.tf", "main.tf", true},
	} {
		p, err := NewPattern(test.dir, test.pattern)
		if err != nil {
			t.Errorf("%s in %s: %v", test.pattern, test.dir, err)
			continue
		}
		if got := p.Matches(test.file); got != test.want {
			t.Errorf("%s in %s and %s: %v, want %v", test.pattern, test.dir, test.file, got, test.want)
		}
	}
}

// FuzzParse holds that nothing panics, that each mistake has a line of the
// file, and that what is accepted stays inside of the repository.
func FuzzParse(f *testing.F) {
	archive, err := txtar.ParseFile("testdata/mistakes.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		f.Add(file.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		watch := time.AfterFunc(20*time.Second, func() { panic(fmt.Sprintf("%q takes for ever", data)) })
		cfg, err := Parse("weir.yaml", data)
		watch.Stop()
		lines := strings.Count(string(data), "\n") + strings.Count(string(data), "\r") + 1
		var mistakes Errors
		if errors.As(err, &mistakes) {
			for _, m := range mistakes {
				if m.Line < 1 || m.Line > lines+1 || m.Column < 1 || m.Message == "" {
					t.Errorf("%v has no place in a file of %d lines", m, lines)
				}
			}
			return
		}
		if err != nil {
			t.Fatalf("%T: %v", err, err)
		}
		ids := map[string]bool{}
		for _, p := range cfg.Projects {
			staysInside(t, p.Dir)
			for _, file := range p.VarFiles {
				staysInside(t, path.Join(p.Dir, file))
			}
			if ids[p.ID()] {
				t.Errorf("two projects are called %q", p.ID())
			}
			ids[p.ID()] = true
		}
	})
}

// FuzzCleanDir holds that a directory that is accepted never leaves the
// repository, by any way of reading it.
func FuzzCleanDir(f *testing.F) {
	for _, dir := range []string{"a", ".", "..", "a/..", "a/../..", "/a", `a\..\..`, "C:/x", "./.git", "a//b/", "..a", "a/..b"} {
		f.Add(dir)
	}
	f.Fuzz(func(t *testing.T, dir string) {
		clean, err := CleanDir(dir)
		if err != nil {
			return
		}
		staysInside(t, clean)
		if again, err := CleanDir(clean); err != nil || again != clean {
			t.Errorf("CleanDir(%q) is %q, and that becomes %q, %v", dir, clean, again, err)
		}
	})
}

func staysInside(t *testing.T, dir string) {
	t.Helper()
	if dir == "" || path.IsAbs(dir) || path.Clean(dir) != dir || strings.Contains(dir, `\`) || path.Join("/root", dir) != "/root" &&
		!strings.HasPrefix(path.Join("/root", dir), "/root/") {
		t.Errorf("%q leaves the repository", dir)
	}
}
