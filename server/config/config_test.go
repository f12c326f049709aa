package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the table in docs/configuration.md")

const good = `
repos: ["acme/*"]
github:
  token: t0ps3cret
  webhook_secret: "hush"
`

func load(t *testing.T, text string, environ ...string) (*Config, []string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "weir-server.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(file, environ)
}

func TestDefaults(t *testing.T) {
	c, _, err := load(t, good)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:4141" || c.PublicURL != "http://127.0.0.1:4141" || !strings.HasSuffix(c.Store, "/.weir/weir.db") {
		t.Errorf("got listen %q, public_url %q, store %q", c.Listen, c.PublicURL, c.Store)
	}
	if diff := cmp.Diff([]string{"AWS_*", "GOOGLE_*", "ARM_*", "TF_VAR_*", "*_PROXY"}, c.Terraform.Env); diff != "" {
		t.Errorf("terraform.env: %s", diff)
	}
	if !c.ShowPages() {
		t.Error("pages must exist on loopback")
	}
}

func TestEnvironmentWins(t *testing.T) {
	c, warnings, err := load(t, good, "WEIR_GITHUB_BASE_URL=http://127.0.0.1:9/api/v3", "WEIR_REPOS=a/b, c/*", "WEIR_TERRAFORM_MAX_PARALLEL=3", "WEIR_ODD=1", "HOME=/root")
	if err != nil {
		t.Fatal(err)
	}
	if c.GitHub.BaseURL != "http://127.0.0.1:9/api/v3/" || c.Terraform.MaxParallel != 3 {
		t.Errorf("got %q and %d", c.GitHub.BaseURL, c.Terraform.MaxParallel)
	}
	if diff := cmp.Diff([]string{"a/b", "c/*"}, c.Repos); diff != "" {
		t.Error(diff)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "WEIR_ODD") {
		t.Errorf("warnings: %q", warnings)
	}
}

func TestMistakesAreTold(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		env  []string
		want string
	}{
		"unknown key with its line":  {good + "reops: [x]\n", nil, "[6:1]"},
		"wrong type":                 {good + "terraform: {max_parallel: many}\n", nil, "[6:27]"},
		"no repos":                   {"github: {token: a, webhook_secret: b}\n", nil, "repos: is needed"},
		"no way to speak to GitHub":  {"repos: [a/*]\ngithub: {webhook_secret: b}\n", nil, "set app"},
		"both ways":                  {"repos: [a/*]\ngithub: {token: a, app: {id: 1, private_key: x}, webhook_secret: b}\n", nil, "not both"},
		"half an app":                {"repos: [a/*]\ngithub: {app: {id: 1}, webhook_secret: b}\n", nil, "needs both id"},
		"no webhook secret":          {"repos: [a/*]\ngithub: {token: a}\n", nil, "webhook_secret_file: is needed"},
		"token in the clear":         {good, []string{"WEIR_GITHUB_BASE_URL=http://ghe.example.com/api/v3/"}, "must be https"},
		"a pattern over all owners":  {strings.Replace(good, "acme/*", "*", 1), nil, "no pattern"},
		"store of another kind":      {good + "store: redis://x\n", nil, "store (line 6): \"redis://x\" is neither bolt://FILE nor dynamodb://TABLE?region=REGION"},
		"a queue without a store":    {good + "dispatch: sqs://jobs.fifo?region=eu-west-1\n", nil, "dispatch (line 6): spreads the work of several servers"},
		"a queue of another kind":    {good + "store: dynamodb://weir?region=eu-west-1\ndispatch: amqp://x\n", nil, "dispatch (line 7): \"amqp://x\" is not sqs://"},
		"a bucket of another cloud":  {good + "artifacts: gs://b\n", nil, "artifacts (line 6): scheme \"gs\" is not supported; write file:///DIR, file://./DIR or s3://BUCKET?region=REGION"},
		"artifacts in the memory":    {good, []string{"WEIR_ARTIFACTS=mem://"}, "artifacts (WEIR_ARTIFACTS): scheme \"mem\""},
		"a directory that is no URL": {good + "artifacts: /var/lib/weir\n", nil, "artifacts (line 6): it is no URL; write file:///DIR"},
		"a path without its dot":     {good + "artifacts: file://data/a\n", nil, "begin with / or ./, and not with \"data\""},
		"a bucket without a name":    {good + "artifacts: s3://?region=x\n", nil, "names nothing after s3://"},
		"a key of another cloud":     {good + "seal_key: gcpkms://k\n", nil, "seal_key (line 6): scheme \"gcpkms\" is not supported; write file:///FILE, file://./FILE or awskms://KEY"},
		"a nested key with its line": {good + "pages: {user: weir}\nterraform:\n  binary: tofu\n  max_parallel: -1\n", nil, "terraform.max_parallel (line 9): is negative"},
		"missing file":               {"repos: [a/*]\ngithub: {token_file: /nowhere/token, webhook_secret: b}\n", nil, "/nowhere/token"},
		"half a login for the pages": {good + "pages: {user: weir}\n", nil, "both user and password_file"},
		"log level":                  {good + "log_level: loud\n", nil, "log_level"},
		"number in the environment":  {good, []string{"WEIR_TERRAFORM_MAX_PARALLEL=x"}, "WEIR_TERRAFORM_MAX_PARALLEL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := load(t, tt.text, tt.env...)
			var mistakes *Error
			if !errors.As(err, &mistakes) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a mistake with %q", err, tt.want)
			}
		})
	}
}

