// Package reading says which files Terraform code reads beside itself. It
// evaluates nothing: where a name is worked out, it may be any that its known
// pieces allow.
package reading

import (
	"path"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// reads finds functions that read files, and the directories that their names
// are made of.
var reads = regexp.MustCompile(`\b(file|fileexists|filebase64|filemd5|filesha1|filesha256|filesha512|filebase64sha256|filebase64sha512|fileset|templatefile|` +
	`pathexpand|abspath)\s*\(|\bpath\s*\.\s*(module|root|cwd)\b`)

// Any reports whether code of either syntax reads any files at all, or makes
// names of them.
func Any(code []byte) bool { return reads.Match(code) }

// maxText is how long the name of a file is at most, in bytes.
const maxText = 1000

// Paths are names of files and directories as code has them: hole stands for
// what is not known.
type Paths struct {
	parts  map[string]bool // parts between slashes of all texts
	module map[string]bool // relative to the module's directory
	root   map[string]bool // relative to the project's directory, in which the program runs
	open   bool            // a file is read of which the name is not known at all

	// The same with holes, and those that begin with one.
	moduleHoles, rootHoles, anywhere []string
}

// What code has instead of a text.
const (
	hole     = "\x00"
	inModule = "\x01" // path.module
	inRoot   = "\x02" // path.root, path.cwd
)

// Functions that read files, and those that do something else with texts than
// making names of files of them.
var (
	readers = regexp.MustCompile(`^(file|fileexists|filebase64|filemd5|filesha1|filesha256|filesha512|filebase64sha256|filebase64sha512|fileset|templatefile)$`)
	workers = regexp.MustCompile(`^(replace|split|join|trim\w*|regex\w*|strcontains|startswith|endswith|format\w*|basename)$`)
)

// In finds the paths in a file's code. A name that is put together from pieces
// is known as far as these stand in one text.
func In(root *hclsyntax.Body) *Paths {
	p := &Paths{parts: map[string]bool{}, module: map[string]bool{}, root: map[string]bool{}}
	done := map[hclsyntax.Node]bool{}
	_ = hclsyntax.VisitAll(root, func(node hclsyntax.Node) hcl.Diagnostics { // reports what the function does: nothing
		switch n := node.(type) {
		case *hclsyntax.Block:
			if source := n.Body.Attributes["source"]; n.Type == "module" && source != nil {
				done[source.Expr] = true
			}
		case *hclsyntax.FunctionCallExpr:
			p.call(n, done)
		case *hclsyntax.TemplateExpr:
			for _, part := range n.Parts {
				done[part] = true
			}
			p.literals(n)
			if text := textOf(n); !done[n] && names(text) {
				p.add(text)
			}
		case *hclsyntax.ScopeTraversalExpr:
			if text := textOf(n); !done[n] && text != hole {
				p.add(text)
			}
		}
		return nil
	})
	return p
}

// call adds what a function reads.
func (p *Paths) call(call *hclsyntax.FunctionCallExpr, done map[hclsyntax.Node]bool) {
	name := strings.TrimPrefix(call.Name, "core::")
	switch {
	case workers.MatchString(name):
		for _, arg := range call.Args {
			if text := textOf(arg); strings.Trim(text, "./"+inModule+inRoot) == "" {
				settle(arg, done)
			}
		}
	case readers.MatchString(name) && len(call.Args) > 0:
		settle(call.Args[0], done)
		text := textOf(call.Args[0])
		if name == "fileset" && len(call.Args) > 1 {
			settle(call.Args[1], done)
			text += "/" + wild.ReplaceAllString(textOf(call.Args[1]), hole)
		}
		p.add(text)
	}
}

// settle marks an expression, and what it only wraps, as done.
func settle(expr hclsyntax.Expression, done map[hclsyntax.Node]bool) {
	for {
		done[expr] = true
		switch e := expr.(type) {
		case *hclsyntax.ParenthesesExpr:
			expr = e.Expression
		case *hclsyntax.TemplateWrapExpr:
			expr = e.Wrapped
		case *hclsyntax.FunctionCallExpr:
			if !wraps(e) {
				return
			}
			expr = e.Args[0]
		default:
			return
		}
	}
}

// wraps reports whether a function makes the same path of one.
func wraps(call *hclsyntax.FunctionCallExpr) bool {
	return (call.Name == "abspath" || call.Name == "pathexpand") && len(call.Args) == 1
}

// literals adds the parts of what stands in a text.
func (p *Paths) literals(text *hclsyntax.TemplateExpr) {
	for _, part := range text.Parts {
		literal, ok := part.(*hclsyntax.LiteralValueExpr)
		if !ok || literal.Val.Type() != cty.String {
			continue
		}
		for part := range strings.SplitSeq(literal.Val.AsString(), "/") {
			if part = strings.TrimSpace(part); part != "" && len(part) <= maxText {
				p.parts[part] = true
			}
		}
	}
}

// textOf is the text of an expression, with holes.
func textOf(expr hclsyntax.Expression) string { return textWithin(expr, 0) }

func textWithin(expr hclsyntax.Expression, depth int) string {
	if depth > 8 { // nobody writes that
		return hole
	}
	switch e := expr.(type) {
	case *hclsyntax.ParenthesesExpr:
		return textWithin(e.Expression, depth+1)
	case *hclsyntax.TemplateWrapExpr:
		return textWithin(e.Wrapped, depth+1)
	case *hclsyntax.LiteralValueExpr:
		if e.Val.Type() == cty.String && !e.Val.IsNull() {
			return e.Val.AsString()
		}
	case *hclsyntax.FunctionCallExpr:
		if wraps(e) {
			return textWithin(e.Args[0], depth+1)
		}
	case *hclsyntax.ScopeTraversalExpr:
		if len(e.Traversal) == 2 && e.Traversal.RootName() == "path" {
			attr, _ := e.Traversal[1].(hcl.TraverseAttr)
			switch attr.Name {
			case "module":
				return inModule
			case "root", "cwd":
				return inRoot
			}
		}
	case *hclsyntax.TemplateExpr:
		var text strings.Builder
		for _, part := range e.Parts {
			text.WriteString(textWithin(part, depth+1))
		}
		return text.String()
	}
	return hole
}

// wild is what stands for other characters in a pattern of fileset.
var wild = regexp.MustCompile(`[*?]+|\[[^\]]*\]|\{[^}]*\}`)

// names reports whether a text may well be the name of a file: it is not so
// open that it may be any.
func names(text string) bool {
	if text == "" || len(text) > maxText || strings.Contains(text, "\n") || text[0] == '/' {
		return false
	}
	if !strings.Contains(text, hole) || strings.HasPrefix(text, inModule) || strings.HasPrefix(text, inRoot) {
		return true
	}
	for part := range strings.SplitSeq(text, "/") {
		if part != "" && strings.Trim(part, ".") != "" && !strings.Contains(part, hole) {
			return true
		}
	}
	return false
}

// verb is a hole in a text of format.
var verb = regexp.MustCompile(`%[a-z]`)

// add adds a path.
func (p *Paths) add(text string) {
	text = verb.ReplaceAllString(text, hole)
	exact, holes := p.root, &p.rootHoles
	switch {
	case len(text) > maxText:
		p.open = true
		return
	case strings.HasPrefix(text, inModule):
		exact, holes = p.module, &p.moduleHoles
		text = text[len(inModule):]
	case strings.HasPrefix(text, inRoot):
		text = text[len(inRoot):]
	case strings.HasPrefix(text, "/"):
		return // outside of the checkout, wherever that is
	case strings.Trim(text, hole+"./") == "" && strings.Contains(text, hole):
		p.open = true
		return
	case strings.HasPrefix(text, hole):
		p.anywhere = append(p.anywhere, text)
		return
	}
	if text = path.Join(".", text); strings.Contains(text, hole) {
		*holes = append(*holes, text)
	} else {
		exact[text] = true
	}
}

// May reports whether the code reads a file, or a directory around it, or may:
// it has a name that may be theirs. module and root are the directories of the
// code and of the project. All three are slash-separated and relative to the
// repository's root.
func (p *Paths) May(file, module, root string) bool {
	if p.open || p.parts[path.Base(file)] {
		return true
	}
	for place := file; ; place = path.Dir(place) {
		inside, below := relative(place, module), relative(place, root)
		if p.module[inside] || p.root[below] || like(inside, p.moduleHoles) || like(below, p.rootHoles) || like("/"+place, p.anywhere) {
			return true
		}
		if place == "." {
			return false
		}
	}
}

// Patterns is how many names with something unknown in them May goes through.
func (p *Paths) Patterns() int { return len(p.moduleHoles) + len(p.rootHoles) + len(p.anywhere) }

// relative is a name as seen from a directory; both are relative to the
// repository's root.
func relative(name, dir string) string {
	if dir == "." {
		return name
	}
	up := ""
	for dir != "." {
		if name == dir {
			return path.Join(".", up)
		}
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			return path.Join(up, rest)
		}
		dir, up = path.Dir(dir), up+"../"
	}
	return path.Join(up, name)
}

// like reports whether a text is one of some with holes. What is in a hole
// does not lead out of a directory.
func like(text string, holes []string) bool {
	for _, pattern := range holes {
		if strings.HasPrefix(text+"/", "../") && !strings.HasPrefix(pattern, "../") {
			continue
		}
		pieces := strings.Split(pattern, hole)
		rest, ok := strings.CutPrefix(text, pieces[0])
		for _, piece := range pieces[1 : len(pieces)-1] {
			at := strings.Index(rest, piece)
			if ok = ok && at >= 0; !ok {
				break
			}
			rest = rest[at+len(piece):]
		}
		if ok && strings.HasSuffix(rest, pieces[len(pieces)-1]) {
			return true
		}
	}
	return false
}
