package line

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir/planner/work/job"
)

// checked returns a check of drift: of one project, of all, or, without a
// command, of a group of the schedule.
func checked(id, group string, command *job.Command) job.Job {
	return job.Job{ID: id, Kind: job.Drift, Repo: "a/b", Topic: "checks", Group: group, Command: command, Accepted: noon}
}

// asked returns a command on an issue.
func asked(actor, id string) job.Job {
	return job.Job{ID: id, Kind: job.Drift, Repo: "a/b", Topic: "commands", Issue: 5, Actor: actor, Command: &job.Command{Drift: &job.Drifted{Verb: "adopt"}}}
}

func ids(jobs []job.Job) string {
	var words []string
	for _, j := range jobs {
		words = append(words, j.ID)
	}
	return strings.Join(words, " ")
}

func TestChecksThatSomebodyAskedForGoFirst(t *testing.T) {
	one := func(project string) *job.Command { return &job.Command{Project: project} }
	var l Line
	l.Push(checked("night", "x", nil), noon)
	l.Claim(0, "w")
	night := l.Jobs[0]
	if l.Overtaken(0, noon) {
		t.Error("the only job is overtaken")
	}
	l.Push(checked("morning", "y", nil), noon)
	l.Push(checked("all", "", &job.Command{}), noon)
	l.Push(checked("p", "", one("p")), noon)
	l.Push(checked("q", "", one("q")), noon)
	l.Push(checked("p again", "", one("p")), noon)
	if got, want := ids(l.Jobs), "q p again all night morning"; got != want {
		t.Errorf("jobs: %s, want %s", got, want)
	}
	if diff := cmp.Diff([]string{"p"}, []string{ids(l.Ended)}); diff != "" || l.Ended[0].State != job.Superseded {
		t.Errorf("ended: %+v", l.Ended)
	}
	if i, _ := l.Next(noon); i >= 0 {
		t.Errorf("job %s is to be claimed beside the one that runs", l.Jobs[i].ID)
	}
	i := l.Running(night)
	if !l.Overtaken(i, noon) {
		t.Error("the schedule's check that runs is not overtaken")
	}
	l.Requeue(i, "", noon, noon.Add(time.Second), func(*job.Job) {})
	var done []string
	for now := noon; ; {
		i, at := l.Next(now)
		if i < 0 && at.IsZero() {
			break
		}
		if now = at; i >= 0 {
			done = append(done, l.Claim(i, "w").ID)
			now = noon.Add(time.Hour)
			l.End(i, job.Done, "", now)
		}
	}
	if got, want := strings.Join(done, ", "), "q, p again, all, night, morning"; got != want {
		t.Errorf("done: %s, want %s", got, want)
	}
}

// One that waits for its time neither overtakes nor holds up.
func TestCheckThatIsPutOffLetsOthersPass(t *testing.T) {
	var l Line
	l.Push(checked("applying", "", &job.Command{Project: "p"}), noon)
	l.Requeue(0, "", noon, noon.Add(time.Minute), func(*job.Job) {})
	l.Push(checked("night", "x", nil), noon)
	i, _ := l.Next(noon)
	if i != 1 {
		t.Fatalf("next is %d, want the schedule's check", i)
	}
	l.Claim(i, "w")
	if l.Overtaken(1, noon) {
		t.Error("overtaken by a job that cannot go on")
	}
	if !l.Overtaken(1, noon.Add(time.Minute)) {
		t.Error("not overtaken by a job that can go on")
	}
}

