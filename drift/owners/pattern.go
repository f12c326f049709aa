package owners

import (
	"strings"
	"unicode/utf8"
)

// pattern is what a path must look like, a part between two slashes each:
// "**" stands for any number of parts, also none; in others "*" stands for any
// characters, "?" for one, and a backslash takes the meaning from the next.
type pattern []string

const anyParts = "**"

// cutPattern cuts the pattern off a line that does not begin with blanks, or
// says why there is none that counts. In the pattern a blank stands behind a
// backslash, and "#" stands for itself: gitignore knows comments only where a
// line begins.
func cutPattern(line string) (text, rest, problem string) {
	var b strings.Builder
	end, stars := len(line), 0
scan:
	for i := 0; i < len(line); i++ {
		c := line[i]
		if stars++; c != '*' {
			stars = 0
		}
		switch {
		case stars == 3:
			return "", "", "three asterisks in a row have no meaning"
		case blank(rune(c)):
			end = i
			break scan
		case c == '\\' && i+1 == len(line):
			return "", "", "nothing follows its last backslash"
		case c == '\\':
			i++
			if line[i] != '/' { // a slash is one, also escaped
				b.WriteByte(c)
			}
			b.WriteByte(line[i])
		case c == '[':
			return "", "", "CODEOWNERS has no character ranges (`[ ]`)"
		default:
			b.WriteByte(c)
		}
	}
	text = b.String()
	switch {
	case text[0] == '!':
		return "", "", "CODEOWNERS has no negation (`!`)"
	case strings.HasPrefix(text, `\#`):
		return "", "", "a pattern in CODEOWNERS cannot begin with `#`, not even behind a backslash"
	}
	return text, line[end:], ""
}

// compile turns a pattern as it is written into one of whole paths of files.
//
// By gitignore a slash at the beginning or in the middle ties the pattern to
// the root, otherwise it fits at any depth; one at the end means a directory,
// and what fits a directory fits everything in it. CODEOWNERS' own: "docs/*"
// fits no file that lies deeper. It says so of a last part that is "*" alone;
// of "docs/a*" it says nothing, so that is gitignore's.
func compile(text string) pattern {
	inner, directory := strings.CutSuffix(text, "/")
	tied := strings.Contains(inner, "/")
	parts := strings.Split(strings.TrimPrefix(inner, "/"), "/")
	var p pattern
	if !tied {
		p = append(p, anyParts)
	}
	for i, part := range parts {
		switch {
		case part != anyParts:
			p = append(p, part)
		case i == len(parts)-1: // everything in a directory, but not itself
			p = append(p, "*", anyParts)
		case len(p) == 0 || p[len(p)-1] != anyParts:
			p = append(p, anyParts)
		}
	}
	switch last := parts[len(parts)-1]; {
	case directory:
		p = append(p, "*", anyParts)
	case last != "*" && last != anyParts:
		p = append(p, anyParts)
	}
	return p
}

// match reports whether the pattern fits a path as a whole. It takes at most
// as many steps as the pattern's parts times the path's: after a "**" fitted,
// earlier ones need not be tried anew.
func (p pattern) match(path []string) bool {
	at, in := 0, 0          // next part of the pattern, of the path
	again, skipped := -1, 0 // behind the last "**", and what it stands for so far
	for in < len(path) {
		switch {
		case at < len(p) && p[at] == anyParts:
			at++
			again, skipped = at, in
		case at < len(p) && fits(p[at], path[in]):
			at, in = at+1, in+1
		case again >= 0:
			skipped++
			at, in = again, skipped
		default:
			return false
		}
	}
	for at < len(p) && p[at] == anyParts {
		at++
	}
	return at == len(p)
}

// fits reports whether one part of a pattern fits one of a path, in the same
// manner. A part of a path is never empty.
func fits(part, name string) bool {
	at, in := 0, 0
	again, skipped := -1, 0
	for in < len(name) {
		c := byte(0)
		if at < len(part) {
			c = part[at]
		}
		switch {
		case at < len(part) && c == '*':
			at++
			again, skipped = at, in
			continue
		case at < len(part) && c == '?':
			_, n := utf8.DecodeRuneInString(name[in:])
			at, in = at+1, in+n
			continue
		case at < len(part):
			n := 1
			if c == '\\' { // never the last: cutPattern
				c, n = part[at+1], 2
			}
			if c == name[in] {
				at, in = at+n, in+1
				continue
			}
		}
		if again < 0 {
			return false
		}
		_, n := utf8.DecodeRuneInString(name[skipped:])
		skipped += n
		at, in = again, skipped
	}
	for at < len(part) && part[at] == '*' {
		at++
	}
	return at == len(part) && part != ""
}
