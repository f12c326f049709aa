package edit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"weir/planner/project/module"
)

// session is one Apply: the files as they are by now.
type session struct {
	tree  fs.FS
	root  string // directory of the project
	dirs  map[string]*directory
	files map[string]*file
	users *users // nil until somebody asks
}

// directory is one module.
type directory struct {
	path  string
	files []*file // native syntax; overrides last, else by name
	json  []*file // body is nil
	wrong string  // why nothing can be done here
}

// String names a directory for people.
func (d *directory) String() string {
	if d.path == "." {
		return "the top directory"
	}
	return d.path
}

// place is a block in a file.
type place struct {
	file  *file
	index int // in the file's body
}

func (p place) block() *hclsyntax.Block { return p.file.body.Blocks[p.index] }

// at says where a block begins, for people.
func (p place) at() string {
	return fmt.Sprintf("%s line %d", p.file.name, p.block().TypeRange.Start.Line)
}

// declaration is a resource in the code.
type declaration struct {
	address  address
	dir      *directory
	declared []place // the block, and what overrides it, in the order in which it counts
	call     *place  // in the root module, of the module that it is in; nil for none
}

// load reads the Terraform files of a directory.
func (s *session) load(dir string) (*directory, error) {
	if d := s.dirs[dir]; d != nil {
		return d, nil
	}
	d := &directory{path: dir}
	s.dirs[dir] = d
	entries, err := fs.ReadDir(s.tree, dir)
	if errors.Is(err, fs.ErrNotExist) {
		d.wrong = "there is no directory " + dir
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		link := entry.Type()&fs.ModeSymlink != 0
		if !module.IsSource(name) || !entry.Type().IsRegular() && !link {
			continue
		}
		data, err := s.read(name)
		switch {
		case err != nil && link:
			d.wrong = name + " is a symbolic link that leads nowhere"
			return d, nil
		case err != nil:
			return nil, err
		case strings.HasSuffix(name, ".json"):
			d.json = append(d.json, &file{name: name, data: data})
			continue
		}
		f, why := parseFile(name, data)
		if why != "" {
			d.wrong = why
			return d, nil
		}
		f.link = link
		s.files[name] = f
		d.files = append(d.files, f)
	}
	slices.SortStableFunc(d.files, func(a, b *file) int { return a.rank() - b.rank() })
	return d, nil
}

