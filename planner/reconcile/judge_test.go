package reconcile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/locks"
	"weir/planner/record"
	"weir/planner/scope"
	"weir/planner/work"
	"weir/policy"
)

var (
	now    = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	looked = now.Add(-time.Hour)        // weir's last word on the pull request
	later  = now.Add(-30 * time.Minute) // something happened
)

// planned is an open pull request #7 that is planned, told, and waits for an
// approval.
func planned() facts {
	return facts{
		repo: "acme/app", number: 7, served: true,
		rec: &record.Record{
			Repo: "acme/app", Pull: 7, Head: "aaaa", BaseRef: "main", ToldJob: "J", PlanJob: "J", Updated: looked,
			Projects: []record.ProjectRecord{{ID: "prod", Dir: "prod", Workspace: "default", State: record.Planned}},
		},
		locks: []locks.Lock{{Key: locks.Key{Dir: "prod", Workspace: "default"}, Owner: 7, Epoch: 1}},
		pull:  &scope.PullRequest{Pull: policy.Pull{Number: 7, Head: "aaaa", Base: "main", Open: true}, UpdatedAt: looked.Add(-time.Second)},
		known: now.Add(-48 * time.Hour), started: now.Add(-24 * time.Hour), now: now,
	}
}

func closed(f *facts, merged bool) {
	f.pull.Open, f.pull.Merged, f.pull.UpdatedAt = false, merged, later
}

func unknown(f *facts) { f.rec, f.locks, f.pull.UpdatedAt = nil, nil, later }

