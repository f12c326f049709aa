package blocks

import (
	"testing"

	"weir/planner/project"
)

// TestOthers holds which changes of other files count, by what the code of the
// project or of its module says of them. Of files for people and tools only
// those do that it names, or may name.
func TestOthers(t *testing.T) {
	for _, test := range []struct {
		code, changed string
		want          bool // anything may have changed
	}{
		{`a = 1`, "live/README.md", false},
		{`a = 1`, "live/LICENSE", false},
		{`a = 1 # as README.md says`, "live/README.md", false},
		{`a = 1`, "live/templates/a.sh", false},
		{`a = file("a.json")`, "live/templates/a.sh", true},
		{`a = fileexists("a.json")`, "live/b.json", true},
		{`a = "."`, "live/lambda/index.js", true},

		// What is read by its name.
		{`a = file("README.md")`, "live/README.md", true},
		{`a = "README.md"`, "live/README.md", true},
		{`a = "READ\u004dE.md"`, "live/README.md", true},
		{`a = file("${path.module}/policy.md")`, "live/policy.md", true},
		{`a = file("${path.module}/policy.tfvars")`, "live/policy.tfvars", true},
		{`a = filesha256("${path.root}/../LICENSE")`, "LICENSE", true},
		{`a = core::file("../weir.yaml")`, "weir.yaml", true},
		{`a = templatefile("${path.module}/CODEOWNERS", {})`, "live/CODEOWNERS", true},
		{`a = file("${path.module}/.gitignore")`, "live/.gitignore", true},
		{`a = file("../other/main.tf")`, "other/main.tf", true},
		{`a = filemd5("${path.module}/.terraform.lock.hcl")`, "live/.terraform.lock.hcl", true},
		{`a = { (local.x) = "docs/a.md" }`, "live/docs/a.md", true},

		// What is not.
		{`a = file("${path.module}/policy.json")`, "live/README.md", false},
		{`a = file(abspath("${path.module}/policy.json"))`, "live/README.md", false},
		{`a = file("/etc/policy.json")`, "live/README.md", false},
		{`a = "path/to/README.md.tpl"`, "live/README.md", false},
		{`a = basename(abspath(path.module))`, "live/README.md", false},
		{`a = replace(local.x, ".", "-")`, "live/README.md", false},
		{`a = "/"`, "live/README.md", false},
		{`a = "${local.x}-${local.y}"`, "live/README.md", false},
		{`a = "${local.x}/lambda"`, "live/README.md", false},
		{`a = "arn:aws:s3:::${local.x}/*"`, "live/README.md", false},
		{`a = "envs/other/terraform.tfstate"`, "envs/other/main.tf", false},
		{`a = "https://example.com/docs/a"`, "docs/README.md", false},

		// What may be read by a name with something unknown in it.
		{`a = file(local.name)`, "live/README.md", true},
		{`a = file("${local.dir}/${local.name}")`, "live/README.md", true},
		{`a = file(join("/", ["docs", "a"]))`, "live/docs/LICENSE", true},
		{`a = file("${local.x}.md")`, "live/README.md", true},
		{`a = file("${local.x}.json")`, "live/README.md", false},
		{`a = file("${path.module}/policies/${local.x}")`, "live/policies/a.md", true},
		{`a = file("${path.module}/policies/${local.x}")`, "live/README.md", false},
		{`a = file("${path.module}/policies/${local.x}.json")`, "live/policies/README.md", false},
		{`a = file("${path.module}/${local.x}")`, "live/README.md", true},
		{`a = file("${path.module}/${local.x}")`, "README.md", false},
		{`a = file("${path.module}/../${local.x}")`, "README.md", true},
		{`a = file(format("%s/a.md", local.x))`, "live/a.md", true},
		{`a = "${local.x}/lambda"`, "live/src/lambda/README.md", true},

		// What is read with a directory.
		{`a = fileset(path.module, "*.md")`, "live/README.md", true},
		{`a = fileset(path.module, "{a,b}/*.md")`, "live/a/b.md", true},
		{`a = fileset(path.module, "*.json")`, "live/README.md", false},
		{`a = fileset(abspath(path.module), "*.json")`, "live/README.md", false},
		{`a = fileset("${path.module}/docs", "**")`, "live/docs/a/b.md", true},
		{`a = fileset("${path.module}/docs", "**")`, "live/README.md", false},
		{`a = fileset(".", "**")`, "live/README.md", true},
		{`a = fileset(local.dir, "*.md")`, "live/README.md", true},
		{`a = path.module`, "live/docs/README.md", true},
		{`a = path.module`, "README.md", false},
		{`a = "${path.module}/lambda"`, "live/lambda/docs/README.md", true},
		{`a = "${path.module}/lambda"`, "live/lambda2/README.md", false},
		{`a = "lambda"`, "live/lambda/README.md", true},
		{`a = "./lambda/"`, "live/lambda/README.md", true},
		{`a = ".."`, "other/README.md", true},
	} {
		c := Change{
			Project: project.Project{Dir: "live"}, Files: []string{test.changed},
			After: map[string][]byte{"live/main.tf": []byte("locals {\n  " + test.code + "\n}\nmodule \"m\" {\n  source = \"../../..\"\n}\n")},
		}
		var r Reader
		if got := r.Changed(c) == nil; got != test.want {
			t.Errorf("%s, with %s: %v, want %v", test.code, test.changed, got, test.want)
		}
	}
}

// TestOthersOfModules holds that path.module is a module's own directory, and
// that values and JSON count as well.
func TestOthersOfModules(t *testing.T) {
	p := project.Project{Dir: "envs/live", Modules: []string{"modules/net"}}
	for _, test := range []struct {
		file, text, changed string
		want                bool
	}{
		{"modules/net/a.tf", "locals {\n  a = \"${path.module}/docs\"\n}\n", "modules/net/docs/a.md", true},
		{"modules/net/a.tf", "locals {\n  a = \"${path.module}/docs\"\n}\n", "envs/live/docs/a.md", false},
		{"modules/net/a.tf", "locals {\n  a = \"${path.root}/docs\"\n}\n", "envs/live/docs/a.md", true},
		{"modules/net/a.tf", "locals {\n  a = \"${path.module}/../docs\"\n}\n", "modules/docs/a.md", true},
		{"modules/net/a.tf", "locals {\n  a = \"${path.root}/../../docs\"\n}\n", "docs/a.md", true},
		{"modules/net/a.tf", "locals {\n  a = 1\n}\n", "modules/net/README.md", false},
		{"envs/live/a.tf", "module \"net\" {\n  source = \"../../modules/net\"\n}\n", "modules/net/README.md", false},
		{"envs/live/a.tf.json", `{"locals": {"a": "docs"}}`, "envs/live/README.md", false},
		{"envs/live/a.tf.json", `{"locals": {"a": "README.md"}}`, "envs/live/README.md", true},
		{"envs/live/a.tf.json", `{"locals": {"a": "${file(local.x)}"}}`, "envs/live/README.md", true},
		{"envs/live/a.auto.tfvars", "a = \"README.md\"\n", "envs/live/README.md", true},
		{"envs/live/a.tf", "locals {\n", "envs/live/README.md", true}, // it cannot be read
	} {
		var r Reader
		got := r.Changed(Change{Project: p, Files: []string{test.changed}, After: map[string][]byte{test.file: []byte(test.text)}})
		if (got == nil) != test.want {
			t.Errorf("%s\n%s with %s: %q, want %v", test.file, test.text, test.changed, got, test.want)
		}
	}
}
