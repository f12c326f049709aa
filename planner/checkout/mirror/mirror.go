// Package mirror keeps one bare Git repository for each repository that weir
// works on: fetches into it, merges in it, reads from it, and makes it anew
// when it is damaged.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"weir/planner/checkout/disk"
	"weir/planner/checkout/git"
)

// Mirror holds all objects of one repository. Many runs of git use it at once;
// each writes references of its own. Making, replacing and first filling it is
// for one at a time. All fields but Replaced are needed, and none changes once
// it is in use.
type Mirror struct {
	Name string // for messages
	Dir  string // of the bare repository
	Temp *disk.Temp
	Git  *git.Program
	Log  *slog.Logger

	// Replaced fills a mirror that was made anew with what must not be lost.
	Replaced func(ctx context.Context, m *Mirror, from *git.Remote) error

	once    sync.Once
	sem     *semaphore.Weighted
	ready   atomic.Bool // it was looked after since this process started
	filled  atomic.Bool // something was fetched: what is missing is little
	damaged atomic.Bool // it is to be replaced as soon as that is possible
}

// GoneError says that a commit or branch is not in the repository.
type GoneError struct {
	Repo, What string
}

func (e *GoneError) Error() string { return e.Repo + " has no " + e.What }

const exclusive = 1 << 30

func (m *Mirror) acquire(ctx context.Context, weight int64) (release func(), err error) {
	m.once.Do(func() { m.sem = semaphore.NewWeighted(exclusive) })
	if err := m.sem.Acquire(ctx, weight); err != nil {
		return nil, fmt.Errorf("wait for the mirror of %s: %w", m.Name, context.Cause(ctx))
	}
	return func() { m.sem.Release(weight) }, nil
}

// share takes the mirror for use beside others. It is whole then, as far as
// one can see without reading it all.
func (m *Mirror) share(ctx context.Context) (release func(), err error) {
	if !m.ready.Load() {
		release, err := m.acquire(ctx, exclusive)
		if err != nil {
			return nil, err
		}
		err = m.prepare(ctx)
		release()
		if err != nil {
			return nil, fmt.Errorf("prepare the mirror of %s: %w", m.Name, err)
		}
	}
	release, err = m.acquire(ctx, 1)
	if err != nil {
		return nil, err
	}
	if err := m.configure(); err != nil {
		release()
		return nil, fmt.Errorf("configure the mirror of %s: %w", m.Name, err)
	}
	return release, nil
}

// configure makes sure that the mirror is configured as it should be. It is
// looked at each time, since configuration can make git run programs.
func (m *Mirror) configure() error {
	for name, content := range map[string]string{"config": config, "info/attributes": attributes} {
		file := filepath.Join(m.Dir, filepath.FromSlash(name))
		if have, err := os.ReadFile(file); err == nil && string(have) == content {
			continue
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), disk.ReplaceFile(file, content, 0o600)); err != nil {
			return err
		}
	}
	return nil
}

// Use runs f, which may do everything but fetch, beside others. Damage that
// it finds is remembered, and mended by the next Fetching. If a lock stands in
// its way f runs again, once.
func (m *Mirror) Use(ctx context.Context, f func() error) error {
	return m.unlocking(func() error {
		release, err := m.share(ctx)
		if err != nil {
			return err
		}
		defer release()
		return m.watch(f)
	})
}

// unlocking runs f, which shares the mirror, and once more if a lock or half a
// reference stood in its way: one that a killed git has left is cleared before
// the second time, when nobody is using the mirror, and one that somebody held
// has been given back by then.
func (m *Mirror) unlocking(f func() error) error {
	err := f()
	if !git.IsBlocked(err) {
		return err
	}
	m.Log.Warn("git found something locked or half-written; clearing what a killed git can have left", "repo", m.Name, "error", err)
	m.ready.Store(false)
	return f()
}

// watch remembers damage before anybody can replace the mirror, so that it is
// not replaced twice for it.
func (m *Mirror) watch(f func() error) error {
	err := f()
	if git.IsDamage(err) {
		m.damaged.Store(true)
	}
	return err
}

// Fetching runs f, which may fetch from the remote. If the mirror turns out to
// be damaged it is made anew, which the log tells, and f runs again, once; so it
// does if a lock stands in its way.
func (m *Mirror) Fetching(ctx context.Context, from *git.Remote, f func() error) error {
	for again := false; ; again = true {
		err := m.unlocking(func() error { return m.try(ctx, from, f) })
		if again || !git.IsDamage(err) {
			return err
		}
		m.Log.Error("the mirror is damaged and will be fetched anew", "repo", m.Name, "path", m.Dir, "error", err)
	}
}

