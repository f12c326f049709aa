package blocks

import (
	"bytes"
	"encoding/json"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	hcljson "github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"

	"weir/planner/project/blocks/prints"
	"weir/planner/project/blocks/reading"
	"weir/planner/project/module"
)

// file is what one file says.
type file struct {
	blocks    []block
	calls     []call
	variables map[string]string // in a file of variables: prints by name; else nil
	paths     *reading.Paths    // that it names; nil in JSON
}

// block is one that is compared as a whole.
type block struct {
	key   string   // blocks of one key are the same block
	names []string // what it touches, within the module; nil: anything
	print string   // equal for two that say the same
	refs  []string // what it may refer to, but for a resource
	items []item   // of a resource or variable: what is compared one by one
}

// call is that of a module.
type call struct {
	name    string
	source  string
	open    bool // source is not known
	version string
	args    map[string][]string // what each refers to
}

// item is one attribute of a body, or one block in it.
type item struct {
	name  string // of the attribute; type of the block
	expr  hcl.Expression
	print string
	inner []item   // of required_providers, for each of them: see sources
	refs  []string // in a resource: what it may refer to
}

// body is one in either syntax.
type body struct {
	kind   string
	labels []string
	items  []item // attributes by name, then blocks in their order
}

// schema are the blocks of which the insides matter.
var schema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "terraform"},
	{Type: "locals"},
	{Type: "provider", LabelNames: []string{"name"}},
	{Type: "resource", LabelNames: []string{"type", "name"}},
	{Type: "data", LabelNames: []string{"type", "name"}},
	{Type: "ephemeral", LabelNames: []string{"type", "name"}},
	{Type: "action", LabelNames: []string{"type", "name"}},
	{Type: "module", LabelNames: []string{"name"}},
	{Type: "variable", LabelNames: []string{"name"}},
	{Type: "output", LabelNames: []string{"name"}},
	{Type: "check", LabelNames: []string{"name"}},
	{Type: "moved"},
	{Type: "removed"},
	{Type: "import"},
}}

// parse reads a file; nil where that is not possible.
func parse(name string, data []byte, variables bool) *file {
	// The parsers recurse: package module knows what they may be given.
	var m module.Module
	if m.Add(name, data); len(m.Problems) > 0 {
		return nil
	}
	var bodies []body
	var attributes []item
	var named *reading.Paths
	var ok bool
	if strings.HasSuffix(name, ".json") {
		bodies, attributes, ok = parseJSON(name, data, variables)
	} else {
		bodies, attributes, named, ok = parseNative(name, data)
		// Terraform takes only one of them.
		ok = ok && (variables && bodies == nil || !variables && attributes == nil)
	}
	if !ok {
		return nil
	}
	f := &file{paths: named}
	if variables {
		f.variables = map[string]string{}
		for _, a := range attributes {
			if !isName(a.name) {
				return nil
			}
			f.variables[a.name] = a.print
		}
		return f
	}
	for _, b := range bodies {
		if f.add(b); len(f.blocks) > maxBlocks {
			return nil
		}
	}
	return f
}

func parseNative(name string, data []byte) ([]body, []item, *reading.Paths, bool) {
	parsed, diags := hclsyntax.ParseConfig(data, name, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, nil, nil, false
	}
	root, ok := parsed.Body.(*hclsyntax.Body)
	if !ok {
		return nil, nil, nil, false
	}
	all, diags := hclsyntax.LexConfig(data, name, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, nil, nil, false
	}
	tokens := tokens{prints.Tokens(all)}
	var bodies []body
	for _, b := range root.Blocks {
		bodies = append(bodies, body{kind: b.Type, labels: b.Labels, items: tokens.items(b.Body, b.CloseBraceRange.Start.Byte)})
	}
	return bodies, tokens.items(&hclsyntax.Body{Attributes: root.Attributes}, len(data)), reading.In(root), true
}

func parseJSON(name string, data []byte, variables bool) (bodies []body, attributes []item, ok bool) {
	parsed, diags := hcljson.Parse(data, name)
	if diags.HasErrors() {
		return nil, nil, false
	}
	if variables {
		attributes, ok = jsonItems(data, parsed.Body)
		return nil, attributes, ok
	}
	content, rest, diags := parsed.Body.PartialContent(schema)
	if diags.HasErrors() {
		return nil, nil, false
	}
	for _, b := range content.Blocks {
		items, ok := jsonItems(data, b.Body)
		if !ok {
			return nil, nil, false
		}
		bodies = append(bodies, body{kind: b.Type, labels: b.Labels, items: items})
	}
	more, ok := jsonItems(data, rest)
	if !ok {
		return nil, nil, false
	}
	for _, i := range more {
		bodies = append(bodies, body{kind: i.name, items: []item{i}})
	}
	return bodies, nil, true
}

func jsonItems(data []byte, b hcl.Body) ([]item, bool) {
	attributes, diags := b.JustAttributes()
	if diags.HasErrors() {
		return nil, false
	}
	var items []item
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		expr := attributes[name].Expr
		var text bytes.Buffer
		if err := json.Compact(&text, expr.Range().SliceBytes(data)); err != nil {
			return nil, false
		}
		i := item{name: name, expr: expr, print: text.String()}
		if name == "required_providers" {
			i.inner = sourcesJSON(text.Bytes())
		}
		items = append(items, i)
	}
	return items, true
}

