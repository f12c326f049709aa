package hub

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/record"
)

// Need is what a request asks for: an App needs Area at Level, a person Role.
type Need struct {
	Area, Level string
	Role        record.Permission
}

// Allow refuses what an identity may not do in a repository: 404 where it may
// not know that the repository exists, 403 where it may only look.
func (h *Hub) Allow(who account.Identity, full string, need Need) error {
	_, err := in(h, full, func(r *repo) (struct{}, error) { return struct{}{}, h.allow(who, r, need) })
	return err
}

func (h *Hub) allow(who account.Identity, r *repo, need Need) error {
	if !h.sees(who, r) {
		return record.NotFound()
	}
	switch who.Kind {
	case account.ByInstallation:
		i, err := h.InstallationOf(r.FullName())
		installed := err == nil && i.ID == who.Installation && who.Selected(r.FullName())
		public := !r.Private && need.Level == "read"
		granted := who.Has(need.Area, need.Level) || need.Area == "metadata" && need.Level == "read"
		if !public && !(installed && granted) {
			return record.Forbidden("Resource not accessible by integration")
		}
	case account.ByUser:
		if !r.role(who.User.Login).AtLeast(need.Role) {
			return record.Forbidden("Must have admin rights to Repository.")
		}
	default:
		if need.Level != "read" {
			return &record.Error{Status: http.StatusUnauthorized, Message: "Requires authentication"}
		}
	}
	return nil
}

// sees says whether an identity may know that a repository exists.
func (h *Hub) sees(who account.Identity, r *repo) bool {
	switch who.Kind {
	case account.ByUser:
		return r.role(who.User.Login).AtLeast("read")
	case account.ByInstallation:
		i, err := h.InstallationOf(r.FullName())
		if err == nil && i.ID == who.Installation && who.Selected(r.FullName()) {
			return true
		}
	}
	return !r.Private
}

// ReposOf returns the repositories that an installation's identity is for.
func (h *Hub) ReposOf(who account.Identity) []record.Repo {
	var all []record.Repo
	for _, r := range h.Repos() {
		i, err := h.InstallationOf(r.FullName())
		if err == nil && i.ID == who.Installation && who.Selected(r.FullName()) {
			all = append(all, r)
		}
	}
	return all
}

// InstallationToken makes a token of an installation, for some repositories of
// its account by name and some permissions or, with nil, for all.
func (h *Hub) InstallationToken(id int64, names []string, permissions map[string]string) (token string, who account.Identity, expires string, err error) {
	var repos []string
	for _, i := range h.Installations() {
		for _, name := range names {
			full := i.Account.Login + "/" + name
			if _, err := h.Repo(full); i.ID == id && err != nil {
				full = "" // covered by no installation
			}
			if i.ID == id {
				repos = append(repos, full)
			}
		}
	}
	token, who, at, err := h.NewInstallationToken(id, repos, permissions)
	return token, who, at.Format("2006-01-02T15:04:05Z"), err
}

// Install installs the App in an account, for the named repositories or, with
// none, for all that the account has and will have. It emits installation
// created.
func (h *Hub) Install(login string, repos ...string) (record.Installation, error) {
	i, err := h.AddInstallation(login, repos)
	if err == nil {
		h.tellInstallation("created", i)
	}
	return i, err
}

// Uninstall removes the App from an account, ends its tokens there, and emits
// installation deleted.
func (h *Hub) Uninstall(login string) {
	for _, i := range h.RemoveInstallations(login) {
		h.tellInstallation("deleted", i)
	}
}

func (h *Hub) tellInstallation(action string, i record.Installation) {
	e := record.Event{Name: "installation", Action: action, Sender: i.Account, Installed: &i, Installation: i.ID}
	for _, r := range h.Repos() {
		if i.Covers(r.FullName()) {
			e.Repos = append(e.Repos, r)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.emit(e)
}

// Tx is a repository while the hub is locked for one change: what the keepers
// of comments and checks work with.
type Tx struct {
	h *Hub
	r *repo
}

// Do runs f on a repository while the hub is locked; it must not call methods
// of the hub.
func (h *Hub) Do(full string, f func(Tx) error) error {
	return change(h, full, func(r *repo) error { return f(Tx{h, r}) })
}

// Look is Do for what changes nothing.
func (h *Hub) Look(full string, f func(Tx) error) error {
	_, err := in(h, full, func(r *repo) (struct{}, error) { return struct{}{}, f(Tx{h, r}) })
	return err
}

// Repo is the repository.
func (t Tx) Repo() record.Repo { return t.r.view() }

// ID is a new id.
func (t Tx) ID() int64 { return t.h.id() }

// Emit tells of an event in the repository.
func (t Tx) Emit(e record.Event) {
	e.Repo = t.r.view()
	t.h.emit(e)
}

// AddIssue adds an issue, to which it gives the next number.
func (t Tx) AddIssue(i *record.Issue) {
	t.r.last++
	i.ID, i.Number = t.h.id(), t.r.last
	t.r.issues[i.Number] = i
}

// Issues lists the issues that are no pull requests, by number: not copies.
func (t Tx) Issues() []*record.Issue {
	all := slices.Collect(maps.Values(t.r.issues))
	record.SortBy(all, func(i *record.Issue) int64 { return int64(i.Number) })
	return all
}

// Pull is a copy of a pull request, or false where there is none.
func (t Tx) Pull(number int) (record.Pull, bool) {
	p := t.r.pulls[number]
	if p == nil {
		return record.Pull{}, false
	}
	return t.h.pullView(t.r, p), true
}

// Issue is an issue, or a pull request as one: not a copy.
func (t Tx) Issue(number int) (*record.Issue, error) { return t.r.issue(number) }

// IssueView is a copy of an issue.
func (t Tx) IssueView(i *record.Issue) record.Issue { return t.r.issueView(i) }

// Association is the tie of somebody to the repository.
func (t Tx) Association(u record.User) string { return t.r.association(u) }

// Assignable returns the account of somebody who can be assigned issues here.
func (t Tx) Assignable(login string) (record.User, bool) {
	u, found := t.h.Account(login)
	return u, found && u.Kind == record.KindUser && t.r.role(u.Login).AtLeast("read")
}

// Allows says whether an identity may do something in the repository.
func (t Tx) Allows(who account.Identity, need Need) bool { return t.h.allow(who, t.r, need) == nil }

// PullsAt lists the open pull requests whose head is a commit. Those from
// forks are left out, as GitHub leaves them out.
func (t Tx) PullsAt(sha string) []record.Pull {
	var at []record.Pull
	for _, p := range t.r.sortedPulls() {
		if p.State == "open" && p.HeadSHA == sha && p.head == t.r {
			at = append(at, t.h.pullView(t.r, p))
		}
	}
	return at
}

// BranchAt names a branch that is at a commit, "" where none is.
func (t Tx) BranchAt(sha string) string {
	for _, name := range sortedKeys(t.r.branches) {
		if t.r.branches[name] == sha {
			return name
		}
	}
	return ""
}

// Resolve returns the commit that a name stands for, or "".
func (t Tx) Resolve(name string) (string, error) { return t.r.git.Resolve(t.h.ctx, name) }

// Message returns the message and the tree of a commit.
func (t Tx) Message(sha string) (message, tree string, err error) {
	info, err := t.r.git.Info(t.h.ctx, sha)
	return strings.TrimSpace(info.Message), info.Tree, err
}

// App is the App, where it is installed on the repository.
func (t Tx) App() (record.App, bool) {
	i, err := t.h.InstallationOf(t.r.FullName())
	return i.App, err == nil
}
