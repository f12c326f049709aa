package project

import (
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"weir/planner/project/config"
	"weir/planner/project/module"
)

// source is a directory with Terraform files, and what they say.
type source struct {
	module.Module
	dir     string
	files   []string
	refused string // a file that is a link out of the repository, in words
}

// node is a source, and where its module calls lead in one checkout.
type node struct {
	*source
	calls   []string // directories of modules, sorted
	via     []string // symbolic links on the way to them
	refused string
}

// Discover finds the projects of a checkout on disk. cfg may be nil, which is
// the default configuration. What is wrong in the repository is in the Set's
// Problems; an error means that the checkout could not be read.
//
// Where cfg lists projects, those are the projects. Otherwise a directory is a
// project if it has a backend or cloud block, or if it has provider
// configurations, resources, data or module calls and no other module calls
// it. Hidden directories are searched for modules, not for projects; .git,
// .terraform, .terragrunt-cache and node_modules are not searched at all.
// Symbolic links are followed inside of the checkout only, and a directory is
// a project only under its own name.
func Discover(root string, cfg *Config) (*Set, error) {
	t, err := directoryTree(root, ".")
	if err != nil {
		return nil, err
	}
	return t.Discover(cfg)
}

// Discover finds the projects of a tree, as the function Discover does.
func (t Tree) Discover(cfg *Config) (*Set, error) { return discover(t, cfg, nil) }

// Before returns the Set of the commit that a checkout was made from, without
// reading all of it again: only the changed files differ. changed is as for
// Affected; was holds those of them that existed before (what else it holds
// does not matter), cfg is the configuration of then. The checkout that s was
// made from must still be there.
func (s *Set) Before(cfg *Config, changed []string, was Tree) (*Set, error) {
	now := s.index.tree
	differ := make(map[string]bool, len(changed))
	for _, name := range changed {
		differ[name] = true
	}
	t := Tree{Links: map[string]string{}, Read: func(name string) ([]byte, error) {
		if differ[name] {
			return was.Read(name)
		}
		return now.Read(name)
	}}
	for _, name := range s.index.names {
		if !differ[name] && s.index.isFile(name) {
			t.Files = append(t.Files, name)
		}
	}
	for _, name := range was.Files {
		if differ[name] {
			t.Files = append(t.Files, name)
		}
	}
	for name, to := range now.Links {
		if !differ[name] {
			t.Links[name] = to
		}
	}
	for name, to := range was.Links {
		if differ[name] {
			t.Links[name] = to
		}
	}
	return discover(t, cfg, func(files []string) *source {
		known := s.nodes[path.Dir(files[0])]
		if known == nil || !slices.Equal(known.files, files) || slices.ContainsFunc(files, func(name string) bool {
			_, link := t.Links[name]
			return link || differ[name]
		}) {
			return nil
		}
		return known.source
	})
}

// discover reads the sources of a tree and makes a Set of them. reuse returns
// what is known already about the files of a directory, or nil.
func discover(t Tree, cfg *Config, reuse func(files []string) *source) (*Set, error) {
	if cfg == nil {
		cfg = &Config{}
	}
	x := newIndex(t)
	dirs := sortedKeys(x.sources)
	sources := make([]*source, len(dirs))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, dir := range dirs {
		if reuse != nil {
			if sources[i] = reuse(x.sources[dir]); sources[i] != nil {
				continue
			}
		}
		group.Go(func() (err error) {
			sources[i], err = x.readSource(dir)
			return err
		})
	}
	tested, err := x.testedModules()
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}

	s := &Set{configured: len(cfg.Projects) > 0, index: x, nodes: map[string]*node{}, inputs: map[key]*inputs{}, at: map[key]int{}}
	for i, dir := range dirs {
		s.nodes[dir] = s.link(sources[i])
	}
	s.tellLinks()
	roots := s.roots(tested)
	if s.configured {
		s.addConfigured(cfg)
		listed := map[string]bool{}
		for _, c := range cfg.Projects {
			listed[c.Dir] = true
		}
		s.Unlisted = slices.DeleteFunc(roots, func(dir string) bool { return listed[dir] })
	} else {
		for _, dir := range roots {
			s.add(Project{Dir: dir, Workspace: "default", Autoplan: true})
		}
	}
	if x.has("weir.yml") && !x.has(File) {
		s.Problems = append(s.Problems, Problem{File: "weir.yml", Message: "is not read; the name is " + File})
	}
	slices.SortFunc(s.Projects, byID)
	for i, p := range s.Projects {
		s.at[p.key()] = i
	}
	slices.SortFunc(s.Problems, byPlace)
	return s, nil
}

