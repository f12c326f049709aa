// Package account knows the accounts of the GitHub stand-in, their teams and
// tokens, and the GitHub App with its installations.
package account

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/integration/sandbox/record"
)

// AppConfig describes the GitHub App.
type AppConfig struct {
	ID    int64
	Slug  string
	Owner string
	// Key verifies what the App signs.
	Key *rsa.PublicKey
	// Permissions are those that installations get; nil for what weir needs.
	Permissions map[string]string
	// TokenLife is how long an installation token is valid; zero is GitHub's hour.
	TokenLife time.Duration
}

// Accounts holds all accounts. Its methods may be called at once from several
// goroutines. Logins are the same in any case of letters.
type Accounts struct {
	mu            sync.Mutex
	nextID        func() int64
	users         map[string]*record.User
	teams         map[string]map[string]bool
	tokens        map[string]token
	app           record.App
	key           *rsa.PublicKey
	life          time.Duration
	installations []*record.Installation
}

type token struct {
	id      Identity
	expires time.Time // zero for never
}

// New makes an empty set of accounts, with an App or without. Ids come from
// nextID.
func New(app *AppConfig, nextID func() int64) (*Accounts, error) {
	a := &Accounts{nextID: nextID, users: map[string]*record.User{}, teams: map[string]map[string]bool{}, tokens: map[string]token{}}
	if app == nil {
		return a, nil
	}
	if app.ID == 0 || app.Slug == "" || app.Key == nil {
		return nil, errors.New("describe the App: id, slug and key are needed")
	}
	permissions := app.Permissions
	if permissions == nil {
		permissions = map[string]string{
			"checks": "write", "contents": "write", "issues": "write", "metadata": "read",
			"pull_requests": "write", "statuses": "write", "members": "read", "merge_queues": "read",
		}
	}
	owner := a.user(cmp.Or(app.Owner, "weir-maintainers"), record.KindOrganization)
	a.key, a.life = app.Key, cmp.Or(app.TokenLife, time.Hour)
	a.app = record.App{
		ID: app.ID, Slug: app.Slug, Owner: *owner, Permissions: permissions, Created: record.Now(),
		Events: []string{"check_run", "check_suite", "issue_comment", "issues", "merge_group", "pull_request", "pull_request_review", "push"},
	}
	a.user(a.app.Bot(), record.KindBot)
	return a, nil
}

// User returns the person of that login, who is made where there is none.
func (a *Accounts) User(login string) record.User { return a.Ensure(login, record.KindUser) }

// Ensure returns the account of that login, which is made, of a kind, where
// there is none.
func (a *Accounts) Ensure(login, kind string) record.User {
	a.mu.Lock()
	defer a.mu.Unlock()
	return *a.user(login, kind)
}

func (a *Accounts) user(login, kind string) *record.User {
	key := strings.ToLower(login)
	if u := a.users[key]; u != nil {
		return u
	}
	if strings.HasSuffix(key, "[bot]") {
		kind = record.KindBot
	}
	u := &record.User{ID: a.nextID(), Login: login, Kind: kind, Created: record.Now()}
	a.users[key] = u
	return u
}

// Account returns an existing account.
func (a *Accounts) Account(login string) (record.User, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := a.users[strings.ToLower(login)]
	if u == nil {
		return record.User{}, false
	}
	return *u, true
}

// Users returns the people, in the order in which they came.
func (a *Accounts) Users() []record.User {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []record.User
	for _, u := range a.users {
		if u.Kind == record.KindUser {
			all = append(all, *u)
		}
	}
	record.SortBy(all, func(u record.User) int64 { return u.ID })
	return all
}

// AddToTeam makes a person a member of an organisation's team.
func (a *Accounts) AddToTeam(org, team, login string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.user(login, record.KindUser)
	key := strings.ToLower(org + "/" + team)
	if a.teams[key] == nil {
		a.teams[key] = map[string]bool{}
	}
	a.teams[key][strings.ToLower(login)] = true
}

// InTeam says whether a person is a member of a team.
func (a *Accounts) InTeam(org, team, login string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.teams[strings.ToLower(org+"/"+team)][strings.ToLower(login)]
}

// Token makes a token of a person's, valid until it is revoked.
func (a *Accounts) Token(login string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.newToken("ghp_", token{id: Identity{Kind: ByUser, User: *a.user(login, record.KindUser)}})
}

func (a *Accounts) newToken(prefix string, t token) string {
	random := make([]byte, 18)
	_, _ = rand.Read(random) // never fails
	value := prefix + hex.EncodeToString(random)
	a.tokens[value] = t
	return value
}

// Revoke ends a token at once.
func (a *Accounts) Revoke(value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.tokens, value)
}

// ExpireTokens ends all installation tokens at once, as if their hour were
// over.
func (a *Accounts) ExpireTokens() {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.tokens, func(_ string, t token) bool { return t.id.Kind == ByInstallation })
}

// App returns the App, or false where there is none.
func (a *Accounts) App() (record.App, bool) { return a.app, a.app.ID != 0 }

