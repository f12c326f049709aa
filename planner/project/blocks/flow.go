package blocks

import (
	"maps"
	"path"
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
}

// value is a variable, a local or an output of a module, as one instance
// refers to it.
type value struct {
	at   *instance
	name string // "var.a", "local.a", "module.net.out"

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
			f.seed(at, name)
		}
	}
	for len(f.todo) > 0 {
		v := f.todo[len(f.todo)-1]
		f.todo = f.todo[:len(f.todo)-1]
		f.step(v)
		if f.steps > maxSteps || len(f.found) > maxBlocks {
			return nil
		}
	}
	if len(f.found) == 0 {
		return []string{}
	}
	return slices.Sorted(maps.Keys(f.found))
}

// seed adds the value that a changed block has.
func (f *flow) seed(at *instance, name string) {
	kind, rest, _ := strings.Cut(name, ".")
	switch {
	case kind == "local", kind == "var" && at.parent == nil:
		f.add(value{at, name, false})
	case kind == "var" && !f.dirs[at.parent.dir].args[at.call][rest]:
		f.add(value{at, name, true})
	case kind == "output" && at.parent != nil:
		f.add(value{at.parent, "module." + at.call + "." + rest, true})
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
	names := []string{v.name}
	if strings.HasPrefix(v.name, "module.") {
		names = append(names, strings.TrimSuffix(v.name, path.Ext(v.name))+".*")
	}
	for _, name := range names {
		for _, user := range d.users[name] {
			f.steps++
			kind, rest, _ := strings.Cut(user, ".")
			switch {
			case kind == "local":
				f.found[v.at.path+user] = true
				f.add(value{v.at, user, false})
			case kind == "output" && v.at.parent != nil:
				f.add(value{v.at.parent, "module." + v.at.call + "." + rest, v.silent})
			case v.silent:
				f.found[v.at.path+user] = true
			}
		}
		for _, p := range d.passes[name] {
			f.steps++
			switch p.name {
			case "count", "for_each", "depends_on", "providers":
				if v.silent {
					f.found[v.at.path+"module."+p.call] = true
				}
				continue
			}
			inner := v.at.inner[p.call]
			for _, in := range inner {
				f.steps++
				f.add(value{in, "var." + p.name, v.silent})
			}
			if len(inner) == 0 && v.silent { // a module from elsewhere
				f.found[v.at.path+"module."+p.call] = true
			}
		}
	}
}
