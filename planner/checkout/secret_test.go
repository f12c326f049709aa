package checkout

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

const token = "ghs_0123456789abcdefTOKEN"

// forms are how a token could be written down.
func forms(token string) []string {
	return []string{token, base64.StdEncoding.EncodeToString([]byte("x-access-token:" + token)), base64.StdEncoding.EncodeToString([]byte(token))}
}

func leaks(text string) bool {
	for _, f := range forms(token) {
		if strings.Contains(text, f) {
			return true
		}
	}
	return false
}

// leaksBelow searches names and contents of all files.
func leaksBelow(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if leaks(path) {
			t.Errorf("the token is in the name of %s", path)
		}
		if d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if leaks(string(data)) {
				t.Errorf("the token is in %s", path)
			}
			return err
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// leaksInProcesses searches arguments and environments of all processes, and
// returns how many of git's it saw.
func leaksInProcesses(t *testing.T) (gits int) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Error(err)
	}
	for _, p := range processes {
		if p == "/proc/"+strconv.Itoa(os.Getpid()) {
			continue
		}
		args, _ := os.ReadFile(p + "/cmdline") // it can have ended
		env, _ := os.ReadFile(p + "/environ")
		if bytes.Contains(args, []byte("git")) {
			gits++
		}
		if leaks(string(args)) {
			t.Errorf("the token is in the arguments of %s: %q", p, args)
		}
		if leaks(string(env)) {
			t.Errorf("the token is in the environment of %s", p)
		}
	}
	return gits
}

func TestI8TokenIsNowhereButInMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED, NOT TESTED: there is no /proc")
	}
	for _, askpass := range []bool{false, true} {
		t.Run(fmt.Sprintf("askpass=%v", askpass), func(t *testing.T) {
			h := newHub(t, token)
			u := h.repo("acme/app")
			base := u.commit("main", "", tree{"a": "1"})
			head := u.commit("change", base, tree{"a": "2"})
			r := newRepos(t, token)
			r.git.Askpass = askpass
			var log bytes.Buffer
			r.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))

			var seen atomic.Int64
			h.intercept(func(_ http.ResponseWriter, q *http.Request) bool {
				seen.Add(int64(leaksInProcesses(t))) // while git waits for us
				leaksBelow(t, r.Dir)
				return false
			})
			open(t, r, u.request(1, head))
			if _, err := r.Fetch(t.Context(), u.name, u.cloneURL(), "main"); err != nil {
				t.Error(err)
			}
			if seen.Load() == 0 {
				t.Error("saw no git at work")
			}
			requests := h.requests()
			if round := 3; !askpass && len(requests) != 2*round-1 {
				t.Errorf("a fetch takes one request for the server's abilities, one for its references and one for objects if there are new ones; got %q", requests)
			}
			leaksBelow(t, r.Dir)
			if leaks(log.String()) {
				t.Errorf("the token is in the log: %s", &log)
			}
			for _, kv := range os.Environ() {
				if leaks(kv) {
					t.Error("the token is in our environment")
				}
			}
		})
	}
}

func TestI8TokenIsInNoError(t *testing.T) {
	for _, askpass := range []bool{false, true} {
		h := newHub(t, "another")
		u := h.repo("acme/app")
		head := u.commit("main", "", tree{"a": "1"})
		r := newRepos(t, token)
		r.git.Askpass = askpass
		_, err := r.Open(t.Context(), u.request(1, head))
		if err == nil || leaks(err.Error()) || !strings.Contains(err.Error(), "the server refused the credentials") {
			t.Errorf("askpass %v: got %v, want that the credentials were refused", askpass, err)
		}
		for status, want := range map[int]string{403: "do not allow it", 404: "no such repository", 301: "not followed", 500: "500"} {
			h.intercept(func(w http.ResponseWriter, q *http.Request) bool {
				w.Header().Set("Location", u.cloneURL()+"?"+token)
				w.Header().Set("Content-Type", "text/plain")
				w.WriteHeader(status)
				_, _ = fmt.Fprintf(w, "%s is not enough", q.Header.Get("Authorization")) // as a careless proxy does
				_, _ = fmt.Fprintf(w, " and %s neither", token)
				return true
			})
			_, err := r.Open(t.Context(), u.request(1, head))
			if err == nil || leaks(err.Error()) || !strings.Contains(err.Error(), want) {
				t.Errorf("askpass %v, status %d: got %v, want %q", askpass, status, err, want)
			}
		}
		h.intercept(nil)
		leaksBelow(t, r.Dir)
	}
	h := newHub(t, "another")
	u := h.repo("acme/app")
	r := newRepos(t, "")
	if _, err := r.Fetch(t.Context(), u.name, u.cloneURL(), "main"); err == nil || !strings.Contains(err.Error(), "wants credentials and there are none") {
		t.Errorf("without a token: got %v", err)
	}
	r.Token = func(context.Context, string) (string, error) { return "", errors.New("no installation") }
	if _, err := r.Fetch(t.Context(), u.name, u.cloneURL(), "main"); err == nil || !strings.Contains(err.Error(), "get a token for acme/app: no installation") {
		t.Errorf("with no way to a token: got %v", err)
	}
	for _, bad := range []string{token + "\n", token + " x", "a\nb", "ü"} {
		r.Token = func(context.Context, string) (string, error) { return bad, nil }
		if _, err := r.Fetch(t.Context(), u.name, u.cloneURL(), "main"); err == nil || leaks(err.Error()) || !strings.Contains(err.Error(), "characters that no token has") {
			t.Errorf("token %q: got %v", bad, err)
		}
	}
}

