package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// MaxBody is the longest body that is read when Receiver says nothing else:
// GitHub sends no payload over 25 MB (GitHub Docs, "Webhook events and
// payloads", Payload cap).
const MaxBody = 25 << 20

// Headers of a delivery (GitHub Docs, "Webhook events and payloads", Delivery
// headers).
const (
	DeliveryHeader  = "X-GitHub-Delivery"
	EventHeader     = "X-GitHub-Event"
	SignatureHeader = "X-Hub-Signature-256"
)

// Receiver reads deliveries. It has no state and is safe for concurrent use.
type Receiver struct {
	// Secrets are all accepted, so that a secret can be rotated. Empty ones
	// are skipped; with none left every delivery is refused.
	Secrets [][]byte
	MaxBody int64 // bytes; 0: MaxBody
}

// Read returns the event that a request holds. The body is compared with the
// signature byte for byte before anything in it is looked at. Errors are of
// the types that StatusOf knows.
func (v Receiver) Read(r *http.Request) (Event, error) {
	body, err := v.body(r)
	if err != nil {
		return Event{}, err
	}
	delivery, name := r.Header.Get(DeliveryHeader), r.Header.Get(EventHeader)
	switch {
	case !isDelivery(delivery):
		return Event{}, &PayloadError{Reason: "header " + DeliveryHeader + " is missing or malformed"}
	case !isEventName(name):
		return Event{}, &PayloadError{Delivery: delivery, Reason: "header " + EventHeader + " is missing or malformed"}
	}
	payload, reason := payloadOf(r.Header.Get("Content-Type"), body)
	if reason != "" {
		return Event{}, &PayloadError{Delivery: delivery, Event: name, Reason: reason}
	}
	event, reason := parse(name, payload)
	if reason != "" {
		return Event{}, &PayloadError{Delivery: delivery, Event: name, Reason: reason}
	}
	event.Delivery, event.Name = delivery, name
	return event, nil
}

// body returns the bytes of the body once their signature is verified.
func (v Receiver) body(r *http.Request) ([]byte, error) {
	limit := v.MaxBody
	if limit <= 0 {
		limit = MaxBody
	}
	if r.ContentLength > limit {
		return nil, &TooLargeError{Max: limit}
	}
	signatures := r.Header.Values(SignatureHeader)
	if len(signatures) != 1 {
		// Refused unread: nobody without a signature gets us to keep 25 MiB.
		return nil, &SignatureError{Reason: "header " + SignatureHeader + " has to be there once"}
	}
	if r.Body == nil {
		return nil, &SignatureError{Reason: "there is no body"}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, &ReadError{Err: err}
	}
	if int64(len(body)) > limit {
		return nil, &TooLargeError{Max: limit}
	}
	if !v.verify(signatures[0], body) {
		return nil, &SignatureError{Reason: "header " + SignatureHeader + " does not fit the body and any secret"}
	}
	return body, nil
}

// verify says whether signature is that of body under one of the secrets. All
// secrets are tried always, so that the time tells nothing about which fits.
func (v Receiver) verify(signature string, body []byte) bool {
	digest, ok := strings.CutPrefix(signature, "sha256=")
	if !ok {
		return false
	}
	got, err := hex.DecodeString(digest)
	if err != nil {
		return false
	}
	valid := false
	for _, secret := range v.Secrets {
		if len(secret) == 0 {
			continue // anybody can sign with it
		}
		if hmac.Equal(got, sum(secret, body)) {
			valid = true
		}
	}
	return valid
}

// Sign returns the value of SignatureHeader for a body.
func Sign(secret, body []byte) string {
	return "sha256=" + hex.EncodeToString(sum(secret, body))
}

func sum(secret, body []byte) []byte {
	h := hmac.New(sha256.New, secret)
	_, _ = h.Write(body) // a hash never fails to write
	return h.Sum(nil)
}

// payloadOf returns the JSON of a body in either of the content types that
// GitHub offers for webhooks, or why there is none. Without a content type it
// is taken for JSON.
func payloadOf(contentType string, body []byte) (payload []byte, reason string) {
	if contentType == "" {
		return body, ""
	}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, "header Content-Type is malformed"
	}
	switch kind {
	case "application/json":
		return body, ""
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, "the body is not a form"
		}
		if len(form["payload"]) != 1 {
			return nil, "form field payload has to be there once"
		}
		return []byte(form.Get("payload")), ""
	}
	return nil, "content type " + quote(kind) + " is neither application/json nor application/x-www-form-urlencoded"
}

// isDelivery accepts GitHub's GUIDs and anything like them: the id becomes a
// key of the store and a word of the log.
func isDelivery(s string) bool {
	return s != "" && len(s) <= 128 && !bytes.ContainsFunc([]byte(s), func(c rune) bool {
		return !alphanumeric(c) && !strings.ContainsRune("-_.:", c)
	})
}

func isEventName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(c rune) bool {
		return !alphanumeric(c) && c != '_'
	})
}

func alphanumeric(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
