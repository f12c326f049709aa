package edit

import (
	"fmt"

	"github.com/zclconf/go-cty/cty"
)

// imports puts an import block into the root module. It returns why it cannot.
func (s *session) imports(one Import) (string, error) {
	if one.ID == "" {
		return "its id for imports is not known", nil
	}
	p, why, err := s.find(one.Address)
	if why != "" || err != nil {
		return why, err
	}
	root := s.dirs[s.root]
	for _, f := range root.files {
		for i, b := range f.body.Blocks {
			to, id := b.Body.Attributes["to"], b.Body.Attributes["id"]
			if b.Type != "import" || to == nil || f.text(to.Expr.Range()) != one.Address {
				continue
			}
			if id == nil {
				return fmt.Sprintf("%s has an import block for it without an id", place{f, i}.at()), nil
			}
			e := &edits{file: f, dir: root}
			if why := e.expr(id.Expr, cty.NilVal, cty.StringVal(one.ID)); why != "" || len(e.splices) == 0 {
				return why, nil
			}
			return s.write(f, e.splices), nil
		}
	}
	near := p.declared[0]
	if p.call != nil {
		near = *p.call
		near.file = s.files[near.file.name]
	}
	f := near.file
	if f.link {
		return f.name + " is a symbolic link, and what it leads to may be used elsewhere", nil
	}
	text := "import {" + f.eol + "  to = " + one.Address + f.eol + "  id = " + render(cty.StringVal(one.ID), "", f.eol) + f.eol + "}" + f.eol
	at := near.block().CloseBraceRange.End.Byte
	end, ok := f.last(at, false)
	switch {
	case !ok: // something that is not understood follows
		end = len(f.data)
		text = f.eol + text
	case end == 0 || f.data[end-1] != '\n': // the end of the file
		text = f.eol + f.eol + text
	default:
		text = f.eol + text
	}
	return s.write(f, []splice{{end, end, text}}), nil
}

// write takes the new text of a file, or says why not.
func (s *session) write(f *file, splices []splice) string {
	next, err := f.with(splices)
	if err != nil {
		return fmt.Sprintf("weir could not write it: %v", err)
	}
	s.replace(next)
	return ""
}
