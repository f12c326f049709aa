package hub

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// NewPull describes a pull request to be opened.
type NewPull struct {
	Repo  string
	Head  string // branch, or OWNER:BRANCH in a fork
	Base  string // "" for the default branch
	Title string
	Body  string
	Draft bool
}

// OpenPull opens a pull request.
func (h *Hub) OpenPull(who Identity, n NewPull) (Pull, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(n.Repo)
	if err != nil {
		return Pull{}, err
	}
	base := n.Base
	if base == "" {
		base = r.DefaultBranch
	}
	head, branch := r, n.Head
	if owner, rest, ok := strings.Cut(n.Head, ":"); ok {
		branch = rest
		head = h.forkOf(r, owner)
	}
	switch {
	case n.Title == "":
		return Pull{}, invalid("PullRequest", "title", "missing_field", "")
	case head == nil || head.branches[branch] == "":
		return Pull{}, invalid("PullRequest", "head", "invalid", "")
	case r.branches[base] == "":
		return Pull{}, invalid("PullRequest", "base", "invalid", "")
	}
	for _, p := range r.pulls {
		if p.State == "open" && p.head == head && p.HeadRef == branch && p.BaseRef == base {
			return Pull{}, invalid("PullRequest", "", "custom", fmt.Sprintf("A pull request already exists for %s:%s.", head.Owner.Login, branch))
		}
	}
	r.last++
	at := now()
	p := &pull{head: head, Pull: Pull{PullID: h.id(), HeadRef: branch, HeadSHA: head.branches[branch], BaseRef: base, BaseSHA: r.branches[base],
		Issue: Issue{ID: h.id(), Repo: r.Repo, Number: r.last, Title: n.Title, Body: n.Body, Author: who.User, State: "open", Created: at, Updated: at, IsPull: true, Draft: n.Draft}}}
	if err := h.refresh(r, p); err != nil {
		r.last--
		return Pull{}, err
	}
	if p.Commits == 0 {
		r.last--
		return Pull{}, invalid("PullRequest", "", "custom", fmt.Sprintf("No commits between %s and %s", base, branch))
	}
	r.pulls[p.Number] = p
	h.tellPull(r, p, "opened", who.User)
	return h.pullView(r, p), nil
}

func (h *Hub) forkOf(r *repo, owner string) *repo {
	if strings.EqualFold(owner, r.Owner.Login) {
		return r
	}
	for _, f := range h.repos {
		if strings.EqualFold(f.Owner.Login, owner) && strings.EqualFold(f.Parent, r.FullName()) {
			return f
		}
	}
	return nil
}

// refresh reads again what follows from head and base.
func (h *Hub) refresh(r *repo, p *pull) error {
	ref := fmt.Sprintf("refs/pull/%d/head", p.Number)
	if p.head != r {
		if err := r.git.Fetch(h.ctx, p.head.git, p.HeadRef, ref); err != nil {
			return err
		}
	} else if err := r.git.SetRef(h.ctx, ref, p.HeadSHA); err != nil {
		return err
	}
	p.forget(h)
	base := r.branches[p.BaseRef]
	commits, err := r.git.Log(h.ctx, base, p.HeadSHA)
	if err != nil {
		return err
	}
	changes, err := r.git.Diff(h.ctx, base, p.HeadSHA)
	if err != nil {
		return err
	}
	p.Commits, p.ChangedFiles, p.Additions, p.Deletions = len(commits), len(changes), 0, 0
	for _, c := range changes {
		p.Additions += c.Additions
		p.Deletions += c.Deletions
	}
	return nil
}

// forget lets mergeable be computed anew.
func (p *pull) forget(h *Hub) {
	p.computed, p.unknown = false, h.cfg.UnknownMergeable
}

func (h *Hub) tellPull(r *repo, p *pull, action string, by User) {
	v := h.pullView(r, p)
	h.emit(Event{Name: "pull_request", Action: action, Sender: by, Repo: h.repoView(r), Pull: &v})
}

// pullView copies a pull request with all that is derived.
func (h *Hub) pullView(r *repo, p *pull) Pull {
	v := p.Pull
	v.Repo, v.HeadRepo = h.repoView(r), h.repoView(p.head)
	v.Labels = slices.Clone(p.Labels)
	v.ReviewRequests = slices.Clone(p.ReviewRequests)
	v.Comments = r.commentCount(p.Number)
	v.Association = r.association(p.Author)
	v.Mergeable, v.MergeState = nil, "unknown"
	if p.State == "open" && p.computed {
		clean := p.clean
		v.Mergeable, v.MergeState = &clean, r.mergeState(p)
	}
	return v
}

func (r *repo) commentCount(number int) int {
	n := 0
	for _, c := range r.comments {
		if c.Number == number {
			n++
		}
	}
	return n
}

func (h *Hub) pull(full string, number int) (*repo, *pull, error) {
	r, err := h.repo(full)
	if err != nil {
		return nil, nil, err
	}
	p := r.pulls[number]
	if p == nil {
		return nil, nil, notFound()
	}
	return r, p, nil
}

// Pull returns a pull request as it is now. It computes nothing: Mergeable is
// nil until LookAt has computed it.
func (h *Hub) Pull(full string, number int) (Pull, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, p, err := h.pull(full, number)
	if err != nil {
		return Pull{}, err
	}
	return h.pullView(r, p), nil
}

// LookAt returns a pull request as GitHub shows one that is asked for: the
// first answers after a change leave mergeable open, and have it computed.
func (h *Hub) LookAt(full string, number int) (Pull, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, p, err := h.pull(full, number)
	if err != nil {
		return Pull{}, err
	}
	if p.State == "open" && p.unknown > 0 {
		p.unknown--
		p.computed = false
		return h.pullView(r, p), nil
	}
	if err := h.compute(r, p); err != nil {
		return Pull{}, err
	}
	return h.pullView(r, p), nil
}

