// Package rest answers GitHub's REST API over a hub.
package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/checks"
	"weir/integration/sandbox/hooks"
	"weir/integration/sandbox/hub"
	"weir/integration/sandbox/objects"
	"weir/integration/sandbox/record"
	"weir/integration/sandbox/shape"
	"weir/integration/sandbox/talk"
)

// API serves the REST API below its root: /repos/…, /app, and so on.
type API struct {
	Hub     *hub.Hub
	Talk    *talk.Talk
	Checks  *checks.Runs
	Objects objects.Objects
	Hooks   *hooks.Sender
	Shape   func() shape.Shaper
	Log     *slog.Logger

	mux *http.ServeMux
}

// call is one request being answered.
type call struct {
	*http.Request
	w    http.ResponseWriter
	who  account.Identity
	repo string // full name, where the route has one
}

// answer is a status and what to write as JSON; nil for no body.
type answer struct {
	status int
	body   any
}

func ok(body any) (answer, error) { return answer{http.StatusOK, body}, nil }

// endpoint is a route and what it asks of whoever calls it.
type endpoint struct {
	pattern string
	need    hub.Need
	serve   func(*call) (answer, error)
}

// Handler builds the routes.
func (a *API) Handler() http.Handler {
	a.mux = http.NewServeMux()
	for _, e := range a.endpoints() {
		a.mux.HandleFunc(e.pattern, func(w http.ResponseWriter, r *http.Request) { a.answer(w, r, e) })
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if _, err := a.Hub.Authenticate(r.Header.Get("Authorization")); err != nil {
			a.fail(w, err)
			return
		}
		a.fail(w, &record.Error{Status: http.StatusNotFound, Message: "Not Found"})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, disambiguate(r)) })
}

// Route names the pattern that serves a request, without its method; "" where
// none does. The request's path must begin at the API's root.
func (a *API) Route(r *http.Request) string {
	_, pattern := a.mux.Handler(disambiguate(r))
	_, path, _ := strings.Cut(pattern, " ")
	return strings.Replace(path, "/issue-comments/", "/issues/comments/", 1)
}

// disambiguate renames issues/comments/ID, which ServeMux could not tell from
// issues/NUMBER/comments.
func disambiguate(r *http.Request) *http.Request {
	parts := strings.SplitN(r.URL.Path, "/", 7)
	if len(parts) < 7 || parts[1] != "repos" || parts[4] != "issues" || parts[5] != "comments" {
		return r
	}
	r = r.Clone(r.Context())
	r.URL.Path = strings.Join(append(parts[:4:4], "issue-comments", parts[6]), "/")
	r.URL.RawPath = ""
	return r
}

func (a *API) answer(w http.ResponseWriter, r *http.Request, e endpoint) {
	who, err := a.Hub.Authenticate(r.Header.Get("Authorization"))
	if err != nil {
		a.fail(w, err)
		return
	}
	c := &call{Request: r, w: w, who: who}
	if owner := r.PathValue("owner"); owner != "" {
		c.repo = owner + "/" + r.PathValue("repo")
	}
	if err := a.allow(c, e); err != nil {
		a.fail(w, err)
		return
	}
	result, err := e.serve(c)
	if err != nil {
		a.fail(w, err)
		return
	}
	a.write(w, r, result)
}

// Needs of routes that belong to no repository.
const (
	needApp   = "app"   // the App's own token
	needUser  = "user"  // a person's
	needToken = "token" // an installation's
	needAny   = "any"
)

func (a *API) allow(c *call, e endpoint) error {
	if c.repo != "" && e.need.Area != needApp {
		return a.Hub.Allow(c.who, c.repo, e.need)
	}
	kind := map[string]string{needApp: account.ByApp, needUser: account.ByUser, needToken: account.ByInstallation}[e.need.Area]
	switch {
	case kind == "" || c.who.Kind == kind:
		return nil
	case c.who.Kind == account.Anonymous:
		return &record.Error{Status: http.StatusUnauthorized, Message: "Requires authentication"}
	case kind == account.ByApp:
		return &record.Error{Status: http.StatusUnauthorized, Message: "A JSON web token could not be decoded"}
	}
	return &record.Error{Status: http.StatusForbidden, Message: "Resource not accessible by integration"}
}

