package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/drift/notice"
)

// The vector was made with openssl dgst -sha256 -hmac.
func TestSignature(t *testing.T) {
	const body, timestamp = `{"version":1,"event":"drift"}`, "1795231745"
	const want = "sha256=40f14d0c4df280d5b605c791c34952d618b69a974b178230d15104a1d17c5774"
	if got := Signature([]byte(secret), timestamp, []byte(body)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, got := range map[string]string{
		"another secret": Signature([]byte(secret+"x"), timestamp, []byte(body)),
		"another time":   Signature([]byte(secret), "1795231746", []byte(body)),
		"another body":   Signature([]byte(secret), timestamp, []byte(body+" ")),
	} {
		if got == want {
			t.Errorf("%s has the same signature", name)
		}
	}
}

func TestSend(t *testing.T) {
	for _, format := range []Format{JSON, Slack} {
		var got *http.Request
		var body []byte
		s := serve(t, format, func(w http.ResponseWriter, r *http.Request) {
			got = r
			body, _ = io.ReadAll(r.Body)
			w.WriteHeader(http.StatusAccepted)
		})
		if err := s.Send(t.Context(), full()); err != nil {
			t.Fatal(err)
		}
		if got.Method != http.MethodPost || got.URL.Path != "/services/T0000/B0000/xoxo_secret_path" || got.Header.Get("Content-Type") != "application/json" || !json.Valid(body) {
			t.Errorf("%s: %s %s %v", format, got.Method, got.URL, got.Header)
		}
		timestamp := got.Header.Get("X-Weir-Timestamp")
		if format == Slack {
			if timestamp != "" || got.Header.Get("X-Weir-Signature-256") != "" {
				t.Errorf("headers for Slack: %v", got.Header)
			}
			continue
		}
		seconds, err := strconv.ParseInt(timestamp, 10, 64)
		if age := time.Since(time.Unix(seconds, 0)); err != nil || age < 0 || age > time.Minute {
			t.Errorf("timestamp %q", timestamp)
		}
		if got.Header.Get("X-Weir-Event") != "drift" || got.Header.Get("X-Weir-Delivery") != full().ID ||
			got.Header.Get("X-Weir-Signature-256") != Signature([]byte(secret), timestamp, body) {
			t.Errorf("headers %v", got.Header)
		}
	}
}

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		code    int
		body    string
		header  string // Retry-After
		says    string
		refused bool
		later   time.Duration
	}{
		{code: 200, body: "ok"},
		{code: 204},
		{code: 299},
		{code: 400, body: "invalid_payload", says: "it answered 400, invalid_payload", refused: true},
		{code: 404, body: "no_service\n", says: "it answered 404, no_service", refused: true},
		{code: 410, body: "<html>secret</html>", says: "it answered 410 Gone", refused: true},
		{code: 403, body: "xoxo_secret_path", says: "it answered 403 Forbidden", refused: true},
		{code: 403, body: strings.Repeat("a_a", 1<<20), says: "it answered 403 Forbidden", refused: true},
		{code: 301, says: "redirects are not followed", refused: true},
		{code: 307, says: "redirects are not followed", refused: true},
		{code: 408, says: "it answered 408 Request Timeout"},
		{code: 429, says: "it answered 429 Too Many Requests"},
		{code: 429, header: "30", body: "rate_limited", says: "it answered 429, rate_limited", later: 30 * time.Second},
		{code: 429, header: "999999", says: "it answered 429", later: time.Hour},
		{code: 429, header: "99999999999999999999", says: "it answered 429"},
		{code: 429, header: "-1", says: "it answered 429"},
		{code: 503, header: "0", says: "it answered 503", later: time.Nanosecond},
		{code: 500, header: "30", says: "it answered 500 Internal Server Error"},
		{code: 599, says: "it answered 599"},
	} {
		t.Run(fmt.Sprint(tt.code, tt.header, len(tt.body)), func(t *testing.T) {
			asked := 0
			s := serve(t, JSON, func(w http.ResponseWriter, _ *http.Request) {
				asked++
				w.Header().Set("Location", "http://127.0.0.1:1/secret")
				if tt.header != "" {
					w.Header().Set("Retry-After", tt.header)
				}
				w.WriteHeader(tt.code)
				_, _ = io.WriteString(w, tt.body)
			})
			before := time.Now()
			err := s.Send(t.Context(), full())
			if asked != 1 {
				t.Errorf("asked %d times", asked)
			}
			if tt.says == "" {
				if err != nil {
					t.Errorf("error %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("error %v, want %q", err, tt.says)
			}
			quiet(t, err.Error())
			var refused *notice.RefusedError
			if errors.As(err, &refused) != tt.refused {
				t.Errorf("refused is %v: %v", !tt.refused, err)
			}
			var later interface{ Later() time.Time }
			if errors.As(err, &later) != (tt.later != 0) {
				t.Fatalf("%v, want a wait of %s", err, tt.later)
			}
			if tt.later != 0 {
				if wait := later.Later().Sub(before); wait < tt.later.Truncate(time.Second) || wait > tt.later+time.Minute {
					t.Errorf("a wait of %s, want %s", wait, tt.later)
				}
			}
		})
	}
}

func TestRetryAfterDate(t *testing.T) {
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Time{
		"Sat, 21 Nov 2026 03:20:00 GMT": now.Add(20 * time.Minute),
		"Sun, 22 Nov 2026 03:20:00 GMT": now.Add(time.Hour),
		"Fri, 20 Nov 2026 03:20:00 GMT": now.Add(-24*time.Hour + 20*time.Minute),
		"tomorrow":                      {},
		"":                              {},
	} {
		if got, ok := later(value, now); !got.Equal(want) || ok != !want.IsZero() {
			t.Errorf("%q: %s, %v", value, got, ok)
		}
	}
}

// A redirect is not followed, whatever the client was told: what is sent does
// not arrive elsewhere.
func TestNoRedirects(t *testing.T) {
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	t.Cleanup(other.Close)
	for _, location := range []string{other.URL + "/secret", "/services", "http://[secret", ""} {
		for _, code := range []int{301, 302, 303, 307, 308} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/hook" {
					elsewhere++
				}
				w.Header()["Location"] = []string{location}
				w.WriteHeader(code)
			}))
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}
			err := sender(t, JSON, server.URL+"/hook", client).Send(t.Context(), full())
			if err == nil {
				t.Errorf("%d to %q was taken", code, location)
			} else {
				quiet(t, err.Error())
			}
			if client.CheckRedirect == nil {
				t.Error("the client was changed")
			}
			server.Close()
		}
	}
	if elsewhere != 0 {
		t.Errorf("%d requests arrived elsewhere", elsewhere)
	}
}

