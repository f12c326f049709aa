package config

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
)

// checkName refuses what no path in a repository may look like.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("is empty")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || !unicode.IsPrint(r) }):
		return errors.New("has a character that cannot be printed")
	case strings.Contains(name, `\`):
		return errors.New(`has a backslash; write / between directories`)
	case strings.HasPrefix(name, "/") || len(name) > 1 && name[1] == ':' && unicode.IsLetter(rune(name[0])):
		return errors.New("is absolute; write it relative")
	}
	return nil
}

// CleanDir returns the one form of a directory relative to the repository's
// root. It refuses what is outside of the repository, and the inner
// directories of Git and Terraform.
func CleanDir(dir string) (string, error) {
	if err := checkName(dir); err != nil {
		return "", err
	}
	dir = path.Clean(dir)
	if dir == ".." || strings.HasPrefix(dir, "../") {
		return "", errors.New("leaves the repository")
	}
	for part := range strings.SplitSeq(dir, "/") {
		if strings.EqualFold(part, ".git") || part == ".terraform" {
			return "", fmt.Errorf("is inside of %s", part)
		}
	}
	return dir, nil
}

// Pattern is one entry of when_modified.
type Pattern struct {
	Not  bool   // takes away what it matches
	glob string // from the repository's root
}

// Matches reports whether the pattern fits a file, named from the
// repository's root.
func (p Pattern) Matches(file string) bool {
	ok, err := doublestar.Match(p.glob, file)
	return ok && err == nil // a broken pattern was refused by NewPattern
}

// NewPattern reads an entry of when_modified of a project in dir.
func NewPattern(dir, text string) (Pattern, error) {
	rest, not := strings.CutPrefix(text, "!")
	parts := strings.Split(dir, "/")
	if dir == "." {
		parts = nil
	}
	for {
		var up bool
		rest = strings.TrimPrefix(rest, "./")
		if rest, up = strings.CutPrefix(rest, "../"); !up {
			break
		}
		if len(parts) == 0 {
			return Pattern{}, errors.New("leaves the repository")
		}
		parts = parts[:len(parts)-1]
	}
	if err := checkGlob(rest); err != nil {
		return Pattern{}, err
	}
	for i, part := range parts {
		parts[i] = escapeGlob.Replace(part)
	}
	return Pattern{not, strings.Join(append(parts, rest), "/")}, nil
}

var escapeGlob = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`)

// checkGlob accepts a doublestar pattern. Alternatives are bounded, because
// each { multiplies the work of matching.
func checkGlob(glob string) error {
	if err := checkName(glob); err != nil {
		return err
	}
	for part := range strings.FieldsFuncSeq(glob, func(r rune) bool { return strings.ContainsRune("/{,}", r) }) {
		if part == ".." {
			return errors.New("has .. after its beginning")
		}
	}
	if strings.Count(glob, "{") > 3 || strings.Count(glob, ",") > 30 || strings.Count(glob, "**") > 4 || len(glob) > 500 {
		return errors.New("is too long or has too many alternatives")
	}
	if !doublestar.ValidatePattern(glob) {
		return errors.New("is not a pattern that can be understood")
	}
	return nil
}
