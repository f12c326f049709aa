package webhook

import (
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"weir/webhook/text"
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
	if c.Verb == Drift {
		if words, problem = c.drift(words); problem != "" {
			return problem
		}
	}
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
		if c.Drift != nil && word == "#" {
			break // the issue shows each command with a remark behind it
		}
		if c.Drift != nil && !strings.HasPrefix(word, "-") {
			if problem := c.Drift.add(word); problem != "" {
				return problem
			}
			continue
		}
		if !strings.HasPrefix(word, "-") {
			if _, ok := verbOf(word); ok && c.Verb == Help {
				continue // weir help plan
			}
			return "I do not know what " + quote(word) + " means here: a directory is written `-d DIR`, a project `-p PROJECT`."
		}
		name, value, found := splitFlag(word)
		long, known := flags[name]
		if !known || !slices.Contains(c.flagNames(), long) {
			return "There is no option " + quote(name) + nearest(name, c.flagNames(), ".")
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
		default:
			problem = c.Drift.set(long, value)
		}
		if problem != "" {
			return problem
		}
	}
	return c.check()
}

func (c *Command) check() string {
	if c.Drift != nil {
		if problem := c.Drift.check(); problem != "" {
			return problem
		}
	}
	if c.Project != "" && (c.Dir != "" || c.Workspace != "") {
		return "A project has its directory and workspace: `-p` goes without `-d` and `-w`."
	}
	return ""
}

var flags = map[string]string{
	"-d": "--dir", "--dir": "--dir",
	"-w": "--workspace", "--workspace": "--workspace",
	"-p": "--project", "--project": "--project",
	"--owner": "--owner", "--reason": "--reason", "--until": "--until",
}

var (
	flagNames   = []string{"-d", "-w", "-p", "--dir", "--workspace", "--project"}
	acceptFlags = []string{"--owner", "--reason", "--until"} // of drift accept
)

// flagNames are the options that a command may have.
func (c *Command) flagNames() []string {
	if c.Drift != nil && c.Drift.Verb == DriftAccept {
		return append(acceptFlags[:len(acceptFlags):len(acceptFlags)], flagNames...)
	}
	return flagNames
}

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
	if match, ok := text.Closest(word, from); ok {
		return ": did you mean `" + match + "`?"
	}
	return end
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
