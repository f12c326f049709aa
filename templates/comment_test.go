package templates

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/planner/gate"
	"weir/planner/record"
	"weir/planner/result"
	"weir/planner/scope"
	"weir/planner/terraform"
	"weir/policy"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a file of testdata, or writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got:\n%s", file, diff)
	}
}

const (
	head = "3f2a91c04b7d5e6f8a9b0c1d2e3f405162738495"
	job  = "01JD3Q6Z8W4V5X6Y7Z8A9BCDEF"
)

func planText(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("testdata/plan.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func runURL(n int) string {
	return fmt.Sprintf("https://weir.example.com/runs/01JD3Q6Z8W000000000000000%d", n)
}

// base is what every result of the tests begins with.
func base(kind result.Kind) result.Result {
	return result.Result{
		Kind: kind, Job: job, Repo: "acme/infra", Pull: 7, Head: head, Base: "81be0d4c9f", BaseRef: "main", Mode: "approval",
		PageURL: "https://weir.example.com/pulls/acme/infra/7",
	}
}

func prod(t *testing.T) result.Project {
	return result.Project{
		Origins: []record.Origin{
			{Address: "terraform_data.upd", Attributes: []string{"input", "tags"}, Kind: "changed outside", Why: "changed outside of Terraform since #3 (1f2e3d4) was applied on 2026-02-20"},
			{Address: "terraform_data.lost", Kind: "deleted outside", Why: "deleted outside of Terraform since #3 (1f2e3d4) was applied on 2026-02-20"},
			{Address: "terraform_data.new", Kind: "merged, never applied", Why: "#41 (81be0d4) changed the code, and it was not applied since", Pull: 41},
			{Address: "terraform_data.rep", Attributes: []string{"triggers_replace"}, Kind: "data", Why: "it comes from data.http.ip, which seems to have another value now"},
		},
		ID: "prod", Dir: "envs/prod", Workspace: "default", State: record.Planned, RunURL: runURL(1), Text: planText(t),
		Summary: &terraform.Summary{
			Create: 1, Update: 1, Replace: 2, Delete: 1,
			Changes: []terraform.Change{
				{Address: "terraform_data.gone", Type: "terraform_data", Action: terraform.Delete, Reason: "it is no longer in the configuration"},
				{
					Address: "terraform_data.rep", Type: "terraform_data", Action: terraform.Replace, Reason: "cannot be changed in place",
					Attributes: []terraform.Attribute{{Name: "triggers_replace", Before: `"one"`, After: `"two"`, ForcesReplace: true}},
				},
				{Address: `module.net["eu|west"].terraform_data.rep2`, Action: terraform.Replace},
				{Address: "terraform_data.new", Action: terraform.Create},
				{Address: "terraform_data.upd", Action: terraform.Update},
			},
		},
	}
}

func staging() result.Project {
	return result.Project{
		ID: "envs/staging", Dir: "envs/staging", Workspace: "default", State: record.NoChanges, RunURL: runURL(2),
		Text: "No changes. Your infrastructure matches the configuration.", Summary: &terraform.Summary{},
	}
}

func network() result.Project {
	return result.Project{
		ID: "network@blue", Dir: "network", Workspace: "blue", State: record.Planned, RunURL: runURL(3),
		Text:    "Changes to Outputs:\n  ~ zone = \"a\" -> \"b\"\n\nYou can apply this plan to save these new output values.",
		Summary: &terraform.Summary{Outputs: []terraform.Output{{Name: "zone", Action: terraform.Update, Before: `"a"`, After: `"b"`}}},
	}
}

// deleted is a project whose directory the pull request deletes.
func deleted(dir string) result.Project {
	return result.Project{
		ID: dir, Dir: dir, Workspace: "default", State: record.NoChanges, RunURL: runURL(5), Deleted: true,
		Notes: []string{"The directory is deleted here. Terraform cannot plan what is not there. To destroy it, restore the directory and run `weir plan -d " + dir + " -- -destroy`."},
	}
}

const broken = "Error: Unsupported argument\n\n  on main.tf line 3, in resource \"terraform_data\" \"a\":\n   3:   imput = \"```\"\n\nAn argument named \"imput\" is not expected here. Did you mean \"input\"?"

func waits() *policy.Decision {
	return &policy.Decision{Requirements: []policy.Requirement{
		{Name: "planned", Met: true, Reason: "every project is planned"},
		{Name: "current", Met: true, Reason: "the plans are for the newest commit"},
		{Name: "locked", Met: true, Reason: "the locks are held"},
		{Name: "approved", Reason: "an approval of somebody with write access who is not the author"},
		{Name: "mergeable", Met: true, Reason: "nothing keeps it from being merged"},
		{Name: "asked", Met: true, Reason: "it is applied as soon as everything else is met"},
	}}
}

// situations are all that weir can have to say.
func situations(t *testing.T) map[string]result.Result {
	all := map[string]result.Result{}
	add := func(name string, kind result.Kind, change func(*result.Result)) {
		r := base(kind)
		change(&r)
		all[name] = r
	}
	add("plan", result.Plan, func(r *result.Result) {
		r.Projects = []result.Project{staging(), network(), prod(t)}
		r.Decision = waits()
		r.Projects[2].Notes = []string{"network@blue changes first. Once it is applied this is planned again, and applied only if the plan is still the same."}
		r.Projects[1].Notes = []string{"no backend: the state is kept on weir's own disk"}
	})
	add("plan_no_changes", result.Plan, func(r *result.Result) {
		r.Projects = []result.Project{staging()}
		r.Decision = &policy.Decision{Nothing: true}
	})
	add("plan_no_projects", result.Plan, func(*result.Result) {})
	add("plan_failed", result.Plan, func(r *result.Result) {
		r.Projects = []result.Project{prod(t), {
			ID: "envs/dev", Dir: "envs/dev", Workspace: "default", State: record.PlanFailed, RunURL: runURL(4), Failure: broken,
		}}
		r.Decision = &policy.Decision{Requirements: []policy.Requirement{{Name: "planned", Reason: "no usable plan for envs/dev: its plan failed"}}}
	})
	add("plan_all_failed", result.Plan, func(r *result.Result) {
		r.Projects = []result.Project{{ID: ".", Dir: ".", Workspace: "default", State: record.PlanFailed, RunURL: runURL(4), Failure: broken}}
	})
	add("plan_cannot", result.Plan, func(r *result.Result) {
		r.Failure = "weir.yaml:4: unknown key \"projcts\", did you mean \"projects\"?\nweir.yaml:9: dir \"../x\" leaves the repository"
		r.Notes = []string{"weir.yaml is changed here. What counts is the one of the base branch."}
	})
	add("plan_conflict", result.Plan, func(r *result.Result) {
		r.Failure = "3f2a91c does not merge into 81be0d4: conflicts in envs/prod/main.tf"
	})
	add("plan_open", result.Plan, func(r *result.Result) {
		r.Projects = []result.Project{network()}
		d := waits()
		d.Open = true
		for i := range d.Requirements {
			d.Requirements[i].Met = true
		}
		r.Decision = d
	})
	add("plan_comment_mode", result.Plan, func(r *result.Result) {
		r.Mode = "comment"
		r.Projects = []result.Project{network()}
		r.Decision = &policy.Decision{Requirements: []policy.Requirement{
			{Name: "approved", Met: true, Reason: "approved by bob"},
			{Name: "asked", Reason: "somebody with write access writes `weir apply`"},
		}}
	})
	add("plan_merge_mode", result.Plan, func(r *result.Result) {
		r.Mode = "merge"
		r.Projects = []result.Project{network()}
		r.Decision = waits()
	})
	add("plan_voided", result.Plan, func(r *result.Result) {
		r.Projects = []result.Project{network(), {ID: "app", Dir: "app", Workspace: "default", State: record.Pending, Failure: "unlocked by bob; `weir plan` takes the lock again"}}
		r.Decision = waits()
		r.Decision.Requirements[3].Reason = "an approval of somebody with write access who is not the author; bob approved 81be0d4; the head is now 3f2a91c, which does something else in network@blue"
		r.Projects[0].Summary.Opaque = "values are known only after apply"
	})
	add("plan_hostile", result.Plan, func(r *result.Result) {
		evil := "a|b`</details><script>alert(1)</script> @bob fixes #12 --> ![x](https://github.com/acme/infra/issues/1)"
		p := prod(t)
		p.ID, p.Dir = evil, "envs/\u202eprod/"+strings.Repeat("deep/", 60)
		p.Extra, p.AskedBy = []string{"-target=" + evil, "-var=x=\u202ey"}, evil
		p.Text = "  + resource \"x\" \"y\" {\n````\n</details> @bob fixes #12\n```\n-->\x1b[31mred\x1b[0m\u202e\u200b\n"
		p.Summary.Changes[0].Address, p.Summary.Changes[0].Reason = evil, evil
		p.Notes = []string{evil, "| a | b |", "# title", "1. one", "https://github.com/acme/infra/pull/3", "www.example.com GH-12 $x$ __b__"}
		f := p
		f.State, f.Failure, f.Summary = record.PlanFailed, evil+"\n```\n@bob", nil
		r.Projects = []result.Project{p, f}
		r.Notes = []string{evil}
		r.Decision = waits()
		r.Decision.Requirements[3].Reason = evil
	})
	add("plan_extra", result.Plan, func(r *result.Result) {
		n, p := network(), prod(t)
		p.Extra, p.AskedBy = []string{"-target=module.net[\"eu|west\"]", "-refresh=false"}, "bob"
		r.Projects, r.Decision = []result.Project{n, p}, waits()
	})
	add("plan_deleted", result.Plan, func(r *result.Result) {
		r.Projects = []result.Project{network(), deleted("envs/old")}
		r.Decision = waits()
	})
	add("plan_only_deleted", result.Plan, func(r *result.Result) {
		r.Projects = []result.Project{deleted("envs/older"), deleted("envs/old")}
		r.Decision = &policy.Decision{Nothing: true}
	})
	add("plan_syntax", result.Plan, func(r *result.Result) {
		r.Projects = []result.Project{{
			ID: "envs/dev", Dir: "envs/dev", Workspace: "default", State: record.PlanFailed, RunURL: runURL(4),
			Failure: "Error: Unclosed configuration block\n\n  on main.tf line 3, in resource \"terraform_data\" \"a\":\n   3: resource \"terraform_data\" \"a\" {\n\nThere is no closing brace for this block.",
		}}
		// The first is what terraform says below; it once stood here, too.
		r.Notes = []string{"envs/dev/main.tf:3: Unclosed configuration block", "envs/qa/main.tf:1: Unclosed configuration block", "envs/old: looks like a root module, but weir.yaml does not list it, so it is not planned"}
	})
	add("plan_applied", result.Plan, func(r *result.Result) {
		p := prod(t)
		p.State = record.Applied
		r.Projects, r.Decision = []result.Project{staging(), p}, &policy.Decision{Nothing: true}
	})
	add("plan_partly_applied", result.Plan, func(r *result.Result) {
		n := network()
		n.State = record.Applied
		r.Projects, r.Decision = []result.Project{n, prod(t)}, waits()
	})
	add("plan_rule", result.Plan, func(r *result.Result) {
		r.Projects, r.Decision = []result.Project{prod(t)}, waits()
		r.Decision.Requirements[3].Reason = "2 approvals of acme/platform, because prod would delete terraform_data.gone (so far 1)"
	})
	add("plan_objection", result.Plan, func(r *result.Result) {
		r.Projects, r.Decision = []result.Project{network()}, waits()
		r.Decision.Requirements[3].Reason = "carol requested changes"
		r.Decision.Requirements[4] = policy.Requirement{Name: "mergeable", Reason: "it is a draft: mark it ready for review"}
	})
	add("plan_same_head", result.Plan, func(r *result.Result) {
		r.Projects, r.Decision = []result.Project{network()}, waits()
		r.Decision.Requirements[3].Reason += "; bob approved 3f2a91c, but it was planned again after that and now does something else in network@blue"
	})
	add("locked", result.Locked, func(r *result.Result) {
		r.Projects = []result.Project{{ID: "envs/prod", Dir: "envs/prod", Workspace: "default", State: record.Pending, Failure: "it waits for its lock"}}
		r.Waiting = []record.Waiting{{ID: "envs/prod", Owner: 12, Place: 1}, {ID: "network@blue", Owner: 14, Place: 3}, {ID: "envs/dev"}}
	})
	add("apply", result.Apply, func(r *result.Result) {
		p := prod(t)
		p.State, p.Text = record.Applied, "terraform_data.new: Creating...\n\nApply complete! Resources: 3 added, 1 changed, 3 destroyed."
		r.Projects = []result.Project{staging(), p}
		r.Actor = "bob"
	})
	add("apply_failed", result.Apply, func(r *result.Result) {
		p, n := prod(t), network()
		n.State, n.Text = record.Applied, "Apply complete! Resources: 0 added, 0 changed, 0 destroyed."
		p.State, p.Failure = record.ApplyFailed, "Error: quota exceeded\n\n  with terraform_data.new,\n  on main.tf line 12, in resource \"terraform_data\" \"new\":\n  12: resource \"terraform_data\" \"new\" {"
		app := result.Project{ID: "app", Dir: "app", Workspace: "default", State: record.Skipped, Failure: "not applied, because prod was not", DependsOn: []string{"prod"}}
		r.Projects = []result.Project{n, p, app}
	})
	add("apply_one", result.Apply, func(r *result.Result) {
		n := network()
		n.State, n.Text = record.Applied, "Apply complete!"
		r.Projects = []result.Project{n, prod(t)}
	})
	add("refused", result.Refused, func(r *result.Result) {
		r.Projects, r.Actor, r.Decision = []result.Project{network()}, "eve", waits()
		r.Decision.Requirements[1] = policy.Requirement{Name: "current", Reason: "main has changed files of network@blue since it was planned", Replan: true}
		r.Notes = []string{"It is planned again now."}
	})
	add("refused_unknown", result.Refused, func(r *result.Result) {
		r.Failure = "This pull request has no plan of a project `envs/qa`."
	})
	add("interrupted", result.Interrupted, func(r *result.Result) {
		p := prod(t)
		p.State, p.Text = record.Interrupted, "terraform_data.new: Creating..."
		r.Projects = []result.Project{network(), p}
	})
	add("unlocked", result.Unlocked, func(r *result.Result) {
		r.Unlocked, r.Next, r.Actor = []string{"envs/prod", "network@blue"}, []int{13, 14}, "bob"
	})
	add("unlocked_nothing", result.Unlocked, func(*result.Result) {})
	add("closed_unapplied", result.Closed, func(r *result.Result) {
		r.Merged, r.Projects, r.Next = true, []result.Project{network(), staging()}, []int{13}
	})
	add("closed_other_base", result.Closed, func(r *result.Result) {
		pr := scope.PullRequest{Pull: policy.Pull{Base: "feature", Default: "main", Merged: true}}
		r.Merged, r.BaseRef, r.Projects, r.Notes = true, "feature", []result.Project{network()}, (&gate.Gate{}).Elsewhere(pr)
	})
	add("closed_applied", result.Closed, func(r *result.Result) {
		n := network()
		n.State = record.Applied
		r.Projects = []result.Project{n}
	})
	add("closed_merge_mode", result.Closed, func(r *result.Result) {
		r.Mode, r.Merged, r.Projects, r.Decision = "merge", true, []result.Project{network()}, waits()
		r.Notes = []string{"The locks stay until it is applied, or until somebody writes `weir unlock`."}
	})
	add("explain", result.Explain, func(r *result.Result) {
		r.Projects, r.Decision = []result.Project{network()}, waits()
	})
	add("explain_other_base", result.Explain, func(r *result.Result) {
		r.Projects, r.Decision = []result.Project{network()}, waits()
		r.Decision.Requirements = append([]policy.Requirement{
			policy.Base(policy.Pull{Base: "carols_[branch](//example.com)", Default: "main"}, []string{"hotfix", "release/*"}),
		}, r.Decision.Requirements...)
	})
	add("explain_waiting", result.Explain, func(r *result.Result) {
		r.Waiting = []record.Waiting{{ID: "envs/prod", Owner: 12, Place: 1}}
		r.Decision = &policy.Decision{Requirements: []policy.Requirement{{Name: "planned", Reason: "there is no plan yet"}}}
	})
	add("help", result.Help, func(r *result.Result) {
		r.Text = "`weir aply` is no command; did you mean `weir apply`?\n\n" + HelpText([]string{"weir", "atlantis"})
	})
	add("not_served", result.NotServed, func(r *result.Result) {
		r.Text = "This pull request comes from a fork (eve/infra). Planning it would run its code with this server's credentials, so it is not planned."
	})
	add("internal", result.Internal, func(r *result.Result) {
		r.Text = "It was tried 3 times and is given up. Comment `weir plan` to try again."
	})
	add("long", result.Plan, func(r *result.Result) {
		r.Decision = waits()
		for i := range 6 {
			p := network()
			p.ID, p.Dir = fmt.Sprintf("envs/%d", i), fmt.Sprintf("envs/%d", i)
			p.Text = strings.Repeat("  + a line of a plan that is long\n", 1+i*i*200)
			p.Summary = &terraform.Summary{Create: i, Changes: []terraform.Change{{Address: "terraform_data.a", Action: terraform.Create}}}
			r.Projects = append(r.Projects, p)
		}
	})
	return all
}

func TestComment(t *testing.T) {
	for name, r := range situations(t) {
		t.Run(name, func(t *testing.T) {
			parts := Comment(r)
			checkParts(t, r, parts)
			golden(t, "comments/"+name+".md", strings.Join(parts, "\n=== second comment ===\n"))
		})
	}
}

// status is what the planner makes of a situation, with the title that it
// gives the check.
func status(r result.Result, name string) (record.CheckStatus, string) {
	v := view{r}
	switch {
	case r.Kind == result.Closed && r.Decision == nil:
		return record.Failure, "Merged, but never applied"
	case r.Kind == result.Interrupted:
		return record.Failure, "The apply was interrupted"
	case r.Kind == result.Locked || r.Kind == result.Unlocked:
		return record.ActionRequired, "Unlocked; waits for `weir plan`"
	case name == result.CheckPlan && (r.Failure != "" || len(v.PlanFailedIDs()) > 0):
		return record.Failure, "1 of 2 failed"
	case name == result.CheckPlan:
		return record.Success, fmt.Sprintf("%d planned", len(r.Projects))
	case r.Kind == result.Apply && len(v.FailedIDs()) > 0:
		return record.Failure, "The apply failed; what is left is planned again"
	case r.Decision != nil && r.Decision.Nothing:
		return record.Success, "Nothing to apply"
	case r.Kind == result.Apply && len(v.OpenIDs()) == 0:
		return record.Success, "Everything is applied"
	case r.Decision != nil && r.Decision.Open:
		return record.ActionRequired, "Will be applied now"
	}
	return record.ActionRequired, "The planner's own title"
}

func TestCheckText(t *testing.T) {
	for name, r := range situations(t) {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			for _, check := range []string{result.CheckPlan, result.CheckApply} {
				c := result.Check{Name: check}
				c.Status, c.Title = status(r, check)
				title, summary := CheckText(c, r)
				if n := len([]rune(title)); n > 140 || n == 0 || strings.Contains(title, "\n") {
					t.Errorf("%s: title %q of %d characters", check, title, n)
				}
				if len(summary) > 65_535 {
					t.Errorf("%s: summary of %d bytes", check, len(summary))
				}
				fmt.Fprintf(&b, "%s: %s\n\n%s\n", check, title, summary)
			}
			golden(t, "checks/"+name+".md", b.String())
		})
	}
}

