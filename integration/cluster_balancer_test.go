package integration

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"
)

// balancer takes turns, and does not know who is there.
type balancer struct {
	c      *cluster
	server *httptest.Server
	client *http.Client
	turn   atomic.Int64
	to     atomic.Pointer[replica] // not nil: nobody else gets anything

	mu    sync.Mutex
	taken map[string]int // deliveries that a replica has accepted
}

func newBalancer(c *cluster) *balancer {
	b := &balancer{c: c, taken: map[string]int{}, client: &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{}}}
	b.server = httptest.NewServer(b)
	c.t.Cleanup(b.server.Close)
	c.t.Cleanup(b.client.CloseIdleConnections)
	return b
}

func (b *balancer) url() string { return b.server.URL }

// only has everything go to one replica; nil: to all in turn.
func (b *balancer) only(r *replica) { b.to.Store(r) }

// ServeHTTP sends a delivery to whoever's turn it is, and answers 502 if that
// one does not. What only reads goes to the next that answers.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	tries := len(b.c.replicas)
	if r.Method == http.MethodPost {
		tries = 1
	}
	for range tries {
		to := b.to.Load()
		if to == nil {
			to = b.c.replicas[int(b.turn.Add(1))%len(b.c.replicas)]
		}
		if up, paused := to.state(); !up || paused && r.Method == http.MethodGet || to.url.Load() == nil {
			continue
		}
		req, err := http.NewRequestWithContext(r.Context(), r.Method, *to.url.Load()+r.URL.String(), bytes.NewReader(body))
		if err != nil {
			continue
		}
		req.Header = r.Header.Clone()
		resp, err := b.client.Do(req)
		if err != nil {
			continue
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			continue
		}
		if r.Method == http.MethodPost && resp.StatusCode < 300 {
			b.mu.Lock()
			b.taken[to.name]++
			b.mu.Unlock()
		}
		maps.Copy(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(answer) // whoever asked may be gone
		return
	}
	w.WriteHeader(http.StatusBadGateway)
}
