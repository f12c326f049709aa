package integration

import (
	"io"
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
	if err := server.StoreInit(t.Context(), store, nil, io.Discard); err != nil {
		t.Fatal(err)
	}
	return []string{
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local",
		"WEIR_STORE=" + store, "WEIR_ARTIFACTS=file://" + filepath.Join(dir, "artifacts"), "WEIR_SEAL_KEY=file://" + filepath.Join(dir, "seal.key"),
	}
}

// storeOf is the store among such a configuration.
func storeOf(env []string) string {
	for _, e := range env {
		if name, value, _ := strings.Cut(e, "="); name == "WEIR_STORE" {
			return value
		}
	}
	return ""
}

// A team outgrows one machine between a plan and its approval: nothing is lost.
func TestMoveToDynamoDB(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "`prod`")
	waiter := w.pull("waiter", map[string]string{"prod/more.tf": strings.ReplaceAll(resource("three"), "\"a\"", "\"b\"")})
	w.comment(waiter, "locked")
	w.quiet()
	w.stop()

	moved := shared(t)
	from := "bolt://" + filepath.Join(w.dir, "weir", "weir.db")
	w.do(server.StoreCopy(t.Context(), from, storeOf(moved), io.Discard))
	if err := server.StoreCopy(t.Context(), from, storeOf(moved), io.Discard); err == nil {
		t.Error("a store that is not empty was copied into")
	}
	w.env = append(w.env, moved...)
	// Plan files and their key stay where they were.
	w.env = append(w.env, "WEIR_ARTIFACTS=file://"+filepath.Join(w.dir, "weir", "artifacts"), "WEIR_SEAL_KEY=file://"+filepath.Join(w.dir, "weir", "seal.key"))
	w.url = ""
	w.start()
	w.owner("prod", p.Number, waiter.Number)
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.merge(p)
	w.comment(waiter, "plan", "terraform_data.b")
	w.quiet()
	if plans, applies := w.count(p, "plan"), w.count(p, "apply"); plans != 1 || applies != 1 {
		t.Errorf("%d plan and %d apply comments, want one each", plans, applies)
	}
}

func TestWholeWayOnDynamoDB(t *testing.T) {
	t.Parallel()
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
