package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"           //nolint:depguard // what is tested here is HCL
	"github.com/hashicorp/hcl/v2/hclparse"  //nolint:depguard // what is tested here is HCL
	"github.com/hashicorp/hcl/v2/hclsyntax" //nolint:depguard // what is tested here is HCL
)

// module is what can be said of deploy/aws without the AWS provider.
type module struct {
	blocks []*hclsyntax.Block
	uses   []string // what its expressions name: var.name, aws_sqs_queue.work, …
}

func readModule(t *testing.T) *module {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "deploy", "aws", "*.tf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("deploy/aws holds no module: %v", err)
	}
	m := &module{}
	parser := hclparse.NewParser()
	for _, name := range files {
		file, diags := parser.ParseHCLFile(name)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		m.add(t, file)
	}
	return m
}

func (m *module) add(t *testing.T, file *hcl.File) {
	t.Helper()
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		t.Fatalf("%T is no body", file.Body)
	}
	m.blocks = append(m.blocks, body.Blocks...)
	diags := hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		if e, ok := node.(*hclsyntax.ScopeTraversalExpr); ok {
			m.uses = append(m.uses, reference(e.Traversal))
		}
		return nil
	})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
}

// reference is the part of a traversal that names something of the module.
func reference(traversal hcl.Traversal) string {
	parts := []string{traversal.RootName()}
	n := 2
	if parts[0] == "data" {
		n = 3
	}
	for _, step := range traversal[1:] {
		if attr, ok := step.(hcl.TraverseAttr); ok && len(parts) < n {
			parts = append(parts, attr.Name)
		}
	}
	return strings.Join(parts, ".")
}

// names lists the labels of all blocks of a type.
func (m *module) names(kind string) []string {
	var names []string
	for _, b := range m.blocks {
		if b.Type == kind {
			names = append(names, strings.Join(b.Labels, "."))
		}
	}
	slices.Sort(names)
	return names
}

func (m *module) block(t *testing.T, kind string, labels ...string) *hclsyntax.Block {
	t.Helper()
	for _, b := range m.blocks {
		if b.Type == kind && slices.Equal(b.Labels, labels) {
			return b
		}
	}
	t.Fatalf("deploy/aws has no %s %v", kind, labels)
	return nil
}

