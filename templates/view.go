package templates

import (
	"fmt"
	"slices"
	"strings"

	"weir/planner"
	"weir/planner/terraform"
	"weir/policy"
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
type view struct{ planner.Result }

// bounded keeps as many lines as fit and says how many do not.
func bounded(lines []string, room int, more string) []string {
	size := 0
	for i, line := range lines {
		if size += len(line) + 1; size > room {
			return append(slices.Clone(lines[:i]), fmt.Sprintf(more, len(lines)-i))
		}
	}
	return lines
}

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
func (v view) in(states ...planner.State) []string {
	var ids []string
	for _, p := range v.Projects {
		if slices.Contains(states, p.State) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// FailedIDs are the projects whose plan or apply failed.
func (v view) FailedIDs() []string { return v.in(planner.PlanFailed, planner.ApplyFailed) }

// AppliedIDs are the projects that were applied.
func (v view) AppliedIDs() []string { return v.in(planner.Applied) }

// InterruptedIDs are the projects whose apply died.
func (v view) InterruptedIDs() []string { return v.in(planner.Interrupted, planner.Applying) }

// SkippedIDs are the projects that were left out because of another.
func (v view) SkippedIDs() []string { return v.in(planner.Skipped) }

// OpenIDs are the projects that are not applied and have something to apply,
// or nobody knows.
func (v view) OpenIDs() []string {
	return v.in(planner.Planned, planner.PlanFailed, planner.ApplyFailed, planner.Interrupted, planner.Applying,
		planner.Skipped, planner.Pending, planner.Planning)
}

// Unplanned says how many projects have no plan though none failed.
func (v view) Unplanned() int {
	return len(v.in(planner.Pending, planner.Planning, planner.Skipped))
}

func (v view) totals(states ...planner.State) totals {
	var t totals
	for _, p := range v.Projects {
		if slices.Contains(states, p.State) {
			t.add(p.Summary)
		}
	}
	return t
}

// Future says what all plans would do together.
func (v view) Future() string {
	if words := v.totals(planner.Planned).future(); words != "" {
		return words
	}
	return "no changes"
}

// Past says what was applied.
func (v view) Past() string {
	if words := v.totals(planner.Applied).past(); words != "" {
		return words
	}
	return "nothing changed"
}

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
	rows = bounded(rows, roomTable, "| and %d more, on "+v.Page("the page")+" | | | | | |")
	return "| Project | Result | Create | Change | Replace | Destroy |\n" +
		"| :-- | :-- | --: | --: | --: | --: |\n" + strings.Join(rows, "\n")
}

// Destroys lists everything that plans destroy, replace or forget, each with
// its reason.
func (v view) Destroys() []string {
	var lines []string
	for _, p := range v.Projects {
		if p.Summary == nil || p.State != planner.Planned {
			continue
		}
		for _, c := range p.Summary.Changes {
			if line := destroyLine(c, p.ID); line != "" {
				lines = append(lines, line)
			}
		}
	}
	return bounded(lines, roomDestroys, "- and %d more, in the plans below")
}

func destroyLine(c terraform.Change, id string) string {
	var verb string
	switch c.Action {
	case terraform.Delete:
		verb = "**destroy**"
	case terraform.Replace:
		verb = "**replace**"
	case terraform.Forget:
		verb = "forget, so that Terraform no longer knows it:"
	default:
		return ""
	}
	line := "- " + markdown.Code(id) + ": " + verb + " " + markdown.Code(c.Address)
	why := markdown.Text(c.Reason)
	if forces := forcing(c); c.Action == terraform.Replace && len(forces) > 0 {
		if why != "" {
			why += ": "
		}
		why += names(forces)
	}
	if why != "" {
		line += ", " + why
	}
	return line
}

// forcing names the attributes that cannot be changed in place.
func forcing(c terraform.Change) []string {
	var attributes []string
	for _, a := range c.Attributes {
		if a.ForcesReplace {
			attributes = append(attributes, a.Name)
		}
	}
	return attributes
}

// Drifted lists what was changed behind terraform's back before this pull
// request.
func (v view) Drifted() []string {
	var lines []string
	for _, p := range v.Projects {
		if p.Summary == nil {
			continue
		}
		for _, c := range p.Summary.Drift {
			lines = append(lines, "- "+markdown.Code(p.ID)+": "+driftLine(c))
		}
	}
	return bounded(lines, roomDrift, "- and %d more, in the plans below")
}

func driftLine(c terraform.Change) string {
	if c.Action == terraform.Delete {
		return markdown.Code(c.Address) + " is gone"
	}
	var attributes []string
	for _, a := range c.Attributes {
		attributes = append(attributes, a.Name)
	}
	if len(attributes) == 0 {
		return markdown.Code(c.Address) + " was changed"
	}
	return markdown.Code(c.Address) + " was changed (" + names(attributes) + ")"
}

// AllNotes lists the sentences that the reader should know, of the pull
// request and of its projects.
func (v view) AllNotes() []string {
	var lines []string
	for _, note := range v.Notes {
		lines = append(lines, "- "+markdown.Text(note))
	}
	for _, p := range v.Projects {
		for _, note := range p.Notes {
			lines = append(lines, "- "+markdown.Code(p.ID)+": "+markdown.Text(note))
		}
		if p.Failure != "" && !(projectView{p, v.Kind}).Failed() {
			lines = append(lines, "- "+markdown.Code(p.ID)+": "+markdown.Text(p.Failure))
		}
		if p.Summary != nil && p.Summary.Opaque != "" && p.State == planner.Planned {
			lines = append(lines, "- "+markdown.Code(p.ID)+": the plan cannot tell everything ("+markdown.Text(p.Summary.Opaque)+
				"), so an approval is also bound to the code")
		}
	}
	return bounded(lines, roomNotes, "- and %d more notes, on "+v.Page("the page"))
}

// Approvals lists what became of approvals of earlier plans.
func (v view) Approvals() []string {
	var lines []string
	for _, s := range v.Since {
		lines = append(lines, "- "+markdown.Text(s))
	}
	return bounded(lines, roomNotes, "- and %d more")
}

// Missing lists the requirements that are not met.
func (v view) Missing() []string {
	if v.Decision == nil {
		return nil
	}
	var lines []string
	for _, r := range v.Decision.Missing() {
		if r.Name == "asked" && v.Kind != planner.ResultRefused {
			continue // the line above says how it is started
		}
		lines = append(lines, "- **"+r.Name+"**: "+markdown.Text(r.Reason))
	}
	return bounded(lines, roomNext, "- and %d more")
}

// Requirements lists all requirements, met or not.
func (v view) Requirements() []string {
	if v.Decision == nil {
		return nil
	}
	var lines []string
	for _, r := range v.Decision.Requirements {
		box := "- [ ] "
		if r.Met {
			box = "- [x] "
		}
		lines = append(lines, box+"**"+r.Name+"**: "+markdown.Text(r.Reason))
	}
	return bounded(lines, roomNext, "- and %d more")
}

// Unmet says "1 thing" or "2 things".
func (v view) Unmet() string { return count(len(v.Missing()), "thing") }

// HowToApply says what starts the apply.
func (v view) HowToApply() string {
	switch policy.Mode(v.Mode) {
	case policy.OnComment:
		return "Comment `weir apply` to apply it."
	case policy.OnMerge:
		return "It is applied once this pull request is merged."
	}
	return "Approve this pull request to apply it."
}

// WaitingLines lists the locks that are waited for.
func (v view) WaitingLines() []string {
	var lines []string
	for _, w := range v.Waiting {
		switch {
		case w.Owner == 0:
			lines = append(lines, "- "+markdown.Code(w.ID)+" is free, and kept for whoever is first in the queue")
		case w.Place == 1:
			lines = append(lines, fmt.Sprintf("- %s: #%d owns it; this pull request is next", markdown.Code(w.ID), w.Owner))
		case w.Place > 1:
			lines = append(lines, fmt.Sprintf("- %s: #%d owns it; this pull request is number %d in the queue", markdown.Code(w.ID), w.Owner, w.Place))
		default:
			lines = append(lines, fmt.Sprintf("- %s: #%d owns it", markdown.Code(w.ID), w.Owner))
		}
	}
	return bounded(lines, roomWaiting, "- and %d more")
}

// Owners are the pull requests that are waited for, as "#12 and #14".
func (v view) Owners() string {
	var numbers []int
	for _, w := range v.Waiting {
		if w.Owner != 0 && !slices.Contains(numbers, w.Owner) {
			numbers = append(numbers, w.Owner)
		}
	}
	return pulls(numbers)
}

// NextPulls are the pull requests that were handed locks.
func (v view) NextPulls() string { return pulls(v.Next) }

// pulls joins numbers of pull requests. They are weir's own, and meant to link.
func pulls(numbers []int) string {
	words := make([]string, 0, len(numbers))
	for _, n := range numbers[:min(len(numbers), 20)] {
		words = append(words, fmt.Sprintf("#%d", n))
	}
	if len(numbers) > 20 {
		return fmt.Sprintf("%s and %d more", strings.Join(words, ", "), len(numbers)-20)
	}
	if len(words) > 1 {
		return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
	}
	return strings.Join(words, "")
}

// FailureBlock is the failure of the whole result, as a sentence or as a block.
func (v view) FailureBlock() string {
	if v.Failure == "" {
		return ""
	}
	if !strings.Contains(strings.TrimSpace(v.Failure), "\n") && len(v.Failure) <= markdown.MaxText {
		return markdown.Text(v.Failure)
	}
	return markdown.Fence("text", markdown.Cut(v.Failure, roomFailure))
}

// Paragraphs is the free text of the result.
func (v view) Paragraphs() string { return markdown.Paragraphs(markdown.Cut(v.Text, roomText)) }
