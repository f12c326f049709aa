// Package dynamo is the engine of package store for many replicas: one table of
// DynamoDB.
//
// Every commit is one TransactWriteItems with a condition on each version, also
// a commit of a single write: only transactions take a token that makes a
// repeated request safe, and that is what an answer that never came needs.
// Versions are random, so that a record that is read proves which commit wrote
// it. The calls that a running server makes are GetItem, TransactGetItems, Query,
// TransactWriteItems, DeleteItem (which Ready uses and which deletes nothing)
// and DescribeTable; Init and Dump need more.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/logging"
)

// ErrClosed is returned by every method after Close.
var ErrClosed = errors.New("the store is closed")

// Store implements store.Store on one table. Any number of them, in any number
// of processes, may use the same table.
type Store struct {
	client    *dynamodb.Client
	transport *http.Transport
	place     place
	ttl       map[string]time.Duration
	closed    atomic.Bool
	probe     probe
}

// Option changes how a table is used.
type Option func(*Store)

// TTL lets DynamoDB remove records some time after they were last written, by
// partition. It may take days more, and until then the records are there as any
// other. It is for history alone: a lock or a job that ended so would end unseen.
func TTL(partitions map[string]time.Duration) Option {
	return func(s *Store) { s.ttl = partitions }
}

// Open opens the table of a URL dynamodb://TABLE?region=REGION[&endpoint=URL].
// It does not make the table: it fails if there is none, or one with other keys.
// Credentials come from where AWS's own tools find them. Without a region the
// one of the environment counts.
func Open(ctx context.Context, rawURL string, opts ...Option) (*Store, error) {
	s, err := connect(ctx, rawURL)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	for _, opt := range opts {
		opt(s)
	}
	if err := s.usable(ctx); err != nil {
		s.transport.CloseIdleConnections()
		return nil, fmt.Errorf("open store %s: %w", s.place, err)
	}
	return s, nil
}

// connect prepares a client and does not ask the table anything yet.
func connect(ctx context.Context, rawURL string) (*Store, error) {
	where, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx, func(o *config.LoadOptions) error {
		o.Region = where.region
		o.Logger = logging.Nop{} // what matters comes back as an error
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: AWS configuration: %w", where, err)
	}
	if cfg.Region == "" {
		return nil, fmt.Errorf("%s: no region: write dynamodb://%s?region=REGION", where, where.table)
	}
	where.region = cfg.Region
	found, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := cfg.Credentials.Retrieve(found); err != nil {
		return nil, fmt.Errorf("%s: no AWS credentials: give this machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: %w", where, err)
	}
	// The client that was configured, which knows proxies and certificates
	// of the environment, but one whose idle connections can be closed.
	transport := awshttp.NewBuildableClient().GetTransport()
	if c, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		transport = c.GetTransport()
	}
	transport.MaxIdleConnsPerHost = 64
	s := &Store{transport: transport, place: where, probe: newProbe()}
	s.client = dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		o.HTTPClient = &http.Client{Transport: transport}
		// What may be tried again, and with which token, is decided here.
		o.Retryer = aws.NopRetryer{}
		// TLS guards the answers; this check complains of every conflict,
		// whose answer the SDK reads past it.
		o.DisableValidateResponseChecksum = true
		if where.endpoint != "" {
			o.BaseEndpoint = aws.String(where.endpoint)
		}
	})
	return s, nil
}

// Close lets go of the connections; every later call fails. Calls that have
// begun end as they would have. Closing twice is fine.
func (s *Store) Close() error {
	s.closed.Store(true)
	s.transport.CloseIdleConnections()
	return nil
}

// begin is asked before anything is sent.
func (s *Store) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return ErrClosed
	}
	return nil
}

// place is where a table is.
type place struct {
	table    string
	region   string
	endpoint string // "" for AWS's own
}

func (p place) String() string { return "dynamodb://" + p.table }

// parse reads the URL of a table.
func parse(rawURL string) (place, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return place{}, err
	}
	if u.Scheme != "dynamodb" || u.User != nil || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return place{}, fmt.Errorf("%s is not of the form dynamodb://TABLE?region=REGION", u.Redacted())
	}
	p := place{table: u.Host}
	if !tableName.MatchString(p.table) {
		return place{}, fmt.Errorf("%q is no name of a table: 3 to 255 letters, digits and _ . -", p.table)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return place{}, fmt.Errorf("%s: %w", p, err)
	}
	for name, values := range query {
		if len(values) != 1 || values[0] == "" {
			return place{}, fmt.Errorf("%s: %s has to be given once", p, name)
		}
		switch name {
		case "region":
			p.region = values[0]
		case "endpoint":
			p.endpoint = values[0]
		default:
			return place{}, fmt.Errorf("%s: unknown parameter %q, known are region and endpoint", p, name)
		}
	}
	if p.endpoint != "" {
		if err := checkEndpoint(p.endpoint); err != nil {
			return place{}, fmt.Errorf("%s: %w", p, err)
		}
	}
	return p, nil
}
