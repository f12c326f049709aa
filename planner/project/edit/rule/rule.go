// Package rule adds ignore rules of drift to weir.yaml, and leaves every other
// byte of it as it is.
package rule

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"weir/planner/project/config"
)

// ByHandError says that weir.yaml is written in a way that Accept does not
// change, and what a person can write instead.
type ByHandError struct {
	Line int    // in weir.yaml
	Why  string // a sentence without its full stop
	Add  string // the lines to add, in YAML
}

// Error returns all of it, for people.
func (e *ByHandError) Error() string {
	return fmt.Sprintf("%s:%d: %s. To add by hand:\n\n%s", config.File, e.Line, e.Why, e.Add)
}

// Accept returns weir.yaml with ignore rules added, so that they count for
// projects in dir and for no other directory. data is the file, or nil where
// there is none.
//
//   - Where the first drift rule that fits dir is for dir alone, they come last
//     in its ignore list.
//   - Where it is for other directories too, a rule for dir alone is put before
//     it, with all else that it says: an address such as aws_iam_role.ci is
//     often found in many directories, and what was accepted in one of them
//     must be told in the others.
//   - Where no rule fits, a rule for dir comes last.
//
// The result is data with lines put in, in the indentation and line ends of
// the file. It was read again and says the same as before but for what was
// added. Rules that count for dir already are not added again; without any
// left, data itself is returned. Changing data is up to the caller; it is not
// changed here.
//
// A weir.yaml with mistakes is answered with its config.Errors, and what
// cannot be added safely, such as to a list in brackets, with a *ByHandError.
// All else, such as an ignore rule without a reason, is an error that names it.
func Accept(data []byte, dir string, rules []config.IgnoreRule) ([]byte, error) {
	clean, err := config.CleanDir(dir)
	if err != nil {
		return nil, fmt.Errorf("accept drift in %q: the directory %w", dir, err)
	}
	before, err := config.Parse(config.File, data)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(before.Drift, func(r config.DriftRule) bool { return r.Fits(clean) })
	fresh := config.DriftRule{Dirs: []string{only(clean)}}
	if at >= 0 {
		fresh = before.Drift[at]
	}
	known := len(fresh.Ignore)
	fresh.Ignore = slices.Clip(fresh.Ignore)
	for _, r := range rules {
		if r.Attribute == "" {
			r.Attribute = "*"
		}
		if !slices.Contains(fresh.Ignore, r) {
			fresh.Ignore = append(fresh.Ignore, r)
		}
	}
	added := fresh.Ignore[known:]
	if len(added) == 0 {
		return data, nil
	}
	if err := valid(clean, added); err != nil {
		return nil, fmt.Errorf("accept drift in %q: %w", dir, err)
	}

	alone := at >= 0 && isOnly(fresh.Dirs, clean)
	if at >= 0 && !alone {
		fresh.Dirs = []string{only(clean)}
	}
	want := *before
	want.Drift = slices.Clone(before.Drift)
	f := read(data)
	var change insertion
	switch {
	case alone:
		want.Drift[at] = fresh
		change, err = f.addIgnore(at, added)
	case at >= 0:
		want.Drift = slices.Insert(want.Drift, at, fresh)
		change, err = f.addRule(at, fresh)
	default:
		want.Drift = append(want.Drift, fresh)
		change, err = f.addRule(len(before.Drift), fresh)
	}
	if err != nil {
		return nil, err
	}
	result := f.insert(change)
	after, err := config.Parse(config.File, result)
	if err != nil || !same(after, &want) {
		// Anchors, keys with a question mark, scalars that keep blank lines:
		// rare, and not worth more than finding that they are there.
		return nil, f.byHand(change.line, "it is written in a way that cannot be changed safely here", change.lines)
	}
	return result, nil
}

// only is the pattern that matches dir and nothing else. Patterns of weir.yaml
// have no backslash, so characters with a meaning stand in classes; ] has none without a [.
func only(dir string) string {
	text := strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]", "{", "[{]", "}", "[}]").Replace(dir)
	if rest, ok := strings.CutPrefix(text, "!"); ok { // [!] would be a class of all others
		text = "{!}" + rest
	}
	return text
}

// isOnly reports whether patterns that match dir match nothing else.
func isOnly(patterns []string, dir string) bool {
	return !slices.ContainsFunc(patterns, func(p string) bool {
		return p != only(dir) && (p != dir || strings.ContainsAny(p, "*?[]{}"))
	})
}

// valid verifies ignore rules, as Parse would, before a file is blamed for
// them.
func valid(dir string, rules []config.IgnoreRule) error {
	for _, r := range rules {
		for _, text := range []string{r.Address, r.Attribute, r.Owner, r.Reason, r.Until} {
			if !utf8.ValidString(text) {
				return fmt.Errorf("the ignore rule of %q is not UTF-8 text", r.Address)
			}
		}
		rule := config.DriftRule{Dirs: []string{only(dir)}, Ignore: []config.IgnoreRule{r}}
		text := "version: 1\ndrift:\n" + strings.Join(style{}.rule(rule, 0), "\n") + "\n"
		got, err := config.Parse(config.File, []byte(text))
		if wrong := config.Errors(nil); errors.As(err, &wrong) {
			return fmt.Errorf("the ignore rule of %q: %s", r.Address, wrong[0].Message)
		}
		if err != nil || !reflect.DeepEqual(got.Drift, []config.DriftRule{rule}) {
			return fmt.Errorf("the ignore rule of %q cannot be written in %s", r.Address, config.File)
		}
	}
	return nil
}

// same reports whether two configurations say the same. Where it stands in
// the file does not count.
func same(a, b *config.Config) bool {
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range x.NumField() {
		if x.Type().Field(i).IsExported() && !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			return false
		}
	}
	return true
}
