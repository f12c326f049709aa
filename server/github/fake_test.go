package github

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// host is one repository, acme/app, on a GitHub that keeps what it is told. The
// tests of package rest show how calls are authenticated; here anybody may.
type host struct {
	mu     sync.Mutex
	calls  []string
	nextID int64

	self     string // login of whoever posts
	bot      bool
	comments []comment
	runs     []map[string]any
	statuses []map[string]any
	lists    map[string][]any        // paged, by path below the repository
	objects  map[string]http.Handler // by method and path below the repository
	graph    func(query string) (int, any)
	more     func(w http.ResponseWriter, r *http.Request, path string, body map[string]any) bool // before what is built in; false: not served
	noUsers  bool                                                                                // GitHub tells nobody who they are
	noLast   bool                                                                                // Link headers name the next page alone
	folded   []string                                                                            // queries of GraphQL
	silent   map[string]http.HandlerFunc                                                         // before everything else, like objects

	// fault is asked before a request is answered; with after it is let
	// happen first. It returns how to answer instead, nil for as usual.
	fault func(r *http.Request) *fault
}

type fault struct {
	after  bool
	status int // 0: the connection breaks
}

type comment struct {
	ID      int64          `json:"id"`
	Node    string         `json:"node_id"`
	Body    string         `json:"body"`
	User    map[string]any `json:"user"`
	Updated time.Time      `json:"updated_at"`
	URL     string         `json:"html_url"`
}

func newHost() *host {
	return &host{nextID: 1000, self: "weir-bot", lists: map[string][]any{}, objects: map[string]http.Handler{}}
}

func (h *host) called() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.calls
	h.calls = nil
	return c
}

// say adds a comment of anybody's.
func (h *host) say(login, body string) comment {
	h.nextID++
	kind := "User"
	if strings.HasSuffix(login, "[bot]") || login == h.self && h.bot {
		kind = "Bot"
	}
	c := comment{
		ID: h.nextID, Node: fmt.Sprintf("IC_%d", h.nextID), Body: body, User: map[string]any{"login": login, "type": kind},
		Updated: time.Now().UTC().Truncate(time.Second), URL: fmt.Sprintf("https://github.example/acme/app/pull/1#%d", h.nextID),
	}
	h.comments = append(h.comments, c)
	return c
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"message": message})
}

func fixed(status int, v any) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, status, v) })
}

// page answers with one page of all, wrapped by wrap.
func page[T any](w http.ResponseWriter, r *http.Request, all []T, wrap func([]T) any) {
	q := r.URL.Query()
	per, _ := strconv.Atoi(cmp.Or(q.Get("per_page"), "30"))
	n, _ := strconv.Atoi(cmp.Or(q.Get("page"), "1"))
	last := (len(all) + per - 1) / per
	if n < last {
		w.Header().Set("Link", fmt.Sprintf(`<https://x.example/?page=%d>; rel="next", <https://x.example/?page=%d>; rel="last"`, n+1, last))
	}
	from := min((n-1)*per, len(all))
	answer(w, http.StatusOK, wrap(all[from:min(from+per, len(all))]))
}

// nextOnly leaves only the next page in Link headers, as GitHub does where it
// does not count what there is.
type nextOnly struct{ http.ResponseWriter }

