package notice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/drift/finding"
	"weir/store"
	"weir/store/storetest"
)

// One project through its life, and what its target hears.
func TestTell(t *testing.T) {
	hidden := found("a.hidden", finding.High)
	hidden.Ignored = &finding.Ignored{Owner: "alice"}
	own := finding.Finding{Address: "a.own", Kind: finding.Unmerged, Severity: finding.High, Pull: 12}
	flying := func(pull int) Project {
		p := project("prod", own)
		p.Check.InFlight = pull
		return p
	}
	never := project("prod")
	never.Check.Started = time.Time{}
	with := func(p Project, change func(p *Project)) Project { change(&p); return p }

	for name, tt := range map[string]struct {
		least finding.Severity
		steps []Project // an empty one: the project is not there
		want  []string  // what is heard at each step
	}{
		"in order all the time": {"", []Project{project("prod"), project("prod"), {}}, []string{"", "", ""}},
		"differs and is mended": {
			"",
			[]Project{project("prod", found("a.b", finding.High)), project("prod", found("a.b", finding.High)), project("prod"), project("prod")},
			[]string{"1 prod: differs high, 1 changed outside\n", "", "2 prod: in order\n", ""},
		},
		"differs again as before": {
			"",
			[]Project{project("prod", found("a.b", finding.Low)), project("prod"), project("prod", found("a.b", finding.Low))},
			[]string{"1 prod: differs low, 1 changed outside\n", "2 prod: in order\n", "3 prod: differs low, 1 changed outside\n"},
		},
		"differs otherwise": {
			"",
			[]Project{
				project("prod", found("a.b", finding.Low)),
				project("prod", found("a.b", finding.Low), found("a.c", finding.Medium)),
				project("prod", found("a.c", finding.Medium), found("a.b", finding.Low)),
				project("prod", found("a.c", finding.High)),
			},
			[]string{"1 prod: differs low, 1 changed outside\n", "2 prod: differs otherwise medium, 2 changed outside\n", "", "3 prod: differs otherwise high, 1 changed outside\n"},
		},
		"another severity, value or issue is no news": {
			"",
			[]Project{
				project("prod", found("a.b", finding.Low)),
				project("prod", found("a.b", finding.High)),
				with(project("prod", found("a.b", finding.Low)), func(p *Project) { p.Check.Findings[0].Deployed, p.Issue = "2", 7 }),
			},
			[]string{"1 prod: differs low, 1 changed outside\n", "", ""},
		},
		"a check that fails": {
			"",
			[]Project{broken("prod", "no such provider"), broken("prod", "another text"), project("prod", found("a.b", finding.Low)), broken("prod", "x"), project("prod")},
			[]string{"1 prod: check failed\n", "", "2 prod: differs low, 1 changed outside\n", "3 prod: check failed\n", "4 prod: in order\n"},
		},
		"gone, and back": {
			"",
			[]Project{project("prod", found("a.b", finding.Low)), {}, {}, project("prod", found("a.b", finding.Low))},
			[]string{"1 prod: differs low, 1 changed outside\n", "2 prod: gone\n", "", "3 prod: differs low, 1 changed outside\n"},
		},
		"what rules hide does not count": {
			"",
			[]Project{project("prod", hidden), project("prod", hidden, found("a.b", finding.Low)), project("prod", hidden)},
			[]string{"", "1 prod: differs low, 1 changed outside, 1 hidden, 0 below\n", "2 prod: in order, 1 hidden, 0 below\n"},
		},
		"what a pull request has applied is on its way": {
			"",
			[]Project{flying(12), flying(13), flying(0), flying(12)},
			[]string{"", "1 prod: differs high, 1 applied, never merged\n", "", "2 prod: in order\n"},
		},
		"never checked says nothing": {
			"",
			[]Project{never, project("prod", found("a.b", finding.Low)), never, project("prod", found("a.b", finding.Low)), project("prod")},
			[]string{"", "1 prod: differs low, 1 changed outside\n", "", "", "2 prod: in order\n"},
		},
		"the least severity": {
			finding.Medium,
			[]Project{
				project("prod", found("a.b", finding.Low)),
				project("prod", found("a.b", finding.Low), found("a.c", finding.Medium)),
				project("prod", found("a.d", finding.Low), found("a.c", finding.Medium)),
				project("prod", found("a.b", finding.Low)),
				broken("prod", "no such provider"),
				project("prod", found("a.e", "unheard of")),
			},
			[]string{"", "1 prod: differs medium, 1 changed outside, 0 hidden, 1 below\n", "", "2 prod: in order, 0 hidden, 1 below\n", "3 prod: check failed\n", "4 prod: differs, 1 changed outside\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			chat := &place{}
			b := Book{Store: storetest.Memory(), Targets: []Target{{Name: "chat", Least: tt.least, Sender: chat}}}
			for i, p := range tt.steps {
				var now []Project
				if p.Check.Project != "" {
					now = []Project{p}
				}
				tell(t, b, now...)
				if diff := cmp.Diff(tt.want[i], chat.words()); diff != "" {
					t.Errorf("step %d: -want +got:\n%s", i, diff)
				}
			}
		})
	}
}

