package policy

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	head1 = "1111111aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	head2 = "2222222bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func at(minute int) time.Time { return time.Date(2026, 11, 21, 9, minute, 0, 0, time.UTC) }

// open returns facts with which the gate is open.
func open() Facts {
	return Facts{
		Pull:    Pull{Number: 7, Author: "alice", Head: head1, Base: "main", Default: "main", Open: true, MergeableState: "clean"},
		Mode:    OnApproval,
		Trigger: ByReview,
		Rights:  map[string]Right{"alice": Write, "bob": Write, "carol": Admin, "eve": Read},
		Reviews: []Review{{ID: 12, Author: "bob", State: "approved", Commit: head1, Submitted: at(5)}},
		Posted:  []Posted{{Head: head1, Digests: map[string]string{"prod": "d1", "dev": ""}, At: at(4), ReviewsBefore: 11}},
		Projects: []Project{
			{ID: "dev", Stage: Unchanged, PlanHead: head1, PlanRef: "main", Owner: 7},
			{ID: "prod", Stage: Ready, PlanHead: head1, PlanRef: "main", Digest: "d1", Owner: 7},
		},
	}
}

func TestDecide(t *testing.T) {
	no, yes := false, true
	for _, tt := range []struct {
		name   string
		change func(*Facts)
		unmet  string // name of the requirement that closes the gate; "" for open
		reason string // part of its reason
	}{
		{"everything is met", func(*Facts) {}, "", ""},

		// I3: an approval is for a plan that the reviewer could see.
		{"nobody reviewed", func(f *Facts) { f.Reviews = nil }, "approved", "an approval of somebody with write access"},
		{"the author approves", func(f *Facts) { f.Reviews[0].Author = "alice" }, "approved", "alice is the author"},
		{"the author in other letters", func(f *Facts) { f.Reviews[0].Author = "Alice"; f.Rights["Alice"] = Write }, "approved", "is the author"},
		{"an outsider approves", func(f *Facts) { f.Reviews[0].Author = "eve" }, "approved", "eve has no write access"},
		{"somebody unknown approves", func(f *Facts) { f.Reviews[0].Author = "mallory" }, "approved", "no write access"},
		{"a bot approves", func(f *Facts) { f.Reviews[0].Bot = true }, "approved", "is a bot"},
		{"approved before the plan was shown", func(f *Facts) { f.Reviews[0].Submitted = at(3) }, "approved", "bob approved 1111111 before its plan was shown"},
		{"approved in the same second", func(f *Facts) { f.Reviews[0].Submitted = at(4) }, "", ""},
		{"in the same second, but listed before", func(f *Facts) { f.Reviews[0].Submitted = at(4); f.Reviews[0].ID = 11 }, "approved", "before"},
		{"a review without a time counts by its number", func(f *Facts) { f.Reviews[0].Submitted = time.Time{} }, "", ""},
		{"approved another commit", func(f *Facts) { f.Reviews[0].Commit = head2 }, "approved", "bob approved 2222222, for which no plan was shown"},
		{"no plan was ever posted", func(f *Facts) { f.Posted = nil }, "approved", "for which no plan was shown that still counts"},
		{"in the second of the second plan, and listed after it", func(f *Facts) {
			again(f)
			f.Reviews[0].Submitted, f.Reviews[0].ID = at(6), 13
		}, "", ""},
		{"in the second of the second plan, and listed before it", func(f *Facts) {
			again(f)
			f.Reviews[0].Submitted = at(6)
		}, "approved", "now does something else"},
		{"submitted while the second plan was being told", func(f *Facts) {
			again(f)
			f.Reviews[0].Submitted, f.Reviews[0].ID = at(5), 13
		}, "approved", "now does something else"},
		// GitHub numbers a review when it is begun. It cannot be told from one
		// that was submitted before the plan, so it has to be given again.
		{"begun before the plan, submitted after it", func(f *Facts) { f.Reviews[0].ID = 10 }, "approved", "before its plan was shown"},
		{"somebody who has lost write access since approves", func(f *Facts) { f.Rights["bob"] = Read }, "approved", "bob has no write access"},
		{"a deleted account approves", func(f *Facts) { f.Reviews[0].Author = "ghost" }, "approved", "ghost has no write access"},
		{"a deleted account is the author, and approves", func(f *Facts) { f.Pull.Author, f.Reviews[0].Author = "ghost", "ghost" }, "approved", "ghost is the author"},
		{"the author approves beside an outsider", func(f *Facts) {
			f.Reviews[0].Author = "alice"
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "eve", State: "approved", Commit: head1, Submitted: at(6)})
		}, "approved", "alice is the author; eve has no write access"},
		{"the author asks, and nobody approved", func(f *Facts) { f.Reviews, f.Trigger, f.Actor = nil, ByComment, "alice" }, "approved", "an approval"},
		{"a state in other letters is none that is known", func(f *Facts) { f.Reviews[0].State = "APPROVED" }, "approved", "an approval"},
		{"a change without a digest equals nothing", func(f *Facts) { f.Posted[0].Digests["prod"], f.Projects[1].Digest = "", "" }, "approved", "something else in prod"},
		{"an older commit that did something else was approved", func(f *Facts) {
			f.Reviews[0].Commit = head2
			f.Posted = append([]Posted{{Head: head2, Digests: map[string]string{"prod": "d0", "dev": ""}, At: at(3), ReviewsBefore: 10}}, f.Posted...)
		}, "approved", "the head is now 1111111, which does something else in prod"},
		{"an older commit that did the same was approved, after the newer was shown", func(f *Facts) {
			f.Reviews[0].Commit = head2
			f.Posted = append([]Posted{{Head: head2, Digests: map[string]string{"prod": "d1", "dev": ""}, At: at(3), ReviewsBefore: 10}}, f.Posted...)
		}, "", ""},
		{"what counts is the newest approval of a person, not the best one", func(f *Facts) {
			push(f, "d1")
			f.Posted[1].Digests["prod"] = "d2"
			f.Posted = append(f.Posted, Posted{Head: head2, Digests: map[string]string{"prod": "d1", "dev": ""}, At: at(10), ReviewsBefore: 13})
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "bob", State: "approved", Commit: head2, Submitted: at(9)})
		}, "approved", "bob approved 2222222, but it was planned again after that"},
		{"pushed, and the plan does the same", func(f *Facts) { push(f, "d1") }, "", ""},
		{"pushed, and the plan differs", func(f *Facts) { push(f, "d2") }, "approved", "bob approved 1111111; the head is now 2222222, which does something else in prod"},
		{"pushed, and one more project changes", func(f *Facts) {
			push(f, "d1")
			f.Projects = append(f.Projects, Project{ID: "stage", Stage: Ready, PlanHead: head2, PlanRef: "main", Digest: "d9", Owner: 7})
		}, "approved", "something else in stage"},
		{"pushed, and an approved change is gone", func(f *Facts) {
			push(f, "d1")
			f.Projects = []Project{{ID: "dev", Stage: Ready, PlanHead: head2, PlanRef: "main", Digest: "d5", Owner: 7}}
		}, "approved", "something else in dev, prod"},
		// It once said that the head was now the commit that it had been before.
		{"planned again for the same commit, and it differs", again, "approved", "bob approved 1111111, but it was planned again after that and now does something else in prod"},
		{"the newer of two plans of a commit was approved", func(f *Facts) {
			again(f)
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "bob", State: "approved", Commit: head1, Submitted: at(7)})
		}, "", ""},
		{"the old plan comes back", func(f *Facts) {
			f.Posted = append(f.Posted,
				Posted{Head: head1, Digests: map[string]string{"prod": "d2", "dev": ""}, At: at(6), ReviewsBefore: 12},
				Posted{Head: head1, Digests: map[string]string{"prod": "d1", "dev": ""}, At: at(8), ReviewsBefore: 12})
		}, "", ""},
		{"one project was applied since", func(f *Facts) {
			f.Posted[0].Digests["dev"] = "d0"
			f.Projects[0] = Project{ID: "dev", Stage: Done, PlanHead: head1, PlanRef: "main", Digest: "d0", Owner: 7}
		}, "", ""},

		// The latest word of each person.
		{"approved, then a comment", func(f *Facts) {
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "bob", State: "commented", Commit: head1, Submitted: at(6)})
		}, "", ""},
		{"approved, then dismissed", func(f *Facts) {
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "bob", State: "dismissed", Commit: head1, Submitted: at(6)})
		}, "approved", "an approval"},
		{"approved, then changes requested", func(f *Facts) {
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "bob", State: "changes_requested", Commit: head1, Submitted: at(6)})
		}, "approved", "bob requested changes"},
		{"changes requested, then approved by the same", func(f *Facts) {
			f.Reviews = append([]Review{{ID: 10, Author: "bob", State: "changes_requested", Commit: head1, Submitted: at(1)}}, f.Reviews...)
		}, "", ""},
		{"a standing request for changes outweighs any approval", func(f *Facts) {
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "carol", State: "changes_requested", Commit: head2, Submitted: at(6)})
		}, "approved", "carol requested changes"},
		{"a request for changes by an outsider does not close it", func(f *Facts) {
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "eve", State: "changes_requested", Commit: head1, Submitted: at(6)})
		}, "", ""},

		{"approved, then a state that nobody knows yet", func(f *Facts) {
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "bob", State: "abstained", Commit: head1, Submitted: at(6)})
		}, "", ""},
		{"the approval itself was dismissed", func(f *Facts) { f.Reviews[0].State = "dismissed" }, "approved", "an approval"},
		{"approved twice, and the later one dismissed", func(f *Facts) {
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "bob", State: "dismissed", Commit: head1, Submitted: at(6)})
		}, "approved", "an approval"},
		{"a dismissal is of one person", func(f *Facts) {
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "carol", State: "dismissed", Commit: head1, Submitted: at(6)})
		}, "", ""},
		{"changes requested, then approved, and that dismissed", func(f *Facts) {
			f.Reviews = append(f.Reviews,
				Review{ID: 13, Author: "carol", State: "changes_requested", Commit: head1, Submitted: at(6)},
				Review{ID: 14, Author: "carol", State: "dismissed", Commit: head1, Submitted: at(7)})
		}, "", ""},
		{"changes requested, then a comment by the same", func(f *Facts) {
			f.Reviews = append(f.Reviews,
				Review{ID: 13, Author: "carol", State: "changes_requested", Commit: head1, Submitted: at(6)},
				Review{ID: 14, Author: "carol", State: "commented", Commit: head1, Submitted: at(7)})
		}, "approved", "carol requested changes"},
		{"changes requested, then a state that nobody knows yet", func(f *Facts) {
			f.Reviews = append(f.Reviews,
				Review{ID: 13, Author: "carol", State: "changes_requested", Commit: head1, Submitted: at(6)},
				Review{ID: 14, Author: "carol", State: "abstained", Commit: head1, Submitted: at(7)})
		}, "approved", "carol requested changes"},
		{"changes requested for a commit of which no plan was shown", func(f *Facts) {
			f.Reviews = append([]Review{{ID: 2, Author: "carol", State: "changes_requested", Commit: "0000000", Submitted: at(0)}}, f.Reviews...)
		}, "approved", "carol requested changes"},
		{"changes requested by somebody who has lost write access since", func(f *Facts) {
			f.Rights["carol"] = Read
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "carol", State: "changes_requested", Commit: head1, Submitted: at(6)})
		}, "", ""},
		{"changes requested by a bot without write access", func(f *Facts) {
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "linter[bot]", Bot: true, State: "changes_requested", Commit: head1, Submitted: at(6)})
		}, "", ""},
		{"changes requested by the author in the name of nobody", func(f *Facts) {
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "ghost", State: "changes_requested", Commit: head1, Submitted: at(6)})
		}, "", ""},

		// Rules.
		{"two are needed", func(f *Facts) { f.Rules = []Rule{{Text: "2 approvals", Count: 2}} }, "approved", "2 approvals (so far 1)"},
		{"two are there", func(f *Facts) {
			f.Rules = []Rule{{Text: "2 approvals", Count: 2}}
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "carol", State: "approved", Commit: head1, Submitted: at(6)})
		}, "", ""},
		{"one of a team is needed", func(f *Facts) { f.Rules = []Rule{{Text: "1 of acme/sec", Count: 1, Among: []string{"carol"}}} }, "approved", "acme/sec"},
		{"one of a team is needed, and is the author", func(f *Facts) {
			f.Rules = []Rule{{Text: "1 of acme/sec", Count: 1, Among: []string{"alice"}}}
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "alice", State: "approved", Commit: head1, Submitted: at(6)})
		}, "approved", "1 of acme/sec (so far 0)"},
		{"one person in two spellings is one", func(f *Facts) {
			f.Rules, f.Rights["Bob"] = []Rule{{Text: "2 approvals", Count: 2}}, Write
			f.Reviews = append(f.Reviews, Review{ID: 13, Author: "Bob", State: "approved", Commit: head1, Submitted: at(6)})
		}, "approved", "2 approvals (so far 1)"},
		{"two rules, and one is not met", func(f *Facts) {
			f.Rules = []Rule{{Text: "1 of acme/ops", Count: 1, Among: []string{"bob"}}, {Text: "1 of acme/sec", Count: 1, Among: []string{"carol"}}}
		}, "approved", "acme/sec"},
		{"nobody is in the team", func(f *Facts) { f.Rules = []Rule{{Text: "1 of acme/sec", Count: 1, Among: []string{}}} }, "approved", "acme/sec"},
		{"the rules cannot be read", func(f *Facts) { f.Unknown = "weir.yaml of main is broken" }, "configured", "broken"},

		// I2: the newest commit, the newest base.
		{"pushed and not planned yet", func(f *Facts) { f.Pull.Head = head2 }, "current", "the head is now 2222222"},
		{"planned against another branch", func(f *Facts) { f.Projects[1].PlanRef = "carols" }, "current", "it is against main now, and these plans are not: prod (planned against carols)"},
		{"unchanged, but against another branch", func(f *Facts) { f.Projects[0].PlanRef = "carols" }, "current", "dev (planned against carols)"},
		{"nobody knows against which branch", func(f *Facts) { f.Projects[1].PlanRef = "" }, "current", "prod (planned against another branch)"},
		{"applied against another branch, and done", func(f *Facts) {
			f.Projects[0] = Project{ID: "dev", Stage: Done, PlanHead: head1, PlanRef: "release/1", Owner: 7}
		}, "", ""},
		{"the base touched a project", func(f *Facts) { f.Projects[1].BaseTouched = true }, "current", "main has changed files of prod"},
		{"a plan failed", func(f *Facts) { f.Projects[0].Stage = Unplanned; f.Projects[0].Why = "its plan failed" }, "planned", "dev: its plan failed"},
		{"nothing planned", func(f *Facts) { f.Projects = nil }, "planned", "no plan yet"},

		// I1: the lock.
		{"somebody else owns a lock", func(f *Facts) { f.Projects[1].Owner = 8 }, "locked", "prod (owned by #8)"},
		{"the lock was given back", func(f *Facts) { f.Projects[1].Owner = 0 }, "locked", "was given back"},

		{"draft", func(f *Facts) { f.Pull.Draft = true }, "mergeable", "draft"},
		{"weir's own branch, changed by somebody", func(f *Facts) { f.Pull.Unvouched = "not what weir proposed" }, "mergeable", "not what weir proposed"},
		{"the same, merged", func(f *Facts) { f.Pull.Unvouched, f.Pull.Merged = "not what weir proposed", true }, "mergeable", "not what weir proposed"},
		{"closed", func(f *Facts) { f.Pull.Open = false }, "mergeable", "closed"},
		{"nobody knows yet whether it can be merged", func(f *Facts) { f.Pull.MergeableState = "unknown" }, "", ""},
		{"conflict", func(f *Facts) { f.Pull.MergeableState = "dirty" }, "mergeable", "conflicts with main"},
		{"not mergeable", func(f *Facts) { f.Pull.Mergeable = &no }, "mergeable", "conflicts"},
		{"mergeable", func(f *Facts) { f.Pull.Mergeable = &yes }, "", ""},
		{"own checks never count", func(f *Facts) {
			f.Pull.MergeableState = "blocked"
			f.Checks = []Check{{Name: "weir/apply", Own: true, State: "action_required"}}
			f.Required = []string{"weir/apply", "weir/plan"}
		}, "", ""},
		{"a required check of another failed", func(f *Facts) {
			f.Pull.MergeableState = "blocked"
			f.Checks = []Check{{Name: "ci", State: "failure"}}
			f.Required = []string{"ci"}
		}, "mergeable", "ci is failure"},
		{"a required check has not reported", func(f *Facts) { f.Pull.MergeableState = "blocked"; f.Required = []string{"ci"} }, "mergeable", "ci has not reported"},
		{"a check that is not required", func(f *Facts) {
			f.Pull.MergeableState = "blocked"
			f.Checks = []Check{{Name: "lint", State: "failure"}}
			f.Required = []string{}
		}, "", ""},
		{"blocked, and nobody knows what is required", func(f *Facts) {
			f.Pull.MergeableState = "blocked"
			f.Checks = []Check{{Name: "ci", State: "pending"}}
		}, "mergeable", "ci is pending"},

		// The mode.
		{"on comment, and nobody asked", func(f *Facts) { f.Mode = OnComment }, "asked", "weir apply"},
		{"on comment, asked", func(f *Facts) { f.Mode, f.Trigger, f.Actor = OnComment, ByComment, "alice" }, "", ""},
		{"asked by an outsider", func(f *Facts) { f.Trigger, f.Actor = ByComment, "eve" }, "asked", "eve has no write access"},
		{"a button pressed by an outsider", func(f *Facts) { f.Trigger, f.Actor = ByCheck, "eve" }, "asked", "no write access"},
		{"on merge, still open", func(f *Facts) { f.Mode = OnMerge }, "asked", "once the pull request is merged"},
		{"on merge, still open, asked", func(f *Facts) { f.Mode, f.Trigger, f.Actor = OnMerge, ByComment, "bob" }, "asked", "once"},
		{"no mode is known", func(f *Facts) { f.Mode = "" }, "asked", "how this is applied"},
		{"a mode that nobody knows", func(f *Facts) { f.Mode = "always" }, "asked", "how this is applied"},
		{"a mode that nobody knows, asked", func(f *Facts) { f.Mode, f.Trigger, f.Actor = "always", ByComment, "bob" }, "asked", "how this is applied"},
		{"asked by nobody", func(f *Facts) { f.Mode, f.Trigger = OnComment, ByComment }, "asked", "no write access"},
		{"on merge, merged", func(f *Facts) { f.Mode, f.Trigger, f.Pull.Open, f.Pull.Merged = OnMerge, ByMerge, false, true }, "", ""},
		{"on merge, merged without approval", func(f *Facts) {
			f.Mode, f.Trigger, f.Pull.Open, f.Pull.Merged, f.Reviews = OnMerge, ByMerge, false, true, nil
		}, "approved", "an approval"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := open()
			tt.change(&f)
			d := Decide(f)
			if tt.unmet == "" {
				if !d.Open {
					t.Fatalf("closed: %+v", d.Missing())
				}
				return
			}
			if d.Open {
				t.Fatal("open")
			}
			missing := d.Missing()
			i := slices.IndexFunc(missing, func(r Requirement) bool { return r.Name == tt.unmet })
			if i < 0 || !strings.Contains(missing[i].Reason, tt.reason) {
				t.Fatalf("got %+v, want %s: …%s…", missing, tt.unmet, tt.reason)
			}
			if len(missing) > 1 && tt.unmet != "planned" && !strings.Contains(tt.name, "pushed") {
				t.Errorf("more than one requirement fails: %+v", missing)
			}
		})
	}
}

