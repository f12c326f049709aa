package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Caller says who weir itself is at AWS.
type Caller interface {
	// Caller returns the account, and the ARN as STS GetCallerIdentity has it.
	Caller(ctx context.Context) (account, arn string, err error)
}

// errNoCredentials means that there is nothing to sign requests with.
var errNoCredentials = errors.New("no AWS credentials")

// foreignError means a resource of an account that weir has no role in.
type foreignError struct{ account string }

func (e *foreignError) Error() string { return "no role for account " + e.account }

// roleError means that a role could not be taken.
type roleError struct {
	arn string
	err error
}

func (e *roleError) Error() string { return fmt.Sprintf("assume %s: %v", e.arn, e.err) }
func (e *roleError) Unwrap() error { return e.err }

// account is how the CloudTrail of one account is asked.
type account struct {
	cfg aws.Config
	id  string // "" where it is not known
	arn string // of who asks, likewise
}

// access returns how to ask in a place, and the place with the account that it
// is: weir's own, where it said none.
func (t *Trail) access(ctx context.Context, where place) (*account, place, error) {
	own, err := t.self(ctx)
	if err != nil {
		return nil, where, err
	}
	if where.account == "" || where.account == own.id || own.id == "" {
		return own, place{account: own.id, region: where.region}, nil
	}
	if t.options.Role == "" {
		return nil, where, &lookupError{where: where, err: &foreignError{account: where.account}}
	}
	a := t.foreign(where.account)
	if _, err := a.cfg.Credentials.Retrieve(ctx); err != nil {
		return nil, where, &lookupError{where: where, err: &roleError{arn: a.arn, err: err}}
	}
	return a, where, nil
}

// self finds out who weir is, once. That nobody can say is no reason not to
// ask: then weir's own changes are told by the patterns alone, for a while.
func (t *Trail) self(ctx context.Context) (*account, error) {
	t.mu.Lock()
	a, unsure := t.accounts[""], time.Now().Before(t.unsure)
	t.mu.Unlock()
	if a != nil && (a.id != "" || unsure) {
		return a, nil
	}
	a = &account{cfg: t.cfg}
	if t.cfg.Credentials == nil {
		return nil, errNoCredentials
	}
	if _, err := t.cfg.Credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("AWS credentials: %w", context.Cause(ctx))
		}
		return nil, fmt.Errorf("%w: %w", errNoCredentials, err)
	}
	caller := t.options.Caller
	if caller == nil {
		caller = stsCaller{client: t.sts()}
	}
	attempt, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	id, arn, err := caller.Caller(attempt)
	if err != nil {
		t.options.Log.WarnContext(ctx, "asking AWS who weir is", "error", err)
	} else {
		a.id, a.arn = id, arn
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.accounts[""] = a
	t.unsure = time.Now().Add(sulk)
	return a, nil
}

func (t *Trail) foreign(id string) *account {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := t.accounts[id]; a != nil {
		return a
	}
	role := strings.ReplaceAll(t.options.Role, "{account}", id)
	a := &account{cfg: t.cfg.Copy(), id: id, arn: role}
	a.cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(t.sts(), role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "weir-drift"
	}))
	t.accounts[id] = a
	return a
}

func (t *Trail) sts() *sts.Client {
	return sts.NewFromConfig(t.cfg, func(o *sts.Options) {
		if t.options.Endpoint != "" {
			o.BaseEndpoint = aws.String(t.options.Endpoint)
		}
	})
}

type stsCaller struct{ client *sts.Client }

func (c stsCaller) Caller(ctx context.Context) (account, arn string, err error) {
	out, err := c.client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", "", fmt.Errorf("get caller identity: %w", err)
	}
	return aws.ToString(out.Account), aws.ToString(out.Arn), nil
}

// own reports whether weir made the change: with the user or the role that it
// runs as, in any session, since sessions are named anew with every machine; or
// as a pattern says. What was done in the console weir never did, and an agent
// proves nothing: everybody chooses their own.
func (t *Trail) own(a *account, e event) bool {
	if e.how == "console" {
		return false
	}
	self := t.identity()
	for _, arn := range e.arns {
		if arn != "" && (same(arn, self) || same(arn, a.arn)) {
			return true
		}
	}
	for _, pattern := range t.options.Own {
		for _, s := range append([]string{e.key}, e.arns...) {
			if s != "" && matches(pattern, s) {
				return true
			}
		}
	}
	return false
}

func (t *Trail) identity() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := t.accounts[""]; a != nil {
		return a.arn
	}
	return ""
}

// same reports whether two ARNs are the same user, or sessions of the same role.
func same(a, b string) bool { return b != "" && sessionless(a) == sessionless(b) }

// sessionless takes the session off arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION,
// unless sessions of the role are people: those of IAM Identity Center.
func sessionless(arn string) string {
	if strings.Contains(arn, ":assumed-role/") && !strings.Contains(arn, ":assumed-role/AWSReservedSSO_") {
		return arn[:strings.LastIndex(arn, "/")]
	}
	return arn
}

// matches reports whether a pattern, in which * is any run of characters, means
// all of s.
func matches(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}
