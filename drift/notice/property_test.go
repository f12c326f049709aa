package notice

import (
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"weir/drift/finding"
	"weir/store/storetest"
)

// truth is what a project is: 0 in order, -1 not there, -2 its check fails,
// otherwise how many findings it has.
type truth map[string]int

func (w truth) projects(order []string) []Project {
	var now []Project
	for _, name := range order {
		switch n := w[name]; n {
		case -1:
		case -2:
			now = append(now, broken(name, "no such provider"))
		default:
			p := project(name)
			for i := range n {
				p.Check.Findings = append(p.Check.Findings, found(fmt.Sprint("a.b", i), finding.Low))
			}
			now = append(now, p)
		}
	}
	return now
}

// differing is what is not in order.
func (w truth) differing() truth {
	w = maps.Clone(w)
	maps.DeleteFunc(w, func(_ string, n int) bool { return n == 0 || n == -1 })
	return w
}

// receiver is what somebody knows who takes each notice once, by its ID.
type receiver struct {
	place
	seen  map[string]Notice
	knows truth
}

func (r *receiver) read(t *rapid.T) {
	for _, n := range r.got {
		if old, ok := r.seen[n.ID]; ok {
			if diff := cmp.Diff(old, n); diff != "" {
				t.Fatalf("one ID, two notices:\n%s", diff)
			}
			continue
		}
		r.seen[n.ID] = n
		for _, c := range n.Projects {
			switch c.What {
			case InOrder, Gone:
				delete(r.knows, c.Project)
			case Failed:
				r.knows[c.Project] = -2
			default:
				r.knows[c.Project] = c.Findings[0].Count
			}
		}
	}
	r.got = nil
}

// Whatever fails, wherever the process ends, and whatever changes meanwhile:
// after a call that succeeds the receiver knows what is, and is told nothing
// more until something changes.
func TestEveryChangeIsHeard(t *testing.T) {
	names := []string{"a", "a/b", "b@eu", "c"}
	rapid.Check(t, func(t *rapid.T) {
		faulty := &storetest.Faulty{Store: storetest.Memory()}
		r := &receiver{seen: map[string]Notice{}, knows: truth{}}
		gets := &reads{Store: faulty}
		b := Book{Store: gets, Targets: []Target{{Name: "chat", Sender: r}}}
		is, calm := truth{}, true // calm: nothing failed since the last success
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			changes := rapid.MapOfN(rapid.SampledFrom(names), rapid.IntRange(-2, 2), 0, 3).Draw(t, "changes")
			maps.Copy(is, changes)
			was := maps.Clone(r.knows)
			now := is.projects(rapid.Permutation(names).Draw(t, "order"))
			faulty.Reset()
			gets.n, r.fail = 0, nil
			fault := rapid.IntRange(0, 7).Draw(t, "fault")
			switch fault {
			case 1, 2:
				faulty.Fail(fault, storetest.Before)
			case 3, 4:
				faulty.Fail(fault-2, storetest.After)
			case 5:
				r.fail = func(Notice) (error, error) { return errDown, nil }
			case 6:
				r.fail = func(Notice) (error, error) { return nil, errDown }
			case 7:
				gets.n = rapid.IntRange(1, 2).Draw(t, "get")
			}
			_, err := b.Tell(t.Context(), repo, now)
			if err != nil && fault == 0 {
				t.Fatal(err)
			}
			sent := len(r.got)
			r.read(t)
			if err != nil {
				calm = false
				continue
			}
			if diff := cmp.Diff(is.differing(), r.knows); diff != "" {
				t.Fatalf("-is +knows:\n%s", diff)
			}
			if same := cmp.Equal(was, r.knows); calm && (sent == 0) != same || sent > 1 {
				t.Fatalf("%d notices, knew %v, knows %v", sent, was, r.knows)
			}
			calm = true
			faulty.Reset()
			gets.n, r.fail = 0, nil
			again := is.projects(rapid.Permutation(names).Draw(t, "again"))
			if _, err := b.Tell(t.Context(), repo, again); err != nil || len(r.got) != 0 {
				t.Fatalf("told again: %+v, %v", r.got, err)
			}
			if calls := faulty.Calls(); calls.Commits != 0 {
				t.Fatalf("%d commits for nothing", calls.Commits)
			}
		}
	})
}

// The same, whatever the order.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c/@"<]{1,6}`), 1, 40, rapid.ID[string]).Draw(t, "names")
		is := truth{}
		for _, name := range names {
			is[name] = rapid.IntRange(-2, 3).Draw(t, "state")
		}
		var all [2][]Notice
		for i := range all {
			chat := &place{}
			b := Book{Store: storetest.Memory(), Targets: []Target{{Name: "chat", Sender: chat}}}
			if _, err := b.Tell(t.Context(), repo, is.projects(rapid.Permutation(names).Draw(t, "order"))); err != nil {
				t.Fatal(err)
			}
			all[i] = chat.got
		}
		if diff := cmp.Diff(all[0], all[1]); diff != "" {
			t.Fatalf("-one +other order:\n%s", diff)
		}
	})
}
