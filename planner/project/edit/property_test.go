package edit

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"weir/planner/project/edit/literal"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
	"pgregory.net/rapid"
)

// evaluate returns what an attribute of the first block comes to.
func evaluate(t interface{ Fatalf(string, ...any) }, text []byte, name string) cty.Value {
	f, diags := hclsyntax.ParseConfig(text, "main.tf", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, text)
	}
	attr := f.Body.(*hclsyntax.Body).Blocks[0].Body.Attributes[name]
	if attr == nil {
		return cty.NullVal(cty.DynamicPseudoType)
	}
	v, diags := attr.Expr.Value(nil)
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, text)
	}
	return v
}

func texts() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "${", "%{", "$${", "%%{", "$$${a}", "$", "%", "\"", "\\", "\n", "\r\n", "a\tb", "EOT", "#", "//", "/*", "\u00e9", "\u2028", "\U0001f600", "\ufeff"}),
		rapid.StringMatching(`[a-z${}%"\\#\n /*]{0,12}`),
		rapid.String().Filter(func(s string) bool { return !strings.Contains(s, "\x00") }),
	)
}

func values(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 4
		if depth > 0 {
			kinds = 6
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return texts().Draw(t, "text")
		case 1:
			return json.Number(rapid.SampledFrom([]string{"0", "-1", "1.5", "1e3", "-0.001", "12345678901234567890", "80"}).Draw(t, "number"))
		case 2:
			return rapid.Bool().Draw(t, "bool")
		case 3:
			return nil
		case 4:
			all := rapid.SliceOfN(values(depth-1), 0, 5).Draw(t, "list")
			if all == nil {
				return []any{}
			}
			return all
		default:
			object := map[string]any{}
			names := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "Name", "for", "null", "true", "if", "a-b", "a:b", "1", "x y"}), texts())
			for range rapid.IntRange(0, 4).Draw(t, "size") {
				object[names.Draw(t, "key")] = values(depth-1).Draw(t, "value")
			}
			return object
		}
	})
}

