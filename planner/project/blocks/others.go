package blocks

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"weir/planner/project"
	"weir/planner/project/blocks/reading"
	"weir/planner/project/module"
)

// holds reports whether a name is that of a project's directory or of one
// around it. In a list of changed files that is a link or a submodule.
func holds(name string, p project.Project) bool {
	around := func(dir string) bool { return dir == name || strings.HasPrefix(dir, name+"/") }
	return around(p.Dir) || slices.ContainsFunc(p.Modules, around)
}

// quiet reports whether files of a name hold nothing that a plan depends on,
// unless the code reads them as it reads any other: what is written for people
// or for other tools, versions, tests, modules and variables of other projects.
func quiet(name string) bool {
	base := path.Base(name)
	switch base {
	case ".terraform.lock.hcl", ".terraform-version", ".opentofu-version", ".tool-versions", project.File,
		"LICENSE", "CODEOWNERS", "OWNERS", ".gitignore", ".gitattributes", ".editorconfig",
		".tflint.hcl", ".terraform-docs.yml", ".pre-commit-config.yaml":
		return true
	}
	return module.IsSource(name) || module.IsTest(name) || path.Ext(base) == ".md" ||
		strings.HasSuffix(base, ".tfvars") || strings.HasSuffix(base, ".tfvars.json")
}

// mayRead reports whether the project's code may read one of some files. For
// most it is enough that it reads files, of whatever names, or has a part of
// the file's name; of quiet ones it must have a name that may be theirs.
func (r *Reader) mayRead(c Change, others []string) bool {
	if len(others) == 0 {
		return false
	}
	parts := map[string]bool{}
	for _, name := range others {
		if quiet(name) {
			continue
		}
		for part := range strings.SplitSeq(name, "/") {
			if parts[part] = true; len(parts) > maxOthers {
				return true
			}
		}
	}
	files := map[string]*file{}
	for name, data := range c.After {
		if len(parts) > 0 && isDir(c.Project, path.Dir(name)) && reading.Any(data) {
			return true
		}
		for part := range parts {
			if bytes.Contains(data, []byte(part)) {
				return true
			}
		}
		if Reads(c.Project, name) && !r.read(files, c.Project, name, data) {
			return true
		}
	}
	looks := 0
	for _, other := range others {
		for name, f := range files {
			if f.paths == nil { // JSON
				if reading.Any(c.After[name]) || bytes.Contains(c.After[name], []byte(path.Base(other))) {
					return true
				}
				continue
			}
			looks += (1 + strings.Count(other, "/")) * (1 + f.paths.Patterns())
			if looks > maxLooks || f.paths.May(other, path.Dir(name), c.Project.Dir) {
				return true
			}
		}
	}
	return false
}
