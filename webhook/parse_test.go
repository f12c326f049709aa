package webhook

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	sha  = "3f2a91c03f2a91c03f2a91c03f2a91c03f2a91c0"
	from = `"repository":{"id":7,"full_name":"acme/app"},"sender":{"login":"ann","type":"User"}`
	pr   = `"pull_request":{"number":5,"draft":true,"merged":true,"head":{"ref":"topic","sha":"` + sha + `","repo":{"id":7}},"base":{"ref":"main","repo":{"id":7}}}`
)

var pulled = Event{Repo: "acme/app", Pull: 5, Sender: Actor{Login: "ann"}, Head: sha, HeadRef: "topic", Base: "main", Draft: true}

// with returns pulled with changes.
func with(change func(*Event)) Event {
	e := pulled
	change(&e)
	return e
}

func TestEvents(t *testing.T) {
	plain := Event{Repo: "acme/app", Sender: Actor{Login: "ann"}}
	for name, tt := range map[string]struct {
		event, payload string
		want           Event
	}{
		"opened": {
			"pull_request", `{"action":"opened",` + from + `,"installation":{"id":9},` + pr + `}`,
			with(func(e *Event) { e.Action, e.Merged, e.Installation = "opened", true, 9 }),
		},
		"edited base": {
			"pull_request", `{"action":"edited","changes":{"base":{"ref":{"from":"x"}}},` + from + `,` + pr + `}`,
			with(func(e *Event) { e.Action, e.Merged = "edited", true }),
		},
		"edited title": {
			"pull_request", `{"action":"edited","changes":{"title":{"from":"x"}},` + from + `,` + pr + `}`,
			with(func(e *Event) {
				e.Action, e.Merged, e.Ignored = "edited", true, "the pull request was edited, but its base branch is the same"
			}),
		},
		"labeled": {
			"pull_request", `{"action":"labeled",` + from + `,` + pr + `}`,
			with(func(e *Event) {
				e.Action, e.Merged, e.Ignored = "labeled", true, "weir does not act on the action `labeled`"
			}),
		},
		"fork": {
			"pull_request", `{"action":"opened",` + from + `,` + strings.Replace(pr, `"id":7`, `"id":8`, 1) + `}`,
			with(func(e *Event) { e.Action, e.Merged = "opened", true }),
		},
		"fork that is gone": {
			"pull_request", `{"action":"closed",` + from + `,` + strings.Replace(pr, `{"id":7}`, `null`, 1) + `}`,
			with(func(e *Event) { e.Action, e.Merged = "closed", true }),
		},
		"review": {
			"pull_request_review", `{"action":"submitted","review":{"id":3,"state":"APPROVED","commit_id":"` + sha + `","user":{"login":"bob"}},` + from + `,` + pr + `}`,
			with(func(e *Event) {
				e.Action, e.Review = "submitted", &Review{ID: 3, State: "approved", Author: Actor{Login: "bob"}, Commit: sha}
			}),
		},
		"review of a deleted account": {
			"pull_request_review", `{"action":"dismissed","review":{"id":3,"state":"dismissed","commit_id":"` + sha + `","user":null},` + from + `,` + pr + `}`,
			with(func(e *Event) { e.Action, e.Review = "dismissed", &Review{ID: 3, State: "dismissed", Commit: sha} }),
		},
		"comment": {
			"issue_comment", `{"action":"created","issue":{"number":5,"pull_request":{}},"comment":{"id":4,"body":"weir plan","user":{"login":"app[bot]","type":"Bot"}},` + from + `}`,
			Event{Action: "created", Repo: "acme/app", Pull: 5, Sender: Actor{Login: "ann"}, Comment: &Comment{ID: 4, Body: "weir plan", Author: Actor{Login: "app[bot]", Bot: true}}},
		},
		"bot by login": {
			"issue_comment", `{"action":"created","issue":{"number":5,"pull_request":{}},"comment":{"id":4,"body":"","user":{"login":"app[bot]"}},` + from + `}`,
			Event{Action: "created", Repo: "acme/app", Pull: 5, Sender: Actor{Login: "ann"}, Comment: &Comment{ID: 4, Author: Actor{Login: "app[bot]", Bot: true}}},
		},
		"comment on an issue": {
			"issue_comment", `{"action":"created","issue":{"number":5,"pull_request":null},"comment":{"id":4,"body":"x","user":{"login":"bob"}},` + from + `}`,
			Event{Action: "created", Repo: "acme/app", Sender: Actor{Login: "ann"}, Comment: &Comment{ID: 4, Body: "x", Author: Actor{Login: "bob"}}, Issue: &Issue{Number: 5}, Ignored: "the comment is on an issue that weir did not open"},
		},
		"comment on an issue of weir's": {
			"issue_comment", `{"action":"created","issue":{"number":5,"body":"<!-- weir kind=drift project=prod -->\r\nIt drifted.","user":{"login":"weir[bot]","type":"Bot"}},"comment":{"id":4,"body":"weir drift adopt","user":{"login":"bob"}},` + from + `}`,
			Event{
				Action: "created", Repo: "acme/app", Sender: Actor{Login: "ann"}, Comment: &Comment{ID: 4, Body: "weir drift adopt", Author: Actor{Login: "bob"}},
				Issue: &Issue{Number: 5, Author: Actor{Login: "weir[bot]", Bot: true}, Marker: "<!-- weir kind=drift project=prod -->"},
			},
		},
		"issue closed": {
			"issues", `{"action":"closed","issue":{"number":5,"body":null,"user":null},` + from + `}`,
			Event{Action: "closed", Repo: "acme/app", Sender: Actor{Login: "ann"}, Issue: &Issue{Number: 5}, Ignored: "weir does not act on the action `closed`"},
		},
		"button": {
			"check_run", `{"action":"requested_action","requested_action":{"identifier":"apply"},"check_run":{"id":6,"name":"weir/apply","head_sha":"` + sha + `","app":{"id":12},"pull_requests":[{"number":5,"base":{"repo":{"id":7}}},{"number":1,"base":{"repo":{"id":8}}}]},` + from + `}`,
			Event{
				Action: "requested_action", Repo: "acme/app", Sender: Actor{Login: "ann"}, Head: sha,
				CheckRun: &CheckRun{ID: 6, Name: "weir/apply", Head: sha, Identifier: "apply", AppID: 12, Pulls: []int{5}},
			},
		},
		"button, sparse": {
			"check_run", `{"action":"rerequested","check_run":{"id":6,"name":"weir/plan","head_sha":"` + sha + `","app":null,"pull_requests":[{"number":5}]},` + from + `}`,
			Event{
				Action: "rerequested", Repo: "acme/app", Sender: Actor{Login: "ann"}, Head: sha,
				CheckRun: &CheckRun{ID: 6, Name: "weir/plan", Head: sha, Pulls: []int{5}},
			},
		},
		"nothing that could be left out": {
			"pull_request", `{"action":"synchronize","repository":{"full_name":"acme/app"},"sender":null,"installation":null,"pull_request":{"number":5,"head":{"sha":"` + sha + `"}}}`,
			Event{Action: "synchronize", Repo: "acme/app", Pull: 5, Head: sha},
		},
		"review without a commit": {
			"pull_request_review", `{"action":"submitted","review":{"id":3,"state":"approved","commit_id":null,"user":{"login":"bob"}},` + from + `,` + pr + `}`,
			with(func(e *Event) {
				e.Action, e.Review = "submitted", &Review{ID: 3, State: "approved", Author: Actor{Login: "bob"}}
			}),
		},
		"an event in capitals is another": {
			"Pull_Request", `{"action":"opened",` + from + `,` + pr + `}`,
			Event{Action: "opened", Repo: "acme/app", Sender: Actor{Login: "ann"}, Ignored: "weir does not act on Pull_Request events"},
		},
		"push": {
			"push", `{"ref":"refs/heads/main","after":"` + sha + `",` + from + `}`,
			func() Event { e := plain; e.Ref, e.After = "refs/heads/main", sha; return e }(),
		},
		"push of a tag": {
			"push", `{"ref":"refs/tags/v1","after":"` + sha + `",` + from + `}`,
			func() Event {
				e := plain
				e.Ref, e.After, e.Ignored = "refs/tags/v1", sha, "the push is not to a branch"
				return e
			}(),
		},
		"deleted branch": {
			"push", `{"ref":"refs/heads/x","deleted":true,"after":"` + strings.Repeat("0", 40) + `",` + from + `}`,
			func() Event {
				e := plain
				e.Ref, e.After, e.Ignored = "refs/heads/x", strings.Repeat("0", 40), "the push deleted a branch"
				return e
			}(),
		},
		"merge group": {
			"merge_group", `{"action":"checks_requested","merge_group":{"head_sha":"` + sha + `","head_ref":"refs/heads/gh-readonly-queue/main/pr-5-x","base_ref":"refs/heads/main"},` + from + `}`,
			Event{Action: "checks_requested", Repo: "acme/app", Sender: Actor{Login: "ann"}, Head: sha, HeadRef: "gh-readonly-queue/main/pr-5-x", Base: "main"},
		},
		"installation": {
			"installation", `{"action":"created","installation":{"id":9},"sender":{"login":"ann"}}`,
			Event{Action: "created", Sender: Actor{Login: "ann"}, Installation: 9},
		},
		"unknown event": {
			"star", `{"action":7,"repository":{"full_name":"../.."},"sender":{"login":"ann"}}`,
			Event{Sender: Actor{Login: "ann"}, Ignored: "weir does not act on star events"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, reason := parse(tt.event, []byte(tt.payload))
			if reason != "" {
				t.Fatal(reason)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBadPayloads(t *testing.T) {
	replace := func(old, with string) string {
		return strings.Replace(`{"action":"opened",`+from+`,`+pr+`}`, old, with, 1)
	}
	for payload, want := range map[string]string{
		replace(`"number":5`, `"number":0`):        "field pull_request.number is missing",
		replace(`"number":5`, `"number":"5"`):      "field pull_request.number is a JSON string",
		replace(`"number":5`, `"number":1e99`):     "field pull_request.number is a JSON number 1e99",
		replace(sha, ""):                           "field pull_request.head.sha is missing",
		replace(sha, "--upload-pack=x"):            "field pull_request.head.sha is not a commit",
		replace(`"action":"opened",`, ""):          "field action is missing",
		replace(`"full_name":"acme/app"`, `"x":1`): "field repository.full_name is not owner/name",
		replace(`acme/app`, `acme/..`):             "field repository.full_name is not owner/name",
		replace(`acme/app`, `acme/a#b`):            "field repository.full_name is not owner/name",
		replace(`acme/app`, `a/b/c`):               "field repository.full_name is not owner/name",
		`{"action":"opened",` + pr + `}`:           "field repository.full_name is missing",
		`{"action":`:                               "the payload is not JSON",
		`"opened"`:                                 "the payload is not a JSON object",
		"\xff":                                     "the payload is not JSON",
	} {
		if _, got := parse("pull_request", []byte(payload)); got != want {
			t.Errorf("parse(%s) = %q, want %q", payload, got, want)
		}
	}
	if _, got := parse("check_run", []byte(`{"action":"requested_action","requested_action":{"identifier":"apply"},"check_run":{"id":6,"name":"weir/apply","head_sha":"`+sha+`"},"repository":{"full_name":"acme/app"},"sender":null}`)); got != "field sender.login is missing" {
		t.Errorf("a button that nobody pressed: %q", got)
	}
	for event, tt := range map[string]struct{ payload, want string }{
		"push":                {`{` + from + `}`, "field ref is missing"},
		"check_run":           {`{"action":"rerequested",` + from + `}`, "field check_run.id is missing"},
		"merge_group":         {`{"action":"checks_requested",` + from + `}`, "field merge_group.head_sha is missing"},
		"installation":        {`{}`, "field installation.id is missing"},
		"issue_comment":       {`{"action":"created","issue":{"number":1,"pull_request":{}},` + from + `}`, "field comment.id is missing"},
		"issues":              {`{"issue":{"number":1},` + from + `}`, "field action is missing"},
		"pull_request_review": {`{"action":"submitted",` + from + `,` + pr + `}`, "field review.id is missing"},
	} {
		if _, got := parse(event, []byte(tt.payload)); got != tt.want {
			t.Errorf("parse(%s, %s) = %q, want %q", event, tt.payload, got, tt.want)
		}
	}
}

// example is one entry of GitHub's own collection of payloads.
type example struct {
	Name     string            `json:"name"`
	Examples []json.RawMessage `json:"examples"`
}

// examples reads the npm package @octokit/webhooks-examples.
func examples(t testing.TB) map[string][]example {
	t.Helper()
	pattern := filepath.Join("..", "integration", "npm", "node_modules", "@octokit", "webhooks-examples", "*", "index.json")
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		const why = "GitHub's example payloads are not there: run npm ci in integration/npm"
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip("SKIPPED: " + why)
	}
	all := map[string][]example{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var list []example
		if err := json.Unmarshal(content, &list); err != nil {
			t.Fatalf("parse %s: %v", file, err)
		}
		all[filepath.Base(filepath.Dir(file))] = list
	}
	return all
}

// TestExamples reads every payload that GitHub publishes: each is parsed, or
// ignored by name, and the ones that weir acts on are seen to be acted on.
func TestExamples(t *testing.T) {
	acted := map[string]int{}
	total := 0
	for source, list := range examples(t) {
		for _, e := range list {
			for i, payload := range e.Examples {
				total++
				body := string(payload)
				event, err := Receiver{Secrets: [][]byte{secret}}.Read(request(e.Name, body))
				if err != nil {
					t.Errorf("%s: %s, example %d: %v", source, e.Name, i, err)
					continue
				}
				if event.Ignored == "" {
					acted[e.Name+" "+event.Action]++
					if event.Repo == "" && e.Name != "installation" {
						t.Errorf("%s: %s, example %d: no repository in %+v", source, e.Name, i, event)
					}
				} else if _, known := parsers[e.Name]; !known && !strings.Contains(event.Ignored, e.Name) {
					t.Errorf("%s: %s, example %d: ignored as %q, without its name", source, e.Name, i, event.Ignored)
				}
			}
		}
	}
	if total < 200 {
		t.Errorf("only %d examples", total)
	}
	for _, want := range []string{
		"pull_request opened", "pull_request reopened", "pull_request synchronize", "pull_request closed",
		"pull_request ready_for_review", "pull_request converted_to_draft",
		"pull_request_review submitted", "pull_request_review dismissed", "check_run rerequested",
		"check_run requested_action", "push ", "merge_group checks_requested", "installation created",
	} {
		if acted[want] == 0 {
			t.Errorf("no example of %q was acted on", want)
		}
	}
}

func FuzzPayload(f *testing.F) {
	for name := range parsers {
		f.Add(name, []byte(`{"action":"created",`+from+`,`+pr+`}`))
	}
	f.Add("push", []byte(`{"ref":"refs/heads/x","repository":null}`))
	f.Add("issue_comment", []byte(`{"action":"created","issue":{"number":1,"pull_request":{}},"comment":{"user":null}}`))
	f.Add("issue_comment", []byte(`{"action":"created","issue":{"number":1,"body":"<!-- weir kind=drift -->"},"comment":{"id":1,"user":{"login":"x"}},`+from+`}`))
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		event, reason := parse(name, payload)
		if reason != "" {
			if diff := cmp.Diff(Event{}, event); diff != "" {
				t.Errorf("refused with %q and an event:\n%s", reason, diff)
			}
			return
		}
		if !json.Valid(payload) {
			t.Errorf("parsed what is not JSON: %+v", event)
		}
		if event.Repo != "" && !isRepo(event.Repo) {
			t.Errorf("repository %q", event.Repo)
		}
		if event.Ignored == "" && name != "installation" && event.Repo == "" {
			t.Errorf("to act on, without a repository: %+v", event)
		}
		if event.Ignored == "" && name == "issue_comment" && (event.Issue == nil) == (event.Pull == 0) {
			t.Errorf("a comment on a pull request and on an issue, or on neither: %+v", event)
		}
		if i := event.Issue; i != nil && i.Marker != "" && (!strings.HasPrefix(i.Marker, "<!-- weir ") || strings.Contains(i.Marker, "\n")) {
			t.Errorf("marker %q", i.Marker)
		}
		if event.Ignored == "" && event.Head != "" && !commit.MatchString(event.Head) {
			t.Errorf("to act on, with the head %q", event.Head)
		}
	})
}
