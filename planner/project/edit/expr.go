package edit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"weir/planner/project/edit/literal"
)

// expr makes an expression say a value. What it comes to already stays, which
// for expressions is known from declared only.
func (e *edits) expr(x hclsyntax.Expression, declared, want cty.Value) string {
	if literal.Same(declared, want) {
		return ""
	}
	said, written := literal.Constant(x)
	if written && literal.Same(said, want) {
		return ""
	}
	switch x := x.(type) {
	case *hclsyntax.ParenthesesExpr:
		return e.expr(x.Expression, declared, want)
	case *hclsyntax.ObjectConsExpr:
		if literal.IsObject(want) {
			return e.object(x, declared, want)
		}
	case *hclsyntax.TupleConsExpr:
		if literal.IsTuple(want) {
			return e.tuple(x, declared, want)
		}
	case *hclsyntax.FunctionCallExpr:
		if inner := literal.Unwrap(x); inner != hclsyntax.Expression(x) {
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
	if strings.HasPrefix(e.file.Text(at), "<<") {
		return e.heredoc(at, want)
	}
	e.splice(at.Start.Byte, at.End.Byte, literal.Render(want, e.file.Indent(at.Start.Byte), e.file.EOL))
	return ""
}

// parseJSON returns the document in a string.
func parseJSON(v cty.Value) (cty.Value, bool) {
	if !literal.Known(v) || v.IsNull() || v.Type() != cty.String {
		return cty.NilVal, false
	}
	document, err := literal.Parse(json.RawMessage(v.AsString()))
	return document, err == nil && (literal.IsObject(document) || literal.IsTuple(document))
}

// object makes the items of an object say a value, one by one.
func (e *edits) object(x *hclsyntax.ObjectConsExpr, declared, want cty.Value) string {
	list := bracket{at: x.SrcRange, removed: map[int]bool{}, inserts: map[int][]string{}, object: true}
	has := map[string]bool{}
	last := -1
	for i, item := range x.Items {
		name, ok := literal.KeyOf(item)
		if !ok {
			return fmt.Sprintf("a key of it is worked out (%s line %d)", e.file.Name, item.KeyExpr.Range().Start.Line)
		}
		if has[name] {
			return fmt.Sprintf("the key %s is there twice (%s line %d)", name, e.file.Name, item.KeyExpr.Range().Start.Line)
		}
		has[name] = true
		list.items = append(list.items, hcl.RangeBetween(item.KeyExpr.Range(), item.ValueExpr.Range()))
		value := literal.Field(want, name)
		if literal.Known(value) {
			if why := e.expr(item.ValueExpr, literal.Field(declared, name), value); why != "" {
				return why
			}
			last = i
			continue
		}
		said, written := literal.Constant(item.ValueExpr)
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
	for _, name := range literal.Keys(want) {
		if value := literal.Field(want, name); !has[name] && !value.IsNull() && !literal.Same(literal.Field(declared, name), value) {
			fresh = append(fresh, name)
		}
	}
	if len(fresh) == 0 && len(list.removed) == 0 {
		return ""
	}
	pad, longest := 0, 0
	for _, name := range fresh {
		if !literal.Multiline(literal.Field(want, name)) {
			longest = max(longest, len(literal.RenderKey(name)))
		}
	}
	if last >= 0 {
		key, value := x.Items[last].KeyExpr.Range(), x.Items[last].ValueExpr.Range()
		between := string(e.file.Data[key.End.Byte:value.Start.Byte])
		if i := strings.IndexByte(between, '='); i >= 0 && value.Start.Line == value.End.Line {
			pad = key.End.Byte - key.Start.Byte + i - 1
		}
	}
	// Formatting aligns lines up to a blank one, and those above are to stay.
	list.gap = pad > 0 && longest > pad
	pad = max(pad, longest)
	indent := e.file.Indent(x.SrcRange.Start.Byte) + "  "
	if last >= 0 && e.file.First(list.items[last].Start.Byte) {
		indent = e.file.Indent(list.items[last].Start.Byte)
	}
	list.indent = indent
	oneLine := !list.byLine(e.file) && (last >= 0 || x.SrcRange.Start.Line == x.SrcRange.End.Line && len(x.Items) > 0)
	for _, name := range fresh {
		key := literal.RenderKey(name)
		if value := literal.Field(want, name); !oneLine && !literal.Multiline(value) {
			key += strings.Repeat(" ", max(0, pad-len(key)))
		}
		list.inserts[last] = append(list.inserts[last], key+" = "+literal.Render(literal.Field(want, name), indent, e.file.EOL))
	}
	return e.list(list)
}

// tuple makes the elements of a list say a value. Whether it stands for a list
// or a set shows only where what is declared has another order than what is
// written.
func (e *edits) tuple(x *hclsyntax.TupleConsExpr, declared, want cty.Value) string {
	have, wants, says := x.Exprs, literal.Elements(want), literal.Elements(declared)
	if len(have)*len(wants) > literal.MaxPairs {
		return "it has too many elements"
	}
	values := make([]cty.Value, len(have))
	for i, element := range have {
		values[i], _ = literal.Constant(element)
	}
	said, unordered := literal.Match(len(have), says, func(i int, v cty.Value) bool { return !literal.Known(values[i]) || literal.Agree(values[i], v) }, false)
	if unordered {
		said = leftover(values, says)
	}
	costs := e.costs(len(have), len(wants), func(t *edits, i, j int) string {
		if literal.Known(values[i]) && values[i].Type().IsPrimitiveType() {
			if !literal.Same(values[i], wants[j]) {
				t.splice(0, 0, "")
			}
			return ""
		}
		return t.expr(have[i], said[i], wants[j])
	})
	to, inserts := literal.Align(costs, len(have), len(wants), unordered, declared == cty.NilVal || literal.SameElements(says, wants))
	list := bracket{at: x.SrcRange, removed: map[int]bool{}, inserts: map[int][]string{}}
	list.indent = e.file.Indent(x.SrcRange.Start.Byte) + "  "
	for i, element := range have {
		list.items = append(list.items, element.Range())
		if i == 0 && e.file.First(element.Range().Start.Byte) {
			list.indent = e.file.Indent(element.Range().Start.Byte)
		}
		switch {
		case to[i] >= 0:
			if why := e.expr(element, said[i], wants[to[i]]); why != "" {
				return why
			}
		case !literal.Known(values[i]):
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
			list.inserts[after] = append(list.inserts[after], literal.Render(wants[j], list.indent, e.file.EOL))
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
		j := slices.IndexFunc(rest, func(o cty.Value) bool { return literal.Agree(v, o) })
		switch {
		case !literal.Known(v):
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
	old := e.file.Text(at)
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
	out.WriteString(head + e.file.EOL)
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(line) == name || strings.Contains(line, "\r") {
			return why
		}
		line = strings.NewReplacer("${", "$${", "%{", "%%{").Replace(line)
		out.WriteString(indent + line + e.file.EOL)
	}
	body := old[:strings.LastIndex(strings.TrimRight(old, "\r\n"), "\n")+1]
	e.splice(at.Start.Byte, at.Start.Byte+len(body), out.String())
	return ""
}

// costs tries each written element with each wanted one. 0 is a pair that
// needs no edit.
func (e *edits) costs(have, want int, try func(t *edits, i, j int) string) [][]int {
	costs := make([][]int, have)
	for i := range costs {
		costs[i] = make([]int, want)
		for j := range costs[i] {
			t := e.trial()
			if why := try(t, i, j); why != "" {
				costs[i][j] = literal.Impossible
			} else {
				costs[i][j] = t.cost()
			}
		}
	}
	return costs
}
