package integration

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// ledger is everything that was ever written to a table, in the order in which
// it happened, as DynamoDB itself recorded it in the table's stream.
type ledger struct {
	t             *testing.T
	url, table    string
	stream        string
	noted         []change
	rows          lockRows          // as they are at the end, after audit
	states        map[string]string // of each project that was ever wanted, likewise
	shard, cursor string
}

// change is one record, before and after one commit; nil where it is not there.
type change struct {
	partition, sort string
	before, after   []byte
}

func newLedger(t *testing.T, url, table string) *ledger {
	t.Helper()
	l := &ledger{t: t, url: url, table: table}
	var out struct {
		TableDescription struct{ LatestStreamArn string }
	}
	l.call("DynamoDB_20120810.UpdateTable", map[string]any{
		"TableName": table, "StreamSpecification": map[string]any{"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
	}, &out)
	l.stream = out.TableDescription.LatestStreamArn
	return l
}

func (l *ledger) call(operation string, in any, out any) {
	l.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		l.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(l.t.Context(), http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", operation)
	// Nobody checks the signature here.
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260102/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		l.t.Fatalf("%s: %s %s %v", operation, resp.Status, answer, err)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		l.t.Fatalf("%s: %v: %s", operation, err, answer)
	}
}

type imageJSON struct {
	PK, SK, Packed struct{ S string }
	Body           struct{ B string }
}

// changes returns all that was written so far, the oldest first.
func (l *ledger) changes() []change {
	l.t.Helper()
	for {
		if l.cursor == "" && !l.nextShard() {
			return l.noted
		}
		var page struct {
			NextShardIterator string
			Records           []struct {
				DynamoDB struct {
					Keys               imageJSON
					OldImage, NewImage *imageJSON
				}
			}
		}
		l.call("DynamoDBStreams_20120810.GetRecords", map[string]any{"ShardIterator": l.cursor}, &page)
		for _, r := range page.Records {
			l.noted = append(l.noted, change{
				partition: r.DynamoDB.Keys.PK.S, sort: r.DynamoDB.Keys.SK.S,
				before: l.body(r.DynamoDB.OldImage), after: l.body(r.DynamoDB.NewImage),
			})
		}
		l.cursor = page.NextShardIterator
		if l.cursor != "" && len(page.Records) == 0 {
			return l.noted
		}
	}
}

// nextShard goes on to the shard after the present one, if there is one.
func (l *ledger) nextShard() bool {
	var d struct {
		StreamDescription struct {
			Shards []struct{ ShardID string }
		}
	}
	l.call("DynamoDBStreams_20120810.DescribeStream", map[string]any{"StreamArn": l.stream}, &d)
	shards := d.StreamDescription.Shards
	next := slices.IndexFunc(shards, func(s struct{ ShardID string }) bool { return s.ShardID == l.shard }) + 1
	if next >= len(shards) {
		return false
	}
	var i struct{ ShardIterator string }
	l.shard = shards[next].ShardID
	l.call("DynamoDBStreams_20120810.GetShardIterator", map[string]any{
		"StreamArn": l.stream, "ShardId": l.shard, "ShardIteratorType": "TRIM_HORIZON",
	}, &i)
	l.cursor = i.ShardIterator
	return true
}

func (l *ledger) body(image *imageJSON) []byte {
	l.t.Helper()
	if image == nil {
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(image.Body.B)
	if err == nil && image.Packed.S == "gzip" {
		var r io.Reader
		if r, err = gzip.NewReader(bytes.NewReader(data)); err == nil {
			data, err = io.ReadAll(r)
		}
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return append([]byte{}, data...)
}

// What of the records this looks at.
type (
	lockJSON struct {
		Owner      int
		Epoch, Seq int64
		State      string
		Waiters    []waiterJSON
	}
	waiterJSON struct {
		Pull  int
		Since time.Time
		State string
	}
	pullJSON struct {
		Pull     int
		Projects []projectJSON
	}
	projectJSON struct {
		ID, Dir, Workspace, State, Job, Run string
		Epoch                               int64
		PlanDigest                          string `json:"plan_digest"`
	}
	lineJSON struct {
		Jobs []struct{ ID, State, Worker string }
	}
)

// audit plays the history and fails where it breaks a promise: at every moment
// one owner of a project, whose epoch is new, and one of a state; one job of a
// pull request; an apply only by the owner in the epoch of the plan, out of
// exactly that plan, and once. It returns the plans that were begun to be
// applied: digest and directory, since the same code makes the same plan.
func (l *ledger) audit() map[string]bool {
	l.t.Helper()
	rows, last := lockRows{}, map[string][]byte{}
	begun := map[string]bool{}
	l.rows, l.states = rows, map[string]string{}
	applying := map[string]int{} // by project and by state: the pull request
	bad := func(c change, format string, args ...any) {
		l.t.Helper()
		l.t.Errorf("%s %q: %s\nbefore: %s\nafter: %s", c.partition, c.sort, fmt.Sprintf(format, args...), c.before, c.after)
	}
	all := l.changes()
	for _, c := range all {
		key := c.partition + "\x00" + c.sort
		if was, known := last[key]; known && !bytes.Equal(was, c.before) {
			bad(c, "the history has a hole; known before: %s", was)
		}
		last[key] = c.after
		switch {
		case strings.HasPrefix(c.partition, "locks/") && strings.HasPrefix(c.sort, "p"):
			was, is := parsed[lockJSON](l, c.before), parsed[lockJSON](l, c.after)
			name := strings.TrimPrefix(c.partition, "locks/") + "\x00" + strings.TrimPrefix(c.sort, "p")
			if rows.begins(name, is.Seq) {
				// All that was committed together has been played.
				if two := rows.twoOwners(); two != "" {
					bad(c, "before this, %s", two)
				}
			}
			switch {
			case c.after == nil:
				bad(c, "a lock row was deleted")
			case is.Epoch < was.Epoch:
				bad(c, "the epoch went back")
			case is.Owner != was.Owner && is.Owner != 0 && is.Epoch != was.Epoch+1:
				bad(c, "a new owner, whose epoch is not the next")
			}
			rows[name] = is
			for _, w := range is.Waiters {
				l.states[name] = cmp.Or(l.states[name], w.State)
			}
			l.states[name] = cmp.Or(is.State, l.states[name])
		case strings.HasPrefix(c.partition, "audit/") && c.before != nil:
			bad(c, "the audit log was changed")
		case c.partition == "queue":
			runs := 0
			for _, j := range parsed[lineJSON](l, c.after).Jobs {
				if j.State == "running" {
					runs++
				}
			}
			if runs > 1 {
				bad(c, "%d jobs of one pull request run at once", runs)
			}
		case c.partition == "pulls":
			was, is := parsed[pullJSON](l, c.before), parsed[pullJSON](l, c.after)
			of, _, _ := strings.Cut(c.sort, "#")
			for _, p := range is.Projects {
				name := of + "\x00" + p.Dir + "\x00" + p.Workspace
				row := rows[name]
				var old projectJSON
				if i := slices.IndexFunc(was.Projects, func(o projectJSON) bool { return o.ID == p.ID }); i >= 0 {
					old = was.Projects[i]
				}
				if p.State != "applying" {
					if old.State == "applying" {
						delete(applying, name)
						delete(applying, row.State)
					}
					continue
				}
				if old.State == "applying" && old.Run == p.Run {
					continue
				}
				switch {
				case old.State != "planned" || old.PlanDigest != p.PlanDigest:
					bad(c, "%s begins to be applied and was %s", p.ID, old.State)
				case begun[p.PlanDigest+" "+p.Dir]:
					bad(c, "plan %s begins to be applied once more", p.PlanDigest)
				case row.Owner != is.Pull || row.Epoch != p.Epoch:
					bad(c, "%s begins to be applied in epoch %d, and its lock is %+v", p.ID, p.Epoch, row)
				case applying[name] != 0:
					bad(c, "%s is being applied by #%d already", p.ID, applying[name])
				case row.State != "" && applying[row.State] != 0 && applying[row.State] != is.Pull:
					bad(c, "the state of %s, %s, is being written by #%d already", p.ID, row.State, applying[row.State])
				}
				begun[p.PlanDigest+" "+p.Dir] = true
				applying[name] = is.Pull
				if row.State != "" {
					applying[row.State] = is.Pull
				}
			}
		}
	}
	if two := rows.twoOwners(); two != "" {
		l.t.Error(two)
	}
	different := map[string]bool{}
	for _, state := range l.states {
		different[state] = true
	}
	for key, body := range last {
		if strings.HasPrefix(key, "lease\x00") && body != nil {
			l.t.Errorf("a claim that is left: %q", key)
		}
	}
	l.t.Logf("%d writes were looked at, %d applies, %d projects with %d states", len(all), len(begun), len(l.states), len(different))
	return begun
}

func parsed[T any](l *ledger, body []byte) (v T) {
	l.t.Helper()
	if body == nil {
		return v
	}
	if err := json.Unmarshal(body, &v); err != nil {
		l.t.Fatalf("%v: %s", err, body)
	}
	return v
}
