package text

import (
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"
)

// maxWord is the longest word, in bytes, that is looked for a slip in.
const maxWord = 1024

// Words splits a line as a shell would, without any expansion: single
// quotes keep everything, double quotes all but \" and \\, and outside of
// quotes a backslash keeps a quote, a space or a backslash as it is.
func Words(line string) (words []string, problem string) {
	var (
		word    strings.Builder
		started bool
		quoted  byte
	)
	for i := 0; i < len(line); i++ {
		c := line[i]
		next := byte(0)
		if i+1 < len(line) {
			next = line[i+1]
		}
		switch {
		case quoted == 0 && (c == ' ' || c == '\t'):
			if started {
				words = append(words, word.String())
				word.Reset()
				started = false
			}
			continue
		case quoted == 0 && (c == '\'' || c == '"'):
			quoted = c
		case quoted != 0 && c == quoted:
			quoted = 0
		case quoted == 0 && c == '\\' && next != 0 && strings.IndexByte(`"'\ `, next) >= 0,
			quoted == '"' && c == '\\' && (next == '"' || next == '\\'):
			word.WriteByte(next)
			i++
		default:
			word.WriteByte(c)
		}
		started = true
	}
	if quoted != 0 {
		return nil, "A quote (" + strconv.QuoteRune(rune(quoted)) + ") is never closed."
	}
	if started {
		words = append(words, word.String())
	}
	return words, ""
}

// Quote is the inverse of Words for one word.
func Quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !strings.ContainsRune("-_./=:@+,%~", c) && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Closest returns the entry of from that differs least from word, if that is
// little enough to be a slip: two letters, and not more than half of them.
func Closest(word string, from []string) (match string, ok bool) {
	best := 3
	if len(word) > maxWord {
		return "", false
	}
	for _, candidate := range from {
		d := levenshtein.ComputeDistance(strings.ToLower(word), candidate)
		if d < best && 2*d <= len(candidate) && len(candidate) > 2 {
			best, match, ok = d, candidate, true
		}
	}
	return match, ok
}
