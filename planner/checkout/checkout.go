// Package checkout keeps the files that weir plans: one Git mirror a
// repository, one worktree a pull request. Objects are fetched once. What is
// planned is the merge of the pull request's head into its base, made here.
//
// A worktree holds exactly the files of one commit, byte for byte: no line
// ends are converted, no filter runs (but git-lfs, where it is asked for), a
// symbolic link stays a link wherever it points, and nothing that an earlier
// commit, a plan or an attacker left behind survives the next checkout. It has
// no .git: what runs inside it cannot reach the mirror by asking Git for it.
//
// Credentials are given to git in memory that has no name in the file system,
// never in a URL, an argument, the environment or a file.
package checkout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"weir/planner/checkout/disk"
	"weir/planner/checkout/git"
	"weir/planner/checkout/mirror"
)

// Request names what to check out.
type Request struct {
	Repo     string // owner/name
	CloneURL string // without credentials
	Pull     int    // 0: none, for looking at a branch itself
	BaseRef  string // branch name, such as "main"
	HeadRef  string // branch name in the same repository; a hint only
	Head     string // full commit id
	Base     string // full commit id; for At alone: what the merge was made of, with Head

	Submodules bool // check out submodules too
	LFS        bool // replace pointers by the files they stand for; needs git-lfs
}

// Checkout is a pull request's worktree at the merge of head into base.
type Checkout struct {
	Root    string   // absolute path of the worktree
	Base    string   // commit of the base branch that was merged into
	Head    string   // as requested
	Merge   string   // the merge commit; equal for equal Base and Head
	Tree    string   // its tree
	Changed []string // files that differ between Base and Merge, slash-separated, sorted; renames count as both names
}

// ConflictError says that head cannot be merged into base.
type ConflictError struct {
	Base, Head string
	Files      []string // none if the two have no common ancestor
}

func (e *ConflictError) Error() string {
	if len(e.Files) == 0 {
		return fmt.Sprintf("%.7s does not merge into %.7s: they have no common ancestor", e.Head, e.Base)
	}
	return fmt.Sprintf("%.7s does not merge into %.7s: conflicts in %s", e.Head, e.Base, strings.Join(e.Files, ", "))
}

// GoneError says that a commit or branch is no longer in the repository, such
// as a head that was pushed over before it was fetched.
type GoneError = mirror.GoneError

// SubmoduleError says that a submodule cannot be checked out as the pull
// request has it. Reason is for people.
type SubmoduleError struct {
	Path, Reason string
}

func (e *SubmoduleError) Error() string { return "submodule " + e.Path + ": " + e.Reason }

// AllowHost makes a Repos.Allow that lets through the repositories of one
// GitHub, known by the base URL of its API: https://api.github.com/ allows
// github.com, every other URL its own host. If that is this machine, any port
// of it is allowed.
func AllowHost(apiURL string) (func(cloneURL string) error, error) { return git.AllowHost(apiURL) }

// Repos is all mirrors and worktrees below one directory, which belongs to
// one process at a time. Its methods may be called at the same time, for the
// same repository too. A worktree that a method returned is the caller's until
// the next Open, At or Remove of the same pull request, which do not wait for
// the caller to be done with it.
type Repos struct {
	Dir   string                                                 // absolute; made if needed, for this user only
	Token func(ctx context.Context, repo string) (string, error) // nil, or an empty token: no credentials
	Allow func(cloneURL string) error                            // refuses a URL; nil: none is refused. See AllowHost
	Log   *slog.Logger                                           // nil: none
	Git   string                                                 // the program; empty: git in the PATH
	Stall time.Duration                                          // a transfer that is silent for so long has failed; 0: 3 minutes

	mu      sync.Mutex
	temp    *disk.Temp // nil: not set up yet
	git     git.Program
	lock    *os.File // held by this process
	mirrors map[string]*mirror.Mirror
	pulls   keyed
}

// Open checks out a pull request: it fetches the newest commit of the base
// branch and the requested head, merges them and puts the worktree there. The
// merge is always a commit of its own, also where head already contains base,
// and stays readable until Remove.
//
// It returns a *ConflictError if the two do not merge, a *GoneError if the base
// branch or the head no longer exists, a *SubmoduleError if a submodule that is
// asked for cannot be had. Every other error is ours, the network's or
// GitHub's.
func (r *Repos) Open(ctx context.Context, req Request) (*Checkout, error) {
	w, err := r.placeOf(req.Repo, req.Pull)
	if err != nil {
		return nil, fmt.Errorf("open %s#%d: %w", req.Repo, req.Pull, err)
	}
	var co *Checkout
	err = r.locked(ctx, w, func(m *mirror.Mirror) error {
		if err := checkRequest(req); err != nil {
			return err
		}
		return r.fetching(ctx, m, req.Repo, req.CloneURL, func(from *git.Remote) error {
			base, err := r.fetchPull(ctx, m, from, req)
			if err != nil {
				return err
			}
			if co, err = r.merge(ctx, m, req.Pull, base, req.Head); err != nil {
				return err
			}
			w.note(co)
			return r.fill(ctx, m, w, from, req, co)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("open %s#%d: %w", req.Repo, req.Pull, err)
	}
	return co, nil
}

// At checks out a merge that Open made for this pull request earlier, for any
// head and base it had then, also on another machine: then it is made again of
// the request's Base and Head. BaseRef and HeadRef are not used. It does not
// touch the network where the merge is known; commits that are no longer there
// are a *GoneError.
func (r *Repos) At(ctx context.Context, req Request, merge string) (*Checkout, error) {
	w, err := r.placeOf(req.Repo, req.Pull)
	if err != nil {
		return nil, fmt.Errorf("open %s#%d at %.7s: %w", req.Repo, req.Pull, merge, err)
	}
	var co *Checkout
	err = r.locked(ctx, w, func(m *mirror.Mirror) error {
		if !mirror.IsID(merge) {
			return fmt.Errorf("%q is not a full commit id", merge)
		}
		return r.fetching(ctx, m, req.Repo, req.CloneURL, func(from *git.Remote) error {
			var err error
			co, err = r.made(ctx, m, req.Pull, merge)
			if gone := (*GoneError)(nil); errors.As(err, &gone) {
				known, ok := w.noted(merge)
				if !ok && mirror.IsID(req.Base) && mirror.IsID(req.Head) {
					known, ok = noted{merge: merge, base: req.Base, head: req.Head}, true
				}
				if ok {
					if co, err = r.mergeAgain(ctx, m, from, req.Pull, known); err == nil {
						w.note(co)
					}
				}
			}
			if err != nil {
				return err
			}
			return r.fill(ctx, m, w, from, req, co)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("open %s#%d at %.7s: %w", req.Repo, req.Pull, merge, err)
	}
	return co, nil
}
