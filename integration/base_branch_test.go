package integration

import (
	"fmt"
	"strings"
	"testing"

	"weir/integration/sandbox"
	"weir/webhook"
)

// pullAgainst is pull from and against another branch than the default one.
func (w *world) pullAgainst(base, branch string, files map[string]string) sandbox.Pull {
	w.t.Helper()
	_, err := w.box.Push(sandbox.Change{Repo: repo, Branch: branch, From: base, As: "alice", Message: "Change " + branch, Files: files})
	w.do(err)
	p, err := w.box.OpenPull("alice", sandbox.NewPull{Repo: repo, Head: branch, Base: base, Title: "Change " + branch})
	w.do(err)
	return p
}

// branch makes a branch of main, by carol.
func (w *world) branch(name string, files map[string]string) {
	w.t.Helper()
	_, err := w.box.Push(sandbox.Change{Repo: repo, Branch: name, From: "main", As: "carol", Message: name, Files: files})
	w.do(err)
}

func (w *world) retarget(as string, p sandbox.Pull, base string) {
	w.t.Helper()
	w.do(w.box.EditBase(as, repo, p.Number, base))
}

// inState fails unless the state of prod holds all of have and nothing of not.
func (w *world) inState(have []string, not ...string) {
	w.t.Helper()
	state := w.stateOf("prod")
	for _, text := range have {
		if !strings.Contains(state, text) {
			w.t.Errorf("%s was not applied:\n%s", text, state)
		}
	}
	for _, text := range not {
		if strings.Contains(state, text) {
			w.t.Fatalf("%s was applied:\n%s", text, state)
		}
	}
}

var readme = map[string]string{"README.md": "The same code.\n"}

const (
	twoApprovals = "version: 1\napprovals:\n  - {when: {dirs: [prod]}, require: {count: 2}}\n"
	carolsCode   = "resource \"terraform_data\" \"c\" {\n  input = \"carols\"\n}\n"
)

// Carol turns alice's pull request to a branch of her own, with code of her
// own and without the rules, and approves: she is not the author, and alice has
// never seen that code.
func TestI7_AnotherBaseIsNoWayAround(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: map[string]string{"weir.yaml": twoApprovals, "prod/main.tf": ""}})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("alices"))})
	w.comment(p, "plan", "alices")
	w.check(p.HeadSHA, "weir/apply", "action_required")
	w.review("bob", p, "APPROVE")
	w.quiet()

	w.branch("carols", map[string]string{"weir.yaml": "version: 1\n", "prod/more.tf": carolsCode})
	w.retarget("carol", p, "carols")
	w.comment(p, "plan", "**base**: it is against carols; only what is against main, or a branch that the server lists in base_branches, is applied.")
	w.owner("prod", p.Number) // locked and planned as ever, so that it can be reviewed
	w.review("carol", p, "APPROVE")
	w.quiet()
	w.inState(nil, "alices", "carols")
	w.say("carol", p, "weir apply")
	w.comment(p, "apply", "**base**: it is against carols;")
	w.say("carol", p, "weir explain")
	w.comment(p, "explain", "❌ **base**: it is against carols;", "Retarget it")
	button := w.check(p.HeadSHA, "weir/apply", "action_required")
	w.do(w.box.RerequestCheck("carol", repo, button.ID))
	w.do(w.box.PressButton("carol", repo, button.ID, "apply"))
	w.quiet()
	w.inState(nil, "alices", "carols")
	if button = w.check(p.HeadSHA, "weir/apply", "action_required"); !strings.Contains(button.Title, "base") && !strings.Contains(button.Title, "against") {
		t.Errorf("the check says only %q", button.Title)
	}

	// Back again, and the review comes before the news of that: the plan of the
	// other base, which carol has approved, is not what is applied.
	w.box.HoldDeliveries()
	w.retarget("bob", p, "main")
	w.review("carol", p, "APPROVE")
	w.box.ReleaseDeliveries(sandbox.Order{Reverse: true})
	w.comment(p, "plan", "(so far 1)") // bob's approval is of this plan and counts again
	w.quiet()
	w.inState(nil, "alices", "carols")
	w.review("carol", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.quiet()
	w.inState([]string{"alices"}, "carols")
}

// An approval is for a change: that of a plan against one branch is void where
// the plan against the next does something else, and counts where it does not.
func TestI3_AnApprovalAndTheNextBase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{config: []string{"WEIR_BASE_BRANCHES=hotfix,release/*"}})
	w.branch("hotfix", readme)
	w.branch("release/1", map[string]string{"prod/more.tf": carolsCode})
	w.branch("release-1", readme)
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("alices"))})
	w.comment(p, "plan", "alices")
	w.retarget("alice", p, "release-1")
	w.comment(p, "plan", "it is against release-1;", "(hotfix, release/")
	w.review("bob", p, "APPROVE")
	w.quiet()
	w.inState(nil, "alices")

	w.retarget("carol", p, "release/1")
	w.comment(p, "plan", "something else in prod")
	w.quiet()
	w.inState(nil, "alices", "carols")

	w.retarget("alice", p, "hotfix")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.quiet()
	w.inState([]string{"alices"}, "carols")
}

func TestBaseThatIsListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{config: []string{"WEIR_BASE_BRANCHES=release/*"}})
	w.branch("release/1", readme)
	p := w.pullAgainst("release/1", "change", map[string]string{"prod/main.tf": w.project("prod", resource("released"))})
	w.comment(p, "plan", "released")
	w.say("bob", p, "weir explain")
	w.comment(p, "explain", "✅ **base**: it is against release/1, which the server lists")
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.inState([]string{"released"})
}

// A plan is applied against the branch that it was made against: what has moved
// there since a plan that failed meanwhile is not forgotten.
func TestI2_BackFromAConflictingBase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{config: []string{"WEIR_BASE_BRANCHES=release/*"}})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("alices"))})
	w.comment(p, "plan", "alices")
	w.branch("release/1", map[string]string{"prod/main.tf": "# something else\n"})
	w.retarget("carol", p, "release/1")
	w.comment(p, "plan", "conflicts")
	w.quiet()
	_, err := w.box.Push(sandbox.Change{Repo: repo, Branch: "main", As: "bob", Files: map[string]string{"prod/more.tf": carolsCode}})
	w.do(err)
	w.box.HoldDeliveries()
	w.retarget("carol", p, "main")
	w.review("bob", p, "APPROVE")
	w.box.ReleaseDeliveries(sandbox.Order{Reverse: true})
	w.comment(p, "plan", "terraform_data.c")
	w.quiet()
	w.inState(nil, "alices")
	w.review("carol", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.inState([]string{"alices", "carols"})
}

// With `apply: merge` what is merged into another branch is not applied, and
// keeps no lock from the pull request that brings it to main.
func TestI7_MergedIntoAnotherBase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{files: map[string]string{"weir.yaml": "version: 1\napply: merge\n", "prod/main.tf": ""}})
	w.branch("feature", readme)
	p := w.pullAgainst("feature", "part", map[string]string{"prod/main.tf": w.project("prod", resource("part"))})
	w.comment(p, "plan", "part", "**base**")
	w.check(p.HeadSHA, "weir/apply", "action_required") // not "ready: it is applied after the merge"
	w.review("bob", p, "APPROVE")
	w.quiet()
	w.merge(p)
	w.comment(p, "unlocked", "**Merged, but never applied**", "Nothing of it is applied: it was merged into feature;", "A pull request that brings it to main plans and applies it")
	w.owner("prod", 0)
	for _, command := range []string{"apply", "plan"} {
		w.say("carol", p, "weir "+command)
		w.quiet()
		w.owner("prod", 0)
	}
	w.review("carol", p, "APPROVE")
	for _, d := range w.box.Deliveries() {
		w.do(w.box.Redeliver(d.ID))
	}
	w.quiet()
	w.inState(nil, "part")
	w.owner("prod", 0)

	whole, err := w.box.OpenPull("alice", sandbox.NewPull{Repo: repo, Head: "feature", Title: "Feature"})
	w.do(err)
	w.comment(whole, "plan", "part")
	w.owner("prod", whole.Number)
	w.review("bob", whole, "APPROVE")
	w.quiet()
	w.merge(whole)
	w.comment(whole, "apply", "prod")
	w.owner("prod", 0)
	w.inState([]string{"part"})
}

// What the default branch is counts at the moment of the decision.
func TestBaseAndAnotherDefaultBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("alices"))})
	w.comment(p, "plan", "alices")
	w.branch("trunk", readme)
	w.do(w.box.SetDefaultBranch(repo, "trunk"))
	w.review("bob", p, "APPROVE")
	w.comment(p, "plan", "it is against main; only what is against trunk,")
	w.quiet()
	w.inState(nil, "alices")

	// GitHub turns open pull requests to the new name of a branch, and bob's
	// approval is of the same change.
	w.retarget("alice", p, "trunk")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.inState([]string{"alices"})
}

// The news of another base can be lost: the gate sees it by itself.
func TestBaseThatNobodyTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{config: []string{"WEIR_BASE_BRANCHES=hotfix"}})
	w.branch("hotfix", map[string]string{"prod/more.tf": carolsCode})
	p := w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("alices"))})
	w.comment(p, "plan", "alices")
	w.quiet()
	w.box.HoldDeliveries()
	w.retarget("alice", p, "hotfix")
	payload := fmt.Sprintf(`{"action":"submitted","sender":{"login":"bob","type":"User"},"repository":{"full_name":%q},"pull_request":{"number":%d,"head":{"sha":%q}},"review":{"id":1,"state":"approved","user":{"login":"bob","type":"User"}}}`, repo, p.Number, p.HeadSHA)
	w.review("bob", p, "APPROVE")
	w.deliver("by-hand", "pull_request_review", webhook.Sign([]byte(secret), []byte(payload)), []byte(payload))
	w.comment(p, "plan", "something else in prod", "terraform_data.c")
	w.inState(nil, "alices", "carols")
	w.box.ReleaseDeliveries(sandbox.Order{})
	w.quiet()
	w.inState(nil, "alices", "carols")
}
