package notice

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"weir/drift/finding"
)

// state is what a target knows, or is to know, of a project: "" is in order,
// failed that it cannot be checked, anything else a digest of what differs.
type state string

const failed state = "failed"

// view is one project as a target sees it.
type view struct {
	state  state
	change Change // all but What
}

// maxFailure bounds, in characters, what is said of why a check failed.
const maxFailure = 300

// look is what a target sees of a project.
func (t Target) look(p Project) view {
	c := p.Check
	v := view{change: Change{Project: c.Project, Dir: c.Dir, Workspace: c.Workspace}}
	if p.Issue != 0 {
		v.change.Issue = &Issue{Number: p.Issue, URL: p.IssueURL}
	}
	if c.Failure != "" {
		v.state, v.change.Failure = failed, cut(c.Failure)
		return v
	}
	var counts []finding.Finding
	for _, f := range c.Findings {
		switch {
		case f.Ignored != nil:
			v.change.Hidden++
		case c.InFlight != 0 && f.Kind == finding.Unmerged && f.Pull == c.InFlight:
			// What an open pull request has applied is on its way.
		case t.Least != "" && rank[f.Severity] != 0 && rank[f.Severity] < rank[t.Least]:
			v.change.Below++
		default:
			counts = append(counts, f)
			if rank[f.Severity] > rank[v.change.Severity] {
				v.change.Severity = f.Severity
			}
		}
	}
	v.state, v.change.Findings = digest(counts), perKind(counts)
	return v
}

// digest of what differs: another one when the set of address, attribute and
// kind is another one.
func digest(counts []finding.Finding) state {
	if len(counts) == 0 {
		return ""
	}
	keys := make([]string, len(counts))
	for i, f := range counts {
		keys[i] = strings.Join([]string{f.Address, f.Attribute, string(f.Kind)}, "\x00")
	}
	slices.Sort(keys)
	return state(short(strings.Join(slices.Compact(keys), "\x01"), 8))
}

// short is a digest of n bytes, in letters that JSON leaves as they are.
func short(s string, n int) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:n])
}

// kinds are in the order in which they are told.
var kinds = []finding.Kind{
	finding.Deleted, finding.Changed, finding.Merged, finding.Unmerged, finding.Version, finding.Data, finding.Unknown,
}

// perKind counts findings; kinds that are not known to this package come last.
func perKind(counts []finding.Finding) []Count {
	n, order := map[finding.Kind]int{}, slices.Clone(kinds)
	for _, f := range counts {
		n[f.Kind]++
		if !slices.Contains(order, f.Kind) {
			order = append(order, f.Kind)
		}
	}
	slices.Sort(order[len(kinds):])
	var list []Count
	for _, k := range order {
		if n[k] > 0 {
			list = append(list, Count{Kind: k, Count: n[k]})
		}
	}
	return list
}

// cut shortens a text to its beginning.
func cut(s string) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
	if runes := []rune(s); len(runes) > maxFailure {
		return string(runes[:maxFailure]) + "…"
	}
	return s
}
