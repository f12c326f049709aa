package demo

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestStory plays the whole story as an App and with a token, each also towards
// a GitHub that gives as little as its documentation allows, and refuses what it
// may refuse.
func TestStory(t *testing.T) {
	needTerraform(t)
	for name, o := range map[string]Options{
		"app":           {slow: true},
		"token":         {token: true, slow: true},
		"app, sparse":   {between: sparse(t)},
		"token, sparse": {token: true, between: sparse(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, log bytes.Buffer
			o.Once, o.Version, o.Out, o.Log, o.Environ = true, "test", &out, &log, os.Environ()
			if err := Run(t.Context(), o); err != nil {
				t.Fatalf("%v\nstory:\n%s\nweir's log:\n%s", err, &out, &log)
			}
		})
	}
}

func needTerraform(t *testing.T) {
	t.Helper()
	for _, name := range []string{"terraform", "tofu"} {
		if _, err := exec.LookPath(name); err == nil {
			return
		}
	}
	const why = "the story needs terraform or tofu: run make, or scripts/get-terraform"
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip("!!! SKIPPED: " + why)
}

// unoffered are the parts of the API that a GitHub may lack, or a token may not
// be let into, by the end of their paths.
var unoffered = map[string]int{
	"/graphql":    http.StatusNotFound,
	"/user":       http.StatusForbidden,
	"/protection": http.StatusForbidden,
}

// sparse passes requests on to an API, without what a client cannot count on:
// GraphQL, the token's own user, the protection of branches; headers about
// pages and rate limits; fields that it can do without.
func sparse(t *testing.T) func(string) string {
	t.Helper()
	return func(api string) string {
		target, err := url.Parse(api)
		if err != nil {
			t.Fatal(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: target.Scheme, Host: target.Host})
		proxy.ModifyResponse = strip
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for end, status := range unoffered {
				if strings.HasSuffix(r.URL.Path, end) {
					w.WriteHeader(status) // with no body
					return
				}
			}
			proxy.ServeHTTP(w, r)
		}))
		t.Cleanup(srv.Close)
		return srv.URL + target.Path
	}
}

// strip takes out of an answer what a client cannot count on.
func strip(resp *http.Response) error {
	for name := range resp.Header {
		if name != "Content-Type" {
			resp.Header.Del(name)
		}
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var v any
	if json.Unmarshal(body, &v) == nil {
		if body, err = json.Marshal(without(v)); err != nil {
			return err
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

func without(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{
			"author_association", "draft", "maintainer_can_modify", "merged", "mergeable", "mergeable_state", "node_id", "rebaseable",
			"role_name", "suspended_at", "type", "updated_at",
		} {
			delete(v, name)
		}
		for k := range v {
			v[k] = without(v[k])
		}
	case []any:
		for i := range v {
			v[i] = without(v[i])
		}
	}
	return v
}