func (w nextOnly) WriteHeader(status int) {
	if next, _, ok := strings.Cut(w.Header().Get("Link"), ", "); ok {
		w.Header().Set("Link", next)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/repos/acme/app/")
	h.calls = append(h.calls, r.Method+" "+path)
	if silent := h.silent[r.Method+" "+path]; silent != nil {
		silent(w, r)
		return
	}
	if h.fault != nil {
		if f := h.fault(r); f != nil {
			if f.after {
				h.serve(httptest.NewRecorder(), r, path)
			}
			if f.status == 0 {
				panic(http.ErrAbortHandler)
			}
			refuse(w, f.status, "down")
			return
		}
	}
	h.serve(w, r, path)
}

func (h *host) serve(w http.ResponseWriter, r *http.Request, path string) {
	if o := h.objects[r.Method+" "+path]; o != nil {
		o.ServeHTTP(w, r)
		return
	}
	var body map[string]any
	if b, _ := io.ReadAll(r.Body); len(b) > 0 {
		_ = json.Unmarshal(b, &body)
	}
	if h.more != nil && h.more(w, r, path, body) {
		return
	}
	text, _ := body["body"].(string)
	key := r.Method + " " + path
	list, isList := h.lists[path]
	switch {
	case path == "/user" && h.self != "" && !h.bot:
		answer(w, http.StatusOK, map[string]string{"login": h.self})
	case path == "/user" && h.noUsers:
		refuse(w, http.StatusNotFound, "Not Found")
	case path == "/user":
		refuse(w, http.StatusForbidden, "Resource not accessible by integration")
	case path == "/app" && !h.noUsers:
		answer(w, http.StatusOK, map[string]string{"slug": strings.TrimSuffix(h.self, "[bot]")})
	case path == "installation":
		answer(w, http.StatusOK, map[string]int64{"id": 7})
	case path == "/app/installations/7/access_tokens":
		answer(w, http.StatusCreated, map[string]any{"token": "ghs_x", "expires_at": time.Now().Add(time.Hour).UTC()})
	case path == "/graphql":
		query := body["query"].(string)
		h.folded = append(h.folded, query)
		status, v := h.graph(query)
		answer(w, status, v)

	case key == "GET issues/1/comments":
		if h.noLast {
			w = nextOnly{w}
		}
		page(w, r, h.comments, func(p []comment) any { return p })
	case key == "POST issues/1/comments":
		answer(w, http.StatusCreated, h.say(h.self, text))
	case r.Method == http.MethodPatch && strings.HasPrefix(path, "issues/comments/"):
		for i, c := range h.comments {
			if path == fmt.Sprintf("issues/comments/%d", c.ID) {
				h.comments[i].Body, h.comments[i].Updated = text, time.Now().UTC().Truncate(time.Second)
				answer(w, http.StatusOK, h.comments[i])
				return
			}
		}
		refuse(w, http.StatusNotFound, "Not Found")

	case key == "POST check-runs":
		h.nextID++
		body["id"], body["app"] = h.nextID, map[string]int{"id": testApp}
		h.runs = append(h.runs, body)
		answer(w, http.StatusCreated, body)
	case r.Method == http.MethodPatch && strings.HasPrefix(path, "check-runs/"):
		for _, run := range h.runs {
			if path == fmt.Sprintf("check-runs/%v", run["id"]) {
				delete(run, "conclusion")
				maps.Copy(run, body)
				answer(w, http.StatusOK, run)
				return
			}
		}
		refuse(w, http.StatusNotFound, "Not Found")
	case r.Method == http.MethodGet && strings.HasSuffix(path, "/check-runs"):
		var of []map[string]any
		for _, run := range h.runs {
			if path == fmt.Sprintf("commits/%v/check-runs", run["head_sha"]) {
				of = append(of, run)
			}
		}
		page(w, r, of, func(p []map[string]any) any { return map[string]any{"total_count": len(of), "check_runs": p} })
	case r.Method == http.MethodGet && strings.HasSuffix(path, "/status"):
		page(w, r, h.statuses, func(p []map[string]any) any {
			return map[string]any{"state": "pending", "total_count": len(h.statuses), "statuses": p}
		})
	case r.Method == http.MethodPost && strings.HasPrefix(path, "statuses/"):
		h.nextID++
		body["id"] = h.nextID
		h.statuses = append(slices.DeleteFunc(h.statuses, func(s map[string]any) bool { return s["context"] == body["context"] }), body)
		answer(w, http.StatusCreated, body)
	case isList && r.Method == http.MethodGet:
		page(w, r, list, func(p []any) any { return p })
	default:
		refuse(w, http.StatusNotFound, "Not Found")
	}
}

// inProcess carries requests to a handler without a network, so that time can
// run by itself.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	defer func() {
		if recover() != nil {
			resp, err = nil, io.ErrUnexpectedEOF
		}
	}()
	if req.Body == nil {
		req.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, req)
	return w.Result(), req.Context().Err()
}

const testApp = 4711

var testKey = sync.OnceValue(func() []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
})

// asApp returns a client that is an App at h, withToken one that has a token.
func asApp(t *testing.T, h *host) *Client {
	t.Helper()
	h.self, h.bot = "weir[bot]", true
	return client(t, Config{App: &App{ID: testApp, PrivateKey: testKey()}, HTTP: inProcess{h}})
}

func withToken(t *testing.T, h *host) *Client {
	t.Helper()
	return client(t, Config{Token: StaticToken("ghp_x"), HTTP: inProcess{h}})
}

func client(t *testing.T, c Config) *Client {
	t.Helper()
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
