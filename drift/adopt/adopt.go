// Package adopt changes code so that it says what is deployed. What it returns
// was planned before: of the resources that it names, nothing is left to do but
// what the code asks for, to import them or to let go of them.
package adopt

import (
	"context"
	"fmt"
	"os"

	"weir/drift/finding"
	"weir/planner/project/edit"
	"weir/planner/terraform"
)

// Project is the code to change, and how it is planned.
type Project struct {
	Root string // absolute path of the repository's files; they are as before when Adopt returns
	Dir  string // of the project, below Root

	// Plan plans the files as they are now, see run.Runs.Look.
	Plan func(context.Context) (plan *terraform.Plan, failure string, err error)
}

// Asked is what is to be adopted.
type Asked struct {
	Findings  []finding.Finding // what is known to differ, of all or of what was named
	Addresses []string          // that a person named; none: all
	// IDs are by which the provider knows resources that exist and that the
	// state does not have, by address. Nobody but a person can know them.
	IDs map[string]string
}

// Result is what came of it, in Markdown where it is text.
type Result struct {
	Files map[string][]byte // that changed, by path from Root; none: nothing can be said
	Done  []string          // resources that the code says now, one an item
	Not   []string          // what it does not say, and why, and what to do about it where that is known
	State bool              // an apply is still needed, to import or to let go of some of Done; it changes nothing but the state
	Gone  bool              // nothing of what was asked about differs any more
}

// maxPlans is how often the project is planned with edited code.
const maxPlans = 8

// Adopt makes the code say what is deployed. failure is why the project cannot
// be planned as it is.
//
// What was deleted outside loses its block, and its import blocks. What was
// changed gets the deployed values, where they are written out and one text
// makes no more than what was asked about. What has an id gets an import block,
// and the deployed values with it, so that the import changes nothing.
//
// What the code says since a merge that nobody applied, or what was applied and
// never merged, is no mistake of the code's, so adopting it is refused: it would
// undo somebody's work. There is one exception. Where a plan would destroy a
// resource because the code does not have it any more, a person may want
// neither: the resource is to stay, and Terraform is to forget it. That is never
// done for all, but only for addresses that were named, whatever is known of
// why: a removed block lets go of them, and destroys nothing.
//
// The edits of one resource are done in full or not at all. With all of them
// the project is planned, at most 8 times. They stay where that plan leaves
// nothing to do of these resources, and does nothing to others that was not
// planned before. Edits that make the plan fail, or have an effect elsewhere,
// are found by trying less at once, and left out.
func Adopt(ctx context.Context, p Project, asked Asked) (r Result, failure string, err error) {
	plan, failure, err := p.Plan(ctx)
	if failure != "" || err != nil {
		return r, failure, err
	}
	root, err := os.OpenRoot(p.Root)
	if err != nil {
		return r, "", fmt.Errorf("adopt: %w", err)
	}
	defer root.Close()
	s := &sorter{Asked: asked, plan: plan, exists: func(one edit.Import) (string, error) {
		made, err := edit.Apply(root.FS(), p.Dir, edit.Wanted{Import: []edit.Import{one}})
		if err != nil || len(made.Not) == 0 {
			return "", err
		}
		return made.Not[0].Why, nil
	}}
	if err := s.sort(); err != nil {
		return r, "", fmt.Errorf("adopt: %w", err)
	}
	r.Not, r.Gone = s.not, s.gone
	if len(s.units) == 0 {
		return r, "", nil
	}
	a := &attempt{Project: p, tree: root.FS(), first: plan, plans: maxPlans, units: s.units}
	if err := a.all(ctx); err != nil {
		return r, "", fmt.Errorf("adopt: %w", err)
	}
	r.Files = a.files
	for _, u := range a.units {
		if u.done {
			r.Done = append(r.Done, u.did()...)
			r.State = r.State || len(u.wanted.Import)+len(u.wanted.Forget) > 0
			continue
		}
		r.Not = append(r.Not, u.why)
	}
	return r, "", nil
}
