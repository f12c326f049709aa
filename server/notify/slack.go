package notify

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf16"

	"weir/drift/finding"
	"weir/drift/notice"
)

// Limits of Slack's Block Kit ("Blocks", "Text object"): 50 blocks a message,
// 150 characters in a header, 3,000 in the text of a section. Characters are
// counted as UTF-16 counts them, which is never less.
const (
	maxBlocks  = 50
	maxHeader  = 150
	maxSection = 3000

	maxName = 400 // of a name, escaped
	maxCode = 1500
)

// slackMessage is what an incoming webhook takes.
type slackMessage struct {
	Text        string  `json:"text"` // where blocks are not shown, as in notifications
	Blocks      []block `json:"blocks"`
	UnfurlLinks bool    `json:"unfurl_links"`
	UnfurlMedia bool    `json:"unfurl_media"`
}

type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text,omitempty"`
	Elements []text `json:"elements,omitempty"`
}

type text struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim,omitempty"` // no links or mentions are made of words
}

func markup(s string) text { return text{Type: "mrkdwn", Text: s, Verbatim: true} }

// message puts a notice into words for Slack. What comes from a repository or
// from Terraform stands in code, where Slack reads no markup, and escaped, so
// that it is no mention and no link ("Formatting message text").
func message(n notice.Notice) slackMessage {
	title := fmt.Sprintf("Drift in %s: news of %s", limited(oneLine(n.Repo), 100), projects(len(n.Projects)+n.More))
	m := slackMessage{Text: title, Blocks: []block{{Type: "header", Text: &text{Type: "plain_text", Text: title}}}}
	listed := n.Projects[:min(len(n.Projects), maxBlocks-3)]
	for _, c := range listed {
		told := markup(change(c, n.Least))
		m.Blocks = append(m.Blocks, block{Type: "section", Text: &told})
	}
	if more := n.More + len(n.Projects) - len(listed); more > 0 {
		m.Blocks = append(m.Blocks, block{Type: "context", Elements: []text{markup("and " + projects(more) + " more")}})
	}
	foot := fmt.Sprintf("checked %s UTC", n.At.UTC().Format("2006-01-02 15:04"))
	if commit := oneLine(n.Commit); commit != "" {
		foot = "commit " + code(commit[:min(len(commit), 7)]) + " · " + foot
	}
	if all := link(n.Page, "All projects"); all != "" {
		foot = all + " · " + foot
	}
	m.Blocks = append(m.Blocks, block{Type: "context", Elements: []text{markup(foot)}})
	return m
}

func projects(n int) string {
	if n == 1 {
		return "1 project"
	}
	return fmt.Sprintf("%d projects", n)
}

// change is one project in words.
func change(c notice.Change, least finding.Severity) string {
	name := code(c.Project)
	if c.Project == "" {
		name = "A project with a very long name"
	}
	if c.Dir != "" && c.Dir != c.Project && c.Dir+"@"+c.Workspace != c.Project {
		name += " in " + code(c.Dir)
	}
	var b strings.Builder
	if c.Severity != "" {
		fmt.Fprintf(&b, "*%s* ", plain(string(c.Severity)))
	}
	b.WriteString(name)
	switch c.What {
	case notice.Differs:
		b.WriteString(" differs" + counts(c.Findings))
	case notice.Otherwise:
		b.WriteString(" differs otherwise than before" + counts(c.Findings))
	case notice.Failed:
		b.WriteString(": the check failed, so nobody knows whether it differs")
	case notice.InOrder:
		b.WriteString(" is in order again")
		if least != "" && least != finding.Low {
			fmt.Fprintf(&b, ": nothing that differs is %s or worse", plain(string(least)))
		}
	case notice.Gone:
		b.WriteString(" is not in the repository any more")
	default:
		b.WriteString(": " + plain(string(c.What)))
	}
	if c.Below > 0 {
		fmt.Fprintf(&b, " · %d less bad", c.Below)
	}
	if c.Hidden > 0 {
		fmt.Fprintf(&b, " · %d hidden by rules", c.Hidden)
	}
	if c.Issue != nil {
		number := fmt.Sprintf("#%d", c.Issue.Number)
		if to := link(c.Issue.URL, number); to != "" {
			number = to
		}
		b.WriteString(" · " + number)
	}
	if c.Failure != "" {
		b.WriteString("\n" + fence(c.Failure))
	}
	return b.String()
}

func counts(list []notice.Count) string {
	var parts []string
	for _, c := range list[:min(len(list), 10)] {
		parts = append(parts, fmt.Sprintf("%d %s", c.Count, plain(string(c.Kind))))
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, "; ")
}

// code is a name within a line.
func code(s string) string {
	s = strings.ReplaceAll(oneLine(s), "`", "'")
	if s == "" {
		return "(empty)"
	}
	return "`" + limited(s, maxName) + "`"
}

// fence is a text of several lines.
func fence(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		lines = append(lines, strings.TrimRight(visible(strings.TrimRight(line, "\r\n")), " "))
	}
	return "```\n" + limited(strings.ReplaceAll(strings.Join(lines, "\n"), "`", "'"), maxCode) + "\n```"
}

// plain is a word of weir's own: letters, digits, commas and spaces are left
// of it.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' || r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return -1
	}, s)
	return limited(oneLine(s), 60)
}

// link is a link that weir or GitHub made; "" where it is none.
func link(to, words string) string {
	if u, err := url.Parse(to); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || len(to) > 500 {
		return ""
	}
	if strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("<>|`\"", r) }) {
		return ""
	}
	return "<" + strings.ReplaceAll(to, "&", "&amp;") + "|" + words + ">"
}

// oneLine is a text without what is not seen, or moves what is.
func oneLine(s string) string { return strings.Join(strings.Fields(visible(s)), " ") }

// visible replaces what is not seen: line breaks, controls, and characters that
// change the direction of others or have no width.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// limited escapes a text and cuts it, so that it has at most so many characters.
func limited(s string, most int) string {
	whole := escapes.Replace(s)
	if characters(whole) <= most {
		return whole
	}
	var b strings.Builder
	left := most - 1 // for the ellipsis
	for _, r := range s {
		part := escapes.Replace(string(r))
		if left -= characters(part); left < 0 {
			break
		}
		b.WriteString(part)
	}
	return b.String() + "…"
}

func characters(s string) int { return len(utf16.Encode([]rune(s))) }
