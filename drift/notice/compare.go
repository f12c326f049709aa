package notice

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Most is how many projects a notice lists.
const Most = 20

// difference is what is to be done about one target.
type difference struct {
	changes []Change // all of them, the worst first
	intent  heard    // to be stored before the notice is sent
	after   heard    // and after it
}

// compare is what a target has not heard, or may not have. It does not depend
// on the order of now.
func (t Target) compare(h heard, now []Project) difference {
	d := difference{after: heard{Projects: map[string]known{}}, intent: heard{Projects: maps.Clone(h.Projects)}}
	if d.intent.Projects == nil {
		d.intent.Projects = map[string]known{}
	}
	seen, unclear := map[string]view{}, map[string]bool{}
	var says []string // what is told, for its digest
	add := func(name string, before known, v view, what What) {
		v.change.What = what
		d.changes = append(d.changes, v.change)
		d.intent.Projects[name] = before.doubt()
		if !strings.HasPrefix(name, kept) {
			name = shortName(name) // as it may be stored
		}
		says = append(says, fmt.Sprintf("%s %s %s %s", name, what, before.state(), v.state))
	}
	for _, p := range now {
		name := h.find(p.Check.Project)
		if p.Check.Started.IsZero() && p.Check.Failure == "" { // nothing is known of it
			unclear[name] = true
			continue
		}
		seen[name] = t.look(p)
	}
	for name, v := range seen {
		before := h.Projects[name]
		if v.state != "" {
			d.after.Projects[name] = known(v.state)
		}
		if what, told := v.what(before); told {
			add(name, before, v, what)
		}
	}
	for name, before := range h.Projects {
		if unclear[name] {
			d.after.Projects[name] = before
		} else if _, ok := seen[name]; !ok {
			gone := Change{Project: name}
			if strings.HasPrefix(name, kept) {
				gone.Project = ""
			}
			add(name, before, view{change: gone}, Gone)
		}
	}
	slices.SortFunc(d.changes, worstFirst)
	slices.Sort(says)
	d.intent.Intent = short(strings.Join(says, "\n"), 16)
	d.intent.Number = h.Number
	if d.intent.Intent != h.Intent {
		d.intent.Number++
	}
	d.after.Number = d.intent.Number
	return d
}

// what became of a project, and whether its target is to be told.
func (v view) what(before known) (what What, told bool) {
	switch told = !before.sure() || before.state() != v.state; {
	case v.state == "":
		what = InOrder
	case v.state == failed:
		what = Failed
	case before.state() == "", before.state() == failed, before.state() == v.state:
		what = Differs
	default:
		what = Otherwise
	}
	return what, told
}

// worstFirst puts what needs somebody before what does not. A check that fails
// may hide anything, and comes behind what is known to be bad.
func worstFirst(a, b Change) int {
	order := func(c Change) int {
		switch {
		case c.What == Gone:
			return 10
		case c.What == InOrder:
			return 9
		case c.What == Failed:
			return 1
		case rank[c.Severity] == 3:
			return 0
		}
		return 4 - rank[c.Severity]
	}
	return cmp.Or(order(a)-order(b), strings.Compare(a.Project, b.Project), strings.Compare(a.Dir, b.Dir))
}
