package edit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// remove takes resources out of the code. It returns, for each, why it cannot.
func (s *session) remove(all []Remove) ([]string, error) {
	whys := make([]string, len(all))
	found := map[string]*declaration{}
	of := map[string][]string{} // addresses that are to go, by their bare one
	for i, one := range all {
		p, why, err := s.find(one.Address)
		if err != nil {
			return nil, err
		}
		if a, bad := parseAddress(one.Address); why != "" && bad == "" && s.gone(a, one.Forget) {
			why = ""
		}
		if whys[i] = why; p == nil {
			continue
		}
		bare := p.address.bare()
		found[bare] = p
		of[bare] = append(of[bare], one.Address)
	}
	fail := func(bare, why string) {
		delete(found, bare)
		for i, one := range all {
			if slices.Contains(of[bare], one.Address) {
				whys[i] = why
			}
		}
	}
	for bare, p := range found {
		why := p.whole(of[bare])
		for _, at := range p.declared {
			if at.file.link {
				why = at.file.name + " is a symbolic link, and what it leads to may be used elsewhere"
			}
		}
		if why != "" {
			fail(bare, why)
		}
	}
	// What stays because something else refers to it may refer to more.
	for again := true; again; {
		again = false
		for bare, p := range found {
			if used := p.used(found); used != "" {
				fail(bare, fmt.Sprintf("%s.%s is still used in %s", p.address.kind, p.address.name, used))
				again = true
			}
		}
	}
	for i, one := range all {
		a, bad := parseAddress(one.Address)
		if bad != "" || whys[i] != "" || found[a.bare()] == nil {
			continue
		}
		delete(found, a.bare())
		if why, err := s.drop(one); why != "" || err != nil {
			if err != nil {
				return nil, err
			}
			whys[i] = why
		}
	}
	return whys, nil
}

// gone reports whether the code has been rid of a resource already.
func (s *session) gone(a address, forget bool) bool {
	d, ok := s.dirs[s.root], true
	for _, name := range a.modules {
		if d == nil || d.wrong != "" {
			return false
		}
		_, target, why := d.call(name)
		if why != "" {
			return false
		}
		d = s.dirs[target]
	}
	if d == nil || d.wrong != "" {
		return false
	}
	for _, f := range d.json {
		ok = ok && !bytes.Contains(f.data, []byte(`"`+a.name+`"`))
	}
	forgotten := false
	for _, f := range d.files {
		for _, b := range f.body.Blocks {
			if b.Type == "resource" && slices.Equal(b.Labels, []string{a.kind, a.name}) {
				return false
			}
			if attr := b.Body.Attributes["from"]; b.Type == "removed" && attr != nil && f.text(attr.Expr.Range()) == a.kind+"."+a.name {
				forgotten = true
			}
		}
	}
	return ok && (forgotten || !forget)
}

// drop removes one resource.
func (s *session) drop(one Remove) (string, error) {
	p, why, err := s.find(one.Address)
	if why != "" || err != nil {
		return why, err
	}
	splices := map[*file][]splice{}
	var order []*file
	for i, at := range p.declared {
		f := at.file
		if splices[f] == nil {
			order = append(order, f)
		}
		from, to := f.extent(at.block())
		text := ""
		if i == 0 && one.Forget {
			from, to = at.block().TypeRange.Start.Byte, at.block().CloseBraceRange.End.Byte
			text = strings.ReplaceAll(fmt.Sprintf("removed {\n  from = %s.%s\n\n  lifecycle {\n    destroy = false\n  }\n}",
				p.address.kind, p.address.name), "\n", f.eol)
		}
		splices[f] = append(splices[f], splice{from, to, text})
	}
	var done []*file
	for _, f := range order {
		next, err := f.with(splices[f])
		if err != nil {
			return fmt.Sprintf("weir could not remove it: %v", err), nil //nolint:nilerr // told to people, the edit is left out
		}
		done = append(done, next)
	}
	for _, f := range done {
		s.replace(f)
	}
	return "", nil
}

// used returns where something refers to a resource that does not go itself,
// "" for nowhere.
func (p *declaration) used(goes map[string]*declaration) string {
	leaving := func(f *file, i int) bool {
		for _, other := range goes {
			if slices.Contains(other.declared, place{f, i}) {
				return true
			}
		}
		return false
	}
	for _, f := range p.dir.files {
		for i, b := range f.body.Blocks {
			if leaving(f, i) || b.Type == "removed" {
				continue
			}
			if at := refers(b.Body, p.address.kind, p.address.name); at.Line > 0 {
				return fmt.Sprintf("%s line %d", f.name, at.Line)
			}
		}
	}
	for _, f := range p.dir.json {
		if strings.Contains(string(f.data), p.address.kind+"."+p.address.name) {
			return f.name
		}
	}
	return ""
}

// refers returns the first position at which a body refers to a resource.
func refers(body *hclsyntax.Body, kind, name string) (at hcl.Pos) {
	_ = hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics { // reports what the function does: nothing
		x, ok := node.(*hclsyntax.ScopeTraversalExpr)
		if !ok || len(x.Traversal) < 2 || x.Traversal.RootName() != kind {
			return nil
		}
		if attr, ok := x.Traversal[1].(hcl.TraverseAttr); ok && attr.Name == name && (at.Line == 0 || x.SrcRange.Start.Byte < at.Byte) {
			at = x.SrcRange.Start
		}
		return nil
	})
	return at
}
