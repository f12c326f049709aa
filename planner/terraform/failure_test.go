package terraform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/planner/terraform/child"
	"weir/planner/terraform/source"
)

func TestFailureMessages(t *testing.T) {
	const future = "terraform {\n  required_version = \">= 99\"\n}\n"
	for _, test := range []struct {
		name  string
		files map[string]string
		stage string
		want  []string
	}{
		{"broken syntax", map[string]string{"p/main.tf": "resource \"terraform_data\" \"a\" {\n"}, "init", []string{"Error: ", "on main.tf line 1"}},
		{"a reference to nothing", map[string]string{"p/main.tf": "resource \"terraform_data\" \"a\" {\n  input = local.x\n}\n"}, "plan", []string{"Error: Reference to undeclared local value", "on main.tf line 2, in resource \"terraform_data\" \"a\":", "input = local.x"}},
		{"two mistakes", map[string]string{"p/a.tf": "output \"x\" {\n  value = local.x\n}\n", "p/b.tf": "output \"y\" {\n  value = local.y\n}\n"}, "plan", []string{"on a.tf line 2", "on b.tf line 2"}},
		{"in a module", map[string]string{"p/a.tf": "module \"m\" {\n  source = \"../modules/m\"\n}\n", "modules/m/a.tf": "output \"x\" {\n  value = local.x\n}\n"}, "plan", []string{"on ../modules/m/a.tf line 2"}},
		{"a missing variable", map[string]string{"p/a.tf": "variable \"v\" {}\n"}, "plan", []string{"No value for required variable", "on a.tf line 1"}},
		// OpenTofu obeys a required_version in its own files only.
		{"another terraform", map[string]string{"p/a.tf": future, "p/a.tofu": future}, "plan", []string{"Error: ", "on a.t", " line 2"}},
		{"a missing file", map[string]string{"p/a.tf": "output \"x\" {\n  value = file(abspath(\"${path.module}/x\"))\n}\n"}, "plan", []string{"on a.tf line 2", "no file exists at"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, test.files)
			failure := b.fail(b.target("p"))
			if failure.Stage != test.stage || failure.Stale {
				t.Errorf("failed at %q, stale %v; want %q", failure.Stage, failure.Stale, test.stage)
			}
			for _, want := range test.want {
				if !strings.Contains(failure.Message, want) {
					t.Errorf("no %q in:\n%s", want, failure.Message)
				}
			}
			for _, unwanted := range []string{b.root, b.TempDir, "│", "╷", "\x1b", "CLI configuration"} {
				if strings.Contains(failure.Message, unwanted) {
					t.Errorf("%q is in:\n%s", unwanted, failure.Message)
				}
			}
		})
	}
}

