package drift

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"weir/drift/finding"
	"weir/drift/notice"
	"weir/locks"
	"weir/planner/ledger"
	"weir/planner/record"
)

// TestApplyMeanwhile holds that what was applied while weir looked, or since it
// fetched the commit, is told of nobody.
func TestApplyMeanwhile(t *testing.T) {
	w := newWorld(t, three())
	w.look.before = func(_ context.Context, id string) {
		if id != "a" {
			return
		}
		w.locks[repo] = []locks.Lock{{Key: locks.Key{Dir: "c", Workspace: "default"}, Owner: 12}}
		draft, err := record.Open(t.Context(), w.store, repo, 12)
		if err == nil {
			draft.Projects = []record.ProjectRecord{{ID: "c", State: record.Applying}}
			err = draft.Save(t.Context())
		}
		if err != nil {
			t.Error(err)
		}
	}
	w.look.plans["c"] = changedOutside("aws_s3_bucket.c")
	due := w.due()
	w.later(due)
	if c, _ := w.known("c"); c.PutOff != "#12 is being applied" || len(c.Check.Findings) > 0 {
		t.Errorf("c is not put off: %+v", c)
	}

	// It ends, and its lock goes, before the project is looked at again, and
	// while it is: what is found is of neither before nor after.
	w.locks[repo] = nil
	w.look.before = func(_ context.Context, id string) {
		writes, err := ledger.Write(t.Context(), w.store, ledger.Entry{Repo: repo, Project: id, Dir: id, Workspace: "default", Outcome: ledger.Applied, Pull: 12, When: time.Now(), Base: w.git.Git("rev-parse", "HEAD")})
		if err == nil {
			err = w.store.Commit(t.Context(), writes...)
		}
		if err != nil {
			t.Error(err)
		}
	}
	w.later(due)
	if c, _ := w.known("c"); c.PutOff != "#12 was applied meanwhile" || len(c.Check.Findings) > 0 {
		t.Errorf("c is not put off: %+v", c)
	}
	w.look.before = nil
	w.do(due)
	if c, _ := w.known("c"); c.PutOff != "" || len(c.Check.Findings) != 1 {
		t.Errorf("c was not looked at again: %+v", c)
	}
}

// TestGoneWhileNobodyCanBeTold holds that a project that is gone while issues cannot be written keeps its issue until
// they can.
func TestGoneWhileNobodyCanBeTold(t *testing.T) {
	w := newWorld(t, three())
	w.look.plans["b"] = changedOutside("aws_s3_bucket.b")
	w.tell.issues["b"] = 5
	w.do(w.due())
	w.git.Commit(map[string]string{"b/main.tf": ""})
	w.tell.err = &RefusedError{Sentence: "The App's new permission has to be accepted."}
	w.do(w.due())
	w.tell.err = nil
	w.tell.gone = nil
	w.do(w.due())
	if got := told(w.tell.gone); !slices.Equal(got, []string{"b"}) {
		t.Errorf("issue 5 stays open for ever: told that %q are gone", got)
	}
}

type wait struct{ error }

func (wait) Later() time.Time { return time.Now().Add(time.Minute) }

// TestNoticeRefusedBesideOneThatWaits holds that who does not take a notice is shown, whoever else asks for time.
func TestNoticeRefusedBesideOneThatWaits(t *testing.T) {
	w := newWorld(t, three())
	w.Targets, w.Page = []notice.Target{
		{Name: "ops", Sender: &place{err: &notice.RefusedError{Reason: "status 410"}}},
		{Name: "chat", Sender: &place{err: wait{errors.New("it answered 429")}}},
	}, func() string { return "" }
	w.look.plans["a"] = changedOutside("aws_s3_bucket.a")
	for range 30 { // the queue counts no error that says when it is over
		w.do(w.due())
		_ = w.doNotices()
	}
	if got := w.state().Unheard; len(got) == 0 {
		t.Error("nobody sees that ops was refused and chat never answered")
	}
}

type gone struct{ hub }

func (g gone) Repository(ctx context.Context, name string) (finding.Repository, error) {
	at, err := g.hub.Repository(ctx, name)
	at.Branch = "trunk"
	return at, err
}

// TestNoDefaultBranch holds that a default branch that is not there is the repository's own state, not a fault
// of weir's.
func TestNoDefaultBranch(t *testing.T) {
	w := newWorld(t, three())
	w.GitHub = gone{hub{w.git.URL}}
	if err := w.Do(t.Context(), w.due()); err != nil {
		t.Errorf("tried six times, and then called weir's own fault: %v", err)
	}
	if got := w.state().Failure; got != "The default branch trunk has no commit, or does not exist." {
		t.Errorf("the state says %q", got)
	}
}
