package sandbox

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/integration/sandbox/record"
)

func comments(t *testing.T, s *Sandbox) int {
	t.Helper()
	all, err := s.Comments("acme/infra", 1)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// post comments without retrying anything, and returns the status, 0 for a
// cut connection.
func post(t *testing.T, s *Sandbox, token string) (int, http.Header) {
	t.Helper()
	req, err := http.NewRequest("POST", s.APIURL()+"repos/acme/infra/issues/1/comments", bytes.NewReader([]byte(`{"body":"hello"}`)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header
}

func TestFaults(t *testing.T) {
	s := start(t, Config{})
	change(t, s, "b")
	token := s.Token("bob")
	route := "/repos/{owner}/{repo}/issues/{number}/comments"
	for _, c := range []struct {
		name   string
		rule   Rule
		status int
		posted int
		header string
	}{
		{"cut before the effect", Rule{Route: route}, 0, 0, ""},
		{"cut after the effect", Rule{Route: route, Effect: true}, 0, 1, ""},
		{"a status", Rule{Method: "POST", Status: 502}, 502, 0, ""},
		{"a status after the effect", Rule{Route: "/repos/*/*/issues/*/comments", Status: 502, Effect: true}, 502, 1, ""},
		{"a delay", Rule{Delay: time.Millisecond, Pass: true}, 201, 1, ""},
		{"primary limit", PrimaryLimit(time.Minute), 403, 0, "X-Ratelimit-Reset"},
		{"secondary limit", SecondaryLimit(time.Minute), 403, 0, "Retry-After"},
		{"another method", Rule{Method: "GET", Status: 500}, 201, 1, ""},
		{"the second only", Rule{Status: 500, Skip: 1}, 201, 1, ""},
	} {
		before := comments(t, s)
		s.ClearFaults()
		s.Fault(c.rule)
		s.ResetCalls()
		status, header := post(t, s, token)
		if status != c.status || comments(t, s)-before != c.posted {
			t.Errorf("%s: status %d and %d posted, want %d and %d", c.name, status, comments(t, s)-before, c.status, c.posted)
		}
		if c.header != "" && header.Get(c.header) == "" {
			t.Errorf("%s: no %s", c.name, c.header)
		}
		calls := s.Calls()
		if len(calls) != 1 || calls[0].Route != route || calls[0].Token != "user bob" || calls[0].Status != c.status {
			t.Errorf("%s: counted %+v", c.name, calls)
		}
	}
}

func TestDeliveriesOutOfOrder(t *testing.T) {
	s := start(t, Config{})
	sink := &received{}
	target := httptest.NewServer(sink)
	defer target.Close()
	s.SetHook(Hook{URL: target.URL, Secret: "x", Events: []string{"issue_comment"}})
	change(t, s, "b")
	settle := func() []string {
		t.Helper()
		if err := s.WaitDelivered(patience(t)); err != nil {
			t.Fatal(err)
		}
		sink.mu.Lock()
		defer sink.mu.Unlock()
		ids := sink.ids
		sink.ids = nil
		return ids
	}
	settle()
	talk := func() []string {
		t.Helper()
		before := len(s.Deliveries())
		s.HoldDeliveries()
		for _, body := range []string{"one", "two", "three"} {
			if _, err := s.Comment("bob", "acme/infra", 1, body); err != nil {
				t.Fatal(err)
			}
		}
		var ids []string
		for _, d := range s.Deliveries()[before:] {
			ids = append(ids, d.GUID)
		}
		return ids
	}
	ids := talk()
	s.ReleaseDeliveries(Order{Reverse: true})
	slices.Reverse(ids)
	if diff := cmp.Diff(ids, settle()); diff != "" {
		t.Errorf("reversed: -want +got\n%s", diff)
	}
	ids = talk()
	s.ReleaseDeliveries(Order{Duplicate: 1})
	if diff := cmp.Diff(append(ids, ids...), settle()); diff != "" {
		t.Errorf("twice: -want +got\n%s", diff)
	}
	ids = talk()
	s.ReleaseDeliveries(Order{Drop: func(d Delivery) bool { return strings.Contains(string(d.Body), `"two"`) }})
	if diff := cmp.Diff([]string{ids[0], ids[2]}, settle()); diff != "" {
		t.Errorf("without the second: -want +got\n%s", diff)
	}
	for _, d := range s.Deliveries() {
		if d.GUID == ids[1] {
			if err := s.Redeliver(d.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff([]string{ids[1]}, settle()); diff != "" {
		t.Errorf("delivered again: -want +got\n%s", diff)
	}
	all := s.Deliveries()
	if last := all[len(all)-1]; !last.Redelivery || last.Code != 202 || last.Status != "OK" {
		t.Errorf("the last delivery is %+v", last)
	}
}

func TestDeliveriesAreSignedAndRecorded(t *testing.T) {
	s := start(t, Config{})
	var problem string
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, err := body.ReadFrom(r.Body)
		mac := hmac.New(sha256.New, []byte("secret"))
		mac.Write(body.Bytes())
		if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); err != nil || r.Header.Get("X-Hub-Signature-256") != want || !strings.HasPrefix(r.UserAgent(), "GitHub-Hookshot/") {
			problem = r.Header.Get("X-Hub-Signature-256")
		}
		http.Error(w, "no", http.StatusServiceUnavailable)
	}))
	s.SetHook(Hook{URL: target.URL, Secret: "secret"})
	must(t, func() error { return s.WaitDelivered(patience(t)) })
	target.Close()
	change(t, s, "b")
	must(t, func() error { return s.WaitDelivered(patience(t)) })
	if problem != "" {
		t.Errorf("signed as %s", problem)
	}
	all := s.Deliveries()
	if d := all[0]; d.Code != 503 || d.Status != "Invalid HTTP Response: 503" || d.Answer != "no\n" {
		t.Errorf("a refused delivery is recorded as %+v", d)
	}
	if d := all[len(all)-1]; d.Code != 0 || d.Status != "failed to connect to host" {
		t.Errorf("a delivery to nobody is recorded as %+v", d)
	}
}

func TestMergeMethods(t *testing.T) {
	for method, parents := range map[string]int{"merge": 2, "squash": 1, "rebase": 1} {
		t.Run(method, func(t *testing.T) {
			s := start(t, Config{})
			change(t, s, "b")
			for _, c := range []Change{
				{Repo: "acme/infra", Branch: "b", As: "alice", Message: "Second", Files: map[string]string{"c.tf": "c"}, Delete: []string{"README.md"}},
				{Repo: "acme/infra", Branch: "main", Message: "Meanwhile", Files: map[string]string{"other.tf": ""}},
			} {
				if _, err := s.Push(c); err != nil {
					t.Fatal(err)
				}
			}
			sha, err := s.Merge("bob", "acme/infra", 1, method)
			if err != nil {
				t.Fatal(err)
			}
			git, err := s.Git("acme/infra")
			if err != nil {
				t.Fatal(err)
			}
			info, err := git.Info(t.Context(), sha)
			if err != nil {
				t.Fatal(err)
			}
			if len(info.Parents) != parents {
				t.Errorf("%d parents, want %d", len(info.Parents), parents)
			}
			files, err := s.Files("acme/infra", "main")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"c.tf", "other.tf", "prod/b.tf", "prod/main.tf"}, files); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			p, err := s.Pull("acme/infra", 1)
			if err != nil || !p.Merged || p.State != "closed" || p.MergeSHA != sha || p.MergedBy.Login != "bob" {
				t.Errorf("the pull request is %+v (%v)", p, err)
			}
			if err := s.ReopenPull("alice", "acme/infra", 1); err == nil {
				t.Error("a merged pull request was reopened")
			}
		})
	}
}

