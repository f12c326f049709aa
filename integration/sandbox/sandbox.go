// Package sandbox is a GitHub on your own machine: repositories over Git and
// HTTP, the REST API that weir uses, signed webhooks, and a small web page. It
// serves weir's demo and all end-to-end tests.
//
// It knows nothing of weir, and shares no type with the client library that
// weir uses: what it answers is checked against GitHub's own description.
package sandbox

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"weir/integration/sandbox/account"
	"weir/integration/sandbox/checks"
	"weir/integration/sandbox/gitrepo"
	"weir/integration/sandbox/graphql"
	"weir/integration/sandbox/hooks"
	"weir/integration/sandbox/hub"
	"weir/integration/sandbox/objects"
	"weir/integration/sandbox/page"
	"weir/integration/sandbox/people"
	"weir/integration/sandbox/record"
	"weir/integration/sandbox/rest"
	"weir/integration/sandbox/shape"
	"weir/integration/sandbox/talk"
	"weir/integration/sandbox/traffic"
)

type (
	// Action is a button of a check run.
	Action = record.Action
	// Change is a commit to be pushed.
	Change = hub.Change
	// CheckRun is a check run.
	CheckRun = record.CheckRun
	// CheckEdit creates or updates a check run.
	CheckEdit = checks.Edit
	// Comment is a comment.
	Comment = record.Comment
	// Edit changes a pull request or an issue.
	Edit = record.Edit
	// Issue is an issue.
	Issue = record.Issue
	// NewIssue describes an issue to be opened.
	NewIssue = record.NewIssue
	// NewPull describes a pull request to be opened.
	NewPull = hub.NewPull
	// Permission is none, read, triage, write, maintain or admin.
	Permission = record.Permission
	// Protection is what a branch asks of a pull request.
	Protection = record.Protection
	// Pull is a pull request.
	Pull = record.Pull
	// Repo is a repository.
	Repo = record.Repo
	// Review is a review.
	Review = record.Review
	// Status is a commit status.
	Status = record.Status
	// User is an account.
	User = record.User

	// Hook is where to deliver.
	Hook = hooks.Hook
	// Delivery is one attempt to deliver an event.
	Delivery = hooks.Delivery
	// Order says how ReleaseDeliveries delivers.
	Order = hooks.Order

	// Call is one request that was served.
	Call = traffic.Call
	// Rule makes requests fail.
	Rule = traffic.Rule
)

// App describes the GitHub App that the sandbox serves.
type App struct {
	ID    int64  // 0 for 4711
	Slug  string // "" for weir
	Owner string // "" for an organisation of the sandbox's
	// Key is the App's private key in PEM; the sandbox makes one where
	// there is none.
	Key []byte
	// Permissions of its installations; nil for what weir needs.
	Permissions map[string]string
	// TokenLife is how long an installation token lives; 0 for an hour.
	TokenLife time.Duration
}

// Config of a Sandbox.
type Config struct {
	Dir    string // for the repositories; it must be empty, or not exist
	Listen string // "" for a free port of 127.0.0.1; whoever reaches the page acts as anybody
	App    *App   // nil for a GitHub without an App: webhooks come from the repositories
	Log    *slog.Logger
	// MergeableAtOnce answers with mergeable computed. Without it the first
	// answer after each change says null, as GitHub's does.
	MergeableAtOnce bool
	// Middleware, if any, wraps everything that is served. Tests check
	// answers with it.
	Middleware func(http.Handler) http.Handler
}

// Sandbox is a running stand-in. The methods of People (and through it of Hub,
// Talk and Runs) belong to it: users, repositories and permissions are made,
// and everything that people do is done, with them.
type Sandbox struct {
	*people.People
	*traffic.Traffic

	sender   *hooks.Sender
	api      *rest.API
	git      *gitrepo.Backend
	key      []byte
	listener net.Listener
	server   *http.Server
	served   sync.WaitGroup
	log      *slog.Logger
}

