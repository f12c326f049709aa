package templates

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	nethtml "golang.org/x/net/html"

	"weir/drift/finding"
	"weir/planner/record"
	"weir/planner/terraform"
	"weir/policy"
	"weir/templates/drift"
)

const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)> javascript:alert(1)`

type page struct {
	name string
	data any
}

// allPages are the pages in every situation.
func allPages(t *testing.T) map[string]page {
	at := time.Date(2026, 11, 21, 3, 29, 5, 0, time.UTC)
	plan := prod(t)
	first := record.Record{
		Repo: "acme/infra", Pull: 7, Title: "Give prod a second network", Author: "alice", URL: "https://github.com/acme/infra/pull/7",
		Head: head, BaseRef: "main", Mode: policy.OnApproval, Updated: at, Decision: waits(),
		Projects: []record.ProjectRecord{
			{ID: "network@blue", Dir: "network", Workspace: "blue", State: record.Applied, Run: "01JD3Q6Z8W0000000000000001", PlanDigest: strings.Repeat("3fa9", 16)},
			{ID: "prod", Dir: "envs/prod", Workspace: "default", State: record.Planned, Run: "01JD3Q6Z8W0000000000000002", PlanDigest: strings.Repeat("b07d", 16), DependsOn: []string{"network@blue"}, Extra: []string{"-target=terraform_data.new", "-refresh=false"}, AskedBy: "bob"},
			{ID: "envs/staging", Dir: "envs/staging", Workspace: "default", State: record.PlanFailed, Run: "01JD3Q6Z8W0000000000000003", Note: "Error: Unsupported argument on main.tf line 3: an argument named \"imput\" is not expected here."},
			{ID: "envs/dev", Dir: "envs/dev", Workspace: "default", State: record.Pending, Note: "unlocked by bob; `weir plan` takes the lock again"},
			{ID: "envs/old", Dir: "envs/old", Workspace: "default", State: record.NoChanges, Deleted: true},
		},
		Notes: []string{"weir.yaml is changed here. What counts is the one of the base branch.", "`weir explain` says `more`"},
	}
	waiting := record.Record{
		Repo: "acme/infra", Pull: 9, Title: "Renumber the subnets of every environment, and say so in a title that goes on for rather a long time", Author: "bob",
		Head: head, Updated: at, Waiting: []record.Waiting{{ID: "prod", Owner: 7, Place: 1}, {ID: "envs/qa"}, {ID: "envs/shared", Repo: "acme/other", Owner: 12, Place: 2}},
		Projects: []record.ProjectRecord{{ID: "prod", Dir: "envs/prod", Workspace: "default", State: record.Pending}},
	}
	done := record.Record{
		Repo: "acme/a-repository-with-quite-a-long-name", Pull: 1204, Title: "Bump", Author: "renovate", Head: head, Updated: at,
		Projects: []record.ProjectRecord{{ID: ".", Dir: ".", Workspace: "default", State: record.Applied}},
	}
	conflict := record.Record{Repo: "acme/infra", Pull: 11, Title: "Old branch", Author: "carol", Head: head, Updated: at, Failure: "3f2a91c does not merge into 81be0d4: conflicts in\n  envs/prod/main.tf"}
	run := record.Run{
		ID: "01JD3Q6Z8W0000000000000002", Repo: "acme/infra", Pull: 7, Project: "prod", Dir: "envs/prod", Workspace: "default", Verb: "plan",
		State: record.Planned, Head: head, Job: job, Started: at, Ended: at.Add(4200 * time.Millisecond), Summary: plan.Summary, Origins: plan.Origins,
		Notes: []string{"no backend: the state is kept on weir's own disk"},
	}
	live := run
	live.Verb, live.State, live.Ended, live.Summary, live.Origins, live.Notes = "apply", record.Applying, time.Time{}, nil, nil, nil
	failed := run
	failed.State, failed.Failure, failed.Summary, failed.Origins = record.PlanFailed, broken, nil, nil
	outputs := run
	outputs.Summary, outputs.Origins = network().Summary, nil

	dead := Health{Name: "Dispatch", Tone: "wait", Text: "the dead-letter queue holds about 3. Look what it was: `docs/operations.md` says how."}

	evil := first
	evil.Repo, evil.Title, evil.Author, evil.URL, evil.Failure = "acme/"+hostile, hostile, hostile, "javascript:alert(1)", hostile
	evil.Waiting, evil.Notes = []record.Waiting{{ID: hostile, Owner: 1}}, []string{hostile}
	evil.Projects = []record.ProjectRecord{{ID: hostile, Dir: hostile, Workspace: hostile, State: record.State(hostile), Note: hostile, Run: hostile, PlanDigest: hostile, Extra: []string{hostile}, AskedBy: hostile}}
	evilRun := run
	evilRun.Project, evilRun.Verb, evilRun.Dir, evilRun.Failure, evilRun.ID = hostile, hostile, hostile, hostile, hostile
	evilRun.Origins = []record.Origin{{Address: hostile, Attributes: []string{hostile}, Kind: "data", Why: hostile}}
	evilRun.Summary = &terraform.Summary{
		Changes: []terraform.Change{{Address: hostile, Action: terraform.Delete, Reason: hostile, Previous: hostile, Importing: hostile}},
		Outputs: []terraform.Output{{Name: hostile, Action: terraform.Update, Before: hostile, After: hostile}},
	}

	return map[string]page{
		"home": {PageHome, HomePage{Pulls: []record.Record{first, waiting, done, conflict}, Version: "v0.1.0", Health: []Health{
			{Name: "Store", Tone: "good", Text: "takes writes"}, {Name: "GitHub", Tone: "bad", Text: "rate limit used up until 04:10 UTC"}, {Name: "Dispatch", Tone: "good", Text: "no dead letters"},
		}}},
		"home_dead_letters": {PageHome, HomePage{Health: []Health{
			{Name: "Store", Tone: "good", Text: "takes writes"}, dead,
		}}},
		"home_empty": {PageHome, HomePage{}},
		"pull": {PagePull, PullPage{Record: first, Runs: map[string]record.Run{run.ID: run}, History: []record.Entry{
			{At: at.Add(time.Minute), Who: "weir", What: "applied", Projects: []string{"network@blue"}, Why: "approved by bob"},
			{At: at, Who: "alice", What: "locks taken", Projects: []string{"network@blue", "prod", "envs/staging"}},
		}}},
		"pull_waiting":  {PagePull, PullPage{Record: waiting}},
		"pull_conflict": {PagePull, PullPage{Record: conflict}},
		"pull_hostile":  {PagePull, PullPage{Record: evil, History: []record.Entry{{Who: hostile, What: hostile, Why: hostile, Projects: []string{hostile}}}}},
		"run":           {PageRun, RunPage{Run: run, PullURL: "https://github.com/acme/infra/pull/7", Text: plan.Text, Log: "Initializing the backend...\n\nPlan: 3 to add, 1 to change, 3 to destroy.\n"}},
		"run_live":      {PageRun, RunPage{Run: live, Live: true, Offset: 31, Log: "terraform_data.new: Creating...\n"}},
		"run_failed":    {PageRun, RunPage{Run: failed, Log: broken}},
		"run_outputs":   {PageRun, RunPage{Run: outputs, Text: network().Text}},
		"run_hostile":   {PageRun, RunPage{Run: evilRun, Text: "+ " + hostile, Log: hostile + "\x1b[2J", PullURL: "javascript:alert(1)", Live: true}},
		"locks": {PageLocks, LocksPage{Locks: []LockRow{
			{Repo: "acme/infra", Dir: "envs/prod", Workspace: "default", Owner: 7, Since: at, Waiters: []int{9, 12}},
			{Repo: "acme/infra", Dir: "modules/a/very/deep/directory/that/is/not/going/to/fit/anywhere", Workspace: "blue", Owner: 7, Since: at},
			{Repo: "acme/infra", Dir: "envs/qa", Workspace: "default", Waiters: []int{9}},
			{Repo: "acme/infra", Dir: "envs/shared", Workspace: "default", Waiters: []int{9}, HolderRepo: "acme/other", Holder: 12},
			{Repo: "acme/infra", Dir: "envs/twin", Workspace: "default", Waiters: []int{9}, HolderRepo: "acme/infra", Holder: 7},
		}, Health: []Health{{Name: "Dispatch", Tone: "good", Text: "no dead letters"}}}},
		"locks_dead_letters": {PageLocks, LocksPage{Health: []Health{dead}}},
		"locks_empty":        {PageLocks, LocksPage{}},
		"drift":              {PageDrift, driftPage(at)},
		"drift_calm": {PageDrift, drift.Page{Name: "weir", Repos: []drift.Repo{{Name: "acme/infra", Commit: head, At: at, Projects: []drift.Row{
			{Check: finding.Check{Project: "envs/dev", Started: at, Commit: head}, Next: at.Add(24 * time.Hour), History: "·······"},
			{Check: finding.Check{Project: "envs/prod", Started: at, Commit: head}, Next: at.Add(24 * time.Hour), History: "▮▮·····"},
		}}}}},
		"drift_empty":   {PageDrift, drift.Page{}},
		"drift_hostile": {PageDrift, hostileDrift(at)},
		"problem":       {PageProblem, ProblemPage{Status: 404, Title: "Nothing here", Text: "There is nothing at /pulls/" + hostile + "."}},
	}
}

// driftPage has projects of every kind, of several repositories.
func driftPage(at time.Time) drift.Page {
	check := func(project string, findings ...finding.Finding) finding.Check {
		return finding.Check{Repo: "acme/infra", Project: project, Started: at, Commit: head, Findings: findings}
	}
	row := func(c finding.Check, issue int, history string) drift.Row {
		r := drift.Row{Check: c, Next: at.Add(24 * time.Hour), History: history, Issue: issue}
		if issue != 0 {
			r.IssueURL = fmt.Sprintf("https://github.com/acme/infra/issues/%d", issue)
		}
		if len(c.Open()) > 0 || c.Failure != "" {
			r.Since = at.Add(-72 * time.Hour)
		}
		return r
	}
	ignored := &finding.Ignored{Owner: "@acme/network", Reason: "the autoscaler sets it", Until: "2026-12-31"}
	all := check(
		"envs/prod",
		finding.Finding{Address: "aws_s3_bucket.logs", Kind: finding.Deleted, Severity: finding.High, Why: "it is not there any more"},
		finding.Finding{
			Address: "module.web.aws_security_group.web", Attribute: "ingress", Kind: finding.Changed, Severity: finding.High,
			Declared: `[{"cidr_blocks":["10.0.0.0/8"],"from_port":443,"protocol":"tcp","to_port":443}]`, Deployed: `[{"cidr_blocks":["0.0.0.0/0"],"from_port":443,"protocol":"tcp","to_port":443}]`,
			By: &finding.By{Who: "alice (AWSReservedSSO_Admin)", How: "console", What: "AuthorizeSecurityGroupIngress", When: at.Add(-26 * time.Hour), EventID: "6d0c2f0e-1f2b-4e0b-9d0a-0c1e2d3f4a5b", Sure: "certain"},
		},
		finding.Finding{Address: "aws_instance.web", Attribute: "instance_type", Kind: finding.Merged, Severity: finding.Medium, Declared: `"t3.large"`, Deployed: `"t3.small"`, Why: "81be0d4 changed it in #41, which nobody has applied", Pull: 41},
		finding.Finding{Address: "aws_instance.db", Attribute: "monitoring", Kind: finding.Unmerged, Severity: finding.Medium, Declared: "false", Deployed: "true", Why: "#40 applied it and was closed without being merged", Pull: 40},
		finding.Finding{Address: "aws_lb.web", Attribute: "xff_header_processing_mode", Kind: finding.Version, Severity: finding.Low, Declared: `"append"`, Why: "hashicorp/aws moved from 5.1.0 to 5.9.0"},
		finding.Finding{Address: "output.ami", Kind: finding.Data, Severity: finding.Low, Declared: `"ami-2"`, Deployed: `"ami-1"`, Why: "it comes from `data.aws_ami.base`, which seems to have another value now"},
		finding.Finding{Address: "random_id.x", Kind: finding.Unknown, Severity: finding.Low, Why: "no attribute asks for it"},
		finding.Finding{Address: "aws_autoscaling_group.web", Attribute: "desired_capacity", Kind: finding.Changed, Severity: finding.Low, Ignored: ignored},
	)
	all.InFlight, all.Cut = 12, true
	all.Ended = []string{"rule 2 (`aws_instance.*`, of bob) ended on 2026-11-01; it matches 1 of these findings"}
	all.Unused = []string{"rule 3 (`aws_db_instance.*`, of carol) matches nothing"}
	failed := check("envs/staging")
	failed.Failure = "Error: configuring Terraform AWS Provider: no valid credential sources\n\n  with provider[\"registry.terraform.io/hashicorp/aws\"],\n  on main.tf line 3"
	long := row(check("modules/a/very/deep/directory/that/is/not/going/to/fit/anywhere@blue", all.Findings[2]), 0, "▮")
	long.PutOff = "it is being applied by #9"
	hidden := row(check("envs/qa", all.Findings[7]), 0, "·····")
	hidden.Next = time.Time{}
	return drift.Page{Name: "weir", Repos: []drift.Repo{
		{Name: "acme/infra", Commit: head, At: at, Projects: []drift.Row{
			row(all, 31, "··············▮▮▮▮▮··×××▮▮▮▮▮▮"), row(failed, 32, "·····×"), long, hidden, row(check("envs/dev"), 0, "·······"), {Check: finding.Check{Project: "envs/new"}, Next: at.Add(time.Hour)},
		}},
		{Name: "acme/broken", At: at, Failure: "`weir.yaml`, line 3: there is no key `drfit`"},
		{Name: "acme/empty", Commit: head, At: at},
	}}
}

func hostileDrift(at time.Time) drift.Page {
	by := &finding.By{Who: hostile, How: hostile, What: hostile, EventID: hostile, Sure: hostile, When: at}
	c := finding.Check{Project: hostile, Started: at, Commit: hostile, Failure: hostile, Ended: []string{hostile}, Unused: []string{hostile}}
	c.Findings = []finding.Finding{{Address: hostile, Attribute: hostile, Kind: hostile, Severity: hostile, Declared: hostile, Deployed: hostile, Why: hostile, By: by}}
	return drift.Page{Name: hostile, Repos: []drift.Repo{{Name: hostile, Failure: hostile, Commit: hostile, At: at, Projects: []drift.Row{
		{Check: c, PutOff: hostile, History: hostile, Issue: 1, IssueURL: "javascript:alert(1)"},
	}}}}
}

func TestPages(t *testing.T) {
	pages, err := NewPages()
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range allPages(t) {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := pages.Render(&b, p.name, p.data); err != nil {
				t.Fatal(err)
			}
			checkPage(t, b.String())
			golden(t, "pages/"+name+".html", unversioned(b.String()))
		})
	}
}

// version is what changes in every page when a static file does.
var version = regexp.MustCompile(`(/static/[a-z.]+\?v=)[0-9a-f]+`)

func unversioned(page string) string { return version.ReplaceAllString(page, "${1}HASH") }

// TestStaticVersions: the address of a static file holds the hash of what is
// served there, as it is cached for ever.
func TestStaticVersions(t *testing.T) {
	pages, err := NewPages()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := pages.Render(&b, PageHome, HomePage{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"weir.css", "live.js"} {
		w := httptest.NewRecorder()
		pages.Static().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+name, nil))
		sum := sha256.Sum256(w.Body.Bytes())
		if want := "\"/static/" + name + "?v=" + hex.EncodeToString(sum[:])[:12] + "\""; !strings.Contains(b.String(), want) {
			t.Errorf("no address %s in\n%s", want, b.String())
		}
	}
}

// checkPage holds a page to what every page promises: it can be used with a
// keyboard and a screen reader, and nothing in it is run or obeyed but ours.
func checkPage(t *testing.T, text string) {
	t.Helper()
	root, err := nethtml.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	attr := func(n *nethtml.Node, key string) string {
		for _, a := range n.Attr {
			if a.Key == key {
				return a.Val
			}
		}
		return ""
	}
	var ids, refs []string
	headings := map[string]int{}
	last := 0
	walk(root, false, func(n *nethtml.Node, _ bool) {
		if n.Type != nethtml.ElementNode {
			return
		}
		if id := attr(n, "id"); id != "" {
			if slices.Contains(ids, id) {
				t.Errorf("id %q stands twice", id)
			}
			ids = append(ids, id)
		}
		if label := attr(n, "aria-labelledby"); label != "" {
			refs = append(refs, label)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
				t.Errorf("<%s> has %s=%q", n.Data, a.Key, a.Val)
			}
			if a.Key == "href" || a.Key == "src" || a.Key == "data-follow" {
				ours := strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "//")
				if !ours && !strings.HasPrefix(a.Val, "https://github.com/acme/") && !slices.Contains([]string{"#main", "data:,", "#ZgotmplZ"}, a.Val) {
					t.Errorf("<%s> leads to %q", n.Data, a.Val)
				}
			}
		}
		switch n.Data {
		case "h1", "h2", "h3":
			headings[n.Data]++
			level := int(n.Data[1] - '0')
			if level > last+1 {
				t.Errorf("<%s> follows a heading of level %d", n.Data, last)
			}
			last = level
			if strings.TrimSpace(visible(n)) == "" {
				t.Errorf("an empty <%s>", n.Data)
			}
		case "th":
			if s := attr(n, "scope"); s != "col" && s != "row" {
				t.Errorf("<th> without a scope: %s", visible(n))
			}
		case "time":
			if _, err := time.Parse(time.RFC3339, attr(n, "datetime")); err != nil {
				t.Errorf("<time>: %v", err)
			}
		case "script":
			if src := attr(n, "src"); !strings.HasPrefix(src, "/static/live.js?v=") || n.FirstChild != nil {
				t.Errorf("a script: src=%q", src)
			}
		case "img", "iframe", "object", "embed", "form", "style", "base":
			t.Errorf("a <%s>", n.Data)
		case "a":
			if strings.TrimSpace(visible(n)) == "" {
				t.Errorf("a link without words to %q", attr(n, "href"))
			}
		case "html":
			if attr(n, "lang") == "" {
				t.Error("no language")
			}
		}
	})
	if headings["h1"] != 1 {
		t.Errorf("%d first headings", headings["h1"])
	}
	for _, ref := range refs {
		if !slices.Contains(ids, ref) {
			t.Errorf("nothing has the id %q", ref)
		}
	}
	if !slices.Contains(ids, "main") {
		t.Error("the skip link leads nowhere")
	}
}

func TestRenderFails(t *testing.T) {
	pages, err := NewPages()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := pages.Render(&b, "nothing", nil); err == nil {
		t.Error("an unknown page was rendered")
	}
	if err := pages.Render(&b, PageRun, LocksPage{}); err == nil || b.Len() > 0 {
		t.Errorf("wrong data: error %v, %d bytes written", err, b.Len())
	}
}

func TestStatic(t *testing.T) {
	pages, err := NewPages()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		status int
		kind   string
		cache  string
	}{
		"/weir.css?v=1":  {http.StatusOK, "text/css; charset=utf-8", "public, max-age=31536000, immutable"},
		"/weir.css":      {http.StatusOK, "text/css; charset=utf-8", ""},
		"/live.js?v=1":   {http.StatusOK, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		"/":              {http.StatusNotFound, "text/plain; charset=utf-8", ""},
		"/../pages.go":   {http.StatusNotFound, "text/plain; charset=utf-8", ""},
		"/nothing.css":   {http.StatusNotFound, "text/plain; charset=utf-8", ""},
		"/nothing?v=all": {http.StatusNotFound, "text/plain; charset=utf-8", ""},
	} {
		w := httptest.NewRecorder()
		pages.Static().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		got := w.Result()
		if got.StatusCode != want.status || got.Header.Get("Content-Type") != want.kind || got.Header.Get("Cache-Control") != want.cache {
			t.Errorf("%s: got %d %s %s, want %+v", path, got.StatusCode, got.Header.Get("Content-Type"), got.Header.Get("Cache-Control"), want)
		}
	}
}

func TestStanding(t *testing.T) {
	project := func(states ...record.State) []record.ProjectRecord {
		var all []record.ProjectRecord
		for i, s := range states {
			all = append(all, record.ProjectRecord{ID: fmt.Sprint(i), State: s})
		}
		return all
	}
	for _, c := range []struct {
		in   record.Record
		want Standing
	}{
		{record.Record{}, Standing{"calm", "no projects"}},
		{record.Record{Projects: project(record.Planned), Decision: waits()}, Standing{"wait", "not yet approved"}},
		{record.Record{Projects: project(record.Planned), Decision: &policy.Decision{Open: true}}, Standing{"busy", "about to be applied"}},
		{record.Record{Projects: project(record.Planned)}, Standing{"wait", "planned"}},
		{record.Record{Projects: project(record.Planned, record.PlanFailed)}, Standing{"bad", "plan failed"}},
		{record.Record{Projects: project(record.Applied, record.Interrupted)}, Standing{"bad", "apply interrupted"}},
		{record.Record{Projects: project(record.Applied, record.NoChanges)}, Standing{"good", "applied"}},
		{record.Record{Projects: project(record.NoChanges)}, Standing{"good", "nothing to apply"}},
		{record.Record{Projects: project(record.Pending), Waiting: []record.Waiting{{ID: "a", Owner: 3}, {ID: "b", Owner: 3}}}, Standing{"wait", "waits for #3"}},
		{record.Record{Projects: project(record.Pending), Waiting: []record.Waiting{{ID: "a", Repo: "acme/other", Owner: 3}}}, Standing{"wait", "waits for acme/other#3"}},
		{record.Record{Projects: project(record.Pending), Waiting: []record.Waiting{{ID: "a"}}}, Standing{"wait", "waits for its turn"}},
		{record.Record{Projects: project(record.Planned), Merged: true, Closed: true}, Standing{"bad", "merged, not applied"}},
		{record.Record{Projects: project(record.Applied), Merged: true, Closed: true}, Standing{"calm", "merged"}},
		{record.Record{Projects: project(record.Planned), Closed: true}, Standing{"calm", "closed"}},
		{record.Record{Failure: "conflict"}, Standing{"bad", "cannot be planned"}},
	} {
		if got := standing(c.in); got != c.want {
			t.Errorf("%+v: got %+v, want %+v", c.in, got, c.want)
		}
	}
}