// Whether a check is put off or tried again, another one is done at once. It once
// waited for half an hour, until the apply of some other project was over.
func TestI10_CheckWaitsForNoOtherProject(t *testing.T) {
	for _, first := range []*job.Command{nil, {Project: "p"}} {
		var l Line
		l.Push(checked("first", "", first), noon)
		now, begun := noon, time.Time{}
		for now.Before(noon.Add(time.Hour)) && begun.IsZero() {
			i, at := l.Next(now)
			if i < 0 {
				now = at
				continue
			}
			if j := l.Claim(i, "w"); j.ID == "second" {
				begun = now
				break
			}
			l.Requeue(i, "", now, now.Add(time.Minute), func(*job.Job) {})
			if len(l.Jobs) == 1 {
				l.Push(checked("second", "", &job.Command{Dir: "other"}), now)
			}
		}
		if !begun.Equal(noon) {
			t.Errorf("a check of another project, asked for by a person, began after %v", begun.Sub(noon))
		}
	}
}

// What people ask for on an issue is done in its order, also after an error.
func TestCommandsKeepTheirOrder(t *testing.T) {
	var l Line
	l.Push(asked("ann", "1"), noon)
	l.Push(asked("ann", "2"), noon)
	l.Claim(0, "w")
	if l.Overtaken(0, noon) {
		t.Error("a command is overtaken")
	}
	l.Requeue(0, "", noon, noon.Add(time.Second), func(j *job.Job) { j.Errors++ })
	if i, at := l.Next(noon); i != -1 || !at.Equal(noon.Add(time.Second)) {
		t.Errorf("next = %d, %v; want none before the first can go on", i, at)
	}
}