// TestCheckTitleOfThePlanner: where a result does not tell how it is, the title
// that the check has been given stays.
func TestCheckTitleOfThePlanner(t *testing.T) {
	bare := base(result.Plan)
	bare.Projects = []result.Project{{ID: "prod", State: record.Planned}}
	for name, c := range map[string]struct {
		check result.Check
		in    result.Result
		want  string
	}{
		"a plan that runs":       {result.Check{Name: result.CheckPlan, Status: record.InProgress, Title: "Planning 3f2a91c"}, bare, "Planning 3f2a91c"},
		"a plan that was ended":  {result.Check{Name: result.CheckPlan, Status: record.Cancelled, Title: "Superseded by a newer event"}, bare, "Superseded by a newer event"},
		"no summaries were read": {result.Check{Name: result.CheckPlan, Status: record.Success, Title: "1 planned"}, bare, "1 planned"},
		"a merge queue":          {result.Check{Name: result.CheckApply, Status: record.Success, Title: "Checked before"}, base(result.Plan), "Checked before"},
		"an apply that runs":     {result.Check{Name: result.CheckApply, Status: record.InProgress, Title: "Applying"}, base(result.Apply), "Applying"},
		"unlocked":               {result.Check{Name: result.CheckApply, Status: record.ActionRequired, Title: "Unlocked; waits for `weir plan`"}, base(result.Unlocked), "Unlocked; waits for weir plan"},
		"no title at all":        {result.Check{Name: result.CheckPlan}, base(result.Help), result.CheckPlan},
	} {
		if got, _ := CheckText(c.check, c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