func TestJudge(t *testing.T) {
	other := locks.Key{Dir: "dev", Workspace: "default"}
	const at = "2026-05-04T11:30:00Z"
	for _, c := range []struct {
		name   string
		change func(f *facts)
		want   remedy // zero: nothing
	}{
		{"all is well", func(*facts) {}, remedy{}},
		{"GitHub was not asked", func(f *facts) { f.pull = nil }, remedy{}},

		// Closed.
		{"merged meanwhile", func(f *facts) { closed(f, true) }, remedy{work.Close, "It was merged, and weir was not told.", "merged " + at}},
		{"closed meanwhile", func(f *facts) { closed(f, false) }, remedy{work.Close, "It was closed, and weir was not told.", "closed " + at}},
		{"closed where weir may not plan any more", func(f *facts) {
			closed(f, false)
			f.served = false
		}, remedy{work.Close, "It was closed, and weir was not told.", "closed " + at}},
		{"closed, and known to be", func(f *facts) {
			closed(f, false)
			f.rec.Closed, f.locks = true, nil
		}, remedy{}},
		{"closed, and a lock is left", func(f *facts) {
			closed(f, false)
			f.rec.Closed = true
		}, remedy{work.Close, "It is closed, and still owns the lock of prod (default).", "closed " + at}},
		{"closed, never remembered, and it waits", func(f *facts) {
			closed(f, true)
			f.rec, f.locks = nil, []locks.Lock{{Key: other, Owner: 3, Waiters: []locks.Waiter{{Pull: 7}}}}
		}, remedy{work.Close, "It is merged, and still waits for the lock of dev (default).", "merged " + at}},
		{"closed, never remembered, nothing left", func(f *facts) {
			unknown(f)
			closed(f, true)
		}, remedy{}},
		{"closed, and a check runs on", func(f *facts) {
			closed(f, false)
			f.rec.Closed, f.locks, f.rec.Checks = true, nil, []record.CheckRef{{Head: "aaaa", Name: "weir/plan", Status: record.InProgress}}
		}, remedy{work.Close, "It is closed, and a check of it still says that something runs.", "closed " + at}},
		{"merged, and to be applied only now", func(f *facts) {
			closed(f, true)
			f.rec.Closed, f.rec.Merged, f.rec.Mode = true, true, policy.OnMerge
		}, remedy{}},
		{"merged, and approved for that", func(f *facts) {
			closed(f, true)
			f.rec.Closed, f.rec.Merged, f.rec.Mode = true, true, policy.OnMerge
			f.reviews = []policy.Review{{State: "approved", Submitted: later}}
		}, remedy{work.Gate, "It was reviewed, and weir was not told.", "reviews " + at}},
		{"closing was given up today", func(f *facts) {
			closed(f, true)
			f.jobs = []work.Job{{Kind: work.Close, State: work.Failed, Ended: later}}
		}, remedy{}},
		{"closing was given up days ago", func(f *facts) {
			closed(f, true)
			f.jobs = []work.Job{{Kind: work.Close, State: work.Failed, Ended: now.Add(-25 * time.Hour)}}
		}, remedy{work.Close, "It was merged, and weir was not told.", "merged " + at}},

		// Open.
		{"opened again", func(f *facts) {
			f.rec.Closed, f.locks, f.pull.UpdatedAt = true, nil, later
		}, remedy{work.Plan, "It was opened again, and weir was not told.", "reopened " + at}},
		{"a push was missed", func(f *facts) {
			f.pull.Head, f.pull.UpdatedAt = "bbbbbbbbbb", later
		}, remedy{work.Plan, "Its newest commit is bbbbbbb, and weir was not told.", "head bbbbbbbbbb"}},
		{"a push was missed, where weir may not plan any more", func(f *facts) {
			f.pull.Head, f.served = "bbbb", false
		}, remedy{}},
		{"a push that is on its way", func(f *facts) {
			f.pull.Head, f.pull.UpdatedAt = "bbbb", now.Add(-time.Minute)
		}, remedy{}},
		{"a push before the start is not on its way", func(f *facts) {
			f.pull.Head, f.pull.UpdatedAt, f.started = "bbbb", now.Add(-time.Minute), now.Add(-30*time.Second)
		}, remedy{work.Plan, "Its newest commit is bbbb, and weir was not told.", "head bbbb"}},
		{"its plan waits", func(f *facts) {
			f.pull.Head, f.jobs = "bbbb", []work.Job{{Kind: work.Plan, State: work.Queued}}
		}, remedy{}},
		{"its plan was given up, and that was told", func(f *facts) {
			f.pull.Head, f.jobs = "bbbb", []work.Job{{Kind: work.Plan, State: work.Failed, Head: "bbbb", Ended: now.Add(-99 * time.Hour)}}
		}, remedy{}},
		{"the plan of an older commit was given up", func(f *facts) {
			f.pull.Head, f.jobs = "bbbb", []work.Job{{Kind: work.Plan, State: work.Failed, Head: "aaaa", Ended: later}}
		}, remedy{work.Plan, "Its newest commit is bbbb, and weir was not told.", "head bbbb"}},
		{"the same was asked for today", func(f *facts) {
			f.pull.Head, f.asked = "bbbb", asked{Key: "head bbbb", At: now.Add(-time.Hour)}
		}, remedy{}},
		{"the same was asked for yesterday, in vain", func(f *facts) {
			f.pull.Head, f.asked = "bbbb", asked{Key: "head bbbb", At: now.Add(-24 * time.Hour)}
		}, remedy{work.Plan, "Its newest commit is bbbb, and weir was not told.", "head bbbb"}},
		{"another base", func(f *facts) { f.pull.Base = "release" }, remedy{work.Plan, "Its base is now release, and weir was not told.", "base release head aaaa"}},
		{"never told of it", func(f *facts) { unknown(f) }, remedy{work.Plan, "It is open, and weir was never told of it.", "head aaaa"}},
		{"older than weir's time in the repository", func(f *facts) {
			unknown(f)
			f.known = now.Add(-time.Minute)
		}, remedy{}},
		{"nothing came of its plan, such as that of a fork", func(f *facts) {
			unknown(f)
			f.jobs = []work.Job{{Kind: work.Plan, State: work.Done}}
		}, remedy{}},
		{"it owns a lock, and nothing is remembered", func(f *facts) {
			f.rec = nil
		}, remedy{work.Plan, "It owns the lock of prod (default), but nothing is remembered of it.", "head aaaa"}},
		{"a check runs, and nothing else", func(f *facts) {
			f.rec.Checks = []record.CheckRef{{Head: "aaaa", Name: "weir/plan", Status: record.InProgress}, {Head: "aaaa", Name: "weir/apply", Status: record.ActionRequired}}
		}, remedy{
			work.Plan, "The check weir/plan says that something runs, and nothing does.",
			"The check weir/plan says that something runs, and nothing does.head aaaa",
		}},
		{"an apply whose job is gone", func(f *facts) {
			f.rec.Projects[0].State = record.Applying
		}, remedy{work.Plan, "prod is said to be applying, and nothing runs.", "prod is said to be applying, and nothing runs.head aaaa"}},
		{"it waits, and is remembered to", func(f *facts) {
			f.locks, f.rec.Waiting = []locks.Lock{{Key: other, Owner: 3, Waiters: []locks.Waiter{{Pull: 7}}}}, []record.Waiting{{ID: "dev", Owner: 3, Place: 1}}
		}, remedy{}},
		{"it was to wait, and stands in no queue", func(f *facts) {
			f.rec.Waiting = []record.Waiting{{ID: "prod", Owner: 3, Place: 1}}
		}, remedy{
			work.Plan, "It was to wait for locks, and stands in no queue.", "It was to wait for locks, and stands in no queue.head aaaa",
		}},
		{"a lock of a directory that it left", func(f *facts) {
			f.locks = append(f.locks, locks.Lock{Key: other, Owner: 7})
		}, remedy{
			work.Plan, "It owns the lock of dev (default), which it does not touch.", "It owns the lock of dev (default), which it does not touch.head aaaa",
		}},
		{"a conflict changes no lock", func(f *facts) {
			f.rec.Failure = "it conflicts with main"
			f.locks = append(f.locks, locks.Lock{Key: other, Owner: 7})
		}, remedy{}},

		// Reviews.
		{"approved, and weir was not told", func(f *facts) {
			f.pull.UpdatedAt, f.reviews = later, []policy.Review{{State: "approved", Submitted: later}}
		}, remedy{work.Gate, "It was reviewed, and weir was not told.", "reviews " + at}},
		{"approved in the second of weir's last word", func(f *facts) {
			f.rec.Updated = later.Add(700 * time.Millisecond)
			f.pull.UpdatedAt, f.reviews = later, []policy.Review{{State: "approved", Submitted: later}}
		}, remedy{work.Gate, "It was reviewed, and weir was not told.", "reviews " + at}},
		{"weir was told in that second", func(f *facts) {
			f.rec.Updated = later.Add(700 * time.Millisecond)
			f.pull.UpdatedAt, f.reviews = later, []policy.Review{{State: "approved", Submitted: later}}
			f.jobs = []work.Job{{Kind: work.Gate, State: work.Done, Accepted: later.Add(300 * time.Millisecond)}}
		}, remedy{}},
		{"only talked about", func(f *facts) {
			f.pull.UpdatedAt, f.reviews = later, []policy.Review{{State: "commented", Submitted: later}, {State: "approved", Submitted: looked.Add(-time.Minute)}}
		}, remedy{}},
		{"an approval was dismissed", func(f *facts) {
			f.pull.UpdatedAt, f.reviews = later, []policy.Review{{State: "dismissed", Submitted: looked.Add(-time.Minute)}}
			f.rec.Decision = &policy.Decision{Requirements: []policy.Requirement{{Name: "approved", Met: true}, {Name: "asked"}}}
		}, remedy{work.Gate, "It was reviewed, and weir was not told.", "reviews " + at}},
		{"an approval was dismissed, and weir knows", func(f *facts) {
			f.pull.UpdatedAt, f.reviews = later, []policy.Review{{State: "dismissed", Submitted: looked.Add(-time.Minute)}}
			f.rec.Decision = &policy.Decision{Requirements: []policy.Requirement{{Name: "approved"}}}
		}, remedy{}},
		{"ready for review", func(f *facts) {
			f.pull.UpdatedAt = later
			f.rec.Decision = &policy.Decision{Requirements: []policy.Requirement{{Name: "approved", Met: true}, {Name: "mergeable"}}}
		}, remedy{work.Gate, "It has changed since weir looked, and nothing else was missing.", "changed " + at}},
		{"still a draft", func(f *facts) {
			f.pull.UpdatedAt, f.pull.Draft = later, true
			f.rec.Decision = &policy.Decision{Requirements: []policy.Requirement{{Name: "mergeable"}}}
		}, remedy{}},
		{"nothing is left to apply", func(f *facts) {
			f.pull.UpdatedAt, f.reviews = later, []policy.Review{{State: "approved", Submitted: later}}
			f.rec.Projects[0].State = record.Applied
		}, remedy{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := planned()
			c.change(&f)
			got, ok := f.judge()
			if ok != (c.want.kind != "") {
				t.Errorf("something wrong: %t", ok)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(remedy{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Reviews cost a call, which is made only where they can matter.
func TestReviewsAreAskedForWhereTheyMatter(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(f *facts)
		want   bool
	}{
		{"nothing happened", func(*facts) {}, false},
		{"something happened", func(f *facts) { f.pull.UpdatedAt = later }, true},
		{"in the second of weir's last word", func(f *facts) {
			f.rec.Updated, f.pull.UpdatedAt = later.Add(700*time.Millisecond), later
		}, true},
		{"it waits for a lock", func(f *facts) {
			f.pull.UpdatedAt, f.rec.Waiting = later, []record.Waiting{{ID: "prod"}}
		}, false},
		{"another head is planned first", func(f *facts) { f.pull.UpdatedAt, f.pull.Head = later, "bbbb" }, false},
		{"it could not be planned", func(f *facts) { f.pull.UpdatedAt, f.rec.Failure = later, "a conflict" }, false},
		{"its plans were not told yet", func(f *facts) { f.pull.UpdatedAt, f.rec.ToldJob = later, "" }, false},
		{"weir remembers nothing", func(f *facts) { f.pull.UpdatedAt, f.rec = later, nil }, false},
		{"not served", func(f *facts) { f.pull.UpdatedAt, f.served = later, false }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := planned()
			c.change(&f)
			if got := f.reviewable(); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}
