package checkout

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// diff fails the test if got is not want.
func diff(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestOpenMergesHeadIntoBase(t *testing.T) {
	h := newHub(t, "secret1")
	u := h.repo("acme/app")
	start := u.commit("main", "", tree{"a.tf": "1", "dir/b.tf": "2", "old.tf": "renamed, and long enough to be known again\n"})
	head := u.commit("change", start, tree{"a.tf": "head", "new.tf": "renamed, and long enough to be known again\n", "old.tf": "-"})
	base := u.commit("main", start, tree{"dir/b.tf": "base"})
	r := newRepos(t, "secret1")

	co := open(t, r, u.request(12, head))
	want := tree{"a.tf": "head", "dir/b.tf": "base", "new.tf": "renamed, and long enough to be known again\n"}
	diff(t, "files", want, content(t, co.Root))
	diff(t, "changed", []string{"a.tf", "new.tf", "old.tf"}, co.Changed)
	diff(t, "parents", []string{base, head}, []string{co.Base, co.Head})

	again := open(t, r, u.request(12, head))
	diff(t, "the same again", co, again)
	other := open(t, newRepos(t, "secret1"), u.request(12, head))
	if other.Merge != co.Merge || other.Tree != co.Tree {
		t.Errorf("another server made %s of the same parents, want %s", other.Merge, co.Merge)
	}
	if other.Root == co.Root {
		t.Error("two servers share a worktree")
	}

	next := u.commit("change", head, tree{"c.tf": "3", "a.tf": "1"})
	later := open(t, r, u.request(12, next))
	want["c.tf"], want["a.tf"] = "3", "1"
	diff(t, "files of a later head", want, content(t, later.Root))
	diff(t, "root", co.Root, later.Root)

	earlier, err := r.At(t.Context(), u.request(12, next), co.Merge)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "back at the first", co, earlier)
	diff(t, "its files", tree{"a.tf": "head", "dir/b.tf": "base", "new.tf": want["new.tf"]}, content(t, co.Root))
}

// One server plans, another one applies: it has never seen the merge.
func TestI2_AtOnAnotherServer(t *testing.T) {
	u := newHub(t).repo("acme/app")
	base := u.commit("main", "", tree{"a.tf": "1", "b.tf": "1"})
	head := u.commit("change", base, tree{"a.tf": "2"})
	co := open(t, newRepos(t, ""), u.request(1, head))
	u.commit("main", base, tree{"b.tf": "3"})           // the base moves on
	next := u.commit("change", head, tree{"a.tf": "3"}) // and so does the head
	another := newRepos(t, "")
	req := u.request(1, next)
	if _, err := another.At(t.Context(), req, co.Merge); !errors.As(err, new(*GoneError)) {
		t.Errorf("without what it was made of: %v, want a GoneError", err)
	}
	req.Base, req.Head = co.Base, co.Head
	got, err := another.At(t.Context(), req, co.Merge)
	if err != nil {
		t.Fatal(err)
	}
	if got.Merge != co.Merge || got.Tree != co.Tree {
		t.Errorf("got %+v, want the merge %s", got, co.Merge)
	}
	diff(t, "its files", tree{"a.tf": "2", "b.tf": "1"}, content(t, got.Root))
	req.Base = next
	if _, err := newRepos(t, "").At(t.Context(), req, co.Merge); !errors.As(err, new(*GoneError)) {
		t.Errorf("made of something else: %v, want a GoneError", err)
	}
}

func TestOpenOfAHeadThatContainsItsBase(t *testing.T) {
	u := newHub(t).repo("acme/app")
	base := u.commit("main", "", tree{"a": "1"})
	head := u.commit("change", base, tree{"a": "2"})
	r := newRepos(t, "")
	co := open(t, r, u.request(1, head))
	if co.Merge == head || co.Base != base {
		t.Errorf("got merge %s of base %s, want one of its own on %s", co.Merge, co.Base, base)
	}
	u.git("", "update-ref", "refs/heads/main", head) // merged, fast-forward
	co = open(t, r, u.request(1, head))
	if len(co.Changed) > 0 || co.Base != head || co.Head != head {
		t.Errorf("after the merge: got base %s, head %s, changed %v", co.Base, co.Head, co.Changed)
	}
	at, err := r.At(t.Context(), u.request(1, head), co.Merge)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "the same by its id", co, at)
}

