package hub

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Protect sets what a branch asks of a pull request; the zero Protection
// takes it away.
func (h *Hub) Protect(full, branch string, p Protection) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return err
	}
	r.protect[branch] = p
	if p.Reviews == 0 && len(p.Checks) == 0 && !p.Strict && !p.DismissOld {
		delete(r.protect, branch)
	}
	h.touch()
	return nil
}

// ProtectionOf returns what a branch asks for, and whether it asks at all.
func (h *Hub) ProtectionOf(full, branch string) (Protection, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return Protection{}, false, err
	}
	p, ok := r.protect[branch]
	return p, ok, nil
}

// compute merges head into base, as GitHub does in the background, and keeps
// the result under refs/pull/N/merge.
func (h *Hub) compute(r *repo, p *pull) error {
	if p.State != "open" || p.computed {
		return nil
	}
	base := r.branches[p.BaseRef]
	tree, clean, err := r.git.MergeTrees(h.ctx, base, p.HeadSHA)
	if err != nil {
		return err
	}
	p.computed, p.clean = true, clean
	if !clean {
		p.MergeSHA = ""
		return nil
	}
	message := fmt.Sprintf("Merge %s into %s", p.HeadSHA, base)
	if p.MergeSHA, err = r.git.CommitTree(h.ctx, tree, []string{base, p.HeadSHA}, message, person(p.Author), now()); err != nil {
		return err
	}
	return r.git.SetRef(h.ctx, fmt.Sprintf("refs/pull/%d/merge", p.Number), p.MergeSHA)
}

// mergeState names the state of a pull request that was computed.
func (r *repo) mergeState(p *pull) string {
	switch {
	case !p.clean:
		return "dirty"
	case p.Draft:
		return "draft"
	case len(r.blockers(p)) > 0:
		return "blocked"
	case r.protect[p.BaseRef].Strict && p.BaseSHA != r.branches[p.BaseRef]:
		return "behind"
	}
	for _, ok := range r.outcomes(p.HeadSHA) {
		if !ok {
			return "unstable"
		}
	}
	return "clean"
}

// outcomes says of each check and status of a commit whether it succeeded.
func (r *repo) outcomes(sha string) map[string]bool {
	all := map[string]bool{}
	for _, s := range r.statusesOf(sha, true) {
		all[s.Context] = s.State == "success"
	}
	for _, c := range r.checksOf(sha, true) {
		ok := slices.Contains([]string{"success", "neutral", "skipped"}, c.Conclusion)
		if old, both := all[c.Name]; both {
			ok = ok && old
		}
		all[c.Name] = ok
	}
	return all
}

// blockers says what the base branch's rules still miss, a sentence each.
func (r *repo) blockers(p *pull) []string {
	rules := r.protect[p.BaseRef]
	var missing []string
	outcomes := r.outcomes(p.HeadSHA)
	for _, name := range rules.Checks {
		switch ok, found := outcomes[name]; {
		case !found:
			missing = append(missing, fmt.Sprintf("Required status check %q is expected.", name))
		case !ok:
			missing = append(missing, fmt.Sprintf("Required status check %q is failing.", name))
		}
	}
	if rules.Reviews > 0 {
		approved, refused := r.opinions(p)
		if len(refused) > 0 {
			missing = append(missing, "Changes were requested by "+strings.Join(refused, ", ")+".")
		}
		if len(approved) < rules.Reviews {
			missing = append(missing, fmt.Sprintf("At least %d approving review is required by reviewers with write access.", rules.Reviews))
		}
	}
	return missing
}

// opinions returns who, with write access, approves and who requests changes
// by their latest review that is not a mere comment.
func (r *repo) opinions(p *pull) (approved, refused []string) {
	latest := map[string]string{}
	for _, review := range p.reviews {
		if review.State != "COMMENTED" && r.role(review.Author.Login).AtLeast("write") {
			latest[review.Author.Login] = review.State
		}
	}
	for _, login := range sortedKeys(latest) {
		switch latest[login] {
		case "APPROVED":
			approved = append(approved, login)
		case "CHANGES_REQUESTED":
			refused = append(refused, login)
		}
	}
	return approved, refused
}

// Blockers says why a pull request cannot be merged now, a sentence each; none
// means that it can.
func (h *Hub) Blockers(full string, number int) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, p, err := h.pull(full, number)
	if err != nil {
		return nil, err
	}
	return h.refusals(r, p)
}

func (h *Hub) refusals(r *repo, p *pull) ([]string, error) {
	if p.State != "open" {
		return []string{"Pull Request is not mergeable"}, nil
	}
	if p.Draft {
		return []string{"Pull Request is still a draft"}, nil
	}
	if err := h.compute(r, p); err != nil {
		return nil, err
	}
	if !p.clean {
		return []string{"Pull Request has merge conflicts"}, nil
	}
	missing := r.blockers(p)
	if r.mergeState(p) == "behind" {
		missing = append(missing, "Head branch is out of date with the base branch.")
	}
	return missing, nil
}

