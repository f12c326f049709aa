package edit

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"pgregory.net/rapid"

	"weir/planner/project/edit/literal"
)

// TestBlocksProperty changes random nested blocks: what is there afterwards is
// what is deployed, whatever the order in which the plan lists a set, and the
// comments above blocks that stay are still there.
func TestBlocksProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		object := rapid.Custom(func(t *rapid.T) map[string]any {
			return map[string]any{
				"port":  rapid.IntRange(0, 5).Draw(t, "port"),
				"cidrs": rapid.SampledFrom([][]string{{"a"}, {"b"}, {"a", "b"}, {"b", "c"}, {"c"}}).Draw(t, "cidrs"),
				"note":  rapid.SampledFrom([]string{"x", "${y}"}).Draw(t, "note"),
			}
		})
		unique := func(all []map[string]any) []map[string]any {
			seen := map[string]bool{}
			return slices.DeleteFunc(all, func(o map[string]any) bool {
				key := string(encode(o))
				defer func() { seen[key] = true }()
				return seen[key]
			})
		}
		written := unique(rapid.SliceOfN(object, 1, 4).Draw(t, "written"))
		deployed := slices.Clone(written)
		for i := range deployed {
			if rapid.IntRange(0, 2).Draw(t, "change") == 0 {
				deployed[i] = maps.Clone(deployed[i])
				deployed[i]["port"] = rapid.IntRange(0, 9).Draw(t, "port")
			}
		}
		if rapid.Bool().Draw(t, "less") {
			deployed = deployed[1:]
		}
		deployed = unique(append(deployed, rapid.SliceOfN(object, 0, 2).Draw(t, "more")...))
		declared := written
		set := rapid.Bool().Draw(t, "set")
		if set {
			declared = rapid.Permutation(written).Draw(t, "declared")
			deployed = rapid.Permutation(deployed).Draw(t, "deployed")
		}
		var text strings.Builder
		text.WriteString("resource \"x\" \"y\" {\n  before = 1 # one\n")
		for _, o := range written {
			v, err := literal.Parse(encode(o))
			if err != nil {
				t.Fatal(err)
			}
			text.WriteString("\n  # above\n  rule {\n")
			for _, name := range literal.Keys(v) {
				text.WriteString("    " + name + " = " + literal.Render(literal.Field(v, name), "    ", "\n") + " # behind\n")
			}
			text.WriteString("  }\n")
		}
		text.WriteString("  after = [1,\n2]\n}\n")
		wanted := Wanted{Set: []Set{{Address: "x.y", Attribute: "rule", Declared: encode(declared), Deployed: encode(deployed)}}}
		result, err := Apply(tree(map[string]string{"main.tf": text.String()}), ".", wanted)
		if err != nil || len(result.Not) > 0 {
			t.Fatalf("%v %v\n%s", err, result.Not, text.String())
		}
		got, changed := result.Files["main.tf"]
		if !changed {
			got = []byte(text.String())
		}
		rules := rulesOf(t, got)
		want, err := literal.Parse(encode(deployed))
		if err != nil {
			t.Fatal(err)
		}
		exact := len(rules) == len(deployed) && literal.Same(cty.TupleVal(rules), want)
		if !literal.SameElements(rules, literal.Elements(want)) || !set && !exact {
			t.Fatalf("deployed: %s\n%s\n%s", encode(deployed), text.String(), got)
		}
		if !strings.HasPrefix(string(got), "resource \"x\" \"y\" {\n  before = 1 # one\n") || !strings.HasSuffix(string(got), "  after = [1,\n2]\n}\n") {
			t.Fatalf("more changed: %s", cmp.Diff(text.String(), string(got)))
		}
		again, err := Apply(tree(map[string]string{"main.tf": string(got)}), ".", wanted)
		if err != nil || len(again.Files) > 0 || len(again.Not) > 0 && len(deployed) > 0 {
			t.Fatalf("a second time: %v %v\n%s\n%s", err, again.Not, got, again.Files["main.tf"])
		}
	})
}

