package hub

import (
	"cmp"
	"fmt"
	"strings"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/record"
)

// Protect sets what a branch asks of a pull request before it is merged; the
// zero Protection takes it away. It does not stop pushes: tests move branches.
func (h *Hub) Protect(full, branch string, p record.Protection) error {
	return change(h, full, func(r *repo) error {
		r.protect[branch] = p
		if p.Reviews == 0 && len(p.Checks) == 0 && !p.Strict && !p.DismissOld {
			delete(r.protect, branch)
		}
		return nil
	})
}

// ProtectionOf returns what a branch asks for, and whether it asks at all.
func (h *Hub) ProtectionOf(full, branch string) (p record.Protection, protected bool, err error) {
	p, err = in(h, full, func(r *repo) (record.Protection, error) {
		_, protected = r.protect[branch]
		return r.protect[branch], nil
	})
	return p, protected, err
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
	if p.MergeSHA, err = r.git.CommitTree(h.ctx, tree, []string{base, p.HeadSHA}, message, person(p.Author), record.Now()); err != nil {
		return err
	}
	return r.git.SetRef(h.ctx, fmt.Sprintf("refs/pull/%d/merge", p.Number), p.MergeSHA)
}

// mergeState names the state of a pull request that was computed.
func (h *Hub) mergeState(r *repo, p *pull) string {
	switch {
	case !p.clean:
		return "dirty"
	case p.Draft:
		return "draft"
	case len(h.blockers(r, p)) > 0:
		return "blocked"
	case r.protect[p.BaseRef].Strict && p.BaseSHA != r.branches[p.BaseRef]:
		return "behind"
	}
	for _, outcome := range h.cfg.Checks.Outcomes(r.ID, p.HeadSHA) {
		if outcome != Passed {
			return "unstable"
		}
	}
	return "clean"
}

// blockers says what the base branch's rules still miss, a sentence each.
func (h *Hub) blockers(r *repo, p *pull) []string {
	rules := r.protect[p.BaseRef]
	var missing []string
	outcomes := h.cfg.Checks.Outcomes(r.ID, p.HeadSHA)
	for _, name := range rules.Checks {
		switch outcome, found := outcomes[name]; {
		case !found:
			missing = append(missing, fmt.Sprintf("Required status check %q is expected.", name))
		case outcome == Running:
			missing = append(missing, fmt.Sprintf("Required status check %q is in progress.", name))
		case outcome == Failed:
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
	return inPull(h, full, number, h.refusals)
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
	missing := h.blockers(r, p)
	if h.mergeState(r, p) == "behind" {
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
func (h *Hub) Merge(who account.Identity, full string, number int, o MergeOptions) (string, error) {
	return inPull(h, full, number, func(r *repo, p *pull) (string, error) {
		if o.SHA != "" && o.SHA != p.HeadSHA && p.State == "open" {
			return "", &record.Error{Status: 409, Message: "Head branch was modified. Review and try the merge again."}
		}
		missing, err := h.refusals(r, p)
		if err != nil {
			return "", err
		}
		if len(missing) > 0 {
			return "", &record.Error{Status: 405, Message: strings.Join(missing, " ")}
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
		p.Merged, p.MergedBy, p.MergedAt, p.MergeSHA = true, who.User, record.Now(), sha
		h.close(r, p, who.User)
		return sha, h.moved(r, p.BaseRef, before, sha, who.User)
	})
}

func (h *Hub) mergeCommit(r *repo, p *pull, by record.User, o MergeOptions) (string, error) {
	base := r.branches[p.BaseRef]
	switch cmp.Or(o.Method, "merge") {
	case "merge":
		tree, err := r.git.Tree(h.ctx, p.MergeSHA)
		if err != nil {
			return "", err
		}
		title := cmp.Or(o.Title, fmt.Sprintf("Merge pull request #%d from %s/%s", p.Number, p.head.Owner.Login, p.HeadRef))
		return r.git.CommitTree(h.ctx, tree, []string{base, p.HeadSHA}, title+"\n\n"+cmp.Or(o.Message, p.Title), person(by), record.Now())
	case "squash":
		tree, err := r.git.Tree(h.ctx, p.MergeSHA)
		if err != nil {
			return "", err
		}
		title := cmp.Or(o.Title, fmt.Sprintf("%s (#%d)", p.Title, p.Number))
		return r.git.CommitTree(h.ctx, tree, []string{base}, title+"\n\n"+o.Message, person(by), record.Now())
	case "rebase":
		sha, clean, err := r.git.Rebase(h.ctx, base, p.HeadSHA, person(by), record.Now())
		if err == nil && !clean {
			err = &record.Error{Status: 405, Message: "This branch can't be rebased"}
		}
		return sha, err
	}
	return "", record.Invalid("PullRequest", "merge_method", "invalid", "")
}

// Enqueue makes a merge group of a pull request, as a merge queue does, and
// emits merge_group checks_requested.
func (h *Hub) Enqueue(who account.Identity, full string, number int) (record.Group, error) {
	return inPull(h, full, number, func(r *repo, p *pull) (record.Group, error) {
		if err := h.compute(r, p); err != nil {
			return record.Group{}, err
		}
		if p.State != "open" || !p.clean {
			return record.Group{}, &record.Error{Status: 405, Message: "Pull Request is not mergeable"}
		}
		base := r.branches[p.BaseRef]
		tree, err := r.git.Tree(h.ctx, p.MergeSHA)
		if err != nil {
			return record.Group{}, err
		}
		g := record.Group{
			BaseSHA: base, BaseRef: "refs/heads/" + p.BaseRef, Tree: tree, Author: who.User, At: record.Now(),
			Message: fmt.Sprintf("Merge pull request #%d from %s/%s\n\n%s", number, p.head.Owner.Login, p.HeadRef, p.Title),
			HeadRef: fmt.Sprintf("refs/heads/gh-readonly-queue/%s/pr-%d-%s", p.BaseRef, number, base),
		}
		if g.HeadSHA, err = r.git.CommitTree(h.ctx, tree, []string{base, p.HeadSHA}, g.Message, person(who.User), g.At); err != nil {
			return record.Group{}, err
		}
		if err := r.git.SetRef(h.ctx, g.HeadRef, g.HeadSHA); err != nil {
			return record.Group{}, err
		}
		if err := h.syncRefs(r, who.User); err != nil {
			return record.Group{}, err
		}
		h.emit(record.Event{Name: "merge_group", Action: "checks_requested", Sender: who.User, Repo: r.view(), Group: &g})
		return g, nil
	})
}
