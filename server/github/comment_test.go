package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

const body = "<!-- weir kind=plan job=01J -->\nthe plan"

func commentCalls(h *host) string {
	var s []string
	for _, c := range h.called() {
		if strings.Contains(c, "comments") {
			s = append(s, strings.ReplaceAll(c, " issues/1/comments", ""))
		}
	}
	return strings.Join(s, " ")
}

// TestI5_OneComment posts under each kind of trouble: what stands on the pull
// request afterwards is one comment.
func TestI5_OneComment(t *testing.T) {
	posts := func(r *http.Request) bool {
		return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/comments")
	}
	// first fails the first n requests that match.
	first := func(n int, match func(*http.Request) bool, f fault) func(*http.Request) *fault {
		return func(r *http.Request) *fault {
			if match(r) && n > 0 {
				n--
				return &f
			}
			return nil
		}
	}
	lists := func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/comments")
	}
	for name, test := range map[string]struct {
		fault func(*http.Request) *fault
		fresh bool
		calls string
	}{
		"fine":                       {nil, true, "POST"},
		"fine, but tried before":     {nil, false, "GET POST"},
		"502 before it is posted":    {first(1, posts, fault{status: 502}), true, "POST GET POST"},
		"502 after it was posted":    {first(1, posts, fault{status: 502, after: true}), true, "POST GET"},
		"broken before it is posted": {first(1, posts, fault{}), true, "POST GET POST"},
		"broken after it was posted": {first(1, posts, fault{after: true}), true, "POST GET"},
		"twice, then posted unseen":  {first(2, posts, fault{status: 504}), true, "POST GET POST GET POST"},
		"looking fails too": {func() func(*http.Request) *fault {
			a, b := first(1, posts, fault{after: true}), first(2, lists, fault{status: 503})
			return func(r *http.Request) *fault {
				if f := a(r); f != nil {
					return f
				}
				return b(r)
			}
		}(), true, "POST GET GET GET"},
	} {
		t.Run(name, func(t *testing.T) {
			apart(t, func(t *testing.T, ctx context.Context, h *host) {
				h.fault = test.fault
				g := withToken(t, h)
				got, err := g.PostComment(ctx, "acme/app", 1, body, test.fresh)
				if err != nil {
					t.Fatal(err)
				}
				if n := len(h.comments); n != 1 {
					t.Fatalf("%d comments stand there, want one", n)
				}
				if calls := commentCalls(h); calls != test.calls {
					t.Errorf("calls %q, want %q", calls, test.calls)
				}
				c := h.comments[0]
				if d := gocmp.Diff(Comment{ID: c.ID, Node: c.Node, At: c.Updated, URL: c.URL}, got); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
				// The job is done once more, after a crash say.
				if again, err := g.PostComment(ctx, "acme/app", 1, body, false); err != nil || again != got || len(h.comments) != 1 {
					t.Errorf("again: %+v, %v, %d comments", again, err, len(h.comments))
				}
			})
		})
	}
}

func TestI5_PostGivesUpAndIsResumed(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g := withToken(t, h)
		h.fault = func(r *http.Request) *fault {
			return &fault{status: 502, after: r.Method == http.MethodPost && len(h.comments) == 0}
		}
		if _, err := g.PostComment(ctx, "acme/app", 1, body, true); err == nil {
			t.Error("GitHub is down: no error")
		}
		h.fault = nil
		got, err := g.PostComment(ctx, "acme/app", 1, body, false)
		if err != nil || len(h.comments) != 1 || got.ID != h.comments[0].ID {
			t.Errorf("later: %+v, %v, %d comments", got, err, len(h.comments))
		}
	})
	apart(t, func(t *testing.T, _ context.Context, h *host) {
		g := withToken(t, h)
		h.fault = func(*http.Request) *fault { return &fault{after: true} }
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		if _, err := g.PostComment(ctx, "acme/app", 1, body, true); err == nil || len(h.comments) != 1 {
			t.Errorf("ended by its context: %v, %d comments", err, len(h.comments))
		}
	})
}

