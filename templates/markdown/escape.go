// Package markdown shows untrusted text in GitHub's Markdown. Whatever a string
// holds, it is read as words or as code: it becomes no markup and no link,
// mentions nobody, refers to no issue, and does not leave its line, cell, fold
// or fence.
package markdown

import (
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// gap is put where two characters would mean something to GitHub: a zero-width
// space, which nobody sees.
const gap = "\u200b"

// maxName bounds, in characters, what is shown inside a line.
const maxName = 160

// Name is a name within a line. One that is too long loses its middle: names
// that begin alike, as addresses do, still differ.
func Name(s string) string {
	s = Line(s, 8*maxName)
	if runes := []rune(s); len(runes) > maxName {
		s = string(runes[:maxName/2]) + " … " + string(runes[len(runes)-maxName/2+3:])
	}
	return s
}

// Code shows s, a name, as code within a line, also within a cell of a table.
// GitHub looks for no mentions, references or links inside of code.
func Code(s string) string {
	s = Name(s)
	if s == "" {
		return "(empty)"
	}
	if !strings.ContainsAny(s, "`|\\") && strings.TrimSpace(s) == s {
		return "`" + s + "`"
	}
	// A backquote ends code and a bar ends a cell, and how many backslashes
	// help depends on where it stands. Character references mean the same
	// everywhere (CommonMark, "Entity and numeric character references").
	return codeHTML(s)
}

// codeHTML is code where a backquote cannot hold it.
func codeHTML(s string) string {
	var b strings.Builder
	b.WriteString("<code>")
	runes := []rune(s)
	for i, r := range runes {
		if strings.ContainsRune("\\`*_[]<>&|~$@#", r) {
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		} else {
			b.WriteRune(r)
		}
		// Links are looked for inside of this kind of code, too.
		if r == '@' || r == ':' || strings.HasSuffix(strings.ToLower(string(runes[max(0, i-2):i+1])), "www") {
			b.WriteString(gap)
		}
	}
	b.WriteString("</code>")
	return b.String()
}

// MaxText bounds a sentence, in characters.
const MaxText = 1200

// A Span is a part of a sentence.
type Span struct {
	Code bool
	Text string
}

// Spans parts a sentence of one line into words and code, which is what stands
// between backquotes.
func Spans(s string) []Span {
	s = Line(s, MaxText)
	parts := strings.Split(s, "`")
	if len(parts)%2 == 0 {
		return []Span{{Text: s}}
	}
	spans := make([]Span, len(parts))
	for i, part := range parts {
		spans[i] = Span{Code: i%2 == 1, Text: part}
		if spans[i].Code && strings.TrimSpace(part) == "" {
			spans[i] = Span{Text: "`" + part + "`"}
		}
	}
	return spans
}

// Text shows a sentence within a line: as it reads, except that what stands
// between backquotes is code.
func Text(s string) string {
	var b strings.Builder
	for _, span := range Spans(s) {
		if span.Code {
			b.WriteString(Code(span.Text))
		} else {
			b.WriteString(escape(span.Text))
		}
	}
	return b.String()
}

// escape keeps GitHub from reading Markdown, HTML, mentions, references or
// links in a part of a line.
func escape(s string) string {
	var b strings.Builder
	runes := []rune(s)
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return ' '
		}
		return runes[i]
	}
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	started := false // something that is not a space has been written
	for i, r := range runes {
		switch r {
		case '<', '>', '&', '|':
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		case '\\', '`', '*', '[', ']', '~', '$':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '_':
			if !word(at(i-1)) || !word(at(i+1)) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		case '@', '#':
			if r == '#' && !started {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
			if word(at(i + 1)) {
				b.WriteString(gap)
			}
		case '+', '=':
			if !started {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		case '-':
			switch {
			case !started:
				b.WriteByte('\\')
			case strings.EqualFold(string(runes[max(0, i-2):i]), "gh"):
				b.WriteString(gap) // GH-12 is an issue
			}
			b.WriteRune(r)
		case ':':
			b.WriteRune(r)
			if at(i+1) == '/' {
				b.WriteString(gap) // https://github.com/… can refer to an issue
			}
		case '.', ')':
			switch {
			case strings.EqualFold(string(runes[max(0, i-3):i]), "www"):
				b.WriteString(gap)
			case started && numeric(runes[:i]):
				b.WriteByte('\\') // "1." begins a list
			}
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
		started = started || r != ' '
	}
	return b.String()
}

func numeric(runes []rune) bool {
	for _, r := range strings.TrimSpace(string(runes)) {
		if r < '0' || r > '9' {
			return false
		}
	}
	return true
}

// Line makes one line of s, without control characters, cut to most runes.
func Line(s string, most int) string {
	s = strings.Join(strings.Fields(Printable(s)), " ")
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most-1]) + "…"
	}
	return s
}

