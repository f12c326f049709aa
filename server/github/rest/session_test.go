package rest

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ping asks which installation speaks for a repository.
func ping(g *Client, repo string) (id int64, err error) {
	path, err := RepoPath(repo, "ping")
	if err != nil {
		return 0, err
	}
	_, err = g.In(context.Background(), repo, "ping "+repo, Get(path, &id))
	return id, err
}

func TestInstallationsSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAppHost(map[string]int64{"acme/app": 1, "acme/web": 1, "acme2/app": 2})
		g := asApp(t, h)
		for range 2 {
			for repo, want := range h.installed {
				if id, err := ping(g, repo); err != nil || id != want {
					t.Errorf("%s: installation %d, %v, want %d", repo, id, err, want)
				}
			}
		}
		// Another spelling is the same repository, and not looked up anew;
		// this host happens to know only the first one.
		if _, err := ping(g, "ACME/App"); StatusOf(err) != http.StatusNotFound {
			t.Error(err)
		}
		count := map[string]int{}
		for _, c := range h.called() {
			count[c]++
		}
		want := map[string]int{
			"GET /repos/acme/app/installation": 1, "GET /repos/acme/web/installation": 1, "GET /repos/acme2/app/installation": 1,
			"POST /app/installations/1/access_tokens": 1, "POST /app/installations/2/access_tokens": 1,
			"GET /repos/acme/app/ping": 2, "GET /repos/acme/web/ping": 2, "GET /repos/acme2/app/ping": 2,
			"GET /repos/ACME/App/ping": 1,
		}
		if d := cmp.Diff(want, count); d != "" {
			t.Errorf("calls (-want +got):\n%s", d)
		}
	})
}

func TestManyAtOnceShareOneLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAppHost(map[string]int64{"acme/app": 1})
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/installation") {
				<-time.After(50 * time.Millisecond)
			}
			h.ServeHTTP(w, r)
		})
		g := asApp(t, slow)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if id, err := ping(g, "acme/app"); err != nil || id != 1 {
					t.Errorf("installation %d, %v", id, err)
				}
			})
		}
		wg.Wait()
		if n := len(h.called()); n != 52 {
			t.Errorf("%d calls, want a look-up, a token and 50 pings", n)
		}
	})
}

func TestTokenIsRenewedBeforeItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAppHost(map[string]int64{"acme/app": 1})
		g := asApp(t, h)
		ctx := context.Background()
		first, err := g.Token(ctx, "acme/app")
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(h.life - 2*time.Minute)
		if again, err := g.Token(ctx, "acme/app"); err != nil || again != first {
			t.Errorf("two minutes before its end: %q, %v, want the same", again, err)
		}
		<-time.After(time.Minute + time.Second)
		second, err := g.Token(ctx, "acme/app")
		if err != nil || second == first {
			t.Errorf("59 seconds before its end: %q, %v, want a new one", second, err)
		}
		for range 30 {
			<-time.After(10 * time.Minute)
			if _, err := ping(g, "acme/app"); err != nil {
				t.Fatal(err)
			}
		}
		lookups := 0
		for _, c := range h.called() {
			if c == "GET /repos/acme/app/installation" {
				lookups++
			}
		}
		if lookups != 1 {
			t.Errorf("looked the installation up %d times, want once", lookups)
		}
	})
}

func TestTokenThatEndedEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAppHost(map[string]int64{"acme/app": 1})
		g := asApp(t, h)
		if _, err := ping(g, "acme/app"); err != nil {
			t.Fatal(err)
		}
		clear(h.tokens) // revoked
		if id, err := ping(g, "acme/app"); err != nil || id != 1 {
			t.Errorf("installation %d, %v, want a new token", id, err)
		}
	})
}

func TestInstalledAnew(t *testing.T) {
	for name, change := range map[string]func(h *appHost){
		"tokens revoked":     func(h *appHost) { clear(h.tokens) },
		"tokens kept":        func(*appHost) {},
		"token just expired": func(h *appHost) { <-time.After(2 * h.life) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newAppHost(map[string]int64{"acme/app": 1})
				g := asApp(t, h)
				if _, err := ping(g, "acme/app"); err != nil {
					t.Fatal(err)
				}
				<-time.After(2 * time.Minute)
				h.installed["acme/app"] = 9
				change(h)
				if id, err := ping(g, "acme/app"); err != nil || id != 9 {
					t.Errorf("installation %d, %v, want 9", id, err)
				}
			})
		})
	}
}

