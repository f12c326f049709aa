package night

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"weir/integration/bench/stage"
	"weir/integration/sandbox"
)

// sample is a pull request's plan.
type sample struct {
	took  time.Duration // from the delivery to the comment
	ended time.Time
}

// pulls opens pull requests of each size in turns, each after the one before is
// planned and closed, and takes their times. Before, one of each size has
// everything initialised. Those of a night end with it.
func (s *scene) pulls(ctx context.Context, r repo, during *running) (map[int][]sample, error) {
	all := map[int][]sample{}
	from := 0
	if during == nil {
		from = -1
	}
	for i := from; i < s.Samples; i++ {
		for _, size := range s.Sizes {
			if during != nil {
				text, err := s.get(ctx, "/metrics")
				if err != nil || strings.Contains(string(text), "\nweir_jobs_pending 0\n") {
					return all, err
				}
			}
			one, err := s.pull(ctx, r, size)
			if err != nil {
				return nil, err
			}
			if i >= 0 {
				all[size] = append(all[size], one)
			}
		}
	}
	return all, nil
}

// pull opens a pull request that changes the last projects, waits for its plan,
// and closes it.
func (s *scene) pull(ctx context.Context, r repo, size int) (sample, error) {
	s.after++
	part := r
	part.dirs = r.dirs[len(r.dirs)-size:]
	if err := s.w.Box.WaitDelivered(ctx); err != nil {
		return sample{}, err
	}
	before := len(s.w.Box.Deliveries())
	p, err := s.w.Open(r.full, part.files(s.w.Dir, fmt.Sprintf("change %d", s.after)))
	if err != nil {
		return sample{}, err
	}
	if err := s.w.Success(ctx, p, "weir/plan"); err != nil {
		return sample{}, err
	}
	one, err := s.span(p, before)
	if err != nil {
		return sample{}, err
	}
	if err := s.w.Box.ClosePull("alice", r.full, p.Pull.Number); err != nil {
		return sample{}, err
	}
	return one, s.free(ctx)
}

// span finds when GitHub began to deliver the pull request, and when it had
// answered the call that wrote the plan.
func (s *scene) span(p stage.Planned, before int) (sample, error) {
	deliveries := s.w.Box.Deliveries()[before:]
	i := slices.IndexFunc(deliveries, func(d sandbox.Delivery) bool { return d.Event == "pull_request" && d.Action == "opened" })
	if i < 0 {
		return sample{}, errors.New("nothing was delivered about the pull request")
	}
	var one sample
	path := fmt.Sprintf("/repos/%s/issues/%d/comments", p.Pull.Repo.FullName(), p.Pull.Number)
	for _, c := range s.w.Box.Calls() {
		if c.Status == http.StatusCreated && c.Path == path {
			one.ended = c.At.Add(c.Took)
		}
	}
	if one.ended.IsZero() {
		return sample{}, errors.New("no comment was written")
	}
	one.took = one.ended.Sub(deliveries[i].Delivered.Add(-deliveries[i].Duration))
	return one, nil
}

// free waits until no project is locked.
func (s *scene) free(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stage.Patience, errors.New("the locks of a closed pull request are not free"))
	defer cancel()
	for {
		text, err := s.get(ctx, "/api/v1/locks")
		if err != nil {
			return fmt.Errorf("wait for locks: %w", err)
		}
		if strings.Join(strings.Fields(string(text)), "") == `{"locks":[]}` {
			return nil
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}
