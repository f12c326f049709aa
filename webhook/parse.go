package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// parsers holds the events that weir knows. Each parser fills the event from
// a payload whose common fields are read already, and returns what is wrong
// with the payload, "" if nothing is.
var parsers = map[string]func(payload []byte, e *Event) string{
	"check_run":           parseCheckRun,
	"installation":        parseInstallation,
	"issue_comment":       parseComment,
	"issues":              parseIssue,
	"merge_group":         parseMergeGroup,
	"ping":                parsePing,
	"pull_request":        parsePull,
	"pull_request_review": parseReview,
	"push":                parsePush,
}

// common is what payloads of any event may hold. Fields of events that weir
// does not know are read only if they have the usual form.
type common struct {
	Action       string      `json:"action"`
	Sender       account     `json:"sender"`
	Repository   *repository `json:"repository"`
	Installation struct {
		ID int64 `json:"id"`
	} `json:"installation"`
}

type repository struct {
	ID       int64  `json:"id"`
	FullName string `json:"full_name"`
}

type account struct {
	Login string `json:"login"`
	Type  string `json:"type"`
}

func (a account) actor() Actor {
	return Actor{Login: a.Login, Bot: a.Type == "Bot" || strings.HasSuffix(a.Login, "[bot]")}
}

// branch is one end of a pull request.
type branch struct {
	Ref  string      `json:"ref"`
	SHA  string      `json:"sha"`
	Repo *repository `json:"repo"` // null when it was deleted
}

type pull struct {
	Number int    `json:"number"`
	Draft  bool   `json:"draft"`
	Merged bool   `json:"merged"`
	Head   branch `json:"head"`
	Base   branch `json:"base"`
}

// issue is an issue, or a pull request as one.
type issue struct {
	Number int             `json:"number"`
	Body   string          `json:"body"`
	User   *account        `json:"user"`
	Pull   json.RawMessage `json:"pull_request"`
}

// parse reads a payload. The reason says what is wrong with it, "" if
// nothing is; it names fields and repeats nothing from the payload but short
// quoted words.
func parse(name string, payload []byte) (e Event, reason string) {
	var c common
	parser, known := parsers[name]
	if !known {
		if !json.Valid(payload) {
			return Event{}, "the payload is not JSON"
		}
		// Whatever its fields are, the event is of no use to weir.
		_ = json.Unmarshal(payload, &c)
		e = c.event()
		if !isRepo(e.Repo) {
			e.Repo = ""
		}
		e.Ignored = "weir does not act on " + name + " events"
		return e, ""
	}
	if reason := decode(payload, &c); reason != "" {
		return Event{}, reason
	}
	e = c.event()
	if c.Repository != nil && !isRepo(e.Repo) {
		return Event{}, "field repository.full_name is not owner/name"
	}
	if reason := parser(payload, &e); reason != "" {
		return Event{}, reason
	}
	if e.Ignored == "" && e.Repo == "" && name != "installation" {
		return Event{}, "field repository.full_name is missing"
	}
	return e, ""
}

func (c common) event() Event {
	e := Event{Action: c.Action, Sender: c.Sender.actor(), Installation: c.Installation.ID}
	if c.Repository != nil {
		e.Repo = c.Repository.FullName
	}
	return e
}

func parsePing(_ []byte, e *Event) string {
	e.Ignored = "a ping needs no work"
	return ""
}

func parseInstallation(_ []byte, e *Event) string {
	return need(e.Installation > 0, "installation.id")
}

func parsePull(payload []byte, e *Event) string {
	var p struct {
		Pull    pull `json:"pull_request"`
		Changes struct {
			Base json.RawMessage `json:"base"`
		} `json:"changes"`
	}
	if reason := decode(payload, &p); reason != "" {
		return reason
	}
	e.setPull(p.Pull)
	e.Merged = p.Pull.Merged
	switch e.Action {
	case "opened", "reopened", "synchronize", "ready_for_review", "converted_to_draft", "closed":
	case "edited":
		if p.Changes.Base == nil {
			e.Ignored = "the pull request was edited, but its base branch is the same"
			return ""
		}
	default:
		return ignoreAction(e)
	}
	return checkPull(p.Pull)
}

