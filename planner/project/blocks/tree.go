package blocks

import (
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"weir/planner/project"
	"weir/planner/project/module"
)

// tree is a project as its files stand after a change.
type tree struct {
	root      string
	dirs      map[string]*directory
	instances []*instance
	unclear   bool // a call leads to files that are not known
}

// directory is what all files of one say.
type directory struct {
	calls      []call
	users      map[string][]user          // by what they refer to, as prints.References names it
	attributes map[string]map[string]bool // what is referred to of a resource ("aws_vpc.a") or module: "id", "*"
	set        map[string]map[string]bool // by resource: arguments that it sets
	passes     map[string][]pass          // by what they refer to: arguments of calls
	args       map[string]map[string]bool // by name of the call: arguments that it surely has
	fallback   map[string]bool            // variables ("a") that may have their default although a value is passed
}

func newDirectory() *directory {
	return &directory{
		users: map[string][]user{}, attributes: map[string]map[string]bool{}, set: map[string]map[string]bool{},
		passes: map[string][]pass{}, args: map[string]map[string]bool{}, fallback: map[string]bool{},
	}
}

// user is a block that refers to something.
type user struct {
	key   string
	names []string // nil: anything
	item  string   // of a resource: the argument that does
}

// pass is an argument of a module call.
type pass struct{ call, name string }

// instance is a module by one path of calls.
type instance struct {
	path   string // "module.a.module.b."; "" for the root
	calls  string // "a.b."
	call   string // "b"
	dir    string
	parent *instance
	inner  map[string][]*instance // by the name of the call
}

// tree reads a project's files; nil where that is not possible.
func (r *Reader) tree(p project.Project, files map[string][]byte) *tree {
	if size(files) > maxBytes {
		return nil
	}
	t := &tree{root: p.Dir, dirs: map[string]*directory{}}
	read := map[string]*file{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if isVariables(p, name) || !Reads(p, name) {
			continue
		}
		if !r.read(read, p, name, files[name]) {
			return nil
		}
		dir := path.Dir(name)
		if t.dirs[dir] == nil {
			t.dirs[dir] = newDirectory()
		}
		_, instead := files[module.Instead(name)]
		t.dirs[dir].add(read[name], !instead && !module.IsTofu(name))
	}
	if !t.follow() {
		return nil
	}
	return t
}

// add adds what a file says; surely, if either program reads it.
func (d *directory) add(f *file, surely bool) {
	d.calls = append(d.calls, f.calls...)
	for _, b := range f.blocks {
		kind, name, _ := strings.Cut(b.key, ".")
		switch {
		case kind == "module": // see passes
			continue
		case kind == "var":
			if slices.ContainsFunc(b.items, func(i item) bool { return i.name == "nullable" }) {
				d.fallback[name] = true
			}
			continue
		case b.items != nil && d.set[b.key] == nil:
			d.set[b.key] = map[string]bool{}
		}
		for _, i := range b.items {
			d.set[b.key][i.name] = true
			d.refer(i.refs, user{b.key, b.names, i.name})
		}
		d.refer(b.refs, user{key: b.key, names: b.names})
	}
	for _, c := range f.calls {
		if d.args[c.name] == nil {
			d.args[c.name] = map[string]bool{}
		}
		for arg, refs := range c.args {
			d.args[c.name][arg] = d.args[c.name][arg] || surely
			for _, name := range refs {
				d.refer([]string{name}, user{})
				d.passes[name] = append(d.passes[name], pass{c.name, arg})
			}
		}
	}
}

// refer notes what a block refers to; the zero user is a call.
func (d *directory) refer(refs []string, by user) {
	for _, name := range refs {
		i := strings.LastIndexByte(name, '.')
		of, attribute := name[:i], name[i+1:]
		if d.attributes[of] == nil {
			d.attributes[of] = map[string]bool{}
		}
		d.attributes[of][attribute] = true
		if by.key != "" {
			d.users[name] = append(d.users[name], by)
		}
	}
}

// follow finds the paths of calls; false where there are too many.
func (t *tree) follow() bool {
	t.instances = []*instance{{dir: t.root}}
	for i := 0; i < len(t.instances); i++ {
		at := t.instances[i]
		d := t.dirs[at.dir]
		if d == nil {
			continue
		}
		for _, c := range d.calls {
			if c.open {
				t.unclear = true
			}
			if c.open || !c.local() {
				continue
			}
			to := c.leads(at.dir)
			if t.dirs[to] == nil {
				t.unclear = true // a directory behind a link, or none
				continue
			}
			in := &instance{path: at.path + "module." + c.name + ".", calls: at.calls + c.name + ".", call: c.name, dir: to, parent: at}
			if len(t.instances) >= maxInstances || len(in.path) > maxPath {
				return false
			}
			if at.inner == nil {
				at.inner = map[string][]*instance{}
			}
			at.inner[c.name] = append(at.inner[c.name], in)
			t.instances = append(t.instances, in)
		}
	}
	return true
}

// Versions returns the versions that module calls of a project ask for, by
// path of calls ("vpc", "net.vpc"): version of a module from a registry, ref
// of one from Git. files are those of the project for which Reads is true.
// Calls that ask for none are left out; so are all where a file cannot be
// read.
func (r *Reader) Versions(p project.Project, files map[string][]byte) map[string]string {
	t := r.tree(p, files)
	if t == nil {
		return nil
	}
	versions := map[string]string{}
	for _, at := range t.instances {
		d := t.dirs[at.dir]
		if d == nil {
			continue
		}
		for _, c := range d.calls {
			version := c.version
			if version == "" {
				version = ref(c.source)
			}
			if version == "" || c.open || c.local() {
				continue
			}
			if versions[at.calls+c.name] = version; len(versions) > maxInstances {
				return nil
			}
		}
	}
	return versions
}

// ref is what a source from Git asks for.
func ref(source string) string {
	_, query, _ := strings.Cut(source, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	return values.Get("ref")
}
