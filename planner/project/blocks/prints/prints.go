// Package prints turns code into texts that are equal where the code says the
// same, and finds what such a text refers to.
package prints

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Tokens are those of a file, in their order.
type Tokens hclsyntax.Tokens

// Print is the text of the tokens from one byte to another, without comments
// and formatting: equal for two pieces of code that say the same in the same
// order.
func (t Tokens) Print(from, to int) string {
	first, _ := slices.BinarySearchFunc(t, from, func(t hclsyntax.Token, at int) int { return cmp.Compare(t.Range.Start.Byte, at) })
	var out strings.Builder
	var around []bool // whether a new line counts, for each open bracket
	separate, opened := false, true
	for i := first; i < len(t) && t[i].Range.Start.Byte < to; i++ {
		kind, text := t[i].Type, string(t[i].Bytes)
		lines := len(around) == 0 || around[len(around)-1]
		switch kind {
		case hclsyntax.TokenEOF:
			continue
		case hclsyntax.TokenComma:
			separate = true
			continue
		case hclsyntax.TokenComment:
			separate = separate || lines && strings.HasSuffix(text, "\n")
			continue
		case hclsyntax.TokenNewline:
			separate = separate || lines
			continue
		}
		closes := false
		switch kind {
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
			closes = true
			around = around[:max(len(around)-1, 0)]
		}
		if separate && !opened && !closes {
			out.WriteString(",\x00")
		}
		if kind == hclsyntax.TokenCHeredoc {
			text = strings.TrimSpace(text) // where it stands does not matter
		}
		out.WriteString(text)
		out.WriteByte(0)
		separate, opened = false, false
		switch kind {
		case hclsyntax.TokenOBrace:
			// In a for expression lines do not count.
			next := t.next(i + 1)
			around, opened = append(around, next.Type != hclsyntax.TokenIdent || string(next.Bytes) != "for"), true
		case hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			around, opened = append(around, false), true
		case hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
			around = append(around, false)
		}
	}
	return out.String()
}

// next is the first token from an index on that is no formatting.
func (t Tokens) next(i int) hclsyntax.Token {
	for i < len(t)-1 && (t[i].Type == hclsyntax.TokenNewline || t[i].Type == hclsyntax.TokenComment) {
		i++
	}
	return t[i]
}
