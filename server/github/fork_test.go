package github

import (
	"testing"

	"github.com/google/go-github/v60/github"
)

func TestIsFork(t *testing.T) {
	at := func(id int64, name string) *github.Repository { return &github.Repository{ID: &id, FullName: &name} }
	for name, tt := range map[string]struct {
		head, base *github.Repository
		want       bool
	}{
		"the same repository":       {at(1, "acme/app"), at(1, "acme/app"), false},
		"a fork":                    {at(2, "eve/app"), at(1, "acme/app"), true},
		"a fork that was deleted":   {nil, at(1, "acme/app"), true},
		"names without ids":         {at(0, "eve/app"), at(0, "acme/app"), true},
		"the same, without ids":     {at(0, "Acme/App"), at(0, "acme/app"), false},
		"a name that is a prefix":   {at(0, "acme/app-infra"), at(0, "acme/app"), true},
		"another id, the same name": {at(2, "acme/app"), at(1, "acme/app"), true},
	} {
		if got := isFork(tt.head, tt.base); got != tt.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
