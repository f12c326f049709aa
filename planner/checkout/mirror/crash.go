package mirror

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weir/planner/checkout/disk"
)

// leftovers are the locks and temporary files that a killed git leaves, as
// gitrepository-layout(5) and git's sources name them. gc.pid keeps a later gc
// away for half a day if its number has become that of another process.
var leftovers = []string{
	"*.lock", "packed-refs.new", "gc.pid",
	"objects/tmp_*", "objects/[0-9a-f][0-9a-f]/tmp_obj_*",
	"objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/pack/*.keep", "objects/pack/*.lock",
	"objects/info/*.lock", "objects/info/commit-graphs/*.lock",
}

// clearCrash removes the locks and temporary files of a git that was killed,
// and references that a power cut left empty or spoiled. No git works here now:
// the caller has the mirror exclusively, and this process the directory.
func clearCrash(dir string) error {
	for _, pattern := range leftovers {
		found, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := disk.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return removeRefs(dir, "refs", func(name, content string) bool {
		return strings.HasSuffix(name, lockSuffix) || isBroken(content)
	})
}

const lockSuffix = ".lock"

// isBroken says whether this is not the content of a reference. No mirror has
// symbolic ones but HEAD.
func isBroken(content string) bool {
	name := strings.TrimSuffix(content, "\n")
	return !IsID(name) || strings.Trim(name, "0") == ""
}

// dropBroken removes references by their whole names, or those below them, that
// git lists for nobody and so does not drop either. Others may use the mirror:
// what has no lock's name is always whole, or for ever broken.
func dropBroken(dir string, names ...string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, removeRefs(dir, name, func(name, content string) bool {
			return !strings.HasSuffix(name, lockSuffix) && isBroken(content)
		}))
	}
	return errors.Join(errs...)
}

// removeRefs removes those files of references that are unwanted, at or below
// a name. It is no error if there is nothing.
func removeRefs(dir, name string, unwanted func(name, content string) bool) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() // only read
	return fs.WalkDir(root.FS(), name, func(path string, d fs.DirEntry, err error) error {
		var content []byte
		if err == nil && !d.IsDir() {
			content, err = root.ReadFile(path)
			if err == nil && unwanted(path, string(content)) {
				err = root.Remove(path)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // whoever else works here was faster
		}
		return err
	})
}

// cutPacks finds packs and their indexes that a power cut left without an end.
// Git goes on without them, but cannot pack such a repository.
func cutPacks(dir string) (cut []string, err error) {
	const smallest = 32 // bytes of a pack with nothing in it; an index is larger
	files, err := os.ReadDir(filepath.Join(dir, "objects", "pack"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil && info.Size() < smallest {
			cut = append(cut, f.Name())
		}
	}
	return cut, err
}
