package hub

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// CheckEdit creates or updates a check run; a nil field stays as it is.
type CheckEdit struct {
	Name, HeadSHA          *string // HeadSHA only at creation
	Status, Conclusion     *string
	Title, Summary, Text   *string
	DetailsURL, ExternalID *string
	Started, Completed     *time.Time
	Actions                *[]Action
}

var (
	checkStatuses = []string{"queued", "in_progress", "completed", "waiting", "requested", "pending"}
	conclusions   = []string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}
)

// CreateCheck makes a check run of the App on a commit.
func (h *Hub) CreateCheck(who Identity, full string, e CheckEdit) (CheckRun, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return CheckRun{}, err
	}
	if who.App == 0 {
		return CheckRun{}, &Error{Status: 403, Message: "You must authenticate via a GitHub App."}
	}
	if e.Name == nil || *e.Name == "" {
		return CheckRun{}, &Error{Status: 422, Message: `Invalid request.

"name" wasn't supplied.`}
	}
	if e.HeadSHA == nil {
		return CheckRun{}, &Error{Status: 422, Message: `Invalid request.

"head_sha" wasn't supplied.`}
	}
	sha, err := r.git.Resolve(h.ctx, *e.HeadSHA)
	if err != nil {
		return CheckRun{}, err
	}
	if sha == "" || sha != *e.HeadSHA {
		return CheckRun{}, &Error{Status: 422, Message: "No commit found for SHA: " + *e.HeadSHA}
	}
	c := &CheckRun{Repo: r.Repo, HeadSHA: sha, Status: "queued", Started: now(), App: h.app.App}
	if err := c.apply(e); err != nil {
		return CheckRun{}, err
	}
	suite, err := h.suite(r, sha, r.branchAt(sha), "", who.User)
	if err != nil {
		return CheckRun{}, err
	}
	c.ID, c.Suite.ID = h.id(), suite.ID
	r.checks = append(r.checks, c)
	h.tellCheck(r, c, "created", who.User, "")
	if c.Status == "completed" {
		h.completed(r, c, who.User)
	}
	return h.checkView(r, c), nil
}

// apply checks an edit and makes it, all or nothing.
func (c *CheckRun) apply(e CheckEdit) error {
	next := *c
	for from, to := range map[*string]*string{e.Name: &next.Name, e.Title: &next.Title, e.Summary: &next.Summary, e.Text: &next.Text,
		e.DetailsURL: &next.DetailsURL, e.ExternalID: &next.ExternalID} {
		if from != nil {
			*to = *from
		}
	}
	if e.Started != nil {
		next.Started = *e.Started
	}
	if e.Status != nil {
		if !slices.Contains(checkStatuses, *e.Status) {
			return invalid("CheckRun", "status", "invalid", "")
		}
		next.Status = *e.Status
		if next.Status != "completed" {
			next.Conclusion, next.Completed = "", time.Time{}
		} else if e.Conclusion == nil {
			return invalid("CheckRun", "conclusion", "missing_field", "")
		}
	}
	if e.Conclusion != nil {
		if !slices.Contains(conclusions, *e.Conclusion) {
			return invalid("CheckRun", "conclusion", "invalid", "")
		}
		next.Status, next.Conclusion, next.Completed = "completed", *e.Conclusion, now()
		if e.Completed != nil {
			next.Completed = *e.Completed
		}
	}
	if e.Title != nil && e.Summary == nil || e.Summary != nil && e.Title == nil && next.Title == "" {
		return &Error{Status: 422, Message: `Invalid request.

"output" needs both title and summary.`}
	}
	if utf8.RuneCountInString(next.Summary) > MaxBody-1 || utf8.RuneCountInString(next.Text) > MaxBody-1 {
		return invalid("CheckRun", "summary", "invalid", "Only 65535 characters are allowed")
	}
	if e.Actions != nil {
		if len(*e.Actions) > 3 {
			return invalid("CheckRun", "actions", "invalid", "Only 3 actions are allowed")
		}
		for _, a := range *e.Actions {
			if utf8.RuneCountInString(a.Label) > 20 || utf8.RuneCountInString(a.Description) > 40 || utf8.RuneCountInString(a.Identifier) > 20 || a.Label == "" || a.Description == "" || a.Identifier == "" {
				return invalid("CheckRun", "actions", "invalid", "label, description and identifier are needed, of at most 20, 40 and 20 characters")
			}
		}
		next.Actions = slices.Clone(*e.Actions)
	}
	*c = next
	return nil
}

