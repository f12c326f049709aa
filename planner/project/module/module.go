// Package module reads what the Terraform files of a directory say about
// projects: whether they look like a root module, and which local modules
// they call. It evaluates nothing and never fails: a broken file counts as far
// as it can be understood, and is told as a problem.
package module

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	hcljson "github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"
)

// Module is what the Terraform files of one directory say.
type Module struct {
	Backend  string // type of the backend block, "cloud" for a cloud block, "" for none
	Content  bool   // has provider configurations, resources, data or module calls
	Calls    []Call
	Problems []Problem

	backends []backend
	files    map[string]bool // names of all that were added
	unread   bool            // one of them is not known at all
}

// Call is a local module call.
type Call struct {
	File   string
	Line   int    // of the source, 1-based
	Source string // as written, with slashes; begins with ./ or ../
	Open   bool   // Source is only the beginning of what was written; the rest is worked out by the program
}

// Problem is something in a file that a person should mend.
type Problem struct {
	File    string
	Line    int // 1-based; 0 where there is none
	Message string
}

// MaxSize is how large a file may be that is read, in bytes. It bounds the
// memory that parsing takes.
const MaxSize = 2 << 20

// maxProblems bounds what is kept of one directory.
const maxProblems = 20

var (
	blocks = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: "terraform"},
		{Type: "provider", LabelNames: []string{"name"}},
		{Type: "resource", LabelNames: []string{"type", "name"}},
		{Type: "data", LabelNames: []string{"type", "name"}},
		{Type: "ephemeral", LabelNames: []string{"type", "name"}},
		{Type: "module", LabelNames: []string{"name"}},
	}}
	settings = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "backend", LabelNames: []string{"type"}}, {Type: "cloud"}}}
	source   = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "source"}}}
	testRun  = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "run", LabelNames: []string{"name"}}}}
	testCall = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "module"}}}
)

// endings are those of the names of configuration files ("Files and
// Directories" in both programs' documentation).
var endings = []string{".tf", ".tofu", ".tf.json", ".tofu.json"}

// IsSource reports whether Terraform or OpenTofu reads a file of that name as
// configuration. Both leave out only names that begin with a dot, or are an
// editor's ("main.tf~", "#main.tf#"), but read "#main.tf". It depends on the
// program whether a.tf or a.tofu is read where both exist, so both count.
func IsSource(name string) bool {
	_, ok := stem(name)
	return ok
}

// stem is the last part of the name of a configuration file, without its ending.
func stem(name string) (string, bool) {
	base := path.Base(name)
	if strings.HasPrefix(base, ".") {
		return "", false
	}
	for _, end := range endings {
		if stem, ok := strings.CutSuffix(base, end); ok {
			return stem, true
		}
	}
	return "", false
}

// Overrides reports whether a file of that name is an override file
// (Terraform's documentation, "Override Files"): its blocks are merged into
// those of other files, in the order of the names of such files.
func Overrides(name string) bool {
	stem, ok := stem(name)
	return ok && (stem == "override" || strings.HasSuffix(stem, "_override"))
}

// IsTofu reports whether OpenTofu alone reads a file of that name as
// configuration.
func IsTofu(name string) bool {
	return IsSource(name) && (strings.HasSuffix(name, ".tofu") || strings.HasSuffix(name, ".tofu.json"))
}

// Instead is the name of the file that OpenTofu reads in the place of another,
// where both exist; "" for none.
func Instead(name string) string {
	if base, ok := strings.CutSuffix(name, ".tf.json"); ok {
		return base + ".tofu.json"
	}
	if base, ok := strings.CutSuffix(name, ".tf"); ok {
		return base + ".tofu"
	}
	return ""
}

// IsTest reports whether a file of that name holds tests of a module.
func IsTest(name string) bool {
	return strings.HasSuffix(name, ".tftest.hcl") || strings.HasSuffix(name, ".tofutest.hcl")
}

// Add reads one more file of the directory. Of backends the last one of an
// override file counts, or else the last one read.
func (m *Module) Add(name string, data []byte) {
	if m.files == nil {
		m.files = map[string]bool{}
	}
	m.files[name] = true
	body := m.parse(name, data)
	if body == nil {
		m.unread = true
		return
	}
	m.add(name, body)
}

func (m *Module) problem(file string, line int, format string, args ...any) {
	if len(m.Problems) < maxProblems {
		text := []rune(fmt.Sprintf(format, args...))
		if len(text) > 300 {
			text = append(text[:300], '…')
		}
		m.Problems = append(m.Problems, Problem{file, line, string(text)})
	}
}

// parse returns the body of a file, as far as it can be understood.
func (m *Module) parse(name string, data []byte) hcl.Body {
	if len(data) > MaxSize {
		m.problem(name, 0, "is larger than %d MiB and was not read", MaxSize>>20)
		return nil
	}
	if tooComplex(name, data) {
		m.problem(name, 0, "is nested too deeply, or too complex otherwise, and was not read")
		return nil
	}
	var file *hcl.File
	var diags hcl.Diagnostics
	if strings.HasSuffix(name, ".json") {
		file, diags = hcljson.Parse(data, name)
	} else {
		file, diags = hclsyntax.ParseConfig(data, name, hcl.InitialPos)
	}
	m.tell(name, diags)
	if file == nil {
		return nil
	}
	return file.Body
}

// tell keeps the errors among diagnostics.
func (m *Module) tell(name string, diags hcl.Diagnostics) {
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		line := 0
		if d.Subject != nil {
			line = d.Subject.Start.Line
		}
		m.problem(name, line, "%s", strings.TrimSuffix(strings.TrimSpace(d.Summary+": "+d.Detail), "."))
	}
}

