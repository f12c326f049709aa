package project

import (
	"path"
	"slices"
	"strings"

	"weir/planner/project/config"
)

// inputs is what a project is made of in one checkout.
type inputs struct {
	dir      string
	patterns []config.Pattern // of when_modified; nil: the default
	dirs     map[string]bool  // its directory and its modules
	paths    map[string]bool  // files and links elsewhere
	trees    []string         // directories that links point to, with everything inside of them
	above    map[string]bool  // all of these and every directory around them: where a submodule or a link may come to stand
	missing  []string         // what is wrong with each var file; "" where nothing is
	refused  string
}

// inputs finds what a project is made of. p.Modules must be known; via are the
// symbolic links on the way to them.
func (x *index) inputs(p Project, via []string) *inputs {
	in := &inputs{dir: p.Dir, dirs: map[string]bool{p.Dir: true}, paths: map[string]bool{}, above: map[string]bool{}}
	for _, text := range p.WhenModified {
		if one, err := config.NewPattern(p.Dir, text); err == nil { // Parse has refused the others
			in.patterns = append(in.patterns, one)
		}
	}
	for _, dir := range p.Modules {
		in.dirs[dir] = true
	}
	for _, name := range via {
		in.paths[name] = true
	}
	in.missing = make([]string, len(p.VarFiles))
	for i, file := range p.VarFiles {
		name := path.Join(p.Dir, file)
		in.paths[name] = true
		actual, err := in.follow(x, name)
		if err != nil {
			in.missing[i] = "leads through a symbolic link to " + err.Error()
			in.refused = name + " " + in.missing[i]
		} else if !x.isFile(actual) {
			in.missing[i] = "does not exist"
		}
	}
	for name := range x.tree.Links {
		if in.dirs[x.owner(name)] {
			// A link that leads nowhere brings nothing in; it is told in Problems.
			_, _ = in.follow(x, name)
		}
	}
	for name := range in.dirs {
		in.addAbove(name)
	}
	for name := range in.paths {
		in.addAbove(name)
	}
	for _, name := range in.trees {
		in.addAbove(name)
	}
	slices.Sort(in.trees)
	return in
}

// follow adds what a link, or any other name, stands for.
func (in *inputs) follow(x *index, name string) (string, error) {
	actual, via, err := x.resolve(name)
	for _, link := range via {
		in.paths[link] = true
	}
	switch {
	case err != nil || len(via) == 0:
	case !x.isDir(actual):
		in.paths[actual] = true
	case !under(in.dir, actual): // a link to a directory around the project would make it part of itself
		in.trees = append(in.trees, actual)
	}
	return actual, err
}

func (in *inputs) addAbove(name string) {
	for name != "." && name != "/" && !in.above[name] {
		in.above[name] = true
		name = path.Dir(name)
	}
}

// change is a changed file as one side of a change sees it.
type change struct {
	name  string
	owner string // directory of the module it belongs to; "" for none
	quiet bool   // in a hidden directory inside of it, which counts for the code but plans nothing
}

func (x *index) change(name string) change {
	c := change{name: name, owner: x.owner(name)}
	inside := name
	if c.owner != "." {
		inside = strings.TrimPrefix(name, c.owner+"/")
	}
	if path.Dir(name) != c.owner && c.owner != "" {
		c.quiet = slices.ContainsFunc(strings.Split(path.Dir(inside), "/"), func(part string) bool {
			return strings.HasPrefix(part, ".") || pruned(part)
		})
	}
	return c
}

func (x *index) changes(names []string) []change {
	changes := make([]change, len(names))
	for i, name := range names {
		changes[i] = x.change(name)
	}
	return changes
}

// owned reports whether a file belongs to the project's directory or one of
// its modules.
func (in *inputs) owned(c change) bool { return c.name != File && in.dirs[c.owner] }

// linked reports whether a file is part of the project by its own name, or
// because a link leads to a directory around it.
func (in *inputs) linked(c change) bool {
	return in.paths[c.name] || slices.ContainsFunc(in.trees, func(dir string) bool { return under(c.name, dir) })
}

// touched reports whether a change touches the project by default.
func (in *inputs) touched(c change) bool {
	return in.above[c.name] || in.linked(c) || in.owned(c) && !c.quiet
}

// wanted reports whether a change touches the project as weir.yaml wants it.
func (in *inputs) wanted(c change) bool {
	if in.patterns == nil {
		return in.touched(c)
	}
	if under(in.dir, c.name) { // a submodule or link in which the project stands: what changed inside is not known
		return true
	}
	wanted := false
	for _, p := range in.patterns {
		if p.Not == wanted && p.Matches(c.name) {
			wanted = !p.Not
		}
	}
	return wanted
}
