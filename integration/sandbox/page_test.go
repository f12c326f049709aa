package sandbox

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// visitor is a browser without a script.
type visitor struct {
	t      *testing.T
	s      *Sandbox
	client *http.Client
}

func visit(t *testing.T, s *Sandbox, login string) visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := visitor{t, s, &http.Client{Jar: jar}}
	v.post("/as", url.Values{"login": {login}, "back": {"/"}})
	return v
}

func (v visitor) read(resp *http.Response, err error) (int, string) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (v visitor) get(path string) (int, string) {
	v.t.Helper()
	return v.read(v.client.Get(v.s.URL() + path))
}

func (v visitor) post(path string, form url.Values) (int, string) {
	v.t.Helper()
	return v.read(v.client.PostForm(v.s.URL()+path, form))
}

func (v visitor) sees(body string, what ...string) {
	v.t.Helper()
	for _, w := range what {
		if !strings.Contains(body, w) {
			v.t.Errorf("the page does not show %q", w)
		}
	}
}

func TestPageTellsTheWholeStory(t *testing.T) {
	s := start(t, Config{})
	alice, bob := visit(t, s, "alice"), visit(t, s, "bob")
	_, home := alice.get("/")
	alice.sees(home, "acme/infra", "No pull requests", "<option selected>alice</option>")
	_, edit := alice.get("/acme/infra/edit?branch=main&path=prod/main.tf")
	alice.sees(edit, "terraform_data", "Open a pull request as alice")
	_, pull := alice.post("/acme/infra/edit", url.Values{"branch": {"main"}, "path": {"prod/main.tf"}, "content": {"# changed\r\n"}, "message": {"Change it"}})
	alice.sees(pull, "Change it", "alice-patch-1", "# changed", "Nobody reviews their own pull request")
	content, _, err := s.File("acme/infra", "refs/heads/alice-patch-1", "prod/main.tf")
	if err != nil || content != "# changed\n" {
		t.Errorf("pushed %q (%v)", content, err)
	}
	_, pull = alice.post("/acme/infra/edit", url.Values{"pull": {"1"}, "path": {"README.md"}, "delete": {"yes"}})
	alice.sees(pull, "2 changed files")
	_, pull = bob.post("/acme/infra/pull/1", url.Values{"do": {"comment"}, "body": {"weir **plan**"}})
	bob.sees(pull, "weir <strong>plan</strong>")
	_, pull = bob.post("/acme/infra/pull/1", url.Values{"do": {"REQUEST_CHANGES"}})
	bob.sees(pull, "Body can&#39;t be blank")
	_, pull = bob.post("/acme/infra/pull/1", url.Values{"do": {"APPROVE"}, "body": {"Fine."}})
	bob.sees(pull, "approved these changes", "Dismiss bob")
	must(t, func() error { return s.Protect("acme/infra", "main", Protection{Checks: []string{"weir/apply"}}) })
	_, pull = bob.post("/acme/infra/pull/1", url.Values{"do": {"merge"}})
	bob.sees(pull, "Required status check &#34;weir/apply&#34; is expected.")
	must(t, func() error { return s.Protect("acme/infra", "main", Protection{}) })
	for _, do := range []string{"draft", "ready", "close", "reopen", "squash"} {
		alice.post("/acme/infra/pull/1", url.Values{"do": {do}})
	}
	_, pull = alice.get("/acme/infra/pull/1")
	alice.sees(pull, `<span class="state merged">merged</span>`)

	if status, _ := alice.get("/acme/infra/pull/99"); status != 404 {
		t.Errorf("a missing pull request is answered with %d", status)
	}
	reader := visit(t, s, "reader")
	_, edit = reader.get("/acme/infra/edit?branch=main&path=x")
	reader.sees(edit, "has no write access")
	_, edit = reader.post("/acme/infra/edit", url.Values{"branch": {"main"}, "path": {"x"}, "content": {"x"}})
	reader.sees(edit, "You need write access to push.")
	_, repo := reader.get("/acme/infra/tree/main")
	reader.sees(repo, "with permission: read")
}

