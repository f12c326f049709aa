package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestAnswersAreGitHubs walks through all routes and all events, and holds
// each answer and each delivery against GitHub's own description.
func TestAnswersAreGitHubs(t *testing.T) {
	need(t, restDescription)
	hooks := newHookWitness(t)
	var v *witness
	late := func(next http.Handler) http.Handler {
		var wrapped http.Handler
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if wrapped == nil {
				wrapped = v.wrap(next)
			}
			wrapped.ServeHTTP(w, r)
		})
	}
	s := start(t, Config{Middleware: late})
	v = newWitness(t, s.api.Routes())
	v.route = s.api.Route
	sink := httptest.NewServer(&received{})
	defer sink.Close()
	s.SetHook(Hook{URL: sink.URL, Secret: "x"})

	walk(t, s)

	for _, r := range s.api.Routes() {
		if v.seen[r] == 0 {
			t.Errorf("%s was never answered", r)
		}
	}
	if err := s.WaitDelivered(patience(t)); err != nil {
		t.Fatal(err)
	}
	events := map[string]bool{}
	for _, d := range s.Deliveries() {
		key := strings.TrimSuffix(d.Event+" "+d.Action, " ")
		events[key] = true
		if err := hooks.check(d); err != nil {
			t.Errorf("%s: %s", key, shorten(err.Error(), 3000))
		}
	}
	for _, e := range []string{
		"ping", "push", "pull_request opened", "pull_request synchronize", "pull_request edited", "pull_request closed", "pull_request reopened",
		"pull_request converted_to_draft", "pull_request ready_for_review", "pull_request labeled", "pull_request unlabeled",
		"issues opened", "issues edited", "issues closed", "issues reopened", "issues labeled", "issues unlabeled", "issues assigned", "issues unassigned",
		"pull_request assigned", "pull_request unassigned",
		"issue_comment created", "issue_comment edited", "issue_comment deleted", "pull_request_review submitted", "pull_request_review dismissed", "pull_request_review edited",
		"check_run created", "check_run completed", "check_run requested_action", "check_run rerequested", "check_suite requested", "check_suite completed",
		"merge_group checks_requested", "installation created", "installation deleted",
	} {
		if !events[e] {
			t.Errorf("%s was never delivered", e)
		}
	}
}

// walk asks for everything once.
func walk(t *testing.T, s *Sandbox) {
	must(t, func() error {
		return s.Protect("acme/infra", "release", Protection{Checks: []string{"weir/apply"}, Strict: true, Reviews: 1, Classic: true})
	})
	must(t, func() error {
		_, err := s.Push(Change{Repo: "acme/infra", Branch: "release", Message: "Release"})
		return err
	})
	s.AddToTeam("acme", "platform", "bob")
	app := client{t, s, sign(t, s, goodClaims())}
	bot, alice, bob, root := installation(t, s), client{t, s, s.Token("alice")}, client{t, s, s.Token("bob")}, client{t, s, s.Token("root")}
	app.want(200, "GET", "/app", nil)
	app.want(200, "GET", "/app/installations", nil)
	bot.want(200, "GET", "/rate_limit", nil)
	alice.want(200, "GET", "/user", nil)
	bot.want(200, "GET", "/installation/repositories", nil)
	bot.want(200, "GET", "/orgs/acme/teams/platform/memberships/bob", nil)
	bot.want(404, "GET", "/orgs/acme/teams/platform/memberships/alice", nil)

	repo := "/repos/acme/infra"
	bot.want(200, "GET", repo, nil)
	bot.want(200, "GET", repo+"/collaborators/bob/permission", nil)
	bot.want(200, "GET", repo+"/branches/release", nil)
	bot.want(403, "GET", repo+"/branches/release/protection", nil)
	root.want(200, "GET", repo+"/branches/release/protection", nil)
	must(t, func() error {
		return s.Protect("acme/infra", "main", Protection{Checks: []string{"weir/apply"}, Strict: true, Reviews: 1, DismissOld: true})
	})
	bot.want(200, "GET", repo+"/rules/branches/main", nil)

	p := pullStory(t, s, bot, alice, bob, repo)
	issueStory(t, s, bot, bob, repo)
	gitStory(t, s, bot, repo)
	checkStory(t, s, bot, repo, p)
	bob.want(200, "POST", repo+"/pulls/1/reviews", object{"event": "APPROVE"})
	bot.want(200, "GET", repo+"/pulls/1/reviews", nil)
	must(t, func() error { _, err := s.Enqueue(s.As("bob"), "acme/infra", 1); return err })
	bot.want(409, "PUT", repo+"/pulls/1/merge", object{"sha": strings.Repeat("0", 40)})
	bot.want(200, "PUT", repo+"/pulls/1/merge", object{"sha": p, "merge_method": "squash"})
	bot.want(200, "GET", repo+"/pulls/1", nil)
	bot.want(405, "PUT", repo+"/pulls/1/merge", object{})
	must(t, func() error { return s.WaitDelivered(patience(t)) })
	_, got, _ := app.do("GET", "/app/hook/deliveries?per_page=3", nil)
	app.want(202, "POST", "/app/hook/deliveries/"+id(got.(list)[0].(object))+"/attempts", nil)
	app.want(404, "POST", "/app/hook/deliveries/1/attempts", nil)
	bot.want(401, "GET", "/app/hook/deliveries", nil)
	must(t, func() error { return s.DeleteBranch("acme/infra", "b", "alice") })
	s.Uninstall("acme")
	must(t, func() error { _, err := s.Install("acme", "acme/infra"); return err })
}

