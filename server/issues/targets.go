package issues

import (
	"fmt"

	"weir/drift/finding"
	"weir/drift/notice"
	"weir/server/config"
	"weir/server/notify"
)

// Targets are who is told of drift beside the issues.
func Targets(configured []config.Notify) ([]notice.Target, error) {
	all := make([]notice.Target, len(configured))
	for i, n := range configured {
		sender, err := notify.New(notify.Target{
			Name: n.Name, Format: notify.Format(n.Format), URL: notify.Secret(n.URL.Reveal()), Secret: notify.Secret(n.Secret.Reveal()),
		}, nil)
		if err != nil {
			return nil, fmt.Errorf("configuration: drift.notify[%d]: %w", i, err)
		}
		all[i] = notice.Target{Name: n.Name, Repos: n.Repos, Least: finding.Severity(n.Severity), Sender: sender}
	}
	if err := notice.Check(all); err != nil {
		return nil, fmt.Errorf("configuration: drift.notify: %w", err)
	}
	return all, nil
}
