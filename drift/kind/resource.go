package kind

import (
	"slices"
	"strings"

	"weir/drift/finding"
	"weir/planner/terraform/plan"
)

// How package plan writes what it does not show.
const (
	masked  = "(sensitive)"
	unknown = "(known after apply)"
)

// copies are attributes that providers compute from others: those that the
// configuration sets, and defaults of the provider's own configuration. From
// the providers' documentation on default_tags and default_labels.
var copies = map[string]string{
	"tags_all":              "tags",
	"effective_labels":      "labels",
	"terraform_labels":      "labels",
	"effective_annotations": "annotations",
}

type classifier struct {
	Evidence
	order   []string                // addresses of resources, each once
	changes map[string]*plan.Change // by address
	drift   map[string]*plan.Change
	blocks  map[string][]string // addresses of resources by the block that configures them
	done    map[string][]finding.Finding
	busy    map[string]bool // is being classified, for dependencies in a circle
}

func newClassifier(e Evidence) *classifier {
	c := &classifier{
		Evidence: e, changes: map[string]*plan.Change{}, drift: map[string]*plan.Change{}, blocks: map[string][]string{},
		done: map[string][]finding.Finding{}, busy: map[string]bool{},
	}
	add := func(address string) {
		if c.changes[address] != nil || c.drift[address] != nil {
			return
		}
		c.order = append(c.order, address)
		c.blocks[block(address)] = append(c.blocks[block(address)], address)
	}
	previous := map[string]string{}
	for i := range e.Summary.Changes {
		change := &e.Summary.Changes[i]
		add(change.Address)
		c.changes[change.Address] = change
		if change.Previous != "" {
			previous[change.Previous] = change.Address
		}
	}
	for i := range e.Summary.Drift {
		drift := &e.Summary.Drift[i]
		address := drift.Address
		if now, ok := previous[address]; ok && c.changes[address] == nil {
			address = now
		}
		add(address)
		c.drift[address] = drift
	}
	if a := e.Applied; a != nil && a.State == Landed && !a.Failed && !a.More {
		// What was applied came to the default branch after it.
		c.Since = slices.DeleteFunc(slices.Clone(c.Since), func(t Touch) bool {
			return t.Pull == a.Pull && t.Pull != 0 || t.Commit == a.MergedAs && t.Commit != ""
		})
	}
	return c
}

// resource returns the findings of one resource. While they are being made it
// returns none.
func (c *classifier) resource(address string) []finding.Finding {
	if found, ok := c.done[address]; ok {
		return found
	}
	if c.busy[address] {
		return nil
	}
	c.busy[address] = true
	found := c.classify(address, c.drift[address], c.changes[address])
	delete(c.busy, address)
	c.done[address] = found
	return found
}

func (c *classifier) classify(address string, drift, change *plan.Change) []finding.Finding {
	base := finding.Finding{Address: address}
	if change != nil {
		base.Type = change.Type
		if change.Action != plan.NoOp {
			base.Action = string(change.Action)
		}
	} else {
		base.Type = drift.Type
	}
	if drift != nil && drift.Action == plan.Delete {
		base.Kind, base.Why = finding.Deleted, "something else than Terraform deleted it"+c.since()
		switch {
		case change == nil:
			base.Why += "; the code does not ask for it either"
		case c.own(whole(change)) != nil:
			base.Why += alsoOwn
		}
		return []finding.Finding{base}
	}
	var found []finding.Finding
	told := map[string]bool{} // attributes
	if drift != nil && (change == nil || change.Action != plan.Delete && change.Action != plan.Forget) {
		for _, a := range drift.Attributes {
			if isCopy(a.Name, drift.Attributes) {
				continue
			}
			told[a.Name] = true
			found = append(found, c.drifted(base, a, change)...)
		}
	}
	if change == nil || change.Action == plan.Read {
		return found
	}
	if change.Action == plan.Update || change.Action == plan.Replace {
		for _, a := range change.Attributes {
			// What nobody configures and only the apply makes known is the
			// provider's to fill in.
			fills := a.After == unknown && len(a.From) == 0 && !a.ForcesReplace
			if told[a.Name] || fills || isCopy(a.Name, change.Attributes) {
				continue
			}
			f := base
			f.Attribute, f.Declared, f.Deployed = a.Name, a.After, a.Before
			found = append(found, because(f, c.cause(attribute(change, a))))
		}
		// A replacement that no attribute forces has a reason of its own.
		if len(found) > 0 && (change.Action == plan.Update || slices.ContainsFunc(change.Attributes, forces)) {
			return found
		}
	}
	why := c.cause(whole(change))
	if why.kind == finding.Unknown && change.Reason != "" {
		why.text = change.Reason + "; " + why.text
	}
	return append(found, because(base, why))
}

func forces(a plan.Attribute) bool { return a.ForcesReplace }

func isCopy(name string, among []plan.Attribute) bool {
	of := copies[name]
	return of != "" && slices.ContainsFunc(among, func(a plan.Attribute) bool { return a.Name == of })
}

// drifted are the findings of one attribute that was changed outside: before
// is what was applied, after what is deployed.
func (c *classifier) drifted(f finding.Finding, drift plan.Attribute, change *plan.Change) []finding.Finding {
	f.Attribute, f.Deployed = drift.Name, drift.After
	f.Kind, f.Why = finding.Changed, "something else than Terraform changed it"+c.since()
	i := -1
	if change != nil {
		i = slices.IndexFunc(change.Attributes, func(a plan.Attribute) bool { return a.Name == drift.Name })
	}
	if i < 0 {
		f.Why += "; a plan leaves it as it is, but other values come from it"
		return []finding.Finding{f}
	}
	planned := change.Attributes[i]
	f.Deployed, f.Declared = cover(planned.Before, drift), cover(planned.After, drift)
	s := attribute(change, planned)
	if name, text := c.moved(s); text != "" && drift.Before == "" && !s.configured {
		// A newer provider reads an attribute that the older one did not know.
		f.Kind, f.Why = finding.Version, text+", and "+name+" reads this now"
		f.Pull = c.lockedBy()
		return []finding.Finding{f}
	}
	if c.own(s) != nil {
		f.Why += alsoOwn
		return []finding.Finding{f}
	}
	if !plain(drift.Before) || !plain(planned.After) || drift.Before == planned.After {
		return []finding.Finding{f}
	}
	// Three values: what was applied is not what the code says now.
	why := c.cause(s)
	if why.kind == finding.Unknown || why.kind == finding.Changed {
		return []finding.Finding{f}
	}
	other := because(f, why)
	f.Why += "; what the code asks for has changed too"
	return []finding.Finding{f, other}
}

// alsoOwn ends the reason of what was changed outside and by the pull request
// whose plan it is.
const alsoOwn = "; this pull request changes it, too"

// plain says whether a value in a summary is the value itself.
func plain(value string) bool {
	return !strings.Contains(value, masked) && !strings.Contains(value, unknown) && !strings.HasSuffix(value, "…")
}

// cover hides a value of the plan where the drift of it hides something: what
// is sensitive in one is in the other.
func cover(value string, drift plan.Attribute) string {
	hidden := strings.Contains(drift.Before, masked) || strings.Contains(drift.After, masked)
	if hidden && value != "" && !strings.Contains(value, masked) {
		return masked
	}
	return value
}

func because(f finding.Finding, why cause) finding.Finding {
	f.Kind, f.Why, f.Pull = why.kind, why.text, why.pull
	return f
}