// try runs f beside others if the mirror is fit for it, and alone if it must
// be filled first: whoever waits for that needs little afterwards.
func (m *Mirror) try(ctx context.Context, from *git.Remote, f func() error) error {
	for {
		release, err := m.share(ctx)
		if err != nil {
			return err
		}
		if !m.damaged.Load() && m.filled.Load() {
			defer release()
			return m.watch(f)
		}
		release()
		if release, err = m.acquire(ctx, exclusive); err != nil {
			return err
		}
		if m.damaged.Load() {
			err = m.replace(ctx, from)
		}
		if err == nil && !m.filled.Load() {
			defer release()
			return m.watch(f)
		}
		release()
		if err != nil {
			return err
		}
	}
}

// replace makes the mirror anew. The caller has it exclusively.
func (m *Mirror) replace(ctx context.Context, from *git.Remote) error {
	if err := m.reset(); err != nil {
		return err
	}
	if err := m.prepare(ctx); err != nil {
		return err
	}
	m.damaged.Store(false)
	if m.Replaced == nil {
		return nil
	}
	return m.Replaced(ctx, m, from)
}

// reset removes the mirror. The caller has it exclusively.
func (m *Mirror) reset() error {
	m.ready.Store(false)
	m.filled.Store(false)
	return m.Temp.Discard(m.Dir)
}

// config has no remote: where to fetch from is said each time.
const config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"

// attributes win over every .gitattributes: files are taken as they are. What
// is left of theirs is the choice of a filter, of which none exists unless
// git-lfs is asked for.
const attributes = "* -text !eol -ident !working-tree-encoding\n"

// prepare makes the mirror if it is not there, and takes away what a crash
// left in it. The caller has it exclusively.
func (m *Mirror) prepare(ctx context.Context) error {
	if m.ready.Load() {
		return nil
	}
	if !disk.Exists(filepath.Join(m.Dir, "HEAD")) {
		if err := m.create(ctx); err != nil {
			return err
		}
	}
	if err := clearCrash(m.Dir); err != nil {
		return err
	}
	packs, loose, err := m.untidy()
	if err != nil {
		return err
	}
	if cut, err := cutPacks(m.Dir); err != nil {
		return err
	} else if len(cut) > 0 {
		m.Log.Error("the mirror has packs that were cut off and will be fetched anew", "repo", m.Name, "packs", cut)
		m.damaged.Store(true)
	}
	m.filled.Store(packs+loose > 0)
	m.ready.Store(true)
	return nil
}

// create makes an empty mirror under another name first, so that there is
// never half a one.
func (m *Mirror) create(ctx context.Context) error {
	made := m.Temp.Name()
	args := []string{"init", "--bare", "--quiet", "--template=", "--object-format=sha1", "--initial-branch=main", made}
	if _, err := m.Git.Run(ctx, git.Call{Args: args}); err != nil {
		return err
	}
	if err := errors.Join(m.Temp.Discard(m.Dir), os.MkdirAll(filepath.Dir(m.Dir), 0o700)); err != nil {
		return err
	}
	return os.Rename(made, m.Dir)
}

// untidy counts packs, and directories of loose objects.
func (m *Mirror) untidy() (packs, loose int, err error) {
	p, err1 := filepath.Glob(filepath.Join(m.Dir, "objects", "pack", "*.pack"))
	l, err2 := filepath.Glob(filepath.Join(m.Dir, "objects", "[0-9a-f][0-9a-f]"))
	return len(p), len(l), errors.Join(err1, err2)
}

// loose counts the loose objects in one of the 256 directories.
func (m *Mirror) loose() int {
	entries, err := os.ReadDir(filepath.Join(m.Dir, "objects", "17"))
	if err != nil {
		return 0 // most often: it does not exist
	}
	return len(entries)
}

// RemoveIdle removes the mirror if nothing was fetched into it for so long. It
// waits until nobody uses it.
func (m *Mirror) RemoveIdle(ctx context.Context, idle time.Duration) error {
	release, err := m.acquire(ctx, exclusive)
	if err != nil {
		return err
	}
	defer release()
	info, err := os.Stat(m.Dir)
	if err != nil || time.Since(info.ModTime()) <= idle {
		return nil // there is none
	}
	return m.reset()
}
