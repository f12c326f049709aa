package blocks

import (
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"weir/planner/project"
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
	calls  []call
	users  map[string][]string // by what they refer to: addresses of blocks within
	passes map[string][]pass   // by what they refer to: arguments of calls
	args   map[string]map[string]bool
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
			t.dirs[dir] = &directory{users: map[string][]string{}, passes: map[string][]pass{}, args: map[string]map[string]bool{}}
		}
		t.dirs[dir].add(read[name])
	}
	if !t.follow() {
		return nil
	}
	return t
}

func (d *directory) add(f *file) {
	d.calls = append(d.calls, f.calls...)
	for _, b := range f.blocks {
		if len(b.names) != 1 || b.key != b.names[0] || strings.HasPrefix(b.key, "module.") || strings.HasPrefix(b.key, "var.") {
			continue
		}
		for _, name := range b.refs {
			d.users[name] = append(d.users[name], b.key)
		}
	}
	for _, c := range f.calls {
		if d.args[c.name] == nil {
			d.args[c.name] = map[string]bool{}
		}
		for arg, refs := range c.args {
			d.args[c.name][arg] = true
			for _, name := range refs {
				d.passes[name] = append(d.passes[name], pass{c.name, arg})
			}
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