func rulesOf(t *rapid.T, text []byte) []cty.Value {
	f, diags := hclsyntax.ParseConfig(text, "main.tf", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, text)
	}
	rules := []cty.Value{}
	for _, b := range f.Body.(*hclsyntax.Body).Blocks[0].Body.Blocks {
		object := map[string]cty.Value{}
		for name, attr := range b.Body.Attributes {
			v, diags := attr.Expr.Value(nil)
			if diags.HasErrors() {
				t.Fatalf("%v\n%s", diags, text)
			}
			object[name] = v
		}
		rules = append(rules, cty.ObjectVal(object))
	}
	return rules
}

// TestLinks tries to reach files through symbolic links.
func TestLinks(t *testing.T) {
	root := t.TempDir()
	const text = "resource \"x\" \"y\" {\n  size = 1\n}\n"
	for name, data := range map[string]string{
		"shared/common.tf":      text,
		"linked/main.tf":        strings.Replace(text, `"y"`, `"z"`, 1),
		"target/main.tf":        text,
		"real/m/main.tf":        text,
		"through/main.tf":       "module \"m\" {\n  source = \"./m\"\n}\n",
		"given/main.tf":         text,
		"taker/main.tf":         "",
		".terraform/m/other.tf": "module \"g\" {\n  source = \"../../given\"\n}\n",
	} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{
		"linked/common.tf": "../shared/common.tf",
		"alias":            "target",
		"through/m":        "../real/m",
		"taker/main2.tf":   "../given/main.tf",
	} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	disk, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	for _, test := range []struct{ dir, address, want string }{
		{"linked", "x.y", "linked/common.tf is a symbolic link, and what it leads to may be used elsewhere"},
		{"linked", "x.z", ""},
		{"target", "x.y", "the symbolic link alias leads to target, so a change would reach both"},
		{"alias", "x.y", "alias is a symbolic link, and what it leads to may be used elsewhere"},
		{"through", "module.m.x.y", "through/m is a symbolic link, and what it leads to may be used elsewhere"},
		{"given", "x.y", "the symbolic link taker/main2.tf leads to given/main.tf, so a change would reach both"},
		{"nowhere", "x.y", "there is no directory nowhere"},
	} {
		result, err := Apply(disk.FS(), test.dir, Wanted{Set: []Set{{Address: test.address, Attribute: "size", Declared: encode(1), Deployed: encode(2)}}})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(result.Not) > 0 {
			got = result.Not[0].Why
		}
		if diff := cmp.Diff(test.want, got); diff != "" || (len(result.Files) > 0) != (test.want == "") {
			t.Errorf("%s %s: %v %s", test.dir, test.address, result.Files, diff)
		}
	}
	if _, err := Apply(disk.FS(), "../x", Wanted{}); err == nil {
		t.Error("a directory outside is taken")
	}
}

// TestHostile gives code that no person writes.
func TestHostile(t *testing.T) {
	for name, text := range map[string]string{
		"deep":   "resource \"x\" \"y\" {\n  size = " + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "\n}\n",
		"broken": "resource \"x\" \"y\" {\n  size = \n",
		"bytes":  "resource \"x\" \"y\" {\n  size = \"\xff\"\n",
		"large":  "resource \"x\" \"y\" {\n  size = 1\n}\n" + strings.Repeat("# x\n", 1<<20),
		"twice":  "resource \"x\" \"y\" {\n  size = 1\n}\nresource \"x\" \"y\" {\n  size = 1\n}\n",
		"keys":   "resource \"x\" \"y\" {\n  size = { a = 1, \"a\" = 2 }\n}\n",
	} {
		result, err := Apply(tree(map[string]string{"main.tf": text}), ".", Wanted{
			Set:    []Set{{Address: "x.y", Attribute: "size", Declared: encode(1), Deployed: encode(map[string]int{"a": 3})}},
			Remove: []Remove{{Address: "x.y" + strings.Repeat("[0]", 3000)}},
			Import: []Import{{Address: "x.y[0].z", ID: "1"}},
		})
		if err != nil || len(result.Files) > 0 || len(result.Not) != 3 {
			t.Errorf("%s: %v %v %d", name, err, result.Not, len(result.Files))
		}
	}
}
