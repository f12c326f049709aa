package templates

import (
	"fmt"
	"strings"

	"weir/planner/record"
	"weir/planner/result"
	"weir/templates/markdown"
)

// Comment renders a result as the bodies of one comment, or of two where one
// cannot hold it. Each body begins with weir's hidden marker as its first line,
// is at most 65,000 bytes long, and stands by itself: a plan is never split.
// Plans that do not fit in two comments are told by what they change, or by
// the link to their page alone.
func Comment(r result.Result) []string {
	kind, ok := kinds[r.Kind]
	if !ok {
		kind = kinds[result.Internal]
	}
	v := view{r}
	first, second := marker1(kind.marker, r.Job, ""), marker1(kind.marker, r.Job, " part=2")
	parts := markdown.Split(markdown.Layout{
		Head:      first + render(kind.template, v),
		Continued: second + render("continued", v),
		Sections:  v.sections(),
		Tail:      v.tail(),
	})
	for i, part := range parts {
		if len(part) > markdown.Limit {
			// Every list in a head is bounded, so this is a bug; but a
			// comment that says little is better than none.
			parts[i] = []string{first, second}[i] + render("too_long", v)
		}
	}
	return parts
}

// marker1 is the hidden first line of a comment.
func marker1(kind, job, part string) string {
	id := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' {
			return r
		}
		return -1
	}, job)
	return fmt.Sprintf("<!-- weir kind=%s job=%s%s -->\n", kind, id, part)
}

// sections are the details behind the table: what failed first and open, then
// each plan folded.
func (v view) sections() []markdown.Section {
	var failed, rest []markdown.Section
	for _, p := range v.Projects {
		pv := projectView{p, v.Kind}
		switch {
		case pv.Failed():
			failed = append(failed, markdown.Section{
				Full: "\n" + render("failed", pv), Medium: "\n" + render("failed_medium", pv), Short: "\n" + render("listed", pv),
			})
		case strings.TrimSpace(p.Text) != "" && v.showsText(p):
			rest = append(rest, markdown.Section{
				Full: "\n" + render("project", pv), Medium: "\n" + render("project_medium", pv), Short: "\n" + render("listed", pv),
			})
		}
	}
	return append(failed, rest...)
}

// showsText reports whether the text of a project belongs into this comment.
func (v view) showsText(p result.Project) bool {
	switch v.Kind {
	case result.Plan:
		return p.State != record.NoChanges || len(p.Origins) > 0
	case result.Apply, result.Interrupted:
		return p.State == record.Applied || p.State == record.Interrupted
	}
	return false
}

// tail is the short list of commands under a plan.
func (v view) tail() string {
	if v.Kind != result.Plan && v.Kind != result.Locked {
		return ""
	}
	return "\n" + render("commands", v)
}

// HelpText is the manual in a few lines, for people who wrote something that
// is no command. names are the words that commands begin with, the first one
// being used in the examples. It is meant for Result.Text of a help result.
func HelpText(names []string) string {
	name := "weir"
	if len(names) > 0 {
		name = names[0]
	}
	var b strings.Builder
	b.WriteString("Commands, one a line:\n\n")
	for _, line := range [][2]string{
		{"plan", "plan again what this pull request changes"},
		{"apply", "apply the plans that were shown, if nothing is missing for it"},
		{"explain", "say what the apply still waits for"},
		{"unlock", "give the locks back, so that others may plan; the plans here are void then"},
		{"help", "this list"},
	} {
		fmt.Fprintf(&b, "- `%s %s`: %s\n", name, line[0], line[1])
	}
	fmt.Fprintf(&b, "\nTo narrow a command: `-d DIR`, `-w WORKSPACE`, `-p PROJECT`. What follows `--` goes to terraform plan, such as `%s plan -d envs/prod -- -target=ADDRESS`.", name)
	if len(names) > 1 {
		fmt.Fprintf(&b, "\n\nCommands may also begin with `%s`.", strings.Join(names[1:], "` or `"))
	}
	return b.String()
}
