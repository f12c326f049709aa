package work

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"weir/planner/work/gather"
	"weir/planner/work/job"
	"weir/planner/work/line"
	"weir/planner/work/news"
	"weir/store"
)

// Partitions of the store, and their sort keys.
const (
	inQueue      = "queue"    // OWNER/REPO#N: what runs and waits for a pull request
	inLeases     = "lease"    // ID/claim and ID/beat: who runs a job
	inJobs       = "job"      // ID: a job that has ended
	inHistory    = "history"  // OWNER/REPO#N/ID: that the job was one of the pull request's
	inDeliveries = "delivery" // the delivery's id: that it was accepted
)

// Queue is the jobs of all pull requests. Its zero value with a Store is ready
// for use; the fields must not change then. All methods are safe for
// concurrent use.
type Queue struct {
	Store store.Store

	// Worker names this process, for people. That it differs from every
	// other process, also from this one before a restart, is seen to.
	Worker string

	// Lease is how long a worker has to be silent before its jobs are
	// another's; 0: 30 seconds.
	Lease time.Duration

	// Exclusive says that no other process uses the store: whatever ran
	// under another name is dead, and no signs of life are written.
	Exclusive bool

	// Drain is how long plans may still run when Run is to end; 0: 10
	// seconds. What applies is never cut short.
	Drain time.Duration

	// Poll is how often the store is looked at for what other processes
	// have left in it; 0: one second. While nothing waits or runs it is
	// looked at less often, down to each fifth time; see also Dispatch.
	Poll time.Duration

	// Dispatch carries news of work between replicas, so that the store is
	// looked at only once a Lease for what was missed. nil: Poll alone.
	Dispatch news.Dispatcher

	// GiveUp is called before a job ends as Failed, so that people can be
	// told. It is called again if the process dies in it. If it fails, the job
	// is tried on, for about a day. May be nil.
	GiveUp func(ctx context.Context, job Job, cause error) error

	Log *slog.Logger // nil: none

	once sync.Once
	desk *news.Desk // nil without Dispatch

	accepting gather.Group[*acceptance]

	mu      sync.Mutex
	running map[string]*attempt  // by job
	touched map[store.Key]bool   // lines that we have changed since Run last looked
	rescan  bool                 // Run should look at everything
	changed chan struct{}        // closed at the next change of ours
	wake    chan struct{}        // holds one token: Run has something to look at
	active  bool                 // Run runs
	written map[store.Key]string // the jobs of Writes that nobody was told of
	stuck   bool                 // the last round failed
}

// attempt is a job that this process runs.
type attempt struct {
	job    Job
	cancel context.CancelCauseFunc
}

func (q *Queue) init() {
	q.once.Do(func() {
		q.Lease, q.Drain = cmp.Or(q.Lease, 30*time.Second), cmp.Or(q.Drain, 10*time.Second)
		q.Poll, q.Log = cmp.Or(q.Poll, time.Second), cmp.Or(q.Log, slog.New(slog.DiscardHandler))
		q.running, q.touched = map[string]*attempt{}, map[store.Key]bool{}
		q.written = map[store.Key]string{}
		q.changed, q.wake = make(chan struct{}), make(chan struct{}, 1)
		q.accepting.Fit, q.accepting.Do = fit, q.acceptAll
		if q.Dispatch != nil {
			look := func(line string) { q.touch(store.Key{Partition: inQueue, Sort: line}) }
			q.desk = &news.Desk{Dispatcher: q.Dispatch, Look: look, Turned: q.scan, Log: q.Log}
		}
	})
}

// Wake says that a commit with what Writes returned has happened: the jobs are
// looked at now, here or, with Dispatch, by any replica.
func (q *Queue) Wake() {
	q.init()
	q.mu.Lock()
	written := q.written
	q.written = map[store.Key]string{}
	q.mu.Unlock()
	for key, id := range written {
		q.tell(key, id)
	}
	if q.desk == nil || len(written) == 0 {
		q.scan()
	}
}

// scan makes Run look at everything now.
func (q *Queue) scan() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rescan = true
	q.notify()
}

// touch makes Run look at some lines now.
func (q *Queue) touch(keys ...store.Key) {
	q.mu.Lock()
	for _, k := range keys {
		if q.active { // else the first look of Run sees everything
			q.touched[k] = true
		}
	}
	q.notify()
	q.mu.Unlock()
}

