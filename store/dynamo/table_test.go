package dynamo_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"weir/integration/services"
	"weir/store"
	"weir/store/dynamo"
)

// raw returns AWS's own client of the same DynamoDB.
func raw(t *testing.T) *dynamodb.Client {
	t.Helper()
	endpoint := services.Dynamo(t)
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.BaseEndpoint = aws.String(endpoint) })
}

func tableOf(address string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(address, "dynamodb://"), "?")
	return name
}

func wantError(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s succeeded", what)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%s: got %q, want it to say %q", what, err, p)
		}
	}
}

func TestOpenMakesNoTable(t *testing.T) {
	address := address(t, services.Dynamo(t))
	for range 2 {
		_, err := dynamo.Open(t.Context(), address)
		wantError(t, "Open", err, "no table \""+tableOf(address)+"\"", "eu-west-1", "weir store init")
	}
}

func TestInit(t *testing.T) {
	address := address(t, services.Dynamo(t))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := dynamo.Init(t.Context(), address); err != nil {
				t.Errorf("Init by several at once: %v", err)
			}
		})
	}
	wg.Wait()
	s := open(t, address)
	k := store.Key{Partition: "p", Sort: "a"}
	if err := s.Commit(t.Context(), store.Write{Key: k, Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if err := dynamo.Init(t.Context(), address); err != nil {
		t.Errorf("Init of a table that is there: %v", err)
	}
	if r := get(t, s, k); string(r.Body) != "x" {
		t.Errorf("Init changed the table: %+v", r)
	}
	out, err := raw(t).DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(tableOf(address))})
	if err != nil {
		t.Fatal(err)
	}
	if !aws.ToBool(out.Table.DeletionProtectionEnabled) || out.Table.BillingModeSummary.BillingMode != types.BillingModePayPerRequest {
		t.Errorf("the table has no deletion protection, or is not on demand: %+v", out.Table)
	}
}

func TestTableOfSomethingElse(t *testing.T) {
	address := address(t, services.Dynamo(t))
	_, err := raw(t).CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName:            aws.String(tableOf(address)),
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("LockID"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("LockID"), KeyType: types.KeyTypeHash}},
		BillingMode:          types.BillingModePayPerRequest,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = dynamo.Open(t.Context(), address)
	wantError(t, "Open", err, "something else", "LockID", "HASH pk (S) RANGE sk (S)")
	wantError(t, "Init", dynamo.Init(t.Context(), address), "something else", "LockID")
}

func TestURLs(t *testing.T) {
	services.Dynamo(t) // for credentials
	for url, says := range map[string]string{
		"bolt://weir":                        "dynamodb://TABLE",
		"dynamodb://":                        "no name of a table",
		"dynamodb://we?region=eu-west-1":     "no name of a table",
		"dynamodb://weir/x?region=eu-west-1": "dynamodb://TABLE",
		"dynamodb://weir?region=eu-west-1&end=http://127.0.0.1:1":              `unknown parameter "end"`,
		"dynamodb://weir?region=":                                              "region has to be given once",
		"dynamodb://weir?region=a&region=b":                                    "region has to be given once",
		"dynamodb://weir?region=eu-west-1&endpoint=http://dynamodb.local:8000": "only for this machine itself",
		"dynamodb://weir?region=eu-west-1&endpoint=http://10.0.0.1:8000":       "only for this machine itself",
		"dynamodb://weir?region=eu-west-1&endpoint=http://127.0.0.1.evil.test": "only for this machine itself",
		"dynamodb://weir?region=eu-west-1&endpoint=127.0.0.1:8000":             "endpoint",
		"dynamodb://weir?region=eu-west-1&endpoint=ftp://127.0.0.1":            "neither https nor http",
	} {
		_, err := dynamo.Open(t.Context(), url)
		wantError(t, "Open "+url, err, says)
		wantError(t, "Init "+url, dynamo.Init(t.Context(), url), says)
	}
}

