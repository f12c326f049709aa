package evidence

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/drift/kind"
	"weir/drift/upstream"
	"weir/planner/project"
)

// TestTouched holds that each commit of a branch is told apart by what it
// changed of a project.
func TestTouched(t *testing.T) {
	type files map[string]string
	const calls = "module \"net\" {\n  source = \"../modules/net\"\n}\nmodule \"vpc\" {\n  source  = \"a/b/c\"\n  version = \"5.1.0\"\n}\n"
	history := []files{
		{"live/main.tf": calls, "modules/net/main.tf": "resource \"aws_vpc\" \"a\" {\n}\n"},
		{"modules/net/main.tf": "resource \"aws_vpc\" \"a\" {\n  cidr = 1\n}\n"},
		{"other/main.tf": "locals {\n  b = 1\n}\n"},
		{"live/locals.tf": "locals {\n  a = 1\n}\n", "live/terraform.tfvars": "size = 1\n"},
		{"live/.terraform.lock.hcl": "# 1\n"},
		{"live/locals.tf": "locals {\n  a = 2\n}\n", "live/main.tf": "# calls\n" + calls},
		{"live/locals.tf": "", "live/terraform.tfvars": "size = 2\n"},
	}
	want := [][]string{
		{"local.a", "var.size"},
		{"local.a"},
		{},
		{"local.a", "var.size"},
		{"module.net.aws_vpc.a"},
		{"module.net", "module.net.aws_vpc.a", "module.vpc"},
	}
	u := upstream.New(t)
	for _, change := range history {
		u.Commit(change)
	}
	p := project.Project{Dir: "live", Workspace: "default", Modules: []string{"modules/net"}}
	modules, got := blocksOf(t, u, p)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"vpc": "5.1.0"}, modules); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}

	if err := os.Symlink("../../modules/net/main.tf", filepath.Join(u.Work, "live/link.tf")); err != nil {
		t.Fatal(err)
	}
	u.Commit(nil)
	_, got = blocksOf(t, u, p)
	if slices.ContainsFunc(got, func(blocks []string) bool { return blocks != nil }) {
		t.Errorf("behind a symbolic link: %q", got)
	}
}

func blocksOf(t *testing.T, u upstream.Upstream, p project.Project) (map[string]string, [][]string) {
	t.Helper()
	g := gatherer(t)
	at := g.branch(t, u)
	commits, err := g.Checkouts.Commits(t.Context(), at.Repo, "", at.Head, maxCommits, filesOf(p)...)
	if err != nil {
		t.Fatal(err)
	}
	touches := make([]kind.Touch, len(commits))
	modules, err := g.touched(t.Context(), at, at.Head, p, commits, touches)
	if err != nil {
		t.Fatal(err)
	}
	var blocks [][]string
	for _, touch := range touches {
		blocks = append(blocks, touch.Blocks)
	}
	return modules, blocks
}
