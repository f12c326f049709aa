package drift

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	nethtml "golang.org/x/net/html"

	"weir/drift/finding"
	"weir/drift/report"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got:\n%s", file, diff)
	}
}

const (
	commit  = "3f2a91c04b7d5e6f8a9b0c1d2e3f405162738495"
	hostile = "`--> <!-- \"><script>alert(1)</script> @octocat #12 GH-12 | [a](https://evil.example) **b** https://evil.example\n# title\n```\n- x\u202e"
)

var at = time.Date(2026, 11, 21, 3, 29, 5, 0, time.UTC)

// check is one that found something of every kind.
func check() finding.Check {
	return finding.Check{
		Repo: "acme/infra", Project: "envs/prod", Dir: "envs/prod", Workspace: "default", Commit: commit, Started: at, Took: 4 * time.Second, Terraform: "1.15.8",
		Findings: []finding.Finding{
			{Address: "aws_s3_bucket.logs", Type: "aws_s3_bucket", Kind: finding.Deleted, Severity: finding.High, Action: "create", Why: "it is not there any more"},
			{
				Address: "aws_security_group.web", Type: "aws_security_group", Attribute: "ingress", Kind: finding.Changed, Severity: finding.High, Action: "update",
				Declared: `[{"cidr_blocks":["10.0.0.0/8"]}]`, Deployed: `[{"cidr_blocks":["0.0.0.0/0"]}]`,
				By: &finding.By{Who: "alice (AWSReservedSSO_Admin)", How: "console", What: "AuthorizeSecurityGroupIngress", When: at.Add(-26 * time.Hour), EventID: "6d0c2f0e-1f2b-4e0b-9d0a-0c1e2d3f4a5b", Sure: "certain"},
			},
			{Address: `aws_instance.web["a|b"]`, Type: "aws_instance", Attribute: "tags", Kind: finding.Changed, Severity: finding.Low, Action: "update", Deployed: `{"owner":"bob"}`},
			{Address: "aws_instance.web", Type: "aws_instance", Attribute: "instance_type", Kind: finding.Merged, Severity: finding.Medium, Action: "update", Declared: `"t3.large"`, Deployed: `"t3.small"`, Why: "81be0d4 changed it in #41, which nobody has applied", Pull: 41},
			{Address: "aws_instance.db", Type: "aws_instance", Attribute: "monitoring", Kind: finding.Unmerged, Severity: finding.Medium, Action: "update", Declared: "false", Deployed: "true", Why: "#40 applied it and was closed without being merged", Pull: 40},
			{Address: "aws_lb.web", Type: "aws_lb", Attribute: "xff_header_processing_mode", Kind: finding.Version, Severity: finding.Low, Action: "update", Declared: `"append"`, Why: "hashicorp/aws moved from 5.1.0 to 5.9.0"},
			{Address: "output.ami", Kind: finding.Data, Severity: finding.Low, Action: "update", Declared: `"ami-2"`, Deployed: `"ami-1"`, Why: "it comes from `data.aws_ami.base`, which seems to have another value now"},
			{Address: "random_id.x", Type: "random_id", Kind: finding.Unknown, Severity: finding.Low, Action: "replace", Why: "no attribute asks for it"},
		},
	}
}

func project(change func(p *Project)) Project {
	p := Project{Check: check(), Since: at.Add(-48 * time.Hour), Branch: "main", Name: "weir", Page: "https://weir.acme.example/drift"}
	change(&p)
	return p
}

// evil is hostile wherever something comes from outside.
func evil() finding.Check {
	c := check()
	c.Project, c.Dir, c.Terraform = hostile, hostile, hostile
	c.Ended, c.Unused = []string{hostile}, []string{hostile}
	by := &finding.By{Who: hostile, How: hostile, What: hostile, EventID: hostile, Sure: hostile, When: at}
	f := finding.Finding{Address: hostile, Type: hostile, Attribute: hostile, Kind: finding.Changed, Severity: finding.High, Declared: hostile, Deployed: hostile, Why: hostile, By: by}
	hidden := f
	hidden.Ignored = &finding.Ignored{Owner: hostile, Reason: hostile, Until: hostile}
	unknown := f
	unknown.Address, unknown.By, unknown.Nobody = "aws_sqs_queue.unknown", nil, hostile
	c.Findings = []finding.Finding{f, unknown, hidden}
	return c
}

