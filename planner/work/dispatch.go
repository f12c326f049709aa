package work

import (
	"time"

	"weir/planner/work/news"
	"weir/store"
)

// tell makes somebody look at a line in which a job was queued: any replica
// with Dispatch, and us where there is none or where we run the job before it.
func (q *Queue) tell(key store.Key, id string) {
	if q.desk == nil || q.here()[key] {
		q.touch(key)
	}
	q.desk.Send(key.Sort, id)
}

// here returns the lines of the jobs that run here.
func (q *Queue) here() map[store.Key]bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	lines := make(map[store.Key]bool, len(q.running))
	for _, a := range q.running {
		lines[lineOf(a.job)] = true
	}
	return lines
}

// later is how many of the jobs that run here can wait.
func (q *Queue) later() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, a := range q.running {
		if a.job.Later {
			n++
		}
	}
	return n
}

// room reports whether there is a place for one more job than those that run
// and those that are about to, and what is closed when that changes.
func (r *runner) room(coming int) (bool, <-chan struct{}) {
	r.q.mu.Lock()
	defer r.q.mu.Unlock()
	return len(r.q.running)+coming < r.workers && !r.q.stuck, r.q.changed
}

// handOn lets go of the lines that we were told of and that are not ours to
// care for: those with nothing to do now, and those that we have no room for.
// What follows later in one of the first is in our view, and all find it in
// the store. err says that we do not get on.
func (r *runner) handOn(err error) {
	now, here := time.Now(), r.q.here()
	r.q.mu.Lock()
	r.q.stuck = err != nil
	r.q.change()
	r.q.mu.Unlock()
	r.q.desk.HandOn(func(name string, looked bool) news.Verdict {
		key := store.Key{Partition: inQueue, Sort: name}
		l := r.view[key].Line
		i, _ := l.Next(now)
		switch {
		case here[key]:
			return news.Keep
		case err != nil, looked && i >= 0:
			return news.Return
		case looked && !l.Runs():
			return news.Done
		}
		return news.Keep
	})
}
