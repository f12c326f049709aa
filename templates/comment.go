package templates

import (
	"fmt"
	"strings"

	"weir/planner"
)

// limit is the length of a comment in bytes. GitHub takes 65,536 characters
// (the validation error of its REST API, "body is too long"); bytes are never
// fewer than characters.
const limit = 65_000

// Comment renders a result as the bodies of one comment, or of two where one
// cannot hold it. Each body begins with weir's hidden marker as its first line,
// is at most 65,000 bytes long, and stands by itself: a plan is never split.
// Plans that do not fit in two comments are told by what they change, or by
// the link to their page alone.
func Comment(r planner.Result) []string {
	kind, ok := kinds[r.Kind]
	if !ok {
		kind = kinds[planner.ResultInternal]
	}
	v := view{r}
	first, second := marker1(kind.marker, r.Job, ""), marker1(kind.marker, r.Job, " part=2")
	parts := split(layout{
		head:      first + render(kind.template, v),
		continued: second + render("continued", v),
		sections:  v.sections(),
		tail:      v.tail(),
	})
	for i, part := range parts {
		if len(part) > limit {
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

// layout is what a comment is put together from.
type layout struct {
	head      string // marker, outcome and what to do now
	continued string // marker and beginning of a second comment
	sections  []section
	tail      string
}

// section tells of one project. The shorter forms replace full where it does
// not fit; short always fits.
type section struct {
	full, medium, short string
}

// split fills one comment, and then a second one. The order of sections is kept.
func split(l layout) []string {
	whole := l.head
	for _, s := range l.sections {
		whole += s.full
	}
	if whole += l.tail; len(whole) <= limit {
		return []string{whole}
	}

	// reserve is what the sections from i on need at least.
	reserve := make([]int, len(l.sections)+1)
	for i := len(l.sections) - 1; i >= 0; i-- {
		reserve[i] = reserve[i+1] + len(l.sections[i].short)
	}
	first, second := l.head, l.continued
	empty := len(second)
	room := limit - len(l.continued) - len(l.tail) // of an empty second comment
	for i, s := range l.sections {
		full := s.full
		if len(full)+reserve[i+1] > room {
			full = s.medium // it fits nowhere
		}
		if len(second) == empty && len(first)+len(full) <= limit {
			first += full
			continue
		}
		form := full
		if len(second)+len(form)+reserve[i+1]+len(l.tail) > limit {
			form = s.medium
		}
		if len(second)+len(form)+reserve[i+1]+len(l.tail) > limit {
			form = s.short
		}
		if len(second)+len(form)+len(l.tail) > limit {
			// Only addresses of absurd length get here; the table has them all.
			break
		}
		second += form
	}
	if len(second) == empty && len(first)+len(l.tail) <= limit {
		return []string{first + l.tail}
	}
	return []string{first, second + l.tail}
}

// sections are the details behind the table: what failed first and open, then
// each plan folded.
func (v view) sections() []section {
	var failed, rest []section
	for _, p := range v.Projects {
		pv := projectView{p, v.Kind}
		switch {
		case pv.Failed():
			s := render("failed", pv)
			failed = append(failed, section{"\n" + s, "\n" + render("failed_medium", pv), "\n" + render("listed", pv)})
		case strings.TrimSpace(p.Text) != "" && v.showsText(p):
			rest = append(rest, section{
				"\n" + render("project", pv), "\n" + render("project_medium", pv), "\n" + render("listed", pv),
			})
		}
	}
	return append(failed, rest...)
}

// showsText reports whether the text of a project belongs into this comment.
func (v view) showsText(p planner.ProjectResult) bool {
	switch v.Kind {
	case planner.ResultPlan:
		return p.State != planner.NoChanges || p.Summary != nil && len(p.Summary.Drift) > 0
	case planner.ResultApply, planner.ResultInterrupted:
		return p.State == planner.Applied || p.State == planner.Interrupted
	}
	return false
}

// tail is the short list of commands under a plan.
func (v view) tail() string {
	if v.Kind != planner.ResultPlan && v.Kind != planner.ResultLocked {
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
