package hub

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/record"
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
func (h *Hub) OpenPull(who account.Identity, n NewPull) (record.Pull, error) {
	return in(h, n.Repo, func(r *repo) (record.Pull, error) {
		if n.Base == "" {
			n.Base = r.DefaultBranch
		}
		head, branch := r, n.Head
		if owner, rest, ok := strings.Cut(n.Head, ":"); ok {
			head, branch = h.forkOf(r, owner), rest
		}
		switch {
		case n.Title == "":
			return record.Pull{}, record.Invalid("PullRequest", "title", "missing_field", "")
		case head == nil || head.branches[branch] == "":
			return record.Pull{}, record.Invalid("PullRequest", "head", "invalid", "")
		case r.branches[n.Base] == "":
			return record.Pull{}, record.Invalid("PullRequest", "base", "invalid", "")
		}
		for _, p := range r.pulls {
			if p.State == "open" && p.head == head && p.HeadRef == branch && p.BaseRef == n.Base {
				return record.Pull{}, record.Invalid("PullRequest", "base", "custom", fmt.Sprintf("A pull request already exists for %s:%s.", head.Owner.Login, branch))
			}
		}
		at := record.Now()
		p := &pull{head: head, Pull: record.Pull{
			PullID: h.id(), HeadRef: branch, HeadSHA: head.branches[branch], BaseRef: n.Base, BaseSHA: r.branches[n.Base],
			Issue: record.Issue{
				ID: h.id(), Number: r.last + 1, Title: n.Title, Body: n.Body, Author: who.User, State: "open",
				Association: r.association(who.User), Created: at, Updated: at, IsPull: true, Draft: n.Draft,
			},
		}}
		if err := h.refresh(r, p); err != nil {
			return record.Pull{}, err
		}
		if p.Commits == 0 {
			return record.Pull{}, record.Invalid("PullRequest", "base", "custom", fmt.Sprintf("No commits between %s and %s", n.Base, branch))
		}
		r.last++
		r.pulls[p.Number] = p
		h.tellPull(r, p, "opened", who.User)
		return h.pullView(r, p), nil
	})
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
	p.Repo = r.Repo
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

func (h *Hub) tellPull(r *repo, p *pull, action string, by record.User) {
	v := h.pullView(r, p)
	h.emit(record.Event{Name: "pull_request", Action: action, Sender: by, Repo: r.view(), Pull: &v})
}

// pullView copies a pull request with all that is derived.
func (h *Hub) pullView(r *repo, p *pull) record.Pull {
	v := p.Pull
	v.Repo, v.HeadRepo = r.view(), p.head.view()
	v.Labels, v.Assignees, v.ReviewRequests = slices.Clone(p.Labels), slices.Clone(p.Assignees), slices.Clone(p.ReviewRequests)
	v.Mergeable, v.MergeState = nil, "unknown"
	if p.State == "open" && p.computed {
		clean := p.clean
		v.Mergeable, v.MergeState = &clean, h.mergeState(r, p)
	}
	return v
}

// Pull returns a pull request as it is now. It computes nothing: Mergeable is
// nil until LookAt has computed it.
func (h *Hub) Pull(full string, number int) (record.Pull, error) {
	return inPull(h, full, number, func(r *repo, p *pull) (record.Pull, error) { return h.pullView(r, p), nil })
}

// LookAt returns a pull request as GitHub shows one that is asked for: the
// first answers after a change leave mergeable open, and have it computed.
func (h *Hub) LookAt(full string, number int) (record.Pull, error) {
	return inPull(h, full, number, func(r *repo, p *pull) (record.Pull, error) {
		if p.State == "open" && p.unknown > 0 {
			p.unknown--
			p.computed = false
			return h.pullView(r, p), nil
		}
		if err := h.compute(r, p); err != nil {
			return record.Pull{}, err
		}
		return h.pullView(r, p), nil
	})
}

// Pulls returns the pull requests of a repository, by number.
func (h *Hub) Pulls(full string) ([]record.Pull, error) {
	return in(h, full, func(r *repo) ([]record.Pull, error) {
		var all []record.Pull
		for _, p := range r.sortedPulls() {
			all = append(all, h.pullView(r, p))
		}
		return all, nil
	})
}

func (r *repo) sortedPulls() []*pull {
	all := slices.Collect(maps.Values(r.pulls))
	record.SortBy(all, func(p *pull) int64 { return int64(p.Number) })
	return all
}

// EditPull edits a pull request, which may close or reopen it.
func (h *Hub) EditPull(who account.Identity, full string, number int, e record.Edit) (record.Pull, error) {
	return inPull(h, full, number, func(r *repo, p *pull) (record.Pull, error) {
		var changes record.Changes
		if e.Base != nil && *e.Base != p.BaseRef {
			if r.branches[*e.Base] == "" {
				return record.Pull{}, record.Invalid("PullRequest", "base", "invalid", "")
			}
			old, sha := p.BaseRef, p.BaseSHA
			changes.BaseRef, changes.BaseSHA = &old, &sha
			p.BaseRef, p.BaseSHA = *e.Base, r.branches[*e.Base]
			if err := h.refresh(r, p); err != nil {
				return record.Pull{}, err
			}
		}
		replace := func(to *string, field *string, old **string) {
			if to != nil && *to != *field {
				was := *field
				*old, *field = &was, *to
			}
		}
		replace(e.Title, &p.Title, &changes.Title)
		replace(e.Body, &p.Body, &changes.Body)
		if changes != (record.Changes{}) {
			p.Updated = record.Now()
			v := h.pullView(r, p)
			h.emit(record.Event{Name: "pull_request", Action: "edited", Sender: who.User, Repo: r.view(), Pull: &v, Changes: changes})
		}
		if e.State != nil && *e.State != p.State {
			if err := h.setState(r, p, *e.State, who.User); err != nil {
				return record.Pull{}, err
			}
		}
		return h.pullView(r, p), nil
	})
}

func (h *Hub) setState(r *repo, p *pull, state string, by record.User) error {
	refuse := func(why string) error {
		return record.Invalid("PullRequest", "state", "custom", "state cannot be changed. "+why)
	}
	switch {
	case state == "closed":
		h.close(r, p, by)
		return nil
	case state != "open":
		return record.Invalid("PullRequest", "state", "invalid", "")
	case p.Merged:
		return refuse("The pull request cannot be reopened.")
	case p.head.branches[p.HeadRef] == "":
		return refuse(fmt.Sprintf("The %s branch has been deleted.", p.HeadRef))
	}
	p.State, p.Closed, p.Updated = "open", time.Time{}, record.Now()
	p.HeadSHA, p.BaseSHA = p.head.branches[p.HeadRef], r.branches[p.BaseRef]
	if err := h.refresh(r, p); err != nil {
		return err
	}
	h.tellPull(r, p, "reopened", by)
	return nil
}

// close closes a pull request that may have been merged.
func (h *Hub) close(r *repo, p *pull, by record.User) {
	p.State, p.Closed, p.Updated = "closed", record.Now(), record.Now()
	h.tellPull(r, p, "closed", by)
}

// SetDraft makes a pull request a draft, or ready for review.
func (h *Hub) SetDraft(who account.Identity, full string, number int, draft bool) error {
	_, err := inPull(h, full, number, func(r *repo, p *pull) (struct{}, error) {
		if p.Draft == draft {
			return struct{}{}, nil
		}
		p.Draft, p.Updated = draft, record.Now()
		action := "ready_for_review"
		if draft {
			action = "converted_to_draft"
		}
		h.tellPull(r, p, action, who.User)
		return struct{}{}, nil
	})
	return err
}
