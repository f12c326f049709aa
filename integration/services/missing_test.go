package services

import (
	"fmt"
	"strings"
	"testing"
)

// verdicts notes how a test ended.
type verdicts struct{ skipped, failed string }

func (*verdicts) Helper()            {}
func (v *verdicts) Skip(args ...any) { v.skipped = fmt.Sprintln(args...) }
func (v *verdicts) Fatal(args ...any) {
	if v.failed == "" {
		v.failed = fmt.Sprintln(args...)
	}
}

func TestMissing(t *testing.T) {
	for _, ci := range []string{"", "true"} {
		t.Setenv("CI", ci)
		v := &verdicts{}
		(&service{name: "nothing", installed: "nothing"}).endpoint(v)
		if (v.skipped != "") != (ci == "") || (v.failed != "") != (ci != "") || !strings.Contains(v.skipped+v.failed, "scripts/get-services") {
			t.Errorf("CI=%q: skipped %q, failed %q", ci, v.skipped, v.failed)
		}
	}
}

func TestDoesNotStart(t *testing.T) {
	_, err := try("sh", func(string) []string { return []string{"sh", "-c", "echo no such luck; exit 3"} })
	if err == nil || !strings.Contains(err.Error(), "no such luck") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want what the program said", err)
	}
}
