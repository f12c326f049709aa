package desk

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir/planner/work"
	"weir/planner/work/job"
	"weir/webhook"
)

func TestJobs(t *testing.T) {
	d := Desk{Serves: func(repo string) bool { return repo == "acme/app" }, Names: []string{"weir", "atlantis"}, Self: "weir-bot[bot]"}
	alice := webhook.Actor{Login: "alice"}
	comment := func(author webhook.Actor, body string) webhook.Event {
		return webhook.Event{Name: "issue_comment", Action: "created", Repo: "acme/app", Pull: 7, Sender: author, Comment: &webhook.Comment{ID: 5, Body: body, Author: author}}
	}
	pull := func(action string) webhook.Event {
		return webhook.Event{Name: "pull_request", Action: action, Repo: "acme/app", Pull: 7, Head: "abc", Delivery: "d1"}
	}
	button := func(action, name, identifier string, pulls ...int) webhook.Event {
		return webhook.Event{
			Name: "check_run", Action: action, Repo: "acme/app", Sender: alice,
			CheckRun: &webhook.CheckRun{Name: name, Identifier: identifier, Pulls: pulls, Head: "abc"},
		}
	}
	for _, tt := range []struct {
		name    string
		event   webhook.Event
		want    []work.Job
		ignored string
	}{
		{"opened", pull("opened"), []work.Job{{Kind: work.Plan, Head: "abc", Delivery: "d1", Trigger: "opened"}}, ""},
		{"pushed", pull("synchronize"), []work.Job{{Kind: work.Plan, Head: "abc", Delivery: "d1", Trigger: "push"}}, ""},
		{"made a draft", pull("converted_to_draft"), []work.Job{{Kind: work.Gate, Head: "abc", Delivery: "d1", Trigger: "draft"}}, ""},
		{"closed", pull("closed"), []work.Job{{Kind: work.Close, Head: "abc", Delivery: "d1", Trigger: "close"}}, ""},
		{"labelled", pull("labeled"), nil, "nothing to plan"},
		{"told to be ignored by the parser", webhook.Event{Ignored: "because"}, nil, "because"},
		{
			"a plan by a bot's pull request is fine",
			webhook.Event{Name: "pull_request", Action: "opened", Repo: "acme/app", Pull: 7, Sender: webhook.Actor{Login: "renovate[bot]", Bot: true}},
			[]work.Job{{Kind: work.Plan, Trigger: "opened"}},
			"",
		},
		{"commands", comment(alice, "weir plan -d envs/prod\natlantis apply"), []work.Job{
			{Kind: work.Plan, Actor: "alice", Trigger: "comment", Command: &work.Command{Dir: "envs/prod", Comment: 5}},
			{Kind: work.Apply, Actor: "alice", Trigger: "comment", Command: &work.Command{Comment: 5}},
		}, ""},
		{"prose", comment(alice, "looks good to me"), nil, "no command"},
		{"a bot", comment(webhook.Actor{Login: "renovate[bot]", Bot: true}, "weir apply"), nil, "bots give no commands"},
		{"itself", comment(webhook.Actor{Login: "weir-bot[bot]"}, "weir apply"), nil, "itself"},
		{"itself under another name", comment(alice, "<!-- weir kind=plan job=1 -->\nweir apply"), nil, "itself"},
		{
			"approved",
			webhook.Event{Name: "pull_request_review", Action: "submitted", Repo: "acme/app", Pull: 7, Review: &webhook.Review{State: "approved", Author: alice}},
			[]work.Job{{Kind: work.Gate, Actor: "alice", Trigger: "review"}},
			"",
		},
		{"only commented", webhook.Event{Name: "pull_request_review", Action: "submitted", Repo: "acme/app", Pull: 7, Review: &webhook.Review{State: "commented", Author: alice}}, nil, "only comments"},
		{"button", button("requested_action", "weir/apply", "apply", 7), []work.Job{{Kind: work.Apply, Actor: "alice", Head: "abc", Trigger: "check", Command: &work.Command{}}}, ""},
		{"another button", button("requested_action", "weir/apply", "rm", 7), nil, "no button"},
		{"run again", button("rerequested", "weir/plan", "", 7), []work.Job{{Kind: work.Plan, Actor: "alice", Head: "abc", Trigger: "check", Command: &work.Command{}}}, ""},
		{"somebody else's check", button("rerequested", "ci", "", 7), nil, "not weir's"},
		{"a check of no pull request", button("rerequested", "weir/plan", ""), nil, "no pull request"},
		{"merge queue", webhook.Event{Name: "merge_group", Action: "checks_requested", Repo: "acme/app", Head: "abc"}, []work.Job{{Kind: work.MergeGroup, Head: "abc", Trigger: "merge queue"}}, ""},
		{"push", webhook.Event{Name: "push", Repo: "acme/app"}, nil, "a push alone"},
		{"not served", func() webhook.Event { e := pull("opened"); e.Repo = "acme/app-infra"; return e }(), []work.Job{{Kind: work.Refuse, Repo: "acme/app-infra", Delivery: "d1", Trigger: "opened"}}, ""},
		{"not served, merge queue", webhook.Event{Name: "merge_group", Repo: "acme/app-infra", Head: "abc"}, nil, "not served"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ignored := d.Jobs(tt.event)
			for i := range tt.want {
				if tt.want[i].Repo == "" {
					tt.want[i].Repo = "acme/app"
				}
				if tt.want[i].Kind != work.MergeGroup {
					tt.want[i].Pull = 7
				}
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(work.Job{}, "Reason"), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(ignored, tt.ignored) || (len(got) == 0) != (ignored != "") {
				t.Errorf("ignored: got %q, want %q", ignored, tt.ignored)
			}
		})
	}
}

// TestOnIssue holds that all of a drift command reaches the job.
func TestOnIssue(t *testing.T) {
	d := Desk{Serves: func(string) bool { return true }, Names: []string{"weir"}}
	event := func(marker, body string) webhook.Event {
		return webhook.Event{
			Name: "issue_comment", Action: "created", Repo: "acme/app", Issue: &webhook.Issue{Number: 7, Marker: marker},
			Comment: &webhook.Comment{ID: 5, Body: body, Author: webhook.Actor{Login: "alice"}},
		}
	}
	const ours = "<!-- weir kind=drift project=a -->"
	for body, want := range map[string]*job.Drifted{
		`weir drift adopt 'a.b["k"]=i 1' c.d`: {Verb: "adopt", Addresses: []string{`a.b["k"]`, "c.d"}, IDs: map[string]string{`a.b["k"]`: "i 1"}},
		"weir drift accept a.b --owner bob --reason why --until 2099-12-31": {
			Verb: "accept", Addresses: []string{"a.b"}, Owner: "bob", Reason: "why", Until: "2099-12-31",
		},
		"weir drift adopt a.b=": nil,
		"weir plan":             nil,
	} {
		jobs, _ := d.Jobs(event(ours, body))
		if len(jobs) != 1 || jobs[0].Issue != 7 || jobs[0].Actor != "alice" || (jobs[0].Reason != "") != (want == nil) {
			t.Fatalf("%s: %+v", body, jobs)
		}
		if diff := cmp.Diff(want, jobs[0].Command.Drift); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	if jobs, ignored := d.Jobs(event("<!-- mine -->", "weir drift adopt")); len(jobs) > 0 || ignored == "" {
		t.Errorf("on another issue: %+v", jobs)
	}
}
