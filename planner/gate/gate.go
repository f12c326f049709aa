// Package gate gathers what the gate looks at, once, and asks policy.Decide.
// Every door to an apply leads through it.
package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"golang.org/x/sync/errgroup"

	"weir/locks"
	"weir/planner/checkout"
	"weir/planner/project"
	"weir/planner/record"
	"weir/planner/scope"
	"weir/planner/terraform"
	"weir/policy"
	"weir/store"
)

// Facts is what is asked of GitHub.
type Facts interface {
	PullRequest(ctx context.Context, repo string, number int) (scope.PullRequest, error)
	Reviews(ctx context.Context, repo string, number int) ([]policy.Review, error)
	Right(ctx context.Context, repo, login string) (policy.Right, error)
	// Checks returns all check runs and statuses of a commit, and the names
	// that the branch requires (nil where GitHub does not let us know).
	Checks(ctx context.Context, repo, commit, branch string) ([]policy.Check, []string, error)
}

// Teams answers who belongs to a team, written org/team.
type Teams interface {
	Member(ctx context.Context, team, login string) (bool, error)
}

// Hidden is an error of Teams where GitHub does not let weir see the members.
type Hidden interface {
	error
	Hidden() string // says so, and how to change it, in a sentence
}

// Gate gathers facts. All fields but Bases are needed.
type Gate struct {
	Facts     Facts
	Teams     Teams
	Locks     *locks.Locks
	Checkouts *checkout.Repos
	Store     store.Store
	Bases     []string // patterns of branches beside the default one whose pull requests may be applied; may be empty
}

// Question is what is to be decided.
type Question struct {
	PR          scope.PullRequest
	Record      *record.Record
	Trigger     policy.Trigger
	Actor       string   // person who asked for it by a command or a button; "" where nobody did
	Only        []string // IDs of the projects that are asked for; nil: all
	JustPlanned bool     // the plans were made a moment ago on the newest base, which then is not fetched again
}

// Ask gathers all facts and decides. It also returns the reviews as it saw
// them.
func (g *Gate) Ask(ctx context.Context, q Question) (policy.Decision, []policy.Review, error) {
	rec := q.Record
	f := policy.Facts{
		Pull: q.PR.Pull, Mode: rec.Mode, Trigger: q.Trigger, Actor: q.Actor,
		Posted: rec.Posted, Only: q.Only, Rights: map[string]policy.Right{}, Bases: g.Bases,
	}
	var owners map[locks.Key]int
	var touched map[string]bool
	var rules []project.ApprovalRule

	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		f.Reviews, f.Rights, err = g.reviews(gctx, q)
		return err
	})
	group.Go(func() (err error) {
		owners, err = g.owners(gctx, rec)
		return err
	})
	group.Go(func() (err error) {
		base := rec.Base
		if !q.JustPlanned {
			if base, touched, err = g.baseMoved(gctx, q); err != nil {
				return err
			}
		}
		rules, f.Unknown, err = g.rules(gctx, q, base)
		return err
	})
	if err := group.Wait(); err != nil {
		return policy.Decision{}, nil, err
	}

	for _, p := range rec.Projects {
		f.Projects = append(f.Projects, policy.Project{
			ID: p.ID, Stage: p.Stage(), Why: why(p), PlanHead: p.PlanHead, PlanRef: p.PlanRef,
			BaseTouched: touched[p.ID], Digest: p.ChangeDigest,
			Owner: owners[p.Key()],
		})
	}
	var err error
	f.Rules, err = g.matchRules(ctx, rec, rules, f.Reviews)
	var hidden Hidden
	if errors.As(err, &hidden) {
		f.Unknown = hidden.Hidden()
	} else if err != nil {
		return policy.Decision{}, nil, err
	}
	d := policy.Decide(f)
	if d.Open && !q.JustPlanned {
		// GitHub works out whether it can be merged only once it is asked.
		for _, pause := range []time.Duration{time.Second, 2 * time.Second} {
			if f.Pull.Mergeable != nil || !f.Pull.Open {
				break
			}
			if err := sleep(ctx, pause); err != nil {
				return policy.Decision{}, nil, err
			}
			pr, err := g.Facts.PullRequest(ctx, rec.Repo, q.PR.Number)
			if err != nil {
				return policy.Decision{}, nil, err
			}
			f.Pull = pr.Pull
		}
		d = policy.Decide(f)
	}
	if d.Open && f.Pull.MergeableState == "blocked" {
		// What blocks it may be weir's own required check. Only now is it
		// worth several calls to find out.
		if f.Checks, f.Required, err = g.Facts.Checks(ctx, rec.Repo, q.PR.Head, q.PR.Base); err != nil {
			return policy.Decision{}, nil, err
		}
		d = policy.Decide(f)
	}
	return d, f.Reviews, nil
}

