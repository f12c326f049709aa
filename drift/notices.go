package drift

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/drift/notice"
	"weir/planner/work"
)

// notices is the topic of jobs that tell other places than GitHub.
const notices = "notices"

// queueNotices has other places told what became different. What they have
// heard is compared then, so that it does no harm to ask twice.
func (d *Drift) queueNotices(ctx context.Context, repo string) error {
	if len(d.Targets) == 0 {
		return nil
	}
	_, err := d.Queue.Accept(ctx, "", work.Job{Kind: work.Drift, Repo: repo, Topic: notices, Trigger: "drift check"})
	return err
}

// notify tells other places what became different. Who does not take it is kept
// for the page.
func (d *Drift) notify(ctx context.Context, j work.Job) error {
	known, err := Read(ctx, d.Store, j.Repo)
	if err != nil {
		return err
	}
	state, _, err := d.state(ctx, j.Repo)
	if err != nil {
		return err
	}
	var now []notice.Project
	for _, k := range known {
		p := notice.Project{Check: k.Check, Issue: k.Issue}
		if k.Issue != 0 && state.URL != "" {
			p.IssueURL = fmt.Sprintf("%s/issues/%d", state.URL, k.Issue)
		}
		now = append(now, p)
	}
	repo := notice.Repo{Name: j.Repo, Page: d.Page(), Commit: state.Commit, At: state.At}
	refusals, failed := notice.Book{Store: d.Store, Targets: d.Targets}.Tell(ctx, repo, now)
	var unheard []string
	for _, r := range refusals {
		d.Log.Warn("a notice of drift was refused", "repo", j.Repo, "target", r.Target, "why", r.Reason)
		unheard = append(unheard, fmt.Sprintf("%s was not told: %s", r.Target, sentence(r.Reason)))
	}
	var later interface{ Later() time.Time }
	if errors.As(failed, &later) {
		unheard = append(unheard, "Somebody asked weir to wait; it is tried again at "+later.Later().UTC().Format("15:04 UTC")+".")
	}
	if slices.Equal(state.Unheard, unheard) {
		return failed
	}
	return errors.Join(failed, d.editState(ctx, j.Repo, func(s *State) { s.Unheard = unheard }))
}
