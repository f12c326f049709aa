package plan

import (
	"encoding/json"
	"slices"

	tfjson "github.com/hashicorp/terraform-json"
)

// Value is one top-level attribute that a plan would change in place, whole,
// for those who write code from it. It is never stored or shown.
type Value struct {
	Address   string
	Attribute string
	Declared  json.RawMessage // what the plan would make it; empty where that is known after apply only
	Deployed  json.RawMessage
	Sensitive bool
}

// Values lists the attributes that a plan would change in resources that exist
// and stay, in the order of the plan.
func Values(p *tfjson.Plan) []Value {
	var all []Value
	for _, rc := range p.ResourceChanges {
		if !matters(rc) || rc.Mode == tfjson.DataResourceMode || rc.DeposedKey != "" {
			continue
		}
		if a := action(rc.Change.Actions); a != Update && a != Replace {
			continue
		}
		before, after, open := object(rc.Change.Before), object(rc.Change.After), object(rc.Change.AfterUnknown)
		sensitive := either(rc.Change.BeforeSensitive, rc.Change.AfterSensitive)
		names := map[string]bool{}
		for name := range before {
			names[name] = true
		}
		for name := range after {
			names[name] = true
		}
		for _, name := range sortedKeys(names) {
			if compact(before[name]) == compact(after[name]) && !holds(open[name]) || open[name] == true {
				continue // the same, or the provider's to say
			}
			v := Value{Address: rc.Address, Attribute: name, Deployed: raw(before[name]), Sensitive: holds(part(sensitive, name))}
			if _, known := after[name]; known {
				v.Declared = raw(after[name])
			}
			all = append(all, v)
		}
	}
	return slices.Clip(all)
}

func raw(v any) json.RawMessage {
	body, err := json.Marshal(v)
	if err != nil {
		return nil // values come from JSON and go back to it
	}
	return body
}

// Before returns what resources were like that a plan would change, or found
// changed, as the state had them, by address: for finding them elsewhere. It
// may hold sensitive values and is never stored or shown.
func Before(p *tfjson.Plan) map[string]map[string]any {
	all := map[string]map[string]any{}
	for _, list := range [][]*tfjson.ResourceChange{p.ResourceChanges, p.ResourceDrift} { // of both, the second knows the state before
		for _, rc := range list {
			if rc == nil || rc.Change == nil || rc.Mode == tfjson.DataResourceMode {
				continue
			}
			if before := object(rc.Change.Before); len(before) > 0 && action(rc.Change.Actions) != NoOp {
				all[rc.Address] = before
			}
		}
	}
	return all
}
