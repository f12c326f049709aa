package drift

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/drift/notice"
	"weir/planner/work"
)

// place is somebody who is told beside the issues.
type place struct {
	heard []notice.Notice
	err   error
}

func (p *place) Send(_ context.Context, n notice.Notice) error {
	if p.err != nil {
		return p.err
	}
	p.heard = append(p.heard, n)
	return nil
}

// doNotices does the jobs that tell others.
func (w *world) doNotices() error {
	w.t.Helper()
	var err error
	for _, j := range w.queue.accepted {
		if j.Topic == notices {
			err = errors.Join(err, w.Do(w.t.Context(), j))
		}
	}
	w.queue.accepted = nil
	return err
}

// TestNotices holds that others hear once of what became different, with the
// issue, whether or not issues can be kept; and that who does not take it is
// shown.
func TestNotices(t *testing.T) {
	w := newWorld(t, three())
	ops := &place{}
	w.Targets, w.Page = []notice.Target{{Name: "ops", Sender: ops}}, func() string { return "https://weir.example.com/drift" }
	w.look.plans["a"] = changedOutside("aws_s3_bucket.a")
	w.tell.issues["a"] = 7
	for range 2 {
		w.do(w.due())
		if err := w.doNotices(); err != nil {
			t.Fatal(err)
		}
	}
	if len(ops.heard) != 1 || len(ops.heard[0].Projects) != 1 || ops.heard[0].Projects[0].Issue.Number != 7 || ops.heard[0].Page == "" {
		t.Fatalf("heard %+v", ops.heard)
	}

	// GitHub is down, and the chat is not.
	w.look.plans["b"] = changedOutside("aws_s3_bucket.b")
	w.tell.err = errors.New("down")
	if err := w.Do(t.Context(), w.due()); err == nil {
		t.Error("no error")
	}
	if err := w.doNotices(); err != nil || len(ops.heard) != 2 || ops.heard[1].Projects[0].Project != "b" {
		t.Errorf("%v, heard %+v", err, ops.heard)
	}
	w.tell.err = nil

	// It does not take it, is down, and takes it at last.
	w.look.plans["c"] = changedOutside("aws_s3_bucket.c")
	ops.err = &notice.RefusedError{Reason: "status 410"}
	w.do(w.due())
	if err := w.doNotices(); err != nil || !slices.Equal(w.state().Unheard, []string{"ops was not told: status 410."}) {
		t.Errorf("%v, state %+v", err, w.state())
	}
	ops.err = errors.New("no answer")
	w.do(w.due())
	if err := w.doNotices(); err == nil {
		t.Error("no error")
	}
	if err := w.GiveUp(t.Context(), work.Job{ID: "01K", Repo: repo, Topic: notices}, ops.err); err != nil {
		t.Fatal(err)
	}
	if s := w.state(); s.Failure != "" || len(s.Unheard) != 1 || !strings.Contains(s.Unheard[0], "01K") {
		t.Errorf("after giving up: %+v", s)
	}
	ops.err = nil
	w.do(w.due())
	if err := w.doNotices(); err != nil || len(ops.heard) != 3 || len(w.state().Unheard) > 0 || w.state().At.After(time.Now()) {
		t.Errorf("%v, heard %d, state %+v", err, len(ops.heard), w.state())
	}
}
