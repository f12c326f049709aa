package templates

import (
	"fmt"
	"slices"
	"strings"

	"weir/planner/record"
	"weir/planner/result"
	"weir/templates/markdown"
)

// How many bytes each part of a comment's head may take. Together they stay
// well under limit, whatever a pull request holds.
const (
	roomTable    = 20_000
	roomDestroys = 8_000
	roomDrift    = 5_000
	roomNotes    = 6_000
	roomNext     = 6_000
	roomWaiting  = 5_000
	roomText     = 8_000
	roomFailure  = 10_000
	roomDiag     = 8_000 // of one project
	roomChanges  = 4_000 // of one project
)

// view is a result with what its templates ask of it.
type view struct{ result.Result }

// Page links to the page of the pull request.
func (v view) Page(words string) string { return markdown.Link(words, v.PageURL) }

// HasPage reports whether there is a page to link to.
func (v view) HasPage() bool { return v.PageURL != "" }

// Commit is the head, short.
func (v view) Commit() string {
	if v.Head == "" {
		return "this pull request"
	}
	// Not as code, so that GitHub links it.
	return markdown.Text(short(v.Head))
}

// in returns the IDs of the projects in one of the states.
func (v view) in(states ...record.State) []string {
	var ids []string
	for _, p := range v.Projects {
		if slices.Contains(states, p.State) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// FailedIDs are the projects whose plan or apply failed.
func (v view) FailedIDs() []string { return v.in(record.PlanFailed, record.ApplyFailed) }

// AppliedIDs are the projects that were applied.
func (v view) AppliedIDs() []string { return v.in(record.Applied) }

// InterruptedIDs are the projects whose apply died.
func (v view) InterruptedIDs() []string { return v.in(record.Interrupted, record.Applying) }

// SkippedIDs are the projects that were left out because of another.
func (v view) SkippedIDs() []string { return v.in(record.Skipped) }

// OpenIDs are the projects that are not applied and have something to apply,
// or nobody knows.
func (v view) OpenIDs() []string {
	return v.in(record.Planned, record.PlanFailed, record.ApplyFailed, record.Interrupted, record.Applying,
		record.Skipped, record.Pending, record.Planning)
}

// Unplanned says how many projects have no plan though none failed.
func (v view) Unplanned() int {
	return len(v.in(record.Pending, record.Planning, record.Skipped))
}

// DeletedIDs are the projects whose directory the pull request deletes.
// Nothing of theirs is planned, so what they manage is left behind.
func (v view) DeletedIDs() []string {
	var ids []string
	for _, p := range v.Projects {
		if p.Deleted {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// LeftBehind says of deleted directories what becomes of what they manage.
func (v view) LeftBehind() string {
	deleted := v.DeletedIDs()
	switch len(deleted) {
	case 0:
		return ""
	case 1:
		return "1 directory is deleted, and what it manages is left behind"
	}
	return fmt.Sprintf("%d directories are deleted, and what they manage is left behind", len(deleted))
}

// where says how many projects are in one of the states: "in 1 of 3 projects".
func (v view) where(states ...record.State) string {
	some, all := len(v.in(states...)), len(v.Projects)
	if some == 0 || some == all {
		return "in " + count(all, "project")
	}
	return fmt.Sprintf("in %d of %s", some, count(all, "project"))
}

func (v view) totals(states ...record.State) totals {
	var t totals
	for _, p := range v.Projects {
		if slices.Contains(states, p.State) {
			t.add(p.Summary)
		}
	}
	return t
}

// Future says what all plans would do together, and in how many projects.
func (v view) Future() string {
	words := v.totals(record.Planned).future()
	if words == "" {
		words = "no changes"
	}
	return words + " " + v.where(record.Planned)
}

// Past says what was applied, and in how many projects.
func (v view) Past() string {
	words := v.totals(record.Applied).past()
	if words == "" {
		words = "nothing changed"
	}
	return words + " " + v.where(record.Applied)
}

// Others says how the projects stand that did not fail: "1 applied, 2 skipped".
func (v view) Others() string {
	var words []string
	for _, s := range []record.State{record.Applied, record.Planned, record.NoChanges, record.Skipped, record.Pending} {
		if n := len(v.in(s)); n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, stateWords(s)))
		}
	}
	return strings.Join(words, ", ")
}

// Failed says where a plan or an apply failed: "in 1 of 3 projects".
func (v view) Failed() string { return v.where(record.PlanFailed, record.ApplyFailed) }

// Partly reports whether arguments of a person's kept an apply from being all
// of it.
func (v view) Partly() bool {
	return slices.ContainsFunc(v.Projects, func(p result.Project) bool { return len(p.Extra) > 0 })
}

// PlanFailedIDs are the projects whose plan failed.
func (v view) PlanFailedIDs() []string { return v.in(record.PlanFailed) }

// Empty reports whether no plan changes anything and none failed.
func (v view) Empty() bool {
	return len(v.Projects) > 0 && len(v.OpenIDs()) == 0 && len(v.AppliedIDs()) == 0
}

// Table is the table of projects, bounded.
func (v view) Table() string {
	if len(v.Projects) == 0 {
		return ""
	}
	var rows []string
	for _, p := range v.Projects {
		rows = append(rows, row(p))
	}
	rows = markdown.Bounded(rows, roomTable, "| and %d more, on "+v.Page("the page")+" | | | | | |")
	return "| Project | Result | Create | Change | Replace | Destroy |\n" +
		"| :-- | :-- | --: | --: | --: | --: |\n" + strings.Join(rows, "\n")
}
