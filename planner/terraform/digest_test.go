package terraform

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// What terraform really plans for edits of one project, and which of them an
// approval would outlive.
func TestI3_ChangeDigestsOfRealPlans(t *testing.T) {
	const main = `
variable "size" { default = 1 }
resource "terraform_data" "a" { input = var.size }
resource "terraform_data" "known" { triggers_replace = ["x"] }
module "m" { source = "./m" }
output "id" { value = terraform_data.a.id }
`
	files := map[string]string{"p/main.tf": main, "p/m/m.tf": "resource \"terraform_data\" \"m\" {}\n"}
	b := newBench(t, files)
	summary := func(edits map[string]string) Summary {
		t.Helper()
		b.root = t.TempDir()
		b.write(files)
		b.write(edits)
		plan, _ := b.plan(b.target("p"))
		return plan.Summary
	}
	want := summary(nil)
	if want.Opaque != "" {
		t.Errorf("the plan tells everything, and yet: %s", want.Opaque)
	}
	for _, test := range []struct {
		name  string
		edits map[string]string
		same  bool
	}{
		{"nothing, elsewhere", nil, true},
		{"a comment", map[string]string{"p/main.tf": "# hello\n" + main}, true},
		{"another file", map[string]string{"p/README.md": "hello", "q/main.tf": "output \"x\" {\n  value = 1\n}\n"}, true},
		{"the same by another way", map[string]string{"p/main.tf": strings.Replace(main, `["x"]`, `[lower("X")]`, 1)}, true},
		{"another value", map[string]string{"p/main.tf": strings.Replace(main, "= 1", "= 2", 1)}, false},
		{"another value of an output that is known after apply", map[string]string{"p/main.tf": strings.Replace(main, "data.a.id", "data.known.id", 1)}, false},
		{"the same resource, otherwise", map[string]string{"p/main.tf": strings.Replace(main, "value = terraform_data.a.id", `value = "x-${terraform_data.a.id}"`, 1)}, false},
		{"a resource in the module", map[string]string{"p/m/n.tf": "resource \"terraform_data\" \"n\" {}\n"}, false},
		{"a provisioner", map[string]string{"p/m/m.tf": "resource \"terraform_data\" \"m\" {\n  provisioner \"local-exec\" {\n    command = \"true\"\n  }\n}\n"}, false},
	} {
		if got := summary(test.edits); (got.ChangeDigest == want.ChangeDigest) != test.same {
			t.Errorf("%s: equal digests: %v, want %v (%s)", test.name, !test.same, test.same, got.Opaque)
		}
	}

	// An expression of what is not known before the apply.
	open := strings.Replace(main, "input = var.size", "input = terraform_data.known.id", 1)
	first := summary(map[string]string{"p/main.tf": open})
	if !strings.Contains(first.Opaque, "terraform_data.a.input is known after apply only") || !strings.HasSuffix(first.Opaque, "the code of the module") {
		t.Errorf("opaque: %q", first.Opaque)
	}
	outside := summary(map[string]string{"shared/x": "", "p/main.tf": strings.Replace(open, "= terraform_data.known.id", "= \"${terraform_data.known.id}${file(\"../shared/x\")}\"", 1)})
	if !strings.HasSuffix(outside.Opaque, "every file of the repository") {
		t.Errorf("opaque: %q", outside.Opaque)
	}
}

// An empty state is like every other empty state, and yet another one.
func TestI3_AnotherBackendIsAnotherChange(t *testing.T) {
	b := newBench(t, map[string]string{"p/main.tf": "resource \"terraform_data\" \"a\" {}\n"})
	states, digests := t.TempDir(), map[string]string{}
	for _, name := range []string{"one", "two", "one"} {
		b.write(map[string]string{"p/backend.tf": fmt.Sprintf(localBackend, filepath.Join(states, name), filepath.Join(states, "d"))})
		plan, _ := b.plan(b.target("p"))
		if known, ok := digests[name]; ok && known != plan.Summary.ChangeDigest {
			t.Errorf("%s: the same plan twice has two digests", name)
		}
		digests[name] = plan.Summary.ChangeDigest
	}
	if digests["one"] == digests["two"] {
		t.Error("an approval would outlive that the state is another")
	}
}

// Of the provisioners in a removed block a plan says nothing at all.
func TestI3_RemovedBlocksWithProvisioners(t *testing.T) {
	b := newBench(t, map[string]string{"p/main.tf": "resource \"terraform_data\" \"a\" {}\n"})
	target := b.target("p")
	_, file := b.plan(target)
	b.apply(target, file)
	b.write(map[string]string{"p/main.tf": "removed {\n  from = terraform_data.a\n  lifecycle {\n    destroy = true\n  }\n}\n"})
	quiet, _ := b.plan(target)
	b.write(map[string]string{"p/main.tf": "removed {\n  from = terraform_data.a\n  lifecycle {\n    destroy = true\n  }\n  provisioner \"local-exec\" {\n    when    = destroy\n    command = \"./x.sh\"\n  }\n}\n"})
	loud, _ := b.plan(target)
	if quiet.Summary.Delete != 1 || quiet.Summary.Opaque != "" {
		t.Errorf("without provisioners: %+v", quiet.Summary)
	}
	if loud.Summary.ChangeDigest == quiet.Summary.ChangeDigest || !strings.HasSuffix(loud.Summary.Opaque, "every file of the repository") {
		t.Errorf("with provisioners: %+v", loud.Summary)
	}
}

// Plans that change nothing in the cloud but something in the state are no
// empty plans.
func TestMovesImportsAndForgets(t *testing.T) {
	b := newBench(t, map[string]string{"p/main.tf": "resource \"terraform_data\" \"a\" {}\nresource \"terraform_data\" \"b\" {}\n"})
	target := b.target("p")
	_, file := b.plan(target)
	b.apply(target, file)
	const rest = "resource \"terraform_data\" \"b\" {}\n"
	for _, test := range []struct {
		name, text string
		count      func(Summary) int
	}{
		{"move", "resource \"terraform_data\" \"c\" {}\nmoved {\n  from = terraform_data.a\n  to   = terraform_data.c\n}\n", func(s Summary) int { return s.Move }},
		{"forget", "removed {\n  from = terraform_data.a\n  lifecycle {\n    destroy = false\n  }\n}\n", func(s Summary) int { return s.Forget }},
		{"import", "resource \"terraform_data\" \"a\" {}\nresource \"terraform_data\" \"d\" {}\nimport {\n  to = terraform_data.d\n  id = \"x\"\n}\n", func(s Summary) int { return s.Import }},
	} {
		b.ran.take()
		b.write(map[string]string{"p/main.tf": rest + test.text})
		plan, _ := b.plan(target)
		s := plan.Summary
		if test.count(s) != 1 || len(s.Changes) != 1 || s.Create+s.Update+s.Replace+s.Delete+s.Read != 0 || s.Empty() {
			t.Errorf("%s: %+v", test.name, s)
		}
		if got := b.ran.take(); got != "plan show" {
			t.Errorf("%s: ran %q", test.name, got)
		}
	}
}
