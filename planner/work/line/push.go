package line

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"weir/planner/work/job"
)

// Limits of one line, so that its record stays far below what a store takes.
// Nobody reaches them with work that is meant.
const (
	maxCommands = 40        // that wait; checks of drift, which only who may write can ask for, are bounded by bytes alone
	maxOthers   = 10        // that wait: what events bring has places of its own, which no person's commands fill
	maxEnded    = 45        // with their records, less than a commit
	maxLine     = 160 << 10 // bytes of either
)

// MaxJob is how many bytes a command takes at most, see Bounded.
const MaxJob = 32 << 10

// Push adds a job that was accepted now.
//
// A full plan replaces the full plans that wait, and stops the plan that runs:
// it will plan the newest head. A gate replaces a gate that waits; as the last
// in the line it sees what all before it have done. A close goes before the
// applies that wait and replaces the plans and gates; it and an unlock of
// everything stop the plan that runs. Nothing stops an apply. Of drift, a check
// replaces one of the same projects that waits, and goes before those of more
// projects, also before one that runs, see Overtaken; people whose commands wait
// on one issue take turns.
//
// Where too much waits, the newest commands are dropped, and the first of them
// becomes an answer that says so.
func (l *Line) Push(added job.Job, now time.Time) {
	at := len(l.Jobs)
	switch added.Kind {
	case job.Plan:
		if added.Full() {
			l.replace(added, now, func(j job.Job) bool { return j.Kind == job.Plan && j.Full() })
			l.stopPlan(added)
			at = len(l.Jobs)
		}
	case job.Drift:
		if isCheck(added) {
			l.replace(added, now, func(j job.Job) bool { return sameProjects(j, added) })
			at = l.first(func(j job.Job) bool { return breadth(j) > breadth(added) })
		} else {
			at = l.turnOf(added)
		}
	case job.Gate, job.MergeGroup:
		l.replace(added, now, func(j job.Job) bool { return j.Kind == added.Kind })
		at = len(l.Jobs)
	case job.Close:
		l.replace(added, now, func(j job.Job) bool { return j.Kind == job.Plan || j.Kind == job.Gate })
		l.stopPlan(added)
		at = l.first(func(j job.Job) bool { return j.State == job.Queued && j.Kind == job.Apply })
	case job.Unlock:
		if added.Full() {
			l.stopPlan(added)
		}
	}
	added.State = job.Queued
	l.Jobs = slices.Insert(l.Jobs, at, added)
	for i := l.surplus(); i >= 0; i = l.surplus() {
		l.drop(i, now)
	}
}

// replace ends the waiting jobs whose work the new one does.
func (l *Line) replace(by job.Job, now time.Time, which func(job.Job) bool) {
	l.Jobs = slices.DeleteFunc(l.Jobs, func(j job.Job) bool {
		if j.State != job.Queued || !which(j) {
			return false
		}
		l.ended(j, job.Superseded, replacedBy(by), now)
		return true
	})
}

// stopPlan asks the plan that runs, if one does, to end.
func (l *Line) stopPlan(by job.Job) {
	for i := range l.Jobs {
		if j := &l.Jobs[i]; j.State == job.Running && j.Kind == job.Plan && !j.Stop {
			j.Stop, j.Note = true, replacedBy(by)
		}
	}
}

func replacedBy(by job.Job) string { return fmt.Sprintf("Replaced by job %s (%s).", by.ID, by.Kind) }

// first returns the index of the first job that is so, or where the line ends.
func (l *Line) first(is func(job.Job) bool) int {
	if i := slices.IndexFunc(l.Jobs, is); i >= 0 {
		return i
	}
	return len(l.Jobs)
}

// sameProjects says whether two checks of drift are about the same.
func sameProjects(a, b job.Job) bool {
	if a.Command == nil || b.Command == nil {
		return a.Command == b.Command && a.Group == b.Group
	}
	x, y := a.Command, b.Command
	return x.Dir == y.Dir && x.Workspace == y.Workspace && x.Project == y.Project
}

