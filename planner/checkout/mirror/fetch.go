package mirror

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"weir/planner/checkout/git"
)

func (m *Mirror) git(ctx context.Context, args ...string) (string, error) {
	return m.Git.Run(ctx, git.Call{Dir: m.Dir, Args: args})
}

// Fetch fetches what the refspecs say. The tips are patterns of references
// that the server is likely to know; without them git would tell it of every
// merge made here. If the server does not have what is asked for it returns an
// error that IsGone knows.
func (m *Mirror) Fetch(ctx context.Context, from *git.Remote, tips []string, refspecs ...string) error {
	args := []string{
		"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
		"--no-recurse-submodules", "--no-show-forced-updates", "--force",
	}
	for _, tip := range tips {
		args = append(args, "--negotiation-tip="+tip)
	}
	args = append(append(args, "--", from.URL), refspecs...)
	_, err := m.Git.Run(ctx, git.Call{Dir: m.Dir, Args: args, Remote: from})
	if err == nil {
		m.filled.Store(true)
		now := time.Now()
		return os.Chtimes(m.Dir, now, now) // for RemoveIdle
	}
	return explain(from, err)
}

// What git says to an answer of the server's.
var (
	unauthorised = []string{"terminal prompts disabled", "Authentication failed", "error: 401", "invalid credentials"}
	notFound     = []string{"' not found", "Repository not found", "error: 404"}
)

const forbidden = "error: 403"

// IsRefused says whether a fetch failed since the server does not let us see
// the repository, or has none.
func IsRefused(err error) bool {
	return git.Says(err, unauthorised...) || git.Says(err, notFound...) || git.Says(err, forbidden)
}

// explain puts a plain sentence before what git says, where there is one.
func explain(from *git.Remote, err error) error {
	sentence := ""
	switch {
	case errors.Is(err, syscall.ENOSPC):
		sentence = "the disk is full"
	case git.Says(err, unauthorised...):
		sentence = "the server refused the credentials"
		if !from.HasCredentials() {
			sentence = "the server wants credentials and there are none"
		}
	case git.Says(err, forbidden):
		sentence = "the credentials do not allow it"
	case git.Says(err, notFound...):
		sentence = "the server has no such repository, or the credentials do not allow to see it"
	case git.Says(err, "error: 301", "error: 302", "error: 303", "error: 307", "error: 308", "from redirection"):
		sentence = "the server redirects to another place, which is not followed; was the repository renamed?"
	case git.Says(err, "Operation too slow", "timed out"):
		sentence = "the transfer stood still"
	default:
		return fmt.Errorf("fetch %s: %w", from.Repo, err)
	}
	return fmt.Errorf("fetch %s: %s: %w", from.Repo, sentence, err)
}

// IsGone says whether a fetch failed since the server does not have what was
// asked for.
func IsGone(err error) bool {
	return git.Says(err, "couldn't find remote ref", "not our ref", "unadvertised object")
}

// IsGoneRef is IsGone for one reference.
func IsGoneRef(err error, ref string) bool {
	return git.Says(err, "couldn't find remote ref "+ref+"\n")
}

// Set points a reference at a commit.
func (m *Mirror) Set(ctx context.Context, ref, commit string) error {
	_, err := m.git(ctx, "update-ref", ref, commit)
	return err
}

// Drop removes references by their whole names, or all below them, broken ones
// too. One that cannot be removed does not keep the others.
func (m *Mirror) Drop(ctx context.Context, names ...string) error {
	broken := dropBroken(m.Dir, names...)
	out, err := m.git(ctx, append([]string{"for-each-ref", "--format=delete %(refname)", "--"}, names...)...)
	if err != nil || out == "" {
		return errors.Join(err, broken)
	}
	all := func(stdin string) error {
		_, err := m.Git.Run(ctx, git.Call{Dir: m.Dir, Args: []string{"update-ref", "--stdin"}, Stdin: stdin})
		return err
	}
	errs := []error{broken}
	if err := all(out); ctx.Err() != nil || git.IsBlocked(err) {
		return errors.Join(err, broken) // to be tried again as a whole
	} else if err != nil {
		for line := range strings.Lines(out) {
			errs = append(errs, all(line))
		}
	}
	return errors.Join(errs...)
}

