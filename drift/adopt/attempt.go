package adopt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/planner/project/edit"
	"weir/planner/terraform"
	"weir/templates/markdown"
)

// attempt finds the units whose edits can be made.
type attempt struct {
	Project
	tree  fs.FS
	first *terraform.Plan // of the code as it is
	plans int             // that may still be made
	units []*unit

	fine  []*unit           // their edits were planned together, and leave nothing to do
	files map[string][]byte // of all that is fine, as they were planned
	later []*unit           // not one of their edits can be made, for now: others may have to go first
}

// all tries all units.
func (a *attempt) all(ctx context.Context) error {
	for units := slices.Clone(a.units); len(units) > 0; {
		before := len(a.fine)
		for len(units) > 0 {
			why, err := a.settle(ctx, units)
			if err != nil {
				return err
			}
			if why == "" {
				break
			}
			if units, err = a.blame(ctx, units, why); err != nil {
				return err
			}
		}
		units, a.later = a.later, nil
		if len(a.fine) == before {
			break
		}
	}
	return nil
}

// settle tries units together, on top of what is fine. Each of them is made
// then, left out or put off, unless something is wrong with all of them: what
// that is, is returned.
func (a *attempt) settle(ctx context.Context, units []*unit) (why string, err error) {
	for len(units) > 0 {
		made, err := edit.Apply(a.tree, a.Dir, wanted(a.fine, units))
		if err != nil {
			return "", err
		}
		able := slices.DeleteFunc(slices.Clone(units), func(u *unit) bool { return a.unable(u, made) })
		if len(able) < len(units) {
			units = able
			continue
		}
		if same := maps.EqualFunc(made.Files, a.files, slices.Equal); same || a.plans == 0 {
			for _, u := range units {
				if u.why = item(u.title(), "it was not tried, since there were too many plans to make; name it alone"); same {
					u.why = item(u.title(), "the code says so already, so there is nothing to write", told(u, made))
				}
			}
			return "", nil
		}
		a.plans--
		with, failure, err := a.tryOut(ctx, made.Files)
		if err != nil {
			return "", err
		}
		if failure == "" && fill(units, with) {
			continue
		}
		if why := a.spoilt(with, failure, units, made); why != "" {
			return why, nil
		}
		able = nil
		for _, u := range units {
			why := left(u, with, made)
			if why == "" {
				able = append(able, u)
			} else if err := a.refuse(ctx, u, why); err != nil {
				return "", err
			}
		}
		if len(able) == len(units) {
			for _, u := range units {
				u.done = true
			}
			a.fine, a.files = append(a.fine, units...), made.Files
			return "", nil
		}
		units = able
	}
	return "", nil
}

// blame finds one unit that something is wrong with, of those that cannot be
// made together, and leaves it out. It returns those of which nothing is known
// yet.
func (a *attempt) blame(ctx context.Context, units []*unit, why string) (rest []*unit, err error) {
	for len(units) > 1 {
		half, other := units[:len(units)/2], units[len(units)/2:]
		wrong, err := a.settle(ctx, half)
		switch {
		case err != nil:
			return nil, err
		case wrong != "":
			units, why, rest = half, wrong, slices.Concat(other, rest)
		case slices.ContainsFunc(half, func(u *unit) bool { return !u.done }):
			return slices.Concat(other, rest), nil // without some of the half the others may be fine
		default:
			units = other
		}
	}
	return rest, a.refuse(ctx, units[0], item(units[0].title(), why))
}

// refuse leaves a unit out; imports of several instances are tried one by one.
func (a *attempt) refuse(ctx context.Context, u *unit, why string) error {
	parts := u.parts()
	if parts == nil {
		u.why = why
		return nil
	}
	i := slices.Index(a.units, u)
	a.units = slices.Replace(a.units, i, i+1, parts...)
	for _, part := range parts {
		why, err := a.settle(ctx, []*unit{part})
		if err != nil {
			return err
		}
		if why != "" {
			part.why = item(part.title(), why)
		}
	}
	return nil
}

// wanted are the edits of all units.
func wanted(lists ...[]*unit) (w edit.Wanted) {
	for _, units := range lists {
		for _, u := range units {
			w.Set = append(w.Set, u.wanted.Set...)
			w.Remove = append(w.Remove, u.wanted.Remove...)
			w.Import = append(w.Import, u.wanted.Import...)
			w.Forget = append(w.Forget, u.wanted.Forget...)
		}
	}
	return w
}

// unable reports whether not one of a unit's edits was made, and puts it off.
func (a *attempt) unable(u *unit, made edit.Result) bool {
	w := u.wanted
	of := u.addresses()
	edits := len(w.Set) + len(w.Remove) + len(w.Import) + len(w.Forget)
	for _, n := range made.Not {
		if slices.Contains(of, n.Address) {
			edits--
		}
	}
	if edits > 0 {
		return false
	}
	u.why = item(u.title(), told(u, made))
	a.later = append(a.later, u)
	return true
}

