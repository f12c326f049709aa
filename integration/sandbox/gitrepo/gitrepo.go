// Package gitrepo keeps bare Git repositories, changes them with plumbing
// commands (there is never a worktree), and serves them over smart HTTP.
package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Zero is the object name that Git writes for "no commit".
const Zero = "0000000000000000000000000000000000000000"

// Repo is a bare repository. Its methods start one Git process each (or as
// many as they say) and are not synchronised with one another.
type Repo struct {
	Dir string
}

// Create makes an empty bare repository whose HEAD is the given branch. Like
// GitHub it serves any commit by name and keeps refs/pull to itself.
func Create(ctx context.Context, dir, branch string) (*Repo, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return nil, fmt.Errorf("create repository: %w", err)
	}
	r := &Repo{Dir: dir}
	if _, err := run(ctx, "", nil, "init", "--quiet", "--bare", "--template=", "--initial-branch="+branch, dir); err != nil {
		return nil, fmt.Errorf("create repository %s: %w", dir, err)
	}
	return r, r.configure()
}

// configure writes the settings in one go: a `git config` a key would be a
// process a key.
func (r *Repo) configure() error {
	file, err := os.OpenFile(filepath.Join(r.Dir, "config"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("configure repository: %w", err)
	}
	_, err = file.WriteString(`[uploadpack]
	allowAnySHA1InWant = true
	allowFilter = true
[receive]
	hideRefs = refs/pull
	autogc = false
[gc]
	auto = 0
[core]
	logAllRefUpdates = false
`)
	return errors.Join(err, file.Close())
}

// Fork copies the repository to dir, as GitHub does for a fork: all branches,
// no pull requests.
func (r *Repo) Fork(ctx context.Context, dir string) (*Repo, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return nil, fmt.Errorf("fork repository: %w", err)
	}
	if _, err := run(ctx, "", nil, "clone", "--quiet", "--bare", "--template=", r.Dir, dir); err != nil {
		return nil, fmt.Errorf("fork repository %s: %w", r.Dir, err)
	}
	f := &Repo{Dir: dir}
	return f, f.configure()
}

// Refs returns the commit of every ref below prefix, such as "refs/heads/".
func (r *Repo) Refs(ctx context.Context, prefix string) (map[string]string, error) {
	out, err := r.git(ctx, nil, "for-each-ref", "--format=%(objectname) %(refname)", prefix)
	if err != nil {
		return nil, fmt.Errorf("list refs: %w", err)
	}
	refs := map[string]string{}
	for line := range strings.Lines(out) {
		if sha, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			refs[name] = sha
		}
	}
	return refs, nil
}

// Resolve returns the commit that a branch, a ref or an object name stands
// for, or "" where there is none.
func (r *Repo) Resolve(ctx context.Context, name string) (string, error) {
	if name == "" || strings.HasPrefix(name, "-") {
		return "", nil
	}
	out, err := r.git(ctx, nil, "rev-parse", "--quiet", "--verify", "--end-of-options", name+"^{commit}")
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", nil
		}
		return "", fmt.Errorf("resolve %s: %w", name, err)
	}
	return strings.TrimSpace(out), nil
}

// SetRef points a ref at a commit, whatever it was before.
func (r *Repo) SetRef(ctx context.Context, ref, sha string) error {
	if _, err := r.git(ctx, nil, "update-ref", ref, sha); err != nil {
		return fmt.Errorf("set %s: %w", ref, err)
	}
	return nil
}

// DeleteRef removes a ref; one that is missing is no error.
func (r *Repo) DeleteRef(ctx context.Context, ref string) error {
	if _, err := r.git(ctx, nil, "update-ref", "-d", ref); err != nil {
		return fmt.Errorf("delete %s: %w", ref, err)
	}
	return nil
}

// Fetch copies a commit of another repository's branch into ref.
func (r *Repo) Fetch(ctx context.Context, from *Repo, branch, ref string) error {
	if _, err := r.git(ctx, nil, "fetch", "--quiet", "--no-tags", from.Dir, "+refs/heads/"+branch+":"+ref); err != nil {
		return fmt.Errorf("fetch %s: %w", branch, err)
	}
	return nil
}

func (r *Repo) git(ctx context.Context, stdin []byte, args ...string) (string, error) {
	return run(ctx, r.Dir, stdin, args...)
}

// run starts git with an environment that no configuration of the machine or
// of its user can reach.
func run(ctx context.Context, dir string, stdin []byte, args ...string) (string, error) {
	return runIn(ctx, dir, nil, stdin, args...)
}

func runIn(ctx context.Context, dir string, extra []string, stdin []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(environment(), extra...)
	if dir != "" {
		cmd.Env = append(cmd.Env, "GIT_DIR="+dir)
	}
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

func environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
	}
}