func TestFailureIsCleaned(t *testing.T) {
	p := &project{
		target:  Target{Root: "/srv/weir/trees/acme/1", Dir: "envs/prod", DataDir: "/srv/weir/data/7"},
		source:  &source.Module{Root: "/mnt/weir/trees/acme/1"}, // the same, links resolved
		binary:  binary{name: "terraform"},
		secrets: strings.NewReplacer("s3cr3t!", "(sensitive)"),
	}
	for _, test := range []struct {
		name string
		o    child.Outcome
		want string
	}{
		{
			"boxes and colours",
			child.Outcome{Code: 1, Stderr: "\x1b[31m╷\x1b[0m\n\x1b[31m│\x1b[0m \x1b[1mError: x\x1b[0m\n│ \n│   on main.tf line 3:\n│    3:   y = 1\n╵\n╷\n│ Error: z\n╵\n"},
			"Error: x\n\n  on main.tf line 3:\n   3:   y = 1\n\nError: z",
		},
		{
			"paths",
			child.Outcome{Code: 1, Stderr: "Error: in /srv/weir/trees/acme/1/envs/prod/a.tf and /srv/weir/trees/acme/1/modules/m.tf\nin /mnt/weir/trees/acme/1 and /srv/weir/data/7/modules/x\n"},
			"Error: in a.tf and modules/m.tf\nin . and .terraform/modules/x",
		},
		{"secrets", child.Outcome{Code: 1, Stderr: "Error: token s3cr3t! is wrong"}, "Error: token (sensitive) is wrong"},
		{"the server's own configuration", child.Outcome{Code: 1, Stderr: "There are some problems with the CLI configuration:\n╷\n│ Warning: x\n╵\n\n\nError: y\n"}, "Error: y"},
		{"nothing said", child.Outcome{Code: 4}, "terraform plan failed with exit code 4 and said nothing."},
		{"a signal", child.Outcome{Code: -1, Signal: "killed", Stderr: "Error: x"}, "terraform was ended by a signal (killed); the machine may be out of memory.\n\nError: x"},
		{"a full disk", child.Outcome{Code: 1, Stderr: "Error: write /srv/weir/data/7/x: no space left on device"}, "A disk is full, most likely that of weir's server.\n\nError: write .terraform/x: no space left on device"},
		{"not a text", child.Outcome{Code: 1, Stderr: "Error: \xff\xfe"}, "Error: \uFFFD"},
	} {
		if diff := cmp.Diff(test.want, p.failure("plan", test.o).Message); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	long := strings.Repeat("Error: ü\n\n  on main.tf line 3\n", 2000)
	got := p.failure("plan", child.Outcome{Code: 1, Stderr: "first\n" + long + "last"}).Message
	if len(got) > maxMessage+100 || !strings.HasPrefix(got, "first\n") || !strings.HasSuffix(got, "\nlast") || !strings.Contains(got, "bytes left out") {
		t.Errorf("%d bytes: %s…", len(got), got[:100])
	}
}

func TestI8_SensitiveValuesStayInTerraform(t *testing.T) {
	const secret, fromServer, byName = "hunter2-in-code", "hunter2-from-env", "hunter2-by-name"
	b := newBench(t, map[string]string{"p/main.tf": `
variable "pw" {
  sensitive = true
  default   = "` + secret + `"
}
variable "pin" { sensitive = true }
variable "api_token" {}
resource "terraform_data" "a" {
  input            = { deep = ["x", { pw = var.pw }], pin = var.pin }
  triggers_replace = [var.pw]
}
output "o" {
  value     = terraform_data.a.output
  sensitive = true
}
resource "terraform_data" "clear" {
  input = var.api_token
}
`})
	server := b.Environ
	b.Env = []string{"TF_VAR_*"}
	b.Environ = func() []string {
		return append(server(), "TF_VAR_pin="+fromServer, "TF_VAR_api_token="+byName, "WEIR_TOKEN=hunter2-weir")
	}
	target := b.target("p")
	check := func(what string, v any) {
		t.Helper()
		text := fmt.Sprintf("%+v", v)
		// A variable that nobody declared sensitive is shown as terraform
		// plans it in the summary; its name keeps it out of all texts.
		if _, summary := v.(Summary); !summary {
			if strings.Contains(text, byName) {
				t.Errorf("%s has the value of api_token:\n%s", what, text)
			}
		}
		for _, s := range []string{secret, fromServer, "hunter2-weir"} {
			if strings.Contains(text, s) {
				t.Errorf("%s has %s:\n%s", what, s, text)
			}
		}
	}
	plan, file := b.plan(target)
	check("the summary", plan.Summary)
	check("the text", plan.Text)
	if want := `{"deep":["x",{"pw":"(sensitive)"}],"pin":"(sensitive)"}`; plan.Summary.Changes[0].Attributes[1].After != want {
		t.Errorf("got %+v, want only what is sensitive to be masked", plan.Summary.Changes[0].Attributes)
	}
	check("the apply's output", b.apply(target, file))

	b.write(map[string]string{"p/more.tf": `
resource "terraform_data" "b" {
  lifecycle {
    precondition {
      condition     = nonsensitive(var.pin) == ""
      error_message = "bad pin ${nonsensitive(var.pin)} and ${nonsensitive(var.api_token)}"
    }
  }
}
`})
	failure := b.fail(target)
	check("the failure", failure.Message)
	if !strings.Contains(failure.Message, "bad pin (sensitive)") {
		t.Errorf("failure: %s", failure.Message)
	}
	check("the log", b.log.String())
}

// A binary that prints its environment takes terraform's place.
func TestI8_TerraformGetsAnEnvironmentBuiltFromNothing(t *testing.T) {
	b := newBench(t, map[string]string{"p/main.tf": "module \"m\" {\n  source = \"./m\"\n}\n"})
	fake := filepath.Join(t.TempDir(), "terraform")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\necho \"$@\" >&2\nexport -p >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.Binary, b.Env = fake, []string{"*"}
	b.Environ = func() []string {
		return []string{"PATH=/usr/bin:/bin", "HOME=/h", "WEIR_TOKEN=1", "GITHUB_TOKEN=2", "TF_LOG=trace", "TF_WORKSPACE=evil", "TF_CLI_ARGS=-destroy", "TF_DATA_DIR=/evil", "AWS_PROFILE=p"}
	}
	target := b.target("p")
	target.Workspace = "blue"
	failure := b.fail(target)
	var got []string
	for line := range strings.Lines(failure.Message) {
		line = strings.TrimSpace(strings.NewReplacer("export ", "", "'", "", `"`, "", "declare -x ", "").Replace(line))
		if strings.HasPrefix(line, "TMPDIR="+b.TempDir+"/tf-") {
			line = "TMPDIR=its own"
		}
		if name, _, _ := strings.Cut(line, "="); name != "PWD" && name != "OLDPWD" && name != "SHLVL" && name != "_" {
			got = append(got, line)
		}
	}
	want := []string{
		"init -input=false -no-color",
		"AWS_PROFILE=p", "CHECKPOINT_DISABLE=1", "GIT_CEILING_DIRECTORIES=" + filepath.Dir(target.Root), "GIT_SSH_COMMAND=ssh -oBatchMode=yes", "GIT_TERMINAL_PROMPT=0", "GOGC=400", "HOME=/h", "PATH=/usr/bin:/bin",
		"TF_DATA_DIR=.terraform", "TF_INPUT=0", "TF_IN_AUTOMATION=1",
		"TF_PLUGIN_CACHE_DIR=" + b.CacheDir, "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE=1", "TMPDIR=its own",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the child saw (-want +got):\n%s", diff)
	}
}

func TestVersions(t *testing.T) {
	dir := t.TempDir()
	fake := func(name, version string) {
		script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = version ]; then echo '{\"terraform_version\":\"%s\"}'; exit; fi\necho I am %s >&2; exit 1\n", version, version)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	fake("terraform", "1.9.0")
	fake("terraform_1.8.0", "1.8.0")
	fake("terraform-1.7.0", "1.7.0")
	fake("terraform_1.6.0", "1.6.1") // a wrong name
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	b := newBench(t, map[string]string{"p/main.tf": "module \"m\" {\n  source = \"./m\"\n}\n"})
	b.Binary = "terraform"
	for _, test := range []struct{ wanted, want, ran string }{
		{"", "I am 1.9.0", "init"},
		{"1.9.0", "I am 1.9.0", "version init"},
		{"v1.9.0", "I am 1.9.0", "init"},
		{"1.8.0", "I am 1.8.0", "version init"},
		{"1.7.0", "I am 1.7.0", "version init"},
		{"1.8.0", "I am 1.8.0", "init"},
		{"1.6.0", "this project asks for terraform 1.6.0, and this server has 1.9.0, 1.6.1 (called terraform_1.6.0). Put terraform_1.6.0 on the server's PATH, or change terraform_version in weir.yaml.", "version"},
		{"../1.8.0", "asks for terraform ../1.8.0", ""},
	} {
		target := b.target("p")
		target.Version = test.wanted
		failure := b.fail(target)
		if !strings.Contains(failure.Message, test.want) {
			t.Errorf("%q: got %q, want %q", test.wanted, failure.Message, test.want)
		}
		if got := b.ran.take(); got != test.ran {
			t.Errorf("%q: ran %q, want %q", test.wanted, got, test.ran)
		}
	}
	// A binary that is replaced is asked again.
	fake("terraform", "1.9.100")
	target := b.target("p")
	target.Version = "1.9.100"
	if failure := b.fail(target); !strings.Contains(failure.Message, "I am 1.9.100") {
		t.Errorf("got %q", failure.Message)
	}
}

// Whatever is wrong with the program is a sentence on the pull request, and
// the same one for whoever starts the server.
func TestUnusableBinaries(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct{ name, binary, want string }{
		{"not on the PATH", "no-such-terraform", "no-such-terraform cannot be run on this server: there is no such program on its PATH."},
		{"not where it should be", filepath.Join(dir, "none"), "none cannot be run on this server: it is not where it was configured to be."},
		{"a directory", dir, "weir may not execute it"},
		{"not executable", file("data", "#!/bin/sh\n", 0o600), "data cannot be run on this server: weir may not execute it."},
		{"for another machine", file("foreign", "\x7fELF\x02\x01\x01 nonsense", 0o700), "foreign cannot be run on this server: it does not start: exec format error."},
		{"with an interpreter that is missing", file("orphan", "#!/nowhere/sh\n", 0o700), "orphan cannot be run on this server: it does not start: no such file or directory."},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, map[string]string{"p/main.tf": ""})
			b.Binary = test.binary
			failure := b.fail(b.target("p"))
			if !strings.Contains(failure.Message, test.want) || strings.Contains(failure.Message, dir+"/") {
				t.Errorf("got %q, want %q", failure.Message, test.want)
			}
			if _, failure, err := b.Apply(t.Context(), b.target("p"), filepath.Join(dir, "plan")); err != nil || failure == nil || !strings.Contains(failure.Message, test.want) {
				t.Errorf("apply: got %+v, %v; want %q", failure, err, test.want)
			}
			if _, _, err := b.Version(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("version: got %v, want %q", err, test.want)
			}
		})
	}
}

