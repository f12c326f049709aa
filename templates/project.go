package templates

import (
	"fmt"
	"strings"

	"weir/planner/record"
	"weir/planner/result"
	"weir/planner/terraform"
	"weir/templates/elsewhere"
	"weir/templates/markdown"
)

// projectView is one project with what its templates ask of it.
type projectView struct {
	result.Project
	kind result.Kind
}

// Failed reports whether the project's failure is to be shown open.
func (p projectView) Failed() bool {
	return failedState(p.State) && (p.Failure != "" || p.Text != "") &&
		p.kind != result.Explain && p.kind != result.Refused && p.kind != result.Unlocked
}

// Summarised begins the fold of a plan or of an apply's output.
func (p projectView) Summarised() string {
	switch p.State {
	case record.Applied:
		return markdown.Summary(p.ID, past(p.Summary))
	case record.Interrupted:
		return markdown.Summary(p.ID, "what terraform had printed")
	case record.Planned, record.NoChanges:
		return markdown.Summary(p.ID, future(p.Summary))
	}
	return markdown.Summary(p.ID, stateWords(p.State))
}

// Block is the plan as a diff, or the output of an apply as it is.
func (p projectView) Block() string {
	if p.kind == result.Plan {
		return markdown.Fence("diff", markdown.Diff(p.Text))
	}
	return markdown.Fence("text", p.Text)
}

// Diagnostics is why it failed, in full or cut.
func (p projectView) Diagnostics() string {
	return markdown.Fence("text", markdown.Cut(p.reason(), roomDiag))
}

// FirstDiagnostics is the beginning of it.
func (p projectView) FirstDiagnostics() string {
	return markdown.Fence("text", markdown.Cut(p.reason(), 800))
}

func (p projectView) reason() string {
	if p.Failure != "" {
		return p.Failure
	}
	return p.Text
}

// Name is the ID as code.
func (p projectView) Name() string { return markdown.Code(p.ID) }

// ShortName is the same, shorter: many of them have to fit.
func (p projectView) ShortName() string { return markdown.Code(markdown.Line(p.ID, 40)) }

// StateWords is the state in words.
func (p projectView) StateWords() string { return stateWords(p.State) }

// RunLink links to the page of the run.
func (p projectView) RunLink(words string) string { return markdown.Link(words, p.RunURL) }

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
		lines = append(lines, "- "+verbs[c.Action]+" "+markdown.Code(c.Address))
	}
	return markdown.Bounded(lines, roomChanges, "- and %d more")
}

// row is a project in the table.
func row(p result.Project) string {
	words := stateWords(p.State)
	if p.Deleted && p.State == record.NoChanges {
		words = "directory deleted"
	}
	result := markdown.Link(words, p.RunURL)
	if failedState(p.State) || p.State == record.Interrupted || p.Deleted {
		result = "**" + result + "**"
	}
	cells := []string{projectName(p), result + extras(p.Summary, p.Origins)}
	if s := p.Summary; s != nil {
		cells = append(cells, number(s.Create), number(s.Update), strong(s.Replace), strong(s.Delete))
	} else {
		cells = append(cells, "", "", "", "")
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// projectName is the ID, and the directory and workspace where the ID does not
// say them.
func projectName(p result.Project) string {
	name := markdown.Code(p.ID)
	if p.Dir != "" && p.ID != p.Dir && p.ID != p.Dir+"@"+p.Workspace {
		name += " in " + markdown.Code(p.Dir)
		if p.Workspace != "" && p.Workspace != "default" {
			name += ", workspace " + markdown.Code(p.Workspace)
		}
	}
	return name
}

// extras is what the columns of the table do not count.
func extras(s *terraform.Summary, from []record.Origin) string {
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
	words = append(words, elsewhere.Words(from)...)
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
