package plan

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"
)

// maxChanges bounds each list of a Summary.
const maxChanges = 2000

// Summarise says what a plan would do. It is pure: equal plans, code and keys
// make equal summaries. A nil plan is one that changes nothing. The change
// digest is keyed, because it also covers sensitive values, which a reader of
// it must not be able to guess.
func Summarise(plan *tfjson.Plan, code Code, key []byte) Summary {
	if plan == nil {
		plan = &tfjson.Plan{}
	}
	var s Summary
	from := newTracer(plan.Config)
	for _, rc := range plan.ResourceChanges {
		if matters(rc) {
			c := change(rc).bounded()
			from.trace(&c, rc)
			s.add(c)
		}
	}
	slices.SortStableFunc(s.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(rank(a.Action), rank(b.Action)), cmp.Compare(a.Address, b.Address))
	})
	s.Drift = drift(plan)
	for _, name := range sortedKeys(plan.OutputChanges) {
		if c := plan.OutputChanges[name]; c != nil && action(c.Actions) != NoOp {
			o := output(name, c)
			o.From = from.output(name)
			s.Outputs = append(s.Outputs, o)
		}
	}
	for _, invocation := range plan.ActionInvocations {
		s.Invokes = append(s.Invokes, invocation.Address)
	}
	s.Inputs = inputs(plan, key)
	s.ChangeDigest, s.Opaque = digest(plan, code, key)
	s.Cut = len(s.Changes) > maxChanges || len(s.Drift) > maxChanges || len(s.Outputs) > maxChanges
	s.Changes, s.Drift, s.Outputs = bounded(s.Changes), bounded(s.Drift), bounded(s.Outputs)
	return s
}

func bounded[T any](list []T) []T {
	if len(list) > maxChanges {
		return slices.Clone(list[:maxChanges]) // so that the rest can be forgotten
	}
	return list
}

func (s *Summary) add(c Change) {
	switch c.Action {
	case Create:
		s.Create++
	case Update:
		s.Update++
	case Replace:
		s.Replace++
	case Delete:
		s.Delete++
	case Read:
		s.Read++
	case Forget:
		s.Forget++
	case NoOp:
	}
	if c.Importing != "" {
		s.Import++
	}
	if c.Previous != "" {
		s.Move++
	}
	s.Changes = append(s.Changes, c)
}

func (c Change) bounded() Change {
	if len(c.Attributes) > maxAttributes {
		c.Attributes = slices.Clone(c.Attributes[:maxAttributes])
	}
	return c
}

// matters says whether a resource change is more than a no-op.
func matters(rc *tfjson.ResourceChange) bool {
	return rc != nil && rc.Change != nil &&
		(action(rc.Change.Actions) != NoOp || moved(rc) || rc.Change.Importing != nil)
}

func moved(rc *tfjson.ResourceChange) bool {
	return rc.PreviousAddress != "" && rc.PreviousAddress != rc.Address
}

func rank(a Action) int {
	if a == Delete || a == Replace {
		return 0
	}
	return 1
}

// action is what a list of actions comes to. Those that terraform may invent
// later count as updates, for they do something.
func action(actions tfjson.Actions) Action {
	has := func(a tfjson.Action) bool { return slices.Contains(actions, a) }
	switch {
	case has(tfjson.ActionCreate) && len(actions) > 1:
		return Replace
	case has(tfjson.ActionCreate):
		return Create
	case has(tfjson.ActionDelete):
		return Delete
	case has(tfjson.ActionForget):
		return Forget
	case has(tfjson.ActionRead):
		return Read
	case has(tfjson.ActionNoop) || len(actions) == 0:
		return NoOp
	}
	return Update
}

func change(rc *tfjson.ResourceChange) Change {
	c := Change{
		Address: rc.Address,
		Type:    rc.Type,
		Action:  action(rc.Change.Actions),
		Reason:  reasons[rc.ActionReason],
	}
	if rc.DeposedKey != "" {
		c.Address += " (deposed object " + rc.DeposedKey + ")"
		c.Reason = cmp.Or(c.Reason, "left over from a replacement that failed before")
	}
	if moved(rc) {
		c.Previous = rc.PreviousAddress
	}
	if i := rc.Change.Importing; i != nil {
		c.Importing = cut(cmp.Or(i.ID, compact(i.Identity), "(known after apply)"), maxValue)
	}
	if c.Action == Replace && slices.Contains(rc.Change.Actions, tfjson.ActionForget) {
		c.Reason = "a new object takes its place; the present one is forgotten, not destroyed"
	}
	forces := map[string]bool{}
	for _, path := range rc.Change.ReplacePaths {
		if steps, ok := path.([]any); ok && len(steps) > 0 {
			if name, ok := steps[0].(string); ok {
				forces[name] = true
			}
		}
	}
	c.Attributes = difference(rc.Change.Before, rc.Change.After, rc.Change.AfterUnknown, rc.Change.BeforeSensitive, rc.Change.AfterSensitive, forces)
	return c
}

