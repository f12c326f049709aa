package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxAnswer = 64 << 20 // bytes; GitHub's largest page is far below
	// GitHub allows 100 requests at once and asks for few writes ("Best
	// practices for using the REST API").
	maxCalls  = 32
	maxWrites = 6
	// Without a Retry-After GitHub asks for a minute at least ("Rate limits
	// for the REST API", about secondary rate limits).
	quietTime = "60"
)

// wire sends one request and reads its whole answer. It is below everything
// that authenticates, so every request of weir's passes it.
//
// It sends to the configured host alone, in whatever way a request came to
// name another; it hands up neither the Authorization header nor an answer
// that repeats it.
type wire struct {
	base    *url.URL
	next    http.RoundTripper
	timeout time.Duration
	onCall  func(method, route string, status int, took time.Duration)
	calls   chan struct{}
	writes  chan struct{}
}

func newWire(base *url.URL, next http.RoundTripper, timeout time.Duration, onCall func(string, string, int, time.Duration)) *wire {
	if next == nil {
		next = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: timeout,
			IdleConnTimeout:       90 * time.Second,
			MaxIdleConnsPerHost:   maxCalls,
			ForceAttemptHTTP2:     true,
		}
	}
	return &wire{
		base: base, next: next, timeout: timeout, onCall: onCall,
		calls: make(chan struct{}, maxCalls), writes: make(chan struct{}, maxWrites),
	}
}

// unsentError says why weir itself does not send a request.
type unsentError struct{ reason string }

func (e *unsentError) Error() string { return e.reason }

// RoundTrip implements http.RoundTripper. It may be called again with the
// same request: the body is taken anew each time.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }() // a copy of ours is sent
	}
	if req.URL.Scheme != w.base.Scheme || req.URL.Host != w.base.Host {
		return nil, &unsentError{fmt.Sprintf("refused to send weir's credentials to %s", req.URL.Host)}
	}
	places := []chan struct{}{w.calls}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		places = []chan struct{}{w.writes, w.calls} // one that waits to write keeps nobody from reading
	}
	for _, place := range places {
		select {
		case place <- struct{}{}:
			defer func() { <-place }()
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}

	ctx, cancel := context.WithTimeout(req.Context(), w.timeout)
	defer cancel()
	out := req.Clone(ctx)
	out.Header.Set("User-Agent", "weir")
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	began := time.Now()
	resp, err := w.answer(out)
	if err != nil && ctx.Err() != nil && req.Context().Err() == nil {
		err = fmt.Errorf("nothing within %v", w.timeout)
	}
	status := 0
	if err == nil {
		status = resp.StatusCode
	}
	if w.onCall != nil {
		w.onCall(req.Method, route(w.base, req.URL), status, time.Since(began))
	}
	return resp, err
}

// answer sends the request and reads the whole answer.
func (w *wire) answer(out *http.Request) (*http.Response, error) {
	secret := credential(out.Header.Get("Authorization"))
	hidden := func(err error) error {
		if secret != "" && strings.Contains(err.Error(), secret) {
			return errors.New(strings.ReplaceAll(err.Error(), secret, "[hidden]"))
		}
		return err
	}
	resp, err := w.next.RoundTrip(out)
	if err != nil {
		return nil, hidden(err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	_ = resp.Body.Close() // it is read, or given up
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", hidden(err))
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
	}
	if resp.StatusCode >= 400 && secret != "" {
		body = bytes.ReplaceAll(body, []byte(secret), []byte("[hidden]"))
	}
	if isSecondary(resp, body) && resp.Header.Get("Retry-After") == "" {
		resp.Header.Set("Retry-After", quietTime)
	}
	// RFC 9110 allows a date too, which the libraries above do not read.
	if at, err := http.ParseTime(resp.Header.Get("Retry-After")); err == nil {
		resp.Header.Set("Retry-After", strconv.Itoa(int(max(time.Until(at), 0)/time.Second)+1))
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	bare := out.Clone(out.Context())
	bare.Header = http.Header{}
	resp.Request = bare // errors keep it
	return resp, nil
}

// isSecondary reports whether an answer says that GitHub was asked too much at
// once, rather than too much in an hour.
func isSecondary(resp *http.Response, body []byte) bool {
	return (resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusTooManyRequests) &&
		resp.Header.Get("X-RateLimit-Remaining") != "0" &&
		(bytes.Contains(body, []byte("secondary rate limit")) || bytes.Contains(body, []byte("secondary-rate-limits")))
}

// credential returns the part of an Authorization header that is secret.
func credential(header string) string {
	_, secret, _ := strings.Cut(header, " ")
	return secret
}

// sameHost is the http.Client's word on redirects: GitHub answers with them
// for a repository that was renamed. Another host would be handed the token,
// and another method would be another request.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host:
		return &unsentError{fmt.Sprintf("refused a redirect from %s to %s", first.URL.Host, req.URL.Host)}
	case req.Method != first.Method:
		return &unsentError{"refused a redirect that changes the method"}
	case len(via) >= 5:
		return &unsentError{"gave up after five redirects"}
	}
	return nil
}

// route returns the path of a call with {} for the names and numbers in it, so
// that there are few routes, whatever people call things.
func route(base, u *url.URL) string {
	path := strings.TrimPrefix(u.EscapedPath(), strings.TrimSuffix(base.Path, "/"))
	parts := strings.Split(strings.TrimPrefix(strings.Trim(path, "/"), "api/"), "/")
	for i := 1; i < len(parts); i++ {
		switch parts[i-1] {
		case "branches", "check-runs", "collaborators", "commits", "installations", "memberships", "orgs", "pulls",
			"repositories", "statuses", "teams":
			parts[i] = "{}"
		case "ref", "refs": // the name of a branch may have any number of parts
			return "/" + strings.Join(parts[:i], "/") + "/{}"
		case "comments", "issues":
			if parts[i] != "comments" {
				parts[i] = "{}"
			}
		case "repos":
			parts[i] = "{}"
			if i+1 < len(parts) {
				parts[i+1] = "{}"
			}
		}
	}
	return "/" + strings.Join(parts, "/")
}

// tokenAuth sends weir's own token with each request.
type tokenAuth struct {
	next  http.RoundTripper
	token func() (string, error)
}

func (t *tokenAuth) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := cleanToken(t.token)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, &unsentError{err.Error()}
	}
	out := req.Clone(req.Context())
	out.Header.Set("Authorization", "Bearer "+token)
	return t.next.RoundTrip(out)
}