func (h *Hub) check(full string, id int64) (*repo, *CheckRun, error) {
	r, err := h.repo(full)
	if err != nil {
		return nil, nil, err
	}
	at := slices.IndexFunc(r.checks, func(c *CheckRun) bool { return c.ID == id })
	if at < 0 {
		return nil, nil, notFound()
	}
	return r, r.checks[at], nil
}

// UpdateCheck changes a check run of the App.
func (h *Hub) UpdateCheck(who Identity, full string, id int64, e CheckEdit) (CheckRun, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, c, err := h.check(full, id)
	if err != nil {
		return CheckRun{}, err
	}
	if who.App == 0 || who.App != c.App.ID {
		return CheckRun{}, &Error{Status: 403, Message: "Invalid app_id `" + fmt.Sprint(who.App) + "` - check run can only be modified by the GitHub App that created it."}
	}
	was := c.Status
	if err := c.apply(e); err != nil {
		return CheckRun{}, err
	}
	if c.Status == "completed" && was != "completed" {
		h.completed(r, c, who.User)
	}
	h.touch()
	return h.checkView(r, c), nil
}

// completed tells of a completed check run and, if it was the last one, of its
// suite.
func (h *Hub) completed(r *repo, c *CheckRun, by User) {
	h.tellCheck(r, c, "completed", by, "")
	suite := h.checkView(r, c).Suite
	if suite.Status == "completed" {
		h.emit(Event{Name: "check_suite", Action: "completed", Sender: by, Repo: h.repoView(r), Suite: &suite})
	}
}

// Check returns a check run.
func (h *Hub) Check(full string, id int64) (CheckRun, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, c, err := h.check(full, id)
	if err != nil {
		return CheckRun{}, err
	}
	return h.checkView(r, c), nil
}

// Checks returns the check runs of a commit, the newest first; with latest
// only the newest of each name.
func (h *Hub) Checks(full, sha string, latest bool) ([]CheckRun, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return nil, err
	}
	var all []CheckRun
	for _, c := range r.checksOf(sha, latest) {
		all = append(all, h.checkView(r, c))
	}
	return all, nil
}

func (r *repo) checksOf(sha string, latest bool) []*CheckRun {
	var all []*CheckRun
	seen := map[string]bool{}
	for _, c := range slices.Backward(r.checks) {
		if c.HeadSHA != sha || latest && seen[c.Name] {
			continue
		}
		seen[c.Name] = true
		all = append(all, c)
	}
	return all
}

func (h *Hub) checkView(r *repo, c *CheckRun) CheckRun {
	v := *c
	v.Repo, v.Actions, v.Pulls = h.repoView(r), slices.Clone(c.Actions), h.pullsAt(r, c.HeadSHA)
	for _, s := range r.suites {
		if s.ID == c.Suite.ID {
			v.Suite = h.suiteView(r, s)
		}
	}
	return v
}

// pullsAt lists the open pull requests whose head is a commit. Those from
// forks are left out, as GitHub leaves them out.
func (h *Hub) pullsAt(r *repo, sha string) []Pull {
	var at []Pull
	for _, p := range r.sortedPulls() {
		if p.State == "open" && p.HeadSHA == sha && p.head == r {
			at = append(at, h.pullView(r, p))
		}
	}
	return at
}

func (h *Hub) tellCheck(r *repo, c *CheckRun, action string, by User, identifier string) {
	v := h.checkView(r, c)
	h.emit(Event{Name: "check_run", Action: action, Sender: by, Repo: h.repoView(r), Check: &v, Identifier: identifier})
}

