package edit

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"weir/planner/project/edit/code"
	"weir/planner/project/edit/literal"
)

// imports puts an import block into the root module. It returns why it cannot.
func (s *session) imports(one Import) (string, error) {
	if one.ID == "" {
		return "its id for imports is not known", nil
	}
	a, why := code.ParseAddress(one.Address)
	if why != "" {
		return why, nil
	}
	near, why, err := s.Beside(a)
	if why != "" || err != nil {
		return why, err
	}
	root := s.Root()
	for _, at := range s.Imports(a) {
		f, b := at.File, at.Block()
		if f.Text(b.Body.Attributes["to"].Expr.Range()) != one.Address {
			near = &at // of another instance: they follow one another
			continue
		}
		id := b.Body.Attributes["id"]
		switch {
		case id == nil:
			return fmt.Sprintf("%s has an import block for it without an id", at.At()), nil
		case f.Link:
			return linked(f), nil
		}
		e := &edits{file: f, dir: root}
		if why := e.expr(id.Expr, cty.NilVal, cty.StringVal(one.ID)); why != "" || len(e.splices) == 0 {
			return why, nil
		}
		return s.write(f, e.splices), nil
	}
	f := near.File
	if f.Link {
		return linked(f), nil
	}
	end, ok := f.Last(near.Block().CloseBraceRange.End.Byte, false)
	if !ok { // something that is not understood follows
		end = len(f.Data)
	}
	return s.insert(f, end, ImportBlock(one)), nil
}

// ImportBlock is the text of an import block, such as a person would write.
// Whatever the id holds, the block says no more than that.
func ImportBlock(one Import) string {
	return "import {\n  to = " + one.Address + "\n  id = " + literal.Render(cty.StringVal(one.ID), "", "\n") + "\n}\n"
}

// forget puts a removed block into the root module for a resource that the
// code does not have. It returns why it cannot.
func (s *session) forget(address string) (string, error) {
	a, why := code.ParseAddress(address)
	if why != "" {
		return why, nil
	}
	root, why, err := s.Top()
	if why != "" || err != nil {
		return why, err
	}
	for _, f := range root.Files {
		for i, b := range f.Body.Blocks {
			from := b.Body.Attributes["from"]
			if b.Type != "removed" || from == nil || f.Text(from.Expr.Range()) != a.Bare() {
				continue
			}
			if !keeps(b) {
				return code.Place{File: f, Index: i}.At() + " has a removed block for it, which destroys it", nil
			}
			return "", nil
		}
	}
	f := root.End()
	if f == nil {
		return fmt.Sprintf("there is no file in native syntax in %s that a removed block could go into", root), nil
	}
	return s.insert(f, len(f.Data), removedBlock(a.Bare())+"\n"), nil
}

// keeps reports whether a removed block leaves the object as it is.
func keeps(b *hclsyntax.Block) bool {
	for _, inner := range b.Body.Blocks {
		if attr := inner.Body.Attributes["destroy"]; inner.Type == "lifecycle" && attr != nil {
			v, ok := literal.Constant(attr.Expr)
			return ok && literal.Same(v, cty.False)
		}
	}
	return false
}

func removedBlock(from string) string {
	return "removed {\n  from = " + from + "\n\n  lifecycle {\n    destroy = false\n  }\n}"
}

// insert puts a block into a file, behind what ends there and a blank line.
func (s *session) insert(f *code.File, at int, block string) string {
	gap := "\n"
	switch {
	case at == 0:
		gap = ""
	case f.Data[at-1] != '\n': // the end of the file
		gap = "\n\n"
	}
	return s.write(f, []code.Splice{{From: at, To: at, Text: strings.ReplaceAll(gap+block, "\n", f.EOL)}})
}

func linked(f *code.File) string {
	return f.Name + " is a symbolic link, and what it leads to may be used elsewhere"
}

// write takes the new text of a file, or says why not.
func (s *session) write(f *code.File, splices []code.Splice) string {
	next, err := f.With(splices)
	if err != nil {
		return fmt.Sprintf("weir could not write it: %v", err)
	}
	s.Replace(next)
	return ""
}
