package policy

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestI7_Base: who can write can turn any pull request to a branch of their
// own, which holds rules of their own.
func TestI7_Base(t *testing.T) {
	for _, tt := range []struct {
		name   string
		base   string
		usual  string // the default branch
		listed []string
		met    bool
		reason string
	}{
		{"the default branch", "main", "main", nil, true, "it is against main, the default branch"},
		{"a default branch of another name", "trunk", "trunk", nil, true, "it is against trunk, the default branch"},
		{
			"somebody's branch", "carols", "main", nil, false,
			"it is against carols; only what is against main, or a branch that the server lists in base_branches, is applied. " +
				"Retarget it, or merge it and apply it with a pull request that brings carols to main",
		},
		{"the old name of the default branch", "master", "main", nil, false, "it is against master; only what is against main,"},
		{"main, where it is not the default branch", "main", "trunk", nil, false, "only what is against trunk,"},
		{"the default branch in other letters", "Main", "main", nil, false, "it is against Main;"},
		{"a part of the default branch's name", "mai", "main", nil, false, "it is against mai;"},
		{"the default branch as a folder", "main/carols", "main", nil, false, "it is against main/carols;"},
		{"in front of the default branch", "heads/main", "main", nil, false, "it is against heads/main;"},
		{"listed", "release/1", "main", []string{"hotfix", "release/*"}, true, "it is against release/1, which the server lists in base_branches (release/*)"},
		{"listed by its name", "hotfix", "main", []string{"hotfix", "release/*"}, true, "(hotfix)"},
		{"not listed", "carols", "main", []string{"hotfix", "release/*"}, false, "or a branch that the server lists in base_branches (hotfix, release/*), is applied"},
		{"a star does not reach over a slash", "release/1/carols", "main", []string{"release/*"}, false, "it is against release/1/carols;"},
		{"a star alone neither", "carols/1", "main", []string{"*"}, false, "it is against carols/1;"},
		{"two stars do", "release/1/2", "main", []string{"release/**"}, true, "(release/**)"},
		{"a pattern fits the whole name", "my-release/1", "main", []string{"release/*"}, false, "it is against my-release/1;"},
		{"listed in other letters", "Release/1", "main", []string{"release/*"}, false, "it is against Release/1;"},
		{"a pattern that cannot be read", "release/1", "main", []string{"release/["}, false, "it is against release/1;"},
		{"the default branch counts, whatever is listed", "main", "main", []string{"release/*"}, true, "the default branch"},
		{"nobody knows the default branch", "main", "", nil, false, "GitHub does not say which branch is the default one"},
		{"nobody knows it, and the base neither", "", "", []string{"", "**"}, false, "GitHub does not say what it is against"},
		{"nobody knows it, but the branch is listed", "release/1", "", []string{"release/*"}, true, "(release/*)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := open()
			f.Pull.Base, f.Pull.Default, f.Bases = tt.base, tt.usual, tt.listed
			for i := range f.Projects {
				f.Projects[i].PlanRef = tt.base
			}
			d := Decide(f)
			got := d.Requirements[slices.IndexFunc(d.Requirements, func(r Requirement) bool { return r.Name == "base" })]
			if got.Met != tt.met || got.Replan || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("got %+v, want met %v and %q", got, tt.met, tt.reason)
			}
			if d.Open != tt.met {
				t.Errorf("the gate: open %v, missing %+v", d.Open, d.Missing())
			}
		})
	}
}

// TestI7_NoDoorPassesBase: neither a mode, nor a trigger, nor a merge applies
// what is against a branch that is neither the default one nor listed.
func TestI7_NoDoorPassesBase(t *testing.T) {
	for _, mode := range []Mode{OnApproval, OnComment, OnMerge} {
		for _, trigger := range []Trigger{ByReview, ByComment, ByCheck, ByMerge, ByPlan, ByNobody} {
			for _, merged := range []bool{false, true} {
				f := open()
				f.Mode, f.Trigger, f.Actor = mode, trigger, "carol"
				f.Pull.Base, f.Pull.Merged, f.Pull.Open = "carols", merged, !merged
				f.Bases = []string{"release/*"}
				for i := range f.Projects {
					f.Projects[i].PlanRef = "carols"
				}
				d := Decide(f)
				i := slices.IndexFunc(d.Missing(), func(r Requirement) bool { return r.Name == "base" })
				if d.Open || i < 0 {
					t.Errorf("apply: %s, by %q, merged %v: open %v, missing %+v", mode, trigger, merged, d.Open, d.Missing())
					continue
				}
				want := "it is against carols;"
				if merged {
					want = "it was merged into carols;"
				}
				if reason := d.Missing()[i].Reason; !strings.HasPrefix(reason, want) {
					t.Errorf("apply: %s, by %q, merged %v: %s", mode, trigger, merged, reason)
				}
			}
		}
	}
}

// TestI7_OnlyServedBases: whatever the names are, an open gate means that the
// plans are of the present base, and that this is the default branch or listed
// by its whole name.
func TestI7_OnlyServedBases(t *testing.T) {
	names := rapid.StringMatching(`[a-cA-C/]{0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		f := open()
		f.Pull.Base, f.Pull.Default = names.Draw(t, "base"), names.Draw(t, "default")
		f.Bases = rapid.SliceOfN(names, 0, 2).Draw(t, "listed")
		ref := names.Draw(t, "planned against")
		for i := range f.Projects {
			f.Projects[i].PlanRef = ref
		}
		served := f.Pull.Base != "" && (f.Pull.Base == f.Pull.Default || slices.Contains(f.Bases, f.Pull.Base))
		if open := Decide(f).Open; open != (served && ref == f.Pull.Base) {
			t.Fatalf("open %v: %+v, planned against %q, listed %q", open, f.Pull, ref, f.Bases)
		}
	})
}
