package adopt

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/drift/finding"
	"weir/planner/project/edit"
	"weir/planner/terraform"
	"weir/templates/markdown"
)

// unit is what is done together or not at all: the edits of one resource, with
// all its instances, since one text makes them.
type unit struct {
	name   string // the address without keys
	wanted edit.Wanted
	filled bool // the deployed values of what is imported are among wanted

	done bool
	why  string // it was not, an item
}

// did says what was done, an item for each resource.
func (u *unit) did() []string {
	var all []string
	for _, address := range u.addresses() {
		item := markdown.Code(address)
		switch {
		case slices.Contains(u.wanted.Forget, address):
			item += ", which Terraform lets go of; it is not destroyed"
		case slices.ContainsFunc(u.wanted.Remove, func(r edit.Remove) bool { return r.Address == address }):
			item += ", which is gone, and so is its block"
		}
		if i := u.imported(address); i != nil {
			item += ", imported as " + markdown.Code(i.ID)
			if u.filled {
				item += ", with what is deployed written into its block"
			}
		}
		all = append(all, item)
	}
	return all
}

// addresses are those that edits are about, each once, in order.
func (u *unit) addresses() []string {
	all := slices.Clone(u.wanted.Forget)
	for _, one := range u.wanted.Set {
		all = append(all, one.Address)
	}
	for _, one := range u.wanted.Remove {
		all = append(all, one.Address)
	}
	for _, one := range u.wanted.Import {
		all = append(all, one.Address)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// title is what a unit is called.
func (u *unit) title() string {
	if all := u.addresses(); len(all) == 1 {
		return all[0]
	}
	return u.name
}

func (u *unit) imported(address string) *edit.Import {
	i := slices.IndexFunc(u.wanted.Import, func(i edit.Import) bool { return i.Address == address })
	if i < 0 {
		return nil
	}
	return &u.wanted.Import[i]
}

// set adds the deployed values of a resource that a plan would change: of an
// attribute, or of all where that is "". It reports whether there are any.
func (u *unit) set(from *terraform.Plan, address, attribute string) (some bool) {
	for _, v := range from.Values {
		if v.Address != address || attribute != "" && v.Attribute != attribute {
			continue
		}
		some = true
		if !slices.ContainsFunc(u.wanted.Set, func(s edit.Set) bool { return s.Address == v.Address && s.Attribute == v.Attribute }) {
			u.wanted.Set = append(u.wanted.Set, edit.Set{Address: v.Address, Attribute: v.Attribute, Declared: v.Declared, Deployed: v.Deployed, Sensitive: v.Sensitive})
		}
	}
	return some
}

// parts are units of one import each, if that is all that a unit is.
func (u *unit) parts() []*unit {
	var parts []*unit
	for _, one := range u.wanted.Import {
		parts = append(parts, &unit{name: u.name, wanted: edit.Wanted{Import: []edit.Import{one}}})
	}
	if len(parts) < 2 || len(u.wanted.Remove)+len(u.wanted.Forget) > 0 {
		return nil
	}
	return parts
}

// sorter finds out what is to be edited, from what was asked for and a plan of
// the code as it is.
type sorter struct {
	Asked
	plan   *terraform.Plan
	exists func(edit.Import) (why string, err error) // "" where the code has the resource

	units []*unit
	not   []string
	gone  bool // nothing of what was asked about differs
}

func (s *sorter) sort() error {
	differs, known := false, map[string]bool{}
	for _, f := range s.Findings {
		known[f.Address] = true
		if s.IDs[f.Address] != "" {
			continue
		}
		if !s.differs(f.Address) {
			s.refuse(f.Address, f.Attribute, "nothing differs here any more")
			continue
		}
		differs = true
		s.finding(f)
	}
	for _, address := range s.Addresses {
		if !known[address] && s.IDs[address] == "" {
			differs = true
			s.refuse(address, "", "nothing is known to differ here; mind the spelling, or ask for `weir drift check`")
		}
	}
	for _, address := range slices.Sorted(maps.Keys(s.IDs)) {
		differs = true
		if err := s.imports(edit.Import{Address: address, ID: s.IDs[address]}); err != nil {
			return err
		}
	}
	s.gone = !differs
	return nil
}

func (s *sorter) refuse(address, attribute, why string) {
	item := markdown.Code(address)
	if attribute != "" {
		item += " " + markdown.Code(attribute)
	}
	if item += ": " + why + "."; !slices.Contains(s.not, item) {
		s.not = append(s.not, item)
	}
}

// unit is that of an address.
func (s *sorter) unit(address string) *unit {
	name := edit.Bare(address)
	for _, u := range s.units {
		if u.name == name {
			return u
		}
	}
	u := &unit{name: name}
	s.units = append(s.units, u)
	return u
}

// differs reports whether the plan has anything to say of an address.
func (s *sorter) differs(address string) bool {
	sum := s.plan.Summary
	is := func(c terraform.Change) bool { return c.Address == address }
	name, output := strings.CutPrefix(address, "output.")
	return sum.Cut || slices.ContainsFunc(sum.Changes, is) || slices.ContainsFunc(sum.Drift, is) ||
		output && slices.ContainsFunc(sum.Outputs, func(o terraform.Output) bool { return o.Name == name })
}

// change is what a plan would do to a resource, nil for nothing.
func change(p *terraform.Plan, address string) *terraform.Change {
	for i, c := range p.Summary.Changes {
		if c.Address == address {
			return &p.Summary.Changes[i]
		}
	}
	return nil
}

// finding adds the edits for what is known to differ, or says why there are
// none.
func (s *sorter) finding(f finding.Finding) {
	c := change(s.plan, f.Address)
	action := terraform.NoOp
	if c != nil {
		action = c.Action
	}
	switch {
	case strings.HasPrefix(f.Address, "output."):
		s.refuse(f.Address, "", "an output follows from other values; an apply puts it right, such as that of `weir drift revert`")
	case action == terraform.Delete:
		s.forget(f.Address)
	case f.Kind == finding.Merged || f.Kind == finding.Unmerged:
		why := string(f.Kind) + "; adopting would undo that"
		if action == terraform.Create {
			why += ifItExists(f.Address)
		}
		s.refuse(f.Address, f.Attribute, why)
	case f.Kind == finding.Deleted:
		u := s.unit(f.Address)
		if one := (edit.Remove{Address: f.Address}); !slices.Contains(u.wanted.Remove, one) {
			u.wanted.Remove = append(u.wanted.Remove, one)
		}
	default:
		s.values(f, c)
	}
}

// ifItExists is what to do about a resource that a plan would make.
func ifItExists(address string) string {
	return ". If it exists all the same, name it with the id by which the provider knows it: " + command(address+"=ID")
}

// command is the one that adopts an address, as a person would write it.
func command(address string) string {
	return markdown.Code("weir drift adopt '" + strings.ReplaceAll(address, "'", `'\''`) + "'")
}

// values adds what is deployed of an attribute, or of all of a resource.
func (s *sorter) values(f finding.Finding, c *terraform.Change) {
	u := &unit{name: edit.Bare(f.Address)}
	if u.set(s.plan, f.Address, f.Attribute) {
		s.unit(f.Address).set(s.plan, f.Address, f.Attribute)
		return
	}
	has := func(name string) bool {
		return c != nil && slices.ContainsFunc(c.Attributes, func(a terraform.Attribute) bool { return a.Name == name })
	}
	switch {
	case c == nil || c.Action == terraform.NoOp:
		s.refuse(f.Address, f.Attribute, "a plan leaves it as it is, so the code has nothing else to say; what differs is what comes from it")
	case c.Action == terraform.Create:
		s.refuse(f.Address, "", "a plan would make it"+ifItExists(f.Address))
	case f.Attribute != "" && has(f.Attribute):
		s.refuse(f.Address, f.Attribute, "its value is known after an apply only, so there is none to write")
	case f.Attribute != "":
		s.refuse(f.Address, f.Attribute, "nothing differs here any more")
	default:
		why := ""
		if c.Reason != "" {
			why = " (" + markdown.Text(c.Reason) + ")"
		}
		s.refuse(f.Address, "", fmt.Sprintf("a plan would %s it for no value that the code could say%s; `weir drift revert` does that", c.Action, why))
	}
}

// forget has Terraform let go of what it would destroy, if a person named it.
func (s *sorter) forget(address string) {
	if !slices.Contains(s.Addresses, address) {
		s.refuse(address, "", "the code does not have it any more, so an apply would destroy it. If it is to stay, and Terraform to forget it, name it: "+command(address))
		return
	}
	if !s.since(7) {
		s.refuse(address, "", "removed blocks need Terraform 1.7 or later, and this is "+markdown.Code(s.plan.Version))
		return
	}
	u := s.unit(address)
	for _, c := range s.plan.Summary.Changes { // one block lets go of all instances
		if edit.Bare(c.Address) == u.name && c.Action == terraform.Delete && !slices.Contains(s.Addresses, c.Address) {
			s.units = slices.DeleteFunc(s.units, func(o *unit) bool { return o == u })
			s.refuse(address, "", "a removed block lets go of all instances of a resource, and "+markdown.Code(c.Address)+" would be destroyed too: name that as well, or neither")
			return
		}
	}
	u.wanted.Forget = append(u.wanted.Forget, address)
}

// imports adds an import block, or says why there is none.
func (s *sorter) imports(one edit.Import) error {
	missing, err := s.exists(one)
	if err != nil {
		return err
	}
	c := change(s.plan, one.Address)
	switch {
	case !s.since(5):
		s.refuse(one.Address, "", "import blocks need Terraform 1.5 or later, and this is "+markdown.Code(s.plan.Version))
	case c != nil && c.Importing == one.ID:
		s.refuse(one.Address, "", "the code imports it already; an apply does that, such as that of `weir drift revert`")
	case missing != "":
		s.refuse(one.Address, "", markdown.Text(missing))
	case c != nil && (c.Action == terraform.Create || c.Importing != ""):
		u := s.unit(one.Address)
		u.wanted.Import = append(u.wanted.Import, one)
	case c == nil:
		s.refuse(one.Address, "", "a plan does not want to make it: Terraform's state has it already, or the code makes no instance of that name")
	default:
		s.refuse(one.Address, "", "Terraform's state has it already, so nothing is imported; without an id it can be adopted: "+command(one.Address))
	}
	return nil
}

// since reports whether the plan is of Terraform 1.minor or later, or of a
// version that is not known.
func (s *sorter) since(minor int) bool {
	var major, is int
	n, _ := fmt.Sscanf(s.plan.Version, "%d.%d", &major, &is)
	return n < 2 || major > 1 || major == 1 && is >= minor
}
