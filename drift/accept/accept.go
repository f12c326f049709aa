// Package accept proposes rules that leave drift as it is, for a while. It is
// pure.
package accept

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"weir/drift/finding"
	"weir/planner/project"
	"weir/planner/project/config"
	"weir/planner/project/edit/rule"
	"weir/templates/markdown"
)

// Terms are what every rule has.
type Terms struct {
	Owner, Reason string
	Until         string // last day, YYYY-MM-DD
}

// Propose returns weir.yaml with rules added that hide what was found of a
// project, given as it is now; or, without a branch, why there are none. Both
// texts are Markdown. No rule hides a destroy.
func Propose(file []byte, id, dir string, found []finding.Finding, terms Terms) (*finding.Branch, string) {
	var hide []config.IgnoreRule
	var stars []string
	for _, f := range found {
		switch {
		case f.Kind == finding.Deleted || f.Action == "delete" || f.Action == "replace":
			continue
		case strings.Contains(f.Address, "*"):
			stars = append(stars, "- "+markdown.Code(f.Address))
			continue
		}
		attribute := f.Attribute
		if attribute == "" {
			attribute = "*"
		}
		hide = append(hide, config.IgnoreRule{Address: f.Address, Attribute: attribute, Owner: terms.Owner, Reason: terms.Reason, Until: terms.Until})
	}
	left := ""
	if len(stars) > 0 {
		left = "\n\nNot hidden, because a `*` in a rule stands for any characters, and the rule would hide more than this; write it by hand if that is meant:\n\n" +
			strings.Join(slices.Compact(stars), "\n")
	}
	switch {
	case len(hide) == 0 && left != "":
		return nil, strings.TrimSpace(left)
	case len(hide) == 0:
		return nil, "There is nothing here that a rule could hide: what would be destroyed or made again is never hidden, and is to be reverted or adopted."
	}
	after, err := rule.Accept(file, dir, hide)
	if byHand := (*rule.ByHandError)(nil); errors.As(err, &byHand) {
		return nil, fmt.Sprintf("The rule cannot be added: %s line %d, %s. Make a pull request with these lines added there:\n\n%s",
			project.File, byHand.Line, byHand.Why, markdown.Fence("yaml", byHand.Add))
	}
	if err != nil {
		return nil, "The rule cannot be added: " + markdown.Text(err.Error()) + "."
	}
	if bytes.Equal(after, file) {
		return nil, "The rules of " + project.File + " say so already. The next check leaves it out."
	}
	return &finding.Branch{
		Message: "Accept drift of " + id + " until " + terms.Until,
		Title:   "Drift: accept what differs in " + id + " until " + terms.Until,
		Body: fmt.Sprintf("Adds %d rules to `%s`, so that what is known is not told until %s. Owner: %s. Reason: %s",
			len(hide), project.File, terms.Until, markdown.Code(terms.Owner), markdown.Text(terms.Reason)) + left,
		Files: map[string][]byte{project.File: after},
	}, "Once it is merged, what it names is counted and not told." + left
}
