// Package report decides what is done with the issues of drift: one a project,
// found by the marker in its body, opened, edited, reopened and closed by
// itself. It is pure: who calls it does the steps.
package report

import (
	"cmp"
	"slices"
	"strings"

	"weir/drift/finding"
)

// Item is one project, and what its issue shall say.
type Item struct {
	Marker    string // first line of the body; names the project exactly
	Differs   bool   // whether there is anything to tell
	Severity  finding.Severity
	Title     string
	Body      string // begins with Marker; holds Set
	Set       string // hidden line that is another one whenever people are to be told again
	Foot      string // hidden line: what follows it in Body is no reason for an edit; "": there is none
	News      string // comment for when Set is another one
	Closed    string // comment for when nothing differs any more
	Assignees []string
}

// Verb is what is done with an issue.
type Verb string

// Verbs of steps.
const (
	Open   Verb = "open"
	Edit   Verb = "edit" // title, body, and open again where it was closed
	Close  Verb = "close"
	Remain Verb = "remain" // as it is
)

// Step is one issue and what is done with it: the comment first, if there is
// one, so that an edit says that it was made.
type Step struct {
	Verb      Verb
	Item      int // index of the item; -1 for the summary
	Number    int // of the issue; 0 where it is to be opened
	Title     string
	Body      string
	Comment   string
	Assignees []string // of an issue that is opened
}

// Summary is the issue that lists the items beyond the cap.
type Summary struct {
	Marker string
	Render func(items []int) (title, body string)
}

// Decide compares the items with the issues that there are, of which those
// without a marker of an item's or the summary's are left alone. None is opened
// beyond most: those that are open already stay, then come the worst, and the
// summary has the rest. Of several issues with one marker the oldest
// counts, and the others are left as they are.
func Decide(items []Item, issues []finding.Issue, most int, summary Summary) []Step {
	byMarker := map[string]finding.Issue{}
	for _, issue := range issues {
		marker, _, _ := strings.Cut(strings.ReplaceAll(issue.Body, "\r\n", "\n"), "\n")
		if old, ok := byMarker[marker]; !ok || issue.Number < old.Number {
			byMarker[marker] = issue
		}
	}
	order := make([]int, 0, len(items))
	for i, item := range items {
		if item.Differs {
			order = append(order, i)
		}
	}
	rank := map[finding.Severity]int{finding.High: 0, finding.Medium: 1, finding.Low: 2}
	slices.SortStableFunc(order, func(a, b int) int {
		opened := func(i int) int {
			if byMarker[items[i].Marker].Open {
				return 0
			}
			return 1
		}
		return cmp.Or(opened(a)-opened(b), rank[items[a].Severity]-rank[items[b].Severity], strings.Compare(items[a].Marker, items[b].Marker))
	})
	// Where there are more than most open, most was larger once: closing them
	// would say that nothing differs, and leaving them as they are is no truth
	// for long.
	n := min(len(order), max(most, 0))
	for n < len(order) && byMarker[items[order[n]].Marker].Open {
		n++
	}
	told, rest := order[:n], order[n:]
	var steps []Step
	for i, item := range items {
		issue, exists := byMarker[item.Marker]
		switch {
		case slices.Contains(told, i):
			steps = append(steps, tell(i, item, issue, exists))
		case exists && issue.Open && !item.Differs:
			steps = append(steps, Step{Verb: Close, Item: i, Number: issue.Number, Comment: item.Closed})
		}
	}
	return append(steps, summarise(rest, byMarker[summary.Marker], summary)...)
}

func tell(i int, item Item, issue finding.Issue, exists bool) Step {
	s := Step{Verb: Open, Item: i, Title: item.Title, Body: item.Body, Assignees: item.Assignees}
	if !exists {
		return s
	}
	s.Verb, s.Number, s.Assignees = Edit, issue.Number, nil
	switch {
	case !issue.Open, !strings.Contains(issue.Body, item.Set):
		s.Comment = item.News
	case issue.Title == item.Title && sameText(above(issue.Body, item.Foot), above(item.Body, item.Foot)):
		s.Verb = Remain
	}
	return s
}

func summarise(rest []int, issue finding.Issue, summary Summary) []Step {
	switch {
	case len(rest) == 0 && issue.Open:
		return []Step{{Verb: Close, Item: -1, Number: issue.Number}}
	case len(rest) == 0:
		return nil
	}
	s := Step{Verb: Open, Item: -1, Number: issue.Number}
	s.Title, s.Body = summary.Render(rest)
	if issue.Number != 0 {
		s.Verb = Edit
		if issue.Open && issue.Title == s.Title && sameText(issue.Body, s.Body) {
			s.Verb = Remain
		}
	}
	return []Step{s}
}

// above is what stands above the last of such lines.
func above(body, line string) string {
	if i := strings.LastIndex(body, line); line != "" && i >= 0 {
		return body[:i]
	}
	return body
}

// sameText compares bodies as GitHub keeps them.
func sameText(a, b string) bool {
	clean := func(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }
	return clean(a) == clean(b)
}