// push makes the facts those of a second commit whose plan was shown.
func push(f *Facts, digest string) {
	f.Pull.Head = head2
	f.Posted = append(f.Posted, Posted{Head: head2, Digests: map[string]string{"prod": digest, "dev": ""}, At: at(8), ReviewsBefore: 12})
	for i := range f.Projects {
		f.Projects[i].PlanHead = head2
	}
	f.Projects[1].Digest = digest
}

// again makes the facts those of a second plan of the same commit, which does
// something else.
func again(f *Facts) {
	f.Posted = append(f.Posted, Posted{Head: head1, Digests: map[string]string{"prod": "d2", "dev": ""}, At: at(6), ReviewsBefore: 12})
	f.Projects[1].Digest = "d2"
}

func TestNothingToApply(t *testing.T) {
	f := open()
	f.Projects = f.Projects[:1]
	if d := Decide(f); d.Open || !d.Nothing {
		t.Errorf("got open %v, nothing %v", d.Open, d.Nothing)
	}
}

func TestOneProjectOnly(t *testing.T) {
	f := open()
	f.Projects[0].Stage, f.Projects[0].Why = Unplanned, "its plan failed"
	f.Posted[0].Digests = map[string]string{"prod": "d1"}
	if d := Decide(f); d.Open {
		t.Error("open for all, though dev has no plan")
	}
	f.Only = []string{"prod"}
	if d := Decide(f); !d.Open {
		t.Errorf("closed for prod alone: %+v", d.Missing())
	}
}
