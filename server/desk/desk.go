// Package desk says which jobs follow from an event. It is pure: it asks nobody
// and remembers nothing.
package desk

import (
	"fmt"
	"slices"
	"strings"

	"weir/drift"
	"weir/planner/result"
	"weir/planner/work"
	"weir/planner/work/job"
	"weir/webhook"
)

// Desk is what has to be known beside the event itself.
type Desk struct {
	Serves func(repo string) bool
	Names  []string // first words of commands
	Self   string   // weir's own login; "" where it is not known
}

// marker begins every comment that weir writes.
const marker = "<!-- weir "

// Jobs says what follows from an event. It is pure. Where nothing follows,
// it says why.
func (d Desk) Jobs(e webhook.Event) (jobs []work.Job, ignored string) {
	if e.Ignored != "" {
		return nil, e.Ignored
	}
	switch e.Name {
	case "pull_request":
		jobs, ignored = d.pullRequest(e)
	case "issue_comment":
		jobs, ignored = d.comment(e)
	case "pull_request_review":
		jobs, ignored = d.review(e)
	case "check_run":
		jobs, ignored = d.checkRun(e)
	case "merge_group":
		jobs = []work.Job{{Kind: work.MergeGroup, Head: e.Head, Trigger: "merge queue"}}
	case "push":
		// A push to a head comes as pull_request synchronize too; a push
		// to a base is looked at by the gate, when it matters.
		return nil, "a push alone needs no work"
	default:
		return nil, "weir does nothing on " + e.Name
	}
	served := d.Serves(e.Repo)
	for i := range jobs {
		j := &jobs[i]
		j.Repo, j.Delivery = e.Repo, e.Delivery
		if j.Pull == 0 && j.Kind != work.MergeGroup && j.Kind != work.Drift {
			j.Pull = e.Pull
		}
		if !served {
			*j = work.Job{
				Kind: work.Refuse, Repo: j.Repo, Pull: j.Pull, Delivery: j.Delivery, Trigger: j.Trigger,
				Reason: "This repository is not on this server's list of repositories (the key `repos` of its configuration), so weir does nothing here.",
			}
		}
	}
	if !served {
		jobs = jobs[:min(1, len(jobs))]
		if len(jobs) == 1 && jobs[0].Pull == 0 {
			return nil, e.Repo + " is not served here"
		}
	}
	return jobs, ignored
}

// planning are the actions of pull_request after which the newest commit is
// to be planned.
var planning = map[string]string{
	"opened":             "opened",
	"reopened":           "reopened",
	"synchronize":        "push",
	"edited":             "new base",
	"ready_for_review":   "ready for review",
	"converted_to_draft": "draft",
}

func (d Desk) pullRequest(e webhook.Event) ([]work.Job, string) {
	if e.Action == "closed" {
		trigger := "close"
		if e.Merged {
			trigger = "merge"
		}
		return []work.Job{{Kind: work.Close, Head: e.Head, Merged: e.Merged, Trigger: trigger}}, ""
	}
	trigger, ok := planning[e.Action]
	if !ok {
		return nil, "nothing to plan after " + e.Action
	}
	kind := work.Plan
	if e.Action == "converted_to_draft" {
		kind = work.Gate // the plans stay as they are; only the gate closes
	}
	return []work.Job{{Kind: kind, Head: e.Head, Trigger: trigger}}, ""
}

// kinds maps commands to jobs.
var kinds = map[webhook.Verb]work.Kind{
	webhook.Plan:    work.Plan,
	webhook.Apply:   work.Apply,
	webhook.Unlock:  work.Unlock,
	webhook.Explain: work.Explain,
	webhook.Help:    work.Help,
}