// A notice as a whole: the worst first, of all kinds in their order.
func TestNotice(t *testing.T) {
	chat := &place{}
	b := Book{Store: storetest.Memory(), Targets: []Target{{Name: "chat", Sender: chat}}}
	tell(t, b, project("mended", found("a.b", finding.High)), project("gone", found("a.b", finding.High)))
	first := chat.got[0]
	chat.got = nil
	many := project("many", found("a.b", finding.Medium), found("a.c", finding.Low),
		finding.Finding{Address: "a.d", Kind: finding.Deleted, Severity: finding.Low}, finding.Finding{Address: "a.e", Kind: "new kind", Severity: finding.Low})
	many.Issue, many.IssueURL = 7, "https://github.com/acme/infra/issues/7"
	tell(t, b, project("low", found("a.b", finding.Low)), many, project("mended"), broken("broken", " "+strings.Repeat("é", 400)), project("high", found("a.b", finding.High)))
	if len(chat.got) != 1 {
		t.Fatalf("%d notices", len(chat.got))
	}
	got := chat.got[0]
	want := Notice{
		ID: got.ID, Number: 2, Target: "chat", Repo: repo.Name, At: at, Page: repo.Page, Commit: repo.Commit,
		Projects: []Change{
			{Project: "high", Dir: "high", Workspace: "default", What: Differs, Severity: finding.High, Findings: []Count{{finding.Changed, 1}}},
			{Project: "broken", Dir: "broken", Workspace: "default", What: Failed, Failure: strings.Repeat("é", maxFailure) + "…"},
			{
				Project: "many", Dir: "many", Workspace: "default", What: Differs, Severity: finding.Medium,
				Findings: []Count{{finding.Deleted, 1}, {finding.Changed, 2}, {"new kind", 1}}, Issue: &Issue{7, many.IssueURL},
			},
			{Project: "low", Dir: "low", Workspace: "default", What: Differs, Severity: finding.Low, Findings: []Count{{finding.Changed, 1}}},
			{Project: "mended", Dir: "mended", Workspace: "default", What: InOrder},
			{Project: "gone", What: Gone},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(got.ID) != 32 || got.ID == first.ID {
		t.Errorf("ids %q and %q", first.ID, got.ID)
	}
}

// Somebody new hears once of what is not in order, and not of everything.
func TestNewTarget(t *testing.T) {
	var now []Project
	for i := range 500 {
		now = append(now, project(fmt.Sprintf("p%03d", i)))
	}
	for i := range 45 {
		now[i*7].Check.Findings = []finding.Finding{found("a.b", finding.Low)}
	}
	now[499].Check.Findings = []finding.Finding{found("a.b", finding.High)}
	chat := &place{}
	b := Book{Store: storetest.Memory(), Targets: []Target{{Name: "chat", Sender: chat}}}
	tell(t, b, now...)
	if len(chat.got) != 1 || len(chat.got[0].Projects) != Most || chat.got[0].More != 46-Most || chat.got[0].Projects[0].Project != "p499" {
		t.Fatalf("got %+v", chat.got)
	}
	chat.got = nil
	other := &place{}
	b.Targets = append(b.Targets, Target{Name: "other", Sender: other})
	tell(t, b, now...)
	if len(chat.got) != 0 || len(other.got) != 1 {
		t.Errorf("%d and %d notices, want none and one", len(chat.got), len(other.got))
	}
}

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		patterns []string
		repo     string
		want     bool
	}{
		{nil, "acme/infra", true},
		{[]string{"acme/*"}, "Acme/Infra", true},
		{[]string{"ACME/infra"}, "acme/infra", true},
		{[]string{"acme/infra"}, "acme/infra-eu", false},
		{[]string{"other/*", "*/infra"}, "acme/infra", true},
		{[]string{"*"}, "acme/infra", false},
	} {
		chat := &place{}
		b := Book{Store: storetest.Memory(), Targets: []Target{{Name: "chat", Repos: tt.patterns, Sender: chat}}}
		at := repo
		at.Name = tt.repo
		if _, err := b.Tell(t.Context(), at, []Project{broken("prod", "x")}); err != nil {
			t.Fatal(err)
		}
		if got := len(chat.got) == 1; got != tt.want {
			t.Errorf("%v hears of %s: %v", tt.patterns, tt.repo, got)
		}
	}
}

