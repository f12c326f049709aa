package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/smithy-go"
)

const (
	pageSize = 50 // the most that LookupEvents gives
	// maxPages is how much of one name's history is read: what is asked for
	// often is read often, and the newest events come first.
	maxPages = 4
	// attempts is how often one page is asked for.
	attempts    = 3
	attemptTime = 10 * time.Second
	// grudge is for how long nothing is asked where weir was denied, sulk for
	// how long where there was no answer, and rest where it was too much: else
	// every finding of a check would wait for the same.
	grudge = 15 * time.Minute
	sulk   = 2 * time.Minute
	rest   = 30 * time.Second
	// fresh is how long what was read answers for what came after, too.
	fresh = 5 * time.Minute
	// maxCached is how many answers are kept.
	maxCached = 500
)

// found is what a lookup came to.
type found struct {
	events []event // that changed something and are not weir's own, the newest first
	whole  bool    // there are no more
}

// events returns the events of a time that name something, from the cache if it
// was asked a moment ago.
func (t *Trail) events(ctx context.Context, where place, name string, w window) (found, error) {
	if err := t.grudge(where); err != nil {
		return found{}, err
	}
	a, where, err := t.access(ctx, where)
	if err != nil {
		if ctx.Err() == nil {
			t.remember(where, err)
		}
		return found{}, err
	}
	key := lookup{where, name}
	all, ok := t.cache.get(key, w)
	if !ok {
		if err := t.grudge(where); err != nil {
			return found{}, err
		}
		if all, err = t.read(ctx, a, key, w); err != nil {
			if ctx.Err() == nil { // else it was the queue that took the time, or nobody waits any more
				t.remember(where, err)
			}
			return found{}, err
		}
		t.cache.put(key, w, all)
	}
	out := found{whole: all.whole}
	for _, e := range all.events {
		if e.when.After(w.from) && !e.when.After(w.to) && !t.own(a, e) {
			out.events = append(out.events, e)
		}
	}
	return out, nil
}

// read asks for the pages of a lookup.
func (t *Trail) read(ctx context.Context, a *account, key lookup, w window) (found, error) {
	client := cloudtrail.NewFromConfig(a.cfg, func(o *cloudtrail.Options) {
		o.Region = key.where.region
		if t.options.Endpoint != "" {
			o.BaseEndpoint = aws.String(t.options.Endpoint)
		}
	})
	in := &cloudtrail.LookupEventsInput{
		LookupAttributes: []types.LookupAttribute{{AttributeKey: types.LookupAttributeKeyResourceName, AttributeValue: aws.String(key.name)}},
		StartTime:        aws.Time(w.from), EndTime: aws.Time(w.to),
		MaxResults: aws.Int32(pageSize),
	}
	var all found
	for range maxPages {
		page, err := t.page(ctx, client, key.where, in)
		if err != nil {
			return found{}, &lookupError{where: key.where, caller: a.arn, err: err}
		}
		for _, raw := range page.Events {
			if e, ok := parse(raw); ok {
				all.events = append(all.events, e)
			}
		}
		if in.NextToken = page.NextToken; aws.ToString(in.NextToken) == "" {
			all.whole = true
			break
		}
	}
	return all, nil
}

// page asks for one page, at the pace and again if it was one too many.
func (t *Trail) page(ctx context.Context, client *cloudtrail.Client, where place, in *cloudtrail.LookupEventsInput) (*cloudtrail.LookupEventsOutput, error) {
	for try := 1; ; try++ {
		if err := t.pace.wait(ctx, where); err != nil {
			return nil, err
		}
		attempt, cancel := context.WithTimeout(ctx, attemptTime)
		out, err := client.LookupEvents(attempt, in)
		cancel()
		switch {
		case err == nil:
			return out, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case try == attempts:
			return nil, err
		case throttled(err):
			t.pace.back(where)
		case !passing(err):
			return nil, err
		}
	}
}

