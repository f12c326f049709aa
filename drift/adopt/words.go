package adopt

import (
	"strings"
	"unicode"
)

// gap is put where two characters would mean something to GitHub: a zero-width
// space, which nobody sees.
const gap = "\u200b"

// Code shows a name, whatever it holds, as code within a line.
func Code(s string) string {
	s = strings.TrimSpace(visible(s, " "))
	if s == "" {
		return "(empty)"
	}
	ticks := strings.Repeat("`", ticks(s)+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " " // which Markdown takes away again
	}
	return ticks + s + ticks
}

// Fence shows a text, whatever it holds, as a block of code of a language.
func Fence(language, s string) string {
	fence := strings.Repeat("`", max(3, ticks(s)+1))
	return fence + language + "\n" + strings.Trim(visible(s, "\n"), "\n") + "\n" + fence
}

// ticks is the length of the longest run of backquotes.
func ticks(s string) int {
	longest, run := 0, 0
	for _, r := range s {
		if r == '`' {
			run++
			longest = max(longest, run)
			continue
		}
		run = 0
	}
	return longest
}

// sentence shows what was said of code as words of a line: nothing in it is
// markup, and nobody is mentioned.
func sentence(s string) string {
	var b strings.Builder
	runes := []rune(visible(s, " "))
	for i, r := range runes {
		next := ' '
		if i+1 < len(runes) {
			next = runes[i+1]
		}
		switch {
		case strings.ContainsRune("\\`*[]<>&|~$", r), r == '_' && !letter(next):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		if (r == '@' || r == '#' || r == ':') && next != ' ' {
			b.WriteString(gap)
		}
	}
	return b.String()
}

func letter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// visible leaves out what a reader cannot see; lines end as given.
func visible(s, eol string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return rune(eol[0])
		case r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}
