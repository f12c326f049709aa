package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"weir/planner/gate"
	"weir/planner/scope"
	"weir/policy"
)

// The client is what the planner asks for facts.
var (
	_ gate.Facts = (*Client)(nil)
	_ gate.Teams = (*Client)(nil)
)

type m = map[string]any

// apart runs a test with its own clock.
func apart(t *testing.T, f func(t *testing.T, ctx context.Context, h *host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, context.Background(), newHost()) })
}

func pullBody(change m) m {
	b := m{
		"number": 1, "state": "open", "title": "Add a bucket", "html_url": "https://github.example/acme/app/pull/1",
		"user": m{"login": "alice"}, "draft": false, "merged": false, "mergeable": true, "mergeable_state": "clean",
		"merge_commit_sha": "test-merge", "updated_at": "2026-02-03T04:05:06Z",
		"head": m{"ref": "bucket", "sha": "h1", "repo": m{"id": 5}},
		"base": m{"ref": "main", "sha": "b1", "repo": m{"id": 5, "clone_url": "https://github.example/acme/app.git", "default_branch": "main"}},
	}
	for k, v := range change {
		b[k] = v
	}
	return b
}

func TestPullRequest(t *testing.T) {
	yes, no := true, false
	plain := scope.PullRequest{
		Pull:  policy.Pull{Number: 1, Author: "alice", Head: "h1", Base: "main", Default: "main", Open: true, Mergeable: &yes, MergeableState: "clean"},
		Title: "Add a bucket", URL: "https://github.example/acme/app/pull/1", HeadRef: "bucket", BaseSHA: "b1",
		CloneURL: "https://github.example/acme/app.git", UpdatedAt: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC),
	}
	for name, test := range map[string]struct {
		body m
		want func(p *scope.PullRequest)
	}{
		"plain":     {nil, func(*scope.PullRequest) {}},
		"draft":     {m{"draft": true, "mergeable_state": "draft"}, func(p *scope.PullRequest) { p.Draft, p.MergeableState = true, "draft" }},
		"conflict":  {m{"mergeable": false, "mergeable_state": "dirty"}, func(p *scope.PullRequest) { p.Mergeable, p.MergeableState = &no, "dirty" }},
		"not known": {m{"mergeable": nil, "mergeable_state": "unknown"}, func(p *scope.PullRequest) { p.Mergeable, p.MergeableState = nil, "unknown" }},
		"merged":    {m{"state": "closed", "merged": true, "merge_commit_sha": "mc"}, func(p *scope.PullRequest) { p.Open, p.Merged, p.MergedAs = false, true, "mc" }},
		"merged, by its time": {
			m{"state": "closed", "merged": nil, "merged_at": "2026-02-03T04:05:06Z", "merge_commit_sha": "mc"},
			func(p *scope.PullRequest) { p.Open, p.Merged, p.MergedAs = false, true, "mc" },
		},
		"no word of whether it merges": {m{"mergeable": nil, "mergeable_state": nil, "merged": nil, "draft": nil}, func(p *scope.PullRequest) { p.Mergeable, p.MergeableState = nil, "" }},
		"closed":                       {m{"state": "closed"}, func(p *scope.PullRequest) { p.Open = false }},
		"fork":                         {m{"head": m{"ref": "bucket", "sha": "h1", "repo": m{"id": 6}}}, func(p *scope.PullRequest) { p.Fork = true }},
		"fork gone":                    {m{"head": m{"ref": "bucket", "sha": "h1", "repo": nil}}, func(p *scope.PullRequest) { p.Fork = true }},
		"deleted author":               {m{"user": nil}, func(p *scope.PullRequest) { p.Author = "ghost" }},
		"against another branch than the default one": {
			m{"base": m{"ref": "carols", "sha": "b1", "repo": m{"id": 5, "clone_url": "https://github.example/acme/app.git", "default_branch": "trunk"}}},
			func(p *scope.PullRequest) { p.Base, p.Default = "carols", "trunk" },
		},
		"no word of the default branch": {
			m{"base": m{"ref": "main", "sha": "b1", "repo": m{"id": 5, "clone_url": "https://github.example/acme/app.git"}}},
			func(p *scope.PullRequest) { p.Default = "" },
		},
		"credentials in a URL": {
			m{"base": m{"ref": "main", "sha": "b1", "repo": m{"id": 5, "clone_url": "https://x:y@github.example/acme/app.git", "default_branch": "main"}}},
			func(*scope.PullRequest) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			apart(t, func(t *testing.T, ctx context.Context, h *host) {
				h.objects["GET pulls/1"] = fixed(http.StatusOK, pullBody(test.body))
				want := plain
				test.want(&want)
				got, err := withToken(t, h).PullRequest(ctx, "acme/app", 1)
				if err != nil {
					t.Fatal(err)
				}
				if d := gocmp.Diff(want, got); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			})
		})
	}
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		var missing *NotFoundError
		if _, err := withToken(t, h).PullRequest(ctx, "acme/app", 2); !errors.As(err, &missing) {
			t.Errorf("missing: %v", err)
		}
		h.objects["GET pulls/1"] = fixed(http.StatusOK, m{})
		if _, err := withToken(t, h).PullRequest(ctx, "acme/app", 1); err == nil {
			t.Error("an empty answer: no error")
		}
	})
}

