package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"weir/planner/record"
	"weir/store"
)

const (
	// keptByGitHub is for how long a delivery can be asked for again (GitHub
	// Docs, "Redelivering webhooks": three days on github.com).
	keptByGitHub = 3 * 24 * time.Hour
	// redeliverEvery is how often the same delivery is asked for, and
	// maxAttempts how often in all: what was refused each time is no
	// passing trouble.
	redeliverEvery = time.Hour
	maxAttempts    = 5
	// maxRedeliveries is what one round asks for; with its state and an
	// audit entry each that is one commit.
	maxRedeliveries = 90
	maxHookPages    = 30 // of 100 deliveries
	// overlap is for deliveries that are listed late.
	overlap = 5 * time.Minute
	// afterDeliveries is how long GitHub gets to deliver what was asked for.
	afterDeliveries = 5 * time.Second
)

// Delivery is one attempt of GitHub's to deliver an event.
type Delivery struct {
	ID         int64
	GUID       string // of the event, the same in each attempt
	Event      string
	Action     string
	At         time.Time
	Code       int // of the answer; 0 where there was none
	Status     string
	Redelivery bool
}

// Hooks is the App's webhook.
type Hooks interface {
	// Deliveries returns attempts of the last days, newest first, a page at
	// a time, and what leads to the next page, "" after the last. The first
	// page is "".
	Deliveries(ctx context.Context, cursor string) (page []Delivery, next string, err error)
	// Redeliver asks for another attempt. GitHub makes it soon after.
	Redeliver(ctx context.Context, id int64) error
}

// lost is the pure part: it says which deliveries are to be asked for again,
// oldest first, and since when attempts matter to the next round. all is
// sorted newest first; asked holds what was asked for in the last hour.
//
// What weir has stored and could not acknowledge in time is asked for too: its
// GUID is known then, so that nothing is done twice.
func lost(all []Delivery, asked map[string]time.Time, now time.Time) (again []Delivery, since time.Time) {
	since = now.Add(-overlap)
	attempts, arrived := map[string]int{}, map[string]bool{}
	newest := map[string]Delivery{}
	oldest := map[string]time.Time{}
	for _, d := range all {
		attempts[d.GUID]++
		arrived[d.GUID] = arrived[d.GUID] || d.Code >= 200 && d.Code < 300
		if _, seen := newest[d.GUID]; !seen {
			newest[d.GUID] = d
		}
		oldest[d.GUID] = d.At
	}
	for _, d := range slices.Backward(all) {
		if newest[d.GUID].ID != d.ID || arrived[d.GUID] || needless(d) || attempts[d.GUID] >= maxAttempts || now.Sub(d.At) > keptByGitHub {
			continue
		}
		if first := oldest[d.GUID]; first.Before(since) {
			since = first
		}
		recent := d.Redelivery && now.Sub(d.At) < redeliverEvery || now.Sub(asked[d.GUID]) < redeliverEvery
		if !recent && len(again) < maxRedeliveries {
			again = append(again, d)
		}
	}
	return again, since
}

// needless says that weir does nothing on such an event, whatever it holds.
func needless(d Delivery) bool {
	switch d.Event {
	case "pull_request", "issue_comment", "pull_request_review", "merge_group":
		return false
	case "check_run":
		return d.Action != "requested_action" && d.Action != "rerequested"
	}
	return true
}

// redeliver asks GitHub for the deliveries that were lost. That they were
// asked for is written down first, so that a crash does not have them asked
// for twice within the hour.
func (b *round) redeliver(ctx context.Context, version store.Version) (store.Version, error) {
	from := b.now.Add(-keptByGitHub)
	if b.state.Since.After(from) {
		from = b.state.Since
	}
	var all []Delivery
	cursor := ""
	for range maxHookPages {
		page, next, err := b.Hooks.Deliveries(ctx, cursor)
		if err != nil {
			return version, err
		}
		all = append(all, page...)
		if next == "" || len(page) == 0 || page[len(page)-1].At.Before(from) {
			break
		}
		cursor = next
	}
	// What is settled is left out, so that its attempts are all counted or none.
	all = slices.DeleteFunc(all, func(d Delivery) bool { return d.At.Before(from) })
	maps.DeleteFunc(b.state.Asked, func(_ string, at time.Time) bool { return b.now.Sub(at) >= redeliverEvery })
	again, since := lost(all, b.state.Asked, b.now)
	b.state.Since = since
	if len(again) == 0 {
		return version, nil
	}
	if b.state.Asked == nil {
		b.state.Asked = map[string]time.Time{}
	}
	writes := make([]store.Write, 1, 1+len(again))
	for _, d := range again {
		b.state.Asked[d.GUID] = b.now
		w, err := record.Entry{
			ID: ulid.Make().String(), At: b.now, Who: who, What: what,
			Why: fmt.Sprintf("GitHub could not deliver %s of %s (%s; id %s) and is asked to do it again.",
				d.name(), d.At.UTC().Format(time.RFC3339), d.Status, d.GUID),
		}.Write()
		if err != nil {
			return version, err
		}
		writes = append(writes, w)
	}
	var err error
	if writes[0], err = record.Put(stateKey(), version, b.state); err != nil {
		return version, err
	}
	if err := record.Commit(ctx, b.Store, writes...); err != nil {
		return version, fmt.Errorf("write down which deliveries are asked for: %w", err)
	}
	if _, version, err = b.Reconciler.state(ctx); err != nil {
		return version, err
	}
	for _, d := range again {
		if err := b.Hooks.Redeliver(ctx, d.ID); err != nil {
			if ctx.Err() != nil || limited(err) {
				return version, err
			}
			b.Log.Warn("a delivery cannot be asked for again", "delivery", d.GUID, "event", d.name(), "err", err)
			continue
		}
		b.report.Redelivered++
		b.Log.Info("GitHub is asked to deliver again", "delivery", d.GUID, "event", d.name(), "status", d.Status)
	}
	return version, nil
}

func (d Delivery) name() string {
	if d.Action == "" {
		return d.Event
	}
	return d.Event + " " + d.Action
}
