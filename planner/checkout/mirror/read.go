package mirror

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weir/planner/checkout/git"
)

var id = regexp.MustCompile(`^[0-9a-f]{40}$`)

// IsID says whether a text is the full id of an object.
func IsID(s string) bool { return id.MatchString(s) }

// Diff lists the files that differ between two commits, sorted by byte.
func (m *Mirror) Diff(ctx context.Context, from, to string) ([]string, error) {
	out, err := m.git(ctx, "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--ignore-submodules=none", from, to, "--")
	return Fields(out), err
}

// List lists the paths of the files of a commit at or below some, sorted by
// byte. The path "." is everything, and so is none.
func (m *Mirror) List(ctx context.Context, commit string, below ...string) ([]string, error) {
	args := []string{"ls-tree", "-r", "-z", "--full-tree", "--name-only", commit, "--"}
	if !slices.Contains(below, ".") {
		args = append(args, literal(below)...)
	}
	out, err := m.git(ctx, args...)
	return Fields(out), err
}

// Contains says whether a commit has another one among its ancestors, itself
// included.
func (m *Mirror) Contains(ctx context.Context, commit, ancestor string) (bool, error) {
	_, err := m.git(ctx, "merge-base", "--is-ancestor", ancestor, commit)
	if git.ExitCode(err) == 1 {
		return false, nil
	}
	return err == nil, err
}

// Commit is one on a branch's own line, and the files that it changed there.
type Commit struct {
	ID     string
	Parent string   // on the branch's own line; "" for the first commit of all
	Files  []string // that differ from Parent, of those asked for; slash-separated
}

// Commits lists those on a branch's own line (merges count, what they merged
// does not) that touched paths and are ancestors of to and not of from, the
// newest first, at most so many. An empty from means all; the path ".", or none,
// everything.
func (m *Mirror) Commits(ctx context.Context, from, to string, most int, paths ...string) ([]Commit, error) {
	args := []string{
		"log", "--first-parent", "--diff-merges=first-parent", "--root", "-r", "--raw", "--no-abbrev", "-z", "--no-renames", "--ignore-submodules=none",
		"--no-show-signature", "--format=%H %P", "--max-count=" + strconv.Itoa(most), to,
	}
	if from != "" {
		args = append(args, "^"+from)
	}
	args = append(args, "--")
	if !slices.Contains(paths, ".") {
		args = append(args, literal(paths)...)
	}
	out, err := m.git(ctx, args...)
	if err != nil {
		return nil, err
	}
	commits, ok := parseLog(Fields(out))
	if !ok {
		return nil, fmt.Errorf("git log: cannot read its answer of %d bytes", len(out))
	}
	return commits, nil
}

// parseLog reads what git-log(1) says: after a commit's line, a description
// that begins with a colon and a path for each file ("RAW OUTPUT FORMAT"). A
// path can be anything, so it is known by its place alone.
func parseLog(fields []string) (commits []Commit, ok bool) {
	for i := 0; i < len(fields); i++ {
		if strings.HasPrefix(strings.TrimPrefix(fields[i], "\n"), ":") {
			if len(commits) == 0 || i+1 == len(fields) {
				return nil, false
			}
			i++
			last := &commits[len(commits)-1]
			last.Files = append(last.Files, fields[i])
			continue
		}
		ids := strings.Fields(fields[i])
		if len(ids) == 0 || !IsID(ids[0]) {
			return nil, false
		}
		c := Commit{ID: ids[0]}
		if len(ids) > 1 {
			c.Parent = ids[1]
		}
		commits = append(commits, c)
	}
	return commits, true
}

// literal makes paths what Git takes as they are.
func literal(paths []string) []string {
	specs := make([]string, len(paths))
	for i, path := range paths {
		specs[i] = ":(top,literal)" + path
	}
	return specs
}

// Resolve returns the id of what a name stands for, such as ID^{tree}. A name
// that stands for nothing here is a *GoneError.
func (m *Mirror) Resolve(ctx context.Context, name string) (string, error) {
	out, err := m.git(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", name)
	if git.ExitCode(err) == 1 {
		return "", &GoneError{Repo: m.Name, What: name}
	}
	return strings.TrimSpace(out), err
}

// Config lists the entries of a configuration file that the mirror has as an
// object: key, line end, value.
func (m *Mirror) Config(ctx context.Context, blob string) ([]string, error) {
	out, err := m.git(ctx, "config", "--no-includes", "--blob", blob, "-z", "--list")
	return Fields(out), err
}

// Fields takes NUL-terminated output apart; none is nil.
func Fields(out string) []string {
	if out == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
}

// Object is what the mirror has under a name.
type Object struct {
	ID   string // empty: nothing, or nothing that can be reached, as by a link that leads out of its tree
	Kind string // commit, tree or blob
	Data string
}

// maxObjects bounds what Objects returns.
const maxObjects = 32 << 20

// Objects reads many objects in one run of git, as long as they are 32 MiB
// together. A name may be all that git-rev-parse(1) knows; symbolic links in
// a path below a commit are followed within it.
func (m *Mirror) Objects(ctx context.Context, names ...string) ([]Object, error) {
	out, err := m.Git.Run(ctx, git.Call{
		Dir: m.Dir, Limit: maxObjects,
		Args:  []string{"cat-file", "--batch", "--follow-symlinks", "-z"},
		Stdin: strings.Join(names, "\x00") + "\x00",
	})
	if err != nil {
		return nil, err
	}
	objects, ok := parseObjects(out, names)
	if !ok {
		return nil, fmt.Errorf("git cat-file: cannot read its answer of %d bytes", len(out))
	}
	return objects, nil
}

var objectHeader = regexp.MustCompile(`^([0-9a-f]{40}) ([a-z]+) ([0-9]+)\n`)

// parseObjects reads the answers of git-cat-file(1), BATCH OUTPUT.
func parseObjects(out string, names []string) ([]Object, bool) {
	objects := make([]Object, 0, len(names))
	for _, name := range names {
		if rest, ok := strings.CutPrefix(out, name+" missing\n"); ok {
			objects, out = append(objects, Object{}), rest
			continue
		}
		header := objectHeader.FindStringSubmatch(out)
		if header == nil {
			// "symlink 10\n/etc/passwd": a link that leads nowhere here
			verb, rest, _ := strings.Cut(out, " ")
			size, rest, _ := strings.Cut(rest, "\n")
			n, err := strconv.Atoi(size)
			if err != nil || n < 0 || len(rest) < n+1 || !strings.Contains(" symlink dangling loop notdir ", " "+verb+" ") {
				return nil, false
			}
			objects, out = append(objects, Object{}), rest[n+1:]
			continue
		}
		out = out[len(header[0]):]
		n, err := strconv.Atoi(header[3])
		if err != nil || len(out) < n+1 {
			return nil, false
		}
		objects = append(objects, Object{ID: header[1], Kind: header[2], Data: out[:n]})
		out = out[n+1:]
	}
	return objects, out == ""
}
