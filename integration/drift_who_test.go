package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/integration/sandbox"
	"weir/server/control"
)

// trail is AWS CloudTrail and STS as weir meets them: LookupEvents in JSON 1.1,
// and who weir is.
type trail struct {
	mu     sync.Mutex
	mode   string // "": it answers; throttled; down
	events []trailEvent
	asked  []string // names that were asked for
	wrong  []string // what CloudTrail would not have taken
}

// trailEvent is an event as LookupEvents sends it.
type trailEvent struct {
	EventId, EventName, EventSource, ReadOnly string
	EventTime                                 float64
	Resources                                 []struct{ ResourceType, ResourceName string }
	CloudTrailEvent                           string
}

func (s *trail) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("X-Amz-Target") == "" {
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:sts::111122223333:assumed-role/weir/i-now</Arn><UserId>AROA:i-now</UserId><Account>111122223333</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>`)
		return
	}
	var ask struct {
		LookupAttributes []struct{ AttributeKey, AttributeValue string }
		StartTime        float64
		EndTime          float64
	}
	err := json.NewDecoder(r.Body).Decode(&ask)
	if err != nil || len(ask.LookupAttributes) != 1 || ask.LookupAttributes[0].AttributeKey != "ResourceName" || ask.StartTime >= ask.EndTime ||
		r.Header.Get("X-Amz-Target") != "CloudTrail_20131101.LookupEvents" || !strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/cloudtrail/") {
		s.wrong = append(s.wrong, fmt.Sprintf("%s: %+v, %v", r.Header.Get("X-Amz-Target"), ask, err))
		http.Error(w, "not what CloudTrail takes", http.StatusBadRequest)
		return
	}
	name := ask.LookupAttributes[0].AttributeValue
	s.asked = append(s.asked, name)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	switch s.mode {
	case "down":
		panic(http.ErrAbortHandler) // the connection ends
	case "throttled":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"ThrottlingException","message":"Rate exceeded"}`)
		return
	}
	fit := []trailEvent{}
	for _, e := range s.events {
		for _, resource := range e.Resources {
			if resource.ResourceName == name && e.EventTime >= ask.StartTime && e.EventTime <= ask.EndTime {
				fit = append(fit, e)
			}
		}
	}
	slices.SortFunc(fit, func(a, b trailEvent) int { return int(b.EventTime - a.EventTime) }) // the newest first
	_ = json.NewEncoder(w).Encode(map[string]any{"Events": fit})
}

// be changes how it answers, and returns what it was asked before.
func (s *trail) be(mode string) (asked []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked, s.asked, s.mode = s.asked, nil, mode
	return asked
}

