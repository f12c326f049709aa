package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

const (
	// patience is how long one call tries; a caller's context may end it
	// sooner.
	patience = 10 * time.Second
	// attemptTime is how long one request may take: a transaction of 4 MB
	// takes a second or two, a connection whose other end is gone for ever.
	attemptTime = 4 * time.Second
	// grace is how long the outcome of a commit that was sent is still asked
	// for after the caller's context has ended.
	grace = 3 * time.Second

	firstPause = 10 * time.Millisecond
	longPause  = 500 * time.Millisecond
)

// verdict is what an error says about its request.
type verdict int

const (
	never verdict = iota // it had no effect, and trying again would not help
	again                // it had no effect; later it may
	open                 // nobody knows whether it had an effect, or will have
)

// passing are codes of errors, and of cancellations, that had no effect and
// pass: "Error handling with DynamoDB" and "TransactWriteItems" in its
// documentation. TransactionInProgress means an earlier attempt with the same
// token, which then is in doubt already.
var passing = []string{
	"TransactionConflict", "TransactionConflictException",
	"TransactionInProgressException",
	"ThrottlingError", "ThrottlingException", "Throttling",
	"ProvisionedThroughputExceeded", "ProvisionedThroughputExceededException",
	"RequestLimitExceeded", "LimitExceededException",
	"ReplicatedWriteConflictException",
}

// judge tells errors apart.
func judge(err error) verdict {
	var cancelled *types.TransactionCanceledException
	var api smithy.APIError
	var unsent *unsentError
	switch {
	case errors.As(err, &cancelled):
		for _, r := range cancelled.CancellationReasons {
			if code := aws.ToString(r.Code); code != "None" && code != "" && !slices.Contains(passing, code) {
				return never
			}
		}
		return again
	case errors.As(err, &api):
		switch {
		case slices.Contains(passing, api.ErrorCode()):
			return again
		case api.ErrorFault() == smithy.FaultServer || status(err) >= 500:
			return open
		}
		return never
	case errors.As(err, &unsent):
		return again
	}
	return open
}

// status is the HTTP status of a failed call, 0 where there was no answer.
func status(err error) int {
	var answer interface{ HTTPStatusCode() int }
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// invalid reports whether a request was refused for what it asks, and why.
func invalid(err error) (string, bool) {
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) {
		for _, r := range cancelled.CancellationReasons {
			switch aws.ToString(r.Code) {
			case "ValidationError", "ItemCollectionSizeLimitExceeded":
				return aws.ToString(r.Message), true
			}
		}
		return "", false
	}
	var api smithy.APIError
	if errors.As(err, &api) && (api.ErrorCode() == "ValidationException" || api.ErrorCode() == "ItemCollectionSizeLimitExceededException") {
		return api.ErrorMessage(), true
	}
	return "", false
}

// unsentError says that a request never left: nothing took the connection, or
// there were no credentials.
type unsentError struct{ cause error }

func (e *unsentError) Error() string { return e.cause.Error() }
func (e *unsentError) Unwrap() error { return e.cause }

// once makes one request of bounded time. After one that was never answered
// the idle connections go too: they may lead to the same nowhere.
func (s *Store) once(ctx context.Context, request func(context.Context) error) error {
	attempt, cancel := context.WithTimeoutCause(ctx, attemptTime, fmt.Errorf("no answer within %v", attemptTime))
	defer cancel()
	var connected atomic.Bool
	err := request(httptrace.WithClientTrace(attempt, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}))
	if err != nil && !connected.Load() {
		err = &unsentError{cause: err}
	}
	if err != nil && attempt.Err() != nil && ctx.Err() == nil {
		s.transport.CloseIdleConnections()
		return fmt.Errorf("%w: %w", context.Cause(attempt), err)
	}
	return err
}

// read makes a request that changes nothing, and makes it again for as long as
// that may help.
func (s *Store) read(ctx context.Context, request func(context.Context) error) error {
	bound, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("gave up after %v", patience))
	defer cancel()
	for n := 0; ; n++ {
		err := s.once(bound, request)
		if err == nil || judge(err) == never {
			return err
		}
		if err := rest(bound, n, err); err != nil {
			return err
		}
	}
}

// rest waits before another attempt after the n-th has failed with last, longer
// each time and never for as long as others do. It fails once ctx has ended.
func rest(ctx context.Context, n int, last error) error {
	longest := min(longPause, firstPause<<min(n, 10))
	select {
	case <-ctx.Done():
	case <-time.After(rand.N(longest) + time.Millisecond): // #nosec G404 -- jitter
		if ctx.Err() == nil {
			return nil
		}
	}
	return fmt.Errorf("%w; the last attempt: %w", context.Cause(ctx), last)
}
