package adopt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir/drift/finding"
	"weir/planner/terraform"
	"weir/planner/terraform/plan"
)

// project is one whose plans are made by a function of its code.
func project(t *testing.T, code string, plan func(code string) (*terraform.Plan, string)) Project {
	t.Helper()
	root := t.TempDir()
	path := filepath.Join(root, "main.tf")
	if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	return Project{Root: root, Dir: ".", Plan: func(context.Context) (*terraform.Plan, string, error) {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, "", err
		}
		made, failure := plan(string(data))
		return made, failure, nil
	}}
}

// changes is a plan of some version.
func changes(version string, all ...terraform.Change) *terraform.Plan {
	return &terraform.Plan{Version: version, Summary: terraform.Summary{Changes: all}}
}

// TestRefused holds what is said where Terraform itself cannot be had to show it.
func TestRefused(t *testing.T) {
	const code = "resource \"x\" \"y\" {\n}\n"
	create, gone := terraform.Change{Address: "x.y", Action: terraform.Create}, terraform.Change{Address: "x.z", Action: terraform.Delete}
	ids := Asked{Addresses: []string{"x.y"}, IDs: map[string]string{"x.y": "@acme/all `1`"}}
	forget := Asked{Addresses: []string{"x.z"}, Findings: []finding.Finding{{Address: "x.z", Kind: finding.Merged, Action: "delete"}}}
	for name, tt := range map[string]struct {
		asked         Asked
		before, after *terraform.Plan
		want          string
	}{
		"import before 1.5":                      {ids, changes("1.4.6", create), nil, "import blocks need Terraform 1.5 or later, and this is `1.4.6`"},
		"removed before 1.7":                     {forget, changes("1.6.0-beta1", gone), nil, "removed blocks need Terraform 1.7 or later, and this is `1.6.0-beta1`"},
		"the state has the one that was deleted": {ids, changes("1.9.0", create), changes("1.9.0", create), "If its state still has one that is gone, that has to go first"},
		"an import that destroys": {
			ids, changes("1.9.0", create), changes("1.9.0", terraform.Change{Address: "x.y", Importing: "1", Action: terraform.Delete}), "with this id a plan would delete it",
		},
		"an import that changes what is not known": {
			ids, changes("1.9.0", create), changes("1.9.0", terraform.Change{Address: "x.y", Importing: "1", Action: terraform.Update}), "it would be imported, and then changed",
		},
		"others are destroyed":          {ids, changes("1.9.0", create), changes("1.9.0", gone), "with this edit a plan would delete `x.z`, too"},
		"a removed block that destroys": {forget, changes("1.9.0", gone), changes("1.9.0", gone), "with a removed block a plan would still delete it"},
		"too many changes": {
			ids, changes("1.9.0", create), &terraform.Plan{Version: "1.9.0", Summary: terraform.Summary{Cut: true}}, "the plan has more changes than can be looked at",
		},
	} {
		r, failure, err := Adopt(t.Context(), project(t, code, func(now string) (*terraform.Plan, string) {
			if now == code {
				return tt.before, ""
			}
			if tt.after == nil {
				t.Errorf("%s: planned with %s", name, now)
			}
			return tt.after, ""
		}), tt.asked)
		if failure != "" || err != nil || len(r.Files)+len(r.Done) > 0 || len(r.Not) != 1 || !strings.Contains(r.Not[0], tt.want) || r.Gone {
			t.Errorf("%s: %+v, %q, %v", name, r, failure, err)
		}
	}
	broken := project(t, code, func(string) (*terraform.Plan, string) { return nil, "It is broken." })
	if r, failure, err := Adopt(t.Context(), broken, ids); failure != "It is broken." || err != nil || len(r.Files) > 0 {
		t.Errorf("%+v, %q, %v", r, failure, err)
	}
}

