package work

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/planner/work/job"
	"weir/planner/work/line"
	"weir/store/storetest"
)

// night is what the schedule asks of a repository, and person what somebody
// does of one project of it.
func night(repo string) Job {
	return Job{Kind: Drift, Repo: repo, Topic: "checks", Group: "others", Later: true}
}

func person(repo string) Job {
	return Job{Kind: Drift, Repo: repo, Topic: "checks", Command: &Command{Project: "p"}, Later: true}
}

// A check of many projects asks before each of them whether another goes first,
// and goes on after that where it was.
func TestI10_CheckGivesWayBetweenProjects(t *testing.T) {
	everyWay(t, func(t *testing.T, f *fifo) {
		var mu sync.Mutex
		var log []string
		began, projects, waited := time.Time{}, 0, time.Duration(0)
		do := func(ctx context.Context, q *Queue, j Job) error {
			if j.Command != nil {
				mu.Lock()
				waited = time.Since(began)
				log = append(log, "person")
				mu.Unlock()
				return sleep(ctx, 5*time.Minute)
			}
			for projects < 90 {
				first, err := q.Overtaken(ctx, j)
				switch {
				case err != nil:
					return err
				case first:
					mu.Lock()
					log = append(log, "gives way")
					mu.Unlock()
					return fmt.Errorf("check: %w", ErrOvertaken)
				}
				if err := sleep(ctx, time.Minute); err != nil {
					return err
				}
				projects++
			}
			mu.Lock()
			log = append(log, "night")
			mu.Unlock()
			return nil
		}
		all := cluster(t, storetest.Memory(), f, 2, 4, do)
		accept(t, all[0].q, "", night("a/b"))
		pass(10*time.Minute + 30*time.Second)
		began = time.Now()
		accept(t, all[1].q, "", person("a/b"))
		pass(2 * time.Hour)
		stopAll(all)
		if got, want := strings.Join(log, ", "), "gives way, person, night"; got != want {
			t.Errorf("%s; want %s", got, want)
		}
		// It is told as soon as the project that was being looked at is done.
		if projects != 90 || waited > 2*time.Minute {
			t.Errorf("a person waited %s; %d projects were looked at, want 90", waited, projects)
		}
	})
}

// What a person asked for has a place though the schedule's checks have all of
// theirs.
func TestI10_AskedCheckHasAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory(), Exclusive: true, Poll: time.Hour}
		var mu sync.Mutex
		var begun []string
		stop := start(t, q, 8, func(ctx context.Context, j Job) error {
			mu.Lock()
			begun = append(begun, j.Repo)
			mu.Unlock()
			return sleep(ctx, 5*time.Hour)
		})
		defer stop()
		for i := range 4 {
			accept(t, q, "", night(fmt.Sprintf("acme/r%d", i)))
		}
		synctest.Wait()
		accept(t, q, "", person("acme/asked"))
		accept(t, q, "", person("acme/too"))
		synctest.Wait()
		if len(begun) != 3 || begun[2] != "acme/asked" {
			t.Errorf("begun: %q; want two of the schedule's, and one that was asked for", begun)
		}
		quiet(t, q)
		if len(begun) != 6 {
			t.Errorf("begun: %q", begun)
		}
	})
}

// Each command on an issue is done, or somebody is told that it is not.
func TestI10_CommandsOfAFloodAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Store: storetest.Memory(), Exclusive: true}
		var done, answers []string
		at := map[string]time.Duration{}
		began := time.Now()
		stop := start(t, q, 1, func(_ context.Context, j Job) error {
			pass(time.Second)
			if j.Command == nil {
				answers = append(answers, j.Reason)
				return nil
			}
			done = append(done, j.Actor)
			at[j.Actor] = time.Since(began)
			return nil
		})
		command := func(actor string, issue int, reason string) Job {
			return Job{
				Kind: Drift, Repo: "acme/app", Topic: "commands", Issue: issue, Actor: actor,
				Command: &Command{Drift: &job.Drifted{Verb: "accept", Reason: reason}},
			}
		}
		for n := range 200 {
			accept(t, q, fmt.Sprint(n), command("stranger", 5, ""))
		}
		accept(t, q, "same", command("ann", 5, ""))
		accept(t, q, "other", command("bob", 6, ""))
		accept(t, q, "long", command("carl", 7, strings.Repeat("x", line.MaxJob)))
		quiet(t, q)
		stop()
		if at["ann"] > 5*time.Second || at["bob"] > 5*time.Second || at["ann"] == 0 || at["bob"] == 0 {
			t.Errorf("done after: %v", at)
		}
		slices.Sort(answers)
		if len(answers) != 2 || !strings.Contains(answers[0], "too long") || !strings.Contains(answers[1], "Too many") {
			t.Errorf("answers: %q", answers)
		}
		if len(done) < 40 || len(done) > 50 {
			t.Errorf("%d were done", len(done))
		}
	})
}

func TestOvertakenOfALostJob(t *testing.T) {
	q := &Queue{Store: storetest.Memory()}
	if is, err := q.Overtaken(t.Context(), person("a/b")); is || err != nil {
		t.Errorf("a job that nobody has is overtaken: %v, %v", is, err)
	}
}