// pullStory opens a pull request and talks about it; it returns its head.
func pullStory(t *testing.T, s *Sandbox, bot, alice, bob client, repo string) string {
	must(t, func() error {
		_, err := s.Push(Change{Repo: "acme/infra", Branch: "b", As: "alice", Message: "Add b", Files: map[string]string{"prod/b.tf": "# b\n"}, Delete: []string{"README.md"}})
		return err
	})
	alice.want(201, "POST", repo+"/pulls", object{"title": "Add b", "head": "b", "base": "main", "body": "It adds b."})
	alice.want(422, "POST", repo+"/pulls", object{"title": "Add b", "head": "b", "base": "main"})
	bot.want(200, "GET", repo+"/pulls?state=all&head=acme:b&base=main", nil)
	bot.want(200, "GET", repo+"/pulls/1", nil)
	alice.want(200, "PATCH", repo+"/pulls/1", object{"title": "Add b again", "base": "release"})
	alice.want(200, "PATCH", repo+"/pulls/1", object{"body": "Changed.", "base": "main"})
	alice.want(200, "PATCH", repo+"/pulls/1", object{"state": "closed"})
	alice.want(200, "PATCH", repo+"/pulls/1", object{"state": "open"})
	must(t, func() error { return s.Draft("alice", "acme/infra", 1) })
	must(t, func() error { return s.Ready("alice", "acme/infra", 1) })
	bot.want(200, "POST", repo+"/issues/1/labels", object{"labels": []string{"infra", "later"}})
	bot.want(200, "DELETE", repo+"/issues/1/labels/later", nil)
	bot.want(200, "GET", repo+"/issues/1/labels", nil)
	bot.want(200, "GET", repo+"/pulls/1/commits", nil)
	bot.want(200, "GET", repo+"/pulls/1/files", nil)

	c := bot.want(201, "POST", repo+"/issues/1/comments", object{"body": "<!-- weir -->\nhello"})
	comment := repo + "/issues/comments/" + id(c)
	bot.want(200, "GET", comment, nil)
	bot.want(200, "PATCH", comment, object{"body": "changed"})
	bot.want(201, "POST", comment+"/reactions", object{"content": "rocket"})
	bot.want(200, "POST", comment+"/reactions", object{"content": "rocket"})
	bot.want(200, "GET", comment+"/reactions", nil)
	bot.want(200, "GET", repo+"/issues/1/comments", nil)
	bot.want(422, "POST", repo+"/issues/1/comments", object{"body": strings.Repeat("x", 65537)})
	bot.want(204, "DELETE", comment, nil)
	bot.want(404, "GET", comment, nil)
	bot.want(200, "GET", repo+"/issues/1", nil)
	bob.want(200, "POST", repo+"/pulls/1/reviews", object{"event": "APPROVE", "body": "Good."})
	sha, err := s.Push(Change{Repo: "acme/infra", Branch: "b", As: "alice", Message: "Again", Files: map[string]string{"prod/b.tf": "# b again\n"}})
	if err != nil {
		t.Fatal(err)
	}
	r := bob.want(200, "POST", repo+"/pulls/1/reviews", object{"event": "REQUEST_CHANGES", "body": "No."})
	reviews, err := s.Reviews("acme/infra", 1)
	if err != nil || reviews[0].State != "DISMISSED" {
		t.Errorf("a push left %+v, want the approval dismissed (%v)", reviews, err)
	}
	must(t, func() error {
		_, err := s.EditReview(s.As("bob"), "acme/infra", 1, reviews[1].ID, "No, sorry.")
		return err
	})
	bob.want(200, "PUT", repo+"/pulls/1/reviews/"+id(r)+"/dismissals", object{"message": "Changed my mind."})
	return sha
}

