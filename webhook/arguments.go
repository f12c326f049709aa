package webhook

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// Limits of what a person can write, far above what anybody needs: a command
// is kept in the store and shown on pages.
const (
	maxArgument = 1024 // bytes
	maxExtra    = 20
)

// arguments reads the words after the verb and returns what is wrong with
// them.
func (c *Command) arguments(words []string) (problem string) {
	set := map[string]bool{}
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if word == "--" {
			return first(c.check(), c.extra(words))
		}
		if strings.HasPrefix(word, "—") || strings.HasPrefix(word, "–") {
			return "The dash in " + quote(word) + " is a long one, as some keyboards write it: type `-` or `--`."
		}
		if !strings.HasPrefix(word, "-") {
			if _, ok := verbOf(word); ok && c.Verb == Help {
				continue // weir help plan
			}
			return "I do not know what " + quote(word) + " means here: a directory is written `-d DIR`, a project `-p PROJECT`."
		}
		name, value, found := splitFlag(word)
		long, known := flags[name]
		if !known {
			return "There is no option " + quote(name) + nearest(name, flagNames, ".")
		}
		if !found {
			if len(words) == 0 || words[0] == "--" {
				return "The option " + quote(name) + " needs a value."
			}
			value, words = words[0], words[1:]
		}
		if set[long] {
			return "The option " + quote(name) + " is there twice."
		}
		set[long] = true
		switch long {
		case "--dir":
			c.Dir, problem = cleanDir(value)
		case "--workspace":
			c.Workspace, problem = value, checkWorkspace(value)
		case "--project":
			c.Project, problem = value, checkProject(value)
		}
		if problem != "" {
			return problem
		}
	}
	return c.check()
}

func (c *Command) check() string {
	if c.Project != "" && (c.Dir != "" || c.Workspace != "") {
		return "A project has its directory and workspace: `-p` goes without `-d` and `-w`."
	}
	return ""
}

var flags = map[string]string{
	"-d": "--dir", "--dir": "--dir",
	"-w": "--workspace", "--workspace": "--workspace",
	"-p": "--project", "--project": "--project",
}

var flagNames = []string{"-d", "-w", "-p", "--dir", "--workspace", "--project"}

// splitFlag splits --dir=x, -d=x and -dx.
func splitFlag(word string) (name, value string, found bool) {
	if name, value, found = strings.Cut(word, "="); found && flags[name] != "" {
		return name, value, true
	}
	if len(word) > 2 && word[1] != '-' && flags[word[:2]] != "" && flags["-"+word] == "" {
		return word[:2], word[2:], true
	}
	return name, value, found
}

// cleanDir returns a directory of the repository in its one spelling, or why
// it is none.
func cleanDir(s string) (dir, problem string) {
	problem = first(
		checkText("directory", s),
		when(strings.Contains(s, `\`), "The directory "+quote(s)+" has a backslash in it: directories are written with `/`."),
		when(strings.HasPrefix(s, "/"), "The directory "+quote(s)+" is absolute: write it from the root of the repository."),
		when(slices.Contains(strings.Split(s, "/"), ".."), "The directory "+quote(s)+" has `..` in it: write it from the root of the repository."))
	if problem != "" {
		return "", problem
	}
	dir = path.Clean(s)
	for part := range strings.SplitSeq(dir, "/") {
		if strings.EqualFold(part, ".git") {
			return "", "The directory " + quote(s) + " is Git's own."
		}
	}
	return dir, when(strings.HasPrefix(dir, "-"), "The directory "+quote(s)+" begins with a dash.")
}

// checkWorkspace allows the characters that Terraform allows in the name of a
// workspace: those that need no escaping in the path of a URL.
func checkWorkspace(s string) string {
	return first(
		checkText("workspace", s),
		when(strings.HasPrefix(s, "-") || s == "." || s == ".." || strings.ContainsFunc(s, func(c rune) bool {
			return !alphanumeric(c) && !strings.ContainsRune("-_.~$&+=:@", c)
		}), "The workspace "+quote(s)+" has no name that Terraform allows."))
}

func checkProject(s string) string {
	return first(
		checkText("project", s),
		when(strings.HasPrefix(s, "-"), "The project "+quote(s)+" begins with a dash."))
}

func checkText(what, s string) string {
	return first(
		when(s == "", "The name of the "+what+" is empty."),
		when(len(s) > maxArgument, "The name of the "+what+" is too long."),
		when(!plain(s), "The "+what+" "+quote(s)+" has characters in it that cannot be printed."))
}

// plain says whether s is UTF-8 without control characters.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, isControl)
}

func isControl(c rune) bool {
	// The separators end a line in JavaScript and some terminals; the marks
	// make text read in another order than it stands.
	return c < ' ' || 0x7f <= c && c < 0xa0 || c == 0x2028 || c == 0x2029 ||
		0x202a <= c && c <= 0x202e || 0x2066 <= c && c <= 0x2069 || c == 0xfeff
}

func when(wrong bool, problem string) string {
	if wrong {
		return problem
	}
	return ""
}

// nearest returns the end of a sentence, with a suggestion if one is close.
func nearest(word string, from []string, end string) string {
	if match, ok := closest(word, from); ok {
		return ": did you mean `" + match + "`?"
	}
	return end
}

// closest returns the entry of from that differs least from word, if that is
// little enough to be a slip: two letters, and not more than half of them.
func closest(word string, from []string) (match string, ok bool) {
	best := 3
	if len(word) > maxArgument {
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

// quote shows a piece of what a person wrote so that it can neither notify
// anybody nor be anything but text in Markdown.
func quote(s string) string {
	s = strings.Map(func(c rune) rune {
		if c == '`' {
			return '\''
		}
		if c == utf8.RuneError || isControl(c) {
			return '·'
		}
		return c
	}, s)
	const limit = 60
	if utf8.RuneCountInString(s) > limit {
		s = string([]rune(s)[:limit]) + "…"
	}
	if s == "" {
		s = " "
	}
	return "`" + s + "`"
}

// splitWords splits a line as a shell would, without any expansion: single
// quotes keep everything, double quotes all but \" and \\, and outside of
// quotes a backslash keeps a quote, a space or a backslash as it is.
func splitWords(line string) (words []string, problem string) {
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

// shellQuote is the inverse of splitWords for one word.
func shellQuote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !alphanumeric(c) && !strings.ContainsRune("-_./=:@+,%~", c)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
