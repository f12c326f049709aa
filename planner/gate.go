package planner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"golang.org/x/sync/errgroup"

	"weir/locks"
	"weir/planner/checkout"
	"weir/planner/project"
	"weir/planner/terraform"
	"weir/policy"
)

// gate gathers all facts and decides. justPlanned says that the plans were
// made a moment ago on the newest base, which then is not fetched again.
func (t *task) gate(ctx context.Context, trigger policy.Trigger, only []string, justPlanned bool) (policy.Decision, error) {
	f := policy.Facts{
		Pull: t.pr.Pull, Mode: t.rec.Mode, Trigger: trigger, Actor: t.job.Actor,
		Posted: t.rec.Posted, Only: only, Rights: map[string]policy.Right{},
	}
	var owners map[locks.Key]int
	var touched map[string]bool
	var rules []project.ApprovalRule

	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		f.Reviews, f.Rights, err = t.reviews(gctx)
		t.seen = f.Reviews
		return err
	})
	g.Go(func() (err error) {
		owners, err = t.owners(gctx)
		return err
	})
	g.Go(func() (err error) {
		base := t.rec.Base
		if !justPlanned {
			if base, touched, err = t.baseMoved(gctx); err != nil {
				return err
			}
		}
		rules, f.Unknown, err = t.rules(gctx, base)
		return err
	})
	if err := g.Wait(); err != nil {
		return policy.Decision{}, err
	}

	for _, p := range t.rec.Projects {
		f.Projects = append(f.Projects, policy.Project{
			ID: p.ID, Stage: p.Stage(), Why: why(p), PlanHead: p.PlanHead,
			BaseTouched: touched[p.ID], Digest: p.ChangeDigest,
			Owner: owners[locks.Key{Dir: p.Dir, Workspace: p.Workspace}],
		})
	}
	var err error
	if f.Rules, err = t.matchRules(ctx, rules, f.Reviews); err != nil {
		return policy.Decision{}, err
	}
	d := policy.Decide(f)
	if d.Open && f.Pull.MergeableState == "blocked" {
		// What blocks it may be weir's own required check. Only now is it
		// worth several calls to find out.
		if f.Checks, f.Required, err = t.Facts.Checks(ctx, t.job.Repo, t.pr.Head, t.pr.Base); err != nil {
			return policy.Decision{}, err
		}
		d = policy.Decide(f)
	}
	return d, nil
}

// why says in words why a project has no usable plan.
func why(p ProjectRecord) string {
	switch p.State {
	case Pending, Planning:
		if p.Note != "" {
			return p.Note
		}
		return "not planned yet"
	case PlanFailed:
		return "its plan failed"
	case ApplyFailed:
		return "its apply failed; it is planned again"
	case Interrupted, Applying:
		return "its apply was interrupted; it is planned again"
	case Skipped:
		return "it waits for a project that it depends on"
	}
	return ""
}

// reviews returns the reviews, and the rights of everybody whose word may
// count: each distinct person is asked for once.
func (t *task) reviews(ctx context.Context) ([]policy.Review, map[string]policy.Right, error) {
	reviews, err := t.Facts.Reviews(ctx, t.job.Repo, t.job.Pull)
	if err != nil {
		return nil, nil, err
	}
	people := map[string]bool{}
	for _, r := range reviews {
		if !r.Bot && (r.State == "approved" || r.State == "changes_requested") {
			people[r.Author] = true
		}
	}
	if t.job.Actor != "" && t.job.Command != nil {
		people[t.job.Actor] = true
	}
	rights := map[string]policy.Right{}
	for login := range people {
		right, err := t.Facts.Right(ctx, t.job.Repo, login)
		if err != nil {
			return nil, nil, err
		}
		rights[login] = right
	}
	return reviews, rights, nil
}