func TestRegionOfTheEnvironment(t *testing.T) {
	address := create(t)
	open(t, strings.Replace(address, "region=eu-west-1&", "", 1))
	t.Setenv("AWS_REGION", "")
	_, err := dynamo.Open(t.Context(), strings.Replace(address, "region=eu-west-1&", "", 1))
	wantError(t, "Open without any region", err, "no region", "?region=")
}

func TestNoCredentials(t *testing.T) {
	address := create(t)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	_, err := dynamo.Open(t.Context(), address)
	wantError(t, "Open", err, "no AWS credentials", "AWS_ACCESS_KEY_ID")
}

// What people read in the console is legible, and only history ends by itself.
func TestItems(t *testing.T) {
	address := create(t)
	s := open(t, address, dynamo.TTL(map[string]time.Duration{"history": time.Hour}))
	long := []byte(strings.Repeat("the same ", 4000))
	err := s.Commit(t.Context(),
		store.Write{Key: store.Key{Partition: "locks", Sort: "acme/app envs/é"}, Body: []byte(`{"a":1}`)},
		store.Write{Key: store.Key{Partition: "history", Sort: "1"}, Body: long})
	if err != nil {
		t.Fatal(err)
	}
	out, err := raw(t).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(tableOf(address))})
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range out.Items {
		body := it["body"].(*types.AttributeValueMemberB).Value
		_, ends := it["ttl"]
		_, packed := it["packed"]
		switch partition := it["pk"].(*types.AttributeValueMemberS).Value; partition {
		case "locks":
			if sort := it["sk"].(*types.AttributeValueMemberS).Value; sort != "acme/app envs/Ã©" || string(body) != `{"a":1}` || ends || packed {
				t.Errorf("a short record: %q: %v", sort, it)
			}
		case "history":
			if len(body) > len(long)/10 || !ends || !packed {
				t.Errorf("a long record of history: %d bytes, ends %v, packed %v", len(body), ends, packed)
			}
		}
	}
	if r := get(t, s, store.Key{Partition: "history", Sort: "1"}); string(r.Body) != string(long) {
		t.Errorf("a long record came back with %d bytes", len(r.Body))
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	p, s, beside := throughProxy(t)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatalf("Ready: %v", err)
	}
	for range 20 {
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("Ready: %v", err)
		}
	}
	if n := p.count("DeleteItem"); n > 3 {
		t.Errorf("asking 21 times at once wrote %d times", n)
	}
	if err := beside.Dump(t.Context(), func(r store.Record) error { t.Errorf("Ready left %v", r); return nil }); err != nil {
		t.Error(err)
	}
	p.inject(func(string, int) fault { return malformed })
	wantError(t, "Commit", s.Commit(t.Context(), store.Write{Key: store.Key{Partition: "p", Sort: "a"}}), "injected")
	p.inject(func(string, int) fault { return throttled })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	for s.Ready(ctx) == nil && ctx.Err() == nil { // the answer of a second ago
		continue
	}
	wantError(t, "Ready while DynamoDB refuses", s.Ready(ctx), "cannot be written")
	p.inject(nil)
	for err := s.Ready(t.Context()); err != nil; err = s.Ready(t.Context()) {
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

// What a running server calls is what deploy/aws allows.
func TestCalls(t *testing.T) {
	p, s, _ := throughProxy(t)
	a, b := store.Key{Partition: "p", Sort: "a"}, store.Key{Partition: "p", Sort: "b"}
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Commit(t.Context(), store.Write{Key: a}, store.Write{Op: store.Check, Key: b}); err != nil {
		t.Error(err)
	}
	get(t, s, a)
	if _, err := s.Get(t.Context(), a, b); err != nil {
		t.Error(err)
	}
	if _, _, err := s.List(t.Context(), "p", "", store.Page{}); err != nil {
		t.Error(err)
	}
	for _, operation := range p.operations() {
		switch operation {
		case "DescribeTable", "DeleteItem", "GetItem", "TransactGetItems", "TransactWriteItems", "Query":
		default:
			t.Errorf("called %s, which the package's comment does not name", operation)
		}
	}
}
