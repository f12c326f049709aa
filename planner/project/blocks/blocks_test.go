package blocks

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"weir/planner/project"
)

// read reads a case: files below before/ and after/, and those of both sides;
// the comment has settings of the project, one a line.
func read(t *testing.T, file string) (Change, map[string]string) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := Change{Project: project.Project{Dir: "live"}, Before: map[string][]byte{}, After: map[string][]byte{}}
	for line := range strings.SplitSeq(string(archive.Comment), "\n") {
		key, list, _ := strings.Cut(line, ": ")
		switch key {
		case "dir":
			c.Project.Dir = list
		case "modules":
			c.Project.Modules = strings.Fields(list)
		case "var_files":
			c.Project.VarFiles = strings.Fields(list)
		case "changed":
			c.Files = append(c.Files, strings.Fields(list)...)
		}
	}
	want := map[string]string{}
	for _, f := range archive.Files {
		side, name, _ := strings.Cut(f.Name, "/")
		switch side {
		case "before":
			c.Before[name] = f.Data
		case "after":
			c.After[name] = f.Data
		case "both":
			c.After[name] = f.Data
		default:
			want[f.Name] = string(f.Data)
		}
		if side == "before" || side == "after" {
			c.Files = append(c.Files, name)
		}
	}
	slices.Sort(c.Files)
	c.Files = slices.Compact(c.Files)
	return c, want
}

func show(blocks []string) string {
	switch {
	case blocks == nil:
		return "anything\n"
	case len(blocks) == 0:
		return "nothing\n"
	}
	return strings.Join(blocks, "\n") + "\n"
}