// Printable is s in valid UTF-8 without what a reader cannot see but a
// terminal or browser would obey. Control characters other than line breaks and
// tabs, and escape sequences, go or become U+FFFD. Format characters, such as
// those that turn the direction of text or take no room, are named: <U+202E>.
func Printable(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\r\n", "\n")
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == 0x1b && i+1 < len(s) && s[i+1] == '[':
			// A colour or cursor sequence ends with a letter or ~ (ECMA-48, 5.4).
			end := i + 2
			for end < len(s) && s[end] >= 0x20 && s[end] < 0x40 {
				end++
			}
			if end < len(s) && s[end] >= 0x40 && s[end] < 0x7f {
				end++
			}
			i = end
			continue
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r == '\r':
			b.WriteByte('\n')
		case r == '\u2028' || r == '\u2029':
			b.WriteByte('\n')
		case unicode.IsControl(r):
			b.WriteRune('\ufffd')
		case unicode.Is(unicode.Cf, r):
			fmt.Fprintf(&b, "<U+%04X>", r)
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// Link is a link to a web page, or only its words where to is no address of one.
// The words are taken as they are.
func Link(words, to string) string {
	u, err := url.Parse(to)
	if to == "" || err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return words
	}
	return "[" + words + "](" + strings.NewReplacer("(", "%28", ")", "%29", "|", "%7C", "\\", "%5C").Replace(u.String()) + ")"
}

// Paragraphs shows text of several lines: empty lines part paragraphs, lines
// that begin with "- " are points of a list, and backquotes make code.
func Paragraphs(s string) string {
	var b strings.Builder
	var open []string
	flush := func() {
		if len(open) > 0 {
			b.WriteString(Text(strings.Join(open, " ")) + "\n\n")
			open = nil
		}
	}
	inList := false
	for line := range strings.Lines(Printable(s)) {
		line = strings.TrimSpace(line)
		point, isPoint := strings.CutPrefix(line, "- ")
		if isPoint {
			flush()
			b.WriteString("- " + Text(point) + "\n")
			inList = true
			continue
		}
		if inList {
			b.WriteString("\n")
			inList = false
		}
		if line == "" {
			flush()
			continue
		}
		open = append(open, line)
	}
	flush()
	return strings.TrimRight(b.String(), "\n")
}

// Fence shows s as a block of code of a language, behind a fence that is
// longer than any run of backquotes in it.
func Fence(language, s string) string {
	s = strings.Trim(Printable(s), "\n")
	longest, run := 2, 0
	for i := range len(s) {
		if s[i] != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	ticks := strings.Repeat("`", longest+1)
	return ticks + language + "\n" + s + "\n" + ticks
}

// Cut shortens a text to about most bytes, at line breaks, and says so. It
// keeps the beginning and the end: the first error and how it ended.
func Cut(s string, most int) string {
	s = strings.Trim(Printable(s), "\n")
	if len(s) <= most {
		return s
	}
	lines := strings.Split(s, "\n")
	var head, tail []string
	size := 0
	for i, j := 0, len(lines)-1; i <= j; {
		line := lines[i]
		fromHead := len(head) <= 2*len(tail)
		if !fromHead {
			line = lines[j]
		}
		if size+len(line)+1 > most {
			break
		}
		size += len(line) + 1
		if fromHead {
			head = append(head, line)
			i++
		} else {
			tail = append([]string{line}, tail...)
			j--
		}
	}
	left := len(lines) - len(head) - len(tail)
	if len(head)+len(tail) == 0 { // one endless line
		return string([]rune(s)[:most/utf8.UTFMax]) + " …"
	}
	return strings.Join(append(append(head, fmt.Sprintf("… %d lines left out …", left)), tail...), "\n")
}

// Summary opens a fold and says what stands there while it is closed. The
// line is read as HTML, not as Markdown.
func Summary(name, rest string) string {
	return "<details><summary><code>" + html.EscapeString(Name(name)) + "</code>: " + html.EscapeString(rest) + "</summary>"
}
