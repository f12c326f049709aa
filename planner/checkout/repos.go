package checkout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"weir/planner/checkout/disk"
	"weir/planner/checkout/git"
	"weir/planner/checkout/mirror"
)

// Check says what would keep every checkout from being made: git is missing or
// too old, or another process has the directory. It starts git once at most,
// for all that comes after it too.
func (r *Repos) Check(ctx context.Context) error { return r.setUp(ctx) }

// setUp makes the directories, once, and keeps other processes out.
func (r *Repos) setUp(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.temp != nil {
		return nil
	}
	if !filepath.IsAbs(r.Dir) {
		return fmt.Errorf("directory of checkouts %q is not absolute", r.Dir)
	}
	for _, name := range []string{"", "mirrors", "submodules", "worktrees", "admin", "spare", "home"} {
		if err := os.MkdirAll(r.path(name), 0o700); err != nil {
			return err
		}
	}
	if err := r.keepOthersOut(); err != nil {
		return err
	}
	r.git.Path, r.git.Home, r.git.Stall = r.Git, r.path("home"), r.Stall
	if err := r.git.CheckVersion(ctx); err != nil {
		return err
	}
	r.mirrors = map[string]*mirror.Mirror{}
	var err error
	r.temp, err = disk.NewTemp(r.path("tmp"), r.log())
	return err
}

// keepOthersOut takes a lock that ends with the process. Two processes would
// take each other's locks for left behind by a crash.
func (r *Repos) keepOthersOut() error {
	if r.lock != nil {
		return nil
	}
	f, err := os.OpenFile(r.path("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK})
	if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EAGAIN) {
		err = errors.New("another process uses it")
	}
	if err != nil {
		_ = f.Close() // the first error counts
		return fmt.Errorf("lock %s: %w", r.Dir, err)
	}
	r.lock = f
	return nil
}

func (r *Repos) log() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Log
}

// mirror is that of a repository, whose name is a good one.
func (r *Repos) mirror(repo string) *mirror.Mirror {
	owner, name, _ := strings.Cut(repo, "/")
	return r.mirrorAt(repo, r.path("mirrors", escape(owner), escape(name)+".git"))
}

func (r *Repos) mirrorAt(name, dir string) *mirror.Mirror {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.mirrors[dir]
	if m == nil {
		m = &mirror.Mirror{Name: name, Dir: dir, Temp: r.temp, Git: &r.git, Log: r.log()}
		if strings.HasPrefix(dir, r.path("mirrors")+string(filepath.Separator)) {
			m.Replaced = r.mergeAllAgain
		}
		r.mirrors[dir] = m
	}
	return m
}

// locked runs f while nobody else works on this pull request's worktree.
func (r *Repos) locked(ctx context.Context, w place, f func(*mirror.Mirror) error) error {
	if err := r.setUp(ctx); err != nil {
		return err
	}
	unlock, err := r.pulls.lock(ctx, w.root)
	if err != nil {
		return err
	}
	defer unlock()
	return f(r.mirror(w.repo))
}

// reading runs f with the mirror of a repository, without the network.
func (r *Repos) reading(ctx context.Context, repo string, f func(*mirror.Mirror) error) error {
	if _, _, err := splitRepo(repo); err != nil {
		return err
	}
	if err := r.setUp(ctx); err != nil {
		return err
	}
	m := r.mirror(repo)
	return m.Use(ctx, func() error { return f(m) })
}

// fetching runs f, which may fetch, with credentials.
func (r *Repos) fetching(ctx context.Context, m *mirror.Mirror, repo, cloneURL string, f func(*git.Remote) error) error {
	from, err := git.ParseRemote(repo, cloneURL, r.Allow)
	if err != nil {
		return err
	}
	from.Token = r.token(repo)
	return m.Fetching(ctx, from, func() error { return f(from) })
}

// token is how a remote gets the token of a repository.
func (r *Repos) token(repo string) func(context.Context) (string, error) {
	if r.Token == nil {
		return nil
	}
	return func(ctx context.Context) (string, error) { return r.Token(ctx, repo) }
}
