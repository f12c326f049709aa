package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/locks"
	"weir/planner/record"
	"weir/planner/scope"
	"weir/planner/work"
	"weir/policy"
)

const (
	// onItsWay is how long a delivery may take that GitHub sends while weir
	// runs.
	onItsWay = 2 * time.Minute
	// askAgain is when the same is asked for once more, if it did not help.
	askAgain = 24 * time.Hour
)

// facts is what is known of one pull request when it is judged.
type facts struct {
	repo   string
	number int
	served bool
	rec    *record.Record // nil: weir remembers nothing
	locks  []locks.Lock   // that it owns or waits for
	jobs   []work.Job     // its newest jobs, oldest first

	pull    *scope.PullRequest // as GitHub shows it; nil: not asked for, and not among the open ones
	reviews []policy.Review    // nil: not asked for
	asked   asked              // what was asked for last

	known   time.Time // since when the repository is looked at
	started time.Time // of this process: what happened before is not on its way any more
	now     time.Time
}

// remedy is a job that puts a pull request right.
type remedy struct {
	kind work.Kind
	why  string // a sentence for people
	key  string // what it answers: the same is not asked for again and again
}

// ours says whether weir has something that ends with the pull request: then
// GitHub has to be asked about one that is not open.
func (f facts) ours() bool {
	return len(f.locks) > 0 || f.rec != nil && (!f.rec.Closed || len(running(f.rec)) > 0)
}

// judge says what puts a pull request right; ok is false where nothing is
// wrong, or where what is wrong is being seen to. It is pure.
func (f facts) judge() (r remedy, ok bool) {
	if f.pull == nil {
		return remedy{}, false
	}
	if u := f.pull.UpdatedAt; u.After(f.started) && f.now.Sub(u) < onItsWay {
		return remedy{}, false
	}
	if f.busy() {
		return remedy{}, false
	}
	switch {
	case f.pull.Open && f.served:
		r, ok = f.judgeOpen()
	case !f.pull.Open:
		r, ok = f.judgeClosed()
	}
	if !ok || f.gaveUp(r.kind) || f.asked.Key == r.key && f.now.Sub(f.asked.At) < askAgain {
		return remedy{}, false
	}
	return r, true
}

// busy says whether a job waits or runs.
func (f facts) busy() bool {
	return slices.ContainsFunc(f.jobs, func(j work.Job) bool { return j.State == work.Queued || j.State == work.Running })
}

func (f facts) judgeClosed() (remedy, bool) {
	what := "closed"
	if f.pull.Merged {
		what = "merged"
	}
	shut := remedy{kind: work.Close, key: what + " " + f.updated()}
	switch {
	case f.rec != nil && !f.rec.Closed:
		shut.why = fmt.Sprintf("It was %s, and weir was not told.", what)
	case f.rec != nil && unapplied(*f.rec):
		// Its locks stay until it is applied or unlocked.
		if f.reviewed() {
			return remedy{work.Gate, "It was reviewed, and weir was not told.", "reviews " + f.updated()}, true
		}
		return remedy{}, false
	case len(f.locks) > 0:
		shut.why = fmt.Sprintf("It is %s, and still %s.", what, f.holds())
	case f.rec != nil && len(running(f.rec)) > 0:
		shut.why = fmt.Sprintf("It is %s, and a check of it still says that something runs.", what)
	default:
		return remedy{}, false
	}
	return shut, true
}

func (f facts) judgeOpen() (remedy, bool) {
	plan := func(key, why string) (remedy, bool) { return remedy{work.Plan, why, key}, true }
	rec, pr := f.rec, f.pull
	head := "head " + pr.Head
	if rec == nil {
		switch {
		case len(f.locks) > 0:
			return plan(head, fmt.Sprintf("It %s, but nothing is remembered of it.", f.holds()))
		case pr.UpdatedAt.After(f.known) && !slices.ContainsFunc(f.jobs, func(j work.Job) bool { return j.Kind == work.Plan }):
			return plan(head, "It is open, and weir was never told of it.")
		}
		return remedy{}, false
	}
	switch stuck := f.stuck(); {
	case rec.Closed:
		return plan("reopened "+f.updated(), "It was opened again, and weir was not told.")
	case rec.Head != pr.Head:
		return plan(head, fmt.Sprintf("Its newest commit is %s, and weir was not told.", policy.Short(pr.Head)))
	case rec.BaseRef != "" && rec.BaseRef != pr.Base:
		return plan("base "+pr.Base+" "+head, fmt.Sprintf("Its base is now %s, and weir was not told.", pr.Base))
	case stuck != "":
		return plan(stuck+head, stuck)
	case f.reviewed():
		return remedy{work.Gate, "It was reviewed, and weir was not told.", "reviews " + f.updated()}, true
	case f.unblocked():
		return remedy{work.Gate, "It has changed since weir looked, and nothing else was missing.", "changed " + f.updated()}, true
	}
	return remedy{}, false
}

