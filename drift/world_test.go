package drift

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"weir/drift/finding"
	"weir/drift/upstream"
	"weir/locks"
	"weir/planner/checkout"
	"weir/planner/project"
	"weir/planner/run"
	"weir/planner/terraform"
	tfplan "weir/planner/terraform/plan"
	"weir/planner/work"
	"weir/planner/work/job"
	"weir/store"
	"weir/store/storetest"
)

const repo = "acme/app"

// world is a repository and all that a check of it meets. Git and what is made
// of its answers are real.
type world struct {
	*Drift
	t      *testing.T
	git    upstream.Upstream
	store  *storetest.Faulty
	queue  *queue
	locks  held
	look   *looker
	tell   *teller
	people *people
}

// code is a project of one resource.
func code(name string) string {
	return fmt.Sprintf("resource \"aws_s3_bucket\" %q {\n  bucket = \"declared\" # ours\n}\n", name)
}

func newWorld(t *testing.T, files map[string]string) *world {
	t.Helper()
	w := &world{
		t: t, git: upstream.New(t), store: &storetest.Faulty{Store: storetest.Memory()}, locks: held{}, tell: &teller{issues: map[string]int{}},
		look: &looker{plans: map[string]*terraform.Plan{}, failures: map[string]string{}, errs: map[string]error{}},
	}
	t.Cleanup(func() { _ = w.store.Close() })
	w.git.Commit(files)
	w.queue = &queue{store: w.store}
	w.people = &people{writers: []string{"ann"}, issues: map[int]finding.Issue{}}
	w.Drift = &Drift{
		Store: w.store, Queue: w.queue, Locks: w.locks, Looker: w.look, Teller: w.tell, People: w.people,
		GitHub: hub{w.git.URL}, Serves: func(string) bool { return true },
		Checkouts: &checkout.Repos{
			Dir:   filepath.Join(t.TempDir(), "checkouts"),
			Token: func(context.Context, string) (string, error) { return "", nil },
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	return w
}

// due is a job of the schedule that is accepted now.
func (w *world) due() work.Job {
	return work.Job{ID: "job", Kind: work.Drift, Repo: repo, Topic: checks, Group: others, Accepted: time.Now()}
}

func (w *world) do(j work.Job) {
	w.t.Helper()
	if err := w.Do(w.t.Context(), j); err != nil {
		w.t.Fatal(err)
	}
}

// later does a job that is to go on later.
func (w *world) later(j work.Job) {
	w.t.Helper()
	var wait interface{ Later() time.Time }
	if err := w.Do(w.t.Context(), j); !errors.As(err, &wait) || time.Until(wait.Later()) > putOffFor {
		w.t.Fatalf("got %v, want a job that goes on later", err)
	}
}

// known is what is known of a project, and whether anything is.
func (w *world) known(id string) (Known, bool) {
	w.t.Helper()
	all, err := Read(w.t.Context(), w.store, repo)
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(k Known) bool { return k.Check.Project == id })
	if i < 0 {
		return Known{}, false
	}
	return all[i], true
}

func (w *world) state() State {
	w.t.Helper()
	all, err := States(w.t.Context(), w.store)
	if err != nil || len(all) != 1 {
		w.t.Fatalf("got %+v, %v, want one state", all, err)
	}
	return all[0]
}

// command does what somebody asks for on issue 7, and returns the answer.
func (w *world) command(actor string, c job.Drifted) string {
	w.t.Helper()
	w.people.said = nil
	w.do(work.Job{ID: "asked", Kind: work.Drift, Repo: repo, Topic: Commands, Issue: 7, Actor: actor, Command: &work.Command{Drift: &c}})
	if len(w.people.said) != 1 {
		w.t.Fatalf("said %q", w.people.said)
	}
	return w.people.said[0]
}

// changedOutside is a plan that would put a bucket's name back.
func changedOutside(addresses ...string) *terraform.Plan {
	p := &terraform.Plan{Version: "1.9.0"}
	for _, address := range addresses {
		p.Summary.Update++
		p.Summary.Changes = append(p.Summary.Changes, tfplan.Change{
			Address: address, Type: "aws_s3_bucket", Action: tfplan.Update,
			Attributes: []tfplan.Attribute{{Name: "bucket", Before: `"deployed"`, After: `"declared"`, Constant: true}},
		})
		p.Summary.Drift = append(p.Summary.Drift, tfplan.Change{
			Address: address, Type: "aws_s3_bucket", Action: tfplan.Update,
			Attributes: []tfplan.Attribute{{Name: "bucket", Before: `"declared"`, After: `"deployed"`}},
		})
		p.Values = append(p.Values, tfplan.Value{Address: address, Attribute: "bucket", Declared: []byte(`"declared"`), Deployed: []byte(`"deployed"`)})
	}
	return p
}

// looker answers with canned plans; a project without one does not differ.
type looker struct {
	mu       sync.Mutex
	plans    map[string]*terraform.Plan
	failures map[string]string
	errs     map[string]error
	looked   []string
	before   func(ctx context.Context, id string)              // a plan
	try      func(n int, root string) (*terraform.Plan, error) // instead of plans; n counts from 1
}

func (l *looker) Look(ctx context.Context, _ string, files run.Files, p project.Project, _ map[string]string) (*terraform.Plan, string, error) {
	if l.before != nil {
		l.before(ctx, p.ID())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		return nil, "", context.Cause(ctx)
	}
	l.looked = append(l.looked, p.ID())
	if l.try != nil {
		found, err := l.try(len(l.looked), files.Root)
		return found, "", err
	}
	if err := l.errs[p.ID()]; err != nil {
		return nil, "", err
	}
	if failure := l.failures[p.ID()]; failure != "" {
		return nil, failure, nil
	}
	if found := l.plans[p.ID()]; found != nil {
		return found, "", nil
	}
	return &terraform.Plan{Version: "1.9.0"}, "", nil
}

// taken returns the projects that were looked at since the last call.
func (l *looker) taken() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	looked := l.looked
	l.looked = nil
	return looked
}

