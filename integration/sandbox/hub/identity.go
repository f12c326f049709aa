package hub

import (
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AppConfig describes the GitHub App that the hub knows.
type AppConfig struct {
	ID    int64
	Slug  string
	Owner string
	// Key is what the App signs with; the hub keeps the public half.
	Key *rsa.PublicKey
	// Permissions are those that installations get; nil for what weir needs.
	Permissions map[string]string
	// TokenLife is how long an installation token is valid; zero is GitHub's hour.
	TokenLife time.Duration
}

type app struct {
	App
	key  *rsa.PublicKey
	life time.Duration
}

func newApp(h *Hub, c AppConfig) (*app, error) {
	if c.ID == 0 || c.Slug == "" || c.Key == nil {
		return nil, fmt.Errorf("describe the App: id, slug and key are needed")
	}
	if c.Permissions == nil {
		c.Permissions = map[string]string{"checks": "write", "contents": "write", "issues": "write", "metadata": "read",
			"pull_requests": "write", "statuses": "write", "members": "read", "merge_queues": "read"}
	}
	owner := h.user(cmp.Or(c.Owner, "weir-maintainers"), KindOrganization)
	h.user(c.Slug+"[bot]", KindBot)
	return &app{key: c.Key, life: cmp.Or(c.TokenLife, time.Hour), App: App{ID: c.ID, Slug: c.Slug, Owner: *owner, Permissions: c.Permissions, Created: now(),
		Events: []string{"check_run", "check_suite", "issue_comment", "merge_group", "pull_request", "pull_request_review", "push"}}}, nil
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
	User         User // the person, or the App's bot
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

type token struct {
	id      Identity
	expires time.Time // zero for never
}

// ErrBadCredentials is the answer to credentials that are wrong or no longer
// valid.
var ErrBadCredentials = &Error{Status: 401, Message: "Bad credentials"}

// Token makes a token of a person's, valid until it is revoked.
func (h *Hub) Token(login string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.newToken("ghp_", token{id: Identity{Kind: ByUser, User: *h.user(login, KindUser)}})
}

func (h *Hub) newToken(prefix string, t token) string {
	random := make([]byte, 18)
	_, _ = rand.Read(random) // never fails
	value := prefix + hex.EncodeToString(random)
	h.tokens[value] = &t
	return value
}

// Revoke ends a token at once.
func (h *Hub) Revoke(value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.tokens, value)
}

// ExpireTokens ends all installation tokens at once, as if their hour were
// over.
func (h *Hub) ExpireTokens() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for value, t := range h.tokens {
		if t.id.Kind == ByInstallation {
			delete(h.tokens, value)
		}
	}
}

// Authenticate reads an Authorization header: a bearer (or "token") of a
// person's, an installation's or the App's own, or Basic with a token as the
// password. No header is an anonymous identity; a bad one ErrBadCredentials.
func (h *Hub) Authenticate(header string) (Identity, error) {
	if header == "" {
		return Identity{}, nil
	}
	scheme, value, _ := strings.Cut(header, " ")
	value = strings.TrimSpace(value)
	switch strings.ToLower(scheme) {
	case "bearer", "token":
	case "basic":
		plain, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return Identity{}, ErrBadCredentials
		}
		name, password, _ := strings.Cut(string(plain), ":")
		value = password
		if password == "" || password == "x-oauth-basic" {
			value = name
		}
	default:
		return Identity{}, ErrBadCredentials
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if strings.Count(value, ".") == 2 {
		return h.verify(value)
	}
	t := h.tokens[value]
	if t == nil || !t.expires.IsZero() && !time.Now().Before(t.expires) {
		return Identity{}, ErrBadCredentials
	}
	return t.id, nil
}

