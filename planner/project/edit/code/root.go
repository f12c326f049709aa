package code

import (
	"bytes"
	"fmt"
	"path"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Top reads the root module, which alone may have import blocks, and removed
// blocks for what is in modules. It returns why it is not to be edited.
func (s *Tree) Top() (*Directory, string, error) {
	callers, err := s.callers(s.root)
	if err != nil {
		return nil, "", err
	}
	if len(callers) > 0 {
		return nil, fmt.Sprintf("the directory of the project is also a module, called in %s", callers[0]), nil
	}
	d, err := s.load(s.root)
	if err != nil {
		return nil, "", err
	}
	if d.wrong != "" {
		return nil, d.wrong, nil
	}
	why, err := s.shared(d.Path)
	return d, why, err
}

// Beside returns the block of the root module that a resource belongs to: its
// own, or the call of the module that it is in. Nothing is said of that module,
// which may be anywhere: nothing in it changes.
func (s *Tree) Beside(a Address) (*Place, string, error) {
	d, why, err := s.Top()
	if why != "" || err != nil {
		return nil, why, err
	}
	labels := []string{a.Kind, a.Name}
	kind, what := "resource", fmt.Sprintf("there is no resource %s.%s in %s, and its block has to be written first", a.Kind, a.Name, d)
	if len(a.Modules) > 0 {
		labels = a.Modules[:1]
		kind, what = "module", fmt.Sprintf("there is no call of module %s in %s, and it has to be written first", a.Modules[0], d)
	}
	for _, f := range d.Files { // overrides are the last
		for i, b := range f.Body.Blocks {
			if b.Type == kind && slices.Equal(b.Labels, labels) {
				return &Place{f, i}, "", nil
			}
		}
	}
	for _, f := range d.JSON {
		if !slices.ContainsFunc(labels, func(l string) bool { return !bytes.Contains(f.Data, []byte(`"`+l+`"`)) }) {
			what = f.Name + " is written in JSON, which weir does not edit"
		}
	}
	return nil, what, nil
}

// Imports returns the import blocks of the root module for a resource, or for
// instances of it.
func (s *Tree) Imports(a Address) []Place {
	var all []Place
	if d := s.Root(); d != nil {
		for _, f := range d.Files {
			for i, b := range f.Body.Blocks {
				if importsTo(f, b, a) {
					all = append(all, Place{f, i})
				}
			}
		}
	}
	return all
}

func importsTo(f *File, b *hclsyntax.Block, a Address) bool {
	to := b.Body.Attributes["to"]
	if b.Type != "import" || to == nil {
		return false
	}
	target, why := ParseAddress(f.Text(to.Expr.Range()))
	return why == "" && target.Bare() == a.Bare()
}

// End returns the file of a directory at whose end a block goes that belongs
// nowhere else: main.tf, or else the first. It is nil where there is none.
func (d *Directory) End() *File {
	var end *File
	for _, f := range d.Files {
		if f.rank() == 0 && !f.Link && (end == nil || path.Base(f.Name) == "main.tf") {
			end = f
		}
	}
	return end
}
