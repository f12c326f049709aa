package terraform

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/planner/terraform/child"
)

func needsConfinement(t *testing.T) {
	t.Helper()
	if child.Confines() {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("this kernel has no Landlock")
	}
	t.Skip("SKIPPED, NOT TESTED: this kernel has no Landlock")
}

// Terraform evaluates what the pull request says, as weir's user. No provider
// is needed to read a file into an output, which the plan then shows.
func TestI8_APlanCannotReadWhatIsWeirs(t *testing.T) {
	needsConfinement(t)
	const secret = "hunter2-of-weir"
	t.Setenv("WEIR_GITHUB_TOKEN", secret) // only of weir started with it, but see /proc below
	private := t.TempDir()
	for _, name := range []string{"app.pem", "git/mirrors/acme/other.git/HEAD", "states/other/terraform.tfstate"} {
		path := filepath.Join(private, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		content := secret
		if strings.HasSuffix(name, ".tfstate") {
			content = `{"version":4,"terraform_version":"1.0.0","serial":1,"lineage":"x","outputs":{"o":{"value":"` + secret + `","type":"string"}},"resources":[]}`
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	upstream := filepath.Join(private, "git/mirrors/acme/module")
	if err := os.MkdirAll(upstream, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(upstream, "main.tf"), []byte("output \"o\" {\n  value = \""+secret+"\"\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, upstream, "init", "-q")
	git(t, upstream, "add", ".")
	git(t, upstream, "commit", "-q", "-m", "module")

	for _, test := range []struct{ name, text string }{
		{"a key", fmt.Sprintf("output \"x\" {\n  value = file(%q)\n}\n", filepath.Join(private, "app.pem"))},
		{"a key, encoded", fmt.Sprintf("output \"x\" {\n  value = filebase64(%q)\n}\n", filepath.Join(private, "app.pem"))},
		{"a key, by a link in the checkout", "output \"x\" {\n  value = file(\"${path.module}/link\")\n}\n"},
		{"the environment of weir", fmt.Sprintf("output \"x\" {\n  value = filebase64(\"/proc/%d/environ\")\n}\n", os.Getpid())},
		{"the state of another project", fmt.Sprintf("data \"terraform_remote_state\" \"x\" {\n  backend = \"local\"\n  config  = { path = %q }\n}\noutput \"x\" {\n  value = data.terraform_remote_state.x.outputs.o\n}\n", filepath.Join(private, "states/other/terraform.tfstate"))},
		{"a backend in the state of another project", fmt.Sprintf(localBackend, filepath.Join(private, "states/other/terraform.tfstate"), filepath.Join(private, "d")) + "output \"x\" {\n  value = 1\n}\n"},
		{"another repository's mirror", fmt.Sprintf("module \"m\" {\n  source = \"git::file://%s\"\n}\noutput \"x\" {\n  value = module.m.o\n}\n", upstream)},
		{"another repository's files", fmt.Sprintf("module \"m\" {\n  source = %q\n}\noutput \"x\" {\n  value = module.m.o\n}\n", upstream)},
		{"a plan of another run", "locals {\n  all = fileset(\"TEMP\", \"*/plan\")\n}\noutput \"x\" {\n  value = file(\"TEMP/plan-1/plan\")\n}\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, nil)
			b.Private = []string{private}
			b.write(map[string]string{"p/main.tf": strings.ReplaceAll(test.text, "TEMP", b.TempDir)})
			if err := os.Symlink(filepath.Join(private, "app.pem"), filepath.Join(b.root, "p/link")); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(b.TempDir, "plan-1"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(b.TempDir, "plan-1", "plan"), []byte(secret), 0o600); err != nil {
				t.Fatal(err)
			}
			failure := b.fail(b.target("p"))
			if said := failure.Message + b.log.String(); strings.Contains(said, "hunter2") || !strings.Contains(strings.ToLower(said), "denied") && !strings.Contains(said, "module") {
				t.Errorf("got %s", said)
			}
		})
	}
}

// A state beside what is weir's own can be made all the same.
func TestLocalBackendBesideWhatIsPrivate(t *testing.T) {
	b := newBench(t, nil)
	dir := t.TempDir()
	b.Private = []string{filepath.Join(dir, "weir")}
	states := filepath.Join(dir, "states")
	b.write(map[string]string{"p/main.tf": fmt.Sprintf(localBackend, filepath.Join(states, "prod"), filepath.Join(states, "d")) + "resource \"terraform_data\" \"a\" {}\n"})
	_, file := b.plan(b.target("p"))
	b.apply(b.target("p"), file)
	if _, err := os.Stat(filepath.Join(states, "prod")); err != nil {
		t.Error(err)
	}
}

// What a run could leave for another one is out of its reach: programs and
// modules that later runs use, and the states of other projects.
func TestI7_ARunCannotChangeWhatLaterRunsUse(t *testing.T) {
	needsConfinement(t)
	b := newBench(t, map[string]string{"m/m.tf": ""})
	private := t.TempDir()
	b.Private = []string{private}
	target := b.target("p")
	program := filepath.Join(b.CacheDir, "provider")
	if err := os.WriteFile(program, []byte("good"), 0o700); err != nil {
		t.Fatal(err)
	}
	script := "touch ran here ${TMPDIR}/there\n"
	for _, path := range []string{program, filepath.Join(b.CacheDir, "new"), filepath.Join(target.DataDir, "weir-init.json"), filepath.Join(target.DataDir, "modules/modules.json"), filepath.Join(private, "x")} {
		script += "echo evil >" + path + "\n"
	}
	script += "kill -9 $PPID_OF_WEIR\ntrue\n"
	script = strings.ReplaceAll(script, "$PPID_OF_WEIR", fmt.Sprint(os.Getpid()))
	b.write(map[string]string{"p/run.sh": script, "p/main.tf": `
module "m" { source = "../m" }
resource "terraform_data" "a" {
  provisioner "local-exec" {
    command = "sh run.sh"
  }
}
`})
	_, file := b.plan(target)
	b.apply(target, file)
	if _, err := os.Stat(filepath.Join(b.root, "p", "ran")); err != nil {
		t.Fatalf("the program did not run: %v", err)
	}
	for _, dir := range []string{b.CacheDir, target.DataDir, private} {
		err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			if strings.Contains(string(content), "evil") {
				t.Errorf("the apply has written %s", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(b.TempDir, "tf-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %q, %v", left, err)
	}
}

// Files that only look as if terraform obeyed them.
func TestI7_FilesOfThePullRequestThatAreNotObeyed(t *testing.T) {
	const broken = "this { is no configuration"
	b := newBench(t, map[string]string{
		"p/main.tf":                           "resource \"terraform_data\" \"a\" {}\n",
		"p/.terraformrc":                      broken,
		"p/terraform.rc":                      broken,
		"p/.tofurc":                           broken,
		"p/.terraform/environment":            "evil",
		"p/.terraform/terraform.tfstate":      `{"version":3,"backend":{"type":"http","config":{"address":"http://127.0.0.1:1/"},"hash":1}}`,
		"p/.terraform/modules/modules.json":   `{"Modules":[{"Key":"x","Source":"./x","Dir":"/etc"}]}`,
		"p/terraform.d/credentials.tfrc.json": broken,
		"p/.git/config":                       "[core]\n\tfsmonitor = touch " + filepath.Join(t.TempDir(), "ran") + "\n",
	})
	b.Environ = func() []string { return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()} }
	plan, _ := b.plan(b.target("p"))
	if plan.Summary.Create != 1 || len(plan.Notes) > 0 {
		t.Errorf("got %+v, %q", plan.Summary, plan.Notes)
	}
	if got := b.ran.take(); got != "plan show" {
		t.Errorf("ran %q", got)
	}
}

// A state that is committed beside a backend must not get into that backend.
func TestI7_CommittedStateDoesNotReachTheBackend(t *testing.T) {
	b := newBench(t, map[string]string{"p/main.tf": "resource \"terraform_data\" \"a\" {}\n"})
	target := b.target("p")
	target.State = filepath.Join(b.root, "p", "terraform.tfstate")
	_, file := b.plan(target)
	b.apply(target, file) // makes a state with a resource

	remote := filepath.Join(t.TempDir(), "real.tfstate")
	b.write(map[string]string{"p/backend.tf": fmt.Sprintf(localBackend, remote, remote+".d")})
	target = b.target("p")
	target.State, target.DataDir = "", target.DataDir+"-2"
	plan, failure, err := b.Plan(t.Context(), target, Code{}, filepath.Join(b.TempDir, "out"))
	if err != nil || plan != nil && plan.Summary.Create != 1 || failure != nil && failure.Stage != "init" {
		t.Errorf("got %+v, %+v, %v; want the committed state to be refused or not to be looked at", plan, failure, err)
	}
	if content, err := os.ReadFile(remote); err == nil && strings.Contains(string(content), "terraform_data") {
		t.Errorf("the committed state is in the backend: %s", content)
	}
}
