package terraform

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlanAndApply(t *testing.T) {
	b := newBench(t, map[string]string{"a/main.tf": `
resource "terraform_data" "one" { input = "first" }
output "it" { value = terraform_data.one.output }
`})
	target := b.target("a")
	plan, file := b.plan(target)
	if got, want := b.ran.take(), "plan show"; got != want {
		t.Errorf("a directory with nothing to initialise: ran %q, want %q", got, want)
	}
	if plan.Summary.Create != 1 || len(plan.Summary.Changes) != 1 || len(plan.Summary.Outputs) != 1 {
		t.Errorf("got %+v, want one resource and one output", plan.Summary)
	}
	if plan.Version == "" || plan.Took <= 0 {
		t.Errorf("got version %q, took %v", plan.Version, plan.Took)
	}
	if want := `+ resource "terraform_data" "one" {`; !strings.Contains(plan.Text, want) {
		t.Errorf("text has no %q:\n%s", want, plan.Text)
	}
	for _, unwanted := range []string{"Deprecated", file, b.root, b.TempDir} {
		if strings.Contains(plan.Text, unwanted) {
			t.Errorf("text has %q:\n%s", unwanted, plan.Text)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("plan file: %v %v, want it to be readable by us only", info.Mode(), err)
	}
	output := b.apply(target, file)
	if got := b.ran.take(); got != "apply" {
		t.Errorf("apply ran %q, want one process", got)
	}
	if !strings.Contains(output, "Apply complete! Resources: 1 added") {
		t.Errorf("output: %s", output)
	}
	if _, err := os.Stat(target.State); err != nil {
		t.Errorf("the state is not where it was asked for: %v", err)
	}
	entries, err := os.ReadDir(filepath.Join(b.root, "a"))
	if err != nil || len(entries) != 1 {
		t.Errorf("the checkout now holds %v (%v), want main.tf alone", entries, err)
	}

	plan, file = b.plan(target)
	if !plan.Summary.Empty() || !strings.HasPrefix(plan.Text, "No changes.") {
		t.Errorf("after the apply: %+v\n%s", plan.Summary, plan.Text)
	}
	if got := b.ran.take(); got != "plan" {
		t.Errorf("a plan without changes ran %q, want one process", got)
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Errorf("an empty plan has a file all the same: %v %v", info, err)
	}
	log := b.log.String()
	for _, want := range []string{"$ " + filepath.Base(b.Binary) + " plan\n", "terraform_data.one: Creating..."} {
		if !strings.Contains(log, want) {
			t.Errorf("log has no %q:\n%s", want, log)
		}
	}
}
