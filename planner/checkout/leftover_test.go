package checkout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// killedGit is git under a name by which this program kills it, at random,
// while there is a file of that name beside it.
const killedGit = "killed-git"

func runKilledGit() error {
	path, err := exec.LookPath("git")
	if err != nil {
		return err
	}
	if _, err := os.Stat(os.Args[0] + ".now"); err != nil || rand.IntN(3) > 0 {
		return syscall.Exec(path, append([]string{"git"}, os.Args[1:]...), os.Environ())
	}
	cmd := exec.Command(path, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if _, err := os.Stat("/proc/self/fd/3"); err == nil {
		cmd.ExtraFiles = []*os.File{os.NewFile(3, "secret")}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
			os.Exit(exit.ExitCode())
		}
		return err
	case <-time.After(time.Duration(rand.IntN(10000)) * time.Microsecond):
	}
	if rand.IntN(2) == 0 { // git alone, or with all that it started
		return errors.Join(cmd.Process.Kill(), syscall.Kill(os.Getpid(), syscall.SIGKILL))
	}
	return syscall.Kill(0, syscall.SIGKILL) // Run gave us a process group of our own
}

// again is r as a new process finds it.
func again(t *testing.T, r *Repos) *Repos {
	t.Helper()
	if r.lock != nil {
		_ = r.lock.Close()
	}
	next := newRepos(t, "")
	next.Dir, next.Git = r.Dir, r.Git
	return next
}

// starts says whether damage is met by the process that has used the mirror or
// by a new one: some of the damages by the one, some by the other, and with
// WEIR_CHAOS each by both.
func starts(damage string) []bool {
	both := []bool{false, true}
	if os.Getenv("WEIR_CHAOS") != "" {
		return both
	}
	n := len(damage) % 2
	return both[n : n+1]
}

// verbs are all that is done with the checkouts of a pull request, each by
// itself, so that it is the first to meet what was left behind.
func verbs(u upstream, co *Checkout) map[string]func(context.Context, *Repos) error {
	req := u.request(1, co.Head)
	return map[string]func(context.Context, *Repos) error{
		"Open": func(ctx context.Context, r *Repos) error { _, err := r.Open(ctx, req); return err },
		"At":   func(ctx context.Context, r *Repos) error { _, err := r.At(ctx, req, co.Merge); return err },
		"Fetch": func(ctx context.Context, r *Repos) error {
			_, err := r.Fetch(ctx, u.name, u.cloneURL(), "main")
			return err
		},
		"Diff": func(ctx context.Context, r *Repos) error {
			_, err := r.Diff(ctx, u.name, co.Base, co.Merge)
			return err
		},
		"Sweep": func(ctx context.Context, r *Repos) error {
			return r.Sweep(ctx, func(string, int) bool { return true })
		},
		"Sweep it": func(ctx context.Context, r *Repos) error {
			return r.Sweep(ctx, func(_ string, pull int) bool { return pull != 1 })
		},
		"Remove": func(ctx context.Context, r *Repos) error { return r.Remove(ctx, u.name, 1) },
	}
}