// write answers with JSON, or with 304 where the client has it already.
func (a *API) write(w http.ResponseWriter, r *http.Request, result answer) {
	a.limits(w)
	if result.body == nil {
		w.WriteHeader(result.status)
		return
	}
	body, err := json.Marshal(result.body)
	if err != nil {
		a.fail(w, fmt.Errorf("encode answer: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if r.Method == http.MethodGet {
		sum := sha256.Sum256(body)
		tag := `"` + hex.EncodeToString(sum[:]) + `"`
		w.Header().Set("ETag", tag)
		if strings.TrimPrefix(r.Header.Get("If-None-Match"), "W/") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(result.status)
	_, _ = w.Write(body) // the client may be gone
}

// Answer writes a body as an answer of the API's.
func (a *API) Answer(w http.ResponseWriter, r *http.Request, body any) {
	a.write(w, r, answer{http.StatusOK, body})
}

// Fail answers with an error as GitHub words it.
func (a *API) Fail(w http.ResponseWriter, err error) { a.fail(w, err) }

// limits tells of a rate limit that nobody has used yet: traffic has rules for
// one that is used up.
func (a *API) limits(w http.ResponseWriter) {
	reset := strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10)
	for key, value := range map[string]string{"Limit": "5000", "Remaining": "4999", "Used": "1", "Reset": reset, "Resource": "core"} {
		w.Header().Set("X-Ratelimit-"+key, value)
	}
	w.Header().Set("X-Github-Media-Type", "github.v3; format=json")
}

// fail answers with an error as GitHub words it.
func (a *API) fail(w http.ResponseWriter, err error) {
	var e *record.Error
	if !errors.As(err, &e) {
		a.Log.Error("sandbox", "error", err)
		e = &record.Error{Status: http.StatusInternalServerError, Message: "Server Error"}
	}
	body := shape.Object{"message": e.Message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(e.Status)}
	if len(e.Fields) > 0 {
		list := []any{}
		for _, f := range e.Fields {
			if f.Code == "" {
				list = append(list, f.Message)
				continue
			}
			o := shape.Object{"resource": f.Resource, "code": f.Code, "field": f.Field}
			if f.Message != "" {
				o["message"] = f.Message
			}
			list = append(list, o)
		}
		body["errors"] = list
	}
	a.limits(w)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

// read decodes the body; GitHub answers 400 to what is not JSON.
func (c *call) read(into any) error {
	if err := json.NewDecoder(http.MaxBytesReader(c.w, c.Body, 8<<20)).Decode(into); err != nil {
		return &record.Error{Status: http.StatusBadRequest, Message: "Problems parsing JSON"}
	}
	return nil
}

// number reads a number in the path; one that is none does not exist.
func (c *call) number(name string) (int, error) {
	n, err := strconv.Atoi(c.PathValue(name))
	if err != nil {
		return 0, &record.Error{Status: http.StatusNotFound, Message: "Not Found"}
	}
	return n, nil
}

func (c *call) id(name string) (int64, error) {
	n, err := strconv.ParseInt(c.PathValue(name), 10, 64)
	if err != nil {
		return 0, &record.Error{Status: http.StatusNotFound, Message: "Not Found"}
	}
	return n, nil
}

// page cuts a list as per_page and page ask, and sets the Link header.
func page[T any](a *API, c *call, all []T) []T {
	q := c.URL.Query()
	per, err := strconv.Atoi(q.Get("per_page"))
	if err != nil || per < 1 {
		per = 30
	}
	per = min(per, 100)
	n, err := strconv.Atoi(q.Get("page"))
	if err != nil || n < 1 {
		n = 1
	}
	last := max(1, (len(all)+per-1)/per)
	var links []string
	link := func(rel string, to int) {
		q := url.Values{}
		for key, values := range c.URL.Query() {
			q[key] = values
		}
		q.Set("page", strconv.Itoa(to))
		links = append(links, fmt.Sprintf(`<%s%s?%s>; rel=%q`, a.Shape().API, strings.Replace(c.URL.EscapedPath(), "/issue-comments/", "/issues/comments/", 1), q.Encode(), rel))
	}
	if n > 1 {
		link("prev", n-1)
	}
	if n < last {
		link("next", n+1)
		link("last", last)
	}
	if n > 1 {
		link("first", 1)
	}
	if len(links) > 0 {
		c.w.Header().Set("Link", strings.Join(links, ", "))
	}
	from := min((n-1)*per, len(all))
	return all[from:min(from+per, len(all))]
}

// list maps a page of records to JSON, [] for none.
func list[T any](records []T, to func(T) shape.Object) []shape.Object {
	objects := []shape.Object{}
	for _, r := range records {
		objects = append(objects, to(r))
	}
	return objects
}

// Routes lists what is served, as "METHOD /path/{with}/{names}".
func (a *API) Routes() []string {
	var routes []string
	for _, e := range a.endpoints() {
		routes = append(routes, strings.Replace(e.pattern, "/issue-comments/", "/issues/comments/", 1))
	}
	return routes
}
