// Package checks keeps the check runs, check suites and statuses of commits.
package checks

import (
	"fmt"
	"slices"
	"strings"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/hub"
	"weir/integration/sandbox/record"
)

// Runs keeps everything about commits that is not in Git. It is guarded by
// the hub's lock: everything happens in hub.Do, or is called by the hub.
type Runs struct {
	Hub   *hub.Hub
	repos map[int64]*repo
}

// repo is what a repository has; newer things are behind older ones.
type repo struct {
	suites   []*record.Suite
	runs     []*record.CheckRun
	statuses []*record.Status
}

func (c *Runs) of(id int64) *repo {
	if c.repos == nil {
		c.repos = map[int64]*repo{}
	}
	if c.repos[id] == nil {
		c.repos[id] = &repo{}
	}
	return c.repos[id]
}

// CreateCheck makes a check run of the App on a commit.
func (c *Runs) CreateCheck(who account.Identity, full string, e Edit) (record.CheckRun, error) {
	var made record.CheckRun
	err := c.Hub.Do(full, func(tx hub.Tx) error {
		app, installed := tx.App()
		if who.App == 0 || !installed {
			return record.Forbidden("You must authenticate via a GitHub App.")
		}
		if e.Name == nil || *e.Name == "" || e.HeadSHA == nil {
			return &record.Error{Status: 422, Message: `Invalid request. "name" and "head_sha" must be supplied.`}
		}
		if err := exists(tx, *e.HeadSHA); err != nil {
			return err
		}
		r := c.of(tx.Repo().ID)
		run := &record.CheckRun{HeadSHA: *e.HeadSHA, Status: "queued", Started: record.Now(), App: app}
		if err := e.apply(run); err != nil {
			return err
		}
		suite, err := c.suite(tx, *e.HeadSHA, tx.BranchAt(*e.HeadSHA), "", who.User)
		if err != nil {
			return err
		}
		run.ID, run.Suite.ID = tx.ID(), suite.ID
		r.runs = append(r.runs, run)
		c.tell(tx, run, "created", who.User, "")
		if run.Status == "completed" {
			c.completed(tx, run, who.User)
		}
		made = c.view(tx, run)
		return nil
	})
	return made, err
}

// exists refuses a commit that is not in the repository, or not named in full.
func exists(tx hub.Tx, sha string) error {
	found, err := tx.Resolve(sha)
	if err != nil {
		return err
	}
	if found == "" || found != sha {
		return &record.Error{Status: 422, Message: "No commit found for SHA: " + sha}
	}
	return nil
}

// on does something with a check run and returns what it is then.
func (c *Runs) on(full string, id int64, f func(hub.Tx, *record.CheckRun) error) (record.CheckRun, error) {
	var after record.CheckRun
	err := c.Hub.Do(full, func(tx hub.Tx) error {
		runs := c.of(tx.Repo().ID).runs
		at := slices.IndexFunc(runs, func(r *record.CheckRun) bool { return r.ID == id })
		if at < 0 {
			return record.NotFound()
		}
		if err := f(tx, runs[at]); err != nil {
			return err
		}
		after = c.view(tx, runs[at])
		return nil
	})
	return after, err
}

// UpdateCheck changes a check run of the App.
func (c *Runs) UpdateCheck(who account.Identity, full string, id int64, e Edit) (record.CheckRun, error) {
	return c.on(full, id, func(tx hub.Tx, run *record.CheckRun) error {
		if who.App != run.App.ID {
			return record.Forbidden(fmt.Sprintf("Invalid app_id `%d` - check run can only be modified by the GitHub App that created it.", who.App))
		}
		was := run.Status
		if err := e.apply(run); err != nil {
			return err
		}
		if run.Status == "completed" && was != "completed" {
			c.completed(tx, run, who.User)
		}
		return nil
	})
}

// completed tells of a completed check run and, if it was the last one, of its
// suite.
func (c *Runs) completed(tx hub.Tx, run *record.CheckRun, by record.User) {
	c.tell(tx, run, "completed", by, "")
	suite := c.view(tx, run).Suite
	if suite.Status == "completed" {
		tx.Emit(record.Event{Name: "check_suite", Action: "completed", Sender: by, Suite: &suite})
	}
}

func (c *Runs) tell(tx hub.Tx, run *record.CheckRun, action string, by record.User, identifier string) {
	v := c.view(tx, run)
	tx.Emit(record.Event{Name: "check_run", Action: action, Sender: by, Check: &v, Identifier: identifier})
}

// CheckRun returns a check run by its id.
func (c *Runs) CheckRun(full string, id int64) (record.CheckRun, error) {
	var found record.CheckRun
	err := c.Hub.Look(full, func(tx hub.Tx) error {
		for _, run := range c.of(tx.Repo().ID).runs {
			if run.ID == id {
				found = c.view(tx, run)
				return nil
			}
		}
		return record.NotFound()
	})
	return found, err
}

// CheckRuns returns the check runs of a commit, the newest first; with latest
// only the newest of each name.
func (c *Runs) CheckRuns(full, sha string, latest bool) ([]record.CheckRun, error) {
	var all []record.CheckRun
	err := c.Hub.Look(full, func(tx hub.Tx) error {
		for _, run := range c.of(tx.Repo().ID).at(sha, latest) {
			all = append(all, c.view(tx, run))
		}
		return nil
	})
	return all, err
}