// breadth orders checks of drift: those of named projects, which somebody waits
// for, then those of all that somebody asked for, then those of the schedule.
func breadth(j job.Job) int {
	switch {
	case j.Command.Narrows():
		return 0
	case j.Command != nil:
		return 1
	}
	return 2
}

// turnOf returns the place of a person's command: behind as many commands of
// everybody else as the person has waiting already. So whoever writes hundreds
// is the last in the line with most of them.
func (l *Line) turnOf(added job.Job) int {
	own, behind := 0, 0
	for i, j := range l.Jobs {
		if waits(j) && j.Actor == added.Actor {
			own, behind = own+1, i+1
		}
	}
	before := map[string]int{}
	at := l.first(func(j job.Job) bool {
		if waits(j) {
			before[j.Actor]++
		}
		return before[j.Actor] > own+1
	})
	return max(at, behind)
}

// waits says whether a job is a command that waits.
func waits(j job.Job) bool { return j.State == job.Queued && j.Command != nil }

// surplus returns the index of a job that the line has no room for, or -1.
func (l *Line) surplus() int {
	commands, others, command, other := 0, 0, -1, -1
	for i, j := range l.Jobs {
		switch {
		case waits(j):
			commands, command = commands+1, i
		case j.State == job.Queued:
			others, other = others+1, i
		}
	}
	tooBig := Size(l.Jobs...) > maxLine
	if last := max(command, other); last >= 0 && isCheck(l.Jobs[last]) {
		commands, others = 0, 0
	}
	switch {
	case tooBig && command >= 0 && l.Jobs[command].Kind == job.Drift:
		return l.biggest() // else a few big ones would keep out all others
	case commands > maxCommands, tooBig && command >= 0:
		return command
	case others > maxOthers, tooBig:
		return other
	}
	return -1
}

// biggest returns the index of the biggest command that waits.
func (l *Line) biggest() (at int) {
	most := 0
	for i, j := range l.Jobs {
		if n := Size(j); waits(j) && n >= most {
			at, most = i, n
		}
	}
	return at
}

// drop ends job i, which waits, without it being done. If it is a command and
// nothing says so yet, it becomes what says so.
func (l *Line) drop(i int, now time.Time) {
	j := l.Jobs[i]
	l.Jobs = slices.Delete(l.Jobs, i, i+1)
	answer, ok := answering(j, "Too many commands wait here, so some of the newest were not done. Once those before them have their answers, ask again for what has none.")
	if ok && !slices.ContainsFunc(l.Jobs, func(j job.Job) bool { return j.State == job.Queued && isAnswer(j) }) {
		l.Jobs = append(l.Jobs, answer)
		return
	}
	l.ended(j, job.Failed, "Too many jobs wait already.", now)
}

// Bounded returns a job that is not too big: a command that has more than MaxJob
// bytes becomes an answer that says so, where there is a place for one.
func Bounded(j job.Job) job.Job {
	if Size(j) > MaxJob {
		j, _ = answering(j, "This command is too long, so it was not done. Several that are shorter can be given one after the other.")
	}
	return j
}

// answering returns the job that only says something where a command was given.
// ok is false, and the job as it was, if it is none that was given on a pull
// request or an issue.
func answering(j job.Job, text string) (answer job.Job, ok bool) {
	switch {
	case j.Command == nil || isCheck(j):
		return j, false
	case j.Kind != job.Drift:
		j.Kind = job.Help
	}
	j.Command, j.Reason = nil, text
	return j, true
}

// isAnswer says whether a job is what answering returns.
func isAnswer(j job.Job) bool {
	return j.Command == nil && (j.Kind == job.Help || j.Kind == job.Drift && j.Issue != 0)
}

// Size returns the bytes that jobs take in a record.
func Size(jobs ...job.Job) (n int) {
	for _, j := range jobs {
		body, err := json.Marshal(j)
		if err != nil {
			panic(fmt.Sprintf("line: encode job %s: %v", j.ID, err)) // holds nothing that JSON cannot
		}
		n += len(body)
	}
	return n
}
