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
	Teams  []string  // that own it, as ORG/TEAM
}

// Limits in bytes. Together they stay below the 65,536 characters that GitHub
// takes of a body; it takes 256 of a title.
const (
	maxFindings = 30_000
	maxHidden   = 8_000
	maxRules    = 6_000
	maxNews     = 25_000 // of each of the two lists
	maxFailure  = 10_000
	maxTitle    = 250
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
	return markdown.Line("Drift in "+markdown.Name(c.Project)+": "+cmp.Or(what, "none"), maxTitle)
}

// counts says how many findings there are of each kind. A kind may hold a comma.
func counts(found []finding.Finding) string { return strings.Join(perKind(found), "; ") }

func perKind(found []finding.Finding) []string {
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
	return parts
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
		p.notes(&b)
		line("Once the cause is mended, the next check closes this issue, or tells what it finds. To check now, write:\n")
		line("%s", markdown.Fence("", p.command("check")))
		line("%s", p.foot())
		return b.String()
	}
	open := c.Open()
	line("What is deployed of %s is not what %s says: **%s**%s.\n", markdown.Code(c.Project), markdown.Code(p.Branch), counts(open), severity(c))
	p.notes(&b)
	left := maxFindings
	for _, k := range kinds {
		left -= k.list(&b, open, left)
	}
	if c.Cut {
		line("There is more than is listed here.\n")
	}
	p.hidden(&b)
	p.rules(&b)
	line("### What to do\n")
	line("Each of these makes a pull request with its own plan, lock and approval; nothing is applied from here. Write one as a comment:\n")
	line("%s\n", markdown.Fence("", strings.Join([]string{
		p.command("revert") + "   # set what is deployed back to the code",
		p.command("adopt") + "    # change the code to what is deployed",
		p.command("adopt") + " 'ADDRESS=ID'   # import what exists and the state does not have",
		p.command("accept") + " --owner NAME --reason \"WHY\" --until YYYY-MM-DD   # leave it, until then",
		p.command("check") + "    # look again now",
	}, "\n")))
	line("%s", p.foot())
	return b.String()
}

// notes tell what else is going on with the project.
func (p Project) notes(b *strings.Builder) {
	if p.Check.InFlight != 0 {
		fmt.Fprintf(b, "In flight: pull request #%d owns this project and may be about to change it.\n\n", p.Check.InFlight)
	}
	if p.PutOff != "" {
		fmt.Fprintf(b, "The newest check was put off: %s.\n\n", markdown.Text(p.PutOff))
	}
	if len(p.Teams) > 0 {
		fmt.Fprintf(b, "Owned by %s.\n\n", markdown.Names(p.Teams))
	}
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
	fill(b, room, len(of), func(i int) string { return item(of[i]) })
	b.WriteString("\n")
	return b.Len() - before
}

// fill writes n lines of a list for as long as they fit into room bytes, and
// says how many are left out.
func fill(b *strings.Builder, room, n int, line func(i int) string) {
	for i := range n {
		text := line(i)
		if room -= len(text); room < 0 {
			fmt.Fprintf(b, "- and %d more\n", n-i)
			return
		}
		b.WriteString(text)
	}
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
	b.WriteString(place(f) + values(f))
	if f.Why != "" {
		b.WriteString("; " + markdown.Text(f.Why))
	}
	if f.Pull != 0 {
		fmt.Fprintf(&b, "; see #%d", f.Pull)
	}
	b.WriteString(".")
	if by := f.By; by != nil {
		fmt.Fprintf(&b, " By %s (%s, %s) on %s, event %s; %s.", person(by.Who), person(by.How), markdown.Code(by.What),
			moment(by.When), markdown.Code(by.EventID), person(by.Sure))
	} else if f.Nobody != "" {
		b.WriteString(" Who did it is not known: " + markdown.Text(f.Nobody))
	}
	b.WriteString("\n")
	return b.String()
}

// place is what a finding is about.
func place(f finding.Finding) string {
	if f.Attribute == "" {
		return markdown.Code(f.Address)
	}
	return markdown.Code(f.Address) + " " + markdown.Code(f.Attribute)
}

