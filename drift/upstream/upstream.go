// Package upstream is a repository over HTTP for tests of drift.
package upstream

import (
	"fmt"
	"io"
	"maps"
	"net/http/cgi" // #nosec G504 -- Go is newer than 1.6.3; for tests
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Upstream is a repository that is served over HTTP.
type Upstream struct {
	t    *testing.T
	Work string // absolute path of its files
	URL  string // to clone from
}

// New makes a repository acme/app with the branch main and no commit. It ends
// with the test.
func New(t *testing.T) Upstream {
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
	u := Upstream{t, filepath.Join(root, "acme", "app.git"), server.URL + "/acme/app.git"}
	if err := os.MkdirAll(u.Work, 0o750); err != nil {
		t.Fatal(err)
	}
	u.Git("init", "--quiet", "--initial-branch=main")
	return u
}

// Git runs git in it, and returns what that says.
func (u Upstream) Git(args ...string) string {
	u.t.Helper()
	args = append([]string{"-C", u.Work, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)
	cmd := exec.CommandContext(u.t.Context(), "git", args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + u.Work, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		u.t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// Commit commits files; one without text is removed.
func (u Upstream) Commit(files map[string]string) {
	u.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(u.Work, name)
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
	u.Git("add", "--all")
	u.Git("commit", "--quiet", "--message", fmt.Sprint(len(files)))
}