// TestImportsOneByOne imports instances of one resource, of which one has a
// wrong id.
func TestImportsOneByOne(t *testing.T) {
	const code = "resource \"x\" \"y\" {\n  count = 3\n}\n"
	asked := Asked{IDs: map[string]string{"x.y[0]": "0", "x.y[1]": "1", "x.y[2]": "2"}}
	r, failure, err := Adopt(t.Context(), project(t, code, func(now string) (*terraform.Plan, string) {
		with := changes("1.9.0")
		for i := range 3 {
			c := terraform.Change{Address: fmt.Sprintf("x.y[%d]", i), Action: terraform.Create}
			if strings.Contains(now, fmt.Sprintf("id = \"%d\"", i)) {
				c.Action, c.Importing = terraform.NoOp, "it"
				if i == 1 {
					c.Action, c.Attributes = terraform.Replace, []terraform.Attribute{{Name: "zone", ForcesReplace: true}, {Name: "size"}}
				}
			}
			with.Summary.Changes = append(with.Summary.Changes, c)
		}
		return with, ""
	}), asked)
	if failure != "" || err != nil {
		t.Fatal(failure, err)
	}
	if diff := cmp.Diff([]string{"`x.y[0]`, imported as `0`", "`x.y[2]`, imported as `2`"}, r.Done); diff != "" || !r.State {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"`x.y[1]`: with this id a plan would replace it because of its `zone`: is it that of something else?"}, r.Not); diff != "" {
		t.Error(diff)
	}
}

// TestHalvesProperty lets some edits make the plan fail: they are never made,
// what is made was planned just so, few plans are needed, and something is said
// of every resource.
func TestHalvesProperty(t *testing.T) {
	const most = 12
	var code strings.Builder
	before := &terraform.Plan{Version: "1.9.0"}
	var asked Asked
	for i := range most {
		fmt.Fprintf(&code, "resource \"x\" \"r%d\" {\n  a = \"declared %d\"\n}\n", i, i)
		address := fmt.Sprintf("x.r%d", i)
		before.Summary.Changes = append(before.Summary.Changes, terraform.Change{Address: address, Action: terraform.Update})
		before.Values = append(before.Values, plan.Value{Address: address, Attribute: "a", Declared: fmt.Appendf(nil, "%q", fmt.Sprint("declared ", i)), Deployed: fmt.Appendf(nil, "%q", fmt.Sprint("deployed ", i))})
		asked.Findings = append(asked.Findings, finding.Finding{Address: address, Attribute: "a", Kind: finding.Changed, Action: "update"})
	}
	var bad map[int]bool
	plans := 0
	good := map[string]bool{}
	p := project(t, code.String(), func(now string) (*terraform.Plan, string) {
		plans++
		with := *before
		with.Summary.Changes = nil
		for i, c := range before.Summary.Changes {
			edited := strings.Contains(now, fmt.Sprintf("\"deployed %d\"", i))
			if edited && bad[i] {
				return nil, "It fails."
			}
			if !edited {
				with.Summary.Changes = append(with.Summary.Changes, c)
			}
		}
		good[now] = true
		return &with, ""
	})
	rapid.Check(t, func(t *rapid.T) {
		plans, bad, good = 0, map[int]bool{}, map[string]bool{}
		for range rapid.IntRange(0, 4).Draw(t, "how many") {
			bad[rapid.IntRange(0, most-1).Draw(t, "bad")] = true
		}
		r, failure, err := Adopt(t.Context(), p, asked)
		if failure != "" || err != nil {
			t.Fatal(failure, err)
		}
		if plans > 1+maxPlans || len(r.Done)+len(r.Not) != most {
			t.Fatalf("%d plans, done %q, not %q", plans, r.Done, r.Not)
		}
		if len(bad) <= 1 && len(r.Not) != len(bad) {
			t.Fatalf("%d fail, not %q", len(bad), r.Not)
		}
		if text := string(r.Files["main.tf"]); len(r.Done) > 0 && !good[text] || strings.Count(text, "deployed") != len(r.Done) {
			t.Fatalf("done %q:\n%s", r.Done, text)
		}
	})
}

// TestTryOutRestores holds that the files are as before, whatever fails.
func TestTryOutRestores(t *testing.T) {
	const code = "resource \"aws_s3_bucket\" \"a\" {\n}\n"
	root := t.TempDir()
	path := filepath.Join(root, "a", "main.tf")
	if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(code), 0o600)); err != nil {
		t.Fatal(err)
	}
	p := Project{Root: root, Dir: "a", Plan: func(context.Context) (*terraform.Plan, string, error) {
		if data, err := os.ReadFile(path); err != nil || string(data) != "# edited\n" {
			t.Errorf("planned %q, %v", data, err)
		}
		return nil, "", errors.New("fault")
	}}
	for _, missing := range []bool{false, true} {
		files := map[string][]byte{"a/main.tf": []byte("# edited\n")}
		if missing {
			files["a/missing.tf"] = nil
		}
		if _, _, err := p.tryOut(t.Context(), files); err == nil {
			t.Error("no error")
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != code {
			t.Errorf("left %q, %v", data, err)
		}
	}
}
