package integration

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// gossip sets how many of the messages to a queue are lost, come twice or come
// late, though whoever sent them was told that they were taken.
func (p *proxy) gossip(rate float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.news = rate
}

// message gives a message another fate than to arrive, and returns SQS's
// answer. It returns nil for what is to be asked as it is.
func (p *proxy) message(req *http.Request, body []byte) *http.Response {
	if !strings.HasSuffix(req.Header.Get("X-Amz-Target"), ".SendMessage") {
		return nil
	}
	p.mu.Lock()
	odd, what := p.rng.Float64() < p.news, p.rng.IntN(3)
	pause := time.Duration(p.rng.IntN(8000)) * time.Millisecond
	p.mu.Unlock()
	var in map[string]any
	if !odd || json.Unmarshal(body, &in) != nil {
		return nil
	}
	switch what {
	case 0: // lost
	case 1: // late
		p.serving.Go(func() {
			p.pass(pause)
			p.post(req, body)
		})
	case 2: // twice, and not so that SQS leaves one out
		p.post(req, body)
		in["MessageDeduplicationId"] = fmt.Sprint(time.Now().UnixNano())
		if again, err := json.Marshal(in); err == nil {
			p.post(req, again)
		}
	}
	text, _ := in["MessageBody"].(string)
	sum := md5.Sum([]byte(text)) // as SQS answers
	answer := fmt.Sprintf(`{"MessageId": "made-up", "SequenceNumber": "1", "MD5OfMessageBody": %q}`, hex.EncodeToString(sum[:]))
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(answer)), ContentLength: int64(len(answer)),
	}
}

// post sends a message over a connection of its own. That it does not arrive
// is one fate more.
func (p *proxy) post(req *http.Request, body []byte) {
	up, err := net.Dial("tcp", p.upstream)
	if err != nil {
		return
	}
	p.keep(up)
	defer p.drop(up)
	own := req.Clone(req.Context())
	own.Body, own.Close = io.NopCloser(bytes.NewReader(body)), true
	_ = forward(up, bufio.NewReader(up), own, body)
}