func situations() map[string]Project {
	return map[string]Project{
		"kinds": project(func(*Project) {}),
		"one": project(func(p *Project) {
			p.Check.Findings, p.Since, p.Page, p.Check.Terraform = p.Check.Findings[:1], at, "", ""
		}),
		"failed": project(func(p *Project) {
			p.Check.Findings, p.Check.InFlight, p.PutOff = nil, 12, "envs/prod is being applied"
			p.Check.Failure = "Error: configuring Terraform AWS Provider: no valid credential sources\n\n  with provider[\"registry.terraform.io/hashicorp/aws\"],\n  on main.tf line 3\n"
		}),
		"in_flight": project(func(p *Project) { p.Check.Findings, p.Check.InFlight = p.Check.Findings[3:4], 12 }),
		"put_off":   project(func(p *Project) { p.Check.Findings, p.PutOff = p.Check.Findings[3:4], "`envs/prod` is being applied" }),
		"rules": project(func(p *Project) {
			rule := &finding.Ignored{Owner: "@acme/network", Reason: "the autoscaler sets it", Until: "2026-12-31"}
			p.Check.Findings[1].Ignored, p.Check.Findings[7].Ignored = rule, rule
			p.Check.Ended = []string{"rule 2 (aws_instance.* tags, by bob) ended on 2026-11-01; it matches 1 of these findings"}
			p.Check.Unused = []string{"rule 3 (aws_db_instance.* *, by carol) matches nothing"}
			p.Check.Cut = true
		}),
		"other_name": project(func(p *Project) { p.Check.Findings, p.Name = p.Check.Findings[:1], "weir-staging" }),
		"hostile": project(func(p *Project) {
			p.Check, p.Branch, p.PutOff, p.Page = evil(), hostile, hostile, "javascript:alert(1)"
		}),
		"hostile_failed": project(func(p *Project) {
			p.Check, p.Branch, p.PutOff = evil(), hostile, hostile
			p.Check.Failure = hostile
		}),
	}
}

func TestBody(t *testing.T) {
	for name, p := range situations() {
		t.Run(name, func(t *testing.T) {
			body := Body(p)
			golden(t, name+".md", body)
			harmless(t, body, p.Page)
			if got := finding.ProjectOf(body); got != p.Check.Project {
				t.Errorf("found again as %q", got)
			}
			if !strings.Contains(body, "\n"+Set(p.Check)+"\n") {
				t.Error("the set is not in it")
			}
		})
	}
}

var (
	live    = regexp.MustCompile(`(?i)@[\p{L}\p{N}]|#[0-9]|\bGH-[0-9]|://|www\.`)
	ours    = regexp.MustCompile(`(pull request |see )#[0-9]+`)
	ownTags = []string{"html", "head", "body", "p", "h3", "strong", "ul", "li", "code", "pre", "details", "summary", "a", "sub"}
	marker  = regexp.MustCompile(`^ weir (kind=drift project=[^ ]*|kind=drift check=[0-9TZ.]+|kind=drift-summary|kind=drift-foot|set=[0-9a-f]{16}) $`)
)

// harmless holds a text to what every one promises: nothing in it that comes
// from outside is obeyed by GitHub.
func harmless(t testing.TB, text, page string) {
	t.Helper()
	if n := utf8.RuneCountInString(text); n > 65_536 {
		t.Errorf("%d characters", n)
	}
	var b bytes.Buffer
	md := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))
	if err := md.Convert([]byte(text), &b); err != nil {
		t.Fatal(err)
	}
	root, err := nethtml.Parse(&b)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n *nethtml.Node, code bool)
	walk = func(n *nethtml.Node, code bool) {
		switch n.Type {
		case nethtml.CommentNode:
			if !marker.MatchString(n.Data) {
				t.Errorf("comment %q", n.Data)
			}
		case nethtml.ElementNode:
			if !slices.Contains(ownTags, n.Data) {
				t.Errorf("<%s> in\n%s", n.Data, text)
			}
			for _, a := range n.Attr {
				if n.Data != "a" || a.Key != "href" || a.Val != page {
					t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
				}
			}
			code = code || n.Data == "code" || n.Data == "pre"
		case nethtml.TextNode:
			if found := live.FindString(ours.ReplaceAllString(n.Data, "")); found != "" && !code {
				t.Errorf("%q is live in %q", found, n.Data)
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, code)
		}
	}
	walk(root, false)
}

