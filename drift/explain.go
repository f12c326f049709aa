package drift

import (
	"context"
	"errors"
	"path"
	"slices"
	"time"

	"weir/drift/finding"
	"weir/drift/kind"
	"weir/drift/rule"
	"weir/planner/checkout"
	"weir/planner/ledger"
	"weir/planner/project"
	"weir/planner/terraform"
)

// maxCommits is how many commits since the last apply are looked at.
const maxCommits = 30

// explain classifies what a plan of a project shows, and applies the rules of
// weir.yaml.
func (s *survey) explain(ctx context.Context, check *finding.Check, p project.Project, driftRule *project.DriftRule, plan *terraform.Plan) error {
	e := kind.Evidence{Summary: plan.Summary, Now: kind.Versions{Terraform: plan.Version, Providers: plan.Providers}}
	if !plan.Summary.Empty() || len(plan.Summary.Drift) > 0 {
		if err := s.evidence(ctx, &e, p); err != nil {
			return err
		}
	}
	found, cut := kind.Classify(e)
	judged := rule.Judge(found, rulesOf(driftRule), time.Now())
	check.Findings, check.Cut = judged.Findings, cut || judged.Cut
	check.Ended, check.Unused = judged.Ended, judged.Unused
	s.blame(ctx, check, plan, e.Applied)
	return nil
}

// evidence adds what is known of the project's last apply, and of the commits
// since.
func (s *survey) evidence(ctx context.Context, e *kind.Evidence, p project.Project) error {
	last, ok, err := ledger.Read(ctx, s.Store, s.job.Repo, p.ID())
	if err != nil {
		return err
	}
	from := ""
	if ok && last.Last.Dir == p.Dir && last.Last.Workspace == p.Workspace { // and not another of that name
		e.Applied = applied(last.Last)
		from = last.Last.Base
		contains, err := s.Checkouts.Contains(ctx, s.job.Repo, s.head, from)
		var gone *checkout.GoneError
		switch {
		case errors.As(err, &gone), err == nil && !contains:
			e.Applied.Gone, from = true, ""
		case err != nil:
			return err
		}
	}
	commits, err := s.Checkouts.Commits(ctx, s.job.Repo, from, s.head, maxCommits, filesOf(p)...)
	if err != nil {
		return err
	}
	pulls, err := ledger.Merges(ctx, s.Store, s.job.Repo)
	if err != nil {
		return err
	}
	for _, c := range commits {
		e.Since = append(e.Since, kind.Touch{Commit: c.ID, Pull: pulls[c.ID], Files: c.Files})
	}
	e.Now.Modules, err = s.touched(ctx, p, commits, e.Since)
	return err
}

func applied(e ledger.Entry) *kind.Apply {
	a := &kind.Apply{
		Commit: e.Base, Pull: e.Pull, When: e.When, Failed: !e.Whole(), Inputs: e.Inputs, MergedAs: e.Fate.MergedAs,
		More:     e.Fate.Head != "" && e.Fate.Head != e.Head,
		Versions: kind.Versions{Terraform: e.Terraform, Providers: e.Providers, Modules: e.Modules},
	}
	switch {
	case e.Fate.Merged:
		a.State = kind.Landed
	case e.Fate.Closed:
		a.State = kind.Closed
	default:
		a.State = kind.Open
	}
	return a
}

// filesOf are the paths that a project is made of.
func filesOf(p project.Project) []string {
	paths := append([]string{p.Dir}, p.Modules...)
	for _, file := range p.VarFiles {
		paths = append(paths, path.Join(p.Dir, file))
	}
	return paths
}

func rulesOf(r *project.DriftRule) rule.Rules {
	var rules rule.Rules
	if r == nil {
		return rules
	}
	for _, s := range r.Severity {
		for _, t := range orAny(s.Types) {
			for _, a := range orAny(s.Attributes) {
				rules.Severities = append(rules.Severities, rule.Severity{Type: t, Attribute: a, Severity: finding.Severity(s.Severity)})
			}
		}
	}
	for _, i := range r.Ignore {
		rules.Ignores = append(rules.Ignores, rule.Ignore{
			Address: i.Address, Attribute: i.Attribute, Owner: i.Owner, Reason: i.Reason, Until: i.Until,
		})
	}
	return rules
}

// orAny are patterns, or the one that everything fits.
func orAny(patterns []string) []string {
	if len(patterns) == 0 {
		return []string{"*"}
	}
	return patterns
}

// blame adds who did what was done outside. What an earlier check has learnt
// stays for as long as the finding does: logs end.
func (s *survey) blame(ctx context.Context, check *finding.Check, plan *terraform.Plan, last *kind.Apply) {
	if s.Witness == nil {
		return
	}
	known := map[finding.Key]*finding.By{}
	before := s.known[check.Project]
	for _, f := range slices.Concat(before.Blamed, before.Check.Findings) {
		known[f.Key()] = f.By
	}
	var open []finding.Finding
	for i := range check.Findings {
		f := &check.Findings[i]
		if f.By = known[f.Key()]; f.By == nil && f.Ignored == nil {
			open = append(open, *f)
		}
	}
	if len(open) == 0 {
		return
	}
	var since time.Time
	if last != nil {
		since = last.When
	}
	answers := s.Witness.Who(ctx, open, plan.Before, since, check.Started)
	for i := range check.Findings {
		if by, ok := answers[check.Findings[i].Key()]; ok && check.Findings[i].By == nil {
			check.Findings[i].By = &by
		}
	}
}
