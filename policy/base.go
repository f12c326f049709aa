package policy

import (
	"fmt"

	"github.com/bmatcuk/doublestar/v4"
)

// Base asks whether the pull request is against the repository's default
// branch, or against one that fits a pattern of listed. Rules are read from the
// base branch; and whoever can write can push a branch with rules of their own
// and turn anybody's pull request to it, so that a branch that nobody has
// vouched for would be a guard of their own choice (I7).
//
// In a pattern * and ? stand for characters other than a slash, and ** as a
// whole part for any number of parts. Letters have to be the same in case, as
// they have for Git. A pattern that cannot be read fits nothing.
func Base(p Pull, listed []string) Requirement {
	r := Requirement{Name: "base"}
	if p.Base == "" {
		r.Reason = "GitHub does not say what it is against"
		return r
	}
	if p.Base == p.Default {
		r.Met, r.Reason = true, "it is against "+p.Base+", the default branch"
		return r
	}
	for _, pattern := range listed {
		if ok, err := doublestar.Match(pattern, p.Base); ok && err == nil {
			r.Met, r.Reason = true, fmt.Sprintf("it is against %s, which the server lists in base_branches (%s)", p.Base, pattern)
			return r
		}
	}
	if p.Default == "" {
		r.Reason = "GitHub does not say which branch is the default one, and only what is against that is applied"
		return r
	}
	served := p.Default + ", or a branch that the server lists in base_branches"
	if len(listed) > 0 {
		served += " (" + list(listed) + ")"
	}
	if p.Merged {
		r.Reason = fmt.Sprintf("it was merged into %s; only what is against %s, is applied. A pull request that brings it to %s plans and applies it",
			p.Base, served, p.Default)
		return r
	}
	r.Reason = fmt.Sprintf("it is against %s; only what is against %s, is applied. Retarget it, or merge it and apply it with a pull request that brings %s to %s",
		p.Base, served, p.Base, p.Default)
	return r
}
