package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// queueName is SQS's rule for FIFO queues (Amazon SQS API Reference,
// CreateQueue): up to 80 letters, digits, hyphens and underscores with .fifo.
var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,75}\.fifo$`)

// ownHost is where AWS's queues are, with their region.
var ownHost = regexp.MustCompile(`^sqs\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$`)

// place is where a queue is.
type place struct {
	name     string
	url      string // as SQS gave it; "" if it is to be asked for
	region   string // "" for the environment's
	endpoint string // "" for AWS's own
}

func (p place) String() string { return "sqs://" + p.name }

// parse reads the URL of a queue in any of its forms.
func parse(rawURL string) (place, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return place{}, fmt.Errorf("dispatch: %w", err)
	}
	p := place{name: u.Host}
	switch {
	case u.User != nil || u.Fragment != "":
		return place{}, fmt.Errorf("dispatch: %s is not of the form sqs://QUEUE.fifo?region=REGION", u.Redacted())
	case u.Scheme == "sqs" && strings.Trim(u.Path, "/") == "":
	case u.Scheme == "https", u.Scheme == "http":
		p.name = u.Path[strings.LastIndex(u.Path, "/")+1:]
		p.endpoint = u.Scheme + "://" + u.Host
		p.url = p.endpoint + u.Path
		if own := ownHost.FindStringSubmatch(u.Host); own != nil {
			p.region, p.endpoint = own[1], ""
		}
	default:
		return place{}, fmt.Errorf("dispatch: %s is not of the form sqs://QUEUE.fifo?region=REGION", u.Redacted())
	}
	if !queueName.MatchString(p.name) {
		return place{}, fmt.Errorf("dispatch: %q is no name of a FIFO queue: up to 75 letters, digits, - and _, and then .fifo", p.name)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return place{}, fmt.Errorf("dispatch: %s: %w", p, err)
	}
	for name, values := range query {
		if len(values) != 1 || values[0] == "" {
			return place{}, fmt.Errorf("dispatch: %s: %s has to be given once", p, name)
		}
		switch {
		case name == "region":
			p.region = values[0]
		case name == "endpoint" && p.url == "":
			p.endpoint = values[0]
		default:
			return place{}, fmt.Errorf("dispatch: %s: unknown parameter %q, known are region and endpoint", p, name)
		}
	}
	return p, p.checkEndpoint()
}

// checkEndpoint refuses an endpoint to which signed requests would go in clear
// text through a network.
func (p place) checkEndpoint() error {
	if p.endpoint == "" {
		return nil
	}
	u, err := url.Parse(p.endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("dispatch: endpoint %q is not of the form https://HOST[:PORT]", p.endpoint)
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return fmt.Errorf("dispatch: endpoint %s has to be https, but on this machine itself", p.endpoint)
	}
	return nil
}

// deadAddress returns the URL of the dead-letter queue, "" if there is none.
// It is in the same account and region as the queue (Amazon SQS Developer
// Guide, "Using dead-letter queues"), so it differs in its name alone.
func (q *Queue) deadAddress(ctx context.Context) (string, error) {
	q.mu.Lock()
	known := q.dead
	q.mu.Unlock()
	if known != "" {
		return known, nil
	}
	attributes, err := q.attributes(ctx, "", types.QueueAttributeNameRedrivePolicy)
	if err != nil {
		return "", fmt.Errorf("find the dead-letter queue of %s: %w", q.where, err)
	}
	var policy struct {
		Target string `json:"deadLetterTargetArn"`
	}
	if raw := attributes["RedrivePolicy"]; raw != "" {
		if err := json.Unmarshal([]byte(raw), &policy); err != nil {
			return "", fmt.Errorf("find the dead-letter queue of %s: %w", q.where, err)
		}
	}
	if policy.Target == "" {
		return "", nil
	}
	own, err := q.address(ctx)
	if err != nil {
		return "", fmt.Errorf("find the dead-letter queue of %s: %w", q.where, err)
	}
	dead := (*own)[:strings.LastIndex(*own, "/")+1] + policy.Target[strings.LastIndex(policy.Target, ":")+1:]
	q.mu.Lock()
	q.dead = dead
	q.mu.Unlock()
	return dead, nil
}
