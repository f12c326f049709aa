package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/gofri/go-github-ratelimit/v2/github_ratelimit/github_primary_ratelimit"
	"github.com/google/go-github/v60/github"
)

const (
	attempts    = 3                      // of one call, where GitHub or the network fails
	firstPause  = 500 * time.Millisecond // doubled with each attempt
	longestWait = time.Minute            // for a rate limit; beyond it is a RateLimitError
	mostWaits   = 3                      // for rate limits, in one call
)

// Call is one request to GitHub's API, as data.
type Call struct {
	Method string
	Path   string // relative to the base URL, or an absolute URL on its host
	Body   any    // sent as JSON; nil: none
	Out    any    // what the answer is read into; nil: nothing

	// Once marks what must not be sent again when it may have happened.
	Once bool
	// Absent says that 404 is an answer here, and no sign that the App
	// was installed anew.
	Absent bool
}

// Get is a call that reads.
func Get(path string, out any) Call { return Call{Method: http.MethodGet, Path: path, Out: out} }

// In makes a call as whoever weir is in a repository, or in an organisation
// where repo is its name alone. what names operation and object, for errors,
// which are all of this package.
func (g *Client) In(ctx context.Context, repo, what string, c Call) (*github.Response, error) {
	return g.run(ctx, what, c, agent{
		session: func(ctx context.Context) (*session, error) { return g.session(ctx, repo) },
		renew: func(ctx context.Context, old *session, certain bool) bool {
			return g.renew(ctx, repo, old, certain)
		},
		guessed: func(s *session) bool { return g.guessed(repo, s) },
	})
}

// AsSelf makes a call as the App itself, or with the token.
func (g *Client) AsSelf(ctx context.Context, what string, c Call) error {
	_, err := g.run(ctx, what, c, agent{
		session: func(context.Context) (*session, error) { return g.direct, nil },
		renew:   func(context.Context, *session, bool) bool { return false },
		guessed: func(*session) bool { return false },
	})
	return err
}

// agent is as whom a call is made.
type agent struct {
	session func(context.Context) (*session, error)
	// renew replaces a session that GitHub did not accept, and reports
	// whether there is another one now. certain: it was refused, rather than
	// told that something does not exist.
	renew func(ctx context.Context, old *session, certain bool) bool
	// guessed reports whether a session may be one of another place.
	guessed func(s *session) bool
}

// run makes a call, waits for rate limits that are short, replaces credentials
// that have ended, and repeats what failed on the way, unless c.Once forbids
// it. The errors it returns are of this package.
func (g *Client) run(ctx context.Context, what string, c Call, who agent) (*github.Response, error) {
	renewed, waits := false, 0
	for attempt := 1; ; {
		s, err := who.session(ctx)
		if err != nil {
			return nil, err
		}
		resp, err := s.send(ctx, c)
		if err == nil {
			return resp, nil
		}
		f := failureOf(err)
		switch {
		case ctx.Err() != nil:
			return nil, &Error{What: what, Message: ctx.Err().Error(), Unclear: !f.unsent, cause: ctx.Err()}
		case !f.until.IsZero():
			wait := max(time.Until(f.until), 0) + time.Second // clocks differ, and headers count whole seconds
			if waits++; wait > longestWait+time.Second || waits > mostWaits {
				return nil, &RateLimitError{What: what, Until: f.until}
			}
			g.log.Warn("waiting for GitHub's rate limit", "call", what, "seconds", int(wait.Seconds()))
			if err := sleep(ctx, wait); err != nil {
				return nil, &Error{What: what, Message: err.Error(), cause: err}
			}
			continue
		case !renewed && (f.mayBeIdentity(c) || f.mayBePlace() && who.guessed(s)):
			renewed = true
			if who.renew(ctx, s, f.unsent || f.status == http.StatusUnauthorized) {
				continue
			}
		}
		final := &Error{What: what, Status: f.status, Message: f.message, Unclear: f.mayHaveHappened()}
		if f.unsent {
			final.Status = 0 // it was another request that was answered so
		} else if f.status == http.StatusNotFound {
			return nil, &NotFoundError{What: what, Message: f.message}
		}
		if !f.passing() || c.Once && final.Unclear || attempt == attempts {
			return nil, final
		}
		pause := firstPause << (attempt - 1)
		pause = pause/2 + rand.N(pause) // #nosec G404 -- jitter
		g.log.Warn("asking GitHub again", "call", what, "status", f.status, "reason", f.message, "attempt", attempt)
		if err := sleep(ctx, pause); err != nil {
			final.cause = err
			return nil, final
		}
		attempt++
	}
}

