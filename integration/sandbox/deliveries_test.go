package sandbox

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"
)

// Deliveries are paged by a cursor that only the Link header tells; a delivery
// that is made meanwhile moves no page.
func TestDeliveriesAreListedByCursor(t *testing.T) {
	s := start(t, Config{})
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-GitHub-Event") == "push" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer sink.Close()
	s.SetHook(Hook{URL: sink.URL, Secret: "x"})
	change(t, s, "b")
	must(t, func() error { return s.WaitDelivered(patience(t)) })
	app := client{t, s, sign(t, s, goodClaims())}
	next := regexp.MustCompile(`^<[^>]*/api/v3(/app/hook/deliveries\?[^>]*cursor=[^>]*)>; rel="next"$`)
	var seen []string
	want := len(s.Deliveries())
	for path := "/app/hook/deliveries?per_page=2"; path != ""; {
		status, got, header := app.do("GET", path, nil)
		if status != 200 {
			t.Fatalf("%s answered %d: %v", path, status, got)
		}
		for _, d := range got.(list) {
			seen = append(seen, id(d.(object)))
		}
		if path == "/app/hook/deliveries?per_page=2" {
			must(t, func() error { _, err := s.Comment("bob", "acme/infra", 1, "Meanwhile."); return err })
			must(t, func() error { return s.WaitDelivered(patience(t)) })
		}
		m := next.FindStringSubmatch(header.Get("Link"))
		if path = ""; m != nil {
			path = m[1]
		}
	}
	if len(seen) != want || len(seen) != len(slices.Compact(slices.Sorted(slices.Values(seen)))) {
		t.Errorf("paged through %d deliveries %v, want each of %d once", len(seen), seen, want)
	}
	for outcome, good := range map[string]bool{"success": true, "failure": false} {
		_, got, _ := app.do("GET", "/app/hook/deliveries?status="+outcome, nil)
		if len(got.(list)) == 0 {
			t.Errorf("no delivery with status %s", outcome)
		}
		for _, d := range got.(list) {
			if push := d.(object)["event"] == "push"; push == good {
				t.Errorf("status=%s lists %v", outcome, d)
			}
		}
	}
}
