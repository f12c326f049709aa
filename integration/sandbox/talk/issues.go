package talk

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/hub"
	"weir/integration/sandbox/record"
)

// Issues returns the issues of a repository (not the pull requests), by number.
func (t *Talk) Issues(full string) ([]record.Issue, error) {
	var all []record.Issue
	err := t.hub.Look(full, func(tx hub.Tx) error {
		for _, i := range tx.Issues() {
			all = append(all, tx.IssueView(i))
		}
		return nil
	})
	return all, err
}

// OpenIssue opens an issue.
func (t *Talk) OpenIssue(who account.Identity, full, title, body string, labels []string) (record.Issue, error) {
	var opened record.Issue
	err := t.hub.Do(full, func(tx hub.Tx) error {
		if title == "" {
			return record.Invalid("Issue", "title", "missing_field", "")
		}
		if utf8.RuneCountInString(body) > record.MaxBody {
			return record.Invalid("Issue", "body", "custom", "body is too long (maximum is 65536 characters)")
		}
		i := &record.Issue{Title: title, Body: body, Author: who.User, State: "open", Association: tx.Association(who.User), Created: record.Now(), Updated: record.Now()}
		for _, name := range labels {
			i.Labels = append(i.Labels, t.label(tx, name))
		}
		tx.AddIssue(i)
		opened = tx.IssueView(i)
		return nil
	})
	return opened, err
}

// EditIssue edits an issue, which may close or reopen it.
func (t *Talk) EditIssue(full string, number int, e record.Edit) (record.Issue, error) {
	var edited record.Issue
	err := t.hub.Do(full, func(tx hub.Tx) error {
		i, err := tx.Issue(number)
		if err != nil || i.IsPull {
			return record.NotFound()
		}
		if e.Title != nil {
			i.Title = *e.Title
		}
		if e.Body != nil {
			i.Body = *e.Body
		}
		if e.State != nil && *e.State != i.State {
			i.State, i.Closed = *e.State, record.Now()
			if i.State == "open" {
				i.Closed = time.Time{}
			}
		}
		i.Updated = record.Now()
		edited = tx.IssueView(i)
		return nil
	})
	return edited, err
}

// AddLabels puts labels on a pull request or an issue and returns all of its
// labels. A label that the repository does not have is made.
func (t *Talk) AddLabels(who account.Identity, full string, number int, names ...string) ([]record.Label, error) {
	return t.relabel(full, number, func(tx hub.Tx, i *record.Issue) error {
		for _, name := range names {
			if slices.ContainsFunc(i.Labels, named(name)) {
				continue
			}
			label := t.label(tx, name)
			i.Labels = append(i.Labels, label)
			tellLabel(tx, i, "labeled", label, who.User)
		}
		return nil
	})
}

// RemoveLabel takes a label off and returns those that are left.
func (t *Talk) RemoveLabel(who account.Identity, full string, number int, name string) ([]record.Label, error) {
	return t.relabel(full, number, func(tx hub.Tx, i *record.Issue) error {
		at := slices.IndexFunc(i.Labels, named(name))
		if at < 0 {
			return &record.Error{Status: 404, Message: "Label does not exist"}
		}
		label := i.Labels[at]
		i.Labels = slices.Delete(slices.Clone(i.Labels), at, at+1)
		tellLabel(tx, i, "unlabeled", label, who.User)
		return nil
	})
}

func (t *Talk) relabel(full string, number int, f func(hub.Tx, *record.Issue) error) ([]record.Label, error) {
	var after []record.Label
	err := t.hub.Do(full, func(tx hub.Tx) error {
		i, err := tx.Issue(number)
		if err != nil {
			return err
		}
		err = f(tx, i)
		after = slices.Clone(i.Labels)
		return err
	})
	return after, err
}

func named(name string) func(record.Label) bool {
	return func(l record.Label) bool { return strings.EqualFold(l.Name, name) }
}

// label returns a label of the repository's, which is made where there is none.
func (t *Talk) label(tx hub.Tx, name string) record.Label {
	r := tx.Repo().ID
	if at := slices.IndexFunc(t.labels[r], named(name)); at >= 0 {
		return t.labels[r][at]
	}
	l := record.Label{ID: tx.ID(), Name: name}
	t.labels[r] = append(t.labels[r], l)
	return l
}

func tellLabel(tx hub.Tx, i *record.Issue, action string, l record.Label, by record.User) {
	if p, isPull := tx.Pull(i.Number); isPull {
		tx.Emit(record.Event{Name: "pull_request", Action: action, Sender: by, Pull: &p, Label: &l})
	}
}
