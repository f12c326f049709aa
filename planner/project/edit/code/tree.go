// Package code finds resources in the Terraform files of a checkout: where they
// are declared, what else a change of them would reach, and what refers to them.
package code

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"weir/planner/project/edit/literal"
	"weir/planner/project/module"
)

// Tree is a checkout while a project of it is edited: its files as they are by
// now.
type Tree struct {
	tree  fs.FS
	root  string // directory of the project
	dirs  map[string]*Directory
	files map[string]*File
	users *users // nil until somebody asks
}

// Directory is one module.
type Directory struct {
	Path  string
	Files []*File // native syntax; overrides last, else by name
	JSON  []*File // Body is nil

	wrong string // why nothing can be done here
}

// String names a directory for people.
func (d *Directory) String() string {
	if d.Path == "." {
		return "the top directory"
	}
	return d.Path
}

// Place is a block in a file.
type Place struct {
	File  *File
	Index int // in the file's body
}

// Block is what stands there.
func (p Place) Block() *hclsyntax.Block { return p.File.Body.Blocks[p.Index] }

// At says where a block begins, for people.
func (p Place) At() string {
	return fmt.Sprintf("%s line %d", p.File.Name, p.Block().TypeRange.Start.Line)
}

// Declaration is a resource in the code.
type Declaration struct {
	Address  Address
	Dir      *Directory
	Declared []Place // the block, and what overrides it, in the order in which it counts
	Call     *Place  // in the root module, of the module that it is in; nil for none
}

// New returns the checkout that tree is, for editing the project in dir.
func New(tree fs.FS, dir string) *Tree {
	return &Tree{tree: tree, root: dir, dirs: map[string]*Directory{}, files: map[string]*File{}}
}

// Root is the project's directory. It is nil until something was found.
func (s *Tree) Root() *Directory { return s.dirs[s.root] }

// File returns a file that was found, as it is by now.
func (s *Tree) File(name string) *File { return s.files[name] }

// Changed returns the new contents of files that changed, nil for none.
func (s *Tree) Changed() map[string][]byte {
	var all map[string][]byte
	for name, f := range s.files {
		if text := f.bytes(); f.changed && !bytes.Equal(text, f.original) {
			if all == nil {
				all = map[string][]byte{}
			}
			all[name] = text
		}
	}
	return all
}

// load reads the Terraform files of a directory.
func (s *Tree) load(dir string) (*Directory, error) {
	if d := s.dirs[dir]; d != nil {
		return d, nil
	}
	d := &Directory{Path: dir}
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
			d.JSON = append(d.JSON, &File{Name: name, Data: data})
			continue
		}
		f, why := parseFile(name, data)
		if why != "" {
			d.wrong = why
			return d, nil
		}
		f.Link = link
		s.files[name] = f
		d.Files = append(d.Files, f)
	}
	slices.SortStableFunc(d.Files, func(a, b *File) int { return a.rank() - b.rank() })
	return d, nil
}

