package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclsyntax" //nolint:depguard // the policy is read from HCL

	"weir/integration/services"
	"weir/planner/artifact"
	"weir/planner/work/dispatch"
	"weir/store"
	"weir/store/dynamo"
)

// policyActions reads the actions of the module's policy, which is exact: no action
// and no resource has a wildcard for a name.
func policyActions(t *testing.T) []string {
	t.Helper()
	var actions []string
	for _, b := range readModule(t).block(t, "data", "aws_iam_policy_document", "weir").Body.Blocks {
		body := b.Body
		if b.Type == "dynamic" {
			body = b.Body.Blocks[0].Body
		}
		value, diags := body.Attributes["actions"].Expr.Value(nil)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		for _, action := range value.AsValueSlice() {
			actions = append(actions, action.AsString())
		}
		resources, ok := body.Attributes["resources"].Expr.(*hclsyntax.TupleConsExpr)
		if !ok {
			t.Fatalf("the resources of a statement are %T, want a list", body.Attributes["resources"].Expr)
		}
		for _, e := range resources.Exprs {
			if _, diags := e.Value(nil); !diags.HasErrors() {
				t.Errorf("line %d: a resource that refers to nothing of the module", e.Range().Start.Line)
			}
		}
	}
	for _, action := range actions {
		if strings.Contains(action, "*") {
			t.Errorf("the policy allows %s", action)
		}
	}
	slices.Sort(actions)
	return actions
}

// TestAWSPolicyIsTheLeast: what weir calls is allowed, and what is allowed is
// called.
func TestAWSPolicyIsTheLeast(t *testing.T) {
	t.Parallel()
	r := newRecorder()
	useStore(t, r)
	useArtifacts(t, r)
	useDispatch(t, r)

	allowed := policyActions(t)
	for _, what := range r.unknown {
		t.Errorf("a call that this test cannot name: %s", what)
	}
	for right, operation := range r.rights {
		if !slices.Contains(allowed, right) {
			t.Errorf("%s needs %s, which the policy of deploy/aws does not allow", operation, right)
		}
	}
	for _, action := range allowed {
		if _, ok := r.rights[action]; !ok {
			t.Errorf("the policy of deploy/aws allows %s, which nothing called", action)
		}
	}
}

