package plan

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"slices"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"
)

// The change digest is an HMAC-SHA-256 of what a plan would do, as JSON with
// sorted keys, in the order of addresses. It covers
//
//   - each resource with an action, move or import: address, provider and its
//     configuration, actions, values before and after, sensitive ones too;
//   - where the state is, as far as the code says it: the same resources
//     created in another state are another change;
//   - outputs that change, and the text of those whose value is open;
//   - of the providers, when any resource changes: their configuration (the
//     text of the root module's provider blocks, the locals they refer to, all
//     root variables) and their locked versions;
//   - and, where all this does not decide what will be done, the code: of the
//     module, or of the whole checkout.
//
// It does not cover times, format versions, drift, reasons given in words, and
// resources that stay as they are. Without that, comments, formatting and work
// on other projects keep a digest; anything that could make the apply do
// something else does not.

// changeEntry is one resource in the digest.
type changeEntry struct {
	Address, Previous, Deposed string
	Mode                       tfjson.ResourceMode
	Type, Provider, Alias      string
	Actions                    tfjson.Actions
	Before, After              any
	Unknown                    any
	SensitiveBefore            any
	SensitiveAfter             any
	ReplacePaths               []any
	Importing                  *tfjson.Importing
	GeneratedConfig            string
}

type digester struct {
	hash.Hash
	json *json.Encoder
}

func (d digester) add(what string, v any) {
	// Hashes do not fail, and values come from JSON.
	_ = d.json.Encode(what)
	_ = d.json.Encode(v)
}

// digest is the change digest, and why it covers code.
func digest(plan *tfjson.Plan, code Code, key []byte) (string, string) {
	mac := hmac.New(sha256.New, key)
	d := digester{mac, json.NewEncoder(mac)}
	d.add("weir change digest", 1)

	if code.Backend != "" {
		d.add("backend", code.Backend)
	}
	if code.Moving {
		d.add("variables", plan.Variables)
	}
	index := indexConfig(plan.Config)
	var open opaque
	changes := slices.DeleteFunc(slices.Clone(plan.ResourceChanges), func(rc *tfjson.ResourceChange) bool { return !matters(rc) })
	slices.SortStableFunc(changes, func(a, b *tfjson.ResourceChange) int {
		return strings.Compare(a.Address+"\x00"+a.DeposedKey, b.Address+"\x00"+b.DeposedKey)
	})
	acts, deletes := false, false
	for _, rc := range changes {
		configured := index[configKey(rc)]
		entry := changeEntry{
			Address: rc.Address, Deposed: rc.DeposedKey, Mode: rc.Mode, Type: rc.Type, Provider: rc.ProviderName,
			Actions: rc.Change.Actions, Before: rc.Change.Before, After: rc.Change.After, Unknown: rc.Change.AfterUnknown,
			SensitiveBefore: rc.Change.BeforeSensitive, SensitiveAfter: rc.Change.AfterSensitive,
			ReplacePaths: rc.Change.ReplacePaths, Importing: rc.Change.Importing, GeneratedConfig: rc.Change.GeneratedConfig,
		}
		if moved(rc) {
			entry.Previous = rc.PreviousAddress
		}
		if configured != nil {
			entry.Alias = configured.ProviderConfigKey
		}
		d.add("resource", entry)
		if a := action(rc.Change.Actions); a != NoOp {
			acts, deletes = true, deletes || a == Delete || a == Replace
			open.resource(rc, a, configured, code)
		}
	}
	for _, deferred := range plan.DeferredChanges {
		d.add("deferred", deferred)
		open.module = append(open.module, "some changes are deferred")
	}
	for _, invocation := range plan.ActionInvocations {
		acts = true
		d.add("invokes", invocation)
		open.module = append(open.module, invocation.Address+" is invoked")
	}
	for _, name := range sortedKeys(plan.OutputChanges) {
		c := plan.OutputChanges[name]
		if c == nil || action(c.Actions) == NoOp {
			continue
		}
		d.add("output "+name, c)
		if !holds(c.AfterUnknown) {
			continue
		}
		if text, ok := code.Outputs[name]; ok {
			d.add("text", text)
			d.add("variables", plan.Variables)
		} else {
			open.module = append(open.module, "the value of output "+name+" is known after apply only")
		}
	}
	if acts {
		open.providers(d, plan, code)
	}
	if deletes && code.RemovedRuns {
		open.tree = append(open.tree, "a removed block runs provisioners")
	}
	if deletes {
		d.add("downloaded modules", code.Remote)
	}
	why := open.close(d, plan, code)
	return hex.EncodeToString(mac.Sum(nil)), why
}

// opaque collects why a plan does not tell all that it will do.
type opaque struct {
	module []string // decided by the code of the module
	hidden []string // perhaps decided by code of the module that the plan does not list
	tree   []string // decided by any file
}