func TestPullRequestFromAFork(t *testing.T) {
	s := start(t, Config{})
	must(t, func() error { return s.SetPrivate("acme/infra", false) })
	must(t, func() error { _, err := s.Fork("acme/infra", "mallory"); return err })
	push := func() string {
		sha, err := s.Push(Change{Repo: "mallory/infra", Branch: "evil", As: "mallory", Files: map[string]string{"prod/main.tf": time.Now().String()}})
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	push()
	p, err := s.OpenPull("mallory", NewPull{Repo: "acme/infra", Head: "mallory:evil", Title: "Evil"})
	if err != nil {
		t.Fatal(err)
	}
	sha := push()
	if p, err = s.Pull("acme/infra", p.Number); err != nil || p.HeadSHA != sha || p.HeadRepo.FullName() != "mallory/infra" {
		t.Errorf("after a push to the fork: %+v (%v)", p, err)
	}
	if _, err := s.Merge("mallory", "acme/infra", p.Number, ""); err == nil {
		t.Error("somebody without write access merged")
	}
	if _, err := s.Merge("bob", "acme/infra", p.Number, ""); err != nil {
		t.Error(err)
	}
}

func TestClosedByItself(t *testing.T) {
	s := start(t, Config{})
	change(t, s, "gone")
	change(t, s, "pushed")
	must(t, func() error { return s.DeleteBranch("acme/infra", "gone", "alice") })
	if p, err := s.Pull("acme/infra", 1); err != nil || p.State != "closed" || p.Merged {
		t.Errorf("after its branch was deleted: %s, merged %v (%v)", p.State, p.Merged, err)
	}
	if err := s.ReopenPull("alice", "acme/infra", 1); err == nil {
		t.Error("reopened without a branch")
	}
	if _, err := s.Push(Change{Repo: "acme/infra", Branch: "main", From: "pushed"}); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Pull("acme/infra", 2); err != nil || p.State != "closed" || !p.Merged {
		t.Errorf("after its head was pushed to main: %s, merged %v (%v)", p.State, p.Merged, err)
	}
}

func TestRefusals(t *testing.T) {
	s := start(t, Config{})
	change(t, s, "b")
	refused := func(status int, err error) {
		t.Helper()
		var e *record.Error
		if !errors.As(err, &e) || e.Status != status {
			t.Errorf("got %v, want a refusal with %d", err, status)
		}
	}
	_, err := s.Comment("mallory", "acme/infra", 1, "hi")
	refused(404, err)
	_, err = s.Comment("bob", "acme/infra", 99, "hi")
	refused(404, err)
	_, err = s.Comment("bob", "acme/infra", 1, " ")
	refused(422, err)
	_, err = s.Merge("reader", "acme/infra", 1, "")
	refused(403, err)
	refused(403, s.ClosePull("reader", "acme/infra", 1))
	refused(422, s.EditBase("alice", "acme/infra", 1, "nowhere"))
	_, err = s.OpenPull("alice", NewPull{Repo: "acme/infra", Head: "main", Title: "Nothing"})
	refused(422, err)
	_, err = s.CreateRepo("acme", "Infra", nil)
	refused(422, err)
	_, err = s.CreateRepo("acme", "..", nil)
	refused(422, err)
	must(t, func() error { return s.Protect("acme/infra", "main", Protection{Checks: []string{"weir/apply"}}) })
	_, err = s.Merge("root", "acme/infra", 1, "")
	refused(405, err)
	if _, err := s.Push(Change{Repo: "acme/infra", Branch: "x", Files: map[string]string{"../escape": ""}}); err == nil {
		t.Error("a file was pushed outside of the repository")
	}
}

func TestStartRefuses(t *testing.T) {
	used := t.TempDir()
	if err := os.WriteFile(filepath.Join(used, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{
		"a directory in use": {Dir: used},
		"a key that is none": {Dir: t.TempDir(), App: &App{Key: []byte("x")}},
		"no such address":    {Dir: t.TempDir(), Listen: "127.0.0.1:-1"},
	} {
		if s, err := Start(c); err == nil {
			t.Errorf("%s: it started", name)
			_ = s.Close() // the test has failed already
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	s := start(t, Config{})
	sink := &received{}
	target := httptest.NewServer(sink)
	defer target.Close()
	s.SetHook(Hook{URL: target.URL, Secret: "x", Events: []string{"issue_comment", "pull_request"}})
	change(t, s, "b")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if _, err := s.Comment("bob", "acme/infra", 1, "hello"); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if _, err := s.Push(Change{Repo: "acme/infra", Branch: "b", As: "alice", Files: map[string]string{"n": strconv.Itoa(i)}}); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if status, _, _ := (client{t, s, s.Token("bob")}).do("GET", "/repos/acme/infra/pulls/1", nil); status != 200 {
				t.Errorf("answered %d", status)
			}
		})
	}
	all.Wait()
	must(t, func() error { return s.WaitDelivered(patience(t)) })
	p, err := s.Pull("acme/infra", 1)
	if err != nil || p.Commits != 21 || p.Comments != 20 || p.HeadSHA != s.Branch("acme/infra", "b") {
		t.Errorf("%d commits and %d comments (%v), want 21 and 20", p.Commits, p.Comments, err)
	}
	// A ping, the opening, 20 pushes, 20 comments, and 21 check suites, which
	// an App is told of whether it asked or not.
	if n := len(sink.ids); n != 63 {
		t.Errorf("%d deliveries, want 63", n)
	}
}
