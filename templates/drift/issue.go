// Package drift renders what weir says on the issues of drift: one issue a
// project, and a summary where there would be too many.
package drift

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/drift/finding"
	"weir/templates/markdown"
)

// Project is what an issue tells of.
type Project struct {
	Check  finding.Check
	Since  time.Time // of the first finding that still counts
	Branch string    // that was compared
	Name   string    // of the command, such as weir
	Page   string    // URL of the page; "" where there is none
	PutOff string    // why the newest check was not done; "" if it was
}

// Limits of an issue's body, below the 65,536 characters that GitHub takes
// (GitHub Docs, "Create an issue").
const (
	maxFindings = 40_000
	maxFailure  = 10_000
	maxTitle    = 200
)

// Set is a hidden line that changes with the set of what is found: with it,
// people are told again.
func Set(c finding.Check) string {
	var keys []string
	for _, f := range c.Open() {
		keys = append(keys, strings.Join([]string{f.Address, f.Attribute, string(f.Kind)}, "\x00"))
	}
	if c.Failure != "" {
		keys = []string{"failed"}
	}
	slices.Sort(keys)
	sum := sha256.Sum256([]byte(strings.Join(keys, "\x01")))
	return "<!-- weir set=" + hex.EncodeToString(sum[:8]) + " -->"
}

// SummaryMarker is that of the issue that lists what has no issue of its own.
const SummaryMarker = "<!-- weir kind=drift-summary -->"

// Title is an issue's title: the project and what was found, in numbers.
func Title(c finding.Check) string {
	what := "the check fails"
	if c.Failure == "" {
		what = counts(c.Open())
	}
	return markdown.Line("Drift in "+markdown.Printable(c.Project)+": "+cmp.Or(what, "none"), maxTitle)
}

// counts says how many findings there are of each kind.
func counts(found []finding.Finding) string {
	var parts []string
	for _, k := range kinds {
		n := 0
		for _, f := range found {
			if f.Kind == k.kind {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, k.kind))
		}
	}
	return strings.Join(parts, ", ")
}

type kind struct {
	kind finding.Kind
	says string
}

// kinds are in the order in which they are told, each with what it means.
var kinds = []kind{
	{finding.Deleted, "These are gone, and Terraform did not do it. An apply would make them again."},
	{finding.Changed, "Somebody or something else than Terraform changed these. An apply would set them back."},
	{finding.Merged, "The code says so since a merge, and nobody has applied it."},
	{finding.Unmerged, "A pull request applied these, and was never merged."},
	{finding.Version, "Terraform, a provider or a module is another version than at the last apply, and with it these are."},
	{finding.Data, "These come from outside of the code, a data source or a variable, which has another value now."},
	{finding.Unknown, "The plan differs here, and nothing that weir knows says why."},
}

// Body is the whole text of a project's issue.
func Body(p Project) string {
	c := p.Check
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s\n%s", finding.Marker(c.Project), Set(c))
	if c.Failure != "" {
		line("The check of %s **failed**, so nobody knows whether what is deployed is what %s says. Other projects are checked all the same.\n",
			markdown.Code(c.Project), markdown.Code(p.Branch))
		line("%s\n", markdown.Fence("", markdown.Cut(c.Failure, maxFailure)))
		line("Once the cause is mended, the next check closes this issue, or tells what it finds. To check now, write:\n")
		line("%s", markdown.Fence("", p.command("check")))
		line("%s", p.foot())
		return b.String()
	}
	open := c.Open()
	line("What is deployed of %s is not what %s says: **%s**%s.\n", markdown.Code(c.Project), markdown.Code(p.Branch), counts(open), severity(c))
	if c.InFlight != 0 {
		line("Pull request #%d owns this project and may be about to change it.\n", c.InFlight)
	}
	if p.PutOff != "" {
		line("The newest check was put off: %s.\n", markdown.Text(p.PutOff))
	}
	left := maxFindings
	for _, k := range kinds {
		left -= k.list(&b, open, left)
	}
	p.hidden(&b)
	line("### What to do\n")
	line("Each of these makes a pull request with its own plan, lock and approval; nothing is applied from here. Write one as a comment:\n")
	line("%s\n", markdown.Fence("", strings.Join([]string{
		p.command("revert") + "   # set what is deployed back to the code",
		p.command("adopt") + "    # change the code to what is deployed",
		p.command("accept") + " --owner NAME --reason \"WHY\" --until YYYY-MM-DD   # leave it, until then",
		p.command("check") + "    # look again now",
	}, "\n")))
	line("%s", p.foot())
	return b.String()
}

// command is a drift command for this project.
func (p Project) command(verb string) string {
	return cmp.Or(p.Name, "weir") + " drift " + verb
}

