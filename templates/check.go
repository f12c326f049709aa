package templates

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"weir/planner/record"
	"weir/planner/result"
	"weir/templates/markdown"
)

const (
	// maxTitle is the length of a commit status's description at GitHub. A
	// check run's title is shown in the same narrow list.
	maxTitle = 140
	// maxSummary is the length of a check run's summary at GitHub (65,535
	// characters), less some air.
	maxSummary = 60_000
)

// CheckText renders a result for one of weir's two checks: a title of one line
// and at most 140 characters, plain text, and a summary in Markdown with the
// table of projects. The check's own title stays where the result does not
// tell more.
func CheckText(c result.Check, r result.Result) (title, summary string) {
	v := view{r}
	var own string
	switch {
	case c.Status == record.InProgress || c.Status == record.Cancelled:
	case c.Name == result.CheckApply:
		own = v.applyTitle(c.Status)
	default:
		own = v.planTitle()
	}
	title = markdown.Line(strings.ReplaceAll(cmp.Or(own, c.Title, c.Name), "`", ""), maxTitle)
	summary = render("check", v)
	if len(summary) > maxSummary {
		summary = render("too_long", v)
	}
	return title, summary
}

// planTitle is what the check weir/plan says; "" where the result does not
// know.
func (v view) planTitle() string {
	switch {
	case v.Kind == result.Locked:
		return v.waitTitle()
	case v.Kind != result.Plan:
		return ""
	case v.Failure != "":
		return "Cannot be planned: " + v.Failure
	case len(v.Projects) == 0:
		return ""
	case len(v.PlanFailedIDs()) > 0:
		return "Plan failed " + v.where(record.PlanFailed) + ": " + strings.Join(v.PlanFailedIDs(), ", ")
	case slices.ContainsFunc(v.Projects, func(p result.Project) bool { return p.State == record.Planned && p.Summary == nil }):
		return ""
	}
	if len(v.OpenIDs()) == 0 && len(v.AppliedIDs()) > 0 {
		return "Applied: " + v.Past()
	}
	title := capital(v.Future())
	if len(v.Narrowed()) > 0 {
		title += ", with arguments added by hand"
	}
	if left := v.LeftBehind(); left != "" {
		title += "; " + left
	}
	return title
}

// applyTitle is what the check weir/apply says; "" where the result does not
// know.
func (v view) applyTitle(status record.CheckStatus) string {
	failed := v.in(record.ApplyFailed)
	switch {
	case v.Kind == result.Interrupted:
		return "Interrupted in " + strings.Join(v.InterruptedIDs(), ", ") + ": nobody knows how much was done; it is planned again"
	case v.Kind == result.Apply && len(failed) > 0:
		return "Apply failed " + v.where(record.ApplyFailed) + ": " + strings.Join(failed, ", ") + "; what is left is planned again"
	case v.Kind == result.Apply && status == record.Success:
		return "Everything is applied: " + v.Past()
	case v.Kind == result.Locked:
		return v.waitTitle()
	case status == record.ActionRequired && v.Failure == "" && v.Decision != nil && !v.Decision.Open && len(v.Decision.Missing()) > 0:
		return v.waitsFor(v.Decision.Missing())
	}
	return ""
}

func (v view) waitTitle() string {
	ids := make([]string, len(v.Waiting))
	for i, w := range v.Waiting {
		ids[i] = w.ID
	}
	owners := v.Owners()
	if owners == "" {
		owners = "its turn"
	}
	return fmt.Sprintf("Waits for %s (%s)", owners, strings.Join(ids, ", "))
}

func capital(s string) string {
	if s == "" {
		return ""
	}
	r, size := utf8.DecodeRuneInString(s)
	return strings.ToUpper(string(r)) + s[size:]
}

// Failures lists what failed, with the beginning of why.
func (v view) Failures() []projectView {
	const most = 10
	var failed []projectView
	for _, p := range v.Projects {
		if pv := (projectView{p, result.Plan}); pv.Failed() && len(failed) < most {
			failed = append(failed, pv)
		}
	}
	return failed
}
