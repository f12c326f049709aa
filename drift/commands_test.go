package drift

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/drift/finding"
	"weir/planner/scope"
	"weir/planner/terraform"
	tfplan "weir/planner/terraform/plan"
	"weir/planner/work"
	"weir/planner/work/job"
)

// asking is a world whose project a has something to be asked about, on
// issue 7.
func asking(t *testing.T, files map[string]string, found *terraform.Plan) *world {
	t.Helper()
	w := newWorld(t, files)
	w.people.issues[7] = finding.Issue{Number: 7, Open: true, Body: finding.Marker("a") + "\nText."}
	w.look.plans["a"] = found
	w.do(w.due())
	w.look.taken()
	return w
}

func TestWhoMayAsk(t *testing.T) {
	w := asking(t, three(), changedOutside("aws_s3_bucket.a"))
	for verb := range ways {
		if got := w.command("eve", job.Drifted{Verb: verb}); !strings.Contains(got, "eve has no write access") {
			t.Errorf("%s: said %q", verb, got)
		}
	}
	if got := w.command("eve", job.Drifted{Verb: "check"}); !strings.Contains(got, "eve has no write access") || len(w.queue.accepted) > 0 {
		t.Errorf("said %q, queued %v", got, w.queue.accepted)
	}
	w.people.said = nil
	w.do(work.Job{ID: "1", Repo: repo, Topic: Commands, Issue: 8, Actor: "ann", Command: &work.Command{Drift: &job.Drifted{Verb: "adopt"}}})
	w.do(work.Job{ID: "2", Repo: repo, Topic: Commands, Issue: 8, Actor: "ann", Reason: "No such command."})
	if len(w.people.said) > 0 || len(w.people.proposed) > 0 {
		t.Errorf("on an issue that is not weir's: said %q, proposed %v", w.people.said, w.people.proposed)
	}
	w.do(work.Job{ID: "3", Repo: repo, Topic: Commands, Issue: 7, Actor: "ann", Reason: "No such command."})
	if !slices.Equal(w.people.said, []string{"No such command."}) {
		t.Errorf("said %q", w.people.said)
	}
}

// TestAskedOnce holds that a check that was asked for is queued once, however
// often the answer fails.
func TestAskedOnce(t *testing.T) {
	w := asking(t, three(), nil)
	j := work.Job{ID: "asked", Repo: repo, Topic: Commands, Issue: 7, Actor: "ann", Command: &work.Command{Drift: &job.Drifted{Verb: "check"}}}
	w.people.sayErr = errors.New("down")
	if err := w.Do(t.Context(), j); err == nil {
		t.Error("no error")
	}
	w.people.sayErr = nil
	w.do(j)
	if len(w.queue.accepted) != 1 || w.queue.accepted[0].Command.Project != "a" || w.queue.accepted[0].Topic != checks {
		t.Errorf("queued %+v", w.queue.accepted)
	}
	w.Serves = func(string) bool { return false }
	if err := w.Ask(t.Context(), repo, work.Command{}, "command line"); err == nil {
		t.Error("asked of a repository that is not served")
	}
}

func TestRevert(t *testing.T) {
	w := asking(t, three(), changedOutside("aws_s3_bucket.a"))
	got := w.command("ann", job.Drifted{Verb: "revert"})
	if len(w.people.proposed) != 1 || !strings.HasPrefix(got, "Opened #41. ") {
		t.Fatalf("said %q", got)
	}
	b := w.people.proposed[0]
	if b.Name != scope.RevertBranch("a") || b.Base != "main" || b.Commit == "" || len(b.Files) > 0 || !strings.Contains(b.Body, "Asked for by @ann in #7.") {
		t.Errorf("proposed %+v", b)
	}
	w.people.refused = "The branch is protected."
	if got := w.command("ann", job.Drifted{Verb: "revert"}); got != "The branch is protected." {
		t.Errorf("said %q", got)
	}
	w.people.issues[7] = finding.Issue{Number: 7, Body: "A summary."}
	if got := w.command("ann", job.Drifted{Verb: "revert"}); !strings.Contains(got, "names 3") {
		t.Errorf("said %q", got)
	}
	w.git.Commit(map[string]string{"weir.yaml": "no_such_key: 1\n"})
	if got := w.command("ann", job.Drifted{Verb: "revert"}); !strings.Contains(got, "no_such_key") {
		t.Errorf("said %q", got)
	}
}

