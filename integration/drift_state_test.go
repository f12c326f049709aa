package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"weir/integration/sandbox"
)

// readOnly lets through to AWS what only reads, and refuses the rest, as
// credentials would that may only read.
type readOnly struct {
	mu      sync.Mutex
	read    int
	refused []string
}

// before returns the URL of a way to a service.
func (r *readOnly) before(t *testing.T, service string) string {
	t.Helper()
	target, err := url.Parse(service)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
		if reads := req.Method == http.MethodGet || req.Method == http.MethodHead || operation == "GetItem"; !r.note(reads, req.Method+" "+operation+" "+req.URL.Path) {
			http.Error(w, "this only reads", http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (r *readOnly) note(reads bool, what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reads {
		r.read++
	} else {
		r.refused = append(r.refused, what)
	}
	return reads
}

// requests says how many were let through, and which were not.
func (r *readOnly) requests() (read int, refused []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.read, slices.Clone(r.refused)
}

// A project's state is in S3, where it is locked by an object and by a row in
// DynamoDB. A check writes to neither, and waits for no lock.
func TestDriftOfAStateInS3(t *testing.T) {
	t.Parallel()
	needLockFiles(t)
	bucket := newBucket(t, ownName("drift-states"))
	bucket.call(http.MethodPut, "?versioning", `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`)
	table, dynamo := lockTable{}.made(t, bucket)
	rows := newLedger(t, dynamo, table.(lockTable).table)
	const object = "prod/terraform.tfstate"
	checks := &readOnly{}
	w := newWorld(t, setup{
		files: map[string]string{"README.md": "infra"},
		config: append(providers(t),
			"AWS_ENDPOINT_URL_S3="+bucket.url, "AWS_ENDPOINT_URL_DYNAMODB="+dynamo,
			"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_EC2_METADATA_DISABLED=true",
			// Only checks see these.
			"DRIFT_AWS_ENDPOINT_URL_S3="+checks.before(t, bucket.url), "DRIFT_AWS_ENDPOINT_URL_DYNAMODB="+checks.before(t, dynamo),
		),
	})
	p := w.pull("first", map[string]string{"prod/main.tf": fmt.Sprintf(`terraform {
  backend "s3" {
    bucket                      = %q
    key                         = %q
    region                      = "eu-west-1"
    use_path_style              = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
    %s
    %s
  }
  required_providers {
    local = { source = "hashicorp/local" }
  }
}

resource "local_file" "motd" {
  filename = %q
  content  = "hello"
}
`, bucket.name, object, lockFile{}.setting(), table.setting(), w.outside("prod"))})
	w.check(p.HeadSHA, "weir/plan", "success")
	w.quiet()
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.merge(p)
	w.quiet()
	if read, refused := checks.requests(); read+len(refused) != 0 {
		t.Fatalf("a pull request's runs went the way of checks: %d, %q", read, refused)
	}

	// A lock object that comes and goes leaves versions behind, and a row
	// that does leaves changes.
	versions := func() []string {
		all := regexp.MustCompile(`<(Key|VersionId|ETag)>[^<]*`).FindAllString(bucket.call(http.MethodGet, "?versions", ""), -1)
		slices.Sort(all)
		return all
	}
	before, changes := versions(), len(rows.changes())
	untouched := func(when string) {
		t.Helper()
		if now := versions(); len(now) == 0 || !slices.Equal(now, before) {
			t.Errorf("%s: the bucket holds\n%q, before that\n%q", when, now, before)
		}
		if now := len(rows.changes()); now != changes || changes == 0 {
			t.Errorf("%s: %d changes in the table of locks, %d before that", when, now, changes)
		}
	}
	w.look("")
	w.noIssue()
	untouched("no drift")
	w.do(os.WriteFile(w.outside("prod"), []byte("by hand"), 0o600))
	w.look("")
	issue := w.issue("prod", func(i sandbox.Issue) bool { return strings.Contains(i.Body, "`local_file.motd`") && i.State == "open" })
	untouched("drift")

	// Somebody's terraform runs. The check does not wait for it, and leaves
	// its locks alone.
	locks := []backend{lockFile{bucket}, table}
	for _, b := range locks {
		b.hold(object)
	}
	before, changes = versions(), len(rows.changes())
	w.do(os.WriteFile(w.outside("prod"), []byte("hello"), 0o600))
	w.look("")
	w.issue("prod", func(i sandbox.Issue) bool { return i.Number == issue.Number && i.State == "closed" })
	w.do(os.WriteFile(w.outside("prod"), []byte("by hand again"), 0o600))
	w.look("")
	w.issue("prod", func(i sandbox.Issue) bool { return i.Number == issue.Number && i.State == "open" })
	untouched("locked by somebody")
	for _, b := range locks {
		if b.held() == "" {
			t.Errorf("the %s of somebody else is gone", b.name())
		}
		b.release(object)
	}
	if read, refused := checks.requests(); read == 0 || len(refused) != 0 {
		t.Errorf("checks have read %d times, and have tried to write: %q", read, refused)
	}

	w.tell("alice", issue, "weir drift revert")
	q := w.proposed(issue)
	w.comment(q, "plan", "local_file.motd")
	w.quiet()
	w.review("bob", q, "APPROVE")
	w.check(q.HeadSHA, "weir/apply", "success")
	w.merge(q)
	w.quiet()
	w.look("")
	w.issue("prod", func(i sandbox.Issue) bool { return i.Number == issue.Number && i.State == "closed" })
	if content, err := os.ReadFile(w.outside("prod")); err != nil || string(content) != "hello" {
		t.Errorf("the file holds %q, %v", content, err)
	}
	for _, b := range locks {
		if left := b.held(); left != "" {
			t.Errorf("a lock was left behind: %s", left)
		}
	}
}
