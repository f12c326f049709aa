package plan

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"unicode/utf8"
)

const (
	masked  = "(sensitive)"
	unknown = "(known after apply)"

	maxAttributes = 40
	maxValue      = 200 // characters
)

// difference lists the top-level attributes that differ, those that force a
// replacement first.
func difference(before, after, afterUnknown, beforeSensitive, afterSensitive any, forces map[string]bool) []Attribute {
	b, a, u := object(before), object(after), object(afterUnknown)
	names := map[string]bool{}
	for _, m := range []map[string]any{b, a, u} {
		for name := range m {
			names[name] = true
		}
	}
	var first, rest []Attribute
	// What is sensitive on one side is not shown on the other either.
	sensitive := either(beforeSensitive, afterSensitive)
	for _, name := range sortedKeys(names) {
		if !holds(u[name]) && reflect.DeepEqual(b[name], a[name]) {
			continue
		}
		attribute := Attribute{Name: name, ForcesReplace: forces[name]}
		if b[name] != nil {
			attribute.Before = render(b[name], part(sensitive, name), nil)
		}
		if a[name] != nil || holds(u[name]) {
			attribute.After = render(a[name], part(sensitive, name), u[name])
		}
		if attribute.ForcesReplace {
			first = append(first, attribute)
		} else {
			rest = append(rest, attribute)
		}
	}
	return append(first, rest...)
}

// render is a value in compact JSON, with exactly the marked parts of it
// replaced, and bounded.
func render(value, sensitive, unknowns any) string {
	if sensitive == true {
		return masked
	}
	if unknowns == true {
		return unknown
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(cover(value, sensitive, unknowns)); err != nil {
		return "" // values come from JSON and go back to it
	}
	return cut(string(bytes.TrimSpace(out.Bytes())), maxValue)
}

// cover replaces the parts of value that sensitive or unknowns mark with true.
// A mark that does not fit the shape of the value covers all of it.
func cover(value, sensitive, unknowns any) any {
	switch {
	case sensitive == true:
		return masked
	case unknowns == true:
		return unknown
	case !holds(sensitive) && !holds(unknowns):
		return value
	}
	_, sensitiveList := sensitive.([]any)
	_, unknownList := unknowns.([]any)
	switch value := value.(type) {
	case map[string]any:
		if sensitiveList {
			return masked
		}
		covered := map[string]any{}
		for name := range value {
			covered[name] = cover(value[name], part(sensitive, name), part(unknowns, name))
		}
		// What is unknown is missing from the value itself.
		for name, mark := range object(unknowns) {
			if _, ok := covered[name]; !ok && holds(mark) {
				covered[name] = cover(nil, part(sensitive, name), mark)
			}
		}
		return covered
	case []any:
		if _, isMap := sensitive.(map[string]any); isMap && holds(sensitive) {
			return masked
		}
		marks, _ := sensitive.([]any)
		open, _ := unknowns.([]any)
		covered := make([]any, max(len(value), len(open)))
		for i := range covered {
			covered[i] = cover(at(value, i), at(marks, i), at(open, i))
		}
		return covered
	case nil:
		if holds(sensitive) {
			return masked
		}
		if sensitiveList || unknownList {
			return cover([]any{}, sensitive, unknowns)
		}
		return cover(map[string]any{}, sensitive, unknowns)
	}
	if holds(sensitive) {
		return masked
	}
	return unknown
}

// either joins two trees of marks; where their shapes differ, a mark in one of
// them counts for all.
func either(a, b any) any {
	switch {
	case !holds(a):
		return b
	case !holds(b):
		return a
	}
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			joined := maps.Clone(a)
			for name, mark := range b {
				joined[name] = either(a[name], mark)
			}
			return joined
		}
	case []any:
		if b, ok := b.([]any); ok {
			joined := make([]any, max(len(a), len(b)))
			for i := range joined {
				joined[i] = either(at(a, i), at(b, i))
			}
			return joined
		}
	}
	return true
}

// holds says whether a tree of marks has a true in it.
func holds(marks any) bool {
	switch marks := marks.(type) {
	case bool:
		return marks
	case map[string]any:
		for _, m := range marks {
			if holds(m) {
				return true
			}
		}
	case []any:
		for _, m := range marks {
			if holds(m) {
				return true
			}
		}
	}
	return false
}

// part is the mark of an attribute: that of the whole object counts for each.
func part(marks any, name string) any {
	if marks == true {
		return true
	}
	return object(marks)[name]
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// cut shortens a text to so many characters.
func cut(text string, characters int) string {
	if utf8.RuneCountInString(text) <= characters {
		return text
	}
	n := 0
	for i := range text {
		if n++; n == characters {
			return text[:i] + "…"
		}
	}
	return text
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
