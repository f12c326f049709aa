package edit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"weir/planner/project/edit/code"
	"weir/planner/project/edit/literal"
)

// edits are worked out for one file. Methods return why something cannot be
// expressed; then what was gathered is worth nothing.
type edits struct {
	file    *code.File
	dir     *code.Directory
	kind    string // of the resource
	done    bool   // they were made: nothing may be left to do
	splices []code.Splice
	adds    []add
}

// add is what comes at the end of a block.
type add struct {
	to      *hclsyntax.Block
	name    string
	value   cty.Value // of an attribute
	written string    // a nested block, not indented
}

// trial is a copy for finding out what an edit would take.
func (e *edits) trial() *edits {
	return &edits{file: e.file, dir: e.dir, kind: e.kind, done: e.done}
}

// cost is how much was gathered.
func (e *edits) cost() int { return len(e.splices) + len(e.adds) }

func (e *edits) splice(from, to int, text string) {
	e.splices = append(e.splices, code.Splice{From: from, To: to, Text: text})
}

// attribute makes a block say the value of an attribute, or of all nested
// blocks of that type. top is true in a resource.
func (e *edits) attribute(in *hclsyntax.Block, name string, declared, want cty.Value, top bool) string {
	if literal.Same(declared, want) {
		return ""
	}
	if attr := in.Body.Attributes[name]; attr != nil {
		if want.IsNull() {
			if v, ok := literal.Constant(attr.Expr); ok && v.IsNull() {
				return ""
			}
			if _, ok := literal.Constant(attr.Expr); !ok {
				return e.whyNot(attr.Expr)
			}
			e.dropAttribute(in, attr)
			return ""
		}
		return e.expr(attr.Expr, declared, want)
	}
	var blocks []*hclsyntax.Block
	for _, b := range in.Body.Blocks {
		if code.BlockName(b) != name {
			continue
		}
		if b.Type == "dynamic" {
			return fmt.Sprintf("%s comes from a dynamic block (%s line %d)", name, e.file.Name, b.TypeRange.Start.Line)
		}
		if len(b.Labels) > 0 {
			return fmt.Sprintf("blocks of %s have labels, which weir does not edit", name)
		}
		blocks = append(blocks, b)
	}
	if blocks != nil {
		return e.blocks(in, name, blocks, declared, want)
	}
	switch {
	case want.IsNull() || !literal.Known(declared) && literal.IsEmpty(want) || literal.IsTuple(want) && literal.IsEmpty(want) && literal.Objects(declared):
		if literal.Known(declared) && top && !e.done {
			return fmt.Sprintf("the code does not set %s, so it cannot take it away: without it, it is %s", name, short(declared))
		}
		return ""
	case top && !literal.Known(declared):
		return fmt.Sprintf("%s is worked out by the provider", name)
	case e.asBlocks(name, want):
		for _, v := range literal.Elements(want) {
			e.adds = append(e.adds, add{to: in, written: e.newBlock(name, v, nil)})
		}
		return ""
	}
	e.adds = append(e.adds, add{to: in, name: name, value: want})
	return ""
}

// asBlocks reports whether an attribute that a block does not have is to be
// written as nested blocks: a list of objects, unless the module writes it
// with an equals sign elsewhere. Terraform's older way for providers to define
// such attributes takes blocks only, or both.
func (e *edits) asBlocks(name string, v cty.Value) bool {
	if !literal.Objects(v) {
		return false
	}
	for _, f := range e.dir.Files {
		for _, b := range f.Body.Blocks {
			if b.Type == "resource" && len(b.Labels) == 2 && b.Labels[0] == e.kind && b.Body.Attributes[name] != nil {
				return false
			}
		}
	}
	return true
}

// dropAttribute takes an attribute away: its line, with the comment at its end.
func (e *edits) dropAttribute(in *hclsyntax.Block, attr *hclsyntax.Attribute) {
	from, to := attr.SrcRange.Start.Byte, attr.SrcRange.End.Byte
	if end, ok := e.file.Last(to, false); ok && e.file.First(from) {
		e.splice(e.file.LineStart(from), end, "")
		return
	}
	open, end := in.OpenBraceRange.End.Byte, in.CloseBraceRange.Start.Byte
	if len(bytes.TrimSpace(e.file.Data[open:from]))+len(bytes.TrimSpace(e.file.Data[to:end])) == 0 {
		from, to = open, end
	}
	e.splice(from, to, "")
}

