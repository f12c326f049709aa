package hub

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxBody is the number of characters that a body may have.
const MaxBody = 65536

// issue returns what an issue and a pull request have in common.
func (r *repo) issue(number int) (*Issue, error) {
	if p := r.pulls[number]; p != nil {
		return &p.Issue, nil
	}
	if i := r.issues[number]; i != nil {
		return i, nil
	}
	return nil, notFound()
}

func (h *Hub) issueView(r *repo, i *Issue) Issue {
	v := *i
	v.Repo, v.Labels, v.Comments = h.repoView(r), slices.Clone(i.Labels), r.commentCount(i.Number)
	return v
}

// Issue returns an issue, or a pull request as one.
func (h *Hub) Issue(full string, number int) (Issue, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return Issue{}, err
	}
	i, err := r.issue(number)
	if err != nil {
		return Issue{}, err
	}
	return h.issueView(r, i), nil
}

// Issues returns the issues of a repository (not the pull requests), by number.
func (h *Hub) Issues(full string) ([]Issue, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return nil, err
	}
	var all []Issue
	for _, i := range r.issues {
		all = append(all, h.issueView(r, i))
	}
	sortBy(all, func(i Issue) int64 { return int64(i.Number) })
	return all, nil
}

// OpenIssue opens an issue.
func (h *Hub) OpenIssue(who Identity, full, title, body string, labels []string) (Issue, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return Issue{}, err
	}
	if title == "" {
		return Issue{}, invalid("Issue", "title", "missing_field", "")
	}
	if utf8.RuneCountInString(body) > MaxBody {
		return Issue{}, invalid("Issue", "body", "custom", "body is too long (maximum is 65536 characters)")
	}
	r.last++
	i := &Issue{ID: h.id(), Repo: r.Repo, Number: r.last, Title: title, Body: body, Author: who.User, State: "open", Created: now(), Updated: now()}
	for _, name := range labels {
		i.Labels = append(i.Labels, h.label(r, name))
	}
	r.issues[i.Number] = i
	h.touch()
	return h.issueView(r, i), nil
}

// EditIssue edits an issue, which may close or reopen it.
func (h *Hub) EditIssue(full string, number int, e Edit) (Issue, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return Issue{}, err
	}
	i := r.issues[number]
	if i == nil {
		return Issue{}, notFound()
	}
	if e.Title != nil {
		i.Title = *e.Title
	}
	if e.Body != nil {
		i.Body = *e.Body
	}
	if e.State != nil && *e.State != i.State {
		i.State, i.Closed = *e.State, now()
		if i.State == "open" {
			i.Closed = time.Time{}
		}
	}
	i.Updated = now()
	h.touch()
	return h.issueView(r, i), nil
}

// AddComment comments on an issue or a pull request.
func (h *Hub) AddComment(who Identity, full string, number int, body string) (Comment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return Comment{}, err
	}
	i, err := r.issue(number)
	if err != nil {
		return Comment{}, err
	}
	if err := checkComment(body); err != nil {
		return Comment{}, err
	}
	c := &Comment{ID: h.id(), Repo: r.Repo, Number: number, Author: who.User, App: who.App, Body: body, Created: now(), Updated: now(), Association: r.association(who.User)}
	r.comments = append(r.comments, c)
	i.Updated = c.Created
	h.tellComment(r, i, c, "created", who.User, nil)
	return c.view(), nil
}

func checkComment(body string) error {
	if strings.TrimSpace(body) == "" {
		return invalid("IssueComment", "body", "custom", "Body cannot be blank")
	}
	if utf8.RuneCountInString(body) > MaxBody {
		return invalid("IssueComment", "data", "unprocessable", "Body is too long (maximum is 65536 characters)")
	}
	return nil
}

func (c *Comment) view() Comment {
	v := *c
	v.Reactions = slices.Clone(c.Reactions)
	return v
}

