package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/gofri/go-github-ratelimit/v2/github_ratelimit"
	"github.com/gofri/go-github-ratelimit/v2/github_ratelimit/github_secondary_ratelimit"
	"github.com/google/go-github/v60/github"
)

// session is one identity towards GitHub, with its own rate limits: an
// installation, the App itself, or the token.
type session struct {
	rest *github.Client
	app  *ghinstallation.Transport // an installation's; nil for the others
}

// place is where the App is installed for a repository.
type place struct {
	installation int64
	asked        time.Time // zero: GitHub was not asked, a delivery said so
}

// newSession returns a session over a transport that authenticates.
func (g *Client) newSession(auth http.RoundTripper, app *ghinstallation.Transport) *session {
	limits := github_ratelimit.New(auth,
		// A shorter limit is slept out by all calls of the session together.
		github_secondary_ratelimit.WithSingleSleepLimit(longestWait, nil),
		github_secondary_ratelimit.WithLimitDetectedCallback(func(c *github_secondary_ratelimit.CallbackContext) {
			g.log.Warn("waiting for GitHub's secondary rate limit", "until", c.ResetTime.UTC().Format(time.RFC3339))
		}),
	)
	rest := github.NewClient(&http.Client{Transport: limits, CheckRedirect: sameHost})
	rest.BaseURL = g.base
	return &session{rest: rest, app: app}
}

// send makes one request.
func (s *session) send(ctx context.Context, c Call) (*github.Response, error) {
	req, err := s.rest.NewRequest(c.Method, c.Path, c.Body)
	if err != nil {
		return nil, &unsentError{err.Error()}
	}
	// Secondary limits are slept out below: this bounds one that is renewed
	// all the time.
	bounded, cancel := context.WithTimeout(ctx, mostWaits*longestWait)
	defer cancel()
	resp, err := s.rest.Do(bounded, req, c.Out)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return nil, &stalledError{}
	}
	if errors.As(err, new(*github.AcceptedError)) {
		return resp, nil // 202: GitHub does it soon after, which is what was asked for
	}
	return resp, err
}

// stalledError says that rate limits held up a request until it was given up.
type stalledError struct{}

func (*stalledError) Error() string { return "held up by rate limits" }

// Remember notes which installation of the App a delivery about a repository
// came from, so that GitHub need not be asked for it. Only deliveries whose
// signature was verified may be told of here.
//
// It is a guess: an old delivery names an installation that may have ended. What
// GitHub itself said is kept, and where GitHub does not accept the guess, or says
// that it may not do or see something, it is asked as if nothing had been
// remembered. Without an App, a repository's name or a positive id nothing is
// remembered.
func (g *Client) Remember(repo string, installation int64) {
	if _, err := RepoPath(repo); g.app == nil || installation <= 0 || err != nil {
		return
	}
	key := strings.ToLower(repo)
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.repos[key]; known {
		return
	}
	if _, err := g.sessionOf(installation); err == nil {
		g.repos[key] = place{installation: installation}
	}
}

// guessed reports whether a session was taken for a repository because a
// delivery said so.
func (g *Client) guessed(repo string, s *session) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, known := g.repos[strings.ToLower(repo)]
	return known && p.asked.IsZero() && g.sessions[p.installation] == s
}

// sessionOf returns the session of an installation, which it makes where there
// is none yet. The caller holds g.mu.
func (g *Client) sessionOf(installation int64) (*session, error) {
	if s := g.sessions[installation]; s != nil {
		return s, nil
	}
	// Each has an App transport of its own: installations that share one race
	// on it when they renew their tokens.
	app, err := ghinstallation.New(g.wire, g.app.ID, installation, g.app.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("github: the App's private key: %w", err)
	}
	app.BaseURL = strings.TrimSuffix(g.base.String(), "/")
	s := g.newSession(app, app)
	g.sessions[installation] = s
	return s, nil
}