// Repositories and targets are told apart exactly.
func TestI6HeardApart(t *testing.T) {
	s, chat := storetest.Memory(), &place{}
	for _, name := range []string{"acme/app", "acme/app-infra"} {
		for _, target := range []string{"a", "a#b", "A"} {
			b := Book{Store: s, Targets: []Target{{Name: target, Sender: chat}}}
			if _, err := b.Tell(t.Context(), Repo{Name: name}, []Project{broken("prod", "x")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	ids := map[string]bool{}
	for _, n := range chat.got {
		ids[n.ID] = true
	}
	if len(ids) != 6 {
		t.Errorf("%d notices, want 6", len(ids))
	}
	for _, name := range []string{"", "acme/app#x"} {
		if _, err := (Book{Store: s}).Tell(t.Context(), Repo{Name: name}, nil); err == nil {
			t.Errorf("%q was told of", name)
		}
	}
}

// One that fails or refuses keeps no other from being told, and who has heard
// is not told again.
func TestFailingTargets(t *testing.T) {
	down := true
	failing := &place{fail: func(Notice) (error, error) {
		if down {
			return errDown, nil
		}
		return nil, nil
	}}
	refusing := &place{fail: func(Notice) (error, error) {
		return fmt.Errorf("send: %w", &RefusedError{Reason: "it answered 404"}), nil
	}}
	chat := &place{}
	b := Book{Store: storetest.Memory(), Targets: []Target{{Name: "failing", Sender: failing}, {Name: "refusing", Sender: refusing}, {Name: "chat", Sender: chat}}}
	now := []Project{broken("prod", "x")}
	refused, err := b.Tell(t.Context(), repo, now)
	if !errors.Is(err, errDown) || !strings.Contains(err.Error(), "tell failing of the drift of acme/infra") || strings.Contains(err.Error(), "refusing") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]Refusal{{"refusing", "it answered 404"}}, refused); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	down = false
	if refused, err = b.Tell(t.Context(), repo, now); err != nil || len(refused) != 1 {
		t.Errorf("refused %v, error %v", refused, err)
	}
	if len(chat.got) != 1 || len(failing.got) != 1 {
		t.Errorf("%d and %d notices, want one each", len(chat.got), len(failing.got))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errDown)
	if _, err := b.Tell(ctx, repo, nil); !errors.Is(err, errDown) {
		t.Errorf("after its end: %v", err)
	}
}

// Two servers at the same moment: the second one tells nothing else, and
// whoever comes last with something else is told of.
func TestTwoServers(t *testing.T) {
	for commit := 1; commit <= 2; commit++ {
		for name, theirs := range map[string]Project{"the same": broken("prod", "x"), "another": project("prod", found("a.b", finding.Low))} {
			shared, chat := storetest.Memory(), &place{}
			targets := []Target{{Name: "chat", Sender: chat}}
			mine := &storetest.Faulty{Store: shared, Plan: func(n int, _ []store.Write) storetest.Fault {
				if n == commit {
					tell(t, Book{Store: shared, Targets: targets}, theirs)
				}
				return storetest.None
			}}
			tell(t, Book{Store: mine, Targets: targets}, broken("prod", "x"))
			last := chat.got[len(chat.got)-1]
			if last.Projects[0].What != Failed {
				t.Errorf("%s, commit %d: told last %+v", name, commit, last)
			}
			ids := map[string]bool{}
			for _, n := range chat.got {
				ids[n.ID] = true
			}
			if name == "the same" && len(ids) != 1 {
				t.Errorf("commit %d: %d different notices of the same", commit, len(ids))
			}
			chat.got = nil
			tell(t, Book{Store: shared, Targets: targets}, broken("prod", "x"))
			if len(chat.got) != 0 {
				t.Errorf("%s, commit %d: told again", name, commit)
			}
		}
	}
}

// Where others tell something else each time, it is an error, and not for ever.
func TestConflictsEnd(t *testing.T) {
	shared := storetest.Memory()
	n := 0
	mine := &storetest.Faulty{Store: shared, Plan: func(int, []store.Write) storetest.Fault {
		n++
		theirs := project("prod", found(fmt.Sprintf("a.b%d", n), finding.Low))
		tell(t, Book{Store: shared, Targets: []Target{{Name: "chat", Sender: &place{}}}}, theirs)
		return storetest.None
	}}
	_, err := Book{Store: mine, Targets: []Target{{Name: "chat", Sender: &place{}}}}.Tell(t.Context(), repo, []Project{broken("prod", "x")})
	if !store.IsConflict(err) || n != tries {
		t.Errorf("%d tries, error %v", n, err)
	}
}

func TestDamagedRecord(t *testing.T) {
	s, chat := storetest.Memory(), &place{}
	if err := s.Commit(t.Context(), store.Write{Key: keyOf(repo.Name, "chat"), Body: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	_, err := Book{Store: s, Targets: []Target{{Name: "chat", Sender: chat}}}.Tell(t.Context(), repo, []Project{broken("prod", "x")})
	if err == nil || len(chat.got) != 0 {
		t.Errorf("error %v, %d notices", err, len(chat.got))
	}
}

func TestCheck(t *testing.T) {
	ok := Target{Name: "chat", Repos: []string{"acme/*"}, Least: finding.Low, Sender: &place{}}
	with := func(change func(t *Target)) Target {
		t := ok
		change(&t)
		return t
	}
	for name, tt := range map[string]struct {
		targets []Target
		says    string
	}{
		"none":         {nil, ""},
		"good":         {[]Target{ok, with(func(t *Target) { t.Name = "other" })}, ""},
		"no name":      {[]Target{with(func(t *Target) { t.Name = "" })}, "no name"},
		"twice":        {[]Target{ok, ok}, "two targets"},
		"no sender":    {[]Target{with(func(t *Target) { t.Sender = nil })}, "no sender"},
		"severity":     {[]Target{with(func(t *Target) { t.Least = "worst" })}, `"worst"`},
		"pattern":      {[]Target{with(func(t *Target) { t.Repos = []string{"acme/["} })}, "pattern"},
		"no full name": {[]Target{with(func(t *Target) { t.Repos = []string{"acme"} })}, "pattern"},
	} {
		err := Check(tt.targets)
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}

// The record fits into the store, and nothing is told twice because of that.
func TestBounds(t *testing.T) {
	long := strings.Repeat("very-long-directory/", 40)
	for _, tt := range []struct {
		n     int
		long  bool
		fails bool
	}{{2000, false, false}, {2000, true, false}, {9000, true, false}, {20000, false, true}} {
		t.Run(fmt.Sprint(tt.n, tt.long), func(t *testing.T) {
			var now []Project
			for i := range tt.n {
				name := fmt.Sprintf("envs/%05d", i)
				if tt.long {
					name = fmt.Sprint(long[:i%len(long)], name)
				}
				now = append(now, project(name, found("a.b", finding.Low)))
			}
			chat := &place{}
			b := Book{Store: storetest.Memory(), Targets: []Target{{Name: "chat", Sender: chat}}}
			_, err := b.Tell(t.Context(), repo, now)
			if tt.fails {
				if err == nil || !strings.Contains(err.Error(), "20000 projects differ") || len(chat.got) != 0 {
					t.Errorf("error %v, %d notices", err, len(chat.got))
				}
				return
			}
			if err != nil || len(chat.got) != 1 || chat.got[0].More != tt.n-Most {
				t.Fatalf("error %v, %d notices", err, len(chat.got))
			}
			chat.got = nil
			slices.Reverse(now)
			tell(t, b, now...)
			if len(chat.got) != 0 {
				t.Fatalf("told again: %+v", chat.got)
			}
			now[0].Check.Findings, now[1].Check.Findings = nil, []finding.Finding{found("a.c", finding.High)}
			gone := now[len(now)-1].Check.Project // a short name, which is kept
			tell(t, b, now[:len(now)-1]...)
			want := fmt.Sprintf("2 %s: differs otherwise high, 1 changed outside\n2 %s: in order\n2 %s: gone\n", now[1].Check.Project, now[0].Check.Project, gone)
			if diff := cmp.Diff(want, chat.words()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if !tt.long {
				return
			}
			longest := slices.MaxFunc(now[2:len(now)-1], func(a, b Project) int { return len(a.Check.Project) - len(b.Check.Project) })
			rest := slices.DeleteFunc(now[:len(now)-1], func(p Project) bool { return p.Check.Project == longest.Check.Project })
			tell(t, b, rest...)
			if diff := cmp.Diff("3 : gone\n", chat.words()); diff != "" {
				t.Errorf("a long name that is gone: -want +got:\n%s", diff)
			}
		})
	}
}

// Names that JSON would change, or that look like digests, are told once too.
func TestOddNames(t *testing.T) {
	for _, name := range []string{"a\xff", "a\xfe", "//x", "//" + short("y", 12), "", "?", `"<&>"`, "\u2028", "a#b"} {
		chat := &place{}
		b := Book{Store: storetest.Memory(), Targets: []Target{{Name: "chat", Sender: chat}}}
		tell(t, b, broken(name, "x"))
		tell(t, b, broken(name, "x"))
		if len(chat.got) != 1 || chat.got[0].Projects[0].Project != name {
			t.Errorf("%q: %+v", name, chat.got)
		}
	}
}
