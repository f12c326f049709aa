package dispatch

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		url  string
		want place
	}{
		{"sqs://weir.fifo?region=eu-west-1", place{name: "weir.fifo", region: "eu-west-1"}},
		{"sqs://weir.fifo", place{name: "weir.fifo"}},
		{"sqs://weir.fifo?region=x&endpoint=http://127.0.0.1:5000", place{name: "weir.fifo", region: "x", endpoint: "http://127.0.0.1:5000"}},
		{"https://sqs.eu-west-1.amazonaws.com/123456789012/weir.fifo", place{
			name: "weir.fifo", region: "eu-west-1", url: "https://sqs.eu-west-1.amazonaws.com/123456789012/weir.fifo",
		}},
		{"http://localhost:5000/123456789012/weir.fifo?region=x", place{
			name: "weir.fifo", region: "x", url: "http://localhost:5000/123456789012/weir.fifo", endpoint: "http://localhost:5000",
		}},
	} {
		got, err := parse(c.url)
		if err != nil || got != c.want {
			t.Errorf("parse(%q) = %+v, %v\nwant %+v", c.url, got, err, c.want)
		}
	}
	for url, want := range map[string]string{
		"sqs://weir":                                   "no name of a FIFO queue",
		"sqs://weir.fifo/x":                            "not of the form",
		"sqs://me:secret@weir.fifo":                    "not of the form",
		"amqp://weir.fifo":                             "not of the form",
		"sqs://weir.fifo?regoin=x":                     `unknown parameter "regoin"`,
		"sqs://weir.fifo?region=a&region=b":            "given once",
		"sqs://weir.fifo?endpoint=http://10.0.0.1":     "has to be https",
		"http://10.0.0.1/1/weir.fifo":                  "has to be https",
		"https://sqs.eu-west-1.amazonaws.com/1/weir":   "no name of a FIFO queue",
		"https://h/1/weir.fifo?endpoint=http://[::1]/": `unknown parameter "endpoint"`,
	} {
		if _, err := parse(url); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("parse(%q): %v, want %q", url, err, want)
		}
	}
}

func TestGroup(t *testing.T) {
	for _, name := range []string{"acme/app#12", "01J8", strings.Repeat("x", maxGroup)} {
		if got := group(name); got != name {
			t.Errorf("group(%q) = %q", name, got)
		}
	}
	seen := map[string]bool{}
	for _, name := range []string{"", "a b", "é", strings.Repeat("x", maxGroup+1), strings.Repeat("x", maxGroup+2)} {
		got := group(name)
		if len(got) == 0 || len(got) > maxGroup || seen[got] {
			t.Errorf("group(%q) = %q", name, got)
		}
		seen[got] = true
	}
}