// AddInstallation installs the App in an account, for the named repositories
// or, with none, for all.
func (a *Accounts) AddInstallation(login string, repos []string) (record.Installation, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.app.ID == 0 {
		return record.Installation{}, errors.New("install the App in " + login + ": there is no App")
	}
	i := &record.Installation{ID: a.nextID(), App: a.app, Account: *a.user(login, record.KindOrganization), Repos: repos, Created: record.Now(), Updated: record.Now()}
	a.installations = append(a.installations, i)
	return *i, nil
}

// RemoveInstallations removes the App from an account, ends its tokens there,
// and returns what was removed.
func (a *Accounts) RemoveInstallations(login string) []record.Installation {
	a.mu.Lock()
	defer a.mu.Unlock()
	var removed []record.Installation
	a.installations = slices.DeleteFunc(a.installations, func(i *record.Installation) bool {
		if !strings.EqualFold(i.Account.Login, login) {
			return false
		}
		maps.DeleteFunc(a.tokens, func(_ string, t token) bool { return t.id.Installation == i.ID })
		removed = append(removed, *i)
		return true
	})
	return removed
}

// Suspend suspends the App in an account, or ends that.
func (a *Accounts) Suspend(login string, suspended bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, i := range a.installations {
		if strings.EqualFold(i.Account.Login, login) {
			i.Suspended = suspended
		}
	}
}

// Installations returns where the App is installed.
func (a *Accounts) Installations() []record.Installation {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []record.Installation
	for _, i := range a.installations {
		all = append(all, *i)
	}
	return all
}

// InstallationOf returns the installation that includes a repository, or a
// 404.
func (a *Accounts) InstallationOf(full string) (record.Installation, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, i := range a.installations {
		if i.Covers(full) {
			return *i, nil
		}
	}
	return record.Installation{}, record.NotFound()
}

// AsApp is the identity of the App in a repository, with all its permissions.
func (a *Accounts) AsApp(full string) (Identity, error) {
	i, err := a.InstallationOf(full)
	if err != nil {
		return Identity{}, err
	}
	return Identity{Kind: ByInstallation, User: a.User(a.app.Bot()), App: a.app.ID, Installation: i.ID, Permissions: a.app.Permissions}, nil
}

// NewInstallationToken makes a token of an installation, for some repositories
// by full name, which the caller knows to exist, and some permissions or, with
// nil, for all.
func (a *Accounts) NewInstallationToken(id int64, repos []string, permissions map[string]string) (string, Identity, time.Time, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	refuse := func(err error) (string, Identity, time.Time, error) { return "", Identity{}, time.Time{}, err }
	at := slices.IndexFunc(a.installations, func(i *record.Installation) bool { return i.ID == id })
	if at < 0 {
		return refuse(record.NotFound())
	}
	inst := a.installations[at]
	if inst.Suspended {
		return refuse(record.Forbidden("This installation has been suspended"))
	}
	who := Identity{Kind: ByInstallation, User: *a.user(a.app.Bot(), record.KindBot), App: a.app.ID, Installation: id, Permissions: a.app.Permissions, repos: repos}
	if permissions != nil {
		for name, level := range permissions {
			if !includes(a.app.Permissions[name], level) {
				return refuse(&record.Error{Status: 422, Message: "The permissions requested are not granted to this installation."})
			}
		}
		who.Permissions = permissions
	}
	for _, full := range repos {
		if !inst.Covers(full) {
			return refuse(&record.Error{Status: 422, Message: "There is at least one repository that does not exist or is not accessible to the parent installation."})
		}
	}
	expires := time.Now().UTC().Add(a.life)
	return a.newToken("ghs_", token{id: who, expires: expires}), who, expires, nil
}

// Kinds of identity.
const (
	Anonymous      = ""
	ByUser         = "user"
	ByInstallation = "installation"
	ByApp          = "app"
)

// Identity is who a request comes from.
type Identity struct {
	Kind         string
	User         record.User // the person, or the App's bot
	App          int64
	Installation int64
	Permissions  map[string]string // of an installation
	repos        []string          // of an installation token; nil for all of the installation
}

// String names the identity for logs, without anything secret.
func (i Identity) String() string {
	switch i.Kind {
	case ByUser:
		return "user " + i.User.Login
	case ByInstallation:
		return "installation " + strconv.FormatInt(i.Installation, 10)
	case ByApp:
		return "app " + strconv.FormatInt(i.App, 10)
	}
	return "anonymous"
}

// Has says whether an installation's identity has a permission.
func (i Identity) Has(area, level string) bool { return includes(i.Permissions[area], level) }

// Selected says whether a repository is among those that an installation's
// token was made for.
func (i Identity) Selected(full string) bool {
	return i.repos == nil || slices.ContainsFunc(i.repos, func(n string) bool { return strings.EqualFold(n, full) })
}

func includes(have, want string) bool {
	levels := []string{"", "read", "write", "admin"}
	return have != "" && slices.Index(levels, have) >= slices.Index(levels, want)
}
