package drift

import (
	"fmt"
	"strings"
	"time"

	"weir/drift/finding"
)

// Page lists what is known of all projects.
type Page struct {
	Repos []Repo
	Name  string // of the command
}

// Repo is one repository.
type Repo struct {
	Name     string
	Failure  string   // why its projects could not even be found
	Untold   string   // why there are no issues
	Unheard  []string // who else was not told, and why
	Commit   string
	At       time.Time
	Projects []Row // those that differ first, the worst before the others
}

// Row is one project.
type Row struct {
	Check    finding.Check
	Since    time.Time
	Next     time.Time // zero: not by itself
	Issue    int
	IssueURL string
	PutOff   string
	History  string // one sign a check, the newest last
}

// Table is some of a repository's projects.
type Table struct {
	Label  string
	Folded bool // nothing in it needs anybody
	Rows   []Row
}

// Tables are the projects that somebody should look at, and, folded, the others.
func (r Repo) Tables() []Table {
	var loud, calm []Row
	for _, row := range r.Projects {
		if row.calm() {
			calm = append(calm, row)
		} else {
			loud = append(loud, row)
		}
	}
	var tables []Table
	if len(loud) > 0 {
		tables = append(tables, Table{Label: "Projects of " + r.Name, Rows: loud})
	}
	if len(calm) > 0 {
		label, hidden := many(len(calm), "project", "projects")+" without drift", 0
		for _, row := range calm {
			hidden += row.Hidden()
		}
		if hidden > 0 {
			label += ", " + many(hidden, "finding", "findings") + " hidden by rules"
		}
		tables = append(tables, Table{Label: label, Folded: true, Rows: calm})
	}
	return tables
}

// calm says that the project was checked and there is nothing to look at.
func (r Row) calm() bool { return r.Tone() == "good" && !r.More() && r.PutOff == "" }

// Age is for how long the project has been seen to differ, in words; "" where
// it does not.
func (r Row) Age() string {
	if r.Since.IsZero() {
		return ""
	}
	switch age := r.Check.Started.Sub(r.Since); {
	case age >= 48*time.Hour:
		return fmt.Sprintf("for %d days", int(age/(24*time.Hour)))
	case age >= time.Hour:
		return "for " + many(int(age/time.Hour), "hour", "hours")
	case age > 0:
		return "for less than an hour"
	}
	return "new"
}

// Tone is how the row looks: good, bad, wait or calm. It is never the only
// thing that tells it.
func (r Row) Tone() string {
	switch {
	case r.Check.Started.IsZero():
		return "calm"
	case r.Check.Failure != "" || r.Check.Worst() == finding.High:
		return "bad"
	case len(r.Check.Open()) > 0:
		return "wait"
	}
	return "good"
}

// Says is what was found, in numbers: each kind by itself.
func (r Row) Says() []string {
	switch {
	case r.Check.Started.IsZero():
		return []string{"not checked yet"}
	case r.Check.Failure != "":
		return []string{"check failed"}
	case len(r.Check.Open()) == 0:
		return []string{"no drift"}
	}
	return perKind(r.Check.Open())
}

// Hidden is how many findings rules hide.
func (r Row) Hidden() int { return len(r.Check.Findings) - len(r.Check.Open()) }

// More is whether there are details to unfold.
func (r Row) More() bool {
	return r.Check.Failure != "" || len(r.Check.Open())+len(r.Check.Ended)+len(r.Check.Unused) > 0
}

// Signs of the history.
const (
	signGood   = '·'
	signDrift  = '▮'
	signFailed = '×'
)

// History is the outcomes of checks as signs, the newest last.
func History(open []int, failed []bool) string {
	var b strings.Builder
	for i, n := range open {
		switch {
		case failed[i]:
			b.WriteRune(signFailed)
		case n > 0:
			b.WriteRune(signDrift)
		default:
			b.WriteRune(signGood)
		}
	}
	return b.String()
}

// HistoryWords is the history in words.
func (r Row) HistoryWords() string {
	n := func(sign rune) int { return strings.Count(r.History, string(sign)) }
	drift, failed := n(signDrift), n(signFailed)
	return fmt.Sprintf("of %s %d found drift and %d failed", many(n(signGood)+drift+failed, "check", "checks"), drift, failed)
}

// Values are a finding's values, for the page: what the code says, and what is
// deployed.
func (Row) Values(f finding.Finding) (pairs [][2]string) {
	if f.Declared != "" {
		pairs = append(pairs, [2]string{"code", f.Declared})
	}
	if f.Deployed != "" {
		pairs = append(pairs, [2]string{"deployed", f.Deployed})
	}
	return pairs
}

// Headline says all in one line.
func (p Page) Headline() (tone, text string) {
	projects, differ, failed, unchecked := 0, 0, 0, 0
	for _, r := range p.Repos {
		if r.Failure != "" {
			failed++
		}
		for _, row := range r.Projects {
			projects++
			switch {
			case row.Check.Started.IsZero():
				unchecked++
			case row.Check.Failure != "":
				failed++
			case len(row.Check.Open()) > 0:
				differ++
			}
		}
	}
	drift := fmt.Sprintf("%d of %s differ from the code", differ, many(projects, "project", "projects"))
	if differ == 1 {
		drift = fmt.Sprintf("1 of %s differs from the code", many(projects, "project", "projects"))
	}
	switch {
	case failed > 0 && differ == 0:
		return "bad", many(failed, "check failed", "checks failed")
	case failed > 0:
		return "bad", drift + ", " + many(failed, "check failed", "checks failed")
	case differ > 0:
		return "wait", drift
	case projects == unchecked:
		return "calm", "nothing was checked yet"
	case unchecked > 0:
		return "good", fmt.Sprintf("no drift in %s, %d not checked yet", many(projects-unchecked, "project", "projects"), unchecked)
	}
	return "good", "no drift in " + many(projects, "project", "projects")
}

// HeadlineTone and HeadlineText are Headline, for templates.
func (p Page) HeadlineTone() string { tone, _ := p.Headline(); return tone }

// HeadlineText is the text of Headline.
func (p Page) HeadlineText() string { _, text := p.Headline(); return text }
