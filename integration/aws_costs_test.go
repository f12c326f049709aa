package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/integration/sandbox"
	"weir/integration/services"
	"weir/store/dynamo"
)

// bill is what AWS charges for.
type bill struct {
	Reads, Writes                  float64 // request units of DynamoDB
	ObjectReads, ObjectWrites, KMS float64
	Messages                       float64 // requests to SQS
}

func (r *recorder) bill() bill {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := bill{Reads: r.units["read"], Writes: r.units["write"]}
	for operation, count := range r.calls {
		n := float64(count)
		switch operation {
		case "GetObject", "HeadObject":
			b.ObjectReads += n
		case "PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CopyObject", "ListObjectsV2", "HeadBucket":
			b.ObjectWrites += n // a list is charged like a write
		case "Encrypt", "Decrypt":
			b.KMS += n
		case "SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes", "GetQueueUrl",
			"SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch":
			b.Messages += n
		}
	}
	return b
}

func (b bill) minus(o bill) bill {
	return bill{
		Reads: b.Reads - o.Reads, Writes: b.Writes - o.Writes, ObjectReads: b.ObjectReads - o.ObjectReads,
		ObjectWrites: b.ObjectWrites - o.ObjectWrites, KMS: b.KMS - o.KMS, Messages: b.Messages - o.Messages,
	}
}

