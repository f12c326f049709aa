package issues

import (
	"context"
	"log/slog"
	"time"

	"weir/drift/cloudtrail"
	"weir/drift/finding"
)

// Witness is a drift.Witness that asks AWS CloudTrail.
type Witness struct {
	Trail *cloudtrail.Trail
	Log   *slog.Logger
}

// Who asks CloudTrail. What keeps it from knowing is logged.
func (w Witness) Who(ctx context.Context, found []finding.Finding, before map[string]map[string]any, since, until time.Time) (by map[finding.Key]finding.By, nobody map[finding.Key]string) {
	q := cloudtrail.Question{Findings: found, Resources: map[string]cloudtrail.Resource{}, Since: since, Until: until}
	for _, f := range found {
		if values := before[f.Address]; values != nil {
			q.Resources[f.Address] = cloudtrail.Identify(f.Type, values)
		}
	}
	answers := w.Trail.Who(ctx, q)
	for _, trouble := range answers.Trouble {
		w.Log.Warn("who did it cannot be found out", "why", trouble)
	}
	return answers.By, answers.Unknown
}
