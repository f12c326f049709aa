package prints

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func printed(t *testing.T, text string) string {
	t.Helper()
	all, diags := hclsyntax.LexConfig([]byte(text), "", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return Tokens(all).Print(0, len(text))
}

func TestPrint(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"a = 1", "a   = 1 # one", true},
		{"a = [1, 2]", "a = [\n  1, // x\n  2,\n]", true},
		{"a = { b = 1, c = 2 }", "a = {\n  b = 1\n  c = 2\n}", true},
		{"a = [b, -c]", "a = [b\n-c]", false},
		{"a = \"b c\"", "a = \"b  c\"", false},
		{"a = bc", "a = b.c", false},
		{"a = \"b\"", "a = b", false},
	} {
		if got := printed(t, test.a) == printed(t, test.b); got != test.same {
			t.Errorf("%s and %s: %v, want %v", test.a, test.b, got, test.same)
		}
	}
}

func TestReferences(t *testing.T) {
	for text, want := range map[string][]string{
		"a = 1":                      nil,
		"a = [var.b, local.c-d]":     {"local.c-d", "var.b"},
		"a = -var.b":                 {"var.b"},
		"a = var.b[local.c].d":       {"local.c", "var.b"},
		"a = \"${var.b}-${var.b}\"":  {"var.b"},
		"a = module.b.c.d":           {"module.b.c"},
		"a = module.b[0].c":          {"module.b.c"},
		"a = module.b[*]":            {"module.b.*"},
		"a = module.b":               {"module.b.*"},
		"a = module.b[module.c.d].e": {"module.b.e", "module.c.d"},
		"a = data.b.c.d":             {"data.b.c"},
		"a = data.b.c[var.d].e":      {"data.b.c", "var.d"},
		"a = b.c":                    {"b.c.*"},
		"a = b.c.d.e":                {"b.c.d"},
		"a = b.c[each.key].d":        {"b.c.d"},
		"a = b.c.*.d":                {"b.c.*"},
		"a = each.value.b":           nil,
		"a = path.module":            nil,
		"a = (\n  var\n  .b\n)":      {"var.b"},
	} {
		if diff := cmp.Diff(want, References(printed(t, text))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for text, want := range map[string][]string{
		`{"a":"${var.b}"}`:       {"var.b"},
		`{"a":"${1-var.b}"}`:     {"var.b"},
		`{"a":"${v\u0061r.b}"}`:  {"u0061r.b.*", "var.b"},
		`{"a":"b.${local.c}"}`:   {"local.c"},
		`["www.example.com"]`:    {"www.example.com"},
		`"${aws_x.a[\"k\"].id}"`: {"aws_x.a.id"},
	} {
		if diff := cmp.Diff(want, References(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}