func (s *Tree) read(name string) ([]byte, error) {
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

// Find returns where a resource is declared, or why that is not to be edited.
func (s *Tree) Find(text string) (*Declaration, string, error) {
	a, why := ParseAddress(text)
	if why != "" {
		return nil, why, nil
	}
	at := s.root
	var first *Place
	if callers, err := s.callers(at); err != nil {
		return nil, "", err
	} else if len(callers) > 0 {
		return nil, fmt.Sprintf("the directory of the project is also a module, called in %s", callers[0]), nil
	}
	d, err := s.load(at)
	if err != nil {
		return nil, "", err
	}
	for _, name := range a.Modules {
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
	if why, err := s.shared(d.Path); why != "" || err != nil {
		return nil, why, err
	}
	found := &Declaration{Address: a, Dir: d, Call: first}
	plain := 0
	for _, f := range d.Files {
		for i, b := range f.Body.Blocks {
			if b.Type != "resource" || !slices.Equal(b.Labels, []string{a.Kind, a.Name}) {
				continue
			}
			if f.rank() == 0 {
				plain++
			}
			found.Declared = append(found.Declared, Place{f, i})
		}
	}
	for _, f := range d.JSON {
		if strings.Contains(string(f.Data), `"`+a.Kind+`"`) && strings.Contains(string(f.Data), `"`+a.Name+`"`) && plain == 0 {
			return nil, f.Name + " is written in JSON, which weir does not edit", nil
		}
	}
	switch {
	case plain == 0:
		return nil, fmt.Sprintf("there is no resource %s.%s in %s", a.Kind, a.Name, d), nil
	case plain > 1:
		return nil, fmt.Sprintf("it is declared twice, in %s and %s", found.Declared[0].At(), found.Declared[1].At()), nil
	}
	return found, "", nil
}

// call returns a module call and the directory that it means.
func (d *Directory) call(name string) (*Place, string, string) {
	var found []Place
	var source cty.Value
	for _, f := range d.Files {
		for i, b := range f.Body.Blocks {
			if b.Type != "module" || len(b.Labels) != 1 || b.Labels[0] != name {
				continue
			}
			found = append(found, Place{f, i})
			for _, many := range []string{"count", "for_each"} {
				if b.Body.Attributes[many] != nil {
					return nil, "", fmt.Sprintf("module %s is called with %s, and a change would reach all its instances", name, many)
				}
			}
			if attr := b.Body.Attributes["source"]; attr != nil {
				source, _ = literal.Constant(attr.Expr)
			}
		}
	}
	if found == nil {
		return nil, "", fmt.Sprintf("there is no call of module %s in native syntax in %s", name, d)
	}
	if !literal.Known(source) || source.IsNull() || source.Type() != cty.String {
		return nil, "", fmt.Sprintf("the source of module %s is worked out", name)
	}
	text := strings.ReplaceAll(source.AsString(), `\`, "/")
	target := path.Join(d.Path, text)
	switch {
	case !strings.HasPrefix(text, "./") && !strings.HasPrefix(text, "../"):
		return nil, "", fmt.Sprintf("module %s (%s) is not local", name, text)
	case !fs.ValidPath(target):
		return nil, "", fmt.Sprintf("module %s is outside of the repository", name)
	}
	return &found[0], target, ""
}

// Whole returns why a list of addresses is not all that a block makes.
func (p *Declaration) Whole(addresses []string) string {
	if p.Address.InModule {
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
	switch v, ok := literal.Constant(literal.Unwrap(x)); {
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
func (p *Declaration) expr(name string) hclsyntax.Expression {
	for _, at := range slices.Backward(p.Declared) {
		if attr := at.Block().Body.Attributes[name]; attr != nil {
			return attr.Expr
		}
	}
	return nil
}

// Holding returns the block that decides about an attribute.
func (p *Declaration) Holding(name string) *Place {
	for i, at := range slices.Backward(p.Declared) {
		body := at.Block().Body
		if body.Attributes[name] != nil || slices.ContainsFunc(body.Blocks, func(b *hclsyntax.Block) bool { return BlockName(b) == name }) {
			return &p.Declared[i]
		}
	}
	return nil
}

// Ignores returns why Terraform does not look at an attribute.
func (p *Declaration) Ignores(name string) string {
	for _, at := range p.Declared {
		for _, b := range at.Block().Body.Blocks {
			attr := b.Body.Attributes["ignore_changes"]
			if b.Type != "lifecycle" || attr == nil {
				continue
			}
			listed := []hclsyntax.Expression{attr.Expr}
			if tuple, ok := attr.Expr.(*hclsyntax.TupleConsExpr); ok {
				listed = tuple.Exprs
			}
			for _, x := range listed {
				text := strings.Trim(at.File.Text(x.Range()), `"`)
				if text == name || text == "all" {
					return fmt.Sprintf("ignore_changes of the resource (%s line %d) lists %s, so Terraform does not look at it",
						at.File.Name, attr.SrcRange.Start.Line, text)
				}
			}
		}
	}
	return ""
}

// Replace takes the new state of a file.
func (s *Tree) Replace(f *File) {
	f.changed = true
	s.files[f.Name] = f
	d := s.dirs[path.Dir(f.Name)]
	if i := slices.IndexFunc(d.Files, func(old *File) bool { return old.Name == f.Name }); i >= 0 {
		d.Files[i] = f
	}
}

// BlockName is the type of nested blocks that a block makes.
func BlockName(b *hclsyntax.Block) string {
	if b.Type == "dynamic" && len(b.Labels) > 0 {
		return b.Labels[0]
	}
	return b.Type
}
