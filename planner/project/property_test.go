package project

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// side is a repository in the terms of the definition, from which files are
// made. What a project is and what touches it is worked out here again, in
// the plainest way, without the code under test.
type side struct {
	modules map[string]modelModule // by directory
	other   map[string]string      // further files
	listed  []modelProject         // nil: discovered
}

type modelModule struct {
	backend, content bool
	calls            []string
	version          int
}

type modelProject struct {
	dir, workspace string
	autoplan       bool
	rule           int // in modelRules; 0: the default
	varFile        string
	after          int // index in listed that it depends on; -1: none
}

// modelRules are lists of patterns, and what they mean.
var modelRules = []struct {
	patterns []string
	means    func(dir, file string) bool
}{
	{},
	{[]string{"*.tf"}, func(dir, file string) bool { return path.Dir(file) == dir && strings.HasSuffix(file, ".tf") }},
	{[]string{"**", "!x.txt"}, func(dir, file string) bool { return inside(file, dir) && file != path.Join(dir, "x.txt") }},
	{[]string{"**/*", "!**", "**/*.txt"}, func(dir, file string) bool { return inside(file, dir) && strings.HasSuffix(file, ".txt") }},
}

func inside(file, dir string) bool {
	if dir == "." {
		return true
	}
	return len(file) > len(dir) && file[:len(dir)+1] == dir+"/"
}

var (
	modelDirs  = []string{".", "a", "a/b", "a/b/c", "a-b", "ab", "m", "m/n", "m.n", "z"}
	modelFiles = []string{"x.txt", "sub/x.txt", ".h/x.txt", "README.md"}
)

func drawSide(t *rapid.T, label string) side {
	s := side{modules: map[string]modelModule{}, other: map[string]string{}}
	for _, dir := range modelDirs {
		if rapid.IntRange(0, 9).Draw(t, label+" has "+dir) < 6 {
			s.modules[dir] = drawModule(t, label+" "+dir)
		}
	}
	for i := range rapid.IntRange(0, 6).Draw(t, label+" files") {
		at := fmt.Sprintf("%s file %d", label, i)
		s.other[path.Join(rapid.SampledFrom(modelDirs).Draw(t, at+" dir"), rapid.SampledFrom(modelFiles).Draw(t, at))] = "1"
	}
	s.listed = drawList(t, label)
	return s
}

func drawModule(t *rapid.T, label string) modelModule {
	return modelModule{
		backend: rapid.Bool().Draw(t, label+" backend"),
		content: rapid.Bool().Draw(t, label+" content"),
		calls:   rapid.SliceOfNDistinct(rapid.SampledFrom(modelDirs), 0, 2, rapid.ID[string]).Draw(t, label+" calls"),
		version: rapid.IntRange(0, 3).Draw(t, label+" version"),
	}
}

func drawList(t *rapid.T, label string) []modelProject {
	if rapid.Bool().Draw(t, label+" discovers") {
		return nil
	}
	var list []modelProject
	seen := map[string]bool{}
	for i := range rapid.IntRange(1, 5).Draw(t, label+" lists") {
		at := fmt.Sprintf("%s project %d", label, i)
		p := modelProject{
			dir:       rapid.SampledFrom(modelDirs).Draw(t, at),
			workspace: rapid.SampledFrom([]string{"default", "blue"}).Draw(t, at+" workspace"),
			autoplan:  rapid.IntRange(0, 3).Draw(t, at+" autoplan") > 0,
			rule:      rapid.IntRange(0, len(modelRules)-1).Draw(t, at+" rule"),
			varFile:   rapid.SampledFrom([]string{"", "z/x.txt"}).Draw(t, at+" var file"),
			after:     rapid.IntRange(-1, i-1).Draw(t, at+" after"),
		}
		if k := p.dir + " " + p.workspace; !seen[k] {
			seen[k] = true
			p.after = min(p.after, len(list)-1)
			list = append(list, p)
		}
	}
	return list
}

// mutate makes another side out of one, by a few changes.
func mutate(t *rapid.T, s side) side {
	n := side{modules: map[string]modelModule{}, other: map[string]string{}, listed: s.listed}
	for dir, m := range s.modules {
		n.modules[dir] = m
	}
	for name, data := range s.other {
		n.other[name] = data
	}
	for i := range rapid.IntRange(1, 5).Draw(t, "changes") {
		at := fmt.Sprintf("change %d", i)
		dir := rapid.SampledFrom(modelDirs).Draw(t, at+" dir")
		file := path.Join(dir, rapid.SampledFrom(modelFiles).Draw(t, at+" file"))
		switch rapid.IntRange(0, 5).Draw(t, at) {
		case 0:
			delete(n.modules, dir)
		case 1:
			n.modules[dir] = drawModule(t, at)
		case 2:
			if m, ok := n.modules[dir]; ok {
				m.version += 10
				n.modules[dir] = m
			}
		case 3:
			n.other[file] = "2"
		case 4:
			delete(n.other, file)
		case 5:
			n.listed = drawList(t, at)
		}
	}
	return n
}

