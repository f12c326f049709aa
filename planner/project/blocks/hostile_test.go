package blocks

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/planner/project"
	"weir/planner/project/module"
)

// TestHostileFiles holds that large files of any shape are looked at in a time
// that grows with their size only; the test would take minutes otherwise.
func TestHostileFiles(t *testing.T) {
	large := func(begin, piece, end string) string {
		return begin + strings.Repeat(piece, (module.MaxSize/48-len(begin)-len(end))/len(piece)) + end
	}
	var locals, chain strings.Builder
	for i := range 3_000 {
		fmt.Fprintf(&locals, "a%d = local.a0\n", i+1)
		fmt.Fprintf(&chain, "a%d = local.a%d\n", i+1, i)
	}
	for name, test := range map[string]struct{ text, changed string }{
		"blocks":             {large("", "resource \"a\" \"b\" {\n}\n", ""), ""},
		"calls":              {large("", "module \"a\" {\n  source = \"./\"\n}\n", ""), ""},
		"references":         {large("locals {\n  a = [", "var.a,", "]\n}\n"), ""},
		"modules":            {large("locals {\n  a = \"", "module.a[", "\"\n}\n"), ""},
		"comments":           {large("locals {\n  a = {", "/**/", "}\n}\n"), ""},
		"braces":             {large("locals {\n  a = [", "{},\n", "]\n}\n"), ""},
		"new lines":          {large("locals {\n  a = [", "\n", "]\n}\n"), ""},
		"keys":               {large("moved {\n  from = a.b", "[c]", "\n}\n"), ""},
		"dots":               {large("moved {\n  from = a", ".b", "\n}\n"), ""},
		"attributes":         {large("locals {\n  a = [", "b.c.d,", "]\n}\n"), "resource \"b\" \"c\" {\n}\n"},
		"names of files":     {large("locals {\n  a = [", "\"${path.module}/${b}/x\",", "]\n}\n"), ""},
		"nested texts":       {"locals {\n  a = " + strings.Repeat("\"${", 300) + strings.Repeat("x", module.MaxSize/64) + strings.Repeat("}\"", 300) + "\n}\n", ""},
		"a text of pieces":   {large("locals {\n  a = file(\"", "${b}/", "\")\n}\n"), ""},
		"providers":          {large("terraform {\n  required_providers {\n    a = {", "a=1,", "}\n  }\n}\n"), ""},
		"many locals of one": {"locals {\n" + locals.String() + "}\n", "locals {\n  a0 = 1\n}\n"},
		"a chain of locals":  {"locals {\n" + chain.String() + "}\n", "locals {\n  a0 = 1\n}\n"},
		"many of many": {
			"locals {\n" + strings.Repeat("  a = [local.b, local.c]\n}\nlocals {\n", 1500) + "}\n",
			"locals {\n  b = 1\n  c = 1\n}\n",
		},
	} {
		start := time.Now()
		var r Reader
		p := project.Project{Dir: "."}
		changed := "locals {\n  a = 1\n}\n" + test.changed
		got := r.Changed(Change{
			Project: p, Files: []string{"a.tf", "b.tf", "README.md", "docs/LICENSE"}, Before: map[string][]byte{"a.tf": []byte(test.text)},
			After: map[string][]byte{"a.tf": []byte(test.text), "b.tf": []byte(changed)},
		})
		r.Versions(p, map[string][]byte{"a.tf": []byte(test.text)})
		t.Logf("%s: %d addresses in %v", name, len(got), time.Since(start))
	}
	for name, text := range map[string]string{
		"JSON locals":  large(`{"locals": {"a": [`, `"${var.a}",`, `1]}}`),
		"JSON objects": large(`{"resource": [`, `{"a":{"b":{}}},`, `{}]}`),
		"JSON depth":   large(`{"locals": {"a": "`, `${(`, `"}}`),
	} {
		start := time.Now()
		var r Reader
		r.Changed(Change{Project: project.Project{Dir: "."}, Files: []string{"a.tf.json"}, After: map[string][]byte{"a.tf.json": []byte(text)}})
		t.Logf("%s: %v", name, time.Since(start))
	}
}

// TestMaxRead holds that a Reader reads no more than it says, and the same
// content once.
func TestMaxRead(t *testing.T) {
	r := Reader{bytes: maxRead - 20}
	for _, test := range []struct{ text, want string }{
		{"locals {\n  a = 1\n}\n", "local.a\n"},
		{"locals {\n  a = 1\n}\n", "local.a\n"},
		{"locals {\n  a = 2\n}\n", "anything\n"},
	} {
		c := Change{Project: project.Project{Dir: "."}, Files: []string{"a.tf"}, After: map[string][]byte{"a.tf": []byte(test.text)}}
		if got := show(r.Changed(c)); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
