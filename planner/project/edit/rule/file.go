package rule

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"weir/planner/project/config"
)

// file is a weir.yaml that config.Parse accepts, by its lines.
type file struct {
	lines []string // with their ends
	end   string   // of lines
	root  ast.Node // nil where there is none
	style style
}

// insertion is lines to be put before the line with an index.
type insertion struct {
	line  int
	lines []string
}

func read(data []byte) *file {
	text := string(data)
	f := &file{end: "\n"}
	for text != "" { // a carriage return alone is a line end too
		n := strings.IndexAny(text, "\r\n") + 1
		switch {
		case n == 0:
			n = len(text)
		case strings.HasPrefix(text[n-1:], "\r\n"):
			n++
		}
		f.lines = append(f.lines, text[:n])
		text = text[n:]
	}
	clean := make([]string, len(f.lines))
	for i, line := range f.lines {
		body := strings.TrimRight(line, "\r\n")
		if i == 0 && body != line {
			f.end = line[len(body):]
		}
		clean[i] = body + "\n"
	}
	if tree, err := parser.ParseBytes([]byte(strings.Join(clean, "")), 0, parser.AllowDuplicateMapKey()); err == nil {
		for _, doc := range tree.Docs {
			if doc.Body != nil {
				f.root = doc.Body
				break
			}
		}
	}
	f.style = f.styleOf()
	return f
}

// bare returns a node without its anchor.
func bare(n ast.Node) ast.Node {
	if a, ok := n.(*ast.AnchorNode); ok {
		return a.Value
	}
	return n
}

// mapping returns the pairs of a mapping in a block, or nil.
func mapping(n ast.Node) []*ast.MappingValueNode {
	if m, ok := bare(n).(*ast.MappingNode); ok && !m.IsFlowStyle {
		return m.Values
	}
	return nil
}

// find returns the pair with a key, or nil.
func find(pairs []*ast.MappingValueNode, key string) *ast.MappingValueNode {
	i := slices.IndexFunc(pairs, func(p *ast.MappingValueNode) bool { return p.Key.GetToken().Value == key })
	if i < 0 {
		return nil
	}
	return pairs[i]
}

// place returns the index of the line that a node begins in, and the columns
// before it.
func place(n ast.Node) (line, indent int) {
	at := n.GetToken().Position
	return at.Line - 1, at.Column - 1
}

// list is a list with each entry on lines of its own.
type list struct {
	indent  int   // columns before its hyphens
	entries []int // indexes of the lines that they begin in
	values  []ast.Node
}

