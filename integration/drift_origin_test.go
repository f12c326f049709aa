package integration

import (
	"fmt"
	"strings"
	"testing"
)

// The plan comment of a pull request tells apart what it changes itself, what
// was changed outside, and what was merged earlier and never applied.
func TestPullRequestTellsOriginsApart(t *testing.T) {
	t.Parallel()
	w := drifting(t)
	const more = "\nresource \"terraform_data\" \"more\" {\n  input = \"more\"\n}\n"
	code := w.file("prod/main.tf")
	earlier := w.pull("earlier", map[string]string{"prod/main.tf": code + more})
	w.check(earlier.HeadSHA, "weir/plan", "success")
	w.quiet()
	w.merge(earlier) // by hand, before anybody approved
	w.quiet()

	mine := strings.Replace(code, "input = \"hello\"", "input = \"mine\"", 1)
	p := w.pull("mine", map[string]string{"prod/main.tf": mine + more})
	w.check(p.HeadSHA, "weir/plan", "success")
	body := w.comment(p, "plan", "Plan for").Body
	body, _, _ = strings.Cut(body, "<details>")
	_, drifted, _ := strings.Cut(body, "**Already drifted**")
	drifted, merged, ok := strings.Cut(drifted, "**Merged earlier, never applied**")
	if !ok || !strings.Contains(drifted, "`local_file.motd`") || strings.Contains(drifted, "terraform_data") {
		t.Errorf("what has drifted is not told apart:\n%s", body)
	}
	if !strings.Contains(merged, "`terraform_data.more`") || !strings.Contains(merged, fmt.Sprintf("%d (", earlier.Number)) || strings.Contains(merged, "motd") {
		t.Errorf("what was merged earlier is not told apart:\n%s", body)
	}
	if strings.Contains(drifted+merged, "terraform_data.value") || !strings.Contains(body, "1 already drifted, 1 merged earlier") {
		t.Errorf("what the pull request changes itself is told as another's:\n%s", body)
	}
	t.Log(body)
}
