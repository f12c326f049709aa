package rest

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Error is what came of a call that GitHub refused, or did not answer, in the
// end. It holds text only: no request, header or token.
type Error struct {
	What    string // such as "post a comment on acme/app#3"
	Status  int    // 0: there was no answer, or none to this very call
	Message string // GitHub's, or why there was no answer

	// Unclear says that what was asked for may have happened all the same.
	Unclear bool

	cause error // the end of the caller's context, if that was it
}

func (e *Error) Error() string {
	if e.Status == 0 {
		return e.What + ": " + e.Message
	}
	if e.Message == "" {
		return fmt.Sprintf("%s: GitHub answered %d %s", e.What, e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("%s: GitHub answered %d: %s", e.What, e.Status, e.Message)
}

// Unwrap returns the context's error where the context ended the call.
func (e *Error) Unwrap() error { return e.cause }

// NotFoundError says that what was asked for does not exist, or that weir may
// not know of it: GitHub does not tell these apart.
type NotFoundError struct {
	What    string
	Message string // GitHub's
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("%s: GitHub does not know it (%s)", e.What, e.Message)
}

// NotServedError says that the App cannot act in a repository.
type NotServedError struct {
	Repo   string
	Reason string
}

func (e *NotServedError) Error() string { return e.Repo + ": " + e.Reason }

// RateLimitError says that GitHub answers no more before a time that is too
// far off to wait for here. Nothing was done.
type RateLimitError struct {
	What  string
	Until time.Time
}

func (e *RateLimitError) Error() string {
	return fmt.Sprintf("%s: GitHub's rate limit is used up until %s", e.What, e.Until.UTC().Format(time.RFC3339))
}

// Later returns the time before which it makes no sense to try again.
func (e *RateLimitError) Later() time.Time { return e.Until }

// UnsupportedError says that this GitHub does not offer something.
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string { return "GitHub does not offer " + e.What }

// StatusOf returns the status that GitHub refused with, 0 for all else.
func StatusOf(err error) int {
	var missing *NotFoundError
	if errors.As(err, &missing) {
		return http.StatusNotFound
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// Unclear reports whether a call that failed may have had its effect.
func Unclear(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Unclear
}