// useStore does with records what weir does with them; the suite of package
// store/dynamo tries what may go wrong.
func useStore(t *testing.T, r *recorder) {
	ctx := t.Context()
	endpoint, name := services.Dynamo(t), ownName("policy")
	at := func(endpoint string) string {
		return "dynamodb://" + name + "?region=eu-west-1&endpoint=" + url.QueryEscape(endpoint)
	}
	if err := dynamo.Init(ctx, at(endpoint)); err != nil { // not by the server
		t.Fatal(err)
	}
	s, err := dynamo.Open(ctx, at(r.before(t, endpoint)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	a, b := store.Key{Partition: "p", Sort: "a"}, store.Key{Partition: "p", Sort: "b"}
	for _, writes := range [][]store.Write{
		{{Key: a, Body: []byte("one")}},
		{{Key: b, Body: []byte("two")}, {Op: store.Check, Key: store.Key{Partition: "p", Sort: "c"}}},
	} {
		if err := s.Commit(ctx, writes...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Get(ctx, a); err != nil {
		t.Fatal(err)
	}
	both, err := s.Get(ctx, a, b)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.List(ctx, "p", "", store.Page{Limit: 1}); err != nil {
		t.Fatal(err)
	}
	var taken *store.ConflictError
	if err := s.Commit(ctx, store.Write{Key: a, Body: []byte("three")}); !errors.As(err, &taken) {
		t.Errorf("a commit against another version: %v, want a ConflictError", err)
	}
	err = s.Commit(ctx,
		store.Write{Op: store.Delete, Key: a, Expect: both[0].Version},
		store.Write{Op: store.Check, Key: b, Expect: both[1].Version})
	if err != nil {
		t.Fatal(err)
	}
}

// useArtifacts does with plan files and logs what weir does with them.
func useArtifacts(t *testing.T, r *recorder) {
	ctx := t.Context()
	b := newBucket(t, ownName("policy"))
	proxy := r.before(t, b.url)
	a, err := artifact.Open(ctx, artifact.Config{Bucket: artifactsAt(proxy, b.name), SealKey: sealKeyAt(t, b.url, proxy)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	if err := a.Check(ctx); err != nil {
		t.Fatal(err)
	}
	scope := artifact.Scope{Repo: repo, Pull: 1}
	if _, err := a.Put(ctx, scope, []byte("a log")); err != nil {
		t.Fatal(err)
	}
	// Large enough to go in parts.
	plan := filepath.Join(t.TempDir(), "plan")
	if err := os.WriteFile(plan, make([]byte, 17<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	digest, err := a.PutFile(ctx, scope, plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Fetch(ctx, scope, digest, plan); err != nil {
		t.Fatal(err)
	}
	// One that does not get through is given up, and leaves no parts.
	r.refuse = func(operation string) bool { return operation == "CompleteMultipartUpload" }
	if _, err := a.PutFile(ctx, artifact.Scope{Repo: repo, Pull: 2}, plan); err == nil {
		t.Error("a plan file was stored, though its last call was refused")
	}
	r.refuse = nil
	if err := a.Remove(ctx, scope); err != nil {
		t.Fatal(err)
	}
	parts := artifact.Parts{Artifacts: a}
	if err := parts.Put(ctx, "RUN", 0, []byte("so far")); err != nil {
		t.Fatal(err)
	}
	if got, _, err := parts.Get(ctx, "RUN", 0, ""); string(got) != "so far" || err != nil {
		t.Errorf("the part of a log: %q, %v", got, err)
	}
	if _, err := parts.Runs(ctx); err != nil {
		t.Fatal(err)
	}
	if err := parts.Remove(ctx, "RUN"); err != nil {
		t.Fatal(err)
	}
	sealed, err := a.Seal(ctx, []byte("a key"))
	if err == nil {
		_, err = a.Unseal(ctx, sealed)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, operation := range []string{"PutObject", "UploadPart", "GetObject", "HeadObject", "ListObjectsV2", "DeleteObject", "Encrypt", "Decrypt"} {
		if r.taken()[operation] == 0 {
			t.Errorf("there was no %s: %v", operation, r.taken())
		}
	}
}

// useDispatch does with news of work what weir does with them.
func useDispatch(t *testing.T, r *recorder) {
	ctx := t.Context()
	server := services.AWS(t)
	queue := newQueue(t, server, ownName("policy"))
	q, err := dispatch.Open(ctx, queue+url.QueryEscape(r.before(t, server)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	if err := q.Send(ctx, "acme/infra#1", "a job"); err != nil {
		t.Fatal(err)
	}
	for _, end := range []struct {
		operation string
		letGo     func(line string)
	}{{"ChangeMessageVisibility", q.Return}, {"DeleteMessage", q.Done}} {
		line := ""
		for line == "" { // moto does not notice at once that a message was given back
			if line, err = q.Receive(ctx); err != nil {
				t.Fatal(err)
			}
		}
		end.letGo(line)
		r.await(t, end.operation)
	}
	if n, err := q.Dead(ctx); err != nil || n != 0 {
		t.Errorf("dead letters: %d, %v", n, err)
	}
	if _, err := q.Waiting(ctx); err != nil {
		t.Fatal(err)
	}
}

// newQueue makes a queue and its dead-letter queue, as the module does, and
// returns the URL by which weir asks for it but for the endpoint.
func newQueue(t *testing.T, server, name string) string {
	t.Helper()
	create := func(body string) {
		awsCall(t, server, "sqs", "AmazonSQS.CreateQueue", body)
	}
	create(fmt.Sprintf(`{"QueueName": "%s-dead.fifo", "Attributes": {"FifoQueue": "true"}}`, name))
	policy, err := json.Marshal(fmt.Sprintf(`{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:%s-dead.fifo", "maxReceiveCount": 20}`, name))
	if err != nil {
		t.Fatal(err)
	}
	create(fmt.Sprintf(`{"QueueName": "%s.fifo", "Attributes": {"FifoQueue": "true", "RedrivePolicy": %s}}`, name, policy))
	return fmt.Sprintf("sqs://%s.fifo?region=eu-west-1&endpoint=", name)
}

func artifactsAt(endpoint, name string) string {
	return fmt.Sprintf("s3://%s?region=eu-west-1&use_path_style=true&endpoint=%s", name, url.QueryEscape(endpoint))
}

// sealKeyAt makes a KMS key and returns the URL by which weir asks for it at
// an endpoint.
func sealKeyAt(t *testing.T, server, endpoint string) string {
	t.Helper()
	var made struct{ KeyMetadata struct{ Arn string } }
	if err := json.Unmarshal([]byte(awsCall(t, server, "kms", "TrentService.CreateKey", "{}")), &made); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("awskms:///%s?region=eu-west-1&endpoint=%s", made.KeyMetadata.Arn, url.QueryEscape(endpoint))
}