// session returns who weir is in a repository, or in an organisation where
// repo is its name alone. It looks the installation up once, unless it was
// remembered, and again after renew.
func (g *Client) session(ctx context.Context, repo string) (*session, error) {
	if g.app == nil {
		return g.direct, nil
	}
	key := strings.ToLower(repo)
	g.mu.Lock()
	p, known := g.repos[key]
	s := g.sessions[p.installation]
	g.mu.Unlock()
	if known && s != nil {
		return s, nil
	}
	// Calls that come at the same time share one look-up, which does not end
	// with the context of the first.
	ch := g.lookups.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mostWaits*longestWait)
		defer cancel()
		return g.lookUp(ctx, repo)
	})
	select {
	case r := <-ch:
		s, _ := r.Val.(*session) // nil with an error
		return s, r.Err
	case <-ctx.Done():
		return nil, &Error{What: "find the App's installation for " + repo, Message: ctx.Err().Error(), cause: ctx.Err()}
	}
}

// lookUp asks GitHub where the App is installed for a repository.
func (g *Client) lookUp(ctx context.Context, repo string) (*session, error) {
	path := "orgs/" + url.PathEscape(repo) + "/installation"
	if strings.Contains(repo, "/") {
		var err error
		if path, err = RepoPath(repo, "installation"); err != nil {
			return nil, err
		}
	}
	var found struct {
		ID          int64   `json:"id"`
		SuspendedAt *string `json:"suspended_at"`
	}
	err := g.AsSelf(ctx, "find the App's installation for "+repo, Get(path, &found))
	if StatusOf(err) == http.StatusNotFound {
		return nil, &NotServedError{Repo: repo, Reason: "the GitHub App is not installed there"}
	}
	if err != nil {
		return nil, err
	}
	if found.SuspendedAt != nil {
		return nil, &NotServedError{Repo: repo, Reason: "the installation of the GitHub App is suspended"}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s, err := g.sessionOf(found.ID)
	if err != nil {
		return nil, err
	}
	g.repos[strings.ToLower(repo)] = place{installation: found.ID, asked: time.Now()}
	return s, nil
}

// renew forgets what may be wrong after GitHub did not accept a session, and
// reports whether trying again makes sense.
func (g *Client) renew(ctx context.Context, repo string, old *session, certain bool) bool {
	if g.app == nil {
		return certain // the token may have been replaced a moment ago
	}
	key := strings.ToLower(repo)
	g.mu.Lock()
	p := g.repos[key]
	if !certain && time.Since(p.asked) < time.Minute {
		g.mu.Unlock() // asked a moment ago: what does not exist simply does not
		return false
	}
	if g.sessions[p.installation] == old {
		delete(g.repos, key)
		if certain {
			delete(g.sessions, p.installation) // and its token
		}
	}
	g.mu.Unlock()
	s, err := g.session(ctx, repo)
	var lost *NotServedError
	return errors.As(err, &lost) || err == nil && s != old
}

// Token returns the token that weir speaks with in a repository, valid for a
// minute at least.
func (g *Client) Token(ctx context.Context, repo string) (string, error) {
	what := "get a token for " + repo
	if g.app == nil {
		token, err := cleanToken(g.token)
		if err != nil {
			return "", fmt.Errorf("%s: %w", what, err)
		}
		return token, nil
	}
	var last failure
	for attempt := 1; attempt <= attempts; attempt++ {
		s, err := g.session(ctx, repo)
		if err != nil {
			return "", err
		}
		token, err := s.app.Token(ctx)
		if err == nil {
			return token, nil
		}
		if ctx.Err() != nil {
			return "", &Error{What: what, Message: ctx.Err().Error(), cause: ctx.Err()}
		}
		switch last = failureOf(err); {
		case !last.until.IsZero():
			return "", &RateLimitError{What: what, Until: last.until}
		case last.passing():
			if err := sleep(ctx, firstPause<<(attempt-1)); err != nil {
				return "", &Error{What: what, Message: err.Error(), cause: err}
			}
		case !g.renew(ctx, repo, s, true):
			return "", &Error{What: what, Status: last.status, Message: last.message}
		}
	}
	return "", &Error{What: what, Status: last.status, Message: last.message}
}

// Close lets go of idle connections.
func (g *Client) Close() {
	if t, ok := g.wire.next.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
