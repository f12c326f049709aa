package checkout

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"weir/planner/checkout/git"
	"weir/planner/checkout/mirror"
	"weir/planner/checkout/worktree"
)

// Fetch gets the newest commit of a branch and returns its id. A branch that
// does not exist is a *GoneError.
func (r *Repos) Fetch(ctx context.Context, repo, cloneURL, branch string) (commit string, err error) {
	if commit, err = r.fetchBranch(ctx, repo, cloneURL, branch); err != nil {
		return "", fmt.Errorf("fetch %s of %s: %w", branch, repo, err)
	}
	return commit, nil
}

func (r *Repos) fetchBranch(ctx context.Context, repo, cloneURL, branch string) (commit string, err error) {
	if _, _, err := splitRepo(repo); err != nil {
		return "", err
	}
	if err := checkBranch(branch); err != nil {
		return "", err
	}
	if err := r.setUp(ctx); err != nil {
		return "", err
	}
	m, ref := r.mirror(repo), branchRef(branch)
	unlock, err := r.pulls.lock(ctx, m.Dir+" "+branch)
	if err != nil {
		return "", err
	}
	defer unlock()
	err = r.fetching(ctx, m, repo, cloneURL, func(from *git.Remote) error {
		err := m.Fetch(ctx, from, []string{"refs/weir/base/*"}, "+refs/heads/"+branch+":"+ref)
		if mirror.IsGone(err) {
			return &GoneError{Repo: repo, What: "branch " + branch}
		}
		if err != nil {
			return err
		}
		commit, err = m.Resolve(ctx, ref+"^{commit}")
		return err
	})
	return commit, err
}

// have asks something about full ids of commits. Where that fails it says which
// of them the mirror does not have.
func have[T any](ctx context.Context, m *mirror.Mirror, commits []string, ask func() (T, error)) (answer T, err error) {
	for _, id := range commits {
		if !mirror.IsID(id) {
			return answer, fmt.Errorf("%q is not a full commit id", id)
		}
	}
	if answer, err = ask(); err == nil {
		return answer, nil
	}
	for _, id := range commits {
		if _, missing := m.Resolve(ctx, id+"^{commit}"); missing != nil {
			return answer, missing
		}
	}
	return answer, err
}

// Diff lists the files that differ between two commits that were fetched
// before, as Checkout.Changed does.
func (r *Repos) Diff(ctx context.Context, repo, from, to string) (changed []string, err error) {
	err = r.reading(ctx, repo, func(m *mirror.Mirror) (err error) {
		changed, err = have(ctx, m, []string{from, to}, func() ([]string, error) { return m.Diff(ctx, from, to) })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("compare %.7s and %.7s of %s: %w", from, to, repo, err)
	}
	return changed, nil
}

// File returns a file as it stands in a commit that was fetched before. A
// symbolic link is followed within the commit, never out of it. A path that is
// no file there is fs.ErrNotExist, a commit that is not there a *GoneError.
func (r *Repos) File(ctx context.Context, repo, commit, path string) ([]byte, error) {
	files, err := r.Files(ctx, repo, commit, path)
	if err != nil {
		return nil, err
	}
	content, ok := files[path]
	if !ok {
		return nil, fmt.Errorf("read %s in %.7s of %s: %w", path, commit, repo, fs.ErrNotExist)
	}
	return content, nil
}

// Files is File for many paths at once, in one run of git, as long as they
// are 32 MiB together. Paths that are no files are left out.
func (r *Repos) Files(ctx context.Context, repo, commit string, paths ...string) (map[string][]byte, error) {
	files, err := r.FilesAt(ctx, repo, map[string][]string{commit: paths})
	return files[commit], err
}

// FilesAt is Files for many commits, of which it gets and returns what is
// asked for by commit.
func (r *Repos) FilesAt(ctx context.Context, repo string, wanted map[string][]string) (map[string]map[string][]byte, error) {
	files := map[string]map[string][]byte{}
	err := r.reading(ctx, repo, func(m *mirror.Mirror) error {
		var names []string
		for commit, paths := range wanted {
			if !mirror.IsID(commit) {
				return fmt.Errorf("%q is not a full commit id", commit)
			}
			names, files[commit] = append(names, commit+"^{tree}"), map[string][]byte{}
			for _, path := range paths {
				if worktree.IsPath(path) {
					names = append(names, commit+":"+path)
				}
			}
		}
		objects, err := m.Objects(ctx, names...)
		if err != nil {
			return err
		}
		for i, o := range objects {
			commit, path, isFile := strings.Cut(names[i], ":")
			switch {
			case !isFile && o.ID == "":
				return &GoneError{Repo: repo, What: "commit " + strings.TrimSuffix(commit, "^{tree}")}
			case isFile && o.Kind == "blob":
				files[commit][path] = []byte(o.Data)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read files of %s: %w", repo, err)
	}
	return files, nil
}

// Tree returns the id of the tree of a commit that was fetched before.
func (r *Repos) Tree(ctx context.Context, repo, commit string) (tree string, err error) {
	err = r.reading(ctx, repo, func(m *mirror.Mirror) (err error) {
		if !mirror.IsID(commit) {
			return fmt.Errorf("%q is not a full commit id", commit)
		}
		tree, err = m.Resolve(ctx, commit+"^{tree}")
		return err
	})
	if err != nil {
		return "", fmt.Errorf("find the tree of %.7s of %s: %w", commit, repo, err)
	}
	return tree, nil
}

// List returns the paths of the files of a commit that was fetched before, all
// or those at or below some, links and submodules included, sorted by byte.
func (r *Repos) List(ctx context.Context, repo, commit string, below ...string) (paths []string, err error) {
	err = r.reading(ctx, repo, func(m *mirror.Mirror) (err error) {
		paths, err = have(ctx, m, []string{commit}, func() ([]string, error) { return m.List(ctx, commit, below...) })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list %.7s of %s: %w", commit, repo, err)
	}
	return paths, nil
}

// Contains says whether a commit has another one among its ancestors, itself
// included. Both were fetched before.
func (r *Repos) Contains(ctx context.Context, repo, commit, ancestor string) (contains bool, err error) {
	err = r.reading(ctx, repo, func(m *mirror.Mirror) (err error) {
		contains, err = have(ctx, m, []string{commit, ancestor}, func() (bool, error) { return m.Contains(ctx, commit, ancestor) })
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look for %.7s in %.7s of %s: %w", ancestor, commit, repo, err)
	}
	return contains, nil
}

// Commit is one that touched something, and the files that it changed.
type Commit = mirror.Commit

// Commits lists those of a branch, such as merges of pull requests, that
// touched files at or below paths and are ancestors of to, and not of from
// where that is given: the newest first, at most so many. Both were fetched
// before; one that is not there is a *GoneError.
func (r *Repos) Commits(ctx context.Context, repo, from, to string, most int, paths ...string) (commits []Commit, err error) {
	err = r.reading(ctx, repo, func(m *mirror.Mirror) (err error) {
		known := []string{to}
		if from != "" {
			known = append(known, from)
		}
		commits, err = have(ctx, m, known, func() ([]Commit, error) { return m.Commits(ctx, from, to, most, paths...) })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list commits before %.7s of %s: %w", to, repo, err)
	}
	return commits, nil
}

// Below returns those of files that are at or below paths; "." is everything.
func Below(files []string, paths ...string) []string {
	return slices.DeleteFunc(slices.Clone(files), func(file string) bool {
		return !slices.ContainsFunc(paths, func(p string) bool { return p == "." || file == p || strings.HasPrefix(file, p+"/") })
	})
}