// TestRememberedInstallation makes calls after deliveries have said where the
// App is installed: GitHub is asked only where they were wrong.
func TestRememberedInstallation(t *testing.T) {
	const (
		lookUp = "GET /repos/acme/app/installation"
		one    = "POST /app/installations/1/access_tokens"
		two    = "POST /app/installations/2/access_tokens"
		nine   = "POST /app/installations/9/access_tokens"
		read   = "GET /repos/acme/app/ping"
		write  = "POST /repos/acme/app/ping"
	)
	for name, test := range map[string]struct {
		change func(*appHost)
		told   []int64 // by deliveries
		method string
		calls  []string
		fails  string // in the error; "": fine
	}{
		"right":                     {nil, []int64{1}, "GET", []string{one, read}, ""},
		"none":                      {nil, []int64{0, -1}, "GET", []string{lookUp, one, read}, ""},
		"the first is kept":         {nil, []int64{1, 9}, "GET", []string{one, read}, ""},
		"ended":                     {nil, []int64{9}, "GET", []string{nine, lookUp, one, read}, ""},
		"of another account":        {nil, []int64{2}, "GET", []string{two, read, lookUp, one, read}, ""},
		"of another account, write": {func(h *appHost) { h.public = true }, []int64{2}, "POST", []string{two, write, lookUp, one, write}, ""},
		"refused, but in order": {func(h *appHost) {
			h.faults = append(h.faults, func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/ping") {
					return false
				}
				refuse(w, http.StatusForbidden, "Resource not accessible by integration")
				return true
			})
		}, []int64{1}, "GET", []string{one, read, lookUp}, "answered 403"},
		"suspended":   {func(h *appHost) { h.suspended[1] = true }, []int64{1}, "GET", []string{one, lookUp, lookUp}, "is suspended"},
		"uninstalled": {func(h *appHost) { delete(h.installed, "acme/app") }, []int64{1}, "GET", []string{one, lookUp, lookUp}, "not installed"},
		"the App's key is wrong": {func(h *appHost) {
			for range 3 {
				h.faults = append(h.faults, func(w http.ResponseWriter, _ *http.Request) bool {
					refuse(w, http.StatusUnauthorized, "A JSON web token could not be decoded")
					return true
				})
			}
		}, []int64{1}, "GET", []string{one, lookUp}, "answered 401"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newAppHost(map[string]int64{"acme/app": 1, "other/app": 2})
				if test.change != nil {
					test.change(h)
				}
				g := asApp(t, h)
				for _, id := range test.told {
					g.Remember("Acme/App", id)
				}
				_, err := g.In(context.Background(), "acme/app", "ping", Call{Method: test.method, Path: "repos/acme/app/ping"})
				if (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
					t.Errorf("error %v, want one with %q", err, test.fails)
				}
				if d := cmp.Diff(test.calls, h.called()); d != "" {
					t.Errorf("calls (-want +got):\n%s", d)
				}
			})
		})
	}
}

func TestRememberedInstallationForGit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAppHost(map[string]int64{"acme/app": 1})
		g := asApp(t, h)
		g.Remember("acme/app", 9)
		if _, err := g.Token(context.Background(), "acme/app"); err != nil {
			t.Error(err)
		}
		// What GitHub said is not given up for what a delivery says, such as
		// one that is sent again.
		g.Remember("acme/app", 9)
		h.called()
		if id, err := ping(g, "acme/app"); err != nil || id != 1 || len(h.called()) != 1 {
			t.Errorf("installation %d, %v", id, err)
		}
	})
}

func TestNothingIsRememberedWithAToken(t *testing.T) {
	g := withToken(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, 1) })
	g.Remember("acme/app", 1)
	g = asApp(t, newAppHost(nil))
	for _, repo := range []string{"", "acme", "acme/", "/app", "a/b/c", "../x", "acme/.."} {
		g.Remember(repo, 1)
	}
	if len(g.repos) != 0 || len(g.sessions) != 0 {
		t.Errorf("remembered %v", g.repos)
	}
}

func TestNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAppHost(map[string]int64{"acme/app": 1, "acme/gone": 1, "acme/frozen": 2})
		g := asApp(t, h)
		var lost *NotServedError
		if _, err := ping(g, "acme/never"); !errors.As(err, &lost) || lost.Repo != "acme/never" {
			t.Errorf("never installed: %v", err)
		}
		for _, repo := range []string{"acme/gone", "acme/frozen"} {
			if _, err := ping(g, repo); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(2 * time.Minute)
		delete(h.installed, "acme/gone")
		if _, err := ping(g, "acme/gone"); !errors.As(err, &lost) || lost.Repo != "acme/gone" {
			t.Errorf("taken out of the installation: %v", err)
		}
		h.suspended[2] = true
		clear(h.tokens)
		if _, err := ping(g, "acme/frozen"); !errors.As(err, &lost) || lost.Repo != "acme/frozen" {
			t.Errorf("suspended: %v", err)
		}
		if _, err := g.Token(context.Background(), "acme/frozen"); !errors.As(err, &lost) {
			t.Errorf("token of a suspended one: %v", err)
		}
		if id, err := ping(g, "acme/app"); err != nil || id != 1 {
			t.Errorf("the others: %d, %v", id, err)
		}
	})
}

func TestMissingThingIsNotLookedUpForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAppHost(map[string]int64{"acme/app": 1})
		g := asApp(t, h)
		if _, err := ping(g, "acme/app"); err != nil {
			t.Fatal(err)
		}
		h.called()
		for range 5 {
			var missing *NotFoundError
			_, err := g.In(context.Background(), "acme/app", "read a thing", Get("repos/acme/app/thing", nil))
			if !errors.As(err, &missing) || StatusOf(err) != http.StatusNotFound {
				t.Errorf("error %v, want a NotFoundError", err)
			}
		}
		if n := len(h.called()); n != 5 {
			t.Errorf("%d calls for 5 missing things", n)
		}
		<-time.After(2 * time.Minute)
		c := Get("repos/acme/app/thing", nil)
		c.Absent = true
		if _, err := g.In(context.Background(), "acme/app", "read a thing", c); StatusOf(err) != http.StatusNotFound {
			t.Error(err)
		}
		if n := len(h.called()); n != 1 {
			t.Errorf("%d calls where 404 is an answer", n)
		}
	})
}

func TestGitHubDownWhileTokenIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newAppHost(map[string]int64{"acme/app": 1})
		down := func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			refuse(w, http.StatusBadGateway, "down")
			return true
		}
		h.faults = append(h.faults, down, down)
		g := asApp(t, h)
		// Even what must happen once is tried again: it was never sent.
		_, err := g.In(context.Background(), "acme/app", "ping", Call{Method: http.MethodGet, Path: "repos/acme/app/ping", Once: true})
		if err != nil {
			t.Error(err)
		}
		clear(h.tokens)
		g = asApp(t, h)
		h.faults = append(h.faults, down, down)
		if _, err := g.Token(context.Background(), "acme/app"); err != nil {
			t.Error(err)
		}
		g = asApp(t, h)
		h.faults = append(h.faults, down, down, down)
		if _, err := g.Token(context.Background(), "acme/app"); err == nil || StatusOf(err) == 0 {
			t.Errorf("error %v, want GitHub's 502", err)
		}
	})
}

func TestWrongKeyOfApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := New(Config{App: &App{ID: testApp + 1, PrivateKey: keyPEM()}, HTTP: inProcess{newAppHost(nil)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ping(g, "acme/app"); StatusOf(err) != http.StatusUnauthorized {
			t.Errorf("error %v, want GitHub's 401", err)
		}
	})
}

func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	f := TokenFile(path)
	if got, err := cleanToken(f); err == nil {
		t.Errorf("no file: %q", got)
	}
	write := func(s string) {
		t.Helper()
		next := path + ".new"
		if err := os.WriteFile(next, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ content, want string }{
		{"one\n", "one"},
		{"another\n", "another"},
		{"", "another"}, // being replaced
		{"third", "third"},
	} {
		write(test.content)
		if got, err := cleanToken(f); err != nil || got != test.want {
			t.Errorf("file holds %q: %q, %v, want %q", test.content, got, err, test.want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, err := cleanToken(f); err != nil || got != "third" {
		t.Errorf("file is gone: %q, %v, want the last token", got, err)
	}
}

func TestI8_TokenThatIsNoneIsNotShown(t *testing.T) {
	for _, token := range []string{"", "  \n", "se cret", "sec\nret", "secrét"} {
		g := client(t, Config{Token: StaticToken(token), HTTP: inProcess{http.NotFoundHandler()}})
		_, err := ping(g, "acme/app")
		if err == nil || StatusOf(err) != 0 {
			t.Errorf("token %q: %v, want an error before anything is sent", token, err)
			continue
		}
		for _, part := range []string{"cret", "sec"} {
			if token != "" && containsFold(err.Error(), part) {
				t.Errorf("the error shows the token: %v", err)
			}
		}
	}
}
