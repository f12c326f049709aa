package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/locks"
	"weir/planner/record"
	"weir/planner/scope"
	"weir/planner/work"
	"weir/policy"
	"weir/store"
	"weir/store/storetest"
)

// world is a store with real locks and a real queue, and a GitHub that is a
// few maps.
type world struct {
	t     *testing.T
	store store.Store
	locks *locks.Locks
	queue *work.Queue
	*hub
}

type hub struct {
	mu      sync.Mutex // of calls: replicas share a hub
	repos   []string
	pulls   map[string]map[int]scope.PullRequest
	reviews map[string][]policy.Review
	renamed map[string]string // old name to new
	fail    map[string]error  // by call
	calls   []string

	attempts []Delivery // newest first
	deliver  func(d Delivery) Delivery
	perPage  int
}

func newWorld(t *testing.T) *world {
	s := storetest.Memory()
	w := &world{t: t, store: s, queue: &work.Queue{Store: s}, hub: &hub{
		pulls: map[string]map[int]scope.PullRequest{}, reviews: map[string][]policy.Review{}, fail: map[string]error{}, perPage: 100,
	}}
	w.locks = &locks.Locks{Store: s, Grant: func(ctx context.Context, repo string, pull int) ([]store.Write, error) {
		return w.queue.Writes(ctx, work.Job{Kind: work.Plan, Repo: repo, Pull: pull, Trigger: "lock passed on"})
	}}
	return w
}

func (w *world) reconciler() *Reconciler {
	return &Reconciler{
		Store: w.store, Queue: w.queue, Locks: w.locks, GitHub: w.hub, Hooks: w.hub,
		Serves: func(repo string) bool { return strings.HasPrefix(repo, "acme/") },
	}
}

func (w *world) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) round(r *Reconciler) Report {
	w.t.Helper()
	report, err := r.Round(w.t.Context())
	w.do(err)
	return report
}

// put makes a pull request at GitHub, open and changed now.
func (w *world) put(repo string, number int, change func(p *scope.PullRequest)) {
	p, known := w.pulls[repo][number]
	if !known {
		p.Number, p.Head, p.Base, p.Open = number, "aaaa", "main", true
	}
	p.UpdatedAt = time.Now().UTC().Truncate(time.Second)
	if change != nil {
		change(&p)
	}
	if w.pulls[repo] == nil {
		w.pulls[repo] = map[int]scope.PullRequest{}
		w.repos = append(w.repos, repo)
	}
	w.pulls[repo][number] = p
}

// planned makes weir remember a pull request as planned, with its locks.
func (w *world) planned(repo string, number int, dirs ...string) {
	w.t.Helper()
	rec := record.Record{Repo: repo, Pull: number, Head: "aaaa", BaseRef: "main", ToldJob: "J", Updated: time.Now().UTC()}
	var want []locks.Want
	for _, dir := range dirs {
		rec.Projects = append(rec.Projects, record.ProjectRecord{ID: dir, Dir: dir, Workspace: "default", State: record.Planned})
		want = append(want, locks.Want{Key: locks.Key{Dir: dir, Workspace: "default"}})
	}
	outcome, err := w.locks.Acquire(w.t.Context(), repo, number, want)
	w.do(err)
	for _, l := range outcome.Locks {
		if l.Owner != number {
			rec.Waiting = append(rec.Waiting, record.Waiting{ID: l.Key.Dir, Owner: l.Owner, Place: l.Place(number)})
		}
	}
	write, err := record.Put(record.PullKey(repo, number), 0, rec)
	w.do(err)
	w.do(w.store.Commit(w.t.Context(), write))
}

// jobs are the jobs of a pull request that wait, by kind.
func (w *world) jobs(repo string, number int) []work.Kind {
	w.t.Helper()
	all, err := w.queue.Jobs(w.t.Context(), repo, number)
	w.do(err)
	var kinds []work.Kind
	for _, j := range all {
		if j.State == work.Queued {
			kinds = append(kinds, j.Kind)
		}
	}
	return kinds
}

// work ends all jobs that wait as done, without doing anything.
func (w *world) work() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.queue.Run(ctx, 4, func(context.Context, work.Job) error { return nil }) }()
	for n := 1; n > 0; {
		pass(time.Second)
		var err error
		n, err = w.queue.Pending(w.t.Context())
		w.do(err)
	}
	cancel()
	w.do(<-ended)
}

// pass lets time go by, which in these tests costs none.
func pass(d time.Duration) { <-time.After(d) }

func (w *world) audit(repo string, number int) []string {
	w.t.Helper()
	entries, err := record.ReadAudit(w.t.Context(), w.store, repo, number)
	w.do(err)
	var lines []string
	for _, e := range entries {
		lines = append(lines, e.Who+" "+e.What+": "+e.Why)
	}
	return lines
}

func (h *hub) called(what string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, what)
	return h.fail[what]
}

func (h *hub) Repositories(context.Context) ([]string, error) {
	return h.repos, h.called("repositories")
}

func (h *hub) OpenPulls(_ context.Context, repo string, page int) (Open, error) {
	if err := h.called("list " + repo); err != nil {
		return Open{}, err
	}
	found := Open{}
	for name, pulls := range h.pulls {
		if !strings.EqualFold(name, repo) && h.renamed[repo] != name {
			continue
		}
		for _, p := range pulls {
			if p.Open {
				found.Repo, found.Pulls = name, append(found.Pulls, p)
			}
		}
	}
	slices.SortFunc(found.Pulls, func(a, b scope.PullRequest) int { return b.Number - a.Number })
	from := min((page-1)*h.perPage, len(found.Pulls))
	if to := from + h.perPage; to < len(found.Pulls) {
		found.Pulls, found.Next = found.Pulls[:to], page+1
	}
	found.Pulls = found.Pulls[from:]
	return found, nil
}

func (h *hub) PullRequest(_ context.Context, repo string, number int) (scope.PullRequest, error) {
	if err := h.called("get " + pullName(repo, number)); err != nil {
		return scope.PullRequest{}, err
	}
	p, known := h.pulls[repo][number]
	if !known {
		return p, errors.New("no such pull request")
	}
	return p, nil
}

func (h *hub) Reviews(_ context.Context, repo string, number int) ([]policy.Review, error) {
	return h.reviews[pullName(repo, number)], h.called("reviews " + pullName(repo, number))
}

func (h *hub) Deliveries(_ context.Context, cursor string) ([]Delivery, string, error) {
	if err := h.called("deliveries"); err != nil {
		return nil, "", err
	}
	from := 0
	if cursor != "" {
		id, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil {
			return nil, "", err
		}
		from = slices.IndexFunc(h.attempts, func(d Delivery) bool { return d.ID == id })
	}
	to := min(from+h.perPage, len(h.attempts))
	next := ""
	if to < len(h.attempts) {
		next = strconv.FormatInt(h.attempts[to].ID, 10)
	}
	return slices.Clone(h.attempts[from:to]), next, nil
}

func (h *hub) Redeliver(_ context.Context, id int64) error {
	if err := h.called(fmt.Sprintf("redeliver %d", id)); err != nil {
		return err
	}
	at := slices.IndexFunc(h.attempts, func(d Delivery) bool { return d.ID == id })
	d := h.attempts[at]
	d.ID, d.At, d.Redelivery = h.attempts[0].ID+1, time.Now().UTC(), true
	if h.deliver != nil {
		d = h.deliver(d)
	}
	h.attempts = append([]Delivery{d}, h.attempts...)
	return nil
}