func TestEachIssueHasALine(t *testing.T) {
	check, five, six := checked("1", "", nil), asked("ann", "2"), asked("ann", "3")
	six.Issue = 6
	pull := job.Job{Kind: job.Plan, Repo: "a/b", Pull: 5}
	names := []string{Of(check), Of(five), Of(six), Of(pull), Of(job.Job{Kind: job.MergeGroup, Repo: "a/b", Head: "x"})}
	want := []string{"a/b#0!checks", "a/b#0!commands#5", "a/b#0!commands#6", "a/b#5", "a/b#0@x"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func TestPeopleTakeTurnsOnAnIssue(t *testing.T) {
	var l Line
	for _, id := range []string{"s1", "s2", "s3", "s4", "m1", "t1", "m2", "s5", "t2"} {
		l.Push(asked(id[:1], id), noon)
	}
	if got, want := ids(l.Jobs), "s1 m1 t1 s2 m2 t2 s3 s4 s5"; got != want {
		t.Errorf("jobs: %s, want %s", got, want)
	}
}

// Hundreds of commands of strangers keep nobody else from being served, and the
// first that is not done is told, once.
func TestI10_StrangersKeepNobodyWaiting(t *testing.T) {
	var l Line
	l.Push(asked("stranger", "first"), noon)
	l.Claim(0, "w")
	for i := range 300 {
		l.Push(asked("stranger", fmt.Sprint("s", i)), noon)
	}
	l.Push(asked("maintainer", "m"), noon)
	if got := ids(l.Jobs[:3]); got != "first s0 m" {
		t.Errorf("jobs: %s, want the maintainer's after one of the stranger's", got)
	}
	answers := slices.DeleteFunc(slices.Clone(l.Jobs), func(j job.Job) bool { return !isAnswer(j) })
	if len(l.Jobs) != 1+maxCommands+1 || len(answers) != 1 || answers[0].Issue != 5 || answers[0].Reason == "" {
		t.Errorf("%d jobs, with the answers %+v", len(l.Jobs), answers)
	}
	for _, j := range l.Ended {
		if j.Actor != "stranger" || j.State != job.Failed || j.Note == "" {
			t.Errorf("ended: %+v", j)
		}
	}
}

// Some big commands keep out no small one.
func TestI10_BigCommandsKeepNobodyOut(t *testing.T) {
	var l Line
	big := func(actor string) job.Job {
		j := asked(actor, actor)
		j.Command.Drift.Reason = strings.Repeat("<", MaxJob/6-200)
		return Bounded(j)
	}
	for i := range 30 {
		l.Push(big(fmt.Sprint("stranger", i)), noon)
	}
	l.Push(asked("maintainer", "m"), noon)
	if !slices.ContainsFunc(l.Jobs, func(j job.Job) bool { return j.ID == "m" && j.Command != nil }) {
		t.Errorf("the maintainer's command is dropped: %s", ids(l.Jobs))
	}
	if n := Size(l.Jobs...); n > maxLine {
		t.Errorf("the line has %d bytes", n)
	}
}

func TestTooLongIsAnswered(t *testing.T) {
	long := asked("ann", "1")
	long.Command.Drift.Reason = strings.Repeat("x", MaxJob)
	on := Bounded(long)
	if on.Command != nil || on.Reason == "" || on.Kind != job.Drift || Of(on) != Of(long) {
		t.Errorf("on an issue: %+v", on)
	}
	long.Kind, long.Pull, long.Issue, long.Topic = job.Plan, 7, 0, ""
	on = Bounded(long)
	if on.Command != nil || on.Reason == "" || on.Kind != job.Help || Of(on) != "a/b#7" {
		t.Errorf("on a pull request: %+v", on)
	}
	if diff := cmp.Diff(asked("ann", "1"), Bounded(asked("ann", "1"))); diff != "" {
		t.Errorf("a short one is another (-want +got):\n%s", diff)
	}
}

// TestI10_IssueModel does random things to the commands of an issue, and holds
// that whoever has nothing waiting is served after at most one command of each
// of the others, and that whatever is not done is told.
func TestI10_IssueModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Line
		people := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{3}`), 1, 12, rapid.ID[string]).Draw(t, "people")
		for n := range rapid.IntRange(1, 100).Draw(t, "steps") {
			if rapid.IntRange(0, 4).Draw(t, "what") > 0 {
				j := asked(rapid.SampledFrom(people).Draw(t, "who"), fmt.Sprintf("%03d", n))
				j.Reason = strings.Repeat("x", rapid.SampledFrom([]int{0, 100, 6000}).Draw(t, "size"))
				alone := !slices.ContainsFunc(l.Jobs, func(o job.Job) bool { return waits(o) && o.Actor == j.Actor })
				ended := len(l.Ended)
				l.Push(j, noon)
				at := l.first(func(o job.Job) bool { return o.ID == j.ID && o.Command != nil })
				if alone && len(j.Reason) < 1000 && at == len(l.Jobs) {
					t.Fatalf("the only command of %s is dropped: %s", j.Actor, ids(l.Jobs))
				}
				before := map[string]bool{}
				for _, o := range l.Jobs[:at] {
					if waits(o) && alone && at < len(l.Jobs) && before[o.Actor] {
						t.Fatalf("two commands of %s are before the only one of %s: %s", o.Actor, j.Actor, ids(l.Jobs))
					}
					before[o.Actor] = before[o.Actor] || waits(o)
				}
				dropped := slices.ContainsFunc(l.Ended[min(ended, len(l.Ended)):], func(o job.Job) bool { return o.State == job.Failed })
				if dropped && !slices.ContainsFunc(l.Jobs, isAnswer) {
					t.Fatalf("dropped without an answer: %s", ids(l.Jobs))
				}
			} else if i, _ := l.Next(noon); i >= 0 {
				l.Claim(i, "w")
				l.End(i, job.Done, "", noon)
			}
			waiting, answers := map[string][]string{}, 0
			for _, j := range l.Jobs {
				if waits(j) {
					waiting[j.Actor] = append(waiting[j.Actor], j.ID)
				} else {
					answers++
				}
			}
			if answers > 1 {
				t.Fatalf("%d answers", answers)
			}
			if n%8 == 7 { // what is too much stays so for a while
				if body, err := json.Marshal(l); err != nil || len(body) > 350<<10 {
					t.Fatalf("%d bytes, %v", len(body), err)
				}
			}
			for who, ids := range waiting {
				if !slices.IsSorted(ids) {
					t.Fatalf("commands of %s are not in their order: %q", who, ids)
				}
			}
		}
	})
}
