package edit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// expr makes an expression say a value. What it comes to already stays, which
// for expressions is known from declared only.
func (e *edits) expr(x hclsyntax.Expression, declared, want cty.Value) string {
	if same(declared, want) {
		return ""
	}
	said, written := constant(x)
	if written && same(said, want) {
		return ""
	}
	switch x := x.(type) {
	case *hclsyntax.ParenthesesExpr:
		return e.expr(x.Expression, declared, want)
	case *hclsyntax.ObjectConsExpr:
		if isObject(want) {
			return e.object(x, declared, want)
		}
	case *hclsyntax.TupleConsExpr:
		if isTuple(want) {
			return e.tuple(x, declared, want)
		}
	case *hclsyntax.FunctionCallExpr:
		if inner := unwrap(x); inner != hclsyntax.Expression(x) {
			return e.expr(inner, declared, want)
		}
		if x.Name == "jsonencode" && len(x.Args) == 1 && !x.ExpandFinal {
			if document, ok := parseJSON(want); ok {
				was, _ := parseJSON(declared)
				return e.expr(x.Args[0], was, document)
			}
		}
	}
	at := x.Range()
	if !written {
		return e.whyNot(x)
	}
	if strings.HasPrefix(e.file.text(at), "<<") {
		return e.heredoc(at, want)
	}
	e.splice(at.Start.Byte, at.End.Byte, render(want, e.file.indent(at.Start.Byte), e.file.eol))
	return ""
}

// unwrap returns what stands in a conversion between kinds of collections.
func unwrap(x hclsyntax.Expression) hclsyntax.Expression {
	if call, ok := x.(*hclsyntax.FunctionCallExpr); ok && len(call.Args) == 1 && !call.ExpandFinal &&
		slices.Contains([]string{"toset", "tolist", "tomap"}, call.Name) {
		return call.Args[0]
	}
	return x
}

// parseJSON returns the document in a string.
func parseJSON(v cty.Value) (cty.Value, bool) {
	if !known(v) || v.IsNull() || v.Type() != cty.String {
		return cty.NilVal, false
	}
	document, err := parseValue(json.RawMessage(v.AsString()))
	return document, err == nil && (isObject(document) || isTuple(document))
}

// object makes the items of an object say a value, one by one.
func (e *edits) object(x *hclsyntax.ObjectConsExpr, declared, want cty.Value) string {
	list := bracket{at: x.SrcRange, removed: map[int]bool{}, inserts: map[int][]string{}, object: true}
	has := map[string]bool{}
	last := -1
	for i, item := range x.Items {
		name, ok := keyOf(item)
		if !ok {
			return fmt.Sprintf("a key of it is worked out (%s line %d)", e.file.name, item.KeyExpr.Range().Start.Line)
		}
		if has[name] {
			return fmt.Sprintf("the key %s is there twice (%s line %d)", name, e.file.name, item.KeyExpr.Range().Start.Line)
		}
		has[name] = true
		list.items = append(list.items, hcl.RangeBetween(item.KeyExpr.Range(), item.ValueExpr.Range()))
		value := field(want, name)
		if known(value) {
			if why := e.expr(item.ValueExpr, field(declared, name), value); why != "" {
				return why
			}
			last = i
			continue
		}
		said, written := constant(item.ValueExpr)
		switch {
		case !written:
			return e.whyNot(item.ValueExpr)
		case said.IsNull():
			last = i
		default:
			list.removed[i] = true
		}
	}
	var fresh []string
	for _, name := range keys(want) {
		if value := field(want, name); !has[name] && !value.IsNull() && !same(field(declared, name), value) {
			fresh = append(fresh, name)
		}
	}
	if len(fresh) == 0 && len(list.removed) == 0 {
		return ""
	}
	pad, longest := 0, 0
	for _, name := range fresh {
		if !multiline(field(want, name)) {
			longest = max(longest, len(renderKey(name)))
		}
	}
	if last >= 0 {
		key, value := x.Items[last].KeyExpr.Range(), x.Items[last].ValueExpr.Range()
		between := string(e.file.data[key.End.Byte:value.Start.Byte])
		if i := strings.IndexByte(between, '='); i >= 0 && value.Start.Line == value.End.Line {
			pad = key.End.Byte - key.Start.Byte + i - 1
		}
	}
	// Formatting aligns lines up to a blank one, and those above are to stay.
	list.gap = pad > 0 && longest > pad
	pad = max(pad, longest)
	indent := e.file.indent(x.SrcRange.Start.Byte) + "  "
	if last >= 0 && e.file.first(list.items[last].Start.Byte) {
		indent = e.file.indent(list.items[last].Start.Byte)
	}
	list.indent = indent
	oneLine := !list.byLine(e.file) && (last >= 0 || x.SrcRange.Start.Line == x.SrcRange.End.Line && len(x.Items) > 0)
	for _, name := range fresh {
		key := renderKey(name)
		if value := field(want, name); !oneLine && !multiline(value) {
			key += strings.Repeat(" ", max(0, pad-len(key)))
		}
		list.inserts[last] = append(list.inserts[last], key+" = "+render(field(want, name), indent, e.file.eol))
	}
	return e.list(list)
}

