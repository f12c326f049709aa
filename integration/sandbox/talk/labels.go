package talk

import (
	"slices"
	"strings"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/hub"
	"weir/integration/sandbox/record"
)

// Labels returns the labels of a repository, the oldest first.
func (t *Talk) Labels(full string) ([]record.Label, error) {
	var all []record.Label
	err := t.hub.Look(full, func(tx hub.Tx) error {
		all = slices.Clone(t.labels[tx.Repo().ID])
		return nil
	})
	return all, err
}

// MakeLabel makes a label of the repository's. Without a color it gets one.
func (t *Talk) MakeLabel(full string, l record.Label) (record.Label, error) {
	err := t.hub.Do(full, func(tx hub.Tx) error {
		r := tx.Repo().ID
		switch {
		case strings.TrimSpace(l.Name) == "":
			return record.Invalid("Label", "name", "missing_field", "")
		case slices.ContainsFunc(t.labels[r], named(l.Name)):
			return record.Invalid("Label", "name", "already_exists", "")
		case len(l.Description) > 100:
			return record.Invalid("Label", "description", "custom", "description is too long (maximum is 100 characters)")
		}
		l = t.addLabel(tx, l)
		return nil
	})
	return l, err
}

func (t *Talk) addLabel(tx hub.Tx, l record.Label) record.Label {
	l.ID = tx.ID()
	if l.Color == "" {
		l.Color = "ededed"
	}
	r := tx.Repo().ID
	t.labels[r] = append(t.labels[r], l)
	return l
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
		takeOff(tx, i, at, who.User)
		return nil
	})
}

func takeOff(tx hub.Tx, i *record.Issue, at int, by record.User) {
	label := i.Labels[at]
	i.Labels = slices.Delete(slices.Clone(i.Labels), at, at+1)
	tellLabel(tx, i, "unlabeled", label, by)
}

// setLabels makes these, and no others, the labels.
func (t *Talk) setLabels(tx hub.Tx, i *record.Issue, names []string, by record.User) {
	for at := len(i.Labels) - 1; at >= 0; at-- {
		if !slices.ContainsFunc(names, func(name string) bool { return named(name)(i.Labels[at]) }) {
			takeOff(tx, i, at, by)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(i.Labels, named(name)) {
			label := t.label(tx, name)
			i.Labels = append(i.Labels, label)
			tellLabel(tx, i, "labeled", label, by)
		}
	}
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
	return t.addLabel(tx, record.Label{Name: name})
}

func tellLabel(tx hub.Tx, i *record.Issue, action string, l record.Label, by record.User) {
	e := record.Event{Name: "pull_request", Action: action, Sender: by, Label: &l}
	if p, isPull := tx.Pull(i.Number); isPull {
		e.Pull = &p
		tx.Emit(e)
		return
	}
	tellIssue(tx, i, e)
}
