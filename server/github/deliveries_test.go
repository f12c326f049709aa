package github

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/planner/reconcile"
)

func TestDeliveries(t *testing.T) {
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	h := newHost()
	h.objects["GET /app/hook/deliveries"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("per_page") != "100" || q.Has("page") {
			t.Errorf("asked for %s", r.URL)
		}
		if q.Get("cursor") == "" {
			w.Header().Set("Link", `<https://api.github.com/app/hook/deliveries?per_page=100&cursor=v1_12%2B>; rel="next"`)
			answer(w, http.StatusOK, []map[string]any{{
				"id": 13, "guid": "g", "delivered_at": at, "redelivery": true, "duration": 0.1, "status": "timed out", "status_code": 0,
				"event": "pull_request", "action": "opened", "installation_id": 7, "repository_id": 8,
			}})
			return
		}
		if q.Get("cursor") != "v1_12+" {
			t.Errorf("the cursor is %q", q.Get("cursor"))
		}
		answer(w, http.StatusOK, []map[string]any{{
			"id": 12, "guid": "f", "delivered_at": at, "redelivery": false, "duration": 0.1, "status": "OK", "status_code": 202,
			"event": "push", "action": nil, "installation_id": nil, "repository_id": nil,
		}})
	})
	h.objects["POST /app/hook/deliveries/13/attempts"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusAccepted, map[string]any{})
	})
	g := asApp(t, h)
	var got []reconcile.Delivery
	cursor, pages := "", 0
	for pages == 0 || cursor != "" {
		page, next, err := g.Deliveries(t.Context(), cursor)
		if err != nil {
			t.Fatal(err)
		}
		got, cursor, pages = append(got, page...), next, pages+1
	}
	want := []reconcile.Delivery{
		{ID: 13, GUID: "g", Event: "pull_request", Action: "opened", At: at, Status: "timed out", Redelivery: true},
		{ID: 12, GUID: "f", Event: "push", At: at, Code: 202, Status: "OK"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := g.Redeliver(t.Context(), 13); err != nil {
		t.Error(err)
	}
	var gone *NotFoundError
	if err := g.Redeliver(t.Context(), 14); !errors.As(err, &gone) {
		t.Errorf("a delivery that is gone: %v", err)
	}
	if diff := cmp.Diff([]string{
		"GET /app/hook/deliveries", "GET /app/hook/deliveries", "POST /app/hook/deliveries/13/attempts", "POST /app/hook/deliveries/14/attempts",
	}, h.called()); diff != "" {
		t.Errorf("calls: -want +got:\n%s", diff)
	}
}

func TestDeliveriesNeedAnApp(t *testing.T) {
	g := withToken(t, newHost())
	var not *UnsupportedError
	if _, _, err := g.Deliveries(t.Context(), ""); !errors.As(err, &not) {
		t.Errorf("got %v", err)
	}
	if repos, err := g.Repositories(t.Context()); err != nil || repos != nil {
		t.Errorf("got %v, %v", repos, err)
	}
}

func TestRepositories(t *testing.T) {
	h := newHost()
	installations := []any{
		map[string]any{"id": 7, "suspended_at": nil}, map[string]any{"id": 8, "suspended_at": "2026-01-01T00:00:00Z"},
	}
	var repos []any
	for i := range 101 {
		repos = append(repos, map[string]any{"full_name": fmt.Sprintf("acme/r%d", i), "archived": i == 50})
	}
	h.objects["GET /app/installations"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page(w, r, installations, func(p []any) any { return p })
	})
	h.objects["GET /installation/repositories"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page(w, r, repos, func(p []any) any { return map[string]any{"total_count": len(repos), "repositories": p} })
	})
	got, err := asApp(t, h).Repositories(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 100 || got[0] != "acme/r0" || got[49] != "acme/r49" || got[50] != "acme/r51" || got[99] != "acme/r100" {
		t.Errorf("got %d: %v", len(got), got)
	}
	if diff := cmp.Diff([]string{
		"GET /app/installations", "POST /app/installations/7/access_tokens", "GET /installation/repositories", "GET /installation/repositories",
	}, h.called()); diff != "" {
		t.Errorf("calls: -want +got:\n%s", diff)
	}
}

func TestOpenPulls(t *testing.T) {
	h := newHost()
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	var all []map[string]any
	for i := range 101 {
		all = append(all, map[string]any{
			"number": i + 1, "state": "open", "draft": i == 0, "title": "Change", "html_url": "https://x.example/p", "updated_at": at,
			"user": map[string]any{"login": "alice"},
			"head": map[string]any{"sha": fmt.Sprintf("%040d", i), "ref": "change", "repo": map[string]any{"id": 1, "full_name": "acme/app"}},
			"base": map[string]any{"sha": "b", "ref": "main", "repo": map[string]any{"id": 1, "full_name": "acme/app"}},
		})
	}
	all[100]["head"] = map[string]any{"sha": nil}
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("state") != "open" || q.Get("sort") != "updated" || q.Get("direction") != "desc" {
			t.Errorf("asked for %s", r.URL)
		}
		page(w, r, all, func(p []map[string]any) any { return p })
	})
	h.objects["GET pulls"], h.objects["GET /repos/Acme/app/pulls"] = serve, serve
	h.objects["GET /repos/Acme/app/installation"] = fixed(http.StatusOK, map[string]int{"id": 7})
	g := asApp(t, h)
	first, err := g.OpenPulls(t.Context(), "Acme/app", 1)
	if err != nil || len(first.Pulls) != 100 || first.Next != 2 || first.Repo != "acme/app" {
		t.Fatalf("got %d of %s and then page %d: %v", len(first.Pulls), first.Repo, first.Next, err)
	}
	p := first.Pulls[0]
	if p.Number != 1 || p.Head != fmt.Sprintf("%040d", 0) || p.Base != "main" || !p.Open || !p.Draft || p.Fork || !p.UpdatedAt.Equal(at) || p.Author != "alice" {
		t.Errorf("got %+v", p)
	}
	last, err := g.OpenPulls(t.Context(), "acme/app", 2)
	if err != nil || len(last.Pulls) != 0 || last.Next != 0 {
		t.Errorf("what has no head is left out; got %+v: %v", last, err)
	}
}
