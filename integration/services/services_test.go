package services_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir/integration/services"
)

// call sends one request in AWS's JSON protocol, as far as these two care.
func call(t *testing.T, endpoint, service, target, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", target)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+os.Getenv("AWS_ACCESS_KEY_ID")+"/20260101/"+os.Getenv("AWS_REGION")+
		"/"+service+"/aws4_request, SignedHeaders=host, Signature=none")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d: %s", target, res.StatusCode, answer)
	}
	return string(answer)
}

func TestDynamo(t *testing.T) {
	endpoint := services.Dynamo(t)
	if again := services.Dynamo(t); again != endpoint {
		t.Errorf("second call: got %s, want the first one's %s", again, endpoint)
	}
	if got, want := call(t, endpoint, "dynamodb", "DynamoDB_20120810.ListTables", "{}"), `{"TableNames":[]}`; got != want {
		t.Errorf("tables: got %s, want %s", got, want)
	}
}

func TestAWS(t *testing.T) {
	endpoint := services.AWS(t)
	got := call(t, endpoint, "sqs", "AmazonSQS.CreateQueue", `{"QueueName": "work.fifo", "Attributes": {"FifoQueue": "true"}}`)
	if !strings.Contains(got, "/work.fifo") {
		t.Errorf("queue: got %s", got)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, endpoint+"/bucket", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("make a bucket: %v, %v", res, err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
}

// The tests' own binary, as a process that starts a service and is killed.
const asVictim = "WEIR_TEST_SERVICES_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(asVictim) != "" {
		t := &victim{}
		println(services.AWS(t))
		select {}
	}
	os.Exit(m.Run())
}

type victim struct{}

func (*victim) Helper()           {}
func (*victim) Skip(args ...any)  { panic(args) }
func (*victim) Fatal(args ...any) { panic(args) }

// A killed test binary leaves nothing behind.
func TestEndsWithItsTests(t *testing.T) {
	services.AWS(t) // skips
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), asVictim+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stderr).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "http://")
	if err != nil || !ok {
		t.Fatalf("the victim said %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the victim was not killed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		switch {
		case ctx.Err() != nil:
			t.Fatal("the service outlives its tests")
		case err != nil:
			return
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}
