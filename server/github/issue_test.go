package github

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"weir/drift/finding"
)

const drifted = "<!-- weir kind=drift project=prod -->\nIt drifted."

// tracker keeps the issues of a host.
type tracker struct {
	*host
	issues []map[string]any
	labels []string
	people []string // who can be assigned
	dead   []string // who makes GitHub refuse all that are assigned with them
}

func newTracker(h *host) *tracker {
	k := &tracker{host: h, people: []string{"alice", "bob"}}
	h.more = k.serve
	return k
}

// file adds an issue of anybody's.
func (k *tracker) file(login, body string, labels ...string) int {
	var list []any
	for _, l := range labels {
		list = append(list, map[string]any{"name": l})
	}
	kind := "User"
	if strings.HasSuffix(login, "[bot]") || login == k.self && k.bot {
		kind = "Bot"
	}
	n := len(k.issues) + 1
	k.issues = append(k.issues, map[string]any{
		"number": n, "title": "x", "body": body, "state": "open", "labels": list, "user": map[string]any{"login": login, "type": kind},
	})
	return n
}

func (k *tracker) serve(w http.ResponseWriter, r *http.Request, path string, body map[string]any) bool {
	parts := strings.Split(path, "/")
	number := 0
	if len(parts) > 1 {
		_, _ = fmt.Sscan(parts[1], &number)
	}
	switch {
	case r.Method == http.MethodPost && path == "labels":
		if slices.Contains(k.labels, body["name"].(string)) {
			refuse(w, http.StatusUnprocessableEntity, "Validation Failed")
			return true
		}
		k.labels = append(k.labels, body["name"].(string))
		answer(w, http.StatusCreated, body)
	case r.Method == http.MethodPost && path == "issues":
		assignees := seq(body["assignees"])
		for _, a := range assignees {
			if !slices.Contains(k.people, a.(string)) {
				refuse(w, http.StatusUnprocessableEntity, "Validation Failed")
				return true
			}
		}
		var labels []string
		for _, l := range seq(body["labels"]) {
			labels = append(labels, l.(string))
		}
		i := k.issues[k.file(k.self, body["body"].(string), labels...)-1]
		i["title"] = body["title"]
		i["assignees"] = logins(assignees)
		answer(w, http.StatusCreated, i)
	case r.Method == http.MethodGet && path == "issues":
		var all []map[string]any
		for _, i := range k.issues {
			if labels := seq(i["labels"]); r.URL.Query().Get("state") == "all" && slices.ContainsFunc(labels, func(l any) bool {
				return obj(l)["name"] == r.URL.Query().Get("labels")
			}) {
				all = append(all, i)
			}
		}
		page(w, r, all, func(p []map[string]any) any { return p })
	case parts[0] != "issues" || number == 0 || slices.Contains(parts, "comments"):
		return false
	case number > len(k.issues):
		refuse(w, http.StatusGone, "This issue was deleted")
	case r.Method == http.MethodPatch:
		maps.Copy(k.issues[number-1], body)
		answer(w, http.StatusOK, k.issues[number-1])
	case strings.HasSuffix(path, "/assignees"):
		i := k.issues[number-1]
		now := seq(i["assignees"])
		if slices.ContainsFunc(seq(body["assignees"]), func(a any) bool { return slices.Contains(k.dead, a.(string)) }) {
			refuse(w, http.StatusUnprocessableEntity, "Validation Failed")
			return true
		}
		for _, a := range seq(body["assignees"]) {
			if slices.Contains(k.people, a.(string)) {
				now = append(now, logins([]any{a})...)
			}
		}
		i["assignees"] = now
		answer(w, http.StatusCreated, i)
	default:
		answer(w, http.StatusOK, k.issues[number-1])
	}
	return true
}

// seq and obj are a list and an object of JSON, empty for anything else.
func seq(v any) []any {
	list, _ := v.([]any)
	return list
}

