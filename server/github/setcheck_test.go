package github

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"

	"weir/planner/record"
	"weir/planner/result"
)

func check(name string, status record.CheckStatus) result.Check {
	return result.Check{
		Repo: "acme/app", Head: "h1", Name: name, Status: status, Title: "2 to apply", DetailsURL: "https://weir.example/pulls/acme/app/1",
	}
}

func TestCheckRun(t *testing.T) {
	button := []any{m{"label": "Apply", "description": "Apply exactly the plan that is shown", "identifier": "apply"}}
	for _, a := range button {
		for field, most := range map[string]int{"label": 20, "description": 40, "identifier": 20} {
			if n := len(a.(m)[field].(string)); n > most {
				t.Errorf("%s has %d characters, GitHub allows %d", field, n, most)
			}
		}
	}
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g := asApp(t, h)
		id := int64(0)
		for _, test := range []struct {
			status     record.CheckStatus
			state      string
			conclusion any
			actions    []any
		}{
			{record.InProgress, "in_progress", nil, []any{}},
			{record.ActionRequired, "completed", "action_required", button},
			{record.InProgress, "in_progress", nil, []any{}},
			{record.Success, "completed", "success", []any{}},
			{record.Failure, "completed", "failure", []any{}},
			{record.Cancelled, "completed", "cancelled", []any{}},
		} {
			c := check(result.CheckApply, test.status)
			c.ID = id
			got, err := g.SetCheck(ctx, c, "| table |")
			if err != nil {
				t.Fatal(err)
			}
			if id != 0 && got != id || len(h.runs) != 1 {
				t.Errorf("%s: id %d after %d, %d runs", test.status, got, id, len(h.runs))
			}
			id = got
			want := m{
				"id": id, "app": map[string]int{"id": testApp}, "head_sha": "h1", "name": "weir/apply", "external_id": "weir/apply@h1",
				"details_url": "https://weir.example/pulls/acme/app/1", "status": test.state,
				"output": m{"title": "2 to apply", "summary": "| table |"}, "actions": test.actions,
			}
			if test.conclusion != nil {
				want["conclusion"] = test.conclusion
			}
			if d := gocmp.Diff(want, h.runs[0]); d != "" {
				t.Errorf("%s (-want +got):\n%s", test.status, d)
			}
		}
		// Only weir/apply has a button.
		if _, err := g.SetCheck(ctx, check(result.CheckPlan, record.ActionRequired), ""); err != nil {
			t.Fatal(err)
		}
		if a, ok := h.runs[1]["actions"].([]any); !ok || len(a) != 0 {
			t.Errorf("weir/plan has the buttons %v", a)
		}
	})
}

func TestCheckRunThatWasDeleted(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		c := check(result.CheckPlan, record.Success)
		c.ID = 5
		id, err := asApp(t, h).SetCheck(ctx, c, "x")
		if err != nil || id == 5 || len(h.runs) != 1 {
			t.Errorf("id %d, %v, %d runs", id, err, len(h.runs))
		}
	})
}

func TestI5_OneCheckRun(t *testing.T) {
	for name, f := range map[string]fault{
		"502 before": {status: 502}, "502 after": {status: 502, after: true}, "broken before": {}, "broken after": {after: true},
	} {
		t.Run(name, func(t *testing.T) {
			apart(t, func(t *testing.T, ctx context.Context, h *host) {
				// The same name by another App, and by weir on another commit.
				h.runs = append(h.runs,
					m{"id": 1, "name": "weir/plan", "external_id": "weir/plan@h1", "head_sha": "h1", "app": m{"id": 1}},
					m{"id": 2, "name": "weir/plan", "external_id": "weir/plan@h0", "head_sha": "h0", "app": m{"id": testApp}})
				failed := false
				h.fault = func(r *http.Request) *fault {
					if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/check-runs") && !failed {
						failed = true
						return &f
					}
					return nil
				}
				id, err := asApp(t, h).SetCheck(ctx, check(result.CheckPlan, record.Success), "x")
				if err != nil || len(h.runs) != 3 {
					t.Fatalf("%v, %d runs, want 3", err, len(h.runs))
				}
				if run := h.runs[2]; run["id"] != id || run["conclusion"] != "success" {
					t.Errorf("id %d of %v", id, run)
				}
			})
		})
	}
}

func TestCommitStatus(t *testing.T) {
	for status, want := range map[record.CheckStatus]string{
		record.InProgress: "pending", record.ActionRequired: "pending", record.Success: "success",
		record.Failure: "failure", record.Cancelled: "error",
	} {
		apart(t, func(t *testing.T, ctx context.Context, h *host) {
			failed := false
			h.fault = func(*http.Request) *fault {
				if !failed {
					failed = true
					return &fault{after: true}
				}
				return nil
			}
			c := check(result.CheckApply, status)
			c.Title = "waits\nfor " + strings.Repeat("ü", 200)
			c.DetailsURL = "/relative"
			id, err := withToken(t, h).SetCheck(ctx, c, "not shown")
			if err != nil || len(h.statuses) != 1 {
				t.Fatalf("%v, %d statuses", err, len(h.statuses))
			}
			s := h.statuses[0]
			d := s["description"].(string)
			if s["state"] != want || s["context"] != "weir/apply" || s["id"] != id || s["target_url"] != nil ||
				utf8.RuneCountInString(d) != 140 || !strings.HasPrefix(d, "waits for ü") || !strings.HasSuffix(d, "…") {
				t.Errorf("%s: %v", status, s)
			}
		})
	}
}

func TestCutSummary(t *testing.T) {
	line := strings.Repeat("x", 99) + "\n"
	for name, s := range map[string]string{
		"short":             "hello",
		"just fits":         strings.Repeat("x", maxSummary),
		"one line":          strings.Repeat("x", maxSummary+1),
		"lines":             strings.Repeat(line, 700),
		"an open fence":     "intro\n```diff\n" + strings.Repeat(line, 700) + "```\n",
		"a closed fence":    "```diff\n+ a\n```\n" + strings.Repeat(line, 700),
		"wide characters":   strings.Repeat("日本", 20_000),
		"begins as a fence": "```\n" + strings.Repeat(line, 700),
	} {
		got := cutSummary(s)
		fences := 0
		for l := range strings.Lines(got) {
			if strings.HasPrefix(l, "```") {
				fences++
			}
		}
		if len(got) > maxSummary || !utf8.ValidString(got) || fences%2 != 0 {
			t.Errorf("%s: %d bytes, %d fences, ends %q", name, len(got), fences, got[max(0, len(got)-40):])
		}
		if len(s) <= maxSummary != (got == s) {
			t.Errorf("%s: was changed without need, or not", name)
		}
		if len(s) > maxSummary && len(got) < maxSummary-250 {
			t.Errorf("%s: cut to %d bytes", name, len(got))
		}
	}
}
