package cloudtrail

import (
	"cmp"
	"slices"
	"strings"

	"weir/drift/cloudtrail/calls"
	"weir/drift/finding"
)

// fit is how well a call explains a finding.
type fit int

const (
	not      fit = iota // it cannot have been this
	touches             // it changed something about the resource
	suggests            // its name or its parameters speak for it
	unplain             // it is known to change this, but not plainly of this part of the resource, or this attribute
	changes             // it is known to change just this
)

// judge picks the event that explains a finding best, and says how sure that
// is; false if none does. whole says that the events are all since the last
// apply. Events that stand there twice count once.
func judge(f finding.Finding, r Resource, events []event, whole bool) (finding.By, bool) {
	fits := map[fit][]event{}
	seen := map[string]bool{}
	for _, e := range events {
		if !seen[e.id] {
			seen[e.id] = true
			how := weigh(f, r, e)
			fits[how] = append(fits[how], e)
		}
	}
	known, guessed := len(fits[changes])+len(fits[unplain]), len(fits[suggests])
	for _, best := range []fit{changes, unplain, suggests, touches} {
		if len(fits[best]) == 0 {
			continue
		}
		e := slices.MaxFunc(fits[best], func(a, b event) int {
			return cmp.Or(a.when.Compare(b.when), strings.Compare(a.id, b.id))
		})
		sure := "possible"
		switch {
		case best == changes && whole && known == 1 && guessed == 0 && f.Kind != finding.Unknown && r.is(e):
			sure = "certain"
		case best >= unplain, best == suggests && guessed == 1:
			sure = "likely"
		}
		return finding.By{Who: e.who, How: e.how, What: e.name, When: e.when, EventID: e.id, Sure: sure}, true
	}
	return finding.By{}, false
}

// is reports whether an event names the resource itself, or what it is a part of.
func (r Resource) is(e event) bool {
	names := r.names()
	return slices.ContainsFunc(e.resources, func(name string) bool { return slices.Contains(names, name) })
}

// weigh says how well one event explains a finding.
func weigh(f finding.Finding, r Resource, e event) fit {
	tags := f.Attribute == "tags" || f.Attribute == "tags_all" || f.Attribute == "tag"
	if tagged := calls.Tags(e.name); tagged || tags {
		switch {
		case tagged && tags:
			return changes
		case tagged || !strings.Contains(e.name, "Tag"):
			return not
		}
	}
	rows := calls.For(r.Type)
	best := not
	for _, row := range rows {
		if row.Has(e.source, e.name) {
			best = max(best, weighRow(row, f, e))
		}
	}
	if best >= suggests {
		return r.part(e, best)
	}
	if !r.of(e, rows) {
		return not
	}
	return max(best, r.part(e, guess(f, r, e, len(rows) > 0)))
}

// weighRow says how well a call of a row explains a finding.
func weighRow(row calls.Row, f finding.Finding, e event) fit {
	deleted := f.Kind == finding.Deleted
	switch {
	case deleted != (row.Attributes == calls.Gone):
		return not
	case deleted, row.Attributes == calls.All:
		return changes
	case f.Attribute == "":
		return suggests // something of the whole resource
	case row.Attributes != calls.Named:
		if row.Lists(f.Attribute) {
			return changes
		}
		return not
	case e.unnamed:
		return unplain
	case e.sets(f.Attribute):
		return changes
	default:
		return suggests // names of parameters and attributes differ at times
	}
}

// of reports whether an event can be about the resource: names alone are not
// enough, a role and a cluster may have the same.
func (r Resource) of(e event, rows []calls.Row) bool {
	if len(rows) > 0 {
		return slices.ContainsFunc(rows, func(row calls.Row) bool { return row.Source == e.source })
	}
	for _, arn := range append([]string{r.ARN}, r.Names...) {
		if _, service, _, _, ok := splitARN(arn); ok {
			return service == e.source || service == "cloudwatch" && e.source == "monitoring"
		}
	}
	return true
}

// part lowers a fit by what an event says of parts: of another part it is not,
// and of a part that is not told it is not plain.
func (r Resource) part(e event, how fit) fit {
	naming, _ := calls.NamingOf(r.Type)
	if naming.Param == "" {
		return how
	}
	told := e.parts[naming.Param]
	switch {
	case r.Part == "", len(told) == 0:
		return min(how, unplain)
	case !slices.ContainsFunc(told, func(s string) bool { return strings.TrimSuffix(s, ".") == strings.TrimSuffix(r.Part, ".") }):
		return not
	}
	return how
}

// Verbs that names of calls begin with.
var (
	removing = []string{"Delete", "Terminate", "Remove", "Release", "Deregister", "Revoke", "Detach", "Disassociate", "Cancel", "ScheduleKeyDeletion"}
	making   = []string{"Create", "Run", "Register", "Import", "Allocate", "Start", "Restore"}
)

func begins(name string, verbs []string) bool {
	return slices.ContainsFunc(verbs, func(verb string) bool { return strings.HasPrefix(name, verb) })
}

// guess goes by the conventions that names of calls follow: a verb, and what it
// is done to. Of types that are known, calls that are not in the table and whose
// name says nothing are no explanation.
func guess(f finding.Finding, r Resource, e event, known bool) fit {
	object := "" // what stands behind the verb
	for i, c := range e.name {
		if i > 0 && c >= 'A' && c <= 'Z' {
			object = plain(e.name[i:])
			break
		}
	}
	if f.Kind == finding.Deleted {
		switch {
		case !begins(e.name, removing):
			return not
		case fitsNoun(r.Type, object):
			return suggests
		case known:
			return not
		}
		return touches
	}
	switch {
	case f.Attribute != "" && mentions(plain(e.name), f.Attribute):
		return suggests
	case begins(e.name, making), begins(e.name, removing):
		return not
	case f.Attribute != "" && e.sets(f.Attribute), fitsNoun(r.Type, object):
		return suggests
	case known:
		return not
	}
	return touches
}

// fitsNoun reports whether a call is done to things of a type: aws_sfn_state_machine
// is the StateMachine of UpdateStateMachine.
func fitsNoun(resourceType, object string) bool {
	words := strings.Split(strings.TrimPrefix(resourceType, "aws_"), "_")
	for i := range words {
		noun := strings.Join(words[i:], "")
		if len(noun) >= 4 && strings.TrimSuffix(object, "s") == strings.TrimSuffix(noun, "s") {
			return true
		}
	}
	return false
}

// sets reports whether a parameter of the call is an attribute by its name.
func (e event) sets(attribute string) bool {
	return slices.ContainsFunc(e.params, func(param string) bool { return mentions(param, attribute) })
}

// mentions reports whether a plain name holds all words of an attribute, as
// dbinstanceclass does of instance_class; an attribute of one word it begins or
// ends with.
func mentions(name, attribute string) bool {
	words := strings.Split(attribute, "_")
	if len(words) == 1 {
		return name == attribute || len(attribute) >= 5 && (strings.HasPrefix(name, attribute) || strings.HasSuffix(name, attribute))
	}
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(name, strings.TrimSuffix(word, "s")) })
}
