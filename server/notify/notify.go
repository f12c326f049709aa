// Package notify sends notices of drift over HTTP: as JSON that is signed, to
// somebody's own program, and to Slack.
//
// Where to is said by the server's configuration alone, never by a repository.
// URLs and secrets stand in no error, and are printed in no form.
package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"weir/drift/notice"
)

// Format says what is sent.
type Format string

// Formats.
const (
	JSON  Format = "json"  // what Document says, signed
	Slack Format = "slack" // a message, to an incoming webhook
)

// Secret is a value that is printed, logged and encoded in no form.
type Secret string

// Format covers every verb of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("(hidden)")) }

// MarshalText covers JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte("(hidden)"), nil }

// LogValue covers package slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue("(hidden)") }

// Target says where to send, and what.
type Target struct {
	Name   string // for people; stands in errors
	Format Format
	URL    Secret // https, or http to a loopback host. Who knows that of an incoming webhook can write to its channel
	Secret Secret // that JSON is signed with, at least 16 bytes; none for Slack
}

const (
	minSecret = 16               // bytes
	timeout   = 10 * time.Second // until the header of the answer is there
	maxAnswer = 4 << 10          // bytes that are read of an answer
	maxLater  = time.Hour        // that a target may ask weir to wait
)

// Sender sends to one target. It is a notice.Sender, safe for concurrent use.
type Sender struct {
	name   string
	format Format
	url    *url.URL
	secret []byte
	client *http.Client
}

// Format prints a sender as its name, with every verb of package fmt.
func (s Sender) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.name)) }

// New returns a sender to a target, by a client of which all is kept but that
// it follows redirects and holds cookies; nil is http.DefaultClient. An error
// says what is wrong with the target, without its URL.
func New(t Target, client *http.Client) (*Sender, error) {
	wrong := func(why string) (*Sender, error) { return nil, fmt.Errorf("notify %q: %s", t.Name, why) }
	u, err := url.Parse(string(t.URL))
	switch {
	case t.Name == "":
		return wrong("it has no name")
	case t.Format != JSON && t.Format != Slack:
		return wrong(fmt.Sprintf("the format %q is neither json nor slack", t.Format))
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return wrong("its URL is none such as https://example.com/path")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return wrong("its URL must be https (http is for loopback hosts)")
	case t.Format == JSON && len(t.Secret) < minSecret:
		return wrong(fmt.Sprintf("it needs a secret of at least %d bytes, to sign what is sent", minSecret))
	case t.Format == Slack && t.Secret != "":
		return wrong("it has a secret, but Slack takes no signature: its URL is the secret")
	}
	if client == nil {
		client = http.DefaultClient
	}
	own := *client
	own.Jar = nil
	// What a redirect leads to is nobody's choice who set up the server, and
	// a notice would arrive there with its signature.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Sender{name: t.Name, format: t.Format, url: u, secret: []byte(t.Secret), client: &own}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// LaterError is a target that asks to be told later.
type LaterError struct {
	reason string
	at     time.Time
}

func (e *LaterError) Error() string { return e.reason }

// Later says when to try again: at most an hour from when it was asked for.
func (e *LaterError) Later() time.Time { return e.at }

// Send sends a notice once. It takes at most ten seconds, follows no redirect,
// and returns a *notice.RefusedError where a person has to mend something, a
// *LaterError where the target says when to come again.
func (s *Sender) Send(ctx context.Context, n notice.Notice) error {
	body, err := s.body(n)
	if err != nil {
		return fmt.Errorf("notify %s: %w", s.name, err)
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := s.request(limited, n.ID, time.Now(), body)
	if err != nil {
		return fmt.Errorf("notify %s: its URL cannot be asked", s.name) // err holds it
	}
	answer, err := s.client.Do(request)
	if ctx.Err() != nil {
		if err == nil {
			_ = answer.Body.Close()
		}
		return fmt.Errorf("notify %s: %w", s.name, context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("notify %s: %s", s.name, why(err))
	}
	defer func() { _ = answer.Body.Close() }()
	return s.judge(answer)
}

// request is one POST of a body.
func (s *Sender) request(ctx context.Context, id string, now time.Time, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "weir")
	if s.format == JSON {
		timestamp := strconv.FormatInt(now.Unix(), 10)
		r.Header.Set("X-Weir-Event", event)
		r.Header.Set("X-Weir-Delivery", id)
		r.Header.Set("X-Weir-Timestamp", timestamp)
		r.Header.Set("X-Weir-Signature-256", Signature(s.secret, timestamp, body))
	}
	return r, nil
}

// Signature is the value of X-Weir-Signature-256: "sha256=" and, in
// hexadecimal, the HMAC-SHA-256 of the value of X-Weir-Timestamp, a full stop
// and the body. With the time in it, what was recorded cannot be sent again
// much later.
func Signature(secret []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

const event = "drift"

// Document is the body of the format json.
type Document struct {
	Version int    `json:"version"` // 1; another one for what would be read wrongly by who knows this one
	Event   string `json:"event"`   // drift
	notice.Notice
}

func (s *Sender) body(n notice.Notice) ([]byte, error) {
	var content any = Document{Version: 1, Event: event, Notice: n}
	if s.format == Slack {
		content = message(n)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(content); err != nil {
		return nil, errors.New("its notice cannot be encoded")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