// link finds out where the module calls of a directory lead.
func (s *Set) link(m *source) *node {
	n := &node{source: m, refused: m.refused}
	for _, p := range m.Problems {
		s.Problems = append(s.Problems, Problem{Dir: m.dir, File: p.File, Line: p.Line, Message: p.Message})
	}
	for _, c := range m.Calls {
		bad := func(format string, args ...any) string {
			text := fmt.Sprintf("the module source %s ", short(c.Source)) + fmt.Sprintf(format, args...)
			s.Problems = append(s.Problems, Problem{Dir: m.dir, File: c.File, Line: c.Line, Message: text})
			return fmt.Sprintf("%s:%d: %s", c.File, c.Line, text)
		}
		to := c.Source
		if c.Open {
			to = to[:strings.LastIndex(to, "/")]
		}
		if to = path.Join(m.dir, to); to == ".." || strings.HasPrefix(to, "../") {
			n.refused = bad("leaves the repository")
			continue
		}
		actual, via, err := s.index.resolve(to)
		n.via = append(n.via, via...)
		switch {
		case err != nil:
			n.refused = bad("leads through a symbolic link to %v", err)
		case c.Open: // it may be any of those below
			for dir := range s.index.sources {
				if dir != m.dir && under(dir, actual) {
					n.calls = append(n.calls, dir)
				}
			}
		case len(s.index.sources[actual]) > 0:
			n.calls = append(n.calls, actual)
		default:
			bad("is no directory with Terraform files here")
		}
	}
	slices.Sort(n.calls)
	n.calls = slices.Compact(n.calls)
	return n
}

// tellLinks tells of symbolic links in modules that lead out of the
// repository. Those that are Terraform files were told when they were read.
func (s *Set) tellLinks() {
	for name := range s.index.tree.Links {
		if dir := s.index.owner(name); dir != "" && !module.IsSource(name) {
			if _, _, err := s.index.resolve(name); err != nil {
				s.Problems = append(s.Problems, Problem{Dir: dir, File: name, Message: "this symbolic link leads to " + err.Error()})
			}
		}
	}
}

// roots returns the directories that look like root modules, sorted.
func (s *Set) roots(called map[string]bool) []string {
	shared := map[string]bool{} // files that a link elsewhere makes part of another module
	for dir, n := range s.nodes {
		for _, to := range n.calls {
			called[to] = called[to] || to != dir
		}
		for _, name := range n.files {
			if actual, via, err := s.index.resolve(name); err == nil && via != nil {
				shared[actual] = true
			}
		}
	}
	var roots []string
	for _, dir := range sortedKeys(s.nodes) {
		n := s.nodes[dir]
		if n.Backend == "" && (!n.Content || called[dir] || s.onlyShared(n, shared)) || hidden(dir) {
			continue
		}
		if clean, err := config.CleanDir(dir); err != nil || clean != dir {
			s.Problems = append(s.Problems, Problem{Dir: dir, Message: fmt.Sprintf("the name of the directory %s %v, so it is no project", short(dir), err)})
			continue
		}
		roots = append(roots, dir)
	}
	return roots
}

// onlyShared reports whether a directory only keeps files for others to link
// to: nobody has run Terraform in it, or told it variables.
func (s *Set) onlyShared(n *node, shared map[string]bool) bool {
	if slices.ContainsFunc(n.files, func(name string) bool { return !shared[name] }) {
		return false
	}
	return !slices.ContainsFunc(s.index.inside(n.dir), func(name string) bool {
		return path.Dir(name) == n.dir && (path.Base(name) == ".terraform.lock.hcl" ||
			strings.HasSuffix(name, ".tfvars") || strings.HasSuffix(name, ".tfvars.json"))
	})
}

// hidden reports whether a part of a relative path begins with a dot.
func hidden(name string) bool {
	return name != "." && slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return strings.HasPrefix(part, ".") })
}

