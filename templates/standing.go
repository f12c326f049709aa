package templates

import (
	"strings"

	"weir/planner/record"
	"weir/planner/result"
)

// Standing is where a pull request stands, in a few words.
type Standing struct {
	Tone string // good, bad, busy, wait, calm
	Text string
}

// standing sums up a pull request: what a person has to look at comes first.
func standing(r record.Record) Standing {
	v := view{result.Result{Waiting: r.Waiting, Decision: r.Decision}}
	for _, p := range r.Projects {
		v.Projects = append(v.Projects, result.Project{ID: p.ID, State: p.State})
	}
	switch {
	case len(v.in(record.Interrupted)) > 0:
		return Standing{"bad", "apply interrupted"}
	case len(v.in(record.ApplyFailed)) > 0:
		return Standing{"bad", "apply failed"}
	case len(v.in(record.Applying)) > 0:
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
	case len(v.in(record.PlanFailed)) > 0:
		return Standing{"bad", "plan failed"}
	case len(v.in(record.Planning, record.Pending)) > 0:
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
