package checkout

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// hub serves Git repositories over HTTP with Basic authentication, as GitHub
// does.
type hub struct {
	t   testing.TB
	dir string
	url string

	mu     sync.Mutex
	tokens []string // that are good; none: no authentication
	seen   []string // requests
	first  func(w http.ResponseWriter, r *http.Request) (done bool)
}

var execPath = sync.OnceValues(func() (string, error) {
	path, err := exec.Command("git", "--exec-path").Output()
	return strings.TrimSpace(string(path)), err
})

func newHub(t testing.TB, tokens ...string) *hub {
	t.Helper()
	path, err := execPath()
	if err != nil {
		needs(t, "git", err)
	}
	backend := filepath.Join(path, "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		needs(t, "git http-backend", err)
	}
	h := &hub{t: t, dir: t.TempDir(), tokens: tokens}
	git := &cgi.Handler{
		Path: backend, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + h.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.seen = append(h.seen, r.Method+" "+r.URL.RequestURI())
		first, tokens := h.first, h.tokens
		h.mu.Unlock()
		if first != nil && first(w, r) {
			return
		}
		user, password, _ := r.BasicAuth()
		if len(tokens) > 0 && (user != "x-access-token" || !slices.Contains(tokens, password)) {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
			http.Error(w, "you sent "+r.Header.Get("Authorization")+" which is "+password, http.StatusUnauthorized)
			return
		}
		git.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// needs skips a test without a tool, or fails it where that must not be.
func needs(t testing.TB, tool string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing: %v", tool, err)
	}
	t.Skipf("SKIPPED, NOT TESTED: %s is missing: %v", tool, err)
}

func (h *hub) requests() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := h.seen
	h.seen = nil
	return seen
}

func (h *hub) allow(tokens ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tokens = tokens
}

func (h *hub) intercept(first func(http.ResponseWriter, *http.Request) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.first = first
}

// upstream is a repository at the hub.
type upstream struct {
	*hub
	name string
}

func (h *hub) repo(name string) upstream {
	h.t.Helper()
	u := upstream{h, name}
	u.git("", "init", "--bare", "--quiet", "--initial-branch=main", u.path())
	return u
}

func (u upstream) path() string     { return filepath.Join(u.dir, u.name+".git") }
func (u upstream) cloneURL() string { return u.url + "/" + u.name + ".git" }

func (u upstream) git(stdin string, args ...string) string {
	u.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + u.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}
	if len(args) > 0 && args[0] != "init" {
		cmd.Env = append(cmd.Env, "GIT_DIR="+u.path())
	}
	cmd.Stdin = strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		u.t.Fatalf("git %q: %v\n%s", args, err, &errs)
	}
	return strings.TrimSpace(string(out))
}

// tree is the changes of a commit: paths with their new content. A content
// beginning with "link:" is a symbolic link, with "module:" a submodule's
// commit, with "exec:" a program; "-" deletes.
type tree map[string]string

// commit makes a commit on a branch, on top of parent (a commit or branch;
// empty: none), and returns its id.
func (u upstream) commit(branch, parent string, changes tree) string {
	u.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "commit refs/heads/%s\nmark :1\ncommitter t <t@example.com> 1700000000 +0000\ndata 1\nx\n", branch)
	if parent != "" {
		if !isHash(parent) {
			parent = u.git("", "rev-parse", parent+"^{commit}")
		}
		fmt.Fprintf(&b, "from %s\n", parent)
	} else {
		fmt.Fprintf(&b, "from %s\n", strings.Repeat("0", 40))
	}
	paths := make([]string, 0, len(changes))
	for p := range changes {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		content, mode := changes[p], "100644"
		if content == "-" {
			fmt.Fprintf(&b, "D %s\n", quote(p))
			continue
		}
		for prefix, m := range map[string]string{"link:": "120000", "module:": "160000", "exec:": "100755"} {
			if rest, ok := strings.CutPrefix(content, prefix); ok {
				content, mode = rest, m
			}
		}
		if mode == "160000" {
			fmt.Fprintf(&b, "M %s %s %s\n", mode, content, quote(p))
			continue
		}
		fmt.Fprintf(&b, "M %s inline %s\ndata %d\n%s\n", mode, quote(p), len(content), content)
	}
	b.WriteString("\nget-mark :1\n")
	return u.git(b.String(), "fast-import", "--quiet", "--force")
}

func isHash(s string) bool {
	return len(s) == 40 && strings.Trim(s, "0123456789abcdef") == ""
}

func quote(p string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(p) {
		fmt.Fprintf(&b, "\\%03o", c)
	}
	b.WriteByte('"')
	return b.String()
}

// request is one for a pull request of the branch "change" into main.
func (u upstream) request(pull int, head string) Request {
	return Request{Repo: u.name, CloneURL: u.cloneURL(), Pull: pull, BaseRef: "main", HeadRef: "change", Head: head}
}

// newRepos makes a Repos whose log goes to the test.
func newRepos(t testing.TB, token string) *Repos {
	t.Helper()
	return &Repos{
		Dir:   filepath.Join(t.TempDir(), "checkouts"),
		Token: func(context.Context, string) (string, error) { return token, nil },
		Log:   slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

func open(t testing.TB, r *Repos, req Request) *Checkout {
	t.Helper()
	co, err := r.Open(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return co
}

// content reads a directory as it is: directories end in a slash, links are
// "link:TARGET".
func content(t *testing.T, root string) tree {
	t.Helper()
	found := tree{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			entries, err := os.ReadDir(path)
			if err == nil && len(entries) == 0 {
				found[name+"/"] = ""
			}
			return err
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			found[name] = "link:" + target
			return err
		case !d.Type().IsRegular():
			found[name] = d.Type().String()
			return nil
		}
		data, err := os.ReadFile(path)
		if info, _ := d.Info(); info != nil && info.Mode()&0o111 != 0 {
			data = append([]byte("exec:"), data...)
		}
		found[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// mirrorGit runs git in the mirror of a repository.
func mirrorGit(t *testing.T, r *Repos, repo string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Env = append(os.Environ(), "GIT_DIR="+r.mirror(repo).Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// pack makes a pack of one object.
func pack(t *testing.T, dir, id string) {
	t.Helper()
	cmd := exec.Command("git", "pack-objects", "--quiet", filepath.Join(dir, "objects", "pack", "pack"))
	cmd.Env = append(os.Environ(), "GIT_DIR="+dir)
	cmd.Stdin = strings.NewReader(id + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git pack-objects: %v\n%s", err, out)
	}
}