func TestVersionOfTheServersBinary(t *testing.T) {
	b := newBench(t, nil)
	for range 2 {
		name, version, err := b.Version(t.Context())
		if err != nil || name != filepath.Base(b.Binary) || strings.Count(version, ".") < 2 {
			t.Errorf("got %q, %q, %v", name, version, err)
		}
	}
	if got := b.ran.take(); got != "version" {
		t.Errorf("ran %q, want one process", got)
	}
	for _, test := range []struct{ name, script, want string }{
		{"text before the data", `printf 'Warning: {\n\n{"terraform_version":"1.2.3"}\n'`, ""},
		{"no data", "echo Terraform v1.2.3", "is none of terraform's"},
		{"a failure", "exit 3", "ended with exit code 3"},
		{"killed", "kill -9 $$", "ended by a signal (killed)"},
	} {
		b.Binary = filepath.Join(t.TempDir(), "terraform")
		if err := os.WriteFile(b.Binary, []byte("#!/bin/sh\n"+test.script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		_, version, err := b.Version(t.Context())
		if test.want == "" {
			if err != nil || version != "1.2.3" {
				t.Errorf("%s: got %q, %v", test.name, version, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

// The configuration file that the server names for terraform may be missing.
// OpenTofu would say so in the middle of its data. A relative name, and
// relative parts of the PATH, would be read from the pull request's directory.
func TestI7_NothingInTheEnvironmentIsRelative(t *testing.T) {
	b := newBench(t, map[string]string{
		"p/main.tf": "resource \"terraform_data\" \"a\" {}\n",
		"p/rc":      "this { is no configuration",
	})
	server := b.Environ
	for _, name := range []string{filepath.Join(t.TempDir(), "missing"), "rc", ""} {
		b.Environ = func() []string { return append(server(), "TF_CLI_CONFIG_FILE="+name) }
		plan, _ := b.plan(b.target("p"))
		if plan.Summary.Create != 1 || strings.Contains(plan.Text+b.log.String(), "CLI configuration") {
			t.Errorf("%q: %+v\n%s", name, plan.Summary, &b.log)
		}
	}
	b.Environ = func() []string { return []string{"PATH=.:/usr/bin::bin:/bin:", "TF_CLI_CONFIG_FILE=failure_test.go"} }
	here, err := filepath.Abs("failure_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"PATH": "/usr/bin:/bin", "TF_CLI_CONFIG_FILE": here}, b.inherited()); diff != "" {
		t.Errorf("inherited (-want +got):\n%s", diff)
	}
}

// At three in the morning the message has to say what is wrong, not that
// something is.
func TestTroubleOfTheServer(t *testing.T) {
	b := newBench(t, nil)
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errors.New("x"), ""},
		{fmt.Errorf("plan p: %w", context.Canceled), ""},
		{fmt.Errorf("remember init: %w", &os.PathError{Op: "write", Path: "/x", Err: syscall.ENOSPC}), "The disk of weir's server is full"},
		{fmt.Errorf("prepare state: %w", syscall.EROFS), "cannot be written to"},
	} {
		failure := b.trouble("plan", test.err)
		if (failure == nil) != (test.want == "") || failure != nil && (!strings.Contains(failure.Message, test.want) || strings.Contains(failure.Message, "/x")) {
			t.Errorf("%v: got %+v, want %q", test.err, failure, test.want)
		}
	}
}
