// Package blocks says which blocks of a project a change of its files touched.
// It reads what it is given, evaluates nothing and never fails: what it cannot
// understand may have changed anything.
package blocks

import (
	"crypto/sha256"
	"maps"
	"path"
	"slices"
	"strings"

	"weir/planner/project"
	"weir/planner/project/module"
)

// Change is one of a project's files.
type Change struct {
	Project project.Project // its Dir, Modules and VarFiles count
	Files   []string        // that changed; slash-separated, relative to the repository's root

	// Before and After are contents by name; a file that is not in them does
	// not exist. Before has those of Files for which Reads is true, After has
	// all of the project's for which it is.
	Before, After map[string][]byte
}

// Bounds of what is looked at; a change beyond them may have changed anything.
const (
	maxBlocks    = 20_000   // addresses of one answer; blocks of one file
	maxBytes     = 16 << 20 // of all files of one side
	maxRead      = 32 << 20 // by one Reader; what is made to take long takes a second a MiB
	maxInstances = 1000     // paths of calls
	maxPath      = 1000     // bytes of one
	maxSteps     = 100_000  // of following values
	maxOthers    = 50       // different names of other files and directories
)

// Reader reads files of projects, each content once, and at most 32 MiB: what
// comes later may have changed anything. Its zero value is ready; it is for one
// goroutine.
type Reader struct {
	files map[[sha256.Size]byte]*file
	bytes int // that were read
}

// Reads reports whether the contents of a file count, of those that a project
// is made of: Terraform files of its directories, and its files of variables.
func Reads(p project.Project, name string) bool {
	return isVariables(p, name) || module.IsSource(name) && isDir(p, path.Dir(name))
}

func isDir(p project.Project, dir string) bool {
	return dir == p.Dir || slices.Contains(p.Modules, dir)
}

// isVariables reports whether Terraform reads variables of a project from a
// file ("Assigning Values to Root Module Variables").
func isVariables(p project.Project, name string) bool {
	if slices.ContainsFunc(p.VarFiles, func(file string) bool { return path.Join(p.Dir, file) == name }) {
		return true
	}
	base := strings.TrimSuffix(path.Base(name), ".json")
	return path.Dir(name) == p.Dir && (base == "terraform.tfvars" || strings.HasSuffix(base, ".auto.tfvars"))
}

// Changed returns the addresses of the blocks that a change touched, without
// keys, sorted: "aws_vpc.a", or "aws_vpc.a#tags" where nothing but that argument
// or nested block of a resource was touched, "module.net" for a call and all within it,
// "module.net.aws_vpc.a", "local.a", "var.a" (its default, or its value in a
// file), "data.aws_ami.a", "output.a". Nil: not known, it may have changed
// anything. Empty: none of them, such as a lock file, a comment or formatting.
//
// A plan does not tell what locals are made of, nor that a value comes from
// the default of a module's variable, or what a module's output is made of.
// Therefore these count as touched too:
//   - a local that is made of a changed variable, local or output of a module;
//   - a block within a module, or with a value from one, that such a changed
//     default or output takes part in.
//
// Blocks moved, removed and import touch the addresses that they name. A
// module that is called several times has its blocks once for each path of
// calls. Of an old module that nothing calls any more the call was touched.
//
// Anything may have changed where a provider was configured differently, where
// a file cannot be read, and where another file changed that the code may
// read.
func (r *Reader) Changed(c Change) []string {
	if size(c.Before) > maxBytes || size(c.After) > maxBytes {
		return nil
	}
	before, after, others := map[string]*file{}, map[string]*file{}, []string(nil)
	for _, name := range c.Files {
		was, existed := c.Before[name]
		is, exists := c.After[name]
		switch {
		case Reads(c.Project, name) && (existed || exists):
			if existed && !r.read(before, c.Project, name, was) || exists && !r.read(after, c.Project, name, is) {
				return nil
			}
		case holds(name, c.Project): // it stands where a directory was, or will be
			return nil
		case Reads(c.Project, name):
			return nil // a link or a submodule
		case !harmless(name):
			others = append(others, name)
		}
	}
	changed := map[string]*delta{} // by directory
	for dir := range dirsOf(before, after) {
		if changed[dir] = differ(dir, before, after); changed[dir].anything {
			return nil
		}
	}
	if mayRead(c, others) {
		return nil
	}
	variables := movedVariables(c.Project, before, after)
	if len(variables) == 0 && !slices.ContainsFunc(values(changed), (*delta).some) {
		return []string{}
	}
	t := r.tree(c.Project, c.After)
	if t == nil {
		return nil
	}
	return t.touched(changed, variables)
}

// read reads a file of a project; false where that is not possible.
func (r *Reader) read(to map[string]*file, p project.Project, name string, data []byte) bool {
	sum := sha256.New()
	_, _ = sum.Write([]byte(name + "\x00")) // a hash takes everything
	_, _ = sum.Write(data)
	key := [sha256.Size]byte(sum.Sum(nil))
	f, ok := r.files[key]
	if !ok {
		if r.bytes += len(data); r.bytes > maxRead {
			return false
		}
		if r.files == nil {
			r.files = map[[sha256.Size]byte]*file{}
		}
		f = parse(name, data, isVariables(p, name))
		r.files[key] = f
	}
	to[name] = f
	return f != nil
}

