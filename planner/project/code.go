package project

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"weir/planner/project/config"
)

// CodeFiles returns the files that decide what terraform does in a project of
// the checkout at root: those of its directory and its modules (with
// subdirectories that are no modules themselves, hidden ones included), its
// var files, symbolic links among them, and what these lead to inside of the
// checkout. It is sorted. A file that is missing is left out.
func CodeFiles(root string, p Project) ([]string, error) {
	x, in, err := codeOf(root, p)
	if err != nil {
		return nil, fmt.Errorf("list code of %s: %w", p.ID(), err)
	}
	var files []string
	for _, name := range x.names {
		if c := x.change(name); in.owned(c) || in.linked(c) {
			files = append(files, name)
		}
	}
	return files, nil
}

// codeOf lists only the directories that the project is made of, which is
// much less than the checkout.
func codeOf(root string, p Project) (*index, *inputs, error) {
	starts := append([]string{p.Dir}, p.Modules...)
	for _, dir := range starts {
		if clean, err := config.CleanDir(dir); err != nil || clean != dir {
			return nil, nil, fmt.Errorf("directory %q: %w", dir, errors.Join(err, errOutside))
		}
	}
	disk, err := os.OpenRoot(root)
	if err != nil {
		return nil, nil, err
	}
	defer disk.Close() // nothing was written
	for {
		slices.Sort(starts)
		starts = slices.CompactFunc(starts, func(a, b string) bool { return under(b, a) })
		t, err := directoryTree(root, starts...)
		if err != nil {
			return nil, nil, err
		}
		x := newIndex(t)
		// Links may stand on the way to a target that was not listed.
		x.readlink = func(name string) (string, bool) {
			to, err := disk.Readlink(name)
			return to, err == nil
		}
		in := x.inputs(p, nil)
		var more []string
		for _, names := range [][]string{sortedKeys(in.paths), in.trees} {
			for _, name := range names {
				if around, via, err := x.resolve(path.Dir(name)); err != nil || via != nil || around != path.Dir(name) {
					continue // what the link leads to stands here under its own name
				}
				if !slices.ContainsFunc(starts, func(dir string) bool { return under(name, dir) }) {
					more = append(more, name)
				}
			}
		}
		if more == nil {
			return x, in, nil
		}
		starts = append(starts, more...)
	}
}

// CodeHash returns a SHA-256, in hexadecimal, over the names and contents of
// CodeFiles. It does not depend on where the checkout stands. Of a symbolic
// link the text counts.
func CodeHash(root string, p Project) (string, error) {
	files, err := CodeFiles(root, p)
	if err != nil {
		return "", err
	}
	disk, err := os.OpenRoot(root)
	if err != nil {
		return "", fmt.Errorf("hash code of %s: %w", p.ID(), err)
	}
	defer disk.Close() // nothing was written
	all := sha256.New()
	for _, name := range files {
		kind, sum, err := hashFile(disk, name)
		if err != nil {
			return "", fmt.Errorf("hash code of %s: %w", p.ID(), err)
		}
		_, _ = fmt.Fprintf(all, "%s %x %q\n", kind, sum, name) // a hash takes everything
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

func hashFile(disk *os.Root, name string) (kind string, sum []byte, err error) {
	hash := sha256.New()
	if to, err := disk.Readlink(name); err == nil {
		_, _ = io.WriteString(hash, to)
		return "link", hash.Sum(nil), nil
	}
	f, err := disk.Open(name)
	if err != nil {
		return "", nil, err
	}
	defer f.Close() // nothing was written
	if _, err := io.Copy(hash, f); err != nil {
		return "", nil, err
	}
	return "file", hash.Sum(nil), nil
}
