package checks

import (
	"slices"
	"time"
	"unicode/utf8"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/hub"
	"weir/integration/sandbox/record"
)

// Edit creates or updates a check run; a nil field stays as it is.
type Edit struct {
	Name, HeadSHA          *string // HeadSHA only at creation
	Status, Conclusion     *string
	Title, Summary, Text   *string
	DetailsURL, ExternalID *string
	Started, Completed     *time.Time
	Actions                *[]record.Action
}

// What GitHub takes, from its REST documentation of check runs.
var (
	statuses    = []string{"queued", "in_progress", "completed", "waiting", "requested", "pending"}
	conclusions = []string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}
)

const (
	maxOutput      = 65535
	maxActions     = 3
	maxLabel       = 20
	maxDescription = 40
	maxIdentifier  = 20
	maxStatus      = 140
)

// apply checks an edit and makes it, all or nothing.
func (e Edit) apply(to *record.CheckRun) error {
	next := *to
	for _, field := range []struct{ from, to *string }{
		{e.Name, &next.Name},
		{e.Title, &next.Title},
		{e.Summary, &next.Summary},
		{e.Text, &next.Text},
		{e.DetailsURL, &next.DetailsURL},
		{e.ExternalID, &next.ExternalID},
	} {
		if field.from != nil {
			*field.to = *field.from
		}
	}
	if e.Started != nil {
		next.Started = *e.Started
	}
	if err := e.applyState(&next); err != nil {
		return err
	}
	if e.Summary != nil && next.Title == "" || e.Title != nil && e.Summary == nil {
		return &record.Error{Status: 422, Message: `Invalid request. "title" and "summary" of output must be supplied.`}
	}
	if utf8.RuneCountInString(next.Summary) > maxOutput || utf8.RuneCountInString(next.Text) > maxOutput {
		return record.Invalid("CheckRun", "summary", "invalid", "Only 65535 characters are allowed")
	}
	if e.Actions != nil {
		if err := checkActions(*e.Actions); err != nil {
			return err
		}
		next.Actions = slices.Clone(*e.Actions)
	}
	*to = next
	return nil
}

func (e Edit) applyState(next *record.CheckRun) error {
	if e.Status != nil {
		switch {
		case !slices.Contains(statuses, *e.Status):
			return record.Invalid("CheckRun", "status", "invalid", "")
		case *e.Status == "completed" && e.Conclusion == nil:
			return record.Invalid("CheckRun", "conclusion", "missing_field", "")
		case *e.Status != "completed":
			next.Conclusion, next.Completed = "", time.Time{}
		}
		next.Status = *e.Status
	}
	if e.Conclusion == nil {
		return nil
	}
	if !slices.Contains(conclusions, *e.Conclusion) {
		return record.Invalid("CheckRun", "conclusion", "invalid", "")
	}
	next.Status, next.Conclusion, next.Completed = "completed", *e.Conclusion, record.Now()
	if e.Completed != nil {
		next.Completed = *e.Completed
	}
	return nil
}

func checkActions(actions []record.Action) error {
	if len(actions) > maxActions {
		return record.Invalid("CheckRun", "actions", "invalid", "Only 3 actions are allowed")
	}
	for _, a := range actions {
		for _, field := range []struct {
			text string
			most int
		}{{a.Label, maxLabel}, {a.Description, maxDescription}, {a.Identifier, maxIdentifier}} {
			if n := utf8.RuneCountInString(field.text); n == 0 || n > field.most {
				return record.Invalid("CheckRun", "actions", "invalid", "label, description and identifier are needed, of at most 20, 40 and 20 characters")
			}
		}
	}
	return nil
}

// SetStatus sets a commit status.
func (c *Runs) SetStatus(who account.Identity, full, sha string, s record.Status) (record.Status, error) {
	err := c.Hub.Do(full, func(tx hub.Tx) error {
		if err := exists(tx, sha); err != nil {
			return err
		}
		if !slices.Contains([]string{"error", "failure", "pending", "success"}, s.State) {
			return record.Invalid("Status", "state", "invalid", "")
		}
		if utf8.RuneCountInString(s.Description) > maxStatus {
			return record.Invalid("Status", "description", "custom", "description is too long (maximum is 140 characters)")
		}
		if s.Context == "" {
			s.Context = "default"
		}
		s.ID, s.Repo, s.SHA, s.Creator, s.Created, s.Updated = tx.ID(), tx.Repo(), sha, who.User, record.Now(), record.Now()
		stored, told := s, s
		r := c.of(s.Repo.ID)
		r.statuses = append(r.statuses, &stored)
		tx.Emit(record.Event{Name: "status", Sender: who.User, Status: &told})
		return nil
	})
	return s, err
}

// CommitStatuses returns all statuses of a commit, the newest first; with
// latest only the newest of each context.
func (c *Runs) CommitStatuses(full, sha string, latest bool) ([]record.Status, error) {
	var all []record.Status
	err := c.Hub.Look(full, func(tx hub.Tx) error {
		for _, s := range c.of(tx.Repo().ID).statusesAt(sha, latest) {
			all = append(all, *s)
		}
		return nil
	})
	return all, err
}
