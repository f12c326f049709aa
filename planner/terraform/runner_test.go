package terraform

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/planner/terraform/source"
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

const localBackend = `
terraform {
  backend "local" {
    path          = %q
    workspace_dir = %q
  }
}
`

func TestInitOnlyWhenNeeded(t *testing.T) {
	b := newBench(t, map[string]string{
		"p/main.tf":        "module \"m\" {\n  source = \"../modules/m\"\n}\n",
		"modules/m/m.tf":   "resource \"terraform_data\" \"m\" {}\n",
		"modules/two/m.tf": "resource \"terraform_data\" \"two\" {}\n",
	})
	states := t.TempDir()
	backend := func(name string) string {
		return fmt.Sprintf(localBackend, filepath.Join(states, name), filepath.Join(states, name+".d"))
	}
	target := b.target("p")
	for _, step := range []struct {
		name  string
		files map[string]string
		ran   string
	}{
		{"a fresh directory", nil, "init plan show"},
		{"the same again", nil, "plan show"},
		{"a resource more", map[string]string{"p/r.tf": "resource \"terraform_data\" \"r\" {\n}\n"}, "plan show"},
		{"a comment in the module", map[string]string{"modules/m/m.tf": "# hello\nresource \"terraform_data\" \"m\" {}\n"}, "plan show"},
		{"a backend", map[string]string{"p/backend.tf": backend("one")}, "init plan show"},
		{"the backend again", nil, "plan show"},
		{"another backend: nothing is migrated", map[string]string{"p/backend.tf": backend("two")}, "init plan show"},
		{"no backend any more", map[string]string{"p/backend.tf": ""}, "init plan show"},
		{"a module within a module", map[string]string{"modules/m/m.tf": "module \"two\" {\n  source = \"../two\"\n}\n"}, "init plan show"},
		{"a version constraint", map[string]string{"modules/two/v.tf": "terraform {\n  required_version = \">= 1.0\"\n}\n"}, "init plan show"},
		{"at last", nil, "plan show"},
	} {
		b.write(step.files)
		b.plan(target)
		if got := b.ran.take(); got != step.ran {
			t.Errorf("%s: ran %q, want %q", step.name, got, step.ran)
		}
	}

	// The next pull request plans the same project in another worktree.
	b.root = t.TempDir()
	b.write(map[string]string{
		"p/main.tf": "module \"m\" {\n  source = \"../modules/m\"\n}\n", "p/r.tf": "resource \"terraform_data\" \"r\" {\n}\n", "p/backend.tf": "",
		"modules/m/m.tf":   "module \"two\" {\n  source = \"../two\"\n}\n",
		"modules/two/m.tf": "resource \"terraform_data\" \"two\" {}\n",
		"modules/two/v.tf": "terraform {\n  required_version = \">= 1.0\"\n}\n",
	})
	target = b.target("p")
	b.plan(target)
	if got := b.ran.take(); got != "plan show" {
		t.Errorf("in another worktree: ran %q, want no init", got)
	}

	// Somebody cleaned up the data directory but for our own record.
	if err := os.RemoveAll(filepath.Join(target.DataDir, "modules")); err != nil {
		t.Fatal(err)
	}
	b.plan(target)
	if got := b.ran.take(); got != "plan init plan show" {
		t.Errorf("when terraform asks for it: ran %q, want one init and one more plan", got)
	}
}

func TestFailedInitIsNotRemembered(t *testing.T) {
	b := newBench(t, map[string]string{"p/main.tf": "module \"m\" {\n  source = \"./missing\"\n}\n"})
	target := b.target("p")
	for range 2 {
		failure := b.fail(target)
		if got := b.ran.take(); got != "init" || failure.Stage != "init" {
			t.Errorf("ran %q and failed at %q, want init", got, failure.Stage)
		}
		for _, want := range []string{"Unreadable module directory", "main.tf"} {
			if !strings.Contains(failure.Message, want) {
				t.Errorf("message has no %q:\n%s", want, failure.Message)
			}
		}
		if strings.Contains(failure.Message, b.root) {
			t.Errorf("message has a path of this machine:\n%s", failure.Message)
		}
	}
	b.write(map[string]string{"p/missing/m.tf": ""})
	b.plan(target)

	// A cancelled one is no init either.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.write(map[string]string{"p/v.tf": "terraform {\n  required_version = \">= 1.0\"\n}\n"})
	if _, _, err := b.Plan(ctx, target, Code{}, filepath.Join(b.TempDir, "out")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancellation", err)
	}
	b.ran.take()
	b.plan(target)
	if got := b.ran.take(); got != "init plan" {
		t.Errorf("after a cancelled init: ran %q", got)
	}
}