// stuck says what is half done although no job is left that would end it.
func (f facts) stuck() string {
	if checks := running(f.rec); len(checks) > 0 {
		return fmt.Sprintf("The check %s says that something runs, and nothing does.", strings.Join(checks, ", "))
	}
	for _, p := range f.rec.Projects {
		if p.State == record.Applying || p.State == record.Planning {
			return fmt.Sprintf("%s is said to be %s, and nothing runs.", p.ID, p.State)
		}
	}
	if f.rec.Failure != "" {
		return "" // a plan that failed so early changes no lock
	}
	waits := slices.ContainsFunc(f.locks, func(l locks.Lock) bool { return l.Place(f.number) > 0 })
	switch remembered := len(f.rec.Waiting) > 0; {
	case waits && !remembered:
		return "It waits for a lock, and nothing is remembered of that."
	case !waits && remembered:
		return "It was to wait for locks, and stands in no queue."
	}
	mine := f.rec.Keys(nil)
	for _, l := range f.locks {
		if l.Owner == f.number && !slices.Contains(mine, l.Key) {
			return fmt.Sprintf("It owns the lock of %s, which it does not touch.", l.Key)
		}
	}
	return ""
}

// reviewable says whether reviews that weir has not seen could matter: they
// are asked for only then.
func (f facts) reviewable() bool {
	if f.rec == nil || f.pull == nil || !f.served || f.rec.Head != f.pull.Head || f.rec.Failure != "" || f.rec.ToldJob == "" ||
		len(f.rec.Waiting) > 0 || len(f.rec.Left()) == 0 {
		return false
	}
	here := f.pull.Open && !f.rec.Closed || !f.pull.Open && unapplied(*f.rec)
	return here && f.since(f.pull.UpdatedAt)
}

// since says whether a time of GitHub's, which counts whole seconds, may be
// after weir's last word.
func (f facts) since(t time.Time) bool { return !t.Before(f.rec.Updated.Truncate(time.Second)) }

// gated says whether the gate was asked after that time.
func (f facts) gated(t time.Time) bool {
	return slices.ContainsFunc(f.jobs, func(j work.Job) bool {
		return (j.Kind == work.Gate || j.Kind == work.Apply) && j.State == work.Done && !j.Accepted.Before(t)
	})
}

// reviewed says whether there is a review that weir may not have seen. When a
// review was dismissed GitHub does not tell, so each of them counts.
func (f facts) reviewed() bool {
	return f.reviewable() && slices.ContainsFunc(f.reviews, func(r policy.Review) bool {
		switch r.State {
		case "approved", "changes_requested":
			return f.since(r.Submitted) && !f.gated(r.Submitted)
		case "dismissed":
			return f.approvedBefore()
		}
		return false
	})
}

// approvedBefore says whether weir's last word was that there are approvals
// enough.
func (f facts) approvedBefore() bool {
	return f.rec.Decision != nil && slices.ContainsFunc(f.rec.Decision.Requirements, func(q policy.Requirement) bool {
		return q.Name == "approved" && q.Met
	})
}

// unblocked says whether all that kept the plan from being applied was
// something about the pull request itself, such as a draft, and that may have
// changed since.
func (f facts) unblocked() bool {
	if !f.reviewable() || f.rec.Decision == nil || f.gated(f.pull.UpdatedAt) {
		return false
	}
	missing := f.rec.Decision.Missing()
	return len(missing) == 1 && missing[0].Name == "mergeable" && !f.pull.Draft
}

// gaveUp says whether such a job has failed already, and people were told that
// nothing more is tried by itself. What is closed is tried on the next day, as
// nobody else would free its locks.
func (f facts) gaveUp(kind work.Kind) bool {
	for _, j := range slices.Backward(f.jobs) {
		if j.Kind != kind {
			continue
		}
		same := j.Head == "" || f.pull.Head == j.Head
		return j.State == work.Failed && same && (kind != work.Close || f.now.Sub(j.Ended) < askAgain)
	}
	return false
}

// holds names the locks.
func (f facts) holds() string {
	var owns, waits []string
	for _, l := range f.locks {
		if l.Owner == f.number {
			owns = append(owns, l.Key.String())
		} else {
			waits = append(waits, l.Key.String())
		}
	}
	var all []string
	if len(owns) > 0 {
		all = append(all, "owns the lock of "+strings.Join(owns, ", "))
	}
	if len(waits) > 0 {
		all = append(all, "waits for the lock of "+strings.Join(waits, ", "))
	}
	return strings.Join(all, " and ")
}

func (f facts) updated() string { return f.pull.UpdatedAt.UTC().Format(time.RFC3339) }

// running names the checks that say that something runs.
func running(rec *record.Record) []string {
	var names []string
	for _, c := range rec.Checks {
		if c.Status == record.InProgress {
			names = append(names, c.Name)
		}
	}
	return names
}

// unapplied says that a pull request was merged to be applied then, and is not
// applied yet.
func unapplied(rec record.Record) bool {
	return rec.Closed && rec.Merged && rec.Mode == policy.OnMerge && len(rec.Left()) > 0
}