func parseReview(payload []byte, e *Event) string {
	var p struct {
		Pull   pull `json:"pull_request"`
		Review struct {
			ID     int64    `json:"id"`
			State  string   `json:"state"`
			Commit string   `json:"commit_id"`
			User   *account `json:"user"`
		} `json:"review"`
	}
	if reason := decode(payload, &p); reason != "" {
		return reason
	}
	e.setPull(p.Pull)
	e.Review = &Review{ID: p.Review.ID, State: strings.ToLower(p.Review.State), Commit: p.Review.Commit}
	if p.Review.User != nil {
		e.Review.Author = p.Review.User.actor()
	}
	switch e.Action {
	case "submitted", "dismissed", "edited":
	default:
		return ignoreAction(e)
	}
	return first(
		checkPull(p.Pull),
		need(p.Review.ID > 0, "review.id"),
		need(p.Review.State != "", "review.state"))
}

func parseComment(payload []byte, e *Event) string {
	var p struct {
		Issue   issue `json:"issue"`
		Comment struct {
			ID   int64    `json:"id"`
			Body string   `json:"body"`
			User *account `json:"user"`
		} `json:"comment"`
	}
	if reason := decode(payload, &p); reason != "" {
		return reason
	}
	e.Comment = &Comment{ID: p.Comment.ID, Body: p.Comment.Body}
	if p.Comment.User != nil {
		e.Comment.Author = p.Comment.User.actor()
	}
	if p.Issue.Pull == nil || string(p.Issue.Pull) == "null" {
		e.Issue = p.Issue.read()
		if e.Issue.Marker == "" {
			e.Ignored = "the comment is on an issue that weir did not open"
			return ""
		}
	} else {
		e.Pull = p.Issue.Number
	}
	if e.Action != "created" {
		return ignoreAction(e)
	}
	return first(
		need(p.Issue.Number > 0, "issue.number"),
		need(p.Comment.ID > 0, "comment.id"),
		need(e.Comment.Author.Login != "", "comment.user.login"))
}

// parseIssue reads what somebody did with an issue. weir looks at its issues
// when it has something to say there.
func parseIssue(payload []byte, e *Event) string {
	var p struct {
		Issue issue `json:"issue"`
	}
	if reason := decode(payload, &p); reason != "" {
		return reason
	}
	e.Issue = p.Issue.read()
	return ignoreAction(e)
}

func (i issue) read() *Issue {
	read := &Issue{Number: i.Number}
	if i.User != nil {
		read.Author = i.User.actor()
	}
	line, _, _ := strings.Cut(i.Body, "\n")
	if line = strings.TrimRight(line, "\r "); strings.HasPrefix(line, "<!-- weir ") && strings.HasSuffix(line, " -->") {
		read.Marker = line
	}
	return read
}

func parseCheckRun(payload []byte, e *Event) string {
	var p struct {
		Repository repository `json:"repository"`
		CheckRun   struct {
			ID   int64  `json:"id"`
			Name string `json:"name"`
			Head string `json:"head_sha"`
			App  struct {
				ID int64 `json:"id"`
			} `json:"app"`
			Pulls []pull `json:"pull_requests"`
		} `json:"check_run"`
		Requested struct {
			Identifier string `json:"identifier"`
		} `json:"requested_action"`
	}
	if reason := decode(payload, &p); reason != "" {
		return reason
	}
	run := p.CheckRun
	e.Head = run.Head
	e.CheckRun = &CheckRun{ID: run.ID, Name: run.Name, Head: run.Head, Identifier: p.Requested.Identifier, AppID: run.App.ID}
	for _, pull := range run.Pulls {
		// GitHub also lists pull requests of forks' own repositories, and
		// then says whose they are.
		if pull.Number > 0 && (pull.Base.Repo == nil || pull.Base.Repo.ID == p.Repository.ID) {
			e.CheckRun.Pulls = append(e.CheckRun.Pulls, pull.Number)
		}
	}
	switch e.Action {
	case "rerequested":
	case "requested_action":
		if p.Requested.Identifier == "" {
			return need(false, "requested_action.identifier")
		}
	default:
		return ignoreAction(e)
	}
	return first(
		need(run.ID > 0, "check_run.id"),
		need(run.Name != "", "check_run.name"),
		need(e.Sender.Login != "", "sender.login"), // whose right it is that counts
		needCommit(run.Head, "check_run.head_sha"))
}

