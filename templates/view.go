package templates

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"weir/planner"
	"weir/planner/terraform"
	"weir/policy"
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

// link is a Markdown link, or only its words where there is no address.
func link(words, to string) string {
	u, err := url.Parse(to)
	if to == "" || err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return words
	}
	return "[" + words + "](" + strings.NewReplacer("(", "%28", ")", "%29", "|", "%7C", "\\", "%5C").Replace(u.String()) + ")"
}

// Page links to the page of the pull request.
func (v view) Page(words string) string { return link(words, v.PageURL) }

// HasPage reports whether there is a page to link to.
func (v view) HasPage() bool { return v.PageURL != "" }

// Commit is the head, short.
func (v view) Commit() string {
	if v.Head == "" {
		return "this pull request"
	}
	// Not as code, so that GitHub links it.
	return text(short(v.Head))
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

func row(p planner.ProjectResult) string {
	result := link(stateWords(p.State), p.RunURL)
	if failedState(p.State) || p.State == planner.Interrupted {
		result = "**" + result + "**"
	}
	cells := []string{projectName(p), result + extras(p.Summary)}
	if s := p.Summary; s != nil {
		cells = append(cells, number(s.Create), number(s.Update), strong(s.Replace), strong(s.Delete))
	} else {
		cells = append(cells, "", "", "", "")
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// projectName is the ID, and the directory and workspace where the ID does not
// say them.
func projectName(p planner.ProjectResult) string {
	name := code(p.ID)
	if p.Dir != "" && p.ID != p.Dir && p.ID != p.Dir+"@"+p.Workspace {
		name += " in " + code(p.Dir)
		if p.Workspace != "" && p.Workspace != "default" {
			name += ", workspace " + code(p.Workspace)
		}
	}
	return name
}

// extras is what the columns of the table do not count.
func extras(s *terraform.Summary) string {
	if s == nil {
		return ""
	}
	var words []string
	for _, e := range []struct {
		n    int
		word string
	}{{s.Import, "to import"}, {s.Move, "to move"}, {s.Forget, "to forget"}} {
		if e.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", e.n, e.word))
		}
	}
	if s.Create+s.Update+s.Replace+s.Delete == 0 && len(words) == 0 && len(s.Outputs) > 0 {
		words = append(words, "only outputs")
	}
	if len(s.Drift) > 0 {
		words = append(words, fmt.Sprintf("%d already drifted", len(s.Drift)))
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func strong(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("**%d**", n)
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
	line := "- " + code(id) + ": " + verb + " " + code(c.Address)
	why := text(c.Reason)
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
			lines = append(lines, "- "+code(p.ID)+": "+driftLine(c))
		}
	}
	return bounded(lines, roomDrift, "- and %d more, in the plans below")
}

func driftLine(c terraform.Change) string {
	if c.Action == terraform.Delete {
		return code(c.Address) + " is gone"
	}
	var attributes []string
	for _, a := range c.Attributes {
		attributes = append(attributes, a.Name)
	}
	if len(attributes) == 0 {
		return code(c.Address) + " was changed"
	}
	return code(c.Address) + " was changed (" + names(attributes) + ")"
}

// AllNotes lists the sentences that the reader should know, of the pull
// request and of its projects.
func (v view) AllNotes() []string {
	var lines []string
	for _, note := range v.Notes {
		lines = append(lines, "- "+text(note))
	}
	for _, p := range v.Projects {
		for _, note := range p.Notes {
			lines = append(lines, "- "+code(p.ID)+": "+text(note))
		}
		if p.Failure != "" && !(projectView{p, v.Kind}).Failed() {
			lines = append(lines, "- "+code(p.ID)+": "+text(p.Failure))
		}
		if p.Summary != nil && p.Summary.Opaque != "" && p.State == planner.Planned {
			lines = append(lines, "- "+code(p.ID)+": the plan cannot tell everything ("+text(p.Summary.Opaque)+
				"), so an approval is also bound to the code")
		}
	}
	return bounded(lines, roomNotes, "- and %d more notes, on "+v.Page("the page"))
}

// Approvals lists what became of approvals of earlier plans.
func (v view) Approvals() []string {
	var lines []string
	for _, s := range v.Since {
		lines = append(lines, "- "+text(s))
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
		lines = append(lines, "- **"+r.Name+"**: "+text(r.Reason))
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
		lines = append(lines, box+"**"+r.Name+"**: "+text(r.Reason))
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
			lines = append(lines, "- "+code(w.ID)+" is free, and kept for whoever is first in the queue")
		case w.Place == 1:
			lines = append(lines, fmt.Sprintf("- %s: #%d owns it; this pull request is next", code(w.ID), w.Owner))
		case w.Place > 1:
			lines = append(lines, fmt.Sprintf("- %s: #%d owns it; this pull request is number %d in the queue", code(w.ID), w.Owner, w.Place))
		default:
			lines = append(lines, fmt.Sprintf("- %s: #%d owns it", code(w.ID), w.Owner))
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
	if !strings.Contains(strings.TrimSpace(v.Failure), "\n") && len(v.Failure) <= maxText {
		return text(v.Failure)
	}
	return fence("text", cut(v.Failure, roomFailure))
}

// Paragraphs is the free text of the result.
func (v view) Paragraphs() string { return paragraphs(cut(v.Text, roomText)) }

// projectView is one project with what its templates ask of it.
type projectView struct {
	planner.ProjectResult
	kind planner.ResultKind
}

// Failed reports whether the project's failure is to be shown open.
func (p projectView) Failed() bool {
	return failedState(p.State) && (p.Failure != "" || p.Text != "") &&
		p.kind != planner.ResultExplain && p.kind != planner.ResultRefused && p.kind != planner.ResultUnlocked
}

// Summarised begins the fold of a plan or of an apply's output.
func (p projectView) Summarised() string {
	switch p.State {
	case planner.Applied:
		return summaryLine(p.ID, past(p.Summary))
	case planner.Interrupted:
		return summaryLine(p.ID, "what terraform had printed")
	case planner.Planned, planner.NoChanges:
		return summaryLine(p.ID, future(p.Summary))
	}
	return summaryLine(p.ID, stateWords(p.State))
}

// Block is the plan as a diff, or the output of an apply as it is.
func (p projectView) Block() string {
	if p.State == planner.Planned || p.State == planner.NoChanges {
		return fence("diff", diff(p.Text))
	}
	return fence("text", p.Text)
}

// Diagnostics is why it failed, in full or cut.
func (p projectView) Diagnostics() string { return fence("text", cut(p.reason(), roomDiag)) }

// FirstDiagnostics is the beginning of it.
func (p projectView) FirstDiagnostics() string { return fence("text", cut(p.reason(), 800)) }

func (p projectView) reason() string {
	if p.Failure != "" {
		return p.Failure
	}
	return p.Text
}

// Name is the ID as code.
func (p projectView) Name() string { return code(p.ID) }

// ShortName is the same, shorter: many of them have to fit.
func (p projectView) ShortName() string { return code(flat(p.ID, 40)) }

// StateWords is the state in words.
func (p projectView) StateWords() string { return stateWords(p.State) }

// RunLink links to the page of the run.
func (p projectView) RunLink(words string) string { return link(words, p.RunURL) }

// Length of the text, for people.
func (p projectView) Length() string { return fmt.Sprintf("%d kB", (len(p.Text)+999)/1000) }

// Future says what the plan would do.
func (p projectView) Future() string { return future(p.Summary) }

// ChangeLines lists what changes, by address.
func (p projectView) ChangeLines() []string {
	if p.Summary == nil {
		return nil
	}
	verbs := map[terraform.Action]string{
		terraform.Create: "create", terraform.Update: "change", terraform.Replace: "**replace**", terraform.Delete: "**destroy**",
		terraform.Read: "read", terraform.Forget: "forget", terraform.NoOp: "move or import",
	}
	var lines []string
	for _, c := range p.Summary.Changes {
		lines = append(lines, "- "+verbs[c.Action]+" "+code(c.Address))
	}
	return bounded(lines, roomChanges, "- and %d more")
}