func TestConflict(t *testing.T) {
	u := newHub(t).repo("acme/app")
	start := u.commit("main", "", tree{"a.tf": "1\n", "b\nc.tf": "1\n", "free": "x"})
	head := u.commit("change", start, tree{"a.tf": "2\n", "b\nc.tf": "2\n"})
	base := u.commit("main", start, tree{"a.tf": "3\n", "b\nc.tf": "-"})
	_, err := newRepos(t, "").Open(t.Context(), u.request(1, head))
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("got %v, want a conflict", err)
	}
	diff(t, "conflict", &ConflictError{Base: base, Head: head, Files: []string{"a.tf", "b\nc.tf"}}, conflict)

	alone := u.commit("alone", "", tree{"z": "1"})
	_, err = newRepos(t, "").Open(t.Context(), u.request(1, alone))
	if !errors.As(err, &conflict) || !strings.Contains(err.Error(), "no common ancestor") {
		t.Errorf("without a common ancestor: got %v, want a conflict that says so", err)
	}
}

func TestHeadIsFoundWhereverItStillIs(t *testing.T) {
	h := newHub(t)
	u := h.repo("acme/app")
	base := u.commit("main", "", tree{"a": "1"})
	head := u.commit("change", base, tree{"a": "2"})
	r := newRepos(t, "")
	open(t, r, u.request(1, head))

	pushed := u.commit("change", base, tree{"a": "3"}) // over the other one
	u.git("", "reflog", "expire", "--expire=now", "--all")
	u.git("", "gc", "--quiet", "--prune=now")
	u.commit("main", base, tree{"b": "1"})
	if co := open(t, r, u.request(1, head)); content(t, co.Root)["b"] != "1" {
		t.Error("a head that GitHub has dropped, but is here, was not merged into the new base")
	}
	open(t, r, u.request(1, pushed))

	var gone *GoneError
	_, err := newRepos(t, "").Open(t.Context(), u.request(1, head))
	if !errors.As(err, &gone) || gone.What != "commit "+head {
		t.Errorf("a head that is nowhere: got %v, want that it is gone", err)
	}
	missing := u.request(1, pushed)
	missing.BaseRef = "nope"
	if _, err = r.Open(t.Context(), missing); !errors.As(err, &gone) || gone.What != "branch nope" {
		t.Errorf("a base that is nowhere: got %v, want that it is gone", err)
	}

	// A server that does not give commits by their id, and has lost the branch.
	u.git("", "update-ref", "refs/pull/7/head", pushed)
	u.git("", "update-ref", "-d", "refs/heads/change")
	u.git("", "config", "protocol.version", "0")
	old := newRepos(t, "")
	h.intercept(func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("Git-Protocol"); return false })
	if co := open(t, old, u.request(7, pushed)); co.Head != pushed {
		t.Errorf("got head %s, want %s", co.Head, pushed)
	}
}

func TestNamesOfAllKinds(t *testing.T) {
	u := newHub(t).repo("acme/.github-App")
	base := u.commit("main", "", tree{"keep": "1"})
	files := tree{
		"latin-\xe9.tf": "1", "line\nend.tf": "2", "tab\t.tf": "3", "quote\".tf": "4", "-option": "5",
		"a b/ü/c": "6", ":(glob)*": "7", "back\\slash": "8", "run.sh": "exec:#!/bin/sh\n", "deep/link": "link:../keep",
	}
	head := u.commit("change", base, files)
	r := newRepos(t, "")
	co := open(t, r, u.request(1, head))
	var want []string
	for _, name := range []string{"-option", ":(glob)*", "a b/ü/c", "back\\slash", "deep/link", "latin-\xe9.tf", "line\nend.tf", "quote\".tf", "run.sh", "tab\t.tf"} {
		want = append(want, name)
		got, err := r.File(t.Context(), u.name, co.Merge, name)
		expected := strings.TrimPrefix(files[name], "exec:")
		if name == "deep/link" {
			expected = "1" // followed
		}
		if err != nil || string(got) != expected {
			t.Errorf("File(%q): got %q, %v, want %q", name, got, err, expected)
		}
	}
	diff(t, "changed", want, co.Changed)
	files["keep"] = "1"
	diff(t, "files", files, content(t, co.Root))
	list, err := r.List(t.Context(), u.name, co.Merge)
	if err != nil || len(list) != len(files) {
		t.Errorf("List: got %q, %v", list, err)
	}
}

