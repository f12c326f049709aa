package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"weir/integration/services"
)

// signedAs is a signature that nobody checks here; but without one moto takes
// the caller for the public.
const signedAs = "AWS4-HMAC-SHA256 Credential=local/20260102/%s/%s/aws4_request, SignedHeaders=host, Signature=0"

// TestTerraformsOwnBackend: most states are in S3, locked by an object beside
// them or by a row in DynamoDB, and terraform reaches both by itself, with the
// environment that weir lets it see.
func TestTerraformsOwnBackend(t *testing.T) {
	t.Parallel()
	for _, b := range []backend{lockFile{}, lockTable{}} {
		t.Run(b.name(), func(t *testing.T) {
			t.Parallel()
			if b.name() == "lock file" {
				needLockFiles(t)
			}
			bucket := newBucket(t, ownName("states"))
			b, dynamo := b.made(t, bucket)
			main := func(value string) string {
				return fmt.Sprintf(`terraform {
  backend "s3" {
    bucket                      = %q
    key                         = "prod/terraform.tfstate"
    region                      = "eu-west-1"
    use_path_style              = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
    %s
  }
}

resource "terraform_data" "a" {
  input = "${terraform.workspace} has %s"
}
`, bucket.name, b.setting(), value)
			}
			w := newWorld(t, setup{
				files: map[string]string{"prod/main.tf": main("nothing"), "weir.yaml": `version: 1
projects:
  - {name: prod, dir: prod, workspace: default}
  - {name: staging, dir: prod, workspace: staging}
`},
				config: []string{
					"AWS_ENDPOINT_URL_S3=" + bucket.url, "AWS_ENDPOINT_URL_DYNAMODB=" + dynamo,
					"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_EC2_METADATA_DISABLED=true",
					"WEIR_TERRAFORM_BINARY=" + impatientTerraform(t),
				},
			})

			first := w.pull("first", map[string]string{"prod/main.tf": main("one")})
			w.comment(first, "plan", "default has one", "staging has one")
			w.check(first.HeadSHA, "weir/plan", "success")
			w.review("bob", first, "APPROVE")
			w.check(first.HeadSHA, "weir/apply", "success")
			for workspace, object := range map[string]string{"default": "prod/terraform.tfstate", "staging": "env:/staging/prod/terraform.tfstate"} {
				if state := bucket.get(object); !strings.Contains(state, workspace+" has one") {
					t.Errorf("the bucket's state of %s does not hold what was applied:\n%s", workspace, state)
				}
			}
			w.merge(first)
			w.owner("prod", 0)

			// Somebody's terraform died, or still runs, with the lock of one
			// workspace: weir says whose it is, and touches nothing.
			b.hold("prod/terraform.tfstate")
			second := w.pull("second", map[string]string{"prod/main.tf": main("two")})
			w.comment(second, "plan", "state lock", "mallory@laptop", "0c4f1a1e-0000-4000-8000-00000000dead", "staging has two")
			w.check(second.HeadSHA, "weir/plan", "failure")
			b.release("prod/terraform.tfstate")
			w.say("alice", second, "weir plan")
			w.check(second.HeadSHA, "weir/plan", "success")
			w.comment(second, "plan", "default has two", "staging has two")
			w.quiet()

			// The same between plan and apply.
			b.hold("env:/staging/prod/terraform.tfstate")
			w.review("bob", second, "APPROVE")
			w.comment(second, "apply", "state lock", "mallory@laptop")
			w.quiet()
			if state := bucket.get("env:/staging/prod/terraform.tfstate"); !strings.Contains(state, "staging has one") || strings.Contains(state, "staging has two") {
				t.Errorf("staging was applied while somebody held its lock:\n%s", state)
			}
			b.release("env:/staging/prod/terraform.tfstate")
			w.say("alice", second, "weir plan")
			w.check(second.HeadSHA, "weir/plan", "success")
			w.quiet()
			w.review("carol", second, "APPROVE")
			w.check(second.HeadSHA, "weir/apply", "success")
			for workspace, object := range map[string]string{"default": "prod/terraform.tfstate", "staging": "env:/staging/prod/terraform.tfstate"} {
				if state := bucket.get(object); !strings.Contains(state, workspace+" has two") {
					t.Errorf("the bucket's state of %s does not hold what was applied:\n%s", workspace, state)
				}
			}
			w.merge(second)
			w.quiet()
			if left := b.held(); left != "" {
				t.Errorf("locks were left behind: %s", left)
			}
		})
	}
}

// backend is one way in which terraform locks a state in S3.
type backend interface {
	name() string
	made(t *testing.T, states bucket) (b backend, dynamo string)
	setting() string
	hold(object string)
	release(object string)
	held() string
}

// heldInfo is what terraform writes about who holds a lock.
const heldInfo = `{"ID":"0c4f1a1e-0000-4000-8000-00000000dead","Operation":"OperationTypeApply","Info":"","Who":"mallory@laptop","Version":"1.11.4","Created":"2026-01-02T03:04:05Z","Path":%q}`

type lockFile struct{ states bucket }

func (lockFile) name() string { return "lock file" }

