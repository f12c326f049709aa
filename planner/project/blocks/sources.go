package blocks

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// sources says of each of the required providers where it comes from, and all
// else but its version. The print is empty where that goes without saying
// ("Provider Requirements": hashicorp/NAME).
func (t tokens) sources(b *hclsyntax.Body) []item {
	all := []item{}
	for _, name := range slices.Sorted(maps.Keys(b.Attributes)) {
		expr := b.Attributes[name].Expr
		object, ok := expr.(*hclsyntax.ObjectConsExpr)
		if !ok {
			text := ""
			if _, version := literal(expr); !version {
				text = t.Print(expr.Range().Start.Byte, expr.Range().End.Byte)
			}
			all = append(all, item{name: name, print: text})
			continue
		}
		var parts []string
		for i, pair := range object.Items {
			end := object.SrcRange.End.Byte - 1
			if i+1 < len(object.Items) {
				end = object.Items[i+1].KeyExpr.Range().Start.Byte
			}
			key := hcl.ExprAsKeyword(pair.KeyExpr)
			if wrapped, is := pair.KeyExpr.(*hclsyntax.ObjectConsKeyExpr); key == "" && is {
				key, _ = literal(wrapped.Wrapped)
			}
			value, known := literal(pair.ValueExpr)
			if key == "version" || key == "source" && known && value == "hashicorp/"+name {
				continue
			}
			if key == "source" && known {
				parts = append(parts, "source = "+value)
				continue
			}
			parts = append(parts, t.Print(pair.KeyExpr.Range().Start.Byte, end))
		}
		slices.Sort(parts)
		all = append(all, item{name: name, print: strings.Join(parts, "\n")})
	}
	if len(b.Blocks) > 0 {
		return nil
	}
	return all
}

// sourcesJSON is sources of JSON; nil where it is written in another way.
func sourcesJSON(text []byte) []item {
	var list []map[string]json.RawMessage
	if json.Unmarshal(text, &list) != nil {
		var one map[string]json.RawMessage
		if json.Unmarshal(text, &one) != nil {
			return nil
		}
		list = append(list, one)
	}
	all := []item{}
	for _, providers := range list {
		for _, name := range slices.Sorted(maps.Keys(providers)) {
			var version string
			if json.Unmarshal(providers[name], &version) == nil {
				continue
			}
			var settings map[string]any
			if json.Unmarshal(providers[name], &settings) != nil {
				return nil
			}
			delete(settings, "version")
			if settings["source"] == "hashicorp/"+name {
				delete(settings, "source")
			}
			if len(settings) == 0 {
				continue
			}
			rest, err := json.Marshal(settings) // in the order of the keys
			if err != nil {
				return nil
			}
			all = append(all, item{name: name, print: string(rest)})
		}
	}
	return all
}
