package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/integration/sandbox"
)

// storm is a few people and power cuts at work on a few pull requests.
type storm struct {
	*mortal
	rng       *rand.Rand
	pulls     []*stormy
	values    int
	cuts      int            // since it was calm
	approvals map[string]int // of the values that a reviewer has seen
	story     []string       // what has happened, for who has to understand it
}

// stormy is one pull request in it.
type stormy struct {
	sandbox.Pull
	branch string
	dirs   []string
	value  string // that its newest commit sets
	heads  []string
	open   bool
	merged bool
}

func (s *storm) note(format string, args ...any) {
	s.story = append(s.story, fmt.Sprintf(format, args...))
}

// files makes the next value of a pull request.
func (s *storm) files(p *stormy) map[string]string {
	s.values++
	p.value = fmt.Sprintf("v%d", s.values)
	files := map[string]string{}
	for _, dir := range p.dirs {
		files[dir+"/main.tf"] = s.counted(dir, p.value)
	}
	return files
}

func (s *storm) openPull() {
	p := &stormy{branch: fmt.Sprintf("b%d", len(s.pulls)), open: true}
	p.dirs = [][]string{{"a"}, {"a", "b"}, {"b", "c"}, {"c"}}[s.rng.IntN(4)]
	p.Pull = s.pull(p.branch, s.files(p))
	p.heads = append(p.heads, p.HeadSHA)
	s.pulls = append(s.pulls, p)
	s.note("#%d opened: %v to %s", p.Number, p.dirs, p.value)
}

// step does one thing.
func (s *storm) step() {
	p := s.pulls[s.rng.IntN(len(s.pulls))]
	switch what := s.rng.IntN(20); {
	case what < 2 && len(s.pulls) < 6:
		s.openPull()
	case what < 5 && p.open:
		head := s.push(p.branch, s.files(p))
		p.heads = append(p.heads, head)
		s.note("#%d pushed: %s", p.Number, p.value)
	case what < 10 && p.open:
		who := []string{"bob", "carol"}[s.rng.IntN(2)]
		s.approvals[p.value]++
		s.review(who, p.Pull, "APPROVE")
		s.note("#%d approved by %s: %s", p.Number, who, p.value)
	case what < 12 && p.open:
		command := []string{"plan", "apply", "explain", "plan -d a"}[s.rng.IntN(4)]
		s.say("alice", p.Pull, "weir "+command)
		s.note("#%d weir %s", p.Number, command)
	case what < 13 && p.open:
		if _, err := s.box.Merge("alice", repo, p.Number, ""); err == nil {
			p.open, p.merged = false, true
			s.note("#%d merged", p.Number)
		}
	case what < 14 && p.open:
		s.do(s.box.ClosePull("alice", repo, p.Number))
		p.open = false
		s.note("#%d closed", p.Number)
	case what < 15 && !p.open && !p.merged && s.approvals[p.value] == 0:
		s.do(s.box.ReopenPull("alice", repo, p.Number))
		p.open = true
		s.note("#%d reopened", p.Number)
	case what < 18:
		// A job is given up after four deaths: that is a story of its own.
		if s.cuts++; s.cuts > 2 {
			s.note("settles")
			s.box.ClearFaults()
			s.settle()
			s.cuts = 0
		}
		n, effect, all := 1+s.rng.IntN(12), s.rng.IntN(2) == 0, s.rng.IntN(2) == 0
		s.note("dies in %d calls, effect %t, children %t", n, effect, all)
		s.dieAt(n, effect, all)
	default:
		s.note("settles")
		s.box.ClearFaults()
		s.settle()
		s.cuts = 0
	}
}

// calm ends the storm and looks at what it has left.
func (s *storm) calm() {
	s.t.Helper()
	s.box.ClearFaults()
	s.settle()
	for _, dir := range []string{"a", "b", "c"} {
		times := map[string]int{}
		for _, value := range s.applied(dir) {
			if times[value]++; times[value] > s.approvals[value] {
				s.t.Errorf("%s was applied to %s %d times, and approved %d times", value, dir, times[value], s.approvals[value])
			}
		}
	}
	owns := map[int]bool{}
	for _, row := range s.locks() {
		owns[row.Pull] = true
		// A row without an owner is of those who also wait elsewhere.
		for _, number := range append(slices.Clone(row.Waiters), row.Pull) {
			if number != 0 && !slices.ContainsFunc(s.pulls, func(p *stormy) bool { return p.Number == number && p.open }) {
				s.t.Errorf("a lock of what is not open: %+v", row)
			}
		}
	}
	for _, p := range s.pulls {
		if !p.open {
			continue
		}
		head := p.heads[len(p.heads)-1]
		s.noPending(head)
		for _, name := range []string{"weir/plan", "weir/apply"} {
			if s.conclusion(head, name) == "" {
				s.t.Errorf("#%d has no %s on its newest commit", p.Number, name)
			}
		}
		if got := s.count(p.Pull, "plan") + s.count(p.Pull, "locked"); got == 0 {
			s.t.Errorf("#%d was told nothing", p.Number)
		}
		if s.conclusion(head, "weir/plan") == "success" && !owns[p.Number] {
			s.t.Errorf("#%d is planned and owns nothing", p.Number)
		}
	}
}

// TestChaos kills weir at random moments. WEIR_CHAOS=10m goes on for so long.
func TestChaos(t *testing.T) {
	run := func(t *testing.T, seed uint64, steps int) {
		t.Logf("seed %d", seed)
		s := &storm{
			mortal:    newMortal(t, setup{files: map[string]string{"a/main.tf": "", "b/main.tf": "", "c/main.tf": ""}}),
			rng:       rand.New(rand.NewPCG(seed, 1)),
			approvals: map[string]int{},
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("what had happened:\n%s", strings.Join(s.story, "\n"))
			}
		})
		s.openPull()
		for range steps {
			s.step()
		}
		s.calm()
	}
	if long := os.Getenv("WEIR_CHAOS"); long != "" {
		duration, err := time.ParseDuration(long)
		if err != nil {
			t.Fatal(err)
		}
		first := uint64(time.Now().Unix())
		if given := os.Getenv("WEIR_CHAOS_SEED"); given != "" {
			if _, err := fmt.Sscan(given, &first); err != nil {
				t.Fatal(err)
			}
		}
		end := time.Now().Add(duration)
		for seed := first; time.Now().Before(end); seed += 4 {
			t.Run(fmt.Sprintf("from %d", seed), func(t *testing.T) {
				for k := range uint64(4) {
					t.Run(fmt.Sprintf("seed %d", seed+k), func(t *testing.T) {
						t.Parallel()
						run(t, seed+k, 60)
					})
				}
			})
		}
		return
	}
	t.Parallel()
	run(t, 6, 40) // five pull requests that want the same directories, and two deaths
}
