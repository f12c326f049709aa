package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// GitHub's own descriptions: what the sandbox says is held against them, so
// that it cannot drift from the real thing.

const (
	restDescription = "../npm/node_modules/@octokit/openapi/generated/api.github.com.json"
	hookDescription = "../npm/node_modules/@octokit/openapi-webhooks/generated/api.github.com.json"
)

// need skips a test without GitHub's descriptions, or fails it in CI.
func need(t *testing.T, file string) {
	t.Helper()
	if _, err := os.Stat(file); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("GitHub's description is missing: %s (npm ci in integration/npm)", file)
	}
	t.Skipf("!!! SKIPPED: GitHub's description is missing: %s (npm ci in integration/npm)", file)
}

// document is a description as plain JSON.
type document map[string]any

func readDocument(file string) (document, error) {
	data, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		return nil, err
	}
	var d document
	return d, json.Unmarshal(data, &d)
}

// get follows names into nested objects; nil where one is missing.
func (d document) get(names ...string) map[string]any {
	at := map[string]any(d)
	for _, n := range names {
		at, _ = at[n].(map[string]any)
	}
	return at
}

// deref follows a reference within the document.
func (d document) deref(schema map[string]any) map[string]any {
	for {
		ref, ok := schema["$ref"].(string)
		if !ok {
			return schema
		}
		schema = d.get(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
}

// prune keeps the operations of these routes and what they refer to.
func (d document) prune(keep map[string]bool) document {
	paths := map[string]any{}
	for path, item := range d.get("paths") {
		operations := map[string]any{}
		for method, op := range item.(object) {
			if keep[strings.ToUpper(method)+" "+anonymous(path)] {
				operations[method] = op
			}
		}
		if len(operations) > 0 {
			paths[path] = operations
		}
	}
	out := document{"openapi": d["openapi"], "info": d["info"], "paths": paths}
	components := map[string]any{}
	var visit func(v any)
	visit = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			// Examples may be large, and say nothing about the form.
			delete(v, "examples")
			delete(v, "example")
			if ref, ok := v["$ref"].(string); ok {
				names := strings.Split(strings.TrimPrefix(ref, "#/"), "/") // components, kind, name
				kind, _ := components[names[1]].(map[string]any)
				if kind == nil {
					kind = map[string]any{}
					components[names[1]] = kind
				}
				if kind[names[2]] == nil {
					target := d.get(names...)
					kind[names[2]] = target
					visit(target)
				}
			}
			for _, sub := range v {
				visit(sub)
			}
		case []any:
			for _, sub := range v {
				visit(sub)
			}
		}
	}
	visit(paths)
	out["components"] = components
	return out
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

func anonymous(path string) string { return parameter.ReplaceAllString(path, "{}") }

// strangers lists what a value has and its schema does not know: GitHub's
// schemas forbid no property, but a name that they do not hold is a mistake.
func (d document) strangers(schema map[string]any, value any, at string) []string {
	schema = d.deref(schema)
	switch value := value.(type) {
	case []any:
		items, ok := schema["items"].(map[string]any)
		if !ok {
			return d.throughAlternatives(schema, value, at)
		}
		var all []string
		for i, v := range value {
			all = append(all, d.strangers(items, v, at+"/"+strconv.Itoa(i))...)
		}
		return all
	case map[string]any:
		known := map[string][]map[string]any{}
		open := d.properties(schema, known)
		if len(known) == 0 || open {
			return nil
		}
		var all []string
		for name, v := range value {
			schemas, ok := known[name]
			if !ok {
				all = append(all, at+"/"+name)
				continue
			}
			// Of several alternatives the friendliest counts.
			var least []string
			for i, s := range schemas {
				if found := d.strangers(s, v, at+"/"+name); i == 0 || len(found) < len(least) {
					least = found
				}
			}
			all = append(all, least...)
		}
		return all
	}
	return nil
}

func (d document) throughAlternatives(schema map[string]any, value any, at string) []string {
	for _, kind := range []string{"oneOf", "anyOf", "allOf"} {
		list, _ := schema[kind].([]any)
		for _, s := range list {
			if found := d.strangers(s.(object), value, at); len(found) == 0 {
				return nil
			}
		}
	}
	return nil
}

// properties collects what an object may have; true says that it may have
// anything.
func (d document) properties(schema map[string]any, known map[string][]map[string]any) bool {
	schema = d.deref(schema)
	for name, s := range document(schema).get("properties") {
		known[name] = append(known[name], s.(object))
	}
	open := false
	switch extra := schema["additionalProperties"].(type) {
	case bool:
		open = extra
	case map[string]any:
		open = true
	}
	for _, kind := range []string{"oneOf", "anyOf", "allOf"} {
		list, _ := schema[kind].([]any)
		for _, s := range list {
			open = d.properties(s.(object), known) || open
		}
	}
	return open
}

// witness checks every REST answer that passes through it.
type witness struct {
	t     *testing.T
	raw   document
	doc   *openapi3.T
	route func(*http.Request) string

	mu   sync.Mutex
	seen map[string]int // successful answers by route
}

func newWitness(t *testing.T, routes []string) *witness {
	t.Helper()
	need(t, restDescription)
	raw, err := readDocument(restDescription)
	if err != nil {
		t.Fatal(err)
	}
	// The list of installations holds an old copy of their schema, in which
	// an account is a user and an enterprise at once.
	listed := raw.get("paths", "/app/installations", "get", "responses", "200", "content", "application/json", "schema")
	listed["items"] = map[string]any{"$ref": "#/components/schemas/installation"}
	keep := map[string]bool{}
	for _, r := range routes {
		keep[anonymous(r)] = true
	}
	pruned := raw.prune(keep)
	data, err := json.Marshal(pruned)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		t.Fatal(err)
	}
	return &witness{t: t, raw: pruned, doc: doc, seen: map[string]int{}}
}