// issueStory opens an issue, talks about it and closes it.
func issueStory(t *testing.T, s *Sandbox, bot, bob client, repo string) {
	bot.want(201, "POST", repo+"/labels", object{"name": "drift", "color": "d4a72c", "description": "What is deployed differs"})
	bot.want(422, "POST", repo+"/labels", object{"name": "Drift"})
	bot.want(200, "GET", repo+"/labels", nil)
	bot.want(422, "POST", repo+"/issues", object{"title": "Drift in prod", "assignees": []string{"mallory"}})
	i := bot.want(201, "POST", repo+"/issues", object{"title": "Drift in prod", "body": "It drifted.", "labels": []string{"drift", "new"}, "assignees": []string{"bob"}})
	issue := repo + "/issues/" + fmt.Sprint(i["number"])
	if i["pull_request"] != nil || i["assignee"].(object)["login"] != "bob" {
		t.Errorf("opened %v", i)
	}
	bot.want(200, "GET", issue, nil)
	bot.want(200, "PATCH", issue, object{"title": "Drift in envs/prod", "body": "More of it.", "labels": []string{"drift"}})
	bot.want(201, "POST", issue+"/assignees", object{"assignees": []string{"alice", "mallory"}})
	bot.want(200, "DELETE", issue+"/assignees", object{"assignees": []string{"bob"}})
	bot.want(201, "POST", repo+"/issues/1/assignees", object{"assignees": []string{"alice"}})
	bot.want(200, "PATCH", repo+"/issues/1", object{"assignees": []string{}})
	c := bob.want(201, "POST", issue+"/comments", object{"body": "weir drift check"})
	if !strings.HasSuffix(c["html_url"].(string), "/issues/"+fmt.Sprint(i["number"])+"#issuecomment-"+id(c)) {
		t.Errorf("the comment is at %v", c["html_url"])
	}
	bot.want(200, "GET", issue+"/comments", nil)
	bot.want(200, "PATCH", issue, object{"state": "closed", "state_reason": "not_planned"})
	bot.want(200, "PATCH", issue, object{"state": "open"})
	bot.want(200, "PATCH", issue, object{"state": "closed"})
	bot.want(422, "PATCH", issue, object{"state": "lost"})
	bot.want(200, "GET", repo+"/issues?state=all", nil)
}

// gitStory commits without a checkout.
func gitStory(t *testing.T, s *Sandbox, bot client, repo string) {
	main := s.Branch("acme/infra", "main")
	base := bot.want(200, "GET", repo+"/git/commits/"+main, nil)
	blob := bot.want(201, "POST", repo+"/git/blobs", object{"content": "AP8=", "encoding": "base64"})
	tree := bot.want(201, "POST", repo+"/git/trees", object{"base_tree": base["tree"].(object)["sha"], "tree": list{
		object{"path": "prod/new.tf", "mode": "100644", "type": "blob", "content": "# new\n"},
		object{"path": "bin", "mode": "100755", "type": "blob", "sha": blob["sha"]},
		object{"path": "README.md", "mode": "100644", "type": "blob", "sha": nil},
	}})
	bot.want(422, "POST", repo+"/git/trees", object{"base_tree": tree["sha"], "tree": list{object{"path": "README.md", "mode": "100644", "type": "blob", "sha": nil}}})
	c := bot.want(201, "POST", repo+"/git/commits", object{"message": "Adopt", "tree": tree["sha"], "parents": []string{main}})
	bot.want(404, "GET", repo+"/git/ref/heads/weir/drift/a", nil)
	bot.want(201, "POST", repo+"/git/refs", object{"ref": "refs/heads/weir/drift/a", "sha": c["sha"]})
	bot.want(422, "POST", repo+"/git/refs", object{"ref": "refs/heads/weir/drift/a", "sha": c["sha"]})
	bot.want(200, "GET", repo+"/git/ref/heads/weir/drift/a", nil)
	if full := bot.want(200, "GET", repo+"/commits/"+c["sha"].(string), nil); full["author"].(object)["login"] != "weir[bot]" {
		t.Errorf("the commit is by %v", full["author"])
	}
	files, err := s.Files("acme/infra", "refs/heads/weir/drift/a")
	if got := strings.Join(files, " "); err != nil || got != "bin prod/main.tf prod/new.tf" {
		t.Errorf("the branch holds %s (%v)", got, err)
	}
	empty := bot.want(201, "POST", repo+"/git/commits", object{"message": "Revert", "tree": base["tree"].(object)["sha"], "parents": []string{main}})
	bot.want(422, "PATCH", repo+"/git/refs/heads/weir/drift/a", object{"sha": empty["sha"]})
	bot.want(200, "PATCH", repo+"/git/refs/heads/weir/drift/a", object{"sha": empty["sha"], "force": true})
	bot.want(422, "PATCH", repo+"/git/refs/heads/none", object{"sha": empty["sha"]})
	p := bot.want(201, "POST", repo+"/pulls", object{"title": "Revert", "head": "weir/drift/a", "base": "main"})
	if p["commits"] != 1.0 || p["changed_files"] != 0.0 {
		t.Errorf("an empty commit made a pull request of %v commits and %v files", p["commits"], p["changed_files"])
	}
	bot.want(204, "DELETE", repo+"/git/refs/heads/weir/drift/a", nil)
	bot.want(422, "DELETE", repo+"/git/refs/heads/weir/drift/a", nil)
}

