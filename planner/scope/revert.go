package scope

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"weir/planner/project"
)

// RevertBranch is the branch whose pull request plans a project although it
// changes no file: its plan puts back what the code says. Anybody may push such
// a branch, as anybody may ask for a plan of any project.
func RevertBranch(id string) string { return reverts + Slug(id) }

const reverts = "weir/drift/revert-"

// Slug is a project's ID as a part of a branch's name, another one for each.
func Slug(id string) string {
	sum := sha256.Sum256([]byte(id))
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '-'
	}, id), "-") + "-" + hex.EncodeToString(sum[:3])
}

// revert adds the project that a branch is there to plan.
func (s *Scope) revert(branch string) {
	if !strings.HasPrefix(branch, reverts) {
		return
	}
	for _, p := range s.Set.Projects {
		if branch == RevertBranch(p.ID()) && !slices.ContainsFunc(s.Projects, func(o project.Project) bool { return o.ID() == p.ID() }) {
			s.Projects = append(s.Projects, p)
		}
	}
	slices.SortFunc(s.Projects, func(a, b project.Project) int { return strings.Compare(a.ID(), b.ID()) })
}
