package terraform

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/planner/terraform/source"
)

const needsDummy = `
terraform {
  required_providers {
    dummy = {
      source  = "example.com/acme/dummy"
      version = ">= 1.0.0"
    }
  }
}
`

// newMirror is a bench whose terraform finds the provider acme/dummy in the
// given versions in a directory. It can be installed, not started.
func newMirror(t *testing.T, files map[string]string, versions ...string) *bench {
	t.Helper()
	b := newBench(t, files)
	mirror, rc := t.TempDir(), filepath.Join(t.TempDir(), "rc")
	config := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror)
	if err := os.WriteFile(rc, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, version := range versions {
		dir := filepath.Join(mirror, "example.com/acme/dummy", version, runtime.GOOS+"_"+runtime.GOARCH)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "terraform-provider-dummy_v"+version), []byte(version), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	server := b.Environ
	b.Environ = func() []string { return append(server(), "TF_CLI_CONFIG_FILE="+rc) }
	return b
}

// initialise does only that, and returns what was run.
func (b *bench) initialise(target Target, o initOptions) string {
	b.Helper()
	p, failure, err := b.open(b.Context(), target, "plan")
	if err == nil && failure == nil {
		failure, err = p.initialise(b.Context(), o)
	}
	if err != nil || failure != nil {
		b.Fatalf("%v %+v", err, failure)
	}
	return b.ran.take()
}

func (b *bench) lock(dir string) string {
	content, err := os.ReadFile(filepath.Join(b.root, dir, source.LockName))
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		b.Fatal(err)
	}
	return string(content)
}

func TestLockFileThatIsNotCommitted(t *testing.T) {
	files := map[string]string{"p/main.tf": needsDummy}
	b := newMirror(t, files, "1.0.0")
	target := b.target("p")
	if got := b.initialise(target, initOptions{}); got != "init" {
		t.Fatalf("ran %q", got)
	}
	written := b.lock("p")
	if !strings.Contains(written, `version     = "1.0.0"`) {
		t.Fatalf("lock file: %s", written)
	}
	if got := b.initialise(target, initOptions{}); got != "" {
		t.Errorf("in the same worktree: ran %q, want nothing", got)
	}
	b.root = t.TempDir()
	b.write(files)
	target = b.target("p")
	if got := b.initialise(target, initOptions{}); got != "" {
		t.Errorf("in a fresh worktree: ran %q, want nothing", got)
	}
	if diff := cmp.Diff(written, b.lock("p")); diff != "" {
		t.Errorf("lock file in a fresh worktree (-want +got):\n%s", diff)
	}

	// Another workspace of the directory finds what the first has left there.
	other := target
	other.Workspace, other.DataDir = "blue", target.DataDir+"-blue"
	if got := b.initialise(other, initOptions{}); got != "init" {
		t.Errorf("another workspace: ran %q", got)
	}
	b.root = t.TempDir()
	b.write(files)
	other.Root = b.root
	if got := b.initialise(other, initOptions{}); got != "" || b.lock("p") != written {
		t.Errorf("another workspace in a fresh worktree: ran %q, lock file %q", got, b.lock("p"))
	}
}

func TestLockFileThatIsCommitted(t *testing.T) {
	b := newMirror(t, map[string]string{"p/main.tf": needsDummy}, "1.0.0", "1.1.0")
	scratch := b.target("p")
	b.initialise(scratch, initOptions{})
	newer := b.lock("p")
	if !strings.Contains(newer, `"1.1.0"`) {
		t.Fatalf("lock file: %s", newer)
	}
	older := strings.ReplaceAll(newer, "1.1.0", "1.0.0")
	incomplete := older[:strings.Index(older, "  hashes")] + "}\n"

	worktree := func(lock string) Target {
		b.root = t.TempDir()
		b.write(map[string]string{"p/main.tf": needsDummy})
		if lock != "" {
			b.write(map[string]string{"p/" + source.LockName: lock})
		}
		target := b.target("p")
		target.DataDir = filepath.Join(b.TempDir, "kept", "committed")
		return target
	}
	for _, step := range []struct {
		name, lock, ran string
	}{
		{"first", incomplete, "init"},
		{"again", incomplete, ""},
		{"with comments", "# written by hand\n\n" + incomplete, ""},
		{"another version", newer, "init"},
		{"that again", newer, ""},
		{"removed", "", "init"},
		{"still removed", "", ""},
		{"put back", incomplete, "init"},
	} {
		if got := b.initialise(worktree(step.lock), initOptions{}); got != step.ran {
			t.Errorf("%s: ran %q, want %q", step.name, got, step.ran)
		}
		if b.lock("p") == "" || step.lock == incomplete && !strings.Contains(b.lock("p"), "h1:") {
			t.Errorf("%s: terraform would miss something in the lock file %q", step.name, b.lock("p"))
		}
	}
}

