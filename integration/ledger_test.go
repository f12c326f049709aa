package integration

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
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
	for key, body := range last {
		if strings.HasPrefix(key, "lease\x00") && body != nil {
			l.t.Errorf("a claim that is left: %q", key)
		}
	}
	l.t.Logf("%d writes were looked at, %d applies", len(all), len(begun))
	return begun
}

// lockRows are the locks at one moment, by repository, directory and workspace.
type lockRows map[string]lockJSON

// begins reports whether a change is not the one that was played last in its
// repository.
func (r lockRows) begins(name string, seq int64) bool {
	repo, _, _ := strings.Cut(name, "\x00")
	for other, row := range r {
		if strings.HasPrefix(other, repo+"\x00") && row.Seq >= seq {
			return false
		}
	}
	return true
}

// twoOwners says which pull requests own projects that have one state, "" if
// none do.
func (r lockRows) twoOwners() string {
	owners := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(r)) {
		row := r[name]
		if row.Owner == 0 || row.State == "" {
			continue
		}
		repo, _, _ := strings.Cut(name, "\x00")
		owner := fmt.Sprintf("%s#%d", repo, row.Owner)
		if was := owners[row.State]; was != "" && was != owner {
			return fmt.Sprintf("the state %s was owned by %s and by %s: %+v", row.State, was, owner, r)
		}
		owners[row.State] = owner
	}
	return ""
}

// sleepers are the pull requests that could have all that they wait for: nobody
// owns a project or its state or has waited for either for longer.
func (l *ledger) sleepers() []string {
	type queue struct {
		owner string
		first waiterJSON
		repo  string // of first
	}
	queues := map[string]*queue{} // by state, or by project where there is none
	of := func(name string) *queue {
		key := cmp.Or(l.states[name], name)
		if queues[key] == nil {
			queues[key] = &queue{}
		}
		return queues[key]
	}
	for name, row := range l.rows {
		repo, _, _ := strings.Cut(name, "\x00")
		q := of(name)
		if row.Owner != 0 {
			q.owner = fmt.Sprintf("%s#%d", repo, row.Owner)
		}
		for _, w := range row.Waiters {
			if q.repo == "" || cmp.Or(w.Since.Compare(q.first.Since), cmp.Compare(w.Pull, q.first.Pull)) < 0 {
				q.first, q.repo = w, repo
			}
		}
	}
	waits := map[string]bool{} // of those that wait: for somebody
	for name, row := range l.rows {
		repo, _, _ := strings.Cut(name, "\x00")
		q := of(name)
		for _, w := range row.Waiters {
			who, first := fmt.Sprintf("%s#%d", repo, w.Pull), fmt.Sprintf("%s#%d", q.repo, q.first.Pull)
			waits[who] = waits[who] || q.owner != "" && q.owner != who || first != who
		}
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(waits)), func(who string) bool { return waits[who] })
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

// What the history of a chaos is judged by would see two owners.
func TestTwoOwnersOfAState(t *testing.T) {
	t.Parallel()
	row := func(owner int, state string) lockJSON { return lockJSON{Owner: owner, State: state} }
	const a, b, other = "acme/infra\x00a\x00default", "acme/infra\x00b\x00default", "acme/eu\x00a\x00default"
	for _, c := range []struct {
		rows lockRows
		two  bool
	}{
		{lockRows{a: row(1, "s"), b: row(1, "s")}, false},
		{lockRows{a: row(1, "s"), b: row(2, "t")}, false},
		{lockRows{a: row(1, "s"), b: row(0, "s")}, false},
		{lockRows{a: row(1, ""), b: row(2, "")}, false},
		{lockRows{a: row(1, "s"), b: row(2, "s")}, true},
		{lockRows{a: row(1, "s"), other: row(1, "s")}, true},
	} {
		if got := c.rows.twoOwners(); (got != "") != c.two {
			t.Errorf("%+v: %q, want two owners %t", c.rows, got, c.two)
		}
	}
}

// And whoever waits for nobody.
func TestSleepers(t *testing.T) {
	t.Parallel()
	row := func(owner int, waiters ...int) lockJSON {
		r := lockJSON{Owner: owner}
		for _, pull := range waiters {
			r.Waiters = append(r.Waiters, waiterJSON{Pull: pull, Since: time.Unix(int64(pull), 0)})
		}
		return r
	}
	const a, twin, b = "acme/infra\x00a\x00default", "acme/infra\x00twin\x00default", "acme/infra\x00b\x00default"
	for _, c := range []struct {
		rows lockRows
		want []string
	}{
		{lockRows{a: row(1, 2), b: row(1, 3)}, nil},
		{lockRows{a: row(0, 2, 3)}, []string{"acme/infra#2"}},
		{lockRows{a: row(1), twin: row(0, 2)}, nil},
		{lockRows{a: row(0, 2), twin: row(0, 3)}, []string{"acme/infra#2"}},
		{lockRows{a: row(2), twin: row(0, 2)}, []string{"acme/infra#2"}},
		{lockRows{a: row(1), b: row(0, 2)}, []string{"acme/infra#2"}},
		{lockRows{a: row(0, 2), b: row(1, 2)}, nil},
	} {
		l := &ledger{rows: c.rows, states: map[string]string{a: "s", twin: "s"}}
		if got := l.sleepers(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v sleep, want %v", c.rows, got, c.want)
		}
	}
}
