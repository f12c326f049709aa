package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/integration/sandbox"
	"weir/store"
	"weir/store/bolt"
)

// perProject is a terraform that writes down what it does where, and stands
// before a plan in a directory while there is a file hold-DIRECTORY.
func perProject(t *testing.T) (dir string, config []string) {
	t.Helper()
	dir = t.TempDir()
	name := filepath.Join(dir, "terraform")
	script := fmt.Sprintf(`#!/bin/sh
if [ "$1" = plan ]; then
  at=$(basename "$PWD")
  echo "$at" >> %[1]q/planned
  while [ -e %[1]q/hold-"$at" ]; do touch %[1]q/held-"$at"; sleep 0.02; done
fi
exec %[2]q "$@"
`, dir, terraformHere(t))
	if err := os.WriteFile(name, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, []string{"WEIR_TERRAFORM_BINARY=" + name}
}

// cutShort kills weir, and before it notices anything what it has started.
func (w *world) cutShort() {
	w.t.Helper()
	w.do(syscall.Kill(w.proc.Process.Pid, syscall.SIGSTOP))
	w.kill(true)
}

// stored does something with the store of a weir that does not run.
func (w *world) stored(do func(store.Store)) {
	w.t.Helper()
	db, err := bolt.Open(filepath.Join(w.dir, "weir", "weir.db"))
	w.do(err)
	defer func() { w.do(db.Close()) }()
	do(db)
}

// weir is dead while three checks come due. It does one for them when it lives
// again, dies in the middle of that, and dies once more while it tells of it.
func TestDriftOverRestarts(t *testing.T) {
	t.Parallel()
	cron := daily()
	dir, config := perProject(t)
	w := newWorld(t, setup{process: true, config: append(config, "WEIR_DRIFT_SCHEDULE="+cron), files: map[string]string{"README.md": "infra"}})
	files := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		files[name+"/main.tf"] = w.project(name, resource("one"))
	}
	w.push("main", files)
	w.look("a")
	w.until("the next check is known", func() bool { return strings.Contains(w.get("/api/v1/drift"), `"next":`) })
	w.cutShort()
	w.wantIssues("a")
	var next time.Time
	w.stored(func(db store.Store) { next = ago(t, db, "others", 3) })

	// Those come first that were not looked at for longest: a comes last.
	hold := filepath.Join(dir, "hold-c")
	w.do(os.WriteFile(hold, nil, 0o600))
	w.startProcess()
	w.until("c is being checked", func() bool {
		_, err := os.Stat(filepath.Join(dir, "held-c"))
		return err == nil
	})
	w.cutShort()
	w.do(os.Remove(hold))
	w.wantIssues("a")
	w.stored(func(db store.Store) {
		wantNext(t, db, "others", next)
		wantChecks(t, db, map[string]int{"a": 1, "b": 1})
	})

	// It has opened an issue, and dies before it knows.
	w.box.Fault(sandbox.Rule{Method: http.MethodPost, Route: "/repos/{owner}/{repo}/issues", Effect: true, Delay: time.Minute})
	w.startProcess()
	w.issue("b", func(i sandbox.Issue) bool { return strings.Contains(i.Title, "b") })
	w.cutShort()
	w.wantIssues("a", "b")
	w.startProcess()
	w.issue("c", func(i sandbox.Issue) bool { return strings.Contains(i.Title, "c") })
	w.quiet()
	w.wantIssues("a", "b", "c")
	w.stop()
	w.stored(func(db store.Store) {
		wantNext(t, db, "others", next)
		wantChecks(t, db, map[string]int{"a": 2, "b": 1, "c": 1})
	})
	data, err := os.ReadFile(filepath.Join(dir, "planned"))
	w.do(err)
	// The first is what was asked for; the plan of c that was killed is made again.
	if got, want := strings.Fields(string(data)), []string{"a", "b", "c", "c", "a"}; !slices.Equal(got, want) {
		t.Errorf("planned: %v, want %v", got, want)
	}
}
