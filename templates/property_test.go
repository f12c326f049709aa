package templates

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	nethtml "golang.org/x/net/html"

	"weir/planner/record"
	"weir/planner/result"
	"weir/planner/terraform"
	"weir/policy"
	"weir/templates/markdown"
)

// rendered is Markdown as GitHub renders it, as far as goldmark goes.
func rendered(t testing.TB, markdown string) *nethtml.Node {
	t.Helper()
	var b bytes.Buffer
	md := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe()))
	if err := md.Convert([]byte(markdown), &b); err != nil {
		t.Fatal(err)
	}
	root, err := nethtml.Parse(&b)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// walk visits all nodes; inCode says that a node is inside of code.
func walk(n *nethtml.Node, inCode bool, visit func(n *nethtml.Node, inCode bool)) {
	visit(n, inCode)
	if n.Type == nethtml.ElementNode && (n.Data == "code" || n.Data == "pre") {
		inCode = true
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		walk(c, inCode, visit)
	}
}

func visible(n *nethtml.Node) string {
	var b strings.Builder
	walk(n, false, func(n *nethtml.Node, _ bool) {
		if n.Type == nethtml.TextNode {
			b.WriteString(n.Data)
		}
	})
	return b.String()
}

var (
	markerLine = regexp.MustCompile(`^<!-- weir kind=(plan|apply|locked|unlocked|explain|help|error) job=[0-9A-Za-z_]*( part=2)? -->$`)
	live       = regexp.MustCompile(`(?i)@[\p{L}\p{N}]|#[0-9]|\bGH-[0-9]|://|www\.`)
	ownTags    = []string{
		"html", "head", "body", "p", "strong", "ul", "li", "code", "pre", "details", "summary", "a", "sub", "input",
		"table", "thead", "tbody", "tr", "th", "td",
	}
)

// checkParts holds the bodies of a comment to what Comment promises.
func checkParts(t testing.TB, r result.Result, parts []string) {
	t.Helper()
	if len(parts) < 1 || len(parts) > 2 {
		t.Fatalf("%d parts", len(parts))
	}
	urls := []string{r.PageURL}
	for _, p := range r.Projects {
		urls = append(urls, p.RunURL)
	}
	var ours []string // references that weir makes on purpose
	for _, n := range r.Next {
		ours = append(ours, fmt.Sprintf("#%d", n))
	}
	for _, w := range r.Waiting {
		ours = append(ours, fmt.Sprintf("#%d", w.Owner))
	}
	for i, part := range parts {
		if len(part) > markdown.Limit {
			t.Errorf("part %d has %d bytes", i+1, len(part))
		}
		first, rest, _ := strings.Cut(part, "\n")
		if m := markerLine.FindStringSubmatch(first); m == nil || (m[2] != "") != (i == 1) {
			t.Errorf("part %d begins with %q", i+1, first)
		}
		if strings.TrimSpace(rest) == "" {
			t.Errorf("part %d says nothing", i+1)
		}
		if left := openFence(part); left != "" {
			t.Errorf("part %d leaves the fence %q open", i+1, left)
		}
		if strings.Count(part, "\n<details>") != strings.Count(part, "\n</details>") {
			// Inside of fences a plan may say so itself; then count what renders.
			t.Logf("part %d: details look unbalanced", i+1)
		}
		details, ends := 0, 0
		walk(rendered(t, part), false, func(n *nethtml.Node, inCode bool) {
			switch n.Type {
			case nethtml.ElementNode:
				if !slices.Contains(ownTags, n.Data) {
					t.Errorf("part %d has a live <%s>", i+1, n.Data)
				}
				for _, a := range n.Attr {
					if a.Key == "href" && !slices.ContainsFunc(urls, func(u string) bool { return u != "" && a.Val == u }) {
						t.Errorf("part %d links to %q", i+1, a.Val)
					}
				}
				if n.Data == "details" {
					details++
					if n.Parent.Data != "body" {
						t.Errorf("part %d: a fold inside of <%s>", i+1, n.Parent.Data)
					}
				}
			case nethtml.TextNode:
				if inCode {
					return
				}
				words := n.Data
				for _, o := range ours {
					words = regexp.MustCompile(o+`\b`).ReplaceAllString(words, "")
				}
				if m := live.FindString(words); m != "" {
					t.Errorf("part %d: %q is live in %q", i+1, m, n.Data)
				}
			case nethtml.CommentNode:
				ends++
				if " "+strings.TrimSpace(n.Data)+" " != n.Data || !markerLine.MatchString("<!--"+n.Data+"-->") {
					t.Errorf("part %d hides %q", i+1, n.Data)
				}
			}
		})
		if ends != 1 {
			t.Errorf("part %d has %d hidden comments", i+1, ends)
		}
		if folds := strings.Count(outsideFences(part), "<details>"); folds != details || folds != strings.Count(outsideFences(part), "</details>") {
			t.Errorf("part %d: %d folds are written, %d rendered", i+1, folds, details)
		}
	}
}