// Codes of errors: "Common Errors" and LookupEvents in the AWS CloudTrail API
// Reference, and what AWS's own tools count as throttling and as denied.
var (
	throttling = []string{"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"}
	denials    = []string{"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "NotAuthorized", "OptInRequired"}
	strangers  = []string{"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature", "ExpiredTokenException", "ExpiredToken", "RequestExpired", "MissingAuthenticationToken", "MissingAuthenticationTokenException"}
)

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func throttled(err error) bool { return slices.Contains(throttling, code(err)) }
func refused(err error) bool   { return slices.Contains(denials, code(err)) }
func unknown(err error) bool   { return slices.Contains(strangers, code(err)) }

// passing reports whether the same request may succeed a moment later: AWS
// failed, or the way to it did.
func passing(err error) bool {
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() != 0 { // 0: there was none
		return response.HTTPStatusCode() >= 500
	}
	return code(err) == "" && !errors.Is(err, errNoCredentials)
}

// lookupError is why CloudTrail of a place did not answer.
type lookupError struct {
	where  place
	caller string // ARN of who asked, if it is known
	err    error
}

func (e *lookupError) Error() string { return fmt.Sprintf("look up events in %s: %v", e.where, e.err) }
func (e *lookupError) Unwrap() error { return e.err }

// words says an error for people, and whether somebody could mend it. What AWS
// wrote is left out: it repeats what it was sent.
func words(err error) (sentence string, mend bool) {
	var failed *lookupError
	if !errors.As(err, &failed) {
		failed = &lookupError{err: err}
	}
	where := "CloudTrail"
	if failed.where.region != "" {
		where += " in " + failed.where.region
	}
	if failed.where.account != "" {
		where += " of account " + failed.where.account
	}
	var foreign *foreignError
	var role *roleError
	switch {
	case errors.As(err, &foreign):
		return fmt.Sprintf("It belongs to account %s, whose CloudTrail weir has no role to ask with.", foreign.account), true
	case errors.As(err, &role):
		return fmt.Sprintf("weir could not take the role %s to ask %s.", role.arn, where), true
	case errors.Is(err, errNoCredentials):
		return "weir has no AWS credentials to ask CloudTrail with.", true
	case refused(err):
		who := "weir's AWS credentials"
		if failed.caller != "" {
			who += " (" + failed.caller + ")"
		}
		return fmt.Sprintf("%s need the permission cloudtrail:LookupEvents to ask %s.", who, where), true
	case unknown(err):
		return fmt.Sprintf("AWS does not take weir's credentials to ask %s (%s).", where, code(err)), true
	case errors.Is(err, errBusy), throttled(err):
		return where + " is asked too often at the moment; the next check asks again.", false
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return where + " did not answer in time; the next check asks again.", false
	}
	if c := code(err); c != "" {
		return fmt.Sprintf("%s could not be asked (%s).", where, clean(c)), false
	}
	return where + " could not be reached; the next check asks again.", false
}

// denial is an answer that will not be another one soon.
type denial struct {
	err   error
	until time.Time
}

func (t *Trail) grudge(where place) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.denied[where]; time.Now().Before(d.until) {
		return d.err
	}
	return nil
}

func (t *Trail) remember(where place, err error) {
	var long time.Duration
	switch {
	case errors.Is(err, errBusy): // it has not waited either
		return
	case refused(err):
		long = grudge
	case throttled(err):
		long = rest
	case passing(err), unknown(err), errors.Is(err, errNoCredentials):
		long = sulk
	default:
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.denied[where] = denial{err: err, until: time.Now().Add(long)}
}

// lookup is what is asked for.
type lookup struct {
	where place
	name  string
}

// cache keeps what was read for a moment. The zero value is ready.
type cache struct {
	mu   sync.Mutex
	kept map[lookup]kept
}

type kept struct {
	from, to time.Time
	at       time.Time
	found    found
}

// get returns what was read of a time, and of more: the caller picks. What came
// in the last moments before w ends may be missing.
func (c *cache) get(key lookup, w window) (found, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.kept[key]
	if !ok || time.Since(k.at) >= fresh || k.from.After(w.from) || w.to.Sub(k.to) >= fresh {
		return found{}, false
	}
	return k.found, true
}

func (c *cache) put(key lookup, w window, f found) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = map[lookup]kept{}
	}
	if len(c.kept) >= maxCached {
		var oldest lookup
		first := true
		for k, v := range c.kept {
			if time.Since(v.at) >= fresh {
				delete(c.kept, k)
			} else if first || v.at.Before(c.kept[oldest].at) {
				oldest, first = k, false
			}
		}
		if len(c.kept) >= maxCached {
			delete(c.kept, oldest)
		}
	}
	c.kept[key] = kept{from: w.from, to: w.to, at: time.Now(), found: f}
}
