package terraform

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// terraformBinary is whichever of terraform and tofu is on this machine.
func terraformBinary(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"terraform", "tofu", "../../bin/tofu"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("neither terraform nor tofu on the PATH, nor bin/tofu; run make")
	}
	t.Skip("SKIPPED: neither terraform nor tofu on the PATH, nor bin/tofu; run make")
	return ""
}

// counter counts the processes that a Runner starts, by verb.
type counter struct {
	slog.Handler
	mu    sync.Mutex
	verbs []string
}

func (c *counter) Enabled(context.Context, slog.Level) bool { return true }

func (c *counter) Handle(_ context.Context, r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "verb" {
			c.verbs = append(c.verbs, a.Value.String())
		}
		return true
	})
	return nil
}

// take returns the verbs since it was last called.
func (c *counter) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.verbs = nil }()
	return strings.Join(c.verbs, " ")
}

// bench is a Runner with real terraform, and a checkout for it.
type bench struct {
	*testing.T
	*Runner
	ran  *counter
	root string
	log  bytes.Buffer
	n    int
}

func newBench(t *testing.T, files map[string]string) *bench {
	t.Helper()
	b := &bench{T: t, ran: &counter{}, root: t.TempDir()}
	b.Runner = &Runner{
		Binary: terraformBinary(t), TempDir: t.TempDir(), CacheDir: t.TempDir(), DigestKey: []byte("k"),
		Log: slog.New(b.ran), Environ: func() []string { return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.root} },
	}
	b.write(files)
	return b
}

func (b *bench) write(files map[string]string) {
	b.Helper()
	for name, content := range files {
		path := filepath.Join(b.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

// target is the project in dir, whose state and data are kept in the test's
// own directory.
func (b *bench) target(dir string) Target {
	kept := filepath.Join(b.TempDir, "kept", strings.ReplaceAll(dir, "/", "_"))
	return Target{Root: b.root, Dir: dir, DataDir: filepath.Join(kept, "data"), State: filepath.Join(kept, "state", "terraform.tfstate"), Log: &b.log}
}

// plan plans or ends the test.
func (b *bench) plan(target Target) (*Plan, string) {
	b.Helper()
	b.n++
	out := filepath.Join(b.TempDir, fmt.Sprintf("plan-%d", b.n))
	plan, failure, err := b.Plan(b.Context(), target, Code{Module: "m", Tree: "t"}, out)
	if err != nil {
		b.Fatal(err)
	}
	if failure != nil {
		b.Fatalf("%s failed: %s", failure.Stage, failure.Message)
	}
	return plan, out
}

// fail plans what cannot be planned.
func (b *bench) fail(target Target) Failure {
	b.Helper()
	out := filepath.Join(b.TempDir, "failed-plan")
	plan, failure, err := b.Plan(b.Context(), target, Code{}, out)
	if err != nil || plan != nil || failure == nil {
		b.Fatalf("got plan %v, failure %v, error %v; want a failure", plan, failure, err)
	}
	if _, err := os.Stat(out); err == nil {
		b.Error("the failed plan left its file behind")
	}
	return *failure
}

func (b *bench) apply(target Target, planFile string) string {
	b.Helper()
	output, failure, err := b.Apply(b.Context(), target, planFile)
	if err != nil {
		b.Fatal(err)
	}
	if failure != nil {
		b.Fatalf("%s failed: %s", failure.Stage, failure.Message)
	}
	return output
}
