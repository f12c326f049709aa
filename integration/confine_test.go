package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/planner/terraform/child"
)

// A plan is the pull request's code, run as weir's user: without a fence, one
// line of it puts weir's own key into the comment.
func TestI8_APlanCannotShowWeirsKey(t *testing.T) {
	t.Parallel()
	if !child.Confines() {
		t.Skip("!!! no Landlock in this kernel: that plans cannot read weir's files is not tested")
	}
	w := newWorld(t, setup{config: []string{"WEIR_TERRAFORM_CONFINE=on"}})
	key := filepath.Join(w.dir, "app.pem")
	data, err := os.ReadFile(key)
	w.do(err)
	secret := strings.Split(string(data), "\n")[2]
	p := w.pull("theft", map[string]string{"prod/main.tf": w.project("prod", `output "x" { value = file("`+key+`") }`)})
	stolen := w.comment(p, "plan", "`prod`", "failed")
	if strings.Contains(stolen.Body, secret) {
		t.Fatal("the comment holds weir's key")
	}
	w.push("theft", map[string]string{"prod/main.tf": w.project("prod", resource("two"))})
	w.comment(p, "plan", "two")
	w.review("bob", p, "APPROVE")
	w.comment(p, "apply", "1 created")
	if state := w.stateOf("prod"); !strings.Contains(state, "two") {
		t.Errorf("what was approved was not applied:\n%s", state)
	}
}
