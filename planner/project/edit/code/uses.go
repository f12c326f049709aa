package code

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Gone reports whether the code has been rid of a resource already.
func (s *Tree) Gone(a Address, forget bool) bool {
	d, ok := s.dirs[s.root], true
	for _, name := range a.Modules {
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
	for _, f := range d.JSON {
		ok = ok && !bytes.Contains(f.Data, []byte(`"`+a.Name+`"`))
	}
	forgotten := false
	for _, f := range d.Files {
		for _, b := range f.Body.Blocks {
			if b.Type == "resource" && slices.Equal(b.Labels, []string{a.Kind, a.Name}) {
				return false
			}
			if attr := b.Body.Attributes["from"]; b.Type == "removed" && attr != nil && f.Text(attr.Expr.Range()) == a.Kind+"."+a.Name {
				forgotten = true
			}
		}
	}
	return ok && (forgotten || !forget)
}

// Used returns where something refers to a resource that does not go itself,
// "" for nowhere.
func (p *Declaration) Used(goes map[string]*Declaration) string {
	leaving := func(f *File, i int) bool {
		for _, other := range goes {
			if slices.Contains(other.Declared, Place{f, i}) {
				return true
			}
		}
		return false
	}
	for _, f := range p.Dir.Files {
		for i, b := range f.Body.Blocks {
			if leaving(f, i) || b.Type == "removed" || len(p.Address.Modules) == 0 && importsTo(f, b, p.Address) {
				continue // an import block goes along
			}
			if at := refers(b.Body, p.Address.Kind, p.Address.Name); at.Line > 0 {
				return fmt.Sprintf("%s line %d", f.Name, at.Line)
			}
		}
	}
	for _, f := range p.Dir.JSON {
		if strings.Contains(string(f.Data), p.Address.Kind+"."+p.Address.Name) {
			return f.Name
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
