package edit

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"weir/planner/project/edit/code"
)

// bracket is a list or an object in the code, and what becomes of its items.
type bracket struct {
	at      hcl.Range // brackets included
	items   []hcl.Range
	removed map[int]bool
	inserts map[int][]string // what comes behind an item that stays; -1 is before the first
	indent  string           // of items that have a line of their own
	object  bool
	gap     bool // a blank line comes before the first insert
}

// byLine reports whether each item has lines of its own.
func (b bracket) byLine(f *code.File) bool {
	if len(b.items) == 0 {
		return false
	}
	for _, item := range b.items {
		end, ok := f.Last(item.End.Byte, true)
		if !ok || !f.First(item.Start.Byte) || f.Data[end-1] != '\n' || end > b.at.End.Byte {
			return false
		}
	}
	return true
}

// list takes items out of a list or an object, and puts new ones in.
func (e *edits) list(b bracket) string {
	switch {
	case len(b.items) == 0:
		e.fill(b)
		return ""
	case b.byLine(e.file):
		e.lines(b)
		return ""
	}
	return e.inline(b)
}

// fill puts items into a list or an object without any.
func (e *edits) fill(b bracket) {
	f, texts := e.file, b.inserts[-1]
	open, end := b.at.Start.Byte+1, b.at.End.Byte-1
	inner := string(f.Data[open:end])
	sep := f.EOL
	if !b.object {
		sep = "," + f.EOL
	}
	lines := b.indent + strings.Join(texts, sep+b.indent) + sep
	switch {
	case strings.TrimSpace(inner) == "" && !b.object:
		e.splice(open, end, strings.Join(texts, ", "))
	case strings.TrimSpace(inner) == "":
		e.splice(open, end, f.EOL+lines+f.Indent(b.at.Start.Byte))
	case f.First(end):
		e.splice(f.LineStart(end), f.LineStart(end), lines)
	default:
		e.splice(end, end, f.EOL+lines+f.Indent(b.at.Start.Byte))
	}
}

// lines is list where each item has lines of its own.
func (e *edits) lines(b bracket) {
	f := e.file
	end := func(i int) int {
		end, _ := f.Last(b.items[i].End.Byte, true)
		return end
	}
	comma := func(i int) bool { // behind an item
		to := b.at.End.Byte - 1
		if i+1 < len(b.items) {
			to = b.items[i+1].Start.Byte
		}
		for at := b.items[i].End.Byte; at < to; at++ {
			if !f.Commented(at, at+1) && f.Data[at] == ',' {
				return true
			}
		}
		return false
	}
	lastOne := len(b.items) - 1
	commas := !b.object || comma(0) || comma(lastOne)
	for i := range b.items {
		if b.removed[i] {
			e.splice(f.LineStart(b.items[i].Start.Byte), end(i), "")
		}
	}
	for after := -1; after <= lastOne; after++ {
		texts := b.inserts[after]
		if len(texts) == 0 {
			continue
		}
		at := f.LineStart(b.items[0].Start.Byte)
		if after >= 0 {
			at = end(after)
			if commas && !comma(after) {
				e.splice(b.items[after].End.Byte, b.items[after].End.Byte, ",")
			}
		}
		for i, text := range texts {
			end := f.EOL
			if commas && (after < lastOne || i < len(texts)-1 || comma(lastOne)) {
				end = "," + end
			}
			gap := ""
			if b.gap && i == 0 {
				gap = f.EOL
			}
			e.splice(at, at, gap+b.indent+text+end)
		}
	}
}

// inline is list where items share lines.
func (e *edits) inline(b bracket) string {
	f := e.file
	cut := func(from, to int) string {
		if f.Commented(from, to) {
			return fmt.Sprintf("it is laid out with comments between items of one line (%s line %d)", f.Name, b.at.Start.Line)
		}
		e.splice(from, to, "")
		return ""
	}
	first := 0
	for b.removed[first] && first < len(b.items) {
		first++
	}
	if first == len(b.items) {
		why := cut(b.at.Start.Byte+1, b.at.End.Byte-1)
		if texts := b.inserts[-1]; why == "" && len(texts) > 0 {
			pad := ""
			if b.object {
				pad = " "
			}
			e.splices[len(e.splices)-1].Text = pad + strings.Join(texts, ", ") + pad
		}
		return why
	}
	for i, item := range b.items {
		if !b.removed[i] {
			continue
		}
		why := ""
		if i < first {
			why = cut(item.Start.Byte, b.items[i+1].Start.Byte)
		} else {
			why = cut(b.items[i-1].End.Byte, item.End.Byte)
		}
		if why != "" {
			return why
		}
	}
	if texts := b.inserts[-1]; len(texts) > 0 {
		at := b.items[0].Start.Byte
		e.splice(at, at, strings.Join(texts, ", ")+", ")
	}
	for after, texts := range b.inserts {
		if after < 0 {
			continue
		}
		at := b.items[after].End.Byte
		if bytes.HasSuffix(f.Data[:at], []byte("\n")) {
			return fmt.Sprintf("it is laid out with a heredoc among items of one line (%s line %d)", f.Name, b.at.Start.Line)
		}
		e.splice(at, at, ", "+strings.Join(texts, ", "))
	}
	return ""
}
