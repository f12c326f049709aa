package shape

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"weir/integration/sandbox/gitrepo"
	"weir/integration/sandbox/record"
)

// App is the GitHub App.
func (s Shaper) App(a record.App) Object {
	return Object{
		"id": a.ID, "client_id": fmt.Sprintf("Iv1.%016x", a.ID), "slug": a.Slug, "node_id": node("A_", a.ID), "owner": s.User(a.Owner), "name": a.Slug,
		"description": "", "external_url": s.Web, "html_url": s.Web + "/apps/" + a.Slug, "created_at": Time(a.Created), "updated_at": Time(a.Created),
		"permissions": maps.Clone(a.Permissions), "events": slices.Clone(a.Events),
	}
}

// Installation is an installation of the App.
func (s Shaper) Installation(i record.Installation) Object {
	selection := "all"
	if i.Repos != nil {
		selection = "selected"
	}
	o := Object{
		"id": i.ID, "client_id": fmt.Sprintf("Iv1.%016x", i.App.ID), "account": s.User(i.Account), "repository_selection": selection,
		"access_tokens_url": fmt.Sprintf("%s/app/installations/%d/access_tokens", s.API, i.ID), "repositories_url": s.API + "/installation/repositories",
		"html_url": fmt.Sprintf("%s/settings/installations/%d", s.Web, i.ID), "app_id": i.App.ID, "app_slug": i.App.Slug, "target_id": i.Account.ID,
		"target_type": i.Account.Kind, "permissions": maps.Clone(i.App.Permissions), "events": slices.Clone(i.App.Events),
		"created_at": Time(i.Created), "updated_at": Time(i.Updated), "single_file_name": nil, "has_multiple_single_files": false, "single_file_paths": []any{},
		"suspended_by": nil, "suspended_at": nil,
	}
	if i.Suspended {
		o["suspended_by"], o["suspended_at"] = s.User(i.Account), Time(i.Updated)
	}
	return o
}

// Check is a check run. Its pull requests come from the commit.
func (s Shaper) Check(c record.CheckRun) Object {
	api := fmt.Sprintf("%s/check-runs/%d", s.repoAPI(c.Repo), c.ID)
	web := fmt.Sprintf("%s/runs/%d", s.repoWeb(c.Repo), c.ID)
	details := web
	if c.DetailsURL != "" {
		details = c.DetailsURL
	}
	return Object{
		"id": c.ID, "name": c.Name, "node_id": node("CR_", c.ID), "head_sha": c.HeadSHA, "external_id": c.ExternalID, "url": api, "html_url": web, "details_url": details,
		"status": c.Status, "conclusion": orNull(c.Conclusion), "started_at": Time(c.Started), "completed_at": Time(c.Completed),
		"output":      Object{"title": orNull(c.Title), "summary": orNull(c.Summary), "text": orNull(c.Text), "annotations_count": 0, "annotations_url": api + "/annotations"},
		"check_suite": Object{"id": c.Suite.ID}, "app": s.App(c.App), "pull_requests": s.minimalPulls(c.Pulls),
	}
}

func (s Shaper) minimalPulls(pulls []record.Pull) []Object {
	list := []Object{}
	side := func(r record.Repo, ref, sha string) Object {
		return Object{"ref": ref, "sha": sha, "repo": Object{"id": r.ID, "url": s.repoAPI(r), "name": r.Name}}
	}
	for _, p := range pulls {
		list = append(list, Object{
			"url": fmt.Sprintf("%s/pulls/%d", s.repoAPI(p.Repo), p.Number), "id": p.PullID, "number": p.Number,
			"head": side(p.HeadRepo, p.HeadRef, p.HeadSHA), "base": side(p.Repo, p.BaseRef, p.BaseSHA),
		})
	}
	return list
}

// Suite is a check suite.
func (s Shaper) Suite(c record.Suite) Object {
	api := fmt.Sprintf("%s/check-suites/%d", s.repoAPI(c.Repo), c.ID)
	return Object{
		"id": c.ID, "node_id": node("CS_", c.ID), "head_branch": orNull(c.HeadBranch), "head_sha": c.HeadSHA, "status": c.Status, "conclusion": orNull(c.Conclusion), "url": api,
		"before": orNull(c.Before), "after": c.HeadSHA, "pull_requests": s.minimalPulls(c.Pulls), "app": s.App(c.App), "created_at": Time(c.Created), "updated_at": Time(c.Updated),
		"rerequestable": true, "runs_rerequestable": true, "latest_check_runs_count": c.Runs, "check_runs_url": api + "/check-runs",
		"head_commit": simpleCommit(c.HeadSHA, c.Tree, c.Message, c.Author, c.Created),
	}
}

func simpleCommit(sha, tree, message string, author record.User, at time.Time) Object {
	who := Object{"name": author.Login, "email": author.Email()}
	return Object{"id": sha, "tree_id": tree, "message": message, "timestamp": at.Format(time.RFC3339), "author": who, "committer": who}
}

// Status is a commit status.
func (s Shaper) Status(v record.Status) Object {
	o := s.simpleStatus(v)
	o["creator"] = s.User(v.Creator)
	return o
}

func (s Shaper) simpleStatus(v record.Status) Object {
	return Object{
		"url": s.repoAPI(v.Repo) + "/statuses/" + v.SHA, "avatar_url": s.Web + "/avatars/" + url.PathEscape(v.Creator.Login), "id": v.ID, "node_id": node("SC_", v.ID),
		"state": v.State, "description": orNull(v.Description), "target_url": orNull(v.TargetURL), "context": v.Context, "created_at": Time(v.Created), "updated_at": Time(v.Updated),
	}
}

