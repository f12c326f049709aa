// Package graphql answers, of GitHub's GraphQL API, the one mutation that weir
// uses.
package graphql

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"text/scanner"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/record"
	"weir/integration/sandbox/shape"
)

// API serves /api/graphql.
type API struct {
	Authenticate func(header string) (account.Identity, error)
	Minimize     func(who account.Identity, node, reason string) error
	Answer       func(w http.ResponseWriter, r *http.Request, body any)
	Fail         func(w http.ResponseWriter, err error)
}

// field is a selected field of a GraphQL document.
type field struct {
	alias, name string
	args        map[string]any // strings, enums, objects and variables
	fields      []field
}

func (f field) key() string {
	if f.alias != "" {
		return f.alias
	}
	return f.name
}

// variable is a reference to a variable.
type variable string

// parser reads the part of GraphQL that one operation without fragments needs.
type parser struct {
	s    scanner.Scanner
	tok  rune
	text string
	err  error
}

func (p *parser) next() {
	p.tok = p.s.Scan()
	p.text = p.s.TokenText()
	for p.tok == ',' { // a comma is white space
		p.tok = p.s.Scan()
		p.text = p.s.TokenText()
	}
}

func (p *parser) expect(text string) {
	if p.err == nil && p.text != text {
		p.err = fmt.Errorf("Parse error on %q: expected %q", p.text, text) //nolint:staticcheck // GitHub's wording, shown to the client
	}
	p.next()
}

func (p *parser) name() string {
	if p.err == nil && p.tok != scanner.Ident {
		p.err = fmt.Errorf("Parse error on %q: expected a name", p.text) //nolint:staticcheck // as above
	}
	text := p.text
	p.next()
	return text
}

// parseOperation reads a document of one operation and returns its kind and
// what it selects.
func parseOperation(document string) (string, []field, error) {
	p := &parser{}
	p.s.Init(strings.NewReader(document))
	p.s.Mode = scanner.ScanIdents | scanner.ScanInts | scanner.ScanStrings
	p.s.Error = func(_ *scanner.Scanner, msg string) { p.err = errors.New(msg) }
	p.next()
	kind := "query"
	if p.text != "{" {
		kind = p.name()
		if p.tok == scanner.Ident {
			p.next()
		}
		if p.text == "(" { // variable definitions: types are not checked
			for p.err == nil && p.text != ")" && p.tok != scanner.EOF {
				p.next()
			}
			p.expect(")")
		}
	}
	fields := p.selection()
	if p.err == nil && p.tok != scanner.EOF {
		p.err = fmt.Errorf("Parse error on %q", p.text) //nolint:staticcheck // as above
	}
	return kind, fields, p.err
}

func (p *parser) selection() []field {
	p.expect("{")
	var fields []field
	for p.err == nil && p.text != "}" {
		f := field{name: p.name()}
		if p.text == ":" {
			p.next()
			f.alias, f.name = f.name, p.name()
		}
		if p.text == "(" {
			p.next()
			f.args = p.pairs(")")
		}
		if p.text == "{" {
			f.fields = p.selection()
		}
		fields = append(fields, f)
	}
	p.expect("}")
	return fields
}

func (p *parser) pairs(end string) map[string]any {
	pairs := map[string]any{}
	for p.err == nil && p.text != end {
		key := p.name()
		p.expect(":")
		pairs[key] = p.value()
	}
	p.expect(end)
	return pairs
}

func (p *parser) value() any {
	switch {
	case p.text == "$":
		p.next()
		return variable(p.name())
	case p.text == "{":
		p.next()
		return p.pairs("}")
	case p.tok == scanner.String:
		var s string
		if err := json.Unmarshal([]byte(p.text), &s); err != nil {
			p.err = err
		}
		p.next()
		return s
	}
	text := p.text
	p.next()
	return text
}

// resolve puts variables in their places.
func resolve(v any, variables map[string]any) any {
	switch v := v.(type) {
	case variable:
		return variables[string(v)]
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			out[key] = resolve(value, variables)
		}
		return out
	}
	return v
}

var classifiers = []string{"ABUSE", "DUPLICATE", "OFF_TOPIC", "OUTDATED", "RESOLVED", "SPAM", "LOW_QUALITY"}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who, err := a.Authenticate(r.Header.Get("Authorization"))
	if err == nil && who.Kind == account.Anonymous {
		err = &record.Error{Status: http.StatusUnauthorized, Message: "This endpoint requires you to be authenticated."}
	}
	if err != nil {
		a.Fail(w, err)
		return
	}
	var in struct {
		Query     string
		Variables map[string]any
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 8<<20)).Decode(&in); err != nil {
		a.Fail(w, &record.Error{Status: http.StatusBadRequest, Message: "Problems parsing JSON"})
		return
	}
	kind, fields, err := parseOperation(in.Query)
	if err != nil {
		a.Answer(w, r, shape.Object{"errors": []any{shape.Object{"message": err.Error()}}})
		return
	}
	for _, f := range fields {
		if kind != "mutation" || f.name != "minimizeComment" {
			message := fmt.Sprintf("Field '%s' doesn't exist on type '%s'", f.name, strings.ToUpper(kind[:1])+kind[1:])
			a.Answer(w, r, shape.Object{"errors": []any{shape.Object{"message": message, "path": []string{kind, f.name}}}})
			return
		}
	}
	data, problems := shape.Object{}, []any{}
	for _, f := range fields {
		result, err := a.minimize(who, f, in.Variables)
		data[f.key()] = result
		if err != nil {
			problems = append(problems, shape.Object{"type": graphType(err), "path": []string{f.key()}, "message": err.Error()})
			data[f.key()] = nil
		}
	}
	body := shape.Object{"data": data}
	if len(problems) > 0 {
		body["errors"] = problems
	}
	a.Answer(w, r, body)
}

func graphType(err error) string {
	var e *record.Error
	if errors.As(err, &e) && e.Status == http.StatusForbidden {
		return "FORBIDDEN"
	}
	if errors.As(err, &e) && e.Status == http.StatusNotFound {
		return "NOT_FOUND"
	}
	return "UNPROCESSABLE"
}

func (a *API) minimize(who account.Identity, f field, variables map[string]any) (shape.Object, error) {
	input, _ := resolve(f.args["input"], variables).(map[string]any)
	subject, _ := input["subjectId"].(string)
	classifier, _ := input["classifier"].(string)
	if subject == "" || !slices.Contains(classifiers, classifier) {
		return nil, &record.Error{Status: http.StatusUnprocessableEntity, Message: "minimizeComment needs a subjectId and a classifier"}
	}
	reason := strings.ReplaceAll(strings.ToLower(classifier), "_", "-")
	if err := a.Minimize(who, subject, reason); err != nil {
		var e *record.Error
		if errors.As(err, &e) && e.Status == http.StatusNotFound {
			return nil, &record.Error{Status: e.Status, Message: fmt.Sprintf("Could not resolve to a node with the global id of '%s'", subject)}
		}
		return nil, err
	}
	out := shape.Object{}
	for _, sub := range f.fields {
		switch sub.name {
		case "clientMutationId":
			out[sub.key()] = input["clientMutationId"]
		case "minimizedComment":
			comment := shape.Object{}
			for _, leaf := range sub.fields {
				comment[leaf.key()] = map[string]any{"isMinimized": true, "minimizedReason": reason, "__typename": "IssueComment"}[leaf.name]
			}
			out[sub.key()] = comment
		}
	}
	return out, nil
}
