package work

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Limits of one pull request, so that its record stays far below what a store
// takes. Nobody reaches them with work that is meant.
const (
	maxWaiting = 40
	maxEnded   = 45        // with their records, less than a commit
	maxLine    = 160 << 10 // bytes of either
)

// line is the work on one pull request: one record of the store. Everything
// about the order of its jobs is decided here, without any I/O.
type line struct {
	Jobs  []Job     `json:"jobs"`            // running and queued, in the order in which they are done
	Ended []Job     `json:"ended,omitempty"` // ended, and not yet in a record of their own
	Turn  time.Time `json:"turn,omitzero"`   // when a job last ended or went back: its place among other lines
}

// push adds a job that was accepted now.
//
// A full plan replaces the full plans that wait, and stops the plan that runs:
// it will plan the newest head. A gate replaces a gate that waits; as the last
// in the line it sees what all before it have done. A close goes before the
// applies that wait and replaces the plans and gates; it and an unlock of
// everything stop the plan that runs. Nothing stops an apply. A drift check of
// the schedule replaces one of the same group that waits.
func (l *line) push(job Job, now time.Time) {
	at := len(l.Jobs)
	switch job.Kind {
	case Plan:
		if job.Full() {
			l.replace(job, now, func(j Job) bool { return j.Kind == Plan && j.Full() })
			l.stopPlan(job)
			at = len(l.Jobs)
		}
	case Drift:
		if job.Command == nil { // the schedule's: another that waits does the same
			l.replace(job, now, func(j Job) bool { return j.Command == nil && j.Group == job.Group })
			at = len(l.Jobs)
		}
	case Gate, MergeGroup:
		l.replace(job, now, func(j Job) bool { return j.Kind == job.Kind })
		at = len(l.Jobs)
	case Close:
		l.replace(job, now, func(j Job) bool { return j.Kind == Plan || j.Kind == Gate })
		l.stopPlan(job)
		at = slices.IndexFunc(l.Jobs, func(j Job) bool { return j.State == Queued && j.Kind == Apply })
		if at < 0 {
			at = len(l.Jobs)
		}
	case Unlock:
		if job.Full() {
			l.stopPlan(job)
		}
	}
	job.State = Queued
	if len(l.Jobs) >= maxWaiting || size(l.Jobs...)+size(job) > maxLine {
		l.ended(job, Failed, "The pull request has too many jobs waiting already.", now)
		return
	}
	l.Jobs = slices.Insert(l.Jobs, at, job)
}

// replace ends the waiting jobs whose work the new one does.
func (l *line) replace(by Job, now time.Time, which func(Job) bool) {
	l.Jobs = slices.DeleteFunc(l.Jobs, func(j Job) bool {
		if j.State != Queued || !which(j) {
			return false
		}
		l.ended(j, Superseded, replacedBy(by), now)
		return true
	})
}

// stopPlan asks the plan that runs, if one does, to end.
func (l *line) stopPlan(by Job) {
	for i := range l.Jobs {
		if j := &l.Jobs[i]; j.State == Running && j.Kind == Plan && !j.Stop {
			j.Stop, j.Note = true, replacedBy(by)
		}
	}
}

func replacedBy(job Job) string { return fmt.Sprintf("Replaced by job %s (%s).", job.ID, job.Kind) }

// next returns the index of the job to be claimed now, or -1 and when there
// may be one (zero: not before the line changes). A job that waits for its
// next attempt holds up those behind it, but for the ones that only talk;
// after its third error, from when on it waits for minutes, it lets all pass.
func (l *line) next(now time.Time) (i int, at time.Time) {
	if l.runs() {
		return -1, time.Time{}
	}
	held := false
	for i, j := range l.Jobs {
		switch {
		case j.NotUntil.After(now):
			held = held || j.Errors <= 3
			if at.IsZero() || j.NotUntil.Before(at) {
				at = j.NotUntil
			}
		case !held, j.Kind == Explain, j.Kind == Help, j.Kind == Refuse:
			return i, time.Time{}
		}
	}
	return -1, at
}

// runs reports whether a job runs.
func (l *line) runs() bool {
	return slices.ContainsFunc(l.Jobs, func(j Job) bool { return j.State == Running })
}

// since returns from when on job i could have been claimed. Lines are served
// in this order, so that one with many jobs takes turns with the others.
func (l *line) since(i int) time.Time {
	return slices.MaxFunc([]time.Time{l.Turn, l.Jobs[i].Accepted, l.Jobs[i].NotUntil}, time.Time.Compare)
}

// claim makes job i run, and returns it as it is now.
func (l *line) claim(i int, worker string) Job {
	j := &l.Jobs[i]
	j.State, j.Worker, j.NotUntil = Running, worker, time.Time{}
	j.Attempt++
	return *j
}

// running returns the index of the job if this very attempt of it runs, or -1.
func (l *line) running(job Job) int {
	return slices.IndexFunc(l.Jobs, func(j Job) bool {
		return j.State == Running && j.ID == job.ID && j.Worker == job.Worker && j.Attempt == job.Attempt
	})
}

// end takes the running job i out of the line.
func (l *line) end(i int, state State, note string, now time.Time) {
	job := l.Jobs[i]
	l.Jobs = slices.Delete(l.Jobs, i, i+1)
	l.Turn = now
	l.ended(job, state, note, now)
}

// requeue puts the running job i back where it stands. A plan that was asked
// to end does not come back.
func (l *line) requeue(i int, note string, now, notUntil time.Time, count func(*Job)) {
	if l.Jobs[i].Stop {
		l.end(i, Superseded, l.Jobs[i].Note, now)
		return
	}
	j := &l.Jobs[i]
	j.State, j.Note, j.NotUntil = Queued, note, notUntil
	count(j)
	l.Turn = now
}

// ended keeps what became of a job until it gets its own record. Only the
// newest are kept; more than that wait only where nothing is ever claimed.
func (l *line) ended(job Job, state State, note string, now time.Time) {
	job.State, job.Note, job.Ended, job.NotUntil = state, note, now, time.Time{}
	l.Ended = append(l.Ended, job)
	for len(l.Ended) > maxEnded || size(l.Ended...) > maxLine {
		l.Ended = slices.Delete(l.Ended, 0, 1)
	}
}

// size returns the bytes that jobs take in a record.
func size(jobs ...Job) (n int) {
	for _, j := range jobs {
		n += len(encode(j))
	}
	return n
}

// encode turns a record into JSON. The types of this package hold nothing
// that JSON cannot.
func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("work: encode %T: %v", v, err))
	}
	return body
}
