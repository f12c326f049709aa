package work

import (
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
	var l line
	now := noon
	for n, word := range strings.Fields(words) {
		now = now.Add(time.Minute)
		i := -1
		for k, j := range l.Jobs {
			if j.State == Running {
				i = k
			}
		}
		switch word {
		case "run":
			if next, _ := l.next(now); next >= 0 {
				l.claim(next, "w")
			}
		case "ok":
			l.end(i, Done, "", now)
		case "error":
			l.requeue(i, "", now, now.Add(time.Hour), func(j *Job) { j.Errors++ })
		case "error4":
			l.requeue(i, "", now, now.Add(time.Hour), func(j *Job) { j.Errors += 4 })
		case "crash":
			l.requeue(i, "", now, time.Time{}, func(j *Job) { j.Crashes++ })
		case "shutdown":
			l.requeue(i, "", now, time.Time{}, func(j *Job) { j.Attempt-- })
		default:
			kind, dir, narrowed := strings.Cut(word, ":")
			job := Job{ID: fmt.Sprint(n + 1), Kind: Kind(kind), Accepted: now}
			if narrowed {
				job.Command = &Command{Dir: dir}
			}
			l.push(job, now)
		}
	}
	return draw(l)
}

// draw shows a line as words: the jobs in order, a * at the one that runs, a !
// at one that is to stop, and after | those that have ended.
func draw(l line) string {
	var words []string
	for _, j := range l.Jobs {
		s := j.ID + string(j.Kind)
		if j.State == Running {
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
	var l line
	l.push(Job{ID: "A", Kind: Plan}, noon)
	l.push(Job{ID: "B", Kind: Close}, noon)
	want := []Job{{ID: "A", Kind: Plan, State: Superseded, Note: "Replaced by job B (close).", Ended: noon}}
	if diff := cmp.Diff(want, l.Ended); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
}

func TestLineWaitsForTheNextAttempt(t *testing.T) {
	var l line
	l.push(Job{ID: "A", Kind: Plan, Accepted: noon}, noon)
	l.claim(0, "w")
	l.requeue(0, "", noon, noon.Add(time.Second), func(*Job) {})
	if i, at := l.next(noon); i != -1 || !at.Equal(noon.Add(time.Second)) {
		t.Errorf("next = %d, %v; want -1 and a second later", i, at)
	}
	if i, _ := l.next(noon.Add(time.Second)); i != 0 {
		t.Errorf("next after its time = %d, want 0", i)
	}
	if got := l.since(0); !got.Equal(noon.Add(time.Second)) {
		t.Errorf("since = %v, want a second past noon", got)
	}
}

// A pull request that is flooded stays within what the store takes, and what
// is not taken is recorded as failed.
func TestLineIsBounded(t *testing.T) {
	var l line
	long := strings.Repeat("x", 10<<10)
	for n := range 200 {
		l.push(Job{ID: fmt.Sprint(n), Kind: Apply, Command: &Command{Extra: []string{long}}}, noon)
	}
	if n := len(encode(l)); n > 350<<10 {
		t.Errorf("a flooded line has %d bytes", n)
	}
	if last := l.Ended[len(l.Ended)-1]; last.State != Failed || last.Note == "" || last.ID != "199" {
		t.Errorf("the last job ended as %+v", last)
	}
	l = line{}
	for n := range 200 {
		l.push(Job{ID: fmt.Sprint(n), Kind: Help}, noon)
	}
	if len(l.Jobs) != maxWaiting {
		t.Errorf("%d jobs wait, want %d", len(l.Jobs), maxWaiting)
	}
}

// TestLineModel does random things to a line and holds what must be true after
// each of them.
func TestLineModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l line
		now := noon
		pushed := 0
		steps := rapid.IntRange(1, 60).Draw(t, "steps")
		for range steps {
			now = now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "seconds")) * time.Second)
			running := -1
			for k, j := range l.Jobs {
				if j.State == Running {
					running = k
				}
			}
			before := l
			before.Jobs = slices.Clone(l.Jobs)
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1, 2:
				pushed++
				job := Job{ID: fmt.Sprintf("%03d", pushed), Kind: rapid.SampledFrom(job.Kinds).Draw(t, "kind"), Accepted: now}
				if rapid.Bool().Draw(t, "narrowed") {
					job.Command = &Command{Project: "p"}
				}
				l.push(job, now)
				for _, j := range l.Jobs {
					if j.Stop && (j.Kind != Plan || j.State != Running) {
						t.Fatalf("a %s that is %s was asked to stop", j.Kind, j.State)
					}
				}
				if running >= 0 && !slices.ContainsFunc(l.Jobs, func(j Job) bool { return j.ID == before.Jobs[running].ID && j.State == Running }) {
					t.Fatalf("the job that runs is gone: %s", draw(l))
				}
				if job.Kind == Plan && job.Full() {
					for _, j := range l.Jobs {
						if j.Kind == Plan && j.Full() && j.ID != job.ID && !j.Stop {
							t.Fatalf("a full plan is still to be done beside a newer one: %s", draw(l))
						}
					}
				}
			case 3:
				if i, _ := l.next(now); i >= 0 {
					l.claim(i, "w")
				} else if running < 0 && len(l.Jobs) > 0 {
					for _, j := range l.Jobs {
						if j.NotUntil.IsZero() && j.Kind == Help {
							t.Fatalf("nothing to claim though help waits: %s", draw(l))
						}
					}
				}
			case 4:
				if running >= 0 {
					l.end(running, Done, "", now)
				}
			case 5:
				if running >= 0 {
					l.requeue(running, "", now, now.Add(time.Minute), func(j *Job) { j.Errors++ })
				}
			}
			runs := 0
			ids := map[string]bool{}
			for _, j := range l.Jobs {
				if j.State == Running {
					runs++
				}
				if ids[j.ID] || j.State != Running && j.State != Queued {
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