func (h *Hub) tellComment(r *repo, i *Issue, c *Comment, action string, by User, before *string) {
	issue, comment := h.issueView(r, i), c.view()
	h.emit(Event{Name: "issue_comment", Action: action, Sender: by, Repo: h.repoView(r), Issue: &issue, Comment: &comment, Changes: Changes{Body: before}})
}

func (h *Hub) comment(full string, id int64) (*repo, *Comment, error) {
	r, err := h.repo(full)
	if err != nil {
		return nil, nil, err
	}
	at := slices.IndexFunc(r.comments, func(c *Comment) bool { return c.ID == id })
	if at < 0 {
		return nil, nil, notFound()
	}
	return r, r.comments[at], nil
}

// Comment returns a comment by its id.
func (h *Hub) Comment(full string, id int64) (Comment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, c, err := h.comment(full, id)
	if err != nil {
		return Comment{}, err
	}
	return c.view(), nil
}

// mayChange says whether somebody may edit or remove a comment: the author
// may, and people with write access.
func mayChange(r *repo, c *Comment, who Identity) error {
	switch who.Kind {
	case ByInstallation:
		if c.App == who.App || includes(who.Permissions["issues"], "write") {
			return nil
		}
		return &Error{Status: 403, Message: "Resource not accessible by integration"}
	default:
		if c.Author.ID == who.User.ID || r.role(who.User.Login).AtLeast("write") {
			return nil
		}
		return &Error{Status: 403, Message: "Must have admin rights to Repository."}
	}
}

// EditComment changes the body of a comment.
func (h *Hub) EditComment(who Identity, full string, id int64, body string) (Comment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, c, err := h.comment(full, id)
	if err != nil {
		return Comment{}, err
	}
	if err := mayChange(r, c, who); err != nil {
		return Comment{}, err
	}
	if err := checkComment(body); err != nil {
		return Comment{}, err
	}
	i, err := r.issue(c.Number)
	if err != nil {
		return Comment{}, err
	}
	old := c.Body
	c.Body, c.Updated = body, now()
	h.tellComment(r, i, c, "edited", who.User, &old)
	return c.view(), nil
}

// DeleteComment removes a comment.
func (h *Hub) DeleteComment(who Identity, full string, id int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, c, err := h.comment(full, id)
	if err != nil {
		return err
	}
	if err := mayChange(r, c, who); err != nil {
		return err
	}
	i, err := r.issue(c.Number)
	if err != nil {
		return err
	}
	r.comments = slices.DeleteFunc(r.comments, func(o *Comment) bool { return o == c })
	h.tellComment(r, i, c, "deleted", who.User, nil)
	return nil
}

// Comments returns the comments of an issue or a pull request, the oldest
// first.
func (h *Hub) Comments(full string, number int) ([]Comment, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return nil, err
	}
	if _, err := r.issue(number); err != nil {
		return nil, err
	}
	var all []Comment
	for _, c := range r.comments {
		if c.Number == number {
			all = append(all, c.view())
		}
	}
	return all, nil
}

// Minimize folds the comment with a node id, for a reason in lower case.
func (h *Hub) Minimize(who Identity, node, reason string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.repos {
		for _, c := range r.comments {
			if c.NodeID() != node || !h.sees(who, r) {
				continue
			}
			if err := mayChange(r, c, who); err != nil {
				return err
			}
			c.Minimized = reason
			h.touch()
			return nil
		}
	}
	return notFound()
}

var reactions = []string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}

// React leaves a reaction on a comment; false says that it was there already.
func (h *Hub) React(who Identity, full string, id int64, content string) (Reaction, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, c, err := h.comment(full, id)
	if err != nil {
		return Reaction{}, false, err
	}
	if !slices.Contains(reactions, content) {
		return Reaction{}, false, invalid("Reaction", "content", "invalid", "")
	}
	for _, old := range c.Reactions {
		if old.User.ID == who.User.ID && old.Content == content {
			return old, false, nil
		}
	}
	reaction := Reaction{ID: h.id(), User: who.User, Content: content, Created: now()}
	c.Reactions = append(c.Reactions, reaction)
	h.touch()
	return reaction, true, nil
}
