package hub

import (
	"slices"
	"strings"
)

// NewReview describes a review to be submitted.
type NewReview struct {
	Event  string // APPROVE, REQUEST_CHANGES or COMMENT
	Body   string
	Commit string // "" for the head
}

// AddReview submits a review.
func (h *Hub) AddReview(who Identity, full string, number int, n NewReview) (Review, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, p, err := h.pull(full, number)
	if err != nil {
		return Review{}, err
	}
	state := map[string]string{"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}[n.Event]
	own := p.Author.ID == who.User.ID
	switch {
	case state == "":
		return Review{}, invalid("PullRequestReview", "event", "invalid", "")
	case own && state == "APPROVED":
		return Review{}, &Error{Status: 422, Message: "Unprocessable Entity", Fields: []FieldError{{Message: "Can not approve your own pull request"}}}
	case own && state == "CHANGES_REQUESTED":
		return Review{}, &Error{Status: 422, Message: "Unprocessable Entity", Fields: []FieldError{{Message: "Can not request changes on your own pull request"}}}
	case n.Body == "" && state != "APPROVED":
		return Review{}, &Error{Status: 422, Message: "Unprocessable Entity", Fields: []FieldError{{Message: "Body can't be blank"}}}
	}
	commit := n.Commit
	if commit == "" {
		commit = p.HeadSHA
	}
	review := &Review{ID: h.id(), Author: who.User, State: state, Body: n.Body, Commit: commit, Submitted: now(), Association: r.association(who.User)}
	p.reviews = append(p.reviews, review)
	p.Updated = now()
	h.tellReview(r, p, review, "submitted", who.User)
	return *review, nil
}

func (h *Hub) tellReview(r *repo, p *pull, review *Review, action string, by User) {
	pv, rv := h.pullView(r, p), *review
	h.emit(Event{Name: "pull_request_review", Action: action, Sender: by, Repo: h.repoView(r), Pull: &pv, Review: &rv})
}

func (p *pull) review(id int64) (*Review, error) {
	at := slices.IndexFunc(p.reviews, func(r *Review) bool { return r.ID == id })
	if at < 0 {
		return nil, notFound()
	}
	return p.reviews[at], nil
}

// Dismiss dismisses a review.
func (h *Hub) Dismiss(who Identity, full string, number int, id int64) (Review, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, p, err := h.pull(full, number)
	if err != nil {
		return Review{}, err
	}
	review, err := p.review(id)
	if err != nil {
		return Review{}, err
	}
	if review.State != "APPROVED" && review.State != "CHANGES_REQUESTED" {
		return Review{}, &Error{Status: 422, Message: "Can not dismiss a " + strings.ToLower(review.State) + " pull request review"}
	}
	h.dismiss(r, p, review, who.User)
	return *review, nil
}

func (h *Hub) dismiss(r *repo, p *pull, review *Review, by User) {
	review.State = "DISMISSED"
	p.Updated = now()
	h.tellReview(r, p, review, "dismissed", by)
}

// EditReview changes the body of a review.
func (h *Hub) EditReview(who Identity, full string, number int, id int64, body string) (Review, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, p, err := h.pull(full, number)
	if err != nil {
		return Review{}, err
	}
	review, err := p.review(id)
	if err != nil {
		return Review{}, err
	}
	old := review.Body
	review.Body = body
	pv, rv := h.pullView(r, p), *review
	h.emit(Event{Name: "pull_request_review", Action: "edited", Sender: who.User, Repo: h.repoView(r), Pull: &pv, Review: &rv, Changes: Changes{Body: &old}})
	return rv, nil
}

// Reviews returns the reviews of a pull request in the order in which they
// were submitted.
func (h *Hub) Reviews(full string, number int) ([]Review, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, p, err := h.pull(full, number)
	if err != nil {
		return nil, err
	}
	var all []Review
	for _, r := range p.reviews {
		all = append(all, *r)
	}
	return all, nil
}
