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

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// script feeds a line with words and returns what it looks like after them:
// "plan", "plan:envs" (narrowed), … queue a job; "run" claims the next,
// "ok", "error", "crash" and "shutdown" end the attempt that runs.
func script(words string) string {
	var l Line
	now := noon
	for n, word := range strings.Fields(words) {
		now = now.Add(time.Minute)
		i := -1
		for k, j := range l.Jobs {
			if j.State == job.Running {
				i = k
			}
		}
		switch word {
		case "run":
			if next, _ := l.Next(now); next >= 0 {
				l.Claim(next, "w")
			}
		case "ok":
			l.End(i, job.Done, "", now)
		case "error":
			l.Requeue(i, "", now, now.Add(time.Hour), func(j *job.Job) { j.Errors++ })
		case "error4":
			l.Requeue(i, "", now, now.Add(time.Hour), func(j *job.Job) { j.Errors += 4 })
		case "crash":
			l.Requeue(i, "", now, time.Time{}, func(j *job.Job) { j.Crashes++ })
		case "shutdown":
			l.Requeue(i, "", now, time.Time{}, func(j *job.Job) { j.Attempt-- })
		default:
			kind, dir, narrowed := strings.Cut(word, ":")
			added := job.Job{ID: fmt.Sprint(n + 1), Kind: job.Kind(kind), Accepted: now}
			if narrowed {
				added.Command = &job.Command{Dir: dir}
			}
			l.Push(added, now)
		}
	}
	return draw(l)
}

// draw shows a line as words: the jobs in order, a * at the one that runs, a !
// at one that is to stop, and after | those that have ended.
func draw(l Line) string {
	var words []string
	for _, j := range l.Jobs {
		s := j.ID + string(j.Kind)
		if j.State == job.Running {
			s += "*"
		}
		if j.Stop {
			s += "!"
		}
		words = append(words, s)
	}
	words = append(words, "|")
	for _, j := range l.Ended {
		words = append(words, j.ID+string(j.State))
	}
	return strings.Join(words, " ")
}

func TestLine(t *testing.T) {
	for words, want := range map[string]string{
		"plan":                           "1plan |",
		"plan run ok":                    "| 1done",
		"plan apply run":                 "1plan* 2apply |",
		"plan plan":                      "2plan | 1superseded",
		"plan apply plan":                "2apply 3plan | 1superseded",
		"plan run plan":                  "1plan*! 3plan |",
		"plan run plan plan":             "1plan*! 4plan | 3superseded",
		"plan run plan ok":               "3plan | 1done",
		"plan run plan error":            "3plan | 1superseded",
		"plan run plan crash run":        "3plan* | 1superseded",
		"plan run plan shutdown":         "3plan | 1superseded",
		"plan run error plan":            "4plan | 1superseded",
		"plan run shutdown run":          "1plan* |",
		"plan run crash apply run":       "1plan* 4apply |",
		"plan run error apply run":       "1plan 4apply |",
		"plan run error help run":        "1plan 4help* |",
		"apply run error4 plan run":      "1apply 4plan* |",
		"apply run error plan:a run":     "1apply 4plan |",
		"plan:a plan:b":                  "1plan 2plan |",
		"plan:a plan plan:b":             "1plan 2plan 3plan |",
		"plan plan:a plan":               "2plan 3plan | 1superseded",
		"plan:a run plan":                "1plan*! 3plan |",
		"plan run plan:a":                "1plan* 3plan |",
		"apply run plan plan":            "1apply* 4plan | 3superseded",
		"gate run plan close unlock":     "1gate* 4close 5unlock | 3superseded",
		"apply run apply apply":          "1apply* 3apply 4apply |",
		"gate gate gate":                 "3gate | 1superseded 2superseded",
		"gate run gate gate":             "1gate* 4gate | 3superseded",
		"gate plan gate":                 "2plan 3gate | 1superseded",
		"plan gate apply plan:a close":   "5close 3apply | 1superseded 2superseded 4superseded",
		"apply close":                    "2close 1apply |",
		"help apply close":               "1help 3close 2apply |",
		"plan run close":                 "1plan*! 3close |",
		"plan run apply close":           "1plan*! 4close 3apply |",
		"close plan":                     "1close 2plan |",
		"close run plan":                 "1close* 3plan |",
		"plan run unlock":                "1plan*! 3unlock |",
		"plan run unlock:a":              "1plan* 3unlock |",
		"plan unlock":                    "1plan 2unlock |",
		"merge_group merge_group":        "2merge_group | 1superseded",
		"explain explain help help plan": "1explain 2explain 3help 4help 5plan |",
		"refuse run refuse":              "1refuse* 3refuse |",
	} {
		got := strings.TrimPrefix(script(words), " ")
		if want != got {
			t.Errorf("%s:\n got %s\nwant %s", words, got, want)
		}
	}
}

func TestLineSaysWhatReplacesAJob(t *testing.T) {
	var l Line
	l.Push(job.Job{ID: "A", Kind: job.Plan}, noon)
	l.Push(job.Job{ID: "B", Kind: job.Close}, noon)
	want := []job.Job{{ID: "A", Kind: job.Plan, State: job.Superseded, Note: "Replaced by job B (close).", Ended: noon}}
	if diff := cmp.Diff(want, l.Ended); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
}

