package github

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"
	"golang.org/x/sync/errgroup"

	"weir/planner/result"
	"weir/policy"
	"weir/server/github/rest"
)

// requiredFor is how long a branch's required checks are remembered. GitHub
// itself looks at them when it merges, so that a short delay is harmless.
const requiredFor = time.Minute

// branchKey is a branch of a repository.
type branchKey struct{ repo, branch string }

// requiredChecks is what a branch required when it was asked for.
type requiredChecks struct {
	names []string // nil: not known
	asked time.Time
}

// Checks returns the check runs and statuses of a commit, the newest of each
// name, and the names that the branch requires: nil where GitHub does not let
// weir know all of them. Where they are known, check runs and statuses are only
// asked for as far as required ones of others can be among them.
//
// Own are the check runs of this App; with a token, the statuses whose name
// begins with "weir/". Where GitHub does not let weir see the check runs, or the
// statuses, one check that is not good stands for them all, so that nothing
// passes for good that nobody looked at.
func (g *Client) Checks(ctx context.Context, repo, commit, branch string) ([]policy.Check, []string, error) {
	required, err := g.requiredOf(ctx, repo, branch)
	if err != nil {
		return nil, nil, err
	}
	if required != nil && !slices.ContainsFunc(required, func(name string) bool { return !isOwn(name) }) {
		return nil, required, nil // nobody else's check is required
	}
	checks, err := g.checkRuns(ctx, repo, commit)
	if err != nil {
		return nil, nil, err
	}
	if required != nil && !slices.ContainsFunc(required, func(name string) bool {
		return !isOwn(name) && !slices.ContainsFunc(checks, func(c policy.Check) bool { return c.Name == name })
	}) {
		return checks, required, nil // no status can be among the required ones
	}
	statuses, err := g.statuses(ctx, repo, commit)
	return append(checks, statuses...), required, err
}

func (g *Client) checkRuns(ctx context.Context, repo, commit string) ([]policy.Check, error) {
	path, err := rest.RepoPath(repo, "commits", commit, "check-runs")
	if err != nil {
		return nil, err
	}
	checks := []policy.Check{}
	list := rest.Get(path, nil)
	list.Absent = true
	err = rest.Pages(ctx, g.api, repo, "list check runs of "+repo+"@"+commit, list, func(page github.ListCheckRunsResults) {
		for _, r := range page.CheckRuns {
			state := "pending"
			if r.GetStatus() == "completed" {
				state = r.GetConclusion()
			}
			checks = append(checks, policy.Check{
				Name: r.GetName(), State: state,
				Own: g.api.AppID() != 0 && r.GetApp().GetID() == g.api.AppID(),
			})
		}
	})
	return hiddenOr(checks, err, "the list of check runs")
}

// hiddenOr returns the checks, or one that stands for them if GitHub did not
// let weir see them.
func hiddenOr(checks []policy.Check, err error, list string) ([]policy.Check, error) {
	known, err := allowed(err)
	if err == nil && !known {
		return []policy.Check{{Name: list, State: "hidden from weir"}}, nil
	}
	return checks, err
}

func (g *Client) statuses(ctx context.Context, repo, commit string) ([]policy.Check, error) {
	path, err := rest.RepoPath(repo, "commits", commit, "status")
	if err != nil {
		return nil, err
	}
	var checks []policy.Check
	list := rest.Get(path, nil)
	list.Absent = true
	err = rest.Pages(ctx, g.api, repo, "list statuses of "+repo+"@"+commit, list, func(page github.CombinedStatus) {
		for _, s := range page.Statuses {
			checks = append(checks, policy.Check{
				Name: s.GetContext(), State: s.GetState(),
				Own: g.api.AppID() == 0 && isOwn(s.GetContext()),
			})
		}
	})
	return hiddenOr(checks, err, "the list of commit statuses")
}

func isOwn(name string) bool {
	prefix, _, _ := strings.Cut(result.CheckPlan, "/")
	return strings.HasPrefix(name, prefix+"/")
}

