package child

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Reach is what of this machine's files a command may use: all that weir's
// user may, but for what is hidden. All paths are absolute. Hidden files can
// neither be read nor written nor run; their names can be listed.
//
// In a directory that holds something hidden nothing can be made, removed or
// renamed; what was there when the command began can be changed.
//
// Whatever its reach, a command can neither look into the memory, environment
// and open files of processes that it did not start, nor send them signals.
// Programs that it runs gain no rights by their owner (setuid).
//
// It is the kernel that holds a command to it: Linux 5.19 or newer with
// Landlock, and 6.12 or newer for signals. Elsewhere nothing does, which the
// log tells once.
type Reach struct {
	Hidden []string // with all that is in them
	Given  []string // these all the same, with all that is in them
	Read   []string // these all the same, to be read and run and not to be written
}

// hidden are the places that a command may not reach, links resolved. One that
// does not exist yet stands for what will be made there.
func (r Reach) hidden() []string {
	var all []string
	for _, path := range r.Hidden {
		all = append(all, resolve(path))
	}
	return all
}

// Free says that a directory neither is, nor holds, nor lies in anything that
// is hidden.
func (r Reach) Free(dir string) bool {
	dir = resolve(dir)
	return !slices.ContainsFunc(r.hidden(), func(path string) bool { return within(dir, path) || within(path, dir) })
}

// within says that path is dir or in it.
func within(dir, path string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// resolve follows links as far as a path exists.
func resolve(path string) string {
	path = filepath.Clean(path)
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	if dir := filepath.Dir(path); dir != path {
		return filepath.Join(resolve(dir), filepath.Base(path))
	}
	return path
}

// open lists the largest files and directories that hold nothing hidden and
// are together all of dir that is not hidden. What is made later in a directory
// that holds something hidden is not among them.
func open(dir string, hidden []string) []string {
	if slices.Contains(hidden, dir) {
		return nil
	}
	below := strings.TrimSuffix(dir, "/") + "/"
	if !slices.ContainsFunc(hidden, func(path string) bool { return strings.HasPrefix(path, below) }) {
		return []string{dir}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // what weir cannot list
	}
	var all []string
	for _, entry := range entries {
		if entry.Type()&os.ModeSymlink == 0 { // what it leads to counts
			all = append(all, open(below+entry.Name(), hidden)...)
		}
	}
	return all
}

// Lost are the directories in which commands could make nothing new if private
// were hidden from them, although weir's user may: those that hold something of
// it. What exists there, and is not hidden, stays within reach.
func Lost(private []string) []string {
	var lost []string
	seen := map[string]bool{}
	for _, path := range (Reach{Hidden: private}).hidden() {
		for dir := filepath.Dir(path); !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			if slices.ContainsFunc(private, func(p string) bool { return dir == p || strings.HasPrefix(dir, p+"/") }) {
				break // hidden itself
			}
			if writable(dir) {
				lost = append(lost, dir)
			}
		}
	}
	return lost
}
