// Package reconcile compares what weir remembers with what GitHub shows, and
// has put right what differs: deliveries get lost, and weir may be down.
//
// It puts nothing right itself. It queues the job that the lost delivery would
// have caused, and that job looks at everything again before it does anything.
// So a mistake here costs a job that finds nothing to do.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"weir/locks"
	"weir/planner/scope"
	"weir/planner/work"
	"weir/policy"
	"weir/store"
)

// Limits of one round, so that a quarter of GitHub's hourly limit (5,000 calls
// an installation: GitHub Docs, "Rate limits for the REST API") is the most
// that reconciling takes.
const (
	maxCalls     = 200 // to look at repositories and pull requests
	maxOpenPages = 10  // of open pull requests of one repository, 100 each
	every        = 10 * time.Minute
	// startGap is the least time between two rounds, however often
	// processes start.
	startGap   = 10 * time.Second
	afterError = time.Minute // while the store cannot be written
)

// GitHub is what is asked of GitHub about pull requests.
type GitHub interface {
	// Repositories returns the full names of all repositories that an App
	// is installed on; none without an App.
	Repositories(ctx context.Context) ([]string, error)
	// OpenPulls returns a page of a repository's open pull requests; the
	// first is 1.
	OpenPulls(ctx context.Context, repo string, page int) (Open, error)
	PullRequest(ctx context.Context, repo string, number int) (scope.PullRequest, error)
	Reviews(ctx context.Context, repo string, number int) ([]policy.Review, error)
}

// Open is a page of open pull requests.
type Open struct {
	Repo  string // as GitHub spells it now; "" where the page is empty
	Pulls []scope.PullRequest
	Next  int // number of the next page; 0 after the last
}

// Queue is what is needed of package work.
type Queue interface {
	Jobs(ctx context.Context, repo string, pull int) ([]work.Job, error)
	Writes(ctx context.Context, job work.Job) ([]store.Write, error)
	Wake()
}

// Locks is what is needed of package locks.
type Locks interface {
	Repos(ctx context.Context) ([]string, error)
	List(ctx context.Context, repo string) ([]locks.Lock, error)
}

// Reconciler compares and puts right. The fields must not change once it is
// used.
type Reconciler struct {
	Store  store.Store
	Queue  Queue
	Locks  Locks
	GitHub GitHub
	Hooks  Hooks // nil with a token: only an App can list its deliveries

	// Serves says whether weir may plan in a repository. Elsewhere it only
	// closes what it has begun there.
	Serves func(repo string) bool
	// Named are the repositories to look at beside those in which weir has
	// something of its own; nil: all that the App is installed on.
	Named []string

	Every time.Duration // between rounds; 0: 10 minutes
	Log   *slog.Logger  // nil: none

	once    sync.Once
	started time.Time
	// read is when pull requests had last changed whose reviews were read to
	// no avail: they need not be read again. It is no more than a saving.
	read map[string]time.Time
}

// Report says what a round came to.
type Report struct {
	Repos       int      // looked at
	Calls       int      // to GitHub, about repositories and pull requests
	Asked       []string // for people: which pull request, what was wrong
	Redelivered int      // deliveries that GitHub was asked for again
}

func (r *Reconciler) init() {
	r.once.Do(func() {
		r.started, r.read = time.Now().UTC(), map[string]time.Time{}
		if r.Log == nil {
			r.Log = slog.New(slog.DiscardHandler)
		}
		if r.Every == 0 {
			r.Every = every
		}
	})
}

// Run makes a round now and then one in each interval, until ctx ends. Of all
// processes that share the store one makes each round: whoever is first to
// write down its time. A process that has just started waits for a round that
// began after it did. The clocks of the processes need not agree: where they
// do not, there are more rounds or fewer.
func (r *Reconciler) Run(ctx context.Context) {
	r.init()
	if r.Hooks == nil {
		r.Log.Info("without a GitHub App weir cannot ask for deliveries that GitHub could not deliver; a comment that was lost has to be written again")
	}
	fresh := false // whether a round began after this process did
	for ctx.Err() == nil {
		gap := r.Every
		if !fresh {
			gap = startGap
		}
		mine, last, err := r.claim(ctx, gap)
		if mine {
			r.round(ctx)
		}
		fresh = fresh || err == nil && !last.Before(r.started)
		next := last.Add(startGap)
		switch {
		case err != nil:
			r.Log.Warn("reconciling is put off", "err", err)
			next = time.Now().Add(afterError)
		case fresh:
			next = last.Add(r.Every + rand.N(r.Every/10)) // #nosec G404 -- jitter
		}
		if sleep(ctx, max(time.Until(next), 0)) != nil {
			return
		}
	}
}

func (r *Reconciler) round(ctx context.Context) {
	report, err := r.Round(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.Log.Warn("reconciling is not complete; the next round goes on", "err", err)
	case len(report.Asked) > 0 || report.Redelivered > 0:
		r.Log.Info("reconciled with GitHub", "put_right", len(report.Asked), "deliveries", report.Redelivered, "repos", report.Repos, "calls", report.Calls)
	default:
		r.Log.Debug("reconciled with GitHub: nothing differs", "repos", report.Repos, "calls", report.Calls)
	}
}

// Round compares everything once: first the deliveries, then repositories and
// their pull requests, as many as the calls of one round suffice for; the next
// round goes on where this one ended. What fails in one repository keeps none
// of the others from being looked at; the error tells of all. A used up rate
// limit ends the round. There is one Round at a time.
func (r *Reconciler) Round(ctx context.Context) (Report, error) {
	r.init()
	b := &round{Reconciler: r, now: time.Now().UTC()}
	state, version, err := r.state(ctx)
	if err != nil {
		return b.report, err
	}
	b.state = state
	var errs []error
	if r.Hooks != nil {
		if version, err = b.redeliver(ctx, version); err != nil {
			errs = append(errs, err)
		}
		if b.report.Redelivered > 0 {
			// What is delivered again need not be put right here.
			if err := sleep(ctx, afterDeliveries); err != nil {
				return b.report, err
			}
		}
	}
	if err := b.pulls(ctx); err != nil {
		errs = append(errs, err)
	}
	if err := r.putState(ctx, b.state, version); err != nil {
		errs = append(errs, err)
	}
	return b.report, errors.Join(errs...)
}

// limited returns an error's rate limit: the round is over then.
func limited(err error) bool {
	var limit interface{ Later() time.Time }
	return errors.As(err, &limit)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func pullName(repo string, number int) string { return fmt.Sprintf("%s#%d", repo, number) }
