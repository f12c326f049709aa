package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir/drift/finding"
)

const summaryMarker = "<!-- summary -->"

// summary lists the items by number.
func summary() Summary {
	return Summary{Marker: summaryMarker, Render: func(rest []int) (string, string) {
		return fmt.Sprintf("%d more", len(rest)), fmt.Sprintf("%s\n%v", summaryMarker, rest)
	}}
}

// item is one project that differs, with a set of findings.
func item(name, set string, severity finding.Severity) Item {
	marker := finding.Marker(name)
	hidden := "<!-- set=" + set + " -->"
	return Item{
		Marker: marker, Differs: true, Severity: severity, Title: "Drift in " + name, Body: marker + "\n" + hidden + "\ntext\n", Set: hidden,
		News: "now " + set, Closed: "nothing differs", Assignees: []string{"alice"},
	}
}

func calm(name string) Item {
	i := item(name, "", "")
	i.Differs = false
	return i
}

// standing is the issue that an item has made.
func standing(number int, i Item, open bool) finding.Issue {
	return finding.Issue{Number: number, Title: i.Title, Body: i.Body, Open: open}
}

func TestDecide(t *testing.T) {
	a, b, c := item("a", "1", finding.Low), item("b", "1", finding.High), item("c", "1", finding.Medium)
	edited := a
	edited.Body += "checked later\n"
	news := item("a", "2", finding.Low)
	renamed := a
	renamed.Title = "another title"
	for _, tc := range []struct {
		name   string
		items  []Item
		issues []finding.Issue
		most   int
		want   []Step
	}{
		{name: "nothing", most: 3},
		{name: "nothing differs, nothing stands", items: []Item{calm("a")}, most: 3},
		{
			name: "opened", items: []Item{a}, most: 3,
			want: []Step{{Verb: Open, Title: a.Title, Body: a.Body, Assignees: a.Assignees}},
		},
		{
			name: "as it is", items: []Item{a}, issues: []finding.Issue{standing(4, a, true)}, most: 3,
			want: []Step{{Verb: Remain, Number: 4, Title: a.Title, Body: a.Body}},
		},
		{
			name: "as it is, with line breaks as a browser sends them", items: []Item{a}, most: 3,
			issues: []finding.Issue{{Number: 4, Title: a.Title, Body: strings.ReplaceAll(a.Body, "\n", "\r\n"), Open: true}},
			want:   []Step{{Verb: Remain, Number: 4, Title: a.Title, Body: a.Body}},
		},
		{
			name: "edited without a comment while the set is the same", items: []Item{edited}, issues: []finding.Issue{standing(4, a, true)}, most: 3,
			want: []Step{{Verb: Edit, Number: 4, Title: a.Title, Body: edited.Body}},
		},
		{
			name: "another title", items: []Item{renamed}, issues: []finding.Issue{standing(4, a, true)}, most: 3,
			want: []Step{{Verb: Edit, Number: 4, Title: "another title", Body: a.Body}},
		},
		{
			name: "another set is told", items: []Item{news}, issues: []finding.Issue{standing(4, a, true)}, most: 3,
			want: []Step{{Verb: Edit, Number: 4, Title: news.Title, Body: news.Body, Comment: "now 2"}},
		},
		{
			name: "closed", items: []Item{calm("a")}, issues: []finding.Issue{standing(4, a, true)}, most: 3,
			want: []Step{{Verb: Close, Number: 4, Comment: "nothing differs"}},
		},
		{name: "closed already", items: []Item{calm("a")}, issues: []finding.Issue{standing(4, a, false)}, most: 3},
		{
			name: "opened again, with a comment even where the set is the same", items: []Item{a}, issues: []finding.Issue{standing(4, a, false)}, most: 3,
			want: []Step{{Verb: Edit, Number: 4, Title: a.Title, Body: a.Body, Comment: "now 1"}},
		},
		{
			name: "of two the oldest", items: []Item{a}, issues: []finding.Issue{standing(9, a, true), standing(4, a, true)}, most: 3,
			want: []Step{{Verb: Remain, Number: 4, Title: a.Title, Body: a.Body}},
		},
		{
			name: "no marker of ours", items: []Item{calm("a")}, most: 3,
			issues: []finding.Issue{{Number: 1, Open: true}, {Number: 2, Body: "see " + a.Marker, Open: true}, {Number: 3, Body: "\n" + a.Body, Open: true}, standing(5, b, true)},
		},
		{
			name: "the worst within the cap", items: []Item{a, b, c}, most: 2,
			want: []Step{
				{Verb: Open, Item: 1, Title: b.Title, Body: b.Body, Assignees: b.Assignees},
				{Verb: Open, Item: 2, Title: c.Title, Body: c.Body, Assignees: c.Assignees},
				{Verb: Open, Item: -1, Title: "1 more", Body: summaryMarker + "\n[0]"},
			},
		},
		{
			name: "what is open stays", items: []Item{a, b}, issues: []finding.Issue{standing(4, a, true)}, most: 1,
			want: []Step{
				{Verb: Remain, Number: 4, Title: a.Title, Body: a.Body},
				{Verb: Open, Item: -1, Title: "1 more", Body: summaryMarker + "\n[1]"},
			},
		},
		{
			name: "the cap was larger once", items: []Item{a, b, c}, issues: []finding.Issue{standing(4, a, true), standing(5, b, true)}, most: 1,
			want: []Step{
				{Verb: Remain, Number: 4, Title: a.Title, Body: a.Body},
				{Verb: Remain, Item: 1, Number: 5, Title: b.Title, Body: b.Body},
				{Verb: Open, Item: -1, Title: "1 more", Body: summaryMarker + "\n[2]"},
			},
		},
		{
			name: "no issues but the summary", items: []Item{a}, most: 0,
			want: []Step{{Verb: Open, Item: -1, Title: "1 more", Body: summaryMarker + "\n[0]"}},
		},
		{
			name: "the summary as it is", items: []Item{a}, most: 0,
			issues: []finding.Issue{{Number: 7, Title: "1 more", Body: summaryMarker + "\r\n[0]\r\n", Open: true}},
			want:   []Step{{Verb: Remain, Item: -1, Number: 7, Title: "1 more", Body: summaryMarker + "\n[0]"}},
		},
		{
			name: "the summary is opened again", items: []Item{a}, most: 0,
			issues: []finding.Issue{{Number: 7, Title: "1 more", Body: summaryMarker + "\n[0]"}},
			want:   []Step{{Verb: Edit, Item: -1, Number: 7, Title: "1 more", Body: summaryMarker + "\n[0]"}},
		},
		{
			name: "the summary is closed", items: []Item{a}, most: 1,
			issues: []finding.Issue{standing(4, a, true), {Number: 7, Body: summaryMarker + "\n[0]", Open: true}},
			want:   []Step{{Verb: Remain, Number: 4, Title: a.Title, Body: a.Body}, {Verb: Close, Item: -1, Number: 7}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Decide(tc.items, tc.issues, tc.most, summary())
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			after, _ := apply(tc.issues, got)
			for _, s := range Decide(tc.items, after, tc.most, summary()) {
				if s.Verb != Remain {
					t.Errorf("once more: %+v", s)
				}
			}
		})
	}
}