// CombinedStatus is the state of a commit's statuses together.
func (s Shaper) CombinedStatus(r record.Repo, sha string, page []record.Status, all []record.Status) Object {
	state := "success"
	if len(all) == 0 {
		state = "pending"
	}
	for _, v := range all {
		switch {
		case v.State == "error" || v.State == "failure":
			state = "failure"
		case v.State == "pending" && state == "success":
			state = "pending"
		}
	}
	list := []Object{}
	for _, v := range page {
		list = append(list, s.simpleStatus(v))
	}
	api := s.repoAPI(r) + "/commits/" + sha
	return Object{"state": state, "statuses": list, "sha": sha, "total_count": len(all), "repository": s.Repo(r), "commit_url": api, "url": api + "/status"}
}

// Commit is a commit in full.
func (s Shaper) Commit(r record.Repo, c gitrepo.Info) Object {
	api, web := s.repoAPI(r)+"/commits/"+c.SHA, s.repoWeb(r)+"/commit/"+c.SHA
	parents := []Object{}
	for _, p := range c.Parents {
		parents = append(parents, Object{"sha": p, "url": s.repoAPI(r) + "/commits/" + p, "html_url": s.repoWeb(r) + "/commit/" + p})
	}
	who := Object{"name": c.Author.Name, "email": c.Author.Email, "date": Time(c.When)}
	return Object{
		"sha": c.SHA, "node_id": "C_" + c.SHA, "url": api, "html_url": web, "comments_url": api + "/comments", "author": nil, "committer": nil, "parents": parents,
		"commit": Object{
			"url": s.repoAPI(r) + "/git/commits/" + c.SHA, "author": who, "committer": who, "message": c.Message, "comment_count": 0,
			"tree":         Object{"sha": c.Tree, "url": s.repoAPI(r) + "/git/trees/" + c.Tree},
			"verification": Object{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil},
		},
	}
}

// File is one changed file of a pull request.
func (s Shaper) File(r record.Repo, head string, c gitrepo.Change) Object {
	path := (&url.URL{Path: c.Path}).EscapedPath()
	o := Object{
		"sha": c.Blob, "filename": c.Path, "status": c.Status, "additions": c.Additions, "deletions": c.Deletions, "changes": c.Additions + c.Deletions,
		"blob_url": s.repoWeb(r) + "/blob/" + head + "/" + path, "raw_url": s.repoWeb(r) + "/raw/" + head + "/" + path,
		"contents_url": s.repoAPI(r) + "/contents/" + path + "?ref=" + head,
	}
	if c.OldPath != "" {
		o["previous_filename"] = c.OldPath
	}
	return o
}

// Branch is a branch; its protection shows the required checks to everybody
// who may read the repository.
func (s Shaper) Branch(r record.Repo, name string, c gitrepo.Info, p record.Protection, protected bool) Object {
	api := s.repoAPI(r) + "/branches/" + url.PathEscape(name)
	level := "off"
	if len(p.Checks) > 0 {
		level = "everyone"
	}
	return Object{
		"name": name, "commit": s.Commit(r, c), "_links": Object{"self": api, "html": s.repoWeb(r) + "/tree/" + name}, "protected": protected,
		"protection":     Object{"enabled": protected, "required_status_checks": Object{"enforcement_level": level, "contexts": notNil(p.Checks), "checks": contexts(p.Checks, "context", nil)}},
		"protection_url": api + "/protection",
	}
}

func notNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func contexts(names []string, key string, extra Object) []Object {
	list := []Object{}
	for _, n := range names {
		o := Object{key: n}
		if key == "context" {
			o["app_id"] = nil
		}
		maps.Copy(o, extra)
		list = append(list, o)
	}
	return list
}

// Protection is classic branch protection.
func (s Shaper) Protection(r record.Repo, branch string, p record.Protection) Object {
	api := s.repoAPI(r) + "/branches/" + url.PathEscape(branch) + "/protection"
	o := Object{"url": api, "enforce_admins": Object{"url": api + "/enforce_admins", "enabled": true}}
	if len(p.Checks) > 0 || p.Strict {
		o["required_status_checks"] = Object{
			"url": api + "/required_status_checks", "strict": p.Strict, "contexts": notNil(p.Checks),
			"contexts_url": api + "/required_status_checks/contexts", "checks": contexts(p.Checks, "context", nil),
		}
	}
	if p.Reviews > 0 {
		o["required_pull_request_reviews"] = Object{
			"url": api + "/required_pull_request_reviews", "dismiss_stale_reviews": p.DismissOld,
			"require_code_owner_reviews": false, "required_approving_review_count": p.Reviews, "require_last_push_approval": false,
		}
	}
	return o
}

// Rules is what rulesets ask of a branch.
func (s Shaper) Rules(r record.Repo, p record.Protection) []Object {
	rule := func(kind string, parameters Object) Object {
		return Object{"type": kind, "ruleset_source_type": "Repository", "ruleset_source": r.FullName(), "ruleset_id": 42, "parameters": parameters}
	}
	list := []Object{}
	if len(p.Checks) > 0 || p.Strict {
		checks := []Object{}
		for _, name := range p.Checks {
			checks = append(checks, Object{"context": name})
		}
		list = append(list, rule("required_status_checks", Object{"strict_required_status_checks_policy": p.Strict, "do_not_enforce_on_create": false, "required_status_checks": checks}))
	}
	if p.Reviews > 0 {
		list = append(list, rule("pull_request", Object{
			"required_approving_review_count": p.Reviews, "dismiss_stale_reviews_on_push": p.DismissOld,
			"require_code_owner_review": false, "require_last_push_approval": false, "required_review_thread_resolution": false,
		}))
	}
	return list
}
