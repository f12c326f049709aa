package checkout

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"weir/planner/checkout/disk"
	"weir/planner/checkout/git"
	"weir/planner/checkout/mirror"
	"weir/planner/checkout/worktree"
)

// fill makes the worktree of a pull request hold exactly the files of co.
func (r *Repos) fill(ctx context.Context, m *mirror.Mirror, w place, from *git.Remote, req Request, co *Checkout) error {
	co.Root = w.root
	f := worktree.Files{Root: w.root, Index: w.index(), Commit: co.Merge, KeepLinks: req.Submodules}
	if req.LFS {
		if err := worktree.FindLFS(); err != nil {
			return err
		}
		f.LFS = from
	}
	if err := errors.Join(r.occupy(w), w.mark(req.LFS)); err != nil {
		return err
	}
	links, err := worktree.Fill(ctx, m, f)
	if err != nil && ctx.Err() == nil && !git.IsDamage(err) && !git.Says(err, "filter lfs failed") {
		// Something is in the way that is not ours to remove, such as files
		// that a plan made as another user. A new directory has none of it.
		r.log().Warn("the worktree cannot be used again", "repo", w.repo, "pull", w.pull, "error", err)
		if err := errors.Join(r.temp.Discard(w.root), r.temp.Discard(w.index()), os.Mkdir(w.root, 0o700)); err != nil {
			return err
		}
		links, err = worktree.Fill(ctx, m, f)
	}
	if err != nil {
		return err
	}
	if req.Submodules {
		return r.fillSubmodules(ctx, m, w, from, req, co, links)
	}
	return r.temp.Discard(w.submodules())
}

func (w place) submodules() string { return filepath.Join(w.admin, "submodules") }

// occupy gives the pull request a worktree: its own, else one of a closed
// pull request, of which most files will be right already, else an empty one.
// Making a file costs many times what looking at one does, and far more yet
// where many were deleted a moment ago, since ext4 does not take their inodes
// again for some time.
func (r *Repos) occupy(w place) error {
	if err := errors.Join(os.MkdirAll(filepath.Dir(w.root), 0o700), os.MkdirAll(w.admin, 0o700)); err != nil {
		return err
	}
	info, err := os.Lstat(w.root)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		err = os.Remove(w.root)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	spares, err := os.ReadDir(w.spare)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, spare := range spares {
		taken := r.temp.Name() // by nobody else
		if os.Rename(filepath.Join(w.spare, spare.Name()), taken) != nil {
			continue
		}
		// An index that belongs to other files only makes git look at each.
		_ = os.Rename(filepath.Join(taken, "index"), w.index())
		if os.Rename(filepath.Join(taken, "files"), w.root) == nil {
			return disk.RemoveAll(taken)
		}
	}
	return os.Mkdir(w.root, 0o700)
}

// retire makes the files a spare worktree, if there are any.
func (r *Repos) retire(w place) error {
	if !disk.Exists(w.root) {
		return r.temp.Discard(w.admin)
	}
	retired := r.temp.Name()
	if err := errors.Join(os.Mkdir(retired, 0o700), disk.Move(w.root, filepath.Join(retired, "files"))); err != nil {
		return err
	}
	if !w.hasLFS() {
		// Files without their index are as good, only slower.
		_ = os.Rename(w.index(), filepath.Join(retired, "index"))
	}
	if err := errors.Join(r.temp.Discard(w.admin), os.MkdirAll(w.spare, 0o700)); err != nil {
		return err
	}
	return os.Rename(retired, filepath.Join(w.spare, filepath.Base(retired)))
}

func (w place) hasLFS() bool { return disk.Exists(filepath.Join(w.admin, "lfs")) }

// mark remembers whether git-lfs made the files, for the index does not tell:
// a pointer and its file are equally up to date.
func (w place) mark(lfs bool) error {
	if w.hasLFS() == lfs {
		return nil
	}
	if err := os.Remove(w.index()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name := filepath.Join(w.admin, "lfs")
	if !lfs {
		return os.Remove(name)
	}
	return os.WriteFile(name, nil, 0o600)
}
