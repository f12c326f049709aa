package templates

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"weir/planner"
	"weir/policy"
	"weir/templates/markdown"
)

const (
	// maxTitle is the length of a commit status's description at GitHub.
	maxTitle = 140
	// maxSummary is the length of a check run's summary at GitHub (65,535
	// characters), less some air.
	maxSummary = 60_000
)

// CheckText renders a result for one of weir's two checks: a title of one line
// and at most 140 characters, plain text, and a summary in Markdown with the
// table of projects.
func CheckText(r planner.Result, name string) (title, summary string) {
	v := view{r}
	title = v.planTitle()
	if name == planner.CheckApply {
		title = v.applyTitle()
	}
	title = markdown.Line(title, maxTitle)
	summary = render("check", v)
	if len(summary) > maxSummary {
		summary = render("too_long", v)
	}
	return title, summary
}

func (v view) planTitle() string {
	switch {
	case v.Kind == planner.ResultInternal:
		return "Internal error, job " + v.Job
	case v.Failure != "":
		return "Cannot be planned: " + v.Failure
	case len(v.Waiting) > 0:
		return v.waitTitle()
	case len(v.Projects) == 0:
		return "No Terraform project is touched"
	case len(v.FailedIDs()) > 0:
		return fmt.Sprintf("Failed in %d of %s: %s", len(v.FailedIDs()), count(len(v.Projects), "project"), strings.Join(v.FailedIDs(), ", "))
	}
	return capital(v.Future()) + " in " + count(len(v.Projects), "project")
}

func (v view) applyTitle() string {
	applied, failed := v.in(planner.Applied), v.in(planner.ApplyFailed)
	switch {
	case v.Kind == planner.ResultInternal:
		return "Internal error, job " + v.Job
	case len(v.InterruptedIDs()) > 0:
		return "Interrupted: " + strings.Join(v.InterruptedIDs(), ", ")
	case len(failed) > 0:
		return fmt.Sprintf("Apply failed in %d of %s: %s", len(failed), count(len(v.Projects), "project"), strings.Join(failed, ", "))
	case v.Failure != "":
		return "Nothing can be applied: it cannot be planned"
	case len(v.Waiting) > 0:
		return v.waitTitle()
	case len(v.Projects) == 0 || v.Empty():
		return "Nothing to apply"
	case len(v.OpenIDs()) == 0:
		return "Applied: " + v.Past() + " in " + count(len(applied), "project")
	case v.Decision != nil && !v.Decision.Open && len(v.Decision.Missing()) > 0:
		return "Waits for: " + missingWords(v.Decision.Missing())
	}
	return count(len(v.OpenIDs()), "project") + " to apply"
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
	return "Waits for " + owners + " (" + strings.Join(ids, ", ") + ")"
}

// missingWords names the requirements, with the reason where it is only one.
func missingWords(missing []policy.Requirement) string {
	if len(missing) == 1 {
		return strings.ReplaceAll(missing[0].Reason, "`", "")
	}
	words := make([]string, len(missing))
	for i, m := range missing {
		words[i] = m.Name
	}
	return strings.Join(words, ", ")
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
		if pv := (projectView{p, planner.ResultPlan}); pv.Failed() && len(failed) < most {
			failed = append(failed, pv)
		}
	}
	return failed
}