// A link stays what it is, wherever it points: terraform can read any file
// anyway. It is never followed to write or to remove.
func TestLinksOutOfTheWorktree(t *testing.T) {
	outside := t.TempDir()
	precious := filepath.Join(outside, "precious")
	if err := os.WriteFile(precious, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	u := newHub(t).repo("acme/app")
	base := u.commit("main", "", tree{"d/precious": "theirs", "e/f": "1"})
	r := newRepos(t, "")
	first := u.commit("change", base, tree{"d/precious": "-", "d": "link:" + outside, "weir.yaml": "link:/etc/passwd"})
	co := open(t, r, u.request(1, first))
	diff(t, "files", tree{"d": "link:" + outside, "e/f": "1", "weir.yaml": "link:/etc/passwd"}, content(t, co.Root))
	if _, err := r.File(t.Context(), u.name, co.Merge, "weir.yaml"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link out of the tree: got %v, want that there is no such file", err)
	}
	co = open(t, r, u.request(1, base))
	diff(t, "files", tree{"d/precious": "theirs", "e/f": "1"}, content(t, co.Root))
	if got, err := os.ReadFile(precious); err != nil || string(got) != "mine" {
		t.Errorf("outside: got %q, %v", got, err)
	}
}

func TestReading(t *testing.T) {
	u := newHub(t, "token-1").repo("acme/app")
	base := u.commit("main", "", tree{"weir.yaml": "version: 1\n", "d/a.tf": "a", "l": "link:d", "up": "link:../x", "self": "link:self"})
	head := u.commit("main", base, tree{"d/a.tf": "b"})
	r := newRepos(t, "token-1")
	ctx := t.Context()

	got, err := r.Fetch(ctx, u.name, u.cloneURL(), "main")
	if err != nil || got != head {
		t.Fatalf("Fetch: got %s, %v, want %s", got, err, head)
	}
	if _, err := r.Fetch(ctx, u.name, u.cloneURL(), "nope"); !errors.As(err, new(*GoneError)) {
		t.Errorf("Fetch of no branch: got %v, want that it is gone", err)
	}
	changed, err := r.Diff(ctx, u.name, base, head)
	if err != nil {
		t.Error(err)
	}
	diff(t, "Diff", []string{"d/a.tf"}, changed)
	for path, want := range map[string]string{"weir.yaml": "version: 1\n", "l/a.tf": "b"} {
		if got, err := r.File(ctx, u.name, head, path); err != nil || string(got) != want {
			t.Errorf("File(%s): got %q, %v, want %q", path, got, err, want)
		}
	}
	for _, path := range []string{"nope", "d", "d/", "/weir.yaml", "../x", "./weir.yaml", "", "up", "self", "weir.yaml/x", "a\x00b"} {
		if got, err := r.File(ctx, u.name, head, path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("File(%q): got %q, %v, want that there is none", path, got, err)
		}
	}
	files, err := r.Files(ctx, u.name, head, "d/a.tf", "nope", "weir.yaml")
	if err != nil {
		t.Error(err)
	}
	diff(t, "Files", map[string][]byte{"d/a.tf": []byte("b"), "weir.yaml": []byte("version: 1\n")}, files)
	for pair, want := range map[[2]string]bool{{head, base}: true, {base, head}: false, {head, head}: true} {
		if got, err := r.Contains(ctx, u.name, pair[0], pair[1]); err != nil || got != want {
			t.Errorf("Contains(%v): got %v, %v, want %v", pair, got, err, want)
		}
	}
	if tree, err := r.Tree(ctx, u.name, head); err != nil || tree != u.git("", "rev-parse", head+"^{tree}") {
		t.Errorf("Tree: got %s, %v", tree, err)
	}

	unknown := strings.Repeat("1", 40)
	_, e1 := r.Diff(ctx, u.name, base, unknown)
	_, e2 := r.File(ctx, u.name, unknown, "weir.yaml")
	_, e3 := r.Tree(ctx, u.name, unknown)
	_, e4 := r.List(ctx, u.name, unknown)
	_, e5 := r.Contains(ctx, u.name, unknown, base)
	_, e6 := r.At(ctx, u.request(1, head), unknown)
	for i, err := range []error{e1, e2, e3, e4, e5, e6} {
		if !errors.As(err, new(*GoneError)) {
			t.Errorf("%d: an unknown commit: got %v, want that it is gone", i, err)
		}
	}
	for _, id := range []string{"main", "HEAD", "-h", "--all", head[:10], head + "^", ""} {
		if _, err := r.Diff(ctx, u.name, base, id); err == nil || errors.As(err, new(*GoneError)) {
			t.Errorf("Diff with %q: got %v, want that it is no id", id, err)
		}
	}
}

func TestBranchesThatCannotBeReferencesAtOnce(t *testing.T) {
	u := newHub(t).repo("acme/app")
	base := u.commit("main", "", tree{"a": "1"})
	r := newRepos(t, "")
	u.commit("x", base, tree{"a": "2"})
	if _, err := r.Fetch(t.Context(), u.name, u.cloneURL(), "x"); err != nil {
		t.Fatal(err)
	}
	u.git("", "update-ref", "-d", "refs/heads/x")
	want := u.commit("x/y", base, tree{"a": "3"})
	if got, err := r.Fetch(t.Context(), u.name, u.cloneURL(), "x/y"); err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	upper := u.commit("MAIN", base, tree{"a": "4"})
	if got, err := r.Fetch(t.Context(), u.name, u.cloneURL(), "MAIN"); err != nil || got != upper {
		t.Errorf("got %s, %v, want %s", got, err, upper)
	}
}
