package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Blob stores a file's content and returns its name.
func (r *Repo) Blob(ctx context.Context, content []byte) (string, error) {
	out, err := r.git(ctx, content, "hash-object", "-w", "--stdin")
	if err != nil {
		return "", fmt.Errorf("store blob: %w", err)
	}
	return strings.TrimSpace(out), nil
}

// Entry is a file or a directory of a tree.
type Entry struct {
	Path, Mode string
	Type       string // blob, tree or commit
	SHA        string // "" removes the path
	Size       int    // of a blob, where it was read
}

// Kind returns the kind of an object, "" where there is none.
func (r *Repo) Kind(ctx context.Context, sha string) (string, error) {
	if sha == "" || strings.HasPrefix(sha, "-") {
		return "", nil
	}
	out, err := r.git(ctx, nil, "cat-file", "-t", sha)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", nil
	}
	return strings.TrimSpace(out), err
}

// WriteTree makes a tree of another one, "" for an empty one, with some entries
// changed.
func (r *Repo) WriteTree(ctx context.Context, base string, entries []Entry) (string, error) {
	dir, err := os.MkdirTemp("", "weir-sandbox-index-")
	if err != nil {
		return "", fmt.Errorf("write tree: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is for the machine to clean up
	index := []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")}
	var changes bytes.Buffer
	for _, e := range entries {
		if e.SHA == "" {
			fmt.Fprintf(&changes, "0 %s\t%s\x00", Zero, e.Path)
			continue
		}
		fmt.Fprintf(&changes, "%s %s\t%s\x00", e.Mode, e.SHA, e.Path)
	}
	from := []string{"read-tree", "--empty"}
	if base != "" {
		from = []string{"read-tree", base}
	}
	out := ""
	for _, step := range []struct {
		stdin []byte
		args  []string
	}{
		{nil, from},
		{changes.Bytes(), []string{"update-index", "-z", "--replace", "--index-info"}},
		{nil, []string{"write-tree"}},
	} {
		if out, err = runIn(ctx, r.Dir, index, step.stdin, step.args...); err != nil {
			return "", fmt.Errorf("write tree: %w", err)
		}
	}
	return strings.TrimSpace(out), nil
}

// Entries lists what stands directly in a tree.
func (r *Repo) Entries(ctx context.Context, tree string) ([]Entry, error) {
	out, err := r.git(ctx, nil, "ls-tree", "-l", "-z", "--full-tree", tree)
	if err != nil {
		return nil, fmt.Errorf("list tree %s: %w", tree, err)
	}
	var all []Entry
	for line := range strings.SplitSeq(out, "\x00") {
		meta, path, ok := strings.Cut(line, "\t")
		words := strings.Fields(meta)
		if !ok || len(words) != 4 {
			continue
		}
		size, _ := strconv.Atoi(words[3]) // a directory has "-" for none
		all = append(all, Entry{Path: path, Mode: words[0], Type: words[1], SHA: words[2], Size: size})
	}
	return all, nil
}

// MoveRef points a ref at a commit if it is at another one now; old is Zero for
// a ref that must not exist yet. It returns false where the ref was not so, or
// its name is none.
func (r *Repo) MoveRef(ctx context.Context, ref, sha, old string) (bool, error) {
	_, err := r.git(ctx, nil, "update-ref", ref, sha, old)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return false, nil
	}
	return err == nil, err
}