// told says what of a unit cannot be written, each thing once.
func told(u *unit, made edit.Result) string {
	var all []string
	of := u.addresses()
	for _, n := range made.Not {
		if !slices.Contains(of, n.Address) {
			continue
		}
		why := markdown.Text(n.Why)
		if n.Attribute != "" {
			why = "Its " + markdown.Code(n.Attribute) + " cannot be written: " + why
		}
		if !slices.Contains(all, why) {
			all = append(all, why)
		}
	}
	return strings.Join(all, ". ")
}

// fill adds what is deployed of resources that would be imported and then
// updated. It reports whether there is anything new to try.
func fill(units []*unit, with *terraform.Plan) (again bool) {
	for _, u := range units {
		before := len(u.wanted.Set)
		for _, one := range u.wanted.Import {
			if c := change(with, one.Address); c != nil && c.Importing != "" && c.Action == terraform.Update {
				u.set(with, one.Address, "")
			}
		}
		if len(u.wanted.Set) > before {
			u.filled, again = true, true
		}
	}
	return again
}

// spoilt says why a plan cannot be had for one unit alone to blame: it fails,
// or something else than was edited differs from the plan before.
func (a *attempt) spoilt(with *terraform.Plan, failure string, units []*unit, made edit.Result) string {
	if failure != "" {
		return "with this edit Terraform says:\n\n" + indented(markdown.Fence("", cut(failure)))
	}
	if with.Summary.Cut {
		return "the plan has more changes than can be looked at"
	}
	for _, u := range a.fine {
		if why := left(u, with, made); why != "" {
			return "it does not go together with others: " + why
		}
	}
	edited := map[string]bool{}
	for _, u := range slices.Concat(a.fine, units) {
		for _, address := range u.addresses() {
			edited[address] = true
		}
	}
	for _, c := range with.Summary.Changes {
		if edited[c.Address] || c.Action == terraform.Read || c.Action == terraform.NoOp {
			continue
		}
		before := change(a.first, c.Address)
		worse := c.Action == terraform.Delete || c.Action == terraform.Replace || c.Action == terraform.Forget
		if before == nil || before.Action == terraform.NoOp || worse && before.Action != c.Action {
			return fmt.Sprintf("with this edit a plan would %s %s, too", c.Action, markdown.Code(c.Address))
		}
	}
	return ""
}

// cut shortens what Terraform says: the first of it is why.
func cut(text string) string {
	const most = 3000
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// left says what a plan would still do to a unit, "" for what is wanted.
func left(u *unit, with *terraform.Plan, made edit.Result) string {
	for _, address := range u.addresses() {
		c := change(with, address)
		one := u.imported(address)
		switch {
		case slices.Contains(u.wanted.Forget, address):
			if c != nil && c.Action != terraform.Forget {
				return item(address, fmt.Sprintf("with a removed block a plan would still %s it", c.Action))
			}
		case one == nil && c == nil, one != nil && c != nil && c.Importing != "" && c.Action == terraform.NoOp:
		case one == nil:
			return item(address, fmt.Sprintf("with the edited code its plan would still %s it", c.Action), told(u, made))
		case c == nil || c.Importing == "":
			return item(address, "Terraform does not import it. If its state still has one that is gone, that has to go first, with `terraform state rm`")
		case c.Action == terraform.Update:
			return item(address, "it would be imported, and then changed", told(u, made), byHand(*one))
		default:
			return item(address, fmt.Sprintf("with this id a plan would %s it%s: is it that of something else?", c.Action, forced(c)))
		}
	}
	return ""
}

// forced names what cannot be changed in place.
func forced(c *terraform.Change) string {
	var names []string
	for _, attr := range c.Attributes {
		if attr.ForcesReplace {
			names = append(names, markdown.Code(attr.Name))
		}
	}
	if names == nil {
		return ""
	}
	return " because of its " + strings.Join(names, ", ")
}

// byHand is what a person can do who wants an import all the same.
func byHand(one edit.Import) string {
	return "To have that, make a pull request with this block:\n\n" + indented(markdown.Fence("terraform", edit.ImportBlock(one)))
}

// item is one of a list: what is said of an address, in sentences.
func item(address string, says ...string) string {
	says = slices.DeleteFunc(says, func(s string) bool { return s == "" })
	text := markdown.Code(address) + ": " + strings.Join(says, ". ")
	if !strings.HasSuffix(text, "`\n") && !strings.HasSuffix(text, "?") {
		text += "."
	}
	return text
}

// indented is a block within an item of a list.
func indented(block string) string {
	return "  " + strings.ReplaceAll(block, "\n", "\n  ") + "\n"
}

// tryOut plans the project with other files, and puts the files back.
func (p Project) tryOut(ctx context.Context, files map[string][]byte) (plan *terraform.Plan, failure string, err error) {
	for name, content := range files {
		path := filepath.Join(p.Root, filepath.FromSlash(name))
		before, wrong := os.ReadFile(path) // #nosec G304 -- edit follows no links and leaves the checkout's files alone
		if wrong != nil {
			return nil, "", wrong
		}
		defer func() { err = errors.Join(err, os.WriteFile(path, before, 0o600)) }() // #nosec G703 -- likewise
		if wrong := os.WriteFile(path, content, 0o600); wrong != nil {
			return nil, "", wrong
		}
	}
	return p.Plan(ctx)
}
