package talk_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/integration/sandbox"
)

// Who opens an issue decides what becomes of its assignees.
func TestAssigneesOfNewIssues(t *testing.T) {
	t.Parallel()
	s, err := sandbox.Start(sandbox.Config{Dir: t.TempDir(), App: &sandbox.App{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := s.CreateRepo("acme", "infra", map[string]string{"main.tf": ""}); err != nil {
		t.Fatal(err)
	}
	for login, p := range map[string]sandbox.Permission{"alice": "write", "reader": "read"} {
		if err := s.Grant("acme/infra", login, p); err != nil {
			t.Fatal(err)
		}
	}
	s.User("mallory") // has no access
	for _, c := range []struct {
		as     string
		wanted []string
		want   string // those who are, and labels; "422" for a refusal
	}{
		{"alice", []string{"alice", "reader"}, "[alice reader] [drift]"},
		{"alice", []string{"alice", "mallory"}, "422"},
		{"alice", []string{"nobody"}, "422"},
		{"alice", slices.Repeat([]string{"alice"}, 11), "422"},
		{"reader", []string{"alice"}, "[] []"},
		{"reader", []string{"mallory"}, "[] []"},
	} {
		i, err := s.FileIssue(c.as, "acme/infra", sandbox.NewIssue{Title: "x", Labels: []string{"drift"}, Assignees: c.wanted})
		got := "422"
		if err == nil {
			people, labels := []string{}, []string{}
			for _, u := range i.Assignees {
				people = append(people, u.Login)
			}
			for _, l := range i.Labels {
				labels = append(labels, l.Name)
			}
			got = fmt.Sprint(people, labels)
		} else if !strings.Contains(err.Error(), "Validation Failed") {
			t.Errorf("%s, %q: %v", c.as, c.wanted, err)
		}
		if got != c.want {
			t.Errorf("%s wants %q: got %s, want %s", c.as, c.wanted, got, c.want)
		}
	}
}