// Pulls returns the pull requests of a repository, by number.
func (h *Hub) Pulls(full string) ([]Pull, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return nil, err
	}
	var all []Pull
	for _, p := range r.sortedPulls() {
		all = append(all, h.pullView(r, p))
	}
	return all, nil
}

// Edit changes what a pull request or an issue says, or where it goes; a nil
// field stays as it is.
type Edit struct {
	Title, Body, State, Base *string
}

// EditPull edits a pull request, which may close or reopen it.
func (h *Hub) EditPull(who Identity, full string, number int, e Edit) (Pull, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, p, err := h.pull(full, number)
	if err != nil {
		return Pull{}, err
	}
	var changes Changes
	if e.Base != nil && *e.Base != p.BaseRef {
		if r.branches[*e.Base] == "" {
			return Pull{}, invalid("PullRequest", "base", "invalid", "")
		}
		old, sha := p.BaseRef, p.BaseSHA
		changes.BaseRef, changes.BaseSHA = &old, &sha
		p.BaseRef, p.BaseSHA = *e.Base, r.branches[*e.Base]
		if err := h.refresh(r, p); err != nil {
			return Pull{}, err
		}
	}
	if e.Title != nil && *e.Title != p.Title {
		old := p.Title
		changes.Title, p.Title = &old, *e.Title
	}
	if e.Body != nil && *e.Body != p.Body {
		old := p.Body
		changes.Body, p.Body = &old, *e.Body
	}
	if changes != (Changes{}) {
		p.Updated = now()
		v := h.pullView(r, p)
		h.emit(Event{Name: "pull_request", Action: "edited", Sender: who.User, Repo: h.repoView(r), Pull: &v, Changes: changes})
	}
	if e.State != nil && *e.State != p.State {
		if err := h.setState(r, p, *e.State, who.User); err != nil {
			return Pull{}, err
		}
	}
	return h.pullView(r, p), nil
}

func (h *Hub) setState(r *repo, p *pull, state string, by User) error {
	switch {
	case state == "closed":
		h.close(r, p, by)
	case state != "open":
		return invalid("PullRequest", "state", "invalid", "")
	case p.Merged:
		return invalid("PullRequest", "state", "custom", "state cannot be changed. The pull request cannot be reopened.")
	case p.head.branches[p.HeadRef] == "":
		return invalid("PullRequest", "state", "custom", fmt.Sprintf("state cannot be changed. The %s branch has been deleted.", p.HeadRef))
	default:
		p.State, p.Closed, p.Updated = "open", time.Time{}, now()
		p.HeadSHA, p.BaseSHA = p.head.branches[p.HeadRef], r.branches[p.BaseRef]
		if err := h.refresh(r, p); err != nil {
			return err
		}
		h.tellPull(r, p, "reopened", by)
	}
	return nil
}

// close closes a pull request that may have been merged.
func (h *Hub) close(r *repo, p *pull, by User) {
	p.State, p.Closed, p.Updated = "closed", now(), now()
	if p.Merged {
		p.BaseSHA = r.branches[p.BaseRef]
	}
	h.tellPull(r, p, "closed", by)
}

// SetDraft makes a pull request a draft, or ready for review.
func (h *Hub) SetDraft(who Identity, full string, number int, draft bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, p, err := h.pull(full, number)
	if err != nil || p.Draft == draft {
		return err
	}
	p.Draft, p.Updated = draft, now()
	action := "ready_for_review"
	if draft {
		action = "converted_to_draft"
	}
	h.tellPull(r, p, action, who.User)
	return nil
}

// AddLabels puts labels on a pull request or an issue and returns all of its
// labels. A label that the repository does not have is made.
func (h *Hub) AddLabels(who Identity, full string, number int, names ...string) ([]Label, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return nil, err
	}
	i, err := r.issue(number)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if slices.ContainsFunc(i.Labels, func(l Label) bool { return strings.EqualFold(l.Name, name) }) {
			continue
		}
		label := h.label(r, name)
		i.Labels = append(i.Labels, label)
		h.tellLabel(r, i, "labeled", label, who.User)
	}
	return slices.Clone(i.Labels), nil
}

// RemoveLabel takes a label off and returns those that are left.
func (h *Hub) RemoveLabel(who Identity, full string, number int, name string) ([]Label, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return nil, err
	}
	i, err := r.issue(number)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(i.Labels, func(l Label) bool { return strings.EqualFold(l.Name, name) })
	if at < 0 {
		return nil, &Error{Status: 404, Message: "Label does not exist"}
	}
	label := i.Labels[at]
	i.Labels = slices.Delete(slices.Clone(i.Labels), at, at+1)
	h.tellLabel(r, i, "unlabeled", label, who.User)
	return slices.Clone(i.Labels), nil
}

func (h *Hub) label(r *repo, name string) Label {
	for _, l := range r.labels {
		if strings.EqualFold(l.Name, name) {
			return l
		}
	}
	l := Label{ID: h.id(), Name: name}
	r.labels = append(r.labels, l)
	return l
}

func (h *Hub) tellLabel(r *repo, i *Issue, action string, l Label, by User) {
	p := r.pulls[i.Number]
	if p == nil {
		h.touch()
		return
	}
	v := h.pullView(r, p)
	h.emit(Event{Name: "pull_request", Action: action, Sender: by, Repo: h.repoView(r), Pull: &v, Label: &l})
}
