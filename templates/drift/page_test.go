package drift

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/drift/finding"
)

func TestRow(t *testing.T) {
	hidden := &finding.Ignored{Owner: "alice"}
	found := func(list ...finding.Finding) finding.Check { return finding.Check{Started: at, Findings: list} }
	for _, c := range []struct {
		name       string
		check      finding.Check
		tone, says string
		hidden     int
	}{
		{"never checked", finding.Check{}, "calm", "not checked yet", 0},
		{"nothing", found(), "good", "no drift", 0},
		{"hidden", found(finding.Finding{Kind: finding.Changed, Severity: finding.High, Ignored: hidden}), "good", "no drift", 1},
		{"low", found(finding.Finding{Kind: finding.Changed, Severity: finding.Low}, finding.Finding{Kind: finding.Data, Ignored: hidden}), "wait", "1 changed outside", 1},
		{"high", found(finding.Finding{Kind: finding.Changed, Severity: finding.High}, finding.Finding{Kind: finding.Deleted}), "bad", "1 deleted outside; 1 changed outside", 0},
		{"failed", finding.Check{Started: at, Failure: "Error"}, "bad", "check failed", 0},
	} {
		r := Row{Check: c.check}
		if more := c.tone == "bad" || c.tone == "wait"; r.More() != more {
			t.Errorf("%s: more to show: %t", c.name, r.More())
		}
		if r.Tone() != c.tone || strings.Join(r.Says(), "; ") != c.says || r.Hidden() != c.hidden {
			t.Errorf("%s: got %s, %q, %d hidden", c.name, r.Tone(), r.Says(), r.Hidden())
		}
	}
}

// Where nothing differs there is one line, which unfolds.
func TestTables(t *testing.T) {
	named := func(name string, c finding.Check) Row {
		c.Project = name
		return Row{Check: c}
	}
	good := finding.Check{Started: at}
	putOff, rules, flying := named("put off", good), good, good
	putOff.PutOff = "#9 is being applied"
	rules.Ended = []string{"rule 2 ended"}
	flying.InFlight = 12
	all := []Row{
		named("differs", check()), named("failed", finding.Check{Started: at, Failure: "Error"}), named("never", finding.Check{}),
		putOff, named("rules", rules), named("good", good), named("flying", flying),
	}
	for _, c := range []struct {
		rows []Row
		want []string
	}{
		{nil, nil},
		{all[5:6], []string{"1 project without drift, folded: good"}},
		{
			[]Row{named("hides", finding.Check{Started: at, Findings: []finding.Finding{{Ignored: &finding.Ignored{Owner: "alice"}}}}), all[5]},
			[]string{"2 projects without drift, 1 finding hidden by rules, folded: hides, good"},
		},
		{all[:1], []string{"Projects of acme/infra: differs"}},
		{all, []string{"Projects of acme/infra: differs, failed, never, put off, rules", "2 projects without drift, folded: good, flying"}},
	} {
		var got []string
		for _, table := range (Repo{Name: "acme/infra", Projects: c.rows}).Tables() {
			label := table.Label
			if table.Folded {
				label += ", folded"
			}
			var names []string
			for _, row := range table.Rows {
				names = append(names, row.Check.Project)
			}
			got = append(got, label+": "+strings.Join(names, ", "))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestAge(t *testing.T) {
	for _, c := range []struct {
		since time.Time
		want  string
	}{
		{time.Time{}, ""},
		{at, "new"},
		{at.Add(-time.Second), "for less than an hour"},
		{at.Add(-time.Hour), "for 1 hour"},
		{at.Add(-47 * time.Hour), "for 47 hours"},
		{at.Add(-48 * time.Hour), "for 2 days"},
		{at.Add(-240 * 24 * time.Hour), "for 240 days"},
	} {
		if got := (Row{Check: finding.Check{Started: at}, Since: c.since}).Age(); got != c.want {
			t.Errorf("since %v: got %q, want %q", c.since, got, c.want)
		}
	}
}

func TestHistory(t *testing.T) {
	for _, c := range []struct {
		open        []int
		failed      []bool
		want, words string
	}{
		{nil, nil, "", "of 0 checks 0 found drift and 0 failed"},
		{[]int{0}, []bool{false}, "·", "of 1 check 0 found drift and 0 failed"},
		{[]int{0, 3, 0, 3, 1}, []bool{false, false, true, true, false}, "·▮××▮", "of 5 checks 2 found drift and 2 failed"},
	} {
		r := Row{History: History(c.open, c.failed)}
		if r.History != c.want || r.HistoryWords() != c.words {
			t.Errorf("%v %v: got %s, %q", c.open, c.failed, r.History, r.HistoryWords())
		}
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		f    finding.Finding
		want [][2]string
	}{
		{finding.Finding{}, nil},
		{finding.Finding{Declared: "1"}, [][2]string{{"code", "1"}}},
		{finding.Finding{Deployed: "2"}, [][2]string{{"deployed", "2"}}},
		{finding.Finding{Declared: "1", Deployed: "2"}, [][2]string{{"code", "1"}, {"deployed", "2"}}},
	} {
		if diff := cmp.Diff(c.want, Row{}.Values(c.f)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestHeadline(t *testing.T) {
	good := Row{Check: finding.Check{Started: at}}
	differs := Row{Check: check()}
	failed := Row{Check: finding.Check{Started: at, Failure: "Error"}}
	never := Row{}
	for _, c := range []struct {
		repos      []Repo
		tone, text string
	}{
		{nil, "calm", "nothing was checked yet"},
		{[]Repo{{Projects: []Row{never, never}}}, "calm", "nothing was checked yet"},
		{[]Repo{{Projects: []Row{good}}}, "good", "no drift in 1 project"},
		{[]Repo{{Projects: []Row{good, good}}, {Projects: []Row{good}}}, "good", "no drift in 3 projects"},
		{[]Repo{{Projects: []Row{good, never, never}}}, "good", "no drift in 1 project, 2 not checked yet"},
		{[]Repo{{Projects: []Row{good, differs}}}, "wait", "1 of 2 projects differs from the code"},
		{[]Repo{{Projects: []Row{differs}}, {Projects: []Row{differs, good}}}, "wait", "2 of 3 projects differ from the code"},
		{[]Repo{{Projects: []Row{differs, failed}}}, "bad", "1 of 2 projects differs from the code, 1 check failed"},
		{[]Repo{{Failure: "no"}, {Projects: []Row{good, failed}}}, "bad", "2 checks failed"},
		{[]Repo{{Failure: "no"}}, "bad", "1 check failed"},
	} {
		p := Page{Repos: c.repos}
		if p.HeadlineTone() != c.tone || p.HeadlineText() != c.text {
			t.Errorf("got %s, %q; want %s, %q", p.HeadlineTone(), p.HeadlineText(), c.tone, c.text)
		}
	}
}