// blocks makes nested blocks of one type say a list of objects.
func (e *edits) blocks(in *hclsyntax.Block, name string, have []*hclsyntax.Block, declared, want cty.Value) string {
	list := func(v cty.Value) []cty.Value {
		if literal.IsObject(v) {
			return []cty.Value{v}
		}
		return literal.Elements(v)
	}
	wants, says := list(want), list(declared)
	if len(wants) == 0 && !literal.IsEmpty(want) || len(wants) > 0 && !literal.IsObject(want) && !literal.Objects(want) {
		return fmt.Sprintf("%s is written as blocks, and what is deployed is no list of objects", name)
	}
	said, unordered := literal.Match(len(have), says, func(i int, v cty.Value) bool { return agrees(have[i].Body, v) }, true)
	for i, b := range have {
		said[i] = trusted(b.Body, said[i])
	}
	costs := e.costs(len(have), len(wants), func(t *edits, i, j int) string {
		return t.block(have[i], said[i], wants[j])
	})
	moved := len(have) == len(wants) && literal.Known(declared) && literal.SameElements(says, wants)
	to, inserts := literal.Align(costs, len(have), len(wants), unordered, moved)
	for i, b := range have {
		if to[i] < 0 {
			from, end := e.file.Extent(b)
			e.splice(from, end, "")
			continue
		}
		if why := e.block(b, said[i], wants[to[i]]); why != "" {
			return why
		}
	}
	for after, js := range inserts {
		for _, j := range js {
			e.insertBlock(have, after, e.newBlock(name, wants[j], have))
		}
	}
	return ""
}

// block makes one nested block say an object.
func (e *edits) block(b *hclsyntax.Block, declared, want cty.Value) string {
	for _, name := range literal.Keys(want) {
		was := literal.Field(declared, name)
		if literal.Known(declared) && !literal.Known(was) && b.Body.Attributes[name] == nil && !hasBlock(b, name) {
			continue // known after apply only, so the provider works it out
		}
		if why := e.attribute(b, name, was, literal.Field(want, name), false); why != "" {
			return why
		}
	}
	return ""
}

func hasBlock(in *hclsyntax.Block, name string) bool {
	return slices.ContainsFunc(in.Body.Blocks, func(b *hclsyntax.Block) bool { return code.BlockName(b) == name })
}

// trusted leaves out of a declared object what the block that was given it as
// the likeliest one says differently.
func trusted(body *hclsyntax.Body, v cty.Value) cty.Value {
	if !literal.IsObject(v) {
		return v
	}
	all := v.AsValueMap()
	for name, attr := range body.Attributes {
		if said, ok := literal.Constant(attr.Expr); ok && literal.Known(all[name]) && !literal.Agree(said, all[name]) {
			delete(all, name)
		}
	}
	return cty.ObjectVal(all)
}

// agrees reports whether what a block writes out is what an object has.
func agrees(body *hclsyntax.Body, v cty.Value) bool {
	for name, attr := range body.Attributes {
		if said, ok := literal.Constant(attr.Expr); ok && literal.Known(literal.Field(v, name)) && !literal.Agree(said, literal.Field(v, name)) {
			return false
		}
	}
	return true
}

// newBlock writes a nested block, not indented. What providers fill in for
// nothing is left out unless other blocks like it, like, say it too.
func (e *edits) newBlock(name string, v cty.Value, like []*hclsyntax.Block) string {
	f := hclwrite.NewEmptyFile()
	fillBlock(f.Body().AppendNewBlock(name, nil).Body(), v, like)
	return strings.TrimSpace(string(hclwrite.Format(f.Bytes())))
}

func fillBlock(body *hclwrite.Body, v cty.Value, like []*hclsyntax.Block) {
	var nested []string
	inner := map[string][]*hclsyntax.Block{}
	set := map[string]int{} // how many of like set it
	place := map[string]int{}
	for _, b := range like {
		for name, attr := range b.Body.Attributes {
			set[name]++
			place[name] = attr.SrcRange.Start.Byte - b.TypeRange.Start.Byte
		}
		for _, in := range b.Body.Blocks {
			inner[in.Type] = append(inner[in.Type], in)
		}
	}
	names := literal.Keys(v)
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case set[a] > 0 && set[b] > 0:
			return place[a] - place[b]
		case set[a] > 0:
			return -1
		case set[b] > 0:
			return 1
		}
		return 0
	})
	for _, name := range names {
		switch value := literal.Field(v, name); {
		case value.IsNull():
		case len(like) > 0 && set[name] == len(like):
			body.SetAttributeRaw(name, literal.Tokens(value))
		case literal.IsEmpty(value):
		case set[name] == 0 && literal.Objects(value), inner[name] != nil && literal.IsObject(value):
			nested = append(nested, name)
		default:
			body.SetAttributeRaw(name, literal.Tokens(value))
		}
	}
	for _, name := range nested {
		value := literal.Field(v, name)
		all := literal.Elements(value)
		if literal.IsObject(value) {
			all = []cty.Value{value}
		}
		for _, element := range all {
			fillBlock(body.AppendNewBlock(name, nil).Body(), element, inner[name])
		}
	}
}

