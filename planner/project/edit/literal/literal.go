// Package literal is values as code writes them: what is written out, what is
// the same, and which of a list became which.
package literal

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// Parse returns a JSON value as an object, a tuple or a primitive. Everywhere
// here cty.NilVal is a value that is not known.
func Parse(raw json.RawMessage) (cty.Value, error) {
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

// Known reports whether a value is known.
func Known(v cty.Value) bool { return v != cty.NilVal }

// IsObject reports whether a value is an object or a map.
func IsObject(v cty.Value) bool {
	return Known(v) && !v.IsNull() && (v.Type().IsObjectType() || v.Type().IsMapType())
}

// IsTuple reports whether a value is a list of any kind.
func IsTuple(v cty.Value) bool {
	return Known(v) && !v.IsNull() && v.CanIterateElements() && !IsObject(v)
}

// IsEmpty reports whether a value is what providers fill in for nothing.
func IsEmpty(v cty.Value) bool {
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

// Field returns an attribute of an object, cty.NilVal if there is none.
func Field(v cty.Value, name string) cty.Value {
	if !IsObject(v) {
		return cty.NilVal
	}
	return v.AsValueMap()[name]
}

// Elements returns the elements of a tuple, nil for anything else.
func Elements(v cty.Value) []cty.Value {
	if !IsTuple(v) {
		return nil
	}
	return v.AsValueSlice()
}

// Same reports whether two values are the same to Terraform, which converts
// between primitive types, and to which a missing attribute is a null one.
func Same(a, b cty.Value) bool {
	switch {
	case !Known(a) || !Known(b):
		return false
	case a.IsNull() || b.IsNull():
		return a.IsNull() && b.IsNull()
	case IsObject(a) && IsObject(b):
		all, other := a.AsValueMap(), b.AsValueMap()
		for name, v := range all {
			if o, ok := other[name]; ok && !Same(v, o) || !ok && !v.IsNull() {
				return false
			}
		}
		for name, v := range other {
			if _, ok := all[name]; !ok && !v.IsNull() {
				return false
			}
		}
		return true
	case IsTuple(a) && IsTuple(b):
		all, other := a.AsValueSlice(), b.AsValueSlice()
		if len(all) != len(other) {
			return false
		}
		for i := range all {
			if !Same(all[i], other[i]) {
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

// SameElements reports whether two lists have the same elements in any order.
func SameElements(a, b []cty.Value) bool {
	if len(a) != len(b) {
		return false
	}
	taken := make([]bool, len(b))
next:
	for _, v := range a {
		for j, o := range b {
			if !taken[j] && Same(v, o) {
				taken[j] = true
				continue next
			}
		}
		return false
	}
	return true
}

// Constant returns the value of an expression that is written out: literals,
// and lists and objects of them.
func Constant(x hclsyntax.Expression) (cty.Value, bool) {
	if !written(x) {
		return cty.NilVal, false
	}
	v, diags := x.Value(nil)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return cty.NilVal, false
	}
	return v, true
}

func written(x hclsyntax.Expression) bool {
	switch x := x.(type) {
	case *hclsyntax.LiteralValueExpr:
		return true
	case *hclsyntax.ParenthesesExpr:
		return written(x.Expression)
	case *hclsyntax.UnaryOpExpr:
		return written(x.Val)
	case *hclsyntax.TemplateExpr:
		for _, part := range x.Parts {
			if _, ok := part.(*hclsyntax.LiteralValueExpr); !ok {
				return false
			}
		}
		return true
	case *hclsyntax.TupleConsExpr:
		for _, element := range x.Exprs {
			if !written(element) {
				return false
			}
		}
		return true
	case *hclsyntax.ObjectConsExpr:
		for _, item := range x.Items {
			if _, ok := KeyOf(item); !ok || !written(item.ValueExpr) {
				return false
			}
		}
		return true
	}
	return false
}

// KeyOf returns the key of an item of an object, if it is written out.
func KeyOf(item hclsyntax.ObjectConsItem) (string, bool) {
	key, ok := item.KeyExpr.(*hclsyntax.ObjectConsKeyExpr)
	if !ok {
		return "", false
	}
	if _, name := key.Wrapped.(*hclsyntax.ScopeTraversalExpr); !name && !written(key.Wrapped) || name && key.ForceNonLiteral {
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

// Render writes a value as it stands in the middle of a line that is indented
// as given. Lines after the first are indented, and end in eol.
func Render(v cty.Value, indent, eol string) string {
	text := string(hclwrite.Format(Tokens(v).Bytes()))
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", eol+indent)
}

// RenderKey writes a key of an object.
func RenderKey(name string) string {
	return string(keyTokens(name).Bytes())
}

// Tokens is hclwrite.TokensForValue, with keys that read as keys.
func Tokens(v cty.Value) hclwrite.Tokens {
	switch {
	case IsObject(v):
		var items []hclwrite.ObjectAttrTokens
		for _, name := range Keys(v) {
			items = append(items, hclwrite.ObjectAttrTokens{Name: keyTokens(name), Value: Tokens(Field(v, name))})
		}
		return hclwrite.TokensForObject(items)
	case IsTuple(v):
		var items []hclwrite.Tokens
		for _, element := range Elements(v) {
			items = append(items, Tokens(element))
		}
		return hclwrite.TokensForTuple(items)
	}
	return hclwrite.TokensForValue(v)
}

// keyTokens writes a key of an object. As the first key, "for" would begin an
// expression.
func keyTokens(name string) hclwrite.Tokens {
	if hclsyntax.ValidIdentifier(name) && name != "for" {
		return hclwrite.TokensForIdentifier(name)
	}
	return hclwrite.TokensForValue(cty.StringVal(name))
}

// Objects reports whether a value is a list of objects, and not an empty one.
func Objects(v cty.Value) bool {
	return IsTuple(v) && v.LengthInt() > 0 && !slices.ContainsFunc(Elements(v), func(v cty.Value) bool { return !IsObject(v) })
}

// Agree is same, but the order of lists does not matter: sets have none.
func Agree(a, b cty.Value) bool {
	return Same(a, b) || IsTuple(a) && IsTuple(b) && SameElements(Elements(a), Elements(b))
}

// Keys returns the names of an object's attributes, sorted.
func Keys(v cty.Value) []string {
	if !IsObject(v) {
		return nil
	}
	return slices.Sorted(maps.Keys(v.AsValueMap()))
}

// Multiline reports whether a value is written in several lines.
func Multiline(v cty.Value) bool { return strings.Contains(Render(v, "", "\n"), "\n") }

// Unwrap returns what stands in a conversion between kinds of collections.
func Unwrap(x hclsyntax.Expression) hclsyntax.Expression {
	if call, ok := x.(*hclsyntax.FunctionCallExpr); ok && len(call.Args) == 1 && !call.ExpandFinal &&
		slices.Contains([]string{"toset", "tolist", "tomap"}, call.Name) {
		return call.Args[0]
	}
	return x
}
