package hub

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/integration/sandbox/gitrepo"
	"weir/integration/sandbox/record"
)

// Change is a commit to be pushed.
type Change struct {
	Repo   string
	Branch string
	// From is the branch or commit that a new branch starts at, the default
	// branch where it is "". On a branch that exists it makes the push a
	// forced one that starts there again; "" builds on the branch's tip.
	From    string
	Files   map[string]string // path to content
	Links   map[string]string // path to the target of a symbolic link
	Delete  []string          // files or directories
	Message string
	As      string // login; "" for the owner of the repository
}

// Push commits a change and pushes it, and returns the new commit. Neither
// permissions nor branch protection stop it: who tests decides.
func (h *Hub) Push(c Change) (string, error) {
	return in(h, c.Repo, func(r *repo) (string, error) {
		branch := cmp.Or(c.Branch, r.DefaultBranch)
		by := r.Owner
		if c.As != "" {
			by = h.User(c.As)
		}
		parent := r.branches[branch]
		if c.From != "" || parent == "" {
			from := cmp.Or(c.From, r.DefaultBranch)
			var err error
			if parent, err = r.git.Resolve(h.ctx, from); err != nil {
				return "", err
			}
			if parent == "" {
				return "", fmt.Errorf("push to %s of %s: there is no %s to start from", branch, c.Repo, from)
			}
		}
		sha, err := r.git.Commit(h.ctx, gitrepo.Commit{
			Branch: branch, Parent: parent, Files: c.Files, Links: c.Links, Delete: c.Delete,
			Message: cmp.Or(c.Message, "Update "+branch), Author: person(by), When: record.Now(),
		})
		if err != nil {
			return "", err
		}
		return sha, h.syncRefs(r, by)
	})
}

// DeleteBranch deletes a branch, which closes the pull requests from it.
func (h *Hub) DeleteBranch(full, branch, as string) error {
	return change(h, full, func(r *repo) error {
		if r.branches[branch] == "" {
			return record.NotFound()
		}
		if err := r.git.DeleteRef(h.ctx, "refs/heads/"+branch); err != nil {
			return err
		}
		return h.syncRefs(r, h.User(as))
	})
}

// SyncRefs looks for branches that moved behind the hub's back, by a push over
// HTTP, and lets happen what follows from it.
func (h *Hub) SyncRefs(full string, by record.User) error {
	return change(h, full, func(r *repo) error { return h.syncRefs(r, by) })
}

// Branch returns the commit of a branch, or "" where there is none.
func (h *Hub) Branch(full, branch string) string { return h.Branches(full)[branch] }

// Branches returns the branches of a repository and their commits; nil where
// there is no such repository.
func (h *Hub) Branches(full string) map[string]string {
	branches, err := in(h, full, func(r *repo) (map[string]string, error) { return maps.Clone(r.branches), nil })
	if err != nil {
		return nil
	}
	return branches
}

func (r *repo) heads(ctx context.Context) (map[string]string, error) {
	refs, err := r.git.Refs(ctx, "refs/heads/")
	if err != nil {
		return nil, err
	}
	heads := make(map[string]string, len(refs))
	for ref, sha := range refs {
		heads[strings.TrimPrefix(ref, "refs/heads/")] = sha
	}
	return heads, nil
}

func (h *Hub) syncRefs(r *repo, by record.User) error {
	heads, err := r.heads(h.ctx)
	if err != nil {
		return err
	}
	before := r.branches
	r.branches = heads
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range heads {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if before[name] != heads[name] {
			if err := h.moved(r, name, before[name], heads[name], by); err != nil {
				return err
			}
		}
	}
	return nil
}

