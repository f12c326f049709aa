// Package hub is the state of the GitHub stand-in and its rules: who may do
// what, what a push does to a pull request, when one can be merged. It speaks
// no HTTP and knows no JSON; packages above it do.
package hub

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/gitrepo"
	"weir/integration/sandbox/record"
)

// Config of a Hub.
type Config struct {
	Dir string // where the repositories are kept: Dir/OWNER/NAME.git
	// App makes the hub serve a GitHub App with this description; without
	// it only users exist.
	App *account.AppConfig
	// Emit is told of every event, in the order in which they happened,
	// while the hub is locked: it must not call the hub.
	Emit func(record.Event)
	// UnknownMergeable is how many answers about a pull request leave
	// mergeable null after each change of its head or base, as GitHub does
	// until its own computation is done.
	UnknownMergeable int
	// Checks knows the checks of commits.
	Checks Checks
}

// Checks is what the hub asks of, and tells to, the keeper of check runs. Both
// are called while the hub is locked.
type Checks interface {
	// Outcomes says of each check and status of a commit how it stands.
	Outcomes(repo int64, sha string) map[string]Outcome
	// Pushed is told of each commit that a branch was pushed to.
	Pushed(tx Tx, sha, branch, before string, by record.User) error
}

// Outcome is how a check stands, the worst first.
type Outcome int

// The outcomes.
const (
	Failed Outcome = iota
	Running
	Passed
)

// Hub holds repositories and pull requests. All its methods may be called at
// once from several goroutines.
type Hub struct {
	*account.Accounts

	cfg    Config
	ctx    context.Context // of the Git processes: it ends with Close
	end    context.CancelFunc
	lastID atomic.Int64

	mu      sync.Mutex
	changed chan struct{}
	repos   map[string]*repo
}

// repo is a repository with everything in it but its comments and checks.
type repo struct {
	record.Repo
	git      *gitrepo.Repo
	grants   map[string]record.Permission
	last     int // number
	issues   map[int]*record.Issue
	pulls    map[int]*pull
	branches map[string]string // short name to commit, as last seen
	protect  map[string]record.Protection
}

type pull struct {
	record.Pull
	reviews  []*record.Review
	head     *repo
	unknown  int // answers that are still to say null
	computed bool
	clean    bool // merges without a conflict; only when computed
}

// New makes an empty hub.
func New(cfg Config) (*Hub, error) {
	h := &Hub{cfg: cfg, changed: make(chan struct{}), repos: map[string]*repo{}}
	h.lastID.Store(3_000_000_000) // no id fits into 32 bits
	var err error
	if h.Accounts, err = account.New(cfg.App, h.id); err != nil {
		return nil, err
	}
	h.ctx, h.end = context.WithCancel(context.Background())
	return h, nil
}

// Close ends the hub's Git processes.
func (h *Hub) Close() { h.end() }

func (h *Hub) id() int64 { return h.lastID.Add(1) }

// Changed returns a channel that is closed at the next change of anything.
func (h *Hub) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// Touch tells those who wait on Changed that something has changed.
func (h *Hub) Touch() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.touch()
}

func (h *Hub) touch() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *Hub) emit(e record.Event) {
	if e.Installation == 0 {
		if i, err := h.InstallationOf(e.Repo.FullName()); err == nil {
			e.Installation = i.ID
		}
	}
	h.cfg.Emit(e)
	h.touch()
}

// in does something with a repository while the hub is locked.
func in[T any](h *Hub, full string, f func(*repo) (T, error)) (T, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.repos[strings.ToLower(full)]
	if r == nil {
		var none T
		return none, record.NotFound()
	}
	return f(r)
}

// change does something with a repository that others should hear of.
func change(h *Hub, full string, f func(*repo) error) error {
	_, err := in(h, full, func(r *repo) (struct{}, error) {
		defer h.touch()
		return struct{}{}, f(r)
	})
	return err
}

// inPull does something with a pull request while the hub is locked.
func inPull[T any](h *Hub, full string, number int, f func(*repo, *pull) (T, error)) (T, error) {
	return in(h, full, func(r *repo) (T, error) {
		p := r.pulls[number]
		if p == nil {
			var none T
			return none, record.NotFound()
		}
		return f(r, p)
	})
}

var repoName = regexp.MustCompile(`^[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*$`)

// CreateRepo makes a private repository with one commit of these files on
// main, without any event. An owner that does not exist becomes an
// organisation.
func (h *Hub) CreateRepo(owner, name string, files map[string]string) (record.Repo, error) {
	return h.addRepo(owner, name, record.KindOrganization, func(full string) (*repo, error) {
		git, err := gitrepo.Create(h.ctx, h.gitDir(full), "main")
		if err != nil {
			return nil, err
		}
		r := h.newRepo(owner, name, git)
		_, err = git.Commit(h.ctx, gitrepo.Commit{Branch: "main", Files: files, Message: "Initial commit", Author: person(r.Owner), When: record.Now()})
		return r, err
	})
}

