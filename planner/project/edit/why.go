package edit

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"weir/planner/project/edit/code"
	"weir/planner/project/edit/literal"
)

// whyNot says what an expression is that is no literal, and where its value
// comes from.
func (e *edits) whyNot(x hclsyntax.Expression) string {
	at := fmt.Sprintf("%s line %d", e.file.Name, x.Range().Start.Line)
	for _, t := range x.Variables() {
		name := ""
		if len(t) > 1 {
			if attr, ok := t[1].(hcl.TraverseAttr); ok {
				name = attr.Name
			}
		}
		switch root := t.RootName(); root {
		case "var":
			return fmt.Sprintf("it comes from the variable %s (%s)%s", name, at, e.whereVariable(name))
		case "local":
			return fmt.Sprintf("it comes from the local value %s (%s)%s", name, at, e.whereLocal(name))
		case "each", "count":
			return fmt.Sprintf("it is different for each instance: %s.%s (%s)", root, name, at)
		case "data":
			if len(t) > 2 {
				if attr, ok := t[2].(hcl.TraverseAttr); ok {
					name += "." + attr.Name
				}
			}
			return fmt.Sprintf("it comes from data.%s (%s)", name, at)
		case "module":
			return fmt.Sprintf("it comes from %s.%s (%s)", root, name, at)
		case "path", "terraform", "self":
			return fmt.Sprintf("it depends on %s.%s (%s)", root, name, at)
		default:
			if name != "" {
				return fmt.Sprintf("it comes from %s.%s (%s)", root, name, at)
			}
		}
	}
	switch x := x.(type) {
	case *hclsyntax.FunctionCallExpr:
		return fmt.Sprintf("it is worked out by the function %s (%s)", x.Name, at)
	case *hclsyntax.ConditionalExpr:
		return fmt.Sprintf("it depends on a condition (%s)", at)
	case *hclsyntax.ForExpr:
		return fmt.Sprintf("it is worked out by a for expression (%s)", at)
	}
	return fmt.Sprintf("it is worked out by an expression (%s)", at)
}

func (e *edits) whereVariable(name string) string {
	for _, f := range e.dir.Files {
		for i, b := range f.Body.Blocks {
			if b.Type == "variable" && len(b.Labels) == 1 && b.Labels[0] == name {
				if b.Body.Attributes["default"] == nil {
					return fmt.Sprintf(", which %s declares without a default: change the value that is given to it", code.Place{File: f, Index: i}.At())
				}
				return fmt.Sprintf(": change its default in %s, or the value that is given to it", code.Place{File: f, Index: i}.At())
			}
		}
	}
	return ""
}

func (e *edits) whereLocal(name string) string {
	for _, f := range e.dir.Files {
		for _, b := range f.Body.Blocks {
			if attr := b.Body.Attributes[name]; b.Type == "locals" && attr != nil {
				return fmt.Sprintf(": change it in %s line %d", f.Name, attr.SrcRange.Start.Line)
			}
		}
	}
	return ""
}

// short is a value for people, cut.
func short(v cty.Value) string {
	text := []rune(literal.Render(v, "", " "))
	if len(text) > 80 {
		text = append(text[:80], '…')
	}
	return string(text)
}
