package blocks

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"weir/planner/project"
)

// FuzzChanged holds of two versions of a file that nothing panics, that a file
// that is not changed touches nothing, nor does a comment at its end, that
// addresses are plain, sorted and the same the other way round as far as the
// blocks themselves changed, and that no change of the code is overlooked.
func FuzzChanged(f *testing.F) {
	f.Add("locals {\n  a = 1\n}\n", "locals {\n  a = 2\n}\n", "main.tf")
	f.Add("locals {\n  a = [\n1,2,]\n}\n", "locals {\n  a = {for k in x:\nk => k}\n}\n", "main.tf")
	f.Add("resource \"a\" \"b\" {\n  x = <<-E\n  ${var.a}\n  E\n}\n", "moved {\n  from = a.b\n  to = module.c[0].a.b\n}\n", "main.tf")
	f.Add("module \"a\" {\n  source = \"./\"\n}\n", "module \"a\" {\n  source = \"./m\"\n  x = module.b[*].c\n}\n", "main.tf")
	f.Add("data \"a\" \"b\" {\n  x = a ? -1 : \"%{if b}c%{endif}\"\n}\n", "provider \"a\" {\n}\n", "main.tf")
	f.Add(`{"locals": {"a": "${var.b}"}}`, `{"locals": [{"a": 1}], "//": 1, "import": {"to": "a.b[0]"}}`, "main.tf.json")
	f.Add("resource \"a\" \"b\" {\n  x = 1\n  y {\n  }\n}\nlocals {\n  c = a.b.x\n}\n", "resource \"a\" \"b\" {\n  x = 2\n}\nlocals {\n  c = a.b.x\n}\n", "main.tf")
	f.Add("terraform {\n  required_providers {\n    a = { source = \"x/a\" }\n  }\n}\n", "terraform {\n  required_providers {\n    a = { version = \"1\" }\n  }\n}\n", "main.tf")
	f.Add("a = 1\nb = {\n}\n", "a = 2\n", "terraform.tfvars")
	f.Add(`{"a": 1}`, `{"a": [2]}`, "terraform.tfvars.json")
	address := regexp.MustCompile(`^[\p{L}\p{N}_-]+(\.[\p{L}\p{N}_-]+)+(#[\p{L}\p{N}_-]+)?$`)
	f.Fuzz(func(t *testing.T, a, b, name string) {
		if !slices.Contains([]string{"main.tf", "main.tf.json", "terraform.tfvars", "terraform.tfvars.json"}, name) {
			return
		}
		p := project.Project{Dir: "."}
		changed := func(from, to string) []string {
			var r Reader
			return r.Changed(Change{
				Project: p, Files: []string{name},
				Before: map[string][]byte{name: []byte(from)}, After: map[string][]byte{name: []byte(to)},
			})
		}
		if got := changed(a, a); len(got) > 0 {
			t.Errorf("nothing changed, and it touched %q", got)
		}
		known := changed(a, a) != nil && changed(b, b) != nil
		if known && !strings.HasSuffix(name, ".json") {
			if got := changed(a, a+"\n# remark\n"); got == nil || len(got) > 0 {
				t.Errorf("a comment touched %q", got)
			}
		}
		got := changed(a, b)
		if !slices.IsSorted(got) {
			t.Errorf("not in order: %q", got)
		}
		for _, block := range got {
			if !address.MatchString(block) && name == "main.tf" {
				t.Errorf("%q is no address", block)
			}
		}
		silent := regexp.MustCompile(`terraform|variable|output`)
		if known && name == "main.tf" && got != nil && len(got) == 0 && !silent.MatchString(a+b) && !slices.Equal(words(a), words(b)) {
			t.Errorf("the change from %q to %q is overlooked", a, b)
		}
	})
}

// words are the tokens of a text that are no formatting, sorted. Attributes
// and blocks may stand in any order.
func words(text string) []string {
	all, _ := hclsyntax.LexConfig([]byte(text), "", hcl.InitialPos)
	var words []string
	for i, token := range all {
		switch token.Type {
		case hclsyntax.TokenNewline, hclsyntax.TokenComma, hclsyntax.TokenComment, hclsyntax.TokenEOF:
			continue
		case hclsyntax.TokenCHeredoc:
			words = append(words, strings.TrimSpace(string(token.Bytes)))
			continue
		case hclsyntax.TokenIdent:
			if string(token.Bytes) == "locals" && i+1 < len(all) { // of any number
				continue
			}
		case hclsyntax.TokenOBrace, hclsyntax.TokenCBrace, hclsyntax.TokenOQuote, hclsyntax.TokenCQuote:
			continue
		}
		words = append(words, string(token.Bytes))
	}
	slices.Sort(words)
	return words
}