// block returns the list that a pair has, or false where it is in brackets or
// stands elsewhere.
func (f *file) block(pair *ast.MappingValueNode) (list, bool) {
	n, ok := bare(pair.Value).(*ast.SequenceNode)
	if !ok || n.IsFlowStyle || len(n.Entries) == 0 {
		return list{}, false
	}
	l := list{values: n.Values, indent: n.Entries[0].Start.Position.Column - 1}
	for _, entry := range n.Entries {
		line := entry.Start.Position.Line - 1
		if line >= len(f.lines) || indentOf(f.lines[line]) != l.indent || !strings.HasPrefix(f.lines[line][l.indent:], "-") {
			return list{}, false // something else stands before the hyphen
		}
		l.entries = append(l.entries, line)
	}
	return l, true
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func blank(line string) bool { return strings.TrimSpace(line) == "" }

// after returns the index of the line after an entry that begins in a line with
// indent columns before it. A comment further in belongs to the entry.
func (f *file) after(line, indent int) int {
	end := line + 1
	for i, text := range f.lines[end:] {
		switch {
		case blank(text):
		case indentOf(text) > indent:
			end = line + 2 + i
		case !strings.HasPrefix(strings.TrimLeft(text, " \t"), "#"):
			return end
		}
	}
	return end
}

// styleOf looks at the lists that are there; that of drift before others.
func (f *file) styleOf() style {
	s := style{list: 2}
	pairs := slices.Clone(mapping(f.root))
	slices.SortStableFunc(pairs, func(a, b *ast.MappingValueNode) int {
		if a.Key.GetToken().Value == "drift" {
			return -1
		}
		if b.Key.GetToken().Value == "drift" {
			return 1
		}
		return 0
	})
	for _, pair := range pairs {
		l, ok := f.block(pair)
		if !ok {
			continue
		}
		_, indent := place(pair.Key)
		s.list = max(l.indent-indent, 0)
		text := f.lines[l.entries[0]][l.indent+1:]
		if gap := indentOf(text) - 1; gap > 0 && gap < 8 && !strings.HasPrefix(text[gap+1:], "#") && !blank(text) {
			s.gap = gap
		}
		return s
	}
	for _, pair := range pairs { // no list: as far in as mappings
		if inner := mapping(pair.Value); inner != nil {
			_, from := place(pair.Key)
			_, to := place(inner[0].Key)
			s.list = max(to-from, 0)
			return s
		}
	}
	return s
}

// order is what must be known about a rule that is added by hand.
const order = "; the new rule must come before every other that fits its directory"

func notLines(key string) string {
	return key + " is not a list with each entry on lines of its own after a hyphen, and others are not changed here"
}

// addIgnore adds ignore rules to a rule of drift.
func (f *file) addIgnore(at int, rules []config.IgnoreRule) (insertion, error) {
	drift := find(mapping(f.root), "drift")
	if drift == nil {
		return insertion{}, f.byHand(0, "it is in braces ({ }) as a whole, which are not changed here", f.style.ignore(rules))
	}
	line, _ := place(drift.Key)
	all, ok := f.block(drift)
	if !ok {
		return insertion{}, f.byHand(line, notLines("drift"), f.style.ignore(rules))
	}
	keys := mapping(all.values[at])
	if keys == nil {
		return insertion{}, f.byHand(all.entries[at], "this rule is not written with each key on a line of its own, and others are not changed here",
			f.style.ignore(rules))
	}
	ignore := find(keys, "ignore")
	if ignore == nil {
		_, indent := place(keys[0].Key)
		lines := f.style.ignore(rules)
		for i := range lines {
			lines[i] = strings.Repeat(" ", indent) + lines[i]
		}
		return insertion{f.after(all.entries[at], all.indent), lines}, nil
	}
	known, ok := f.block(ignore)
	if !ok {
		line, _ := place(ignore.Key)
		return insertion{}, f.byHand(line, notLines("ignore"), f.style.ignore(rules))
	}
	var entries [][]string
	for _, r := range rules {
		entries = append(entries, f.style.entry(known.indent, ignoreRule(r)))
	}
	return f.put(known, len(known.entries), line, entries...), nil
}

// addRule adds a rule of drift before the one with an index, or as the last.
func (f *file) addRule(at int, rule config.DriftRule) (insertion, error) {
	alone := append([]string{"drift:"}, f.style.rule(rule, f.style.list)...)
	pairs := mapping(f.root)
	if f.root != nil && pairs == nil {
		return insertion{}, f.byHand(0, "it is in braces ({ }) as a whole, which are not changed here"+order, alone)
	}
	drift := find(pairs, "drift")
	if drift == nil {
		return f.addKey(pairs, alone), nil
	}
	line, _ := place(drift.Key)
	all, ok := f.block(drift)
	if !ok {
		return insertion{}, f.byHand(line, notLines("drift")+order, f.style.rule(rule, 0))
	}
	return f.put(all, at, line, f.style.rule(rule, all.indent)), nil
}

// put puts entries into a list whose key is in a line, before the entry with
// an index. They come after what is before them, so that comments above an
// entry stay with it.
func (f *file) put(l list, at, key int, entries ...[]string) insertion {
	apart := len(l.entries) > 1 && blank(f.lines[min(f.after(l.entries[0], l.indent), len(f.lines)-1)])
	in := insertion{line: key + 1}
	if at > 0 {
		in.line = f.after(l.entries[at-1], l.indent)
	}
	for _, lines := range entries {
		if apart && at > 0 {
			in.lines = append(in.lines, "")
		}
		in.lines = append(in.lines, lines...)
		if apart && at == 0 {
			in.lines = append(in.lines, "")
		}
	}
	return in
}

// addKey adds a key at the end of the document.
func (f *file) addKey(pairs []*ast.MappingValueNode, lines []string) insertion {
	from, indent := 0, 0
	if pairs == nil {
		lines = append([]string{"version: 1"}, lines...)
	} else {
		from, indent = place(pairs[0].Key)
	}
	for i := range lines {
		lines[i] = strings.Repeat(" ", indent) + lines[i]
	}
	in := insertion{line: len(f.lines), lines: lines}
	for i, line := range f.lines[from:] {
		if text := strings.TrimRight(line, " \t\r\n"); text == "..." || i > 0 && pairs != nil && strings.HasPrefix(line, "---") {
			in.line = from + i
			break
		}
	}
	if in.line > 0 && slices.ContainsFunc(f.lines[:in.line], blank) && !blank(f.lines[in.line-1]) {
		in.lines = append([]string{""}, in.lines...)
	}
	return in
}

// insert returns the file with lines put in. Everything else stays.
func (f *file) insert(in insertion) []byte {
	before, after := strings.Join(f.lines[:in.line], ""), strings.Join(f.lines[in.line:], "")
	text := strings.Join(in.lines, f.end)
	if before != "" && !strings.HasSuffix(before, "\n") && !strings.HasSuffix(before, "\r") {
		return []byte(before + f.end + text) // the last line had no end, so the last one has none now
	}
	return []byte(before + text + f.end + after)
}

// byHand makes the error about a line, by its index. The lines to add lose the
// indentation that they have in common.
func (f *file) byHand(line int, why string, lines []string) error {
	if n := slices.IndexFunc(lines, func(s string) bool { return s != "" }); n >= 0 {
		outer := strings.Repeat(" ", indentOf(lines[n]))
		lines = slices.Clone(lines[n:])
		for i := range lines {
			lines[i] = strings.TrimPrefix(lines[i], outer)
		}
	}
	return &ByHandError{Line: min(line+1, max(len(f.lines), 1)), Why: why, Add: strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n"}
}