type teller struct {
	issues      map[string]int
	err         error
	known, gone []Known
	calls       int
}

func (t *teller) Tell(_ context.Context, _ finding.Repository, known, gone []Known) (map[string]int, error) {
	t.known, t.gone = known, gone
	t.calls++
	return t.issues, t.err
}

// told are the projects that the teller got last.
func told(all []Known) (ids []string) {
	for _, k := range all {
		ids = append(ids, k.Check.Project)
	}
	return ids
}

type held map[string][]locks.Lock

func (h held) Repos(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(h)), nil
}

func (h held) List(_ context.Context, repo string) ([]locks.Lock, error) { return h[repo], nil }

type hub struct{ url string }

func (h hub) Repositories(context.Context) ([]string, error) { return []string{repo}, nil }

func (h hub) Repository(_ context.Context, name string) (finding.Repository, error) {
	return finding.Repository{Name: name, Branch: "main", CloneURL: h.url}, nil
}

// queue keeps what it was given. Its fence is a record that lose changes.
type queue struct {
	store    store.Store
	accepted []work.Job
	seen     map[string]bool

	overtaken func() bool // nil: never
}

func fenceKey() store.Key { return store.Key{Partition: "fence", Sort: "job"} }

func (q *queue) Accept(_ context.Context, delivery string, jobs ...work.Job) (bool, error) {
	if delivery != "" && q.seen[delivery] {
		return false, nil
	}
	q.seen = map[string]bool{delivery: true}
	q.accepted = append(q.accepted, jobs...)
	return true, nil
}

func (q *queue) Writes(context.Context, work.Job) ([]store.Write, error) {
	return nil, errors.New("not here")
}

func (q *queue) Overtaken(context.Context, work.Job) (bool, error) {
	return q.overtaken != nil && q.overtaken(), nil
}

func (q *queue) Fence(ctx context.Context, _ work.Job) (store.Write, error) {
	rows, err := q.store.Get(ctx, fenceKey())
	if err != nil {
		return store.Write{}, err
	}
	return store.Write{Op: store.Check, Key: fenceKey(), Expect: rows[0].Version}, nil
}

func (q *queue) lose(ctx context.Context, t *testing.T) {
	rows, err := q.store.Get(ctx, fenceKey())
	if err == nil {
		err = q.store.Commit(ctx, store.Write{Key: fenceKey(), Expect: rows[0].Version, Body: []byte("another's")})
	}
	if err != nil {
		t.Error(err)
	}
}

func (q *queue) Wake() {}

type people struct {
	writers  []string
	issues   map[int]finding.Issue
	said     []string
	sayErr   error
	refused  string
	proposed []finding.Branch
}

func (p *people) MayWrite(_ context.Context, _, login string) (bool, error) {
	return slices.Contains(p.writers, login), nil
}

func (p *people) Issue(_ context.Context, _ string, number int) (finding.Issue, bool, error) {
	issue, ok := p.issues[number]
	return issue, ok, nil
}

func (p *people) Say(_ context.Context, _ string, _ int, _, text string) error {
	p.said = append(p.said, text)
	return p.sayErr
}

func (p *people) Propose(_ context.Context, _ string, b finding.Branch) (finding.Proposed, string, error) {
	p.proposed = append(p.proposed, b)
	return finding.Proposed{Number: 40 + len(p.proposed)}, p.refused, nil
}