// text is the value of an attribute that is a plain string.
func text(t *testing.T, body *hclsyntax.Body, name string) string {
	t.Helper()
	attr := body.Attributes[name]
	if attr == nil {
		t.Fatalf("line %d: no %s", body.SrcRange.Start.Line, name)
	}
	value, diags := attr.Expr.Value(nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return value.AsString()
}

// TestAWSModuleHoldsTogether: the AWS provider is not needed to see that what
// is named exists, that what exists is used and described, and that the manual
// of the module tells all of it.
func TestAWSModuleHoldsTogether(t *testing.T) {
	t.Parallel()
	m := readModule(t)
	known := []string{"each.key", "each.value", "path.module", "statement.value"}
	for _, name := range m.names("variable") {
		known = append(known, "var."+name)
		b := m.block(t, "variable", name)
		if text(t, b.Body, "description") == "" || b.Body.Attributes["type"] == nil {
			t.Errorf("variable %s needs a type and a description", name)
		}
		if !slices.Contains(m.uses, "var."+name) {
			t.Errorf("variable %s is used nowhere", name)
		}
	}
	for _, name := range m.names("output") {
		if b := m.block(t, "output", name); text(t, b.Body, "description") == "" {
			t.Errorf("output %s has no description", name)
		}
	}
	for _, b := range m.blocks {
		switch b.Type {
		case "locals":
			for name := range b.Body.Attributes {
				known = append(known, "local."+name)
				if !slices.Contains(m.uses, "local."+name) {
					t.Errorf("local %s is used nowhere", name)
				}
			}
		case "resource":
			known = append(known, strings.Join(b.Labels, "."))
		case "data":
			known = append(known, "data."+strings.Join(b.Labels, "."))
		}
	}
	for _, name := range m.uses {
		// Types of variables are written like names.
		if !slices.Contains(known, name) && !slices.Contains([]string{"string", "number", "bool"}, name) {
			t.Errorf("deploy/aws names %s, which it does not have", name)
		}
	}

	manual := page(t, "deploy/aws/README.md")
	for kind, title := range map[string]string{"variable": "## Variables", "output": "## Outputs"} {
		_, table, _ := strings.Cut(manual, title)
		table, _, _ = strings.Cut(table, "\n## ")
		var told []string
		for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllStringSubmatch(table, -1) {
			for _, m := range span.FindAllStringSubmatch(row[1], -1) {
				told = append(told, m[1])
			}
		}
		slices.Sort(told)
		if diff := gocmp.Diff(m.names(kind), told); diff != "" {
			t.Errorf("%ss in deploy/aws/README.md (-module +manual):\n%s", kind, diff)
		}
	}
}

// TestAWSModuleExample: what the manual shows is what the module takes.
func TestAWSModuleExample(t *testing.T) {
	t.Parallel()
	m := readModule(t)
	shown := 0
	for _, name := range []string{"deploy/aws/README.md", "docs/operations.md"} {
		for _, code := range fence.FindAllStringSubmatch(page(t, name), -1) {
			if code[1] != "hcl" {
				continue
			}
			file, diags := hclparse.NewParser().ParseHCL([]byte(code[2]), name)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			example := &module{}
			example.add(t, file)
			for _, b := range example.blocks {
				if b.Type != "module" {
					continue
				}
				shown++
				for argument := range b.Body.Attributes {
					if argument != "source" && !slices.Contains(m.names("variable"), argument) {
						t.Errorf("%s gives the module %s, which it does not take", name, argument)
					}
				}
			}
			for _, use := range regexp.MustCompile(`module\.weir\.(\w+)`).FindAllStringSubmatch(code[2], -1) {
				if !slices.Contains(m.names("output"), use[1]) {
					t.Errorf("%s uses the output %s, which there is not", name, use[1])
				}
			}
			formatted(t, name, code[2])
		}
	}
	if shown == 0 {
		t.Error("no example of the module is shown")
	}
}

func TestAWSModuleIsFormatted(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, "deploy", "aws", "*.tf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		code, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		formatted(t, name, string(code))
	}
}

func formatted(t *testing.T, name, code string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), terraformHere(t), "fmt", "-no-color", "-")
	cmd.Stdin = strings.NewReader(code)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("terraform fmt %s: %v", name, err)
	}
	if diff := gocmp.Diff(string(out), code); diff != "" {
		t.Errorf("%s is not formatted as terraform fmt does it (-want +got):\n%s", name, diff)
	}
}

// TestAWSModuleRefusesMistakes: terraform itself judges the variables; they
// need no provider.
func TestAWSModuleRefusesMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	code, err := os.ReadFile(filepath.Join(root, "deploy", "aws", "variables.tf"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "variables.tf"), code, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ set, want string }{
		{"name=weir", ""},
		{"bucket_name=acme-weir-plans", ""},
		{"name=Weir", "begin with a letter"},
		{"name=we", "3 to 20"},
		{"name=a-name-that-fits-no-bucket", "3 to 20"},
		{"bucket_name=has_underscores", "3 to 63"},
		{"artifacts_expire_days=30", "At least 60"},
		{"artifacts_expire_days=90.5", "whole days"},
		{"queue_max_receives=1", "Between 5"},
		{"seal_key_deletion_days=31", "Between 7 and 30"},
	} {
		t.Run(c.set, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), terraformHere(t), "plan", "-no-color", "-input=false", "-var", c.set)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "TF_DATA_DIR="+filepath.Join(t.TempDir(), "data"), "CHECKPOINT_DISABLE=1")
			out, err := cmd.CombinedOutput()
			said := strings.Join(strings.Fields(strings.ReplaceAll(string(out), "│", " ")), " ")
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v\n%s", err, out)
			case c.want != "" && (err == nil || !strings.Contains(said, c.want)):
				t.Errorf("got %v, want a refusal with %q:\n%s", err, c.want, out)
			}
		})
	}
}