// TestIssuesAreListed holds what GitHub's list can be asked for.
func TestIssuesAreListed(t *testing.T) {
	s := start(t, Config{})
	change(t, s, "b") // 1
	bot := installation(t, s)
	for i, title := range []string{"one", "two", "three"} {
		bot.want(201, "POST", "/repos/acme/infra/issues", object{"title": title, "labels": []string{"drift", title}[:1+i%2]})
	}
	must(t, func() error {
		_, err := s.FileIssue("bob", "acme/infra", NewIssue{Title: "four", Labels: []string{"drift"}, Assignees: []string{"bob"}})
		return err
	})
	must(t, func() error { return s.CloseIssue("alice", "acme/infra", 3) })
	must(t, func() error { _, err := s.Comment("bob", "acme/infra", 2, "hm"); return err })
	for query, want := range map[string]string{
		"":                            "5 4 2 1",
		"direction=asc":               "1 2 4 5",
		"state=all":                   "5 4 3 2 1",
		"state=closed":                "3",
		"labels=drift&state=all":      "5 4 3 2",
		"labels=drift,two&state=all":  "3",
		"labels=none":                 "",
		"creator=weir[bot]&state=all": "4 3 2",
		"creator=Bob":                 "5",
		"assignee=bob":                "5",
		"assignee=none&labels=drift":  "4 2",
		"sort=comments&labels=drift":  "2 5 4",
		"per_page=2&page=2":           "2 1",
		"since=2100-01-01T00:00:00Z":  "",
	} {
		_, body, _ := bot.do("GET", "/repos/acme/infra/issues?"+query, nil)
		var got []string
		for _, i := range body.(list) {
			got = append(got, fmt.Sprint(i.(object)["number"]))
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%q: %s, want %s", query, g, want)
		}
	}
	client{t, s, s.Token("reader")}.want(403, "PATCH", "/repos/acme/infra/issues/2", object{"state": "closed"})
	if err := s.CloseIssue("reader", "acme/infra", 2); err == nil {
		t.Error("somebody who may only read closed another's issue")
	}
	must(t, func() error { return s.ReopenIssue("alice", "acme/infra", 3) })
}

