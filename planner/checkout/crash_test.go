package checkout

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestMain runs this program as a child that a test can kill.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == killedGit {
		if err := runKilledGit(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv("CHECKOUT_CHILD") == "" {
		os.Exit(m.Run())
	}
	if os.Args[1] == "filter-process" {
		if err := standInLFS(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	verb, dir, url, head := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	r := &Repos{Dir: dir, Token: func(context.Context, string) (string, error) { return os.Getenv("CHECKOUT_TOKEN"), nil }}
	req := Request{Repo: "acme/app", CloneURL: url + "/acme/app.git", Pull: 1, BaseRef: "main", Head: head}
	for {
		fmt.Println("start")
		if _, err := r.Open(context.Background(), req); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if verb != "loop" {
			return
		}
		_ = os.RemoveAll(r.path("worktrees"))
		_ = os.RemoveAll(r.path("mirrors"))
		r = &Repos{Dir: dir, Token: r.Token}
	}
}

func child(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), "CHECKOUT_CHILD=1")
	return cmd
}

func newHubOfFuzz(f *testing.F) func(args ...string) error {
	f.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		f.Skip("SKIPPED, NOT TESTED: git is missing")
	}
	return func(args ...string) error { return exec.Command("git", args...).Run() }
}

func manyFiles(n int) tree {
	files := tree{}
	for i := range n {
		files[fmt.Sprintf("d%d/s%d/f%d", i/200, i/10%20, i)] = strings.Repeat(fmt.Sprintf("file %d\n", i), 20)
	}
	return files
}