// filesOf lists the files of a pull request's references.
func filesOf(t *testing.T, r *Repos, repo string, pull int) (files []string) {
	t.Helper()
	for _, ref := range []string{pullBase(pull), pullRefs(pull)} {
		err := filepath.WalkDir(filepath.Join(r.mirror(repo).Dir, filepath.FromSlash(ref)), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && !d.IsDir() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// A weir that was killed in the middle of git update-ref left a lock, and its
// pull request could not be closed any more.
func TestLeftBehindByAKilledGit(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	u := newHub(t).repo("acme/app")
	base := u.commit("main", "", tree{"old": "1"})
	head := u.commit("change", base, tree{"new": "1"})
	const m = "mirrors/acme/app.git/"
	cases := map[string]string{
		m + "packed-refs.lock": "", m + "packed-refs.new": "", m + "HEAD.lock": "", m + "config.lock": "",
		m + "refs/weir/base/pull/1.lock":        "",
		m + "refs/weir/pull/1/head.lock":        "half",
		m + "refs/weir/pull/1/merge.lock":       "",
		m + "refs/weir/pull/1/merge/MERGE.lock": "",
		m + "refs/weir/base/branch/MAIN.lock":   "",
		"admin/acme/app/1/index.lock":           "",
		// References that are broken are in the way, too.
		m + "refs/weir/base/pull/1":        "0123",
		m + "refs/weir/pull/1/head":        "",
		m + "refs/weir/pull/1/merge/MERGE": strings.Repeat("\x00", 41),
		m + "refs/weir/pull/1/other":       strings.Repeat("1", 40) + "\n",
		m + "refs/weir/base/branch/MAIN":   "ref: refs/nowhere",
		m + "packed-refs":                  "cut o",
	}
	// What is in the way of tidying up only is met all at once, and with
	// WEIR_CHAOS one by one.
	aside := map[string]string{
		m + "index.lock": "", m + "shallow.lock": "", m + "gc.pid.lock": "", m + "gc.pid": fmt.Sprintf("%d %s", os.Getpid(), host),
		m + "objects/info/commit-graph.lock":                        "",
		m + "objects/info/commit-graphs/commit-graph-chain.lock":    "",
		m + "objects/pack/multi-pack-index.lock":                    "",
		m + "objects/pack/tmp_pack_x":                               "half",
		m + "objects/pack/.tmp-1-pack-0123456789012345678901234567": "half",
	}
	all := map[string]map[string]string{}
	for name, content := range cases {
		all[name] = map[string]string{name: content}
	}
	if os.Getenv("WEIR_CHAOS") == "" {
		all["what is aside"] = aside
	} else {
		for name, content := range aside {
			all[name] = map[string]string{name: content}
		}
	}
	for name, left := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepos(t, "")
			co := open(t, r, u.request(1, head))
			open(t, r, u.request(2, head))
			if _, err := r.Fetch(t.Context(), u.name, u.cloneURL(), "main"); err != nil {
				t.Fatal(err)
			}
			damaged := func() (err error) {
				for name, content := range left {
					path := r.path(filepath.FromSlash(strings.NewReplacer("MERGE", co.Merge, "MAIN", hash("main")).Replace(name)))
					err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600))
				}
				return err
			}
			damage := strings.HasSuffix(name, "/packed-refs")
			for _, start := range starts(name) {
				for verb, do := range verbs(u, co) {
					if (!start || os.Getenv("WEIR_CHAOS") == "") && verb != "Open" && verb != "Fetch" && verb != "Remove" {
						continue // they write nothing that these do not
					}
					if err := damaged(); err != nil {
						t.Fatal(err)
					}
					if start {
						r = again(t, r)
					}
					err := do(t.Context(), r)
					if err != nil && !(damage && (verb == "Diff" || strings.HasPrefix(verb, "Sweep"))) { // fetching mends it
						t.Errorf("start: %v: %s: %v", start, verb, err)
					}
					if verb != "Remove" && verb != "Sweep it" {
						continue
					}
					if left := filesOf(t, r, u.name, 1); len(left) > 0 && !damage && (start || !strings.HasSuffix(name, ".lock")) {
						t.Errorf("start: %v: %s leaves %v", start, verb, left)
					}
					open(t, r, u.request(1, head)) // as it was
				}
			}
			if _, err := r.At(t.Context(), u.request(2, head), co.Merge); err != nil {
				t.Errorf("the neighbour: %v", err)
			}
		})
	}
}

// Whatever git was at when it was killed, what comes next works, in the same
// process and in a new one.
func TestGitIsKilledAtRandom(t *testing.T) {
	u := newHub(t).repo("acme/app")
	files := manyFiles(110)
	base := u.commit("main", "", files)
	head := u.commit("change", base, tree{"new": "1"})
	files["new"] = "1"
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := newRepos(t, "")
	r.Git = filepath.Join(t.TempDir(), killedGit)
	if err := os.Symlink(exe, r.Git); err != nil {
		t.Fatal(err)
	}
	co := open(t, r, u.request(1, head))
	killed := 0
	rounds := 1
	if os.Getenv("WEIR_CHAOS") != "" {
		rounds = 15
	}
	for round := 0; round < rounds || killed == 0 && round < 40; round++ { // fast gits outrun the killer
		if err := os.WriteFile(r.Git+".now", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for verb, do := range verbs(u, co) {
			if err := do(t.Context(), r); err != nil {
				killed++
				t.Logf("%s: %v", verb, err)
			}
		}
		if err := os.Remove(r.Git + ".now"); err != nil {
			t.Fatal(err)
		}
		if round%2 == 0 {
			r = again(t, r)
		}
		now, err := r.Open(t.Context(), u.request(1, head))
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		diff(t, "checkout", now.Merge, co.Merge)
		diff(t, "files", files, content(t, now.Root))
		for verb, do := range verbs(u, co) {
			if err := do(t.Context(), r); err != nil && verb != "At" {
				t.Fatalf("round %d: %s: %v", round, verb, err)
			}
		}
		mirrorGit(t, r, u.name, "fsck", "--no-dangling")
	}
	if killed == 0 {
		t.Error("nothing was killed")
	}
}
