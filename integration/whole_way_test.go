package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/integration/sandbox"
	"weir/webhook"
)

func resource(value string) string {
	return fmt.Sprintf("resource \"terraform_data\" \"a\" {\n  input = %q\n}\n", value)
}

func TestWholeWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	first := w.pull("first", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(first, "plan", "`prod`", "terraform_data.a", "Approve")
	w.check(first.HeadSHA, "weir/plan", "success")
	w.check(first.HeadSHA, "weir/apply", "action_required")
	w.owner("prod", first.Number)

	second := w.pull("second", map[string]string{"prod/more.tf": strings.ReplaceAll(resource("three"), "\"a\"", "\"b\"")})
	w.comment(second, "locked", fmt.Sprintf("#%d", first.Number))
	w.owner("prod", first.Number, second.Number)
	w.check(second.HeadSHA, "weir/plan", "action_required")

	w.review("bob", first, "APPROVE")
	w.comment(first, "apply", "prod")
	w.check(first.HeadSHA, "weir/apply", "success")
	if state := w.stateOf("prod"); !strings.Contains(state, `"two"`) {
		t.Errorf("the state does not hold what was applied:\n%s", state)
	}

	w.merge(first)
	w.comment(second, "plan", "terraform_data.b")
	w.owner("prod", second.Number)
	w.review("bob", second, "APPROVE")
	w.check(second.HeadSHA, "weir/apply", "success")
	w.merge(second)
	w.owner("prod", 0)
	w.quiet()
	for _, p := range []sandbox.Pull{first, second} {
		if plans, applies := w.count(p, "plan"), w.count(p, "apply"); plans != 1 || applies != 1 {
			t.Errorf("#%d has %d plan and %d apply comments, want one each", p.Number, plans, applies)
		}
	}
}

func TestWithAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{token: true})
	p := w.pull("first", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "`prod`")
	w.check(p.HeadSHA, "weir/plan", "success")
	w.review("bob", p, "APPROVE")
	w.comment(p, "apply")
	w.check(p.HeadSHA, "weir/apply", "success")
}

func TestNothingTouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	p := w.pull("readme", map[string]string{"README.md": "hello\n"})
	w.check(p.HeadSHA, "weir/plan", "success")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.quiet()
	if n := len(w.comments(p)); n != 0 {
		t.Errorf("%d comments, want none", n)
	}
}

func TestI3_ApprovalsAreForAPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two")

	w.review("eve", p, "APPROVE")
	w.comment(p, "plan", "eve has no write access")

	// Approved, and then pushed over: the approval was for another plan.
	w.box.HoldDeliveries()
	w.review("bob", p, "APPROVE")
	head := w.push("change", map[string]string{"prod/main.tf": w.project("prod", resource("evil"))})
	w.box.ReleaseDeliveries(sandbox.Order{})
	w.comment(p, "plan", "evil", "bob approved")
	w.check(head, "weir/apply", "action_required")
	w.quiet()
	if state := w.stateOf("prod"); strings.Contains(state, "two") || strings.Contains(state, "evil") {
		t.Fatalf("applied without an approval of this plan:\n%s", state)
	}

	// A push that changes nothing of the plan keeps an approval.
	w.box.HoldDeliveries()
	w.review("bob", p, "APPROVE")
	same := w.push("change", map[string]string{"prod/main.tf": w.project("prod", "# a remark\n"+resource("evil"))})
	w.box.ReleaseDeliveries(sandbox.Order{})
	w.check(same, "weir/apply", "success")
	if state := w.stateOf("prod"); !strings.Contains(state, "evil") {
		t.Error("an approval of the same change did not count")
	}
}

func TestRequestForChangesClosesTheGate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two")
	w.review("carol", p, "REQUEST_CHANGES")
	w.comment(p, "plan", "carol requested changes")
	w.review("bob", p, "APPROVE")
	w.quiet()
	w.say("alice", p, "weir apply")
	w.comment(p, "apply", "carol requested changes")
	if w.stateOf("prod") != "" {
		t.Error("applied in spite of a request for changes")
	}
	w.review("carol", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
}

func TestCommandsNeedWriteAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two")
	w.say("eve", p, "weir unlock")
	w.comment(p, "error", "no write access")
	w.owner("prod", p.Number)
	w.say("bob", p, "weir explain")
	w.comment(p, "explain", "approval")
	w.say("bob", p, "weir aply")
	w.comment(p, "help", "apply")
	w.say("bob", p, "weir unlock -d prod")
	w.comment(p, "unlocked", "prod")
	w.owner("prod", 0)
	w.say("bob", p, "weir apply")
	w.comment(p, "apply", "prod")
	w.quiet()
	if w.stateOf("prod") != "" {
		t.Error("applied without a lock and an approval")
	}
}

func TestI5_NewestCommitIsPlannedNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	w.hold("plan")
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("one-a"))})
	w.held("plan")
	w.push("change", map[string]string{"prod/main.tf": w.project("prod", resource("one-b"))})
	w.push("change", map[string]string{"prod/main.tf": w.project("prod", resource("one-c"))})
	newest := w.push("change", map[string]string{"prod/main.tf": w.project("prod", resource("one-d"))})
	w.do(w.box.WaitDelivered(w.patience()))
	w.open("plan")
	w.check(newest, "weir/plan", "success")
	w.comment(p, "plan", "one-d")
	w.quiet()
	if n := w.count(p, "plan"); n != 1 {
		t.Errorf("%d plan comments, want one, for the newest commit", n)
	}
	runs, err := w.box.Checks(repo, p.HeadSHA)
	w.do(err)
	for _, run := range runs {
		if run.Status != "completed" {
			t.Errorf("check %s of the first commit is left %s", run.Name, run.Status)
		}
	}
	if plans := w.calls("plan"); plans > 3 {
		t.Errorf("terraform planned %d times for four commits that came during one plan", plans)
	}
}

func TestI5_DuplicatesAndDisorder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	w.box.HoldDeliveries()
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("a"))})
	newest := w.push("change", map[string]string{"prod/main.tf": w.project("prod", resource("b"))})
	w.box.ReleaseDeliveries(sandbox.Order{Reverse: true, Duplicate: 1})
	w.check(newest, "weir/plan", "success")
	w.quiet()
	for _, d := range w.box.Deliveries() {
		w.do(w.box.Redeliver(d.ID))
	}
	w.quiet()
	if n := w.count(p, "plan"); n != 1 {
		t.Errorf("%d plan comments, want one", n)
	}
	w.review("bob", p, "APPROVE")
	w.check(newest, "weir/apply", "success")
	for _, d := range w.box.Deliveries() {
		w.do(w.box.Redeliver(d.ID))
	}
	w.quiet()
	if n := w.count(p, "apply"); n != 1 {
		t.Errorf("%d apply comments, want one", n)
	}
}