// suite returns the check suite of a commit, which it makes and tells of when
// there is none.
func (h *Hub) suite(r *repo, sha, branch, before string, by User) (*Suite, error) {
	for _, s := range r.suites {
		if s.HeadSHA == sha {
			return s, nil
		}
	}
	info, err := r.git.Info(h.ctx, sha)
	if err != nil {
		return nil, err
	}
	s := &Suite{ID: h.id(), Repo: r.Repo, HeadSHA: sha, HeadBranch: branch, Before: before, Status: "queued", App: h.app.App,
		Created: now(), Updated: now(), Message: info.Message, Tree: info.Tree, Author: by}
	r.suites = append(r.suites, s)
	v := h.suiteView(r, s)
	h.emit(Event{Name: "check_suite", Action: "requested", Sender: by, Repo: h.repoView(r), Suite: &v})
	return s, nil
}

func (h *Hub) suiteView(r *repo, s *Suite) Suite {
	v := *s
	v.Repo, v.Pulls = h.repoView(r), h.pullsAt(r, s.HeadSHA)
	runs := r.checksOf(s.HeadSHA, true)
	v.Runs = len(runs)
	if len(runs) == 0 {
		return v
	}
	v.Status, v.Conclusion = "completed", "success"
	for _, c := range runs {
		if c.Status != "completed" {
			v.Status, v.Conclusion = "in_progress", ""
			break
		}
		// The worst conclusion is the suite's.
		if slices.Index(bySeverity, c.Conclusion) < slices.Index(bySeverity, v.Conclusion) {
			v.Conclusion = c.Conclusion
		}
	}
	return v
}

var bySeverity = []string{"failure", "timed_out", "action_required", "cancelled", "success", "neutral", "skipped"}

func (r *repo) branchAt(sha string) string {
	for _, name := range sortedKeys(r.branches) {
		if r.branches[name] == sha {
			return name
		}
	}
	return ""
}

// Press presses a button of a check run.
func (h *Hub) Press(who Identity, full string, id int64, identifier string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, c, err := h.check(full, id)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(c.Actions, func(a Action) bool { return a.Identifier == identifier }) {
		return fmt.Errorf("press %s of check %s: it has no such button", identifier, c.Name)
	}
	h.tellCheck(r, c, "requested_action", who.User, identifier)
	return nil
}

// Rerequest asks for a check run again.
func (h *Hub) Rerequest(who Identity, full string, id int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, c, err := h.check(full, id)
	if err != nil {
		return err
	}
	h.tellCheck(r, c, "rerequested", who.User, "")
	return nil
}

// SetStatus sets a commit status.
func (h *Hub) SetStatus(who Identity, full, sha string, s Status) (Status, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return Status{}, err
	}
	commit, err := r.git.Resolve(h.ctx, sha)
	if err != nil {
		return Status{}, err
	}
	switch {
	case commit == "":
		return Status{}, &Error{Status: 422, Message: "No commit found for SHA: " + sha}
	case !slices.Contains([]string{"error", "failure", "pending", "success"}, s.State):
		return Status{}, invalid("Status", "state", "invalid", "")
	case utf8.RuneCountInString(s.Description) > 140:
		return Status{}, invalid("Status", "description", "custom", "description is too long (maximum is 140 characters)")
	}
	if s.Context == "" {
		s.Context = "default"
	}
	s.ID, s.Repo, s.SHA, s.Creator, s.Created, s.Updated = h.id(), h.repoView(r), commit, who.User, now(), now()
	stored := s
	r.statuses = append(r.statuses, &stored)
	h.emit(Event{Name: "status", Sender: who.User, Repo: h.repoView(r), Status: &s})
	return s, nil
}

// Statuses returns all statuses of a commit, the newest first; with latest
// only the newest of each context.
func (h *Hub) Statuses(full, sha string, latest bool) ([]Status, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return nil, err
	}
	var all []Status
	for _, s := range r.statusesOf(sha, latest) {
		all = append(all, *s)
	}
	return all, nil
}

func (r *repo) statusesOf(sha string, latest bool) []*Status {
	var all []*Status
	seen := map[string]bool{}
	for _, s := range slices.Backward(r.statuses) {
		if s.SHA != sha || latest && seen[strings.ToLower(s.Context)] {
			continue
		}
		seen[strings.ToLower(s.Context)] = true
		all = append(all, s)
	}
	return all
}