// tuple makes the elements of a list say a value. Whether it stands for a list
// or a set shows only where what is declared has another order than what is
// written.
func (e *edits) tuple(x *hclsyntax.TupleConsExpr, declared, want cty.Value) string {
	have, wants, says := x.Exprs, elements(want), elements(declared)
	if len(have)*len(wants) > maxPairs {
		return "it has too many elements"
	}
	values := make([]cty.Value, len(have))
	for i, element := range have {
		values[i], _ = constant(element)
	}
	said, unordered := match(len(have), says, func(i int, v cty.Value) bool { return !known(values[i]) || agree(values[i], v) }, false)
	if unordered {
		said = leftover(values, says)
	}
	costs := e.costs(len(have), len(wants), func(t *edits, i, j int) string {
		if known(values[i]) && values[i].Type().IsPrimitiveType() {
			if !same(values[i], wants[j]) {
				t.splice(0, 0, "")
			}
			return ""
		}
		return t.expr(have[i], said[i], wants[j])
	})
	to, inserts := align(costs, len(have), len(wants), unordered, declared == cty.NilVal || sameElements(says, wants))
	list := bracket{at: x.SrcRange, removed: map[int]bool{}, inserts: map[int][]string{}}
	list.indent = e.file.indent(x.SrcRange.Start.Byte) + "  "
	for i, element := range have {
		list.items = append(list.items, element.Range())
		if i == 0 && e.file.first(element.Range().Start.Byte) {
			list.indent = e.file.indent(element.Range().Start.Byte)
		}
		switch {
		case to[i] >= 0:
			if why := e.expr(element, said[i], wants[to[i]]); why != "" {
				return why
			}
		case !known(values[i]):
			return e.whyNot(element)
		default:
			list.removed[i] = true
		}
	}
	if len(inserts) == 0 && len(list.removed) == 0 {
		return ""
	}
	for after, js := range inserts {
		for _, j := range js {
			list.inserts[after] = append(list.inserts[after], render(wants[j], list.indent, e.file.eol))
		}
	}
	return e.list(list)
}

// leftover says which declared element of a set each element comes to: what is
// written out is itself, and a single expression is what is left.
func leftover(values, says []cty.Value) []cty.Value {
	said := make([]cty.Value, len(values))
	rest := slices.Clone(says)
	var open []int
	for i, v := range values {
		j := slices.IndexFunc(rest, func(o cty.Value) bool { return agree(v, o) })
		switch {
		case !known(v):
			open = append(open, i)
		case j >= 0:
			said[i] = rest[j]
			rest = slices.Delete(rest, j, j+1)
		}
	}
	if len(open) == 1 && len(rest) == 1 {
		said[open[0]] = rest[0]
	}
	return said
}

// heredoc replaces the text of a heredoc without anything to be worked out.
func (e *edits) heredoc(at hcl.Range, want cty.Value) string {
	old := e.file.text(at)
	head, _, _ := strings.Cut(old, "\n")
	head = strings.TrimRight(head, "\r")
	name := strings.TrimLeft(head, "<-")
	const why = "it is a heredoc, and what is deployed cannot be written as one"
	if want.IsNull() || want.Type() != cty.String || !strings.HasSuffix(want.AsString(), "\n") {
		return why
	}
	text := strings.TrimSuffix(want.AsString(), "\n")
	indent := ""
	if strings.HasPrefix(head, "<<-") {
		lines := strings.Split(strings.TrimRight(old, "\r\n"), "\n")
		indent = lines[len(lines)-1][:len(lines[len(lines)-1])-len(strings.TrimLeft(lines[len(lines)-1], " \t"))] + "  "
	}
	var out strings.Builder
	out.WriteString(head + e.file.eol)
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(line) == name || strings.Contains(line, "\r") {
			return why
		}
		line = strings.NewReplacer("${", "$${", "%{", "%%{").Replace(line)
		out.WriteString(indent + line + e.file.eol)
	}
	body := old[:strings.LastIndex(strings.TrimRight(old, "\r\n"), "\n")+1]
	e.splice(at.Start.Byte, at.Start.Byte+len(body), out.String())
	return ""
}
