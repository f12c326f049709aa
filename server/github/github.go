// Package github is all that weir says to GitHub and asks of it: the calls and
// what they mean. How a call is made, and made again, is in package rest.
package github

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"

	"weir/server/github/branch"
	"weir/server/github/issue"
	"weir/server/github/rest"
)

type (
	// Config says which GitHub to speak to, and as whom.
	Config = rest.Config
	// App is a GitHub App's identity.
	App = rest.App

	// Error is what came of a call that GitHub refused or did not answer.
	Error = rest.Error
	// NotFoundError says that something does not exist, or not for weir.
	NotFoundError = rest.NotFoundError
	// NotServedError says that the App cannot act in a repository.
	NotServedError = rest.NotServedError
	// RateLimitError says that GitHub answers no more before some time.
	RateLimitError = rest.RateLimitError
	// UnsupportedError says that this GitHub does not offer something.
	UnsupportedError = rest.UnsupportedError
	// TakenError says that somebody works on a branch of weir's.
	TakenError = branch.TakenError
	// RefusedError says what keeps weir from having issues somewhere.
	RefusedError = issue.RefusedError
)

// StaticToken returns a token that never changes, for Config.Token.
func StaticToken(token string) func() (string, error) { return rest.StaticToken(token) }

// TokenFile returns the token that a file holds, for Config.Token; it is read
// again when the file has changed.
func TokenFile(path string) func() (string, error) { return rest.TokenFile(path) }

// Client speaks to one GitHub. Its methods may be called at the same time.
type Client struct {
	*issue.Issues
	*branch.Branches

	api *rest.Client

	mu       sync.Mutex
	who      *identity
	graphOff time.Time // GraphQL is not tried before
	required map[branchKey]requiredChecks
}

// identity is who weir is on GitHub.
type identity struct {
	login string // "" where GitHub does not tell
	appID int64  // 0 with a token
	alone bool   // nobody else's login is told apart from weir's own
}

// wrote reports whether an account is weir's. Where GitHub does not tell weir
// its own login it acts as some App, whose comments are a bot's. A server that
// knows no users at all cannot tell; what is asked of it is then by weir if it
// names a job of weir's, whose id nobody knew before.
func (who *identity) wrote(u *github.User) bool {
	switch {
	case who.login != "":
		return strings.EqualFold(u.GetLogin(), who.login)
	case who.alone:
		return true
	}
	return u.GetType() == "Bot" || strings.HasSuffix(u.GetLogin(), "[bot]")
}

// New returns a Client. It asks GitHub nothing. What is wrong with the
// configuration it says without showing a secret.
func New(c Config) (*Client, error) {
	api, err := rest.New(c)
	if err != nil {
		return nil, err
	}
	g := &Client{api: api, required: map[branchKey]requiredChecks{}}
	g.Issues = &issue.Issues{API: api, Own: g.own}
	g.Branches = &branch.Branches{API: api, Own: g.own}
	return g, nil
}

// Close lets go of idle connections.
func (g *Client) Close() { g.api.Close() }

// Token returns a token for Git, valid for a minute at least. With an App it
// is the installation's, and so good for all of its repositories.
func (g *Client) Token(ctx context.Context, repo string) (string, error) {
	return g.api.Token(ctx, repo)
}

// Remember notes which installation of the App a delivery about a repository
// came from, so that the first call there need not ask for it. It is for
// deliveries whose signature was verified; 0 is ignored, and what was wrong is
// found out and put right by the calls that follow.
func (g *Client) Remember(repo string, installation int64) { g.api.Remember(repo, installation) }

// Self returns the login under which weir's comments appear ("" where GitHub
// does not tell, as with the token of a workflow), and the App's id (0 with a
// token). It asks GitHub once.
func (g *Client) Self(ctx context.Context) (login string, appID int64, err error) {
	who, err := g.self(ctx)
	if err != nil {
		return "", 0, err
	}
	return who.login, who.appID, nil
}

// own returns what tells weir's own account from others.
func (g *Client) own(ctx context.Context) (func(*github.User) bool, error) {
	who, err := g.self(ctx)
	if err != nil {
		return nil, err
	}
	return who.wrote, nil
}

func (g *Client) self(ctx context.Context) (*identity, error) {
	g.mu.Lock()
	who := g.who
	g.mu.Unlock()
	if who != nil {
		return who, nil
	}
	who, err := g.askSelf(ctx)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.who = who
	g.mu.Unlock()
	return who, nil
}

func (g *Client) askSelf(ctx context.Context) (*identity, error) {
	if g.api.AppID() != 0 {
		var app struct {
			Slug string `json:"slug"`
		}
		err := g.api.AsSelf(ctx, "ask who weir is", rest.Get("app", &app))
		if err != nil && rest.StatusOf(err) != http.StatusNotFound {
			return nil, err
		}
		who := &identity{appID: g.api.AppID()}
		if app.Slug != "" {
			who.login = app.Slug + "[bot]"
		}
		return who, nil
	}
	var user struct {
		Login string `json:"login"`
	}
	err := g.api.AsSelf(ctx, "ask who weir is", rest.Get("user", &user))
	switch status := rest.StatusOf(err); {
	case status == http.StatusForbidden:
		return &identity{}, nil // a token without a user
	case status == http.StatusNotFound:
		return &identity{alone: true}, nil
	case err != nil:
		return nil, err
	}
	return &identity{login: user.Login, alone: user.Login == ""}, nil
}
