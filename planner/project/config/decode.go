package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on weir.yaml. The YAML parser takes quadratic time and deep recursion
// on nested input, and what it reads comes from pull requests.
const (
	maxConfigSize  = 256 << 10
	maxConfigLine  = 4 << 10
	maxConfigDepth = 16
	maxConfigNodes = 100_000 // after aliases are expanded
	maxErrors      = 20
)

// Parse reads weir.yaml. file is its name for error messages. No data, or only
// comments, is the default configuration. Otherwise the reading is strict, and
// the error is a Errors with every mistake that could be found.
func Parse(file string, data []byte) (cfg *Config, err error) {
	d := &decoder{cfg: &Config{file: file, where: map[string]position{}}, anchors: map[string]ast.Node{}}
	defer func() {
		if r := recover(); r != nil { // the parser panics on some malformed input
			cfg, err = nil, Errors{{File: file, Line: 1, Column: 1, Message: "is not valid YAML"}}
		}
	}()
	if root := d.parse(data); root != nil {
		d.value(root, reflect.ValueOf(d.cfg).Elem(), "", nil)
		d.check()
	}
	if len(d.errs) > 0 {
		slices.SortStableFunc(d.errs, func(a, b *Error) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
		return nil, d.errs[:min(len(d.errs), maxErrors)]
	}
	d.cfg.defaults()
	return d.cfg, nil
}

func (c *Config) defaults() {
	c.Version = 1
	if c.Apply == "" {
		c.Apply = "approval"
	}
	if c.Automerge == "" {
		c.Automerge = "off"
	}
}

type decoder struct {
	cfg     *Config
	errs    Errors
	anchors map[string]ast.Node
	nodes   int
}

func (d *decoder) fail(at position, hint, format string, args ...any) {
	d.errs = append(d.errs, &Error{
		File: d.cfg.file, Line: max(at.line, 1), Column: max(at.column, 1), Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// parse returns the document, or nil where there is none or it is broken.
func (d *decoder) parse(data []byte) ast.Node {
	start := position{1, 1}
	if len(data) > maxConfigSize {
		d.fail(start, "", "is larger than %d KiB", maxConfigSize>>10)
		return nil
	}
	if !utf8.Valid(data) || strings.ContainsRune(string(data), 0) {
		d.fail(start, "", "is not UTF-8 text")
		return nil
	}
	// The parser counts a Windows line end twice where a comment stands before it.
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	line := 0
	for text := range strings.Lines(string(data)) {
		if line++; len(text) > maxConfigLine {
			d.fail(position{line, 1}, "", "has a line longer than %d bytes", maxConfigLine)
			return nil
		}
	}
	if at, deep := nesting(string(data)); deep {
		d.fail(at, "", "is nested too deeply")
		return nil
	}
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at, message := start, "is not valid YAML"
		if y := yaml.Error(nil); errors.As(err, &y) {
			message = y.GetMessage()
			if tk := y.GetToken(); tk != nil {
				at = position{tk.Position.Line, tk.Position.Column}
			}
		}
		hint := ""
		if strings.Contains(message, "\t") {
			message, hint = "has a tab where YAML allows none", "indent with spaces"
		}
		d.fail(at, hint, "%s", message)
		return nil
	}
	var root ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case root == nil:
			root = doc.Body
		default:
			d.fail(place(doc.Body), "", "there is a second document; one file holds one")
		}
	}
	return root
}

// nesting finds collections that are nested more deeply than any weir.yaml.
func nesting(text string) (position, bool) {
	flow, line, entries := 0, 0, 0
	for _, tk := range lexer.Tokenize(text) {
		if tk.Position.Line != line {
			line, entries = tk.Position.Line, 0
		}
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType, token.DirectiveType:
			entries++
		}
		if flow > maxConfigDepth || entries > maxConfigDepth {
			return position{tk.Position.Line, tk.Position.Column}, true
		}
	}
	return position{}, false
}

// place returns where a node begins.
func place(n ast.Node) position {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		n = m.Values[0].Key
	}
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		return position{tk.Position.Line, tk.Position.Column}
	}
	return position{1, 1}
}

