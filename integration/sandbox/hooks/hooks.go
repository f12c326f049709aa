// Package hooks delivers webhooks as GitHub does: signed, asynchronously, once
// each, in order, and recorded whatever came of it.
package hooks

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"weir/integration/sandbox/record"
	"weir/integration/sandbox/shape"
)

// Timeout is how long GitHub waits for the answer to a delivery.
const Timeout = 10 * time.Second

// Config of a Sender.
type Config struct {
	Shape   func() shape.Shaper // asked at each event: the addresses are known only once the sandbox listens
	AppID   int64               // 0 makes the hook one of the repositories
	Changed func()              // called after each delivery
	Log     *slog.Logger
}

// Hook is where to deliver.
type Hook struct {
	URL    string
	Secret string
	// Events that are subscribed to; nil for all. An App gets installation,
	// check_run and check_suite without asking, and everybody gets ping.
	Events []string
}

// Delivery is one attempt to deliver an event.
type Delivery struct {
	ID           int64
	GUID         string // the same in each attempt
	Event        string
	Action       string
	Redelivery   bool
	Repo         int64 // ids; 0 for none
	Installation int64
	Headers      map[string]string
	Body         []byte

	Delivered time.Time // zero while it waits
	Duration  time.Duration
	Code      int    // 0 where there was no answer
	Status    string // such as "OK" or "failed to connect to host"
	Answer    string // body, at most 64 KiB
}

// Sender delivers to one hook.
type Sender struct {
	cfg    Config
	client *http.Client
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{}

	mu         sync.Mutex
	hook       *Hook
	hookID     int64
	lastID     int64
	deliveries []*Delivery
	queue      []*Delivery
	busy       bool
	held       bool
}

// New starts a Sender, which sends nothing until it has a hook.
func New(cfg Config) *Sender {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sender{
		cfg: cfg, cancel: cancel, done: make(chan struct{}), wake: make(chan struct{}, 1), lastID: 4_000_000_000,
		client: &http.Client{
			Timeout: Timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 2},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	go s.run(ctx)
	return s
}

// Close stops; what waits is not delivered any more.
func (s *Sender) Close() {
	s.cancel()
	<-s.done
	s.client.CloseIdleConnections()
}

// Set makes a hook the one that events go to, and pings it.
func (s *Sender) Set(h Hook) {
	s.mu.Lock()
	s.lastID++
	s.hook, s.hookID = &h, s.lastID
	id := s.hookID
	s.mu.Unlock()
	sh := s.cfg.Shape()
	events := h.Events
	if events == nil {
		events = []string{"*"}
	}
	hook := shape.Object{
		"type": "Repository", "id": id, "name": "web", "active": true, "events": events,
		"config":     shape.Object{"content_type": "json", "insecure_ssl": "0", "url": h.URL, "secret": "********"},
		"updated_at": shape.Time(time.Now()), "created_at": shape.Time(time.Now()), "url": fmt.Sprintf("%s/hooks/%d", sh.API, id),
		"ping_url": fmt.Sprintf("%s/hooks/%d/pings", sh.API, id), "test_url": fmt.Sprintf("%s/hooks/%d/test", sh.API, id),
		"deliveries_url": fmt.Sprintf("%s/hooks/%d/deliveries", sh.API, id), "last_response": shape.Object{"code": nil, "status": "unused", "message": nil},
	}
	if s.cfg.AppID != 0 {
		hook["type"], hook["app_id"], hook["deliveries_url"] = "App", s.cfg.AppID, sh.API+"/app/hook/deliveries"
		for _, key := range []string{"url", "ping_url", "test_url", "last_response"} {
			delete(hook, key)
		}
	}
	s.enqueue(record.Event{Name: "ping"}, shape.Object{"zen": "Practicality beats purity.", "hook_id": id, "hook": hook})
}

// Emit queues the delivery of an event. Without a hook, or where it is not
// subscribed to the event, nothing happens.
func (s *Sender) Emit(e record.Event) {
	s.mu.Lock()
	wanted := s.hook != nil && s.wants(e)
	s.mu.Unlock()
	if wanted {
		s.enqueue(e, s.cfg.Shape().Payload(e))
	}
}

func (s *Sender) wants(e record.Event) bool {
	switch e.Name {
	case "installation":
		return s.cfg.AppID != 0
	case "check_run", "check_suite":
		if s.cfg.AppID != 0 {
			return e.Installation != 0
		}
	}
	if s.cfg.AppID != 0 && e.Installation == 0 {
		return false
	}
	return s.hook.Events == nil || slices.Contains(s.hook.Events, e.Name)
}

func (s *Sender) enqueue(e record.Event, payload shape.Object) {
	body, err := json.Marshal(payload)
	if err != nil {
		s.cfg.Log.Error("encode webhook", "event", e.Name, "error", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &Delivery{GUID: newGUID(), Event: e.Name, Action: e.Action, Repo: e.Repo.ID, Installation: e.Installation, Body: body}
	s.add(d)
}

// add queues a delivery; the lock is held.
func (s *Sender) add(d *Delivery) {
	s.lastID++
	d.ID = s.lastID
	mac := hmac.New(sha256.New, []byte(s.hook.Secret))
	mac.Write(d.Body)
	target, kind := strconv.FormatInt(d.Repo, 10), "repository"
	if s.cfg.AppID != 0 {
		target, kind = strconv.FormatInt(s.cfg.AppID, 10), "integration"
	}
	d.Headers = map[string]string{
		"Accept": "*/*", "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/5a4d1ba",
		"X-GitHub-Delivery": d.GUID, "X-GitHub-Event": d.Event, "X-GitHub-Hook-ID": strconv.FormatInt(s.hookID, 10),
		"X-GitHub-Hook-Installation-Target-ID": target, "X-GitHub-Hook-Installation-Target-Type": kind,
	}
	if s.hook.Secret != "" {
		d.Headers["X-Hub-Signature-256"] = "sha256=" + hex.EncodeToString(mac.Sum(nil))
	}
	s.deliveries = append(s.deliveries, d)
	s.queue = append(s.queue, d)
	s.poke()
}

func (s *Sender) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func newGUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (s *Sender) run(ctx context.Context) {
	defer close(s.done)
	for {
		d, target := s.next()
		if d == nil {
			select {
			case <-s.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		if ctx.Err() != nil {
			return
		}
		s.deliver(ctx, d, target)
	}
}

func (s *Sender) next() (*Delivery, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held || len(s.queue) == 0 {
		return nil, ""
	}
	d := s.queue[0]
	s.queue = s.queue[1:]
	s.busy = true
	return d, s.hook.URL
}

func (s *Sender) deliver(ctx context.Context, d *Delivery, target string) {
	start := time.Now()
	code, status, answer := s.post(ctx, d, target)
	s.mu.Lock()
	d.Delivered, d.Duration, d.Code, d.Status, d.Answer = time.Now().UTC(), time.Since(start), code, status, answer
	s.busy = false
	s.mu.Unlock()
	s.cfg.Log.Debug("delivered", "event", d.Event, "action", d.Action, "delivery", d.GUID, "status", code)
	s.cfg.Changed()
}

func (s *Sender) post(ctx context.Context, d *Delivery, target string) (int, string, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(d.Body))
	if err != nil {
		return 0, "invalid url", ""
	}
	for key, value := range d.Headers {
		req.Header.Set(key, value)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		var timeout interface{ Timeout() bool }
		if errors.As(err, &timeout) && timeout.Timeout() {
			return 0, "timed out", ""
		}
		return 0, "failed to connect to host", ""
	}
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what could be read is what is shown
	_ = resp.Body.Close()                                      // nothing is lost by it
	status := "OK"
	if resp.StatusCode >= 400 || resp.StatusCode < 200 {
		status = fmt.Sprintf("Invalid HTTP Response: %d", resp.StatusCode)
	}
	return resp.StatusCode, status, string(answer)
}

// Deliveries returns all attempts so far, the oldest first.
func (s *Sender) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Delivery, 0, len(s.deliveries))
	for _, d := range s.deliveries {
		all = append(all, *d)
	}
	return all
}

// Idle says that nothing waits to be delivered, nor is being delivered.
func (s *Sender) Idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) == 0 && !s.busy
}