func (r *repo) at(sha string, latest bool) []*record.CheckRun {
	var all []*record.CheckRun
	seen := map[string]bool{}
	for _, run := range slices.Backward(r.runs) {
		if run.HeadSHA != sha || latest && seen[run.Name] {
			continue
		}
		seen[run.Name] = true
		all = append(all, run)
	}
	return all
}

func (c *Runs) view(tx hub.Tx, run *record.CheckRun) record.CheckRun {
	v := *run
	v.Repo, v.Actions, v.Pulls = tx.Repo(), slices.Clone(run.Actions), tx.PullsAt(run.HeadSHA)
	for _, s := range c.of(v.Repo.ID).suites {
		if s.ID == run.Suite.ID {
			v.Suite = c.suiteView(tx, s)
		}
	}
	return v
}

// Press presses a button of a check run.
func (c *Runs) Press(who account.Identity, full string, id int64, identifier string) error {
	_, err := c.on(full, id, func(tx hub.Tx, run *record.CheckRun) error {
		if !slices.ContainsFunc(run.Actions, func(a record.Action) bool { return a.Identifier == identifier }) {
			return fmt.Errorf("press %s of check %s: it has no such button", identifier, run.Name)
		}
		c.tell(tx, run, "requested_action", who.User, identifier)
		return nil
	})
	return err
}

// Rerequest asks for a check run again.
func (c *Runs) Rerequest(who account.Identity, full string, id int64) error {
	_, err := c.on(full, id, func(tx hub.Tx, run *record.CheckRun) error {
		c.tell(tx, run, "rerequested", who.User, "")
		return nil
	})
	return err
}

// Pushed makes the check suite of a commit that was pushed, where the App is
// installed, and tells of it.
func (c *Runs) Pushed(tx hub.Tx, sha, branch, before string, by record.User) error {
	if _, installed := tx.App(); !installed {
		return nil
	}
	_, err := c.suite(tx, sha, branch, before, by)
	return err
}

// suite returns the check suite of a commit, which it makes and tells of when
// there is none.
func (c *Runs) suite(tx hub.Tx, sha, branch, before string, by record.User) (*record.Suite, error) {
	r := c.of(tx.Repo().ID)
	for _, s := range r.suites {
		if s.HeadSHA == sha {
			return s, nil
		}
	}
	message, tree, err := tx.Message(sha)
	if err != nil {
		return nil, err
	}
	app, _ := tx.App()
	s := &record.Suite{
		ID: tx.ID(), HeadSHA: sha, HeadBranch: branch, Before: before, Status: "queued", App: app,
		Created: record.Now(), Updated: record.Now(), Message: message, Tree: tree, Author: by,
	}
	r.suites = append(r.suites, s)
	v := c.suiteView(tx, s)
	tx.Emit(record.Event{Name: "check_suite", Action: "requested", Sender: by, Suite: &v})
	return s, nil
}

// bySeverity orders conclusions: the first that a check run has is its suite's.
var bySeverity = []string{"failure", "timed_out", "action_required", "cancelled", "success", "neutral", "skipped"}

func (c *Runs) suiteView(tx hub.Tx, s *record.Suite) record.Suite {
	v := *s
	v.Repo, v.Pulls = tx.Repo(), tx.PullsAt(s.HeadSHA)
	runs := c.of(v.Repo.ID).at(s.HeadSHA, true)
	v.Runs = len(runs)
	worst := len(bySeverity)
	for _, run := range runs {
		if run.Status != "completed" {
			v.Status = "in_progress"
			return v
		}
		worst = min(worst, slices.Index(bySeverity, run.Conclusion))
	}
	if len(runs) > 0 {
		v.Status, v.Conclusion = "completed", bySeverity[worst]
	}
	return v
}

// Outcomes says of each check and status of a commit how it stands. Of a check
// and a status of one name the worse counts.
func (c *Runs) Outcomes(id int64, sha string) map[string]hub.Outcome {
	all := map[string]hub.Outcome{}
	r := c.of(id)
	for _, s := range r.statusesAt(sha, true) {
		all[s.Context] = map[string]hub.Outcome{"success": hub.Passed, "pending": hub.Running}[s.State]
	}
	for _, run := range r.at(sha, true) {
		outcome := hub.Failed
		switch {
		case run.Status != "completed":
			outcome = hub.Running
		case slices.Contains([]string{"success", "neutral", "skipped"}, run.Conclusion):
			outcome = hub.Passed
		}
		if old, both := all[run.Name]; both {
			outcome = min(outcome, old)
		}
		all[run.Name] = outcome
	}
	return all
}

func (r *repo) statusesAt(sha string, latest bool) []*record.Status {
	var all []*record.Status
	seen := map[string]bool{}
	for _, s := range slices.Backward(r.statuses) {
		key := strings.ToLower(s.Context)
		if s.SHA != sha || latest && seen[key] {
			continue
		}
		seen[key] = true
		all = append(all, s)
	}
	return all
}
