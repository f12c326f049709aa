// Package shape gives the hub's records the JSON form that GitHub documents:
// the REST answers and, made of the same parts, the webhook payloads.
package shape

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"time"

	"weir/integration/sandbox/record"
)

// Object is a JSON object.
type Object = map[string]any

// Shaper knows the addresses that stand in every answer.
type Shaper struct {
	API string // such as http://127.0.0.1:8080/api/v3, without a slash at the end
	Web string // such as http://127.0.0.1:8080
}

// Time is a time as GitHub writes it, or null.
func Time(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func node(kind string, id int64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s%d", kind, id))
}

// User is a simple user.
func (s Shaper) User(u record.User) Object {
	api := s.API + "/users/" + url.PathEscape(u.Login)
	return Object{
		"login": u.Login, "id": u.ID, "node_id": node("U_", u.ID), "avatar_url": s.Web + "/avatars/" + url.PathEscape(u.Login), "gravatar_id": "",
		"url": api, "html_url": s.Web + "/" + url.PathEscape(u.Login), "followers_url": api + "/followers", "following_url": api + "/following{/other_user}",
		"gists_url": api + "/gists{/gist_id}", "starred_url": api + "/starred{/owner}{/repo}", "subscriptions_url": api + "/subscriptions",
		"organizations_url": api + "/orgs", "repos_url": api + "/repos", "events_url": api + "/events{/privacy}", "received_events_url": api + "/received_events",
		"type": u.Kind, "user_view_type": "public", "site_admin": false,
	}
}

// PublicUser is the answer to who one is.
func (s Shaper) PublicUser(u record.User) Object {
	o := s.User(u)
	for _, key := range []string{"bio", "blog", "company", "email", "hireable", "location", "name"} {
		o[key] = nil
	}
	o["public_gists"], o["public_repos"], o["followers"], o["following"] = 0, 0, 0, 0
	o["created_at"], o["updated_at"] = Time(u.Created), Time(u.Created)
	return o
}

// repoURLs holds the addresses of a repository: key to what follows its own.
var repoURLs = map[string]string{
	"forks_url": "/forks", "keys_url": "/keys{/key_id}", "collaborators_url": "/collaborators{/collaborator}", "teams_url": "/teams", "hooks_url": "/hooks",
	"issue_events_url": "/issues/events{/number}", "events_url": "/events", "assignees_url": "/assignees{/user}", "branches_url": "/branches{/branch}",
	"tags_url": "/tags", "blobs_url": "/git/blobs{/sha}", "git_tags_url": "/git/tags{/sha}", "git_refs_url": "/git/refs{/sha}", "trees_url": "/git/trees{/sha}",
	"statuses_url": "/statuses/{sha}", "languages_url": "/languages", "stargazers_url": "/stargazers", "contributors_url": "/contributors",
	"subscribers_url": "/subscribers", "subscription_url": "/subscription", "commits_url": "/commits{/sha}", "git_commits_url": "/git/commits{/sha}",
	"comments_url": "/comments{/number}", "issue_comment_url": "/issues/comments{/number}", "contents_url": "/contents/{+path}",
	"compare_url": "/compare/{base}...{head}", "merges_url": "/merges", "archive_url": "/{archive_format}{/ref}", "downloads_url": "/downloads",
	"issues_url": "/issues{/number}", "pulls_url": "/pulls{/number}", "milestones_url": "/milestones{/number}",
	"notifications_url": "/notifications{?since,all,participating}", "labels_url": "/labels{/name}", "releases_url": "/releases{/id}", "deployments_url": "/deployments",
}

// Repo is a repository with everything that lists of them, pull requests and
// webhooks show.
func (s Shaper) Repo(r record.Repo) Object {
	api, web := s.repoAPI(r), s.repoWeb(r)
	visibility := "public"
	if r.Private {
		visibility = "private"
	}
	host := strings.TrimPrefix(strings.TrimPrefix(s.Web, "http://"), "https://")
	o := Object{
		"id": r.ID, "node_id": node("R_", r.ID), "name": r.Name, "full_name": r.FullName(), "private": r.Private, "owner": s.User(r.Owner),
		"html_url": web, "description": nil, "fork": r.Parent != "", "url": api,
		"created_at": Time(r.Created), "updated_at": Time(r.Pushed), "pushed_at": Time(r.Pushed),
		"git_url": "git://" + host + "/" + r.FullName() + ".git", "ssh_url": "git@" + host + ":" + r.FullName() + ".git", "clone_url": web + ".git", "svn_url": web,
		"homepage": nil, "size": 0, "stargazers_count": 0, "watchers_count": 0, "language": "HCL", "has_issues": true, "has_projects": true, "has_downloads": true,
		"has_wiki": false, "has_pages": false, "has_discussions": false, "forks_count": 0, "mirror_url": nil, "archived": false, "disabled": false,
		"open_issues_count": r.OpenIssues, "license": nil, "allow_forking": true, "is_template": false, "web_commit_signoff_required": false,
		"topics": []string{}, "visibility": visibility, "forks": 0, "open_issues": r.OpenIssues, "watchers": 0, "default_branch": r.DefaultBranch,
	}
	for key, path := range repoURLs {
		o[key] = api + path
	}
	return o
}

// FullRepo is the answer to one repository asked for by name.
func (s Shaper) FullRepo(r record.Repo) Object {
	o := s.Repo(r)
	o["network_count"], o["subscribers_count"] = 0, 0
	o["allow_merge_commit"], o["allow_squash_merge"], o["allow_rebase_merge"] = true, true, true
	o["custom_properties"] = Object{}
	return o
}

func (s Shaper) repoAPI(r record.Repo) string { return s.API + "/repos/" + r.FullName() }
func (s Shaper) repoWeb(r record.Repo) string { return s.Web + "/" + r.FullName() }

// Label is a label.
func (s Shaper) Label(r record.Repo, l record.Label) Object {
	return Object{
		"id": l.ID, "node_id": node("LA_", l.ID), "url": s.repoAPI(r) + "/labels/" + url.PathEscape(l.Name), "name": l.Name,
		"color": l.Color, "default": false, "description": orNull(l.Description),
	}
}

// Labels is a list of labels, [] for none.
func (s Shaper) Labels(r record.Repo, labels []record.Label) []Object {
	list := []Object{}
	for _, l := range labels {
		list = append(list, s.Label(r, l))
	}
	return list
}

// SimplePull is a pull request in a list.
func (s Shaper) SimplePull(p record.Pull) Object {
	api := fmt.Sprintf("%s/pulls/%d", s.repoAPI(p.Repo), p.Number)
	issue := fmt.Sprintf("%s/issues/%d", s.repoAPI(p.Repo), p.Number)
	web := s.PullPage(p.Repo, p.Number)
	statuses := s.repoAPI(p.HeadRepo) + "/statuses/" + p.HeadSHA
	link := func(href string) Object { return Object{"href": href} }
	assignee, assignees := s.assignees(p.Assignees)
	return Object{
		"url": api, "id": p.PullID, "node_id": node("PR_", p.PullID), "html_url": web, "diff_url": web + ".diff", "patch_url": web + ".patch", "issue_url": issue,
		"number": p.Number, "state": p.State, "locked": false, "title": p.Title, "user": s.User(p.Author), "body": orNull(p.Body),
		"created_at": Time(p.Created), "updated_at": Time(p.Updated), "closed_at": Time(p.Closed), "merged_at": Time(p.MergedAt), "merge_commit_sha": orNull(p.MergeSHA),
		"assignee": assignee, "assignees": assignees, "requested_reviewers": s.users(p.ReviewRequests), "requested_teams": []any{}, "labels": s.Labels(p.Repo, p.Labels), "milestone": nil,
		"draft": p.Draft, "commits_url": api + "/commits", "review_comments_url": api + "/comments", "review_comment_url": s.repoAPI(p.Repo) + "/pulls/comments{/number}",
		"comments_url": issue + "/comments", "statuses_url": statuses,
		"head": s.side(p.HeadRepo, p.HeadRef, p.HeadSHA), "base": s.side(p.Repo, p.BaseRef, p.BaseSHA),
		"_links": Object{
			"self": link(api), "html": link(web), "issue": link(issue), "comments": link(issue + "/comments"), "review_comments": link(api + "/comments"),
			"review_comment": link(s.repoAPI(p.Repo) + "/pulls/comments{/number}"), "commits": link(api + "/commits"), "statuses": link(statuses),
		},
		"author_association": p.Association, "auto_merge": nil, "active_lock_reason": nil,
	}
}

func (s Shaper) users(users []record.User) []Object {
	list := []Object{}
	for _, u := range users {
		list = append(list, s.User(u))
	}
	return list
}

// assignees are the first of them, or null, and all.
func (s Shaper) assignees(users []record.User) (any, []Object) {
	if len(users) == 0 {
		return nil, []Object{}
	}
	return s.User(users[0]), s.users(users)
}

func (s Shaper) side(r record.Repo, ref, sha string) Object {
	return Object{"label": r.Owner.Login + ":" + ref, "ref": ref, "sha": sha, "user": s.User(r.Owner), "repo": s.Repo(r)}
}

// Pull is a pull request in full.
func (s Shaper) Pull(p record.Pull) Object {
	o := s.SimplePull(p)
	var mergeable, mergedBy any
	if p.Mergeable != nil {
		mergeable = *p.Mergeable
	}
	if p.Merged {
		mergedBy = s.User(p.MergedBy)
	}
	o["merged"], o["mergeable"], o["rebaseable"], o["mergeable_state"], o["merged_by"] = p.Merged, mergeable, mergeable, p.MergeState, mergedBy
	o["comments"], o["review_comments"], o["maintainer_can_modify"] = p.Comments, 0, false
	o["commits"], o["additions"], o["deletions"], o["changed_files"] = p.Commits, p.Additions, p.Deletions, p.ChangedFiles
	return o
}

// PullPage is the address of a pull request for people.
func (s Shaper) PullPage(r record.Repo, number int) string {
	return fmt.Sprintf("%s/pull/%d", s.repoWeb(r), number)
}

// Issue is an issue, or a pull request as one.
func (s Shaper) Issue(i record.Issue) Object {
	api := fmt.Sprintf("%s/issues/%d", s.repoAPI(i.Repo), i.Number)
	web := fmt.Sprintf("%s/issues/%d", s.repoWeb(i.Repo), i.Number)
	assignee, assignees := s.assignees(i.Assignees)
	o := Object{
		"url": api, "repository_url": s.repoAPI(i.Repo), "labels_url": api + "/labels{/name}", "comments_url": api + "/comments", "events_url": api + "/events",
		"html_url": web, "id": i.ID, "node_id": node("I_", i.ID), "number": i.Number, "title": i.Title, "user": s.User(i.Author), "labels": s.Labels(i.Repo, i.Labels),
		"state": i.State, "locked": false, "assignee": assignee, "assignees": assignees, "milestone": nil, "comments": i.Comments,
		"created_at": Time(i.Created), "updated_at": Time(i.Updated), "closed_at": Time(i.Closed), "author_association": cmp.Or(i.Association, "NONE"), "active_lock_reason": nil,
		"body": orNull(i.Body), "reactions": s.reactions(api, nil), "timeline_url": api + "/timeline", "performed_via_github_app": nil, "state_reason": orNull(i.StateReason),
	}
	if i.IsPull {
		pull := s.PullPage(i.Repo, i.Number)
		o["html_url"], o["draft"] = pull, i.Draft
		o["pull_request"] = Object{"url": fmt.Sprintf("%s/pulls/%d", s.repoAPI(i.Repo), i.Number), "html_url": pull, "diff_url": pull + ".diff", "patch_url": pull + ".patch", "merged_at": nil}
	}
	return o
}

func (s Shaper) reactions(api string, all []record.Reaction) Object {
	o := Object{"url": api + "/reactions", "total_count": len(all)}
	for _, content := range []string{"+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes"} {
		n := 0
		for _, r := range all {
			if r.Content == content {
				n++
			}
		}
		o[content] = n
	}
	return o
}

// Comment is a comment on an issue or a pull request.
func (s Shaper) Comment(c record.Comment) Object {
	api := fmt.Sprintf("%s/issues/comments/%d", s.repoAPI(c.Repo), c.ID)
	web := fmt.Sprintf("%s/issues/%d", s.repoWeb(c.Repo), c.Number)
	if c.OnPull {
		web = s.PullPage(c.Repo, c.Number)
	}
	return Object{
		"url": api, "html_url": fmt.Sprintf("%s#issuecomment-%d", web, c.ID),
		"issue_url": fmt.Sprintf("%s/issues/%d", s.repoAPI(c.Repo), c.Number), "id": c.ID, "node_id": c.NodeID(), "user": s.User(c.Author),
		"created_at": Time(c.Created), "updated_at": Time(c.Updated), "author_association": cmp.Or(c.Association, "NONE"), "body": c.Body,
		"reactions": s.reactions(api, c.Reactions), "performed_via_github_app": nil,
	}
}

// Reaction is a reaction.
func (s Shaper) Reaction(r record.Reaction) Object {
	return Object{"id": r.ID, "node_id": node("REA_", r.ID), "user": s.User(r.User), "content": r.Content, "created_at": Time(r.Created)}
}

// Review is a review. In webhooks its state is in lower case.
func (s Shaper) Review(p record.Pull, r record.Review, webhook bool) Object {
	web := fmt.Sprintf("%s#pullrequestreview-%d", s.PullPage(p.Repo, p.Number), r.ID)
	api := fmt.Sprintf("%s/pulls/%d", s.repoAPI(p.Repo), p.Number)
	var body any = r.Body
	state := r.State
	if webhook {
		body, state = orNull(r.Body), strings.ToLower(r.State)
	}
	o := Object{
		"id": r.ID, "node_id": node("PRR_", r.ID), "user": s.User(r.Author), "body": body, "state": state, "html_url": web, "pull_request_url": api,
		"author_association": cmp.Or(r.Association, "NONE"), "_links": Object{"html": Object{"href": web}, "pull_request": Object{"href": api}},
		"submitted_at": Time(r.Submitted), "commit_id": r.Commit,
	}
	if webhook {
		o["updated_at"] = Time(r.Submitted)
	}
	return o
}
