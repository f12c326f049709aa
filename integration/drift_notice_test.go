package integration

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"weir/integration/sandbox"
)

// A program of somebody's and a channel hear of drift beside the issue: signed,
// once, and again when it is in order.
func TestDriftIsToldElsewhere(t *testing.T) {
	t.Parallel()
	const secret = "a secret of sixteen bytes or more"
	type post struct{ path, body string }
	posts := make(chan post, 20)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if r.URL.Path == "/json" {
			mac := hmac.New(sha256.New, []byte(secret))
			_, _ = fmt.Fprintf(mac, "%s.%s", r.Header.Get("X-Weir-Timestamp"), body)
			if !hmac.Equal([]byte(r.Header.Get("X-Weir-Signature-256")), []byte("sha256="+hex.EncodeToString(mac.Sum(nil)))) {
				t.Errorf("the signature %q is not that of %s", r.Header.Get("X-Weir-Signature-256"), body)
			}
		}
		posts <- post{r.URL.Path, string(body)}
	}))
	t.Cleanup(receiver.Close)

	w := drifting(t, setup{file: fmt.Sprintf(`drift:
  notify:
    - {name: inventory, format: json, url: %[1]s/json, secret: %[2]s}
    - {name: ops, format: slack, url: %[1]s/slack}
`, receiver.URL, secret)})
	told := func(parts ...string) {
		t.Helper()
		for range 2 {
			p := <-posts
			for _, part := range append(parts, "prod") {
				if !strings.Contains(p.body, part) {
					t.Errorf("%s was not told %q: %s", p.path, part, p.body)
				}
			}
			if strings.Contains(p.body, secret) {
				t.Errorf("%s was told the secret: %s", p.path, p.body)
			}
		}
		if len(posts) > 0 {
			t.Errorf("and then %+v", <-posts)
		}
	}
	w.look("prod")
	issue := w.issue("prod", func(i sandbox.Issue) bool { return i.State == "open" })
	told("deleted outside", fmt.Sprintf("/issues/%d", issue.Number))
	w.look("prod") // nothing new
	w.do(os.WriteFile(w.outside("prod"), []byte("hello"), 0o600))
	w.look("prod")
	told("in order")
	if log := w.log.String(); strings.Contains(log, secret) || strings.Contains(log, receiver.URL) {
		t.Error("the log has the secret, or the URL")
	}
}