// addConfigured adds the projects that weir.yaml lists.
func (s *Set) addConfigured(cfg *Config) {
	for i, c := range cfg.Projects {
		bad := func(key, format string, args ...any) {
			at := fmt.Sprintf("projects[%d].%s", i, key)
			s.Problems = append(s.Problems, Problem{File: File, Line: cfg.Line(at), Message: at + " " + fmt.Sprintf(format, args...)})
		}
		_, via, err := s.index.resolve(c.Dir)
		switch {
		case err != nil:
			bad("dir", "%s leads through a symbolic link to %v", c.Dir, err)
		case via != nil:
			bad("dir", "%s leads through the symbolic link %s; name the directory itself", c.Dir, via[0])
		case len(s.index.sources[c.Dir]) > 0:
			p := Project{
				Name: c.Name, Dir: c.Dir, Workspace: c.Workspace, TerraformVersion: c.TerraformVersion, VarFiles: c.VarFiles,
				DependsOn: c.DependsOn, Autoplan: c.Autoplan.On(), WhenModified: c.Autoplan.WhenModified,
			}
			for j, file := range s.add(p).missing {
				if file != "" {
					bad(fmt.Sprintf("var_files[%d]", j), "%s %s", c.VarFiles[j], file)
				}
			}
		case s.index.isDir(c.Dir):
			bad("dir", "%s holds no Terraform files", c.Dir)
		default:
			bad("dir", "%s does not exist", c.Dir)
		}
	}
}

// add completes a project by what its files say, and adds it.
func (s *Set) add(p Project) *inputs {
	in := s.complete(&p)
	s.Projects = append(s.Projects, p)
	s.inputs[p.key()] = in
	return in
}

// complete fills in what the files say of a project, and returns what it is
// made of.
func (s *Set) complete(p *Project) *inputs {
	p.Backend, p.State, p.Modules, p.Refused = "", "", nil, ""
	seen, todo := map[string]bool{p.Dir: true}, []string{p.Dir}
	var via []string
	for len(todo) > 0 {
		n := s.nodes[todo[0]]
		todo = todo[1:]
		if n == nil {
			continue
		}
		if n.dir == p.Dir {
			p.Backend, p.State = n.Backend, n.State(p.Workspace)
		} else {
			p.Modules = append(p.Modules, n.dir)
		}
		if p.Refused == "" {
			p.Refused = n.refused
		}
		via = append(via, n.via...)
		for _, to := range n.calls {
			if !seen[to] {
				seen[to] = true
				todo = append(todo, to)
			}
		}
	}
	slices.Sort(p.Modules)
	in := s.index.inputs(*p, via)
	if p.Refused == "" {
		p.Refused = in.refused
	}
	return in
}

// readSource reads the Terraform files of a directory.
func (x *index) readSource(dir string) (*source, error) {
	m := &source{dir: dir, files: x.sources[dir]}
	for _, name := range m.files {
		actual, _, err := x.resolve(name)
		bad := ""
		switch {
		case err != nil:
			bad = "this symbolic link leads to " + err.Error()
			m.refused = name + ": " + bad
		case !x.isFile(actual):
			bad = "this symbolic link leads to " + actual + ", which is no file here"
		}
		if bad != "" {
			m.Problems = append(m.Problems, module.Problem{File: name, Message: bad})
			continue
		}
		data, err := x.tree.Read(actual)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", actual, err)
		}
		m.Add(name, data)
	}
	return m, nil
}

// testedModules returns the directories that test files call as modules. They
// are no projects, although nothing else calls them.
func (x *index) testedModules() (map[string]bool, error) {
	called := map[string]bool{}
	for _, name := range x.names {
		if !module.IsTest(name) || !x.isFile(name) {
			continue
		}
		data, err := x.tree.Read(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		dir := path.Dir(name)
		for _, to := range module.TestCalls(name, data) {
			called[path.Join(dir, to)] = true
			if path.Base(dir) == "tests" { // sources are relative to what is tested
				called[path.Join(path.Dir(dir), to)] = true
			}
		}
		delete(called, dir)
		delete(called, path.Dir(dir))
	}
	return called, nil
}

// short quotes text for a message, cut to a length that one can read.
func short(text string) string {
	if r := []rune(text); len(r) > 80 {
		text = string(r[:80]) + "…"
	}
	return fmt.Sprintf("%q", text)
}
