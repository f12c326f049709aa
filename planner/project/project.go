// Package project finds the Terraform projects of a repository and says which
// of them a change touches. It reads files and nothing else.
//
// A directory is a project because weir.yaml lists it or, where weir.yaml
// lists none, because it looks like a root module. What a project is made of
// follows from the files: its directory, the local modules it calls at any
// depth, its var files, and what symbolic links in them point to.
package project

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Project is a directory and a Terraform workspace. Two projects are the same
// if Dir and Workspace are equal.
type Project struct {
	Name             string   // from weir.yaml; "" where it has none
	Dir              string   // slash-separated, relative to the repository's root; "." for the root itself
	Workspace        string   // "default" where nothing else is said
	TerraformVersion string   // wanted version; "": any
	VarFiles         []string // relative to Dir, in order; never outside the checkout
	DependsOn        []string // IDs of the projects to be planned and applied before this one
	Backend          string   // type of the backend block, "cloud" for a cloud block, "" for none
	State            string   // names its Terraform state, as in "s3://bucket/env:/blue/key"; "" where the configuration does not show it literally
	Modules          []string // directories of local modules it calls at any depth, sorted, without Dir
	Deleted          bool     // the base has it, the checkout has not

	Autoplan     bool     // planned by itself when a change touches it; otherwise only when somebody asks
	WhenModified []string // patterns of weir.yaml that say what touches it, as written; nil: the default
	Note         string   // set by Affected: why it is planned although the checkout's weir.yaml says otherwise
	Refused      string   // why terraform must not run in it, in words: a link or a module call leaves the repository
}

// ID names the project for people and in DependsOn: its Name, or else Dir, or
// else Dir and Workspace as in "envs/prod@blue" (workspace other than default).
func (p Project) ID() string {
	switch {
	case p.Name != "":
		return p.Name
	case p.Workspace != "default":
		return p.Dir + "@" + p.Workspace
	}
	return p.Dir
}

// key is what makes two projects the same.
type key struct{ dir, workspace string }

func (p Project) key() key { return key{p.Dir, p.Workspace} }

func byID(a, b Project) int { return strings.Compare(a.ID(), b.ID()) }

// Problem is something in a repository that a person should mend. It does not
// keep other projects from being planned.
type Problem struct {
	Dir     string // the directory concerned; "" for weir.yaml itself
	File    string // relative to the repository's root; "" where it is the directory as a whole
	Line    int    // 1-based; 0 where there is none
	Message string // a sentence without a full stop
}

// String returns "FILE:LINE: MESSAGE".
func (p Problem) String() string {
	switch {
	case p.File == "":
		return p.Dir + ": " + p.Message
	case p.Line == 0:
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// Set is the projects of one checkout. It does not change once it is made, so
// it may be used by several goroutines.
type Set struct {
	Projects []Project // sorted by ID; no two have the same ID, or the same Dir and Workspace
	Problems []Problem // sorted by File and Line
	Unlisted []string  // directories that look like root modules but that weir.yaml leaves out

	configured bool // weir.yaml lists the projects
	index      *index
	nodes      map[string]*node // by directory
	inputs     map[key]*inputs
	at         map[key]int // in Projects
}

// Find returns the projects with that directory, workspace and name, sorted by
// ID. An empty argument fits all; name is compared with Name and with ID. All
// comparisons are of whole names: envs/prod does not find envs/prod-eu.
func (s *Set) Find(dir, workspace, name string) []Project {
	if dir != "" {
		dir = path.Clean(dir)
	}
	var found []Project
	for _, p := range s.Projects {
		if (dir == "" || p.Dir == dir) && (workspace == "" || p.Workspace == workspace) &&
			(name == "" || p.Name == name || p.ID() == name) {
			found = append(found, p)
		}
	}
	return found
}

// Ordered puts projects into levels by DependsOn: those of one level depend
// only on those of earlier levels, and are sorted by ID. A dependency that is
// not among the projects is taken as met. Should the dependencies go in a
// circle, which Parse refuses but two versions of weir.yaml together can do,
// the projects of the circle and those behind it make up the last level.
func Ordered(projects []Project) [][]Project {
	rest := slices.Clone(projects)
	slices.SortStableFunc(rest, byID)
	var levels [][]Project
	for len(rest) > 0 {
		waiting := map[string]bool{}
		for _, p := range rest {
			waiting[p.ID()] = true
		}
		var ready, blocked []Project
		for _, p := range rest {
			if slices.ContainsFunc(p.DependsOn, func(id string) bool { return waiting[id] }) {
				blocked = append(blocked, p)
			} else {
				ready = append(ready, p)
			}
		}
		if ready == nil {
			return append(levels, blocked)
		}
		levels = append(levels, ready)
		rest = blocked
	}
	return levels
}

func byPlace(a, b Problem) int {
	return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
		strings.Compare(a.Dir, b.Dir), strings.Compare(a.Message, b.Message))
}

// under reports whether name is dir or something inside of it.
func under(name, dir string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir) && name[len(dir)] == '/'
}