// TestAWSCosts counts what DynamoDB, S3 and KMS are asked for by a pull request,
// and by a replica with nothing to do, and holds the manual's table against it:
// what it says is never less, and not much more. With a queue it only looks
// whether all that the whole server does is allowed: when news arrive there is
// a matter of the moment.
func TestAWSCosts(t *testing.T) {
	for _, queue := range []bool{false, true} {
		t.Run(fmt.Sprintf("queue %v", queue), func(t *testing.T) {
			if queue && os.Getenv("WEIR_CHAOS") == "" {
				t.Skip("the second half of a minute: with WEIR_CHAOS")
			}
			t.Parallel()
			r := newRecorder()
			many := map[string]string{}
			config := onAWS(t, r, queue)
			w := newWorld(t, setup{config: config})
			for i := range 20 {
				name := fmt.Sprintf("many/p%02d", i)
				many[name+"/main.tf"] = w.project(name, resource("two"))
			}
			r.still(w)
			if !queue {
				before, began := r.bill(), time.Now()
				<-time.After(10 * time.Second) // what is measured is what happens by itself
				idle := r.bill().minus(before)
				hours := time.Since(began).Hours()
				documented(t, "an idle replica, an hour", bill{
					Reads: idle.Reads / hours, Writes: idle.Writes / hours, ObjectReads: idle.ObjectReads / hours,
					ObjectWrites: idle.ObjectWrites / hours, KMS: idle.KMS / hours, Messages: idle.Messages / hours,
				}, bill{})
			}

			var p sandbox.Pull
			for _, part := range []struct {
				name     string
				projects float64
				do       func()
			}{
				{"a plan", 1, func() {
					p = w.pull("change", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
					w.comment(p, "plan", "two")
					w.check(p.HeadSHA, "weir/apply", "action_required")
				}},
				{"an apply", 1, func() {
					w.review("bob", p, "APPROVE")
					w.check(p.HeadSHA, "weir/apply", "success")
				}},
				{"a merge", 1, func() {
					w.merge(p)
					w.do(w.box.WaitDelivered(w.patience()))
				}},
				{"a plan of 20 projects", 20, func() {
					p = w.pull("many", many)
					w.check(p.HeadSHA, "weir/apply", "action_required")
				}},
			} {
				before, began := r.bill(), time.Now()
				part.do()
				r.still(w)
				// What a slow machine adds: looks into the table, and parts
				// of logs of runs that take longer.
				slow := time.Since(began).Seconds() * part.projects
				if !queue {
					documented(t, part.name, r.bill().minus(before), bill{Reads: slow, ObjectWrites: slow, ObjectReads: slow, KMS: slow})
				}
			}
			if !queue {
				partitionsAreDocumented(t, config[0])
			}
			if n := r.taken()["SendMessage"]; queue != (n > 0) {
				t.Errorf("%d messages were sent", n)
			}
			if len(r.unknown) > 0 {
				t.Errorf("calls that cannot be named: %v", r.unknown)
			}
			allowed := policyActions(t)
			for _, right := range slices.Sorted(maps.Keys(r.rights)) {
				if !slices.Contains(allowed, right) {
					t.Errorf("the whole server needs %s, which the policy of deploy/aws does not allow", right)
				}
			}
		})
	}
}

// partitionsAreDocumented compares what lies in the table with the manual.
func partitionsAreDocumented(t *testing.T, table string) {
	t.Helper()
	u, err := url.Parse(strings.TrimPrefix(table, "WEIR_STORE="))
	if err != nil {
		t.Fatal(err)
	}
	var rows struct {
		Items []struct{ PK struct{ S string } }
	}
	scan := awsCall(t, services.Dynamo(t), "dynamodb", "DynamoDB_20120810.Scan", fmt.Sprintf(`{"TableName": %q, "ProjectionExpression": "pk"}`, u.Host))
	if err := json.Unmarshal([]byte(scan), &rows); err != nil {
		t.Fatal(err)
	}
	_, manual, _ := strings.Cut(page(t, "docs/operations.md"), "| partition | sort |")
	manual, _, _ = strings.Cut(manual, "\n\n")
	if len(rows.Items) == 0 {
		t.Error("the table is empty")
	}
	for _, item := range rows.Items {
		partition := strings.Replace(item.PK.S, repo, "OWNER/REPO", 1)
		if !strings.Contains(manual, "`"+partition+"`") {
			t.Errorf("docs/operations.md does not tell of the partition %s", partition)
		}
	}
}

// still waits until nothing was written for a second.
func (r *recorder) still(w *world) {
	w.t.Helper()
	last, since := r.bill(), time.Now()
	w.until("nothing is written any more", func() bool {
		if now := r.bill(); now.Writes != last.Writes || now.ObjectWrites != last.ObjectWrites {
			last, since = now, time.Now()
		}
		return time.Since(since) > time.Second
	})
}

// onAWS is the configuration of a weir whose things are all on AWS, behind a
// recorder.
func onAWS(t *testing.T, r *recorder, queue bool) []string {
	t.Helper()
	name := ownName("costs")
	local := services.Dynamo(t)
	table := fmt.Sprintf("dynamodb://%s?region=eu-west-1&endpoint=", name)
	if err := dynamo.Init(t.Context(), table+url.QueryEscape(local)); err != nil {
		t.Fatal(err)
	}
	b := newBucket(t, name)
	proxy := r.before(t, b.url)
	config := []string{
		"WEIR_STORE=" + table + url.QueryEscape(r.before(t, local)),
		"WEIR_ARTIFACTS=" + artifactsAt(proxy, b.name),
		"WEIR_SEAL_KEY=" + sealKeyAt(t, b.url, proxy),
	}
	if queue {
		config = append(config, "WEIR_DISPATCH="+newQueue(t, b.url, name)+url.QueryEscape(proxy))
	}
	return config
}

// documented compares a bill with its row in the manual. slow is what may come
// on top of it because this machine is.
func documented(t *testing.T, what string, got, slow bill) {
	t.Helper()
	t.Logf("counted for %s: %+v", what, got)
	_, table, _ := strings.Cut(page(t, "docs/operations.md"), "## Costs")
	row := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(what) + ` \|(.*)\|$`).FindStringSubmatch(table)
	if row == nil {
		t.Errorf("docs/operations.md has no costs of %s: %+v", what, got)
		return
	}
	cells := strings.Split(row[1], "|")
	for i, count := range []struct {
		name    string
		n, more float64
	}{
		{"write units", got.Writes, slow.Writes},
		{"read units", got.Reads, slow.Reads},
		{"writes of objects", got.ObjectWrites, slow.ObjectWrites},
		{"reads of objects", got.ObjectReads, slow.ObjectReads},
		{"KMS", got.KMS, slow.KMS},
		{"SQS", got.Messages, slow.Messages},
	} {
		if i >= len(cells) {
			t.Errorf("docs/operations.md says nothing about %s of %s", count.name, what)
			return
		}
		told, err := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(cells[i]), ",", ""), 64)
		if err != nil {
			t.Errorf("docs/operations.md, %s of %s: %v", count.name, what, err)
			continue
		}
		if count.n > told+count.more || count.n < told/3-10 {
			t.Errorf("docs/operations.md says %s of %s are up to %g, counted were %g", count.name, what, told, count.n)
		}
	}
}
