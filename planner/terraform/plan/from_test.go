package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The configuration is in the shape that Terraform 1.11 gives it.
const traced = `{"format_version":"1.2",
"variables":{"size":{"value":"s"},"secret":{"value":"hunter2"}},
"resource_changes":[
 {"address":"terraform_data.a[\"s\"]","mode":"managed","type":"terraform_data","name":"a","index":"s","provider_name":"terraform.io/builtin/terraform",
  "change":{"actions":["update"],"before":{"input":"x","plain":1,"other":1},"after":{"input":"y","plain":2,"other":2},"after_unknown":{}}},
 {"address":"module.m[\"k.x\"].google_thing.b[0]","module_address":"module.m[\"k.x\"]","mode":"managed","type":"google_thing","name":"b","index":0,"provider_name":"registry.terraform.io/hashicorp/google-beta",
  "change":{"actions":["update"],"before":{"input":"x","z":"1","given":1,"defaulted":1,"block":[]},"after":{"input":"y","z":"2","given":2,"defaulted":2,"block":[{"a":1}]},"after_unknown":{}}},
 {"address":"terraform_data.c","mode":"managed","type":"terraform_data","name":"c","provider_name":"terraform.io/builtin/terraform",
  "change":{"actions":["delete","create"],"before":{"input":"x","triggers_replace":"1"},"after":{"triggers_replace":"2"},"after_unknown":{"input":true}}},
 {"address":"terraform_data.gone","mode":"managed","type":"terraform_data","name":"gone","provider_name":"terraform.io/builtin/terraform",
  "change":{"actions":["delete"],"before":{"input":"x"},"after":null}}
],
"output_changes":{"o":{"actions":["update"],"before":"a","after":"b"}},
"configuration":{"root_module":{
 "outputs":{"o":{"expression":{"references":["module.m[\"k\"].out.x","module.m[\"k\"].out","module.m[\"k\"]"]}}},
 "resources":[
  {"address":"terraform_data.a","mode":"managed","type":"terraform_data","name":"a",
   "expressions":{"input":{"references":["each.key","local.l"]},"plain":{"constant_value":2}},
   "for_each_expression":{"references":["var.size"]}},
  {"address":"terraform_data.c","mode":"managed","type":"terraform_data","name":"c",
   "expressions":{"input":{},"triggers_replace":{"references":["module.m[\"k\"].out","module.m[\"k\"]"]}}}],
 "module_calls":{"m":{"source":"./m",
  "expressions":{"in":{"references":["terraform_data.a[\"x.y\"].output","terraform_data.a[\"x.y\"]","terraform_data.a","data.aws_ami.z.id","data.aws_ami.z"]},
   "each":{"references":["each.value"]},"given":{"constant_value":1}},
  "for_each_expression":{"references":["local.ms"]},
  "module":{
   "outputs":{"out":{"expression":{"references":["google_thing.b[0].id","google_thing.b[0]","google_thing.b"]}}},
   "resources":[{"address":"google_thing.b","mode":"managed","type":"google_thing","name":"b",
    "expressions":{"input":{"references":["var.in.v","var.in"]},"z":{"references":["var.each","path.module"]},"given":{"references":["var.given"]},
     "defaulted":{"references":["var.defaulted"]},"block":[{"a":{"references":["local.b"]}}]},
    "count_expression":{"constant_value":2}}],
   "variables":{"in":{},"each":{},"given":{},"defaulted":{"default":1}}}}},
 "variables":{"size":{"default":"s"}}}}}`

func TestFrom(t *testing.T) {
	s := Summarise(read(t, traced), Code{}, []byte("key"))
	type from struct {
		From     []string
		Constant bool
	}
	got := map[string]from{}
	for _, c := range s.Changes {
		got[c.Address+" "+c.Provider] = from{From: c.From}
		for _, a := range c.Attributes {
			got[c.Address+"."+a.Name] = from{a.From, a.Constant}
		}
	}
	got["output.o"] = from{From: s.Outputs[0].From}
	b := `module.m["k.x"].google_thing.b[0]`
	want := map[string]from{
		`terraform_data.a["s"] `:                           {From: []string{"var.size"}},
		`terraform_data.a["s"].input`:                      {From: []string{"local.l", "var.size"}},
		`terraform_data.a["s"].plain`:                      {Constant: true},
		`terraform_data.a["s"].other`:                      {}, // not configured
		b + " registry.terraform.io/hashicorp/google-beta": {From: []string{"local.ms"}},
		b + ".input":                        {From: []string{"data.aws_ami.z.id", "terraform_data.a.output"}},
		b + ".z":                            {From: []string{"local.ms"}},
		b + ".given":                        {Constant: true},
		b + ".defaulted":                    {Constant: true},
		b + ".block":                        {From: []string{"module.m.local.b"}},
		"terraform_data.c ":                 {},
		"terraform_data.c.input":            {}, // a function: no constant
		"terraform_data.c.triggers_replace": {From: []string{"module.m.google_thing.b.id"}},
		"terraform_data.gone ":              {},
		"terraform_data.gone.input":         {},
		"output.o":                          {From: []string{"module.m.google_thing.b.id"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("from (-want +got):\n%s", diff)
	}
}

// Where values come from is told to people; it is no part of what was approved.
func TestI3_FromIsNotInTheDigest(t *testing.T) {
	p := read(t, traced)
	before := Summarise(p, Code{}, []byte("key"))
	p.Config.RootModule.Resources[0].Expressions["input"].References = []string{"local.other"}
	after := Summarise(p, Code{}, []byte("key"))
	if before.Changes[0].Address == after.Changes[0].Address && before.ChangeDigest != after.ChangeDigest {
		t.Error("the digest covers references")
	}
}

func TestInputs(t *testing.T) {
	one := Summarise(read(t, traced), Code{}, []byte("key")).Inputs
	p := read(t, traced)
	p.Variables["size"].Value = "m"
	two := Summarise(p, Code{}, []byte("key")).Inputs
	if len(one) != 2 || one["size"] == two["size"] || one["secret"] != two["secret"] {
		t.Errorf("got %v and %v, want one that differs", one, two)
	}
	if other := Summarise(p, Code{}, []byte("other key")).Inputs; other["secret"] == two["secret"] {
		t.Error("a digest of a variable is not keyed")
	}
}

// A configuration that refers to itself in a circle, which Terraform refuses,
// ends too.
func TestFromOfACircle(t *testing.T) {
	s := Summarise(read(t, `{"format_version":"1.2","resource_changes":[{"address":"a_b.c","mode":"managed","type":"a_b","name":"c",
		"change":{"actions":["update"],"before":{"x":1},"after":{"x":2}}}],
		"configuration":{"root_module":{"resources":[{"mode":"managed","type":"a_b","name":"c","expressions":{"x":{"references":["module.m.o"]}}}],
		"module_calls":{"m":{"expressions":{"v":{"references":["module.m.o"]}},"module":{"outputs":{"o":{"expression":{"references":["var.v"]}}}}}}}}}`),
		Code{}, nil)
	if len(s.Changes[0].Attributes[0].From) != 0 {
		t.Errorf("got %+v", s.Changes[0])
	}
}