// TestAdopt holds what is proposed where one of two resources still differs
// with the edited code, and one cannot be edited in full.
func TestAdopt(t *testing.T) {
	files := three()
	files["a/two.tf"] = code("two")
	files["a/var.tf"] = "variable \"v\" {}\nresource \"aws_s3_bucket\" \"three\" {\n  bucket = \"declared\"\n  region = var.v\n}\n"
	addresses := []string{"aws_s3_bucket.a", "aws_s3_bucket.three", "aws_s3_bucket.two"}
	found := changedOutside(addresses...)
	for _, changes := range [][]tfplan.Change{found.Summary.Changes, found.Summary.Drift} {
		changes[1].Attributes = append(changes[1].Attributes, tfplan.Attribute{Name: "region", Before: `"x"`, After: `"y"`})
	}
	found.Values = append(found.Values, tfplan.Value{Address: addresses[1], Attribute: "region", Declared: []byte(`"y"`), Deployed: []byte(`"x"`)})
	w := asking(t, files, found)
	var seen []string // of files that were planned
	root := ""
	w.look.try = func(n int, at string) (*terraform.Plan, error) {
		root = at
		var text strings.Builder
		for _, name := range []string{"main.tf", "two.tf", "var.tf"} {
			data, err := os.ReadFile(filepath.Join(at, "a", name))
			if err != nil {
				return nil, err
			}
			text.Write(data)
		}
		seen = append(seen, text.String())
		switch n {
		case 1:
			return found, nil
		default:
			return changedOutside(addresses[1:]...), nil
		}
	}
	got := w.command("ann", job.Drifted{Verb: "adopt"})
	if len(w.people.proposed) != 1 {
		t.Fatalf("said %q", got)
	}
	if counts := counts(seen, `"deployed"`); !slices.Equal(counts, []int{0, 3, 1}) {
		t.Errorf("planned with edits %v", counts)
	}
	want := map[string][]byte{"a/main.tf": []byte(strings.Replace(code("a"), "declared", "deployed", 1))}
	b := w.people.proposed[0]
	if diff := cmp.Diff(want, b.Files); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, text := range []string{"- `aws_s3_bucket.a`\n", "`aws_s3_bucket.two`: with the edited code its plan would still update it", "Its `region` cannot be written: "} {
		if !strings.Contains(got, text) || !strings.Contains(b.Body, text) {
			t.Errorf("%q is missing in %q or %q", text, got, b.Body)
		}
	}
	if _, err := os.Stat(root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the worktree is left behind: %v", err)
	}
}

func counts(texts []string, what string) (all []int) {
	for _, text := range texts {
		all = append(all, strings.Count(text, what))
	}
	return all
}

func TestAdoptRefuses(t *testing.T) {
	files := three()
	files["weir.yaml"] = "version: 1\nprojects:\n  - dir: a\n    name: one\n    workspace: x\n  - dir: a\n    name: two\n    workspace: y\n"
	w := newWorld(t, files)
	w.people.issues[7] = finding.Issue{Number: 7, Body: finding.Marker("one")}
	w.do(w.due())
	if got := w.command("ann", job.Drifted{Verb: "adopt"}); !strings.Contains(got, "is that of two too") || len(w.people.proposed) > 0 {
		t.Errorf("said %q", got)
	}

	w = asking(t, three(), changedOutside("aws_s3_bucket.a"))
	w.look.try = func(int, string) (*terraform.Plan, error) { return changedOutside("aws_s3_bucket.a"), nil }
	got := w.command("ann", job.Drifted{Verb: "adopt"})
	if !strings.HasPrefix(got, "Nothing of it can be written") || !strings.Contains(got, "would still update it") || len(w.people.proposed) > 0 {
		t.Errorf("said %q", got)
	}
}

