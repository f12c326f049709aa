package source

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"weir/planner/terraform/plan"
)

// fileFunctions read files when they are evaluated, which is again during the
// apply for what a plan leaves unknown.
var fileFunctions = []string{
	"file", "filebase64", "filebase64sha256", "filebase64sha512", "fileexists", "filemd5",
	"fileset", "filesha1", "filesha256", "filesha512", "templatefile",
}

// expressions looks for files that are read from outside of the module.
func (s *Module) expressions(body *hclsyntax.Body, dir string) {
	visit(body, func(node hclsyntax.Node) {
		call, ok := node.(*hclsyntax.FunctionCallExpr)
		name := ""
		if ok {
			name = strings.TrimPrefix(call.Name, "core::")
		}
		if slices.Contains(fileFunctions, name) && !s.ownFile(call, dir) {
			s.readsOutside = true
		}
	})
}

// ownFile says that what a function reads is surely in the module itself,
// "${path.module}/x", or in the root module, "x", with no link on the way out
// of it; and that it reads nothing else in turn.
func (s *Module) ownFile(call *hclsyntax.FunctionCallExpr, dir string) bool {
	if len(call.Args) == 0 {
		return false
	}
	template, ok := call.Args[0].(*hclsyntax.TemplateExpr)
	if !ok {
		return false
	}
	base, path := s.dir, ""
	for i, part := range template.Parts {
		if t, ok := part.(*hclsyntax.ScopeTraversalExpr); ok && i == 0 && len(template.Parts) > 1 && s.text(t) == "path.module" {
			base, path = dir, "."
			continue
		}
		text := literal(part)
		if text == "" {
			return false
		}
		path += text
	}
	if !filepath.IsLocal(path) {
		return false
	}
	resolved, err := filepath.EvalSymlinks(filepath.Join(base, path))
	if errors.Is(err, fs.ErrNotExist) {
		return true // so it is not read
	}
	own, dirErr := filepath.EvalSymlinks(base)
	if err != nil || dirErr != nil || !Inside(own, resolved) {
		return false
	}
	if call.Name != "templatefile" && call.Name != "core::templatefile" {
		return true
	}
	content, err := os.ReadFile(resolved)
	return err == nil && !callsFile.Match(content)
}

var callsFile = regexp.MustCompile(`file\w*\s*\(`)

// slice is the hash of the source text of nodes and of the locals that they
// refer to. It is "" if they refer to anything else that code decides; to
// resources they may refer if resources is true, for those are in the plan.
func (s *Module) slice(resources bool, nodes ...hclsyntax.Node) string {
	if s.opaqueRoot {
		return ""
	}
	var texts []string
	done := map[string]bool{}
	for queue := nodes; len(queue) > 0; queue = queue[1:] {
		texts = append(texts, s.text(queue[0]))
		if !s.pure(queue[0]) {
			return ""
		}
		for _, reference := range references(queue[0]) {
			switch name := reference.RootName(); name {
			case "var", "path", "terraform", "tofu":
			case "local":
				if len(reference) < 2 {
					return ""
				}
				attr, ok := reference[1].(hcl.TraverseAttr)
				if !ok || s.locals[attr.Name] == nil {
					return ""
				}
				if !done[attr.Name] {
					done[attr.Name] = true
					queue = append(slices.Clone(queue), s.locals[attr.Name])
				}
			default:
				// A resource type has an underscore; data, module, each,
				// and names of iterators are what code decides.
				if !resources || !strings.Contains(name, "_") {
					return ""
				}
			}
		}
	}
	slices.Sort(texts) // the syntax tree has no order of its own
	return Sum(texts...)
}

// pure says that a node reads no files.
func (s *Module) pure(node hclsyntax.Node) bool {
	ok := true
	visit(node, func(n hclsyntax.Node) {
		call, is := n.(*hclsyntax.FunctionCallExpr)
		ok = ok && (!is || !slices.Contains(fileFunctions, strings.TrimPrefix(call.Name, "core::")))
	})
	return ok
}

// Fill adds what the code says to the identities that the caller gave.
func (s *Module) Fill(code plan.Code) plan.Code {
	code.Providers = s.slice(false, s.providerNodes...)
	code.Backend, code.Moving = s.whereTheStateIs()
	code.Outputs = map[string]string{}
	for name, node := range s.outputs {
		if sum := s.slice(true, node); sum != "" {
			code.Outputs[name] = sum
		}
	}
	code.ReadsOutside, code.Hidden, code.RemovedRuns = s.readsOutside, s.hidden, s.removedRuns
	return code
}

// whereTheStateIs is the hash of what says it, "" where nothing does, and
// whether variables take part. Where locals that it refers to cannot be
// followed, every file of the root module counts.
func (s *Module) whereTheStateIs() (sum string, moving bool) {
	if len(s.backendNodes)+len(s.backendFiles) == 0 {
		return "", false
	}
	parts := slices.Sorted(slices.Values(s.backendFiles))
	for _, node := range s.backendNodes {
		parts = append(parts, s.text(node))
		moving = moving || len(references(node)) > 0
	}
	if moving {
		own := s.slice(false, s.backendNodes...)
		if own == "" {
			for _, name := range slices.Sorted(maps.Keys(s.source)) {
				own = Sum(own, string(s.source[name]))
			}
		}
		parts = append(parts, own)
	}
	return Sum(parts...), moving
}

func (s *Module) text(node hclsyntax.Node) string {
	r := node.Range()
	if block, ok := node.(*hclsyntax.Block); ok {
		r = hcl.RangeBetween(block.TypeRange, block.CloseBraceRange)
	}
	return string(r.SliceBytes(s.source[r.Filename]))
}

func visit(node hclsyntax.Node, f func(hclsyntax.Node)) {
	_ = hclsyntax.VisitAll(node, func(n hclsyntax.Node) hcl.Diagnostics {
		f(n)
		return nil
	}) // what f does not report there is none of
}

func references(node hclsyntax.Node) []hcl.Traversal {
	var found []hcl.Traversal
	visit(node, func(n hclsyntax.Node) {
		if t, ok := n.(*hclsyntax.ScopeTraversalExpr); ok {
			found = append(found, t.Traversal)
		}
	})
	return found
}

// literal is the string that an expression always is, or "".
func literal(expr hcl.Expression) string {
	value, diags := expr.Value(nil)
	if diags.HasErrors() || value.IsNull() || !value.IsKnown() || value.Type() != cty.String {
		return ""
	}
	return value.AsString()
}

// Inside says that path is dir or in it. Both are absolute.
func Inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

func first(labels []string) string {
	if len(labels) == 0 {
		return ""
	}
	return labels[0]
}