func (m *Module) add(name string, body hcl.Body) {
	content, _, diags := body.PartialContent(blocks)
	m.tell(name, diags)
	for _, block := range content.Blocks {
		switch block.Type {
		case "terraform":
			inner, _, diags := block.Body.PartialContent(settings)
			m.tell(name, diags)
			for _, b := range inner.Blocks {
				m.backends = append(m.backends, readBackend(name, b))
				m.Backend = newest(m.backends).kind
			}
		case "module":
			m.Content = true
			m.addCall(name, block)
		default:
			m.Content = true
		}
	}
}

func (m *Module) addCall(name string, block *hcl.Block) {
	content, _, diags := block.Body.PartialContent(source)
	m.tell(name, diags)
	attr := content.Attributes["source"]
	if attr == nil {
		return
	}
	text, open := literal(attr.Expr)
	text = strings.ReplaceAll(text, `\`, "/")
	line := attr.Range.Start.Line
	switch {
	case strings.HasPrefix(text, "./"), strings.HasPrefix(text, "../"):
		m.Calls = append(m.Calls, Call{name, line, text, open})
	case open && text == "":
		m.problem(name, line, "the source of module %q is worked out by the program, so weir cannot tell which files it uses;"+
			" name them in when_modified", strings.Join(block.Labels, "."))
	}
}

// literal returns the text of an expression as far as it is known without
// evaluating anything: evaluation recurses, and a pull request may have made
// the expression. open says that there is more.
func literal(expr hcl.Expression) (text string, open bool) {
	if _, native := expr.(hclsyntax.Expression); !native { // JSON: a string, or something that is none
		v, diags := expr.Value(nil)
		if diags.HasErrors() || v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
			return "", true
		}
		text, _, open = strings.Cut(v.AsString(), "${")
		return text, open
	}
	for {
		in, ok := expr.(*hclsyntax.ParenthesesExpr)
		if !ok {
			break
		}
		expr = in.Expression
	}
	t, ok := expr.(*hclsyntax.TemplateExpr)
	if !ok {
		return "", true
	}
	var known strings.Builder
	for _, part := range t.Parts {
		v, ok := part.(*hclsyntax.LiteralValueExpr)
		if !ok || v.Val.Type() != cty.String {
			return known.String(), true
		}
		known.WriteString(v.Val.AsString())
	}
	return known.String(), false
}

// TestCalls returns the modules that a test file calls, relative to the
// directory of what it tests.
func TestCalls(name string, data []byte) []string {
	if len(data) > MaxSize || tooComplex(name, data) {
		return nil
	}
	file, _ := hclsyntax.ParseConfig(data, name, hcl.InitialPos)
	if file == nil {
		return nil
	}
	var sources []string
	runs, _, _ := file.Body.PartialContent(testRun)
	for _, run := range runs.Blocks {
		modules, _, _ := run.Body.PartialContent(testCall)
		for _, m := range modules.Blocks {
			content, _, _ := m.Body.PartialContent(source)
			if attr := content.Attributes["source"]; attr != nil {
				if text, open := literal(attr.Expr); !open && strings.HasPrefix(text, ".") {
					sources = append(sources, path.Clean(text))
				}
			}
		}
	}
	return sources
}

// These bound what the parsers get to read. They recurse, and Go cannot recover
// from a stack that has grown too large; and they join the pieces of a text one
// by one, which takes time by the square.
const (
	maxDepth     = 1000
	maxRightward = 20_000
	maxJoined    = 20_000_000_000 // bytes copied, twice
)

var nests = regexp.MustCompile(`[\[({!?*-]`)

// tooComplex reports whether a file is nested more deeply than anybody writes,
// or has a text of far more pieces.
func tooComplex(name string, data []byte) bool {
	if strings.HasSuffix(name, ".json") {
		return bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > maxDepth && !shallowJSON(data)
	}
	if len(data) < 64<<10 && len(nests.FindAllIndex(data, maxDepth+1)) <= maxDepth {
		return false // the usual case needs no second reading
	}
	tokens, _ := hclsyntax.LexConfig(data, name, hcl.InitialPos)
	depth, prefix, rightward, directives := 0, 0, 0, 0
	pieces, joined := 0, 0
	for i, t := range tokens {
		piece := false
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp,
			hclsyntax.TokenTemplateControl, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd,
			hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
			depth = max(depth-1, 0)
		case hclsyntax.TokenQuestion, hclsyntax.TokenStar:
			rightward++ // conditions and splats; where one chain of them ends only the parser knows
		case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit:
			piece = true
		}
		if t.Type == hclsyntax.TokenTemplateControl && i+1 < len(tokens) {
			switch string(tokens[i+1].Bytes) {
			case "if", "for":
				directives++
			case "endif", "endfor":
				directives = max(directives-1, 0)
			}
		}
		switch t.Type {
		case hclsyntax.TokenBang, hclsyntax.TokenMinus:
			prefix++
		case hclsyntax.TokenNewline, hclsyntax.TokenComment: // may stand between
		default:
			prefix = 0
		}
		if pieces++; !piece {
			pieces, joined = 0, 0
		}
		joined += len(t.Bytes)
		if max(depth, prefix, directives) > maxDepth || rightward > maxRightward || pieces*joined > maxJoined {
			return true
		}
	}
	return false
}

// shallowJSON reports whether a document's nesting is within maxDepth.
func shallowJSON(data []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(data))
	for depth := 0; ; {
		t, err := dec.Token()
		if err != nil {
			return true // its end, or a mistake at which the parser stops as well
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxDepth {
				return false
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}