// However much is found, and however long it is, GitHub takes it.
func TestLength(t *testing.T) {
	for name, word := range map[string]string{"short": "a", "long": strings.Repeat("|long", 1000), "hostile": strings.Repeat(hostile, 100), "no word": strings.Repeat("\u202e", 5000)} {
		t.Run(name, func(t *testing.T) {
			var c finding.Check
			c.Project, c.Started, c.Terraform, c.Cut = strings.ToValidUTF8(word[:min(len(word), 4096)], ""), at, word, true // no path is longer
			for _, k := range kinds {
				for i := range 300 {
					f := finding.Finding{Address: fmt.Sprintf("%s.r%d", word, i), Attribute: word, Kind: k.kind, Severity: finding.High, Declared: word, Deployed: word, Why: word, Pull: 123456}
					if f.By = (&finding.By{Who: word, How: word, What: word, EventID: word, Sure: word}); i%3 == 0 {
						f.By, f.Nobody = nil, word
					}
					if i%2 == 0 {
						f.Ignored = &finding.Ignored{Owner: word, Reason: word, Until: word}
					}
					c.Findings = append(c.Findings, f)
				}
				c.Ended, c.Unused = append(c.Ended, word, word), append(c.Unused, word, word)
			}
			p := Project{Check: c, Branch: word, PutOff: word, Since: at.Add(-time.Hour), Page: "https://weir.acme.example/drift"}
			harmless(t, Body(p), p.Page)
			harmless(t, News(c.Findings[:3], c), "")
			harmless(t, News(c.Findings, finding.Check{Started: at}), "")
			harmless(t, Closed(c, false), "")
			harmless(t, Closed(c, true), "")
			harmless(t, Summary(slices.Repeat([]Project{p}, 3000), 20), "")
			if n := utf8.RuneCountInString(Title(c)); n > 256 {
				t.Errorf("title of %d characters", n)
			}
			c.Failure = word + strings.Repeat("\n"+word[:1], 40_000)
			p.Check = c
			harmless(t, Body(p), p.Page)
		})
	}
}