// openFence returns the fence that s leaves open (CommonMark, "Fenced code blocks").
func openFence(s string) string {
	open := ""
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, "\n")
		ticks := line[:len(line)-len(strings.TrimLeft(line, "`"))]
		switch {
		case open == "" && len(ticks) >= 3:
			open = ticks
		case open != "" && len(ticks) >= len(open) && line == ticks:
			open = ""
		}
	}
	return open
}

func outsideFences(s string) string {
	var b strings.Builder
	open := ""
	for line := range strings.Lines(s) {
		ticks := line[:len(line)-len(strings.TrimLeft(line, "`"))]
		switch {
		case open == "" && len(ticks) >= 3:
			open = ticks
		case open != "":
			if len(ticks) >= len(open) && strings.TrimRight(line, "\n") == ticks {
				open = ""
			}
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}

// seen is what a reader sees of a string: no zero-width spaces, single blanks.
func seen(s string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(s, "\u200b", "")), " ")
}

// FuzzText: what a reader sees of a sentence is the sentence, and it is
// nothing but words and code.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		"plain", "# title", "1. one", "12) x", "- a", "+ a", "* a", "> q", "| a | b |", "a_b_c _x_ __y__", "**x**", "~~x~~", "[x](y)", "![x](y)",
		"<b>x</b>", "&amp; &#64;bob", "@bob", "#12", "GH-12", "https://example.com/a", "www.example.com", "a@example.com", "$x$", "`code` and `more`",
		"`odd", "`` ` ``", "` `", "a\\|b", "a|b`c", "--> <!-- x", "\x1b[31mred\x1b[0m", "=====", "---", "\u202eabc", "[^1]: x", "a\\", "mailto:a@b.cc", "- [x] done",
		"`a\\`b`", "!`a`", "\\`a`", "a`b`c", "`www.x.y|`", "<", "ftp://x", "xmpp:a@b.c/d", ":smile:", "a\u00a0b", "`|`", "`@a|`", "W\u017fww.a.b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "\u200b") || strings.Contains(s, "\ufffd") {
			t.Skip("not to be told from ours")
		}
		got := markdown.Text(s)
		if strings.ContainsAny(got, "\n\r") {
			t.Fatalf("Text(%q) has several lines: %q", s, got)
		}
		root := rendered(t, "- note: "+got+"\n\n| a | b |\n| - | - |\n| "+got+" | "+markdown.Code(s)+" |\n\n"+got+"\n")
		paragraph := ""
		walk(root, false, func(n *nethtml.Node, inCode bool) {
			switch {
			case n.Type == nethtml.ElementNode && !slices.Contains([]string{"html", "head", "body", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "code"}, n.Data):
				t.Errorf("Text(%q) = %q renders a <%s>", s, got, n.Data)
			case n.Type == nethtml.ElementNode && n.Data == "p" && n.Parent.Data == "body":
				paragraph = visible(n)
			case n.Type == nethtml.TextNode && !inCode && live.MatchString(n.Data):
				t.Errorf("Text(%q) = %q is live: %q", s, got, n.Data)
			case n.Type == nethtml.ElementNode && n.Data == "tr" && n.FirstChild.NextSibling != nil:
				cells := 0
				for c := n.FirstChild; c != nil; c = c.NextSibling {
					if c.Type == nethtml.ElementNode {
						cells++
					}
				}
				if cells != 2 {
					t.Errorf("Text(%q) = %q makes %d cells", s, got, cells)
				}
			}
		})
		// A code span is cut at 160; skip what is that long.
		want := seen(markdown.Line(s, markdown.MaxText))
		if len(want) > 160 {
			return
		}
		plain := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r == '`' || unicode.IsSpace(r) {
					return -1
				}
				return r
			}, seen(s))
		}
		if plain(paragraph) != plain(want) {
			t.Errorf("Text(%q) = %q reads %q", s, got, paragraph)
		}
	})
}