func values(f finding.Finding) string {
	switch {
	case f.Declared != "" && f.Deployed != "":
		return fmt.Sprintf(": code %s, deployed %s", markdown.Code(f.Declared), markdown.Code(f.Deployed))
	case f.Deployed != "":
		return fmt.Sprintf(": deployed %s, not in the code", markdown.Code(f.Deployed))
	case f.Declared != "":
		return fmt.Sprintf(": code %s, not deployed", markdown.Code(f.Declared))
	}
	return ""
}

// person is a short text that others chose, such as a name: nobody is
// mentioned by it.
func person(s string) string { return markdown.Text(markdown.Name(s)) }

// hidden tells what rules of weir.yaml hide.
func (p Project) hidden(b *strings.Builder) {
	all := slices.DeleteFunc(slices.Clone(p.Check.Findings), func(f finding.Finding) bool { return f.Ignored == nil })
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "<details><summary>%s hidden by rules of weir.yaml</summary>\n\n", many(len(all), "finding is", "findings are"))
	fill(b, maxHidden, len(all), func(i int) string {
		f := all[i]
		return fmt.Sprintf("- %s (%s) until %s, by %s: %s\n", place(f), f.Kind, person(f.Ignored.Until), person(f.Ignored.Owner), markdown.Text(f.Ignored.Reason))
	})
	b.WriteString("\n</details>\n\n")
}

// rules tells which rules of weir.yaml have ended, or hide nothing.
func (p Project) rules(b *strings.Builder) {
	all := slices.Concat(p.Check.Ended, p.Check.Unused)
	if len(all) == 0 {
		return
	}
	b.WriteString("Rules of weir.yaml that hide nothing (any more):\n\n")
	fill(b, maxRules, len(all), func(i int) string { return "- " + markdown.Text(all[i]) + "\n" })
	b.WriteString("\n")
}

func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// foot says what was compared, and when. It begins with Foot: a newer check that
// found the same is no reason to write it again.
func (p Project) foot() string {
	c := p.Check
	text := fmt.Sprintf(Foot+"\n<sub>As found %s at %.7s of %s", moment(c.Started), c.Commit, markdown.Code(p.Branch))
	if c.Terraform != "" {
		text += " with Terraform " + markdown.Text(c.Terraform)
	}
	if !p.Since.IsZero() && !p.Since.Equal(c.Started) {
		text += ", differs since " + moment(p.Since)
	}
	if p.Page != "" {
		text += ", " + markdown.Link("all projects", p.Page)
	}
	return text + ". This issue is kept by weir: it is edited when a check finds something else, and closed once nothing differs.</sub>"
}

// Foot is a hidden line: what follows it may differ from check to check.
const Foot = "<!-- weir kind=drift-foot -->"

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
	start := b.Len()
	tell := func(what string, list, other []finding.Finding) {
		list = slices.DeleteFunc(slices.Clone(list), func(f finding.Finding) bool { return known(other, f) })
		if len(list) > 0 {
			b.WriteString("**" + what + "**\n\n")
			fill(&b, maxNews, len(list), func(i int) string { return item(list[i]) })
			b.WriteString("\n")
		}
	}
	tell("New since people were told last", after, before)
	tell("Gone since people were told last", before, after)
	if b.Len() == start { // it was closed by hand, or the check had failed
		b.WriteString("What is above still differs.\n")
	}
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
	fmt.Fprintf(&b, "%s\nMore than %d projects differ from the code. These have no issue of their own:\n\n", SummaryMarker, most)
	fill(&b, maxFindings, len(list), func(i int) string {
		c := list[i].Check
		what := "the check fails"
		if c.Failure == "" {
			what = counts(c.Open()) + severity(c)
		}
		return fmt.Sprintf("- %s: %s\n", markdown.Code(c.Project), what)
	})
	return b.String()
}

// SummaryTitle is that title.
func SummaryTitle(n int) string {
	return fmt.Sprintf("Drift in %s", many(n, "more project", "more projects"))
}
