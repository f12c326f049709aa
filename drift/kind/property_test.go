package kind

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir/drift/finding"
	"weir/planner/terraform/plan"
)

func drawEvidence(t *rapid.T) Evidence {
	value := rapid.SampledFrom([]string{"", `"a"`, `"b"`, `"c"`, masked, unknown})
	names := []string{"id", "name", "tags", "tags_all", "policy"}
	var e Evidence
	var references []string
	for _, r := range []string{"var.x", "local.y", "data.aws_ami.z.id", "module.m.data.aws_ami.z.id"} {
		if rapid.Bool().Draw(t, r) {
			references = append(references, r)
		}
	}
	var blocks []string
	for i := range rapid.IntRange(0, 8).Draw(t, "resources") {
		address := fmt.Sprintf("%saws_%d.a%s", rapid.SampledFrom([]string{"", `module.m["x.y"].`}).Draw(t, "module"), i,
			rapid.SampledFrom([]string{"", "[0]", `["k"]`}).Draw(t, "key"))
		from := rapid.SliceOfNDistinct(rapid.SampledFrom(append([]string{"local.q"}, references...)), 0, 2, rapid.ID[string])
		attributes := func(label string) []plan.Attribute {
			var list []plan.Attribute
			for _, name := range names {
				if !rapid.Bool().Draw(t, label+name) {
					continue
				}
				a := plan.Attribute{Name: name, Before: value.Draw(t, "before"), After: value.Draw(t, "after"), ForcesReplace: rapid.Bool().Draw(t, "forces")}
				if rapid.Bool().Draw(t, "configured") {
					a.From = from.Draw(t, "from")
					a.Constant = len(a.From) == 0
				}
				list = append(list, a)
			}
			return list
		}
		drifts := rapid.Bool().Draw(t, "drifts")
		if drifts {
			d := plan.Change{Address: address, Type: "aws_x", Action: rapid.SampledFrom([]plan.Action{plan.Update, plan.Delete}).Draw(t, "drift")}
			if d.Action == plan.Update {
				d.Attributes = attributes("drift ")
			}
			if d.Action == plan.Delete || len(d.Attributes) > 0 {
				e.Summary.Drift = append(e.Summary.Drift, d)
			}
		}
		if !drifts || rapid.Bool().Draw(t, "changes") {
			e.Summary.Changes = append(e.Summary.Changes, plan.Change{
				Address: address, Type: "aws_x", From: from.Draw(t, "from"), Attributes: attributes(""),
				Action: rapid.SampledFrom([]plan.Action{plan.Create, plan.Update, plan.Replace, plan.Delete, plan.Read, plan.Forget, plan.NoOp}).Draw(t, "action"),
			})
		}
		blocks = append(blocks, block(address))
		references = append(references, block(address)+".id", block(address))
	}
	touches := rapid.Custom(func(t *rapid.T) Touch {
		touch := Touch{Commit: "0123456789", Pull: rapid.IntRange(0, 3).Draw(t, "pull"), Files: []string{rapid.SampledFrom([]string{"a.tf", "x.tfvars", ".terraform.lock.hcl"}).Draw(t, "file")}}
		if len(blocks) > 0 && rapid.Bool().Draw(t, "known") {
			touch.Blocks = rapid.SliceOfN(rapid.SampledFrom(append([]string{"var.x", "module.m"}, blocks...)), 0, 3).Draw(t, "blocks")
		}
		return touch
	})
	e.Since = rapid.SliceOfN(touches, 0, 3).Draw(t, "since")
	versions := rapid.Custom(func(t *rapid.T) Versions {
		v := rapid.SampledFrom([]string{"", "1.0.0", "1.1.0"})
		return Versions{Terraform: v.Draw(t, "terraform"), Providers: map[string]string{"x/hashicorp/aws": v.Draw(t, "provider")}, Modules: map[string]string{"m": v.Draw(t, "module")}}
	})
	e.Now = versions.Draw(t, "now")
	if rapid.Bool().Draw(t, "applied") {
		e.Applied = &Apply{
			Commit: "abc", Pull: rapid.IntRange(0, 3).Draw(t, "pull"), State: rapid.SampledFrom([]State{"", Open, Closed, Landed}).Draw(t, "state"),
			Failed: rapid.Bool().Draw(t, "failed"), More: rapid.Bool().Draw(t, "more"), Gone: rapid.Bool().Draw(t, "gone"), Versions: versions.Draw(t, "then"),
		}
	}
	return e
}

// Whatever the evidence is: nothing that a plan would do is left without a
// finding, each has a kind and a reason, none is there twice, and the order of
// what is given decides nothing.
func TestNothingIsLeftOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvidence(t)
		found, _ := Classify(e)
		keys, addresses := map[finding.Key]bool{}, map[string]bool{}
		for _, f := range found {
			if f.Kind == "" || f.Why == "" || f.Type == "" || f.Severity != "" {
				t.Fatalf("a finding is not complete: %+v", f)
			}
			if keys[f.Key()] {
				t.Fatalf("%v is there twice", f.Key())
			}
			keys[f.Key()], addresses[f.Address] = true, true
		}
		for _, c := range e.Summary.Changes {
			if c.Action != plan.Read && !addresses[c.Address] {
				t.Fatalf("%s of %s has no finding", c.Action, c.Address)
			}
		}
		for _, d := range e.Summary.Drift {
			if d.Action == plan.Delete && !keys[finding.Key{Address: d.Address, Kind: finding.Deleted}] {
				t.Fatalf("%s is deleted, and that is no finding", d.Address)
			}
		}
		other := e
		other.Summary.Changes, other.Summary.Drift = slices.Clone(e.Summary.Changes), slices.Clone(e.Summary.Drift)
		slices.Reverse(other.Summary.Changes)
		slices.Reverse(other.Summary.Drift)
		again, _ := Classify(other)
		if diff := cmp.Diff(found, again); diff != "" {
			t.Fatalf("another order, other findings:\n%s", diff)
		}
	})
}

