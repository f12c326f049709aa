package checkout

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSubmodules(t *testing.T) {
	h := newHub(t, token)
	leaf := h.repo("acme/leaf")
	leaf1 := leaf.commit("main", "", tree{"leaf.tf": "1"})
	mod := h.repo("acme/modules")
	mod1 := mod.commit("main", "", tree{"vpc/main.tf": "1"})
	mod2 := mod.commit("main", mod1, tree{"vpc/main.tf": "2", "leaf": "module:" + leaf1, ".gitmodules": "[submodule \"l\"]\npath = leaf\nurl = ../leaf\n"})
	mod.commit("main", mod2, tree{"vpc/main.tf": "3"})

	u := h.repo("acme/app")
	modules := "[submodule \"m\"]\n\tpath = lib/modules\n\turl = ../modules.git\n[submodule \"leaf\"]\n\tpath = x\n\turl = git@127.0.0.1:acme/leaf\n"
	base := u.commit("main", "", tree{".gitmodules": modules, "lib/modules": "module:" + mod1, "main.tf": "1"})
	head := u.commit("change", base, tree{"lib/modules": "module:" + mod2})
	r := newRepos(t, token)
	req := u.request(1, head)
	req.Submodules = true
	// The one in the submodule is known to the base branch under its own URL.
	co := open(t, r, req)
	want := tree{
		".gitmodules": modules, "main.tf": "1", "x/": "",
		"lib/modules/vpc/main.tf": "2", "lib/modules/leaf/leaf.tf": "1",
		"lib/modules/.gitmodules": "[submodule \"l\"]\npath = leaf\nurl = ../leaf\n",
	}
	delete(want, "x/")
	diff(t, "files", want, content(t, co.Root))
	diff(t, "changed", []string{"lib/modules"}, co.Changed)

	for _, name := range []string{"evil.tf", "lib/evil.tf", "lib/modules/evil.tf", "lib/modules/leaf/evil.tf", "lib/modules/leaf/.git/config", "lib/modules/vpc/main.tf"} {
		path := filepath.Join(co.Root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("evil"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	h.requests()
	if _, err := r.At(t.Context(), req, co.Merge); err != nil {
		t.Fatal(err)
	}
	diff(t, "files after a plan", want, content(t, co.Root))
	if seen := h.requests(); len(seen) > 0 {
		t.Errorf("what is here was asked for: %q", seen)
	}
	req.Head = base
	open(t, r, req)
	diff(t, "files of an earlier commit", tree{".gitmodules": modules, "main.tf": "1", "lib/modules/vpc/main.tf": "1"}, content(t, co.Root))
	req.Submodules = false
	open(t, r, req)
	diff(t, "files without submodules", tree{".gitmodules": modules, "main.tf": "1", "lib/modules/": ""}, content(t, co.Root))
	leaksBelow(t, r.Dir)
}

// The bot may read more than who opened the pull request.
func TestI8SubmoduleOfAPullRequestGetsNoCredentials(t *testing.T) {
	h := newHub(t, token)
	secret := h.repo("acme/secrets")
	id := secret.commit("main", "", tree{"keys": "1"})
	u := h.repo("acme/app")
	base := u.commit("main", "", tree{"a": "1"})
	head := u.commit("change", base, tree{"s": "module:" + id, ".gitmodules": "[submodule \"s\"]\npath = s\nurl = " + secret.cloneURL() + "\n"})
	r := newRepos(t, token)
	req := u.request(1, head)
	req.Submodules = true
	_, err := r.Open(t.Context(), req)
	var sub *SubmoduleError
	if !errors.As(err, &sub) || sub.Path != "s" || !strings.Contains(sub.Reason, "without credentials") {
		t.Errorf("got %v, want that there are no credentials for it", err)
	}
	u.commit("main", base, tree{".gitmodules": "[submodule \"t\"]\npath = t\nurl = ../secrets.git\n"})
	head = u.commit("change", "main", tree{"s": "module:" + id, ".gitmodules": "[submodule \"s\"]\npath = s\nurl = " + secret.cloneURL() + "\n"})
	req.Head = head
	open(t, r, req) // the base branch reads it already
}

func TestSubmodulesThatCannotBe(t *testing.T) {
	h := newHub(t)
	mod := h.repo("acme/mod")
	id := mod.commit("main", "", tree{"a": "1"})
	u := h.repo("acme/app")
	base := u.commit("main", "", tree{"dir/x": "1"})
	config := func(path, url string) string {
		return "[submodule \"s\"]\npath = " + path + "\nurl = \"" + url + "\"\n"
	}
	for name, c := range map[string]struct {
		files tree
		want  string
	}{
		"no .gitmodules":   {tree{"s": "module:" + id}, "no URL"},
		"another path":     {tree{"s": "module:" + id, ".gitmodules": config("t", "../mod")}, "no URL"},
		"ssh elsewhere":    {tree{"s": "module:" + id, ".gitmodules": config("s", "git@example.com:acme/mod")}, "only https"},
		"ext":              {tree{"s": "module:" + id, ".gitmodules": config("s", "ext::sh -c evil")}, "only https"},
		"file":             {tree{"s": "module:" + id, ".gitmodules": config("s", "file://"+mod.path())}, "only https"},
		"path":             {tree{"s": "module:" + id, ".gitmodules": config("s", mod.path())}, "only https"},
		"option":           {tree{"s": "module:" + id, ".gitmodules": config("s", "--upload-pack=evil")}, "only https"},
		"with a password":  {tree{"s": "module:" + id, ".gitmodules": config("s", strings.Replace(mod.cloneURL(), "//", "//a:b@", 1))}, "credentials in it"},
		"broken":           {tree{"s": "module:" + id, ".gitmodules": "[submodule"}, "not a configuration"},
		"unknown commit":   {tree{"s": "module:" + strings.Repeat("1", 40), ".gitmodules": config("s", "../mod")}, "does not have the commit"},
		"unknown":          {tree{"s": "module:" + id, ".gitmodules": config("s", "../nope")}, "no such repository"},
		"host not allowed": {tree{"s": "module:" + id, ".gitmodules": config("s", "https://example.com/acme/mod.git")}, "is not of"},
	} {
		t.Run(name, func(t *testing.T) {
			req := u.request(1, u.commit("change", base, c.files))
			req.Submodules = true
			r := newRepos(t, "")
			var err error
			if r.Allow, err = AllowHost(h.url + "/api/v3/"); err != nil {
				t.Fatal(err)
			}
			_, err = r.Open(t.Context(), req)
			if !errors.As(err, new(*SubmoduleError)) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a SubmoduleError with %q", err, c.want)
			}
		})
	}
}

func TestSubmodulesOfTheSameRepository(t *testing.T) {
	h := newHub(t)
	u := h.repo("acme/app")
	module := "[submodule \"s\"]\npath = s\nurl = " + u.cloneURL() + "\n"
	commit := u.commit("main", "", tree{"a": "0"})
	for depth := 1; depth <= maxDepth+1; depth++ {
		commit = u.commit("main", commit, tree{".gitmodules": module, "s": "module:" + commit})
		req := u.request(1, commit)
		req.Submodules = true
		r := newRepos(t, "")
		co, err := r.Open(t.Context(), req)
		if depth > maxDepth {
			if !errors.As(err, new(*SubmoduleError)) || !strings.Contains(err.Error(), "more than 8 submodules deep") {
				t.Errorf("got %v, want that it is too deep", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, co.Root)[strings.Repeat("s/", depth)+"a"]; got != "0" {
			t.Errorf("depth %d: got %q at its end", depth, got)
		}
	}
}

func TestAbsolute(t *testing.T) {
	const parent = "https://github.com/acme/app.git"
	for raw, want := range map[string]string{
		"../mod.git":                        "https://github.com/acme/mod.git",
		"../../other/mod":                   "https://github.com/other/mod",
		"./mod":                             "https://github.com/acme/app.git/mod",
		"../../../../../etc/passwd":         "https://github.com/etc/passwd",
		"git@github.com:acme/mod.git":       "https://github.com/acme/mod.git",
		"ssh://git@github.com/acme/mod":     "https://github.com/acme/mod",
		"ssh://git@github.com:22/acme/mod":  "https://github.com/acme/mod",
		"https://gitlab.com/a/b.git":        "https://gitlab.com/a/b.git",
		"http://github.com/a/b.git":         "",
		"git://github.com/a/b.git":          "",
		"git@gitlab.com:a/b":                "",
		"ssh://git@github.com.evil.org/a/b": "",
		"":                                  "",
		"/srv/git/x":                        "",
		"https://github.com/a b/c":          "https://github.com/a%20b/c",
		"ssh://-oProxyCommand=x/acme/mod":   "",
		"git@github.com:../../acme/mod.git": "https://github.com/../../acme/mod.git",
		"https://u:p@github.com/acme/mod":   "https://u:p@github.com/acme/mod", // refused by ParseRemote
		"file:///etc":                       "",
		"ext::sh -c x":                      "",
	} {
		if got := absolute(parent, raw); got != want {
			t.Errorf("absolute(%q): got %q, want %q", raw, got, want)
		}
	}
}

func TestLFSNeedsItsProgram(t *testing.T) {
	u := newHub(t).repo("acme/app")
	head := u.commit("main", "", tree{"a": "1"})
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	r := newRepos(t, "")
	r.Git = git
	req := u.request(1, head)
	req.LFS = true
	if _, err := r.Open(t.Context(), req); err == nil || !strings.Contains(err.Error(), "git-lfs is not in the server's PATH") {
		t.Errorf("got %v, want what is missing", err)
	}
	req.LFS = false
	if _, err := r.Open(t.Context(), req); err != nil {
		t.Error(err)
	}
}
