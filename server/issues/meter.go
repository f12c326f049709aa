package issues

import (
	"context"

	"weir/drift"
	"weir/server/meter"
	"weir/store"
)

// Meter reads what the metrics tell of drift.
func Meter(ctx context.Context, s store.Store) ([]meter.DriftProject, error) {
	known, err := drift.Read(ctx, s, "")
	if err != nil {
		return nil, err
	}
	states, err := drift.States(ctx, s)
	if err != nil {
		return nil, err
	}
	projects := make([]meter.DriftProject, 0, len(known)+len(states))
	for _, state := range states {
		projects = append(projects, meter.DriftProject{Repo: state.Repo, Failed: state.Failure != "" || state.Schedule != ""})
	}
	for _, k := range known {
		c := k.Check
		open := c.Open()
		p := meter.DriftProject{
			Repo: c.Repo, Project: c.Project, Failed: c.Failure != "", Checked: c.Started, Since: k.Since,
			Hidden: len(c.Findings) - len(open), Findings: map[meter.DriftFinding]int{},
		}
		for _, f := range open {
			p.Findings[meter.DriftFinding{Kind: string(f.Kind), Severity: string(f.Severity)}]++
		}
		projects = append(projects, p)
	}
	return projects, nil
}