func severity(c finding.Check) string {
	n := 0
	for _, f := range c.Open() {
		if f.Severity == finding.High {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d of them of high severity", n)
}

// list tells the findings of one kind, in about so many bytes, and returns how
// many it took.
func (k kind) list(b *strings.Builder, found []finding.Finding, room int) int {
	of := slices.DeleteFunc(slices.Clone(found), func(f finding.Finding) bool { return f.Kind != k.kind })
	if len(of) == 0 {
		return 0
	}
	before := b.Len()
	fmt.Fprintf(b, "### %s\n\n%s\n\n", title(string(k.kind)), k.says)
	for i, f := range of {
		if b.Len()-before > room {
			fmt.Fprintf(b, "- and %d more\n", len(of)-i)
			break
		}
		b.WriteString(item(f))
	}
	b.WriteString("\n")
	return b.Len() - before
}

// title begins a kind's name with a capital letter.
func title(kind string) string { return strings.ToUpper(kind[:1]) + kind[1:] }

// item is one finding.
func item(f finding.Finding) string {
	var b strings.Builder
	b.WriteString("- ")
	if f.Severity == finding.High {
		b.WriteString("**high** ")
	}
	b.WriteString(markdown.Code(f.Address))
	if f.Attribute != "" {
		b.WriteString(" " + markdown.Code(f.Attribute))
	}
	switch {
	case f.Declared != "" && f.Deployed != "":
		fmt.Fprintf(&b, ": code %s, deployed %s", markdown.Code(f.Declared), markdown.Code(f.Deployed))
	case f.Deployed != "":
		fmt.Fprintf(&b, ": deployed %s, not in the code", markdown.Code(f.Deployed))
	case f.Declared != "":
		fmt.Fprintf(&b, ": code %s, not deployed", markdown.Code(f.Declared))
	}
	if f.Why != "" {
		b.WriteString(". " + markdown.Text(f.Why))
	}
	if f.Pull != 0 {
		fmt.Fprintf(&b, ". See #%d", f.Pull)
	}
	if by := f.By; by != nil {
		fmt.Fprintf(&b, " By %s (%s, %s) on %s, event %s; %s.", markdown.Name(by.Who), markdown.Text(by.How), markdown.Code(by.What),
			moment(by.When), markdown.Code(by.EventID), markdown.Text(by.Sure))
	}
	b.WriteString("\n")
	return b.String()
}

// hidden tells what rules of weir.yaml hide, and which of them have ended.
func (p Project) hidden(b *strings.Builder) {
	n := len(p.Check.Findings) - len(p.Check.Open())
	if n > 0 {
		fmt.Fprintf(b, "<details><summary>%s hidden by rules of weir.yaml</summary>\n\n", many(n, "finding is", "findings are"))
		for _, f := range p.Check.Findings {
			if f.Ignored != nil {
				fmt.Fprintf(b, "- %s %s until %s, by %s: %s\n", markdown.Code(f.Address), markdown.Code(f.Attribute),
					markdown.Text(f.Ignored.Until), markdown.Name(f.Ignored.Owner), markdown.Text(f.Ignored.Reason))
			}
		}
		b.WriteString("\n</details>\n\n")
	}
	for _, e := range p.Check.Ended {
		fmt.Fprintf(b, "A rule of weir.yaml hides nothing any more: %s\n\n", markdown.Text(e))
	}
}

func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// foot says what was compared, and when.
func (p Project) foot() string {
	c := p.Check
	text := fmt.Sprintf("<sub>Checked %s at %.7s of %s", moment(c.Started), c.Commit, markdown.Code(p.Branch))
	if c.Terraform != "" {
		text += " with Terraform " + markdown.Text(c.Terraform)
	}
	if !p.Since.IsZero() && !p.Since.Equal(c.Started) {
		text += ", differs since " + moment(p.Since)
	}
	if p.Page != "" {
		text += ", " + markdown.Link("all projects", p.Page)
	}
	return text + ". This issue is kept by weir: it is edited with each check, and closed once nothing differs.</sub>"
}

// moment is precise enough for people, and never changes its length.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// newsMarker begins every comment on an issue of drift, another one for each
// check, so that none is made twice.
func newsMarker(c finding.Check) string {
	return "<!-- weir kind=drift check=" + c.Started.UTC().Format("20060102T150405.000000Z") + " -->"
}

// News is the comment on what has changed since people were told last.
func News(told []finding.Finding, c finding.Check) string {
	if c.Failure != "" {
		return fmt.Sprintf("%s\n%s\nThe check fails now, see above.\n", newsMarker(c), Set(c))
	}
	before, after := told, c.Open()
	known := func(list []finding.Finding, f finding.Finding) bool {
		return slices.ContainsFunc(list, func(o finding.Finding) bool { return o.Key() == f.Key() })
	}
	var b strings.Builder
	b.WriteString(newsMarker(c) + "\n" + Set(c) + "\n")
	tell := func(what string, list, other []finding.Finding) {
		const most = 30
		n := 0
		for _, f := range list {
			if known(other, f) {
				continue
			}
			switch n++; {
			case n == 1:
				b.WriteString("**" + what + "**\n\n" + item(f))
			case n <= most:
				b.WriteString(item(f))
			}
		}
		if n > most {
			fmt.Fprintf(&b, "- and %d more, above\n", n-most)
		}
		if n > 0 {
			b.WriteString("\n")
		}
	}
	tell("New since the last check", after, before)
	tell("Gone since the last check", before, after)
	return b.String()
}

// Closed is the comment with which an issue is closed.
func Closed(c finding.Check, gone bool) string {
	if gone {
		return newsMarker(c) + "\n" + markdown.Code(c.Project) + " is not in the repository any more, so it is not checked. What it managed may still be deployed.\n"
	}
	return fmt.Sprintf("%s\nNothing differs any more: checked %s at %.7s.\n", newsMarker(c), moment(c.Started), c.Commit)
}

// Summary is the body of the issue that lists the projects that have none of
// their own, because there are so many.
func Summary(list []Project, most int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nMore than %d projects differ from the code. Each of the worst has an issue; these have not:\n\n", SummaryMarker, most)
	for i, p := range list {
		if b.Len() > maxFindings {
			fmt.Fprintf(&b, "- and %d more\n", len(list)-i)
			break
		}
		what := "the check fails"
		if p.Check.Failure == "" {
			what = counts(p.Check.Open()) + severity(p.Check)
		}
		fmt.Fprintf(&b, "- %s: %s\n", markdown.Code(p.Check.Project), what)
	}
	return b.String()
}

// SummaryTitle is that title.
func SummaryTitle(n int) string {
	return fmt.Sprintf("Drift in %s", many(n, "more project", "more projects"))
}
