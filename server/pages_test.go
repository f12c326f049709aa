package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/locks"
	"weir/planner/work"
	"weir/server/config"
	"weir/templates"
)

// lookedAt is a server with nothing but a store and its pages.
func lookedAt(t *testing.T, dead func(context.Context) (int, error)) *Server {
	t.Helper()
	pages, err := templates.NewPages()
	if err != nil {
		t.Fatal(err)
	}
	db := newReplicas(t).store
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	s := &Server{
		cfg: &config.Config{}, store: db, pages: pages, log: log,
		queue: &work.Queue{Store: db, Log: log}, locks: &locks.Locks{Store: db},
	}
	s.newMeter(dead)
	return s
}

func look(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	w := httptest.NewRecorder()
	handler(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
	return w.Body.String()
}

func TestDeadLetters(t *testing.T) {
	for _, c := range []struct {
		name                 string
		dead                 func(context.Context) (int, error)
		home, locks, metrics []string // what stands there
		not                  string   // what stands nowhere
	}{
		{"no queue", nil, nil, nil, nil, "ispatch"},
		{
			"none",
			func(context.Context) (int, error) { return 0, nil },
			[]string{"Dispatch: fine", "no dead letters"},
			nil,
			[]string{"\nweir_dispatch_dead 0\n"},
			"have a look",
		},
		{
			"some",
			func(context.Context) (int, error) { return 3, nil },
			[]string{"Dispatch: have a look", "holds about 3"},
			[]string{"Dispatch: have a look", "holds about 3"},
			[]string{"\nweir_dispatch_dead 3\n"},
			"fine</span> no dead",
		},
		{
			"away",
			func(context.Context) (int, error) { return 0, errors.New("AccessDenied") },
			[]string{"Dispatch: have a look", "cannot be read"},
			[]string{"cannot be read"},
			[]string{"\nweir_dispatch_dead -1\n"},
			"AccessDenied",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := lookedAt(t, c.dead)
			for place, p := range map[string]struct {
				handler http.HandlerFunc
				want    []string
			}{
				"/": {s.pageHome, c.home}, "/locks": {s.pageLocks, c.locks}, "/metrics": {s.metrics.Handler().ServeHTTP, c.metrics},
			} {
				text := look(t, p.handler)
				for _, want := range p.want {
					if !strings.Contains(text, want) {
						t.Errorf("%s: no %q in\n%s", place, want, text)
					}
				}
				if strings.Contains(text, c.not) {
					t.Errorf("%s: there is a %q in\n%s", place, c.not, text)
				}
			}
		})
	}
}

// Each view of a page and each scrape was a call to SQS.
func TestDeadLettersAreCountedOnce(t *testing.T) {
	asked := 0
	s := lookedAt(t, func(context.Context) (int, error) { asked++; return asked, nil })
	synctest.Test(t, func(t *testing.T) {
		for range 10 {
			s.deadLetters(t.Context())
			look(t, s.metrics.Handler().ServeHTTP)
		}
		if asked != 1 {
			t.Errorf("asked %d times, want once", asked)
		}
		<-time.After(time.Minute)
		if got := s.deadLetters(t.Context()); !strings.Contains(got[0].Text, "holds about 2") {
			t.Errorf("after a minute: %+v", got)
		}
	})
}

// A lock that another repository's pull request keeps was shown as nobody's.
func TestLocksOfOneState(t *testing.T) {
	s := lookedAt(t, nil)
	take := func(repo string, pull int, dir string) {
		if _, err := s.locks.Acquire(t.Context(), repo, pull, []locks.Want{{Key: locks.Key{Dir: dir, Workspace: "default"}, State: "one"}}); err != nil {
			t.Fatal(err)
		}
	}
	take("acme/other", 12, "here")
	take("acme/infra", 9, "envs/shared")
	var got struct{ Locks []apiLock }
	if err := json.Unmarshal([]byte(look(t, s.apiLocks)), &got); err != nil {
		t.Fatal(err)
	}
	for i := range got.Locks {
		got.Locks[i].Since, got.Locks[i].Epoch = time.Time{}, 0
	}
	want := []apiLock{
		{Repo: "acme/infra", Dir: "envs/shared", Workspace: "default", Waiters: []int{9}, Holder: &apiHolder{Repo: "acme/other", Pull: 12}},
		{Repo: "acme/other", Dir: "here", Workspace: "default", Pull: 12, Waiters: []int{}},
	}
	if diff := cmp.Diff(want, got.Locks); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	page := look(t, s.pageLocks)
	if link := `<a href="/pulls/acme/other/12">acme/other#12</a>`; !strings.Contains(page, link) {
		t.Errorf("no %s in\n%s", link, page)
	}
}