// checkStory checks a commit.
func checkStory(t *testing.T, s *Sandbox, bot client, repo, sha string) {
	c := bot.want(201, "POST", repo+"/check-runs", object{
		"name": "weir/plan", "head_sha": sha, "status": "in_progress", "external_id": "job",
		"details_url": "http://127.0.0.1/runs/1", "output": object{"title": "Planning", "summary": "soon"},
	})
	check := repo + "/check-runs/" + id(c)
	bot.want(422, "PATCH", check, object{"actions": []object{{"label": "A label of far too many letters", "description": "x", "identifier": "x"}}})
	bot.want(200, "PATCH", check, object{"status": "completed", "conclusion": "success", "output": object{"title": "Planned", "summary": "| a | b |"}})
	bot.want(200, "GET", check, nil)
	a := bot.want(201, "POST", repo+"/check-runs", object{
		"name": "weir/apply", "head_sha": sha, "conclusion": "action_required", "output": object{"title": "Waits", "summary": "for bob"},
		"actions": []object{{"label": "Apply", "description": "Apply the plan", "identifier": "apply"}},
	})
	bot.want(405, "PUT", repo+"/pulls/1/merge", object{"sha": sha})
	run := int64(a["id"].(float64))
	must(t, func() error { return s.PressButton("bob", "acme/infra", run, "apply") })
	must(t, func() error { return s.RerequestCheck("bob", "acme/infra", run) })
	bot.want(200, "PATCH", repo+"/check-runs/"+id(a), object{"conclusion": "success"})
	bot.want(200, "GET", repo+"/commits/"+sha, nil)
	bot.want(200, "GET", repo+"/commits/"+sha+"/check-runs?filter=all", nil)
	bot.want(201, "POST", repo+"/statuses/"+sha, object{"state": "success", "context": "ci", "description": "fine", "target_url": "http://127.0.0.1/"})
	bot.want(200, "GET", repo+"/commits/"+sha+"/statuses", nil)
	bot.want(200, "GET", repo+"/commits/b/status", nil)
}

func TestAppTokens(t *testing.T) {
	s := start(t, Config{})
	for _, c := range []struct {
		name  string
		claim func(object)
		want  int
	}{
		{"good", func(object) {}, 200},
		{"issuer as a number", func(o object) { o["iss"] = 4711 }, 200},
		{"another issuer", func(o object) { o["iss"] = "1" }, 401},
		{"expired", func(o object) { o["exp"] = time.Now().Add(-time.Second).Unix() }, 401},
		{"lives for an hour", func(o object) { o["exp"] = time.Now().Add(time.Hour).Unix() }, 401},
		{"issued in the future", func(o object) { o["iat"] = time.Now().Add(time.Minute).Unix() }, 401},
	} {
		claims := goodClaims()
		c.claim(claims)
		if got, body, _ := (client{t, s, sign(t, s, claims)}).do("GET", "/app", nil); got != c.want {
			t.Errorf("%s: %d %v, want %d", c.name, got, body, c.want)
		}
	}
	forged := sign(t, s, goodClaims())
	forged = forged[:len(forged)-4] + "AAAA"
	client{t, s, forged}.want(401, "GET", "/app", nil)

	bot := installation(t, s)
	bot.want(200, "GET", "/repos/acme/infra", nil)
	bot.want(403, "GET", "/user", nil)
	bot.want(401, "GET", "/app", nil)
	s.ExpireTokens()
	bot.want(401, "GET", "/repos/acme/infra", nil)
	bot = installation(t, s)
	s.Uninstall("acme")
	bot.want(401, "GET", "/repos/acme/infra", nil)
	client{t, s, sign(t, s, goodClaims())}.want(404, "GET", "/repos/acme/infra/installation", nil)
}

// TestWhoMaySee tells apart what hides a repository from what forbids.
func TestWhoMaySee(t *testing.T) {
	s := start(t, Config{})
	p := change(t, s, "b")
	comments := fmt.Sprintf("/repos/acme/infra/issues/%d/comments", p.Number)
	client{t, s, ""}.want(404, "GET", "/repos/acme/infra", nil)
	client{t, s, "ghp_wrong"}.want(401, "GET", "/repos/acme/infra", nil)
	client{t, s, s.Token("mallory")}.want(404, "GET", "/repos/acme/infra", nil)
	client{t, s, s.Token("reader")}.want(201, "POST", comments, object{"body": "hi"})
	client{t, s, s.Token("reader")}.want(403, "PUT", "/repos/acme/infra/pulls/1/merge", object{})
	client{t, s, s.Token("alice")}.want(403, "POST", "/repos/acme/infra/check-runs", object{"name": "x", "head_sha": p.HeadSHA})
	none := client{t, s, s.Token("bob")}.want(200, "GET", "/repos/acme/infra/collaborators/mallory/permission", nil)
	if none["permission"] != "none" {
		t.Errorf("mallory has %v, want none", none["permission"])
	}
	must(t, func() error { return s.SetPrivate("acme/infra", false) })
	client{t, s, ""}.want(200, "GET", "/repos/ACME/Infra", nil)
	client{t, s, ""}.want(401, "POST", comments, object{"body": "hi"})
	client{t, s, s.Token("mallory")}.want(201, "POST", comments, object{"body": "hi"})
}

