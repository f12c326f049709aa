package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Person stands in a commit as author and committer.
type Person struct {
	Name, Email string
}

// Commit is a commit to be made.
type Commit struct {
	Branch  string            // short name; it is created or moved to the new commit
	Parent  string            // "" for the first commit of a repository
	Files   map[string]string // path to content
	Links   map[string]string // path to the target of a symbolic link
	Delete  []string          // files or whole directories
	Message string
	Author  Person
	When    time.Time
}

// Commit makes a commit on top of its parent and moves the branch to it, in
// one process. The branch need not have been at the parent: that is a forced
// push. A change that changes nothing is an empty commit.
func (r *Repo) Commit(ctx context.Context, c Commit) (string, error) {
	for _, name := range slices.Concat(c.Delete, slices.Collect(maps.Keys(c.Files)), slices.Collect(maps.Keys(c.Links))) {
		if !fs.ValidPath(name) || name == "." || slices.Contains(strings.Split(name, "/"), ".git") {
			return "", fmt.Errorf("commit to %s: %q is no path in a repository", c.Branch, name)
		}
	}
	var in bytes.Buffer
	who := fmt.Sprintf("%s <%s> %d +0000", clean(c.Author.Name), clean(c.Author.Email), c.When.Unix())
	fmt.Fprintf(&in, "commit refs/heads/%s\nmark :1\nauthor %s\ncommitter %s\n", c.Branch, who, who)
	data(&in, c.Message)
	if c.Parent != "" {
		fmt.Fprintf(&in, "from %s\n", c.Parent)
	}
	for _, path := range c.Delete {
		fmt.Fprintf(&in, "D %s\n", quote(path))
	}
	for _, path := range slices.Sorted(maps.Keys(c.Files)) {
		fmt.Fprintf(&in, "M 100644 inline %s\n", quote(path))
		data(&in, c.Files[path])
	}
	for _, path := range slices.Sorted(maps.Keys(c.Links)) {
		fmt.Fprintf(&in, "M 120000 inline %s\n", quote(path))
		data(&in, c.Links[path])
	}
	in.WriteString("\nget-mark :1\n")
	out, err := r.git(ctx, in.Bytes(), "fast-import", "--quiet", "--force", "--date-format=raw")
	if err != nil {
		return "", fmt.Errorf("commit to %s: %w", c.Branch, err)
	}
	return strings.TrimSpace(out), nil
}

func data(in *bytes.Buffer, s string) {
	fmt.Fprintf(in, "data %d\n%s\n", len(s), s)
}

// quote writes a path as fast-import reads it.
func quote(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}

// clean keeps a name from ending the line that it stands on.
func clean(s string) string {
	return strings.NewReplacer("<", "", ">", "", "\n", " ").Replace(s)
}

// MergeTrees merges two commits and returns the tree of the result, or false
// where they conflict.
func (r *Repo) MergeTrees(ctx context.Context, ours, theirs string) (string, bool, error) {
	out, err := r.git(ctx, nil, "merge-tree", "--write-tree", "--no-messages", ours, theirs)
	if err == nil {
		return strings.TrimSpace(out), true, nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return "", false, nil
	}
	return "", false, fmt.Errorf("merge %s into %s: %w", theirs, ours, err)
}

// CommitTree makes a commit of a tree without moving any ref.
func (r *Repo) CommitTree(ctx context.Context, tree string, parents []string, message string, author Person, when time.Time) (string, error) {
	var in bytes.Buffer
	fmt.Fprintf(&in, "tree %s\n", tree)
	for _, p := range parents {
		fmt.Fprintf(&in, "parent %s\n", p)
	}
	who := fmt.Sprintf("%s <%s> %d +0000", clean(author.Name), clean(author.Email), when.Unix())
	fmt.Fprintf(&in, "author %s\ncommitter %s\n\n%s\n", who, who, strings.TrimSuffix(message, "\n"))
	out, err := r.git(ctx, in.Bytes(), "hash-object", "-t", "commit", "-w", "--stdin")
	if err != nil {
		return "", fmt.Errorf("commit tree: %w", err)
	}
	return strings.TrimSpace(out), nil
}

// Tree returns the tree of a commit.
func (r *Repo) Tree(ctx context.Context, commit string) (string, error) {
	out, err := r.git(ctx, nil, "rev-parse", "--verify", "--end-of-options", commit+"^{tree}")
	if err != nil {
		return "", fmt.Errorf("tree of %s: %w", commit, err)
	}
	return strings.TrimSpace(out), nil
}

// Rebase replays the commits of base..head on top of base without moving any
// ref, and returns the last one, or false at the first conflict. Merge commits
// are left out, as GitHub leaves them out.
func (r *Repo) Rebase(ctx context.Context, base, head string, committer Person, when time.Time) (string, bool, error) {
	commits, err := r.Log(ctx, base, head)
	if err != nil {
		return "", false, err
	}
	onto := base
	for _, c := range commits {
		if len(c.Parents) != 1 {
			continue
		}
		// A commit that has the tree of onto and the parent of c makes
		// that parent the merge base: the merge is then a cherry-pick.
		tree, err := r.Tree(ctx, onto)
		if err != nil {
			return "", false, err
		}
		side, err := r.CommitTree(ctx, tree, c.Parents, "side", committer, when)
		if err != nil {
			return "", false, err
		}
		merged, ok, err := r.MergeTrees(ctx, side, c.SHA)
		if err != nil || !ok {
			return "", false, err
		}
		if onto, err = r.CommitTree(ctx, merged, []string{onto}, c.Message, committer, when); err != nil {
			return "", false, err
		}
	}
	return onto, true, nil
}