// Fork copies a repository to another account, which becomes its
// administrator. The fork is as private as its parent.
func (h *Hub) Fork(parent, owner string) (record.Repo, error) {
	p, err := h.Repo(parent)
	if err != nil {
		return record.Repo{}, err
	}
	return h.addRepo(owner, p.Name, record.KindUser, func(full string) (*repo, error) {
		git, err := (&gitrepo.Repo{Dir: h.gitDir(p.FullName())}).Fork(h.ctx, h.gitDir(full))
		if err != nil {
			return nil, err
		}
		r := h.newRepo(owner, p.Name, git)
		r.Parent, r.Private = p.FullName(), p.Private
		return r, nil
	})
}

func (h *Hub) addRepo(owner, name, kind string, build func(full string) (*repo, error)) (record.Repo, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	full := owner + "/" + name
	if !repoName.MatchString(owner) || !repoName.MatchString(name) {
		return record.Repo{}, record.Invalid("Repository", "name", "custom", "name is invalid")
	}
	if h.repos[strings.ToLower(full)] != nil {
		return record.Repo{}, record.Invalid("Repository", "name", "custom", "name already exists on this account")
	}
	h.Ensure(owner, kind)
	r, err := build(full)
	if err != nil {
		return record.Repo{}, err
	}
	if r.branches, err = r.heads(h.ctx); err != nil {
		return record.Repo{}, err
	}
	h.repos[strings.ToLower(full)] = r
	h.touch()
	return r.Repo, nil
}

func (h *Hub) gitDir(full string) string {
	return filepath.Join(h.cfg.Dir, filepath.FromSlash(full)+".git")
}

func (h *Hub) newRepo(owner, name string, git *gitrepo.Repo) *repo {
	return &repo{
		git: git, grants: map[string]record.Permission{}, issues: map[int]*record.Issue{}, pulls: map[int]*pull{}, protect: map[string]record.Protection{},
		Repo: record.Repo{ID: h.id(), Owner: h.Ensure(owner, record.KindOrganization), Name: name, Private: true, DefaultBranch: "main", Created: record.Now(), Pushed: record.Now()},
	}
}

// Repo returns a repository by its full name, in any case of letters.
func (h *Hub) Repo(full string) (record.Repo, error) {
	return in(h, full, func(r *repo) (record.Repo, error) { return r.view(), nil })
}

// Repos returns all repositories, in the order in which they were made.
func (h *Hub) Repos() []record.Repo {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []record.Repo
	for _, r := range h.repos {
		all = append(all, r.view())
	}
	record.SortBy(all, func(r record.Repo) int64 { return r.ID })
	return all
}

func (r *repo) view() record.Repo {
	v := r.Repo
	for _, i := range r.issues {
		if i.State == "open" {
			v.OpenIssues++
		}
	}
	for _, p := range r.pulls {
		if p.State == "open" {
			v.OpenIssues++
		}
	}
	return v
}

// SetPrivate shows a repository to everybody, or hides it again.
func (h *Hub) SetPrivate(full string, private bool) error {
	return change(h, full, func(r *repo) error {
		r.Private = private
		return nil
	})
}

// SetDefaultBranch makes another branch the default one. Pull requests stay
// against the branches that they are against.
func (h *Hub) SetDefaultBranch(full, branch string) error {
	return change(h, full, func(r *repo) error {
		if r.branches[branch] == "" {
			return fmt.Errorf("make %s the default branch of %s: there is no such branch", branch, full)
		}
		r.DefaultBranch = branch
		return nil
	})
}

// Grant gives a person a permission in a repository; "none" takes it away.
// The person is made where there is none of that login.
func (h *Hub) Grant(full, login string, p record.Permission) error {
	return change(h, full, func(r *repo) error {
		if !p.Valid() {
			return fmt.Errorf("grant %s to %s: there is no such permission", p, login)
		}
		h.User(login)
		r.grants[strings.ToLower(login)] = p
		return nil
	})
}

// Role returns what a person may do in a repository.
func (h *Hub) Role(full, login string) (record.Permission, error) {
	return in(h, full, func(r *repo) (record.Permission, error) { return r.role(login), nil })
}

func (r *repo) role(login string) record.Permission {
	if strings.EqualFold(login, r.Owner.Login) && r.Owner.Kind == record.KindUser {
		return "admin"
	}
	p := r.grants[strings.ToLower(login)]
	switch {
	case p.AtLeast("read"):
		return p
	case !r.Private:
		return "read"
	}
	return "none"
}

// association is how GitHub names the tie of somebody to the repository.
func (r *repo) association(u record.User) string {
	switch {
	case strings.EqualFold(u.Login, r.Owner.Login):
		return "OWNER"
	case r.grants[strings.ToLower(u.Login)].AtLeast("read"):
		return "COLLABORATOR"
	}
	return "NONE"
}

func person(u record.User) gitrepo.Person {
	return gitrepo.Person{Name: u.Login, Email: u.Email()}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