// requiredOf returns the checks that a branch requires, from memory if they
// were asked for a moment ago.
func (g *Client) requiredOf(ctx context.Context, repo, branch string) ([]string, error) {
	key := branchKey{strings.ToLower(repo), branch}
	g.mu.Lock()
	r, ok := g.required[key]
	g.mu.Unlock()
	if ok && time.Since(r.asked) < requiredFor {
		return r.names, nil
	}
	names, err := g.askRequired(ctx, repo, branch)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.required, func(_ branchKey, r requiredChecks) bool { return time.Since(r.asked) >= requiredFor })
	g.required[key] = requiredChecks{names: names, asked: time.Now()}
	return names, nil
}

// askRequired joins what rulesets and the older branch protection require. If
// weir may not read either of them, nothing is known.
func (g *Client) askRequired(ctx context.Context, repo, branch string) ([]string, error) {
	var ruled, protected []string
	var rulesKnown, protectionKnown bool
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		ruled, rulesKnown, err = g.ruled(ctx, repo, branch)
		return err
	})
	both.Go(func() (err error) {
		protected, protectionKnown, err = g.protected(ctx, repo, branch)
		return err
	})
	if err := both.Wait(); err != nil || !rulesKnown || !protectionKnown {
		return nil, err
	}
	names := append(append([]string{}, ruled...), protected...)
	slices.Sort(names)
	return slices.Compact(names), nil
}

// ruled returns the checks that rulesets require of a branch, and whether
// GitHub let weir know.
func (g *Client) ruled(ctx context.Context, repo, branch string) ([]string, bool, error) {
	path, err := rest.RepoPath(repo, "rules", "branches", branch)
	if err != nil {
		return nil, false, err
	}
	// go-github's own type refuses kinds of rules that are newer than it.
	type rule struct {
		Type       string `json:"type"`
		Parameters struct {
			Checks []struct {
				Context string `json:"context"`
			} `json:"required_status_checks"`
		} `json:"parameters"`
	}
	list := rest.Get(path, nil)
	list.Absent = true
	var names []string
	err = rest.Pages(ctx, g.api, repo, "read the rules of branch "+branch+" of "+repo, list, func(page []rule) {
		for _, r := range page {
			if r.Type != "required_status_checks" {
				continue
			}
			for _, c := range r.Parameters.Checks {
				names = append(names, c.Context)
			}
		}
	})
	known, err := allowed(err)
	return names, known, err
}

// protected returns the checks that the protection of a branch requires, and
// whether GitHub let weir know. The branch itself names them to everybody who
// can read it; the protection proper needs administration rights.
func (g *Client) protected(ctx context.Context, repo, branch string) ([]string, bool, error) {
	path, err := rest.RepoPath(repo, "branches", branch)
	if err != nil {
		return nil, false, err
	}
	type protection struct {
		Required *struct {
			Contexts []string `json:"contexts"`
		} `json:"required_status_checks"`
	}
	var b struct {
		Protected  bool        `json:"protected"`
		Protection *protection `json:"protection"`
	}
	what := "read the protection of branch " + branch + " of " + repo
	c := rest.Get(path, &b)
	c.Absent = true
	_, err = g.api.In(ctx, repo, what, c)
	known, err := allowed(err)
	switch {
	case err != nil:
		return nil, false, err
	case known && !b.Protected:
		return nil, true, nil
	case known && b.Protection != nil && b.Protection.Required != nil:
		return b.Protection.Required.Contexts, true, nil
	}

	var p protection
	c = rest.Get(path+"/protection", &p)
	c.Absent = true
	_, err = g.api.In(ctx, repo, what, c)
	var missing *NotFoundError
	if errors.As(err, &missing) && missing.Message == "Branch not protected" {
		return nil, true, nil
	}
	if known, err = allowed(err); !known || p.Required == nil {
		return nil, known, err
	}
	return p.Required.Contexts, true, nil
}

// allowed takes a refusal to tell for what it is.
func allowed(err error) (known bool, _ error) {
	switch rest.StatusOf(err) {
	case http.StatusForbidden, http.StatusNotFound:
		return false, nil
	}
	return err == nil, err
}