// answers is a client whose requests are answered by a function.
type answers func(r *http.Request) (*http.Response, error)

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := answers(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		s := sender(t, Slack, "https://user:hush@hooks.example/services/T0000", &http.Client{Transport: waits})
		began := time.Now()
		err := s.Send(t.Context(), full())
		if took := time.Since(began); took != timeout || err == nil || err.Error() != "notify ops: no answer within 10s" {
			t.Errorf("after %s: %v", took, err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		ends := errors.New("the server ends")
		time.AfterFunc(time.Second, func() { cancel(ends) })
		if err := s.Send(ctx, full()); !errors.Is(err, ends) || time.Since(began) != timeout+time.Second {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// dripping is an answer that never ends.
type dripping struct {
	ctx  context.Context
	read *int
}

func (d dripping) Read(p []byte) (int, error) {
	if d.ctx.Err() != nil {
		return 0, d.ctx.Err()
	}
	*d.read += len(p)
	return len(p), nil
}
func (d dripping) Close() error { return nil }

func TestEndlessAnswer(t *testing.T) {
	for code, fails := range map[int]bool{200: false, 500: true} {
		read := 0
		endless := answers(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, Header: http.Header{}, Body: dripping{r.Context(), &read}, Request: r}, nil
		})
		err := sender(t, Slack, "https://hooks.example/services/T0000", &http.Client{Transport: endless}).Send(t.Context(), full())
		if (err != nil) != fails || read > maxAnswer {
			t.Errorf("%d: error %v after %d bytes", code, err, read)
		}
	}
}

func TestNoAnswer(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	raw := func(text string) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				_, _ = c.Read(make([]byte, 64<<10))
				_, _ = io.WriteString(c, text)
				_ = c.Close()
			}
		}()
		return "http://" + listener.Addr().String()
	}
	wrongHost := http.DefaultTransport.(*http.Transport).Clone()
	wrongHost.TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	wrongHost.TLSClientConfig.ServerName = "secret.example.org"
	unknown := answers(func(*http.Request) (*http.Response, error) {
		return nil, &net.DNSError{Name: "secret.example", IsNotFound: true}
	})
	for name, tt := range map[string]struct {
		url    string
		client *http.Client
		says   string
	}{
		"nobody listens":       {"http://" + nobody, nil, "connection refused"},
		"no TLS":               {strings.Replace(plain.URL, "http:", "https:", 1), nil, "does not speak TLS"},
		"a strange authority":  {secure.URL, nil, "nobody that this machine trusts"},
		"a trusted one":        {secure.URL, secure.Client(), ""},
		"another host":         {secure.URL, &http.Client{Transport: wrongHost}, "another host"},
		"an unknown host":      {"https://secret.example", &http.Client{Transport: unknown}, "cannot be found"},
		"closed at once":       {raw(""), nil, "closed the connection"},
		"no HTTP":              {raw("xoxo secret\r\n\r\n"), nil, "no answer that can be understood"},
		"a redirect to no URL": {raw("HTTP/1.1 307 x\r\nLocation: http://[secret\r\n\r\n"), nil, "no answer that can be understood"},
	} {
		err := sender(t, JSON, tt.url+"/services/T0000?xoxo=hush", tt.client).Send(t.Context(), full())
		switch {
		case tt.says == "" && err == nil:
		case err == nil || tt.says == "" || !strings.Contains(err.Error(), tt.says):
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		default:
			quiet(t, err.Error())
			var refused *notice.RefusedError
			if errors.As(err, &refused) {
				t.Errorf("%s is a refusal", name)
			}
		}
	}
}