func TestChanged(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			c, want := read(t, file)
			var r Reader
			for range 2 { // the second time out of its memory
				if diff := cmp.Diff(want["want"], show(r.Changed(c))); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestOneFile holds what a change of the root module's main.tf touches.
func TestOneFile(t *testing.T) {
	const none, unknown = "nothing\n", "anything\n"
	for name, test := range map[string]struct{ before, after, want string }{
		"nothing":                {"locals {\n  a = 1\n}\n", "locals {\n  a = 1\n}\n", none},
		"a new line":             {"locals {\n  a = 1\n}\n", "locals {\n\n  a   =   1 # one\n\n}\n", none},
		"order of locals":        {"locals {\n  a = 1\n  b = 2\n}\n", "locals {\n  b = 2\n}\nlocals {\n  a = 1\n}\n", none},
		"order of arguments":     {"resource \"a\" \"b\" {\n  x = 1\n  y = 2\n}\n", "resource \"a\" \"b\" {\n  y = 2\n  x = 1\n}\n", none},
		"order of inner blocks":  {"resource \"a\" \"b\" {\n  x {\n  }\n  y {\n  }\n}\n", "resource \"a\" \"b\" {\n  y {\n  }\n  x {\n  }\n}\n", "a.b\n"},
		"lists over lines":       {"locals {\n  a = [1, 2]\n}\n", "locals {\n  a = [\n    1, # x\n    2,\n  ]\n}\n", none},
		"objects over lines":     {"locals {\n  a = { b = 1, c = f(2, 3) }\n}\n", "locals {\n  a = {\n    b = 1\n    c = f(\n      2, 3\n    )\n  }\n}\n", none},
		"for over lines":         {"locals {\n  a = { for k in x : k => k }\n}\n", "locals {\n  a = {\n    for k in x :\n    k => k\n  }\n}\n", none},
		"minus":                  {"locals {\n  a = [b, -c]\n}\n", "locals {\n  a = [b\n   -c]\n}\n", "local.a\n"},
		"elements taken apart":   {"locals {\n  a = \"b c\"\n}\n", "locals {\n  a = \"b  c\"\n}\n", "local.a\n"},
		"text that looks remark": {"locals {\n  a = \"b\"\n}\n", "locals {\n  a = \"b # c\"\n}\n", "local.a\n"},
		"heredoc":                {"locals {\n  a = <<-X\n    b\n  X\n}\n", "locals {\n  a = <<-X\n    c\n  X\n}\n", "local.a\n"},
		"end of a heredoc":       {"locals {\n  a = <<-X\n    b\n  X\n}\n", "locals {\n  a = <<-X\n    b\n      X\n}\n", none},
		"a new resource":         {"", "resource \"a\" \"b\" {\n}\n", "a.b\n"},
		"a resource less":        {"resource \"a\" \"b\" {\n}\nresource \"a\" \"c\" {\n}\n", "resource \"a\" \"c\" {\n}\n", "a.b\n"},
		"data":                   {"data \"a\" \"b\" {\n}\n", "data \"a\" \"b\" {\n  x = 1\n}\n", "data.a.b\n"},
		"one argument":           {"resource \"a\" \"b\" {\n  x = 1\n  y = 1\n}\n", "resource \"a\" \"b\" {\n  x = 2\n  y = 1\n}\n", "a.b#x\n"},
		"two arguments":          {"resource \"a\" \"b\" {\n  x = 1\n}\n", "resource \"a\" \"b\" {\n  y = 1\n}\n", "a.b#x\na.b#y\n"},
		"an inner block":         {"resource \"a\" \"b\" {\n  x {\n  }\n  x {\n  }\n}\n", "resource \"a\" \"b\" {\n  x {\n  }\n}\n", "a.b#x\n"},
		"a meta-argument":        {"resource \"a\" \"b\" {\n  x = 1\n}\n", "resource \"a\" \"b\" {\n  count = 2\n  x = 2\n}\n", "a.b\n"},
		"a dynamic block":        {"resource \"a\" \"b\" {\n}\n", "resource \"a\" \"b\" {\n  dynamic \"x\" {\n  }\n}\n", "a.b\n"},
		"twice the same":         {"resource \"a\" \"b\" {\n  x = 1\n}\nresource \"a\" \"b\" {\n}\n", "resource \"a\" \"b\" {\n  x = 2\n}\nresource \"a\" \"b\" {\n}\n", "a.b\n"},
		"other kinds":            {"", "ephemeral \"a\" \"b\" {\n}\naction \"a\" \"b\" {\n}\ncheck \"c\" {\n}\n", "action.a.b\ncheck.c\nephemeral.a.b\n"},
		"a module call":          {"module \"a\" {\n  source = \"x/y/z\"\n}\n", "module \"a\" {\n  source = \"x/y/z\"\n  b = 1\n}\n", "module.a\n"},
		"a default":              {"variable \"a\" {\n  default = 1\n}\n", "variable \"a\" {\n  default = 2\n}\n", "var.a\n"},
		"a description":          {"variable \"a\" {\n  description = \"b\"\n}\n", "variable \"a\" {\n  description = \"c\"\n  validation {\n  }\n}\n", none},
		"an output":              {"output \"a\" {\n  value = 1\n}\n", "output \"a\" {\n  value = 2\n}\n", "output.a\n"},
		"an output's words":      {"output \"a\" {\n  value = 1\n}\n", "output \"a\" {\n  value = 1\n  description = \"x\"\n}\n", none},
		"a provider":             {"provider \"a\" {\n  x = 1\n}\n", "provider \"a\" {\n  x = 2\n}\n", unknown},
		"a provider's comment":   {"provider \"a\" {\n  x = 1\n}\n", "provider \"a\" {\n  # here\n  x = 1\n}\n", none},
		"versions": {
			"terraform {\n  required_version = \"1\"\n}\n",
			"terraform {\n  required_version = \"2\"\n  required_providers {\n    a = {}\n    b = \"~> 1.0\"\n    c = {\n      source  = \"hashicorp/c\"\n      version = \"1\"\n    }\n  }\n}\n", none,
		},
		"a provider's version": {
			"terraform {\n  required_providers {\n    a = { source = \"x/a\", version = \"1\", configuration_aliases = [a.b] }\n  }\n}\n",
			"terraform {\n  required_providers {\n    a = {\n      version               = \"~> 2\" # new\n      configuration_aliases = [a.b]\n      \"source\"              = \"x/a\"\n    }\n  }\n}\n", none,
		},
		"a provider's source": {
			"terraform {\n  required_providers {\n    a = { source = \"x/a\", version = \"1\" }\n  }\n}\n",
			"terraform {\n  required_providers {\n    a = { source = \"y/a\", version = \"2\" }\n  }\n}\n", unknown,
		},
		"a source for the first time": {"", "terraform {\n  required_providers {\n    a = { source = \"x/a\" }\n  }\n}\n", unknown},
		"a provider's aliases": {
			"terraform {\n  required_providers {\n    a = { configuration_aliases = [a.b] }\n  }\n}\n",
			"terraform {\n  required_providers {\n    a = { configuration_aliases = [a.c] }\n  }\n}\n", unknown,
		},
		"a provider worked out": {"", "terraform {\n  required_providers {\n    a = merge({}, {})\n  }\n}\n", unknown},
		"blocks of providers":   {"", "terraform {\n  required_providers {\n    a {\n    }\n  }\n}\n", unknown},
		"a new backend":         {"", "terraform {\n  backend \"s3\" {\n  }\n}\n", unknown},
		"another key of a backend": {
			"terraform {\n  backend \"s3\" {\n    key = \"a\"\n  }\n}\n",
			"terraform {\n  backend \"s3\" {\n    key = \"b\"\n  }\n}\n", unknown,
		},
		"the same backend elsewhere": {
			"terraform {\n  required_version = \"1\"\n  backend \"s3\" {\n    key = \"a\"\n  }\n}\n",
			"terraform {\n}\nterraform {\n  backend \"s3\" {\n    key = \"a\" # here\n  }\n}\n", none,
		},
		"a cloud": {"", "terraform {\n  cloud {\n  }\n}\n", unknown},
		"an alias of a provider": {
			"provider \"a\" {\n}\nresource \"a\" \"b\" {\n}\n",
			"provider \"a\" {\n}\nprovider \"a\" {\n  alias = \"c\"\n}\nresource \"a\" \"b\" {\n  provider = a.c\n}\n", unknown,
		},
		"the provider of a resource": {"resource \"a\" \"b\" {\n  x = 1\n}\n", "resource \"a\" \"b\" {\n  provider = a.c\n  x        = 1\n}\n", "a.b\n"},
		"a lifecycle":                {"resource \"a\" \"b\" {\n  lifecycle {\n    ignore_changes = [x]\n  }\n}\n", "resource \"a\" \"b\" {\n  lifecycle {\n    ignore_changes = all\n  }\n}\n", "a.b\n"},
		"order of dynamic blocks":    {"resource \"a\" \"b\" {\n  dynamic \"x\" {\n  }\n  x {\n  }\n}\n", "resource \"a\" \"b\" {\n  x {\n  }\n  dynamic \"x\" {\n  }\n}\n", "a.b\n"},
		"order of the same blocks":   {"resource \"a\" \"b\" {\n  x {\n    y = 1\n  }\n  x {\n    y = 2\n  }\n}\n", "resource \"a\" \"b\" {\n  x {\n    y = 2\n  }\n  x {\n    y = 1\n  }\n}\n", "a.b#x\n"},
		"a block for an argument":    {"resource \"a\" \"b\" {\n  x = []\n}\n", "resource \"a\" \"b\" {\n  x {\n  }\n}\n", "a.b#x\n"},
		"a dynamic one for a block":  {"resource \"a\" \"b\" {\n  x {\n  }\n}\n", "resource \"a\" \"b\" {\n  dynamic \"x\" {\n  }\n}\n", "a.b\n"},
		"twice an argument":          {"", "resource \"a\" \"b\" {\n  x = 1\n  x = 2\n}\n", unknown},
		"a label of an inner block":  {"resource \"a\" \"b\" {\n  x \"y\" {\n  }\n}\n", "resource \"a\" \"b\" {\n  x \"z\" {\n  }\n}\n", "a.b#x\n"},
		"what is sensitive":          {"variable \"a\" {\n  default = 1\n}\n", "variable \"a\" {\n  default   = 1\n  sensitive = true\n}\n", none},
		"an experiment":              {"", "terraform {\n  experiments = [x]\n}\n", unknown},
		"a block from later":         {"", "novel \"a\" {\n}\n", unknown},
		"it was broken":              {"resource \"a\" {\n", "", unknown},
		"not of Terraform":           {"a = 1\n", "", unknown},
		"it is broken":               {"", "locals {\n  a = [\n}\n", unknown},
		"moved":                      {"", "moved {\n  from = a.b\n  to   = module.c[\"x\"].a.b[0]\n}\n", "a.b\nmodule.c.a.b\n"},
		"removed":                    {"", "removed {\n  from = a.b\n  lifecycle {\n    destroy = false\n  }\n}\n", "a.b\n"},
		"import":                     {"", "import {\n  for_each = var.x\n  to       = a.b[each.key] # here\n  id       = \"x\"\n}\n", "a.b\n"},
		"moved from nowhere":         {"", "moved {\n  from = 1\n  to   = a.b\n}\n", unknown},
		"import of anything":         {"import {\n  id = 1\n}\n", "", unknown},
		"a local of a local":         {"locals {\n  a = 1\n  b = local.a\n  c = \"${local.b}\"\n  d = local.ab\n}\n", "locals {\n  a = 2\n  b = local.a\n  c = \"${local.b}\"\n  d = local.ab\n}\n", "local.a\nlocal.b\nlocal.c\n"},
		"a local of a circle":        {"locals {\n  a = [1, local.b]\n  b = local.a\n}\n", "locals {\n  a = [2, local.b]\n  b = local.a\n}\n", "local.a\nlocal.b\n"},
		"a local of a default": {
			"variable \"v\" {\n  default = 1\n}\nlocals {\n  a = var.v\n}\n",
			"variable \"v\" {\n  default = 2\n}\nlocals {\n  a = var.v\n}\n", "local.a\nvar.v\n",
		},
		"not what it is used for": {
			"locals {\n  a = 1\n}\nresource \"a\" \"b\" {\n  x = local.a\n}\n",
			"locals {\n  a = 2\n}\nresource \"a\" \"b\" {\n  x = local.a\n}\n", "local.a\n",
		},
		"a local block's syntax": {"", "locals {\n  a {\n  }\n}\n", "local.a\n"},
	} {
		c := Change{
			Project: project.Project{Dir: "."}, Files: []string{"main.tf"},
			Before: map[string][]byte{"main.tf": []byte(test.before)}, After: map[string][]byte{"main.tf": []byte(test.after)},
		}
		for range 2 {
			var r Reader
			if got := show(r.Changed(c)); got != test.want {
				t.Errorf("%s: got\n%swant\n%s", name, got, test.want)
			}
			if strings.Contains(name, "from nowhere") || strings.Contains(name, "local of") || strings.Contains(name, "not what") {
				break
			}
			c.Before, c.After = c.After, c.Before
		}
	}
}

// TestJSON holds the same of JSON.
func TestJSON(t *testing.T) {
	for name, test := range map[string]struct{ before, after, want string }{
		"formatting":  {`{"locals": {"a": [1, 2]}, "//": "x"}`, "{\n\"locals\": [{\"a\": [1,\n2]}]}", "nothing\n"},
		"a local":     {`{"locals": {"a": 1, "b": "${local.a}"}}`, `{"locals": {"a": 2, "b": "${local.a}"}}`, "local.a\nlocal.b\n"},
		"a resource":  {`{"resource": {"a": {"b": {"x": 1}, "c": {}}}}`, `{"resource": {"a": {"b": [{"x": {"y": 1}}], "c": {}}}}`, "a.b#x\n"},
		"moved":       {`{}`, `{"moved": [{"from": "a.b", "to": "a.c[\"x\"]"}]}`, "a.b\na.c\n"},
		"a provider":  {`{}`, `{"provider": {"a": {"x": 1}}}`, "anything\n"},
		"from later":  {`{}`, `{"novel": {"a": {"x": 1}}}`, "anything\n"},
		"a version":   {`{"terraform": {"required_version": "1"}}`, `{"terraform": {"required_version": "2"}}`, "nothing\n"},
		"a remark":    {`{"resource": {"a": {"b": {"x": 1}}}}`, `{"resource": {"a": {"b": {"x": 1, "//": "why"}}}}`, "nothing\n"},
		"dynamic":     {`{"resource": {"a": {"b": {"x": 1}}}}`, `{"resource": {"a": {"b": {"x": 1, "dynamic": {"y": {"content": {}}}}}}}`, "a.b\n"},
		"a lifecycle": {`{"resource": {"a": {"b": {"x": 1}}}}`, `{"resource": {"a": {"b": {"x": 1, "lifecycle": {"ignore_changes": ["x"]}}}}}`, "a.b\n"},
		"once more":   {`{"resource": {"a": {"b": {"x": 1}}}}`, `{"resource": {"a": [{"b": {"x": 1}}, {"b": {"x": 2}}]}}`, "a.b\n"},
		"a provider's version": {
			`{"terraform": {"required_providers": {"a": {"source": "x/a", "version": "1"}, "b": "1"}}}`,
			`{"terraform": [{"required_providers": [{"a": {"version": "2", "source": "x/a"}}, {"c": {"source": "hashicorp/c"}}]}]}`, "nothing\n",
		},
		"a provider's source": {
			`{"terraform": {"required_providers": {"a": {"source": "x/a"}}}}`, `{"terraform": {"required_providers": {"a": {"source": "y/a"}}}}`, "anything\n",
		},
		"a provider of no form": {`{}`, `{"terraform": {"required_providers": {"a": [1]}}}`, "anything\n"},
		"a backend":             {`{}`, `{"terraform": {"backend": {"s3": {"key": "a"}}}}`, "anything\n"},
		"a name in escapes":     {`{"locals": {"a": 1, "b": "${lo\u0063al.a}"}}`, `{"locals": {"a": 2, "b": "${lo\u0063al.a}"}}`, "local.a\nlocal.b\n"},
		"broken":                {`{`, `{}`, "anything\n"},
		"twice a name":          {`{"resource": {"a": {"b": {"x": 1, "x": 1}}}}`, `{}`, "anything\n"},
	} {
		c := Change{
			Project: project.Project{Dir: "."}, Files: []string{"main.tf.json"},
			Before: map[string][]byte{"main.tf.json": []byte(test.before)}, After: map[string][]byte{"main.tf.json": []byte(test.after)},
		}
		var r Reader
		if got := show(r.Changed(c)); got != test.want {
			t.Errorf("%s: got\n%swant\n%s", name, got, test.want)
		}
	}
}

// TestBounds holds that a tree of calls that explodes is not followed.
func TestBounds(t *testing.T) {
	c := Change{Project: project.Project{Dir: "m0"}, Before: map[string][]byte{}, After: map[string][]byte{}}
	for i := range 12 {
		var text strings.Builder
		for j := range 4 {
			fmt.Fprintf(&text, "module \"m%d\" {\n  source = \"../m%d\"\n}\n", j, i+1)
		}
		c.Project.Modules = append(c.Project.Modules, fmt.Sprint("m", i+1))
		c.After[fmt.Sprintf("m%d/main.tf", i)] = []byte(text.String())
	}
	c.After["m12/main.tf"] = []byte("locals {\n  a = 1\n}\n")
	c.Files = []string{"m12/main.tf"}
	var r Reader
	if got := r.Changed(c); got != nil {
		t.Errorf("calls without end: %d blocks", len(got))
	}
	if got := r.Versions(c.Project, c.After); got != nil {
		t.Errorf("calls without end: %d versions", len(got))
	}
	c = Change{Project: project.Project{Dir: "."}, Files: []string{"main.tf"}, After: map[string][]byte{"main.tf": []byte("module \"a\" {\n  source = \"./\"\n}\nlocals {\n  a = 1\n}\n")}}
	if got := r.Changed(c); got != nil {
		t.Errorf("a module that calls itself: %d blocks", len(got))
	}
}

func TestVersions(t *testing.T) {
	p := project.Project{Dir: "live", Modules: []string{"net"}}
	files := map[string][]byte{
		"live/main.tf": []byte(`
module "vpc" {
  source  = "terraform-aws-modules/vpc/aws"
  version = "~> 5.1"
}
module "git" {
  source = "git::https://example.com/x.git//sub?depth=1&ref=v1.2.3"
}
module "latest" {
  source = "git::https://example.com/x.git"
}
module "open" {
  source = "git::https://example.com/x.git?ref=${var.a}"
}
module "net" {
  source = "../net"
}
`),
		"net/main.tf.json": []byte(`{"module": {"vpc": {"source": "a/b/c", "version": "5.0.0"}}}`),
		"other/main.tf":    []byte("module \"x\" {\n  source = \"a/b/c\"\n  version = \"1\"\n}\n"),
	}
	var r Reader
	want := map[string]string{"vpc": "~> 5.1", "git": "v1.2.3", "net.vpc": "5.0.0"}
	if diff := cmp.Diff(want, r.Versions(p, files)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	files["net/main.tf.json"] = []byte("{")
	if got := r.Versions(p, files); got != nil {
		t.Errorf("of a broken module: %v", got)
	}
}
