package sandbox

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
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// client speaks to the API with some credentials.
type client struct {
	t     *testing.T
	s     *Sandbox
	token string
}

// do asks and returns status, JSON (an object, a list or nil) and headers.
func (c client) do(method, path string, body any) (int, any, http.Header) {
	c.t.Helper()
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, strings.TrimSuffix(c.s.APIURL(), "/")+path, in)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out any
	if data, err := io.ReadAll(resp.Body); err != nil {
		c.t.Fatal(err)
	} else if len(data) > 0 {
		if err := json.Unmarshal(data, &out); err != nil {
			c.t.Fatalf("%s %s: %v: %s", method, path, err, data)
		}
	}
	return resp.StatusCode, out, resp.Header
}

type (
	object = map[string]any
	list   = []any
)

// want asks and fails the test unless the status is the expected one. It
// returns the object that came back, nil for a list.
func (c client) want(status int, method, path string, body any) object {
	c.t.Helper()
	got, out, _ := c.do(method, path, body)
	if got != status {
		c.t.Fatalf("%s %s: %d %v, want %d", method, path, got, out, status)
	}
	o, _ := out.(object)
	return o
}

func id(o object) string { return fmt.Sprintf("%.0f", o["id"]) }

// sign makes the App's own token.
func sign(t *testing.T, s *Sandbox, claims object) string {
	t.Helper()
	block, _ := pem.Decode(s.AppKey())
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	text := part(object{"alg": "RS256", "typ": "JWT"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func goodClaims() object {
	return object{"iat": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(), "iss": "4711"}
}

// installation gets an installation token as an App does.
func installation(t *testing.T, s *Sandbox) client {
	t.Helper()
	app := client{t, s, sign(t, s, goodClaims())}
	i := app.want(200, "GET", "/repos/acme/infra/installation", nil)
	token := app.want(201, "POST", "/app/installations/"+id(i)+"/access_tokens", nil)
	return client{t, s, token["token"].(string)}
}