func obj(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

func logins(names []any) []any {
	list := []any{}
	for _, n := range names {
		list = append(list, map[string]any{"login": n})
	}
	return list
}

// issueCalls are the calls about issues since the last time.
func (k *tracker) issueCalls() string {
	var s []string
	for _, c := range k.called() {
		if strings.HasSuffix(c, " issues") {
			s = append(s, strings.TrimSuffix(c, " issues"))
		}
	}
	return strings.Join(s, " ")
}

// TestI5_OneIssue opens under each kind of trouble: what stands there
// afterwards is one issue.
func TestI5_OneIssue(t *testing.T) {
	opening := func(r *http.Request) bool {
		return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/issues")
	}
	for name, test := range map[string]struct {
		faults []fault
		calls  string
	}{
		"fine":                       {nil, "GET POST"},
		"502 before it is opened":    {[]fault{{status: 502}}, "GET POST GET POST"},
		"502 after it was opened":    {[]fault{{status: 502, after: true}}, "GET POST GET"},
		"broken before it is opened": {[]fault{{}}, "GET POST GET POST"},
		"broken after it was opened": {[]fault{{after: true}}, "GET POST GET"},
		"twice":                      {[]fault{{status: 504}, {after: true}}, "GET POST GET POST GET"},
	} {
		t.Run(name, func(t *testing.T) {
			apart(t, func(t *testing.T, ctx context.Context, h *host) {
				g, k := asApp(t, h), newTracker(h)
				left := test.faults
				h.fault = func(r *http.Request) *fault {
					if !opening(r) || len(left) == 0 {
						return nil
					}
					f := left[0]
					left = left[1:]
					return &f
				}
				issue := finding.Issue{Title: "Drift in prod", Body: drifted, Open: true, Labels: []string{"infra"}, Assignees: []string{"alice"}}
				want := finding.Issue{Number: 1, Title: "Drift in prod", Body: drifted, Open: true, Labels: []string{"infra", "drift"}, Assignees: []string{"alice"}}
				for range 2 { // the second time after a crash, say
					got, err := g.OpenIssue(ctx, "acme/app", issue)
					if err != nil {
						t.Fatal(err)
					}
					if d := gocmp.Diff(want, got); d != "" {
						t.Errorf("(-want +got):\n%s", d)
					}
					if n := len(k.issues); n != 1 {
						t.Fatalf("%d issues stand there, want one", n)
					}
					if calls := k.issueCalls(); calls != test.calls {
						t.Errorf("calls %q, want %q", calls, test.calls)
					}
					test.calls = "GET"
				}
				if d := gocmp.Diff([]string{"infra", "drift"}, k.labels); d != "" {
					t.Errorf("labels (-want +got):\n%s", d)
				}
			})
		})
	}
}

// TestI6_IssuesAreFoundByTheirWholeMarker opens one beside others that look
// like it.
func TestI6_IssuesAreFoundByTheirWholeMarker(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g, k := asApp(t, h), newTracker(h)
		k.file(h.self, "<!-- weir kind=drift project=prod-eu -->\n", "drift")
		k.file("mallory", drifted, "drift")
		k.file("weir", drifted, "drift") // a person of the bot's name
		k.file(h.self, "text\n"+drifted, "drift")
		k.file(h.self, drifted)          // somebody took the label off
		k.file(h.self, drifted, "drift") // a pull request
		k.issues[5]["pull_request"] = map[string]any{"url": "https://github.example"}
		got, err := g.OpenIssue(ctx, "acme/app", finding.Issue{Title: "x", Body: drifted})
		if err != nil || got.Number != 7 {
			t.Fatalf("opened %+v, %v, want a seventh issue", got, err)
		}
		k.file(h.self, strings.ReplaceAll(drifted, "\n", "\r\n"), "drift")
		k.issues[6]["state"] = "closed"
		if got, err = g.OpenIssue(ctx, "acme/app", finding.Issue{Title: "x", Body: drifted}); err != nil || got.Number != 7 || got.Open {
			t.Errorf("again: %+v, %v, want the oldest, though it is closed", got, err)
		}
		all, err := g.DriftIssues(ctx, "acme/app")
		var numbers []int
		for _, i := range all {
			numbers = append(numbers, i.Number)
		}
		if d := gocmp.Diff([]int{1, 7, 8}, numbers); d != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, d)
		}
		for n, mine := range map[int]bool{1: true, 2: false, 3: false, 4: false, 6: false, 7: true, 99: false} {
			i, err := g.Issue(ctx, "acme/app", n)
			var missing *NotFoundError
			if mine && (err != nil || i.Number != n) || !mine && !errors.As(err, &missing) {
				t.Errorf("#%d: %+v, %v", n, i, err)
			}
		}
	})
}

func TestIssuesOfManyPages(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g, k := asApp(t, h), newTracker(h)
		for i := range 250 {
			k.file(h.self, fmt.Sprintf("<!-- weir kind=drift project=p%d -->", i), "drift")
		}
		if all, err := g.DriftIssues(ctx, "acme/app"); err != nil || len(all) != 250 {
			t.Errorf("%d issues, %v, want 250", len(all), err)
		}
	})
}

