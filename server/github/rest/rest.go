// Package rest makes calls to GitHub's API: as a GitHub App in any number of
// installations, or with a token; within GitHub's rate limits; again, where
// that cannot do a thing twice. What the calls are about it does not know.
package rest

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"golang.org/x/sync/singleflight"
)

// Config says which GitHub to speak to, and as whom. Exactly one of App and
// Token is set.
type Config struct {
	// BaseURL is the root of the REST API: https://api.github.com/ (also
	// when empty), or https://HOST/api/v3/ for GitHub Enterprise Server.
	// http is accepted for loopback hosts alone.
	BaseURL string
	App     *App
	Token   func() (string, error) // asked before every call; see StaticToken and TokenFile
	Log     *slog.Logger           // nil: nothing is logged
	// Timeout is for one call from first to last byte, without what is
	// waited for rate limits and between attempts. 0: 30 seconds.
	Timeout time.Duration
	// OnCall, if set, is told of every request that was sent, also those for
	// tokens and those that were repeated. The route has placeholders for
	// names and numbers; status is 0 where there was no answer.
	OnCall func(method, route string, status int, took time.Duration)
	// HTTP carries the requests; nil: a transport of our own.
	HTTP http.RoundTripper
}

// App is a GitHub App's identity.
type App struct {
	ID         int64
	PrivateKey []byte // PEM, PKCS #1 or #8
}

// Client speaks to one GitHub. Its methods may be called at the same time.
type Client struct {
	base   *url.URL // ends in a slash
	app    *App     // nil: with a token
	log    *slog.Logger
	wire   *wire
	token  func() (string, error)
	direct *session // as the App itself, or with the token

	mu       sync.Mutex
	repos    map[string]place   // by repository, in lower case
	sessions map[int64]*session // by installation
	lookups  singleflight.Group
}

// New returns a Client. It asks GitHub nothing.
func New(c Config) (*Client, error) {
	base, err := baseURL(c.BaseURL)
	if err != nil {
		return nil, err
	}
	if (c.App == nil) == (c.Token == nil) {
		return nil, errors.New("github: either an App or a token is needed, not both")
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	g := &Client{
		base: base, app: c.App, token: c.Token, log: c.Log,
		repos: map[string]place{}, sessions: map[int64]*session{},
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	g.wire = newWire(base, c.HTTP, c.Timeout, c.OnCall)
	if g.app == nil {
		g.direct = g.newSession(&tokenAuth{next: g.wire, token: c.Token}, nil)
		return g, nil
	}
	if g.app.ID <= 0 {
		return nil, errors.New("github: the App's id is missing")
	}
	auth, err := ghinstallation.NewAppsTransport(g.wire, g.app.ID, g.app.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("github: the App's private key: %w", err)
	}
	g.direct = g.newSession(auth, nil)
	return g, nil
}

// baseURL checks the root of the REST API and ends it in a slash.
func baseURL(raw string) (*url.URL, error) {
	if raw == "" {
		raw = "https://api.github.com/"
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return nil, errors.New("github base_url: it is not an absolute URL") // which may hold a password: not shown
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("github base_url: it must hold no user, query or fragment; weir has its own credentials")
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/"
	host := u.Hostname()
	switch {
	case u.Scheme == "http" && !loopback(host):
		return nil, fmt.Errorf("github base_url: http would show weir's token to the network between here and %s; use https", host)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("github base_url: scheme %q is not https", u.Scheme)
	case host == "github.com" || host == "www.github.com":
		return nil, errors.New("github base_url: GitHub's API is at https://api.github.com/")
	case u.Path == "/" && !strings.HasPrefix(host, "api.") && !loopback(host):
		return nil, fmt.Errorf("github base_url: the API of GitHub Enterprise Server is at %s://%s/api/v3/", u.Scheme, u.Host)
	}
	return u, nil
}

// loopback reports whether a host is this machine by its very name, without
// asking a resolver, whose answer may be another one next time.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// AppID returns the id of the App, 0 with a token.
func (g *Client) AppID() int64 {
	if g.app == nil {
		return 0
	}
	return g.app.ID
}

// GraphURL returns where GraphQL is served: beside v3 on Enterprise Server,
// below the root elsewhere.
func (g *Client) GraphURL() string {
	u := *g.base
	if root, ok := strings.CutSuffix(u.Path, "/api/v3/"); ok {
		u.Path = root + "/api/graphql"
	} else {
		u.Path += "graphql"
	}
	return u.String()
}

// RepoPath returns "repos/OWNER/NAME/" and what follows, each part escaped. A
// name that is none is an error: it would be another path.
func RepoPath(repo string, parts ...string) (string, error) {
	owner, name, _ := strings.Cut(repo, "/")
	if !IsPart(owner) || !IsPart(name) || strings.Contains(name, "/") {
		return "", fmt.Errorf("github: %q is not the name of a repository", repo)
	}
	path := "repos/" + url.PathEscape(owner) + "/" + url.PathEscape(name)
	for _, part := range parts {
		if !IsPart(part) {
			return "", fmt.Errorf("github: %q is not a part of a path", part)
		}
		path += "/" + url.PathEscape(part)
	}
	return path, nil
}

// IsPart reports whether a name stays one part of a path, once it is escaped.
func IsPart(s string) bool { return s != "" && s != "." && s != ".." }