func (lockFile) made(_ *testing.T, states bucket) (backend, string) {
	return lockFile{states}, "http://127.0.0.1:1" // nobody listens there
}

func (lockFile) setting() string { return "use_lockfile = true" }

func (l lockFile) hold(object string) {
	l.states.put(object+".tflock", fmt.Sprintf(heldInfo, l.states.name+"/"+object))
}

func (l lockFile) release(object string) { l.states.delete(object + ".tflock") }

func (l lockFile) held() string {
	if list := l.states.call(http.MethodGet, "?list-type=2", ""); strings.Contains(list, ".tflock") {
		return list
	}
	return ""
}

type lockTable struct {
	t      *testing.T
	states bucket
	url    string
	table  string
}

func (lockTable) name() string { return "lock table" }

func (lockTable) made(t *testing.T, states bucket) (backend, string) {
	l := lockTable{t: t, states: states, url: services.Dynamo(t), table: ownName("terraform-locks")}
	l.call("CreateTable", fmt.Sprintf(`{"TableName": %q, "BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
		"KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}]}`, l.table))
	return l, l.url
}

func (l lockTable) setting() string { return fmt.Sprintf("dynamodb_table = %q", l.table) }

func (l lockTable) key(object string) string { return l.states.name + "/" + object }

func (l lockTable) hold(object string) {
	l.call("PutItem", fmt.Sprintf(`{"TableName": %q, "Item": {"LockID": {"S": %q}, "Info": {"S": %q}}}`,
		l.table, l.key(object), fmt.Sprintf(heldInfo, l.key(object))))
}

func (l lockTable) release(object string) {
	l.call("DeleteItem", fmt.Sprintf(`{"TableName": %q, "Key": {"LockID": {"S": %q}}}`, l.table, l.key(object)))
}

func (l lockTable) held() string {
	if rows := l.call("Scan", fmt.Sprintf(`{"TableName": %q}`, l.table)); strings.Contains(rows, `"Info"`) {
		return rows
	}
	return ""
}

func (l lockTable) call(operation, body string) string {
	l.t.Helper()
	return awsCall(l.t, l.url, "dynamodb", "DynamoDB_20120810."+operation, body)
}

var owned atomic.Int64

// ownName is a name that no other test has: they share one DynamoDB and one
// moto.
func ownName(what string) string { return fmt.Sprintf("weir-%s-%d", what, owned.Add(1)) }

// bucket is an S3 bucket, spoken to as plainly as moto lets one.
type bucket struct {
	t    *testing.T
	url  string // of the server
	name string
}

func newBucket(t *testing.T, name string) bucket {
	t.Helper()
	b := bucket{t: t, url: services.AWS(t), name: name}
	b.call(http.MethodPut, "", "")
	return b
}

func (b bucket) get(object string) string { return b.call(http.MethodGet, object, "") }
func (b bucket) put(object, body string)  { b.call(http.MethodPut, object, body) }
func (b bucket) delete(object string)     { b.call(http.MethodDelete, object, "") }

func (b bucket) call(method, object, body string) string {
	b.t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(b.t.Context()), method, b.url+"/"+b.name+"/"+object, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", fmt.Sprintf(signedAs, "us-east-1", "s3"))
	want := http.StatusOK
	if method == http.MethodDelete {
		want = http.StatusNoContent
	}
	return answer(b.t, req, want)
}

// awsCall makes a call by hand.
func awsCall(t *testing.T, server, service, target, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", target)
	req.Header.Set("Authorization", fmt.Sprintf(signedAs, "eu-west-1", service))
	return answer(t, req, http.StatusOK)
}

// answer does a request and returns the body of its answer.
func answer(t *testing.T, req *http.Request, want int) string {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Fatalf("%s %s: %s, %v\n%s", req.Method, req.URL, resp.Status, err, body)
	}
	return string(body)
}

// impatientTerraform is a terraform that does not wait for a state's lock, where
// weir asked for minutes.
func impatientTerraform(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "terraform")
	script := fmt.Sprintf(`#!/bin/sh
for arg; do
  shift
  case $arg in -lock-timeout=*) arg=-lock-timeout=0s ;; esac
  set -- "$@" "$arg"
done
exec %q "$@"
`, terraformHere(t))
	if err := os.WriteFile(name, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

func terraformHere(t *testing.T) string {
	t.Helper()
	needTerraform(t)
	program, err := exec.LookPath("terraform")
	if err != nil {
		program, err = exec.LookPath("tofu")
	}
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// needLockFiles skips where Terraform is older than its lock files (1.10).
// OpenTofu has them as of 1.10, too.
func needLockFiles(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), terraformHere(t), "version").Output()
	if err != nil {
		t.Fatal(err)
	}
	var major, minor int
	_, after, _ := strings.Cut(string(out), " v")
	if _, err := fmt.Sscanf(after, "%d.%d", &major, &minor); err != nil {
		t.Fatalf("%q names no version: %v", out, err)
	}
	if major == 1 && minor < 10 {
		missing(t, "terraform or tofu 1.10 or newer, which locks states with an object in the bucket")
	}
}
