package rest

import (
	"net/url"
	"strings"
	"testing"
)

func parse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestBaseURL(t *testing.T) {
	for _, test := range []struct{ raw, base, graph, err string }{
		{raw: "", base: "https://api.github.com/", graph: "https://api.github.com/graphql"},
		{raw: "https://api.github.com", base: "https://api.github.com/", graph: "https://api.github.com/graphql"},
		{raw: "https://ghes.example/api/v3", base: "https://ghes.example/api/v3/", graph: "https://ghes.example/api/graphql"},
		{raw: "https://ghes.example:8443/api/v3/", base: "https://ghes.example:8443/api/v3/", graph: "https://ghes.example:8443/api/graphql"},
		{raw: "https://api.acme.ghe.com/", base: "https://api.acme.ghe.com/", graph: "https://api.acme.ghe.com/graphql"},
		{raw: "http://127.0.0.1:8080/api/v3/", base: "http://127.0.0.1:8080/api/v3/", graph: "http://127.0.0.1:8080/api/graphql"},
		{raw: "http://localhost:8080", base: "http://localhost:8080/", graph: "http://localhost:8080/graphql"},
		{raw: "http://[::1]:8080/api/v3//", base: "http://[::1]:8080/api/v3/", graph: "http://[::1]:8080/api/graphql"},
		{raw: "http://ghes.example/api/v3/", err: "use https"},
		{raw: "http://127.0.0.1.evil.example/api/v3/", err: "use https"},
		{raw: "http://localhost.evil.example/api/v3/", err: "use https"},
		{raw: "http://10.0.0.1/api/v3/", err: "use https"},
		{raw: "http://0.0.0.0/api/v3/", err: "use https"},
		{raw: "ftp://ghes.example/api/v3/", err: `"ftp" is not https`},
		{raw: "https://github.com/", err: "https://api.github.com/"},
		{raw: "https://ghes.example/", err: "https://ghes.example/api/v3/"},
		{raw: "https://user:hunter2@ghes.example/api/v3/", err: "no user"},
		{raw: "https://ghes.example/api/v3/?token=hunter2", err: "no user"},
		{raw: "ghes.example", err: "not an absolute URL"},
		{raw: "https://user:hunter2@ghes.example:port/", err: "not an absolute URL"},
	} {
		g, err := New(Config{BaseURL: test.raw, Token: StaticToken("x")})
		switch {
		case err != nil && (test.err == "" || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s: %v, want %q", test.raw, err, test.err)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: the error shows the password: %v", test.raw, err)
		case err == nil && (test.err != "" || g.base.String() != test.base || g.GraphURL() != test.graph):
			t.Errorf("%s: %s and %s, want %s and %s, error %q", test.raw, g.base, g.GraphURL(), test.base, test.graph, test.err)
		}
	}
}

func TestI8_BadConfiguration(t *testing.T) {
	key := keyPEM()
	for name, c := range map[string]Config{
		"nobody":      {},
		"both":        {App: &App{ID: 1, PrivateKey: key}, Token: StaticToken("x")},
		"no id":       {App: &App{PrivateKey: key}},
		"no key":      {App: &App{ID: 1}},
		"half a key":  {App: &App{ID: 1, PrivateKey: key[:len(key)/2]}},
		"not a key":   {App: &App{ID: 1, PrivateKey: []byte("ghp_hunter2")}},
		"a wrong key": {App: &App{ID: 1, PrivateKey: []byte("-----BEGIN RSA PRIVATE KEY-----\naHVudGVyMg==\n-----END RSA PRIVATE KEY-----\n")}},
	} {
		_, err := New(c)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, secret := range []string{"hunter2", "aHVudGVyMg", string(key[40:60])} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error shows the key: %v", name, err)
			}
		}
	}
}

func TestRepoPath(t *testing.T) {
	for _, test := range []struct {
		repo  string
		parts []string
		want  string // "": an error
	}{
		{"acme/app", []string{"pulls", "1"}, "repos/acme/app/pulls/1"},
		{"acme/.github", nil, "repos/acme/.github"},
		{"acme/app", []string{"branches", "release/1.0"}, "repos/acme/app/branches/release%2F1.0"},
		{"acme/app", []string{"branches", "a b?#%"}, "repos/acme/app/branches/a%20b%3F%23%25"},
		{"acme/app", []string{"collaborators", "dependabot[bot]"}, "repos/acme/app/collaborators/dependabot%5Bbot%5D"},
		{"acme", nil, ""},
		{"acme/", nil, ""},
		{"/app", nil, ""},
		{"acme/app/x", nil, ""},
		{"", nil, ""},
		{"acme/..", nil, ""},
		{"../app", nil, ""},
		{"./app", nil, ""},
		{"acme/app", []string{"collaborators", ".."}, ""},
		{"acme/app", []string{""}, ""},
	} {
		got, err := RepoPath(test.repo, test.parts...)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s %q: %q, %v, want %q", test.repo, test.parts, got, err, test.want)
		}
	}
}
