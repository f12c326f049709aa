// Package worktree makes a directory hold exactly the files of a commit.
package worktree

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // git's format
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"weir/planner/checkout/disk"
	"weir/planner/checkout/git"
	"weir/planner/checkout/mirror"
)

// Files is a directory that is to hold a commit.
type Files struct {
	Root      string
	Index     string // git's notes on the files; lost or wrong ones only cost time
	Commit    string
	LFS       *git.Remote // replace pointers by the files they stand for, from there; nil: do not
	KeepLinks bool        // leave what is in the directories of submodules
}

// Fill makes a directory hold exactly the files of a commit, and returns its
// submodules: path and commit. Files that are right already are only looked
// at. Git knows them by size, inode and times; a plan can set all of these but
// the time of the last change of the inode.
func Fill(ctx context.Context, m *mirror.Mirror, f Files) (links map[string]string, err error) {
	out, err := m.Git.Run(ctx, git.Call{Dir: m.Dir, Args: []string{"ls-tree", "-r", "-z", "--full-tree", f.Commit}})
	if err != nil {
		return nil, err
	}
	tree, links, err := parseTree(out)
	if err != nil {
		return nil, err
	}
	if err := clean(f.Root, tree, f.KeepLinks); err != nil {
		return nil, fmt.Errorf("clean the worktree: %w", err)
	}
	c := git.Call{
		Dir: m.Dir, WorkTree: f.Root, Index: f.Index,
		Args:   []string{"read-tree", "--reset", "-u", f.Commit},
		Config: []string{"checkout.workers=" + strconv.Itoa(min(runtime.NumCPU(), 8))},
	}
	if f.LFS != nil {
		c.Config, c.Remote = append(c.Config, lfsConfig(f.LFS)...), f.LFS
	}
	if err := errors.Join(os.RemoveAll(f.Index+".lock"), dropBroken(f.Index)); err != nil { // a killed git's
		return nil, err
	}
	_, err = m.Git.Run(ctx, c)
	return links, err
}

// dropBroken removes an index that does not end in its own hash, as
// gitformat-index(5) has it. Git itself does not look, and leaves files away
// that the index seems to say are not wanted.
func dropBroken(index string) error {
	data, err := os.ReadFile(index)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && len(data) > sha1.Size {
		body, end := data[:len(data)-sha1.Size], data[len(data)-sha1.Size:]
		if sum := sha1.Sum(body); bytes.Equal(sum[:], end) { //nolint:gosec // it finds accidents
			return nil
		}
	}
	return os.RemoveAll(index)
}

// node is a name in a tree.
type node struct {
	link  bool             // a submodule
	names map[string]*node // nil: a file or symbolic link
}

// parseTree reads the output of git ls-tree -r -z.
func parseTree(out string) (*node, map[string]string, error) {
	top := &node{names: map[string]*node{}}
	links := map[string]string{}
	for _, line := range mirror.Fields(out) {
		meta, path, ok := strings.Cut(line, "\t")
		attr := strings.Fields(meta)
		if !ok || len(attr) != 3 || !IsPath(path) {
			return nil, nil, fmt.Errorf("git ls-tree: unexpected %q", line)
		}
		dir, rest := top, path
		for {
			name, below, more := strings.Cut(rest, "/")
			if !more {
				leaf := &node{link: attr[1] == "commit"}
				if leaf.link {
					leaf.names = map[string]*node{}
					links[path] = attr[2]
				}
				dir.names[name] = leaf
				break
			}
			next := dir.names[name]
			if next == nil {
				next = &node{names: map[string]*node{}}
				dir.names[name] = next
			}
			if next.names == nil {
				return nil, nil, fmt.Errorf("git ls-tree: %q is a file and a directory", path)
			}
			dir, rest = next, below
		}
	}
	return top, links, nil
}

// clean removes from a directory all that a tree does not have, files that
// Git ignores and repositories inside it included, and lets the owner into
// what stays. It follows no link, and cannot be led out of the directory.
func clean(root string, tree *node, keepLinks bool) error {
	parent, err := os.OpenRoot(filepath.Dir(root))
	if err != nil {
		return err
	}
	defer parent.Close() // only read
	return cleanDir(parent, filepath.Base(root), tree, keepLinks)
}

func cleanDir(parent *os.Root, name string, n *node, keepLinks bool) error {
	dir, err := disk.OpenDir(parent, name)
	if err != nil {
		return err
	}
	defer dir.Close() // only read
	entries, err := disk.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		child := n.names[e.Name()]
		switch {
		case child == nil || (child.names != nil) != e.IsDir():
			err = disk.RemoveIn(dir, e.Name())
		case child.link && keepLinks:
		case child.names != nil:
			err = cleanDir(dir, e.Name(), child, keepLinks)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// IsPath says whether a tree can have this path.
func IsPath(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return !strings.Contains(path, "\x00")
}
