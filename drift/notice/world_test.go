package notice

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/drift/finding"
	"weir/store"
	"weir/store/storetest"
)

var at = time.Date(2026, 11, 21, 3, 29, 5, 0, time.UTC)

var repo = Repo{Name: "acme/infra", Page: "https://weir.example.com/drift", Commit: "3f2a91c04b7d5e6f8a9b0c1d2e3f405162738495", At: at}

// project is one whose check found something. None: it is in order.
func project(name string, found ...finding.Finding) Project {
	return Project{Check: finding.Check{Repo: repo.Name, Project: name, Dir: name, Workspace: "default", Commit: repo.Commit, Started: at, Findings: found}}
}

func broken(name, failure string) Project {
	p := project(name)
	p.Check.Failure = failure
	return p
}

// found is a finding whose attribute was changed outside.
func found(address string, severity finding.Severity) finding.Finding {
	return finding.Finding{Address: address, Attribute: "ingress", Kind: finding.Changed, Severity: severity}
}

var errDown = errors.New("the place is down")

// place is a sender that remembers what it took, and fails on demand.
type place struct {
	got  []Notice
	fail func(Notice) (before, after error) // nil: never
}

func (p *place) Send(_ context.Context, n Notice) error {
	var before, after error
	if p.fail != nil {
		before, after = p.fail(n)
	}
	if before != nil {
		return before
	}
	p.got = append(p.got, n)
	return after
}

// words are all notices that were taken since the last call, a line a change.
func (p *place) words() string {
	var b strings.Builder
	for _, n := range p.got {
		for _, c := range n.Projects {
			fmt.Fprintf(&b, "%d %s: %s", n.Number, c.Project, c.What)
			if c.Severity != "" {
				fmt.Fprintf(&b, " %s", c.Severity)
			}
			for _, k := range c.Findings {
				fmt.Fprintf(&b, ", %d %s", k.Count, k.Kind)
			}
			if c.Hidden+c.Below > 0 {
				fmt.Fprintf(&b, ", %d hidden, %d below", c.Hidden, c.Below)
			}
			b.WriteString("\n")
		}
		if n.More > 0 {
			fmt.Fprintf(&b, "%d and %d more\n", n.Number, n.More)
		}
	}
	p.got = nil
	return b.String()
}

func tell(t *testing.T, b Book, now ...Project) {
	t.Helper()
	if refused, err := b.Tell(t.Context(), repo, now); err != nil || refused != nil {
		t.Fatalf("refused %v, error %v", refused, err)
	}
}

// reads is a store whose n-th Get fails, counted from 1.
type reads struct {
	store.Store
	n int
}

func (r *reads) Get(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	if r.n--; r.n == 0 {
		return nil, storetest.ErrInjected
	}
	return r.Store.Get(ctx, keys...)
}
