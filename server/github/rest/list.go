package rest

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Pages calls each with every page of the list at a path, in GitHub's order.
func Pages[T any](ctx context.Context, g *Client, repo, what string, list Call, each func(T)) error {
	for page := 1; ; {
		next, _, err := Page(ctx, g, repo, what, list, page, each)
		if err != nil || next <= page {
			return err
		}
		page = next
	}
}

// Page reads one page of a list, and returns the numbers of the next page
// and of the last one, 0 where there is none.
func Page[T any](ctx context.Context, g *Client, repo, what string, list Call, page int, each func(T)) (next, last int, err error) {
	var out T
	list.Out = &out
	mark := "?"
	if strings.Contains(list.Path, mark) {
		mark = "&" // the list has parameters of its own
	}
	list.Path += fmt.Sprintf("%sper_page=100&page=%d", mark, page)
	resp, err := g.In(ctx, repo, what, list)
	if err != nil {
		return 0, 0, err
	}
	each(out)
	return resp.NextPage, resp.LastPage, nil
}

// AtMostOnce does something that must not be done twice: send, a call that is
// marked Once, is tried again after it failed in a way that leaves open whether
// it had its effect, but only when look has not found that effect. With lookFirst
// it is looked for before the first attempt too.
//
// What appears only after it was looked for is done twice; GitHub offers no
// way to close that gap. The pauses are there to make it small.
func AtMostOnce(ctx context.Context, lookFirst bool, look func() (found bool, err error), send func() error) error {
	for attempt := 1; ; attempt++ {
		if lookFirst || attempt > 1 {
			if found, err := look(); err != nil || found {
				return err
			}
		}
		err := send()
		if !Unclear(err) || attempt == attempts || ctx.Err() != nil || Pause(ctx, attempt) != nil {
			return err
		}
	}
}

// Pause waits before something is tried again, longer each time, the first
// time about a second. It returns the context's error if that ends first.
func Pause(ctx context.Context, attempt int) error { return sleep(ctx, firstPause<<attempt) }

// sleep waits, or returns the context's error if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
