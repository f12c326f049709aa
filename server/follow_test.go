package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"weir/planner/artifact"
	"weir/planner/live"
	"weir/planner/record"
	"weir/planner/run"
	"weir/store"
	"weir/store/bolt"
	"weir/templates"
)

// replicas are servers with one store and one bucket, and nothing but the page
// of a run.
type replicas struct {
	t     *testing.T
	store store.Store
	dir   string
}

func newReplicas(t *testing.T) *replicas {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "weir.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &replicas{t: t, store: db, dir: dir}
}

func (r *replicas) start(name string) (*Server, string) {
	r.t.Helper()
	artifacts, err := artifact.Open(r.t.Context(), artifact.Config{
		Bucket: "file://" + r.dir + "/artifacts", SealKey: "file://" + r.dir + "/seal.key",
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = artifacts.Close() })
	logs, err := live.New(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	logs.Share = artifact.Parts{Artifacts: artifacts}
	pages, err := templates.NewPages()
	if err != nil {
		r.t.Fatal(err)
	}
	s := &Server{
		store: r.store, pages: pages, log: slog.New(slog.NewTextHandler(r.t.Output(), nil)),
		runs: &run.Runs{Artifacts: artifacts, Logs: logs},
	}
	routes := chi.NewRouter()
	routes.Get("/runs/{id}", s.pageRun)
	routes.Get("/runs/{id}/log", s.followRun)
	srv := httptest.NewServer(routes)
	r.t.Cleanup(srv.Close)
	return s, srv.URL
}

func (r *replicas) save(one record.Run) {
	r.t.Helper()
	got, err := r.store.Get(r.t.Context(), record.RunKey(one.ID))
	if err != nil {
		r.t.Fatal(err)
	}
	write, err := record.Put(record.RunKey(one.ID), got[0].Version, one)
	if err == nil {
		err = r.store.Commit(r.t.Context(), write)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// event is one server-sent event.
type event struct{ id, name, data string }

// listen follows a log as a browser does, and hands over event by event.
func listen(t *testing.T, url, lastID string) (next func() event, stop func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("status %d, %s", resp.StatusCode, got)
	}
	lines := bufio.NewReader(resp.Body)
	stop = func() { cancel(); _ = resp.Body.Close() }
	t.Cleanup(stop)
	return func() event {
		t.Helper()
		var e event
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch field {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				e.data = value
			case "":
				if e.name != "" {
					return e
				}
			}
		}
	}, stop
}

// text is what the page adds for an event.
func (e event) text(t *testing.T) string {
	t.Helper()
	var text string
	if err := json.Unmarshal([]byte(e.data), &text); err != nil || e.name != "log" {
		t.Fatalf("%+v: %v", e, err)
	}
	return text
}

// TestLogOfAnotherReplica follows a run from the page of one server while
// another one writes its log, is cut off, and goes on.
func TestLogOfAnotherReplica(t *testing.T) {
	r := newReplicas(t)
	writing, _ := r.start("b")
	_, url := r.start("a")
	_, third := r.start("c")
	one := record.Run{
		ID: ulid.Make().String(), Repo: "acme/app", Pull: 1, Project: "prod", Dir: "prod", Workspace: "default",
		Verb: "apply", State: record.Applying, Started: time.Now().UTC(),
	}
	r.save(one)
	log, err := writing.runs.Logs.Create(one.ID)
	if err != nil {
		t.Fatal(err)
	}
	say := func(text string) {
		t.Helper()
		if _, err := fmt.Fprint(log, text); err != nil {
			t.Fatal(err)
		}
	}
	say("première ligne\n\x1b[31mrouge\x1b[0m \u202e\xff\nhal")
	next, stop := listen(t, url+"/runs/"+one.ID+"/log?from=0", "")
	first := next()
	if got, want := first.text(t), "première ligne\nrouge <U+202E>\ufffd\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	say("f a line\n")
	second := next()
	if got := second.text(t); got != "half a line\n" {
		t.Errorf("got %q", got)
	}
	stop()
	// The page as it is without a script, on another server.
	page := get(t, third+"/runs/"+one.ID)
	if !strings.Contains(page, "half a line") || !strings.Contains(page, "/log?from="+second.id) {
		t.Errorf("no log, or not to be followed from %s:\n%s", second.id, page)
	}
	say("while nobody listened\n")
	next, stop = listen(t, third+"/runs/"+one.ID+"/log?from=0", second.id)
	third3 := next()
	if got := third3.text(t); got != "while nobody listened\n" {
		t.Errorf("after a reconnection: %q", got)
	}
	// The end is printed too late to be shared, and then is sealed.
	say("the end, ")
	say("without a line's end")
	path, err := writing.runs.Logs.End(one.ID)
	if err != nil {
		t.Fatal(err)
	}
	size, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if one.Log, err = writing.runs.Artifacts.PutFile(t.Context(), artifact.Scope{Repo: one.Repo, Pull: one.Pull}, path); err != nil {
		t.Fatal(err)
	}
	if err := writing.runs.Logs.Remove(one.ID); err != nil {
		t.Fatal(err)
	}
	one.State, one.Ended = record.Applied, time.Now().UTC()
	r.save(one)
	last := next()
	if got := last.text(t); got != "the end, without a line's end" || last.id != strconv.FormatInt(size.Size(), 10) {
		t.Errorf("got %q, and the next is at %s of %d", got, last.id, size.Size())
	}
	if e := next(); e.name != "end" {
		t.Errorf("got %+v, want the end", e)
	}
	stop()
	// Whoever comes back later gets what he has missed, and no more.
	for from, want := range map[string][]event{
		last.id:   {{name: "end", data: "end"}},
		"9999999": {{name: "end", data: "end"}},
		third3.id: {{id: last.id, name: "log", data: last.data}, {name: "end", data: "end"}},
	} {
		next, stop := listen(t, url+"/runs/"+one.ID+"/log", from)
		for _, want := range want {
			if diff := cmp.Diff(want, next(), cmp.AllowUnexported(event{})); diff != "" {
				t.Errorf("from %s: %s", from, diff)
			}
		}
		stop()
	}
	left, err := filepath.Glob(filepath.Join(r.dir, "artifacts", "!live", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left of the run: %q, %v", left, err)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	w := httptest.NewRecorder()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := w.Body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return w.Body.String()
}

// TestSalvageOnAnotherReplica holds that what an apply had printed is found
// when the server that ran it is gone for good.
func TestSalvageOnAnotherReplica(t *testing.T) {
	r := newReplicas(t)
	dead, _ := r.start("b")
	other, url := r.start("a")
	one := record.Run{
		ID: ulid.Make().String(), Repo: "acme/app", Pull: 1, Project: "prod", Dir: "prod", Workspace: "default",
		Verb: "apply", State: record.Applying, Started: time.Now().UTC(),
	}
	r.save(one)
	log, err := dead.runs.Logs.Create(one.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(log, "aws_db.main: Destroying...\n"); err != nil {
		t.Fatal(err)
	}
	next, stop := listen(t, url+"/runs/"+one.ID+"/log", "")
	if got := next().text(t); got != "aws_db.main: Destroying...\n" {
		t.Errorf("followed %q", got)
	}
	stop()
	if err := other.runs.Salvage(t.Context(), &one); err != nil {
		t.Fatal(err)
	}
	r.save(one)
	kept, err := other.runs.Artifacts.Get(t.Context(), artifact.Scope{Repo: one.Repo, Pull: one.Pull}, one.Log)
	if err != nil || string(kept) != "aws_db.main: Destroying...\n" {
		t.Errorf("kept %q, %v", kept, err)
	}
	if page := get(t, url+"/runs/"+one.ID); !strings.Contains(page, "aws_db.main: Destroying...") {
		t.Errorf("the page does not show it:\n%s", page)
	}
}

func TestNeedsLog(t *testing.T) {
	r := newReplicas(t)
	s, _ := r.start("a")
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d).UTC() }
	for name, test := range map[string]struct {
		run   *record.Run
		began time.Time
		want  bool
	}{
		"a plan that runs":                   {&record.Run{Verb: "plan", Started: ago(time.Hour)}, ago(time.Hour), true},
		"a plan whose process died":          {&record.Run{Verb: "plan", Started: ago(2 * keepLive)}, ago(2 * keepLive), false},
		"an apply whose process died":        {&record.Run{Verb: "apply", Started: ago(9 * keepLive)}, ago(9 * keepLive), true},
		"ended":                              {&record.Run{Verb: "apply", Ended: ago(0), Log: "digest"}, ago(time.Hour), false},
		"ended, and its log was not sealed":  {&record.Run{Verb: "apply", Ended: ago(time.Hour)}, ago(time.Hour), true},
		"the same, long ago":                 {&record.Run{Verb: "apply", Ended: ago(2 * keepLive)}, ago(2 * keepLive), false},
		"not recorded: what a plan would be": {nil, ago(time.Hour), true},
		"forgotten":                          {nil, ago(2 * keepLive), false},
	} {
		id := ulid.MustNew(ulid.Timestamp(test.began), ulid.DefaultEntropy()).String()
		if test.run != nil {
			test.run.ID = id
			r.save(*test.run)
		}
		if got, err := s.needsLog(t.Context(), id); err != nil || got != test.want {
			t.Errorf("%s: %v, %v, want %v", name, got, err, test.want)
		}
	}
	if got, err := s.needsLog(t.Context(), "nothing"); err != nil || got {
		t.Errorf("no id of a run: %v, %v", got, err)
	}
}