func TestTitle(t *testing.T) {
	failed := check()
	failed.Failure = "Error"
	named := func(name string, n int) finding.Check {
		c := check()
		c.Project, c.Findings = name, c.Findings[:n]
		return c
	}
	for _, c := range []struct {
		check finding.Check
		want  string
	}{
		{named("envs/prod", 0), "Drift in envs/prod: none"},
		{named("envs/prod", 3), "Drift in envs/prod: 1 deleted outside; 2 changed outside"},
		{check(), "Drift in envs/prod: 1 deleted outside; 2 changed outside; 1 merged, never applied; 1 applied, never merged; 1 version; 1 data; 1 unexplained"},
		{failed, "Drift in envs/prod: the check fails"},
		{named("a\nb\x1b[2J\u202e", 1), "Drift in a b<U+202E>: 1 deleted outside"},
		{named(strings.Repeat("x", 500), 1), "Drift in " + strings.Repeat("x", 80) + " … " + strings.Repeat("x", 77) + ": 1 deleted outside"},
	} {
		if got := Title(c.check); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// People are told again when the set of address, attribute and kind is another
// one, and for nothing else.
func TestSet(t *testing.T) {
	base := Set(check())
	for _, c := range []struct {
		name   string
		change func(c *finding.Check)
		same   bool
	}{
		{"later, with other values and words", func(c *finding.Check) {
			c.Started, c.Commit, c.InFlight, c.Ended = at.Add(time.Hour), "0", 3, []string{"a"}
			c.Findings[1].Deployed, c.Findings[1].Why, c.Findings[1].By, c.Findings[1].Severity = "1", "2", nil, finding.Low
		}, true},
		{"in another order", func(c *finding.Check) { slices.Reverse(c.Findings) }, true},
		{"another address", func(c *finding.Check) { c.Findings[0].Address += "x" }, false},
		{"another attribute", func(c *finding.Check) { c.Findings[1].Attribute = "egress" }, false},
		{"another kind", func(c *finding.Check) { c.Findings[0].Kind = finding.Unknown }, false},
		{"a letter that moves", func(c *finding.Check) {
			c.Findings[1].Address, c.Findings[1].Attribute = c.Findings[1].Address+"i", "ngress"
		}, false},
		{"one less", func(c *finding.Check) { c.Findings = c.Findings[1:] }, false},
		{"one hidden", func(c *finding.Check) { c.Findings[0].Ignored = &finding.Ignored{} }, false},
		{"failed", func(c *finding.Check) { c.Failure = "a" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := check()
			c.change(&changed)
			if got := Set(changed); (got == base) != c.same {
				t.Errorf("%s, was %s", got, base)
			}
		})
	}
	a, b := finding.Check{Failure: "a"}, finding.Check{Failure: "b", Findings: check().Findings}
	if Set(a) != Set(b) {
		t.Error("how a check fails is told again")
	}
}

func TestNews(t *testing.T) {
	later := check()
	later.Findings = slices.Concat(later.Findings[2:4], []finding.Finding{{Address: "aws_iam_role.x", Attribute: "assume_role_policy", Kind: finding.Changed, Severity: finding.High}})
	failed := check()
	failed.Failure = "Error"
	hidden := check()
	hidden.Findings[0].Ignored = &finding.Ignored{Owner: "alice"}
	for name, text := range map[string]string{
		"first":     News(nil, check()),
		"both":      News(check().Findings, later),
		"same":      News(check().Findings, check()),
		"hidden":    News(check().Findings, hidden),
		"failed":    News(check().Findings, failed),
		"hostile":   News(nil, evil()),
		"closed":    Closed(check(), false),
		"gone":      Closed(check(), true),
		"gone_evil": Closed(evil(), true),
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, "news/"+name+".md", text)
			harmless(t, text, "")
			first, _, _ := strings.Cut(text, "\n")
			if want := "<!-- weir kind=drift check=20261121T032905.000000Z -->"; first != want {
				t.Errorf("begins with %s", first)
			}
			if finding.ProjectOf(text) != "" {
				t.Error("a comment passes for an issue")
			}
		})
	}
}

func TestSummary(t *testing.T) {
	list := []Project{
		project(func(*Project) {}),
		project(func(p *Project) { p.Check.Failure = "Error" }),
		project(func(p *Project) { p.Check = evil() }),
	}
	text := Summary(list, 20)
	golden(t, "summary.md", text)
	harmless(t, text, "")
	if !strings.HasPrefix(text, SummaryMarker+"\n") || finding.ProjectOf(text) != "" {
		t.Errorf("not found again:\n%s", text)
	}
	for n, want := range map[int]string{1: "Drift in 1 more project", 3: "Drift in 3 more projects"} {
		if got := SummaryTitle(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// TestQuietNight holds that a night in which nothing became different writes to no issue.
func TestQuietNight(t *testing.T) {
	c := finding.Check{Project: "a", Started: time.Unix(0, 0), Commit: "1111111", Findings: []finding.Finding{{Address: "x.y", Kind: finding.Changed}}}
	issues := []finding.Issue{{Number: 1, Open: true, Title: Title(c), Body: Body(Project{Check: c, Branch: "main"})}}
	c.Started = c.Started.Add(24 * time.Hour)
	steps := report.Decide([]report.Item{{Marker: finding.Marker("a"), Differs: true, Title: Title(c), Body: Body(Project{Check: c, Branch: "main"}), Set: Set(c), Foot: Foot}}, issues, 20, report.Summary{})
	if steps[0].Verb != report.Remain {
		t.Errorf("%s: each open issue is written in each check", steps[0].Verb)
	}
}
