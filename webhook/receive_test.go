package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var secret = []byte("It's a Secret to Everybody")

const ping = `{"zen":"Keep it logically awesome.","hook_id":1}`

// request makes a delivery that is right in every respect.
func request(name, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhook", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(DeliveryHeader, "72d3162e-cc78-11e3-81ab-4c9367dc0958")
	r.Header.Set(EventHeader, name)
	r.Header.Set(SignatureHeader, Sign(secret, []byte(body)))
	return r
}

// The example of GitHub Docs, "Validating webhook deliveries", Testing the
// webhook payload validation.
func TestSignIsGitHubs(t *testing.T) {
	const want = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	if got := Sign(secret, []byte("Hello, World!")); got != want {
		t.Errorf("Sign = %s, want %s", got, want)
	}
}

func TestRead(t *testing.T) {
	receiver := Receiver{Secrets: [][]byte{[]byte("the next one"), secret}, MaxBody: 100}
	event, err := receiver.Read(request("ping", ping))
	if err != nil {
		t.Fatal(err)
	}
	want := Event{Delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958", Name: "ping", Ignored: "a ping needs no work"}
	if diff := cmp.Diff(want, event); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}

	form := "payload=" + url.QueryEscape(ping)
	r := request("ping", form)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if event, err = receiver.Read(r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, event); diff != "" {
		t.Errorf("event of a form (-want +got):\n%s", diff)
	}

	r = request("ping", ping)
	r.Header.Del("Content-Type")
	if event, err = receiver.Read(r); err != nil || event.Name != "ping" {
		t.Errorf("without a content type: %+v, %v", event, err)
	}
}