func size(files map[string][]byte) int {
	total := 0
	for _, data := range files {
		total += len(data)
	}
	return total
}

func values[K comparable, V any](m map[K]V) []V {
	var all []V
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

func dirsOf(sides ...map[string]*file) map[string]bool {
	dirs := map[string]bool{}
	for _, side := range sides {
		for name, f := range side {
			if f.variables == nil {
				dirs[path.Dir(name)] = true
			}
		}
	}
	return dirs
}

// delta is what changed in a directory.
type delta struct {
	names    map[string]bool // addresses within the module
	anything bool
}

func (d *delta) some() bool { return len(d.names) > 0 }

// differ compares the blocks of a directory's changed files. It does not
// matter which of them a block stands in, but for override files.
func differ(dir string, before, after map[string]*file) *delta {
	d := &delta{names: map[string]bool{}}
	was, is := prints(dir, before), prints(dir, after)
	for _, pair := range [][2]map[string]*group{{was, is}, {is, was}} {
		for key, g := range pair[0] {
			other := pair[1][key]
			if other != nil && slices.Equal(g.prints, other.prints) {
				continue
			}
			d.anything = d.anything || g.names == nil
			for _, name := range g.names {
				only := arguments(g, other)
				for _, argument := range only {
					d.names[name+"#"+argument] = true
				}
				if len(only) == 0 {
					d.names[name] = true
				}
			}
		}
	}
	return d
}

// group is all blocks of one key.
type group struct {
	prints []string // sorted
	names  []string
	items  []item // of a resource that has one block
}

// arguments are the names of the arguments and nested blocks in which two
// blocks of a resource differ; none where there is more to it.
func arguments(a, b *group) []string {
	if b == nil || a.items == nil || b.items == nil {
		return nil
	}
	names := map[string]bool{}
	for _, pair := range [][2][]item{{a.items, b.items}, {b.items, a.items}} {
		for _, i := range pair[0] {
			of := func(items []item) (prints []string) {
				for _, other := range items {
					if other.name == i.name {
						prints = append(prints, other.print)
					}
				}
				return prints
			}
			if !slices.Equal(of(pair[0]), of(pair[1])) {
				names[i.name] = true
			}
		}
	}
	for name := range names {
		if meta[name] || !isName(name) {
			return nil
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// meta are arguments of any resource, which decide more than one attribute
// ("Meta-arguments", "Dynamic Blocks").
var meta = map[string]bool{
	"count": true, "for_each": true, "provider": true, "depends_on": true, "lifecycle": true,
	"provisioner": true, "connection": true, "dynamic": true,
}

func prints(dir string, files map[string]*file) map[string]*group {
	groups := map[string]*group{}
	for name, f := range files {
		if path.Dir(name) != dir {
			continue
		}
		for _, b := range f.blocks {
			g := groups[b.key]
			if g == nil {
				g = &group{names: b.names, items: b.items}
				groups[b.key] = g
			} else {
				g.items = nil
			}
			text := b.print
			if overrides(name) {
				g.items = nil
				text = path.Base(name) + "\x00" + text
			}
			g.prints = append(g.prints, text)
		}
	}
	for _, g := range groups {
		slices.Sort(g.prints)
	}
	return groups
}

// overrides reports whether a file's blocks are merged into those of others
// ("Override Files"), in the order of the files' names.
func overrides(name string) bool {
	base, _, _ := strings.Cut(path.Base(name), ".")
	return base == "override" || strings.HasSuffix(base, "_override")
}

// movedVariables are the variables of the root module that have other values
// in files.
func movedVariables(p project.Project, before, after map[string]*file) []string {
	type value struct{ file, print string }
	was, is := map[string][]value{}, map[string][]value{}
	for _, side := range []struct {
		files map[string]*file
		to    map[string][]value
	}{{before, was}, {after, is}} {
		for name, f := range side.files {
			for variable, print := range f.variables {
				side.to[variable] = append(side.to[variable], value{name, print})
			}
		}
	}
	var moved []string
	for _, pair := range [][2]map[string][]value{{was, is}, {is, was}} {
		for variable, a := range pair[0] {
			b := pair[1][variable]
			// A value that moves to another file is the same, unless one there was before.
			differ := len(a) != len(b) || len(a) == 1 && a[0].print != b[0].print || len(a) > 1 && !same(a, b)
			if differ {
				moved = append(moved, variable)
			}
		}
	}
	slices.Sort(moved)
	return slices.Compact(moved)
}

// same reports whether two lists have the same elements, each of them once.
func same[T comparable](a, b []T) bool {
	return !slices.ContainsFunc(a, func(v T) bool { return !slices.Contains(b, v) })
}
