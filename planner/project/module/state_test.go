package module

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// stateOf reads files in the order of their names, as Discover does.
func stateOf(files map[string]string, workspace string) string {
	var m Module
	for _, name := range slices.Sorted(maps.Keys(files)) {
		m.Add("envs/prod/"+name, []byte(files[name]))
	}
	return m.State(workspace)
}

func block(kind, settings string) string {
	return fmt.Sprintf("terraform {\n  backend %q {\n%s\n  }\n}\n", kind, settings)
}

func TestState(t *testing.T) {
	long := strings.Repeat("k", 2000)
	for _, test := range []struct {
		kind, settings string
		// For the workspaces default and blue.
		want, blue string
	}{
		{"s3", `bucket = "b"` + "\n" + `key = "a/k"` + "\n" + `region = var.region`, "s3://b/a/k", "s3://b/env:/blue/a/k"},
		{"s3", `bucket = "b"` + "\n" + `key = "/a/./k"`, "s3://b/a/k", "s3://b/env:/blue/a/k"},
		{"s3", `bucket = ("b")` + "\n" + `key = "./k"`, "s3://b/k", "s3://b/env:/blue/k"},
		{"s3", "bucket = \"b\"\nkey = \"k\"\nworkspace_key_prefix = \"ws\"", "s3://b/k", "s3://b/ws/blue/k"},
		{"s3", "bucket = \"b\"\nkey = \"k\"\nworkspace_key_prefix = \"\"", "s3://b/k", "s3://b/blue/k"},
		{"s3", "bucket = \"b\"\nkey = \"k\"\nendpoint = \"http://127.0.0.1:9000/\"", "s3://b/k?endpoint=127.0.0.1:9000", "s3://b/env:/blue/k?endpoint=127.0.0.1:9000"},
		{"s3", "bucket = \"b\"\nkey = \"k\"\nendpoints = {\n  dynamodb = var.d\n  s3 = \"https://Minio.example.com\"\n}", "s3://b/k?endpoint=minio.example.com", "s3://b/env:/blue/k?endpoint=minio.example.com"},
		{"s3", "bucket = \"b\"\nkey = \"k\"\nendpoints = { \"s3\" = \"https://s3.eu-west-1.amazonaws.com\" }", "s3://b/k", "s3://b/env:/blue/k"},
		{"s3", "bucket = \"b\"\nkey = \"k\"\nendpoints = { s3 = var.e }", "", ""},
		{"s3", "bucket = \"b\"\nkey = \"k\"\nendpoints = var.e", "", ""},
		{"s3", "bucket = \"b\"\nkey = \"k\"\nendpoints = { (var.e) = \"x\" }", "", ""},
		{"s3", "bucket = \"b\"\nkey = \"k\"\nendpoint = var.e", "", ""},
		{"s3", `bucket = "b"` + "\n" + `key = "${var.env}/k"`, "", ""},
		{"s3", `bucket = local.b` + "\n" + `key = "k"`, "", ""},
		{"s3", "bucket = \"b\"\nkey = \"k\"\nworkspace_key_prefix = var.p", "", ""},
		{"s3", `key = "k"`, "", ""}, // the rest comes from -backend-config
		{"s3", `bucket = "b"`, "", ""},
		{"s3", "bucket = \"b\"\nkey = null", "", ""},
		{"s3", "bucket = \"b\"\nkey = 12", "", ""},
		{"s3", "bucket = \"b\"\nkey = \"/\"", "", ""},
		{"s3", "bucket = \"b/c\"\nkey = \"k\"", "", ""},
		{"s3", "bucket = \"b\"\nkey = \"k\\n\"", "", ""},
		{"s3", "bucket = \"b\"\nkey = \"" + long + "\"", "s3:sha256:" + digest("s3://b/"+long), "s3:sha256:" + digest("s3://b/env:/blue/"+long)},
		{"s3", "", "", ""},

		{"gcs", `bucket = "b"`, "gs://b/default.tfstate", "gs://b/blue.tfstate"},
		{"gcs", "bucket = \"b\"\nprefix = \"/terraform/prod/\"", "gs://b/terraform/prod/default.tfstate", "gs://b/terraform/prod/blue.tfstate"},
		{"gcs", "bucket = \"b\"\nprefix = var.p", "", ""},
		{"gcs", `prefix = "p"`, "", ""},

		{
			"azurerm", "storage_account_name = \"acc\"\ncontainer_name = \"tf\"\nkey = \"prod.tfstate\"\nresource_group_name = var.x",
			"azurerm://acc/tf/prod.tfstate", "azurerm://acc/tf/prod.tfstateenv:blue",
		},
		{"azurerm", "storage_account_name = \"acc\"\nkey = \"k\"", "", ""},
		{"azurerm", "container_name = \"tf\"\nkey = \"k\"", "", ""},
		{"azurerm", "storage_account_name = \"acc\"\ncontainer_name = \"tf\"", "", ""},

		{"http", `address = "https://Example.com:443/state//prod/"`, "https://example.com/state/prod", ""},
		{"http", `address = "http://bob:hunter2@example.com:8080/state"`, "http://example.com:8080/state", ""},
		{"http", `address = "http://[::1]/state?token=hunter2"`, "http://[::1]/state?sha256=" + digest("token=hunter2")[:16], ""},
		{"http", `address = "https://${var.host}/state"`, "", ""},
		{"http", `address = "state"`, "", ""},
		{"http", "", "", ""}, // TF_HTTP_ADDRESS

		{"consul", "address = \"Consul.example.com:8500\"\npath = \"tf/prod\"", "consul://consul.example.com:8500/tf/prod", "consul://consul.example.com:8500/tf/prod-env:blue"},
		{"consul", "address = \"https://a:hunter2@consul:8500/\"\npath = \"tf\"\ndatacenter = \"dc1\"", "consul://consul:8500/tf?dc=dc1", "consul://consul:8500/tf-env:blue?dc=dc1"},
		{"consul", `path = "tf"`, "consul://consul/tf", "consul://consul/tf-env:blue"},
		{"consul", `address = "consul:8500"`, "", ""},

		{"pg", `conn_str = "postgres://user:hunter2@db/tf"`, "", ""},
		{"kubernetes", `secret_suffix = "s"`, "", ""},

		{"local", `path = "/srv/states/../states/prod.tfstate"`, "file:///srv/states/prod.tfstate", ""},
		{"local", "path = \"/srv/p\"\nworkspace_dir = \"/srv/d\"", "file:///srv/p", "file:///srv/d/blue/terraform.tfstate"},
		{"local", `path = "prod.tfstate"`, "", ""},
		{"local", "", "", ""},

		{"remote", "organization = \"acme\"\nworkspaces {\n  name = \"net\"\n}", "tfe://app.terraform.io/acme/net", ""},
		{"remote", "hostname = \"TFE.example.com\"\norganization = \"acme\"\nworkspaces {\n  prefix = \"net-\"\n}", "", "tfe://tfe.example.com/acme/net-blue"},
		{"remote", "organization = \"acme\"\nworkspaces {\n  name = var.x\n}", "", ""},
		{"remote", "workspaces {\n  name = \"net\"\n}", "", ""}, // TF_CLOUD_ORGANIZATION
	} {
		files := map[string]string{"main.tf": block(test.kind, test.settings)}
		for workspace, want := range map[string]string{"default": test.want, "blue": test.blue} {
			if got := stateOf(files, workspace); got != want {
				t.Errorf("%s, workspace %s: %q, want %q\n%s", test.kind, workspace, got, want, test.settings)
			}
			if strings.Contains(stateOf(files, workspace), "hunter2") {
				t.Errorf("%s: a secret in %q", test.kind, stateOf(files, workspace))
			}
		}
	}
}

