// Package cloud gives measurements an AWS that is on this machine: tables of
// DynamoDB Local and queues of moto, and it counts what DynamoDB is asked.
package cloud

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"

	"weir/integration/services"
	"weir/store/dynamo"
)

// Region is where everything is.
const Region = "eu-west-1"

// Environ is what a process needs to be let in. This one has it.
var Environ = []string{"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_EC2_METADATA_DISABLED=true"}

// MissingError says that a stand-in is not installed, and how it would be. With
// CI set that is any other error.
type MissingError struct{ Text string }

func (e *MissingError) Error() string { return e.Text }

// visitor stands where a test would.
type visitor struct{ err error }

func (*visitor) Helper()            {}
func (v *visitor) Skip(args ...any) { v.err = &MissingError{strings.TrimSpace(fmt.Sprintln(args...))} }

func (v *visitor) Fatal(args ...any) {
	v.err = errors.New(strings.TrimSpace(fmt.Sprintln(args...)))
}

// Dynamo starts DynamoDB Local, if it does not run, and returns its URL. It
// ends with this process.
func Dynamo() (endpoint string, err error) {
	var v visitor
	endpoint = services.Dynamo(&v)
	return endpoint, v.err
}

// Table makes an empty table and returns the URL of it for a store.
func Table(ctx context.Context, endpoint string) (string, error) {
	raw := fmt.Sprintf("dynamodb://bench-%s?region=%s&endpoint=%s", strings.ToLower(rand.Text()), Region, url.QueryEscape(endpoint))
	return raw, dynamo.Init(ctx, raw)
}

// Queue makes a queue in moto, which it starts if it does not run, and returns
// the URL of it for dispatch.
func Queue(ctx context.Context) (string, error) {
	var v visitor
	endpoint := services.AWS(&v)
	if v.err != nil {
		return "", v.err
	}
	name := "bench-" + strings.ToLower(rand.Text()) + ".fifo"
	body := fmt.Sprintf(`{"QueueName": %q, "Attributes": {"FifoQueue": "true"}}`, name)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set(operation, "AmazonSQS.CreateQueue")
	// Nobody checks the signature, but moto reads from it whom it is for.
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260102/"+Region+"/sqs/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("make queue %s: %w", name, err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	if err != nil {
		return "", fmt.Errorf("make queue %s: %w", name, err)
	}
	return fmt.Sprintf("sqs://%s?region=%s&endpoint=%s", name, Region, url.QueryEscape(endpoint)), nil
}

// operation is the header that says what AWS is asked for.
const operation = "X-Amz-Target"

// Counter stands between a store and DynamoDB and counts the requests, also
// those that the store makes again. It is for concurrent use.
type Counter struct {
	URL string // the endpoint that is counted

	reads, writes atomic.Int64
	server        *httptest.Server
}

// Count begins to count what an endpoint is asked through another.
func Count(endpoint string) (*Counter, error) {
	target, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	c := &Counter{}
	// The signature is of the host that was asked, and DynamoDB Local does
	// not check it.
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, name, _ := strings.Cut(r.Header.Get(operation), ".")
		switch name {
		case "GetItem", "BatchGetItem", "TransactGetItems", "Query", "Scan":
			c.reads.Add(1)
		case "DescribeTable": // at the opening
		default:
			c.writes.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	c.URL = c.server.URL
	return c, nil
}

// Requests returns the requests until now that read and that write. Each of
// them is a transaction of its own.
func (c *Counter) Requests() (reads, writes int64) { return c.reads.Load(), c.writes.Load() }

// Close ends the endpoint.
func (c *Counter) Close() { c.server.Close() }
