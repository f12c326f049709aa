package rest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// inProcess carries requests to a handler without a network, so that a test
// can let time run by itself. A handler that panics with http.ErrAbortHandler
// breaks the connection.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	defer func() {
		if recover() != nil {
			resp, err = nil, io.ErrUnexpectedEOF
		}
	}()
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if req.Body == nil {
		req.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// testKey signs the App's tokens.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func keyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(testKey())})
}

const testApp = 4711

// appHost is a GitHub with an App: it checks the App's tokens, gives out those
// of installations, and answers /repos/OWNER/NAME/ping with the installation
// that asked.
type appHost struct {
	mu        sync.Mutex
	installed map[string]int64 // by owner/name
	suspended map[int64]bool
	tokens    map[string]grant
	life      time.Duration // of a token
	public    bool          // every installation may read everything
	calls     []string
	faults    []func(w http.ResponseWriter, r *http.Request) bool // asked first; true: answered
}

type grant struct {
	installation int64
	until        time.Time
}

func newAppHost(installed map[string]int64) *appHost {
	return &appHost{installed: installed, suspended: map[int64]bool{}, tokens: map[string]grant{}, life: time.Hour}
}

// called returns the calls so far, and forgets them.
func (h *appHost) called() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.calls
	h.calls = nil
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

func (h *appHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, r.Method+" "+r.URL.Path)
	for i, f := range h.faults {
		if f(w, r) {
			h.faults = append(h.faults[:i:i], h.faults[i+1:]...)
			return
		}
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if parts[0] == "app" || parts[len(parts)-1] == "installation" {
		if err := checkJWT(token); err != nil || scheme != "Bearer" {
			refuse(w, http.StatusUnauthorized, fmt.Sprintf("A JSON web token could not be decoded: %v", err))
			return
		}
	}
	switch {
	case parts[len(parts)-1] == "installation":
		id := h.installed[strings.Join(parts[1:len(parts)-1], "/")]
		if id == 0 {
			refuse(w, http.StatusNotFound, "Not Found")
			return
		}
		body := map[string]any{"id": id, "suspended_at": nil}
		if h.suspended[id] {
			body["suspended_at"] = "2026-01-01T00:00:00Z"
		}
		answer(w, http.StatusOK, body)
	case parts[len(parts)-1] == "access_tokens":
		id, _ := strconv.ParseInt(parts[2], 10, 64)
		if h.suspended[id] {
			refuse(w, http.StatusForbidden, "This installation has been suspended")
			return
		}
		for _, known := range h.installed {
			if known == id {
				token := fmt.Sprintf("ghs_secret%d", len(h.tokens))
				until := time.Now().Add(h.life)
				h.tokens[token] = grant{id, until}
				answer(w, http.StatusCreated, map[string]any{"token": token, "expires_at": until.UTC().Format(time.RFC3339)})
				return
			}
		}
		refuse(w, http.StatusNotFound, "Integration not found")
	case parts[len(parts)-1] == "ping":
		g, ok := h.tokens[token]
		if !ok || !time.Now().Before(g.until) {
			refuse(w, http.StatusUnauthorized, "Bad credentials")
			return
		}
		if h.installed[strings.Join(parts[1:3], "/")] != g.installation {
			switch {
			case !h.public:
				refuse(w, http.StatusNotFound, "Not Found")
				return
			case r.Method != http.MethodGet:
				refuse(w, http.StatusForbidden, "Resource not accessible by integration")
				return
			}
		}
		answer(w, http.StatusOK, g.installation)
	default:
		refuse(w, http.StatusNotFound, "Not Found")
	}
}

// checkJWT verifies an App's token as GitHub documents it: RS256, issued by the
// App, valid for at most ten minutes.
func checkJWT(token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("not a JWT")
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&testKey().PublicKey, crypto.SHA256, sum[:], sig); err != nil {
		return err
	}
	var claims struct {
		Iss      string
		Iat, Exp int64
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(b, &claims)
	}
	if err != nil {
		return err
	}
	now := time.Now().Unix()
	if claims.Iss != strconv.Itoa(testApp) || claims.Iat > now || claims.Exp <= now || claims.Exp > now+600 {
		return fmt.Errorf("claims %+v at %d", claims, now)
	}
	return nil
}

// logged collects what is logged.
type logged struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

// asApp returns a client of the App towards h.
func asApp(t *testing.T, h http.Handler) *Client {
	t.Helper()
	return client(t, Config{App: &App{ID: testApp, PrivateKey: keyPEM()}, HTTP: inProcess{h}})
}

// withToken returns a client with the token "ghp_secret" towards h.
func withToken(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	return client(t, Config{Token: StaticToken("ghp_secret"), HTTP: inProcess{h}})
}

func client(t *testing.T, c Config) *Client {
	t.Helper()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