func TestI6_NamesThatArePrefixes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{
		files:  map[string]string{"env/main.tf": "", "env-eu/main.tf": ""},
		config: []string{"WEIR_REPOS=acme/infra,acme/infra-eu"},
	})
	w.createRepo("infra-eu", map[string]string{"env/main.tf": resource("x")})
	p := w.pull("one", map[string]string{"env/main.tf": resource("a")})
	w.comment(p, "plan", "`env`")
	if body := w.comment(p, "plan").Body; strings.Contains(body, "env-eu") {
		t.Errorf("env-eu is planned too:\n%s", body)
	}
	q := w.pull("two", map[string]string{"env-eu/main.tf": resource("a")})
	w.comment(q, "plan", "env-eu")
	_, err := w.box.Push(sandbox.Change{Repo: "acme/infra-eu", Branch: "b", As: "alice", Files: map[string]string{"env/main.tf": resource("y")}})
	w.do(err)
	_, err = w.box.OpenPull("alice", sandbox.NewPull{Repo: "acme/infra-eu", Head: "b", Title: "in the other repository"})
	w.do(err)
	w.until("three locks are held", func() bool { return len(w.locks()) == 3 })
	w.quiet()
	w.do(w.box.ClosePull("alice", repo, p.Number))
	w.owner("env", 0)
	w.quiet()
	rows := w.locks()
	if len(rows) != 2 || !slices.ContainsFunc(rows, func(l lockRow) bool { return l.Repo == "acme/infra-eu" && l.Dir == "env" }) {
		t.Errorf("locks after #%d of acme/infra was closed: %+v", p.Number, rows)
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: map[string]string{"prod/main.tf": resource("one"), "README.md": "one\n"}})

	p := w.pull("broken", map[string]string{"prod/main.tf": "resource \"terraform_data\" \"a\" {\n  input = \n}\n"})
	w.comment(p, "plan", "main.tf", "line 2")
	w.check(p.HeadSHA, "weir/plan", "failure")
	head := w.push("broken", map[string]string{"prod/main.tf": resource("mended")})
	w.check(head, "weir/plan", "success")
	w.comment(p, "plan", "mended")
	w.do(w.box.ClosePull("alice", repo, p.Number))

	p = w.pull("yaml", map[string]string{"weir.yaml": "version: 1\nprojets: []\n", "prod/main.tf": resource("two")})
	w.comment(p, "plan", "weir.yaml:2", "projets")
	w.check(p.HeadSHA, "weir/plan", "failure")

	p = w.pull("undefined", map[string]string{"prod/main.tf": "resource \"terraform_data\" \"a\" {\n  input = var.nowhere\n}\n"})
	w.comment(p, "plan", "var.nowhere")
	w.check(p.HeadSHA, "weir/plan", "failure")
	w.do(w.box.ClosePull("alice", repo, p.Number))

	p = w.pull("conflict", map[string]string{"README.md": "two\n", "prod/main.tf": resource("x")})
	w.quiet()
	_, err := w.box.Push(sandbox.Change{Repo: repo, As: "bob", Files: map[string]string{"README.md": "three\n"}})
	w.do(err)
	head = w.push("conflict", map[string]string{"prod/main.tf": resource("y")})
	w.comment(p, "plan", "conflict", "README.md")
	w.check(head, "weir/plan", "failure")
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	payload := []byte(`{"zen":"x"}`)
	if status := w.deliver("1", "ping", "sha256=00", payload); status != http.StatusUnauthorized {
		t.Errorf("wrong signature: %d, want 401", status)
	}
	if status := w.deliver("2", "pull_request", webhook.Sign([]byte(secret), []byte(`{`)), []byte(`{`)); status != http.StatusBadRequest {
		t.Errorf("broken payload: %d, want 400", status)
	}
	if status := w.deliver("3", "gollum", webhook.Sign([]byte(secret), payload), payload); status != http.StatusAccepted {
		t.Errorf("unknown event: %d, want 202", status)
	}

	w.createRepo("other", map[string]string{"a/main.tf": resource("x")})
	_, err := w.box.Push(sandbox.Change{Repo: "acme/other", Branch: "b", As: "alice", Files: map[string]string{"a/main.tf": resource("y")}})
	w.do(err)
	other, err := w.box.OpenPull("alice", sandbox.NewPull{Repo: "acme/other", Head: "b", Title: "not served"})
	w.do(err)
	_, err = w.box.WaitComment(w.patience(), "acme/other", other.Number, "a refusal", func(c sandbox.Comment) bool { return isKind(c, "error") })
	w.do(err)
	_, err = w.box.Push(sandbox.Change{Repo: "acme/other", Branch: "b", As: "alice", Files: map[string]string{"a/main.tf": resource("z")}})
	w.do(err)
	w.quiet()
	if all, _ := w.box.Comments("acme/other", other.Number); len(all) != 1 {
		t.Errorf("%d comments on a repository that is not served, want one", len(all))
	}
}

func TestGitHubFailsInMidJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	// The comment is posted, and then the connection breaks.
	w.box.Fault(sandbox.Rule{Method: "POST", Route: "/repos/{owner}/{repo}/issues/*/comments", Times: 2, Effect: true})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.check(p.HeadSHA, "weir/plan", "success")
	w.quiet()
	if n := w.count(p, "plan"); n != 1 {
		t.Errorf("%d plan comments, want one", n)
	}
	w.box.Fault(sandbox.Rule{Method: "PATCH", Route: "/repos/{owner}/{repo}/check-runs/*", Times: 2, Status: 502})
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.quiet()
	if n := w.count(p, "apply"); n != 1 {
		t.Errorf("%d apply comments, want one", n)
	}
}

func TestDependenciesFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: map[string]string{
		"weir.yaml":   "version: 1\nprojects:\n  - {name: net, dir: net}\n  - {name: app, dir: app, depends_on: [net]}\n  - {name: dns, dir: dns}\n",
		"net/main.tf": "", "app/main.tf": "", "dns/main.tf": "",
	}})
	p := w.pull("all", map[string]string{
		"net/main.tf": w.project("net", "resource \"terraform_data\" \"n\" {\n  input = \"n\"\n  provisioner \"local-exec\" { command = \"exit 3\" }\n}\n"),
		"app/main.tf": w.project("app", resource("app")),
		"dns/main.tf": w.project("dns", resource("dns")),
	})
	w.comment(p, "plan", "`app`", "`net`", "`dns`")
	w.review("bob", p, "APPROVE")
	w.comment(p, "apply", "exit status 3", "app", "dns")
	w.quiet()
	if w.stateOf("app") != "" || !strings.Contains(w.stateOf("dns"), `"dns"`) {
		t.Errorf("app must wait for net, dns must not: app %q, dns %q", w.stateOf("app"), w.stateOf("dns"))
	}
	// What failed was planned again, and nothing is applied by itself.
	w.owner("net", p.Number)
	w.comment(p, "plan", "terraform_data.n")
	head := w.push("all", map[string]string{"net/main.tf": w.project("net", resource("mended"))})
	w.check(head, "weir/plan", "success")
	w.quiet()
	w.review("carol", p, "APPROVE")
	w.check(head, "weir/apply", "success")
	if !strings.Contains(w.stateOf("app"), `"app"`) {
		t.Error("app was not applied")
	}
}

