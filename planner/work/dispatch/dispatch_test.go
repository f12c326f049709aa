package dispatch_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"weir/integration/services"
	"weir/planner/work"
	"weir/planner/work/dispatch"
	"weir/store"
	"weir/store/storetest"
)

// makeQueue makes a FIFO queue and one for its dead letters, and returns its name.
func makeQueue(t *testing.T, endpoint string, maxReceives int) (name string) {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("eu-west-1"))
	if err != nil {
		t.Fatal(err)
	}
	client := sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.BaseEndpoint = &endpoint })
	name = "weir-" + strings.ToLower(rand.Text())
	fifo := map[string]string{"FifoQueue": "true"}
	out, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(name + "-dead.fifo"), Attributes: fifo})
	if err != nil {
		t.Fatal(err)
	}
	dead, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: out.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := json.Marshal(map[string]any{"deadLetterTargetArn": dead.Attributes["QueueArn"], "maxReceiveCount": maxReceives})
	if err != nil {
		t.Fatal(err)
	}
	name += ".fifo"
	if _, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{
		"FifoQueue": "true", "RedrivePolicy": string(policy),
	}}); err != nil {
		t.Fatal(err)
	}
	return name
}

func open(t *testing.T, endpoint, name string) *dispatch.Queue {
	t.Helper()
	q, err := dispatch.Open(t.Context(), "sqs://"+name+"?region=eu-west-1&endpoint="+endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func send(t *testing.T, q *dispatch.Queue, line, id string) {
	t.Helper()
	if err := q.Send(t.Context(), line, id); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, q *dispatch.Queue) string {
	t.Helper()
	line, err := q.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func TestNewsGoToOneReplica(t *testing.T) {
	t.Parallel()
	endpoint := services.AWS(t)
	name := makeQueue(t, endpoint, 3)
	one, two := open(t, endpoint, name), open(t, endpoint, name)
	long := "acme/" + strings.Repeat("a", 200) + "#1"
	send(t, one, "acme/app#1", "a")
	send(t, one, "acme/app#1", "a") // left out
	send(t, two, "acme/app#1", "b")
	send(t, two, long, "c")
	if got := receive(t, one); got != "acme/app#1" {
		t.Errorf("received %q", got)
	}
	if got := receive(t, two); got != long { // the other line is one's
		t.Errorf("received %q", got)
	}
	two.Done(long)
	one.Return("acme/app#1")
	if err := one.Close(); err != nil { // waits until it is returned
		t.Fatal(err)
	}
	for range 2 {
		if got := receive(t, two); got != "acme/app#1" {
			t.Errorf("received %q", got)
		}
		two.Done("acme/app#1")
		if err := two.Close(); err != nil { // waits until it is done
			t.Fatal(err)
		}
		two = open(t, endpoint, name)
	}
	if n, err := two.Waiting(t.Context()); n != 0 || err != nil {
		t.Errorf("%d messages wait, %v", n, err)
	}
	if n, err := two.Dead(t.Context()); n != 0 || err != nil {
		t.Errorf("%d messages are dead, %v", n, err)
	}
}

func TestDeadLettersAreCounted(t *testing.T) {
	t.Parallel()
	endpoint := services.AWS(t)
	q := open(t, endpoint, makeQueue(t, endpoint, 2))
	send(t, q, "acme/app#1", "a")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for n := 0; n == 0; {
		try, stop := context.WithTimeout(ctx, time.Second)
		line, err := q.Receive(try)
		stop()
		if err != nil && ctx.Err() != nil {
			t.Fatal("the message never died")
		}
		q.Return(line)
		if n, err = q.Dead(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	endpoint := services.AWS(t)
	_, err := dispatch.Open(t.Context(), "sqs://missing.fifo?region=eu-west-1&endpoint="+endpoint)
	if err == nil || !strings.Contains(err.Error(), "sqs://missing.fifo") {
		t.Errorf("Open of no queue: %v", err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	q, err := dispatch.Open(t.Context(), "sqs://weir.fifo?region=eu-west-1&endpoint="+gone.URL)
	if err != nil {
		t.Fatalf("Open while SQS is down: %v", err)
	}
	if err := q.Send(t.Context(), "acme/app#1", "a"); err == nil {
		t.Error("Send while SQS is down did not fail")
	}
	if _, err := q.Receive(t.Context()); err == nil {
		t.Error("Receive while SQS is down did not fail")
	}
}

var errKilled = errors.New("this process is dead")

// process is what a replica has to do with the world, until it is killed.
type process struct {
	store.Store
	*dispatch.Queue
	dead         atomic.Bool
	drop, double *atomic.Bool
}

func (p *process) Close() error { return nil }

func (p *process) Get(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	if p.dead.Load() {
		return nil, errKilled
	}
	return p.Store.Get(ctx, keys...)
}

func (p *process) Commit(ctx context.Context, writes ...store.Write) error {
	if p.dead.Load() {
		return errKilled
	}
	return p.Store.Commit(ctx, writes...)
}

func (p *process) Send(ctx context.Context, line, id string) error {
	switch {
	case p.dead.Load():
		return errKilled
	case p.drop.Load():
		return nil
	case p.double.Load():
		if err := p.Queue.Send(ctx, line, id+"-again"); err != nil {
			return err
		}
	}
	return p.Queue.Send(ctx, line, id)
}

func (p *process) Receive(ctx context.Context) (string, error) {
	if p.dead.Load() {
		return "", errKilled
	}
	return p.Queue.Receive(ctx)
}

// fleet is three replicas on one store and one queue.
type fleet struct {
	t            *testing.T
	store        store.Store
	queues       []*work.Queue
	processes    []*process
	stop         []func()
	drop, double atomic.Bool
	down         atomic.Bool
	long         time.Duration // of a job

	mu    sync.Mutex
	doing map[int]*process
	order map[int][]string
	by    map[*process]int
}

const lease = 3 * time.Second

func newFleet(t *testing.T, long time.Duration) *fleet {
	t.Helper()
	endpoint := services.AWS(t)
	name := makeQueue(t, endpoint, 50)
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, long: long, store: storetest.Memory(), doing: map[int]*process{}, order: map[int][]string{}, by: map[*process]int{}}
	forward := httputil.NewSingleHostReverseProxy(target)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.down.Load() {
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	for range 3 {
		p := &process{Store: f.store, Queue: open(t, proxy.URL, name), drop: &f.drop, double: &f.double}
		q := &work.Queue{Store: p, Dispatch: p, Lease: lease, Poll: 200 * time.Millisecond, Drain: time.Second}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- q.Run(ctx, 2, func(ctx context.Context, j work.Job) error { return f.do(ctx, p, j) }) }()
		f.queues, f.processes = append(f.queues, q), append(f.processes, p)
		f.stop = append(f.stop, sync.OnceFunc(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}))
	}
	t.Cleanup(func() {
		for _, stop := range f.stop {
			stop()
		}
	})
	return f
}

func (f *fleet) do(ctx context.Context, p *process, j work.Job) error {
	f.mu.Lock()
	if other := f.doing[j.Pull]; other != nil && !other.dead.Load() && !p.dead.Load() {
		f.t.Errorf("%s of %d begins while another job of it runs", j.Kind, j.Pull)
	}
	f.doing[j.Pull] = p
	f.by[p]++
	f.mu.Unlock()
	select {
	case <-time.After(f.long):
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.doing[j.Pull] == p {
		delete(f.doing, j.Pull)
	}
	if !p.dead.Load() {
		f.order[j.Pull] = append(f.order[j.Pull], fmt.Sprint(j.Kind, j.Attempt))
	}
	return ctx.Err()
}

// accept takes deliveries of n pull requests, each at any of the replicas.
func (f *fleet) accept(first, n int) {
	f.t.Helper()
	for pull := first; pull < first+n; pull++ {
		for i, kind := range []work.Kind{work.Plan, work.Apply} {
			q := f.queues[(pull+i)%len(f.queues)]
			if _, err := q.Accept(f.t.Context(), fmt.Sprint(pull, kind), work.Job{Kind: kind, Repo: "acme/app", Pull: pull}); err != nil {
				f.t.Fatal(err)
			}
		}
	}
}

// quiet waits until everything is done, for at most so long.
func (f *fleet) quiet(longest time.Duration) {
	f.t.Helper()
	began := time.Now()
	q := &work.Queue{Store: f.store}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		n, err := q.Pending(f.t.Context())
		switch {
		case err != nil:
			f.t.Fatal(err)
		case n == 0:
			f.t.Logf("done after %v", time.Since(began))
			return
		case time.Since(began) > longest:
			f.t.Fatalf("%d jobs are left after %v", n, longest)
		}
	}
}

func (f *fleet) inOrder(first, n int, again bool) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for pull := first; pull < first+n; pull++ {
		got := fmt.Sprint(f.order[pull])
		if got != "[plan1 apply1]" && (!again || got != "[plan2 apply1]" && got != "[plan1 apply2]") {
			f.t.Errorf("order of %d: %s", pull, got)
		}
	}
}

func TestReplicasShareWorkByNews(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 200*time.Millisecond)
	f.accept(1, 20)
	f.quiet(20 * time.Second)
	f.inOrder(1, 20, false)
	for i, p := range f.processes {
		if f.by[p] == 0 {
			t.Errorf("replica %d did %d of 40 jobs", i, f.by[p])
		}
	}
}

func TestI5_AReplicaIsKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 30*time.Millisecond)
	f.accept(1, 20)
	f.processes[0].dead.Store(true)
	_ = f.processes[0].Queue.Close()
	f.quiet(30 * time.Second)
	f.inOrder(1, 20, true)
}

// Without SQS the store does as well.
func TestI5_SQSIsDown(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 30*time.Millisecond)
	f.accept(1, 3)
	f.quiet(20 * time.Second)
	f.down.Store(true)
	f.accept(11, 5)
	f.quiet(10 * time.Second)
	f.down.Store(false)
	f.accept(21, 3)
	f.quiet(10 * time.Second)
	f.inOrder(1, 3, false)
	f.inOrder(11, 5, false)
	f.inOrder(21, 3, false)
}

func TestI5_MessagesAreLostAndDoubled(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 30*time.Millisecond)
	f.accept(21, 3)
	f.quiet(20 * time.Second)
	f.drop.Store(true)
	f.accept(1, 5)
	f.quiet(lease + 5*time.Second)
	f.drop.Store(false)
	f.double.Store(true)
	f.accept(11, 5)
	f.quiet(10 * time.Second)
	f.inOrder(1, 5, false)
	f.inOrder(11, 5, false)
}
