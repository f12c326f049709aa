package edit

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"weir/planner/project/module"
)

// file is a file in native syntax. It is not changed: with makes a new one.
type file struct {
	name     string
	original []byte
	data     []byte // by now, without a byte order mark
	mark     bool   // it had one
	eol      string
	body     *hclsyntax.Body
	comments []hcl.Range
	link     bool
	changed  bool
}

// splice puts text in the place of data[from:to].
type splice struct {
	from, to int
	text     string
}

var byteOrderMark = []byte("\ufeff")

// parseFile returns why a file cannot be read, for people.
func parseFile(name string, data []byte) (*file, string) {
	f := &file{name: name, original: data, eol: "\n"}
	f.data, f.mark = bytes.CutPrefix(data, byteOrderMark)
	if i := bytes.IndexByte(f.data, '\n'); i > 0 && f.data[i-1] == '\r' {
		f.eol = "\r\n"
	}
	if err := f.parse(); err != nil {
		return nil, fmt.Sprintf("%s cannot be read: %v", name, err)
	}
	return f, ""
}

// maxDepth bounds what the parser gets to read: it recurses.
const maxDepth = 500

func (f *file) parse() error {
	if len(f.data) > module.MaxSize {
		return fmt.Errorf("it is larger than %d MiB", module.MaxSize>>20)
	}
	tokens, _ := hclsyntax.LexConfig(f.data, f.name, hcl.InitialPos)
	depth, chain := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOQuote,
			hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCQuote,
			hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			depth = max(depth-1, 0)
		case hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenQuestion, hclsyntax.TokenStar:
			chain++
		case hclsyntax.TokenComment:
			f.comments = append(f.comments, t.Range)
		}
		if depth > maxDepth || chain > 40*maxDepth {
			return errors.New("it is nested too deeply")
		}
	}
	parsed, diags := hclsyntax.ParseConfig(f.data, f.name, hcl.InitialPos)
	if diags.HasErrors() {
		for _, d := range diags {
			if d.Severity == hcl.DiagError && d.Subject != nil {
				return fmt.Errorf("line %d: %s", d.Subject.Start.Line, d.Summary)
			}
		}
		return errors.New("it is no Terraform code")
	}
	body, ok := parsed.Body.(*hclsyntax.Body)
	if !ok {
		return errors.New("it is not in native syntax")
	}
	f.body = body
	return nil
}

// with returns the file with splices done, which must not overlap. Those at
// the same place are done in their order.
func (f *file) with(splices []splice) (*file, error) {
	splices = slices.Clone(splices)
	slices.SortStableFunc(splices, func(a, b splice) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return a.to - b.to
	})
	var text bytes.Buffer
	done := 0
	for _, s := range splices {
		if s.from < done || s.to < s.from {
			return nil, errors.New("two edits are about the same place")
		}
		text.Write(f.data[done:s.from])
		text.WriteString(s.text)
		done = s.to
	}
	text.Write(f.data[done:])
	next := &file{name: f.name, original: f.original, data: text.Bytes(), mark: f.mark, eol: f.eol, link: f.link, changed: true}
	if err := next.parse(); err != nil {
		return nil, err
	}
	return next, nil
}

// bytes is the whole file.
func (f *file) bytes() []byte {
	if f.mark {
		return slices.Concat(byteOrderMark, f.data)
	}
	return f.data
}

// rank is 1 for files that override others.
func (f *file) rank() int {
	base, _, _ := strings.Cut(path.Base(f.name), ".")
	if base == "override" || strings.HasSuffix(base, "_override") {
		return 1
	}
	return 0
}

func (f *file) text(r hcl.Range) string { return string(f.data[r.Start.Byte:r.End.Byte]) }

// lineStart returns where the line of a position begins.
func (f *file) lineStart(at int) int { return bytes.LastIndexByte(f.data[:at], '\n') + 1 }

// indent returns the white space that the line of a position begins with.
func (f *file) indent(at int) string {
	line := f.data[f.lineStart(at):]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// first reports whether nothing but white space stands before a position in
// its line.
func (f *file) first(at int) bool {
	return len(bytes.TrimLeft(f.data[f.lineStart(at):at], " \t")) == 0
}

// last returns the end of the line of a position, its newline included, if
// nothing but a comma (where there may be one) and a comment follows.
func (f *file) last(at int, comma bool) (end int, ok bool) {
	if at > 0 && f.data[at-1] == '\n' { // the end of a heredoc
		return at, true
	}
	for at < len(f.data) {
		switch c := f.data[at]; {
		case c == '\n':
			return at + 1, true
		case c == ' ' || c == '\t' || c == '\r':
			at++
		case c == ',' && comma:
			at, comma = at+1, false
		default:
			i := slices.IndexFunc(f.comments, func(r hcl.Range) bool { return r.Start.Byte == at })
			if i < 0 || bytes.IndexByte(bytes.TrimRight(f.data[at:f.comments[i].End.Byte], "\r\n"), '\n') >= 0 {
				return 0, false
			}
			if at = f.comments[i].End.Byte; f.data[at-1] == '\n' {
				return at, true
			}
		}
	}
	return at, true
}

// commented reports whether there is a comment in data[from:to].
func (f *file) commented(from, to int) bool {
	return slices.ContainsFunc(f.comments, func(r hcl.Range) bool { return r.Start.Byte < to && r.End.Byte > from })
}

// extent returns what goes when a block goes: its lines, the comment lines
// directly above, and one of the blank lines around it.
func (f *file) extent(b *hclsyntax.Block) (from, to int) {
	from, to = b.TypeRange.Start.Byte, b.CloseBraceRange.End.Byte
	end, ok := f.last(to, false)
	if !f.first(from) || !ok {
		return from, to
	}
	to = end
	for from = f.lineStart(from); ; {
		i := slices.IndexFunc(f.comments, func(r hcl.Range) bool {
			return r.End.Byte == from || r.End.Byte == from-1 && f.data[from-1] == '\n' ||
				r.End.Byte == from-2 && string(f.data[from-2:from]) == "\r\n"
		})
		if i < 0 || !f.first(f.comments[i].Start.Byte) {
			break
		}
		from = f.lineStart(f.comments[i].Start.Byte)
	}
	blank := func(at int) int { // the end of a blank line that begins there, 0 for none
		rest := f.data[at:]
		if i := bytes.IndexByte(rest, '\n'); i >= 0 && len(bytes.TrimSpace(rest[:i])) == 0 {
			return at + i + 1
		}
		return 0
	}
	before := from == 0
	previous := 0
	if !before {
		previous = f.lineStart(from - 1)
		before = blank(previous) == from
	}
	closes := bytes.HasPrefix(bytes.TrimLeft(f.data[to:], " \t"), []byte("}"))
	switch after := blank(to); {
	case before && after > 0:
		to = after
	case before && from > 0 && (to == len(f.data) || closes):
		from = previous
	}
	return from, to
}
