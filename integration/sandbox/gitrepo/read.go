package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Info is a commit as it stands in the repository.
type Info struct {
	SHA, Tree string
	Parents   []string
	Author    Person
	When      time.Time
	Message   string
}

// logFormat separates fields with 0x1f; -z separates commits with NUL.
const logFormat = "--format=%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%ct%x1f%B"

// Log returns the commits of base..head, the oldest first. With an empty base
// it returns all commits of head.
func (r *Repo) Log(ctx context.Context, base, head string) ([]Info, error) {
	rng := head
	if base != "" {
		rng = base + ".." + head
	}
	return r.log(ctx, "--reverse", rng)
}

// Info returns one commit.
func (r *Repo) Info(ctx context.Context, sha string) (Info, error) {
	infos, err := r.log(ctx, "-1", sha)
	if err != nil {
		return Info{}, err
	}
	if len(infos) == 0 {
		return Info{}, fmt.Errorf("read commit %s: there is none", sha)
	}
	return infos[0], nil
}

func (r *Repo) log(ctx context.Context, args ...string) ([]Info, error) {
	out, err := r.git(ctx, nil, append([]string{"log", "-z", logFormat}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	var infos []Info
	for record := range strings.SplitSeq(out, "\x00") {
		f := strings.SplitN(record, "\x1f", 7)
		if len(f) != 7 {
			continue
		}
		seconds, err := strconv.ParseInt(f[5], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		infos = append(infos, Info{
			SHA: f[0], Tree: f[1], Parents: strings.Fields(f[2]), Author: Person{Name: f[3], Email: f[4]},
			When: time.Unix(seconds, 0).UTC(), Message: strings.TrimSuffix(f[6], "\n"),
		})
	}
	return infos, nil
}

// Change is one file that differs between two commits.
type Change struct {
	Path, OldPath        string
	Status               string // added, removed, modified or renamed
	Additions, Deletions int
	Blob                 string // of the new file; of the old one where it was removed
}

// Diff returns the files that head changed since it left base.
func (r *Repo) Diff(ctx context.Context, base, head string) ([]Change, error) {
	out, err := r.git(ctx, nil, "diff-tree", "-r", "-z", "-M", "--raw", "--numstat", "--no-abbrev", "--merge-base", base, head)
	if err != nil {
		return nil, fmt.Errorf("diff %s..%s: %w", base, head, err)
	}
	fields := strings.Split(out, "\x00")
	var changes []Change
	index := map[string]int{}
	for i := 0; i < len(fields); i++ {
		f := fields[i]
		if strings.HasPrefix(f, ":") {
			words := strings.Fields(f)
			if len(words) != 5 || i+1 >= len(fields) {
				return nil, fmt.Errorf("diff %s..%s: git wrote %q", base, head, f)
			}
			c := Change{Blob: words[3], Path: fields[i+1]}
			i++
			switch words[4][0] {
			case 'A':
				c.Status = "added"
			case 'D':
				c.Status, c.Blob = "removed", words[2]
			case 'R':
				c.Status, c.OldPath, c.Path = "renamed", c.Path, fields[i+1]
				i++
			default:
				c.Status = "modified"
			}
			index[c.Path] = len(changes)
			changes = append(changes, c)
			continue
		}
		words := strings.SplitN(f, "\t", 3)
		if len(words) != 3 {
			continue
		}
		path := words[2]
		if path == "" && i+2 < len(fields) { // a rename: old and new follow
			path = fields[i+2]
			i += 2
		}
		if n, ok := index[path]; ok {
			// A binary file has "-" for both, which counts as none.
			changes[n].Additions, _ = strconv.Atoi(words[0])
			changes[n].Deletions, _ = strconv.Atoi(words[1])
		}
	}
	return changes, nil
}

// Patch returns the difference that head made since it left base, for people.
func (r *Repo) Patch(ctx context.Context, base, head string) (string, error) {
	out, err := r.git(ctx, nil, "diff", "--no-color", "--no-ext-diff", "--merge-base", base, head)
	if err != nil {
		return "", fmt.Errorf("patch %s..%s: %w", base, head, err)
	}
	return out, nil
}

// Files lists the paths of a commit.
func (r *Repo) Files(ctx context.Context, commit string) ([]string, error) {
	out, err := r.git(ctx, nil, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
	if err != nil {
		return nil, fmt.Errorf("list files of %s: %w", commit, err)
	}
	return strings.FieldsFunc(out, func(c rune) bool { return c == 0 }), nil
}

// File returns the content of a file at a commit, or false where there is none.
func (r *Repo) File(ctx context.Context, commit, path string) (string, bool, error) {
	out, err := r.git(ctx, nil, "cat-file", "blob", commit+":"+path)
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", false, nil
		}
		return "", false, fmt.Errorf("read %s at %s: %w", path, commit, err)
	}
	return out, true, nil
}

// IsAncestor says whether old is part of the history of commit.
func (r *Repo) IsAncestor(ctx context.Context, old, commit string) (bool, error) {
	_, err := r.git(ctx, nil, "merge-base", "--is-ancestor", old, commit)
	if err == nil {
		return true, nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return false, nil
	}
	return false, fmt.Errorf("ancestry of %s: %w", old, err)
}

// Touched lists what a commit did to files. Of a merge, and of the first
// commit, it lists none.
func (r *Repo) Touched(ctx context.Context, c Info) (added, removed, modified []string, err error) {
	if len(c.Parents) != 1 {
		return nil, nil, nil, nil
	}
	changes, err := r.Diff(ctx, c.Parents[0], c.SHA)
	for _, f := range changes {
		switch f.Status {
		case "added":
			added = append(added, f.Path)
		case "removed":
			removed = append(removed, f.Path)
		case "renamed":
			added, removed = append(added, f.Path), append(removed, f.OldPath)
		default:
			modified = append(modified, f.Path)
		}
	}
	return added, removed, modified, err
}