func TestLineWaitsForTheNextAttempt(t *testing.T) {
	var l Line
	l.Push(job.Job{ID: "A", Kind: job.Plan, Accepted: noon}, noon)
	l.Claim(0, "w")
	l.Requeue(0, "", noon, noon.Add(time.Second), func(*job.Job) {})
	if i, at := l.Next(noon); i != -1 || !at.Equal(noon.Add(time.Second)) {
		t.Errorf("next = %d, %v; want -1 and a second later", i, at)
	}
	if i, _ := l.Next(noon.Add(time.Second)); i != 0 {
		t.Errorf("next after its time = %d, want 0", i)
	}
	if got := l.Since(0); !got.Equal(noon.Add(time.Second)) {
		t.Errorf("since = %v, want a second past noon", got)
	}
}

// A pull request that is flooded stays within what the store takes, and what
// is not taken is recorded as failed.
func TestLineIsBounded(t *testing.T) {
	var l Line
	long := strings.Repeat("x", 10<<10)
	for n := range 200 {
		l.Push(job.Job{ID: fmt.Sprint(n), Kind: job.Apply, Command: &job.Command{Extra: []string{long}}}, noon)
	}
	if body, err := json.Marshal(l); err != nil || len(body) > 350<<10 {
		t.Errorf("a flooded line has %d bytes, %v", len(body), err)
	}
	if last := l.Ended[len(l.Ended)-1]; last.State != job.Failed || last.Note == "" || last.ID != "199" {
		t.Errorf("the last job ended as %+v", last)
	}
	l = Line{}
	for n := range 200 {
		l.Push(job.Job{ID: fmt.Sprint(n), Kind: job.Explain, Command: &job.Command{}}, noon)
	}
	if n := len(l.Jobs); n != maxCommands+1 || l.Jobs[n-1].Kind != job.Help || l.Jobs[n-1].Command != nil || l.Jobs[n-1].Reason == "" {
		t.Errorf("%d jobs wait, the last of them %+v; want %d, and an answer for the rest", n, l.Jobs[n-1], maxCommands)
	}
	// What events bring has places of its own.
	for n, kind := range []job.Kind{job.Gate, job.Plan, job.Close} {
		l.Push(job.Job{ID: fmt.Sprint("event", n), Kind: kind}, noon)
		if !slices.ContainsFunc(l.Jobs, func(j job.Job) bool { return j.Kind == kind }) {
			t.Errorf("a %s was dropped, because people wrote many commands", kind)
		}
	}
	for n := range 100 {
		l.Push(job.Job{ID: fmt.Sprint("refuse", n), Kind: job.Refuse}, noon)
	}
	if n := len(l.Jobs); n != maxCommands+maxOthers {
		t.Errorf("%d jobs wait, want %d", n, maxCommands+maxOthers)
	}
}

// TestLineModel does random things to a line and holds what must be true after
// each of them.
func TestLineModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Line
		now := noon
		pushed := 0
		steps := rapid.IntRange(1, 60).Draw(t, "steps")
		for range steps {
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "seconds")) * time.Second)
			running := -1
			for k, j := range l.Jobs {
				if j.State == job.Running {
					running = k
				}
			}
			before := l
			before.Jobs = slices.Clone(l.Jobs)
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1, 2:
				pushed++
				added := job.Job{ID: fmt.Sprintf("%03d", pushed), Kind: rapid.SampledFrom(job.Kinds).Draw(t, "kind"), Accepted: now}
				if rapid.Bool().Draw(t, "narrowed") {
					added.Command = &job.Command{Project: "p"}
				}
				l.Push(added, now)
				for _, j := range l.Jobs {
					if j.Stop && (j.Kind != job.Plan || j.State != job.Running) {
						t.Fatalf("a %s that is %s was asked to stop", j.Kind, j.State)
					}
				}
				if running >= 0 && !slices.ContainsFunc(l.Jobs, func(j job.Job) bool { return j.ID == before.Jobs[running].ID && j.State == job.Running }) {
					t.Fatalf("the job that runs is gone: %s", draw(l))
				}
				if added.Kind == job.Plan && added.Full() {
					for _, j := range l.Jobs {
						if j.Kind == job.Plan && j.Full() && j.ID != added.ID && !j.Stop {
							t.Fatalf("a full plan is still to be done beside a newer one: %s", draw(l))
						}
					}
				}
			case 3:
				if i, _ := l.Next(now); i >= 0 {
					l.Claim(i, "w")
				} else if running < 0 && len(l.Jobs) > 0 {
					for _, j := range l.Jobs {
						if j.NotUntil.IsZero() && j.Kind == job.Help {
							t.Fatalf("nothing to claim though help waits: %s", draw(l))
						}
					}
				}
			case 4:
				if running >= 0 {
					l.End(running, job.Done, "", now)
				}
			case 5:
				if running >= 0 {
					l.Requeue(running, "", now, now.Add(time.Minute), func(j *job.Job) { j.Errors++ })
				}
			}
			runs := 0
			ids := map[string]bool{}
			for _, j := range l.Jobs {
				if j.State == job.Running {
					runs++
				}
				if ids[j.ID] || j.State != job.Running && j.State != job.Queued {
					t.Fatalf("wrong job %+v in %s", j, draw(l))
				}
				ids[j.ID] = true
			}
			for _, j := range l.Ended {
				if ids[j.ID] {
					t.Fatalf("job %s is in the line twice: %s", j.ID, draw(l))
				}
				ids[j.ID] = true
			}
			if runs > 1 {
				t.Fatalf("two jobs run: %s", draw(l))
			}
			if len(l.Ended) < maxEnded && len(ids) != pushed {
				t.Fatalf("%d of %d jobs are left: %s", len(ids), pushed, draw(l))
			}
		}
	})
}
