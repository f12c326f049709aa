package blocks

import (
	"maps"
	"slices"
	"strings"
)

// flow follows what changed values are used for.
type flow struct {
	*tree
	found map[string]bool
	seen  map[value]bool
	todo  []value
	steps int

	anything bool // a value decides how a provider is configured, or where the state is
}

// value is a variable, a local or an output of a module, as one instance
// refers to it.
type value struct {
	at   *instance
	name string // "var.a", "local.a", "data.a.b", "module.net.out", "module.net" for all of them, "aws_vpc.a", "aws_vpc.a#tags"

	// silent is one that a plan does not name where it says what a value comes
	// from: what refers to it has itself to count as touched.
	silent bool
}

// touched returns the addresses that changes of directories and of the root's
// variables touch; nil where that is not known.
func (t *tree) touched(changed map[string]*delta, variables []string) []string {
	f := &flow{tree: t, found: map[string]bool{}, seen: map[value]bool{}}
	for dir, d := range changed {
		if dir != t.root && d.some() && t.unclear {
			return nil
		}
	}
	for _, name := range variables {
		f.found["var."+name] = true
		f.add(value{t.instances[0], "var." + name, false})
	}
	for _, at := range t.instances {
		d := changed[at.dir]
		if d == nil {
			continue
		}
		for name := range d.names {
			if f.found[at.path+name] = true; len(f.found) > maxBlocks {
				return nil
			}
			f.seed(at, name, d)
		}
	}
	for len(f.todo) > 0 {
		v := f.todo[len(f.todo)-1]
		f.todo = f.todo[:len(f.todo)-1]
		f.step(v)
		if f.anything || f.steps > maxSteps || len(f.found) > maxBlocks {
			return nil
		}
	}
	if len(f.found) == 0 {
		return []string{}
	}
	return slices.Sorted(maps.Keys(f.found))
}

// seed adds the value that a changed block has.
func (f *flow) seed(at *instance, name string, d *delta) {
	kind, rest, _ := strings.Cut(name, ".")
	inner := strings.Contains(rest, ".")
	switch {
	case kind == "local", kind == "var" && at.parent == nil, kind == "module" && !inner, kind == "data" || kind == "ephemeral":
		f.add(value{at, name, false})
	case kind == "var":
		// Where a value is passed, another default makes no difference.
		outer, passed := f.dirs[at.parent.dir], f.dirs[at.dir]
		if !outer.args[at.call][rest] || d.values[name] || passed != nil && passed.fallback[rest] {
			f.add(value{at, name, true})
		}
	case kind == "output" && at.parent != nil:
		f.add(value{at.parent, "module." + at.call + "." + rest, true})
	case !inner && kind != "output" && kind != "check":
		f.add(value{at, name, false})
	}
}

func (f *flow) add(v value) {
	if f.seen[v] || !v.silent && f.seen[value{v.at, v.name, true}] {
		return
	}
	f.seen[v] = true
	f.todo = append(f.todo, v)
}

// step finds what refers to a value.
func (f *flow) step(v value) {
	d := f.dirs[v.at.dir]
	if d == nil {
		return
	}
	for _, name := range f.references(d, v.name) {
		f.steps++
		for _, u := range d.users[name] {
			f.steps++
			f.use(v, u)
		}
		for _, p := range d.passes[name] {
			f.steps++
			f.pass(v, p)
		}
	}
}

// references are the names by which a directory refers to a value, as prints.References
// names them.
func (f *flow) references(d *directory, name string) []string {
	kind, rest, _ := strings.Cut(name, ".")
	switch kind {
	case "var", "local", "data", "ephemeral":
		return []string{name}
	case "module":
		if of, _, one := strings.Cut(rest, "."); one {
			return []string{name, "module." + of + ".*"}
		}
	}
	var names []string
	of, argument, one := strings.Cut(name, "#")
	for attribute := range d.attributes[of] {
		f.steps++
		switch {
		case !one, attribute == "*", attribute == argument:
		case d.set[of][attribute]:
			continue // which says another value
		case argument == "timeouts", argument == "tags" && attribute != "tags_all":
			continue // they never decide another attribute
		}
		names = append(names, of+"."+attribute)
	}
	return names
}

// use is that of a value in a block.
func (f *flow) use(v value, u user) {
	kind, rest, _ := strings.Cut(u.key, ".")
	switch {
	case u.names == nil:
		f.anything = true
	case u.key != u.names[0]: // an import block
		for _, name := range u.names {
			f.found[v.at.path+name] = true
		}
	case kind == "local", kind == "data", kind == "ephemeral":
		f.found[v.at.path+u.key] = true
		f.add(value{v.at, u.key, false})
	case kind == "output" && v.at.parent != nil:
		f.add(value{v.at.parent, "module." + v.at.call + "." + rest, v.silent})
	default:
		if v.silent {
			f.found[v.at.path+u.key] = true
		}
		if u.item == "" {
			return
		}
		// The plan says of what it is made, but not of what it is behind a local.
		next := u.key
		if !meta[u.item] {
			next += "#" + u.item
		}
		f.add(value{v.at, next, false})
	}
}

// pass is that of a value in a module call.
func (f *flow) pass(v value, p pass) {
	inner := v.at.inner[p.call]
	switch p.name {
	case "source", "version":
		f.found[v.at.path+"module."+p.call] = true
	case "depends_on":
		// Data sources within are read after what they depend on, which a plan
		// tells of their values only.
		f.found[v.at.path+"module."+p.call] = true
		return
	case "count", "for_each", "providers":
		if v.silent {
			f.found[v.at.path+"module."+p.call] = true
		}
		return
	}
	for _, in := range inner {
		f.steps++
		f.add(value{in, "var." + p.name, v.silent})
	}
	if len(inner) > 0 {
		return
	}
	// A module from elsewhere.
	if v.silent {
		f.found[v.at.path+"module."+p.call] = true
	}
	f.add(value{v.at, "module." + p.call, false})
}
