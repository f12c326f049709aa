package plan

import (
	"fmt"
	"strings"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
)

// base is a plan that tells everything that it will do: one resource whose
// unknown attribute is the provider's, in a module with an instance key.
const base = `{"format_version":"1.2","terraform_version":"1.11.4",
"variables":{"region":{"value":"eu"}},
"resource_changes":[
 {"address":"module.m[\"a.b]\"].x_y.z[0]","module_address":"module.m[\"a.b]\"]","mode":"managed","type":"x_y","name":"z","index":0,"provider_name":"registry.terraform.io/acme/x",
  "change":{"actions":["create"],"before":null,"after":{"size":1,"secret":"hunter2"},"after_unknown":{"id":true},"before_sensitive":false,"after_sensitive":{"secret":true}}},
 {"address":"x_y.other","mode":"managed","type":"x_y","name":"other","provider_name":"registry.terraform.io/acme/x",
  "change":{"actions":["no-op"],"before":{"a":1},"after":{"a":1},"after_unknown":{}}}
],
"output_changes":{"o":{"actions":["create"],"before":null,"after":"v","after_unknown":false,"before_sensitive":false,"after_sensitive":false}},
"configuration":{"provider_config":{"x":{"name":"x","full_name":"registry.terraform.io/acme/x","expressions":{"region":{"constant_value":"eu"}}}},
 "root_module":{"module_calls":{"m":{"source":"./m","module":{"resources":[
  {"address":"x_y.z","mode":"managed","type":"x_y","name":"z","provider_config_key":"x","expressions":{"size":{"constant_value":1},"secret":{"references":["var.s"]}}}
 ]}}}}},
"timestamp":"2026-01-01T00:00:00Z"}`

var code = Code{Module: "module", Tree: "tree", Providers: "providers", Outputs: map[string]string{"o": "text"}, Versions: "x 1.0.0", Remote: "remote"}

func summary(t *testing.T, text string, c Code) Summary {
	t.Helper()
	return Summarise(read(t, text), c, []byte("key"))
}

