package project

import (
	"path"
	"slices"
)

// Why a project is planned although weir.yaml of the checkout says otherwise.
const (
	noteRule   = "weir.yaml here would not plan it for this change; the base branch's rule counts until it is merged"
	noteList   = "weir.yaml here does not list it; on the base branch it is a project, so it is planned until that is merged"
	noteNoRoot = "it no longer looks like a root module; on the base branch it is a project, so it is planned until that is merged"
)

// Affected returns the projects that a list of changed files touches, sorted
// by ID. Names are slash-separated and relative to the repository's root, and
// a renamed file counts with both its names. base is the Set of the commit
// that the change is made to; nil where it is not known.
//
// A project is touched by what it is made of, now or in base, or by what
// when_modified says, now or in base: no change can keep a project of base
// from being planned. Therefore projects of base are returned too
//   - with Deleted, where their directory has no Terraform files any more;
//   - with a Note, where the checkout no longer has them as projects, or no
//     longer wants them planned.
//
// Where weir.yaml itself changes, projects are touched whose workspace,
// version, var files or dependencies differ from base, or all if base is nil.
// Projects with autoplan off, now and in base, are left out unless deleted.
func (s *Set) Affected(changed []string, base *Set) []Project {
	now, before := changed, []string(nil)
	if base != nil {
		// Which module a file belongs to is a question to the side where it exists.
		now, before = nil, nil
		for _, name := range changed {
			if s.index.has(name) || !base.index.has(name) {
				now = append(now, name)
			}
			if base.index.has(name) || !s.index.has(name) {
				before = append(before, name)
			}
		}
	}
	nowChanges := s.index.changes(now)
	var beforeChanges []change
	if base != nil {
		beforeChanges = base.index.changes(before)
	}
	redefined := slices.Contains(changed, File)
	var found []Project
	for _, p := range s.Projects {
		was, known := base.project(p.key())
		hit := p.Autoplan && slices.ContainsFunc(nowChanges, s.inputs[p.key()].wanted)
		switch {
		case hit || !redefined:
		case known:
			hit = (p.Autoplan || was.Autoplan) && !s.sameAs(p, was, base)
		default:
			hit = p.Autoplan && s.configured
		}
		if !hit && known && was.Autoplan {
			hit = slices.ContainsFunc(beforeChanges, base.inputs[p.key()].wanted)
			if hit && (!p.Autoplan || !slices.Equal(p.WhenModified, was.WhenModified)) {
				p.Note = noteRule
			}
		}
		if hit && !p.Autoplan {
			p.Note = noteRule
		}
		if hit {
			found = append(found, p)
		}
	}
	if base != nil {
		found = append(found, s.lost(base, nowChanges, beforeChanges)...)
	}
	slices.SortStableFunc(found, byID)
	return found
}

// lost returns the projects that base has, the checkout has not, and the
// change touches.
func (s *Set) lost(base *Set, now, before []change) []Project {
	taken := map[string]bool{}
	for _, p := range s.Projects {
		taken[p.ID()] = true
	}
	var found []Project
	for _, p := range base.Projects {
		if _, still := s.project(p.key()); still {
			continue
		}
		was := base.inputs[p.key()]
		hit := slices.ContainsFunc(before, was.wanted)
		if len(s.index.sources[p.Dir]) == 0 {
			p.Deleted = true
			hit = hit || slices.ContainsFunc(before, was.touched)
		} else {
			hit = p.Autoplan && (slices.ContainsFunc(now, s.complete(&p).wanted) || hit)
			p.Note = noteNoRoot
			if s.configured {
				p.Note = noteList
			}
		}
		if !hit {
			continue
		}
		for i, id := range p.DependsOn {
			if on, ok := base.byID(id); ok {
				if here, ok := s.project(on.key()); ok {
					p.DependsOn = slices.Clone(p.DependsOn)
					p.DependsOn[i] = here.ID()
				}
			}
		}
		// The checkout may have given its name to another project.
		if taken[p.ID()] {
			p.Name = ""
		}
		for taken[p.ID()] {
			p.Name = p.ID() + "~base"
		}
		taken[p.ID()] = true
		found = append(found, p)
	}
	return found
}

// Touches reports whether changed files are part of a project, or fit its
// when_modified, whether or not it is planned by itself. It is the question to
// ask of the base branch after a plan was made.
func (s *Set) Touches(p Project, changed []string) bool {
	in := s.inputs[p.key()]
	if in == nil {
		in = s.complete(&p)
	}
	return slices.ContainsFunc(s.index.changes(changed), func(c change) bool { return in.touched(c) || in.wanted(c) })
}

// Told returns the problems that concern a change: those of weir.yaml, of the
// projects and their modules, of changed files and of the modules in which
// files changed. It adds those of Unlisted that the change touches.
func (s *Set) Told(changed []string, projects []Project) []Problem {
	dirs, files := map[string]bool{"": true}, map[string]bool{}
	for _, p := range projects {
		dirs[p.Dir] = true
		for _, dir := range p.Modules {
			dirs[dir] = true
		}
	}
	for _, name := range changed {
		files[name] = true
		if dir := s.index.owner(name); dir != "" {
			dirs[dir] = true
		}
		dirs[path.Dir(name)] = true
	}
	var told []Problem
	for _, dir := range s.Unlisted {
		if dirs[dir] && !slices.ContainsFunc(projects, func(p Project) bool { return p.Dir == dir || slices.Contains(p.Modules, dir) }) {
			told = append(told, Problem{Dir: dir, Message: "looks like a root module, but " + File + " does not list it, so it is not planned"})
		}
	}
	for _, p := range s.Problems {
		if dirs[p.Dir] || files[p.File] {
			told = append(told, p)
		}
	}
	return told
}

// project finds a project by what makes it the same. s may be nil.
func (s *Set) project(k key) (Project, bool) {
	if s == nil {
		return Project{}, false
	}
	i, ok := s.at[k]
	if !ok {
		return Project{}, false
	}
	return s.Projects[i], true
}

func (s *Set) byID(id string) (Project, bool) {
	i := slices.IndexFunc(s.Projects, func(p Project) bool { return p.ID() == id })
	if i < 0 {
		return Project{}, false
	}
	return s.Projects[i], true
}

// sameAs reports whether weir.yaml says the same of a project as in base, as
// far as it bears on its plan.
func (s *Set) sameAs(p, was Project, base *Set) bool {
	if p.TerraformVersion != was.TerraformVersion || !slices.Equal(p.VarFiles, was.VarFiles) || len(p.DependsOn) != len(was.DependsOn) {
		return false
	}
	on := map[key]bool{} // IDs may have changed where projects have not
	for _, id := range p.DependsOn {
		q, _ := s.byID(id)
		on[q.key()] = true
	}
	for _, id := range was.DependsOn {
		if q, _ := base.byID(id); !on[q.key()] {
			return false
		}
	}
	return true
}