// notify is called with mu held.
func (q *Queue) notify() {
	q.change()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// change lets those go on who wait for a change. It is called with mu held.
func (q *Queue) change() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Writes returns the one write that queues a job, for a commit of somebody
// else's. It conflicts when the pull request's queue changes before; then it
// has to be made anew. Call Wake after the commit, or the job waits for the
// next poll.
func (q *Queue) Writes(ctx context.Context, job Job) ([]store.Write, error) {
	q.init()
	job, err := q.prepare(job, job.Delivery)
	if err != nil {
		return nil, err
	}
	records, err := q.Store.Get(ctx, lineOf(job))
	if err != nil {
		return nil, fmt.Errorf("read the queue of %s: %w", lineOf(job).Sort, err)
	}
	l, err := decode[line.Line](records[0])
	if err != nil {
		return nil, err
	}
	l.Push(job, job.Accepted)
	q.mu.Lock()
	q.written[lineOf(job)] = job.ID
	q.mu.Unlock()
	return []store.Write{{Key: lineOf(job), Expect: records[0].Version, Body: encode(l)}}, nil
}

// prepare returns a job as it is when it was just accepted.
func (q *Queue) prepare(j Job, delivery string) (Job, error) {
	if j.Delivery == "" {
		j.Delivery = delivery
	}
	j.ID, j.Accepted, j.State = ulid.Make().String(), time.Now().UTC().Truncate(time.Millisecond), Queued
	j.Attempt, j.Errors, j.Crashes, j.Worker, j.Stop = 0, 0, 0, "", false
	j.NotUntil, j.Ended, j.Note = time.Time{}, time.Time{}, ""
	j = line.Bounded(j)
	owner, name, _ := strings.Cut(j.Repo, "/")
	wrong := ""
	switch {
	case !slices.Contains(job.Kinds, j.Kind):
		wrong = "unknown kind"
	case owner == "" || name == "" || strings.ContainsAny(name, "/#") || strings.Contains(owner, "#") || len(j.Repo) > 300:
		wrong = "the repository is not owner/name"
	case j.Pull < 0, j.Pull == 0 && len(j.Head+j.Topic) > 100,
		j.Pull == 0 && !(j.Kind == MergeGroup && j.Head != "") && !(j.Kind == Drift && j.Topic != ""):
		wrong = "neither a pull request nor a merge group nor drift"
	case j.Issue < 0, strings.ContainsAny(j.Topic, "#!/"):
		wrong = "neither a topic nor an issue of drift"
	case line.Size(j) > line.MaxJob:
		wrong = fmt.Sprintf("it has more than %d bytes", line.MaxJob)
	default:
		return j, nil
	}
	return Job{}, fmt.Errorf("queue %s of %.300s#%d: %s", j.Kind, j.Repo, j.Pull, wrong)
}

// lineOf returns the key of the line that the job belongs to.
func lineOf(j Job) store.Key { return store.Key{Partition: inQueue, Sort: line.Of(j)} }

// encode turns a record into JSON. The types of this package hold nothing
// that JSON cannot.
func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("work: encode %T: %v", v, err))
	}
	return body
}

// decode reads a record; one that is not there is the zero value.
func decode[T any](r store.Record) (v T, err error) {
	if r.Version == 0 {
		return v, nil
	}
	if err = json.Unmarshal(r.Body, &v); err != nil {
		err = fmt.Errorf("decode %s: %w", r.Key, err)
	}
	return v, err
}

// save returns the writes that store a line that was read at a version. Jobs
// that have ended get their records as long as there is room for them.
func (q *Queue) save(l *line.Line, key store.Key, version store.Version, room int) []store.Write {
	writes := make([]store.Write, 1, 1+2*len(l.Ended))
	for len(l.Ended) > 0 && len(writes)+2 <= room {
		job := l.Ended[0]
		l.Ended = l.Ended[1:]
		writes = append(writes, q.history().Add(key.Sort, job.ID, encode(job))...)
	}
	if writes[0] = (store.Write{Key: key, Expect: version, Body: encode(l)}); len(l.Jobs)+len(l.Ended) == 0 {
		writes[0].Op, writes[0].Body = store.Delete, nil
	}
	return writes
}
