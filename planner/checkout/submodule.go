package checkout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"weir/planner/checkout/git"
	"weir/planner/checkout/mirror"
	"weir/planner/checkout/worktree"
)

// maxDepth is how deep submodules may be in submodules.
const maxDepth = 8

// modules checks out submodules.
type modules struct {
	*Repos
	w     place
	top   *git.Remote     // of the repository itself
	known map[string]bool // URLs in .gitmodules of the base branch
	lfs   bool
	used  map[string]bool // names in the directory of indexes
}

// fillSubmodules checks out the submodules of co, and theirs. Credentials go
// with a submodule only if it is on the same host and the base branch names
// its URL already: a pull request cannot have files shown to its author that
// only the bot may read.
func (r *Repos) fillSubmodules(ctx context.Context, m *mirror.Mirror, w place, from *git.Remote, req Request, co *Checkout, links map[string]string) error {
	if err := os.MkdirAll(w.submodules(), 0o700); err != nil {
		return err
	}
	before, err := r.submoduleURLs(ctx, m, co.Base, from.URL)
	if err != nil {
		return err
	}
	s := modules{Repos: r, w: w, top: from, known: map[string]bool{}, lfs: req.LFS, used: map[string]bool{}}
	for _, u := range before {
		s.known[u] = true
	}
	urls, err := r.submoduleURLs(ctx, m, co.Merge, from.URL)
	if err != nil {
		return err
	}
	if err := s.fill(ctx, urls, "", links, 0); err != nil {
		return err
	}
	indexes, err := os.ReadDir(w.submodules())
	if err != nil {
		return err
	}
	for _, d := range indexes {
		if !s.used[d.Name()] {
			if err := os.Remove(filepath.Join(w.submodules(), d.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill checks out the submodules in dir.
func (s *modules) fill(ctx context.Context, urls map[string]string, dir string, links map[string]string, depth int) error {
	for _, name := range slices.Sorted(maps.Keys(links)) {
		at := path.Join(dir, name)
		if urls[name] == "" {
			return &SubmoduleError{Path: at, Reason: "it has no URL in .gitmodules that can be used: only https is"}
		}
		if depth == maxDepth {
			return &SubmoduleError{Path: at, Reason: fmt.Sprintf("it is more than %d submodules deep", maxDepth)}
		}
		if err := s.fillOne(ctx, at, urls[name], links[name], depth); err != nil {
			return err
		}
	}
	return nil
}

func (s *modules) fillOne(ctx context.Context, at, cloneURL, commit string, depth int) error {
	from, err := s.remote(cloneURL)
	if err != nil {
		return &SubmoduleError{Path: at, Reason: err.Error()}
	}
	root := filepath.Join(s.w.root, filepath.FromSlash(at))
	if path, err := filepath.EvalSymlinks(root); err != nil || !strings.HasSuffix(filepath.ToSlash(path), "/"+at) {
		return &SubmoduleError{Path: at, Reason: "there is a symbolic link in its path"}
	}
	key := hash(at)
	s.used[key] = true
	m := s.mirrorAt("submodule "+at, s.path("submodules", hash(cloneURL)+".git"))
	var links, urls map[string]string
	err = m.Fetching(ctx, from, func() error {
		if err := s.pin(ctx, m, from, at, commit); err != nil {
			return err
		}
		f := worktree.Files{Root: root, Index: filepath.Join(s.w.submodules(), key), Commit: commit, KeepLinks: true}
		if s.lfs {
			f.LFS = from
		}
		if links, err = worktree.Fill(ctx, m, f); err != nil || len(links) == 0 {
			return err
		}
		urls, err = s.submoduleURLs(ctx, m, commit, cloneURL)
		return err
	})
	if git.IsDamage(err) {
		return errors.New("submodule " + at + ": " + err.Error()) // not the damage of the repository itself
	}
	if err != nil {
		return err
	}
	// Now that the mirror is free again, since these can be in the same one.
	return s.fill(ctx, urls, at, links, depth+1)
}

// pin makes the mirror have the commit and keep it.
func (s *modules) pin(ctx context.Context, m *mirror.Mirror, from *git.Remote, at, commit string) error {
	ref := "refs/weir/pin/" + commit
	if id, err := m.Resolve(ctx, ref+"^{commit}"); err == nil && id == commit {
		return nil
	}
	err := m.Fetch(ctx, from, []string{"refs/weir/pin/*"}, "+"+commit+":"+ref)
	switch {
	case mirror.IsGone(err):
		return &SubmoduleError{Path: at, Reason: fmt.Sprintf("%s does not have the commit %s that it is set to", from.URL, commit)}
	case mirror.IsRefused(err):
		reason := err.Error()
		if from.Token == nil && s.top.Token != nil {
			reason += " (it was asked for without credentials, which go only to the repository's own host, and to URLs that .gitmodules of the base branch has)"
		}
		return &SubmoduleError{Path: at, Reason: reason}
	}
	return err
}

// remote gives a submodule the credentials of the repository that it is in,
// if it may have them.
func (s *modules) remote(cloneURL string) (*git.Remote, error) {
	u, err := url.Parse(cloneURL)
	if err != nil {
		return nil, errors.New("its URL is not a URL")
	}
	from, err := git.ParseRemote(strings.TrimSuffix(strings.TrimPrefix(u.Path, "/"), ".git"), cloneURL, s.Allow)
	if err == nil && strings.EqualFold(from.Host, s.top.Host) && from.Protocol == s.top.Protocol && s.known[cloneURL] {
		from.Token = s.token(s.w.repo)
	}
	return from, err
}

// submoduleURLs reads .gitmodules of a commit: the URL of each path, made
// absolute; empty where it is none that can be used.
func (r *Repos) submoduleURLs(ctx context.Context, m *mirror.Mirror, commit, parent string) (map[string]string, error) {
	objects, err := m.Objects(ctx, commit+":.gitmodules")
	if err != nil || objects[0].Kind != "blob" {
		return nil, err
	}
	entries, err := m.Config(ctx, objects[0].ID)
	if git.ExitCode(err) > 0 {
		return nil, &SubmoduleError{Path: ".gitmodules", Reason: "it is not a configuration file of git"}
	}
	if err != nil {
		return nil, err
	}
	paths, urls := map[string]string{}, map[string]string{}
	for _, entry := range entries {
		key, value, _ := strings.Cut(entry, "\n")
		if name, ok := strings.CutSuffix(key, ".path"); ok {
			paths[name] = value
		} else if name, ok := strings.CutSuffix(key, ".url"); ok {
			urls[name] = value
		}
	}
	found := map[string]string{}
	for name, p := range paths {
		found[strings.TrimSuffix(p, "/")] = absolute(parent, urls[name])
	}
	return found, nil
}

// absolute makes the URL of a submodule one for https: relative ones are taken
// from that of the repository they are in, and those for ssh to the same host
// are translated, since many repositories name their neighbours so.
func absolute(parent, raw string) string {
	base, err := url.Parse(parent)
	if err != nil {
		return ""
	}
	if strings.HasPrefix(raw, "./") || strings.HasPrefix(raw, "../") {
		u := *base
		u.Path = path.Join(base.Path, raw)
		return u.String()
	}
	if at, p, ok := strings.Cut(raw, ":"); ok && !strings.Contains(at, "/") && !strings.HasPrefix(p, "//") {
		raw = "ssh://" + at + "/" + strings.TrimPrefix(p, "/") // git@host:owner/name
	}
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	switch {
	case u.Scheme == "ssh" && strings.EqualFold(u.Hostname(), base.Hostname()):
		u.Scheme, u.Host, u.User = base.Scheme, base.Host, nil
	case u.Scheme != base.Scheme && u.Scheme != "https":
		return ""
	}
	return u.String()
}