func (s *session) read(name string) ([]byte, error) {
	f, err := s.tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, module.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// find returns where a resource is declared, or why that is not to be edited.
func (s *session) find(text string) (*declaration, string, error) {
	a, why := parseAddress(text)
	if why != "" {
		return nil, why, nil
	}
	at := s.root
	var first *place
	if callers, err := s.callers(at); err != nil {
		return nil, "", err
	} else if len(callers) > 0 {
		return nil, fmt.Sprintf("the directory of the project is also a module, called in %s", callers[0]), nil
	}
	d, err := s.load(at)
	if err != nil {
		return nil, "", err
	}
	for _, name := range a.modules {
		if d.wrong != "" {
			return nil, d.wrong, nil
		}
		call, target, why := d.call(name)
		if why != "" {
			return nil, why, nil
		}
		if first == nil {
			first = call
		}
		callers, err := s.callers(target)
		if err != nil {
			return nil, "", err
		}
		if len(callers) > 1 {
			return nil, fmt.Sprintf("module %s (%s) is called %d times, in %s and %s, and a change would reach all",
				name, target, len(callers), callers[0], callers[1]), nil
		}
		if d, err = s.load(target); err != nil {
			return nil, "", err
		}
	}
	if d.wrong != "" {
		return nil, d.wrong, nil
	}
	if why, err := s.shared(d.path); why != "" || err != nil {
		return nil, why, err
	}
	found := &declaration{address: a, dir: d, call: first}
	plain := 0
	for _, f := range d.files {
		for i, b := range f.body.Blocks {
			if b.Type != "resource" || !slices.Equal(b.Labels, []string{a.kind, a.name}) {
				continue
			}
			if f.rank() == 0 {
				plain++
			}
			found.declared = append(found.declared, place{f, i})
		}
	}
	for _, f := range d.json {
		if strings.Contains(string(f.data), `"`+a.kind+`"`) && strings.Contains(string(f.data), `"`+a.name+`"`) && plain == 0 {
			return nil, f.name + " is written in JSON, which weir does not edit", nil
		}
	}
	switch {
	case plain == 0:
		return nil, fmt.Sprintf("there is no resource %s.%s in %s", a.kind, a.name, d), nil
	case plain > 1:
		return nil, fmt.Sprintf("it is declared twice, in %s and %s", found.declared[0].at(), found.declared[1].at()), nil
	}
	return found, "", nil
}

// call returns a module call and the directory that it means.
func (d *directory) call(name string) (*place, string, string) {
	var found []place
	var source cty.Value
	for _, f := range d.files {
		for i, b := range f.body.Blocks {
			if b.Type != "module" || len(b.Labels) != 1 || b.Labels[0] != name {
				continue
			}
			found = append(found, place{f, i})
			for _, many := range []string{"count", "for_each"} {
				if b.Body.Attributes[many] != nil {
					return nil, "", fmt.Sprintf("module %s is called with %s, and a change would reach all its instances", name, many)
				}
			}
			if attr := b.Body.Attributes["source"]; attr != nil {
				source, _ = constant(attr.Expr)
			}
		}
	}
	if found == nil {
		return nil, "", fmt.Sprintf("there is no call of module %s in native syntax in %s", name, d)
	}
	if !known(source) || source.IsNull() || source.Type() != cty.String {
		return nil, "", fmt.Sprintf("the source of module %s is worked out", name)
	}
	text := strings.ReplaceAll(source.AsString(), `\`, "/")
	target := path.Join(d.path, text)
	switch {
	case !strings.HasPrefix(text, "./") && !strings.HasPrefix(text, "../"):
		return nil, "", fmt.Sprintf("module %s (%s) is not local", name, text)
	case !fs.ValidPath(target):
		return nil, "", fmt.Sprintf("module %s is outside of the repository", name)
	}
	return &found[0], target, ""
}

// whole returns why a list of addresses is not all that a block makes.
func (p *declaration) whole(addresses []string) string {
	if p.address.inModule {
		return "its module had several instances, which the code does not say any more"
	}
	many := "count"
	x := p.expr(many)
	if x == nil {
		if many, x = "for_each", p.expr("for_each"); x == nil {
			return ""
		}
	}
	slices.Sort(addresses)
	got, all := len(slices.Compact(addresses)), 0
	switch v, ok := constant(unwrap(x)); {
	case !ok:
		if o, ok := x.(*hclsyntax.ObjectConsExpr); ok {
			all = len(o.Items)
		}
	case many == "count" && v.Type() == cty.Number && !v.IsNull():
		n, _ := v.AsBigFloat().Int64()
		all = int(n)
	case many == "for_each" && v.CanIterateElements():
		all = v.LengthInt()
	}
	switch {
	case all == 0:
		return fmt.Sprintf("the block makes several instances with %s, and weir cannot tell whether all of them changed", many)
	case all != got:
		return fmt.Sprintf("the block makes %d instances with %s, and only %d of them changed", all, many, got)
	}
	return ""
}

// expr returns an attribute of the resource, the one that counts.
func (p *declaration) expr(name string) hclsyntax.Expression {
	for _, at := range slices.Backward(p.declared) {
		if attr := at.block().Body.Attributes[name]; attr != nil {
			return attr.Expr
		}
	}
	return nil
}

// holding returns the block that decides about an attribute.
func (p *declaration) holding(name string) *place {
	for i, at := range slices.Backward(p.declared) {
		body := at.block().Body
		if body.Attributes[name] != nil || slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool { return blockName(b) == name }) {
			return &p.declared[i]
		}
	}
	return nil
}

// ignores returns why Terraform does not look at an attribute.
func (p *declaration) ignores(name string) string {
	for _, at := range p.declared {
		for _, b := range at.block().Body.Blocks {
			attr := b.Body.Attributes["ignore_changes"]
			if b.Type != "lifecycle" || attr == nil {
				continue
			}
			listed := []hclsyntax.Expression{attr.Expr}
			if tuple, ok := attr.Expr.(*hclsyntax.TupleConsExpr); ok {
				listed = tuple.Exprs
			}
			for _, x := range listed {
				text := strings.Trim(at.file.text(x.Range()), `"`)
				if text == name || text == "all" {
					return fmt.Sprintf("ignore_changes of the resource (%s line %d) lists %s, so Terraform does not look at it",
						at.file.name, attr.SrcRange.Start.Line, text)
				}
			}
		}
	}
	return ""
}
