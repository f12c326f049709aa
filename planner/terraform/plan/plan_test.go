package plan

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files")

func read(t testing.TB, text string) *tfjson.Plan {
	t.Helper()
	d := NewDecoder()
	if _, err := io.WriteString(d, text); err != nil {
		t.Fatal(err)
	}
	p, err := d.Plan()
	if err != nil {
		t.Fatalf("read plan: %v", err)
	}
	return p
}

// Each testdata/*.json is a plan; its summary is beside it as *.golden.
func TestSummariseGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			input, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := Summarise(read(t, string(input)), Code{Module: "module", Tree: "tree"}, []byte("key"))
			got, err := json.MarshalIndent(s, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(got), "hunter2") {
				t.Errorf("a sensitive value is in the summary:\n%s", got)
			}
			golden := strings.TrimSuffix(file, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("summary (-want +got):\n%s", diff)
			}
		})
	}
}

// What becomes sensitive with this change was a secret before it, too.
func TestI8_SensitiveOnOneSideHidesBoth(t *testing.T) {
	for _, sides := range [][2]string{{`{}`, `{"a":true,"b":[false,true],"c":{"d":true}}`}, {`{"a":true,"b":[false,true],"c":{"d":true}}`, `false`}} {
		p := read(t, fmt.Sprintf(`{"format_version":"1.2","resource_changes":[{"address":"x_y.z","mode":"managed","type":"x_y","name":"z","change":{
			"actions":["update"],
			"before":{"a":"hunter2","b":["x","hunter2"],"c":{"d":"hunter2","e":1}},
			"after":{"a":"hunter22","b":["y","hunter22"],"c":{"d":"hunter22","e":2}},
			"before_sensitive":%s,"after_sensitive":%s}}],
			"output_changes":{"o":{"actions":["update"],"before":"hunter2","after":"hunter22","before_sensitive":false,"after_sensitive":true}}}`, sides[0], sides[1]))
		s := Summarise(p, Code{}, nil)
		want := []Attribute{
			{Name: "a", Before: "(sensitive)", After: "(sensitive)"},
			{Name: "b", Before: `["x","(sensitive)"]`, After: `["y","(sensitive)"]`},
			{Name: "c", Before: `{"d":"(sensitive)","e":1}`, After: `{"d":"(sensitive)","e":2}`},
		}
		if diff := cmp.Diff(want, s.Changes[0].Attributes); diff != "" {
			t.Errorf("attributes (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]Output{{Name: "o", Action: Update, Before: "(sensitive)", After: "(sensitive)"}}, s.Outputs); diff != "" {
			t.Errorf("outputs (-want +got):\n%s", diff)
		}
	}
}

func TestSummariseNil(t *testing.T) {
	s := Summarise(nil, Code{Module: "m", Providers: "p"}, []byte("k"))
	if !s.Empty() || s.ChangeDigest == "" || s.Opaque != "" {
		t.Errorf("got %+v", s)
	}
	if other := Summarise(&tfjson.Plan{}, Code{Module: "other"}, []byte("k")); other.ChangeDigest != s.ChangeDigest {
		t.Error("two plans that change nothing have two digests")
	}
}

func TestSummaryIsBounded(t *testing.T) {
	p := &tfjson.Plan{OutputChanges: map[string]*tfjson.Change{}}
	for i := range 2500 {
		after := map[string]any{}
		if i == 0 {
			for j := range 100 {
				after[fmt.Sprintf("a%03d", j)] = strings.Repeat("é<", 5000)
			}
		}
		p.ResourceChanges = append(p.ResourceChanges, &tfjson.ResourceChange{
			Address: fmt.Sprintf("x_y.z[%04d]", i), Type: "x_y",
			Change: &tfjson.Change{Actions: tfjson.Actions{tfjson.ActionCreate}, After: after},
		})
		p.OutputChanges[fmt.Sprintf("o%04d", i)] = &tfjson.Change{Actions: tfjson.Actions{tfjson.ActionCreate}, After: "v"}
	}
	p.ResourceChanges = append(p.ResourceChanges, &tfjson.ResourceChange{
		Address: "z_z.last", Type: "z_z", Change: &tfjson.Change{Actions: tfjson.Actions{tfjson.ActionDelete}},
	})
	s := Summarise(p, Code{}, nil)
	if s.Create != 2500 || s.Delete != 1 || len(s.Changes) != 2000 || len(s.Outputs) != 2000 || !s.Cut {
		t.Errorf("got %d created, %d deleted, %d changes, %d outputs, cut %v", s.Create, s.Delete, len(s.Changes), len(s.Outputs), s.Cut)
	}
	if s.Changes[0].Action != Delete {
		t.Errorf("the first is %+v, want what is destroyed", s.Changes[0])
	}
	big := s.Changes[1].Attributes
	if len(big) != 40 {
		t.Errorf("%d attributes, want 40", len(big))
	}
	if n := len([]rune(big[0].After)); n != 200 || !strings.HasPrefix(big[0].After, `"é<é<`) || !strings.HasSuffix(big[0].After, "…") {
		t.Errorf("a value of %d characters: %s", n, big[0].After)
	}
}

func TestDecoderRefuses(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "EOF"},
		{"a list", "[]", "EOF"},
		{"text alone", "Warning: no file {\n" + strings.Repeat("x", 10000) + "\n", "EOF"},
		{"half a plan", `{"format_version":"1.2","resource_changes":[{"address":"a.b"`, "resource_changes"},
		{"another format", `{"format_version":"2.0"}`, "unsupported plan format version"},
		{"no version", `{}`, "format version is missing"},
		{"changes that are no list", `{"format_version":"1.2","resource_changes":{}}`, "want a list"},
	} {
		d := NewDecoder()
		// All of it must be taken even when its beginning is refused.
		if _, err := io.WriteString(d, test.text+strings.Repeat(" ", 1<<20)); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if _, err := d.Plan(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want something with %q", test.name, err, test.want)
		}
	}
	p := read(t, `{"format_version":"1.2","resource_changes":null,"resource_drift":null,"new_thing":{"a":[1]}}`)
	if len(p.ResourceChanges) != 0 {
		t.Errorf("got %+v", p)
	}
}

