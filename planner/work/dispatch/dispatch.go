// Package dispatch carries news of work between replicas over an SQS FIFO
// queue: a message says that a pull request has something to do, and the
// replica that receives it looks.
//
// A pull request is a message group, so SQS gives its news to one replica at a
// time, for as long as that one extends the message. Whoever dies lets it go
// by that alone. What is lost or comes twice does no harm, because the store
// says what there is to do.
package dispatch

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
)

const (
	// visible is how long a message stays with a replica that is not heard
	// of any more. It is extended three times as often.
	visible = 30 * time.Second

	// longPoll is how long SQS waits for a message, at most 20 s (Amazon SQS
	// Developer Guide, "Amazon SQS short and long polling").
	longPoll = 20 * time.Second

	// callTime bounds each other call.
	callTime = 5 * time.Second

	// maxGroup is what SQS takes as a message group (Amazon SQS API
	// Reference, SendMessage).
	maxGroup = 128

	// maxLine is the longest name of a line that is believed.
	maxLine = 900
)

// Queue is one SQS queue. All methods are safe for concurrent use.
type Queue struct {
	// Log is told what goes wrong after Done and Return, and while messages
	// are extended. nil: nobody. It must not change after the first call.
	Log *slog.Logger

	client *sqs.Client
	where  place
	ending context.Context // ends with Close
	end    context.CancelFunc
	calls  sync.WaitGroup

	mu   sync.Mutex
	url  string // "" while it is not known
	dead string // of the dead-letter queue; "" while it is not known
	held map[string]holding
}

// holding is a message that was received for a line and not let go.
type holding struct {
	receipt string
	stop    context.CancelFunc // no longer extended
}

// message is the body.
type message struct {
	Line string `json:"line"`
}

// Open returns the queue that a URL names: sqs://QUEUE.fifo?region=REGION, with
// &endpoint=URL for one that is not AWS's, or the URL that SQS itself gave the
// queue. Region and credentials may also come from where AWS's tools take them.
//
// It is an error if AWS says that there is no such queue or that it may not be
// used. That SQS cannot be reached is none: it may come back.
func Open(ctx context.Context, rawURL string) (*Queue, error) {
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
		return nil, fmt.Errorf("open %s: AWS configuration: %w", where, err)
	}
	if cfg.Region == "" {
		return nil, fmt.Errorf("open %s: no region: write sqs://%s?region=REGION", where, where.name)
	}
	q := &Queue{where: where, url: where.url, held: map[string]holding{}}
	q.client = sqs.NewFromConfig(cfg, func(o *sqs.Options) {
		// A job waits for Send, and where SQS fails the store does as well.
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 2, 300*time.Millisecond })
		if where.endpoint != "" {
			o.BaseEndpoint = aws.String(where.endpoint)
		}
	})
	q.ending, q.end = context.WithCancel(context.WithoutCancel(ctx))
	try, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	attributes, err := q.attributes(try, "", types.QueueAttributeNameQueueArn, types.QueueAttributeNameFifoQueue)
	var answer smithy.APIError
	switch {
	case err == nil && attributes["FifoQueue"] != "true":
		return nil, fmt.Errorf("open %s: it is no FIFO queue", where)
	case errors.As(err, &answer) && answer.ErrorFault() == smithy.FaultClient:
		return nil, fmt.Errorf("open %s: %w", where, err)
	}
	return q, nil
}

// Close lets messages that are still held come back by themselves, and waits
// until what Done and Return began has ended.
func (q *Queue) Close() error {
	q.calls.Wait()
	q.end()
	return nil
}

func (q *Queue) log() *slog.Logger { return cmp.Or(q.Log, slog.New(slog.DiscardHandler)) }

// address returns the URL of the queue, which may have to be asked for.
func (q *Queue) address(ctx context.Context) (*string, error) {
	q.mu.Lock()
	url := q.url
	q.mu.Unlock()
	if url != "" {
		return &url, nil
	}
	out, err := q.client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &q.where.name})
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.url = aws.ToString(out.QueueUrl)
	return &q.url, nil
}

// Send tells a replica of a job in a line. A message with the same id within
// five minutes is left out by SQS.
func (q *Queue) Send(ctx context.Context, line, id string) error {
	body, err := json.Marshal(message{Line: line})
	if err != nil {
		return fmt.Errorf("send %s: %w", line, err)
	}
	url, err := q.address(ctx)
	if err != nil {
		return fmt.Errorf("send %s to %s: %w", line, q.where, err)
	}
	if _, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: url, MessageBody: aws.String(string(body)),
		MessageGroupId: aws.String(group(line)), MessageDeduplicationId: aws.String(group(id)),
	}); err != nil {
		return fmt.Errorf("send %s to %s: %w", line, q.where, err)
	}
	return nil
}

