package config

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// check verifies what the shape of weir.yaml does not tell, and brings
// directories, var files and dependencies into their one form.
func (d *decoder) check() {
	cfg := d.cfg
	for i := range cfg.Projects {
		d.checkProject(&cfg.Projects[i], fmt.Sprintf("projects[%d]", i))
	}
	for i, rule := range cfg.Approvals {
		at := fmt.Sprintf("approvals[%d]", i)
		d.checkPatterns(rule.When.Dirs, at+".when.dirs")
		if r := &cfg.Approvals[i].Require; r.Count == 0 {
			r.Count = 1
		}
	}
	for i, rule := range cfg.Drift {
		d.checkDrift(rule, fmt.Sprintf("drift[%d]", i))
	}
	if len(d.errs) == 0 { // what follows compares projects with each other
		d.checkIdentities()
		d.checkDependencies()
	}
}

// failAt reports a mistake at a path, unless something was found wrong there
// already.
func (d *decoder) failAt(path, hint, format string, args ...any) {
	at := d.cfg.at(path)
	if !slices.ContainsFunc(d.errs, func(e *Error) bool { return e.Line == at.line && e.Column == at.column }) {
		d.fail(at, hint, format, args...)
	}
}

func (d *decoder) checkProject(p *Project, at string) {
	if p.Workspace == "" {
		p.Workspace = "default"
	}
	dir, err := CleanDir(p.Dir)
	if err != nil {
		d.failAt(at+".dir", "", "%s.dir %s %v", at, short(p.Dir), err)
		return
	}
	p.Dir = dir
	for i, file := range p.VarFiles {
		at := fmt.Sprintf("%s.var_files[%d]", at, i)
		err := checkName(file)
		if err == nil {
			_, err = CleanDir(path.Join(dir, file))
		}
		if err == nil && (strings.HasSuffix(file, "/") || path.Base(file) == "." || path.Base(file) == "..") {
			err = errors.New("is a directory")
		}
		if err != nil {
			d.failAt(at, "", "%s %s %v", at, short(file), err)
		}
		p.VarFiles[i] = path.Clean(file)
	}
	adds := len(p.Autoplan.WhenModified) == 0
	for i, text := range p.Autoplan.WhenModified {
		at := fmt.Sprintf("%s.autoplan.when_modified[%d]", at, i)
		if _, err := NewPattern(dir, text); err != nil {
			d.failAt(at, "", "%s %s %v", at, short(text), err)
		}
		adds = adds || !strings.HasPrefix(text, "!")
	}
	if !adds {
		d.failAt(at+".autoplan.when_modified", `begin with a pattern of what counts, such as "**"`,
			"%s.autoplan.when_modified only takes away", at)
	}
}

func (d *decoder) checkPatterns(patterns []string, at string) {
	for i, text := range patterns {
		at := fmt.Sprintf("%s[%d]", at, i)
		err := checkGlob(text)
		switch {
		case err != nil:
		case strings.HasPrefix(text, "!"):
			err = errors.New("begins with !, which only when_modified knows")
		case strings.HasPrefix(text, "./"):
			err = errors.New("begins with ./; leave that out")
		}
		if err != nil {
			d.failAt(at, "", "%s %s %v", at, short(text), err)
		}
	}
}

// checkIdentities refuses projects that nobody could tell apart.
func (d *decoder) checkIdentities() {
	places, names := map[[2]string]int{}, map[string]int{}
	for i, p := range d.cfg.Projects {
		at := fmt.Sprintf("projects[%d]", i)
		line := func(i int) int { return d.cfg.at(fmt.Sprintf("projects[%d].dir", i)).line }
		id := p.ID()
		if first, ok := places[[2]string{p.Dir, p.Workspace}]; ok {
			d.failAt(at+".dir", "", "%s is the same directory and workspace as the project on line %d", at, line(first))
		} else if first, ok := names[id]; ok {
			d.failAt(at+".name", "give one of them another name", "%s is called %s like the project on line %d", at, short(id), line(first))
		}
		places[[2]string{p.Dir, p.Workspace}], names[id] = i, i
	}
}

// checkDependencies replaces each entry of depends_on by the ID it stands for.
func (d *decoder) checkDependencies() {
	ids, dirs := map[string]bool{}, map[string][]string{}
	var known []string
	for _, p := range d.cfg.Projects {
		ids[p.ID()] = true
		known = append(known, p.ID())
		dirs[p.Dir] = append(dirs[p.Dir], p.ID())
		dirs[p.Dir+"@"+p.Workspace] = []string{p.ID()}
	}
	for i, p := range d.cfg.Projects {
		for j, on := range p.DependsOn {
			at := fmt.Sprintf("projects[%d].depends_on[%d]", i, j)
			found := dirs[strings.TrimSuffix(strings.TrimPrefix(on, "./"), "/")]
			switch {
			case ids[on]:
				found = []string{on}
			case len(found) > 1:
				d.failAt(at, "write one of "+strings.Join(found, ", "), "%s %s stands for several projects", at, short(on))
			case len(found) == 0:
				d.failAt(at, nearest(on, known), "%s %s is none of the projects", at, short(on))
				continue
			}
			p.DependsOn[j] = found[0]
		}
		slices.Sort(p.DependsOn)
		d.cfg.Projects[i].DependsOn = slices.Compact(p.DependsOn)
	}
	if circle := circle(d.cfg.Projects); circle != nil && len(d.errs) == 0 {
		at := slices.Index(known, circle[0])
		d.failAt(fmt.Sprintf("projects[%d].depends_on", at), "", "projects depend on each other in a circle: %s",
			strings.Join(append(circle, circle[0]), " → "))
	}
}

// circle returns the IDs of projects that depend on each other in a circle,
// or nil.
func circle(projects []Project) []string {
	next := map[string][]string{}
	for _, p := range projects {
		next[p.ID()] = p.DependsOn
	}
	done := map[string]bool{}
	for _, p := range projects {
		// An explicit stack: a chain may be as long as the list of projects.
		type frame struct {
			id string
			at int
		}
		stack, on := []frame{{p.ID(), 0}}, map[string]int{p.ID(): 0}
		for len(stack) > 0 && !done[p.ID()] {
			top := &stack[len(stack)-1]
			if top.at == len(next[top.id]) {
				done[top.id] = true
				delete(on, top.id)
				stack = stack[:len(stack)-1]
				continue
			}
			id := next[top.id][top.at]
			top.at++
			if first, ok := on[id]; ok {
				var ids []string
				for _, f := range stack[first:] {
					ids = append(ids, f.id)
				}
				return ids
			}
			if !done[id] {
				on[id] = len(stack)
				stack = append(stack, frame{id, 0})
			}
		}
	}
	return nil
}
