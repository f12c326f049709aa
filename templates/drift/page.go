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
	Failure  string // why its projects could not even be found
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

// Says is what was found, in numbers.
func (r Row) Says() string {
	switch {
	case r.Check.Started.IsZero():
		return "not checked yet"
	case r.Check.Failure != "":
		return "check failed"
	case len(r.Check.Open()) == 0:
		return "no drift"
	}
	return counts(r.Check.Open())
}

// Hidden is how many findings rules hide.
func (r Row) Hidden() int { return len(r.Check.Findings) - len(r.Check.Open()) }

// Signs of the history.
const (
	signGood   = '·'
	signDrift  = '▮'
	signFailed = '×'
)

// History is a check's outcomes as signs, for people who know them, and in
// words.
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

// Headline says all in one line.
func (p Page) Headline() (tone, text string) {
	projects, differ, failed := 0, 0, 0
	for _, r := range p.Repos {
		if r.Failure != "" {
			failed++
		}
		for _, row := range r.Projects {
			projects++
			switch {
			case row.Check.Failure != "":
				failed++
			case len(row.Check.Open()) > 0:
				differ++
			}
		}
	}
	switch {
	case failed > 0:
		return "bad", fmt.Sprintf("%s differ, and %s", many(differ, "project", "projects"), many(failed, "check failed", "checks failed"))
	case differ > 0:
		return "wait", fmt.Sprintf("%d of %s differ from the code", differ, many(projects, "project", "projects"))
	case projects == 0:
		return "calm", "nothing was checked yet"
	}
	return "good", "no drift in " + many(projects, "project", "projects")
}

// HeadlineTone and HeadlineText are Headline, for templates.
func (p Page) HeadlineTone() string { tone, _ := p.Headline(); return tone }

// HeadlineText is the text of Headline.
func (p Page) HeadlineText() string { _, text := p.Headline(); return text }