// FuzzComment: whatever a pull request holds, a comment keeps its promises.
func FuzzComment(f *testing.F) {
	evil := "a|b`</details><script>alert(1)</script> @bob fixes #12 --> ![x](https://x.test/1)"
	f.Add(evil, evil, evil, 3, 4000)
	f.Add("envs/prod", "```\n</details>", "~ x\n-/+ y", 120, 2000)
	f.Add("\n\n", "\r\n# x", "      ~ a = <<-EOT\n          - b\n        EOT", 1, 70000)
	f.Add(strings.Repeat("`|", 200), strings.Repeat("@a ", 900), strings.Repeat("`", 9000), 98, 9000)
	f.Add(strings.Repeat("é|", 200), "---\n===", "x\n<details>\n", 20, 20000)
	f.Fuzz(func(t *testing.T, name, sentence, plan string, projects, size int) {
		projects, size = min(max(projects, 0), 120), min(max(size, 0), 200_000)
		if strings.Contains(name+sentence+plan, "\u200b") {
			t.Skip("not to be told from ours")
		}
		all := []record.State{record.Planned, record.PlanFailed, record.NoChanges, record.Applied, record.ApplyFailed, record.Interrupted, record.Pending, record.Skipped}
		for kind := range kinds {
			r := base(kind)
			r.Job = name
			r.Text, r.Actor, r.BaseRef, r.Head = sentence, name, name, name
			r.Notes, r.Unlocked = []string{sentence, name, name + ":3: " + sentence}, []string{name}
			r.Next = []int{12}
			r.Waiting = []record.Waiting{{ID: name, Owner: 12, Place: 2}}
			r.Decision = &policy.Decision{Requirements: []policy.Requirement{{Name: "approved", Reason: sentence}}}
			if projects%3 == 0 {
				r.Failure = sentence + "\n" + plan
			}
			for i := range projects {
				text := plan
				if len(plan) > 0 && i%7 == 0 {
					text = strings.Repeat(plan, 1+min(size/len(plan), 3000))
				}
				r.Projects = append(r.Projects, result.Project{
					ID: name, Dir: sentence, Workspace: name, State: all[i%len(all)], RunURL: runURL(i % 10), Text: text, Failure: sentence,
					Notes: []string{sentence}, Deleted: i%3 == 1, Extra: []string{name, sentence}[:i%3%2*2], AskedBy: name,
					Summary: &terraform.Summary{Replace: 1, Opaque: sentence, Changes: []terraform.Change{
						{Address: name, Action: terraform.Replace, Reason: sentence, Attributes: []terraform.Attribute{{Name: name, ForcesReplace: true}}},
					}},
					Origins: []record.Origin{{Address: name, Attributes: []string{name}, Kind: []string{"changed outside", "merged, never applied", "data"}[i%3], Why: sentence}},
				})
			}
			checkParts(t, r, Comment(r))
		}
	})
}
