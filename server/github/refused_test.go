package github

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/drift/finding"
)

// TestI9_RefusedIssuesSayWhy: what a person must put right comes with a
// sentence about it, and what goes by is told apart from that.
func TestI9_RefusedIssuesSayWhy(t *testing.T) {
	later := strconv.FormatInt(time.Now().Unix(), 10) // synctest's clock begins in 2000
	for name, test := range map[string]struct {
		status  int
		message string
		header  []string
		want    string // part of the sentence; "" for no RefusedError
	}{
		"turned off":                {410, "Issues are disabled for this repo", nil, "Issues are turned off in acme/app"},
		"an App without permission": {403, "Resource not accessible by integration", nil, "Give the App the repository permission Issues"},
		"a token without":           {403, "Resource not accessible by personal access token", nil, "token or GitHub App needs the permission Issues"},
		"a person without":          {403, "Must have admin rights to Repository.", nil, "token or GitHub App needs the permission Issues"},
		"archived":                  {403, "Repository was archived so is read-only.", nil, "acme/app is archived"},
		"suspended":                 {403, "This installation has been suspended", nil, "Unsuspend it"},
		"single sign-on":            {403, "Resource protected by organization SAML enforcement.", nil, "Authorize weir's token"},
		"allow list": {
			403, "Although you appear to have the correct authorization credentials, the `acme` organization has an IP allow list enabled", nil, "IP allow list",
		},
		"not shown":                     {404, "Not Found", nil, "does not show weir the issues"},
		"a limit used up":               {403, "API rate limit exceeded for installation.", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", later}, ""},
		"a long secondary limit":        {403, "You have exceeded a secondary rate limit.", []string{"Retry-After", "3600"}, ""},
		"a secondary limit, no headers": {403, "You have exceeded a secondary rate limit.", nil, ""},
		"abuse, no headers":             {403, "You have triggered an abuse detection mechanism.", nil, ""},
		"too many requests":             {429, "Slow down", []string{"Retry-After", "3600"}, ""},
		"down":                          {502, "Bad Gateway", nil, ""},
		"not valid":                     {422, "Validation Failed", nil, ""},
		"credentials that have ended":   {401, "Bad credentials", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			apart(t, func(t *testing.T, ctx context.Context, h *host) {
				g, k := asApp(t, h), newTracker(h)
				k.labels = []string{"drift"}
				k.file(h.self, drifted, "drift")
				only := ""
				no := func(w http.ResponseWriter, r *http.Request, _ string, _ map[string]any) bool {
					if only != "" && r.Method != only || !strings.Contains(r.URL.Path, "/issues") {
						return false
					}
					for i := 0; i < len(test.header); i += 2 {
						w.Header().Set(test.header[i], test.header[i+1])
					}
					refuse(w, test.status, test.message)
					return true
				}
				h.more = func(w http.ResponseWriter, r *http.Request, path string, body map[string]any) bool {
					return no(w, r, path, body) || k.serve(w, r, path, body)
				}
				check := func(what string, err error, except ...int) {
					t.Helper()
					var refused *RefusedError
					is := errors.As(err, &refused)
					switch {
					case err == nil:
						t.Errorf("%s: no error", what)
					case slices.Contains(except, test.status) && !is:
					case is != (test.want != ""):
						t.Errorf("%s: %T %v", what, err, err)
					case is && (!strings.Contains(refused.Sentence, test.want) || !strings.HasSuffix(refused.Sentence, ".") || refused.Repo != "acme/app"):
						t.Errorf("%s: says %+v", what, refused)
					case is && !strings.Contains(err.Error(), test.message):
						t.Errorf("%s: the log does not have GitHub's words: %v", what, err)
					}
				}
				_, err := g.DriftIssues(ctx, "acme/app")
				check("list", err)
				_, err = g.OpenIssue(ctx, "acme/app", finding.Issue{Title: "x", Body: drifted + "2"})
				check("open, list refused", err)
				only = http.MethodPost // reading is allowed, writing is not
				_, err = g.OpenIssue(ctx, "acme/app", finding.Issue{Title: "x", Body: "<!-- weir kind=drift project=other -->", Assignees: []string{"alice"}})
				check("open", err)
				only = http.MethodPatch
				check("edit", g.EditIssue(ctx, "acme/app", finding.Issue{Number: 1, Title: "y"}), http.StatusNotFound)
				only = http.MethodGet
				_, err = g.Issue(ctx, "acme/app", 1)
				check("read", err, http.StatusNotFound)
				<-time.After(time.Hour) // the limiter's own timers end
			})
		})
	}
}