// MergeOptions say how to merge.
type MergeOptions struct {
	Method  string // merge (default), squash or rebase
	SHA     string // that the head must be; "" for any
	Title   string
	Message string
}

// Merge merges a pull request and returns the new commit of the base branch.
// It refuses with 405 what the branch's rules do not allow, and with 409 where
// the head is not the expected one.
func (h *Hub) Merge(who Identity, full string, number int, o MergeOptions) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, p, err := h.pull(full, number)
	if err != nil {
		return "", err
	}
	if o.SHA != "" && o.SHA != p.HeadSHA && p.State == "open" {
		return "", &Error{Status: 409, Message: "Head branch was modified. Review and try the merge again."}
	}
	missing, err := h.refusals(r, p)
	if err != nil {
		return "", err
	}
	if len(missing) > 0 {
		return "", &Error{Status: 405, Message: strings.Join(missing, " ")}
	}
	sha, err := h.mergeCommit(r, p, who.User, o)
	if err != nil {
		return "", err
	}
	if err := r.git.SetRef(h.ctx, "refs/heads/"+p.BaseRef, sha); err != nil {
		return "", err
	}
	before := r.branches[p.BaseRef]
	r.branches[p.BaseRef] = sha
	p.Merged, p.MergedBy, p.MergedAt, p.MergeSHA = true, who.User, now(), sha
	h.close(r, p, who.User)
	return sha, h.moved(r, p.BaseRef, before, sha, who.User)
}

func (h *Hub) mergeCommit(r *repo, p *pull, by User, o MergeOptions) (string, error) {
	base := r.branches[p.BaseRef]
	switch cmp.Or(o.Method, "merge") {
	case "merge":
		tree, err := r.git.Tree(h.ctx, p.MergeSHA)
		if err != nil {
			return "", err
		}
		title := cmp.Or(o.Title, fmt.Sprintf("Merge pull request #%d from %s/%s", p.Number, p.head.Owner.Login, p.HeadRef))
		return r.git.CommitTree(h.ctx, tree, []string{base, p.HeadSHA}, title+"\n\n"+cmp.Or(o.Message, p.Title), person(by), now())
	case "squash":
		tree, err := r.git.Tree(h.ctx, p.MergeSHA)
		if err != nil {
			return "", err
		}
		title := cmp.Or(o.Title, fmt.Sprintf("%s (#%d)", p.Title, p.Number))
		return r.git.CommitTree(h.ctx, tree, []string{base}, title+"\n\n"+o.Message, person(by), now())
	case "rebase":
		sha, clean, err := r.git.Rebase(h.ctx, base, p.HeadSHA, person(by), now())
		if err == nil && !clean {
			err = &Error{Status: 405, Message: "This branch can't be rebased"}
		}
		return sha, err
	}
	return "", invalid("PullRequest", "merge_method", "invalid", "")
}

// Enqueue makes a merge group of a pull request, as a merge queue does, and
// emits merge_group checks_requested.
func (h *Hub) Enqueue(who Identity, full string, number int) (Group, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, p, err := h.pull(full, number)
	if err != nil {
		return Group{}, err
	}
	if err := h.compute(r, p); err != nil {
		return Group{}, err
	}
	if p.State != "open" || !p.clean {
		return Group{}, &Error{Status: 405, Message: "Pull Request is not mergeable"}
	}
	base := r.branches[p.BaseRef]
	info, err := r.git.Info(h.ctx, p.MergeSHA)
	if err != nil {
		return Group{}, err
	}
	g := Group{BaseSHA: base, BaseRef: "refs/heads/" + p.BaseRef, Tree: info.Tree, Author: who.User,
		Message: fmt.Sprintf("Merge pull request #%d from %s/%s\n\n%s", number, p.head.Owner.Login, p.HeadRef, p.Title),
		HeadRef: fmt.Sprintf("refs/heads/gh-readonly-queue/%s/pr-%d-%s", p.BaseRef, number, base)}
	if g.HeadSHA, err = r.git.CommitTree(h.ctx, info.Tree, []string{base, p.HeadSHA}, g.Message, person(who.User), now()); err != nil {
		return Group{}, err
	}
	if err := r.git.SetRef(h.ctx, g.HeadRef, g.HeadSHA); err != nil {
		return Group{}, err
	}
	if err := h.syncRefs(r, who.User); err != nil {
		return Group{}, err
	}
	h.emit(Event{Name: "merge_group", Action: "checks_requested", Sender: who.User, Repo: h.repoView(r), Group: &g})
	return g, nil
}