// moved lets everything happen that follows from the push of a branch.
func (h *Hub) moved(r *repo, branch, old, sha string, by record.User) error {
	r.Pushed = record.Now()
	if err := h.tellPush(r, branch, old, sha, by); err != nil {
		return err
	}
	for _, p := range h.openPulls() {
		if p.head == r && p.HeadRef == branch {
			if err := h.headMoved(p, old, sha, by); err != nil {
				return err
			}
		}
	}
	if sha != "" {
		if err := h.cfg.Checks.Pushed(Tx{h, r}, sha, branch, old, by); err != nil {
			return err
		}
	}
	for _, p := range r.sortedPulls() {
		if p.State == "open" && p.BaseRef == branch && sha != "" {
			p.forget(h)
			if err := h.mergedByHand(r, p, sha, by); err != nil {
				return err
			}
		}
	}
	return nil
}

// openPulls lists every open pull request of every repository: a branch of a
// fork belongs to a pull request of its parent.
func (h *Hub) openPulls() []*pull {
	var open []*pull
	for _, r := range h.repos {
		for _, p := range r.pulls {
			if p.State == "open" {
				open = append(open, p)
			}
		}
	}
	record.SortBy(open, func(p *pull) int64 { return p.PullID })
	return open
}

func (h *Hub) headMoved(p *pull, old, sha string, by record.User) error {
	r := h.repos[strings.ToLower(p.Repo.FullName())]
	if sha == "" { // the branch was deleted
		h.close(r, p, by)
		return nil
	}
	p.HeadSHA, p.BaseSHA = sha, r.branches[p.BaseRef]
	p.Updated = record.Now()
	if err := h.refresh(r, p); err != nil {
		return err
	}
	v := h.pullView(r, p)
	h.emit(record.Event{Name: "pull_request", Action: "synchronize", Sender: by, Repo: r.view(), Pull: &v, Before: old, After: sha})
	if r.protect[p.BaseRef].DismissOld {
		for _, review := range p.reviews {
			if review.State == "APPROVED" {
				h.dismiss(r, p, review, by)
			}
		}
	}
	return nil
}

// mergedByHand marks a pull request as merged when its head was pushed to its
// base, as GitHub does.
func (h *Hub) mergedByHand(r *repo, p *pull, base string, by record.User) error {
	merged, err := r.git.IsAncestor(h.ctx, p.HeadSHA, base)
	if err != nil || !merged {
		return err
	}
	p.Merged, p.MergedBy, p.MergedAt, p.MergeSHA = true, by, record.Now(), base
	h.close(r, p, by)
	return nil
}

func (h *Hub) tellPush(r *repo, branch, old, sha string, by record.User) error {
	push := record.Push{Ref: "refs/heads/" + branch, Before: cmp.Or(old, gitrepo.Zero), After: cmp.Or(sha, gitrepo.Zero)}
	if sha != "" {
		from := old
		if old == "" && branch != r.DefaultBranch {
			from = r.branches[r.DefaultBranch]
		}
		if old != "" {
			forward, err := r.git.IsAncestor(h.ctx, old, sha)
			if err != nil {
				return err
			}
			push.Forced = !forward
		}
		commits, err := r.git.Log(h.ctx, from, sha)
		if err != nil {
			return err
		}
		// GitHub tells of 2,048 commits at most; nobody here needs more than the last.
		for _, c := range commits[max(0, len(commits)-20):] {
			pushed := record.PushedCommit{SHA: c.SHA, Tree: c.Tree, Message: c.Message, Name: c.Author.Name, Email: c.Author.Email, When: c.When}
			if pushed.Added, pushed.Removed, pushed.Modified, err = r.git.Touched(h.ctx, c); err != nil {
				return err
			}
			push.Commits = append(push.Commits, pushed)
		}
	}
	h.emit(record.Event{Name: "push", Sender: by, Repo: r.view(), Push: &push})
	return nil
}

// Git returns the Git repository behind a repository.
func (h *Hub) Git(full string) (*gitrepo.Repo, error) {
	return in(h, full, func(r *repo) (*gitrepo.Repo, error) { return r.git, nil })
}
