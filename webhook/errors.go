package webhook

import (
	"errors"
	"fmt"
	"net/http"
)

// TooLargeError says that a body was longer than Max bytes.
type TooLargeError struct{ Max int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("read delivery: the body is larger than %d bytes", e.Max)
}

// SignatureError says why a body could not be shown to come from GitHub.
// Nothing of the body was looked at.
type SignatureError struct{ Reason string }

func (e *SignatureError) Error() string { return "verify delivery: " + e.Reason }

// PayloadError says what is wrong with a delivery that is signed correctly,
// or with its headers.
type PayloadError struct {
	Delivery string // "" where the header is what is wrong
	Event    string // likewise
	Reason   string // names the field or the header
}

func (e *PayloadError) Error() string {
	s := "parse delivery"
	if e.Delivery != "" {
		s += " " + e.Delivery
	}
	if e.Event != "" {
		s += " (" + e.Event + ")"
	}
	return s + ": " + e.Reason
}

// ReadError says that the body did not arrive whole.
type ReadError struct{ Err error }

func (e *ReadError) Error() string { return "read delivery: " + e.Err.Error() }

// Unwrap returns what the connection failed on.
func (e *ReadError) Unwrap() error { return e.Err }

// StatusOf returns the HTTP status that answers an error of Read: 202 for
// nil, 413, 401 or 400 for the error types of this package, and 500 for
// anything else.
func StatusOf(err error) int {
	var (
		large     *TooLargeError
		signature *SignatureError
		payload   *PayloadError
		read      *ReadError
	)
	switch {
	case err == nil:
		return http.StatusAccepted
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.As(err, &signature):
		return http.StatusUnauthorized
	case errors.As(err, &payload), errors.As(err, &read):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}
