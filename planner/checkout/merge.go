package checkout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weir/planner/checkout/git"
	"weir/planner/checkout/mirror"
)

// fetchPull gets the base branch's newest commit and the head into the mirror,
// in one run of git, and returns the former.
func (r *Repos) fetchPull(ctx context.Context, m *mirror.Mirror, from *git.Remote, req Request) (base string, err error) {
	branch, head := "refs/heads/"+req.BaseRef, pullRefs(req.Pull)+"/head"
	noBranch := &GoneError{Repo: m.Name, What: "branch " + req.BaseRef}
	// GitHub can have dropped the first of these, and anybody can have made the
	// others point elsewhere since. The last is for a head that is only here.
	sources := []string{req.Head, "refs/pull/" + pullName(req.Pull) + "/head"}
	if checkBranch(req.HeadRef) == nil {
		sources = append(sources, "refs/heads/"+req.HeadRef)
	}
	for _, source := range append(sources, "") {
		refspecs := []string{"+" + branch + ":" + pullBase(req.Pull)}
		if source != "" {
			refspecs = append(refspecs, "+"+source+":"+head)
		}
		err := m.Fetch(ctx, from, []string{"refs/weir/base/*", head + "*"}, refspecs...)
		switch {
		case mirror.IsGoneRef(err, branch):
			return "", noBranch
		case mirror.IsGone(err):
			continue
		case err != nil:
			return "", err
		}
		objects, err := m.Objects(ctx, pullBase(req.Pull)+"^{commit}", req.Head+"^{commit}")
		if err != nil {
			return "", err
		}
		if objects[0].ID == "" {
			return "", noBranch
		}
		if objects[1].ID == "" {
			continue
		}
		if source != req.Head {
			err = m.Set(ctx, head, req.Head)
		}
		return objects[0].ID, err
	}
	return "", &GoneError{Repo: m.Name, What: "commit " + req.Head}
}

// merge merges head into base and keeps the result by a reference of the pull
// request.
func (r *Repos) merge(ctx context.Context, m *mirror.Mirror, pull int, base, head string) (*Checkout, error) {
	merged, err := m.Merge(ctx, base, head)
	if err != nil {
		return nil, err
	}
	if merged.Commit == "" {
		return nil, &ConflictError{Base: base, Head: head, Files: merged.Conflicts}
	}
	if err := m.Set(ctx, mergeRef(pull, merged.Commit), merged.Commit); err != nil {
		return nil, err
	}
	co := &Checkout{Base: base, Head: head, Merge: merged.Commit, Tree: merged.Tree}
	co.Changed, err = m.Diff(ctx, base, merged.Commit)
	return co, err
}

// made finds a merge of the pull request that was made before.
func (r *Repos) made(ctx context.Context, m *mirror.Mirror, pull int, merge string) (*Checkout, error) {
	objects, err := m.Objects(ctx, mergeRef(pull, merge))
	if err != nil {
		return nil, err
	}
	if objects[0].ID == "" {
		return nil, &GoneError{Repo: m.Name, What: fmt.Sprintf("merge %s of #%d", merge, pull)}
	}
	co := &Checkout{Merge: merge}
	header, _, _ := strings.Cut(objects[0].Data, "\n\n")
	for line := range strings.SplitSeq(header, "\n") {
		switch key, value, _ := strings.Cut(line, " "); {
		case key == "tree":
			co.Tree = value
		case key == "parent" && co.Base == "":
			co.Base, co.Head = value, value // they can be the same
		case key == "parent":
			co.Head = value
		}
	}
	if objects[0].ID != merge || co.Tree == "" || co.Base == "" {
		return nil, fmt.Errorf("%s of %s is not a merge", merge, m.Name)
	}
	co.Changed, err = m.Diff(ctx, co.Base, merge)
	return co, err
}

// mergeAgain repeats a merge in a mirror that has lost it.
func (r *Repos) mergeAgain(ctx context.Context, m *mirror.Mirror, from *git.Remote, pull int, n noted) (*Checkout, error) {
	lost := pullRefs(pull) + "/lost/"
	err := m.Fetch(ctx, from, []string{"refs/weir/base/*", lost + "*"}, "+"+n.base+":"+lost+"base", "+"+n.head+":"+lost+"head")
	if mirror.IsGone(err) {
		return nil, &GoneError{Repo: m.Name, What: fmt.Sprintf("%s or %s, which %s was made of", n.base, n.head, n.merge)}
	}
	if err != nil {
		return nil, err
	}
	co, err := r.merge(ctx, m, pull, n.base, n.head)
	if err == nil && co.Merge != n.merge {
		err = &GoneError{Repo: m.Name, What: "merge " + n.merge + ": made again it is " + co.Merge}
	}
	return co, err
}

// mergeAllAgain makes the merges of all pull requests again in a mirror that
// was made anew. One whose commits GitHub no longer has is lost, which the log
// tells.
func (r *Repos) mergeAllAgain(ctx context.Context, m *mirror.Mirror, from *git.Remote) error {
	one, err := r.placeOf(m.Name, 1)
	if err != nil {
		return err
	}
	dirs, err := os.ReadDir(filepath.Dir(one.admin))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, d := range dirs {
		pull, ok := pullNumber(d.Name())
		if !ok {
			continue
		}
		w, err := r.placeOf(m.Name, pull)
		if err != nil {
			return err
		}
		for _, n := range w.allNoted() {
			if _, err := r.mergeAgain(ctx, m, from, pull, n); ctx.Err() != nil {
				return err
			} else if err != nil {
				r.log().Warn("a merge is lost with the damaged mirror", "repo", m.Name, "pull", pull, "merge", n.merge, "error", err)
			}
		}
	}
	return nil
}

// noted is how a merge can be made again.
type noted struct{ merge, base, head string }

// note remembers beside the mirror what a merge was made of, so that it can be
// made again if the mirror is lost. Without the note it can still be used, so
// a failure is none.
func (w place) note(co *Checkout) {
	if _, ok := w.noted(co.Merge); ok {
		return
	}
	if err := os.MkdirAll(w.admin, 0o700); err != nil {
		return
	}
	f, err := os.OpenFile(filepath.Join(w.admin, "merges"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(f, "%s %s %s\n", co.Merge, co.Base, co.Head) // as above
	_ = f.Close()
}

func (w place) noted(merge string) (noted, bool) {
	for _, n := range w.allNoted() {
		if n.merge == merge {
			return n, true
		}
	}
	return noted{}, false
}

// allNoted leaves out lines that a crash cut off.
func (w place) allNoted() (all []noted) {
	content, err := os.ReadFile(filepath.Join(w.admin, "merges"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(content)) {
		f := strings.Fields(line)
		if len(f) == 3 && mirror.IsID(f[0]) && mirror.IsID(f[1]) && mirror.IsID(f[2]) {
			all = append(all, noted{merge: f[0], base: f[1], head: f[2]})
		}
	}
	return all
}