func TestI5_OnlyOwnCommentsCount(t *testing.T) {
	for name, test := range map[string]struct {
		client func(*testing.T, *host) *Client
		self   string // as whom it stands; "" of nobody known
		login  string // of whoever wrote the same first line
		found  bool
	}{
		"own":                           {withToken, "weir-bot", "weir-bot", true},
		"own, spelt otherwise":          {withToken, "weir-bot", "Weir-Bot", true},
		"a copy by somebody":            {withToken, "weir-bot", "mallory", false},
		"own as an App":                 {asApp, "weir[bot]", "weir[bot]", true},
		"a copy by a user of that name": {asApp, "weir[bot]", "weir", false},
		"another bot":                   {asApp, "weir[bot]", "copy[bot]", false},
		"nobody known: a bot":           {withToken, "", "github-actions[bot]", true},
		"nobody known: a user":          {withToken, "", "mallory", false},
		"a server without users":        {withoutUsers, "", "somebody", true},
		"an App that is not told":       {appUntold, "weir[bot]", "weir[bot]", true},
		"the same, by a user":           {appUntold, "weir[bot]", "mallory", false},
	} {
		t.Run(name, func(t *testing.T) {
			apart(t, func(t *testing.T, ctx context.Context, h *host) {
				g := test.client(t, h)
				h.self = test.self
				h.say(test.login, body)
				if _, err := g.PostComment(ctx, "acme/app", 1, body, false); err != nil {
					t.Fatal(err)
				}
				if found := len(h.comments) == 1; found != test.found {
					t.Errorf("found it: %v, want %v", found, test.found)
				}
			})
		})
	}
}

func withoutUsers(t *testing.T, h *host) *Client {
	t.Helper()
	h.noUsers = true
	return withToken(t, h)
}

func appUntold(t *testing.T, h *host) *Client {
	t.Helper()
	h.noUsers = true
	return asApp(t, h)
}

// TestI5_CopiesOfAComment lets somebody copy weir's comment, where nobody can
// tell who wrote which.
func TestI5_CopiesOfAComment(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g := withoutUsers(t, h)
		own, err := g.PostComment(ctx, "acme/app", 1, body, true)
		if err != nil {
			t.Fatal(err)
		}
		h.say("mallory", body+" that I wrote")
		if got, err := g.PostComment(ctx, "acme/app", 1, body, false); err != nil || got.ID != own.ID {
			t.Errorf("took %+v for weir's, %v", got, err)
		}
	})
}

// TestCommentIsFoundWithoutALastPage reads lists whose end nobody tells.
func TestCommentIsFoundWithoutALastPage(t *testing.T) {
	for _, at := range []int{0, 150, 549} {
		apart(t, func(t *testing.T, ctx context.Context, h *host) {
			h.noLast = true
			for i := range 550 {
				text := "hello"
				if i == at {
					text = body
				}
				h.say(h.self, text)
			}
			if _, err := withToken(t, h).PostComment(ctx, "acme/app", 1, body, false); err != nil || len(h.comments) != 550 {
				t.Errorf("%d: %v, %d comments, want 550", at, err, len(h.comments))
			}
		})
	}
}