func TestReviews(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		at := func(s int) string { return time.Date(2026, 1, 1, 0, 0, s, 0, time.UTC).Format(time.RFC3339) }
		reviews := []any{
			m{"id": 1, "user": m{"login": "bob", "type": "User"}, "state": "APPROVED", "commit_id": "h1", "submitted_at": at(1)},
			m{"id": 4, "user": m{"login": "bob", "type": "User"}, "state": "CHANGES_REQUESTED", "commit_id": "h2", "submitted_at": at(9)},
			m{"id": 2, "user": m{"login": "robot[bot]", "type": "Bot"}, "state": "APPROVED", "commit_id": "h1", "submitted_at": at(2)},
			m{"id": 3, "user": nil, "state": "APPROVED", "commit_id": nil, "submitted_at": at(3)},
			m{"id": 5, "user": m{"login": "carol"}, "state": "PENDING"},
			m{"id": 6, "user": m{"login": "dave"}, "state": "DISMISSED", "commit_id": "h2", "submitted_at": at(10)},
			m{"id": 7, "user": m{"login": "untyped[bot]"}, "state": "APPROVED", "commit_id": "h2", "submitted_at": at(10)},
		}
		for i := range 250 {
			reviews = append(reviews, m{"id": 100 + i, "user": m{"login": "eve"}, "state": "COMMENTED", "commit_id": "h3", "submitted_at": at(11)})
		}
		reviews = append(reviews, reviews[0]) // moved to the next page meanwhile
		h.lists["pulls/1/reviews"] = reviews
		got, err := withToken(t, h).Reviews(ctx, "acme/app", 1)
		if err != nil {
			t.Fatal(err)
		}
		sec := func(s int) time.Time { return time.Date(2026, 1, 1, 0, 0, s, 0, time.UTC) }
		want := []policy.Review{
			{ID: 1, Author: "bob", State: "approved", Commit: "h1", Submitted: sec(1)},
			{ID: 2, Author: "robot[bot]", Bot: true, State: "approved", Commit: "h1", Submitted: sec(2)},
			{ID: 3, Author: "ghost", State: "approved", Submitted: sec(3)},
			{ID: 4, Author: "bob", State: "changes_requested", Commit: "h2", Submitted: sec(9)},
			{ID: 6, Author: "dave", State: "dismissed", Commit: "h2", Submitted: sec(10)},
			{ID: 7, Author: "untyped[bot]", Bot: true, State: "approved", Commit: "h2", Submitted: sec(10)},
		}
		if len(got) != 256 || got[255].ID != 349 {
			t.Fatalf("%d reviews, want 256", len(got))
		}
		if d := gocmp.Diff(want, got[:6]); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

func TestRight(t *testing.T) {
	for _, test := range []struct {
		body m
		want policy.Right
	}{
		{m{"permission": "admin", "role_name": "admin"}, policy.Admin},
		{m{"permission": "write", "role_name": "write"}, policy.Write},
		{m{"permission": "write", "role_name": "maintain"}, policy.Write},
		{m{"permission": "read", "role_name": "triage"}, policy.Read},
		{m{"permission": "read", "role_name": "read"}, policy.Read},
		{m{"permission": "none", "role_name": ""}, policy.None},
		{m{"permission": "read", "role_name": "admin"}, policy.Read}, // a custom role with a telling name
		{m{"permission": "maintain"}, policy.Write},
		{m{"permission": "triage"}, policy.Read},
		{m{"role_name": "maintain"}, policy.Write},
		{m{"permission": "owner of everything"}, policy.None},
		{m{}, policy.None},
		{nil, policy.None}, // 404
	} {
		apart(t, func(t *testing.T, ctx context.Context, h *host) {
			if test.body != nil {
				h.objects["GET collaborators/bob%5Bbot%5D/permission"] = fixed(http.StatusOK, test.body)
			}
			got, err := withToken(t, h).Right(ctx, "acme/app", "bob[bot]")
			if err != nil || got != test.want {
				t.Errorf("%v: %q, %v, want %q", test.body, got, err, test.want)
			}
		})
	}
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g := withToken(t, h)
		for _, login := range []string{"", "ghost"} {
			if got, err := g.Right(ctx, "acme/app", login); err != nil || got != policy.None {
				t.Errorf("%q: %q, %v", login, got, err)
			}
		}
		if n := len(h.called()); n != 0 {
			t.Errorf("%d calls about nobody", n)
		}
		h.fault = func(*http.Request) *fault { return &fault{status: 500} }
		if got, err := g.Right(ctx, "acme/app", "bob"); err == nil || got != policy.None {
			t.Errorf("GitHub down: %q, %v, want an error and no right", got, err)
		}
	})
}

