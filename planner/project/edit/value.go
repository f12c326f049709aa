package edit

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// Values are objects, tuples and primitives, as JSON knows them. cty.NilVal is
// a value that is not known.

func parseValue(raw json.RawMessage) (cty.Value, error) {
	t, err := ctyjson.ImpliedType(raw)
	if err != nil {
		return cty.NilVal, fmt.Errorf("type: %w", err)
	}
	v, err := ctyjson.Unmarshal(raw, t)
	if err != nil {
		return cty.NilVal, fmt.Errorf("value: %w", err)
	}
	return v, nil
}

func parseDeclared(raw json.RawMessage) (cty.Value, error) {
	if len(raw) == 0 {
		return cty.NilVal, nil
	}
	return parseValue(raw)
}

func known(v cty.Value) bool { return v != cty.NilVal }

func isObject(v cty.Value) bool {
	return known(v) && !v.IsNull() && (v.Type().IsObjectType() || v.Type().IsMapType())
}

func isTuple(v cty.Value) bool {
	return known(v) && !v.IsNull() && v.CanIterateElements() && !isObject(v)
}

// isEmpty reports whether a value is what providers fill in for nothing.
func isEmpty(v cty.Value) bool {
	switch {
	case v.IsNull():
		return true
	case v.Type() == cty.String:
		return v.AsString() == ""
	case v.Type() == cty.Bool:
		return v.False()
	case v.CanIterateElements():
		return v.LengthInt() == 0
	}
	return false
}

// field returns an attribute of an object, cty.NilVal if there is none.
func field(v cty.Value, name string) cty.Value {
	if !isObject(v) {
		return cty.NilVal
	}
	return v.AsValueMap()[name]
}

// elements returns the elements of a tuple, nil for anything else.
func elements(v cty.Value) []cty.Value {
	if !isTuple(v) {
		return nil
	}
	return v.AsValueSlice()
}

// same reports whether two values are the same to Terraform, which converts
// between primitive types, and to which a missing attribute is a null one.
func same(a, b cty.Value) bool {
	switch {
	case !known(a) || !known(b):
		return false
	case a.IsNull() || b.IsNull():
		return a.IsNull() && b.IsNull()
	case isObject(a) && isObject(b):
		all, other := a.AsValueMap(), b.AsValueMap()
		for name, v := range all {
			if o, ok := other[name]; ok && !same(v, o) || !ok && !v.IsNull() {
				return false
			}
		}
		for name, v := range other {
			if _, ok := all[name]; !ok && !v.IsNull() {
				return false
			}
		}
		return true
	case isTuple(a) && isTuple(b):
		all, other := a.AsValueSlice(), b.AsValueSlice()
		if len(all) != len(other) {
			return false
		}
		for i := range all {
			if !same(all[i], other[i]) {
				return false
			}
		}
		return true
	case a.Type() == b.Type() && a.Type().IsPrimitiveType():
		return a.RawEquals(b)
	case a.Type().IsPrimitiveType() && b.Type().IsPrimitiveType():
		x, errX := convert.Convert(a, cty.String)
		y, errY := convert.Convert(b, cty.String)
		return errX == nil && errY == nil && x.RawEquals(y)
	}
	return false
}

// sameElements reports whether two lists have the same elements in any order.
func sameElements(a, b []cty.Value) bool {
	if len(a) != len(b) {
		return false
	}
	taken := make([]bool, len(b))
next:
	for _, v := range a {
		for j, o := range b {
			if !taken[j] && same(v, o) {
				taken[j] = true
				continue next
			}
		}
		return false
	}
	return true
}

// constant returns the value of an expression that is written out: literals,
// and lists and objects of them.
func constant(x hclsyntax.Expression) (cty.Value, bool) {
	if !literal(x) {
		return cty.NilVal, false
	}
	v, diags := x.Value(nil)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return cty.NilVal, false
	}
	return v, true
}

func literal(x hclsyntax.Expression) bool {
	switch x := x.(type) {
	case *hclsyntax.LiteralValueExpr:
		return true
	case *hclsyntax.ParenthesesExpr:
		return literal(x.Expression)
	case *hclsyntax.UnaryOpExpr:
		return literal(x.Val)
	case *hclsyntax.TemplateExpr:
		for _, part := range x.Parts {
			if _, ok := part.(*hclsyntax.LiteralValueExpr); !ok {
				return false
			}
		}
		return true
	case *hclsyntax.TupleConsExpr:
		for _, element := range x.Exprs {
			if !literal(element) {
				return false
			}
		}
		return true
	case *hclsyntax.ObjectConsExpr:
		for _, item := range x.Items {
			if _, ok := keyOf(item); !ok || !literal(item.ValueExpr) {
				return false
			}
		}
		return true
	}
	return false
}

// keyOf returns the key of an item of an object, if it is written out.
func keyOf(item hclsyntax.ObjectConsItem) (string, bool) {
	key, ok := item.KeyExpr.(*hclsyntax.ObjectConsKeyExpr)
	if !ok {
		return "", false
	}
	if _, name := key.Wrapped.(*hclsyntax.ScopeTraversalExpr); !name && !literal(key.Wrapped) || name && key.ForceNonLiteral {
		return "", false
	}
	v, diags := key.Value(nil)
	if diags.HasErrors() || !v.IsKnown() || v.IsNull() {
		return "", false
	}
	if v, err := convert.Convert(v, cty.String); err == nil {
		return v.AsString(), true
	}
	return "", false
}

// render writes a value as it stands in the middle of a line that is indented
// as given. Lines after the first are indented, and end in eol.
func render(v cty.Value, indent, eol string) string {
	text := string(hclwrite.Format(hclwrite.TokensForValue(v).Bytes()))
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", eol+indent)
}

// renderKey writes a key of an object.
func renderKey(name string) string {
	if hclsyntax.ValidIdentifier(name) {
		return name
	}
	return render(cty.StringVal(name), "", "\n")
}