// resource looks for what is left to code in one change.
func (o *opaque) resource(rc *tfjson.ResourceChange, a Action, configured *tfjson.ConfigResource, code Code) {
	if configured != nil && len(configured.Provisioners) > 0 {
		o.tree = append(o.tree, rc.Address+" runs provisioners")
	}
	if a == Read {
		o.module = append(o.module, rc.Address+" is read during the apply")
		return
	}
	if a == Delete || a == Forget {
		return
	}
	after, unknowns := object(rc.Change.After), object(rc.Change.AfterUnknown)
	for _, name := range sortedKeys(unknowns) {
		mark := unknowns[name]
		if !holds(mark) {
			continue
		}
		var expression *tfjson.Expression
		if configured != nil {
			expression = configured.Expressions[name]
		}
		open := rc.Address + "." + name + " is known after apply only"
		// An attribute that is unknown as a whole and not configured is the
		// provider's to fill in. One that is unknown in part has a shape, and
		// where that does not come from the expressions that the plan lists,
		// it comes from some that it does not list.
		switch {
		case expression != nil && leavesOpen(expression, mark), expression == nil && mark != true, configured == nil:
			o.module = append(o.module, open)
		case code.Hidden:
			o.hidden = append(o.hidden, open)
		}
	}
	if configured == nil {
		return
	}
	for _, name := range sortedKeys(configured.Expressions) {
		// Write-only arguments stand in no plan. Their names end like this by
		// the convention of terraform's documentation for providers.
		if strings.HasSuffix(name, "_wo") && after[name] == nil {
			o.module = append(o.module, rc.Address+"."+name+" is write-only")
		}
	}
}

// leavesOpen says whether an unknown part of an attribute is one that the
// expression sets.
func leavesOpen(expression *tfjson.Expression, mark any) bool {
	if expression.ExpressionData == nil || len(expression.NestedBlocks) == 0 || mark == true {
		return true
	}
	elements, ok := mark.([]any)
	if !ok {
		elements = []any{mark}
	}
	for _, element := range elements {
		if element == true {
			return true
		}
		for name, inner := range object(element) {
			if !holds(inner) {
				continue
			}
			set := inner != true // unknown in part: see opaque.resource
			for _, block := range expression.NestedBlocks {
				if e := block[name]; e != nil && leavesOpen(e, inner) {
					set = true
				}
			}
			if set {
				return true
			}
		}
	}
	return false
}

// providers covers how the providers are configured.
func (o *opaque) providers(d digester, plan *tfjson.Plan, code Code) {
	d.add("provider versions", code.Versions)
	if plan.Config == nil {
		return
	}
	computed := false
	for _, key := range sortedKeys(plan.Config.ProviderConfigs) {
		config := plan.Config.ProviderConfigs[key]
		if config == nil {
			continue
		}
		constants := map[string]any{}
		for _, name := range sortedKeys(config.Expressions) {
			if value, ok := constant(config.Expressions[name]); ok {
				constants[name] = value
				continue
			}
			computed = true
			if config.ModuleAddress != "" || code.Providers == "" {
				o.module = append(o.module, "the configuration of provider "+key+" is computed")
			}
		}
		d.add("provider "+key, []any{config.FullName, config.Alias, constants})
	}
	if computed {
		d.add("provider text", code.Providers)
		d.add("variables", plan.Variables)
	}
}

// constant is the value of an expression without references.
func constant(e *tfjson.Expression) (any, bool) {
	if e == nil || e.ExpressionData == nil {
		return nil, false
	}
	if len(e.NestedBlocks) > 0 {
		var blocks []map[string]any
		for _, block := range e.NestedBlocks {
			values := map[string]any{}
			for name, inner := range block {
				value, ok := constant(inner)
				if !ok {
					return nil, false
				}
				values[name] = value
			}
			blocks = append(blocks, values)
		}
		return blocks, true
	}
	// A null and an expression that terraform could not evaluate without its
	// context, such as a call of a function, look the same.
	return e.ConstantValue, len(e.References) == 0 && e.ConstantValue != nil
}

// close adds the code that decides, and says so.
func (o *opaque) close(d digester, plan *tfjson.Plan, code Code) string {
	because := slices.Concat(o.tree, o.module, o.hidden)
	if len(because) == 0 {
		return ""
	}
	d.add("variables", plan.Variables)
	d.add("downloaded modules", code.Remote)
	covers := "the code of the module"
	if len(o.tree) > 0 || code.ReadsOutside {
		covers = "every file of the repository"
		d.add("tree", code.Tree)
	} else {
		d.add("module", code.Module)
	}
	why := because[0]
	if n := len(because) - 1; n > 0 {
		why += fmt.Sprintf(" (and %d more)", n)
	}
	return why + ", so an approval also depends on " + covers
}

// indexConfig finds configured resources by module path and address.
func indexConfig(config *tfjson.Config) map[string]*tfjson.ConfigResource {
	index := map[string]*tfjson.ConfigResource{}
	if config == nil {
		return index
	}
	var walk func(path string, module *tfjson.ConfigModule)
	walk = func(path string, module *tfjson.ConfigModule) {
		if module == nil {
			return
		}
		for _, r := range module.Resources {
			index[path+string(r.Mode)+" "+r.Type+"."+r.Name] = r
		}
		for name, call := range module.ModuleCalls {
			walk(path+name+"/", call.Module)
		}
	}
	walk("", config.RootModule)
	return index
}

// configKey is where indexConfig has the configuration of a resource.
func configKey(rc *tfjson.ResourceChange) string {
	return modulePath(rc.ModuleAddress) + string(rc.Mode) + " " + rc.Type + "." + rc.Name
}

// modulePath turns `module.a["x.y"].module.b[0]` into "a/b/".
func modulePath(address string) string {
	path, quoted, bracket := strings.Builder{}, false, false
	for i := 0; i < len(address); i++ {
		switch c := address[i]; {
		case quoted:
			if c == '\\' {
				i++
			} else if c == '"' {
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '[':
			bracket = true
		case c == ']':
			bracket = false
		case !bracket:
			path.WriteByte(c)
		}
	}
	names := strings.Split(path.String(), ".")
	var out strings.Builder
	for i := 1; i < len(names); i += 2 {
		out.WriteString(names[i] + "/")
	}
	return out.String()
}