func encode(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// write writes a value in one of the ways in which people do.
func write(t *rapid.T, v cty.Value, indent string) string {
	pad := func() string { return strings.Repeat(" ", rapid.IntRange(0, 2).Draw(t, "pad")) }
	switch {
	case literal.IsTuple(v) || literal.IsObject(v):
		open, end := "[", "]"
		var items []string
		if literal.IsTuple(v) {
			for _, element := range literal.Elements(v) {
				items = append(items, write(t, element, indent+"  "))
			}
		} else {
			open, end = "{", "}"
			for _, name := range literal.Keys(v) {
				items = append(items, literal.RenderKey(name)+pad()+rapid.SampledFrom([]string{"=", ":"}).Draw(t, "sign")+pad()+write(t, literal.Field(v, name), indent+"  "))
			}
		}
		switch rapid.IntRange(0, 2).Draw(t, "layout") {
		case 0:
			return open + pad() + strings.Join(items, pad()+","+pad()) + pad() + end
		case 1:
			var b strings.Builder
			b.WriteString(open + "\n")
			for i, item := range items {
				if rapid.Bool().Draw(t, "note above") {
					b.WriteString(indent + "# above\n")
				}
				b.WriteString(indent + "  " + item)
				if open == "[" && i < len(items)-1 || rapid.Bool().Draw(t, "comma") {
					b.WriteString(",")
				}
				b.WriteString(rapid.SampledFrom([]string{"", " # note", " // note", " /* note */"}).Draw(t, "note") + "\n")
			}
			return b.String() + indent + end
		}
		if open == "[" {
			return open + strings.Join(items, ",\n"+indent+"  ") + end
		}
		return open + strings.Join(items, "\n"+indent) + end
	}
	return literal.Render(v, indent, "\n")
}

// TestProperty sets random values in code that is written in random ways: the
// code reads as what is deployed, nothing else changes, and a second time
// nothing does.
func TestProperty(t *testing.T) { rapid.Check(t, property) }

func FuzzProperty(f *testing.F) { f.Fuzz(rapid.MakeFuzz(property)) }

func property(t *rapid.T) {
	declared := values(3).Draw(t, "declared")
	deployed := values(3).Draw(t, "deployed")
	if rapid.Bool().Draw(t, "alike") {
		deployed = mutate(t, declared)
	}
	was, err := literal.Parse(encode(declared))
	if err != nil {
		t.Skip(err)
	}
	want, err := literal.Parse(encode(deployed))
	if err != nil {
		t.Skip(err)
	}
	before := "# first\nresource \"x\" \"y\" {\n  before = [ 1,2 ] # odd\n"
	after := "  after\t=\"${var.a}\"\n\n  # last\n}\n\n\noutput  \"a\" {}"
	text := before + "  it = " + write(t, was, "  ") + rapid.SampledFrom([]string{"", " # note", "  "}).Draw(t, "end") + "\n" + after
	if rapid.Bool().Draw(t, "crlf") {
		text, before, after = strings.ReplaceAll(text, "\n", "\r\n"), strings.ReplaceAll(before, "\n", "\r\n"), strings.ReplaceAll(after, "\n", "\r\n")
	}
	if got := evaluate(t, []byte(text), "it"); !literal.Same(got, was) {
		t.Fatalf("the test writes %#v for %#v:\n%s", got, was, text)
	}
	set := Set{Address: "x.y", Attribute: "it", Declared: encode(declared), Deployed: encode(deployed)}
	if rapid.Bool().Draw(t, "open") {
		set.Declared = nil
	}
	result, err := Apply(tree(map[string]string{"main.tf": text}), ".", Wanted{Set: []Set{set}})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Not) > 0 {
		if strings.Contains(result.Not[0].Why, "laid out") {
			t.Skip("laid out")
		}
		t.Fatalf("%v\n%s", result.Not, text)
	}
	got, changed := result.Files["main.tf"]
	if !changed {
		got = []byte(text)
	}
	if changed == literal.Same(was, want) {
		t.Fatalf("changed: %v\n%s", changed, text)
	}
	if v := evaluate(t, got, "it"); !literal.Same(v, want) {
		t.Fatalf("got %s, want %s\n%s\n%s", shown(v), shown(want), text, got)
	}
	if !strings.HasPrefix(string(got), before) || !strings.HasSuffix(string(got), after) {
		t.Fatalf("more than the attribute changed:\n%s", cmp.Diff(text, string(got)))
	}
	if strings.Count(text, "# above") > strings.Count(string(got), "# above") && literal.IsObject(was) && literal.IsObject(want) && len(literal.Keys(want)) > 0 {
		t.Logf("comments went:\n%s\n%s", text, got)
	}
	again, err := Apply(tree(map[string]string{"main.tf": string(got)}), ".", Wanted{Set: []Set{set}})
	if err != nil || len(again.Files) > 0 {
		t.Fatalf("a second time: %v\n%s\n%s", err, got, again.Files["main.tf"])
	}
}

func shown(v cty.Value) string {
	data, err := ctyjson.Marshal(v, v.Type())
	return fmt.Sprint(string(data), err)
}

// mutate changes a value here and there.
func mutate(t *rapid.T, v any) any {
	switch v := v.(type) {
	case []any:
		all := []any{}
		for _, element := range v {
			switch rapid.IntRange(0, 5).Draw(t, "do") {
			case 0:
			case 1:
				all = append(all, values(1).Draw(t, "new"), element)
			case 2:
				all = append(all, mutate(t, element))
			default:
				all = append(all, element)
			}
		}
		if rapid.Bool().Draw(t, "append") {
			all = append(all, values(1).Draw(t, "new"))
		}
		return all
	case map[string]any:
		object := map[string]any{}
		for name, value := range v {
			switch rapid.IntRange(0, 4).Draw(t, "do") {
			case 0:
			case 1:
				object[name] = mutate(t, value)
			default:
				object[name] = value
			}
		}
		if rapid.Bool().Draw(t, "add") {
			object[texts().Draw(t, "key")] = values(1).Draw(t, "new")
		}
		return object
	}
	return values(1).Draw(t, "new")
}
