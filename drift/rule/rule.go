// Package rule says how bad a finding is, and which findings a repository has
// chosen to live with for a while.
package rule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/drift/finding"
)

// Max is how many findings Judge returns at most.
const Max = 500

// Rules are a repository's own. In patterns "*" stands for any characters,
// none too. In those of Ignore everything else stands for itself: addresses
// are full of the signs that other patterns use. In those of Severity "?" is
// any one character, as in all other patterns of types.
type Rules struct {
	Severities []Severity // the first that matches counts; before those of the table
	Ignores    []Ignore
}

// Severity is another severity for some findings.
type Severity struct {
	Type      string // pattern of the resource's type; outputs have the type "output"
	Attribute string // pattern of the attribute; "" is any, and the whole resource
	Severity  finding.Severity
}

// Ignore hides findings. All fields have to be set.
type Ignore struct {
	Address   string // pattern
	Attribute string // pattern; "*" is any, and the whole resource
	Owner     string
	Reason    string
	Until     string // last day that it counts, YYYY-MM-DD in UTC
}

// Judged is what is left of findings.
type Judged struct {
	Findings []finding.Finding // all, the worst first, then by address and attribute; with severities, and Ignored where a rule hides one
	Hidden   int               // how many a rule hides, listed or not
	Cut      bool              // there are more findings than are listed; hidden ones go first
	Ended    []string          // rules that hide nothing (any more), in words for people, in the order of the rules
	Unused   []string          // rules in force that match no finding, likewise
}

// Judge applies rules. It changes nothing of what it is given. Today is taken
// in UTC.
//
// A rule never hides a destroy: a resource that was deleted outside, or that a
// plan would delete or replace. Of several rules that match a finding, the
// first that is in force hides it.
func Judge(found []finding.Finding, rules Rules, today time.Time) Judged {
	var j Judged
	day := today.UTC().Format(time.DateOnly)
	wrong, used, kept := make([]string, len(rules.Ignores)), make([]int, len(rules.Ignores)), make([]int, len(rules.Ignores))
	for i, rule := range rules.Ignores {
		wrong[i] = rule.wrong(day)
	}
	for _, f := range found {
		f.Severity, f.Ignored = severity(f, rules.Severities), nil
		for i, rule := range rules.Ignores {
			if !rule.matches(f) {
				continue
			}
			used[i]++
			switch {
			case destroys(f):
				kept[i]++
			case wrong[i] == "" && f.Ignored == nil:
				f.Ignored = &finding.Ignored{Owner: rule.Owner, Reason: rule.Reason, Until: rule.Until}
				j.Hidden++
			}
		}
		j.Findings = append(j.Findings, f)
	}
	for i, rule := range rules.Ignores {
		switch {
		case wrong[i] != "" && used[i] > 0:
			j.Ended = append(j.Ended, fmt.Sprintf("%s %s; it matches %d of these findings", rule, wrong[i], used[i]))
		case wrong[i] != "":
			j.Ended = append(j.Ended, fmt.Sprintf("%s %s", rule, wrong[i]))
		case used[i] == 0:
			j.Unused = append(j.Unused, fmt.Sprintf("%s matches nothing", rule))
		case kept[i] == used[i]:
			j.Unused = append(j.Unused, fmt.Sprintf("%s hides nothing: all that it matches is destroyed, which no rule hides", rule))
		}
	}
	if len(j.Findings) > Max {
		slices.SortStableFunc(j.Findings, func(a, b finding.Finding) int { return cmp.Or(cmp.Compare(hidden(a), hidden(b)), order(a, b)) })
		j.Findings, j.Cut = slices.Clone(j.Findings[:Max]), true
	}
	slices.SortStableFunc(j.Findings, order)
	return j
}

func order(a, b finding.Finding) int {
	return cmp.Or(
		cmp.Compare(rank[b.Severity], rank[a.Severity]),
		cmp.Compare(a.Address, b.Address), cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.Kind, b.Kind),
	)
}

var rank = map[finding.Severity]int{finding.Low: 1, finding.Medium: 2, finding.High: 3}

func hidden(f finding.Finding) int {
	if f.Ignored != nil {
		return 1
	}
	return 0
}

func destroys(f finding.Finding) bool {
	return f.Kind == finding.Deleted || f.Action == "delete" || f.Action == "replace"
}

func (r Ignore) matches(f finding.Finding) bool {
	return match(r.Address, f.Address) && match(r.Attribute, f.Attribute)
}

// wrong says why a rule is not in force, "" if it is.
func (r Ignore) wrong(day string) string {
	for _, field := range []struct{ name, value string }{
		{"address", r.Address}, {"attribute", r.Attribute}, {"owner", r.Owner}, {"reason", r.Reason}, {"until", r.Until},
	} {
		if strings.TrimSpace(field.value) == "" {
			return "hides nothing: it has no " + field.name
		}
	}
	if _, err := time.Parse(time.DateOnly, r.Until); err != nil {
		return fmt.Sprintf("hides nothing: its end %q is not a day, such as 2026-12-31", r.Until)
	}
	if r.Until < day {
		return "ended on " + r.Until
	}
	return ""
}

// String names the rule for people.
func (r Ignore) String() string {
	text := "the rule for " + cmp.Or(r.Address, "no address")
	if r.Attribute != "" && r.Attribute != "*" {
		text += " (" + r.Attribute + ")"
	}
	if r.Owner != "" {
		text += " of " + r.Owner
	}
	return text
}

// match says whether a pattern means all of a text.
func match(pattern, text string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], next
	}
}
