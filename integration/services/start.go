package services

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"time"
)

// attempts is for ports that somebody else takes before the program does.
const attempts = 3

// patience is how long a program may take until it answers. On a busy machine
// a JVM takes its time.
const patience = 90 * time.Second

// keeper runs its arguments until its standard input ends. The input is a pipe
// that only the test binary holds, so that the program ends with it also when it
// is killed.
const keeper = `exec 3<&0
"$@" </dev/null 3<&- & program=$!
(while read -r _; do :; done; kill "$program") <&3 >/dev/null 2>&1 & watch=$!
wait "$program"; code=$?
kill "$watch" 2>/dev/null
exit "$code"`

// process is a program that runs.
type process struct {
	url   string
	alive io.Closer // it ends when this is closed, or collected as garbage
}

// start runs a program on a free port and waits until it answers.
func start(name string, command func(port string) []string) (p process, err error) {
	for range attempts {
		if p, err = try(name, command); err == nil {
			return p, nil
		}
	}
	return process{}, err
}

func try(name string, command func(port string) []string) (process, error) {
	port, err := freePort()
	if err != nil {
		return process{}, fmt.Errorf("start %s: %w", name, err)
	}
	var output tail
	args := append([]string{"-c", keeper, "keeper"}, command(port)...)
	cmd := exec.Command("sh", args...) // #nosec G204 -- the programs above
	cmd.Stdout, cmd.Stderr = &output, &output
	alive, err := cmd.StdinPipe()
	if err != nil {
		return process{}, fmt.Errorf("start %s: %w", name, err)
	}
	if err := cmd.Start(); err != nil {
		return process{}, fmt.Errorf("start %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, fmt.Errorf("it does not answer after %v", patience))
	defer cancel()
	ended, stop := context.WithCancelCause(ctx)
	go func() { stop(fmt.Errorf("it ended: %w", cmd.Wait())) }()

	url := "http://127.0.0.1:" + port
	if err := answers(ended, url); err != nil {
		_ = alive.Close()
		return process{}, fmt.Errorf("start %s: %w\n%s", name, err, output.String())
	}
	return process{url: url, alive: alive}, nil
}

// answers waits until url gives any answer at all.
func answers(ctx context.Context, url string) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			return res.Body.Close()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func freePort() (string, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// tail keeps the last output of a program for the report of a failure.
type tail struct {
	mu   sync.Mutex
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if excess := len(t.last) - 8<<10; excess > 0 {
		t.last = t.last[excess:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.last))
}