func TestPageShowsChecksAndIssues(t *testing.T) {
	s := start(t, Config{})
	p := change(t, s, "b")
	bot, err := s.AsApp("acme/infra")
	if err != nil {
		t.Fatal(err)
	}
	text := func(v string) *string { return &v }
	c, err := s.CreateCheck(bot, "acme/infra", CheckEdit{
		Name: text("weir/apply"), HeadSHA: &p.HeadSHA, Conclusion: text("action_required"), Title: text("Waits for bob"),
		Summary: text("| a |\n|---|\n| cell |"), Actions: &[]Action{{Label: "Apply", Description: "Apply the plan", Identifier: "apply"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	old, err := s.AddComment(bot, "acme/infra", 1, "<!-- weir -->\nan old plan")
	if err != nil {
		t.Fatal(err)
	}
	must(t, func() error { return s.Minimize(bot, old.NodeID(), "outdated") })
	bob := visit(t, s, "bob")
	_, pull := bob.get("/acme/infra/pull/1")
	bob.sees(pull, "Waits for bob", "action_required", "marked as outdated")
	run := strings.TrimPrefix(strings.Split(pull[strings.Index(pull, `/runs/`):], `"`)[0], "/runs/")
	_, check := bob.get("/acme/infra/runs/" + run)
	bob.sees(check, "<td>cell</td>", "Apply")
	s.SetHook(Hook{URL: s.URL()})
	bob.post("/acme/infra/runs/"+run, url.Values{"press": {"apply"}})
	bob.post("/acme/infra/runs/"+run, nil)
	var actions []string
	for _, d := range s.Deliveries() {
		if d.Event == "check_run" {
			actions = append(actions, d.Action)
		}
	}
	if got := strings.Join(actions, " "); got != "requested_action rerequested" {
		t.Errorf("pressing check %d made %q", c.ID, got)
	}
	if _, err := s.OpenIssue(bot, "acme/infra", NewIssue{Title: "Drift in prod", Body: "It **drifted**.", Labels: []string{"drift"}}); err != nil {
		t.Fatal(err)
	}
	_, issue := bob.get("/acme/infra/issues/2")
	bob.sees(issue, "Drift in prod", "<strong>drifted</strong>")
	_, issue = bob.post("/acme/infra/pull/2", url.Values{"do": {"comment"}, "body": {"fixed"}})
	bob.sees(issue, "Drift in prod", "fixed")
	_, issue = bob.post("/acme/infra/issues/2", url.Values{"do": {"close"}})
	bob.sees(issue, "closed", "Reopen")
	_, issue = visit(t, s, "reader").post("/acme/infra/issues/2", url.Values{"do": {"reopen"}})
	bob.sees(issue, `role="alert"`, "closed")
	_, issue = bob.post("/acme/infra/issues/2", url.Values{"do": {"reopen"}})
	bob.sees(issue, "open", "Close")
	_, issue = bob.post("/acme/infra/issues", url.Values{"title": {"Another"}, "body": {"of *bob's*"}})
	bob.sees(issue, "Another", "<em>bob", "#3")
	must(t, func() error {
		_, err := s.Assign(bot, "acme/infra", 2, true, "alice")
		return err
	})
	_, list := bob.get("/acme/infra/issues")
	bob.sees(list, "Drift in prod", "Another", "assigned to alice", "1 comments", "drift")
	_, home := bob.get("/acme/infra")
	bob.sees(home, "Another", `href="/acme/infra/issues"`)
}

// TestVisitorBeginsAsSomebodyWhoCanPush looks at the page without having chosen
// anybody, where the first person made can only read.
func TestVisitorBeginsAsSomebodyWhoCanPush(t *testing.T) {
	s, err := Start(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, s.Close) })
	s.User("mallory")
	v := visitor{t, s, http.DefaultClient}
	_, home := v.get("/")
	v.sees(home, "<option selected>mallory</option>") // nobody can push anywhere
	if _, err := s.CreateRepo("acme", "infra", nil); err != nil {
		t.Fatal(err)
	}
	for _, right := range []struct {
		login string
		is    Permission
	}{{"mallory", "read"}, {"bob", "write"}, {"alice", "admin"}} {
		must(t, func() error { return s.Grant("acme/infra", right.login, right.is) })
	}
	for _, path := range []string{"/", "/acme/infra"} {
		_, page := v.get(path)
		v.sees(page, "<option selected>bob</option>")
	}
}

// TestPageIsForItsOwnVisitors keeps other sites from acting for a visitor.
func TestPageIsForItsOwnVisitors(t *testing.T) {
	s := start(t, Config{})
	change(t, s, "b")
	req, err := http.NewRequest("POST", s.URL()+"/acme/infra/pull/1", strings.NewReader("do=comment&body=evil"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", "https://evil.example")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n := comments(t, s); resp.StatusCode != http.StatusForbidden || n != 0 {
		t.Errorf("answered %d, and %d comments were made", resp.StatusCode, n)
	}
}

func browser(t *testing.T) context.Context {
	t.Helper()
	path := os.Getenv("CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no browser: install chromium, or set CHROMIUM")
		}
		t.Skip("!!! SKIPPED: there is no browser: install chromium, or set CHROMIUM")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()))
	allocated, cancel := chromedp.NewExecAllocator(patience(t), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	return ctx
}

// TestPageFollows looks for what the script promises: what happens appears by
// itself, what is open stays open, and what is being typed stays.
func TestPageFollows(t *testing.T) {
	s := start(t, Config{})
	change(t, s, "b")
	if _, err := s.Comment("bob", "acme/infra", 1, "<details><summary>more</summary>\n\nfolded\n\n</details>"); err != nil {
		t.Fatal(err)
	}
	ctx := browser(t)
	must(t, func() error {
		return chromedp.Do(ctx, chromedp.Navigate(s.URL()+"/acme/infra/pull/1"), chromedp.SendKeys("#body", "half a sen"), chromedp.Click("#conversation .markdown summary"))
	})
	c, err := s.Comment("bob", "acme/infra", 1, "something new")
	if err != nil {
		t.Fatal(err)
	}
	must(t, func() error { return chromedp.Do(ctx, chromedp.WaitVisible(fmt.Sprint("#issuecomment-", c.ID))) })
	typed, err := chromedp.Run(ctx, chromedp.Value("#body"))
	if err != nil {
		t.Fatal(err)
	}
	open, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.querySelector("#conversation .markdown details").open`))
	if err != nil {
		t.Fatal(err)
	}
	if typed != "half a sen" || !open {
		t.Errorf("typed %q, still open: %v", typed, open)
	}
}