// Refs lists the references below the names.
func (m *Mirror) Refs(ctx context.Context, names ...string) ([]string, error) {
	out, err := m.git(ctx, append([]string{"for-each-ref", "--format=%(refname)", "--"}, names...)...)
	return strings.Fields(out), err
}

// Merged is what came of a merge: a commit, or the reason why there is none.
type Merged struct {
	Commit, Tree string
	Conflicts    []string // files, sorted
	Unrelated    bool     // the two have no common ancestor
}

// Merge merges head into base and makes a commit of it, whose author and date
// are fixed, so that equal parents give an equal commit. It is one of its own
// also where one of the two contains the other. Nobody's .gitattributes take
// part, as in GitHub's own merge.
func (m *Mirror) Merge(ctx context.Context, base, head string) (Merged, error) {
	out, err := m.git(ctx, "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", base, head)
	names := strings.Split(out, "\x00")
	switch {
	case err == nil:
	case git.ExitCode(err) == 1 && IsID(names[0]):
		files := slices.DeleteFunc(names[1:], func(s string) bool { return s == "" })
		slices.Sort(files)
		return Merged{Conflicts: slices.Compact(files)}, nil
	case git.Says(err, "refusing to merge unrelated histories"):
		return Merged{Unrelated: true}, nil
	default:
		return Merged{}, err
	}
	const who, when = "weir", "2000-01-01T00:00:00Z"
	commit, err := m.Git.Run(ctx, git.Call{
		Dir:    m.Dir,
		Args:   []string{"commit-tree", "-p", base, "-p", head, "-m", "Merge " + head + " into " + base, names[0]},
		Config: []string{"commit.gpgSign=false", "i18n.commitEncoding=UTF-8"},
		Env: []string{
			"GIT_AUTHOR_NAME=" + who, "GIT_AUTHOR_EMAIL=" + who, "GIT_AUTHOR_DATE=" + when,
			"GIT_COMMITTER_NAME=" + who, "GIT_COMMITTER_EMAIL=" + who, "GIT_COMMITTER_DATE=" + when,
		},
	})
	return Merged{Commit: strings.TrimSpace(commit), Tree: names[0]}, err
}

// What Tidy leaves.
const (
	maxBranches = 200 // fetched branches
	maxPacks    = 50  // as git's own gc.autoPackLimit
	maxLoose    = 27  // in one of 256 directories: 6,700 in all, as git's own gc.auto
)

// Tidy forgets the branches below a name that have not moved for the longest
// time, such as those of a merge queue, beyond 200, and packs the mirror if it
// needs it. Others use it meanwhile: only what nothing has referred to for two
// hours is dropped.
func (m *Mirror) Tidy(ctx context.Context, branches string) error {
	out, err := m.git(ctx, "for-each-ref", "--sort=-committerdate", "--format=delete %(refname)", "--", branches)
	if err != nil {
		return err
	}
	if refs := strings.SplitAfter(out, "\n"); len(refs) > maxBranches+1 {
		stdin := strings.Join(refs[maxBranches:], "")
		if _, err := m.Git.Run(ctx, git.Call{Dir: m.Dir, Args: []string{"update-ref", "--stdin"}, Stdin: stdin}); err != nil {
			return err
		}
	}
	packs, _, err := m.untidy()
	if err != nil {
		return err
	}
	if packs <= maxPacks && m.loose() <= maxLoose {
		return nil
	}
	_, err = m.Git.Run(ctx, git.Call{Dir: m.Dir, Args: []string{"gc", "--quiet", "--prune=2.hours.ago"}, Config: []string{"pack.threads=1"}})
	return err
}
