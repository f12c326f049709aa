// Package traffic stands between the network and the sandbox: it counts what
// is asked and lets go wrong what a test wants to go wrong.
package traffic

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Call is one request that was answered, or was not.
type Call struct {
	Method string
	Route  string // pattern, such as /repos/{owner}/{repo}/pulls/{number}
	Path   string
	Query  string
	Token  string // whose credentials: "installation 7", "user bob", "app 1", "anonymous" or "bad credentials"
	Status int    // 0 where the connection was cut
	At     time.Time
	Took   time.Duration
}

// Rule makes the next requests that match it fail. The zero Rule matches the
// next request and cuts its connection before anything has happened.
type Rule struct {
	Method string // "" for any
	// Route is a pattern as in Call.Route in which * stands for a part,
	// such as /repos/{owner}/{repo}/issues/*; "" for any.
	Route string
	Match func(*http.Request) bool // nil for any; must not read the body
	Skip  int                      // requests that pass first
	Times int                      // how many fail; 0 means one, negative all from then on

	// Effect lets the request do what it asks; only the answer is lost.
	Effect bool
	// Delay comes before the answer (or the cut). A delayed request that
	// is neither answered with Status nor cut is answered as usual.
	Delay time.Duration
	// Status answers with this status; 0 cuts the connection, unless Pass.
	Status int
	Header http.Header
	Body   string // of the answer; "" for GitHub's usual message
	Pass   bool   // only delay
}

// PrimaryLimit answers as GitHub does when the hourly limit is used up until
// the given time from now.
func PrimaryLimit(reset time.Duration) Rule {
	at := strconv.FormatInt(time.Now().Add(reset).Unix()+1, 10)
	return Rule{
		Status: http.StatusForbidden, Body: `{"message":"API rate limit exceeded for installation.","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"}`,
		Header: http.Header{"X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Used": {"5000"}, "X-Ratelimit-Reset": {at}, "X-Ratelimit-Resource": {"core"}},
	}
}

// SecondaryLimit answers as GitHub does to too much at once.
func SecondaryLimit(after time.Duration) Rule {
	return Rule{
		Status: http.StatusForbidden, Header: http.Header{"Retry-After": {strconv.Itoa(int(after.Seconds()))}},
		Body: `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`,
	}
}

// Traffic counts calls and holds rules.
type Traffic struct {
	// OnCall is called after each request.
	OnCall func()

	mu      sync.Mutex
	calls   []Call
	rules   []*rule
	latency time.Duration
}

type rule struct {
	Rule
	skipped, used int
}

// Calls returns the requests so far, in the order in which they ended.
func (t *Traffic) Calls() []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.calls)
}

// ResetCalls forgets the requests so far and returns them.
func (t *Traffic) ResetCalls() []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	calls := t.calls
	t.calls = nil
	return calls
}

// Fault adds a rule. Of several that match a request the oldest wins.
func (t *Traffic) Fault(r Rule) {
	if r.Times == 0 {
		r.Times = 1
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rules = append(t.rules, &rule{Rule: r})
}

// ClearFaults removes all rules.
func (t *Traffic) ClearFaults() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rules = nil
}

// Latency delays every answer from now on.
func (t *Traffic) Latency(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latency = d
}

func (t *Traffic) match(r *http.Request, route string) (Rule, bool, time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.rules {
		if f.Method != "" && f.Method != r.Method || f.Match != nil && !f.Match(r) {
			continue
		}
		if ok, err := path.Match(f.Route, route); f.Route != "" && (err != nil || !ok) {
			continue
		}
		if f.skipped < f.Skip {
			f.skipped++
			continue
		}
		if f.Times >= 0 && f.used >= f.Times {
			continue
		}
		f.used++
		return f.Rule, true, t.latency
	}
	return Rule{}, false, t.latency
}

// Wrap makes a handler that counts and fails. route names the pattern that
// serves a request, token whose credentials it bears.
func (t *Traffic) Wrap(route, token func(*http.Request) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		call := Call{Method: r.Method, Route: route(r), Path: r.URL.Path, Query: r.URL.RawQuery, Token: token(r), At: start}
		fault, failing, latency := t.match(r, call.Route)
		sleep(r.Context(), latency)
		rec := &recorder{ResponseWriter: w}
		cut := t.serve(rec, r, next, fault, failing)
		call.Status, call.Took = rec.status, time.Since(start)
		if cut {
			call.Status = 0
		}
		t.mu.Lock()
		t.calls = append(t.calls, call)
		t.mu.Unlock()
		if t.OnCall != nil {
			t.OnCall()
		}
		if cut {
			// The server closes the connection without an answer.
			panic(http.ErrAbortHandler)
		}
	})
}

// serve answers, and says whether the connection is to be cut instead.
func (t *Traffic) serve(w *recorder, r *http.Request, next http.Handler, f Rule, failing bool) (cut bool) {
	if !failing {
		next.ServeHTTP(w, r)
		return false
	}
	if f.Pass {
		sleep(r.Context(), f.Delay)
		next.ServeHTTP(w, r)
		return false
	}
	if f.Effect {
		// The effect must not depend on the client's patience.
		next.ServeHTTP(&lost{header: http.Header{}}, r.WithContext(context.WithoutCancel(r.Context())))
	}
	sleep(r.Context(), f.Delay)
	if f.Status == 0 {
		return true
	}
	maps.Copy(w.Header(), f.Header)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(f.Status)
	body := f.Body
	if body == "" {
		body = fmt.Sprintf(`{"message":%q,"documentation_url":"https://docs.github.com/rest","status":"%d"}`, http.StatusText(f.Status), f.Status)
	}
	_, _ = w.Write([]byte(body)) // the client may be gone
	return false
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// recorder keeps the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController flush and hijack.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// lost is where an answer goes that never arrives.
type lost struct {
	header http.Header
	body   bytes.Buffer
}

func (l *lost) Header() http.Header         { return l.header }
func (l *lost) Write(p []byte) (int, error) { return l.body.Write(p) }
func (l *lost) WriteHeader(int)             {}
