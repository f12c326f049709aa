package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/drift"
	"weir/drift/finding"
	"weir/drift/schedule"
	"weir/store"
	"weir/store/dynamo"
)

// slots is the partition in which package schedule keeps the times of checks.
const slots = "drift-slots"

// daily is a schedule whose next time is about half a day away, whenever a
// test runs.
func daily() string { return fmt.Sprintf("0 %d * * *", (time.Now().UTC().Hour()+12)%24) }

// ago makes a group's next check one that was due some days ago, as if no weir
// had lived since. It returns when the one after it comes.
func ago(t *testing.T, s store.Store, group string, days int) (next time.Time) {
	t.Helper()
	rows, err := store.All(t.Context(), s, slots, repo+"#"+group+"#")
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d slots, %v, want one", len(rows), err)
	}
	var body map[string]any
	if err := json.Unmarshal(rows[0].Body, &body); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"at", "due"} {
		at, err := time.Parse(time.RFC3339, fmt.Sprint(body[field]))
		if err != nil || time.Until(at) < time.Hour {
			t.Fatalf("the next check is at %v, %v, want half a day from now", body[field], err)
		}
		next = at
		body[field] = at.AddDate(0, 0, -days)
	}
	data, err := json.Marshal(body)
	if err == nil {
		err = s.Commit(t.Context(), store.Write{Key: rows[0].Key, Expect: rows[0].Version, Body: data})
	}
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// wantNext fails unless the next check of a group is at that time.
func wantNext(t *testing.T, s store.Store, group string, next time.Time) {
	t.Helper()
	all, err := schedule.Book{Store: s}.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(slot schedule.Slot) bool { return slot.Name != group })
	if len(all) != 1 || !all[0].Due.Equal(next) {
		t.Errorf("the next checks of %s are %+v, want one at %v", group, all, next)
	}
}

// wantChecks fails unless each project was checked as often as said.
func wantChecks(t *testing.T, s store.Store, want map[string]int) {
	t.Helper()
	known, err := drift.Read(t.Context(), s, repo)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, k := range known {
		got[k.Check.Project] = len(k.History)
		if k.Check.Failure != "" {
			t.Errorf("%s: %s", k.Check.Project, k.Check.Failure)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("checks by project: %v, want %v", got, want)
	}
}

// wantIssues fails unless there is one open issue for each of the projects, and
// nothing was said on any.
func (w *world) wantIssues(projects ...string) {
	w.t.Helper()
	all, err := w.box.Issues(repo)
	w.do(err)
	var got []string
	for _, i := range all {
		if i.IsPull {
			continue
		}
		marker, _, _ := strings.Cut(i.Body, "\n")
		got = append(got, marker+" "+i.State)
		if i.Comments != 0 {
			w.t.Errorf("#%d has %d comments, want none", i.Number, i.Comments)
		}
	}
	var want []string
	for _, p := range projects {
		want = append(want, finding.Marker(p)+" open")
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		w.t.Errorf("issues:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// meeting holds what replicas write about the schedule until all of them have
// come with such a write, and then lets all of it go on at once.
type meeting struct {
	want int
	met  chan struct{} // closed when all are there

	mu    sync.Mutex
	there map[string]bool
	codes []int // of the answers
}

// before returns the URL of a way to a table for one replica.
func (m *meeting) before(t *testing.T, name, upstream string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		claim := strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".TransactWriteItems") && bytes.Contains(body, []byte(slots))
		if claim {
			m.come(name)
			select {
			case <-m.met:
			case <-r.Context().Done(): // it comes again
				return
			}
		}
		req, err := http.NewRequestWithContext(r.Context(), r.Method, upstream+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			return
		}
		req.Header = r.Header.Clone()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		if claim {
			m.mu.Lock()
			m.codes = append(m.codes, resp.StatusCode)
			m.mu.Unlock()
		}
		for key, values := range resp.Header {
			w.Header()[key] = values
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body) // whoever asked may be gone
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (m *meeting) come(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.there[name] {
		if m.there[name] = true; len(m.there) == m.want {
			close(m.met)
		}
	}
}

// counted says how many writes about the schedule were done, and how many were
// refused.
func (m *meeting) counted() (done, refused int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, code := range m.codes {
		if code == http.StatusOK {
			done++
		} else {
			refused++
		}
	}
	return done, refused
}

// Two replicas find the same check due, and both set out to do it.
func TestDriftOfTwoReplicasAtOneSlot(t *testing.T) {
	t.Parallel()
	cron := daily()
	group := schedule.Name([]string{"live/**"})
	files := map[string]string{"weir.yaml": fmt.Sprintf("version: 1\ndrift:\n  - {dirs: [\"live/**\"], schedule: %q}\n", cron)}
	c := newCluster(t, 2, briefly, 1, setup{config: []string{"WEIR_DRIFT_SCHEDULE=" + cron}, files: files})
	for _, dir := range []string{"live/a", "live/b", "other"} {
		files[dir+"/main.tf"] = c.project(dir, resource("one"))
	}
	c.push("main", files)
	// The replicas' own environment has the table behind a proxy.
	url := ""
	for _, e := range c.env {
		if value, ok := strings.CutPrefix(e, "WEIR_STORE="); ok {
			url = value
		}
	}
	db, err := dynamo.Open(t.Context(), url)
	c.do(err)
	t.Cleanup(func() { _ = db.Close() })
	c.until("the schedule is known", func() bool {
		rows, err := store.All(t.Context(), db, slots, repo+"#")
		c.do(err)
		return len(rows) == 2
	})
	c.settle()
	for _, r := range c.replicas {
		r.kill(true)
	}
	next := ago(t, db, group, 1)
	before := len(c.ledger.changes())

	m := &meeting{want: len(c.replicas), met: make(chan struct{}), there: map[string]bool{}}
	var starting sync.WaitGroup
	for _, r := range c.replicas {
		way := m.before(t, r.name, r.proxy.url())
		for i, e := range r.env {
			if strings.HasPrefix(e, "WEIR_STORE=") {
				r.env[i] = strings.Replace(e, r.proxy.url(), way, 1)
			}
		}
		starting.Go(func() {
			if err := r.start(); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	c.until("both have come to claim it", func() bool {
		done, refused := m.counted()
		return done+refused >= len(c.replicas)
	})
	c.until("it was checked", func() bool { return strings.Contains(c.get("/api/v1/drift"), `"live/b"`) })
	c.settle()

	if done, refused := m.counted(); done != 1 || refused == 0 {
		t.Errorf("%d claims were done and %d refused, want one done", done, refused)
	}
	wantNext(t, db, group, next)
	wantChecks(t, db, map[string]int{"live/a": 1, "live/b": 1})
	c.wantIssues("live/a", "live/b")
	moved, jobs := 0, 0
	for _, one := range c.ledger.changes()[before:] {
		switch {
		case one.partition == slots && strings.Contains(one.sort, "#"+group+"#"):
			moved++
		case one.partition == "job" && one.before == nil && strings.Contains(string(one.after), `"kind":"drift"`):
			jobs++
		}
	}
	if moved != 1 || jobs != 1 {
		t.Errorf("the next check was stored %d times, and %d jobs were done; want one of each", moved, jobs)
	}
	if n := c.calls("plan"); n != 2 {
		t.Errorf("terraform planned %d times, want twice", n)
	}
}
