package shape

import (
	"fmt"
	"strings"
	"time"

	"weir/integration/sandbox/gitrepo"
	"weir/integration/sandbox/record"
)

// Payload is the body of the webhook that tells of an event.
func (s Shaper) Payload(e record.Event) Object {
	o := Object{"sender": s.User(e.Sender)}
	if e.Action != "" {
		o["action"] = e.Action
	}
	if e.Repo.ID != 0 {
		o["repository"] = s.Repo(e.Repo)
	}
	if e.Installation != 0 {
		o["installation"] = Object{"id": e.Installation, "node_id": node("MDIzOkluc3RhbGxhdGlvbg", e.Installation)}
	}
	switch e.Name {
	case "pull_request":
		s.pullPayload(o, e)
	case "issues":
		s.issuePayload(o, e)
	case "issue_comment":
		o["issue"], o["comment"] = s.Issue(*e.Issue), s.Comment(*e.Comment)
		if e.Changes.Body != nil {
			o["changes"] = Object{"body": Object{"from": *e.Changes.Body}}
		}
	case "pull_request_review":
		o["pull_request"], o["review"] = s.hookPull(s.SimplePull(*e.Pull)), s.Review(*e.Pull, *e.Review, true)
		if e.Changes.Body != nil {
			o["changes"] = Object{"body": Object{"from": *e.Changes.Body}}
		}
	case "check_run":
		check := s.Check(*e.Check)
		suite := s.Suite(e.Check.Suite)
		for _, key := range []string{"latest_check_runs_count", "check_runs_url", "head_commit", "rerequestable", "runs_rerequestable"} {
			delete(suite, key)
		}
		check["check_suite"] = suite
		o["check_run"] = check
		if e.Identifier != "" {
			o["requested_action"] = Object{"identifier": e.Identifier}
		}
	case "check_suite":
		o["check_suite"] = s.Suite(*e.Suite)
	case "status":
		s.statusPayload(o, e)
	case "push":
		s.pushPayload(o, e)
	case "merge_group":
		g := *e.Group
		o["merge_group"] = Object{
			"head_sha": g.HeadSHA, "head_ref": g.HeadRef, "base_sha": g.BaseSHA, "base_ref": g.BaseRef,
			"head_commit": simpleCommit(g.HeadSHA, g.Tree, g.Message, g.Author, g.At),
		}
	case "installation":
		o["installation"] = s.Installation(*e.Installed)
		repos := []Object{}
		for _, r := range e.Repos {
			repos = append(repos, Object{"id": r.ID, "node_id": node("R_", r.ID), "name": r.Name, "full_name": r.FullName(), "private": r.Private})
		}
		o["repositories"] = repos
		if e.Action == "created" {
			o["requester"] = nil
		}
	}
	return o
}

func (s Shaper) issuePayload(o Object, e record.Event) {
	o["issue"] = s.Issue(*e.Issue)
	if e.Label != nil {
		o["label"] = s.Label(e.Repo, *e.Label)
	}
	if e.Assignee != nil {
		o["assignee"] = s.User(*e.Assignee)
	}
	if e.Action == "edited" {
		o["changes"] = changed(e.Changes)
	}
}

// changed is what title and body were before.
func changed(c record.Changes) Object {
	changes := Object{}
	for key, old := range map[string]*string{"title": c.Title, "body": c.Body} {
		if old != nil {
			changes[key] = Object{"from": *old}
		}
	}
	return changes
}

func (s Shaper) pullPayload(o Object, e record.Event) {
	o["number"], o["pull_request"] = e.Pull.Number, s.hookPull(s.Pull(*e.Pull))
	if e.Label != nil {
		o["label"] = s.Label(e.Repo, *e.Label)
	}
	if e.Assignee != nil {
		o["assignee"] = s.User(*e.Assignee)
	}
	switch e.Action {
	case "synchronize":
		o["before"], o["after"] = e.Before, e.After
	case "edited":
		changes := changed(e.Changes)
		if e.Changes.BaseRef != nil {
			changes["base"] = Object{"ref": Object{"from": *e.Changes.BaseRef}, "sha": Object{"from": *e.Changes.BaseSHA}}
		}
		o["changes"] = changes
	}
}

// hookPull adds what the repositories of a pull request show in webhooks only.
func (s Shaper) hookPull(p Object) Object {
	for _, side := range []string{"head", "base"} {
		r := p[side].(Object)["repo"].(Object) //nolint:errcheck // both were made by side
		for _, key := range []string{"allow_auto_merge", "allow_update_branch", "delete_branch_on_merge", "use_squash_pr_title_as_default"} {
			r[key] = false
		}
		r["allow_merge_commit"], r["allow_rebase_merge"], r["allow_squash_merge"] = true, true, true
		r["merge_commit_message"], r["merge_commit_title"] = "PR_TITLE", "MERGE_MESSAGE"
		r["squash_merge_commit_message"], r["squash_merge_commit_title"] = "COMMIT_MESSAGES", "COMMIT_OR_PR_TITLE"
	}
	return p
}

func (s Shaper) statusPayload(o Object, e record.Event) {
	v := *e.Status
	info := gitrepo.Info{SHA: v.SHA, When: v.Created, Author: gitrepo.Person{Name: v.Creator.Login, Email: v.Creator.Email()}}
	for key, value := range (Object{
		"id": v.ID, "sha": v.SHA, "name": e.Repo.FullName(), "target_url": orNull(v.TargetURL), "avatar_url": nil, "context": v.Context,
		"description": orNull(v.Description), "state": v.State, "commit": s.Commit(e.Repo, info), "branches": []any{}, "created_at": Time(v.Created), "updated_at": Time(v.Updated),
	}) {
		o[key] = value
	}
}

func (s Shaper) pushPayload(o Object, e record.Event) {
	p := *e.Push
	r := s.Repo(e.Repo)
	r["created_at"], r["pushed_at"] = e.Repo.Created.Unix(), e.Repo.Pushed.Unix()
	r["stargazers"], r["master_branch"] = 0, e.Repo.DefaultBranch
	owner := s.User(e.Repo.Owner)
	owner["name"], owner["email"] = e.Repo.Owner.Login, e.Repo.Owner.Email()
	r["owner"] = owner
	o["repository"] = r
	created, deleted := p.Before == gitrepo.Zero, p.After == gitrepo.Zero
	short := strings.TrimPrefix(p.Ref, "refs/heads/")
	compare := fmt.Sprintf("%s/compare/%.12s...%.12s", s.repoWeb(e.Repo), p.Before, p.After)
	if created {
		compare = s.repoWeb(e.Repo) + "/compare/" + short
	}
	commits := []Object{}
	for _, c := range p.Commits {
		who := Object{"name": c.Name, "email": c.Email, "date": Time(c.When)}
		commits = append(commits, Object{
			"id": c.SHA, "tree_id": c.Tree, "distinct": true, "message": c.Message, "timestamp": c.When.Format(time.RFC3339),
			"url": s.repoWeb(e.Repo) + "/commit/" + c.SHA, "author": who, "committer": who, "added": notNil(c.Added), "removed": notNil(c.Removed), "modified": notNil(c.Modified),
		})
	}
	var head any
	if len(commits) > 0 && !deleted {
		head = commits[len(commits)-1]
	}
	o["ref"], o["before"], o["after"] = p.Ref, p.Before, p.After
	o["created"], o["deleted"], o["forced"], o["base_ref"], o["compare"] = created, deleted, p.Forced, nil, compare
	o["commits"], o["head_commit"] = commits, head
	o["pusher"] = Object{"name": e.Sender.Login, "email": e.Sender.Email()}
}