func (s side) files() files {
	f := newFiles()
	for name, data := range s.other {
		f.data[name] = data
	}
	for dir, m := range s.modules {
		text := fmt.Sprintf("# %d\n", m.version)
		if m.backend {
			text += "terraform {\n  backend \"s3\" {}\n}\n"
		}
		if m.content {
			text += "resource \"terraform_data\" \"x\" {}\n"
		}
		for i, to := range m.calls {
			text += fmt.Sprintf("module \"m%d\" {\n  source = %q\n}\n", i, toRoot(dir)+to)
		}
		f.data[path.Join(dir, "main.tf")] = text
	}
	if s.listed != nil {
		text := "version: 1\nprojects:\n"
		for _, p := range s.listed {
			text += fmt.Sprintf("  - dir: %s\n    workspace: %s\n", p.dir, p.workspace)
			switch patterns := modelRules[p.rule].patterns; {
			case !p.autoplan && patterns == nil:
				text += "    autoplan: false\n"
			case patterns != nil:
				text += fmt.Sprintf("    autoplan: {enabled: %v, when_modified: ['%s']}\n", p.autoplan, strings.Join(patterns, "', '"))
			}
			if p.varFile != "" {
				text += fmt.Sprintf("    var_files: [%s%s]\n", toRoot(p.dir), p.varFile)
			}
			if p.after >= 0 {
				text += fmt.Sprintf("    depends_on: [%s@%s]\n", s.listed[p.after].dir, s.listed[p.after].workspace)
			}
		}
		f.data[File] = text
	}
	return f
}

// toRoot is the way from a directory to the root.
func toRoot(dir string) string {
	if dir == "." {
		return "./"
	}
	return strings.Repeat("../", strings.Count(dir, "/")+1)
}

// projects lists the projects by the definition.
func (s side) projects() []modelProject {
	if s.listed != nil {
		return slices.DeleteFunc(slices.Clone(s.listed), func(p modelProject) bool { _, ok := s.modules[p.dir]; return !ok })
	}
	var list []modelProject
	for dir, m := range s.modules {
		called := false
		for from, other := range s.modules {
			called = called || from != dir && slices.Contains(other.calls, dir)
		}
		if m.backend || (m.content || len(m.calls) > 0) && !called {
			list = append(list, modelProject{dir: dir, workspace: "default", autoplan: true, after: -1})
		}
	}
	return list
}

// reaches reports whether one directory calls another, at any depth.
func (s side) reaches(from, to string, seen map[string]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(s.modules[from].calls, func(next string) bool {
		_, there := s.modules[next]
		return there && s.reaches(next, to, seen)
	})
}

// partOf reports by the definition whether a file is part of what touches a
// project on this side.
func (s side) partOf(p modelProject, file string) bool {
	if modelRules[p.rule].patterns != nil {
		return modelRules[p.rule].means(p.dir, file)
	}
	if p.varFile == file {
		return true
	}
	if file == File {
		return false
	}
	owner := ""
	for dir := range s.modules {
		if inside(file, dir) && (owner == "" || owner == "." || dir != "." && len(dir) > len(owner)) {
			owner = dir
		}
	}
	if owner == "" || !s.reaches(p.dir, owner, map[string]bool{}) {
		return false
	}
	return !strings.Contains("/"+strings.TrimPrefix(file, owner+"/"), "/.h/") // of the pool, the only hidden directory
}