func TestWorkspacesSideBySide(t *testing.T) {
	states := t.TempDir()
	b := newBench(t, map[string]string{
		"backend/main.tf": fmt.Sprintf(localBackend, filepath.Join(states, "default"), filepath.Join(states, "named")) + `resource "terraform_data" "w" { input = terraform.workspace }`,
		"plain/main.tf":   `resource "terraform_data" "w" { input = terraform.workspace }`,
	})
	for _, dir := range []string{"backend", "plain"} {
		var wg sync.WaitGroup
		for _, workspace := range []string{"", "blue", "green"} {
			wg.Go(func() {
				target := b.target(dir)
				target.Workspace, target.Log = workspace, nil
				target.DataDir += workspace
				target.State += workspace
				out := filepath.Join(b.TempDir, "plan-"+dir+workspace)
				plan, failure, err := b.Plan(t.Context(), target, Code{}, out)
				if err != nil || failure != nil {
					t.Errorf("%s %q: %v %v", dir, workspace, failure, err)
					return
				}
				want := fmt.Sprintf("%q", cmp.Or(workspace, "default"))
				if got := plan.Summary.Changes[0].Attributes; got[1].After != want {
					t.Errorf("%s %q: planned %+v, want %s", dir, workspace, got, want)
				}
				if _, failure, err := b.Apply(t.Context(), target, out); failure != nil || err != nil {
					t.Errorf("%s %q: %v %v", dir, workspace, failure, err)
				}
				again, failure, err := b.Plan(t.Context(), target, Code{}, out)
				if err != nil || failure != nil || !again.Summary.Empty() {
					t.Errorf("%s %q: applied, and then planned %+v %v %v", dir, workspace, again, failure, err)
				}
			})
		}
		wg.Wait()
	}
	for _, state := range []string{"default", "named/blue/terraform.tfstate", "named/green/terraform.tfstate"} {
		if _, err := os.Stat(filepath.Join(states, state)); err != nil {
			t.Errorf("no state %s: %v", state, err)
		}
	}
}

func TestI2_StalePlanIsRefused(t *testing.T) {
	b := newBench(t, map[string]string{"p/main.tf": "resource \"terraform_data\" \"a\" {\n  input = 1\n}\n"})
	target := b.target("p")
	_, first := b.plan(target)
	_, second := b.plan(target)
	b.apply(target, second)
	_, failure, err := b.Apply(t.Context(), target, first)
	if err != nil || failure == nil || !failure.Stale || failure.Stage != "apply" {
		t.Fatalf("got %+v %v, want a stale plan", failure, err)
	}
	if !strings.Contains(failure.Message, "Saved plan is stale") {
		t.Errorf("message: %s", failure.Message)
	}

	// A state that was deleted and made anew is not the one that was planned on.
	b.write(map[string]string{"p/main.tf": "resource \"terraform_data\" \"a\" {\n  input = 2\n}\n"})
	_, third := b.plan(target)
	if err := os.Remove(target.State); err != nil {
		t.Fatal(err)
	}
	_, fourth := b.plan(target)
	b.apply(target, fourth)
	if _, failure, err = b.Apply(t.Context(), target, third); err != nil || failure == nil || !failure.Stale {
		t.Errorf("got %+v %v, want a stale plan", failure, err)
	}
}