// What the drift or the plan of an attribute hides is in no finding of it.
func TestI8_WhatOneSideHidesIsHidden(t *testing.T) {
	for _, hidden := range []string{masked, `{"a":"(sensitive)"}`} {
		found, _ := Classify(Evidence{Summary: plan.Summary{
			Changes: []plan.Change{{Address: "a_b.c", Type: "a_b", Action: plan.Update, Attributes: []plan.Attribute{{Name: "x", Before: `"hunter2"`, After: `"hunter1"`, Constant: true}}}},
			Drift:   []plan.Change{{Address: "a_b.c", Type: "a_b", Action: plan.Update, Attributes: []plan.Attribute{{Name: "x", Before: hidden, After: `"hunter2"`}}}},
		}})
		if len(found) != 1 || found[0].Declared != masked || found[0].Deployed != masked {
			t.Errorf("got %+v", found)
		}
	}
}

// The merge of what was applied comes after the apply, and is no change since;
// another one between the two is.
func TestMergeOfWhatWasApplied(t *testing.T) {
	change := plan.Change{Address: "a_b.c", Type: "a_b", Action: plan.Update, Attributes: []plan.Attribute{{Name: "x", Before: "1", After: "2", Constant: true}}}
	own, other := Touch{Commit: "own", Files: []string{"a.tf"}}, Touch{Commit: "other", Pull: 13, Files: []string{"a.tf"}}
	for _, test := range []struct {
		name    string
		applied Apply
		since   []Touch
		want    finding.Kind
		pull    int
	}{
		{"its own merge", Apply{Pull: 12, State: Landed, MergedAs: "own"}, []Touch{own}, finding.Unknown, 0},
		{"its own commits", Apply{Pull: 13, State: Landed}, []Touch{other}, finding.Unknown, 0},
		{"another before it", Apply{Pull: 12, State: Landed, MergedAs: "own"}, []Touch{own, other}, finding.Merged, 13},
		{"with more commits", Apply{Pull: 13, State: Landed, More: true}, []Touch{other}, finding.Merged, 13},
		{"after an apply that failed", Apply{Pull: 13, State: Landed, Failed: true}, []Touch{other}, finding.Merged, 13},
		{"what is not in the branch any more", Apply{Pull: 12, State: Landed, Gone: true}, nil, finding.Unmerged, 12},
	} {
		found, _ := Classify(Evidence{Summary: plan.Summary{Changes: []plan.Change{change}}, Applied: &test.applied, Since: test.since})
		if len(found) != 1 || found[0].Kind != test.want || found[0].Pull != test.pull {
			t.Errorf("%s: got %+v, want %s by #%d", test.name, found, test.want, test.pull)
		}
	}
}

func TestBounded(t *testing.T) {
	var e Evidence
	for i := range Max + 1 {
		e.Summary.Changes = append(e.Summary.Changes, plan.Change{Address: fmt.Sprintf("a_b.c[%04d]", i), Type: "a_b", Action: plan.Create, From: []string{"a_b.c"}})
	}
	e.Summary.Changes = append(e.Summary.Changes, plan.Change{Address: "z_z.z", Type: "z_z", Action: plan.Delete})
	found, cut := Classify(e)
	if len(found) != Max || !cut || found[0].Address != "z_z.z" {
		t.Errorf("got %d findings, cut %v, first %+v", len(found), cut, found[0])
	}
	if _, cut := Classify(Evidence{Summary: plan.Summary{Cut: true}}); !cut {
		t.Error("a plan that is cut has findings that are not")
	}
}

func TestAddresses(t *testing.T) {
	for _, test := range []struct{ address, block string }{
		{"aws_a.b", "aws_a.b"},
		{`module.a["x.y"].module.b[0].aws_a.b["k\"].[z"]`, "module.a.module.b.aws_a.b"},
		{"aws_a.b[0] (deposed object 1234)", "aws_a.b"},
	} {
		if got := block(test.address); got != test.block {
			t.Errorf("block(%s) = %s, want %s", test.address, got, test.block)
		}
	}
	for _, test := range []struct{ reference, block, attribute string }{
		{"aws_a.b", "aws_a.b", ""},
		{"module.m.aws_a.b.id", "module.m.aws_a.b", "id"},
		{"module.module.aws_a.b", "module.module.aws_a.b", ""}, // a module named module
		{"var.x", "", ""},
		{"module.m", "", ""},
		{"module.m.local.x", "", ""},
		{"data.aws_ami.x.id", "", ""},
	} {
		if b, a := upstream(test.reference); b != test.block || a != test.attribute {
			t.Errorf("upstream(%s) = %s, %s", test.reference, b, a)
		}
	}
	if diff := cmp.Diff([]string{"a", "b"}, calls("module.a.module.b.aws_a.b")); diff != "" {
		t.Error(diff)
	}
}