func TestI8SecretsStay(t *testing.T) {
	target := Target{Name: "ops", Format: JSON, URL: "https://user:hush@hooks.example/services/T0000", Secret: secret}
	s, err := New(target, nil)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "target", target, "pointer", &target, "url", target.URL, "sender", s, "targets", []notice.Target{{Sender: s}})
	}
	for _, v := range []any{target, &target, target.URL, s, *s, notice.Target{Sender: s}, []any{s}} {
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		log.Write(encoded)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&log, verb+"\n", v)
		}
	}
	for _, part := range []string{"hush", "T0000", secret, fmt.Sprintf("%x", "hush"), fmt.Sprintf("%x", secret), fmt.Sprint([]byte(secret))} {
		if strings.Contains(log.String(), part) {
			t.Errorf("shows %q:\n%s", part, log.String())
		}
	}
}

func TestNew(t *testing.T) {
	ok := Target{Name: "ops", Format: JSON, URL: "https://hooks.example/services/T0000", Secret: secret}
	for name, tt := range map[string]struct {
		change func(t *Target)
		says   string
	}{
		"good":                 {func(*Target) {}, ""},
		"loopback":             {func(t *Target) { t.URL = "http://127.0.0.1:8080/x" }, ""},
		"loopback v6":          {func(t *Target) { t.URL = "http://[::1]:8080/x" }, ""},
		"localhost":            {func(t *Target) { t.URL = "http://LOCALHOST/x" }, ""},
		"slack":                {func(t *Target) { t.Format, t.Secret = Slack, "" }, ""},
		"no name":              {func(t *Target) { t.Name = "" }, "no name"},
		"no format":            {func(t *Target) { t.Format = "" }, "neither json nor slack"},
		"no URL":               {func(t *Target) { t.URL = "" }, "none such as"},
		"a broken URL":         {func(t *Target) { t.URL = "https://hush\x7f/T0000" }, "none such as"},
		"no host":              {func(t *Target) { t.URL = "https://:443/T0000" }, "none such as"},
		"opaque":               {func(t *Target) { t.URL = "https:hush" }, "none such as"},
		"in the clear":         {func(t *Target) { t.URL = "http://hooks.example/T0000" }, "must be https"},
		"almost loopback":      {func(t *Target) { t.URL = "http://127.0.0.1.example/T0000" }, "must be https"},
		"a private network":    {func(t *Target) { t.URL = "http://10.0.0.1/T0000" }, "must be https"},
		"a file":               {func(t *Target) { t.URL = "file://localhost/etc/hush" }, "must be https"},
		"JSON unsigned":        {func(t *Target) { t.Secret = "" }, "needs a secret"},
		"a short secret":       {func(t *Target) { t.Secret = "hush" }, "needs a secret"},
		"a secret for nothing": {func(t *Target) { t.Format = Slack }, "takes no signature"},
	} {
		target := ok
		tt.change(&target)
		_, err := New(target, nil)
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
		if err != nil {
			for _, part := range []string{"hush", "T0000"} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("%s: %v shows %q", name, err, part)
				}
			}
		}
	}
}
