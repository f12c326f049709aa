// Package talk keeps the issues, and the comments and labels of issues and pull
// requests.
package talk

import (
	"slices"
	"strings"
	"unicode/utf8"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/hub"
	"weir/integration/sandbox/record"
)

// Talk keeps all comments. It is guarded by the hub's lock: everything happens
// in hub.Do.
type Talk struct {
	hub      *hub.Hub
	comments map[int64][]*record.Comment // by repository, the oldest first
	labels   map[int64][]record.Label
}

// New makes an empty Talk.
func New(h *hub.Hub) *Talk {
	return &Talk{hub: h, comments: map[int64][]*record.Comment{}, labels: map[int64][]record.Label{}}
}

// AddComment comments on an issue or a pull request.
func (t *Talk) AddComment(who account.Identity, full string, number int, body string) (record.Comment, error) {
	var added record.Comment
	err := t.hub.Do(full, func(tx hub.Tx) error {
		i, err := tx.Issue(number)
		if err != nil {
			return err
		}
		if err := checkBody(body); err != nil {
			return err
		}
		r := tx.Repo()
		c := &record.Comment{
			ID: tx.ID(), Repo: r, Number: number, OnPull: i.IsPull, Author: who.User, App: who.App, Body: body,
			Created: record.Now(), Updated: record.Now(), Association: tx.Association(who.User),
		}
		t.comments[r.ID] = append(t.comments[r.ID], c)
		i.Updated = c.Created
		i.Comments++
		t.tell(tx, i, c, "created", who.User, nil)
		added = copied(c)
		return nil
	})
	return added, err
}

func checkBody(body string) error {
	if strings.TrimSpace(body) == "" {
		return record.Invalid("IssueComment", "body", "custom", "Body cannot be blank")
	}
	if utf8.RuneCountInString(body) > record.MaxBody {
		return record.Invalid("IssueComment", "data", "unprocessable", "Body is too long (maximum is 65536 characters)")
	}
	return nil
}

func copied(c *record.Comment) record.Comment {
	v := *c
	v.Reactions = slices.Clone(c.Reactions)
	return v
}

func (t *Talk) tell(tx hub.Tx, i *record.Issue, c *record.Comment, action string, by record.User, before *string) {
	issue, comment := tx.IssueView(i), copied(c)
	tx.Emit(record.Event{Name: "issue_comment", Action: action, Sender: by, Issue: &issue, Comment: &comment, Changes: record.Changes{Body: before}})
}

// on does something with a comment and returns a copy of what it is then.
func (t *Talk) on(full string, id int64, f func(hub.Tx, *record.Comment) error) (record.Comment, error) {
	var after record.Comment
	err := t.hub.Do(full, func(tx hub.Tx) error {
		all := t.comments[tx.Repo().ID]
		at := slices.IndexFunc(all, func(c *record.Comment) bool { return c.ID == id })
		if at < 0 {
			return record.NotFound()
		}
		c := all[at]
		defer func() { after = copied(c) }()
		return f(tx, c)
	})
	return after, err
}

// CommentByID returns a comment.
func (t *Talk) CommentByID(full string, id int64) (record.Comment, error) {
	var found record.Comment
	err := t.hub.Look(full, func(tx hub.Tx) error {
		for _, c := range t.comments[tx.Repo().ID] {
			if c.ID == id {
				found = copied(c)
				return nil
			}
		}
		return record.NotFound()
	})
	return found, err
}

// mayChange says whether somebody may edit, fold or remove a comment: the
// author may, and people and Apps with write access.
func mayChange(tx hub.Tx, c *record.Comment, who account.Identity) error {
	if c.Author.ID == who.User.ID || tx.Allows(who, hub.Need{Area: "issues", Level: "write", Role: "write"}) {
		return nil
	}
	return record.Forbidden("Must have admin rights to Repository.")
}

// EditComment changes the body of a comment.
func (t *Talk) EditComment(who account.Identity, full string, id int64, body string) (record.Comment, error) {
	return t.on(full, id, func(tx hub.Tx, c *record.Comment) error {
		if err := mayChange(tx, c, who); err != nil {
			return err
		}
		if err := checkBody(body); err != nil {
			return err
		}
		i, err := tx.Issue(c.Number)
		if err != nil {
			return err
		}
		old := c.Body
		c.Body, c.Updated = body, record.Now()
		t.tell(tx, i, c, "edited", who.User, &old)
		return nil
	})
}

// DeleteComment removes a comment.
func (t *Talk) DeleteComment(who account.Identity, full string, id int64) error {
	_, err := t.on(full, id, func(tx hub.Tx, c *record.Comment) error {
		if err := mayChange(tx, c, who); err != nil {
			return err
		}
		i, err := tx.Issue(c.Number)
		if err != nil {
			return err
		}
		r := tx.Repo().ID
		t.comments[r] = slices.DeleteFunc(t.comments[r], func(o *record.Comment) bool { return o == c })
		i.Comments--
		t.tell(tx, i, c, "deleted", who.User, nil)
		return nil
	})
	return err
}

// Comments returns the comments of an issue or a pull request, the oldest
// first.
func (t *Talk) Comments(full string, number int) ([]record.Comment, error) {
	var all []record.Comment
	err := t.hub.Look(full, func(tx hub.Tx) error {
		if _, err := tx.Issue(number); err != nil {
			return err
		}
		for _, c := range t.comments[tx.Repo().ID] {
			if c.Number == number {
				all = append(all, copied(c))
			}
		}
		return nil
	})
	return all, err
}

// Minimize folds the comment with a node id, for a reason in lower case.
func (t *Talk) Minimize(who account.Identity, node, reason string) error {
	for _, r := range t.hub.Repos() {
		found := false
		err := t.hub.Do(r.FullName(), func(tx hub.Tx) error {
			at := slices.IndexFunc(t.comments[r.ID], func(c *record.Comment) bool { return c.NodeID() == node })
			if at < 0 || !tx.Allows(who, hub.Need{Area: "metadata", Level: "read", Role: "read"}) {
				return nil
			}
			found = true
			c := t.comments[r.ID][at]
			if err := mayChange(tx, c, who); err != nil {
				return err
			}
			c.Minimized = reason
			return nil
		})
		if found || err != nil {
			return err
		}
	}
	return record.NotFound()
}

var reactions = []string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}

// React leaves a reaction on a comment; false says that it was there already.
func (t *Talk) React(who account.Identity, full string, id int64, content string) (reaction record.Reaction, fresh bool, err error) {
	_, err = t.on(full, id, func(tx hub.Tx, c *record.Comment) error {
		if !slices.Contains(reactions, content) {
			return record.Invalid("Reaction", "content", "invalid", "")
		}
		for _, old := range c.Reactions {
			if old.User.ID == who.User.ID && old.Content == content {
				reaction = old
				return nil
			}
		}
		reaction, fresh = record.Reaction{ID: tx.ID(), User: who.User, Content: content, Created: record.Now()}, true
		c.Reactions = append(c.Reactions, reaction)
		return nil
	})
	return reaction, fresh, err
}
