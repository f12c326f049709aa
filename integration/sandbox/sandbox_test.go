package sandbox

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// start starts a sandbox with the App installed at acme, one repository and
// some people.
func start(t *testing.T, c Config) *Sandbox {
	t.Helper()
	c.Dir = t.TempDir()
	if c.App == nil {
		c.App = &App{}
	}
	s, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	must(t, func() error {
		_, err := s.CreateRepo("acme", "infra", map[string]string{"README.md": "# infra\n", "prod/main.tf": "resource \"terraform_data\" \"a\" {}\n"})
		return err
	})
	for login, p := range map[string]Permission{"alice": "write", "bob": "write", "root": "admin", "reader": "read"} {
		must(t, func() error { return s.Grant("acme/infra", login, p) })
	}
	s.User("mallory")
	must(t, func() error { _, err := s.Install("acme"); return err })
	return s
}

func must(t *testing.T, f func() error) {
	t.Helper()
	if err := f(); err != nil {
		t.Fatal(err)
	}
}

func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// change pushes a branch with a change and opens a pull request of it.
func change(t *testing.T, s *Sandbox, branch string) Pull {
	t.Helper()
	_, err := s.Push(Change{Repo: "acme/infra", Branch: branch, As: "alice", Message: "Add b", Files: map[string]string{"prod/" + branch + ".tf": "resource \"terraform_data\" \"b\" {}\n"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.OpenPull("alice", NewPull{Repo: "acme/infra", Head: branch, Title: "Add b"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type received struct {
	mu   sync.Mutex
	list []string
	ids  []string
}

func (r *received) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, req.Header.Get("X-GitHub-Event"))
	r.ids = append(r.ids, req.Header.Get("X-GitHub-Delivery"))
	w.WriteHeader(http.StatusAccepted)
}

func TestPullRequestFromPushToMerge(t *testing.T) {
	s := start(t, Config{})
	sink := &received{}
	target := httptest.NewServer(sink)
	defer target.Close()
	s.SetHook(Hook{URL: target.URL, Secret: "x"})
	p := change(t, s, "b")
	if _, err := s.Comment("bob", "acme/infra", p.Number, "weir plan"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Review("bob", "acme/infra", p.Number, "APPROVE", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Review("alice", "acme/infra", p.Number, "APPROVE", ""); err == nil {
		t.Error("alice approved her own pull request")
	}
	sha, err := s.Merge("bob", "acme/infra", p.Number, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Branch("acme/infra", "main"); got != sha {
		t.Errorf("main is at %s, want the merge commit %s", got, sha)
	}
	if err := s.WaitDelivered(patience(t)); err != nil {
		t.Fatal(err)
	}
	sink.mu.Lock()
	defer sink.mu.Unlock()
	want := "ping push check_suite pull_request issue_comment pull_request_review pull_request push check_suite"
	if got := strings.Join(sink.list, " "); got != want {
		t.Errorf("events:\n got %s\nwant %s", got, want)
	}
}

func TestGitOverHTTP(t *testing.T) {
	s := start(t, Config{})
	p := change(t, s, "b")
	clone := func(token string) (string, error) {
		dir := t.TempDir()
		url := s.CloneURL("acme/infra")
		if token != "" {
			url = strings.Replace(url, "http://", "http://x-access-token:"+token+"@", 1)
		}
		cmd := exec.Command("git", "-c", "credential.helper=", "clone", "-q", url, dir)
		cmd.Env = append(cmd.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return string(out), err
		}
		return dir, nil
	}
	if out, err := clone(""); err == nil {
		t.Errorf("cloned a private repository without credentials: %s", out)
	}
	if out, err := clone(s.Token("mallory")); err == nil {
		t.Errorf("mallory cloned a private repository: %s", out)
	}
	dir, err := clone(s.Token("alice"))
	if err != nil {
		t.Fatal(dir, err)
	}
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=alice", "-c", "user.email=a@example.com"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("fetch", "-q", "origin", "refs/pull/1/head")
	if got := git("rev-parse", "FETCH_HEAD"); got != p.HeadSHA {
		t.Errorf("refs/pull/1/head is %s, want %s", got, p.HeadSHA)
	}
	git("checkout", "-q", "b")
	git("commit", "-q", "--allow-empty", "-m", "again")
	git("push", "-q", "origin", "b")
	q, err := s.Pull("acme/infra", p.Number)
	if err != nil {
		t.Fatal(err)
	}
	if head := git("rev-parse", "HEAD"); q.HeadSHA != head {
		t.Errorf("after git push the head is %s, want %s", q.HeadSHA, head)
	}
	git("fetch", "-q", "origin", p.HeadSHA)
	for _, c := range s.Calls() {
		if c.Token != "user alice" && c.Status == 200 {
			t.Errorf("answered %+v", c)
		}
	}
}
