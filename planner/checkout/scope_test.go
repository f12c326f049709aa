package checkout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
)

// everything lists what belongs to a pull request, on disk and in the mirror.
func everything(t *testing.T, r *Repos, repo string, pull int) (found []string) {
	t.Helper()
	w, err := r.placeOf(repo, pull)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{w.root, w.admin} {
		if exists(path) {
			found = append(found, path)
		}
	}
	if !exists(r.mirror(repo).Dir) {
		return found
	}
	for _, ref := range strings.Fields(mirrorGit(t, r, repo, "for-each-ref", "--format=%(refname)")) {
		if strings.HasPrefix(ref+"/", fmt.Sprintf("refs/weir/pull/%d/", pull)) || ref == fmt.Sprintf("refs/weir/base/pull/%d", pull) {
			found = append(found, ref)
		}
	}
	return found
}

func TestI6RemovalIsExact(t *testing.T) {
	h := newHub(t)
	r := newRepos(t, "")
	type pr struct {
		repo string
		pull int
	}
	var all []pr
	before := map[pr][]string{}
	merges := map[pr]*Checkout{}
	requests := map[pr]Request{}
	for _, name := range []string{"acme/app", "acme/app-infra", "acme/App", "acme/ap", "acme-app/x", "acme/app.git-x"} {
		u := h.repo(name)
		base := u.commit("main", "", tree{"a": name})
		for _, pull := range []int{1, 12, 11, 2, 121} {
			p := pr{name, pull}
			all = append(all, p)
			requests[p] = u.request(pull, u.commit("change", base, tree{"b": fmt.Sprint(pull)}))
			merges[p] = open(t, r, requests[p])
		}
	}
	for _, p := range all {
		before[p] = everything(t, r, p.repo, p.pull)
	}
	gone := pr{"acme/app", 1}
	for _, sweep := range []bool{false, true} {
		t.Run(fmt.Sprintf("sweep=%v", sweep), func(t *testing.T) {
			if sweep { // it comes back after the removal
				diff(t, "opened again", merges[gone], open(t, r, requests[gone]))
				diff(t, fmt.Sprint(gone), before[gone], everything(t, r, gone.repo, gone.pull))
				asked := map[pr]bool{}
				err := r.Sweep(t.Context(), func(repo string, pull int) bool {
					p := pr{repo, pull}
					asked[p] = true
					return p != gone
				})
				if err != nil {
					t.Fatal(err)
				}
				if len(asked) != len(all) {
					t.Errorf("Sweep asked about %v, want all %d", asked, len(all))
				}
			} else if err := r.Remove(t.Context(), gone.repo, gone.pull); err != nil {
				t.Fatal(err)
			}
			for _, p := range all {
				want := before[p]
				if p == gone {
					want = nil
				}
				diff(t, fmt.Sprint(p), want, everything(t, r, p.repo, p.pull))
				if p != gone {
					diff(t, fmt.Sprint(p), tree{"a": p.repo, "b": fmt.Sprint(p.pull)}, content(t, merges[p].Root))
				}
			}
			req := Request{Repo: gone.repo, CloneURL: h.url + "/acme/app.git", Pull: gone.pull}
			if _, err := r.At(t.Context(), req, merges[gone].Merge); !errors.As(err, new(*GoneError)) {
				t.Errorf("a merge of a removed pull request: got %v, want that it is gone", err)
			}
			// One pull request's merge is not another's.
			req.Pull = 2
			if _, err := r.At(t.Context(), req, merges[pr{"acme/app", 12}].Merge); !errors.As(err, new(*GoneError)) {
				t.Errorf("a merge of another pull request: got %v, want that it is gone", err)
			}
		})
	}
}

func TestRemoveOfNothing(t *testing.T) {
	r := newRepos(t, "")
	if err := r.Remove(t.Context(), "acme/app", 1); err != nil {
		t.Error(err)
	}
	if exists(r.mirror("acme/app").Dir) {
		t.Error("made a mirror to remove nothing from")
	}
	if err := r.Sweep(t.Context(), func(string, int) bool { return false }); err != nil {
		t.Error(err)
	}
}