func TestApplyOnComment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: map[string]string{"weir.yaml": "version: 1\napply: comment\n", "prod/main.tf": ""}})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "weir apply")
	w.review("bob", p, "APPROVE")
	w.quiet()
	if w.stateOf("prod") != "" {
		t.Fatal("applied without being asked")
	}
	w.say("alice", p, "weir apply")
	w.check(p.HeadSHA, "weir/apply", "success")
}

func TestApplyOnMerge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: map[string]string{"weir.yaml": "version: 1\napply: merge\n", "prod/main.tf": ""}})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two")
	w.review("bob", p, "APPROVE")
	w.quiet()
	if w.stateOf("prod") != "" {
		t.Fatal("applied before the merge")
	}
	w.merge(p)
	w.comment(p, "apply", "prod")
	w.owner("prod", 0)
	if !strings.Contains(w.stateOf("prod"), `"two"`) {
		t.Error("not applied")
	}

	// Merged without an approval: told, kept, and applied once approved.
	q := w.pull("hasty", map[string]string{"prod/main.tf": w.project("prod", resource("three"))})
	w.comment(q, "plan", "three")
	w.quiet()
	w.merge(q)
	w.comment(q, "unlocked", "prod")
	w.owner("prod", q.Number)
	w.review("bob", q, "APPROVE")
	w.owner("prod", 0)
	if !strings.Contains(w.stateOf("prod"), `"three"`) {
		t.Error("not applied after the approval")
	}
}

// A merge that ends the plan's job after GitHub took its comment, and before
// weir knows: an approval of what everybody can read is not lost for ever.
func TestI10_MergedBeforeItsPlanIsKnownToBeTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: map[string]string{"weir.yaml": "version: 1\napply: merge\n", "prod/main.tf": ""}})
	w.box.Fault(sandbox.Rule{Method: http.MethodPost, Route: "/repos/{owner}/{repo}/issues/*/comments", Effect: true, Delay: time.Minute})
	p := w.pull("hasty", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two")
	w.merge(p)
	w.quiet()
	w.owner("prod", p.Number)
	w.review("bob", p, "APPROVE")
	w.owner("prod", 0)
	if !strings.Contains(w.stateOf("prod"), `"two"`) {
		t.Error("not applied after the approval")
	}
}

func TestI7_TheGuardedDoesNotChooseItsGuard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: map[string]string{
		"weir.yaml":    "version: 1\nprojects:\n  - {name: prod, dir: prod}\napprovals:\n  - {when: {dirs: [prod]}, require: {count: 2}}\n",
		"prod/main.tf": "",
	}})
	p := w.pull("change", map[string]string{
		"weir.yaml":     "version: 1\nprojects:\n  - {name: other, dir: other}\n",
		"prod/main.tf":  w.project("prod", resource("two")),
		"other/main.tf": "",
	})
	w.comment(p, "plan", "`prod`", "weir.yaml is changed here")
	w.review("bob", p, "APPROVE")
	w.comment(p, "plan", "2 approvals")
	w.quiet()
	if w.stateOf("prod") != "" {
		t.Fatal("applied with one approval where the base branch asks for two")
	}
	w.review("carol", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
}

func TestStateMovedUnderThePlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gate: true})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two")
	// Somebody else changes the state: a plan for it is stale.
	w.do(os.MkdirAll(filepath.Dir(w.state("prod")), 0o700))
	w.do(os.WriteFile(w.state("prod"), []byte(`{"version":4,"terraform_version":"1.0.0","serial":9,"lineage":"other","outputs":{},"resources":[],"check_results":null}`), 0o600))
	w.review("bob", p, "APPROVE")
	w.comment(p, "apply", "stale")
	w.quiet()
	// It is planned again, and the old approval is not for that plan.
	w.check(p.HeadSHA, "weir/apply", "action_required")
	if applies := w.calls("apply"); applies != 1 {
		t.Errorf("terraform applied %d times, want once", applies)
	}
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
}