func TestNobodyWhoCannotBeAssigned(t *testing.T) {
	var crowd, ten []string
	for n := range 15 {
		crowd = append(crowd, fmt.Sprintf("p%d", n))
	}
	ten = crowd[:10]
	for name, test := range map[string]struct {
		wanted, people, dead []string
		assigning            int // status that GitHub refuses to assign with, 0 for none
		want                 []string
		calls                string
	}{
		"nobody wanted":       {nil, nil, nil, 0, nil, "GET issues, POST issues"},
		"all can":             {[]string{"alice", "bob"}, []string{"alice", "bob"}, nil, 0, []string{"alice", "bob"}, "GET issues, POST issues"},
		"one cannot":          {[]string{"alice", "left-us"}, []string{"alice"}, nil, 0, []string{"alice"}, "GET issues, POST issues, POST issues, POST issues/1/assignees"},
		"nobody can":          {[]string{"left-us"}, nil, nil, 0, nil, "GET issues, POST issues, POST issues, POST issues/1/assignees"},
		"one who spoils it":   {[]string{"left-us", "bob"}, []string{"bob"}, []string{"left-us"}, 0, []string{"bob"}, "GET issues, POST issues, POST issues, POST issues/1/assignees, POST issues/1/assignees, POST issues/1/assignees"},
		"weir may not":        {[]string{"left-us", "bob"}, []string{"bob"}, nil, 403, nil, "GET issues, POST issues, POST issues, POST issues/1/assignees"},
		"weir may not see it": {[]string{"left-us", "bob"}, []string{"bob"}, nil, 404, nil, "GET issues, POST issues, POST issues, POST issues/1/assignees"},
		"too many":            {crowd, crowd, nil, 0, ten, "GET issues, POST issues"},
	} {
		t.Run(name, func(t *testing.T) {
			apart(t, func(t *testing.T, ctx context.Context, h *host) {
				g, k := asApp(t, h), newTracker(h)
				k.people, k.dead = test.people, test.dead
				h.fault = func(r *http.Request) *fault {
					if test.assigning > 0 && strings.HasSuffix(r.URL.Path, "/assignees") {
						return &fault{status: test.assigning}
					}
					return nil
				}
				opened, err := g.OpenIssue(ctx, "acme/app", finding.Issue{Title: "x", Body: drifted, Assignees: test.wanted})
				if err != nil || opened.Number != 1 {
					t.Fatalf("opened %+v, %v", opened, err)
				}
				var calls []string
				for _, c := range h.called() {
					if strings.Contains(c, " issues") {
						calls = append(calls, c)
					}
				}
				if got := strings.Join(calls, ", "); got != test.calls {
					t.Errorf("calls %q, want %q", got, test.calls)
				}
				h.fault = nil
				got, err := g.Issue(ctx, "acme/app", 1)
				if err != nil || !slices.Equal(got.Assignees, test.want) || len(k.issues) != 1 {
					t.Errorf("%+v, %v, %d issues, want %v", got, err, len(k.issues), test.want)
				}
			})
		})
	}
}

func TestEditIssue(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g, k := asApp(t, h), newTracker(h)
		k.file(h.self, drifted, "drift")
		for _, test := range []struct {
			edit, want finding.Issue
		}{
			{finding.Issue{Number: 1, Open: true, Title: "new"}, finding.Issue{Number: 1, Open: true, Title: "new", Body: drifted, Labels: []string{"drift"}}},
			{finding.Issue{Number: 1}, finding.Issue{Number: 1, Title: "new", Body: drifted, Labels: []string{"drift"}}},
			{finding.Issue{Number: 1, Open: true, Body: drifted + "!"}, finding.Issue{Number: 1, Open: true, Title: "new", Body: drifted + "!", Labels: []string{"drift"}}},
		} {
			if err := g.EditIssue(ctx, "acme/app", test.edit); err != nil {
				t.Fatal(err)
			}
			got, err := g.Issue(ctx, "acme/app", 1)
			if d := gocmp.Diff(test.want, got); d != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, d)
			}
		}
		var missing *NotFoundError
		if err := g.EditIssue(ctx, "acme/app", finding.Issue{Number: 9}); !errors.As(err, &missing) {
			t.Errorf("deleted: %v, want a NotFoundError", err)
		}
	})
}

func TestIssuesThatAreRefused(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g := asApp(t, h)
		for _, bad := range []string{"", "hello", "\n" + drifted, marker + strings.Repeat("x", maxComment)} {
			if _, err := g.OpenIssue(ctx, "acme/app", finding.Issue{Title: "x", Body: bad}); err == nil {
				t.Errorf("%.20q: no error", bad)
			}
		}
		if n := len(h.called()); n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}