func TestApplyThatFailsSaysWhatItDid(t *testing.T) {
	b := newBench(t, map[string]string{"p/main.tf": `
resource "terraform_data" "good" {}
resource "terraform_data" "bad" {
  depends_on = [terraform_data.good]
  provisioner "local-exec" { command = "echo to the log; exit 7" }
}`})
	target := b.target("p")
	_, file := b.plan(target)
	output, failure, err := b.Apply(t.Context(), target, file)
	if err != nil || failure == nil || failure.Stale || failure.Stage != "apply" {
		t.Fatalf("got %+v %v, want a failed apply", failure, err)
	}
	if !strings.Contains(failure.Message, "exit status 7") || !strings.Contains(failure.Message, "on main.tf line 5") {
		t.Errorf("message: %s", failure.Message)
	}
	if !strings.Contains(output, "terraform_data.good: Creation complete") {
		t.Errorf("output: %s", output)
	}
	plan, _ := b.plan(target)
	if plan.Summary.Replace != 1 || plan.Summary.Create != 0 {
		t.Errorf("what is left: %+v, want the tainted resource to be replaced", plan.Summary)
	}
	if got := plan.Summary.Changes[0].Reason; got != "it is tainted" {
		t.Errorf("reason %q", got)
	}
}

// An apply on a machine that has never seen the project, such as after a
// restart with an empty disk.
func TestApplyInitialisesAFreshDirectory(t *testing.T) {
	states := t.TempDir()
	b := newBench(t, map[string]string{
		"p/main.tf": fmt.Sprintf(localBackend, filepath.Join(states, "s"), filepath.Join(states, "d")) + "module \"m\" {\n  source = \"./m\"\n}\n",
		"p/m/m.tf":  "resource \"terraform_data\" \"m\" {}\n",
	})
	target := b.target("p")
	_, file := b.plan(target)
	if err := os.RemoveAll(target.DataDir); err != nil {
		t.Fatal(err)
	}
	b.ran.take()
	b.apply(target, file)
	if got := b.ran.take(); got != "init apply" {
		t.Errorf("ran %q", got)
	}
}

