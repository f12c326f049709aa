package drift

import (
	"context"
	"slices"
	"time"

	"weir/drift/evidence"
	"weir/drift/finding"
	"weir/drift/kind"
	"weir/drift/rule"
	"weir/planner/project"
	"weir/planner/terraform"
)

// explain classifies what a plan of a project shows, and applies the rules of
// weir.yaml.
func (s *survey) explain(ctx context.Context, check *finding.Check, p project.Project, driftRule *project.DriftRule, plan *terraform.Plan) error {
	made := evidence.Plan{Summary: plan.Summary, Terraform: plan.Version, Providers: plan.Providers}
	e, err := evidence.Gatherer{Store: s.Store, Checkouts: s.Checkouts, Log: s.Log}.Of(ctx, evidence.Place{Repo: s.job.Repo, Root: s.co.Root, Head: s.head}, p, made)
	if err != nil {
		return err
	}
	found, cut := kind.Classify(e)
	judged := rule.Judge(found, rulesOf(driftRule), time.Now())
	check.Findings, check.Cut = judged.Findings, cut || judged.Cut
	check.Ended, check.Unused = judged.Ended, judged.Unused
	s.blame(ctx, check, plan, e.Applied)
	return nil
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
	answers, nobody := s.Witness.Who(ctx, open, plan.Before, since, check.Started)
	for i := range check.Findings {
		f := &check.Findings[i]
		if f.By != nil {
			continue
		}
		if by, ok := answers[f.Key()]; ok {
			f.By = &by
		} else {
			f.Nobody = nobody[f.Key()]
		}
	}
}
