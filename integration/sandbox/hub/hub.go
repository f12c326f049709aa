package hub

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"weir/integration/sandbox/gitrepo"
)

// Config of a Hub.
type Config struct {
	Dir string // where the repositories are kept: Dir/OWNER/NAME.git
	// App makes the hub serve a GitHub App with this description; without
	// it only users exist.
	App *AppConfig
	// Emit is told of every event, in the order in which they happened,
	// while the hub is locked: it must not call the hub.
	Emit func(Event)
	// UnknownMergeable is how many answers about a pull request leave
	// mergeable null after each change of its head or base, as GitHub does
	// until its own computation is done.
	UnknownMergeable int
}

// Hub holds users, repositories and pull requests. All its methods may be
// called at once from several goroutines.
type Hub struct {
	cfg Config
	ctx context.Context // of the Git processes: it ends with Close
	end context.CancelFunc

	mu            sync.Mutex
	changed       chan struct{}
	lastID        int64
	users         map[string]*User
	repos         map[string]*repo
	teams         map[string]map[string]bool
	tokens        map[string]*token
	app           *app
	installations []*Installation
}

// repo is a repository with everything in it.
type repo struct {
	Repo
	git      *gitrepo.Repo
	grants   map[string]Permission
	last     int // number
	issues   map[int]*Issue
	pulls    map[int]*pull
	comments []*Comment
	labels   []Label
	suites   []*Suite
	checks   []*CheckRun
	statuses []*Status
	branches map[string]string // short name to commit, as last seen
	protect  map[string]Protection
}

type pull struct {
	Pull
	reviews  []*Review
	head     *repo
	unknown  int // answers that are still to say null
	computed bool
	clean    bool // merges without a conflict; only when computed
}

// New makes an empty hub.
func New(cfg Config) (*Hub, error) {
	h := &Hub{cfg: cfg, changed: make(chan struct{}), lastID: 3_000_000_000, // no id fits into 32 bits
		users: map[string]*User{}, repos: map[string]*repo{}, teams: map[string]map[string]bool{}, tokens: map[string]*token{}}
	h.ctx, h.end = context.WithCancel(context.Background())
	if cfg.App != nil {
		a, err := newApp(h, *cfg.App)
		if err != nil {
			h.end()
			return nil, err
		}
		h.app = a
	}
	return h, nil
}

// Close ends the hub's Git processes.
func (h *Hub) Close() { h.end() }

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

func (h *Hub) emit(e Event) {
	if inst := h.installationOf(e.Repo.FullName()); inst != nil {
		e.Installation = inst.ID
	}
	if h.cfg.Emit != nil {
		h.cfg.Emit(e)
	}
	h.touch()
}

func (h *Hub) id() int64 {
	h.lastID++
	return h.lastID
}

// now has the granularity of GitHub's times.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// User returns the account of that login, which is made where there is none.
func (h *Hub) User(login string) User {
	h.mu.Lock()
	defer h.mu.Unlock()
	return *h.user(login, KindUser)
}

func (h *Hub) user(login, kind string) *User {
	key := strings.ToLower(login)
	if u := h.users[key]; u != nil {
		return u
	}
	if strings.HasSuffix(key, "[bot]") {
		kind = KindBot
	}
	u := &User{ID: h.id(), Login: login, Kind: kind, Created: now()}
	h.users[key] = u
	h.touch()
	return u
}

// Account returns an existing account.
func (h *Hub) Account(login string) (User, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.users[strings.ToLower(login)]
	if u == nil {
		return User{}, false
	}
	return *u, true
}

// Users returns the people, in the order in which they came.
func (h *Hub) Users() []User {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []User
	for _, u := range h.users {
		if u.Kind == KindUser {
			all = append(all, *u)
		}
	}
	sortBy(all, func(u User) int64 { return u.ID })
	return all
}

var repoName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// CreateRepo makes a private repository with one commit of these files on
// main, without any event. An owner that does not exist becomes an
// organisation. The App is installed there if it serves all repositories of
// the owner; see Install.
func (h *Hub) CreateRepo(owner, name string, files map[string]string) (Repo, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	full := owner + "/" + name
	if !repoName.MatchString(owner) || !repoName.MatchString(name) || strings.Trim(name, ".") == "" || strings.Trim(owner, ".") == "" {
		return Repo{}, invalid("Repository", "name", "custom", "name is invalid")
	}
	if h.repos[strings.ToLower(full)] != nil {
		return Repo{}, invalid("Repository", "name", "custom", "name already exists on this account")
	}
	git, err := gitrepo.Create(h.ctx, h.gitDir(full), "main")
	if err != nil {
		return Repo{}, err
	}
	r := h.newRepo(owner, name, git)
	if _, err := git.Commit(h.ctx, gitrepo.Commit{Branch: "main", Files: files, Message: "Initial commit", Author: person(r.Owner), When: now()}); err != nil {
		return Repo{}, err
	}
	if r.branches, err = r.heads(h.ctx); err != nil {
		return Repo{}, err
	}
	h.repos[strings.ToLower(full)] = r
	h.touch()
	return r.Repo, nil
}

