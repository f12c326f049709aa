package integration

import (
	"path/filepath"
	"strings"
	"testing"

	"weir/integration/services"
	"weir/server"
)

// shared is the configuration of servers that share a new DynamoDB table, and
// the folders beside it; each has a data directory of its own.
func shared(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	endpoint := services.Dynamo(t)
	table := "weir-" + strings.ToLower(filepath.Base(filepath.Dir(dir)))
	store := "dynamodb://" + table + "?region=eu-west-1&endpoint=" + endpoint
	if err := server.StoreInit(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	return []string{
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local",
		"WEIR_STORE=" + store, "WEIR_ARTIFACTS=file://" + filepath.Join(dir, "artifacts"), "WEIR_SEAL_KEY=file://" + filepath.Join(dir, "seal.key"),
	}
}

func TestWholeWayOnDynamoDB(t *testing.T) {
	w := newWorld(t, setup{config: shared(t)})
	first := w.pull("first", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(first, "plan", "`prod`")
	second := w.pull("second", map[string]string{"prod/more.tf": strings.ReplaceAll(resource("three"), "\"a\"", "\"b\"")})
	w.comment(second, "locked")
	w.owner("prod", first.Number, second.Number)
	w.review("bob", first, "APPROVE")
	w.check(first.HeadSHA, "weir/apply", "success")
	w.merge(first)
	w.comment(second, "plan", "terraform_data.b")
	w.owner("prod", second.Number)
	w.review("bob", second, "APPROVE")
	w.check(second.HeadSHA, "weir/apply", "success")
	w.merge(second)
	w.owner("prod", 0)
	w.quiet()

	// Each server would keep a state of its own.
	bare := w.pull("bare", map[string]string{"bare/main.tf": resource("one")})
	w.comment(bare, "plan", "no backend block", "Configure a backend")
}
