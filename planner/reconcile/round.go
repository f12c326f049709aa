package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"weir/locks"
	"weir/planner/record"
	"weir/planner/scope"
	"weir/planner/work"
	"weir/store"
)

// What the audit log says of all that is put right here.
const (
	who  = "weir"
	what = "reconciled"
)

// round is one comparison on its way.
type round struct {
	*Reconciler
	now    time.Time
	state  state
	report Report

	known map[string]time.Time // since when each repository is looked at
	asked map[string]asked
	have  map[string]map[int]*facts // what weir has of its own, by repository
}

var errBudget = errors.New("no calls are left in this round")

// pulls looks at the repositories. Those in which weir has something to end
// come first.
func (b *round) pulls(ctx context.Context) error {
	if err := b.gather(ctx); err != nil {
		return err
	}
	var errs []error
	all := b.Named
	if all == nil {
		var err error
		if all, err = b.GitHub.Repositories(ctx); err != nil {
			errs = append(errs, err) // those with something of weir's can be looked at all the same
		}
	}
	busy := slices.Sorted(maps.Keys(b.have))
	var rest []string
	for _, repo := range all {
		if b.have[repo] == nil && b.Serves(repo) && !slices.Contains(rest, repo) {
			rest = append(rest, repo)
		}
	}
	slices.Sort(rest)
	var err error
	if b.known, err = b.firstSeen(ctx, slices.Concat(busy, rest), b.now); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, part := range []struct {
		repos []string
		last  *string
	}{{busy, &b.state.Busy}, {rest, &b.state.Rest}} {
		for _, repo := range after(part.repos, *part.last) {
			err := b.repo(ctx, repo)
			switch {
			case errors.Is(err, errBudget):
				return errors.Join(errs...)
			case ctx.Err() != nil || limited(err):
				return errors.Join(append(errs, err)...)
			case err != nil:
				errs = append(errs, err)
			}
			*part.last = repo
			b.report.Repos++
		}
	}
	return errors.Join(errs...)
}

// after turns a sorted list so that it begins behind last.
func after(all []string, last string) []string {
	at, found := slices.BinarySearch(all, last)
	if found {
		at++
	}
	return slices.Concat(all[at:], all[:at])
}

// gather reads what weir has in its store.
func (b *round) gather(ctx context.Context) (err error) {
	if b.asked, err = b.allAsked(ctx, b.now); err != nil {
		return err
	}
	b.have = map[string]map[int]*facts{}
	repos, err := b.Locks.Repos(ctx)
	if err != nil {
		return err
	}
	for _, repo := range repos {
		rows, err := b.Locks.List(ctx, repo)
		if err != nil {
			return err
		}
		for number, mine := range byPull(rows) {
			b.own(repo, number).locks = mine
		}
	}
	records, err := record.ReadPulls(ctx, b.Store)
	if err != nil {
		return err
	}
	for _, rec := range records {
		f := facts{rec: &rec}
		if f.ours() || b.have[rec.Repo][rec.Pull] != nil {
			b.own(rec.Repo, rec.Pull).rec = &rec
		}
	}
	return nil
}

func (b *round) own(repo string, number int) *facts {
	if b.have[repo] == nil {
		b.have[repo] = map[int]*facts{}
	}
	if b.have[repo][number] == nil {
		b.have[repo][number] = &facts{}
	}
	return b.have[repo][number]
}

// byPull turns locks into what each pull request owns or waits for.
func byPull(rows []locks.Lock) map[int][]locks.Lock {
	mine := map[int][]locks.Lock{}
	for _, l := range rows {
		if l.Owner != 0 {
			mine[l.Owner] = append(mine[l.Owner], l)
		}
		for _, w := range l.Waiters {
			mine[w.Pull] = append(mine[w.Pull], l)
		}
	}
	return mine
}

// spend takes one of the round's calls.
func (b *round) spend() error {
	if b.report.Calls >= maxCalls {
		return errBudget
	}
	b.report.Calls++
	return nil
}

