package project

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the golden files")

var ignoreInner = cmpopts.IgnoreUnexported(Set{}, Report{})

// files are those of one side of a change: contents by name, and links by
// name.
type files struct {
	data, links map[string]string
}

func newFiles() files { return files{map[string]string{}, map[string]string{}} }

// tree is the files as a Tree in memory.
func (f files) tree() Tree {
	return Tree{Files: sortedKeys(f.data), Links: f.links, Read: func(name string) ([]byte, error) {
		data, ok := f.data[name]
		if !ok {
			return nil, fmt.Errorf("read %s: %w", name, fs.ErrNotExist)
		}
		return []byte(data), nil
	}}
}

// write puts the files on disk.
func (f files) write(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range append(sortedKeys(f.data), sortedKeys(f.links)...) {
		full := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, ok := f.links[name]; ok {
			err = os.Symlink(to, full)
		} else {
			err = os.WriteFile(full, []byte(f.data[name]), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// config parses the weir.yaml among the files.
func (f files) config(t *testing.T) *Config {
	t.Helper()
	cfg, err := Parse(File, []byte(f.data[File]))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// changed lists the files that differ between two sides, as Git does.
func changed(a, b files) []string {
	differ := map[string]bool{}
	for _, pair := range [][2]map[string]string{{a.data, b.data}, {b.data, a.data}, {a.links, b.links}, {b.links, a.links}} {
		for name, one := range pair[0] {
			if other, ok := pair[1][name]; !ok || one != other {
				differ[name] = true
			}
		}
	}
	return sortedKeys(differ)
}

// TestCases runs the change of each file in testdata: base/ is what was,
// head/ what the pull request makes of it. Where head/ holds a file again it
// is changed; "head/removed" lists what is gone, "head/submodules" changed
// submodules. "base/links" and "head/links" hold lines NAME -> TARGET. What comes of it is in want.
func TestCases(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { runCase(t, name) })
	}
}

func runCase(t *testing.T, name string) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	base, head := newFiles(), newFiles()
	want := ""
	var submodules []string
	add := func(to files, name, data string) {
		switch name {
		case "removed":
			for gone := range strings.FieldsSeq(data) {
				if to.data[gone] == "" && to.links[gone] == "" {
					t.Fatalf("%s is not there to be removed", gone)
				}
				delete(to.data, gone)
				delete(to.links, gone)
			}
		case "submodules":
			submodules = strings.Fields(data)
		case "links":
			for line := range strings.Lines(data) {
				from, target, _ := strings.Cut(strings.TrimSpace(line), " -> ")
				to.links[from] = target
				delete(to.data, from)
			}
		default:
			to.data[name] = data
			delete(to.links, name)
		}
	}
	for _, f := range archive.Files {
		if name, ok := strings.CutPrefix(f.Name, "base/"); ok {
			add(base, name, string(f.Data))
			add(head, name, string(f.Data))
		} else if name, ok := strings.CutPrefix(f.Name, "head/"); ok {
			add(head, name, string(f.Data))
		} else if f.Name == "want" {
			want = string(f.Data)
		}
	}
	root := head.write(t)
	now, err := Discover(root, head.config(t))
	if err != nil {
		t.Fatal(err)
	}
	before, err := base.tree().Discover(base.config(t))
	if err != nil {
		t.Fatal(err)
	}
	sameSets(t, now, before, head, base)

	change := append(changed(base, head), submodules...)
	affected := now.Affected(change, before)
	var got strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&got, format+"\n", args...) }
	line("changed: %s", strings.Join(change, " "))
	for _, p := range now.Projects {
		line("project: %s", describe(p))
	}
	for _, dir := range now.Unlisted {
		line("unlisted: %s", dir)
	}
	for _, p := range now.Problems {
		line("problem: %v", p)
	}
	for _, p := range affected {
		line("affected: %s", describe(p))
	}
	for _, p := range now.Told(change, affected) {
		line("told: %v", p)
	}
	for _, p := range affected {
		if p.Deleted {
			continue
		}
		code, err := CodeFiles(root, p)
		if err != nil {
			t.Fatal(err)
		}
		line("code of %s: %s", p.ID(), strings.Join(code, " "))
	}
	if *update {
		archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
		archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(got.String())})
		if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// sameSets holds that it does not matter how a Set is had: from disk or from
// lists, of all files or from the difference.
func sameSets(t *testing.T, now, before *Set, head, base files) {
	t.Helper()
	listed, err := head.tree().Discover(head.config(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(now, listed, ignoreInner); diff != "" {
		t.Errorf("from disk and from a list (-disk +list):\n%s", diff)
	}
	change := changed(base, head)
	derived, err := now.Before(base.config(t), change, base.tree())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, derived, ignoreInner); diff != "" {
		t.Errorf("base from all files and from the change (-all +change):\n%s", diff)
	}
	if diff := cmp.Diff(now.Affected(change, before), now.Affected(change, derived)); diff != "" {
		t.Errorf("affected, base from all files and from the change (-all +change):\n%s", diff)
	}
}

func describe(p Project) string {
	parts := []string{p.ID()}
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if p.Name != "" {
		add("dir=%s", p.Dir)
	}
	if p.Workspace != "default" {
		add("workspace=%s", p.Workspace)
	}
	if p.Backend != "" {
		add("backend=%s", p.Backend)
	}
	if p.Modules != nil {
		add("modules=%s", strings.Join(p.Modules, ","))
	}
	if p.DependsOn != nil {
		add("after=%s", strings.Join(p.DependsOn, ","))
	}
	if p.Deleted {
		add("deleted")
	}
	if p.Refused != "" {
		add("refused=%q", p.Refused)
	}
	if p.Note != "" {
		add("note=%q", p.Note)
	}
	return strings.Join(parts, " ")
}