func TestCommentIsFoundAmongMany(t *testing.T) {
	for _, test := range []struct{ total, at, calls int }{
		{5, 0, 1}, {5, 4, 1}, {100, 99, 1}, {101, 100, 2}, {101, 5, 1}, {550, 549, 2}, {550, 480, 3}, {550, 150, 6}, {550, -1, 7},
	} {
		apart(t, func(t *testing.T, ctx context.Context, h *host) {
			for i := range test.total {
				text := fmt.Sprintf("<!-- weir kind=plan job=%d -->\nx", i)
				if i == test.at {
					text = strings.Replace(body, "\n", "\r\n", 1) + ", edited since"
				}
				h.say(h.self, text)
			}
			if _, err := withToken(t, h).PostComment(ctx, "acme/app", 1, body, false); err != nil {
				t.Fatal(err)
			}
			calls := strings.Count(commentCalls(h), "GET")
			if found := len(h.comments) == test.total; found != (test.at >= 0) || calls != test.calls {
				t.Errorf("%d of %d: found %v with %d calls, want %d", test.at, test.total, found, calls, test.calls)
			}
		})
	}
}

func TestCommentIsFoundWhileOthersAreDeleted(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		for range 200 {
			h.say("alice", "hello")
		}
		h.say(h.self, body)
		for range 99 {
			h.say("alice", "hello")
		}
		// One comment before ours goes away after the first page was read:
		// ours, first of the third page, becomes the last of the second.
		h.fault = func(r *http.Request) *fault {
			if r.URL.Query().Get("page") == "3" && len(h.comments) == 300 {
				h.comments = h.comments[1:]
			}
			return nil
		}
		if _, err := withToken(t, h).PostComment(ctx, "acme/app", 1, body, false); err != nil || len(h.comments) != 299 {
			t.Errorf("%v, %d comments, want 299", err, len(h.comments))
		}
	})
}

func TestPostRefused(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g := withToken(t, h)
		for _, bad := range []string{"", "hello", "\n" + body, marker + strings.Repeat("x", maxComment)} {
			if _, err := g.PostComment(ctx, "acme/app", 1, bad, true); err == nil {
				t.Errorf("%.20q: no error", bad)
			}
		}
		if n := len(h.called()); n != 0 {
			t.Errorf("%d calls", n)
		}
		h.fault = func(*http.Request) *fault { return &fault{status: 403} }
		if _, err := g.PostComment(ctx, "acme/app", 1, body, true); err == nil {
			t.Error("locked: no error")
		}
		if calls := commentCalls(h); calls != "POST" {
			t.Errorf("calls %q, want one: it was refused", calls)
		}
		// As long as GitHub allows, counted in characters.
		h.fault = nil
		long := marker + strings.Repeat("ü", maxComment-len(marker))
		if _, err := g.PostComment(ctx, "acme/app", 1, long, true); err != nil {
			t.Error(err)
		}
	})
}

func TestEditComment(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g := asApp(t, h)
		c := h.say(h.self, "before")
		<-time.After(time.Minute)
		failed := false
		h.fault = func(r *http.Request) *fault {
			if r.Method == http.MethodPatch && !failed {
				failed = true
				return &fault{after: true}
			}
			return nil
		}
		got, err := g.EditComment(ctx, "acme/app", c.ID, "after")
		if err != nil {
			t.Fatal(err)
		}
		if h.comments[0].Body != "after" || got.ID != c.ID || got.Node != c.Node || !got.At.After(c.Updated) {
			t.Errorf("got %+v of %+v", got, h.comments[0])
		}
		var missing *NotFoundError
		if _, err := g.EditComment(ctx, "acme/app", 5, "x"); !errors.As(err, &missing) {
			t.Errorf("deleted: %v, want a NotFoundError", err)
		}
	})
}

// TestAnswersThatSayNothing does what is asked, with a body that is empty.
func TestAnswersThatSayNothing(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g := asApp(t, h)
		silent := func(w http.ResponseWriter, r *http.Request) {
			h.serve(httptest.NewRecorder(), r, "issues/1/comments")
			w.WriteHeader(http.StatusNoContent)
		}
		h.silent = map[string]http.HandlerFunc{"POST issues/1/comments": silent}
		posted, err := g.PostComment(ctx, "acme/app", 1, body, true)
		if err != nil || len(h.comments) != 1 || posted.ID != h.comments[0].ID {
			t.Fatalf("posted %+v, %v, %d comments", posted, err, len(h.comments))
		}
		h.silent = map[string]http.HandlerFunc{fmt.Sprintf("PATCH issues/comments/%d", posted.ID): func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		}}
		if edited, err := g.EditComment(ctx, "acme/app", posted.ID, body); err != nil || edited.ID != posted.ID {
			t.Errorf("edited %+v, %v", edited, err)
		}
	})
}

