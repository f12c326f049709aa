package dynamo_test

import (
	"crypto/rand"
	"flag"
	"net/url"
	"os"
	"testing"

	"weir/integration/services"
	"weir/store"
	"weir/store/dynamo"
	"weir/store/storetest"
)

// address returns the URL of a table of the test's own, which is not made yet.
func address(t *testing.T, endpoint string) string {
	t.Helper()
	return "dynamodb://weir-" + rand.Text() + "?region=eu-west-1&endpoint=" + url.QueryEscape(endpoint)
}

// create makes a table of the test's own and returns its URL.
func create(t *testing.T) string {
	t.Helper()
	raw := address(t, services.Dynamo(t))
	if err := dynamo.Init(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	return raw
}

// open opens a table that is there.
func open(t *testing.T, raw string, opts ...dynamo.Option) *dynamo.Store {
	t.Helper()
	s, err := dynamo.Open(t.Context(), raw, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Every engine passes the suite. Random operations here are fewer than on the
// others, since each is a request or two; with WEIR_CHAOS they are as many.
func TestConformance(t *testing.T) {
	raw := create(t)
	if checks := flag.Lookup("rapid.checks"); os.Getenv("WEIR_CHAOS") == "" && checks.Value.String() == checks.DefValue {
		if err := flag.Set(checks.Name, "40"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = flag.Set(checks.Name, checks.DefValue) }) // what is the default can be set
	}
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, raw) })
}