func TestMember(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		h.objects["GET /orgs/acme/teams/platform/memberships/bob"] = fixed(http.StatusOK, m{"state": "active"})
		h.objects["GET /orgs/acme/teams/platform/memberships/carol"] = fixed(http.StatusOK, m{"state": "pending"})
		h.objects["GET /orgs/acme/teams/platform/memberships/eve"] = fixed(http.StatusForbidden, m{"message": "Resource not accessible"})
		h.objects["GET /orgs/acme/installation"] = fixed(http.StatusOK, m{"id": 7})
		for _, g := range []*Client{withToken(t, h), asApp(t, h)} {
			for _, test := range []struct {
				team, login string
				want, err   bool
			}{
				{"acme/platform", "bob", true, false},
				{"acme/platform", "carol", false, false},
				{"acme/platform", "dave", false, false},
				{"acme/nobody", "bob", false, false},
				{"elsewhere/platform", "bob", false, false},
				{"acme/platform", "ghost", false, false},
				{"acme/platform", "eve", false, true},
				{"platform", "bob", false, true},
				{"acme/..", "bob", false, true},
			} {
				got, err := g.Member(ctx, test.team, test.login)
				if got != test.want || (err != nil) != test.err {
					t.Errorf("%s in %s: %v, %v", test.login, test.team, got, err)
				}
			}
		}
	})
}