func TestSweepBoundsTheDisk(t *testing.T) {
	u := newHub(t).repo("acme/app")
	base := u.commit("main", "", tree{"a": "1"})
	r := newRepos(t, "")
	var heads []string
	for pull := 1; pull <= 5; pull++ {
		heads = append(heads, u.commit("change", base, tree{"b": fmt.Sprint(pull)}))
		open(t, r, u.request(pull, heads[pull-1]))
	}
	if err := os.MkdirAll(r.path("tmp", "other-process"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.Sweep(t.Context(), func(_ string, pull int) bool { return pull == 5 }); err != nil {
		t.Fatal(err)
	}
	spares, err := os.ReadDir(r.path("spare", "acme", "app"))
	if err != nil || len(spares) != maxSpares {
		t.Errorf("got %d spare worktrees, %v, want %d", len(spares), err, maxSpares)
	}
	if left, err := os.ReadDir(r.path("tmp")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
	// A spare one is used, and has nothing of its former owner's.
	co := open(t, r, u.request(6, base))
	diff(t, "files", tree{"a": "1"}, content(t, co.Root))
	if spares, err := os.ReadDir(r.path("spare", "acme", "app")); err != nil || len(spares) != maxSpares-1 {
		t.Errorf("got %d spare worktrees, %v, want %d", len(spares), err, maxSpares-1)
	}
}

func TestTidyPacksAndForgets(t *testing.T) {
	u := newHub(t).repo("acme/app")
	base := u.commit("main", "", tree{"a": "1"})
	r := newRepos(t, "")
	co := open(t, r, u.request(1, base))
	if _, err := r.Fetch(t.Context(), u.name, u.cloneURL(), "main"); err != nil {
		t.Fatal(err)
	}
	m := r.mirror(u.name)
	for i := range 260 { // as a merge queue does
		mirrorGit(t, r, u.name, "update-ref", branchRef(fmt.Sprint("queue/", i)), base)
	}
	for i := range 60 {
		blob := filepath.Join(t.TempDir(), "blob")
		if err := os.WriteFile(blob, []byte(fmt.Sprint("x", i)), 0o600); err != nil {
			t.Fatal(err)
		}
		id := mirrorGit(t, r, u.name, "hash-object", "-w", blob)
		pack(t, m.Dir, id)
	}
	if err := r.Sweep(t.Context(), func(string, int) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(mirrorGit(t, r, u.name, "for-each-ref", "--format=%(refname)", branchRefs))); n != 200 {
		t.Errorf("got %d branches, want 200", n)
	}
	packs, err := filepath.Glob(filepath.Join(m.Dir, "objects", "pack", "*.pack"))
	if err != nil || len(packs) > 2 {
		t.Errorf("got %d packs, %v, want them to be one", len(packs), err)
	}
	if again, err := r.At(t.Context(), u.request(1, base), co.Merge); err != nil || again.Tree != co.Tree {
		t.Errorf("a planned merge after packing: got %v, %v", again, err)
	}
}

func TestManyAtOnce(t *testing.T) {
	u := newHub(t, "t0ken-of-all").repo("acme/app")
	base := u.commit("main", "", tree{"shared": "1"})
	r := newRepos(t, "t0ken-of-all")
	var heads []string
	for pull := range 8 {
		heads = append(heads, u.commit(fmt.Sprint("change", pull), base, tree{fmt.Sprint("f", pull): "1"}))
	}
	var mu sync.Mutex
	merges := map[int][]string{}
	g, ctx := errgroup.WithContext(t.Context())
	for i := range 24 {
		pull := i%8 + 1
		g.Go(func() error {
			co, err := r.Open(ctx, u.request(pull, heads[pull-1]))
			if err != nil {
				return err
			}
			if co.Root != r.path("worktrees", "acme", "app", fmt.Sprint(pull)) {
				return fmt.Errorf("#%d is at %s", pull, co.Root)
			}
			if _, err := r.File(ctx, u.name, co.Merge, "shared"); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			merges[pull] = append(merges[pull], co.Merge)
			return nil
		})
		g.Go(func() error { _, err := r.Fetch(ctx, u.name, u.cloneURL(), "main"); return err })
		if i%8 == 7 {
			g.Go(func() error { return r.Sweep(ctx, func(string, int) bool { return true }) })
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for pull, ids := range merges {
		if len(slices.Compact(ids)) != 1 {
			t.Errorf("#%d has merges %v, want one", pull, ids)
		}
		w, _ := r.placeOf(u.name, pull)
		diff(t, w.root, tree{"shared": "1", fmt.Sprint("f", pull-1): "1"}, content(t, w.root))
	}
	mirrorGit(t, r, u.name, "fsck", "--strict", "--no-dangling")
}

// Whoever waits for another's checkout of the same pull request stops waiting
// when there is no more need.
func TestWaitingEndsWithItsContext(t *testing.T) {
	var k keyed
	unlock, err := k.lock(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.lock(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the wait was cancelled", err)
	}
	other, err := k.lock(t.Context(), "y")
	if err != nil {
		t.Fatal(err)
	}
	other()
	unlock()
	if len(k.held) > 0 {
		t.Errorf("still kept: %v", k.held)
	}
}