// Start starts a sandbox, which serves until Close.
func Start(c Config) (*Sandbox, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	if left, err := os.ReadDir(dir); len(left) > 0 {
		return nil, fmt.Errorf("start sandbox: %s is not empty", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	s := &Sandbox{Traffic: &traffic.Traffic{}, log: c.Log}
	unknown := 1
	if c.MergeableAtOnce {
		unknown = 0
	}
	kept := &checks.Runs{}
	settings := hub.Config{Dir: dir, UnknownMergeable: unknown, Checks: kept, Emit: func(e record.Event) { s.sender.Emit(e) }}
	if c.App != nil {
		if settings.App, err = s.app(*c.App); err != nil {
			return nil, fmt.Errorf("start sandbox: %w", err)
		}
	}
	if kept.Hub, err = hub.New(settings); err != nil {
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	s.People = &people.People{Hub: kept.Hub, Talk: talk.New(kept.Hub), Runs: kept}
	fail := func(err error) (*Sandbox, error) {
		kept.Hub.Close()
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	if s.git, err = gitrepo.NewBackend(dir, c.Log); err != nil {
		return fail(err)
	}
	site, err := (&page.Page{People: s.People, Log: c.Log}).Handler()
	if err != nil {
		return fail(err)
	}
	if s.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return fail(err)
	}
	var appID int64
	if settings.App != nil {
		appID = settings.App.ID
	}
	s.sender = hooks.New(hooks.Config{Shape: s.shape, AppID: appID, Changed: s.Touch, Log: c.Log})
	s.OnCall = s.Touch
	s.api = &rest.API{Hub: s.Hub, Talk: s.Talk, Checks: s.Runs, Objects: objects.Objects{Hub: s.Hub}, Hooks: s.sender, Shape: s.shape, Log: c.Log}
	handler := s.handler(site)
	if c.Middleware != nil {
		handler = c.Middleware(handler)
	}
	s.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug)}
	s.served.Go(func() {
		if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			c.Log.Error("sandbox", "error", err)
		}
	})
	return s, nil
}

// app makes the key, if there is none, and keeps it for AppKey.
func (s *Sandbox) app(a App) (*account.AppConfig, error) {
	var key *rsa.PrivateKey
	var err error
	if a.Key == nil {
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, fmt.Errorf("make the App's key: %w", err)
		}
		a.Key = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	} else {
		block, _ := pem.Decode(a.Key)
		if block == nil {
			return nil, errors.New("read the App's key: it is not PEM")
		}
		if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
			return nil, fmt.Errorf("read the App's key: %w", err)
		}
	}
	s.key = a.Key
	if a.ID == 0 {
		a.ID = 4711
	}
	if a.Slug == "" {
		a.Slug = "weir"
	}
	return &account.AppConfig{ID: a.ID, Slug: a.Slug, Owner: a.Owner, Key: &key.PublicKey, Permissions: a.Permissions, TokenLife: a.TokenLife}, nil
}

// Close stops serving at once, and delivers nothing more.
func (s *Sandbox) Close() error {
	err := s.server.Close()
	s.served.Wait()
	s.sender.Close()
	s.Hub.Close()
	if err != nil {
		return fmt.Errorf("close sandbox: %w", err)
	}
	return nil
}

// URL is the root of the web page, without a slash at the end.
func (s *Sandbox) URL() string { return "http://" + s.listener.Addr().String() }

// APIURL is the root of the REST API, with a slash at the end.
func (s *Sandbox) APIURL() string { return s.URL() + "/api/v3/" }

// CloneURL is where Git finds a repository.
func (s *Sandbox) CloneURL(repo string) string { return s.URL() + "/" + repo + ".git" }

// AppKey is the App's private key in PEM, nil without an App.
func (s *Sandbox) AppKey() []byte { return s.key }

func (s *Sandbox) shape() shape.Shaper {
	return shape.Shaper{API: s.URL() + "/api/v3", Web: s.URL()}
}

// WaitFor waits until a condition holds: it is asked now and after each change
// of anything, without any lock. An error names what was waited for.
func (s *Sandbox) WaitFor(ctx context.Context, what string, condition func() bool) error {
	for {
		changed := s.Hub.Changed()
		if condition() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		}
	}
}

// WaitComment waits for a comment on a pull request or an issue that fits.
func (s *Sandbox) WaitComment(ctx context.Context, repo string, number int, what string, fits func(Comment) bool) (Comment, error) {
	var found Comment
	err := s.WaitFor(ctx, "a comment on "+repo+"#"+fmt.Sprint(number)+": "+what, func() bool {
		comments, err := s.Comments(repo, number)
		if err != nil {
			return false
		}
		for _, c := range comments {
			if fits(c) {
				found = c
				return true
			}
		}
		return false
	})
	return found, err
}

