package plan

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"
)

const (
	maxFrom   = 40  // references of one attribute
	maxInputs = 500 // digests of variables
)

// tracer finds out what the values of a plan are made of, by following the
// references of its configuration through module calls and outputs. Locals do
// not stand in a plan's JSON form: a trail ends there.
type tracer struct {
	root *frame
}

// frame is a module of the configuration, and how it is called.
type frame struct {
	path   string // "module.a.module.b.", without keys; "" for the root
	module *tfjson.ConfigModule
	call   *tfjson.ModuleCall // nil for the root
	parent *frame
}

func newTracer(config *tfjson.Config) tracer {
	if config == nil || config.RootModule == nil {
		return tracer{}
	}
	return tracer{root: &frame{module: config.RootModule}}
}

func (f *frame) child(name string) *frame {
	call := f.module.ModuleCalls[name]
	if call == nil || call.Module == nil {
		return nil
	}
	return &frame{path: f.path + "module." + name + ".", module: call.Module, call: call, parent: f}
}

// trace says in a change where its values come from.
func (t tracer) trace(c *Change, rc *tfjson.ResourceChange) {
	if name := rc.ProviderName[strings.LastIndex(rc.ProviderName, "/")+1:]; name != strings.SplitN(rc.Type, "_", 2)[0] {
		c.Provider = rc.ProviderName
	}
	f := t.root
	if f == nil {
		return
	}
	var frames []*frame
	for name := range strings.SplitSeq(strings.TrimSuffix(modulePath(rc.ModuleAddress), "/"), "/") {
		if name == "" {
			break
		}
		if f = f.child(name); f == nil {
			return
		}
		frames = append(frames, f)
	}
	i := slices.IndexFunc(f.module.Resources, func(r *tfjson.ConfigResource) bool {
		return r != nil && r.Mode == rc.Mode && r.Type == rc.Type && r.Name == rc.Name
	})
	instances := newTrail()
	for _, called := range frames {
		instances.follow(called.parent, called.call.CountExpression, nil)
		instances.follow(called.parent, called.call.ForEachExpression, nil)
	}
	if i < 0 {
		c.From = instances.list()
		return
	}
	configured := f.module.Resources[i]
	instances.follow(f, configured.CountExpression, nil)
	instances.follow(f, configured.ForEachExpression, nil)
	c.From = instances.list()
	if c.Action != Update && c.Action != Replace {
		return
	}
	for i := range c.Attributes {
		expression := configured.Expressions[c.Attributes[i].Name]
		if expression == nil {
			continue
		}
		values := newTrail()
		values.follow(f, expression, configured.ForEachExpression)
		c.Attributes[i].From = values.list()
		c.Attributes[i].Constant = len(values.found) == 0 && !values.computed
	}
}

// output says where the value of a root output comes from.
func (t tracer) output(name string) []string {
	if t.root == nil || t.root.module.Outputs[name] == nil {
		return nil
	}
	values := newTrail()
	values.follow(t.root, t.root.module.Outputs[name].Expression, nil)
	return values.list()
}

// trail collects references.
type trail struct {
	seen     map[string]bool
	found    map[string]bool
	computed bool // something comes from a function without references, or is null: both look the same
}

func newTrail() *trail { return &trail{seen: map[string]bool{}, found: map[string]bool{}} }

// follow adds what an expression of a module refers to. Where it refers to
// each.key or each.value, that is forEach.
func (t *trail) follow(f *frame, e, forEach *tfjson.Expression) {
	if e == nil || e.ExpressionData == nil {
		return
	}
	if len(e.NestedBlocks) == 0 && len(e.References) == 0 && e.ConstantValue == nil {
		t.computed = true
	}
	for _, block := range e.NestedBlocks {
		for _, name := range sortedKeys(block) {
			t.follow(f, block[name], forEach)
		}
	}
	for _, reference := range e.References {
		t.reference(f, reference, forEach)
	}
}

func (t *trail) reference(f *frame, reference string, forEach *tfjson.Expression) {
	parts := steps(reference)
	whole := f.path + strings.Join(parts, ".")
	if len(parts) < 2 || parts[0] != "each" && t.seen[whole] {
		return // one word is a module or a resource's type, said in more words beside it
	}
	t.seen[whole] = true
	switch parts[0] {
	case "each":
		// Of a module call it is that of the caller, which has no key here.
		if forEach != nil {
			t.follow(f, forEach, nil)
		}
	case "count", "path", "terraform", "self":
	case "local":
		t.found[f.path+"local."+parts[1]] = true
	case "var":
		switch {
		case f.parent == nil:
			t.found["var."+parts[1]] = true
		case f.call.Expressions[parts[1]] != nil:
			t.follow(f.parent, f.call.Expressions[parts[1]], f.call.ForEachExpression)
		}
		// Else it is the variable's default, a constant of the module.
	case "module":
		called := f.child(parts[1])
		if called == nil || len(parts) < 3 || called.module.Outputs[parts[2]] == nil {
			t.found[f.path+"module."+parts[1]] = true
			return
		}
		t.follow(called, called.module.Outputs[parts[2]].Expression, nil)
	case "data":
		t.found[f.path+strings.Join(parts[:min(len(parts), 4)], ".")] = true
	default:
		t.found[f.path+strings.Join(parts[:min(len(parts), 3)], ".")] = true
	}
}

// list is what was found, without what only begins something else of it:
// a plan lists aws_vpc.a beside aws_vpc.a.id.
func (t *trail) list() []string {
	all := sortedKeys(t.found)
	all = slices.DeleteFunc(slices.Clone(all), func(reference string) bool {
		return slices.ContainsFunc(all, func(other string) bool { return strings.HasPrefix(other, reference+".") })
	})
	if len(all) > maxFrom {
		return append(all[:maxFrom:maxFrom], More)
	}
	return slices.Clip(all)
}

// More is the last of references of which there are more than are listed.
const More = "…"

// steps are the names of a reference, without its keys:
// `aws_a.b["x.y"].c` is aws_a, b, c.
func steps(reference string) []string {
	var names []string
	var name strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(reference); i++ {
		switch c := reference[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[':
			depth++
		case c == ']':
			depth--
		case depth > 0:
		case c == '.':
			names = append(names, name.String())
			name.Reset()
		default:
			name.WriteByte(c)
		}
	}
	return append(names, name.String())
}

// inputs are the digests of the variables. Half of a hash is enough to tell
// two values apart, and takes half of the place in what is stored.
func inputs(plan *tfjson.Plan, key []byte) map[string]string {
	var digests map[string]string
	for i, name := range sortedKeys(plan.Variables) {
		if i == maxInputs {
			break
		}
		if plan.Variables[name] == nil {
			continue
		}
		if digests == nil {
			digests = map[string]string{}
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("weir variable\x00" + name + "\x00" + compact(plan.Variables[name].Value)))
		digests[name] = hex.EncodeToString(mac.Sum(nil)[:16])
	}
	return digests
}
