package store

import (
	"context"
	"errors"
	"time"
)

// IsConflict reports whether an error is a *ConflictError, wrapped or not.
func IsConflict(err error) bool { return errors.As(err, new(*ConflictError)) }

// Retry tries again, after short pauses, for as long as there is a conflict. It
// is for what reads again before each commit. It returns the first other error,
// or the cause of ctx once that has ended.
func Retry(ctx context.Context, try func() error) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if err := try(); !IsConflict(err) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