func parsePush(payload []byte, e *Event) string {
	var p struct {
		Ref     string `json:"ref"`
		After   string `json:"after"`
		Deleted bool   `json:"deleted"`
	}
	if reason := decode(payload, &p); reason != "" {
		return reason
	}
	e.Ref, e.After = p.Ref, p.After
	switch {
	case p.Ref == "":
		return need(false, "ref")
	case !strings.HasPrefix(p.Ref, "refs/heads/"):
		e.Ignored = "the push is not to a branch"
		return ""
	case p.Deleted:
		e.Ignored = "the push deleted a branch"
		return ""
	}
	return needCommit(p.After, "after")
}

func parseMergeGroup(payload []byte, e *Event) string {
	var p struct {
		Group struct {
			Head    string `json:"head_sha"`
			HeadRef string `json:"head_ref"`
			BaseRef string `json:"base_ref"`
		} `json:"merge_group"`
	}
	if reason := decode(payload, &p); reason != "" {
		return reason
	}
	e.Head = p.Group.Head
	e.HeadRef = strings.TrimPrefix(p.Group.HeadRef, "refs/heads/")
	e.Base = strings.TrimPrefix(p.Group.BaseRef, "refs/heads/")
	if e.Action != "checks_requested" {
		return ignoreAction(e)
	}
	return first(
		needCommit(p.Group.Head, "merge_group.head_sha"),
		need(e.HeadRef != "", "merge_group.head_ref"),
		need(e.Base != "", "merge_group.base_ref"))
}

func (e *Event) setPull(p pull) {
	e.Pull, e.Draft = p.Number, p.Draft
	e.Head, e.HeadRef, e.Base = p.Head.SHA, p.Head.Ref, p.Base.Ref
}

// checkPull asks for what names the pull request. Everything else about it is
// asked of GitHub when it matters, since a delivery may be old by then.
func checkPull(p pull) string {
	return first(
		need(p.Number > 0, "pull_request.number"),
		needCommit(p.Head.SHA, "pull_request.head.sha"))
}

func ignoreAction(e *Event) string {
	if e.Action == "" {
		return need(false, "action")
	}
	e.Ignored = "weir does not act on the action " + quote(e.Action)
	return ""
}

// decode reads JSON into v and says what is wrong with it.
func decode(payload []byte, v any) string {
	err := json.Unmarshal(payload, v)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Sprintf("field %s is a JSON %s", wrong.Field, wrong.Value)
	case errors.As(err, &wrong):
		return "the payload is not a JSON object"
	}
	return "the payload is not JSON"
}

func need(ok bool, field string) string {
	if ok {
		return ""
	}
	return "field " + field + " is missing"
}

var commit = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

func needCommit(s, field string) string {
	if s != "" && !commit.MatchString(s) {
		return "field " + field + " is not a commit"
	}
	return need(s != "", field)
}

// first returns the first reason that is not empty.
func first(reasons ...string) string {
	for _, r := range reasons {
		if r != "" {
			return r
		}
	}
	return ""
}

var repoName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$`)

// isRepo says whether s is owner/name with nothing in it that could mean
// something else in a path or a key.
func isRepo(s string) bool {
	owner, name, _ := strings.Cut(s, "/")
	return repoName.MatchString(s) && owner != "." && owner != ".." && name != "." && name != ".."
}