func (v *witness) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, isREST := strings.CutPrefix(r.URL.Path, "/api/v3")
		if !isREST {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			v.t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		for key, values := range rec.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
		v.check(r.Method, path, rec.Code, body, rec.Body.Bytes())
	})
}

func (v *witness) check(method, path string, status int, request, body []byte) {
	probe := httptest.NewRequest(method, "/", nil)
	probe.URL.Path = path
	route := v.route(probe)
	if route == "" || route == "/" {
		return // no such route: 404, in any form
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	name := fmt.Sprintf("%s %s → %d", method, route, status)
	if status < 400 {
		v.seen[method+" "+route]++
	}
	for described, item := range v.doc.Paths.Map() {
		op := item.GetOperation(method)
		if op == nil || anonymous(described) != anonymous(route) {
			continue
		}
		if status < 400 && op.RequestBody != nil && len(request) > 0 {
			v.visit(name+" (request)", op.RequestBody.Value.Content.Get("application/json"), request, false)
		}
		response := op.Responses.Value(strconv.Itoa(status))
		if response == nil {
			if status < 400 {
				v.t.Errorf("%s: GitHub does not answer with this status", name)
			}
			return
		}
		v.visit(name, response.Value.Content.Get("application/json"), body, status < 400)
		return
	}
	v.t.Errorf("%s: GitHub has no such operation", name)
}

func (v *witness) visit(name string, media *openapi3.MediaType, body []byte, strict bool) {
	if media == nil || media.Schema == nil {
		return
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		v.t.Errorf("%s: %v: %s", name, err, body)
		return
	}
	if err := media.Schema.Value.VisitJSON(value, openapi3.MultiErrors()); err != nil {
		v.t.Errorf("%s: %s\n%s", name, shorten(err.Error(), 2500), shorten(string(body), 600))
		return
	}
	if !strict {
		return
	}
	data, err := media.Schema.MarshalJSON()
	if err != nil {
		v.t.Error(err)
		return
	}
	var schema map[string]any
	if err := json.Unmarshal(data, &schema); err != nil {
		v.t.Error(err)
		return
	}
	for _, s := range v.raw.strangers(schema, value, "") {
		v.t.Errorf("%s: GitHub has no %s", name, s)
	}
}

func shorten(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// hookWitness checks deliveries against GitHub's description of webhooks.
type hookWitness struct {
	raw      document
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

func newHookWitness(t *testing.T) *hookWitness {
	t.Helper()
	need(t, hookDescription)
	raw, err := readDocument(hookDescription)
	if err != nil {
		t.Fatal(err)
	}
	modernise(raw.get("components", "schemas"))
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem://hooks", map[string]any(raw)); err != nil {
		t.Fatal(err)
	}
	return &hookWitness{raw: raw, compiler: c, compiled: map[string]*jsonschema.Schema{}}
}

// modernise turns OpenAPI's nullable into a type that JSON Schema knows.
func modernise(v any) {
	switch v := v.(type) {
	case map[string]any:
		if v["nullable"] == true {
			delete(v, "nullable")
			if kind, ok := v["type"].(string); ok {
				v["type"] = []any{kind, "null"}
			}
			if list, ok := v["enum"].([]any); ok && !slices.Contains(list, any(nil)) {
				v["enum"] = append(list, nil)
			}
			for _, kind := range []string{"oneOf", "anyOf"} {
				if list, ok := v[kind].([]any); ok {
					v[kind] = append(list, map[string]any{"type": "null"})
				}
			}
		}
		for _, sub := range v {
			modernise(sub)
		}
	case []any:
		for _, sub := range v {
			modernise(sub)
		}
	}
}

// forgotten are properties that GitHub describes in most payloads and sends in
// all: a repository in an edited review, an App in a completed suite, the
// assignees of an edited issue.
var forgotten = regexp.MustCompile(`^/issue/assignees?(/\d+)?/user_view_type$|^/pull_request/(base|head)/repo/\w+$|^/check_suite/app/permissions/merge_queues$`)

func (v *hookWitness) check(d Delivery) error {
	name := "webhook-" + strings.ReplaceAll(d.Event, "_", "-")
	if d.Action != "" {
		name += "-" + strings.ReplaceAll(d.Action, "_", "-")
	}
	schema := v.raw.get("components", "schemas", name)
	if schema == nil {
		return fmt.Errorf("GitHub describes no %s", name)
	}
	if v.compiled[name] == nil {
		s, err := v.compiler.Compile("mem://hooks#/components/schemas/" + name)
		if err != nil {
			return err
		}
		v.compiled[name] = s
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.Body))
	if err != nil {
		return err
	}
	if err := v.compiled[name].Validate(value); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	found := slices.DeleteFunc(v.raw.strangers(schema, value, ""), forgotten.MatchString)
	if len(found) > 0 {
		slices.Sort(found)
		return fmt.Errorf("%s: GitHub has no %v", name, found)
	}
	return nil
}
