package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	invopop "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the golden files and the schema")

const (
	schemaFile = "../../../docs/weir.schema.json"
	manualFile = "../../../docs/repository-configuration.md"
)

// schema makes the JSON Schema of weir.yaml from the structs.
func schema(t *testing.T) []byte {
	t.Helper()
	r := &invopop.Reflector{FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, DoNotReference: true, Anonymous: true}
	if err := r.AddGoComments("weir/planner/project/config", ".", invopop.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	for name, comment := range r.CommentMap {
		r.CommentMap[name] = strings.Join(strings.Fields(comment), " ")
	}
	plain := *r
	r.Mapper = func(of reflect.Type) *invopop.Schema {
		if of != reflect.TypeFor[Autoplan]() {
			return nil
		}
		object := plain.ReflectFromType(of)
		object.Version, object.Description = "", ""
		return &invopop.Schema{OneOf: []*invopop.Schema{{Type: "boolean"}, object}}
	}
	s := r.Reflect(&Config{})
	s.Title = "weir.yaml"
	require, _ := s.Properties.Get("approvals")
	require, _ = require.Items.Properties.Get("require")
	one := uint64(1)
	require.MinProperties = &one // the reflector reads no such keyword from a tag
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

func TestSchemaIsThatOfTheStructs(t *testing.T) {
	got := schema(t)
	if *update {
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs from the structs; run the test with -update (-file +structs):\n%s", filepath.Base(schemaFile), diff)
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema(t)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("weir.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("weir.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// valid asks the schema about a document.
func valid(t *testing.T, s *jsonschema.Schema, doc string) error {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(doc))
	if err != nil {
		t.Fatalf("%v:\n%s", err, doc)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%v:\n%s", err, data)
	}
	return s.Validate(value)
}

// ignored begins an entry of ignore.
const ignored = "{address: a.b, owner: alice, reason: planned, until: 2026-12-31"

// TestSchemaAndParseAgree holds the two against each other. What only Parse
// can know, such as a circle of dependencies, is in TestParseMistakes.
func TestSchemaAndParseAgree(t *testing.T) {
	s := compiled(t)
	for _, doc := range []string{
		"version: 1",
		"version: 2",
		"version: one",
		`version: "1"`,
		"apply: approval",
		"version: 1\napply: comment",
		"version: 1\napply: merge",
		"version: 1\napply: never",
		"version: 1\napply: true",
		"version: 1\napply:",
		"version: 1\nautomerge: off",
		"version: 1\nautomerge: squash",
		"version: 1\nautomerge: false",
		"version: 1\ncheckout: {submodules: true, lfs: false}",
		"version: 1\ncheckout: {submodules: 1}",
		"version: 1\ncheckout: {forks: true}",
		"version: 1\nforks: true",
		"version: 1\nprojects: []",
		"version: 1\nprojects: {dir: a}",
		"version: 1\nprojects: [{dir: a}]",
		"version: 1\nprojects: [{name: a}]",
		"version: 1\nprojects: [{dir: ''}]",
		"version: 1\nprojects: [{dir: 1}]",
		"version: 1\nprojects: [{dir: a, name: a/b.c-d_e}]",
		"version: 1\nprojects: [{dir: a, name: a b}]",
		"version: 1\nprojects: [{dir: a, name: a@b}]",
		"version: 1\nprojects: [{dir: a, name: ''}]",
		"version: 1\nprojects: [{dir: a, name: " + strings.Repeat("n", 100) + "}]",
		"version: 1\nprojects: [{dir: a, name: " + strings.Repeat("n", 101) + "}]",
		"version: 1\nprojects: [{dir: a, workspace: blue}]",
		"version: 1\nprojects: [{dir: a, workspace: -chdir}]",
		"version: 1\nprojects: [{dir: a, workspace: a/b}]",
		"version: 1\nprojects: [{dir: a, terraform_version: 1.11.4}]",
		"version: 1\nprojects: [{dir: a, terraform_version: 1.11.4-rc1}]",
		"version: 1\nprojects: [{dir: a, terraform_version: 1.11}]",
		"version: 1\nprojects: [{dir: a, terraform_version: '1.11'}]",
		"version: 1\nprojects: [{dir: a, autoplan: true}]",
		"version: 1\nprojects: [{dir: a, autoplan: false}]",
		"version: 1\nprojects: [{dir: a, autoplan: off}]",
		"version: 1\nprojects: [{dir: a, autoplan: {}}]",
		"version: 1\nprojects: [{dir: a, autoplan: {enabled: false}}]",
		"version: 1\nprojects: [{dir: a, autoplan: {enabled: no}}]",
		"version: 1\nprojects: [{dir: a, autoplan: {when_modified: ['*.tf']}}]",
		"version: 1\nprojects: [{dir: a, autoplan: {when_modified: []}}]",
		"version: 1\nprojects: [{dir: a, autoplan: {when_modified: ['']}}]",
		"version: 1\nprojects: [{dir: a, autoplan: {when_modified: '*.tf'}}]",
		"version: 1\nprojects: [{dir: a, autoplan: {whenmodified: ['*.tf']}}]",
		"version: 1\nprojects: [{dir: a}, {dir: b, depends_on: [a]}]",
		"version: 1\nprojects: [{dir: a}, {dir: b, depends_on: []}]",
		"version: 1\nprojects: [{dir: a}, {dir: b, depends_on: ['']}]",
		"version: 1\nprojects: [{dir: a}, {dir: b, depends_on: a}]",
		"version: 1\nprojects: [{dir: a, var_files: [x.tfvars]}]",
		"version: 1\nprojects: [{dir: a, var_files: ['']}]",
		"version: 1\nprojects: [{dir: a, var_files: [1]}]",
		"version: 1\nprojects: [a]",
		"version: 1\nprojects: [null]",
		"version: 1\napprovals: [{require: {count: 2}}]",
		"version: 1\napprovals: [{require: {}}]",
		"version: 1\napprovals: [{when: {dirs: [a]}}]",
		"version: 1\napprovals: [{when: {}, require: {count: 1}}]",
		"version: 1\napprovals: [{require: {count: 0}}]",
		"version: 1\napprovals: [{require: {count: 21}}]",
		"version: 1\napprovals: [{require: {count: two}}]",
		"version: 1\napprovals: [{require: {teams: [acme/platform]}}]",
		"version: 1\napprovals: [{require: {teams: ['@acme/platform']}}]",
		"version: 1\napprovals: [{require: {teams: [platform]}}]",
		"version: 1\napprovals: [{require: {teams: []}}]",
		"version: 1\napprovals: [{require: {users: [alice, bob_corp]}}]",
		"version: 1\napprovals: [{require: {users: ['@alice']}}]",
		"version: 1\napprovals: [{when: {actions: [create, update, replace, delete, forget, import, move]}, require: {count: 1}}]",
		"version: 1\napprovals: [{when: {actions: [destroy]}, require: {count: 1}}]",
		"version: 1\napprovals: [{when: {types: ['aws_iam_*']}, require: {count: 1}}]",
		"version: 1\napprovals: [{when: {types: ['aws iam']}, require: {count: 1}}]",
		"version: 1\napprovals: []",
		"version: 1\ndrift: [{dirs: ['**'], schedule: 0 5 * * *}]",
		"version: 1\ndrift: [{dirs: ['**']}]",
		"version: 1\ndrift: [{schedule: 0 5 * * *}]",
		"version: 1\ndrift: [{dirs: [], schedule: 0 5 * * *}]",
		"version: 1\ndrift: [{dirs: [a], schedule: off, timezone: UTC}]",
		"version: 1\ndrift: [{dirs: [a], schedule: ''}]",
		"version: 1\ndrift: [{dirs: [a], schedule: }]",
		"version: 1\ndrift: [{dirs: [a], schedule: false}]",
		"version: 1\ndrift: [{dirs: [a], timezone: ''}]",
		"version: 1\ndrift: [{dirs: [a], assignees: [alice]}]",
		"version: 1\ndrift: [{dirs: [a], assignees: [acme/platform]}]",
		"version: 1\ndrift: [{dirs: [a], assignees: []}]",
		"version: 1\ndrift: [{dirs: [a], severity: [{severity: high}]}]",
		"version: 1\ndrift: [{dirs: [a], severity: [{types: [aws_*], attributes: [tags]}]}]",
		"version: 1\ndrift: [{dirs: [a], severity: [{types: [], severity: low}]}]",
		"version: 1\ndrift: [{dirs: [a], severity: [{severity: worst}]}]",
		"version: 1\ndrift: [{dirs: [a], severity: high}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + ignored + "}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + ignored + ", attribute: tags}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + ignored + ", attribute: tags.Name}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + ignored + ", attribute: ''}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + strings.Replace(ignored, "a.b", "''", 1) + "}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + strings.Replace(ignored, "alice", "acme/platform", 1) + "}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + strings.Replace(ignored, "alice", "'@alice'", 1) + "}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + strings.Replace(ignored, "planned", "' '", 1) + "}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + strings.Replace(ignored, "2026-12-31", "soon", 1) + "}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + strings.Replace(ignored, "2026-12-31", "20261231", 1) + "}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + strings.Replace(ignored, "address: a.b, ", "", 1) + "}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + strings.Replace(ignored, "owner: alice, ", "", 1) + "}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + strings.Replace(ignored, "reason: planned, ", "", 1) + "}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [" + strings.Replace(ignored, ", until: 2026-12-31", "", 1) + "}]}]",
		"version: 1\ndrift: [{dirs: [a], ignore: []}]",
		"version: 1\ndrift: [{dirs: [a], ignore: [a.b]}]",
		"[]",
		"text",
	} {
		_, parse := Parse("weir.yaml", []byte(doc))
		bySchema := valid(t, s, doc)
		if (parse == nil) != (bySchema == nil) {
			t.Errorf("%s\nParse:  %v\nschema: %v", doc, parse, bySchema)
		}
	}
}