// owners says who owns the locks of this pull request's projects now.
func (t *task) owners(ctx context.Context) (map[locks.Key]int, error) {
	owners := map[locks.Key]int{}
	if len(t.rec.Projects) == 0 {
		return owners, nil
	}
	rows, err := t.Locks.Get(ctx, t.job.Repo, t.keys(nil))
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		owners[row.Key] = row.Owner
	}
	return owners, nil
}

// keys returns the lock keys of the projects of the record, or of those among
// them whose ID is in only.
func (t *task) keys(only []string) []locks.Key {
	var keys []locks.Key
	for _, p := range t.rec.Projects {
		if only == nil || slices.Contains(only, p.ID) {
			keys = append(keys, locks.Key{Dir: p.Dir, Workspace: p.Workspace})
		}
	}
	return keys
}

// baseMoved fetches the base branch and says which projects it has touched
// since they were planned. Of a merged pull request it compares what was
// planned with what was merged.
func (t *task) baseMoved(ctx context.Context) (base string, touched map[string]bool, err error) {
	base, err = t.Checkouts.Fetch(ctx, t.job.Repo, t.pr.CloneURL, t.pr.Base)
	if err != nil {
		return "", nil, err
	}
	if len(t.rec.Projects) == 0 || t.rec.Merge == "" {
		return base, nil, nil
	}
	from, to := t.rec.Base, base
	if t.pr.Merged && t.pr.MergedAs != "" {
		from, to = t.rec.Merge, t.pr.MergedAs
	}
	if from == to {
		return base, nil, nil
	}
	changed, err := t.Checkouts.Diff(ctx, t.job.Repo, from, to)
	if err != nil {
		return "", nil, err
	}
	if len(changed) == 0 {
		return base, nil, nil
	}
	co, err := t.Checkouts.At(ctx, t.request(), t.rec.Merge)
	if err != nil {
		return "", nil, err
	}
	set, failure := t.discover(co)
	touched = map[string]bool{}
	for _, p := range t.rec.Projects {
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
func (t *task) rules(ctx context.Context, base string) (rules []project.ApprovalRule, unknown string, err error) {
	cfg, failure, err := t.baseConfig(ctx, base)
	if err != nil {
		return nil, "", err
	}
	if failure != "" {
		return nil, fmt.Sprintf("%s of %s cannot be read, so nobody knows what it requires: %s", project.File, t.pr.Base, failure), nil
	}
	return cfg.Approvals, "", nil
}

// baseConfig reads weir.yaml as it stands in a commit of the base branch.
func (t *task) baseConfig(ctx context.Context, base string) (cfg *project.Config, failure string, err error) {
	data, err := t.Checkouts.File(ctx, t.job.Repo, base, project.File)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = nil, nil
	}
	if err != nil {
		return nil, "", err
	}
	cfg, bad := project.Parse(project.File, data)
	if bad != nil {
		return nil, bad.Error(), nil
	}
	return cfg, "", nil
}

// matchRules turns the rules whose conditions these plans meet into what the
// gate asks for. A rule applies if one project matches all its conditions.
func (t *task) matchRules(ctx context.Context, rules []project.ApprovalRule, reviews []policy.Review) ([]policy.Rule, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	runs, err := t.runs(ctx)
	if err != nil {
		return nil, err
	}
	var out []policy.Rule
	for _, rule := range rules {
		var because string
		for _, p := range t.rec.Projects {
			if p.State != Planned {
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
		among, who, err := t.among(ctx, rule.Require, reviews)
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
func ruleMatches(rule project.ApprovalRule, p ProjectRecord, s *terraform.Summary) string {
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
func (t *task) among(ctx context.Context, require project.Require, reviews []policy.Review) (logins []string, text string, err error) {
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
			ok, err := t.Teams.Member(ctx, team, r.Author)
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

// request names what to check out for this pull request.
func (t *task) request() checkout.Request {
	return checkout.Request{
		Repo: t.job.Repo, CloneURL: t.pr.CloneURL, Pull: t.job.Pull,
		BaseRef: t.pr.Base, HeadRef: t.pr.HeadRef, Head: t.pr.Head,
	}
}