func (d Desk) comment(e webhook.Event) ([]work.Job, string) {
	author := e.Comment.Author
	switch {
	case d.Self != "" && strings.EqualFold(author.Login, d.Self), strings.HasPrefix(e.Comment.Body, marker):
		return nil, "weir wrote this comment itself"
	case author.Bot:
		return nil, "bots give no commands"
	case e.Issue != nil:
		return d.onIssue(e)
	}
	var jobs []work.Job
	for _, c := range webhook.Parse(e.Comment.Body, d.Names, d.Self) {
		if c = c.On(false); c.Verb == webhook.Drift {
			c = webhook.Command{Verb: webhook.Help, Problem: "There is no `drift` on a pull request."}
		}
		jobs = append(jobs, work.Job{
			Kind: kinds[c.Verb], Actor: author.Login, Trigger: "comment", Reason: c.Problem,
			Command: &work.Command{Dir: c.Dir, Workspace: c.Workspace, Project: c.Project, Extra: c.Extra, Comment: e.Comment.ID},
		})
	}
	if jobs == nil {
		return nil, "the comment holds no command"
	}
	return jobs, ""
}

// onIssue obeys what is written on an issue of weir's about drift. Whether it
// is one is looked at again by whoever does the job.
func (d Desk) onIssue(e webhook.Event) ([]work.Job, string) {
	if !strings.HasPrefix(e.Issue.Marker, marker+"kind=drift") || d.Self != "" && !strings.EqualFold(e.Issue.Author.Login, d.Self) {
		return nil, "the comment is on an issue that is not about drift"
	}
	var jobs []work.Job
	for _, c := range webhook.Parse(e.Comment.Body, d.Names, d.Self) {
		j := work.Job{
			Kind: work.Drift, Topic: drift.Commands, Issue: e.Issue.Number, Actor: e.Comment.Author.Login, Trigger: "comment",
			Command: &work.Command{Dir: c.Dir, Workspace: c.Workspace, Project: c.Project, Comment: e.Comment.ID},
		}
		c = c.On(true)
		if j.Reason = c.Problem; c.Verb == webhook.Help && j.Reason == "" {
			j.Reason = "On this issue there is `drift check`, `drift revert`, `drift adopt` and `drift accept`."
		}
		if c.Verb == webhook.Drift && c.Problem == "" {
			asked := *c.Drift
			j.Command.Drift = &job.Drifted{
				Verb: asked.Verb, Addresses: asked.Addresses, IDs: asked.IDs,
				Owner: asked.Owner, Reason: asked.Reason, Until: asked.Until,
			}
		}
		jobs = append(jobs, j)
	}
	if jobs == nil {
		return nil, "the comment holds no command"
	}
	return jobs, ""
}

func (d Desk) review(e webhook.Event) ([]work.Job, string) {
	if e.Review.State == "commented" && e.Action == "submitted" {
		return nil, "a review that only comments decides nothing"
	}
	return []work.Job{{Kind: work.Gate, Trigger: "review", Actor: e.Review.Author.Login}}, ""
}

func (d Desk) checkRun(e webhook.Event) ([]work.Job, string) {
	kind := work.Plan
	switch {
	case e.CheckRun.Name != result.CheckPlan && e.CheckRun.Name != result.CheckApply:
		return nil, "the check run is not weir's"
	case e.Sender.Bot:
		return nil, "bots give no commands"
	case e.Action == "requested_action" && e.CheckRun.Identifier != "apply":
		return nil, fmt.Sprintf("the check run has no button %q", e.CheckRun.Identifier)
	case e.Action == "requested_action" || e.CheckRun.Name == result.CheckApply:
		kind = work.Apply
	}
	var jobs []work.Job
	for _, pull := range slices.Compact(slices.Sorted(slices.Values(e.CheckRun.Pulls))) {
		jobs = append(jobs, work.Job{Kind: kind, Pull: pull, Head: e.CheckRun.Head, Actor: e.Sender.Login, Trigger: "check", Command: &work.Command{}})
	}
	if jobs == nil {
		return nil, "the check run belongs to no pull request of this repository"
	}
	return jobs, ""
}
