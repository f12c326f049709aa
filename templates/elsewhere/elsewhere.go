// Package elsewhere puts into words what a plan does that its pull request does
// not ask for.
package elsewhere

import (
	"fmt"
	"slices"
	"strings"

	"weir/drift/finding"
	"weir/planner/record"
	"weir/planner/result"
	"weir/templates/markdown"
)

// rows are the reasons, in the order in which people are told.
var rows = []struct {
	kinds              []finding.Kind
	title, note, words string // words: after a number
}{
	{[]finding.Kind{finding.Changed, finding.Deleted}, "Already drifted", "changed outside of Terraform, not by this pull request", "already drifted"},
	{[]finding.Kind{finding.Merged, finding.Unmerged}, "Merged earlier, never applied", "applying this pull request brings it, too", "merged earlier"},
	{[]finding.Kind{finding.Version, finding.Data, finding.Unknown}, "Not asked for by the code", "something else than this pull request moved", "not asked for"},
}

// of are the origins that belong to one of rows.
func of(all []record.Origin, row int) []record.Origin {
	return slices.DeleteFunc(slices.Clone(all), func(o record.Origin) bool {
		return !slices.Contains(rows[row].kinds, finding.Kind(o.Kind))
	})
}

// Group is what plans do for one reason that is not their pull request.
type Group struct {
	ID, Title, Note string
	Origins         []record.Origin // of one plan; nil in Lines
	Lines           []string        // of all projects, in Markdown; nil in Groups
}

// Lines are the groups of all projects of a pull request, each with lines of
// at most room bytes.
func Lines(projects []result.Project, room int) []Group {
	var groups []Group
	for row, r := range rows {
		var lines []string
		for _, p := range projects {
			for _, o := range of(p.Origins, row) {
				lines = append(lines, "- "+markdown.Code(p.ID)+": "+line(o))
			}
		}
		if len(lines) > 0 {
			groups = append(groups, Group{Title: r.title, Note: r.note, Lines: markdown.Bounded(lines, room, "- and %d more, in the plans below")})
		}
	}
	return groups
}

func line(o record.Origin) string {
	text := markdown.Code(o.Address)
	if len(o.Attributes) > 0 {
		text += " (" + markdown.Names(o.Attributes) + ")"
	}
	return text + ": " + markdown.Text(o.Why)
}

// Groups are those of one plan.
func Groups(all []record.Origin) []Group {
	var groups []Group
	for row, r := range rows {
		if some := of(all, row); len(some) > 0 {
			groups = append(groups, Group{ID: fmt.Sprintf("elsewhere-%d", row), Title: r.title, Note: strings.ToUpper(r.note[:1]) + r.note[1:] + ".", Origins: some})
		}
	}
	return groups
}

// Words are numbers of resources of one plan, such as "2 already drifted".
func Words(all []record.Origin) []string {
	var words []string
	for row, r := range rows {
		addresses := map[string]bool{}
		for _, o := range of(all, row) {
			addresses[o.Address] = true
		}
		if len(addresses) > 0 {
			words = append(words, fmt.Sprintf("%d %s", len(addresses), r.words))
		}
	}
	return words
}
