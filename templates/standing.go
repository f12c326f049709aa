package templates

import (
	"slices"
	"strings"

	"weir/planner"
	"weir/templates/markdown"
)

// Standing is where a pull request stands, in a few words.
type Standing struct {
	Tone string // good, bad, busy, wait, calm
	Text string
}

// standing sums up a pull request: what a person has to look at comes first.
func standing(r planner.Record) Standing {
	v := view{planner.Result{Waiting: r.Waiting, Decision: r.Decision}}
	for _, p := range r.Projects {
		v.Projects = append(v.Projects, planner.ProjectResult{ID: p.ID, State: p.State})
	}
	switch {
	case len(v.in(planner.Interrupted)) > 0:
		return Standing{"bad", "apply interrupted"}
	case len(v.in(planner.ApplyFailed)) > 0:
		return Standing{"bad", "apply failed"}
	case len(v.in(planner.Applying)) > 0:
		return Standing{"busy", "being applied"}
	case r.Merged && len(v.OpenIDs()) > 0:
		return Standing{"bad", "merged, not applied"}
	case r.Merged:
		return Standing{"calm", "merged"}
	case r.Closed:
		return Standing{"calm", "closed"}
	case r.Failure != "":
		return Standing{"bad", "cannot be planned"}
	case len(r.Waiting) > 0:
		if owners := v.Owners(); owners != "" {
			return Standing{"wait", "waits for " + owners}
		}
		return Standing{"wait", "waits for its turn"}
	case len(v.in(planner.PlanFailed)) > 0:
		return Standing{"bad", "plan failed"}
	case len(v.in(planner.Planning, planner.Pending)) > 0:
		return Standing{"busy", "being planned"}
	case len(r.Projects) == 0:
		return Standing{"calm", "no projects"}
	case len(v.OpenIDs()) == 0 && len(v.AppliedIDs()) > 0:
		return Standing{"good", "applied"}
	case len(v.OpenIDs()) == 0:
		return Standing{"good", "nothing to apply"}
	case r.Decision != nil && r.Decision.Open:
		return Standing{"busy", "about to be applied"}
	case r.Decision != nil && len(r.Decision.Missing()) > 0:
		var names []string
		for _, m := range r.Decision.Missing() {
			names = append(names, m.Name)
		}
		return Standing{"wait", "not yet " + strings.Join(names, ", ")}
	}
	return Standing{"wait", "planned"}
}

// planLine is a line of a plan with the class that colours it.
type planLine struct{ Class, Text string }

// planLines colours a plan as its comment does.
func planLines(plan string) []planLine {
	var lines []planLine
	for line := range strings.SplitSeq(markdown.Diff(plan), "\n") {
		class := ""
		if line != "" {
			class = map[byte]string{'+': "add", '-': "del", '!': "chg"}[line[0]]
		}
		// The mark ! is for GitHub's colours only.
		if rest, ok := strings.CutPrefix(line, "!+/-"); ok {
			line = "+/-" + rest
		} else if class == "chg" {
			line = "~" + line[1:]
		}
		// Lines of one colour are one element: plans can have many.
		if n := len(lines); n > 0 && lines[n-1].Class == class {
			lines[n-1].Text += "\n" + line
			continue
		}
		lines = append(lines, planLine{class, line})
	}
	return slices.Clip(lines)
}