// edit replaces one text of the base plan and insists that it is there once.
func edit(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if n := strings.Count(text, pairs[i]); n != 1 {
			t.Fatalf("%q is %d times in the plan", pairs[i], n)
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

func TestI3_ChangeDigestIsEqualForPlansThatDoTheSame(t *testing.T) {
	want := summary(t, base, code)
	if want.Opaque != "" {
		t.Fatalf("the base plan tells everything, and yet: %s", want.Opaque)
	}
	for _, test := range []struct {
		name  string
		pairs []string
		code  func(*Code)
	}{
		{"another time", []string{"2026-01-01", "2027-01-01"}, nil},
		{"another terraform", []string{`"1.11.4"`, `"1.12.0"`, `"1.2"`, `"1.3"`}, nil},
		{"drift", []string{`"output_changes"`, `"resource_drift":[{"address":"x_y.q","change":{"actions":["delete"]}}],"output_changes"`}, nil},
		{"what stays is another", []string{`"before":{"a":1},"after":{"a":1}`, `"before":{"a":2},"after":{"a":2}`}, nil},
		{"the reason is another", []string{`"name":"z","index":0,`, `"name":"z","index":0,"action_reason":"replace_by_request",`}, nil},
		{"the order of keys", []string{`"size":1,"secret":"hunter2"`, `"secret":"hunter2","size":1`}, nil},
		{"an expression that comes to the same", []string{`"size":{"constant_value":1}`, `"size":{"references":["var.size"]}`}, nil},
		{"a variable that no provider reads", []string{`"region":{"value":"eu"}`, `"region":{"value":"eu"},"new":{"value":1}`}, nil},
		{"code that decides nothing", nil, func(c *Code) { c.Module, c.Tree, c.Remote, c.Providers, c.ReadsOutside = "2", "2", "2", "2", true }},
		{"the text of an output whose value is known", nil, func(c *Code) { c.Outputs = nil }},
		{"a removed block with provisioners, and nothing is deleted", nil, func(c *Code) { c.RemovedRuns = true }},
		{"provisioners of what stays", []string{`"root_module":{`, `"root_module":{"resources":[{"mode":"managed","type":"x_y","name":"other","provisioners":[{"type":"local-exec"}]}],`}, nil},
	} {
		c := code
		if test.code != nil {
			test.code(&c)
		}
		if got := summary(t, edit(t, base, test.pairs...), c); got.ChangeDigest != want.ChangeDigest {
			t.Errorf("%s: the digest differs (%s)", test.name, got.Opaque)
		}
	}
}

func TestI3_ChangeDigestDiffersForPlansThatDoSomethingElse(t *testing.T) {
	seen := map[string]string{summary(t, base, code).ChangeDigest: "the base plan"}
	for _, test := range []struct {
		name  string
		pairs []string
		code  func(*Code)
	}{
		{"another value", []string{`"after":{"size":1,`, `"after":{"size":2,`}, nil},
		{"a number too large for a float", []string{`"after":{"size":1,`, `"after":{"size":12345678901234567890,`}, nil},
		{"its neighbour", []string{`"after":{"size":1,`, `"after":{"size":12345678901234567891,`}, nil},
		{"a text instead of a number", []string{`"after":{"size":1,`, `"after":{"size":"1",`}, nil},
		{"another secret", []string{"hunter2", "hunter3"}, nil},
		{"no secret any more", []string{`{"secret":true}`, `{}`}, nil},
		{"another instance", []string{`x_y.z[0]"`, `x_y.z[1]"`}, nil},
		{"another provider", []string{`"index":0,"provider_name":"registry.terraform.io/acme/x"`, `"index":0,"provider_name":"evil.example/acme/x"`}, nil},
		{"another configuration of the provider", []string{`"provider_config_key":"x"`, `"provider_config_key":"x.us"`}, nil},
		{"the provider is configured otherwise", []string{`"region":{"constant_value":"eu"}`, `"region":{"constant_value":"us"}`}, nil},
		{"the provider is of another version", nil, func(c *Code) { c.Versions = "x 1.0.1" }},
		{"other actions", []string{`"actions":["create"],"before":null,"after":{`, `"actions":["delete","create"],"before":null,"after":{`}, nil},
		{"the other order", []string{`"actions":["create"],"before":null,"after":{`, `"actions":["create","delete"],"before":null,"after":{`}, nil},
		{"imported", []string{`"after_unknown":{"id":true}`, `"importing":{"id":"i"},"after_unknown":{"id":true}`}, nil},
		{"imported from elsewhere", []string{`"after_unknown":{"id":true}`, `"importing":{"id":"j"},"after_unknown":{"id":true}`}, nil},
		{"moved", []string{`"mode":"managed","type":"x_y","name":"z","index":0`, `"previous_address":"x_y.old","mode":"managed","type":"x_y","name":"z","index":0`}, nil},
		{"another object of it", []string{`"mode":"managed","type":"x_y","name":"z","index":0`, `"deposed":"12","mode":"managed","type":"x_y","name":"z","index":0`}, nil},
		{"another path that replaces", []string{`"after_unknown":{"id":true}`, `"replace_paths":[["size"]],"after_unknown":{"id":true}`}, nil},
		{"what is unknown", []string{`"after_unknown":{"id":true}`, `"after_unknown":{"id":true,"arn":true}`}, nil},
		{"an output", []string{`"after":"v"`, `"after":"w"`}, nil},
		{"an output that is unknown", []string{`"after":"v","after_unknown":false`, `"after_unknown":true`}, nil},
		{"and of another text", []string{`"after":"v","after_unknown":false`, `"after_unknown":true`}, func(c *Code) { c.Outputs = map[string]string{"o": "other"} }},
		{"an output less", []string{`"o":{"actions":["create"]`, `"o":{"actions":["no-op"]`}, nil},
		{"one resource more", []string{`{"actions":["no-op"]`, `{"actions":["delete"]`}, nil},
		{"that is forgotten", []string{`{"actions":["no-op"]`, `{"actions":["forget"]`}, nil},
		{"an invoked action", []string{`"timestamp"`, `"action_invocations":[{"address":"action.x.y","type":"x"}],"timestamp"`}, nil},
		{"a deferred change", []string{`"timestamp"`, `"deferred_changes":[{"reason":"r","resource_change":{"address":"q"}}],"timestamp"`}, nil},
	} {
		c := code
		if test.code != nil {
			test.code(&c)
		}
		got := summary(t, edit(t, base, test.pairs...), c).ChangeDigest
		if other, ok := seen[got]; ok {
			t.Errorf("%s has the digest of %s", test.name, other)
		}
		seen[got] = test.name
	}
	if s := Summarise(read(t, base), code, []byte("other key")); seen[s.ChangeDigest] != "" {
		t.Error("the digest does not depend on the key")
	}
}

// What a plan does not tell is decided by code, and so the digest covers it.
func TestI3_ChangeDigestCoversCodeThatDecides(t *testing.T) {
	const sizeOpen = `"after_unknown":{"id":true,"size":true}`
	for _, test := range []struct {
		name  string
		pairs []string
		code  func(*Code)
		why   string
		tree  bool // of all files; else of the module
	}{
		{"a configured attribute is unknown", []string{`"after_unknown":{"id":true}`, sizeOpen}, nil, "size is known after apply only", false},
		{"a part of one is", []string{`"after_unknown":{"id":true}`, `"after_unknown":{"id":true,"size":{"a":[true]}}`}, nil, "size is known", false},
		{"an attribute that the configuration does not list is unknown in part", []string{`"after_unknown":{"id":true}`, `"after_unknown":{"block":[{"a":true}]}`}, nil, "block is known", false},
		{"an attribute in a nested block is", []string{`"after_unknown":{"id":true}`, `"after_unknown":{"block":[{"a":true}]}`, `"size":{"constant_value":1},`, `"size":{"constant_value":1},"block":[{"a":{"references":["x.y"]}}],`}, nil, "block is known", false},
		{"blocks may be hidden from the plan", nil, func(c *Code) { c.Hidden = true }, "z[0].id is known", false},
		{"a resource without configuration", []string{`"name":"z","provider_config_key"`, `"name":"zz","provider_config_key"`}, nil, "z[0].id is known", false},
		{"a configured attribute is unknown and files are read", []string{`"after_unknown":{"id":true}`, sizeOpen}, func(c *Code) { c.ReadsOutside = true }, "size is known", true},
		{"a provisioner", []string{`"provider_config_key":"x",`, `"provider_config_key":"x","provisioners":[{"type":"local-exec","expressions":{"command":{"constant_value":"./x.sh"}}}],`}, nil, "runs provisioners", true},
		{"a write-only argument", []string{`"size":{"constant_value":1},`, `"size":{"constant_value":1},"password_wo":{"references":["ephemeral.x"]},`}, nil, "password_wo is write-only", false},
		{"a read during the apply", []string{`"actions":["no-op"]`, `"actions":["read"]`}, nil, "x_y.other is read", false},
		{"an invoked action", []string{`"timestamp"`, `"action_invocations":[{"address":"action.x.y"}],"timestamp"`}, nil, "action.x.y is invoked", false},
		{"a deferred change", []string{`"timestamp"`, `"deferred_changes":[{"reason":"r"}],"timestamp"`}, nil, "deferred", false},
		{"an output of unclear text is unknown", []string{`"after":"v","after_unknown":false`, `"after_unknown":true`}, func(c *Code) { c.Outputs = nil }, "output o is known", false},
		{"a removed block with provisioners", []string{`"actions":["no-op"]`, `"actions":["delete"]`}, func(c *Code) { c.RemovedRuns = true }, "removed block", true},
		{"a provider that is configured by other resources", []string{`"region":{"constant_value":"eu"}`, `"region":{"references":["data.x.y"]}`}, func(c *Code) { c.Providers = "" }, "provider x is computed", false},
		{"a provider of a module that is computed", []string{`"region":{"constant_value":"eu"}`, `"region":{"references":["var.r"]}`, `"full_name"`, `"module_address":"module.m","full_name"`}, nil, "provider x is computed", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := code
			if test.code != nil {
				test.code(&c)
			}
			text := edit(t, base, test.pairs...)
			s := summary(t, text, c)
			if !strings.Contains(s.Opaque, test.why) {
				t.Errorf("opaque: %q, want something with %q", s.Opaque, test.why)
			}
			if covers := "the code of the module"; strings.HasSuffix(s.Opaque, covers) == test.tree {
				t.Errorf("opaque: %q", s.Opaque)
			}
			change := func(name string, f func(*Code)) bool {
				other := c
				f(&other)
				return summary(t, text, other).ChangeDigest != s.ChangeDigest
			}
			if got := change("module", func(c *Code) { c.Module = "2" }); got == test.tree {
				t.Errorf("another module changes the digest: %v", got)
			}
			if got := change("tree", func(c *Code) { c.Tree = "2" }); got != test.tree {
				t.Errorf("another tree changes the digest: %v", got)
			}
			if !change("remote", func(c *Code) { c.Remote = "2" }) {
				t.Error("other downloaded modules do not change the digest")
			}
			if summary(t, edit(t, text, `"variables":{"region":{"value":"eu"}}`, `"variables":{"region":{"value":"us"}}`), c).ChangeDigest == s.ChangeDigest {
				t.Error("another variable does not change the digest")
			}
		})
	}
}

// Two states may be equal, such as empty, and are two all the same.
func TestI3_ChangeDigestCoversTheBackend(t *testing.T) {
	of := func(text string, change func(*Code)) string {
		c := code
		change(&c)
		return summary(t, text, c).ChangeDigest
	}
	one, other := func(c *Code) { c.Backend = "1" }, func(c *Code) { c.Backend = "2" }
	if of(base, one) == of(base, other) || of(base, one) == of(base, func(*Code) {}) {
		t.Error("another backend does not change the digest")
	}
	moving := func(c *Code) { c.Backend, c.Moving = "1", true }
	us := edit(t, base, `"variables":{"region":{"value":"eu"}}`, `"variables":{"region":{"value":"us"}}`)
	if of(base, moving) == of(us, moving) {
		t.Error("a variable of the backend's does not change the digest")
	}
}

// The usual: a region from a variable. Not the module's code, but what the
// provider block says and what the variables are decides.
func TestI3_ChangeDigestCoversComputedProviders(t *testing.T) {
	text := edit(t, base, `"region":{"constant_value":"eu"}`, `"region":{"references":["var.region"]}`)
	want := summary(t, text, code)
	if want.Opaque != "" {
		t.Errorf("opaque: %s", want.Opaque)
	}
	c := code
	c.Module, c.Tree = "2", "2"
	if summary(t, text, c).ChangeDigest != want.ChangeDigest {
		t.Error("the module's code changes the digest")
	}
	c = code
	c.Providers = "2"
	if summary(t, text, c).ChangeDigest == want.ChangeDigest {
		t.Error("another text of the provider block does not change the digest")
	}
	if summary(t, edit(t, text, `"value":"eu"`, `"value":"us"`), code).ChangeDigest == want.ChangeDigest {
		t.Error("another region does not change the digest")
	}
}

func TestModulePath(t *testing.T) {
	for address, want := range map[string]string{
		"":                                       "",
		"module.a":                               "a/",
		"module.a.module.b":                      "a/b/",
		`module.a["x.module.y"].module.b[0]`:     "a/b/",
		`module.a["]"].module.b["\"].module.c"]`: "a/b/",
		`module.a["\\"].module.b`:                "a/b/",
	} {
		if got := modulePath(address); got != want {
			t.Errorf("modulePath(%s) = %q, want %q", address, got, want)
		}
	}
}

// Resources of one address follow each other in any order of the plan.
func TestI3_ChangeDigestDoesNotDependOnOrder(t *testing.T) {
	var p, q tfjson.Plan
	for i := range 20 {
		rc := &tfjson.ResourceChange{Address: fmt.Sprint("x_y.z", i%7), DeposedKey: fmt.Sprint(i), Change: &tfjson.Change{Actions: tfjson.Actions{tfjson.ActionDelete}}}
		p.ResourceChanges = append(p.ResourceChanges, rc)
		q.ResourceChanges = append([]*tfjson.ResourceChange{rc}, q.ResourceChanges...)
	}
	if Summarise(&p, code, nil).ChangeDigest != Summarise(&q, code, nil).ChangeDigest {
		t.Error("the order of a plan's resources changes the digest")
	}
}