// failure is what went wrong with one request.
type failure struct {
	status  int // 0: no answer
	message string
	until   time.Time // a rate limit's end
	unsent  bool      // the request itself was not sent; the rest is of what came before it
	final   bool      // it will not go better the next time
}

// passing reports whether the same request may go well later.
func (f failure) passing() bool {
	if f.final {
		return false
	}
	switch f.status {
	case 0, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return true
	}
	return false
}

func (f failure) mayHaveHappened() bool { return f.passing() && !f.unsent }

// mayBeIdentity reports whether the failure can come of an installation that
// has ended, or of its token.
func (f failure) mayBeIdentity(c Call) bool {
	switch f.status {
	case http.StatusUnauthorized:
		return true
	case http.StatusNotFound:
		return f.unsent || !c.Absent
	case http.StatusForbidden:
		return f.unsent
	}
	return false
}

// mayBePlace reports whether the failure can come of an installation that is
// in order, but does not hold the repository.
func (f failure) mayBePlace() bool {
	return f.status == http.StatusForbidden || f.status == http.StatusNotFound
}

// failureOf reduces an error of the libraries to what it means. None of them
// is kept: some hold requests with their headers.
func failureOf(err error) failure {
	var (
		token     *ghinstallation.HTTPError
		exhausted *github_primary_ratelimit.RateLimitReachedError
		primary   *github.RateLimitError
		secondary *github.AbuseRateLimitError
		refused   *github.ErrorResponse
		unsent    *unsentError
		stalled   *stalledError
		sent      *url.Error
		op        *net.OpError
	)
	switch {
	case errors.As(err, &token):
		var f failure
		if token.RootCause != nil {
			f = failureOf(token.RootCause)
		} else if token.Response != nil {
			f = failureOfAnswer(token.Response)
			f.message = fmt.Sprintf("GitHub answered %d: %s", f.status, f.message)
		}
		f.unsent = true
		f.message = "get an installation token: " + f.message
		return f
	case errors.As(err, &stalled):
		return failure{message: "rate limit", until: time.Now().Add(2 * longestWait), unsent: true}
	case errors.As(err, &exhausted) && exhausted.ResetTime != nil:
		return failure{status: http.StatusForbidden, message: "rate limit", until: endOf(*exhausted.ResetTime), unsent: true}
	case errors.As(err, &primary):
		return failure{status: http.StatusForbidden, message: primary.Message, until: endOf(primary.Rate.Reset.Time), unsent: true}
	case errors.As(err, &secondary):
		wait := longestWait
		if secondary.RetryAfter != nil {
			wait = *secondary.RetryAfter
		}
		return failure{status: http.StatusForbidden, message: secondary.Message, until: time.Now().Add(wait), unsent: true}
	case errors.As(err, &refused):
		f := failureOfAnswer(refused.Response)
		f.message = refused.Message
		for _, e := range refused.Errors {
			if f.message += ": " + e.Message; e.Message == "" {
				f.message += strings.TrimSpace(e.Resource + " " + e.Field + " " + e.Code)
			}
		}
		return f
	case errors.As(err, &unsent):
		return failure{message: unsent.Error(), unsent: true, final: true}
	case errors.As(err, &op) && op.Op == "dial":
		return failure{message: "no answer from GitHub: " + op.Error(), unsent: true}
	case errors.As(err, &sent):
		err = sent.Err // without method and URL, which What tells
	}
	return failure{message: "no answer from GitHub: " + err.Error()}
}

// endOf returns when a rate limit ends, by a header that may have been missing.
func endOf(reset time.Time) time.Time {
	if reset.Unix() <= 0 {
		return time.Now().Add(longestWait)
	}
	return reset
}

// failureOfAnswer reads status, message and rate limits of an answer.
func failureOfAnswer(resp *http.Response) failure {
	f := failure{status: resp.StatusCode}
	var body struct {
		Message string `json:"message"`
	}
	if b, err := io.ReadAll(resp.Body); err == nil && json.Unmarshal(b, &body) == nil {
		f.message = body.Message
	}
	if f.status != http.StatusTooManyRequests && f.status != http.StatusForbidden {
		return f
	}
	switch after, err := strconv.Atoi(resp.Header.Get("Retry-After")); {
	case err == nil:
		f.until = time.Now().Add(time.Duration(after) * time.Second)
	case resp.Header.Get("X-RateLimit-Remaining") == "0":
		reset, _ := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64) // 0 if it is not told
		f.until = endOf(time.Unix(reset, 0))
	case f.status == http.StatusTooManyRequests:
		f.until = time.Now().Add(longestWait)
	}
	return f
}
