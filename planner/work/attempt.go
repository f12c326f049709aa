package work

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"weir/planner/work/line"
	"weir/planner/work/retry"
)

// giveUpTime bounds what GiveUp may take.
const giveUpTime = 2 * time.Minute

// run does one attempt of a job and settles it.
func (r *runner) run(ctx context.Context, a *attempt, began time.Time) {
	defer r.q.forget(a, true)
	defer a.cancel(nil)
	var beating sync.WaitGroup
	alive, stop := context.WithCancel(context.WithoutCancel(r.ctx))
	defer stop()
	if !r.q.Exclusive {
		beating.Go(func() { r.q.beat(alive, a, began) })
	}
	change := r.outcome(ctx, a.job)
	stop()
	beating.Wait()
	r.settle(a.job, change)
	if r.ctx.Err() != nil {
		r.q.desk.HandBack(lineOf(a.job).Sort, fmt.Sprintf("%s-%d-end", a.job.ID, a.job.Attempt))
	}
}

// outcome does the job and returns what it means for the line.
func (r *runner) outcome(ctx context.Context, job Job) func(l *line.Line, i int, now time.Time) {
	log := r.q.Log.With("job", job.ID, "kind", job.Kind, "repo", job.Repo, "pull", job.Pull, "delivery", job.Delivery, "attempt", job.Attempt)
	// Deaths do not end a close, which gives locks back and runs nothing
	// dangerous.
	if job.Crashes >= retry.MaxCrashes && job.Kind != Close {
		if job.Crashes <= retry.MaxCrashes+1 { // else it may be GiveUp that dies
			if err := r.giveUp(ctx, job, ErrCrashed); err != nil && job.Errors < retry.MaxUntold {
				return again(job, fmt.Sprintf("The process died each of the %d times that this job ran, and nobody could be told yet.", retry.MaxCrashes))
			}
		}
		log.Error("job given up", "err", ErrCrashed)
		return ended(Failed, fmt.Sprintf("Given up: the process died each of the %d times that this job ran.", retry.MaxCrashes))
	}
	start := time.Now()
	err := r.guard(job, func() error { return r.do(ctx, job) })
	cause := context.Cause(ctx)
	var limited interface{ Later() time.Time } // an error that says when it will be over
	log = log.With("duration", time.Since(start))
	switch {
	case err == nil:
		log.Info("job done")
		return ended(Done, "")
	case errors.Is(cause, ErrLost):
		log.Warn("job was lost", "err", err)
		return func(l *line.Line, i int, now time.Time) { // if nobody took it
			l.Requeue(i, fmt.Sprintf("Attempt %d lost its lease.", job.Attempt), now, time.Time{}, func(*Job) {})
		}
	case errors.Is(cause, ErrSuperseded), errors.Is(err, ErrSuperseded):
		log.Info("job superseded")
		return ended(Superseded, "A newer event of the pull request made it needless.")
	case errors.Is(cause, ErrShutdown):
		log.Info("job goes back to the queue")
		return func(l *line.Line, i int, now time.Time) {
			l.Requeue(i, "Begun anew after a restart.", now, time.Time{}, func(j *Job) { j.Attempt-- })
		}
	case errors.Is(err, ErrOvertaken):
		log.Info("job goes on after those that overtook it")
		return func(l *line.Line, i int, now time.Time) { // a pause, in case that nothing did
			l.Requeue(i, "Goes on after what was asked for.", now, now.Add(retry.Later(0)), func(*Job) {})
		}
	case errors.As(err, &limited):
		log.Warn("job waits until it is allowed to go on", "err", err, "until", limited.Later())
		return func(l *line.Line, i int, now time.Time) {
			wait := retry.Later(limited.Later().Sub(now))
			l.Requeue(i, "Waits until it is allowed to go on.", now, now.Add(wait), func(*Job) {})
		}
	case job.Errors+1 >= retry.MaxErrors:
		untold := r.giveUp(ctx, job, err)
		if untold != nil && job.Errors < retry.MaxUntold {
			log.Error("job failed, nobody could be told, and it is tried again", "err", err, "untold", untold)
			return again(job, fmt.Sprintf("Attempt %d ended with an internal error, job %s, and nobody could be told yet; it is tried again.", job.Attempt, job.ID))
		}
		log.Error("job given up", "err", err, "untold", untold)
		return ended(Failed, fmt.Sprintf("Given up after %d attempts that ended with an internal error, job %s.", job.Attempt, job.ID))
	}
	log.Error("job failed and is tried again", "err", err)
	return again(job, fmt.Sprintf("Attempt %d ended with an internal error, job %s; it is tried again.", job.Attempt, job.ID))
}

// again puts a job back for another attempt after a wait.
func again(job Job, note string) func(l *line.Line, i int, now time.Time) {
	wait := retry.After(job.Errors+1, job.ID)
	return func(l *line.Line, i int, now time.Time) {
		l.Requeue(i, note, now, now.Add(wait), func(j *Job) { j.Errors++ })
	}
}

// ended takes the job out of the line. A plan that was asked to end and did
// not get ready is superseded, whatever it failed on.
func ended(state State, note string) func(l *line.Line, i int, now time.Time) {
	return func(l *line.Line, i int, now time.Time) {
		if l.Jobs[i].Stop && state != Done {
			state, note = Superseded, l.Jobs[i].Note
		}
		l.End(i, state, note, now)
	}
}

// guard makes a panic of f an error.
func (r *runner) guard(job Job, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.q.Log.Error("job panicked", "job", job.ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// giveUp has people told, and fails if they could not be.
func (r *runner) giveUp(ctx context.Context, job Job, cause error) error {
	if r.q.GiveUp == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTime)
	defer cancel()
	return r.guard(job, func() error { return r.q.GiveUp(ctx, job, cause) })
}

// settle records what an attempt came to, for as long as it takes: what is
// not recorded would be done again. Only the end of the process bounds it.
func (r *runner) settle(job Job, change func(l *line.Line, i int, now time.Time)) {
	for pause, tries := 100*time.Millisecond, 0; ; pause = min(2*pause, 5*time.Second) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), claimTime)
		err := r.q.settle(ctx, job, nil, change)
		cancel()
		switch {
		case err == nil:
			return
		case errors.Is(err, ErrLost):
			// Also when a commit that was said to have failed happened.
			r.q.Log.Info("nothing to settle", "job", job.ID, "err", err)
			return
		}
		if r.ctx.Err() != nil {
			tries++
		}
		r.q.Log.Error("cannot record the end of a job", "job", job.ID, "err", err)
		if tries > 6 {
			return
		}
		<-time.After(pause)
	}
}