func TestCommittedStateIsUsed(t *testing.T) {
	b := newBench(t, map[string]string{"p/main.tf": "resource \"terraform_data\" \"a\" {}\n"})
	target := b.target("p")
	target.State = filepath.Join(b.root, "p", "terraform.tfstate")
	_, file := b.plan(target)
	b.apply(target, file)

	target = b.target("p")
	plan, _ := b.plan(target)
	if !plan.Summary.Empty() || len(plan.Notes) != 1 {
		t.Errorf("got %+v with notes %q, want the committed state to be used and told", plan.Summary, plan.Notes)
	}
	// Once weir has a state of its own, nobody puts another in its place.
	if err := os.MkdirAll(filepath.Dir(target.State), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target.State, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	plan, _ = b.plan(target)
	if plan.Summary.Create != 1 || len(plan.Notes) != 0 {
		t.Errorf("got %+v with notes %q, want weir's own state", plan.Summary, plan.Notes)
	}
}

func TestRefusedTargets(t *testing.T) {
	b := newBench(t, map[string]string{"p/main.tf": "", "p/x.tfvars": ""})
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(b.root, "link")); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"link.tfvars": "/etc/passwd", "dir": outside, "nowhere.tfvars": "/no/such/file", "circle.tfvars": "circle.tfvars",
	} {
		if err := os.Symlink(to, filepath.Join(b.root, "p", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name   string
		change func(*Target)
		want   string
	}{
		{"a directory that is gone", func(t *Target) { t.Dir = "gone" }, "does not exist"},
		{"a directory above", func(t *Target) { t.Dir = "../p" }, "not inside the repository"},
		{"a link out", func(t *Target) { t.Dir = "link" }, "leads out of the repository"},
		{"variables from above", func(t *Target) { t.VarFiles = []string{"../../secret.tfvars"} }, "not inside the repository"},
		{"variables by a link", func(t *Target) { t.VarFiles = []string{"link.tfvars"} }, "not inside the repository"},
		{"variables by an absolute path", func(t *Target) { t.VarFiles = []string{"/etc/passwd"} }, "not inside the repository"},
		{"a workspace that is an option", func(t *Target) { t.Workspace = "-force" }, "cannot be the name"},
		{"a workspace that is a path", func(t *Target) { t.Workspace = "../other" }, "cannot be the name"},
		{"another plan file", func(t *Target) { t.Extra = []string{"-out=/tmp/x"} }, `"-out" cannot be given`},
		{"another state", func(t *Target) { t.Extra = []string{"-state=/tmp/x"} }, `"-state" cannot be given`},
		{"no lock", func(t *Target) { t.Extra = []string{"-lock=false"} }, `"-lock" cannot be given`},
		{"variables by a link to nothing", func(t *Target) { t.VarFiles = []string{"nowhere.tfvars"} }, "leads nowhere"},
		{"variables by a link to itself", func(t *Target) { t.VarFiles = []string{"circle.tfvars"} }, "leads nowhere"},
		{"variables below a link", func(t *Target) { t.VarFiles = []string{"dir/x.tfvars"} }, "not inside the repository"},
		{"a person's variables by an absolute path", func(t *Target) { t.Extra = []string{"--var-file=/etc/passwd"} }, "not inside the repository"},
		{"a person's variables by a link", func(t *Target) { t.Extra = []string{"-var-file=x.tfvars", "-var-file=link.tfvars"} }, "not inside the repository"},
		{"a person's variables below a link", func(t *Target) { t.Extra = []string{"-var-file=dir/x.tfvars"} }, "not inside the repository"},
		{"a person's variables from above", func(t *Target) { t.Extra = []string{"-var-file=../../x.tfvars"} }, "not inside the repository"},
		{"variables without a file", func(t *Target) { t.Extra = []string{"-var-file"} }, "needs a value"},
		{"another directory", func(t *Target) { t.Extra = []string{"-chdir=/etc"} }, `"-chdir" cannot be given`},
		{"another backend", func(t *Target) { t.Extra = []string{"-backend-config=key=x"} }, `"-backend-config" cannot be given`},
		{"a plan that only refreshes", func(t *Target) { t.Extra = []string{"-refresh-only"} }, `"-refresh-only" cannot be given`},
		{"generated files", func(t *Target) { t.Extra = []string{"-generate-config-out=x.tf"} }, "cannot be given"},
		{"a bare word", func(t *Target) { t.Extra = []string{"-target", "x.y"} }, "needs a value"},
		{"a plan file as an argument", func(t *Target) { t.Extra = []string{"x"} }, "not an option"},
		{"a switch with a value", func(t *Target) { t.Extra = []string{"-destroy=maybe"} }, "true or false"},
		{"another version", func(t *Target) { t.Version = "0.0.7" }, "asks for terraform 0.0.7"},
	} {
		t.Run(test.name, func(t *testing.T) {
			target := b.target("p")
			test.change(&target)
			failure := b.fail(target)
			if !strings.Contains(strings.ReplaceAll(failure.Message, "tofu", "terraform"), test.want) {
				t.Errorf("got %q, want something with %q", failure.Message, test.want)
			}
			if got := b.ran.take(); strings.Contains(got, "plan") {
				t.Errorf("ran %q all the same", got)
			}
		})
	}
}

// What terraform takes by itself from the project's directory is not taken
// from elsewhere, and no state is written there.
func TestI7_LinksOutOfTheCheckoutAreRefused(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "x"), []byte("precious = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"x.tf":                  filepath.Join(outside, "x"),
		"x.tofu":                filepath.Join(outside, "x"),
		"override.tf.json":      filepath.Join(outside, "x"),
		"zero.tf":               "/dev/zero",
		"terraform.tfvars":      filepath.Join(outside, "x"),
		"x.auto.tfvars":         filepath.Join(outside, "x"),
		"y.auto.tfvars.json":    "../../../../../../../../etc/hostname",
		source.LockName:         filepath.Join(outside, "x"),
		"terraform.tfstate":     filepath.Join(outside, "new"), // would be made
		"terraform.tfstate.d":   outside,
		"terraform.tfstate.d/w": outside,
	} {
		b := newBench(t, map[string]string{"p/main.tf": "variable \"precious\" {\n  default = 0\n}\nresource \"terraform_data\" \"a\" {}\n"})
		path := filepath.Join(b.root, "p", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		target := b.target("p")
		if strings.Contains(name, "/") {
			target.Workspace = "w"
		}
		failure := b.fail(target)
		if !strings.Contains(failure.Message, name+" is a symbolic link that leads out of the repository") || strings.Contains(failure.Message, "precious") {
			t.Errorf("%s: got %q", name, failure.Message)
		}
		if got := b.ran.take(); got != "" {
			t.Errorf("%s: ran %q", name, got)
		}
	}
	for name, to := range map[string]string{"modules/m": outside, "modules/m/m.tf": "/dev/zero"} {
		b := newBench(t, map[string]string{"p/main.tf": "module \"m\" {\n  source = \"../modules/m\"\n}\n"})
		path := filepath.Join(b.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		if failure := b.fail(b.target("p")); !strings.Contains(failure.Message, name+" leads out of the repository") {
			t.Errorf("%s: got %q", name, failure.Message)
		}
	}
	b := newBench(t, map[string]string{"p/main.tf": "variable \"v\" {}\n", "shared/x": "v = 1\n"})
	if err := os.Symlink("../shared/x", filepath.Join(b.root, "p", "terraform.tfvars")); err != nil {
		t.Fatal(err)
	}
	b.plan(b.target("p")) // one that stays inside is as good as a file
}

func TestExtraReachesPlan(t *testing.T) {
	b := newBench(t, map[string]string{
		"p/main.tf":  "variable \"v\" {}\nresource \"terraform_data\" \"a\" {\n  input = var.v\n}\nresource \"terraform_data\" \"b\" {}\n",
		"p/v.tfvars": "v = \"from the file\"\n",
	})
	target := b.target("p")
	target.VarFiles, target.Extra = []string{"v.tfvars"}, []string{"-target=terraform_data.a"}
	plan, _ := b.plan(target)
	if plan.Summary.Create != 1 || !strings.Contains(plan.Text, "from the file") {
		t.Errorf("got %+v\n%s", plan.Summary, plan.Text)
	}
	b.write(map[string]string{"p/w.tfvars": "v = \"from the person's file\"\n"})
	target.Extra = []string{"-var-file=w.tfvars"}
	if plan, _ = b.plan(target); plan.Summary.Create != 2 || !strings.Contains(plan.Text, "from the person's file") {
		t.Errorf("got %+v\n%s", plan.Summary, plan.Text)
	}
	target.Extra = []string{"-var=v=by hand"}
	if plan, _ = b.plan(target); plan.Summary.Create != 2 || !strings.Contains(plan.Text, "by hand") {
		t.Errorf("got %+v\n%s", plan.Summary, plan.Text)
	}
}

// Providers may vanish from the cache between plan and apply. Terraform
// refuses before it begins, and is not made to begin twice.
func TestI4_ApplyThatHasNotBegunIsInitialisedAgain(t *testing.T) {
	for _, test := range []struct{ name, first, ran string }{
		{"refused at once", "", "init apply init apply"},
		{"refused after the first resource", "terraform_data.a: Creating...", "init apply"},
	} {
		b := newBench(t, map[string]string{"p/main.tf": "module \"m\" {\n  source = \"./m\"\n}\n"})
		dir := t.TempDir()
		script := fmt.Sprintf(`#!/bin/sh
case "$1" in
init) exit 0;;
apply)
  if [ -e %[1]s/asked ]; then echo done; exit 0; fi
  touch %[1]s/asked
  printf '%%s' '%[2]s'
  echo 'Error: Required plugins are not installed' >&2
  exit 1;;
esac
`, dir, test.first)
		b.Binary = filepath.Join(dir, "terraform")
		if err := os.WriteFile(b.Binary, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		output, failure, err := b.Apply(t.Context(), b.target("p"), filepath.Join(dir, "plan"))
		if err != nil || (failure != nil) != (test.first != "") || test.first == "" && output != "done" {
			t.Errorf("%s: got %q, %+v, %v", test.name, output, failure, err)
		}
		if got := b.ran.take(); got != test.ran {
			t.Errorf("%s: ran %q, want %q", test.name, got, test.ran)
		}
	}
}

func TestCancelledPlanIsAnError(t *testing.T) {
	b := newBench(t, map[string]string{"p/main.tf": "resource \"terraform_data\" \"a\" {}\n"})
	dir := t.TempDir()
	b.Binary = filepath.Join(dir, "terraform")
	script := "#!/bin/sh\ntrap 'echo interrupted; exit 1' INT\necho started\nwhile :; do sleep 0.05; done\n"
	if err := os.WriteFile(b.Binary, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	bounded, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	ctx, cancel := context.WithCancelCause(bounded)
	newer := errors.New("a newer commit")
	log := &cancelling{cancel: func() { cancel(newer) }}
	target := b.target("p")
	target.Log = log
	out := filepath.Join(dir, "plan")
	plan, failure, err := b.Plan(ctx, target, Code{}, out)
	if plan != nil || failure != nil || !errors.Is(err, newer) || !strings.Contains(err.Error(), "plan p: plan:") {
		t.Errorf("got %v, %v, %v; want the cause of the cancellation", plan, failure, err)
	}
	if !strings.Contains(log.said.String(), "started\ninterrupted\n") {
		t.Errorf("log: %q", log.said.String())
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("the plan file was left behind")
	}
}

// cancelling cancels at the first line that the command writes.
type cancelling struct {
	cancel func()
	said   strings.Builder
}

func (c *cancelling) Write(p []byte) (int, error) {
	if strings.Contains(string(p), "started") {
		c.cancel()
	}
	return c.said.Write(p)
}

func TestNotes(t *testing.T) {
	b := newBench(t, map[string]string{"p/main.tf": "terraform {\n  backend \"local\" {\n    path = \"x.tfstate\"\n  }\n}\n"})
	plan, _ := b.plan(b.target("p"))
	if len(plan.Notes) != 1 || !strings.Contains(plan.Notes[0], "in the checkout") {
		t.Errorf("notes of a state that will be lost: %q", plan.Notes)
	}
	b.write(map[string]string{"p/main.tf": fmt.Sprintf("terraform {\n  backend \"local\" {\n    path = %q\n  }\n}\n", filepath.Join(t.TempDir(), "x"))})
	if plan, _ = b.plan(b.target("p")); len(plan.Notes) != 0 {
		t.Errorf("notes: %q", plan.Notes)
	}
}

// A look changes nothing: it takes no lock, so that it works beside an apply
// that has one, and makes no workspace.
func TestLookChangesNothing(t *testing.T) {
	states := t.TempDir()
	kept := filepath.Join(states, "default")
	b := newBench(t, map[string]string{"a/main.tf": fmt.Sprintf(localBackend, kept, filepath.Join(states, "named")) + `
variable "size" { default = "small" }
resource "terraform_data" "one" { input = var.size }
`})
	target := b.target("a")
	_, file := b.plan(target)
	b.apply(target, file)
	b.ran.take()

	before, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	state, err := os.OpenFile(kept, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	// As the local backend locks its state: Terraform, internal/states/statemgr.
	if err := syscall.FcntlFlock(state.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK}); err != nil {
		t.Fatal(err)
	}
	target.Look, target.Environ = true, map[string]string{"TF_VAR_size": "large"}
	plan, _ := b.plan(target)
	if plan.Summary.Update != 1 {
		t.Errorf("%+v, want one update by the variable of the look's own environment", plan.Summary)
	}

	target.Workspace = "elsewhere"
	if plan, _ := b.plan(target); plan.Summary.Create != 1 {
		t.Errorf("%+v, want that there is nothing yet", plan.Summary)
	}
	if ran := b.ran.take(); strings.Contains(ran, "workspace new") {
		t.Errorf("ran %q", ran)
	}
	after, err := os.ReadFile(kept)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the state is another one (%v)", err)
	}
}