func TestDecoderSkipsTextBeforeThePlan(t *testing.T) {
	p := read(t, "\nWarning: Unable to open CLI configuration file\n\nThe block { in \"x\" "+strings.Repeat("x", 10000)+
		"\n{\"format_version\":\"1.2\",\"terraform_version\":\"1.12.6\"}\n")
	if p.TerraformVersion != "1.12.6" {
		t.Errorf("got %+v, want what stands after the text", p)
	}
}

// Whatever is marked stands nowhere in the rendering, and marks of a shape
// that does not fit hide more and never less.
func TestI8_RenderHidesExactlyWhatIsSensitive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := 0
		var secret []string
		leaf := func(hidden bool) string {
			n++
			if hidden {
				secret = append(secret, fmt.Sprintf("secret-%d-", n))
				return secret[len(secret)-1]
			}
			return fmt.Sprintf("plain-%d-", n)
		}
		var build func(depth int, hidden bool) (any, any)
		build = func(depth int, hidden bool) (any, any) {
			mark := hidden || rapid.Float64Range(0, 1).Draw(t, "mark") < 0.2
			switch kind := rapid.IntRange(0, 3).Draw(t, "kind"); {
			case depth == 0 || kind < 2:
				return leaf(mark), mark
			case kind == 2:
				v, m := map[string]any{}, map[string]any{}
				for i := range rapid.IntRange(0, 4).Draw(t, "size") {
					key := fmt.Sprintf("k%d", i)
					inner, innerMark := build(depth-1, mark)
					v[key], m[key] = inner, innerMark
				}
				if mark {
					return v, true
				}
				return v, m
			default:
				var v, m []any
				for range rapid.IntRange(0, 4).Draw(t, "size") {
					inner, innerMark := build(depth-1, mark)
					v, m = append(v, inner), append(m, innerMark)
				}
				if mark {
					return v, true
				}
				return v, m
			}
		}
		v, m := build(4, false)
		text, err := json.Marshal(cover(v, m, nil))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range secret {
			if strings.Contains(string(text), s) {
				t.Fatalf("%s is in %s", s, text)
			}
		}
		if want := n - len(secret); strings.Count(string(text), "plain-") != want {
			t.Fatalf("%d of %d plain values are in %s", strings.Count(string(text), "plain-"), want, text)
		}
	})
	for _, test := range []struct{ value, sensitive, unknown, want string }{
		{`"a"`, `false`, `false`, `"a"`},
		{`"a"`, `true`, `false`, `(sensitive)`},
		{`null`, `true`, `false`, `(sensitive)`},
		{`"a"`, `{"x":true}`, `false`, `"(sensitive)"`},
		{`["a"]`, `{"x":true}`, `false`, `"(sensitive)"`},
		{`{"x":"a"}`, `[true]`, `false`, `"(sensitive)"`},
		{`["a"]`, `[false,true]`, `false`, `["a"]`},
		{`{"x":"a"}`, `{}`, `{"y":true}`, `{"x":"a","y":"(known after apply)"}`},
		{`{"x":"a"}`, `{"y":true}`, `{"y":true}`, `{"x":"a","y":"(sensitive)"}`},
		{`null`, `false`, `[{"a":true}]`, `[{"a":"(known after apply)"}]`},
		{`["a",null]`, `[]`, `[false,true]`, `["a","(known after apply)"]`},
		{`"a"`, `false`, `true`, `(known after apply)`},
		{`{"z":1}`, `{"z":false}`, `{}`, `{"z":1}`},
	} {
		var v, s, u any
		for _, side := range []struct {
			text string
			to   *any
		}{{test.value, &v}, {test.sensitive, &s}, {test.unknown, &u}} {
			if err := json.Unmarshal([]byte(side.text), side.to); err != nil {
				t.Fatal(err)
			}
		}
		if got := render(v, s, u); got != test.want {
			t.Errorf("render(%s, %s, %s) = %s, want %s", test.value, test.sensitive, test.unknown, got, test.want)
		}
	}
}

// Whatever a plan holds, reading and summarising it does not panic, and its
// summary is one that can be stored.
func FuzzSummarise(f *testing.F) {
	for _, file := range []string{"testdata/everything.json", "testdata/empty.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(base)
	f.Fuzz(func(t *testing.T, text string) {
		d := NewDecoder()
		if _, err := io.WriteString(d, text); err != nil {
			t.Fatal(err)
		}
		p, err := d.Plan()
		if err != nil {
			return
		}
		s := Summarise(p, code, []byte("key"))
		if _, err := json.Marshal(s); err != nil {
			t.Fatal(err)
		}
		if again := Summarise(p, code, []byte("key")); again.ChangeDigest != s.ChangeDigest {
			t.Fatal("one plan has two digests")
		}
	})
}
