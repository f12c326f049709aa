package integration

import (
	"fmt"
	"strings"
	"testing"
)

// Two directories with one state are one thing to apply: whoever comes second
// waits, though no directory is the same.
func TestI1_OneStateInTwoDirectories(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	code := func(value string) string { return w.project("shared", resource(value)) }
	p := w.pull("first", map[string]string{"a/main.tf": code("one")})
	w.comment(p, "plan", "`a`")
	q := w.pull("second", map[string]string{"b/main.tf": code("two")})
	w.comment(q, "locked", fmt.Sprintf("#%d", p.Number), "`b`")
	w.review("bob", p, "APPROVE")
	w.check(p.HeadSHA, "weir/apply", "success")
	w.merge(p)
	w.comment(q, "plan", "`b`")
	w.owner("b", q.Number)
	w.quiet()
	if state := w.stateOf("shared"); !strings.Contains(state, `"one"`) || strings.Contains(state, `"two"`) {
		t.Errorf("the state is not what was approved:\n%s", state)
	}
}