// group makes a name one that SQS takes: at most 128 printable characters.
func group(name string) string {
	bad := func(c rune) bool { return c <= ' ' || c > '~' }
	if name != "" && len(name) <= maxGroup && !strings.ContainsFunc(name, bad) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// Receive waits up to 20 seconds for news of a line, and returns "" if there
// were none. The message is kept from others until Done, Return or Close.
func (q *Queue) Receive(ctx context.Context) (line string, err error) {
	try, cancel := context.WithTimeout(ctx, longPoll+callTime)
	defer cancel()
	url, err := q.address(try)
	if err != nil {
		return "", fmt.Errorf("receive from %s: %w", q.where, err)
	}
	out, err := q.client.ReceiveMessage(try, &sqs.ReceiveMessageInput{
		QueueUrl: url, MaxNumberOfMessages: 1, WaitTimeSeconds: int32(longPoll.Seconds()), VisibilityTimeout: int32(visible.Seconds()),
		// The same messages once more if the answer is lost on its way.
		ReceiveRequestAttemptId: aws.String(rand.Text()),
	})
	if err != nil {
		return "", fmt.Errorf("receive from %s: %w", q.where, err)
	}
	for _, got := range out.Messages {
		var m message
		if err := json.Unmarshal([]byte(aws.ToString(got.Body)), &m); err != nil || m.Line == "" || len(m.Line) > maxLine {
			q.log().Warn("a message that is not weir's is left to the dead-letter queue", "queue", q.where.String(), "message", aws.ToString(got.MessageId))
			continue
		}
		q.hold(m.Line, aws.ToString(got.ReceiptHandle))
		return m.Line, nil
	}
	return "", nil
}

// hold extends a message until it is let go. One that was held for the line
// before has expired, or SQS would not have given us another.
func (q *Queue) hold(line, receipt string) {
	ctx, stop := context.WithCancel(q.ending)
	q.mu.Lock()
	before, ok := q.held[line]
	q.held[line] = holding{receipt: receipt, stop: stop}
	q.mu.Unlock()
	if ok {
		before.stop()
	}
	go q.extend(ctx, line, receipt)
}

func (q *Queue) extend(ctx context.Context, line, receipt string) {
	t := time.NewTicker(visible / 3)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		// Another replica that is told of the line too sees in the store
		// that it is worked on.
		if err := q.setVisible(ctx, receipt, visible); err != nil && ctx.Err() == nil {
			q.log().Warn("a message could not be extended", "queue", q.where.String(), "line", line, "err", err)
		}
	}
}

func (q *Queue) setVisible(ctx context.Context, receipt string, after time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	url, err := q.address(ctx)
	if err != nil {
		return err
	}
	_, err = q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: url, ReceiptHandle: &receipt, VisibilityTimeout: int32(after.Seconds()),
	})
	return err
}

// Done deletes the message of a line, without waiting for that. If it cannot
// be deleted, it comes again.
func (q *Queue) Done(line string) {
	q.letGo(line, "delete", func(ctx context.Context, receipt string) error {
		url, err := q.address(ctx)
		if err != nil {
			return err
		}
		_, err = q.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: &receipt})
		return err
	})
}

// Return gives the message of a line to whoever asks next, without waiting for
// that. If that fails, the message is given to another when its time is over.
func (q *Queue) Return(line string) {
	q.letGo(line, "return", func(ctx context.Context, receipt string) error { return q.setVisible(ctx, receipt, 0) })
}

func (q *Queue) letGo(line, what string, do func(ctx context.Context, receipt string) error) {
	q.mu.Lock()
	h, ok := q.held[line]
	delete(q.held, line)
	q.mu.Unlock()
	if !ok {
		return
	}
	h.stop()
	q.calls.Go(func() {
		ctx, cancel := context.WithTimeout(q.ending, callTime)
		defer cancel()
		if err := do(ctx, h.receipt); err != nil {
			q.log().Warn("a message could not be let go", "do", what, "queue", q.where.String(), "line", line, "err", err)
		}
	})
}

// Dead returns about how many messages lie in the dead-letter queue: news that
// were given to replicas again and again. It is 0 where there is no such queue.
func (q *Queue) Dead(ctx context.Context) (int, error) {
	url, err := q.deadAddress(ctx)
	if err != nil || url == "" {
		return 0, err
	}
	return q.count(ctx, url)
}

// Waiting returns about how many messages wait to be received.
func (q *Queue) Waiting(ctx context.Context) (int, error) { return q.count(ctx, "") }

func (q *Queue) count(ctx context.Context, url string) (int, error) {
	attributes, err := q.attributes(ctx, url, types.QueueAttributeNameApproximateNumberOfMessages)
	if err != nil {
		return 0, fmt.Errorf("count the messages of %s: %w", cmp.Or(url, q.where.String()), err)
	}
	n, err := strconv.Atoi(attributes["ApproximateNumberOfMessages"])
	if err != nil {
		return 0, fmt.Errorf("count the messages of %s: %w", cmp.Or(url, q.where.String()), err)
	}
	return n, nil
}

// attributes asks about a queue, ours if url is empty.
func (q *Queue) attributes(ctx context.Context, url string, names ...types.QueueAttributeName) (map[string]string, error) {
	at := &url
	if url == "" {
		var err error
		if at, err = q.address(ctx); err != nil {
			return nil, err
		}
	}
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: at, AttributeNames: names})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}
