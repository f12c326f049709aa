package blocks

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"weir/planner/project/blocks/prints"
)

// tokens are those of a file, in their order.
type tokens struct{ prints.Tokens }

// items takes a body apart that ends at a byte. Each item reaches to the next
// one, so that no token is left out.
func (t tokens) items(b *hclsyntax.Body, end int) []item {
	type start struct {
		at int
		item
		block bool
	}
	var starts []start
	for name, a := range b.Attributes {
		starts = append(starts, start{at: a.SrcRange.Start.Byte, item: item{name: name, expr: a.Expr}})
	}
	for _, inner := range b.Blocks {
		i := item{name: inner.Type}
		if i.name == "required_providers" {
			i.inner = t.sources(inner.Body)
		}
		starts = append(starts, start{at: inner.TypeRange.Start.Byte, item: i, block: true})
	}
	slices.SortFunc(starts, func(a, b start) int { return cmp.Compare(a.at, b.at) })
	for i := range starts {
		to := end
		if i+1 < len(starts) {
			to = starts[i+1].at
		}
		starts[i].print = t.Print(starts[i].at, to)
	}
	slices.SortStableFunc(starts, func(a, b start) int {
		switch {
		case a.block != b.block && a.block:
			return 1
		case a.block != b.block:
			return -1
		case a.block:
			return 0
		}
		return cmp.Compare(a.name, b.name)
	})
	var items []item
	for _, s := range starts {
		items = append(items, s.item)
	}
	return items
}

// spoken are the addresses that a moved, removed or import block names,
// without keys; nil where they cannot be read.
func spoken(items []item) []string {
	var names []string
	for _, i := range items {
		if i.name != "from" && i.name != "to" {
			continue
		}
		text := i.print
		if len(text) > 4*maxPath {
			return nil
		}
		if strings.HasPrefix(text, `"`) { // JSON
			if err := json.Unmarshal([]byte(text), &text); err != nil {
				return nil
			}
		} else {
			_, text, _ = strings.Cut(strings.ReplaceAll(text, "\x00", ""), "=")
		}
		address := withoutKeys(text)
		if len(address) > maxPath || !plain.MatchString(address) {
			return nil
		}
		names = append(names, address)
	}
	return names
}

var plain = regexp.MustCompile(`^[\p{L}\p{N}_-]+(\.[\p{L}\p{N}_-]+)+$`)

// withoutKeys is an address without what stands in brackets.
func withoutKeys(address string) string {
	var out strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(address); i++ {
		switch c := address[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[':
			depth++
		case c == ']':
			depth--
		case depth == 0:
			out.WriteByte(c)
		}
	}
	return out.String()
}