func TestI8RedirectsAreNotFollowed(t *testing.T) {
	var got atomic.Value
	evil := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		got.Store(q.Method + " " + q.URL.Path + " " + q.Header.Get("Authorization"))
	}))
	defer evil.Close()
	h := newHub(t, token)
	u := h.repo("acme/app")
	head := u.commit("main", "", tree{"a": "1"})
	r := newRepos(t, token)
	open(t, r, u.request(1, head))
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		h.intercept(func(w http.ResponseWriter, q *http.Request) bool {
			if q.Method == method {
				http.Redirect(w, q, evil.URL+q.URL.RequestURI(), http.StatusTemporaryRedirect)
			}
			return q.Method == method
		})
		_, err := r.Open(t.Context(), u.request(1, head))
		if err == nil || !strings.Contains(err.Error(), "not followed") {
			t.Errorf("%s: got %v, want that it was not followed", method, err)
		}
	}
	if seen := got.Load(); seen != nil {
		t.Errorf("the other host was asked: %v", seen)
	}
}

func TestTokenIsRotated(t *testing.T) {
	for _, askpass := range []bool{false, true} {
		h := newHub(t, "token-1")
		u := h.repo("acme/app")
		head := u.commit("main", "", tree{"a": "1"})
		now := "token-1"
		r := newRepos(t, "")
		r.git.Askpass = askpass
		r.Token = func(_ context.Context, repo string) (string, error) {
			if repo != "acme/app" {
				t.Errorf("asked for a token for %s", repo)
			}
			return now, nil
		}
		co := open(t, r, u.request(1, head))
		h.allow("token-2")
		if _, err := r.Open(t.Context(), u.request(1, head)); err == nil {
			t.Error("an old token was enough")
		}
		now = "token-2"
		open(t, r, u.request(1, head))

		// What is here needs no token and no network.
		r.Token = func(context.Context, string) (string, error) { return "", errors.New("offline") }
		h.requests()
		if _, err := r.At(t.Context(), u.request(1, head), co.Merge); err != nil {
			t.Error(err)
		}
		if seen := h.requests(); len(seen) > 0 {
			t.Errorf("At asked for %q", seen)
		}
	}
}

// No variable of the server's reaches git but those that say how to reach the
// outside.
func TestI8EnvironmentIsBuiltFromNothing(t *testing.T) {
	out := filepath.Join(t.TempDir(), "env")
	script := filepath.Join(t.TempDir(), "git")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nenv >>"+out+"\nexec git \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	// The hub asks git where its programs are, so it comes before the variables
	// that would lead git astray.
	h := newHub(t, token)
	u := h.repo("acme/app")
	head := u.commit("main", "", tree{"a": "1"})
	for _, kv := range []string{
		"GIT_DIR=/evil", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.fsmonitor", "GIT_CONFIG_VALUE_0=/evil", "GIT_SSH_COMMAND=/evil",
		"GIT_ASKPASS=/evil", "SSH_ASKPASS=/evil", "GIT_TRACE_CURL=/evil", "GIT_TEMPLATE_DIR=/evil", "GIT_EXEC_PATH=/evil", "WEIR_GITHUB_TOKEN=" + token,
		"AWS_SECRET_ACCESS_KEY=evil", "XDG_CONFIG_HOME=/evil", "GIT_ALTERNATE_OBJECT_DIRECTORIES=/evil", "LD_PRELOAD_X=evil",
	} {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	t.Setenv("no_proxy", "127.0.0.1")
	r := newRepos(t, token)
	r.Git = script
	open(t, r, u.request(1, head))
	env, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if leaks(string(env)) || strings.Contains(string(env), "evil") {
		t.Errorf("something evil is in the environment of git:\n%s", env)
	}
	if !strings.Contains(string(env), "no_proxy=127.0.0.1") {
		t.Errorf("what says how to reach the outside is not:\n%s", env)
	}
}