// A process that is killed at any moment leaves nothing that needs a hand.
func TestKilledAtAnyMoment(t *testing.T) {
	u := newHub(t).repo("acme/app")
	files := manyFiles(300)
	head := u.commit("main", "", files)
	dir := filepath.Join(t.TempDir(), "checkouts")
	for i := range 8 {
		cmd := child(t, "loop", dir, u.url, head)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Duration(rand.IntN(250)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed

		r := newRepos(t, "")
		r.Dir = dir
		co, err := r.Open(t.Context(), u.request(1, head))
		if err != nil {
			t.Fatalf("after kill %d: %v", i, err)
		}
		diff(t, "files", files, content(t, co.Root))
		mirrorGit(t, r, u.name, "fsck", "--strict", "--no-dangling")
		if err := r.Sweep(t.Context(), func(string, int) bool { return true }); err != nil {
			t.Error(err)
		}
		left, err := os.ReadDir(r.path("tmp"))
		if err != nil || len(left) > 0 {
			t.Errorf("left in tmp: %v, %v", left, err)
		}
		_ = r.lock.Close() // as if this process had ended, for the next child
	}
}

// What a crash, a power cut or a person can do to what lies on disk.
func TestDamageIsMended(t *testing.T) {
	each := func(pattern string, f func(path string) error) func(*testing.T, *Repos, *Checkout) {
		return func(t *testing.T, r *Repos, _ *Checkout) {
			found, err := filepath.Glob(filepath.Join(r.Dir, pattern))
			if err != nil || len(found) == 0 {
				t.Fatalf("nothing is like %s: %v", pattern, err)
			}
			for _, path := range found {
				if err := f(path); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	empty := func(path string) error {
		_ = os.Chmod(path, 0o600)
		return os.Truncate(path, 0)
	}
	spoil := func(path string) error {
		_ = os.Chmod(path, 0o600)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i := len(data) / 3; i < min(len(data)/3+40, len(data)); i++ {
			data[i] ^= 0x55
		}
		return os.WriteFile(path, data, 0o600)
	}
	add := func(name string) func(string) error {
		return func(path string) error { return os.WriteFile(filepath.Join(path, name), nil, 0o600) }
	}
	const m = "mirrors/acme/app.git"
	for name, damage := range map[string]func(*testing.T, *Repos, *Checkout){
		"no mirror":    each(m, os.RemoveAll),
		"no HEAD":      each(m+"/HEAD", os.Remove),
		"empty HEAD":   each(m+"/HEAD", empty),
		"no config":    each(m+"/config", os.Remove),
		"empty config": each(m+"/config", empty),
		"config is a program's": each(m+"/config", func(path string) error {
			return os.WriteFile(path, []byte("[core]\nfsmonitor=touch /tmp/x\n[url \"ext::x\"]\ninsteadOf=http\n"), 0o600)
		}),
		"no objects":           each(m+"/objects", os.RemoveAll),
		"no pack":              each(m+"/objects/pack/*", os.Remove),
		"no index of the pack": each(m+"/objects/pack/*.idx", os.Remove),
		"empty pack":           each(m+"/objects/pack/*.pack", empty),
		"empty index of pack":  each(m+"/objects/pack/*.idx", empty),
		"spoiled pack":         each(m+"/objects/pack/*.pack", spoil),
		"spoiled loose":        each(m+"/objects/??/*", spoil),
		"empty loose":          each(m+"/objects/??/*", empty),
		"no loose":             each(m+"/objects/??/*", os.Remove),
		"no refs":              each(m+"/refs", os.RemoveAll),
		"empty refs":           each(m+"/refs/weir/pull/1/merge/*", empty),
		"lock of a ref":        each(m+"/refs/weir/base/pull", add("1.lock")), // for others see TestLeftBehindByAKilledGit
		"no files":             each("worktrees/acme/app/1", os.RemoveAll),
		"no admin":             each("admin/acme/app/1", os.RemoveAll),
		"empty index":          each("admin/acme/app/1/index", empty),
		"spoiled index":        each("admin/acme/app/1/index", spoil),
		"no worktrees":         each("worktrees", os.RemoveAll),
		"no tmp":               each("tmp", os.RemoveAll),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newHub(t).repo("acme/app")
			files := manyFiles(110) // enough for a pack
			base := u.commit("main", "", files)
			head := u.commit("change", base, tree{"new": "1"})
			files["new"] = "1"
			r := newRepos(t, "")
			co := open(t, r, u.request(1, head))
			moved := u.commit("main", base, tree{"moved": "1"})
			files["moved"] = "1"

			for _, start := range starts(name) {
				damage(t, r, co)
				if start {
					dir := r.Dir
					r = newRepos(t, "")
					r.Dir = dir
				}
				again, err := r.Open(t.Context(), u.request(1, head))
				if err != nil && !start && name == "no tmp" {
					continue
				}
				if err != nil {
					t.Fatalf("start: %v: %v", start, err)
				}
				if again.Base != moved {
					t.Errorf("got base %s, want %s", again.Base, moved)
				}
				diff(t, "files", files, content(t, again.Root))
				if name != "spoiled pack" { // what nobody has read yet may still be spoiled
					mirrorGit(t, r, u.name, "fsck", "--no-dangling")
				}
			}
			if name == "no admin" || name == "empty refs" {
				return // that is where it is noted, or not kept
			}
			earlier, err := r.At(t.Context(), u.request(1, head), co.Merge)
			if err != nil {
				t.Fatalf("the merge that was planned is lost: %v", err)
			}
			diff(t, "the merge that was planned", co, earlier)
		})
	}
}

// Reading finds damage, too, and the next fetch mends it.
func TestDamageFoundByReading(t *testing.T) {
	u := newHub(t).repo("acme/app")
	base := u.commit("main", "", tree{"a": "1"})
	r := newRepos(t, "")
	co := open(t, r, u.request(1, base))
	objects, err := filepath.Glob(filepath.Join(r.mirror(u.name).Dir, "objects", "??", "*"))
	if err != nil || len(objects) == 0 {
		t.Fatal(objects, err)
	}
	for _, path := range objects {
		if err := errors.Join(os.Chmod(path, 0o600), os.Truncate(path, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.File(t.Context(), u.name, base, "a"); err == nil {
		t.Fatal("read from an empty file")
	}
	if _, err := r.Fetch(t.Context(), u.name, u.cloneURL(), "main"); err != nil {
		t.Fatal(err)
	}
	if got, err := r.File(t.Context(), u.name, base, "a"); err != nil || string(got) != "1" {
		t.Errorf("got %q, %v", got, err)
	}
	if changed, err := r.Diff(t.Context(), u.name, base, co.Merge); err != nil || len(changed) > 0 {
		t.Errorf("got %v, %v", changed, err)
	}
}

func TestCancelEndsGitAndLeavesThingsUsable(t *testing.T) {
	h := newHub(t)
	u := h.repo("acme/app")
	head := u.commit("main", "", manyFiles(50))
	r := newRepos(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	var asked atomic.Bool
	h.intercept(func(_ http.ResponseWriter, q *http.Request) bool {
		if q.Method == http.MethodPost && !asked.Swap(true) {
			_, _ = io.Copy(io.Discard, q.Body) // or the server does not notice the end of a connection
			cancel()
			<-q.Context().Done() // until git is gone
			return true
		}
		return false
	})
	if _, err := r.Open(ctx, u.request(1, head)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	h.intercept(nil)
	open(t, r, u.request(1, head))
}

func TestTransferThatStandsStill(t *testing.T) {
	h := newHub(t)
	u := h.repo("acme/app")
	head := u.commit("main", "", tree{"a": "1"})
	r := newRepos(t, "")
	r.Stall = time.Second
	h.intercept(func(_ http.ResponseWriter, q *http.Request) bool { <-q.Context().Done(); return true })
	_, err := r.Open(t.Context(), u.request(1, head))
	if err == nil || !strings.Contains(err.Error(), "the transfer stood still") {
		t.Errorf("got %v, want that the transfer stood still", err)
	}
}

// A full disk is told as what it is, and never as a damaged mirror.
func TestDiskFull(t *testing.T) {
	u := newHub(t).repo("acme/app")
	head := u.commit("main", "", manyFiles(150))
	r := newRepos(t, "")
	r.Git = filepath.Join(t.TempDir(), "git")
	script := "#!/bin/sh\ncase \"$*\" in\n*' fetch '*) echo 'fatal: write error: No space left on device' >&2; echo 'fatal: index-pack failed, missing object' >&2; exit 128;;\nesac\nexec git \"$@\"\n"
	if err := os.WriteFile(r.Git, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := r.Open(t.Context(), u.request(1, head))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("got %v, want that the disk is full", err)
	}
	r.Git = "git"
}

func TestGitIsMissing(t *testing.T) {
	r := newRepos(t, "")
	r.Git = "/nowhere/git"
	_, err := r.Fetch(t.Context(), "acme/app", "https://github.com/acme/app.git", "main")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "find git") {
		t.Errorf("got %v, want that git is not there", err)
	}
	if err := r.Check(t.Context()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "find git") {
		t.Errorf("asked before: got %v, want that git is not there", err)
	}
	if err := newRepos(t, "").Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// Whoever kills git, the kernel most often, is told of, and the mirror is used
// again.
func TestGitIsKilled(t *testing.T) {
	u := newHub(t).repo("acme/app")
	head := u.commit("main", "", manyFiles(150))
	r := newRepos(t, "")
	r.Git = filepath.Join(t.TempDir(), "git")
	killed := filepath.Join(t.TempDir(), "killed")
	script := "#!/bin/sh\ncase \"$*\" in\n*' fetch '*) [ -e " + killed + " ] || { touch " + killed + "; kill -9 $$; };;\nesac\nexec git \"$@\"\n"
	if err := os.WriteFile(r.Git, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(t.Context(), u.request(1, head)); err == nil || !strings.Contains(err.Error(), "git fetch was killed; the machine may be out of memory") {
		t.Errorf("got %v, want that git was killed", err)
	}
	open(t, r, u.request(1, head))
}
