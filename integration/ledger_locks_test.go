package integration

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// lockRows are the locks at one moment, by repository, directory and workspace.
type lockRows map[string]lockJSON

// begins reports whether a change is not the one that was played last in its
// repository.
func (r lockRows) begins(name string, seq int64) bool {
	repo, _, _ := strings.Cut(name, "\x00")
	for other, row := range r {
		if strings.HasPrefix(other, repo+"\x00") && row.Seq >= seq {
			return false
		}
	}
	return true
}

// twoOwners says which pull requests own projects that have one state, "" if
// none do.
func (r lockRows) twoOwners() string {
	owners := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(r)) {
		row := r[name]
		if row.Owner == 0 || row.State == "" {
			continue
		}
		repo, _, _ := strings.Cut(name, "\x00")
		owner := fmt.Sprintf("%s#%d", repo, row.Owner)
		if was := owners[row.State]; was != "" && was != owner {
			return fmt.Sprintf("the state %s was owned by %s and by %s: %+v", row.State, was, owner, r)
		}
		owners[row.State] = owner
	}
	return ""
}

// sleepers are the pull requests that could have all that they wait for: nobody
// owns a project or its state or has waited for either for longer.
func (l *ledger) sleepers() []string {
	type queue struct {
		owner string
		first waiterJSON
		repo  string // of first
	}
	queues := map[string]*queue{} // by state, or by project where there is none
	of := func(name string) *queue {
		key := cmp.Or(l.states[name], name)
		if queues[key] == nil {
			queues[key] = &queue{}
		}
		return queues[key]
	}
	for name, row := range l.rows {
		repo, _, _ := strings.Cut(name, "\x00")
		q := of(name)
		if row.Owner != 0 {
			q.owner = fmt.Sprintf("%s#%d", repo, row.Owner)
		}
		for _, w := range row.Waiters {
			if q.repo == "" || cmp.Or(w.Since.Compare(q.first.Since), cmp.Compare(w.Pull, q.first.Pull)) < 0 {
				q.first, q.repo = w, repo
			}
		}
	}
	waits := map[string]bool{} // of those that wait: for somebody
	for name, row := range l.rows {
		repo, _, _ := strings.Cut(name, "\x00")
		q := of(name)
		for _, w := range row.Waiters {
			who, first := fmt.Sprintf("%s#%d", repo, w.Pull), fmt.Sprintf("%s#%d", q.repo, q.first.Pull)
			waits[who] = waits[who] || q.owner != "" && q.owner != who || first != who
		}
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(waits)), func(who string) bool { return waits[who] })
}

// What the history of a chaos is judged by would see two owners.
func TestTwoOwnersOfAState(t *testing.T) {
	t.Parallel()
	row := func(owner int, state string) lockJSON { return lockJSON{Owner: owner, State: state} }
	const a, b, other = "acme/infra\x00a\x00default", "acme/infra\x00b\x00default", "acme/eu\x00a\x00default"
	for _, c := range []struct {
		rows lockRows
		two  bool
	}{
		{lockRows{a: row(1, "s"), b: row(1, "s")}, false},
		{lockRows{a: row(1, "s"), b: row(2, "t")}, false},
		{lockRows{a: row(1, "s"), b: row(0, "s")}, false},
		{lockRows{a: row(1, ""), b: row(2, "")}, false},
		{lockRows{a: row(1, "s"), b: row(2, "s")}, true},
		{lockRows{a: row(1, "s"), other: row(1, "s")}, true},
	} {
		if got := c.rows.twoOwners(); (got != "") != c.two {
			t.Errorf("%+v: %q, want two owners %t", c.rows, got, c.two)
		}
	}
}

// And whoever waits for nobody.
func TestSleepers(t *testing.T) {
	t.Parallel()
	row := func(owner int, waiters ...int) lockJSON {
		r := lockJSON{Owner: owner}
		for _, pull := range waiters {
			r.Waiters = append(r.Waiters, waiterJSON{Pull: pull, Since: time.Unix(int64(pull), 0)})
		}
		return r
	}
	const a, twin, b = "acme/infra\x00a\x00default", "acme/infra\x00twin\x00default", "acme/infra\x00b\x00default"
	for _, c := range []struct {
		rows lockRows
		want []string
	}{
		{lockRows{a: row(1, 2), b: row(1, 3)}, nil},
		{lockRows{a: row(0, 2, 3)}, []string{"acme/infra#2"}},
		{lockRows{a: row(1), twin: row(0, 2)}, nil},
		{lockRows{a: row(0, 2), twin: row(0, 3)}, []string{"acme/infra#2"}},
		{lockRows{a: row(2), twin: row(0, 2)}, []string{"acme/infra#2"}},
		{lockRows{a: row(1), b: row(0, 2)}, []string{"acme/infra#2"}},
		{lockRows{a: row(0, 2), b: row(1, 2)}, nil},
	} {
		l := &ledger{rows: c.rows, states: map[string]string{a: "s", twin: "s"}}
		if got := l.sleepers(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v sleep, want %v", c.rows, got, c.want)
		}
	}
}