func TestMinimise(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g := withToken(t, h)
		h.graph = func(string) (int, any) { return http.StatusOK, m{"data": m{}} }
		if err := g.Minimise(ctx, "acme/app", nil); err != nil || len(h.called()) != 0 {
			t.Errorf("nothing to do: %v", err)
		}
		if err := g.Minimise(ctx, "acme/app", []string{"IC_1", "MDEy+/="}); err != nil {
			t.Fatal(err)
		}
		want := `mutation { m0: minimizeComment(input: {subjectId: "IC_1", classifier: OUTDATED}) { minimizedComment { isMinimized } }` +
			` m1: minimizeComment(input: {subjectId: "MDEy+/=", classifier: OUTDATED}) { minimizedComment { isMinimized } } }`
		if d := gocmp.Diff([]string{want}, h.folded); d != "" {
			t.Errorf("queries (-want +got):\n%s", d)
		}
		for _, bad := range []string{"", `x"}) { y }`, "a\nb", `\`} {
			if err := g.Minimise(ctx, "acme/app", []string{bad}); err == nil {
				t.Errorf("node %q: no error", bad)
			}
		}
		h.graph = func(string) (int, any) {
			return http.StatusOK, m{"data": m{"m0": nil}, "errors": []any{m{"type": "NOT_FOUND", "message": "Could not resolve to a node"}}}
		}
		if err := g.Minimise(ctx, "acme/app", []string{"IC_1"}); err != nil {
			t.Errorf("deleted: %v, want no error", err)
		}
		h.graph = func(string) (int, any) {
			return http.StatusOK, m{"errors": []any{m{"type": "FORBIDDEN", "message": "Resource not accessible"}}}
		}
		if err := g.Minimise(ctx, "acme/app", []string{"IC_1"}); err == nil || !strings.Contains(err.Error(), "not accessible") {
			t.Errorf("forbidden: %v", err)
		}
		h.graph = func(string) (int, any) {
			return http.StatusOK, m{"errors": []any{m{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}}}
		}
		var limited *RateLimitError
		if err := g.Minimise(ctx, "acme/app", []string{"IC_1"}); !errors.As(err, &limited) {
			t.Errorf("limited: %v", err)
		}
	})
	for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusInternalServerError} {
		apart(t, func(t *testing.T, ctx context.Context, h *host) {
			h.graph = func(string) (int, any) { return status, m{"message": "No"} }
			if err := asApp(t, h).Minimise(ctx, "acme/app", []string{"IC_1"}); err == nil {
				t.Errorf("%d: no error", status)
			}
			if n := len(h.folded); n > 3 {
				t.Errorf("%d: sent %d times", status, n)
			}
		})
	}
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		g := withToken(t, h)
		h.graph = func(string) (int, any) { return http.StatusNotFound, m{"message": "Not Found"} }
		var unsupported *UnsupportedError
		for range 3 {
			if err := g.Minimise(ctx, "acme/app", []string{"IC_1"}); !errors.As(err, &unsupported) {
				t.Errorf("no GraphQL: %v", err)
			}
		}
		if n := len(h.called()); n != 1 {
			t.Errorf("asked %d times, want once an hour", n)
		}
		<-time.After(time.Hour + time.Second)
		h.graph = func(string) (int, any) { return http.StatusOK, m{"data": m{}} }
		if err := g.Minimise(ctx, "acme/app", []string{"IC_1"}); err != nil {
			t.Errorf("an hour later: %v", err)
		}
	})
}