func TestSelf(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g := asApp(t, h)
		for range 3 {
			if login, id, err := g.Self(ctx); login != "weir[bot]" || id != testApp || err != nil {
				t.Errorf("as an App: %q, %d, %v", login, id, err)
			}
		}
		if d := gocmp.Diff([]string{"GET /app"}, h.called()); d != "" {
			t.Errorf("calls:\n%s", d)
		}
	})
	for status, want := range map[int]string{200: "weir-bot", 403: "", 404: ""} {
		apart(t, func(t *testing.T, ctx context.Context, h *host) {
			if status != 200 {
				h.fault = func(*http.Request) *fault { return &fault{status: status} }
			}
			if login, id, err := withToken(t, h).Self(ctx); login != want || id != 0 || err != nil {
				t.Errorf("with a token, %d: %q, %d, %v", status, login, id, err)
			}
		})
	}
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g := withToken(t, h)
		h.fault = func(*http.Request) *fault { return &fault{status: 502} }
		if _, _, err := g.Self(ctx); err == nil {
			t.Error("GitHub down: no error")
		}
		h.fault = nil
		if login, _, err := g.Self(ctx); err != nil || login != "weir-bot" {
			t.Errorf("GitHub up again: %q, %v", login, err)
		}
	})
}

func TestChecks(t *testing.T) {
	fill := func(h *host) {
		add := func(name, status, conclusion string, app int) {
			h.runs = append(h.runs, m{"name": name, "status": status, "conclusion": conclusion, "head_sha": "h1", "app": m{"id": app}})
		}
		add("weir/plan", "completed", "success", testApp)
		add("weir/apply", "completed", "action_required", testApp)
		add("weir/plan", "completed", "failure", 99) // somebody else's of the same name
		add("build", "in_progress", "", 1)
		add("queue", "queued", "", 1)
		for i := range 250 {
			add(fmt.Sprintf("job %03d", i), "completed", "neutral", 1)
		}
		for _, s := range []string{"weir/plan", "ci/old", "weirdo"} {
			h.statuses = append(h.statuses, m{"context": s, "state": "pending"})
		}
		for i := range 120 {
			h.statuses = append(h.statuses, m{"context": fmt.Sprintf("s%03d", i), "state": "error"})
		}
	}
	for name, test := range map[string]struct {
		client func(*testing.T, *host) *Client
		own    []string
	}{
		"as an App":    {asApp, []string{"weir/plan success", "weir/apply action_required"}},
		"with a token": {withToken, []string{"weir/plan pending"}},
	} {
		t.Run(name, func(t *testing.T) {
			apart(t, func(t *testing.T, ctx context.Context, h *host) {
				fill(h)
				checks, _, err := test.client(t, h).Checks(ctx, "acme/app", "h1", "main")
				if err != nil {
					t.Fatal(err)
				}
				var own, some []string
				for _, c := range checks {
					if c.Own {
						own = append(own, c.Name+" "+c.State)
					} else if !strings.HasPrefix(c.Name, "job ") && !strings.HasPrefix(c.Name, "s") {
						some = append(some, c.Name+" "+c.State)
					}
				}
				if len(checks) != 255+123 {
					t.Errorf("%d checks, want 378", len(checks))
				}
				if d := gocmp.Diff(test.own, own); d != "" {
					t.Errorf("own (-want +got):\n%s", d)
				}
				if got := strings.Join(some, ", "); !strings.Contains(got, "weir/plan failure, build pending, queue pending") ||
					!strings.Contains(got, "ci/old pending, weirdo pending") {
					t.Errorf("others: %s", got)
				}
			})
		})
	}
}

// TestHiddenChecks keeps what weir may not look at from passing for good.
func TestHiddenChecks(t *testing.T) {
	success := []policy.Check{{Name: "ci/old", State: "success"}}
	runs := policy.Check{Name: "the list of check runs", State: "hidden from weir"}
	statuses := policy.Check{Name: "the list of commit statuses", State: "hidden from weir"}
	for name, test := range map[string]struct {
		path   string // below commits/h1/
		status int
		want   []policy.Check
		fails  bool
	}{
		"check runs forbidden": {"check-runs", http.StatusForbidden, append([]policy.Check{runs}, success...), false},
		"check runs missing":   {"check-runs", http.StatusNotFound, append([]policy.Check{runs}, success...), false},
		"statuses forbidden":   {"status", http.StatusForbidden, []policy.Check{statuses}, false},
		"no answer":            {"check-runs", http.StatusBadGateway, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			apart(t, func(t *testing.T, ctx context.Context, h *host) {
				h.statuses = []m{{"context": "ci/old", "state": "success"}}
				h.objects["GET commits/h1/"+test.path] = fixed(test.status, m{"message": "Resource not accessible by personal access token"})
				got, _, err := withToken(t, h).Checks(ctx, "acme/app", "h1", "main")
				if (err != nil) != test.fails {
					t.Error(err)
				}
				if d := gocmp.Diff(test.want, got); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
				for _, c := range got {
					if c.Good() != (c.Name == "ci/old") {
						t.Errorf("%+v is good: %v", c, c.Good())
					}
				}
			})
		})
	}
}

