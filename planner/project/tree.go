package project

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"weir/planner/project/module"
)

// Tree is the files of a commit, wherever they are kept. All names are
// slash-separated and relative to the repository's root.
type Tree struct {
	Files []string                          // all files, in any order; symbolic links may be left out here
	Links map[string]string                 // symbolic links, and the text of what each points to
	Read  func(name string) ([]byte, error) // reads one of Files that is not a link
}

// directoryTree lists the files of a directory on disk. starts narrows it to
// some names inside, which no link may lead to. Links are listed, never
// followed.
func directoryTree(root string, starts ...string) (Tree, error) {
	t := Tree{Links: map[string]string{}, Read: func(name string) ([]byte, error) { return readFile(root, name) }}
	dir, err := os.OpenRoot(root)
	if err != nil {
		return t, fmt.Errorf("list files: %w", err)
	}
	defer dir.Close() // nothing was written
	for _, start := range starts {
		if to, err := dir.Readlink(start); err == nil {
			t.Links[start] = to
			continue
		}
		err := fs.WalkDir(dir.FS(), start, func(name string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist) && name == start:
				return fs.SkipDir
			case err != nil:
				return err
			case d.IsDir() && name != start && pruned(d.Name()):
				return fs.SkipDir
			case d.Type().IsRegular():
				t.Files = append(t.Files, name)
			case d.Type()&fs.ModeSymlink != 0:
				if t.Links[name], err = dir.Readlink(name); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return t, fmt.Errorf("list files of %s: %w", start, err)
		}
	}
	return t, nil
}

// readFile reads a file inside of root, whatever links come to stand on its
// path in the meantime.
func readFile(root, name string) ([]byte, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer dir.Close() // nothing was written
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, module.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// pruned names directories that belong to a tool and hold no project.
func pruned(name string) bool {
	return strings.EqualFold(name, ".git") || name == ".terraform" || name == ".terragrunt-cache" || name == "node_modules"
}

// index answers questions about a Tree.
type index struct {
	tree     Tree
	names    []string                         // files and links, sorted
	sources  map[string][]string              // Terraform files and links, by directory
	readlink func(name string) (string, bool) // for links that the tree leaves out; nil where it has all
}

func newIndex(t Tree) *index {
	x := &index{tree: t, names: slices.Clone(t.Files), sources: map[string][]string{}}
	for name := range t.Links {
		x.names = append(x.names, name)
	}
	x.names = slices.DeleteFunc(x.names, func(name string) bool {
		dir, base := path.Split(name)
		for part := range strings.SplitSeq(dir, "/") {
			if pruned(part) {
				return true
			}
		}
		return !fs.ValidPath(name) || pruned(base)
	})
	slices.Sort(x.names)
	x.names = slices.Compact(x.names)
	x.tree.Links = map[string]string{}
	for name, to := range t.Links {
		if x.has(name) {
			x.tree.Links[name] = to
		}
	}
	for _, name := range x.names {
		if module.IsSource(name) {
			x.sources[path.Dir(name)] = append(x.sources[path.Dir(name)], name)
		}
	}
	return x
}

// has reports whether name is a file or a link.
func (x *index) has(name string) bool {
	_, ok := slices.BinarySearch(x.names, name)
	return ok
}

// isFile reports whether name is a file and no link.
func (x *index) isFile(name string) bool {
	_, link := x.tree.Links[name]
	return !link && x.has(name)
}

// inside returns the files and links inside of a directory, at any depth.
func (x *index) inside(dir string) []string {
	if dir == "." {
		return x.names
	}
	first, _ := slices.BinarySearch(x.names, dir+"/")
	last, _ := slices.BinarySearch(x.names, dir+"0") // '0' follows '/'
	return x.names[first:last]
}

// isDir reports whether name is a directory with something in it.
func (x *index) isDir(name string) bool { return len(x.inside(name)) > 0 }

// owner returns the directory that a file belongs to: the nearest one around
// it that has Terraform files. "" if there is none.
func (x *index) owner(name string) string {
	for name != "." && name != "/" {
		name = path.Dir(name)
		if len(x.sources[name]) > 0 {
			return name
		}
	}
	return ""
}

// errOutside says that a link leaves the repository.
var errOutside = errors.New("outside of the repository")

// resolve follows the symbolic links on the path of name, the last part
// included. via are the links that it went through. What it returns need not
// exist. Links are followed by their text only, as the system would.
func (x *index) resolve(name string) (actual string, via []string, err error) {
	todo := strings.Split(name, "/")
	actual = "."
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if actual == "." {
				return "", via, errOutside
			}
			actual = path.Dir(actual)
			continue
		}
		next := path.Join(actual, part)
		to, ok := x.tree.Links[next]
		if !ok && x.readlink != nil {
			to, ok = x.readlink(next)
		}
		if !ok {
			actual = next
			continue
		}
		if len(via) >= 40 {
			return "", via, errors.New("a circle of symbolic links")
		}
		via = append(via, next)
		if path.IsAbs(to) {
			return "", via, errOutside
		}
		todo = append(strings.Split(to, "/"), todo...)
	}
	return actual, via, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
