// Package owners says who owns a project's directory, by the CODEOWNERS file
// of its repository. It reads nothing and asks nobody.
//
// The rules are those of GitHub's documentation, page "About code owners",
// which refers to Git's, page "gitignore", for patterns. What neither page
// says is said here.
//
// # The owners of a directory
//
// CODEOWNERS gives owners to files, a project is a directory. Its owners are
// those of the file main.tf directly in it, whether or not there is one: those
// whom GitHub would ask to review a change of it. So one line decides, as for
// every file:
//
//   - "*.tf", "/envs/prod/", "/envs/prod/*", "/envs/prod/*.tf", "envs/**/" and
//     "prod" count for envs/prod, the last of them that stands in the file;
//   - "/envs/*" and "/envs/*.tf" do not: they are about files in envs;
//   - "/envs/prod/network.tf" and "*.tfvars" do not: the owners of one file, or
//     of files beside the code, are not those of the project, and an issue for
//     each of them would be for too many;
//   - "/envs/prod/main.tf" does: it is where a project begins.
package owners

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// MaxSize is how many bytes a file may have. GitHub does not load one that is
// not "under 3 MB", without saying which MB it means.
const MaxSize = 3 << 20

// maxProblems is how many problems are told one by one.
const maxProblems = 20

// Paths returns where GitHub looks for the file in a branch, in its order. The
// first that exists counts, also when it is empty or too large.
func Paths() []string { return []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"} }

// Owners own a directory. Whether they exist and may see the repository is not
// known here. Each stands there once, in the order of the file, spelled as
// there; case makes no difference.
type Owners struct {
	Users []string // logins, without @
	Teams []string // ORGANIZATION/TEAM
}

// Rules are the lines of a CODEOWNERS file. The zero value has none: nobody
// owns anything.
type Rules struct {
	// Problems are sentences for people, one for each line that is skipped,
	// or for the file; beyond twenty the last one counts the rest.
	Problems []string

	rules []rule // in the order of the file
}

// rule is one line that counts. Without owners it takes files away from the
// owners of earlier lines.
type rule struct {
	pattern pattern
	owners  Owners
}

// Read reads the file that counts, given what stands under each of Paths; one
// that does not exist has no entry. Other entries are ignored.
//
// A line that GitHub documents as not supported or cannot read is skipped, as
// by GitHub: patterns that begin with "!" or "\#", character ranges, and lines
// of which one owner is neither @USER, @ORGANIZATION/TEAM nor an e-mail
// address. "***" is skipped too: it is the invalid pattern in the documentation
// of REST's "List CODEOWNERS errors". Addresses are owners of whom weir does
// not know the login; they are left out.
func Read(files map[string][]byte) Rules {
	for _, name := range Paths() {
		text, exists := files[name]
		switch {
		case !exists:
		case len(text) >= MaxSize:
			return Rules{Problems: []string{fmt.Sprintf("`%s` is not read: GitHub reads no CODEOWNERS file of 3 MB or more.", name)}}
		default:
			return read(name, text)
		}
	}
	return Rules{}
}

func read(name string, text []byte) Rules {
	var r Rules
	skipped := 0
	text = bytes.TrimPrefix(text, []byte("\uFEFF")) // as Git does with .gitignore
	number := 0
	for line := range bytes.Lines(text) {
		number++
		one, found, problem := parse(string(bytes.TrimRight(line, "\r\n")))
		switch {
		case problem != "":
			if skipped++; skipped <= maxProblems {
				r.Problems = append(r.Problems, fmt.Sprintf("Line %d of `%s` is skipped: %s.", number, name, problem))
			}
		case found:
			r.rules = append(r.rules, one)
		}
	}
	if more := skipped - maxProblems; more > 0 {
		r.Problems = append(r.Problems, fmt.Sprintf("%d more lines of `%s` are skipped.", more, name))
	}
	return r
}

// Of returns the owners of a directory, a clean path with slashes from the
// repository's root; "." and "" are the root. The last line that matches
// counts, also when it names nobody.
func (r Rules) Of(dir string) Owners {
	file := strings.Split(strings.TrimPrefix(path.Join(dir, "main.tf"), "/"), "/")
	for i := len(r.rules) - 1; i >= 0; i-- {
		if r.rules[i].pattern.match(file) {
			return r.rules[i].owners.clone()
		}
	}
	return Owners{}
}

// parse reads one line. found is false where there is none to read, or a
// problem: a part of a sentence about why the line is skipped.
func parse(line string) (r rule, found bool, problem string) {
	line = strings.TrimLeft(line, " \t")
	if line == "" || line[0] == '#' {
		return rule{}, false, ""
	}
	text, rest, problem := cutPattern(line)
	if problem != "" {
		return rule{}, false, problem
	}
	rest, _, _ = strings.Cut(rest, "#") // an inline comment; no name has one in it
	for _, owner := range strings.FieldsFunc(rest, blank) {
		if !r.owners.add(owner) {
			return rule{}, false, fmt.Sprintf("%s is neither @USER, @ORGANIZATION/TEAM nor an e-mail address", quote(owner))
		}
	}
	r.pattern = compile(text)
	return r, true, ""
}

func blank(r rune) bool { return r == ' ' || r == '\t' }

// quote shows what somebody wrote, shortened, within backquotes.
func quote(s string) string {
	const most = 40
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == '`' || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s[:min(len(s), 4*most)])
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return "`" + s + "`"
}

// add adds an owner as it is written, and reports whether it is one.
func (o *Owners) add(written string) bool {
	name, at := strings.CutPrefix(written, "@")
	org, team, isTeam := strings.Cut(name, "/")
	switch {
	case !at:
		user, host, ok := strings.Cut(written, "@")
		return ok && user != "" && host != "" && !strings.Contains(host, "@")
	case isTeam:
		if !isName(org) || !isName(team) {
			return false
		}
		o.Teams = once(o.Teams, name)
	default:
		if !isName(name) {
			return false
		}
		o.Users = once(o.Users, name)
	}
	return true
}

// isName reports whether s can be a login, an organization or a team's short
// name: letters, digits, hyphens, and underscores as in the logins of managed
// users.
func isName(s string) bool {
	for _, c := range []byte(s) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != "" && len(s) <= 100
}

func once(names []string, name string) []string {
	// More than a few are nobody's intention, and comparing all with all of
	// a file that is one line takes long.
	const most = 100
	if len(names) == most {
		return names
	}
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return names
		}
	}
	return append(names, name)
}

func (o Owners) clone() Owners {
	return Owners{Users: append([]string(nil), o.Users...), Teams: append([]string(nil), o.Teams...)}
}