func TestReadRefuses(t *testing.T) {
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
	}
	form := func(body string) func(*http.Request) {
		return func(r *http.Request) {
			*r = *request("ping", body)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	good := Sign(secret, []byte(ping))
	for name, tt := range map[string]struct {
		change func(*http.Request)
		status int
		reason string
	}{
		"no signature":    {header(SignatureHeader), 401, "has to be there once"},
		"two signatures":  {header(SignatureHeader, good, good), 401, "has to be there once"},
		"empty signature": {header(SignatureHeader, ""), 401, "does not fit"},
		"SHA-1":           {header(SignatureHeader, "sha1="+good[7:47]), 401, "does not fit"},
		"no prefix":       {header(SignatureHeader, good[7:]), 401, "does not fit"},
		"short signature": {header(SignatureHeader, good[:69]), 401, "does not fit"},
		"no hex":          {header(SignatureHeader, "sha256="+strings.Repeat("x", 64)), 401, "does not fit"},
		"another secret":  {header(SignatureHeader, Sign([]byte("x"), []byte(ping))), 401, "does not fit"},
		"empty secret":    {header(SignatureHeader, Sign(nil, []byte(ping))), 401, "does not fit"},
		"another body":    {header(SignatureHeader, Sign(secret, []byte(ping+" "))), 401, "does not fit"},
		"no delivery":     {header(DeliveryHeader), 400, "X-GitHub-Delivery"},
		"odd delivery":    {header(DeliveryHeader, "a b"), 400, "X-GitHub-Delivery"},
		"long delivery":   {header(DeliveryHeader, strings.Repeat("a", 129)), 400, "X-GitHub-Delivery"},
		"no event":        {header(EventHeader), 400, "X-GitHub-Event"},
		"odd event":       {header(EventHeader, "a\"b"), 400, "X-GitHub-Event"},
		"SHA-1 alone": {func(r *http.Request) {
			r.Header.Del(SignatureHeader)
			r.Header.Set("X-Hub-Signature", "sha1=2f0a1b6f3b9f7b7a2b1b2f9fa2f0a1b6f3b9f7b7")
		}, 401, "has to be there once"},
		"odd content type":     {header("Content-Type", "/"), 400, "Content-Type"},
		"another content type": {header("Content-Type", "text/plain"), 400, "`text/plain`"},
		"JSON as form":         {header("Content-Type", "application/x-www-form-urlencoded"), 400, "payload has to be there once"},
		"payload twice":        {form("payload={}&payload={}"), 400, "payload has to be there once"},
		"no form":              {form("payload=%zz"), 400, "not a form"},
		"no JSON":              {func(r *http.Request) { *r = *request("ping", "{") }, 400, "not JSON"},
		"empty":                {func(r *http.Request) { *r = *request("ping", "") }, 400, "not JSON"},
		"two values":           {func(r *http.Request) { *r = *request("unheard_of", "{}{}") }, 400, "not JSON"},
		"no object":            {func(r *http.Request) { *r = *request("push", "[]") }, 400, "not a JSON object"},
		"too large":            {func(r *http.Request) { *r = *request("ping", strings.Repeat(" ", 101)) }, 413, "100 bytes"},
		"too large, no length": {func(r *http.Request) { *r = *request("ping", strings.Repeat(" ", 101)); r.ContentLength = -1 }, 413, "100 bytes"},
		"too large, unsigned":  {func(r *http.Request) { r.ContentLength = 101; r.Header.Del(SignatureHeader) }, 413, "100 bytes"},
		"broken connection":    {func(r *http.Request) { r.Body = io.NopCloser(io.MultiReader(r.Body, broken{})) }, 400, "gone"},
		"no body":              {func(r *http.Request) { r.Body = nil }, 401, "no body"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("ping", ping)
			tt.change(r)
			event, err := Receiver{Secrets: [][]byte{nil, secret}, MaxBody: 100}.Read(r)
			if err == nil {
				t.Fatalf("Read = %+v, want an error", event)
			}
			if got := StatusOf(err); got != tt.status || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("Read = %d %v, want %d with %q", got, err, tt.status, tt.reason)
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("gone") }

func TestNoSecretIsNoSignature(t *testing.T) {
	for _, secrets := range [][][]byte{nil, {}, {nil}, {{}}} {
		r := request("ping", ping)
		r.Header.Set(SignatureHeader, Sign(nil, []byte(ping)))
		if _, err := (Receiver{Secrets: secrets}).Read(r); StatusOf(err) != http.StatusUnauthorized {
			t.Errorf("Read with secrets %q = %v, want a refused signature", secrets, err)
		}
	}
}

func TestStatusOf(t *testing.T) {
	for err, want := range map[error]int{
		nil:                             202,
		&TooLargeError{}:                413,
		&SignatureError{}:               401,
		&PayloadError{}:                 400,
		&ReadError{Err: io.EOF}:         400,
		fmt.Errorf("x: %w", broken2):    400,
		errors.New("the store is down"): 500,
	} {
		if got := StatusOf(err); got != want {
			t.Errorf("StatusOf(%v) = %d, want %d", err, got, want)
		}
	}
}

var broken2 = &PayloadError{Delivery: "1", Event: "push", Reason: "field ref is missing"}

func TestReadsUpToTheLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 50 MiB")
	}
	body := append([]byte(ping), bytes.Repeat([]byte(" "), MaxBody-len(ping))...)
	if _, err := (Receiver{Secrets: [][]byte{secret}}).Read(request("ping", string(body))); err != nil {
		t.Errorf("a body of exactly 25 MiB: %v", err)
	}
	if _, err := (Receiver{Secrets: [][]byte{secret}}).Read(request("ping", string(body)+" ")); StatusOf(err) != 413 {
		t.Errorf("a body of 25 MiB and a byte: %v, want 413", err)
	}
}

// A signature verifies if and only if it is the HMAC of exactly these bytes
// under one of the secrets.
func FuzzSignature(f *testing.F) {
	f.Add([]byte(ping), []byte(ping), []byte("a"), Sign(secret, []byte(ping)))
	f.Add([]byte(ping), []byte(ping+"\n"), []byte(""), "sha256=")
	f.Add([]byte(""), []byte(""), []byte("b"), "sha256=00")
	f.Fuzz(func(t *testing.T, body, signed, key []byte, header string) {
		receiver := Receiver{Secrets: [][]byte{secret, key}}
		for _, by := range [][]byte{secret, key} {
			want := bytes.Equal(body, signed) && len(by) > 0
			if got := receiver.verify(Sign(by, signed), body); got != want {
				t.Errorf("verify(Sign(%q, %q), %q) = %v", by, signed, body, got)
			}
		}
		want := false
		for _, by := range receiver.Secrets {
			h := hmac.New(sha256.New, by)
			h.Write(body)
			digest, ok := strings.CutPrefix(header, "sha256=")
			want = want || len(by) > 0 && ok && strings.EqualFold(digest, hex.EncodeToString(h.Sum(nil)))
		}
		if got := receiver.verify(header, body); got != want {
			t.Errorf("verify(%q, %q) = %v", header, body, got)
		}
	})
}