// TestAdoptNothing holds what is said where nothing differs any more: a check
// is asked for, once.
func TestAdoptNothing(t *testing.T) {
	w := asking(t, three(), changedOutside("aws_s3_bucket.a"))
	w.look.plans["a"] = nil
	for range 2 { // the same job, after an answer that failed
		got := w.command("ann", job.Drifted{Verb: "adopt"})
		if !strings.HasPrefix(got, "Nothing of this differs any more") || len(w.people.proposed) > 0 {
			t.Errorf("said %q", got)
		}
	}
	if q := w.queue.accepted; len(q) != 1 || q[0].Topic != checks || q[0].Command.Project != "a" || q[0].Command.Drift.Verb != "check" {
		t.Errorf("queued %+v", q)
	}
	w.look.failures["a"] = "Error: it is\n```\nbroken"
	if got := w.command("ann", job.Drifted{Verb: "adopt"}); !strings.Contains(got, "cannot be planned as it is") || !strings.Contains(got, "````\nError: it is\n```\nbroken\n````") {
		t.Errorf("said %q", got)
	}
}

// TestList holds that an answer fits into a comment, whatever there is to say.
func TestList(t *testing.T) {
	got := list(slices.Repeat([]string{strings.Repeat("ü", 1000)}, 100))
	if len(got) > maxList+100 || !strings.HasSuffix(got, "\n- and 89 more") {
		t.Errorf("%d bytes, %q", len(got), got[len(got)-40:])
	}
	if got := list([]string{"a", "b\n"}); got != "- a\n- b\n" {
		t.Errorf("got %q", got)
	}
}

// TestImport holds that an id reaches the code and what is said of it.
func TestImport(t *testing.T) {
	missing := &terraform.Plan{Version: "1.9.0", Summary: tfplan.Summary{
		Create: 1, Changes: []tfplan.Change{{Address: "aws_s3_bucket.a", Type: "aws_s3_bucket", Action: tfplan.Create}},
	}}
	w := asking(t, three(), missing)
	w.look.try = func(n int, _ string) (*terraform.Plan, error) {
		if n == 1 {
			return missing, nil
		}
		with := &terraform.Plan{Version: "1.9.0"}
		with.Summary.Changes = []tfplan.Change{{Address: "aws_s3_bucket.a", Action: tfplan.NoOp, Importing: "logs"}}
		return with, nil
	}
	got := w.command("ann", job.Drifted{Verb: "adopt", Addresses: []string{"aws_s3_bucket.a"}, IDs: map[string]string{"aws_s3_bucket.a": "logs"}})
	if len(w.people.proposed) != 1 {
		t.Fatalf("said %q", got)
	}
	b := w.people.proposed[0]
	want := map[string][]byte{"a/main.tf": []byte(code("a") + "\nimport {\n  to = aws_s3_bucket.a\n  id = \"logs\"\n}\n")}
	if diff := cmp.Diff(want, b.Files); diff != "" {
		t.Error(diff)
	}
	for text, in := range map[string]string{"- `aws_s3_bucket.a`, imported as `logs`": got, "writes Terraform's state and nothing else": b.Body} {
		if !strings.Contains(in, text) {
			t.Errorf("%q is missing in %q", text, in)
		}
	}
}