// WaitCheck waits for a check run (or a commit status, as one) of a commit
// with this name and conclusion; "" stands for one that is not completed.
func (s *Sandbox) WaitCheck(ctx context.Context, repo, sha, name, conclusion string) (CheckRun, error) {
	var found CheckRun
	err := s.WaitFor(ctx, fmt.Sprintf("check %s of %.8s to be %q", name, sha, conclusion), func() bool {
		checks, err := s.Checks(repo, sha)
		if err != nil {
			return false
		}
		for _, c := range checks {
			if c.Name == name && c.Conclusion == conclusion {
				found = c
				return true
			}
		}
		return false
	})
	return found, err
}

// WaitPull waits for a pull request to fit.
func (s *Sandbox) WaitPull(ctx context.Context, repo string, number int, what string, fits func(Pull) bool) (Pull, error) {
	var found Pull
	err := s.WaitFor(ctx, fmt.Sprintf("%s#%d %s", repo, number, what), func() bool {
		p, err := s.Pull(repo, number)
		found = p
		return err == nil && fits(p)
	})
	return found, err
}

// WaitIssue waits for an issue of a repository that fits.
func (s *Sandbox) WaitIssue(ctx context.Context, repo, what string, fits func(Issue) bool) (Issue, error) {
	var found Issue
	err := s.WaitFor(ctx, "an issue of "+repo+": "+what, func() bool {
		issues, err := s.Issues(repo)
		at := slices.IndexFunc(issues, fits)
		if err != nil || at < 0 {
			return false
		}
		found = issues[at]
		return true
	})
	return found, err
}

// WaitDelivered waits until every event has been delivered, or tried to be.
func (s *Sandbox) WaitDelivered(ctx context.Context) error {
	return s.WaitFor(ctx, "deliveries", s.sender.Idle)
}

// SetHook makes all events go to a URL, signed with a secret, beginning with a
// ping.
func (s *Sandbox) SetHook(h Hook) { s.sender.Set(h) }

// Deliveries returns all attempts to deliver, the oldest first.
func (s *Sandbox) Deliveries() []Delivery { return s.sender.Deliveries() }

// Redeliver delivers an attempt's event again, under the same GUID.
func (s *Sandbox) Redeliver(id int64) error { return s.sender.Redeliver(id) }

// HoldDeliveries keeps deliveries back until ReleaseDeliveries.
func (s *Sandbox) HoldDeliveries() { s.sender.Hold() }

// ReleaseDeliveries delivers what was held back, in the order asked for.
func (s *Sandbox) ReleaseDeliveries(o Order) { s.sender.Release(o) }

// PrimaryLimit is a Rule that answers as GitHub does when the hourly limit is
// used up until the given time from now.
func PrimaryLimit(reset time.Duration) Rule { return traffic.PrimaryLimit(reset) }

// SecondaryLimit is a Rule that answers as GitHub does to too much at once.
func SecondaryLimit(after time.Duration) Rule { return traffic.SecondaryLimit(after) }

// handler is everything that the sandbox serves.
func (s *Sandbox) handler(site http.Handler) http.Handler {
	token := func(r *http.Request) string {
		who, err := s.Authenticate(r.Header.Get("Authorization"))
		if err != nil {
			return "bad credentials"
		}
		return who.String()
	}
	api := s.api.Handler()
	root := http.NewServeMux()
	root.Handle("/api/v3/", http.StripPrefix("/api/v3", s.Wrap(s.api.Route, token, api)))
	graph := func(*http.Request) string { return "/api/graphql" }
	root.Handle("POST /api/graphql", s.Wrap(graph, token, &graphql.API{
		Authenticate: s.Authenticate, Minimize: s.Minimize, Answer: s.api.Answer, Fail: s.api.Fail,
	}))
	root.Handle("/", site)
	git := s.Wrap(gitRoute, token, http.HandlerFunc(s.serveGit))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gitRoute(r) != "" {
			git.ServeHTTP(w, r)
			return
		}
		root.ServeHTTP(w, r)
	})
}
