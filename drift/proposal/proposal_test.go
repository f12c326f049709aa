package proposal

import (
	"testing"

	"weir/store/storetest"
)

func TestVouch(t *testing.T) {
	const branch = Branches + "revert-prod-123456"
	s := storetest.Memory()
	for _, actor := range []string{"bob", "alice"} { // the last counts
		if err := Put(t.Context(), s, "acme/app", branch, Proposal{Actor: actor, Head: "c1", Base: "main"}); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		repo, branch, head, base, actor string
		vouched                         bool
	}{
		"as proposed":          {"acme/app", branch, "c1", "main", "alice", true},
		"pushed to":            {"acme/app", branch, "c2", "main", "alice", false},
		"against another one":  {"acme/app", branch, "c1", "mine", "alice", false},
		"never proposed":       {"acme/app", branch + "0", "c1", "main", "", false},
		"another repository":   {"acme/app-infra", branch, "c1", "main", "", false},
		"a branch of a person": {"acme/app", "feature", "c9", "main", "", true},
	} {
		actor, unvouched, err := Vouch(t.Context(), s, tt.repo, tt.branch, tt.head, tt.base)
		if err != nil || actor != tt.actor || (unvouched == "") != tt.vouched {
			t.Errorf("%s: %q, %q, %v; want %q, vouched %v", name, actor, unvouched, err, tt.actor, tt.vouched)
		}
	}
}
