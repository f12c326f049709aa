package checkout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/planner/checkout/disk"
	"weir/planner/checkout/git"
	"weir/planner/checkout/mirror"
)

// Remove gives up everything of one pull request and nothing else: worktree,
// merges and references. It is no error if there is nothing. The files may be
// kept for the next pull request of the repository.
func (r *Repos) Remove(ctx context.Context, repo string, pull int) error {
	w, err := r.placeOf(repo, pull)
	if err == nil {
		err = r.locked(ctx, w, func(m *mirror.Mirror) error { return r.remove(ctx, m, w) })
	}
	if err != nil {
		return fmt.Errorf("remove %s#%d: %w", repo, pull, err)
	}
	return nil
}

func (r *Repos) remove(ctx context.Context, m *mirror.Mirror, w place) error {
	if err := r.retire(w); err != nil || !disk.Exists(m.Dir) {
		return err
	}
	err := m.Use(ctx, func() error { return m.Drop(ctx, pullRefs(w.pull), pullBase(w.pull)) })
	if git.IsDamage(err) {
		r.log().Warn("references stay in a damaged mirror, until it is fetched anew", "repo", w.repo, "pull", w.pull, "error", err)
		return nil
	}
	return err
}

// What Sweep leaves.
const (
	maxSpares = 2                   // worktrees a repository
	maxIdle   = 60 * 24 * time.Hour // of files of LFS and of mirrors of submodules
)

// Sweep bounds the disk. It removes what belongs to pull requests that keep
// does not want (I6: it is asked with the exact name and number of each), spare
// worktrees beyond two a repository, what crashes left half-made, and packs
// mirrors that have become untidy. It goes on after a failure and returns all.
// A pull request that is being checked out is waited for.
func (r *Repos) Sweep(ctx context.Context, keep func(repo string, pull int) bool) error {
	if err := r.setUp(ctx); err != nil {
		return fmt.Errorf("sweep %s: %w", r.Dir, err)
	}
	errs := []error{r.temp.Sweep()}
	for _, repo := range r.known() {
		if err := r.sweepRepo(ctx, repo, keep); err != nil {
			errs = append(errs, fmt.Errorf("sweep %s: %w", repo, err))
		}
		if ctx.Err() != nil {
			return errors.Join(errs...)
		}
	}
	return errors.Join(append(errs, r.sweepSubmodules(ctx))...)
}

// known lists the repositories that something on disk belongs to.
func (r *Repos) known() (repos []string) {
	seen := map[string]bool{}
	for _, kind := range []string{"mirrors", "worktrees", "admin", "spare"} {
		dirs, err := filepath.Glob(r.path(kind, "*", "*"))
		if err != nil {
			continue // the pattern is right
		}
		for _, dir := range dirs {
			base, ok := filepath.Base(dir), true
			if kind == "mirrors" {
				base, ok = strings.CutSuffix(base, ".git")
			}
			name, ok1 := unescape(base)
			owner, ok2 := unescape(filepath.Base(filepath.Dir(dir)))
			repo := owner + "/" + name
			if _, _, err := splitRepo(repo); err == nil && ok && ok1 && ok2 && !seen[repo] {
				seen[repo] = true
				repos = append(repos, repo)
			}
		}
	}
	return repos
}

func (r *Repos) sweepRepo(ctx context.Context, repo string, keep func(string, int) bool) error {
	pulls, err := r.pullsOf(ctx, repo)
	if err != nil {
		return err
	}
	var errs []error
	for pull := range pulls {
		if keep(repo, pull) {
			continue
		}
		w, err := r.placeOf(repo, pull)
		if err != nil {
			return err
		}
		errs = append(errs, r.locked(ctx, w, func(m *mirror.Mirror) error {
			if keep(repo, pull) { // it was opened again while we waited
				return nil
			}
			return r.remove(ctx, m, w)
		}))
	}
	one, err := r.placeOf(repo, 1)
	if err != nil {
		return err
	}
	errs = append(errs, r.sweepSpares(one.spare))
	if m := r.mirror(repo); disk.Exists(m.Dir) {
		errs = append(errs, dropOld(filepath.Join(m.Dir, "lfs")), m.Use(ctx, func() error { return m.Tidy(ctx, branchRefs) }))
	}
	return errors.Join(errs...)
}

// pullsOf finds the pull requests of a repository that have something here.
func (r *Repos) pullsOf(ctx context.Context, repo string) (map[int]bool, error) {
	one, err := r.placeOf(repo, 1)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, dir := range []string{filepath.Dir(one.root), filepath.Dir(one.admin)} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	if m := r.mirror(repo); disk.Exists(m.Dir) {
		err := m.Use(ctx, func() error {
			refs, err := m.Refs(ctx, "refs/weir/pull", "refs/weir/base/pull")
			for _, ref := range refs {
				_, rest, _ := strings.Cut(ref, "/pull/")
				name, _, _ := strings.Cut(rest, "/")
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	pulls := map[int]bool{}
	for _, name := range names {
		if pull, ok := pullNumber(name); ok {
			pulls[pull] = true
		}
	}
	return pulls, nil
}

func (r *Repos) sweepSpares(dir string) error {
	spares, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for i, e := range spares {
		if i >= maxSpares {
			errs = append(errs, r.temp.Discard(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// dropOld deletes files that nobody has written for long.
func dropOld(dir string) error {
	return disk.RemoveFiles(dir, func(info fs.FileInfo) bool { return time.Since(info.ModTime()) > maxIdle })
}

func (r *Repos) sweepSubmodules(ctx context.Context) error {
	dirs, err := filepath.Glob(r.path("submodules", "*.git"))
	errs := []error{err}
	for _, dir := range dirs {
		m := r.mirrorAt("submodule", dir)
		errs = append(errs, m.RemoveIdle(ctx, maxIdle))
		if disk.Exists(m.Dir) {
			errs = append(errs, dropOld(filepath.Join(m.Dir, "lfs")), m.Use(ctx, func() error { return m.Tidy(ctx, branchRefs) }))
		}
	}
	return errors.Join(errs...)
}
