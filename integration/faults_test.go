package integration

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/integration/sandbox"
)

// story takes one pull request from its opening to its merge, with a second
// one that waits for it, and calls at before each stage.
func (w *world) story(at func(stage string)) (first, second sandbox.Pull) {
	w.t.Helper()
	at("plan")
	first = w.pull("first", map[string]string{"prod/main.tf": w.counted("prod", "two")})
	w.check(first.HeadSHA, "weir/plan", "success")
	w.check(first.HeadSHA, "weir/apply", "action_required")
	w.comment(first, "plan", "two")
	w.quiet()
	at("wait")
	second = w.pull("second", map[string]string{"prod/more.tf": strings.ReplaceAll(resource("three"), `"a"`, `"b"`)})
	w.comment(second, "locked")
	w.check(second.HeadSHA, "weir/plan", "action_required")
	w.quiet()
	at("apply")
	w.review("bob", first, "APPROVE")
	w.check(first.HeadSHA, "weir/apply", "success")
	w.comment(first, "apply", "prod")
	w.quiet()
	at("merge")
	w.merge(first)
	w.owner("prod", second.Number)
	w.check(second.HeadSHA, "weir/plan", "success")
	w.comment(second, "plan")
	w.quiet()
	at("close")
	w.do(w.box.ClosePull("alice", repo, second.Number))
	w.owner("prod", 0)
	w.quiet()
	return first, second
}

// wantStory fails unless the story has left what it leaves without trouble.
func (w *world) wantStory(first, second sandbox.Pull) {
	w.t.Helper()
	w.wantApplied("prod", "two")
	w.wantCounts(first, 1, 1)
	w.wantCounts(second, 1, 0)
	for _, p := range []sandbox.Pull{first, second} {
		for _, kind := range []string{"error", "locked"} {
			if n := w.count(p, kind); n > 0 && (kind == "error" || p.Number != second.Number || n > 1) {
				w.t.Errorf("#%d has %d comments of kind %s", p.Number, n, kind)
			}
		}
	}
	w.noPending(first.HeadSHA, second.HeadSHA)
	if got := w.conclusion(first.HeadSHA, "weir/apply"); got != "success" {
		w.t.Errorf("weir/apply of the applied commit is %q, want success", got)
	}
	if rows := w.locks(); len(rows) != 0 {
		w.t.Errorf("locks that are left: %+v", rows)
	}
}

// faults are the ways in which GitHub does not answer.
var faults = map[string]sandbox.Rule{
	"bad gateway":         {Status: http.StatusBadGateway},
	"done, bad gateway":   {Status: http.StatusBadGateway, Effect: true},
	"cut":                 {},
	"done and cut":        {Effect: true},
	"unavailable":         {Status: http.StatusServiceUnavailable},
	"too much at once":    sandbox.SecondaryLimit(time.Second),
	"hourly limit is out": sandbox.PrimaryLimit(time.Second),
}

// Each route fails twice in each stage, some of them in the middle of a job.
func TestI9_EveryRouteFails(t *testing.T) {
	t.Parallel()
	times := 1
	if os.Getenv("WEIR_CHAOS") != "" {
		times = 2
	}
	for name, rule := range faults {
		if times == 1 && name != "bad gateway" && name != "done and cut" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{})
			routes := []string{
				"GET /repos/{owner}/{repo}/pulls/*", "GET /repos/{owner}/{repo}/pulls/*/reviews", "GET /repos/{owner}/{repo}/collaborators/*/permission",
				"POST /repos/{owner}/{repo}/issues/*/comments", "GET /repos/{owner}/{repo}/issues/*/comments", "PATCH /repos/{owner}/{repo}/issues/comments/*",
				"POST /repos/{owner}/{repo}/check-runs", "PATCH /repos/{owner}/{repo}/check-runs/*", "POST /api/graphql",
			}
			first, second := w.story(func(stage string) {
				w.box.ClearFaults()
				if stage == "plan" {
					w.quiet()
				}
				for _, route := range routes {
					method, pattern, _ := strings.Cut(route, " ")
					one := rule
					one.Method, one.Route, one.Times = method, pattern, times
					w.box.Fault(one)
				}
			})
			w.wantStory(first, second)
		})
	}
}

// GitHub is away altogether, Git included, longer than one call is tried.
func TestI9_GitHubIsAway(t *testing.T) {
	t.Parallel()
	times := 4                                                        // a job is tried again
	stories := []string{"plan and apply and close", "wait and merge"} // none after one that it would hide
	if os.Getenv("WEIR_CHAOS") != "" {
		times, stories = 9, []string{"plan", "wait", "apply", "merge", "close"}
	}
	for _, away := range stories {
		t.Run(away, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{})
			first, second := w.story(func(stage string) {
				if slices.Contains(strings.Split(away, " and "), stage) {
					w.box.Fault(sandbox.Rule{Skip: 1, Times: times, Status: http.StatusBadGateway})
				}
			})
			w.wantStory(first, second)
		})
	}
}
