package rest

import (
	"context"

	"github.com/google/go-github/v60/github"
)

// InInstallation makes a call as the App in one of its installations, whatever
// repositories that holds. It is for an App alone.
func (g *Client) InInstallation(ctx context.Context, id int64, what string, c Call) (*github.Response, error) {
	return g.run(ctx, what, c, steady(func(context.Context) (*session, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.sessionOf(id)
	}))
}

// Answer is AsSelf for lists: it returns what leads to the next page too.
func (g *Client) Answer(ctx context.Context, what string, c Call) (*github.Response, error) {
	return g.run(ctx, what, c, steady(func(context.Context) (*session, error) { return g.direct, nil }))
}

// steady is an agent whose credentials nothing could replace.
func steady(as func(context.Context) (*session, error)) agent {
	return agent{
		session: as,
		renew:   func(context.Context, *session, bool) bool { return false },
		guessed: func(*session) bool { return false },
	}
}
