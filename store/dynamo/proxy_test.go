package dynamo_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"weir/integration/services"
)

// fault is what the proxy does to one request.
type fault int

const (
	pass       fault = iota
	cutBefore        // the connection ends and DynamoDB never sees the request
	cutAfter         // DynamoDB does what it was asked, and the connection ends without an answer
	cutDuring        // the connection ends, and only then the request goes on to DynamoDB
	silent           // DynamoDB does what it was asked, and no answer ever comes; the connection stays
	throttled        // the answer is that there were too many requests
	conflicted       // the answer is that another transaction was in the way
	broken           // DynamoDB does what it was asked, and answers with an error of its own
	malformed        // the answer is that the request is invalid
)

// proxy stands between a store and DynamoDB, one request at a time on each
// connection, as TCP carries them.
type proxy struct {
	t        *testing.T
	upstream string
	listener net.Listener
	conns    sync.WaitGroup

	mu      sync.Mutex
	plan    func(operation string, n int) fault // n counts requests of the operation from 1
	counts  map[string]int
	clients map[net.Conn]bool
}

// newProxy returns a proxy that passes everything on and its URL.
func newProxy(t *testing.T) (*proxy, string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, upstream: services.Dynamo(t), listener: l, counts: map[string]int{}, clients: map[net.Conn]bool{}}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.clients[client] = true
			p.mu.Unlock()
			p.conns.Go(func() { p.serve(client) })
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for c := range p.clients {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.conns.Wait()
	})
	return p, "http://" + l.Addr().String()
}

// inject says what happens to requests from now on, and counts from 1 again.
func (p *proxy) inject(plan func(operation string, n int) fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan, p.counts = plan, map[string]int{}
}

// first injects one fault into the first commit from now on.
func (p *proxy) first(f fault) {
	p.inject(func(operation string, n int) fault {
		if operation == "TransactWriteItems" && n == 1 {
			return f
		}
		return pass
	})
}

// count returns how many requests of an operation there were.
func (p *proxy) count(operation string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[operation]
}

func (p *proxy) next(operation string) fault {
	p.mu.Lock()
	p.counts[operation]++
	plan, n := p.plan, p.counts[operation]
	p.mu.Unlock()
	if plan == nil {
		return pass
	}
	return plan(operation, n)
}

func (p *proxy) serve(client net.Conn) {
	defer func() {
		_ = client.Close()
		p.mu.Lock()
		delete(p.clients, client)
		p.mu.Unlock()
	}()
	from := bufio.NewReader(client)
	for {
		req, err := http.ReadRequest(from)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		_, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
		var answer *http.Response
		switch p.next(operation) {
		case pass:
			answer = p.forward(req, body)
		case cutBefore:
			return
		case cutAfter:
			p.forward(req, body)
			return
		case cutDuring:
			_ = client.Close()
			p.forward(req, body)
			return
		case silent:
			p.forward(req, body)
			_, _ = io.Copy(io.Discard, from) // until the client gives up
			return
		case throttled:
			answer = refusal(400, "ThrottlingException", "")
		case conflicted:
			answer = refusal(400, "TransactionCanceledException", `,"CancellationReasons":[{"Code":"TransactionConflict"},{"Code":"None"}]`)
		case broken:
			p.forward(req, body)
			answer = refusal(500, "InternalServerError", "")
		case malformed:
			answer = refusal(400, "ValidationException", "")
		}
		if answer == nil || answer.Write(client) != nil {
			return
		}
	}
}

func (p *proxy) forward(req *http.Request, body []byte) *http.Response {
	out, err := http.NewRequestWithContext(context.Background(), req.Method, p.upstream+"/", strings.NewReader(string(body)))
	if err != nil {
		p.t.Error(err)
		return nil
	}
	out.Header = req.Header
	res, err := http.DefaultClient.Do(out)
	if err != nil {
		p.t.Error(err)
		return nil
	}
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Error(err)
		return nil
	}
	_ = res.Body.Close()
	res.Body, res.ContentLength, res.TransferEncoding = io.NopCloser(strings.NewReader(string(answer))), int64(len(answer)), nil
	return res
}

func refusal(status int, code, more string) *http.Response {
	body := fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"injected"%s}`, code, more)
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body:          io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)),
	}
}

// operations returns what was called since the last inject.
func (p *proxy) operations() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.counts))
}