// Redeliver delivers an attempt's event again, under the same GUID.
func (s *Sender) Redeliver(id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.IndexFunc(s.deliveries, func(d *Delivery) bool { return d.ID == id })
	if at < 0 || s.hook == nil {
		return &record.Error{Status: 404, Message: "Not Found"}
	}
	s.add(s.deliveries[at].again())
	return nil
}

func (d *Delivery) again() *Delivery {
	return &Delivery{GUID: d.GUID, Event: d.Event, Action: d.Action, Redelivery: true, Repo: d.Repo, Installation: d.Installation, Body: d.Body}
}

// Hold keeps deliveries back until Release. One that is on its way arrives.
func (s *Sender) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

// Order says in what order, and how often, Release delivers what was held.
type Order struct {
	Reverse   bool
	Shuffle   uint64 // a seed; 0 for no shuffling
	Duplicate int    // how many times each is delivered again, under the same GUID
	Drop      func(Delivery) bool
}

// Release delivers what was held. A dropped delivery stays recorded without an
// answer, and can be delivered again by Redeliver.
func (s *Sender) Release(o Order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queue
	s.queue = nil
	if o.Drop != nil {
		queue = slices.DeleteFunc(queue, func(d *Delivery) bool { return o.Drop(*d) })
	}
	originals := slices.Clone(queue)
	for range o.Duplicate {
		for _, d := range originals {
			s.add(d.again())
		}
	}
	queue = append(queue, s.queue...)
	if o.Reverse {
		slices.Reverse(queue)
	}
	if o.Shuffle != 0 {
		r := mathrand.New(mathrand.NewPCG(o.Shuffle, o.Shuffle))
		r.Shuffle(len(queue), func(i, j int) { queue[i], queue[j] = queue[j], queue[i] })
	}
	s.queue = queue
	s.held = false
	s.poke()
}