func TestPaging(t *testing.T) {
	s := start(t, Config{})
	change(t, s, "b")
	for i := range 65 {
		if _, err := s.Comment("bob", "acme/infra", 1, fmt.Sprint("comment ", i)); err != nil {
			t.Fatal(err)
		}
	}
	bob := client{t, s, s.Token("bob")}
	seen := 0
	for path := "/repos/acme/infra/issues/1/comments"; path != ""; {
		_, got, header := bob.do("GET", path, nil)
		seen += len(got.(list))
		path = ""
		for link := range strings.SplitSeq(header.Get("Link"), ", ") {
			if target, ok := strings.CutSuffix(link, `>; rel="next"`); ok {
				path = strings.TrimPrefix(target, "<"+strings.TrimSuffix(s.APIURL(), "/"))
			}
		}
	}
	if seen != 65 {
		t.Errorf("paged through %d comments, want 65", seen)
	}
	_, got, _ := bob.do("GET", "/repos/acme/infra/issues/1/comments?per_page=1000", nil)
	if n := len(got.(list)); n != 65 {
		t.Errorf("per_page=1000 gave %d of 65", n)
	}
}

func TestMergeableIsComputedWhenAskedFor(t *testing.T) {
	s := start(t, Config{})
	change(t, s, "b")
	bob := client{t, s, s.Token("bob")}
	state := func() string {
		o := bob.want(200, "GET", "/repos/acme/infra/pulls/1", nil)
		return fmt.Sprint(o["mergeable"], " ", o["mergeable_state"])
	}
	check := func(want ...string) {
		t.Helper()
		for _, w := range want {
			if got := state(); got != w {
				t.Errorf("got %s, want %s", got, w)
			}
		}
	}
	check("<nil> unknown", "true clean", "true clean")
	if _, err := s.Push(Change{Repo: "acme/infra", Branch: "main", Files: map[string]string{"prod/b.tf": "other"}}); err != nil {
		t.Fatal(err)
	}
	check("<nil> unknown", "false dirty")
	if _, err := s.Push(Change{Repo: "acme/infra", Branch: "b", From: "main", As: "alice", Files: map[string]string{"c.tf": ""}}); err != nil {
		t.Fatal(err)
	}
	check("<nil> unknown", "true clean")
	must(t, func() error { return s.Draft("alice", "acme/infra", 1) })
	check("true draft")
	must(t, func() error { return s.Ready("alice", "acme/infra", 1) })
	must(t, func() error { return s.Protect("acme/infra", "main", Protection{Reviews: 1}) })
	check("true blocked")
	must(t, func() error { _, err := s.Review("reader", "acme/infra", 1, "APPROVE", ""); return err })
	check("true blocked")
	must(t, func() error { _, err := s.Review("bob", "acme/infra", 1, "APPROVE", ""); return err })
	check("true clean")
	p, err := s.Pull("acme/infra", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetStatus(s.As("bob"), "acme/infra", p.HeadSHA, Status{State: "pending", Context: "ci"}); err != nil {
		t.Fatal(err)
	}
	check("true unstable")
}

func TestMinimizeSeveralCommentsAtOnce(t *testing.T) {
	s := start(t, Config{})
	change(t, s, "b")
	bot := installation(t, s)
	var nodes []any
	for range 2 {
		nodes = append(nodes, bot.want(201, "POST", "/repos/acme/infra/issues/1/comments", object{"body": "x"})["node_id"])
	}
	query := `mutation($c0: ID!, $c1: ID!) { m0: minimizeComment(input: {subjectId: $c0, classifier: OUTDATED}) { minimizedComment { isMinimized } },
		m1: minimizeComment(input: {subjectId: $c1, classifier: OUTDATED}) { clientMutationId } gone: minimizeComment(input: {subjectId: "IC_1", classifier: OUTDATED}) { clientMutationId } }`
	data, err := json.Marshal(object{"query": query, "variables": object{"c0": nodes[0], "c1": nodes[1]}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.Background(), "POST", s.URL()+"/api/graphql", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "bearer "+bot.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out struct {
		Data   map[string]any
		Errors []struct{ Type, Message string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	if out.Data["gone"] != nil || out.Data["m0"] == nil || len(out.Errors) != 1 || out.Errors[0].Type != "NOT_FOUND" {
		t.Errorf("answered %+v", out)
	}
	comments, err := s.Comments("acme/infra", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range comments {
		if c.Minimized != "outdated" {
			t.Errorf("comment %d is %q, want outdated", c.ID, c.Minimized)
		}
	}
}
