package blocks

import (
	"bytes"
	"slices"
	"strings"
)

// movedVariables are the variables of the root module that have other values
// in files.
func movedVariables(c Change, before, after map[string]*file) []string {
	type value struct{ file, print string }
	was, is := map[string][]value{}, map[string][]value{}
	for _, side := range []struct {
		files map[string]*file
		to    map[string][]value
	}{{before, was}, {after, is}} {
		for name, f := range side.files {
			for variable, print := range f.variables {
				side.to[variable] = append(side.to[variable], value{name, print})
			}
		}
	}
	var moved []string
	for _, pair := range [][2]map[string][]value{{was, is}, {is, was}} {
		for variable, a := range pair[0] {
			b := pair[1][variable]
			// A value that moves to another file is the same, unless a file has
			// another one: which of them counts goes by the files' names.
			moves := len(a) == 1 && len(b) == 1 && a[0].print == b[0].print && !c.setElsewhere(variable)
			if !moves && (len(a) != len(b) || !same(a, b)) {
				moved = append(moved, variable)
			}
		}
	}
	slices.Sort(moved)
	return slices.Compact(moved)
}

// same reports whether two lists have the same elements, each of them once.
func same[T comparable](a, b []T) bool {
	return !slices.ContainsFunc(a, func(v T) bool { return !slices.Contains(b, v) })
}

// setElsewhere reports whether a file of variables that did not change may set
// one.
func (c Change) setElsewhere(variable string) bool {
	for name, data := range c.After {
		if !isVariables(c.Project, name) || slices.Contains(c.Files, name) {
			continue
		}
		if bytes.Contains(data, []byte(variable)) || strings.HasSuffix(name, ".json") && bytes.Contains(data, []byte(`\u`)) {
			return true
		}
	}
	return false
}