// The providers that a plan was made with are those that apply it.
func TestApplyKeepsToThePlansProviders(t *testing.T) {
	b := newMirror(t, map[string]string{"p/main.tf": needsDummy}, "1.0.0", "1.1.0")
	b.initialise(b.target("p"), initOptions{})
	planned := strings.ReplaceAll(b.lock("p"), "1.1.0", "1.0.0")
	planned = planned[:strings.Index(planned, "  hashes")] + "}\n"
	var file bytes.Buffer
	archive := zip.NewWriter(&file)
	for name, content := range map[string]string{"tfplan": "x", source.LockName: planned} {
		w, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	planFile := filepath.Join(t.TempDir(), "plan")
	if err := os.WriteFile(planFile, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	b.root = t.TempDir()
	b.write(map[string]string{"p/main.tf": needsDummy})
	target := b.target("p")
	target.DataDir += "-fresh"
	if got := b.initialise(target, initOptions{planFile: planFile}); got != "init" {
		t.Errorf("ran %q", got)
	}
	if diff := cmp.Diff(map[string]string{"example.com/acme/dummy": "1.0.0"}, source.LockedProviders([]byte(b.lock("p")))); diff != "" {
		t.Errorf("providers (-want +got):\n%s", diff)
	}
	if plannedLock(filepath.Join(b.root, "p", "main.tf")) != nil {
		t.Error("a file that is no plan has a lock file")
	}
}

func TestProviderCacheIsWrittenByOne(t *testing.T) {
	b := newMirror(t, map[string]string{"a/main.tf": needsDummy, "b/main.tf": needsDummy, "c/main.tf": "resource \"terraform_data\" \"c\" {}\n"}, "1.0.0")
	may := func(dir string) bool {
		p, failure, err := b.open(t.Context(), b.target(dir), "plan")
		if err != nil || failure != nil {
			t.Fatalf("%v %+v", err, failure)
		}
		return p.mayDownload(p.lockFile())
	}
	if !may("a") || may("c") {
		t.Error("before any init: a may download, and c may not")
	}
	b.initialise(b.target("a"), initOptions{})
	if !may("b") {
		t.Error("b has no lock file: it may download another version")
	}
	b.write(map[string]string{"b/" + source.LockName: b.lock("a")})
	if may("b") {
		t.Error("b locks what the cache has")
	}
	b.write(map[string]string{"b/more.tf": "resource \"other_thing\" \"x\" {}\n"})
	if !may("b") {
		t.Error("b needs a provider that is not locked")
	}

	// Whoever shares the directory waits, in this process or another.
	release, err := b.holdCache(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := &Runner{CacheDir: b.CacheDir}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := other.holdCache(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the second to wait", err)
	}
	release()
	if release, err = other.holdCache(t.Context()); err != nil {
		t.Fatal(err)
	}
	release()
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"}, args...)...)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, output)
	}
}

func TestI3_DownloadedModulesAreCode(t *testing.T) {
	upstream := t.TempDir()
	commit := func(content string) {
		if err := os.WriteFile(filepath.Join(upstream, "main.tf"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		git(t, upstream, "init", "-q")
		git(t, upstream, "add", ".")
		git(t, upstream, "commit", "-q", "-m", "module")
	}
	module := "resource \"terraform_data\" \"a\" {}\nresource \"terraform_data\" \"b\" {\n  input = terraform_data.a.id\n}\n"
	commit(module)
	b := newBench(t, map[string]string{"p/main.tf": fmt.Sprintf("module \"m\" {\n  source = \"git::file://%s\"\n}\n", upstream)})
	digest := func(data string) (string, string) {
		target := b.target("p")
		target.DataDir += data
		plan, _ := b.plan(target)
		return plan.Summary.ChangeDigest, plan.Summary.Opaque
	}
	first, opaque := digest("1")
	if !strings.Contains(opaque, "module.m.terraform_data.b.input") {
		t.Errorf("opaque: %q", opaque)
	}
	if again, _ := digest("1"); again != first {
		t.Error("the same plan twice has two digests")
	}
	if elsewhere, _ := digest("2"); elsewhere != first {
		t.Error("the same module downloaded twice has two digests")
	}
	commit(strings.ReplaceAll(module, "terraform_data.a.id", `"x${terraform_data.a.id}"`))
	if changed, _ := digest("3"); changed == first {
		t.Error("the module's branch has moved and decides otherwise; the digest is the same")
	}
}
