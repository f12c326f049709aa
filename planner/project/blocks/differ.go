package blocks

import (
	"maps"
	"path"
	"slices"
	"strings"

	"weir/planner/project/module"
)

// delta is what changed in a directory.
type delta struct {
	names    map[string]bool // addresses within the module
	values   map[string]bool // variables of which more than the default changed
	anything bool
}

func (d *delta) some() bool { return len(d.names) > 0 }

// differ compares the blocks of a directory's changed files. It does not
// matter which of them a block stands in, but for override files.
func differ(dir string, before, after map[string]*file) *delta {
	d := &delta{names: map[string]bool{}, values: map[string]bool{}}
	was, is := groupsOf(dir, before), groupsOf(dir, after)
	for _, pair := range [][2]map[string]*group{{was, is}, {is, was}} {
		for key, g := range pair[0] {
			other := pair[1][key]
			if other != nil && slices.Equal(g.prints, other.prints) {
				continue
			}
			d.anything = d.anything || g.names == nil
			for _, name := range g.names {
				only := arguments(g, other)
				if strings.HasPrefix(name, "var.") {
					d.values[name] = d.values[name] || !slices.Equal(only, []string{"default"})
					only = nil
				}
				for _, argument := range only {
					d.names[name+"#"+argument] = true
				}
				if len(only) == 0 {
					d.names[name] = true
				}
			}
		}
	}
	return d
}

// group is all blocks of one key.
type group struct {
	prints []string // sorted
	names  []string
	items  []item // of a resource or variable that has one block
}

// arguments are the names of the arguments and nested blocks in which two
// blocks of a resource differ; none where there is more to it.
func arguments(a, b *group) []string {
	if b == nil || a.items == nil || b.items == nil {
		return nil
	}
	names := map[string]bool{}
	for _, pair := range [][2][]item{{a.items, b.items}, {b.items, a.items}} {
		for _, i := range pair[0] {
			of := func(items []item) (prints []string) {
				for _, other := range items {
					if other.name == i.name {
						prints = append(prints, other.print)
					}
				}
				return prints
			}
			if !slices.Equal(of(pair[0]), of(pair[1])) {
				names[i.name] = true
			}
		}
	}
	for name := range names {
		if meta[name] || !isName(name) {
			return nil
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// meta are arguments of any resource, which decide more than one attribute
// ("Meta-arguments", "Dynamic Blocks").
var meta = map[string]bool{
	"count": true, "for_each": true, "provider": true, "depends_on": true, "lifecycle": true,
	"provisioner": true, "connection": true, "dynamic": true,
}

func groupsOf(dir string, files map[string]*file) map[string]*group {
	groups := map[string]*group{}
	for name, f := range files {
		if path.Dir(name) != dir {
			continue
		}
		for _, b := range f.blocks {
			g := groups[b.key]
			if g == nil {
				g = &group{names: b.names, items: b.items}
				groups[b.key] = g
			} else {
				g.items = nil
			}
			text := b.print
			if module.Overrides(name) {
				g.items = nil
				text = path.Base(name) + "\x00" + text
			}
			g.prints = append(g.prints, text)
		}
	}
	for _, g := range groups {
		slices.Sort(g.prints)
	}
	return groups
}
