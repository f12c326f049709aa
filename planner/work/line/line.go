// Package line says in which order the jobs of one pull request, or of one
// topic of drift, are done, one at a time. It does no I/O and has no clock.
package line

import (
	"slices"
	"strconv"
	"time"

	"weir/planner/work/job"
)

// Line is the work on one pull request: one record of the store.
type Line struct {
	Jobs  []job.Job `json:"jobs"`            // running and queued, in the order in which they are done
	Ended []job.Job `json:"ended,omitempty"` // ended, and not yet in a record of their own
	Turn  time.Time `json:"turn,omitzero"`   // when a job last ended or went back: its place among other lines
}

// Of returns the name of the line that a job belongs to. Merge groups and topics
// of drift are no pull request: each is a line of its own; and so are the
// commands on each issue of drift, so that those on one hold up no other.
func Of(j job.Job) string {
	name := j.Repo + "#" + strconv.Itoa(j.Pull)
	switch {
	case j.Kind == job.Drift && j.Issue != 0:
		name += "!" + j.Topic + "#" + strconv.Itoa(j.Issue)
	case j.Kind == job.Drift:
		name += "!" + j.Topic
	case j.Pull == 0:
		name += "@" + j.Head
	}
	return name
}

// isCheck says whether a job is of drift and nobody's command on an issue: the
// order of those does not matter.
func isCheck(j job.Job) bool { return j.Kind == job.Drift && j.Issue == 0 }

// Next returns the index of the job to be claimed now, or -1 and when there
// may be one (zero: not before the line changes). A job that waits for its
// next attempt holds up those behind it, but for the ones that only talk;
// after its third error, from when on it waits for minutes, it lets all pass.
// A check of drift lets all pass at once.
func (l *Line) Next(now time.Time) (i int, at time.Time) {
	if l.Runs() {
		return -1, time.Time{}
	}
	held := false
	for i, j := range l.Jobs {
		switch {
		case j.NotUntil.After(now):
			held = held || j.Errors <= 3 && !isCheck(j)
			if at.IsZero() || j.NotUntil.Before(at) {
				at = j.NotUntil
			}
		case !held, j.Kind == job.Explain, j.Kind == job.Help, j.Kind == job.Refuse:
			return i, time.Time{}
		}
	}
	return -1, at
}

// Runs reports whether a job runs.
func (l *Line) Runs() bool {
	return slices.ContainsFunc(l.Jobs, func(j job.Job) bool { return j.State == job.Running })
}

// Since returns from when on job i could have been claimed. Lines are served
// in this order, so that one with many jobs takes turns with the others.
func (l *Line) Since(i int) time.Time {
	return slices.MaxFunc([]time.Time{l.Turn, l.Jobs[i].Accepted, l.Jobs[i].NotUntil}, time.Time.Compare)
}

// Claim makes job i run, and returns it as it is now.
func (l *Line) Claim(i int, worker string) job.Job {
	j := &l.Jobs[i]
	j.State, j.Worker, j.NotUntil = job.Running, worker, time.Time{}
	j.Attempt++
	return *j
}

// Running returns the index of the job if this very attempt of it runs, or -1.
func (l *Line) Running(attempt job.Job) int {
	return slices.IndexFunc(l.Jobs, func(j job.Job) bool {
		return j.State == job.Running && j.ID == attempt.ID && j.Worker == attempt.Worker && j.Attempt == attempt.Attempt
	})
}

// Overtaken reports whether a job that could be claimed now, if none ran, goes
// before the running job i. Only checks of drift do.
func (l *Line) Overtaken(i int, now time.Time) bool {
	return isCheck(l.Jobs[i]) && slices.ContainsFunc(l.Jobs[:i], func(j job.Job) bool { return !j.NotUntil.After(now) })
}

// End takes the running job i out of the line.
func (l *Line) End(i int, state job.State, note string, now time.Time) {
	j := l.Jobs[i]
	l.Jobs = slices.Delete(l.Jobs, i, i+1)
	l.Turn = now
	l.ended(j, state, note, now)
}

// Requeue puts the running job i back where it stands. A plan that was asked
// to end does not come back.
func (l *Line) Requeue(i int, note string, now, notUntil time.Time, count func(*job.Job)) {
	if l.Jobs[i].Stop {
		l.End(i, job.Superseded, l.Jobs[i].Note, now)
		return
	}
	j := &l.Jobs[i]
	j.State, j.Note, j.NotUntil = job.Queued, note, notUntil
	count(j)
	l.Turn = now
}

// ended keeps what became of a job until it gets its own record. Only the
// newest are kept; more than that wait only where nothing is ever claimed.
func (l *Line) ended(j job.Job, state job.State, note string, now time.Time) {
	j.State, j.Note, j.Ended, j.NotUntil = state, note, now, time.Time{}
	l.Ended = append(l.Ended, j)
	for len(l.Ended) > maxEnded || Size(l.Ended...) > maxLine {
		l.Ended = slices.Delete(l.Ended, 0, 1)
	}
}
