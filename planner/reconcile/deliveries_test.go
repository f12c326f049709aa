package reconcile

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLost(t *testing.T) {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	failed := func(id int64, guid string, at time.Duration) Delivery {
		return Delivery{ID: id, GUID: guid, Event: "pull_request", Action: "opened", At: ago(at), Code: 503}
	}
	good := func(d Delivery) Delivery { d.Code = 202; return d }
	again := func(d Delivery) Delivery { d.Redelivery = true; return d }
	event := func(d Delivery, name, action string) Delivery { d.Event, d.Action = name, action; return d }
	recent := ago(overlap)
	var many []Delivery
	var most []int64
	for i := range maxRedeliveries + 5 {
		at := time.Duration(i) * time.Second
		many = append(many, failed(int64(1000-i), fmt.Sprint(i), time.Hour+at))
		if i >= 5 {
			most = append([]int64{int64(1000 - i)}, most...)
		}
	}
	for _, c := range []struct {
		name  string
		all   []Delivery // newest first
		asked map[string]time.Time
		want  []int64
		since time.Time
	}{
		{"none", nil, nil, nil, recent},
		{"all arrived", []Delivery{good(failed(2, "b", time.Minute)), good(failed(1, "a", time.Hour))}, nil, nil, recent},
		{"oldest first", []Delivery{failed(2, "b", time.Minute), failed(1, "a", time.Hour)}, nil, []int64{1, 2}, ago(time.Hour)},
		{"no answer at all", []Delivery{{ID: 1, GUID: "a", Event: "issue_comment", Action: "created", At: ago(time.Hour)}}, nil, []int64{1}, ago(time.Hour)},
		{"a redirect is no arrival", []Delivery{{ID: 1, GUID: "a", Event: "issue_comment", At: ago(time.Hour), Code: 301}}, nil, []int64{1}, ago(time.Hour)},
		{"arrived later", []Delivery{good(again(failed(2, "a", time.Minute))), failed(1, "a", time.Hour)}, nil, nil, recent},
		{"arrived earlier", []Delivery{again(failed(2, "a", time.Minute)), good(failed(1, "a", time.Hour))}, nil, nil, recent},
		{
			"asked for by hand a moment ago, in vain",
			[]Delivery{again(failed(2, "a", time.Minute)), failed(1, "a", 3*time.Hour)},
			nil, nil, ago(3 * time.Hour),
		},
		{
			"asked for an hour ago, in vain: the newest attempt is repeated",
			[]Delivery{again(failed(2, "a", time.Hour)), failed(1, "a", 3*time.Hour)},
			nil,
			[]int64{2},
			ago(3 * time.Hour),
		},
		{"asked for, and not listed yet", []Delivery{failed(1, "a", 3*time.Hour)}, map[string]time.Time{"a": ago(time.Minute)}, nil, ago(3 * time.Hour)},
		{"refused each time", []Delivery{
			again(failed(5, "a", 2*time.Hour)), again(failed(4, "a", 3*time.Hour)), again(failed(3, "a", 4*time.Hour)),
			again(failed(2, "a", 5*time.Hour)), failed(1, "a", 6*time.Hour),
		}, nil, nil, recent},
		{"too old", []Delivery{failed(1, "a", keptByGitHub+time.Minute)}, nil, nil, recent},
		{"nothing would be done", []Delivery{
			event(failed(1, "a", time.Hour), "push", ""), event(failed(2, "b", time.Hour), "ping", ""), event(failed(3, "c", time.Hour), "check_run", "completed"),
			event(failed(4, "d", time.Hour), "check_suite", "requested"), event(failed(5, "e", time.Hour), "installation", "created"),
		}, nil, nil, recent},
		{"all that weir acts on", []Delivery{
			event(failed(5, "e", time.Hour), "check_run", "rerequested"), event(failed(4, "d", time.Hour), "check_run", "requested_action"),
			event(failed(3, "c", time.Hour), "merge_group", "checks_requested"), event(failed(2, "b", time.Hour), "pull_request_review", "submitted"),
			event(failed(1, "a", time.Hour), "issue_comment", "created"),
		}, nil, []int64{1, 2, 3, 4, 5}, ago(time.Hour)},
		{"not more than a round can take", many, nil, most, ago(time.Hour + (maxRedeliveries+4)*time.Second)},
	} {
		t.Run(c.name, func(t *testing.T) {
			again, since := lost(c.all, c.asked, now)
			var got []int64
			for _, d := range again {
				got = append(got, d.ID)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if !since.Equal(c.since) {
				t.Errorf("since %s, want %s", since, c.since)
			}
		})
	}
}