// join is the print of items, but for those of some names.
func join(items []item, without ...string) string {
	var out strings.Builder
	for _, i := range items {
		if !slices.Contains(without, i.name) {
			out.WriteString(i.name + "\x00" + i.print + "\x00\n")
		}
	}
	return out.String()
}

// add adds a block at the top of a file.
func (f *file) add(b body) {
	address := strings.Join(b.labels, ".")
	two, one := len(b.labels) == 2, len(b.labels) == 1
	one = one && isName(address)
	two = two && isName(b.labels[0]) && isName(b.labels[1])
	switch {
	case b.kind == "resource" && two:
		items := slices.Clone(b.items)
		for i := range items {
			items[i].refs = prints.References(items[i].print)
		}
		f.blocks = append(f.blocks, block{key: address, names: []string{address}, print: join(items), items: items})
	case (b.kind == "data" || b.kind == "ephemeral" || b.kind == "action") && two, b.kind == "check" && one:
		f.block(b.kind+"."+address, join(b.items))
	case b.kind == "variable" && one:
		// The rest of it makes no difference to values.
		items := slices.DeleteFunc(slices.Clone(b.items), func(i item) bool {
			return i.name != "default" && i.name != "type" && i.name != "nullable"
		})
		f.block("var."+address, join(items))
		f.blocks[len(f.blocks)-1].items = items
	case b.kind == "output" && one:
		f.block("output."+address, join(b.items, "description"))
	case b.kind == "module" && one:
		f.block("module."+address, join(b.items))
		f.call(b)
	case b.kind == "locals" && !slices.ContainsFunc(b.items, func(i item) bool { return !isName(i.name) }):
		for _, i := range b.items {
			f.block("local."+i.name, i.print)
		}
	case b.kind == "terraform":
		f.settings(b)
	case b.kind == "moved" || b.kind == "removed" || b.kind == "import":
		text := join(b.items)
		spoke := block{key: b.kind + "\x00" + text, names: spoken(b.items), print: text}
		if b.kind == "import" {
			spoke.refs = prints.References(join(b.items, "to"))
		}
		f.blocks = append(f.blocks, spoke)
	default:
		text := address + "\x00" + join(b.items)
		f.blocks = append(f.blocks, block{key: "\x00" + b.kind, print: text, refs: prints.References(text)})
	}
}

// settings adds a terraform block. Which versions are wanted is no cause of a
// difference; where providers and the state come from may be one of any.
func (f *file) settings(b body) {
	var rest []item
	for _, i := range b.items {
		switch {
		case i.name == "required_version":
		case i.name == "required_providers" && i.inner != nil:
			for _, provider := range i.inner {
				if provider.print != "" {
					f.blocks = append(f.blocks, block{key: i.name + "\x00" + provider.name, print: provider.print})
				}
			}
		default:
			rest = append(rest, i)
		}
	}
	if text := join(rest); text != "" {
		f.blocks = append(f.blocks, block{key: b.kind, print: text, refs: prints.References(text)})
	}
}

var identifier = regexp.MustCompile(`^[\p{L}\p{N}_-]+$`)

// isName reports whether a text is a name as it can stand in an address. The
// bound keeps addresses short, of which there may be many.
func isName(text string) bool { return len(text) <= 200 && identifier.MatchString(text) }

func (f *file) block(address, text string) {
	f.blocks = append(f.blocks, block{key: address, names: []string{address}, print: text, refs: prints.References(text)})
}

func (f *file) call(b body) {
	c := call{name: b.labels[0], args: map[string][]string{}}
	for _, i := range b.items {
		switch i.name {
		case "source":
			text, ok := literal(i.expr)
			c.source, c.open = strings.ReplaceAll(text, `\`, "/"), !ok
		case "version":
			c.version, _ = literal(i.expr)
		}
		c.args[i.name] = prints.References(i.print)
	}
	f.calls = append(f.calls, c)
}

func (c call) local() bool {
	return strings.HasPrefix(c.source, "./") || strings.HasPrefix(c.source, "../") || c.source == "." || c.source == ".."
}

// leads is the directory of a local module that is called from another.
func (c call) leads(from string) string { return path.Join(from, c.source) }

// literal returns a text that is written as it is. Nothing is evaluated, which
// would recurse.
func literal(expr hcl.Expression) (string, bool) {
	switch expr.(type) {
	case nil:
		return "", false
	case hclsyntax.Expression:
	default: // JSON
		v, diags := expr.Value(nil)
		if diags.HasErrors() || v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
			return "", false
		}
		text := v.AsString()
		return text, !strings.Contains(text, "${") && !strings.Contains(text, "%{")
	}
	for {
		in, ok := expr.(*hclsyntax.ParenthesesExpr)
		if !ok {
			break
		}
		expr = in.Expression
	}
	t, ok := expr.(*hclsyntax.TemplateExpr)
	if !ok {
		return "", false
	}
	var text strings.Builder
	for _, part := range t.Parts {
		v, ok := part.(*hclsyntax.LiteralValueExpr)
		if !ok || v.Val.Type() != cty.String {
			return "", false
		}
		text.WriteString(v.Val.AsString())
	}
	return text.String(), true
}