// TestManual holds that the manual's examples are right, and that it explains
// every key.
func TestManual(t *testing.T) {
	data, err := os.ReadFile(manualFile)
	if err != nil {
		t.Fatal(err)
	}
	s := compiled(t)
	blocks := 0
	var all strings.Builder
	for i, part := range strings.Split(string(data), "```") {
		doc, isYAML := strings.CutPrefix(part, "yaml\n")
		if i%2 == 0 || !isYAML {
			continue
		}
		blocks++
		all.WriteString(doc)
		if _, err := Parse("weir.yaml", []byte(doc)); err != nil {
			t.Errorf("example:\n%s\n%v", doc, err)
		}
		if err := valid(t, s, doc); err != nil {
			t.Errorf("example:\n%s\n%v", doc, err)
		}
	}
	if blocks == 0 {
		t.Error("the manual has no examples")
	}
	for _, key := range keysOf(reflect.TypeFor[Config]()) {
		if !strings.Contains(all.String(), key+":") {
			t.Errorf("the manual has no example of %s", key)
		}
		if !strings.Contains(string(data), "`"+key+"`") {
			t.Errorf("the manual does not explain %s", key)
		}
	}
}

func keysOf(of reflect.Type) []string {
	for of.Kind() == reflect.Slice || of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	var keys []string
	if of.Kind() == reflect.Struct {
		for i := range of.NumField() {
			if key := of.Field(i).Tag.Get("yaml"); key != "" {
				keys = append(append(keys, key), keysOf(of.Field(i).Type)...)
			}
		}
	}
	return keys
}