// Elsewhere says, in notes for people, why nothing of a merged pull request is
// applied: it was merged into a branch whose pull requests are not. There are
// none where that is not so.
func (g *Gate) Elsewhere(pr scope.PullRequest) []string {
	base := policy.Base(pr.Pull, g.Bases)
	if !pr.Merged || base.Met {
		return nil
	}
	return []string{"Nothing of it is applied: " + base.Reason + "."}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// why says in words why a project has no usable plan.
func why(p record.ProjectRecord) string {
	switch p.State {
	case record.Pending, record.Planning:
		if p.Note != "" {
			return p.Note
		}
		return "not planned yet"
	case record.PlanFailed:
		return "its plan failed"
	case record.ApplyFailed:
		return "its apply failed; it is planned again"
	case record.Interrupted, record.Applying:
		return "its apply was interrupted; it is planned again"
	case record.Skipped:
		return "it waits for a project that it depends on"
	}
	return ""
}

// reviews returns the reviews, and the rights of everybody whose word may
// count: each distinct person is asked for once.
func (g *Gate) reviews(ctx context.Context, q Question) ([]policy.Review, map[string]policy.Right, error) {
	reviews, err := g.Facts.Reviews(ctx, q.Record.Repo, q.Record.Pull)
	if err != nil {
		return nil, nil, err
	}
	people := map[string]bool{}
	for _, r := range reviews {
		if !r.Bot && (r.State == "approved" || r.State == "changes_requested") {
			people[r.Author] = true
		}
	}
	if q.Actor != "" {
		people[q.Actor] = true
	}
	rights := map[string]policy.Right{}
	for login := range people {
		right, err := g.Facts.Right(ctx, q.Record.Repo, login)
		if err != nil {
			return nil, nil, err
		}
		rights[login] = right
	}
	return reviews, rights, nil
}

// owners says who owns the locks of this pull request's projects now.
func (g *Gate) owners(ctx context.Context, rec *record.Record) (map[locks.Key]int, error) {
	owners := map[locks.Key]int{}
	if len(rec.Projects) == 0 {
		return owners, nil
	}
	rows, err := g.Locks.Get(ctx, rec.Repo, rec.Keys(nil))
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		owners[row.Key] = row.Owner
	}
	return owners, nil
}

// baseMoved fetches the base branch and says which projects it has touched
// since they were planned. Of a merged pull request it compares what was
// planned with what was merged.
func (g *Gate) baseMoved(ctx context.Context, q Question) (base string, touched map[string]bool, err error) {
	rec, pr := q.Record, q.PR
	base, err = g.Checkouts.Fetch(ctx, rec.Repo, pr.CloneURL, pr.Base)
	if err != nil {
		return "", nil, err
	}
	if len(rec.Projects) == 0 {
		return base, nil, nil
	}
	if rec.Merge == "" { // planned once, and not any more: nobody knows on what
		touched = map[string]bool{}
		for _, p := range rec.Projects {
			touched[p.ID] = true
		}
		return base, touched, nil
	}
	from, to := rec.Base, base
	if pr.Merged && pr.MergedAs != "" {
		from, to = rec.Merge, pr.MergedAs
	}
	if from == to {
		return base, nil, nil
	}
	changed, err := g.Checkouts.Diff(ctx, rec.Repo, from, to)
	if err != nil {
		return "", nil, err
	}
	if len(changed) == 0 {
		return base, nil, nil
	}
	co, err := g.Checkouts.At(ctx, scope.Again(rec, pr, rec.Base, rec.Head), rec.Merge)
	if err != nil {
		return "", nil, err
	}
	set, failure := scope.Discover(co.Root)
	touched = map[string]bool{}
	for _, p := range rec.Projects {
		// What cannot be found any more counts as touched.
		touched[p.ID] = true
		if failure != "" {
			continue
		}
		for _, found := range set.Projects {
			if found.Dir == p.Dir && found.Workspace == p.Workspace {
				touched[p.ID] = set.Touches(found, changed)
			}
		}
		if p.Deleted {
			touched[p.ID] = false
		}
	}
	return base, touched, nil
}