// insertBlock puts a nested block behind one of its kind, or before the first.
func (e *edits) insertBlock(have []*hclsyntax.Block, after int, text string) {
	f := e.file
	near := have[max(after, 0)]
	indent := f.Indent(near.TypeRange.Start.Byte)
	text = strings.ReplaceAll(text, "\n", f.EOL+indent)
	if after < 0 {
		from, _ := f.Extent(near)
		if f.First(near.TypeRange.Start.Byte) {
			e.splice(from, from, indent+text+f.EOL+f.EOL)
			return
		}
		e.splice(near.TypeRange.Start.Byte, near.TypeRange.Start.Byte, text+f.EOL+indent)
		return
	}
	at := near.CloseBraceRange.End.Byte
	if end, ok := f.Last(at, false); ok && f.Data[end-1] == '\n' {
		e.splice(end, end, f.EOL+indent+text+f.EOL)
		return
	}
	e.splice(at, at, f.EOL+f.EOL+indent+text)
}

// flush turns what comes at the ends of blocks into splices.
func (e *edits) flush() {
	var order []*hclsyntax.Block
	to := map[*hclsyntax.Block][]add{}
	for _, a := range e.adds {
		if to[a.to] == nil {
			order = append(order, a.to)
		}
		to[a.to] = append(to[a.to], a)
	}
	e.adds = nil
	for _, b := range order {
		e.end(b, to[b])
	}
}

// end adds to the end of a block.
func (e *edits) end(b *hclsyntax.Block, adds []add) {
	f := e.file
	open, end := b.OpenBraceRange.End.Byte, b.CloseBraceRange.Start.Byte
	outer := f.Indent(b.TypeRange.Start.Byte)
	indent := outer + "  "
	if strings.HasPrefix(outer, "\t") {
		indent = outer + "\t"
	}
	width, longest := 0, 0 // of names, up to the equals sign
	var last *hclsyntax.Attribute
	for _, attr := range b.Body.Attributes {
		if last == nil || attr.SrcRange.Start.Byte > last.SrcRange.Start.Byte {
			last = attr
		}
	}
	if last != nil && f.First(last.SrcRange.Start.Byte) {
		indent = f.Indent(last.SrcRange.Start.Byte)
	}
	one := b.OpenBraceRange.Start.Line == b.CloseBraceRange.Start.Line
	tail := bytes.TrimRight(f.Data[open:end], " \t")
	gap := len(bytes.TrimSpace(tail)) > 0 // something stands above
	for _, a := range adds {
		if a.written == "" && !literal.Multiline(a.value) {
			longest = max(longest, len(a.name)+1)
		}
	}
	attached := false
	if gap && last != nil && adds[0].written == "" {
		after, ok := f.Last(last.SrcRange.End.Byte, false)
		if single := last.SrcRange.Start.Line == last.SrcRange.End.Line; single && (one || ok && after == f.LineStart(end)) {
			width = last.EqualsRange.Start.Byte - last.NameRange.Start.Byte
			attached = longest <= width
		}
	}
	if !attached {
		width = longest
	}
	var text strings.Builder
	for i, a := range adds {
		switch {
		case a.written != "":
			if gap || i > 0 {
				text.WriteString(f.EOL)
			}
			text.WriteString(indent + strings.ReplaceAll(a.written, "\n", f.EOL+indent) + f.EOL)
			attached = false
		default:
			if !attached && (gap || i > 0) {
				text.WriteString(f.EOL)
			}
			pad := ""
			if !literal.Multiline(a.value) {
				pad = strings.Repeat(" ", max(0, width-len(a.name)-1))
			}
			text.WriteString(indent + a.name + pad + " = " + literal.Render(a.value, indent, f.EOL) + f.EOL)
			attached = !literal.Multiline(a.value)
		}
	}
	if !one {
		at := f.LineStart(end)
		if !f.First(end) {
			e.splice(end, end, f.EOL+text.String()+outer)
			return
		}
		e.splice(at, at, text.String())
		return
	}
	inner := strings.TrimSpace(string(f.Data[open:end]))
	if inner == "" {
		e.splice(open, end, f.EOL+text.String()+outer)
		return
	}
	from := open + bytes.Index(f.Data[open:end], []byte(inner))
	e.splice(open, from, f.EOL+indent)
	e.splice(from+len(inner), end, f.EOL+text.String()+outer)
}
