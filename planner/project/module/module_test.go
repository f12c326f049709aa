package module

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAdd(t *testing.T) {
	for _, test := range []struct {
		name, file, text string
		want             Module
	}{
		{"empty", "main.tf", "", Module{}},
		{"variables only", "main.tf", "variable \"a\" {}\noutput \"b\" {\n  value = 1\n}\nlocals {}\n", Module{}},
		{"backend", "main.tf", "terraform {\n  required_version = \">= 1\"\n  backend \"s3\" {\n    bucket = var.x\n  }\n}\n", Module{Backend: "s3"}},
		{"cloud", "main.tf", "terraform {\n  cloud {\n    organization = \"acme\"\n  }\n}\n", Module{Backend: "cloud"}},
		{"terraform block without either", "main.tf", "terraform {\n  required_providers {}\n}\n", Module{}},
		{"provider", "main.tf", "provider \"aws\" {\n  region = \"x\"\n}\n", Module{Content: true}},
		{"resource", "main.tf", "resource \"a\" \"b\" {}\n", Module{Content: true}},
		{"data", "main.tf", "data \"a\" \"b\" {}\n", Module{Content: true}},
		{"ephemeral", "main.tf", "ephemeral \"a\" \"b\" {}\n", Module{Content: true}},
		{
			"local call", "main.tf", "module \"a\" {\n  source = \"./x/../y\"\n}\n",
			Module{Content: true, Calls: []Call{{"main.tf", 2, "./x/../y", false}}},
		},
		{
			"local call with backslashes", "main.tf", "module \"a\" {\n  source = \"..\\\\y\"\n}\n",
			Module{Content: true, Calls: []Call{{"main.tf", 2, "../y", false}}},
		},
		{
			"source worked out", "main.tf", "module \"a\" {\n  source = trimspace(\"./x\")\n}\n",
			Module{Content: true, Problems: []Problem{{
				"main.tf", 2,
				`the source of module "a" is worked out by the program, so weir cannot tell which files it uses; name them in when_modified`,
			}}},
		},
		{
			"remote calls", "main.tf", "module \"a\" {\n  source = \"hashicorp/x/aws\"\n}\nmodule \"b\" {\n  source = \"git::https://x/y?ref=z\"\n}\nmodule \"c\" {}\n",
			Module{Content: true},
		},
		{
			"call with the beginning known", "main.tf", "module \"a\" {\n  source = \"../x/${var.a}/y\"\n}\n",
			Module{Content: true, Calls: []Call{{"main.tf", 2, "../x/", true}}},
		},
		{
			"JSON", "main.tf.json", `{"terraform": {"backend": {"gcs": {}}}, "module": {"a": {"source": "./x"}, "b": {"source": "./${var.x}"}}}`,
			Module{Backend: "gcs", Content: true, Calls: []Call{{"main.tf.json", 1, "./x", false}, {"main.tf.json", 1, "./", true}}},
		},
		{"JSON as arrays", "main.tf.json", `[{"resource": [{"a": [{"b": {}}]}]}]`, Module{Content: true}},
		{
			"broken after what counts", "main.tf", "terraform {\n  backend \"s3\" {}\n}\nresource \"a\" {\n",
			Module{Backend: "s3", Problems: []Problem{
				{
					"main.tf", 4,
					"Unclosed configuration block: There is no closing brace for this block before the end of the file. This may be caused by incorrect brace nesting elsewhere in this file",
				},
				{"main.tf", 4, "Missing name for resource: All resource blocks must have 2 labels (type, name)"},
			}},
		},
		{"no text", "main.tf", "\xff\xfe\x00\x01", Module{Problems: []Problem{{
			"main.tf", 1,
			"Invalid character encoding: All input files must be UTF-8 encoded. Ensure that UTF-8 encoding is selected in your editor",
		}}}},
	} {
		var got Module
		got.Add(test.file, []byte(test.text))
		if test.name == "no text" {
			got.Problems = got.Problems[:min(1, len(got.Problems))]
		}
		if diff := cmp.Diff(test.want, got, cmpopts.IgnoreUnexported(Module{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestAddSeveralFiles holds that files add to each other, override files too.
func TestAddSeveralFiles(t *testing.T) {
	var got Module
	got.Add("a.tf", []byte("module \"m\" {\n  source = \"./x\"\n}\n"))
	got.Add("a_override.tf", []byte("terraform {\n  backend \"local\" {}\n}\nmodule \"m\" {\n  source = \"./y\"\n}\n"))
	want := Module{Backend: "local", Content: true, Calls: []Call{{"a.tf", 2, "./x", false}, {"a_override.tf", 5, "./y", false}}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Module{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIsSource(t *testing.T) {
	for name, want := range map[string]bool{
		"main.tf": true, "a/b/main.tf.json": true, "main.tofu": true, "main.tofu.json": true,
		".main.tf": false, "#main.tf#": false, "main.tf~": false, "main.tfvars": false, "main.json": false, "tf": false, "a.tf/readme": false,
		"main.tftest.hcl": false,
		// Terraform 1.11 reads what only begins as an editor's file does.
		"#main.tf": true, "a/#x_override.tf": true, "#.tf.json": true, "~main.tf": true, "main.tf.json~": false, ".tf": false, ".#main.tf": false, "main.TF": false,
	} {
		if got := IsSource(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestOverrides holds of names what Terraform 1.11 does with such files.
func TestOverrides(t *testing.T) {
	for name, want := range map[string]bool{
		"override.tf": true, "a/b/x_override.tf": true, "_override.tf": true, "x_override.tf.json": true, "override.tofu": true, "x_override.tofu.json": true,
		"p.q_override.tf": true, "p.q_override.tf.json": true, "#x_override.tf": true,
		"p_override.q.tf": false, "override.x.tf": false, "x.override.tf": false, "Override.tf": false, "myoverride.tf": false, "main.tf": false,
		"x_override.tf.json.tf": false, "x_override.tf.tf": false, "x_override.tofu.tf": false, ".x_override.tf": false, "x_override.tfvars": false, "override": false,
	} {
		if got := Overrides(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestTofu(t *testing.T) {
	for name, want := range map[string]struct {
		tofu    bool
		instead string
	}{
		"a/main.tf":         {false, "a/main.tofu"},
		"main.tf.json":      {false, "main.tofu.json"},
		"main.tofu":         {true, ""},
		"main.tofu.json":    {true, ""},
		".main.tofu":        {false, ""},
		"main.tofutest.hcl": {false, ""},
		"terraform.tfvars":  {false, ""},
	} {
		if IsTofu(name) != want.tofu || Instead(name) != want.instead {
			t.Errorf("%s: %v and %q, want %+v", name, IsTofu(name), Instead(name), want)
		}
	}
}

func TestTestCalls(t *testing.T) {
	text := `
run "a" {
  module {
    source = "./tests/setup"
  }
}
run "b" {
  module {
    source = "hashicorp/x/aws"
  }
}
run "c" {}
broken {
`
	if diff := cmp.Diff([]string{"tests/setup"}, TestCalls("x.tftest.hcl", []byte(text))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestHostileInput feeds what takes a parser that recurses a stack without
// end, which would end the process, or time that grows with the square.
func TestHostileInput(t *testing.T) {
	const n, large = 40 << 10, 200 << 10 // what is quadratic shows in both; the race detector is slow
	read := []string{
		"flat", "modules", "labels", "sums", "traversals", "source of sums", "source of strings", "closed indexes", "quotes",
		"errors", "same attributes", "template elses", "template strays", "source of indexes", "nested template",
	}
	repeat := func(begin, text, end string) string { return begin + strings.Repeat(text, n/len(text)) + end }
	// These are refused for their size alone.
	repeatLarge := func(begin, text, end string) string { return begin + strings.Repeat(text, large/len(text)) + end }
	for name, text := range map[string]string{
		"parentheses.tf":              repeat("a = ", "(", ""),
		"parentheses in lines.tf":     repeat("a = ", "(\n", ""),
		"brackets.tf":                 repeat("a = ", "[", ""),
		"braces.tf":                   repeat("a = ", "{a=", ""),
		"blocks.tf":                   repeat("", "a {\n", ""),
		"not.tf":                      repeat("a = ", "!", "true"),
		"not, spaced.tf":              repeat("a = ", "! ", "true"),
		"not, on lines.tf":            repeat("a = (", "!\n", "true)"),
		"minus.tf":                    repeat("a = ", "-", "1"),
		"minus and not.tf":            repeat("a = ", "-!", "1"),
		"conditions.tf":               repeatLarge("a = ", "b?c:", "d"),
		"conditions the other way.tf": repeat("a = ", "b?", "d"),
		"conditions in lines.tf":      repeatLarge("a = (", "b ? c :\n", "d)"),
		"templates.tf":                repeat("a = ", `"${`, ""),
		"template ifs.tf":             repeat(`a = "`, `%{if x}`, ""),
		"flat templates.tf":           repeat(`a = "`, "${a}", `"`),
		"flat template ifs.tf":        repeat(`a = "`, `%{if x}%{endif}`, `"`),
		"template elses.tf":           repeat(`a = "%{if x}`, `%{else}`, `"`),
		"template strays.tf":          repeat(`a = "`, `%{endif}`, `"`),
		"flat blocks.tf":              repeat("", "a {\n}\n", ""),
		"same attributes.tf":          repeat("", "a = 1\n", ""),
		"modules.tf":                  repeat("", "module \"a\" {\n}\n", ""),
		"labels.tf":                   repeat("a ", "\"b\" ", "{}\n"),
		"errors.tf":                   repeat("", "a = %\n", ""),
		"sums.tf":                     repeat("a = 1", "+1", ""),
		"traversals.tf":               repeat("a = b", ".c", ""),
		"splats.tf":                   repeatLarge("a = b", "[*]", ""),
		"attribute splats.tf":         repeat("a = b", ".*", ""),
		"quotes.tf":                   repeat("", `"`, ""),
		"source of sums.tf":           repeat("module \"a\" {\n  source = 1", "+1", "\n}\n"),
		"source of indexes.tf":        repeat("module \"a\" {\n  source = b", "[c]", "\n}\n"),
		"source of strings.tf":        repeat("module \"a\" {\n  source = \"b\"", "==\"b\"", "\n}\n"),
		"source of parts.tf":          "module \"a\" {\n  source = \"" + strings.Repeat("$${", 2*large/3) + "\"\n}\n",
		"heredoc lines.tf":            repeatLarge("a = <<A\n", "\n", "A\n"),
		"closed indexes.tf":           repeat("a = b", "[c]", "\n"),
		"for.tf":                      repeat("a = ", "[for x in ", ""),
		"calls.tf":                    repeat("a = ", "f(", ""),
		"indexes.tf":                  repeat("a = b", "[c", ""),
		"heredocs.tf":                 repeat("a = ", "<<A\n${", ""),
		"comments between.tf":         repeat("a = ", "(/*)*/", ""),
		"brackets.tf.json":            repeat("", "[", ""),
		"objects.tf.json":             repeat("", `{"a":`, ""),
		"nested template.tf.json":     repeat(`{"module": {"a": {"source": "`, `${(`, `"}}}`),
		"too large.tf":                strings.Repeat("#", MaxSize+1),
	} {
		var m Module
		m.Add(name, []byte(text))
		refused := slices.ContainsFunc(m.Problems, func(p Problem) bool { return strings.HasSuffix(p.Message, "was not read") })
		if want := !slices.ContainsFunc(read, func(begin string) bool { return strings.HasPrefix(name, begin) }); refused != want {
			t.Errorf("%s is refused: %v, want %v", name, refused, want)
		}
		for _, p := range m.Problems {
			if len(p.Message) > 1000 {
				t.Errorf("%s: a problem of %d bytes", name, len(p.Message))
			}
		}
	}
}

// TestLargeFileIsRead holds that the bounds leave generated files alone.
func TestLargeFileIsRead(t *testing.T) {
	var text strings.Builder
	objects := map[string]any{}
	for i := range 5000 {
		fmt.Fprintf(&text, "resource \"terraform_data\" \"r%d\" {\n  input = -1 > 2 ? !true : [{ a = \"${var.x}-${f(1)}\" }]\n}\n", i)
		objects[fmt.Sprint("r", i)] = map[string]any{"input": []any{map[string]any{"a": "${var.x}"}}}
	}
	text.WriteString("module \"last\" {\n  source = \"./last\"\n}\n")
	data, err := json.Marshal(map[string]any{"resource": map[string]any{"terraform_data": objects}, "module": map[string]any{"last": map[string]any{"source": "./last"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"main.tf": []byte(text.String()), "main.tf.json": data} {
		var m Module
		m.Add(name, data)
		if len(m.Problems) > 0 || len(m.Calls) != 1 {
			t.Errorf("%s: %d calls, problems %v", name, len(m.Calls), m.Problems)
		}
	}
}

// FuzzAdd holds that nothing panics, that every call is local, and that every
// problem has a text.
func FuzzAdd(f *testing.F) {
	f.Add("terraform {\n  backend \"s3\" {}\n}\n", false)
	f.Add("terraform {\n  backend \"s3\" {\n    bucket = \"b\"\n    key = \"k\"\n    endpoints = { s3 = \"http://h\" }\n  }\n}\n", false)
	f.Add(`{"terraform": {"cloud": {"organization": "o", "workspaces": {"name": "n"}}}}`, true)
	f.Add("module \"a\" {\n  source = \"../${x}\"\n}\nresource \"a\" \"b\" {}\n", false)
	f.Add(`{"module": {"a": {"source": "./x"}}, "terraform": [{"cloud": {}}]}`, true)
	f.Add("run \"a\" {\n  module {\n    source = \"./x\"\n  }\n}\n", false)
	f.Fuzz(func(t *testing.T, text string, isJSON bool) {
		name := "main.tf"
		if isJSON {
			name = "main.tf.json"
		}
		var m Module
		m.Add(name, []byte(text))
		for _, c := range m.Calls {
			if !strings.HasPrefix(c.Source, "./") && !strings.HasPrefix(c.Source, "../") || c.Line < 1 {
				t.Errorf("%+v is no local call", c)
			}
		}
		for _, p := range m.Problems {
			if p.Message == "" || p.File != name || p.Line < 0 {
				t.Errorf("%+v says nothing", p)
			}
		}
		if id := m.State("blue"); len(id) > 512 || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
			t.Errorf("the name of a state: %q", id)
		}
		for _, to := range TestCalls("x.tftest.hcl", []byte(text)) {
			if to == "" {
				t.Error("a test calls nothing")
			}
		}
	})
}