// rules reads the approval rules of the base branch (I7). unknown says why
// they cannot be read, in words.
func (g *Gate) rules(ctx context.Context, q Question, base string) (rules []project.ApprovalRule, unknown string, err error) {
	cfg, failure, err := scope.Finder{Checkouts: g.Checkouts}.BaseConfig(ctx, q.Record.Repo, base)
	if err != nil {
		return nil, "", err
	}
	if failure != "" {
		return nil, fmt.Sprintf("%s of %s cannot be read, so nobody knows what it requires: %s", project.File, q.PR.Base, failure), nil
	}
	return cfg.Approvals, "", nil
}

// matchRules turns the rules whose conditions these plans meet into what the
// gate asks for. A rule applies if one project matches all its conditions.
func (g *Gate) matchRules(ctx context.Context, rec *record.Record, rules []project.ApprovalRule, reviews []policy.Review) ([]policy.Rule, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	runs, err := rec.Runs(ctx, g.Store)
	if err != nil {
		return nil, err
	}
	var out []policy.Rule
	for _, rule := range rules {
		var because string
		for _, p := range rec.Projects {
			if p.State != record.Planned {
				continue
			}
			if what := ruleMatches(rule, p, runs[p.Run].Summary); what != "" {
				because = p.ID + " " + what
				break
			}
		}
		if because == "" {
			continue
		}
		among, who, err := g.among(ctx, rule.Require, reviews)
		if err != nil {
			return nil, err
		}
		count := max(rule.Require.Count, 1)
		noun := "approvals"
		if count == 1 {
			noun = "approval"
		}
		out = append(out, policy.Rule{
			Count: count, Among: among,
			Text: fmt.Sprintf("%d %s%s, because %s", count, noun, who, because),
		})
	}
	return out, nil
}

// ruleMatches says what of a plan meets all conditions of a rule, in words,
// or "" if nothing does.
func ruleMatches(rule project.ApprovalRule, p record.ProjectRecord, s *terraform.Summary) string {
	in := func(patterns []string, name string) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool {
			ok, err := doublestar.Match(pattern, name)
			return ok && err == nil
		})
	}
	w := rule.When
	if len(w.Dirs) > 0 && !in(w.Dirs, p.Dir) {
		return ""
	}
	if len(w.Actions) == 0 && len(w.Types) == 0 {
		return "changes"
	}
	if s == nil {
		return "has a plan that cannot be read any more"
	}
	if len(s.Changes) == 0 {
		return ""
	}
	for _, c := range s.Changes {
		actions := []string{string(c.Action)}
		if c.Importing != "" {
			actions = append(actions, "import")
		}
		if c.Previous != "" {
			actions = append(actions, "move")
		}
		if len(w.Actions) > 0 && !slices.ContainsFunc(actions, func(a string) bool { return slices.Contains(w.Actions, a) }) {
			continue
		}
		if len(w.Types) > 0 && !in(w.Types, c.Type) {
			continue
		}
		return fmt.Sprintf("would %s %s", c.Action, c.Address)
	}
	if s.Cut {
		return "has a plan too large to look through"
	}
	return ""
}

// among finds those who approved and count for a rule; nil means everybody
// with write access.
func (g *Gate) among(ctx context.Context, require project.Require, reviews []policy.Review) (logins []string, text string, err error) {
	if len(require.Teams) == 0 && len(require.Users) == 0 {
		return nil, "", nil
	}
	logins = slices.Clone(require.Users)
	asked := map[string]bool{}
	for _, r := range reviews {
		if r.State != "approved" || asked[r.Author] {
			continue
		}
		asked[r.Author] = true
		for _, team := range require.Teams {
			ok, err := g.Teams.Member(ctx, team, r.Author)
			if err != nil {
				return nil, "", err
			}
			if ok {
				logins = append(logins, r.Author)
			}
		}
	}
	if logins == nil {
		logins = []string{}
	}
	return logins, " of " + strings.Join(append(slices.Clone(require.Teams), require.Users...), ", "), nil
}
