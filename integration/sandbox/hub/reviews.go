package hub

import (
	"slices"
	"strings"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/record"
)

// NewReview describes a review to be submitted.
type NewReview struct {
	Event  string // APPROVE, REQUEST_CHANGES or COMMENT
	Body   string
	Commit string // "" for the head
}

// AddReview submits a review.
func (h *Hub) AddReview(who account.Identity, full string, number int, n NewReview) (record.Review, error) {
	return inPull(h, full, number, func(r *repo, p *pull) (record.Review, error) {
		state := map[string]string{"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}[n.Event]
		refuse := func(why string) (record.Review, error) {
			return record.Review{}, &record.Error{Status: 422, Message: "Unprocessable Entity", Fields: []record.FieldError{{Message: why}}}
		}
		own := p.Author.ID == who.User.ID
		switch {
		case state == "":
			return record.Review{}, record.Invalid("PullRequestReview", "event", "invalid", "")
		case own && state == "APPROVED":
			return refuse("Can not approve your own pull request")
		case own && state == "CHANGES_REQUESTED":
			return refuse("Can not request changes on your own pull request")
		case n.Body == "" && state != "APPROVED":
			return refuse("Body can't be blank")
		}
		if n.Commit == "" {
			n.Commit = p.HeadSHA
		}
		review := &record.Review{ID: h.id(), Author: who.User, State: state, Body: n.Body, Commit: n.Commit, Submitted: record.Now(), Association: r.association(who.User)}
		p.reviews = append(p.reviews, review)
		p.Updated = record.Now()
		h.tellReview(r, p, review, "submitted", who.User, nil)
		return *review, nil
	})
}

func (h *Hub) tellReview(r *repo, p *pull, review *record.Review, action string, by record.User, body *string) {
	pv, rv := h.pullView(r, p), *review
	h.emit(record.Event{Name: "pull_request_review", Action: action, Sender: by, Repo: r.view(), Pull: &pv, Review: &rv, Changes: record.Changes{Body: body}})
}

func (p *pull) review(id int64) (*record.Review, error) {
	at := slices.IndexFunc(p.reviews, func(r *record.Review) bool { return r.ID == id })
	if at < 0 {
		return nil, record.NotFound()
	}
	return p.reviews[at], nil
}

// Dismiss dismisses a review.
func (h *Hub) Dismiss(who account.Identity, full string, number int, id int64) (record.Review, error) {
	return inPull(h, full, number, func(r *repo, p *pull) (record.Review, error) {
		review, err := p.review(id)
		if err != nil {
			return record.Review{}, err
		}
		if review.State != "APPROVED" && review.State != "CHANGES_REQUESTED" {
			return record.Review{}, &record.Error{Status: 422, Message: "Can not dismiss a " + strings.ToLower(review.State) + " pull request review"}
		}
		h.dismiss(r, p, review, who.User)
		return *review, nil
	})
}

func (h *Hub) dismiss(r *repo, p *pull, review *record.Review, by record.User) {
	review.State = "DISMISSED"
	p.Updated = record.Now()
	h.tellReview(r, p, review, "dismissed", by, nil)
}

// EditReview changes the body of a review.
func (h *Hub) EditReview(who account.Identity, full string, number int, id int64, body string) (record.Review, error) {
	return inPull(h, full, number, func(r *repo, p *pull) (record.Review, error) {
		review, err := p.review(id)
		if err != nil {
			return record.Review{}, err
		}
		old := review.Body
		review.Body = body
		h.tellReview(r, p, review, "edited", who.User, &old)
		return *review, nil
	})
}

// Reviews returns the reviews of a pull request in the order in which they
// were submitted.
func (h *Hub) Reviews(full string, number int) ([]record.Review, error) {
	return inPull(h, full, number, func(_ *repo, p *pull) ([]record.Review, error) {
		var all []record.Review
		for _, r := range p.reviews {
			all = append(all, *r)
		}
		return all, nil
	})
}