// repo compares one repository: all its open pull requests, and those that
// weir has something of.
func (b *round) repo(ctx context.Context, repo string) error {
	open := map[int]*scope.PullRequest{}
	since, served := b.known[repo], b.Serves(repo)
	for page, pages := 1, 0; page > 0 && pages < maxOpenPages; pages++ {
		if err := b.spend(); err != nil {
			return err
		}
		got, err := b.GitHub.OpenPulls(ctx, repo, page)
		if err != nil {
			return err
		}
		switch {
		case got.Repo == "" || got.Repo == repo:
		case !strings.EqualFold(got.Repo, repo):
			served = false // it was renamed: nothing begins any more under the old name
		case b.have[got.Repo] != nil:
			return nil // the same, spelled by a person; it is looked at anyway
		default:
			repo = got.Repo
		}
		for _, p := range got.Pulls {
			open[p.Number] = &p
		}
		page = got.Next
	}
	numbers := map[int]bool{}
	for n := range open {
		numbers[n] = true
	}
	for n := range b.have[repo] {
		numbers[n] = true
	}
	var errs []error
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		f := facts{}
		if own := b.have[repo][n]; own != nil {
			f = *own
		}
		f.repo, f.number, f.served, f.pull = repo, n, served, open[n]
		f.asked = b.asked[askedKey(repo, n).Sort]
		f.known, f.started, f.now = since, b.started, b.now
		if err := b.pull(ctx, f); err != nil {
			if ctx.Err() != nil || errors.Is(err, errBudget) || limited(err) {
				return err
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// pull judges one pull request, first by what is at hand and then, where that
// says that something is wrong, by what is so now.
func (b *round) pull(ctx context.Context, f facts) error {
	if f.rec == nil && f.pull != nil { // a record that nothing hung on was left out
		rec, version, err := record.Load(ctx, b.Store, f.repo, f.number)
		if err != nil {
			return err
		}
		if version != 0 {
			f.rec = &rec
		}
	}
	if f.pull == nil && f.ours() {
		if err := b.spend(); err != nil {
			return err
		}
		pr, err := b.GitHub.PullRequest(ctx, f.repo, f.number)
		if err != nil {
			return err
		}
		f.pull = &pr
	}
	if f.reviewable() && !b.read[pullName(f.repo, f.number)].Equal(f.pull.UpdatedAt) {
		if err := b.spend(); err != nil {
			return err
		}
		var err error
		if f.reviews, err = b.GitHub.Reviews(ctx, f.repo, f.number); err != nil {
			return err
		}
	}
	if _, wrong := f.judge(); !wrong {
		b.remember(f)
		return nil
	}
	version, err := b.refresh(ctx, &f)
	if err != nil {
		return err
	}
	r, wrong := f.judge()
	if !wrong {
		b.remember(f)
		return nil
	}
	return b.ask(ctx, f, version, r)
}

// remember keeps that the reviews of a pull request, which has not changed for
// a while, ask for nothing.
func (b *round) remember(f facts) {
	if !f.reviewable() || f.busy() || b.now.Sub(f.pull.UpdatedAt) <= onItsWay {
		return
	}
	const most = 10_000 // of some hundred bytes
	if len(b.read) >= most {
		clear(b.read)
	}
	b.read[pullName(f.repo, f.number)] = f.pull.UpdatedAt
}

// refresh reads again what may have changed in the store since the round
// began: the jobs first, as a job that has ended by then has written the rest.
func (b *round) refresh(ctx context.Context, f *facts) (store.Version, error) {
	var err error
	if f.jobs, err = b.Queue.Jobs(ctx, f.repo, f.number); err != nil {
		return 0, err
	}
	rows, err := b.Locks.List(ctx, f.repo)
	if err != nil {
		return 0, err
	}
	f.locks = byPull(rows)[f.number]
	rec, version, err := record.Load(ctx, b.Store, f.repo, f.number)
	if err != nil {
		return 0, err
	}
	if f.rec = nil; version != 0 {
		f.rec = &rec
	}
	return version, nil
}

// ask queues the job, with the audit entry and the note that it was asked for,
// in one commit that happens only if the pull request's record is what was
// judged. Where that has changed, the next round judges anew.
func (b *round) ask(ctx context.Context, f facts, version store.Version, r remedy) error {
	fail := func(err error) error { return fmt.Errorf("reconcile %s: %w", pullName(f.repo, f.number), err) }
	job := work.Job{
		Kind: r.kind, Repo: f.repo, Pull: f.number, Head: f.pull.Head, Merged: f.pull.Merged, Trigger: what,
		Delivery: fmt.Sprintf("reconcile-%s-%s", pullName(f.repo, f.number), f.updated()),
	}
	note, err := record.Put(askedKey(f.repo, f.number), f.asked.version, asked{Key: r.key, At: b.now})
	if err != nil {
		return fail(err)
	}
	entry, err := record.Entry{
		ID: ulid.Make().String(), At: b.now, Repo: f.repo, Pull: f.number, Who: who, What: what, Why: r.why, Head: f.pull.Head,
		Projects: projects(f),
	}.Write()
	if err != nil {
		return fail(err)
	}
	queued, err := b.Queue.Writes(ctx, job)
	if err != nil {
		return fail(err)
	}
	same := store.Write{Op: store.Check, Key: record.PullKey(f.repo, f.number), Expect: version}
	err = record.Commit(ctx, b.Store, append([]store.Write{note, entry, same}, queued...)...)
	if store.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fail(err)
	}
	b.Queue.Wake()
	b.report.Asked = append(b.report.Asked, pullName(f.repo, f.number)+": "+r.why)
	b.Log.Info("put right", "repo", f.repo, "pull", f.number, "kind", r.kind, "why", r.why)
	return nil
}

// projects names what the audit entry is about: what is remembered or, without
// that, the directories that are locked.
func projects(f facts) []string {
	if f.rec != nil {
		return f.rec.IDs()
	}
	var dirs []string
	for _, l := range f.locks {
		dirs = append(dirs, cmp.Or(l.Key.Dir, "."))
	}
	return slices.Compact(slices.Sorted(slices.Values(dirs)))
}
