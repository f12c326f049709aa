package project

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStateNamesWhatIsShared holds that projects of one state have one name of
// it, whatever their directories and workspaces, and that others have not.
func TestStateNamesWhatIsShared(t *testing.T) {
	s3 := func(key string) string {
		return "terraform {\n  backend \"s3\" {\n    bucket = \"states\"\n    key    = \"" + key + "\"\n  }\n}\n"
	}
	set := discoverFiles(t, map[string]string{
		"weir.yaml": `version: 1
projects:
  - {dir: app}
  - {dir: app, workspace: blue}
  - {dir: copy, workspace: blue}
  - {dir: other}
  - {dir: moved}
  - {dir: own}
  - {dir: later}
`,
		"app/main.tf":          s3("app/terraform.tfstate"),
		"copy/main.tf":         s3("/app/terraform.tfstate"),
		"other/main.tf":        s3("app/terraform.tfstate2"),
		"moved/main.tf":        s3("moved"),
		"moved/me_override.tf": s3("app/./terraform.tfstate"),
		"own/main.tf":          "resource \"terraform_data\" \"a\" {}\n",
		"later/main.tf":        "terraform {\n  backend \"s3\" {}\n}\n",
	})
	got := map[string]string{}
	for _, p := range set.Projects {
		got[p.ID()] = p.State
	}
	want := map[string]string{
		"app": "s3://states/app/terraform.tfstate", "app@blue": "s3://states/env:/blue/app/terraform.tfstate",
		"copy@blue": "s3://states/env:/blue/app/terraform.tfstate", "moved": "s3://states/app/terraform.tfstate",
		"other": "s3://states/app/terraform.tfstate2", "own": "", "later": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