// happened adds an event that is recorded in drift/cloudtrail/testdata, as if
// it had been at another time, with some of its record replaced.
func (s *trail) happened(t *testing.T, name string, when time.Time, changes map[string]any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../drift/cloudtrail/testdata", name+".json"))
	var file struct {
		Resources       []struct{ ResourceType, ResourceName string }
		CloudTrailEvent map[string]any
	}
	if err == nil {
		err = json.Unmarshal(raw, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	record := file.CloudTrailEvent
	record["eventTime"] = when.UTC().Format(time.RFC3339)
	for key, value := range changes {
		record[key] = value
	}
	text, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, trailEvent{
		EventId: fmt.Sprint(record["eventID"]), EventName: fmt.Sprint(record["eventName"]), EventSource: fmt.Sprint(record["eventSource"]),
		ReadOnly: fmt.Sprint(record["readOnly"]), EventTime: float64(when.Unix()), Resources: file.Resources, CloudTrailEvent: string(text),
	})
}

// weirsOwn makes an event one of weir's, in another session than it has now.
var weirsOwn = map[string]any{
	"eventID": "0c5f8a10-0000-4000-8000-00000000000f",
	"userIdentity": map[string]any{
		"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/weir/i-before", "accountId": "111122223333", "accessKeyId": "ASIAEXAMPLEEXAMPLE06",
		"sessionContext": map[string]any{"sessionIssuer": map[string]any{"type": "Role", "arn": "arn:aws:iam::111122223333:role/weir", "userName": "weir"}},
	},
}

// cloud is a project of resources that look like AWS's and are files: the
// provider is tools/local/aws.
func (w *world) cloud(name string) string {
	return w.project(name, fmt.Sprintf(`terraform {
  required_providers {
    aws = { source = "example.com/test/aws" }
  }
}

provider "aws" {
  dir = %q
}

resource "aws_cloudtrail" "main" {
  name           = "main"
  enable_logging = true
}

resource "aws_s3_bucket_public_access_block" "invoices" {
  bucket            = "acme-invoices"
  block_public_acls = true
}

resource "aws_db_instance" "orders" {
  identifier          = "orders"
  deletion_protection = true
}

resource "aws_sqs_queue" "jobs" {
  name                       = "jobs"
  visibility_timeout_seconds = 30
}
`, w.outside("")))
}

// anew starts weir anew, and waits until it can be asked.
func (w *world) anew() {
	w.t.Helper()
	file := filepath.Join(w.dir, "weir", control.File)
	before, err := os.ReadFile(file)
	w.do(err)
	w.stop()
	w.startProcess()
	w.until("weir can be asked", func() bool {
		now, err := os.ReadFile(file)
		return err == nil && string(now) != string(before)
	})
}

// TestWhoDidIt holds that an issue says who changed something at AWS, and that
// neither a CloudTrail that is asked too often nor one that is down fails a
// check.
func TestWhoDidIt(t *testing.T) {
	t.Parallel()
	config := providers(t)
	if _, err := os.Stat("../.cache/providers/example.com/test/aws"); err != nil {
		missing(t, "provider of the tests' own: run scripts/get-provider")
	}
	log := &trail{}
	aws := httptest.NewServer(log)
	t.Cleanup(aws.Close)
	config = append(config, "WEIR_DRIFT_ATTRIBUTION=cloudtrail",
		"AWS_ENDPOINT_URL_CLOUDTRAIL="+aws.URL, "AWS_ENDPOINT_URL_STS="+aws.URL, "AWS_REGION=eu-west-1",
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_EC2_METADATA_DISABLED=true")
	w := newWorld(t, setup{process: true, config: config, files: map[string]string{"README.md": "infra"}})
	p := w.pull("first", map[string]string{"prod/main.tf": w.cloud("prod")})
	w.check(p.HeadSHA, "weir/plan", "success")
	w.quiet()
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.merge(p)
	w.quiet()
	applied := time.Now().Unix()
	w.look("")
	w.noIssue()
	if asked := log.be("throttled"); len(asked) > 0 {
		t.Errorf("nothing differs, and CloudTrail was asked for %q", asked)
	}

	for file, content := range map[string]string{
		"aws_cloudtrail.main": "false", "aws_s3_bucket_public_access_block.acme-invoices": "false",
		"aws_db_instance.orders": "false", "aws_sqs_queue.jobs": "5",
	} {
		w.do(os.WriteFile(w.outside(file+".json"), []byte(content), 0o600))
	}
	w.until("events are later than the apply, in seconds as CloudTrail has them", func() bool { return time.Now().Unix() > applied+1 })
	when := time.Unix(applied+1, 0)
	log.happened(t, "root", when, nil)
	log.happened(t, "cli", when, nil)
	log.happened(t, "sdk", when, nil)
	log.happened(t, "stack", when, nil)
	log.happened(t, "sdk", when.Add(time.Second), weirsOwn)

	// Nobody says who it was, and that keeps nothing from being told.
	w.look("")
	issue := w.issue("prod", func(i sandbox.Issue) bool { return i.State == "open" })
	if !strings.Contains(issue.Body, "`aws_cloudtrail.main` `enable_logging`") || strings.Contains(issue.Body, "event `") {
		t.Errorf("while CloudTrail is asked too often, the issue is:\n%s", issue.Body)
	}
	if asked := log.be("down"); len(asked) == 0 {
		t.Error("CloudTrail was not asked")
	}
	w.anew() // for it leaves a CloudTrail alone that has refused it
	w.look("")
	if asked := log.be(""); len(asked) == 0 {
		t.Error("CloudTrail was not asked again")
	}
	if api := w.get("/api/v1/drift"); strings.Contains(api, `"failure"`) || !strings.Contains(api, `"aws_cloudtrail.main"`) {
		t.Errorf("the check has failed: %s", api)
	}
	w.anew()
	w.look("")
	issue = w.issue("prod", func(i sandbox.Issue) bool { return i.State == "open" && strings.Contains(i.Body, "event `") })
	on := ") on " + when.UTC().Format("2006-01-02 15:04 UTC") + ", event "
	for _, line := range []struct{ of, by string }{
		{"`aws_cloudtrail.main` `enable_logging`", "By the root user of 111122223333 (console, `StopLogging`" + on + "`0c5f8a10-0000-4000-8000-000000000005`; certain."},
		{"`aws_s3_bucket_public_access_block.invoices` `block_public_acls`", " (cli, `PutBucketPublicAccessBlock`" + on + "`0c5f8a10-0000-4000-8000-000000000002`; certain."},
		{"`aws_db_instance.orders` `deletion_protection`", "By nightly as role cost-saver (sdk, `ModifyDBInstance`" + on + "`0c5f8a10-0000-4000-8000-000000000003`; certain."},
		{"`aws_sqs_queue.jobs` `visibility_timeout_seconds`", "By user dave, through cloudformation.amazonaws.com (service, `SetQueueAttributes`" + on + "`0c5f8a10-0000-4000-8000-000000000008`; likely."},
	} {
		found := false
		for got := range strings.Lines(issue.Body) {
			found = found || strings.Contains(got, line.of) && strings.Contains(got, line.by)
		}
		if !found {
			t.Errorf("no line of %s has %q:\n%s", line.of, line.by, issue.Body)
		}
	}
	asked := log.be("")
	slices.Sort(asked)
	if len(slices.Compact(slices.Clone(asked))) != len(asked) {
		t.Errorf("asked twice for the same: %q", asked)
	}

	// What is known is not asked again, and that it became known is no news.
	w.look("")
	if asked := log.be(""); len(asked) > 0 {
		t.Errorf("asked again for %q", asked)
	}
	if comments, err := w.box.Comments(repo, issue.Number); err != nil || len(comments) > 0 {
		t.Errorf("comments %+v, %v", comments, err)
	}
	if len(log.wrong) > 0 {
		t.Errorf("CloudTrail was asked what it does not take: %q", log.wrong)
	}
}
