package drift

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/drift/kind"
	"weir/planner/checkout"
	"weir/planner/project"
	"weir/planner/work"
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
	u := newUpstream(t)
	for _, change := range history {
		u.commit(change)
	}
	s := u.survey()
	p := project.Project{Dir: "live", Workspace: "default", Modules: []string{"modules/net"}}
	modules, got := s.blocksOf(t, p)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"vpc": "5.1.0"}, modules); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}

	if err := os.Symlink("../../modules/net/main.tf", filepath.Join(u.work, "live/link.tf")); err != nil {
		t.Fatal(err)
	}
	u.commit(nil)
	_, got = u.survey().blocksOf(t, p)
	if slices.ContainsFunc(got, func(blocks []string) bool { return blocks != nil }) {
		t.Errorf("behind a symbolic link: %q", got)
	}
}

func (s *survey) blocksOf(t *testing.T, p project.Project) (map[string]string, [][]string) {
	t.Helper()
	commits, err := s.Checkouts.Commits(t.Context(), s.job.Repo, "", s.head, maxCommits, filesOf(p)...)
	if err != nil {
		t.Fatal(err)
	}
	touches := make([]kind.Touch, len(commits))
	modules, err := s.touched(t.Context(), p, commits, touches)
	if err != nil {
		t.Fatal(err)
	}
	var blocks [][]string
	for _, touch := range touches {
		blocks = append(blocks, touch.Blocks)
	}
	return modules, blocks
}

// upstream is a repository that is served over HTTP.
type upstream struct {
	t         *testing.T
	work, url string
}

func newUpstream(t *testing.T) upstream {
	t.Helper()
	path, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	backend := filepath.Join(strings.TrimSpace(string(path)), "git-http-backend")
	if err == nil {
		_, err = os.Stat(backend)
	}
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("git http-backend is missing: %v", err)
	} else if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: git http-backend is missing: %v", err)
	}
	root := t.TempDir()
	server := httptest.NewServer(&cgi.Handler{
		Path: backend, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"},
	})
	t.Cleanup(server.Close)
	u := upstream{t, filepath.Join(root, "acme", "app.git"), server.URL + "/acme/app.git"}
	if err := os.MkdirAll(u.work, 0o750); err != nil {
		t.Fatal(err)
	}
	u.git("init", "--quiet", "--initial-branch=main")
	return u
}

func (u upstream) git(args ...string) {
	u.t.Helper()
	args = append([]string{"-C", u.work, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)
	cmd := exec.CommandContext(u.t.Context(), "git", args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + u.work, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}
	if out, err := cmd.CombinedOutput(); err != nil {
		u.t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

// commit commits files; one without text is removed.
func (u upstream) commit(files map[string]string) {
	u.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(u.work, name)
		err := os.MkdirAll(filepath.Dir(file), 0o750)
		switch {
		case err != nil:
		case files[name] == "":
			err = os.Remove(file)
		default:
			err = os.WriteFile(file, []byte(files[name]), 0o600)
		}
		if err != nil {
			u.t.Fatal(err)
		}
	}
	u.git("add", "--all")
	u.git("commit", "--quiet", "--message", fmt.Sprint(len(files)))
}

func (u upstream) survey() *survey {
	u.t.Helper()
	s := &survey{job: work.Job{Repo: "acme/app"}, Drift: &Drift{
		Log: slog.New(slog.NewTextHandler(u.t.Output(), nil)),
		Checkouts: &checkout.Repos{
			Dir:   filepath.Join(u.t.TempDir(), "checkouts"),
			Token: func(context.Context, string) (string, error) { return "", nil },
			Log:   slog.New(slog.NewTextHandler(u.t.Output(), nil)),
		},
	}}
	var err error
	if s.head, err = s.Checkouts.Fetch(u.t.Context(), s.job.Repo, u.url, "main"); err != nil {
		u.t.Fatal(err)
	}
	s.co, err = s.Checkouts.Open(u.t.Context(), checkout.Request{Repo: s.job.Repo, CloneURL: u.url, BaseRef: "main", Pull: 1, Head: s.head})
	if err != nil {
		u.t.Fatal(err)
	}
	return s
}