// Fork copies a repository to another account, which becomes its
// administrator. The fork is as private as its parent.
func (h *Hub) Fork(parent, owner string) (Repo, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, err := h.repo(parent)
	if err != nil {
		return Repo{}, err
	}
	full := owner + "/" + p.Name
	if h.repos[strings.ToLower(full)] != nil {
		return Repo{}, invalid("Repository", "name", "custom", "name already exists on this account")
	}
	h.user(owner, KindUser)
	git, err := p.git.Fork(h.ctx, h.gitDir(full))
	if err != nil {
		return Repo{}, err
	}
	r := h.newRepo(owner, p.Name, git)
	r.Parent, r.Private = p.FullName(), p.Private
	if r.branches, err = r.heads(h.ctx); err != nil {
		return Repo{}, err
	}
	h.repos[strings.ToLower(full)] = r
	h.touch()
	return r.Repo, nil
}

func (h *Hub) gitDir(full string) string {
	return filepath.Join(h.cfg.Dir, filepath.FromSlash(full)+".git")
}

func (h *Hub) newRepo(owner, name string, git *gitrepo.Repo) *repo {
	return &repo{Repo: Repo{ID: h.id(), Owner: *h.user(owner, KindOrganization), Name: name, Private: true, DefaultBranch: "main", Created: now(), Pushed: now()},
		git: git, grants: map[string]Permission{}, issues: map[int]*Issue{}, pulls: map[int]*pull{}, protect: map[string]Protection{}}
}

func (r *repo) heads(ctx context.Context) (map[string]string, error) {
	refs, err := r.git.Refs(ctx, "refs/heads/")
	if err != nil {
		return nil, err
	}
	heads := make(map[string]string, len(refs))
	for ref, sha := range refs {
		heads[strings.TrimPrefix(ref, "refs/heads/")] = sha
	}
	return heads, nil
}

func (h *Hub) repo(full string) (*repo, error) {
	if r := h.repos[strings.ToLower(full)]; r != nil {
		return r, nil
	}
	return nil, notFound()
}

// Repo returns a repository by its full name, in any case of letters.
func (h *Hub) Repo(full string) (Repo, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return Repo{}, err
	}
	return h.repoView(r), nil
}

// Repos returns all repositories, in the order in which they were made.
func (h *Hub) Repos() []Repo {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Repo
	for _, r := range h.repos {
		all = append(all, h.repoView(r))
	}
	sortBy(all, func(r Repo) int64 { return r.ID })
	return all
}

func (h *Hub) repoView(r *repo) Repo {
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
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return err
	}
	r.Private = private
	h.touch()
	return nil
}

// Grant gives a person a permission in a repository; "none" takes it away.
// The person is made where there is none of that login.
func (h *Hub) Grant(full, login string, p Permission) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return err
	}
	if _, ok := ranks[p]; !ok {
		return fmt.Errorf("grant %s to %s: there is no such permission", p, login)
	}
	h.user(login, KindUser)
	r.grants[strings.ToLower(login)] = p
	h.touch()
	return nil
}

// Role returns what a person may do in a repository.
func (h *Hub) Role(full, login string) (Permission, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return "none", err
	}
	return r.role(login), nil
}

func (r *repo) role(login string) Permission {
	if strings.EqualFold(login, r.Owner.Login) && r.Owner.Kind == KindUser {
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

func (r *repo) association(u User) string {
	switch {
	case strings.EqualFold(u.Login, r.Owner.Login):
		return "OWNER"
	case r.grants[strings.ToLower(u.Login)].AtLeast("read"):
		return "COLLABORATOR"
	}
	return "NONE"
}

// AddToTeam makes a person a member of an organisation's team.
func (h *Hub) AddToTeam(org, team, login string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.user(login, KindUser)
	key := strings.ToLower(org + "/" + team)
	if h.teams[key] == nil {
		h.teams[key] = map[string]bool{}
	}
	h.teams[key][strings.ToLower(login)] = true
	h.touch()
}

// InTeam says whether a person is a member of a team.
func (h *Hub) InTeam(org, team, login string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.teams[strings.ToLower(org+"/"+team)][strings.ToLower(login)]
}

func person(u User) gitrepo.Person {
	return gitrepo.Person{Name: u.Login, Email: fmt.Sprintf("%d+%s@users.noreply.github.com", u.ID, u.Login)}
}
