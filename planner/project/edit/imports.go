package edit

import (
	"fmt"

	"github.com/zclconf/go-cty/cty"

	"weir/planner/project/edit/code"
	"weir/planner/project/edit/literal"
)

// imports puts an import block into the root module. It returns why it cannot.
func (s *session) imports(one Import) (string, error) {
	if one.ID == "" {
		return "its id for imports is not known", nil
	}
	p, why, err := s.Find(one.Address)
	if why != "" || err != nil {
		return why, err
	}
	root := s.Root()
	for _, f := range root.Files {
		for i, b := range f.Body.Blocks {
			to, id := b.Body.Attributes["to"], b.Body.Attributes["id"]
			if b.Type != "import" || to == nil || f.Text(to.Expr.Range()) != one.Address {
				continue
			}
			if id == nil {
				return fmt.Sprintf("%s has an import block for it without an id", code.Place{File: f, Index: i}.At()), nil
			}
			e := &edits{file: f, dir: root}
			if why := e.expr(id.Expr, cty.NilVal, cty.StringVal(one.ID)); why != "" || len(e.splices) == 0 {
				return why, nil
			}
			return s.write(f, e.splices), nil
		}
	}
	near := p.Declared[0]
	if p.Call != nil {
		near = *p.Call
		near.File = s.File(near.File.Name)
	}
	f := near.File
	if f.Link {
		return f.Name + " is a symbolic link, and what it leads to may be used elsewhere", nil
	}
	text := "import {" + f.EOL + "  to = " + one.Address + f.EOL + "  id = " + literal.Render(cty.StringVal(one.ID), "", f.EOL) + f.EOL + "}" + f.EOL
	at := near.Block().CloseBraceRange.End.Byte
	end, ok := f.Last(at, false)
	switch {
	case !ok: // something that is not understood follows
		end = len(f.Data)
		text = f.EOL + text
	case end == 0 || f.Data[end-1] != '\n': // the end of the file
		text = f.EOL + f.EOL + text
	default:
		text = f.EOL + text
	}
	return s.write(f, []code.Splice{{From: end, To: end, Text: text}}), nil
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
