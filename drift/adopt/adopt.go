// Package adopt changes code so that it says what is deployed. What it returns
// was planned before: the resources that it names have nothing to change any
// more.
package adopt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

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

// Result is what came of it, in Markdown where it is text.
type Result struct {
	Files map[string][]byte // that changed, by path from Root; none: nothing can be said
	Done  []string          // resources that the code says now, one an item
	Not   []string          // what it does not say, and why
}

// Adopt makes the code say what is deployed of findings. failure is why the
// project cannot be planned as it is.
func Adopt(ctx context.Context, p Project, found []finding.Finding) (r Result, failure string, err error) {
	plan, failure, err := p.Plan(ctx)
	if failure != "" || err != nil {
		return r, failure, err
	}
	wanted, not := wantedOf(found, plan)
	r, err = p.express(ctx, wanted)
	r.Not = append(not, r.Not...)
	return r, "", err
}

// wantedOf are the edits that make the code say what is deployed.
func wantedOf(found []finding.Finding, plan *terraform.Plan) (w edit.Wanted, not []string) {
	for _, f := range found {
		switch f.Kind {
		case finding.Merged, finding.Unmerged:
			not = append(not, fmt.Sprintf("`%s`: %s; adopting would undo that.", f.Address, f.Kind))
			continue
		case finding.Deleted:
			if !slices.ContainsFunc(w.Remove, func(r edit.Remove) bool { return r.Address == f.Address }) {
				w.Remove = append(w.Remove, edit.Remove{Address: f.Address})
			}
			continue
		}
		for _, v := range plan.Values {
			if v.Address == f.Address && (f.Attribute == "" || v.Attribute == f.Attribute) {
				w.Set = append(w.Set, edit.Set{Address: v.Address, Attribute: v.Attribute, Declared: v.Declared, Deployed: v.Deployed, Sensitive: v.Sensitive})
			}
		}
	}
	return w, not
}

// express edits the files, plans them, and leaves out the resources whose plan
// is not empty then.
func (p Project) express(ctx context.Context, w edit.Wanted) (r Result, err error) {
	root, err := os.OpenRoot(p.Root)
	if err != nil {
		return r, fmt.Errorf("adopt: %w", err)
	}
	defer root.Close()
	const tries = 4
	for range tries {
		made, err := edit.Apply(root.FS(), p.Dir, w)
		if err != nil {
			return r, fmt.Errorf("adopt: %w", err)
		}
		var refused []string
		for _, n := range made.Not {
			refused = append(refused, fmt.Sprintf("`%s` %s: %s.", n.Address, n.Attribute, n.Why))
		}
		if len(made.Files) == 0 {
			r.Not = append(r.Not, refused...)
			return r, nil
		}
		left, failure, err := p.tryOut(ctx, made.Files)
		if err != nil {
			return r, err
		}
		if failure != "" {
			r.Not = append(append(r.Not, refused...), "With these edits Terraform says: "+strings.TrimRight(failure, ".\n ")+".")
			return r, nil
		}
		whole := true
		for _, address := range addresses(w) {
			i := slices.IndexFunc(left.Summary.Changes, func(c terraform.Change) bool { return c.Address == address })
			if i < 0 || edits(w, made, address) == 0 {
				continue
			}
			why := fmt.Sprintf("`%s`: with the edited code its plan would still %s it.", address, left.Summary.Changes[i].Action)
			for _, n := range made.Not {
				if n.Address == address {
					why += fmt.Sprintf(" Its %s cannot be written: %s.", n.Attribute, n.Why)
				}
			}
			r.Not = append(r.Not, why)
			w, whole = without(w, address), false
		}
		if whole {
			for _, address := range addresses(w) {
				if edits(w, made, address) > 0 {
					r.Done = append(r.Done, "`"+address+"`")
				}
			}
			r.Files, r.Not = made.Files, append(r.Not, refused...)
			return r, nil
		}
	}
	r.Not = append(r.Not, "The edits depend on each other, so that none is left that stands alone.")
	return r, nil
}

// edits is how many of the edits of a resource were made.
func edits(w edit.Wanted, made edit.Result, address string) int {
	n := 0
	for _, set := range w.Set {
		if set.Address == address {
			n++
		}
	}
	for _, remove := range w.Remove {
		if remove.Address == address {
			n++
		}
	}
	for _, not := range made.Not {
		if not.Address == address {
			n--
		}
	}
	return n
}

// tryOut plans the project with other files, and puts the files back.
func (p Project) tryOut(ctx context.Context, files map[string][]byte) (plan *terraform.Plan, failure string, err error) {
	for name, content := range files {
		path := filepath.Join(p.Root, filepath.FromSlash(name))
		before, wrong := os.ReadFile(path) // #nosec G304 -- edit follows no links and leaves the checkout's files alone
		if wrong != nil {
			return nil, "", fmt.Errorf("adopt: %w", wrong)
		}
		defer func() { err = errors.Join(err, os.WriteFile(path, before, 0o600)) }() // #nosec G703 -- likewise
		if wrong := os.WriteFile(path, content, 0o600); wrong != nil {
			return nil, "", fmt.Errorf("adopt: %w", wrong)
		}
	}
	return p.Plan(ctx)
}

func addresses(w edit.Wanted) []string {
	var all []string
	for _, set := range w.Set {
		all = append(all, set.Address)
	}
	for _, r := range w.Remove {
		all = append(all, r.Address)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func without(w edit.Wanted, address string) edit.Wanted {
	return edit.Wanted{
		Set:    slices.DeleteFunc(slices.Clone(w.Set), func(s edit.Set) bool { return s.Address == address }),
		Remove: slices.DeleteFunc(slices.Clone(w.Remove), func(r edit.Remove) bool { return r.Address == address }),
		Import: w.Import,
	}
}
