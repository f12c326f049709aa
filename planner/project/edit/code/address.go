package code

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Address is the address of a managed resource, or an instance of one.
type Address struct {
	Modules    []string // names of calls, from the root
	Kind, Name string
	Instance   bool // of the resource: it has a key
	InModule   bool // of a module: some call has a key
}

// maxAddress bounds what the parser gets to read.
const maxAddress = 4096

// ParseAddress returns why a text is no such address, for people.
func ParseAddress(text string) (a Address, why string) {
	const wrong = "its address is none of a managed resource"
	if len(text) > maxAddress {
		return a, wrong
	}
	steps, diags := hclsyntax.ParseTraversalAbs([]byte(text), "", hcl.InitialPos)
	if diags.HasErrors() {
		return a, wrong
	}
	var names []string
	for i, step := range steps {
		switch step := step.(type) {
		case hcl.TraverseRoot:
			names = append(names, step.Name)
		case hcl.TraverseAttr:
			names = append(names, step.Name)
		case hcl.TraverseIndex:
			switch {
			case i == len(steps)-1:
				a.Instance = true
			case len(names)%2 == 0:
				a.InModule = true
			default:
				return a, wrong
			}
		default:
			return a, wrong
		}
	}
	for len(names) > 2 && names[0] == "module" {
		a.Modules = append(a.Modules, names[1])
		names = names[2:]
	}
	switch {
	case len(names) == 3 && names[0] == "data":
		return a, "it is a data source: what it reads is not declared here"
	case len(names) != 2 || names[0] == "module" || names[0] == "data":
		return a, wrong
	}
	a.Kind, a.Name = names[0], names[1]
	return a, ""
}

// Bare is the address without keys of instances.
func (a Address) Bare() string {
	var b strings.Builder
	for _, name := range a.Modules {
		b.WriteString("module." + name + ".")
	}
	return b.String() + a.Kind + "." + a.Name
}
