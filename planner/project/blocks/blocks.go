// Package blocks says which blocks of a project a change of its files touched.
// It reads what it is given, evaluates nothing and never fails: what it cannot
// understand may have changed anything.
package blocks

import (
	"crypto/sha256"
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
	maxLooks     = 500_000  // at names that the code has
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
//   - a local or data source that is made of a value that may have changed:
//     of a variable, local, data source or module, or of a resource, as far as
//     what was touched of that may decide the value;
//   - a block within a module, or with a value from one, that such a changed
//     default or output takes part in;
//   - what an import block with a changed value is about, and a module with one
//     in its source, version or depends_on.
//
// Blocks moved, removed and import touch the addresses that they name. A
// module that is called several times has its blocks once for each path of
// calls. Of an old module that nothing calls any more the call was touched.
//
// Anything may have changed where a provider was configured differently, by its
// own block or by a value that it is made of, or comes from elsewhere; where
// the state is kept elsewhere; where a file cannot be read; where a file
// changed that OpenTofu reads and Terraform does not, or the other way round;
// and where another file changed that the code may read.
func (r *Reader) Changed(c Change) []string {
	if size(c.Before) > maxBytes || size(c.After) > maxBytes {
		return nil
	}
	before, after, others := map[string]*file{}, map[string]*file{}, []string(nil)
	for _, name := range c.Files {
		was, existed := c.Before[name]
		is, exists := c.After[name]
		_, instead := c.After[module.Instead(name)]
		switch {
		case Reads(c.Project, name) && (module.IsTofu(name) || instead):
			return nil // which of the two programs is used is not known here
		case Reads(c.Project, name) && (existed || exists):
			if existed && !r.read(before, c.Project, name, was) || exists && !r.read(after, c.Project, name, is) {
				return nil
			}
		case holds(name, c.Project): // it stands where a directory was, or will be
			return nil
		case Reads(c.Project, name):
			return nil // a link or a submodule
		default:
			others = append(others, name)
		}
	}
	changed := map[string]*delta{} // by directory
	for dir := range dirsOf(before, after) {
		if changed[dir] = differ(dir, before, after); changed[dir].anything {
			return nil
		}
	}
	if r.mayRead(c, others) {
		return nil
	}
	variables := movedVariables(c, before, after)
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
