package checkout

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What touched a project is found on the branch's own line, with exact paths.
func TestCommitsOfPaths(t *testing.T) {
	u := newHub(t).repo("acme/app")
	first := u.commit("main", "", tree{"envs/prod/main.tf": "1", "envs/prod-eu/main.tf": "1"})
	second := u.commit("main", first, tree{"envs/prod/main.tf": "2", "README": "2"})
	third := u.commit("main", second, tree{"envs/prod-eu/main.tf": "3"})
	last := u.commit("main", third, tree{"modules/[a]/x.tf": "4"})
	hostile := []string{"\n:100644 x", strings.Repeat("a", 40), strings.Repeat("b", 40) + " " + strings.Repeat("c", 40)}
	odd := u.commit("main", last, tree{"odd/" + hostile[0]: "5", hostile[1]: "5", hostile[2]: "5"})
	r := newRepos(t, "")
	if _, err := r.Fetch(t.Context(), u.name, u.cloneURL(), "main"); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		from  string
		most  int
		paths []string
		want  []Commit
	}{
		"all of a directory": {"", 9, []string{"envs/prod"}, []Commit{{ID: second, Parent: first, Files: []string{"envs/prod/main.tf"}}, {ID: first, Parent: "", Files: []string{"envs/prod/main.tf"}}}},
		"since":              {first, 9, []string{"envs/prod"}, []Commit{{ID: second, Parent: first, Files: []string{"envs/prod/main.tf"}}}},
		"nothing since":      {second, 9, []string{"envs/prod"}, nil},
		"the newest":         {"", 1, []string{"envs/prod", "envs/prod-eu"}, []Commit{{ID: third, Parent: second, Files: []string{"envs/prod-eu/main.tf"}}}},
		"no pattern":         {"", 9, []string{"modules/[a]"}, []Commit{{ID: last, Parent: third, Files: []string{"modules/[a]/x.tf"}}}},
		"not a pattern":      {"", 9, []string{"modules/a"}, nil},
		"everything":         {second, 9, []string{"."}, []Commit{{ID: last, Parent: third, Files: []string{"modules/[a]/x.tf"}}, {ID: third, Parent: second, Files: []string{"envs/prod-eu/main.tf"}}}},
	} {
		got, err := r.Commits(t.Context(), u.name, tt.from, last, tt.most, tt.paths...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	want := []Commit{{ID: odd, Parent: last, Files: []string{hostile[1], hostile[2], "odd/" + hostile[0]}}}
	if got, err := r.Commits(t.Context(), u.name, last, odd, 9); err != nil || !cmp.Equal(want, got) {
		t.Errorf("names that look like answers: %v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	var gone *GoneError
	if _, err := r.Commits(t.Context(), u.name, strings.Repeat("d", 40), odd, 9); !errors.As(err, &gone) {
		t.Errorf("since a commit that is gone: %v", err)
	}
	if _, err := r.Commits(t.Context(), u.name, "", "0123", 1); err == nil {
		t.Error("a commit that is none: no error")
	}
}