func TestStateOfFiles(t *testing.T) {
	s3 := func(key string) string { return block("s3", fmt.Sprintf("bucket = \"b\"\nkey = %q", key)) }
	cloud := func(inner string) string { return "terraform {\n  cloud {\n" + inner + "\n  }\n}\n" }
	for _, test := range []struct {
		name      string
		files     map[string]string
		workspace string
		want      string
	}{
		{"none", map[string]string{"main.tf": "resource \"a\" \"b\" {}\n"}, "default", ""},
		{"nothing", nil, "default", ""},
		{"JSON", map[string]string{"main.tf.json": `{"terraform": {"backend": {"s3": {"bucket": "b", "key": "k"}}}}`}, "blue", "s3://b/env:/blue/k"},
		{"JSON with lists", map[string]string{"main.tf.json": `{"terraform": [{"backend": [{"s3": [{"bucket": "b", "key": "k", "endpoints": {"s3": "http://h:1"}}]}]}]}`}, "default", "s3://b/k?endpoint=h:1"},
		{"JSON that is worked out", map[string]string{"main.tf.json": `{"terraform": {"backend": {"s3": {"bucket": "b", "key": "${var.k}"}}}}`}, "default", ""},
		{"JSON with a directive", map[string]string{"main.tf.json": `{"terraform": {"backend": {"s3": {"bucket": "b", "key": "%{if true}k%{endif}"}}}}`}, "default", ""},
		{"JSON of remote", map[string]string{"main.tf.json": `{"terraform": {"backend": {"remote": {"organization": "acme", "workspaces": {"name": "net"}}}}}`}, "default", "tfe://app.terraform.io/acme/net"},

		{"cloud by name", map[string]string{"main.tf": cloud("organization = \"acme\"\nworkspaces {\n  name = \"net\"\n}")}, "default", "tfe://app.terraform.io/acme/net"},
		{"cloud, the name as the workspace", map[string]string{"main.tf": cloud("organization = \"acme\"\nworkspaces {\n  name = \"net\"\n}")}, "net", "tfe://app.terraform.io/acme/net"},
		{"cloud by tags", map[string]string{"main.tf": cloud("organization = \"acme\"\nworkspaces {\n  tags = [\"net\"]\n}")}, "blue", "tfe://app.terraform.io/acme/blue"},
		{"cloud by tags, chosen elsewhere", map[string]string{"main.tf": cloud("organization = \"acme\"\nworkspaces {\n  tags = [\"net\"]\n}")}, "default", ""},
		{"empty cloud", map[string]string{"main.tf": cloud("")}, "default", ""},

		{"an override redirects", map[string]string{"main.tf": s3("one"), "override.tf": s3("two")}, "default", "s3://b/two"},
		{"whatever comes after it", map[string]string{"a_override.tf": s3("two"), "main.tf": s3("one"), "z.tf": "# nothing\n"}, "default", "s3://b/two"},
		{"the last of them", map[string]string{"a_override.tf": s3("two"), "main.tf": s3("one"), "override.tf": s3("three")}, "default", "s3://b/three"},
		{"in JSON", map[string]string{"main.tf": s3("one"), "x_override.tf.json": `{"terraform": {"backend": {"gcs": {"bucket": "g"}}}}`}, "default", "gs://g/default.tfstate"},
		{"it takes the whole place", map[string]string{"main.tf": s3("one"), "override.tf": block("s3", `key = "two"`)}, "default", ""},
		{"cloud over a backend", map[string]string{"main.tf": s3("one"), "override.tf": cloud("organization = \"acme\"\nworkspaces {\n  name = \"net\"\n}")}, "default", "tfe://app.terraform.io/acme/net"},
		{"an override alone", map[string]string{"override.tf": s3("two")}, "default", "s3://b/two"},
		{"no override", map[string]string{"main.tf": s3("one"), "myoverride.tf": "# nothing\n"}, "default", "s3://b/one"},
		{"an override with a dot in its name", map[string]string{"main.tf": s3("one"), "p.q_override.tf": s3("two")}, "default", "s3://b/two"},
		{"two endings make no override", map[string]string{"main.tf": s3("one"), "x_override.tf.json.tf": s3("two")}, "default", ""},
		{"two backends", map[string]string{"a.tf": s3("one"), "b.tf": s3("two")}, "default", ""},
		{"two backends, and an override", map[string]string{"a.tf": s3("one"), "b.tf": s3("two"), "override.tf": s3("three")}, "default", ""},
		{"a file that is too large to read", map[string]string{"main.tf": s3("one"), "override.tf": strings.Repeat("#", MaxSize+1)}, "default", ""},

		{"tofu", map[string]string{"main.tofu": s3("one")}, "default", "s3://b/one"},
		{"the programs would not agree", map[string]string{"a.tf": s3("one"), "a.tofu": s3("two")}, "default", ""},
		{"they would", map[string]string{"a.tf": s3("one"), "a.tofu": s3("one")}, "default", "s3://b/one"},
		{"tofu's own override", map[string]string{"a.tf": s3("one"), "override.tofu": s3("two")}, "default", ""},
		{"a JSON pair", map[string]string{"a.tf.json": `{"terraform": {"backend": {"gcs": {"bucket": "g"}}}}`, "a.tofu.json": `{"terraform": {"backend": {"gcs": {"bucket": "h"}}}}`}, "default", ""},
	} {
		if got := stateOf(test.files, test.workspace); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	// What is said of the backend elsewhere follows the same file.
	var m Module
	m.Add("override.tf", []byte(block("gcs", "")))
	m.Add("z.tf", []byte(s3("one")))
	if m.Backend != "gcs" {
		t.Errorf("the type of the backend: %q", m.Backend)
	}
}
