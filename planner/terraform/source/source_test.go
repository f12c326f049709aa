package source

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/planner/terraform/plan"
)

func checkout(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func scan(t *testing.T, files map[string]string) *Module {
	t.Helper()
	root := checkout(t, files)
	m, err := Read(root, filepath.Join(root, "p"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRead(t *testing.T) {
	type facts struct {
		Backend                     string
		Wants                       []string
		NeedsInit, Builtin          bool
		Downloads, Volatile         bool
		Outside, Hidden, RemovedRun bool
	}
	for _, test := range []struct {
		name  string
		files map[string]string
		want  facts
	}{
		{"nothing", nil, facts{Builtin: true}},
		{"what is built in", map[string]string{"p/a.tf": `resource "terraform_data" "a" {}
data "terraform_remote_state" "b" {}
provider "terraform" {}
terraform {
  required_providers {
    terraform = { source = "terraform.io/builtin/terraform" }
  }
}`}, facts{Builtin: true}},
		{"a backend", map[string]string{"p/a.tf": "terraform {\n  backend \"s3\" {}\n}"}, facts{Backend: "s3", NeedsInit: true, Builtin: true}},
		{"a cloud block", map[string]string{"p/a.tf": "terraform {\n  cloud {}\n}"}, facts{Backend: "cloud", NeedsInit: true, Builtin: true}},
		{"a backend of a module is none", map[string]string{"p/a.tf": "module \"m\" {\n  source = \"./m\"\n}", "p/m/a.tf": "terraform {\n  backend \"s3\" {}\n}"}, facts{NeedsInit: true, Builtin: true}},
		{"providers by all their ways", map[string]string{"p/a.tf": `
terraform {
  required_providers {
    one = { source = "acme/one", version = "1" }
    old = "~> 1.0"
    two = {
      source                = "acme/two"
      configuration_aliases = [two.x]
    }
  }
}
resource "one_x" "a" {}
resource "x_x" "a" { provider = two.x }
data "three_x" "a" {}
ephemeral "four_x" "a" {}
provider "five" {}
module "m" { source = "../m" }
`, "m/a.tofu": `resource "six_x" "a" {}`}, facts{Wants: []string{"acme/one", "acme/two", "hashicorp/five", "hashicorp/four", "hashicorp/old", "hashicorp/six", "hashicorp/three"}, NeedsInit: true}},
		{"a downloaded module", map[string]string{"p/a.tf": `module "m" { source = "acme/m/x" }`}, facts{NeedsInit: true, Downloads: true, Hidden: true}},
		{"modules in a circle", map[string]string{"p/a.tf": `module "m" { source = "../m" }`, "m/a.tf": `module "p" { source = "../p" }`}, facts{NeedsInit: true, Builtin: true}},
		{"a module above the checkout", map[string]string{"p/a.tf": `module "m" { source = "../../m" }`}, facts{NeedsInit: true, Volatile: true, Outside: true, Hidden: true}},
		{"a source that is computed", map[string]string{"p/a.tf": `module "m" { source = "${var.x}/m" }`}, facts{NeedsInit: true, Downloads: true, Volatile: true, Hidden: true}},
		{"a backend that is computed", map[string]string{"p/a.tf": "terraform {\n  backend \"s3\" {\n    key = var.k\n  }\n}"}, facts{Backend: "s3", NeedsInit: true, Volatile: true}},
		{"a dynamic block", map[string]string{"p/a.tf": "resource \"terraform_data\" \"a\" {\n  b {\n    dynamic \"c\" {\n      for_each = []\n    }\n  }\n}"}, facts{Builtin: true, Hidden: true}},
		{"a removed block", map[string]string{"p/a.tf": "removed {\n  from = a.b\n}"}, facts{Builtin: true}},
		{"with provisioners", map[string]string{"p/a.tf": "removed {\n  from = a.b\n  provisioner \"local-exec\" {\n    when = destroy\n  }\n}"}, facts{Builtin: true, RemovedRun: true}},
		{"broken syntax", map[string]string{"p/a.tf": "resource {"}, facts{NeedsInit: true, Downloads: true, Outside: true, Hidden: true}},
		{"JSON", map[string]string{"p/a.tf.json": `{"terraform":{"backend":{"gcs":{}}}}`}, facts{Backend: "backend", NeedsInit: true, Downloads: true, Outside: true, Hidden: true}},
		{"files that are not terraform's", map[string]string{"p/.a.tf": "x {", "p/a.tf.bak": "x {", "p/a.tfvars": "x = 1", "p/d.tf/x": "x"}, facts{Builtin: true}},

		{"a file of its own", map[string]string{"p/a.tf": `locals { x = file("${path.module}/x") }`, "p/x": ""}, facts{Builtin: true}},
		{"a file of the root", map[string]string{"p/a.tf": `locals { x = filebase64("x") }`}, facts{Builtin: true}},
		{"a template of its own", map[string]string{"p/a.tf": `locals { x = templatefile("${path.module}/t", {}) }`, "p/t": "${x}"}, facts{Builtin: true}},
		{"a file above", map[string]string{"p/a.tf": `locals { x = file("${path.module}/../x") }`}, facts{Builtin: true, Outside: true}},
		{"a file by any name", map[string]string{"p/a.tf": `locals { x = file(var.x) }`}, facts{Builtin: true, Outside: true}},
		{"a file by part of a name", map[string]string{"p/a.tf": `locals { x = file("${path.module}/${var.x}") }`}, facts{Builtin: true, Outside: true}},
		{"a file of the system", map[string]string{"p/a.tf": `locals { x = core::file("/etc/hosts") }`}, facts{Builtin: true, Outside: true}},
		{"a link out of the module", map[string]string{"p/a.tf": `locals { x = file("${path.module}/x") }`, "p/x": "-> ../q", "q": ""}, facts{Builtin: true, Outside: true}},
		{"a template that reads a file", map[string]string{"p/a.tf": `locals { x = templatefile("${path.module}/t", {}) }`, "p/t": `${file("../q")}`}, facts{Builtin: true, Outside: true}},
		{"a set of files", map[string]string{"p/a.tf": `locals { x = fileset(path.module, "*") }`}, facts{Builtin: true, Outside: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := scan(t, test.files)
			code := m.Fill(plan.Code{})
			got := facts{
				Backend: m.Backend, NeedsInit: m.NeedsInit(), Builtin: m.OnlyBuiltin(), Downloads: m.Downloads, Volatile: m.Volatile,
				Outside: code.ReadsOutside, Hidden: code.Hidden, RemovedRun: code.RemovedRuns,
			}
			for want := range m.Wants {
				got.Wants = append(got.Wants, want)
			}
			slices.Sort(got.Wants)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSensitiveVariables(t *testing.T) {
	m := scan(t, map[string]string{"p/a.tf": `
variable "a" { sensitive = true }
variable "b" { sensitive = false }
variable "c" {}
variable "d" { sensitive = local.x }
module "m" { source = "./m" }
`, "p/m/a.tf": `variable "e" { sensitive = true }`})
	if diff := cmp.Diff(map[string]bool{"a": true, "b": false, "d": true}, m.Sensitive); diff != "" {
		t.Errorf("sensitive (-want +got):\n%s", diff)
	}
}

func TestFingerprintIsThatOfTheCheckoutsPlaceInIt(t *testing.T) {
	files := map[string]string{"p/a.tf": "terraform {\n  required_version = \">= 1.0\"\n}\nmodule \"m\" {\n  source = \"./m\"\n}\n", "p/m/b.tf": "resource \"x_y\" \"z\" {}"}
	first := scan(t, files).Fingerprint()
	if second := scan(t, files).Fingerprint(); second != first {
		t.Error("the same files elsewhere have another fingerprint")
	}
	files["p/m/c.tf"] = "resource \"x_y\" \"more\" {}\nresource \"terraform_data\" \"x\" {}\noutput \"o\" {\n  value = 1\n}\n"
	if scan(t, files).Fingerprint() != first {
		t.Error("what init does not look at changes the fingerprint")
	}
	for name, content := range map[string]string{
		"p/v.tf":        "terraform {\n  required_version = \">= 1.1\"\n}",
		"p/m/v.tf":      "resource \"new_y\" \"z\" {}",
		"p/n.tf":        "module \"n\" {\n  source = \"./m\"\n}",
		"p/broken.tf":   "{",
		"p/j.tf.json":   "{}",
		"p/m/x.tf.json": "{}",
	} {
		more := map[string]string{name: content}
		for k, v := range files {
			more[k] = v
		}
		if scan(t, more).Fingerprint() == first {
			t.Errorf("%s does not change the fingerprint", name)
		}
	}
}

func TestI3_SliceCoversWhatAProviderIsConfiguredBy(t *testing.T) {
	slice := func(t *testing.T, text string) string {
		return scan(t, map[string]string{"p/a.tf": text}).Fill(plan.Code{}).Providers
	}
	const config = `
provider "x" {
  region = local.region
}
locals {
  region = "${local.continent}-${var.n}"
  other  = 1
}
locals {
  continent = "eu"
}
`
	want := slice(t, config)
	if want == "" {
		t.Fatal("constants, variables and locals can be told")
	}
	for range 10 { // the syntax tree is walked in random order
		if slice(t, config) != want {
			t.Fatal("the same text has two hashes")
		}
	}
	for name, same := range map[string]string{
		"another local": strings.Replace(config, "other  = 1", "other  = 2", 1),
		"a resource":    config + `resource "x_y" "z" {}`,
	} {
		if slice(t, same) != want {
			t.Errorf("%s changes the hash", name)
		}
	}
	for name, text := range map[string]string{
		"the block":             strings.Replace(config, "region = local.region", "region = upper(local.region)", 1),
		"a local":               strings.Replace(config, "-${var.n}", "-2-${var.n}", 1),
		"a local's local":       strings.Replace(config, `"eu"`, `"us"`, 1),
		"one provider more":     config + "provider \"x\" {\n  alias = \"b\"\n}\n",
		"none":                  "",
		"a resource's value":    strings.Replace(config, "local.region", "x_y.z.region", 1),
		"data":                  strings.Replace(config, "local.region", "data.x_y.z.region", 1),
		"a module's output":     strings.Replace(config, "local.region", "module.m.region", 1),
		"a file":                strings.Replace(config, "local.region", `file("x")`, 1),
		"a file in a local":     strings.Replace(config, `"eu"`, `file("x")`, 1),
		"any local":             strings.Replace(config, "local.region", "local", 1),
		"a local that is not":   strings.Replace(config, "local.region", "local.missing", 1),
		"an element of a local": strings.Replace(config, "local.region", `local["region"]`, 1),
	} {
		got := slice(t, text)
		if got == want {
			t.Errorf("%s does not change the hash", name)
		}
		if opaque := strings.HasPrefix(name, "a resource's") || name == "data" || strings.HasPrefix(name, "a module") || strings.HasPrefix(name, "a file") ||
			name == "any local" || name == "a local that is not" || name == "an element of a local"; opaque != (got == "") {
			t.Errorf("%s: got %q, want it to be untold: %v", name, got, opaque)
		}
	}
	m := scan(t, map[string]string{"p/a.tf": config, "p/b.tf.json": "{}"})
	if m.Fill(plan.Code{}).Providers != "" {
		t.Error("a JSON file may hold provider blocks, and the hash pretends to know")
	}
}

func TestI3_WhereTheStateIs(t *testing.T) {
	fill := func(files map[string]string) plan.Code { return scan(t, files).Fill(plan.Code{}) }
	const bucket = "terraform {\n  backend \"s3\" {\n    key = \"one\"\n  }\n}\n"
	want := fill(map[string]string{"p/a.tf": bucket})
	for _, test := range []struct {
		name  string
		files map[string]string
		same  bool
	}{
		{"the same in another file, among other things", map[string]string{"p/b.tf": "# hello\nlocals { x = 1 }\n" + bucket}, true},
		{"another key", map[string]string{"p/a.tf": strings.Replace(bucket, "one", "two", 1)}, false},
		{"another kind", map[string]string{"p/a.tf": strings.Replace(bucket, "s3", "gcs", 1)}, false},
		{"one more in an override", map[string]string{"p/a.tf": bucket, "p/x_override.tf": strings.Replace(bucket, "one", "two", 1)}, false},
		{"one more in JSON", map[string]string{"p/a.tf": bucket, "p/x_override.tf.json": `{"terraform":{"backend":{"s3":{"key":"two"}}}}`}, false},
		{"encryption", map[string]string{"p/a.tf": bucket, "p/b.tf": "terraform {\n  encryption {}\n}\n"}, false},
		{"none", map[string]string{"p/a.tf": ""}, false},
	} {
		if got := fill(test.files); (got.Backend == want.Backend) != test.same || got.Moving {
			t.Errorf("%s: equal: %v, want %v; moving: %v", test.name, !test.same, test.same, got.Moving)
		}
	}
	// OpenTofu lets variables and locals say it.
	moved := func(text string) plan.Code {
		return fill(map[string]string{"p/a.tf": strings.Replace(bucket, `"one"`, "local.key", 1), "p/l.tf": text})
	}
	one, two := moved("locals {\n  key = var.x\n}\n"), moved("locals {\n  key = \"${var.x}2\"\n}\n")
	if one.Backend == two.Backend || !one.Moving {
		t.Error("another local does not make another backend")
	}
	if a, b := moved("locals {\n  key = module.m.x\n}\n"), moved("locals {\n  key = module.m.y\n}\n"); a.Backend == b.Backend {
		t.Error("a local that cannot be followed hides another backend")
	}
	if got := fill(map[string]string{"p/a.tf": ""}); got.Backend != "" {
		t.Errorf("without a backend: %q", got.Backend)
	}
}

func TestI3_SliceOfOutputs(t *testing.T) {
	code := scan(t, map[string]string{"p/a.tf": `
output "plain" { value = x_y.z.id }
output "local" { value = local.x }
output "data" { value = data.x_y.z.id }
output "module" { value = module.m.x }
output "file" { value = "${x_y.z.id}${file("x")}" }
output "none" {}
locals { x = [for k in x_y.z : k.id] }
`}).Fill(plan.Code{})
	var told []string
	for name := range code.Outputs {
		told = append(told, name)
	}
	if diff := cmp.Diff([]string{"plain"}, told); diff != "" {
		t.Errorf("outputs that their own text tells (-want +got):\n%s", diff)
	}
}

func TestLocks(t *testing.T) {
	const lock = `# This file is maintained automatically.

provider "registry.terraform.io/hashicorp/aws" {
  version     = "5.1.0"
  constraints = "~> 5.0"
  hashes = [
    "h1:x",
  ]
}
provider "registry.terraform.io/acme/x" {
  version = "1.0.0"
}
`
	if diff := cmp.Diff("registry.terraform.io/acme/x 1.0.0\nregistry.terraform.io/hashicorp/aws 5.1.0", Versions([]byte(lock))); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{lock, lock, true},
		{lock, strings.Replace(lock, "# This", "\r\n  # That", 1), true},
		{lock, strings.Replace(lock, "5.1.0", "5.1.1", 1), false},
		{lock, "", false},
		{"", "# nothing\n", true},
	} {
		if got := SameLock([]byte(test.a), []byte(test.b)); got != test.want {
			t.Errorf("SameLock(%q, %q) = %v", test.a, test.b, got)
		}
	}
	if Versions([]byte("provider {")) != "" || Versions(nil) != "" {
		t.Error("a broken lock file has versions")
	}
}

func TestInside(t *testing.T) {
	for _, test := range []struct {
		dir, path string
		want      bool
	}{
		{"/a", "/a", true}, {"/a", "/a/b", true}, {"/a", "/ab", false}, {"/a", "/", false}, {"/a", "/a/../b", false}, {"/", "/a", true},
	} {
		if got := Inside(test.dir, test.path); got != test.want {
			t.Errorf("Inside(%s, %s) = %v", test.dir, test.path, got)
		}
	}
}
