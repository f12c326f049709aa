package code

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"weir/planner/project/module"
)

// File is a file in native syntax. It is not changed: with makes a new one.
type File struct {
	Name string
	Data []byte // by now, without a byte order mark
	EOL  string // "\n" or "\r\n"
	Body *hclsyntax.Body
	Link bool // Name is a symbolic link: the file is not to be changed

	original []byte
	mark     bool // it had a byte order mark
	comments []hcl.Range
	changed  bool
}

// Splice puts Text in the place of Data[From:To].
type Splice struct {
	From, To int
	Text     string
}

var byteOrderMark = []byte("\ufeff")

// parseFile returns why a file cannot be read, for people.
func parseFile(name string, data []byte) (*File, string) {
	f := &File{Name: name, original: data, EOL: "\n"}
	f.Data, f.mark = bytes.CutPrefix(data, byteOrderMark)
	if i := bytes.IndexByte(f.Data, '\n'); i > 0 && f.Data[i-1] == '\r' {
		f.EOL = "\r\n"
	}
	if err := f.parse(); err != nil {
		return nil, fmt.Sprintf("%s cannot be read: %v", name, err)
	}
	return f, ""
}

// maxDepth bounds what the parser gets to read: it recurses.
const maxDepth = 500

func (f *File) parse() error {
	if len(f.Data) > module.MaxSize {
		return fmt.Errorf("it is larger than %d MiB", module.MaxSize>>20)
	}
	tokens, _ := hclsyntax.LexConfig(f.Data, f.Name, hcl.InitialPos)
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
	parsed, diags := hclsyntax.ParseConfig(f.Data, f.Name, hcl.InitialPos)
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
	f.Body = body
	return nil
}

// With returns the file with splices done, which must not overlap. Those at
// the same place are done in their order.
func (f *File) With(splices []Splice) (*File, error) {
	splices = slices.Clone(splices)
	slices.SortStableFunc(splices, func(a, b Splice) int {
		if a.From != b.From {
			return a.From - b.From
		}
		return a.To - b.To
	})
	var text bytes.Buffer
	done := 0
	for _, s := range splices {
		if s.From < done || s.To < s.From {
			return nil, errors.New("two edits are about the same place")
		}
		text.Write(f.Data[done:s.From])
		text.WriteString(s.Text)
		done = s.To
	}
	text.Write(f.Data[done:])
	next := &File{Name: f.Name, original: f.original, Data: text.Bytes(), mark: f.mark, EOL: f.EOL, Link: f.Link, changed: true}
	if err := next.parse(); err != nil {
		return nil, err
	}
	return next, nil
}

// bytes is the whole file.
func (f *File) bytes() []byte {
	if f.mark {
		return slices.Concat(byteOrderMark, f.Data)
	}
	return f.Data
}

// rank is 1 for files that override others.
func (f *File) rank() int {
	if module.Overrides(f.Name) {
		return 1
	}
	return 0
}

// Text is the text of a range.
func (f *File) Text(r hcl.Range) string { return string(f.Data[r.Start.Byte:r.End.Byte]) }

// LineStart returns where the line of a position begins.
func (f *File) LineStart(at int) int { return bytes.LastIndexByte(f.Data[:at], '\n') + 1 }

// Indent returns the white space that the line of a position begins with.
func (f *File) Indent(at int) string {
	line := f.Data[f.LineStart(at):]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// First reports whether nothing but white space stands before a position in
// its line.
func (f *File) First(at int) bool {
	return len(bytes.TrimLeft(f.Data[f.LineStart(at):at], " \t")) == 0
}

// Last returns the end of the line of a position, its newline included, if
// nothing but a comma (where there may be one) and a comment follows.
func (f *File) Last(at int, comma bool) (end int, ok bool) {
	if at > 0 && f.Data[at-1] == '\n' { // the end of a heredoc
		return at, true
	}
	for at < len(f.Data) {
		switch c := f.Data[at]; {
		case c == '\n':
			return at + 1, true
		case c == ' ' || c == '\t' || c == '\r':
			at++
		case c == ',' && comma:
			at, comma = at+1, false
		default:
			i := slices.IndexFunc(f.comments, func(r hcl.Range) bool { return r.Start.Byte == at })
			if i < 0 || bytes.IndexByte(bytes.TrimRight(f.Data[at:f.comments[i].End.Byte], "\r\n"), '\n') >= 0 {
				return 0, false
			}
			if at = f.comments[i].End.Byte; f.Data[at-1] == '\n' {
				return at, true
			}
		}
	}
	return at, true
}

// Commented reports whether there is a comment in Data[from:to].
func (f *File) Commented(from, to int) bool {
	return slices.ContainsFunc(f.comments, func(r hcl.Range) bool { return r.Start.Byte < to && r.End.Byte > from })
}

// Extent returns what goes when a block goes: its lines, the comment lines
// directly above, and one of the blank lines around it.
func (f *File) Extent(b *hclsyntax.Block) (from, to int) {
	from, to = b.TypeRange.Start.Byte, b.CloseBraceRange.End.Byte
	end, ok := f.Last(to, false)
	if !f.First(from) || !ok {
		return from, to
	}
	to = end
	for from = f.LineStart(from); ; {
		i := slices.IndexFunc(f.comments, func(r hcl.Range) bool {
			return r.End.Byte == from || r.End.Byte == from-1 && f.Data[from-1] == '\n' ||
				r.End.Byte == from-2 && string(f.Data[from-2:from]) == "\r\n"
		})
		if i < 0 || !f.First(f.comments[i].Start.Byte) {
			break
		}
		from = f.LineStart(f.comments[i].Start.Byte)
	}
	blank := func(at int) int { // the end of a blank line that begins there, 0 for none
		rest := f.Data[at:]
		if i := bytes.IndexByte(rest, '\n'); i >= 0 && len(bytes.TrimSpace(rest[:i])) == 0 {
			return at + i + 1
		}
		return 0
	}
	before := from == 0
	previous := 0
	if !before {
		previous = f.LineStart(from - 1)
		before = blank(previous) == from
	}
	closes := bytes.HasPrefix(bytes.TrimLeft(f.Data[to:], " \t"), []byte("}"))
	switch after := blank(to); {
	case before && after > 0:
		to = after
	case before && from > 0 && (to == len(f.Data) || closes):
		from = previous
	}
	return from, to
}