// apply does steps as GitHub would, and counts the comments on each issue.
func apply(issues []finding.Issue, steps []Step) ([]finding.Issue, map[int]int) {
	after, comments := slices.Clone(issues), map[int]int{}
	for _, s := range steps {
		at := slices.IndexFunc(after, func(i finding.Issue) bool { return i.Number == s.Number })
		if s.Comment != "" {
			comments[s.Number]++
		}
		switch s.Verb {
		case Open:
			number := 1
			for _, i := range after {
				number = max(number, i.Number+1)
			}
			after = append(after, finding.Issue{Number: number, Title: s.Title, Body: s.Body, Open: true})
		case Edit:
			after[at].Title, after[at].Body, after[at].Open = s.Title, s.Body, true
		case Close:
			after[at].Open = false
		case Remain:
		}
	}
	return after, comments
}

// Whatever is found from check to check, and whatever people do with the
// issues: the steps make what they promise, and no second pass does more.
func TestDecideProperty(t *testing.T) {
	names := []string{"a", "b", "envs/c", "d@blue", "e --> <!--"}
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(0, len(names)).Draw(t, "most")
		issues := []finding.Issue{
			{Number: 1, Title: "somebody's", Body: "text", Open: true},
			{Number: 2, Title: "of a project that nobody asks about", Body: finding.Marker("z") + "\n", Open: true},
		}
		foreign := slices.Clone(issues)
		sets := map[string]string{} // that each open issue tells
		for range rapid.IntRange(1, 6).Draw(t, "checks") {
			var items []Item
			for _, name := range names {
				set := rapid.SampledFrom([]string{"", "", "1", "2"}).Draw(t, "set of "+name)
				severity := rapid.SampledFrom([]finding.Severity{finding.High, finding.Medium, finding.Low, ""}).Draw(t, "severity")
				if set == "" {
					items = append(items, calm(name))
					continue
				}
				items = append(items, item(name, set, severity))
			}
			if i := rapid.IntRange(0, len(issues)-1).Draw(t, "touched by a person"); i >= len(foreign) && rapid.Bool().Draw(t, "closed by hand") {
				issues[i].Open = false
			}
			before := issues
			steps := Decide(items, issues, most, summary())
			var comments map[int]int
			issues, comments = apply(issues, steps)

			open := 0
			for _, i := range issues[len(foreign):] {
				if i.Open && !strings.HasPrefix(i.Body, summaryMarker) {
					open++
				}
			}
			if open > most {
				t.Fatalf("%d open, at most %d: %+v", open, most, issues)
			}
			if diff := cmp.Diff(foreign, issues[:len(foreign)]); diff != "" {
				t.Fatalf("foreign issues: -want +got:\n%s", diff)
			}
			told, listed := 0, 0
			for i, it := range items {
				find := func(list []finding.Issue) finding.Issue {
					for _, issue := range list {
						if finding.ProjectOf(issue.Body) == names[i] {
							return issue
						}
					}
					return finding.Issue{}
				}
				was, is := find(before), find(issues)
				want := 0
				switch {
				case !it.Differs:
					if is.Open {
						t.Fatalf("%s: nothing differs and #%d is open", names[i], is.Number)
					}
					if was.Open {
						want = 1
					}
				case is.Open:
					told++
					if is.Title != it.Title || is.Body != it.Body {
						t.Fatalf("%s: #%d says something else", names[i], is.Number)
					}
					if was.Number != 0 && (!was.Open || sets[names[i]] != it.Set) {
						want = 1
					}
					sets[names[i]] = it.Set
				default:
					listed++
				}
				if comments[is.Number] != want {
					t.Fatalf("%s: %d comments, want %d: %+v", names[i], comments[is.Number], want, steps)
				}
			}
			if listed > 0 && told != most {
				t.Fatalf("%d have an issue of their own, of %d at most, and %d have none", told, most, listed)
			}
			for _, i := range issues {
				if strings.HasPrefix(i.Body, summaryMarker) && i.Open != (listed > 0) {
					t.Fatalf("summary open: %t, with %d to list", i.Open, listed)
				}
			}
			for _, s := range Decide(items, issues, most, summary()) {
				if s.Verb != Remain || s.Comment != "" {
					t.Fatalf("once more: %+v", s)
				}
			}
		}
	})
}
