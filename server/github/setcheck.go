package github

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/go-github/v60/github"

	"weir/planner/record"
	"weir/planner/result"
	"weir/server/github/rest"
)

// Limits of GitHub's, from "REST API endpoints for check runs" and "… for
// commit statuses". A title has none that is documented; longer ones are
// unreadable.
const (
	maxSummary     = 65535
	maxTitle       = 255
	maxDescription = 140
)

// ApplyAction identifies the button of the check weir/apply, in the delivery
// that pressing it makes. GitHub allows 20 characters.
const ApplyAction = "apply"

// checkRun is what GitHub is told of a check run. go-github's own types leave
// an empty list of actions out, with which a button would stay for ever.
type checkRun struct {
	Name       string       `json:"name"`
	HeadSHA    string       `json:"head_sha,omitempty"` // at creation only
	ExternalID string       `json:"external_id"`
	DetailsURL string       `json:"details_url,omitempty"`
	Status     string       `json:"status"`
	Conclusion string       `json:"conclusion,omitempty"`
	Output     checkOutput  `json:"output"`
	Actions    []checkClick `json:"actions"`
}

type checkOutput struct {
	Title   string `json:"title"`
	Summary string `json:"summary"`
}

// checkClick is a button: a label of at most 20 characters, a description of at
// most 40.
type checkClick struct {
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

// SetCheck makes a check say what c says, and returns its id for the next
// time. With an App it is a check run, with the summary as its Markdown: c.ID is
// updated, or a new one made where that is 0 or was deleted; where c.Sought, it
// is looked for before. With a token it is
// a commit status, which has no summary and one state, pending, for all that
// is not over.
func (g *Client) SetCheck(ctx context.Context, c result.Check, summary string) (int64, error) {
	if g.api.AppID() == 0 {
		return g.setStatus(ctx, c)
	}
	run := asRun(c, summary)
	if c.ID != 0 {
		id, err := g.updateRun(ctx, c, c.ID, run)
		if rest.StatusOf(err) != http.StatusNotFound {
			return id, err
		}
	}
	return g.createRun(ctx, c, run)
}

// asRun puts a check in GitHub's words and lengths.
func asRun(c result.Check, summary string) checkRun {
	title := oneLine(cmp.Or(c.Title, c.Name), maxTitle)
	run := checkRun{
		Name: c.Name, HeadSHA: c.Head, ExternalID: externalID(c), DetailsURL: webURL(c.DetailsURL),
		Status:  "completed",
		Output:  checkOutput{Title: title, Summary: cutSummary(cmp.Or(summary, title))},
		Actions: []checkClick{},
	}
	if c.Status == record.InProgress {
		run.Status = "in_progress"
	} else {
		run.Conclusion = string(c.Status)
	}
	if c.Status == record.ActionRequired && c.Name == result.CheckApply {
		run.Actions = append(run.Actions, checkClick{Label: "Apply", Description: "Apply exactly the plan that is shown", Identifier: ApplyAction})
	}
	return run
}

// externalID is the same for every attempt to make the same check run.
func externalID(c result.Check) string { return c.Name + "@" + c.Head }

func checkWhat(c result.Check) string {
	return fmt.Sprintf("set check %s of %s@%s", c.Name, c.Repo, c.Head)
}

func (g *Client) updateRun(ctx context.Context, c result.Check, id int64, run checkRun) (int64, error) {
	path, err := rest.RepoPath(c.Repo, "check-runs", strconv.FormatInt(id, 10))
	if err != nil {
		return 0, err
	}
	run.HeadSHA = ""
	var updated github.CheckRun
	_, err = g.api.In(ctx, c.Repo, checkWhat(c), rest.Call{Method: http.MethodPatch, Path: path, Body: run, Out: &updated, Absent: true})
	if err != nil {
		return 0, err
	}
	return id, nil
}

// createRun makes a check run once: after an attempt that may have had its
// effect it looks for that, and brings up to date what it finds.
func (g *Client) createRun(ctx context.Context, c result.Check, run checkRun) (int64, error) {
	path, err := rest.RepoPath(c.Repo, "check-runs")
	if err != nil {
		return 0, err
	}
	var id int64
	look := func() (bool, error) {
		found, err := g.findRun(ctx, c)
		if err != nil || found == 0 {
			return false, err
		}
		id, err = g.updateRun(ctx, c, found, run)
		return true, err
	}
	send := func() error {
		var created github.CheckRun
		_, err := g.api.In(ctx, c.Repo, checkWhat(c), rest.Call{
			Method: http.MethodPost, Path: path, Body: run, Out: &created, Once: true,
		})
		id = created.GetID()
		return err
	}
	if err := rest.AtMostOnce(ctx, c.Sought, look, send); err != nil {
		return 0, err
	}
	return id, nil
}

// findRun returns the id of the newest check run that weir made for c, 0 where
// there is none.
func (g *Client) findRun(ctx context.Context, c result.Check) (int64, error) {
	path, err := rest.RepoPath(c.Repo, "commits", c.Head, "check-runs")
	if err != nil {
		return 0, err
	}
	var found int64
	err = rest.Pages(ctx, g.api, c.Repo, checkWhat(c), rest.Get(path, nil), func(page github.ListCheckRunsResults) {
		for _, r := range page.CheckRuns {
			if r.GetName() == c.Name && r.GetExternalID() == externalID(c) && r.GetApp().GetID() == g.api.AppID() {
				found = max(found, r.GetID())
			}
		}
	})
	return found, err
}

func (g *Client) setStatus(ctx context.Context, c result.Check) (int64, error) {
	path, err := rest.RepoPath(c.Repo, "statuses", c.Head)
	if err != nil {
		return 0, err
	}
	state := "error" // cancelled
	switch c.Status {
	case record.InProgress, record.ActionRequired:
		state = "pending"
	case record.Success:
		state = "success"
	case record.Failure:
		state = "failure"
	}
	body := map[string]string{
		"state": state, "context": c.Name, "description": oneLine(cmp.Or(c.Title, c.Name), maxDescription),
	}
	if u := webURL(c.DetailsURL); u != "" {
		body["target_url"] = u
	}
	var set github.RepoStatus
	_, err = g.api.In(ctx, c.Repo, checkWhat(c), rest.Call{Method: http.MethodPost, Path: path, Body: body, Out: &set})
	return set.GetID(), err
}

// webURL returns a URL that GitHub accepts as a link, "" for any other.
func webURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return raw
}

// oneLine joins lines and cuts what is longer than so many characters.
func oneLine(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// cutSummary cuts Markdown to GitHub's length, which it takes for bytes to be
// sure, at the end of a line and with an open code fence closed.
func cutSummary(s string) string {
	const end = "\n\n… GitHub shows no more here."
	if len(s) <= maxSummary {
		return s
	}
	const fence = "\n```"
	s = s[:maxSummary-len(end)-len(fence)]
	if i := strings.LastIndexByte(s, '\n'); i > 0 {
		s = s[:i]
	}
	s = strings.ToValidUTF8(s, "")
	if strings.Count("\n"+s, fence)%2 == 1 {
		s += fence
	}
	return s + end
}