// affected works out Affected by its definition: of all pairs of directory
// and workspace, those that a changed file is part of on a side where the
// file exists, and those that weir.yaml defines differently.
func affectedByDefinition(head, base side, changed []string) []string {
	find := func(s side, p modelProject) (modelProject, bool) {
		for _, q := range s.projects() {
			if q.dir == p.dir && q.workspace == p.workspace {
				return q, true
			}
		}
		return modelProject{}, false
	}
	after := func(s side, p modelProject) string {
		if p.after < 0 {
			return ""
		}
		return s.listed[p.after].dir + " " + s.listed[p.after].workspace
	}
	headFiles, baseFiles := head.files().data, base.files().data
	has := func(files map[string]string, name string) bool { _, ok := files[name]; return ok }
	var found []string
	for _, dir := range modelDirs {
		for _, workspace := range []string{"default", "blue"} {
			h, inHead := find(head, modelProject{dir: dir, workspace: workspace})
			b, inBase := find(base, modelProject{dir: dir, workspace: workspace})
			if !inHead && !inBase {
				continue
			}
			_, stands := head.modules[dir]
			hit, deleted := false, inBase && !stands
			for _, file := range changed {
				if has(headFiles, file) && inHead && h.autoplan && head.partOf(h, file) ||
					has(headFiles, file) && !inHead && stands && b.autoplan && head.partOf(b, file) ||
					has(baseFiles, file) && inBase && b.autoplan && base.partOf(b, file) {
					hit = true
				}
				if deleted && has(baseFiles, file) && (base.partOf(b, file) || base.partOf(modelProject{dir: b.dir, varFile: b.varFile}, file)) {
					hit = true
				}
			}
			if slices.Contains(changed, File) && inHead {
				switch {
				case inBase && (h.autoplan || b.autoplan):
					hit = hit || h.varFile != b.varFile || after(head, h) != after(base, b)
				case !inBase && h.autoplan:
					hit = hit || head.listed != nil
				}
			}
			if hit {
				found = append(found, fmt.Sprintf("%s %s %v", dir, workspace, deleted))
			}
		}
	}
	slices.Sort(found)
	return found
}

// TestAffectedIsItsDefinition compares Affected with the definition above on
// random repositories and changes, and holds what must be true of any result.
func TestAffectedIsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := drawSide(t, "base")
		head := mutate(t, base)
		before, now := discoverSide(t, base), discoverSide(t, head)
		change := changed(base.files(), head.files())
		affected := now.Affected(change, before)

		var got []string
		ids := map[string]bool{}
		for _, p := range affected {
			got = append(got, fmt.Sprintf("%s %s %v", p.Dir, p.Workspace, p.Deleted))
			if ids[p.ID()] {
				t.Errorf("two projects are called %s", p.ID())
			}
			ids[p.ID()] = true
		}
		slices.Sort(got)
		if diff := cmp.Diff(affectedByDefinition(head, base, change), got); diff != "" {
			t.Errorf("changed %v\n(-definition +got):\n%s\nbase: %s\nhead: %s", change, diff, dump(base), dump(head))
		}

		derived, err := now.Before(configOf(t, base), change, base.files().tree())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, derived, ignoreInner); diff != "" {
			t.Errorf("base from all files and from the change (-all +change):\n%s", diff)
		}
		if diff := cmp.Diff(affected, now.Affected(change, derived)); diff != "" {
			t.Errorf("affected, base from all files and from the change (-all +change):\n%s", diff)
		}

		var ordered []Project
		for _, level := range Ordered(affected) {
			for _, p := range level {
				for _, on := range p.DependsOn {
					if ids[on] && !slices.ContainsFunc(ordered, func(q Project) bool { return q.ID() == on }) && on != p.ID() &&
						!slices.ContainsFunc(affected, func(q Project) bool { return q.Note != "" || q.Deleted }) {
						t.Errorf("%s comes before %s, which it depends on", p.ID(), on)
					}
				}
			}
			ordered = append(ordered, level...)
		}
		if len(ordered) != len(affected) {
			t.Errorf("Ordered makes %d projects of %d", len(ordered), len(affected))
		}
	})
}

// TestI7_NoChangeHidesAProject holds that whatever a pull request does to
// weir.yaml and to the files around a project, the project is returned if its
// files as base knows them change and base would plan it.
func TestI7_NoChangeHidesAProject(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := drawSide(t, "base")
		head := mutate(t, base)
		change := changed(base.files(), head.files())
		affected := discoverSide(t, head).Affected(change, discoverSide(t, base))
		for _, p := range base.projects() {
			touched := slices.ContainsFunc(change, func(file string) bool {
				_, there := base.files().data[file]
				return there && base.partOf(p, file)
			})
			if p.autoplan && touched && !slices.ContainsFunc(affected, func(q Project) bool { return q.key() == key{p.dir, p.workspace} }) {
				t.Errorf("%s@%s is hidden by the change of %v", p.dir, p.workspace, change)
			}
		}
	})
}

func discoverSide(t *rapid.T, s side) *Set {
	set, err := s.files().tree().Discover(configOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func configOf(t *rapid.T, s side) *Config {
	cfg, err := Parse(File, []byte(s.files().data[File]))
	if err != nil {
		t.Fatalf("%v\n%s", err, s.files().data[File])
	}
	return cfg
}

func dump(s side) string {
	f := s.files()
	var b strings.Builder
	for _, name := range sortedKeys(f.data) {
		fmt.Fprintf(&b, "\n-- %s --\n%s", name, f.data[name])
	}
	return b.String()
}
