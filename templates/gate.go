package templates

import (
	"fmt"
	"slices"
	"strings"

	"weir/planner/result"
	"weir/policy"
	"weir/templates/markdown"
)

// Missing lists the requirements that are not met.
func (v view) Missing() []string {
	var lines []string
	for _, r := range v.missing() {
		lines = append(lines, "- **"+r.Name+"**: "+markdown.Text(r.Reason))
	}
	return markdown.Bounded(lines, roomNext, "- and %d more")
}

func (v view) missing() []policy.Requirement {
	if v.Decision == nil {
		return nil
	}
	var missing []policy.Requirement
	for _, r := range v.Decision.Missing() {
		// The sentence above the list says how an apply is started.
		if r.Name != "asked" || v.Kind == result.Refused || v.Kind == result.Explain {
			missing = append(missing, r)
		}
	}
	return missing
}

// Requirements lists all requirements, those that are not met first.
func (v view) Requirements() []string {
	if v.Decision == nil {
		return nil
	}
	var met, unmet []string
	for _, r := range v.Decision.Requirements {
		if r.Met {
			met = append(met, "- ✅ **"+r.Name+"**: "+markdown.Text(r.Reason))
		} else {
			unmet = append(unmet, "- ❌ **"+r.Name+"**: "+markdown.Text(r.Reason))
		}
	}
	return markdown.Bounded(append(unmet, met...), roomNext, "- and %d more")
}

// Unmet says "1 thing is missing" or "2 things are missing".
func (v view) Unmet() string {
	if n := len(v.missing()); n != 1 {
		return fmt.Sprintf("%d things are missing", n)
	}
	return "1 thing is missing"
}

// HowToApply says what starts the apply, and what is applied then.
func (v view) HowToApply() string {
	missing := len(v.missing()) > 0
	approved := !slices.ContainsFunc(v.missing(), func(r policy.Requirement) bool { return r.Name == "approved" })
	switch policy.Mode(v.Mode) {
	case policy.OnComment:
		if missing {
			return "Once nothing is missing, the comment `weir apply` applies exactly this."
		}
		return "Nothing is missing: the comment `weir apply` applies exactly this."
	case policy.OnMerge:
		if missing {
			return "Exactly this is applied once this pull request is merged and nothing is missing."
		}
		return "Nothing is missing: exactly this is applied once this pull request is merged."
	}
	if approved {
		return "Exactly this is applied, without another question, as soon as nothing is missing."
	}
	return "Approve this pull request, and exactly this is applied, without another question, as soon as nothing is missing."
}

// short forms of requirements, for a title that has room for little.
var wants = map[string]string{
	"configured": "a weir.yaml that can be read", "base": "a base branch that is applied", "planned": "a plan", "current": "a newer plan", "locked": "its locks",
	"approved": "an approval", "mergeable": "a pull request that can be merged", "asked": "somebody to ask for it",
}

// waitsFor says in a few words what keeps the gate closed.
func (v view) waitsFor(missing []policy.Requirement) string {
	if len(missing) == 1 {
		r := missing[0]
		switch {
		case r.Name == "asked" && policy.Mode(v.Mode) == policy.OnComment:
			return "Ready: the comment weir apply applies it"
		case r.Name == "asked" && policy.Mode(v.Mode) == policy.OnMerge:
			return "Ready: it is applied once this is merged"
		case r.Name == "approved" && (strings.HasPrefix(r.Reason, "an ") || r.Reason != "" && r.Reason[0] >= '0' && r.Reason[0] <= '9'):
			return "Waits for " + r.Reason
		}
		return "Waits: " + r.Reason
	}
	words := make([]string, len(missing))
	for i, r := range missing {
		words[i] = wants[r.Name]
		if words[i] == "" {
			words[i] = r.Name
		}
		if r.Name == "asked" && policy.Mode(v.Mode) == policy.OnMerge {
			words[i] = "the merge"
		}
	}
	last := len(words) - 1
	return "Waits for " + strings.Join(words[:last], ", ") + " and " + words[last]
}