func TestPlacesThatWork(t *testing.T) {
	for key, places := range map[string][]string{
		"artifacts": {"file:///var/a", "file://./a", "file://localhost/a", "s3://bucket", "s3://b?region=eu-west-1&use_path_style=true&endpoint=http://127.0.0.1:9000"},
		"seal_key":  {"file:///var/k", "file://./k", "awskms://alias/weir?region=eu-west-1", "awskms:///arn:aws:kms:eu-west-1:1:key/2?region=eu-west-1"},
	} {
		for _, place := range places {
			if _, _, err := load(t, good+key+": "+place+"\n"); err != nil {
				t.Errorf("%s: %s: %v", key, place, err)
			}
		}
	}
}

func TestServesIsExact(t *testing.T) {
	c := &Config{Repos: []string{"acme/app", "corp/*"}}
	for repo, want := range map[string]bool{
		"acme/app": true, "Acme/App": true, "acme/app-infra": false, "acme/ap": false, "acme": false,
		"corp/x": true, "corp/x/y": false, "corporation/x": false, "xcorp/x": false,
	} {
		if got := c.Serves(repo); got != want {
			t.Errorf("Serves(%q) = %v, want %v", repo, got, want)
		}
	}
}

func TestBaseBranches(t *testing.T) {
	c, _, err := load(t, good+"base_branches: [hotfix, 'release/*']\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"hotfix", "release/*"}, c.BaseBranches); diff != "" {
		t.Error(diff)
	}
	if c, _, err = load(t, good, "WEIR_BASE_BRANCHES=release/**"); err != nil || !slices.Equal(c.BaseBranches, []string{"release/**"}) {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, pattern := range []string{"release/[", "{release", "refs/heads/release/*", ""} {
		if _, _, err := load(t, good+"base_branches: ["+fmt.Sprintf("%q", pattern)+"]\n"); err == nil || !strings.Contains(err.Error(), "base_branches (line 6): ") {
			t.Errorf("%q: got %v, want a mistake with its line", pattern, err)
		}
	}
}

func TestPagesNeedAPasswordWhereOthersReachThem(t *testing.T) {
	for _, tt := range []struct {
		listen, public, user string
		want                 bool
	}{
		{"127.0.0.1:1", "http://127.0.0.1:1", "", true},
		{"127.0.0.1:1", "http://localhost:1", "", true},
		{"127.0.0.1:1", "https://weir.example.com", "", false},
		{"0.0.0.0:1", "http://127.0.0.1:1", "", false},
		{":1", "http://127.0.0.1:1", "", false},
		{"0.0.0.0:1", "https://weir.example.com", "weir", true},
	} {
		c := &Config{Listen: tt.listen, PublicURL: tt.public, Pages: Pages{User: tt.user}}
		if got := c.ShowPages(); got != tt.want {
			t.Errorf("%+v: got %v", tt, got)
		}
	}
}

func TestI8_SecretsShowThemselvesToNobody(t *testing.T) {
	c, _, err := load(t, good+"drift: {notify: [{name: ops, format: slack, url: https://example.com/hush, secret: hush}]}\n")
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Drift.Notify[0]; n.URL.Reveal() != "https://example.com/hush" || n.Secret.Reveal() != "hush" {
		t.Errorf("read %q", n.Name)
	}
	var out bytes.Buffer
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	js, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(js)
	fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d", *c, *c, *c, c.GitHub.Token, c.GitHub.Token, c.GitHub.Token, c.GitHub.Token)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "config", *c, "token", c.GitHub.Token)
	for _, secret := range []string{"t0ps3cret", "hush", fmt.Sprintf("%x", "t0ps3cret")} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q shows in:\n%s", secret, out.String())
		}
	}
}

func TestSecretsFromFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "hook")
	if err := os.WriteFile(file, []byte("new\nold\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := load(t, "repos: [a/*]\ngithub: {token: x, webhook_secret_file: "+file+"}\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.WebhookSecrets(); len(got) != 2 || got[0].Reveal() != "new" || got[1].Reveal() != "old" {
		t.Errorf("got %d secrets", len(got))
	}
}

func TestNotifyFromFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "url")
	if err := os.WriteFile(file, []byte("https://example.com/x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := load(t, good+"drift: {notify: [{name: ops, format: slack, url_file: "+file+", severity: high, repos: [a/*]}]}\n")
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Drift.Notify[0]; n.URL.Reveal() != "https://example.com/x" || !slices.Contains(c.Private(), file) {
		t.Errorf("URL %q, private %q", n.URL.Reveal(), c.Private())
	}
	for _, broken := range []string{"url: https://a.example, url_file: " + file, "url_file: " + file + ".none", "title: x"} {
		if _, _, err := load(t, good+"drift: {notify: [{name: ops, "+broken+"}]}\n"); err == nil {
			t.Errorf("%s: no error", broken)
		}
	}
	if _, _, err := Load("", []string{"WEIR_DRIFT_NOTIFY=x"}); err == nil || !strings.Contains(err.Error(), "WEIR_DRIFT_NOTIFY: can only be set in") {
		t.Errorf("by a variable: %v", err)
	}
}

// TestI8_ChecksSeeNoCredentialsOfApplies holds that read-only credentials are not
// mixed with those that can write.
func TestI8_ChecksSeeNoCredentialsOfApplies(t *testing.T) {
	server := []string{
		"AWS_ACCESS_KEY_ID=w", "AWS_SESSION_TOKEN=w", "AWS_REGION=eu", "AWS_ENDPOINT_URL_S3=s3", "ARM_CLIENT_SECRET=w", "TF_VAR_a=1", "TF_VAR_b=1", "AWSX_TOKEN=w", "PATH=/bin",
	}
	for _, tt := range []struct {
		name  string
		drift []string
		want  map[string]string
	}{
		{"none", nil, map[string]string{}},
		{"a key", []string{"DRIFT_AWS_ACCESS_KEY_ID=r", "DRIFT_TF_VAR_a=2"}, map[string]string{"AWS_ACCESS_KEY_ID": "r", "AWS_SESSION_TOKEN": "", "TF_VAR_a": "2"}},
		{"another place", []string{"DRIFT_AWS_REGION=us"}, map[string]string{"AWS_REGION": "us"}},
		{"of weir", []string{"DRIFT_WEIR_STORE=x", "DRIFT_=x"}, map[string]string{}},
	} {
		if diff := cmp.Diff(tt.want, Drift{EnvPrefix: "DRIFT_"}.Environ(append(slices.Clone(server), tt.drift...))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if got := (Drift{}).Environ([]string{"DRIFT_AWS_PROFILE=r"}); len(got) > 0 {
		t.Errorf("without a beginning: %v", got)
	}
}

// TestDocs holds docs/configuration.md equal to the struct.
func TestDocs(t *testing.T) {
	const file = "../../docs/configuration.md"
	var table strings.Builder
	table.WriteString("| key | environment | type | default | meaning |\n| --- | --- | --- | --- | --- |\n")
	for _, k := range Keys() {
		def := k.Default
		if def != "" {
			def = "`" + def + "`"
		}
		fmt.Fprintf(&table, "| `%s` | `%s` | %s | %s | %s |\n", k.Name, k.Env, k.Type, def, k.Desc)
	}
	const begin, end = "<!-- keys: made by the tests of server/config -->\n", "<!-- end of keys -->"
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(doc), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the keys", file)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+table.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(table.String(), old); diff != "" {
		t.Errorf("%s is not what the struct says; run make golden: %s", file, diff)
	}
}
