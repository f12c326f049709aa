package hub

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/integration/sandbox/gitrepo"
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

// Push commits a change and pushes it, and returns the new commit. The App
// and branch protection do not stop it: who tests decides.
func (h *Hub) Push(c Change) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(c.Repo)
	if err != nil {
		return "", err
	}
	branch := cmp.Or(c.Branch, r.DefaultBranch)
	by := r.Owner
	if c.As != "" {
		by = *h.user(c.As, KindUser)
	}
	parent := r.branches[branch]
	if c.From != "" || parent == "" {
		from := cmp.Or(c.From, r.DefaultBranch)
		if parent, err = r.git.Resolve(h.ctx, from); err != nil {
			return "", err
		}
		if parent == "" {
			return "", fmt.Errorf("push to %s of %s: there is no %s to start from", branch, c.Repo, from)
		}
	}
	sha, err := r.git.Commit(h.ctx, gitrepo.Commit{Branch: branch, Parent: parent, Files: c.Files, Links: c.Links, Delete: c.Delete,
		Message: cmp.Or(c.Message, "Update "+branch), Author: person(by), When: now()})
	if err != nil {
		return "", err
	}
	return sha, h.syncRefs(r, by)
}

// DeleteBranch deletes a branch, which closes the pull requests from it.
func (h *Hub) DeleteBranch(full, branch, as string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return err
	}
	if r.branches[branch] == "" {
		return notFound()
	}
	if err := r.git.DeleteRef(h.ctx, "refs/heads/"+branch); err != nil {
		return err
	}
	return h.syncRefs(r, *h.user(as, KindUser))
}

// SyncRefs looks for branches that moved behind the hub's back, by a push over
// HTTP, and lets happen what follows from it.
func (h *Hub) SyncRefs(full string, by User) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return err
	}
	return h.syncRefs(r, by)
}

// Branch returns the commit of a branch, or "" where there is none.
func (h *Hub) Branch(full, branch string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return ""
	}
	return r.branches[branch]
}

// Branches returns the branches of a repository and their commits.
func (h *Hub) Branches(full string) map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return nil
	}
	return maps.Clone(r.branches)
}

func (h *Hub) syncRefs(r *repo, by User) error {
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
func (h *Hub) moved(r *repo, branch, old, sha string, by User) error {
	r.Pushed = now()
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
	if sha != "" && h.app != nil && h.installationOf(r.FullName()) != nil {
		if _, err := h.suite(r, sha, branch, old, by); err != nil {
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
	sortBy(open, func(p *pull) int64 { return p.PullID })
	return open
}

func (r *repo) sortedPulls() []*pull {
	all := slices.Collect(maps.Values(r.pulls))
	sortBy(all, func(p *pull) int64 { return int64(p.Number) })
	return all
}

func (h *Hub) headMoved(p *pull, old, sha string, by User) error {
	r, err := h.repo(p.Repo.FullName())
	if err != nil {
		return err
	}
	if sha == "" { // the branch was deleted
		h.close(r, p, by)
		return nil
	}
	p.HeadSHA, p.BaseSHA = sha, r.branches[p.BaseRef]
	p.Updated = now()
	if err := h.refresh(r, p); err != nil {
		return err
	}
	v := h.pullView(r, p)
	h.emit(Event{Name: "pull_request", Action: "synchronize", Sender: by, Repo: h.repoView(r), Pull: &v, Before: old, After: sha})
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
func (h *Hub) mergedByHand(r *repo, p *pull, base string, by User) error {
	merged, err := r.git.IsAncestor(h.ctx, p.HeadSHA, base)
	if err != nil || !merged {
		return err
	}
	p.Merged, p.MergedBy, p.MergedAt, p.MergeSHA = true, by, now(), base
	h.close(r, p, by)
	return nil
}

func (h *Hub) tellPush(r *repo, branch, old, sha string, by User) error {
	push := Push{Ref: "refs/heads/" + branch, Before: cmp.Or(old, gitrepo.Zero), After: cmp.Or(sha, gitrepo.Zero)}
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
		// GitHub tells of 2,048 commits at most; a sandbox needs no more than the last.
		for _, c := range commits[max(0, len(commits)-20):] {
			pushed := PushedCommit{SHA: c.SHA, Tree: c.Tree, Message: c.Message, Name: c.Author.Name, Email: c.Author.Email, When: c.When}
			if len(c.Parents) == 1 {
				changes, err := r.git.Diff(h.ctx, c.Parents[0], c.SHA)
				if err != nil {
					return err
				}
				for _, f := range changes {
					switch f.Status {
					case "added":
						pushed.Added = append(pushed.Added, f.Path)
					case "removed":
						pushed.Removed = append(pushed.Removed, f.Path)
					case "renamed":
						pushed.Added, pushed.Removed = append(pushed.Added, f.Path), append(pushed.Removed, f.OldPath)
					default:
						pushed.Modified = append(pushed.Modified, f.Path)
					}
				}
			}
			push.Commits = append(push.Commits, pushed)
		}
	}
	h.emit(Event{Name: "push", Sender: by, Repo: h.repoView(r), Push: &push})
	return nil
}

// Files lists the paths of a commit or branch.
func (h *Hub) Files(full, commit string) ([]string, error) {
	git, err := h.Git(full)
	if err != nil {
		return nil, err
	}
	return git.Files(h.ctx, commit)
}

// File returns the content of a file, or false where there is none.
func (h *Hub) File(full, commit, path string) (string, bool, error) {
	git, err := h.Git(full)
	if err != nil {
		return "", false, err
	}
	return git.File(h.ctx, commit, path)
}

// Git returns the Git repository behind a repository.
func (h *Hub) Git(full string) (*gitrepo.Repo, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return nil, err
	}
	return r.git, nil
}

// Commit returns a commit by any name for it, or a 404.
func (h *Hub) Commit(full, name string) (gitrepo.Info, error) {
	git, err := h.Git(full)
	if err != nil {
		return gitrepo.Info{}, err
	}
	sha, err := git.Resolve(h.ctx, strings.TrimPrefix(name, "heads/"))
	if err != nil {
		return gitrepo.Info{}, err
	}
	if sha == "" {
		return gitrepo.Info{}, &Error{Status: 422, Message: "No commit found for SHA: " + name}
	}
	return git.Info(h.ctx, sha)
}
