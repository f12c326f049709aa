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

// mostAssignees is GitHub's limit for one issue.
const mostAssignees = 10

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

// OpenIssue opens an issue. Labels that the repository does not have are made.
// Labels and assignees of somebody without push access are dropped without a
// word, as GitHub documents of "Create an issue".
func (t *Talk) OpenIssue(who account.Identity, full string, n record.NewIssue) (record.Issue, error) {
	var opened record.Issue
	err := t.hub.Do(full, func(tx hub.Tx) error {
		if err := checkIssue(n.Title, n.Body); err != nil {
			return err
		}
		if !tx.Allows(who, hub.Need{Area: "issues", Level: "write", Role: "write"}) {
			n.Labels, n.Assignees = nil, nil
		}
		var assignees []record.User
		for _, login := range n.Assignees {
			u, ok := tx.Assignable(login)
			if !ok || len(n.Assignees) > mostAssignees {
				return record.Invalid("Issue", "assignees", "invalid", "")
			}
			assignees = append(assignees, u)
		}
		i := &record.Issue{Title: n.Title, Body: n.Body, Author: who.User, State: "open", Association: tx.Association(who.User), Created: record.Now(), Updated: record.Now()}
		tx.AddIssue(i)
		tellIssue(tx, i, record.Event{Action: "opened", Sender: who.User})
		t.setLabels(tx, i, n.Labels, who.User)
		assign(tx, i, assignees, who.User)
		opened = tx.IssueView(i)
		return nil
	})
	return opened, err
}

func checkIssue(title, body string) error {
	switch {
	case strings.TrimSpace(title) == "":
		return record.Invalid("Issue", "title", "missing_field", "")
	case utf8.RuneCountInString(title) > 256:
		return record.Invalid("Issue", "title", "custom", "title is too long (maximum is 256 characters)")
	case utf8.RuneCountInString(body) > record.MaxBody:
		return record.Invalid("Issue", "body", "custom", "body is too long (maximum is 65536 characters)")
	}
	return nil
}

// tellIssue tells of an issue; of a pull request the hub does.
func tellIssue(tx hub.Tx, i *record.Issue, e record.Event) {
	if i.IsPull {
		return
	}
	v := tx.IssueView(i)
	e.Name, e.Issue = "issues", &v
	tx.Emit(e)
}

// EditIssue edits an issue, which may close or reopen it. Of a pull request it
// changes labels and assignees alone. Those who cannot be assigned are left
// out, as GitHub leaves them out.
func (t *Talk) EditIssue(who account.Identity, full string, number int, e record.Edit) (record.Issue, error) {
	var edited record.Issue
	err := t.hub.Do(full, func(tx hub.Tx) error {
		i, err := tx.Issue(number)
		if err != nil {
			return err
		}
		if !i.IsPull {
			if err := rewrite(tx, i, e, who.User); err != nil {
				return err
			}
		}
		if e.Labels != nil {
			t.setLabels(tx, i, *e.Labels, who.User)
		}
		if e.Assignees != nil {
			var wanted []record.User
			for _, login := range *e.Assignees {
				if u, ok := tx.Assignable(login); ok {
					wanted = append(wanted, u)
				}
			}
			assign(tx, i, wanted, who.User)
		}
		edited = tx.IssueView(i)
		return nil
	})
	return edited, err
}

// rewrite changes what an issue says, and whether it is open.
func rewrite(tx hub.Tx, i *record.Issue, e record.Edit, by record.User) error {
	title, body, old := i.Title, i.Body, *i
	var changes record.Changes
	if e.Title != nil && *e.Title != title {
		title, changes.Title = *e.Title, &old.Title
	}
	if e.Body != nil && *e.Body != body {
		body, changes.Body = *e.Body, &old.Body
	}
	if err := checkIssue(title, body); err != nil {
		return err
	}
	if e.State != nil && *e.State != "open" && *e.State != "closed" {
		return record.Invalid("Issue", "state", "invalid", "")
	}
	if changes != (record.Changes{}) {
		i.Title, i.Body, i.Updated = title, body, record.Now()
		tellIssue(tx, i, record.Event{Action: "edited", Sender: by, Changes: changes})
	}
	if e.State == nil || *e.State == i.State {
		return nil
	}
	i.State, i.Updated = *e.State, record.Now()
	action := "closed"
	if i.State == "open" {
		action, i.StateReason, i.Closed, i.ClosedBy = "reopened", "reopened", time.Time{}, record.User{}
	} else {
		i.StateReason, i.Closed, i.ClosedBy = "completed", i.Updated, by
		if e.StateReason != nil {
			i.StateReason = *e.StateReason
		}
	}
	tellIssue(tx, i, record.Event{Action: action, Sender: by})
	return nil
}

// Assign assigns people to an issue or a pull request, or with on being false
// takes them off. Those who cannot be assigned are left out.
func (t *Talk) Assign(who account.Identity, full string, number int, on bool, logins ...string) (record.Issue, error) {
	var after record.Issue
	err := t.hub.Do(full, func(tx hub.Tx) error {
		i, err := tx.Issue(number)
		if err != nil {
			return err
		}
		wanted := slices.Clone(i.Assignees)
		for _, login := range logins {
			same := func(u record.User) bool { return strings.EqualFold(u.Login, login) }
			u, ok := tx.Assignable(login)
			switch {
			case !on:
				wanted = slices.DeleteFunc(wanted, same)
			case ok && !slices.ContainsFunc(wanted, same) && len(wanted) < mostAssignees:
				wanted = append(wanted, u)
			}
		}
		assign(tx, i, wanted, who.User)
		after = tx.IssueView(i)
		return nil
	})
	return after, err
}

// assign makes these, and nobody else, the assignees.
func assign(tx hub.Tx, i *record.Issue, wanted []record.User, by record.User) {
	has := func(list []record.User, u record.User) bool {
		return slices.ContainsFunc(list, func(o record.User) bool { return o.ID == u.ID })
	}
	before := i.Assignees
	i.Assignees = wanted
	tell := func(action string, u record.User) {
		i.Updated = record.Now()
		e := record.Event{Action: action, Sender: by, Assignee: &u}
		if p, isPull := tx.Pull(i.Number); isPull {
			e.Name, e.Pull = "pull_request", &p
			tx.Emit(e)
		}
		tellIssue(tx, i, e)
	}
	for _, u := range before {
		if !has(wanted, u) {
			tell("unassigned", u)
		}
	}
	for _, u := range wanted {
		if !has(before, u) {
			tell("assigned", u)
		}
	}
}
