package blocks

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"weir/planner/project"
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

// reading finds functions that read files, and the directories that their
// names are made of.
var reading = regexp.MustCompile(`\b(file|fileexists|filebase64|filemd5|filesha1|filesha256|filesha512|filebase64sha256|filebase64sha512|fileset|templatefile|` +
	`pathexpand|abspath)\s*\(|\bpath\s*\.\s*(module|root|cwd)\b`)

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
		if len(parts) > 0 && isDir(c.Project, path.Dir(name)) && reading.Match(data) {
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
		places := []string{other}
		for dir := path.Dir(other); dir != "."; dir = path.Dir(dir) {
			places = append(places, dir)
		}
		places = append(places, ".")
		for name, f := range files {
			p := f.paths
			if p == nil { // JSON
				if reading.Match(c.After[name]) || bytes.Contains(c.After[name], []byte(path.Base(other))) {
					return true
				}
				continue
			}
			looks += len(places) * (1 + len(p.moduleHoles) + len(p.rootHoles) + len(p.anywhere))
			if looks > maxLooks || p.has(places, path.Dir(name), c.Project.Dir) {
				return true
			}
		}
	}
	return false
}