func TestRequiredChecks(t *testing.T) {
	rules := func(names ...string) http.Handler {
		var checks []any
		for _, n := range names {
			checks = append(checks, m{"context": n, "integration_id": 1})
		}
		return fixed(http.StatusOK, []any{
			m{"type": "deletion"},
			m{"type": "a kind that is newer than weir", "parameters": m{"x": 1}},
			m{"type": "required_status_checks", "parameters": m{"required_status_checks": checks}},
		})
	}
	branch := func(protected bool, names ...string) http.Handler {
		return fixed(http.StatusOK, m{"protected": protected, "protection": m{"required_status_checks": m{"contexts": names}}})
	}
	bare := fixed(http.StatusOK, m{"protected": true})
	protection := fixed(http.StatusOK, m{"required_status_checks": m{"contexts": []string{"old"}}})
	none := fixed(http.StatusNotFound, m{"message": "Branch not protected"})
	forbidden := fixed(http.StatusForbidden, m{"message": "Resource not accessible by integration"})
	for name, test := range map[string]struct {
		rules, branch, protection http.Handler // nil: 404
		want                      []string
	}{
		"nothing":              {rules(), branch(false), nil, []string{}},
		"rules":                {rules("b", "a"), branch(false), nil, []string{"a", "b"}},
		"both":                 {rules("b", "a"), branch(true, "a", "c"), nil, []string{"a", "b", "c"}},
		"only the protection":  {rules("a"), bare, protection, []string{"a", "old"}},
		"not protected":        {rules("a"), nil, none, []string{"a"}},
		"protection forbidden": {rules("a"), bare, forbidden, nil},
		"protection missing":   {rules("a"), nil, nil, nil},
		"rules missing":        {nil, branch(true, "c"), nil, nil},
		"rules forbidden":      {forbidden, branch(true, "c"), nil, nil},
		"all missing":          {nil, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			apart(t, func(t *testing.T, ctx context.Context, h *host) {
				for path, o := range map[string]http.Handler{
					"GET rules/branches/release%2F1": test.rules, "GET branches/release%2F1": test.branch,
					"GET branches/release%2F1/protection": test.protection,
				} {
					if o != nil {
						h.objects[path] = o
					}
				}
				g := asApp(t, h)
				_, got, err := g.Checks(ctx, "acme/app", "h1", "release/1")
				if err != nil {
					t.Fatal(err)
				}
				if d := gocmp.Diff(test.want, got); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
				h.called()
				if _, again, err := g.Checks(ctx, "acme/app", "h1", "release/1"); err != nil || gocmp.Diff(got, again) != "" {
					t.Errorf("the second time %q, %v", again, err)
				}
				want := 2 // check runs and statuses; what is required is remembered
				if test.want != nil && len(test.want) == 0 {
					want = 0 // nobody's check can stand in the way
				}
				if n := len(h.called()); n != want {
					t.Errorf("%d calls a moment later, want %d", n, want)
				}
				<-time.After(requiredFor)
				h.objects["GET rules/branches/release%2F1"] = rules("new")
				h.objects["GET branches/release%2F1"] = branch(false)
				if _, got, err := g.Checks(ctx, "acme/app", "h1", "release/1"); err != nil || gocmp.Diff([]string{"new"}, got) != "" {
					t.Errorf("a minute later %q, %v", got, err)
				}
			})
		})
	}
}
