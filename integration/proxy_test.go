package integration

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// fate is what becomes of one request to a service.
type fate int

const (
	passes   fate = iota
	slow          // both ways take their time
	unsent        // the connection ends, and the service never sees the request
	unheard       // the service does it, and the connection ends without an answer
	late          // the connection ends, and some time after that the service does it
	halfOpen      // the service does it, no answer ever comes, and the connection stays
	fates
)

// proxy stands between one replica and a service of AWS. It reads the requests
// that the connections carry, so that it can lose exactly one of them.
type proxy struct {
	upstream string // host and port
	listener net.Listener
	serving  sync.WaitGroup
	closed   chan struct{}

	mu    sync.Mutex
	rng   *rand.Rand
	rate  float64       // of requests that do not just pass
	news  float64       // of messages that do not just arrive
	dark  chan struct{} // not nil: nothing passes until it is closed
	trap  *trap
	conns map[net.Conn]bool
}

// trap is sprung by the n-th write from now on, before or after its effect.
type trap struct {
	n      int
	effect bool
	// spring returns what the request waits for before it goes on; nil: it
	// does not go on.
	spring func() <-chan struct{}
}

func newProxy(t *testing.T, upstream string, seed uint64) *proxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{
		upstream: strings.TrimPrefix(upstream, "http://"), listener: l, closed: make(chan struct{}),
		rng: rand.New(rand.NewPCG(seed, 2)), conns: map[net.Conn]bool{},
	}
	p.serving.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.serving.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		close(p.closed)
		_ = l.Close()
		p.light()
		p.cut()
		p.serving.Wait()
	})
	return p
}

func (p *proxy) url() string { return "http://" + p.listener.Addr().String() }

// weather sets how many of the requests have another fate than to pass.
func (p *proxy) weather(rate float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = rate
}

// darken lets nothing through any more, and closes nothing; light ends that.
// What was in the dark is lost.
func (p *proxy) darken() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dark == nil {
		p.dark = make(chan struct{})
	}
}

func (p *proxy) light() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dark != nil {
		close(p.dark)
		p.dark = nil
	}
}

// cut ends all connections that there are.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// set lays a trap; nil takes it away.
func (p *proxy) set(t *trap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trap = t
}

// ask says what becomes of the next request.
func (p *proxy) ask(write bool) (what fate, pause time.Duration, dark chan struct{}, sprung *trap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if write && p.trap != nil {
		if p.trap.n--; p.trap.n <= 0 {
			sprung, p.trap = p.trap, nil
		}
	}
	if p.rng.Float64() < p.rate {
		what = 1 + fate(p.rng.IntN(int(fates)-1))
	}
	return what, time.Duration(5+p.rng.IntN(300)) * time.Millisecond, p.dark, sprung
}

func (p *proxy) serve(client net.Conn) {
	p.keep(client)
	defer p.drop(client)
	up, err := net.Dial("tcp", p.upstream)
	if err != nil {
		return
	}
	p.keep(up)
	defer p.drop(up)
	from, back := bufio.NewReader(client), bufio.NewReader(up)
	for {
		req, err := http.ReadRequest(from)
		if err != nil {
			return
		}
		if req.Header.Get("Expect") != "" { // S3 is asked before much is sent to it
			req.Header.Del("Expect")
			if _, err := io.WriteString(client, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
				return
			}
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		what, pause, dark, sprung := p.ask(writes(req))
		if dark != nil {
			<-dark
			return
		}
		if sprung != nil && !sprung.effect {
			on := sprung.spring()
			if on == nil || !p.wait(on) {
				return
			}
		}
		switch what {
		case slow:
			p.pass(pause)
		case unsent:
			return
		case late:
			_ = client.Close()
			p.pass(3 * pause)
		}
		resp := p.message(req, body)
		if resp == nil {
			resp = forward(up, back, req, body)
		}
		if resp == nil {
			return
		}
		if sprung != nil && sprung.effect {
			on := sprung.spring()
			if on == nil || !p.wait(on) {
				return
			}
		}
		switch what {
		case slow:
			p.pass(pause)
		case unheard, late:
			return
		case halfOpen:
			_, _ = io.Copy(io.Discard, from) // until the other end has had enough
			return
		}
		if resp.Write(client) != nil {
			return
		}
	}
}

// forward asks a service; nil: there is no answer.
func forward(up io.Writer, back *bufio.Reader, req *http.Request, body []byte) *http.Response {
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if req.Write(up) != nil {
		return nil
	}
	resp, err := http.ReadResponse(back, req)
	if err != nil {
		return nil
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.Body.Close() != nil {
		return nil
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	return resp
}

// writes reports whether a request puts down what others read.
func writes(req *http.Request) bool {
	switch _, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), "."); operation {
	case "TransactWriteItems", "SendMessage":
		return true
	case "":
		return req.Method == http.MethodPut
	}
	return false
}

// pass lets time pass.
func (p *proxy) pass(d time.Duration) {
	select {
	case <-time.After(d):
	case <-p.closed:
	}
}

func (p *proxy) wait(on <-chan struct{}) bool {
	select {
	case <-on:
		return true
	case <-p.closed:
		return false
	}
}

func (p *proxy) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
}

func (p *proxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}
