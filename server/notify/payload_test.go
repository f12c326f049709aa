package notify

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir/drift/notice"
)

func TestPayloads(t *testing.T) {
	for name, n := range map[string]notice.Notice{"full": full(), "hostile": bad()} {
		for _, format := range []Format{JSON, Slack} {
			body, err := sender(t, format, "https://example.com/", nil).body(n)
			if err != nil {
				t.Fatal(err)
			}
			var lines bytes.Buffer
			if err := json.Indent(&lines, body, "", "  "); err != nil {
				t.Fatal(err)
			}
			golden(t, name+"-"+string(format)+".json", lines.String()+"\n")
		}
	}
}

// What is sent as JSON can be read back.
func TestDocument(t *testing.T) {
	body, err := sender(t, JSON, "https://example.com/", nil).body(full())
	if err != nil {
		t.Fatal(err)
	}
	var got Document
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Document{Version: 1, Event: "drift", Notice: full()}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

var (
	// Everything between < and > that weir itself writes.
	links = regexp.MustCompile(`<https?://[!-~]+\|[A-Za-z0-9# ]+>`)
	// Fences first, then code within a line.
	fences = regexp.MustCompile("(?s)```\n[^`]*\n```")
	codes  = regexp.MustCompile("`[^`\n]+`")
	words  = regexp.MustCompile(`^[-A-Za-z0-9 ,;:·…#()*\n]*$`)
)

// verify fails where a message is over a limit of Slack's, or where anything but
// weir's own words, links and emphasis is outside of code.
func verify(t interface {
	Helper()
	Fatalf(string, ...any)
}, m slackMessage,
) {
	t.Helper()
	if len(m.Blocks) > maxBlocks {
		t.Fatalf("%d blocks", len(m.Blocks))
	}
	for i, b := range m.Blocks {
		texts := b.Elements
		if b.Text != nil {
			texts = append(texts, *b.Text)
		}
		for _, s := range texts {
			most := maxSection
			if b.Type == "header" {
				most = maxHeader
			}
			if n := characters(s.Text); n == 0 || n > most {
				t.Fatalf("block %d, %s: %d characters", i, b.Type, n)
			}
			if s.Type == "plain_text" {
				continue
			}
			if s.Type != "mrkdwn" || !s.Verbatim {
				t.Fatalf("block %d: words can become links: %+v", i, s)
			}
			rest := links.ReplaceAllString(s.Text, "")
			if strings.ContainsAny(rest, "<>") {
				t.Fatalf("block %d: markup of others: %q", i, s.Text)
			}
			rest = codes.ReplaceAllString(fences.ReplaceAllString(rest, ""), "")
			if !words.MatchString(rest) {
				t.Fatalf("block %d: outside of code: %q", i, rest)
			}
		}
	}
	if strings.ContainsAny(m.Text, "<>") || m.UnfurlLinks || m.UnfurlMedia {
		t.Fatalf("text %q", m.Text)
	}
}

func TestHostileText(t *testing.T) {
	verify(t, message(bad()))
	verify(t, message(full()))
	n := bad()
	n.Page, n.Repo, n.Commit = "javascript:alert(1)", hostile, hostile
	verify(t, message(n))
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Just(hostile), rapid.StringMatching("[<>!|&`*_~@#:/. \n]{0,30}"), rapid.StringOfN(rapid.RuneFrom([]rune("&<😀`")), 0, 3000, -1))
		n := notice.Notice{Repo: text.Draw(t, "repo"), Page: text.Draw(t, "page"), Commit: text.Draw(t, "commit"), More: rapid.IntRange(0, 3).Draw(t, "more")}
		for range rapid.IntRange(0, 60).Draw(t, "projects") {
			n.Projects = append(n.Projects, notice.Change{
				Project: text.Draw(t, "project"), Dir: text.Draw(t, "dir"), Failure: text.Draw(t, "failure"),
				What:  rapid.SampledFrom([]notice.What{notice.Differs, notice.Otherwise, notice.Failed, notice.InOrder, notice.Gone, hostile}).Draw(t, "what"),
				Issue: &notice.Issue{Number: 7, URL: rapid.SampledFrom([]string{"https://github.com/acme/infra/issues/7", "https://", "https://x|y>", hostile}).Draw(t, "url")},
			})
		}
		verify(t, message(n))
	})
}

func TestLimited(t *testing.T) {
	for _, tt := range []struct {
		in   string
		most int
		want string
	}{
		{"", 5, ""},
		{"abcde", 5, "abcde"},
		{"abcdef", 5, "abcd…"},
		{"&", 5, "&amp;"},
		{"&&", 9, "&amp;…"},
		{"&b", 5, "…"},
		{"😀😀", 4, "😀😀"},
		{"😀😀😀", 4, "😀…"},
	} {
		if got := limited(tt.in, tt.most); got != tt.want {
			t.Errorf("%q in %d: got %q, want %q", tt.in, tt.most, got, tt.want)
		}
	}
}