// reasons in words; the keys are those of terraform's JSON plan format.
var reasons = map[tfjson.ActionReason]string{
	tfjson.ActionReasonReplaceBecauseCannotUpdate:    "it cannot be updated in place",
	tfjson.ActionReasonReplaceBecauseTainted:         "it is tainted",
	tfjson.ActionReasonReplaceByRequest:              "it was asked for with -replace",
	tfjson.ActionReasonReplaceByTriggers:             "its replace_triggered_by asks for it",
	tfjson.ActionReasonDeleteBecauseNoResourceConfig: "it is not in the configuration any more",
	tfjson.ActionReasonDeleteBecauseWrongRepetition:  "count or for_each were added or removed",
	tfjson.ActionReasonDeleteBecauseCountIndex:       "its index is out of range for count",
	tfjson.ActionReasonDeleteBecauseEachKey:          "its key is not in for_each any more",
	tfjson.ActionReasonDeleteBecauseNoModule:         "its module is not called any more",
	tfjson.ActionReasonDeleteBecauseNoMoveTarget:     "it was moved to an address that is not in the configuration",
	tfjson.ActionReasonReadBecauseConfigUnknown:      "its configuration is known after apply only",
	tfjson.ActionReasonReadBecauseDependencyPending:  "it depends on something that changes",
	tfjson.ActionReasonReadBecauseCheckNested:        "it belongs to a check",
}

func output(name string, c *tfjson.Change) Output {
	o := Output{Name: name, Action: action(c.Actions)}
	sensitive := either(c.BeforeSensitive, c.AfterSensitive)
	if o.Action != Create {
		o.Before = render(c.Before, sensitive, nil)
	}
	if o.Action != Delete {
		o.After = render(c.After, sensitive, c.AfterUnknown)
	}
	return o
}

// drift is what was changed outside of terraform and matters: what is gone,
// what this plan would change back, and what it reads from other resources.
// The rest is noise that providers make by themselves.
func drift(plan *tfjson.Plan) []Change {
	relevant := map[string]map[string]bool{} // address to its attributes; "" for all of them
	note := func(address, attribute string) {
		if relevant[address] == nil {
			relevant[address] = map[string]bool{}
		}
		relevant[address][attribute] = true
	}
	for _, r := range plan.RelevantAttributes {
		attribute := ""
		if len(r.Attribute) > 0 {
			var name string
			if json.Unmarshal(r.Attribute[0], &name) == nil {
				attribute = name
			}
		}
		note(r.Resource, attribute)
	}
	for _, rc := range plan.ResourceChanges {
		if !matters(rc) || action(rc.Change.Actions) == NoOp {
			continue
		}
		for _, name := range changed(rc.Change) {
			note(rc.Address, name)
			if rc.PreviousAddress != "" {
				note(rc.PreviousAddress, name)
			}
		}
	}
	var found []Change
	for _, rc := range plan.ResourceDrift {
		if rc == nil || rc.Change == nil || rc.Mode == tfjson.DataResourceMode {
			continue
		}
		c := change(rc)
		c.Previous, c.Importing = "", ""
		switch c.Action {
		case Delete:
			c.Attributes, c.Reason = nil, "it was deleted outside of Terraform"
		case Update:
			names := relevant[rc.Address]
			if rc.DeposedKey != "" {
				names = nil
			}
			c.Attributes = slices.DeleteFunc(c.Attributes, func(a Attribute) bool { return !names[a.Name] && !names[""] })
			if len(c.Attributes) == 0 {
				continue
			}
			c.Reason = "it was changed outside of Terraform"
		default:
			continue
		}
		found = append(found, c.bounded())
	}
	slices.SortStableFunc(found, func(a, b Change) int {
		return cmp.Or(cmp.Compare(rank(a.Action), rank(b.Action)), strings.Compare(a.Address, b.Address))
	})
	return found
}

// changed are the names of all attributes that a change sets to another known
// value.
func changed(c *tfjson.Change) []string {
	before, after, open := object(c.Before), object(c.After), object(c.AfterUnknown)
	var names []string
	for name := range before {
		if !holds(open[name]) && compact(before[name]) != compact(after[name]) {
			names = append(names, name)
		}
	}
	for name, value := range after {
		if _, ok := before[name]; !ok && value != nil {
			names = append(names, name)
		}
	}
	return names
}

func compact(v any) string {
	if v == nil {
		return ""
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "" // values come from JSON and go back to it
	}
	return string(text)
}