// verify checks the JWT that an App authenticates with: RS256 by the App's
// key, iat not in the future, exp not past and at most ten minutes ahead.
func (h *Hub) verify(jwt string) (Identity, error) {
	refuse := func(message string) (Identity, error) { return Identity{}, &Error{Status: 401, Message: message} }
	if h.app == nil {
		return refuse("A JSON web token could not be decoded")
	}
	parts := strings.Split(jwt, ".")
	var header struct{ Alg string }
	var claims struct {
		Iat, Exp float64
		Iss      any
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !decodePart(parts[0], &header) || !decodePart(parts[1], &claims) || header.Alg != "RS256" {
		return refuse("A JSON web token could not be decoded")
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(h.app.key, crypto.SHA256, sum[:], signature) != nil {
		return refuse("A JSON web token could not be decoded")
	}
	issuer := fmt.Sprint(claims.Iss)
	if f, ok := claims.Iss.(float64); ok {
		issuer = strconv.FormatInt(int64(f), 10)
	}
	at := float64(time.Now().Unix())
	switch {
	case issuer != strconv.FormatInt(h.app.ID, 10):
		return refuse("'Issuer' claim ('iss') must be an Integer")
	case claims.Iat > at+1:
		return refuse("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	case claims.Exp <= at:
		return refuse("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case claims.Exp > at+601:
		return refuse("'Expiration time' claim ('exp') is too far in the future")
	}
	return Identity{Kind: ByApp, App: h.app.ID, User: *h.user(h.app.Bot(), KindBot)}, nil
}

func decodePart(part string, into any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(raw, into) == nil
}

// Install installs the App in an account, for the named repositories or, with
// none, for all that the account has and will have. It emits installation
// created.
func (h *Hub) Install(account string, repos ...string) (Installation, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.app == nil {
		return Installation{}, fmt.Errorf("install the App in %s: the sandbox has none", account)
	}
	inst := &Installation{ID: h.id(), App: h.app.App, Account: *h.user(account, KindOrganization), Repos: repos, Created: now(), Updated: now()}
	h.installations = append(h.installations, inst)
	h.tellInstallation("created", inst)
	return *inst, nil
}

// Uninstall removes the App from an account and ends its tokens.
func (h *Hub) Uninstall(account string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.installations = slices.DeleteFunc(h.installations, func(i *Installation) bool {
		if !strings.EqualFold(i.Account.Login, account) {
			return false
		}
		maps.DeleteFunc(h.tokens, func(_ string, t *token) bool { return t.id.Installation == i.ID })
		h.tellInstallation("deleted", i)
		return true
	})
}

func (h *Hub) tellInstallation(action string, inst *Installation) {
	installed := *inst
	e := Event{Name: "installation", Action: action, Sender: inst.Account, Installed: &installed, Installation: inst.ID}
	for _, r := range h.repos {
		if inst.covers(r.FullName()) {
			e.Repos = append(e.Repos, r.Repo)
		}
	}
	sortBy(e.Repos, func(r Repo) int64 { return r.ID })
	h.emit(e)
}

// covers says whether the installation includes a repository.
func (i *Installation) covers(full string) bool {
	owner, _, _ := strings.Cut(full, "/")
	if !strings.EqualFold(owner, i.Account.Login) {
		return false
	}
	return i.Repos == nil || slices.ContainsFunc(i.Repos, func(name string) bool { return strings.EqualFold(name, full) })
}

func (h *Hub) installationOf(full string) *Installation {
	for _, i := range h.installations {
		if i.covers(full) {
			return i
		}
	}
	return nil
}

// App returns the App, or false where the hub has none.
func (h *Hub) App() (App, bool) {
	if h.app == nil {
		return App{}, false
	}
	return h.app.App, true
}

// Installations returns where the App is installed.
func (h *Hub) Installations() []Installation {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Installation
	for _, i := range h.installations {
		all = append(all, *i)
	}
	return all
}

// InstallationOf returns the installation that includes a repository.
func (h *Hub) InstallationOf(full string) (Installation, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := h.installationOf(full); i != nil {
		return *i, nil
	}
	return Installation{}, notFound()
}

// NewInstallationToken makes a token of an installation, for some of its
// repositories (by name without the owner) and permissions or, with none, for
// all.
func (h *Hub) NewInstallationToken(id int64, names []string, permissions map[string]string) (string, Identity, time.Time, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.installations, func(i *Installation) bool { return i.ID == id })
	if i < 0 {
		return "", Identity{}, time.Time{}, notFound()
	}
	inst := h.installations[i]
	if inst.Suspended {
		return "", Identity{}, time.Time{}, &Error{Status: 403, Message: "This installation has been suspended"}
	}
	who := Identity{Kind: ByInstallation, User: *h.user(h.app.Bot(), KindBot), App: h.app.ID, Installation: id, Permissions: h.app.Permissions}
	for _, name := range names {
		full := inst.Account.Login + "/" + name
		if h.repos[strings.ToLower(full)] == nil || !inst.covers(full) {
			return "", Identity{}, time.Time{}, &Error{Status: 422, Message: "There is at least one repository that does not exist or is not accessible to the parent installation."}
		}
		who.repos = append(who.repos, full)
	}
	if permissions != nil {
		for name, level := range permissions {
			if !includes(h.app.Permissions[name], level) {
				return "", Identity{}, time.Time{}, &Error{Status: 422, Message: "The permissions requested are not granted to this installation."}
			}
		}
		who.Permissions = permissions
	}
	expires := now().Add(h.app.life)
	if h.app.life < time.Second {
		expires = time.Now().Add(h.app.life)
	}
	return h.newToken("ghs_", token{id: who, expires: expires}), who, expires, nil
}

// ReposOf returns the repositories that an identity sees.
func (h *Hub) ReposOf(who Identity) []Repo {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Repo
	for _, r := range h.repos {
		if h.sees(who, r) {
			all = append(all, h.repoView(r))
		}
	}
	sortBy(all, func(r Repo) int64 { return r.ID })
	return all
}

func (h *Hub) sees(who Identity, r *repo) bool {
	switch who.Kind {
	case ByUser:
		return r.role(who.User.Login).AtLeast("read")
	case ByInstallation:
		inst := h.installationOf(r.FullName())
		if inst == nil || inst.ID != who.Installation {
			return !r.Private
		}
		return who.repos == nil || slices.ContainsFunc(who.repos, func(n string) bool { return strings.EqualFold(n, r.FullName()) })
	}
	return !r.Private
}

// Need is what a request asks for: an App needs Area at Level, a person Role.
type Need struct {
	Area, Level string
	Role        Permission
}

// Allow refuses what an identity may not do in a repository: 404 where it may
// not know that the repository exists, 403 where it may only look.
func (h *Hub) Allow(who Identity, full string, need Need) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repo(full)
	if err != nil {
		return err
	}
	if !h.sees(who, r) {
		return notFound()
	}
	switch who.Kind {
	case ByInstallation:
		inst := h.installationOf(full)
		public := !r.Private && need.Level == "read"
		if !public && (inst == nil || inst.ID != who.Installation || !includes(who.Permissions[need.Area], need.Level)) {
			return &Error{Status: 403, Message: "Resource not accessible by integration"}
		}
	case ByUser:
		if !r.role(who.User.Login).AtLeast(need.Role) {
			return &Error{Status: 403, Message: "Must have admin rights to Repository."}
		}
	default:
		if need.Level != "read" {
			return &Error{Status: 401, Message: "Requires authentication"}
		}
	}
	return nil
}

func includes(have, want string) bool {
	levels := []string{"", "read", "write", "admin"}
	return slices.Index(levels, have) >= slices.Index(levels, want) && have != ""
}

func sortBy[T any](s []T, key func(T) int64) {
	slices.SortFunc(s, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}
