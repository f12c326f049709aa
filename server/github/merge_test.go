package github

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestMerge(t *testing.T) {
	merged := m{"state": "closed", "merged": true, "merge_commit_sha": "mc"}
	done := fixed(http.StatusOK, m{"sha": "mc", "merged": true, "message": "Pull Request successfully merged"})
	no := func(status int, message string) http.Handler { return fixed(status, m{"message": message}) }
	for name, test := range map[string]struct {
		answers []http.Handler // to attempts at merging; nil: the connection breaks
		pull    m              // as it stands afterwards
		refusal string
		err     bool
		tries   int
	}{
		"fine":                    {[]http.Handler{done}, merged, "", false, 1},
		"not mergeable":           {[]http.Handler{no(405, "Pull Request is not mergeable")}, nil, "Pull Request is not mergeable", false, 1},
		"head moved":              {[]http.Handler{no(409, "Head branch was modified. Review and try the merge again.")}, nil, "Head branch was modified. Review and try the merge again.", false, 1},
		"method not allowed":      {[]http.Handler{no(422, "Squash merges are not allowed")}, nil, "Squash merges are not allowed", false, 1},
		"a right is missing":      {[]http.Handler{no(403, "Resource not accessible by integration")}, nil, "Resource not accessible by integration", false, 1},
		"merged already":          {[]http.Handler{no(405, "Pull Request is not mergeable")}, merged, "", false, 1},
		"merged at another head":  {[]http.Handler{no(409, "Head branch was modified")}, m{"merged": true, "head": m{"sha": "h2"}}, "it was merged at another head, h2", false, 1},
		"broken, then as merged":  {[]http.Handler{nil, no(405, "Pull Request is not mergeable")}, merged, "", false, 2},
		"broken, then fine":       {[]http.Handler{nil, done}, merged, "", false, 2},
		"down, but it was merged": {[]http.Handler{nil, nil, nil}, merged, "", false, 3},
		"down":                    {[]http.Handler{nil, nil, nil}, nil, "", true, 3},
		"base moves once":         {[]http.Handler{no(405, "Base branch was modified. Review and try the merge again."), done}, nil, "", false, 2},
		"not found":               {[]http.Handler{no(404, "Not Found")}, nil, "", true, 1},
		"200 but not merged":      {[]http.Handler{fixed(http.StatusOK, m{"merged": false, "message": "queued"})}, nil, "queued", false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			apart(t, func(t *testing.T, ctx context.Context, h *host) {
				var sent []m
				h.objects["PUT pulls/1/merge"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					answer := test.answers[min(len(sent), len(test.answers)-1)]
					sent = append(sent, m{})
					if answer == nil {
						panic(http.ErrAbortHandler)
					}
					answer.ServeHTTP(w, r)
				})
				h.objects["GET pulls/1"] = fixed(http.StatusOK, pullBody(test.pull))
				if test.pull["head"] != nil {
					h.objects["GET pulls/1"] = fixed(http.StatusOK, pullBody(m{"merged": true, "head": m{"ref": "x", "sha": "h2", "repo": m{"id": 5}}}))
				}
				refusal, err := withToken(t, h).Merge(ctx, "acme/app", 1, "h1", "squash")
				if refusal != test.refusal || (err != nil) != test.err || len(sent) != test.tries {
					t.Errorf("%q, %v after %d tries, want %q, an error: %v, %d", refusal, err, len(sent), test.refusal, test.err, test.tries)
				}
			})
		})
	}
}

func TestI2_MergeNamesItsHead(t *testing.T) {
	apart(t, func(t *testing.T, ctx context.Context, h *host) {
		var got map[string]string
		h.objects["PUT pulls/1/merge"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
				t.Error(err)
			}
			answer(w, http.StatusOK, m{"merged": true})
		})
		g := withToken(t, h)
		if _, err := g.Merge(ctx, "acme/app", 1, "", "squash"); err == nil || !strings.Contains(err.Error(), "head") || len(h.called()) != 0 {
			t.Errorf("without a head: %v", err)
		}
		if refusal, err := g.Merge(ctx, "acme/app", 1, "h1", "rebase"); refusal != "" || err != nil {
			t.Errorf("%q, %v", refusal, err)
		}
		if d := gocmp.Diff(map[string]string{"sha": "h1", "merge_method": "rebase"}, got); d != "" {
			t.Errorf("sent (-want +got):\n%s", d)
		}
	})
}