// value reads a node into v, whose rules are those of its field.
func (d *decoder) value(n ast.Node, v reflect.Value, path string, rules rules) {
	at := place(n)
	if _, ok := d.cfg.where[path]; !ok {
		d.cfg.where[path] = at
	}
	if d.nodes++; d.nodes > maxConfigNodes {
		if d.nodes == maxConfigNodes+1 {
			d.fail(at, "", "holds too much")
		}
		return
	}
	switch x := n.(type) {
	case *ast.AnchorNode:
		d.value(x.Value, v, path, rules)
		d.anchors[x.Name.GetToken().Value] = x.Value
		return
	case *ast.AliasNode:
		name := x.Value.GetToken().Value
		if to, ok := d.anchors[name]; ok {
			d.value(to, v, path, rules)
		} else {
			d.fail(at, "", "%s is not defined before this line", short("*"+name))
		}
		return
	case *ast.TagNode:
		d.fail(at, "leave it out", "YAML tags such as %s are not used here", short(x.Start.Value))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path, rules)
	case reflect.Struct:
		if b, ok := n.(*ast.BoolNode); ok && v.Type() == reflect.TypeFor[Autoplan]() {
			v.Set(reflect.ValueOf(Autoplan{Enabled: &b.Value}))
			return
		}
		d.mapping(n, v, path, rules)
	case reflect.Slice:
		list, ok := n.(*ast.SequenceNode)
		if !ok {
			d.wrong(n, path, "a list", "write it as [ … ], or each entry on a line of its own after a hyphen")
			return
		}
		if len(list.Values) < rules.number("minItems", 0) {
			d.fail(at, "leave the key out", "%s is an empty list", path)
		}
		v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
		for i, item := range list.Values {
			d.value(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i), rules)
		}
	default:
		d.scalar(n, v, path, rules)
	}
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, path string, of rules) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		d.wrong(n, path, "a mapping of keys to values", "")
		return
	}
	fields, keys := map[string]int{}, []string{}
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "" {
			fields[name] = i
			keys = append(keys, name)
		}
	}
	seen := map[string]position{}
	for _, pair := range m.Values {
		at := place(pair.Key)
		if _, ok := pair.Key.(*ast.MergeKeyNode); ok {
			d.fail(at, "write the keys out", "merge keys (<<) are not used here")
			continue
		}
		key := pair.Key.GetToken().Value
		i, known := fields[key]
		if first, again := seen[key]; again {
			d.fail(at, "", "%s is given twice, first on line %d", join(path, key), first.line)
			continue
		}
		seen[key] = at
		if !known {
			d.fail(at, cmp.Or(nearest(key, keys), "keys here: "+strings.Join(keys, ", ")), "%s is not a key of weir.yaml", join(path, key))
			continue
		}
		d.value(pair.Value, v.Field(i), join(path, key), rulesOf(v.Type().Field(i)))
	}
	if len(m.Values) < of.number("minProperties", 0) {
		d.fail(place(n), "give at least one of "+strings.Join(keys, ", "), "%s is empty", path)
	}
	for _, key := range keys {
		field := v.Type().Field(fields[key])
		if _, ok := seen[key]; !ok && slices.Contains(rulesOf(field)["required"], "") {
			hint := ""
			if key == "version" {
				hint = "begin with version: 1"
			}
			d.fail(place(n), hint, "%s is missing", join(path, key))
		}
	}
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, path string, rules rules) {
	at := place(n)
	var text string
	switch v.Kind() {
	case reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			d.wrong(n, path, "true or false", "")
			return
		}
		v.SetBool(b.Value)
		return
	case reflect.Int:
		i, ok := n.(*ast.IntegerNode)
		number, err := strconv.Atoi(fmt.Sprint(n.GetToken().Value))
		if !ok || err != nil {
			d.wrong(n, path, "a whole number", "")
			return
		}
		if least, most := rules.number("minimum", number), rules.number("maximum", number); number < least || number > most {
			d.fail(at, fmt.Sprintf("from %d to %d", least, most), "%s is %d", path, number)
			return
		}
		v.SetInt(int64(number))
		text = i.GetToken().Value
	case reflect.String:
		switch x := n.(type) {
		case *ast.StringNode:
			text = x.Value
		case *ast.LiteralNode:
			text = x.Value.Value
		default:
			d.wrong(n, path, "text", fmt.Sprintf("put it in quotes: %q", n.GetToken().Value))
			return
		}
		v.SetString(text)
	}
	if enum := rules["enum"]; enum != nil && !slices.Contains(enum, text) {
		d.fail(at, nearest(text, enum), "%s is %s, which is none of %s", path, short(text), strings.Join(enum, ", "))
	}
	if pattern := rules["pattern"]; pattern != nil && !regexp.MustCompile(pattern[0]).MatchString(text) {
		d.fail(at, "it "+rules["says"][0], "%s %s is not valid", path, short(text))
	}
	if length := utf8.RuneCountInString(text); length < rules.number("minLength", 0) {
		d.fail(at, "", "%s is empty", path)
	} else if most := rules.number("maxLength", length); length > most {
		d.fail(at, "", "%s is longer than %d characters", path, most)
	}
}

// wrong reports a node of the wrong kind.
func (d *decoder) wrong(n ast.Node, path, want, hint string) {
	if path == "" {
		path = "the file"
	}
	if _, ok := n.(*ast.NullNode); ok {
		d.fail(place(n), "remove the key or give it a value", "%s is empty", path)
		return
	}
	d.fail(place(n), hint, "%s is not %s", path, want)
}

// rules are the keywords of a jsonschema tag that Parse enforces too.
type rules map[string][]string

func rulesOf(field reflect.StructField) rules {
	r := rules{"says": {field.Tag.Get("says")}}
	for part := range strings.SplitSeq(field.Tag.Get("jsonschema"), ",") {
		name, value, _ := strings.Cut(part, "=")
		r[name] = append(r[name], value)
	}
	return r
}

func (r rules) number(name string, without int) int {
	if r[name] == nil {
		return without
	}
	n, err := strconv.Atoi(r[name][0])
	if err != nil {
		panic(fmt.Sprintf("%s of a jsonschema tag: %v", name, err))
	}
	return n
}

// plain is what a key looks like that can stand in a message as it is.
var plain = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,60}$`)

func join(path, key string) string {
	if !plain.MatchString(key) {
		key = short(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// nearest suggests one of names for what somebody wrote, or nothing.
func nearest(wrote string, names []string) string {
	best, distance := "", 3
	for _, name := range names {
		if d := levenshtein.ComputeDistance(strings.ToLower(short(wrote)), strconv.Quote(name)); d < distance {
			best, distance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "?"
}

// short quotes text for a message, cut to a length that one can read.
func short(text string) string {
	if r := []rune(text); len(r) > 60 {
		text = string(r[:60]) + "…"
	}
	return strconv.Quote(text)
}