// TestAcceptByHand holds that a rule which cannot be added safely is shown.
func TestAcceptByHand(t *testing.T) {
	files := three()
	files["weir.yaml"] = "version: 1\ndrift: [{dirs: [\"b\"]}]\n"
	w := asking(t, files, changedOutside("aws_s3_bucket.a"))
	got := w.command("ann", job.Drifted{Verb: "accept", Owner: "ann", Reason: "a ``` test", Until: "2099-01-31"})
	if len(w.people.proposed) > 0 || !strings.HasPrefix(got, "The rule cannot be added: weir.yaml line 2, ") ||
		!strings.Contains(got, "\n````yaml\n") || !strings.Contains(got, "address: aws_s3_bucket.a") || !strings.HasSuffix(got, "\n````") {
		t.Errorf("said %q", got)
	}
}

func TestAccept(t *testing.T) {
	accept := job.Drifted{Verb: "accept", Owner: "ann", Reason: "a test", Until: "2099-01-31"}
	w := asking(t, three(), changedOutside("aws_s3_bucket.a"))
	if got := w.command("ann", accept); len(w.people.proposed) != 1 {
		t.Fatalf("said %q", got)
	}
	file := w.people.proposed[0].Files["weir.yaml"]
	if names := slices.Collect(maps.Keys(w.people.proposed[0].Files)); !slices.Equal(names, []string{"weir.yaml"}) {
		t.Errorf("changes %q", names)
	}
	w.git.Commit(map[string]string{"weir.yaml": string(file)})
	if got := w.command("ann", accept); len(w.people.proposed) != 1 || !strings.Contains(got, "say so already") {
		t.Errorf("said %q; file\n%s", got, file)
	}
	j := w.due()
	j.Command = &work.Command{Dir: "a", Drift: &job.Drifted{Verb: "check"}}
	w.do(j)
	a, _ := w.known("a")
	if len(a.Check.Findings) != 1 || a.Check.Findings[0].Ignored == nil || !a.Since.IsZero() || a.History[1].Hidden != 1 || a.History[1].Open != 0 {
		t.Errorf("hidden: %+v", a)
	}
	if got := w.command("ann", accept); !strings.HasPrefix(got, "There is nothing here that a rule could hide") {
		t.Errorf("said %q", got)
	}

	gone := &terraform.Plan{Version: "1.9.0", Summary: tfplan.Summary{
		Create:  1,
		Changes: []tfplan.Change{{Address: "aws_s3_bucket.a", Type: "aws_s3_bucket", Action: tfplan.Create}},
		Drift:   []tfplan.Change{{Address: "aws_s3_bucket.a", Type: "aws_s3_bucket", Action: tfplan.Delete}},
	}}
	w = asking(t, three(), gone)
	if got := w.command("ann", accept); !strings.HasPrefix(got, "There is nothing here that a rule could hide") || len(w.people.proposed) > 0 {
		a, _ := w.known("a")
		data, err := json.Marshal(a.Check.Findings)
		t.Errorf("said %q of %s, %v", got, data, err)
	}
}

func TestGiveUp(t *testing.T) {
	w := asking(t, three(), nil)
	before := w.state()
	if err := w.GiveUp(t.Context(), work.Job{ID: "01J", Repo: repo, Topic: Commands, Issue: 7}, errors.New("secret")); err != nil {
		t.Fatal(err)
	}
	if got := w.state(); !cmp.Equal(got, before) || len(w.people.said) != 1 || !strings.Contains(w.people.said[0], "01J") || strings.Contains(w.people.said[0], "secret") {
		t.Errorf("state %+v, said %q", got, w.people.said)
	}
	if err := w.GiveUp(t.Context(), work.Job{ID: "01K", Repo: repo, Topic: checks}, errors.New("secret")); err != nil {
		t.Fatal(err)
	}
	if got := w.state(); got.URL != before.URL || got.Commit != before.Commit || !strings.Contains(got.Failure, "01K") || strings.Contains(got.Failure, "secret") {
		t.Errorf("state %+v", got)
	}
	w.do(w.due())
	if got := w.state(); got.Failure != "" {
		t.Errorf("state %+v", got)
	}
}
