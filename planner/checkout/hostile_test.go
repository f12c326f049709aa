package checkout

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a plan, or what it runs, can have left in the worktree.
func TestI2NothingOfAnEarlierHeadSurvives(t *testing.T) {
	outside := t.TempDir()
	ran := filepath.Join(outside, "ran")
	write := func(path, content string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			panic(err) // of whichever subtest
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			panic(err)
		}
	}
	must := func(errs ...error) {
		if err := errors.Join(errs...); err != nil {
			panic(err) // of whichever subtest
		}
	}
	evilGit := func(dir string) { // a repository whose use runs a program
		write(filepath.Join(dir, "HEAD"), "ref: refs/heads/main\n")
		must(os.MkdirAll(filepath.Join(dir, "objects"), 0o755), os.MkdirAll(filepath.Join(dir, "refs"), 0o755))
		write(filepath.Join(dir, "config"), "[core]\nrepositoryformatversion = 0\nfsmonitor = touch "+ran+"\n[filter \"evil\"]\nsmudge = touch "+ran+"\nclean = touch "+ran+"\n")
		write(filepath.Join(dir, "info/attributes"), "* filter=evil\n")
		write(filepath.Join(dir, "hooks/post-checkout"), "#!/bin/sh\ntouch "+ran+"\n")
	}
	u := newHub(t).repo("acme/app")
	files := tree{"main.tf": "mail", "mod/main.tf": "1", "mod/deep/x": "1", ".gitignore": "*.ignored\n", "run.sh": "exec:x", "link": "link:mod"}
	base := u.commit("main", "", files)
	head := u.commit("change", base, tree{"new/a": "1"})
	r := newRepos(t, "")
	pull := 0 // each case has a pull request, and so a worktree, of its own
	for name, spoil := range map[string]func(root string){
		"untracked": func(root string) { write(root+"/evil.tf", ""); write(root+"/mod/evil.auto.tfvars", "") },
		"ignored":   func(root string) { write(root+"/x.ignored", ""); write(root+"/new/x.ignored", "") },
		"state": func(root string) {
			write(root+"/.terraform/terraform.tfstate", "{}")
			write(root+"/mod/terraform.tfstate", "{}")
		},
		"empty directories":    func(root string) { must(os.MkdirAll(root+"/empty/dirs", 0o755)) },
		"repository at top":    func(root string) { evilGit(root + "/.git") },
		"file .git at top":     func(root string) { evilGit(outside + "/g"); write(root+"/.git", "gitdir: "+outside+"/g\n") },
		"repository in module": func(root string) { evilGit(root + "/mod/.git") },
		"untracked repository": func(root string) { evilGit(root + "/sub/.git"); write(root+"/sub/main.tf", "") },
		"changed":              func(root string) { write(root+"/main.tf", "evil") },
		"changed, same size and times": func(root string) {
			path := root + "/main.tf"
			info, err := os.Stat(path)
			must(err, os.WriteFile(path, []byte("liam"), 0o600), os.Chmod(path, info.Mode()), os.Chtimes(path, info.ModTime(), info.ModTime()))
		},
		"removed":    func(root string) { must(os.RemoveAll(root + "/mod")) },
		"mode":       func(root string) { must(os.Chmod(root+"/main.tf", 0o755), os.Chmod(root+"/run.sh", 0o644)) },
		"unreadable": func(root string) { must(os.Chmod(root+"/main.tf", 0), os.Chmod(root+"/mod", 0)) },
		"no way in": func(root string) {
			write(root+"/a/b/c", "")
			must(os.Chmod(root+"/a/b", 0o500), os.Chmod(root+"/a", 0), os.Chmod(root, 0o500))
		},
		"file to link":   func(root string) { must(os.Remove(root+"/main.tf"), os.Symlink(outside+"/precious", root+"/main.tf")) },
		"dir to link":    func(root string) { must(os.RemoveAll(root+"/mod"), os.Symlink(outside, root+"/mod")) },
		"dir to file":    func(root string) { must(os.RemoveAll(root + "/mod")); write(root+"/mod", "") },
		"file to dir":    func(root string) { must(os.Remove(root + "/main.tf")); write(root+"/main.tf/x", "") },
		"file to pipe":   func(root string) { must(os.Remove(root+"/main.tf"), syscall.Mkfifo(root+"/main.tf", 0o644)) },
		"link to file":   func(root string) { must(os.Remove(root + "/link")); write(root+"/link", "mod") },
		"hard link":      func(root string) { must(os.Remove(root+"/main.tf"), os.Link(outside+"/precious", root+"/main.tf")) },
		"pipe":           func(root string) { must(syscall.Mkfifo(root+"/mod/p", 0o644)) },
		"root is a link": func(root string) { must(os.RemoveAll(root), os.Symlink(outside, root)) },
		"root is gone":   func(root string) { must(os.RemoveAll(root)) },
		"root is a file": func(root string) { must(os.RemoveAll(root)); write(root, "") },
		"capitals":       func(root string) { write(root+"/MAIN.tf", ""); write(root+"/Mod/x", "") },
	} {
		t.Run(name, func(t *testing.T) {
			must(os.WriteFile(outside+"/precious", []byte("mine"), 0o600), os.WriteFile(outside+"/main.tf", []byte("mine"), 0o600))
			files := maps.Clone(files)
			pull += 2
			co := open(t, r, u.request(pull, base))
			diff(t, "before", files, content(t, co.Root))

			spoil(co.Root)
			diff(t, "the same commit again", co, open(t, r, u.request(pull, base)))
			diff(t, "its files", files, content(t, co.Root))

			spoil(co.Root)
			open(t, r, u.request(pull, head))
			files["new/a"] = "1"
			diff(t, "files of a later head", files, content(t, co.Root))

			spoil(co.Root)
			must(r.Remove(t.Context(), u.name, pull))
			other := open(t, r, u.request(pull+1, head))
			diff(t, "files of another pull request", files, content(t, other.Root))

			if _, err := os.Stat(ran); err == nil {
				t.Error("a program of the worktree's was run")
			}
			for _, name := range []string{"precious", "main.tf"} {
				if got, err := os.ReadFile(filepath.Join(outside, name)); err != nil || string(got) != "mine" {
					t.Errorf("outside, %s: got %q, %v", name, got, err)
				}
			}
		})
	}
}

func TestI7AttributesOfThePullRequestDoNothing(t *testing.T) {
	u := newHub(t).repo("acme/app")
	base := u.commit("main", "", tree{"conflict": "1\n"})
	files := tree{
		".gitattributes": "*.tf text eol=crlf ident working-tree-encoding=UTF-16 filter=evil diff=evil merge=evil export-ignore\nconflict merge=union\n[attr]binary text\n",
		"main.tf":        "# $Id$\none\ntwo\r\n",
		"lfs.bin":        "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("a", 64) + "\nsize 1\n",
		"conflict":       "1\n",
	}
	head := u.commit("change", base, files)
	co := open(t, newRepos(t, ""), u.request(1, head))
	diff(t, "files", files, content(t, co.Root))

	side := u.commit("side", head, tree{"conflict": "2\n"})
	u.commit("main", head, tree{"conflict": "3\n"})
	if _, err := newRepos(t, "").Open(t.Context(), u.request(1, side)); err == nil {
		t.Error("the pull request chose how its conflicts are solved")
	}
}

func TestSubmodulesAndLFSAreOffUnlessAskedFor(t *testing.T) {
	u := newHub(t).repo("acme/app")
	base := u.commit("main", "", tree{"a": "1"})
	head := u.commit("change", base, tree{"sub": "module:" + base, ".gitmodules": "[submodule \"s\"]\npath = sub\nurl = ../other.git\n"})
	r := newRepos(t, "")
	co := open(t, r, u.request(1, head))
	if got := content(t, co.Root); len(got) != 3 || got["sub/"] != "" {
		t.Errorf("got %v, want an empty directory", got)
	}
	diff(t, "changed", []string{".gitmodules", "sub"}, co.Changed)
	if err := os.WriteFile(filepath.Join(co.Root, "sub", "evil.tf"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, r, u.request(1, head))
	if got := content(t, co.Root); len(got) != 3 {
		t.Errorf("got %v, want an empty directory again", got)
	}
}

// A tree that no git would write, but that a server can send.
func TestI8TreesThatGitWouldNotWrite(t *testing.T) {
	u := newHub(t).repo("acme/app")
	base := u.commit("main", "", tree{"a": "1"})
	blob := u.git("evil", "hash-object", "-w", "--stdin")
	for _, name := range []string{".git", "..", ".GIT", "git~1", ".g\u200cit"} {
		inner := u.git("100644 blob "+blob+"\tconfig\n", "mktree")
		raw := u.git("040000 tree "+inner+"\t"+name+"\n", "mktree")
		head := u.git("", "-c", "user.name=a", "-c", "user.email=b", "commit-tree", "-p", base, "-m", "x", raw)
		u.git("", "update-ref", "refs/heads/change", head)
		r := newRepos(t, "")
		co, err := r.Open(t.Context(), u.request(1, head))
		if err == nil {
			t.Errorf("%q: checked out as %v", name, content(t, co.Root))
		}
		if _, err := os.Stat(r.path("worktrees", "acme", "app", "config")); err == nil {
			t.Errorf("%q: wrote outside of the worktree", name)
		}
	}
}

func TestNamesAreData(t *testing.T) {
	h := newHub(t)
	u := h.repo("acme/app")
	head := u.commit("main", "", tree{"a": "1"})
	r := newRepos(t, "")
	good := u.request(1, head)
	for name, change := range map[string]func(*Request){
		"repository up":         func(q *Request) { q.Repo = "acme/.." },
		"repository here":       func(q *Request) { q.Repo = "acme/." },
		"owner up":              func(q *Request) { q.Repo = "../app" },
		"no owner":              func(q *Request) { q.Repo = "app" },
		"three parts":           func(q *Request) { q.Repo = "acme/app/x" },
		"pull -1":               func(q *Request) { q.Pull = -1 },
		"short head":            func(q *Request) { q.Head = head[:12] },
		"head is a name":        func(q *Request) { q.Head = "HEAD" },
		"head is an option":     func(q *Request) { q.Head = "--upload-pack=touch /tmp/x" },
		"base is an option":     func(q *Request) { q.BaseRef = "--upload-pack=x" },
		"base is a refspec":     func(q *Request) { q.BaseRef = "main:refs/heads/x" },
		"base is a pattern":     func(q *Request) { q.BaseRef = "*" },
		"base goes up":          func(q *Request) { q.BaseRef = "../../x" },
		"base is empty":         func(q *Request) { q.BaseRef = "" },
		"base is a lock":        func(q *Request) { q.BaseRef = "main.lock" },
		"URL of another":        func(q *Request) { q.CloneURL = h.url + "/acme/app-infra.git" },
		"URL of a longer owner": func(q *Request) { q.CloneURL = h.url + "/xacme/app.git" },
		"URL is ext":            func(q *Request) { q.CloneURL = "ext::sh -c touch% /tmp/x" },
		"URL is ssh":            func(q *Request) { q.CloneURL = "ssh://git@github.com/acme/app.git" },
		"URL is scp":            func(q *Request) { q.CloneURL = "git@github.com:acme/app.git" },
		"URL is a file":         func(q *Request) { q.CloneURL = "file://" + u.path() },
		"URL is a path":         func(q *Request) { q.CloneURL = u.path() },
		"URL is an option":      func(q *Request) { q.CloneURL = "--upload-pack=x/acme/app.git" },
		"URL is http":           func(q *Request) { q.CloneURL = "http://example.com/acme/app.git" },
		"URL with a query":      func(q *Request) { q.CloneURL += "?x" },
		"URL has a password":    func(q *Request) { q.CloneURL = strings.Replace(q.CloneURL, "://", "://u:hunter2@", 1) },
		"URL has odd host":      func(q *Request) { q.CloneURL = "https://a\"]b/acme/app.git" },
	} {
		t.Run(name, func(t *testing.T) {
			bad := good
			change(&bad)
			_, err := r.Open(t.Context(), bad)
			if err == nil {
				t.Fatal("was taken")
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats a password: %v", err)
			}
			if seen := h.requests(); len(seen) > 0 {
				t.Errorf("was asked of the server: %q", seen)
			}
		})
	}
	open(t, r, good)
}

func TestAllowHost(t *testing.T) {
	for api, cases := range map[string]map[string]bool{
		"https://api.github.com/": {
			"https://github.com/a/b.git": true, "https://GitHub.com/a/b.git": true, "https://api.github.com/a/b.git": false,
			"https://github.com.evil.org/a/b.git": false, "https://evil.org/github.com/a/b.git": false, "https://github.com:444/a/b.git": false,
		},
		"https://ghe.example.com/api/v3/":   {"https://ghe.example.com/a/b.git": true, "https://github.com/a/b.git": false},
		"https://api.octo.ghe.com/":         {"https://octo.ghe.com/a/b.git": true, "https://github.com/a/b.git": false},
		"http://127.0.0.1:4000/api/v3/":     {"http://127.0.0.1:5000/a/b.git": true, "http://localhost/a/b.git": true, "https://github.com/a/b.git": false},
		"https://ghe.example.com:8443/api/": {"https://ghe.example.com:8443/a/b.git": true, "https://ghe.example.com/a/b.git": false},
	} {
		allow, err := AllowHost(api)
		if err != nil {
			t.Fatal(err)
		}
		for url, want := range cases {
			if err := allow(url); (err == nil) != want {
				t.Errorf("%s, %s: got %v, want allowed: %v", api, url, err, want)
			}
		}
	}
	for _, api := range []string{"", "github.com", "://"} {
		if _, err := AllowHost(api); err == nil {
			t.Errorf("%q was taken for an API", api)
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"app", "App", "!app", "a!", ".github", "ÄB", "A!B", "!!"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		escaped := escape(name)
		if strings.ContainsFunc(escaped, func(c rune) bool { return 'A' <= c && c <= 'Z' }) {
			t.Errorf("escape(%q) = %q has capitals", name, escaped)
		}
		if strings.Contains(name, "!") {
			return // no repository is called so
		}
		if back, ok := unescape(escaped); !ok || back != name {
			t.Errorf("unescape(escape(%q)) = %q, %v", name, back, ok)
		}
		if _, _, err := splitRepo(name); err == nil && strings.Count(name, "/") != 1 {
			t.Errorf("splitRepo(%q) took it", name)
		}
	})
}

func FuzzCheckBranch(f *testing.F) {
	h := newHubOfFuzz(f)
	for _, s := range []string{"main", "a/b", "-x", "a..b", "a.lock", "@", "a@{b", "ü", "a b", "a:", "a/", "/a", ".a", "a.", "a//b", "\xff", "a\x01"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if checkBranch(name) != nil || strings.Contains(name, "\x00") {
			return
		}
		if err := h("check-ref-format", "--branch", name); err != nil {
			t.Errorf("checkBranch(%q) took what git refuses: %v", name, err)
		}
	})
}

func TestMirrorIsForOneProcess(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such locks")
	}
	u := newHub(t).repo("acme/app")
	head := u.commit("main", "", tree{"a": "1"})
	r := newRepos(t, "")
	open(t, r, u.request(1, head))
	if out, err := child(t, "open", r.Dir, u.url, head).CombinedOutput(); err == nil || !strings.Contains(string(out), "another process uses it") {
		t.Errorf("a second process: got %v\n%s", err, out)
	}
}

func TestSweepOfIdle(t *testing.T) {
	u := newHub(t).repo("acme/app")
	head := u.commit("main", "", tree{"a": "1"})
	r := newRepos(t, "")
	open(t, r, u.request(1, head))
	m := r.mirror(u.name)
	if err := m.RemoveIdle(t.Context(), time.Hour); err != nil || !exists(m.Dir) {
		t.Errorf("a mirror in use: got %v, there: %v", err, exists(m.Dir))
	}
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(m.Dir, old, old); err != nil {
		t.Fatal(err)
	}
	if err := m.RemoveIdle(t.Context(), time.Hour); err != nil || exists(m.Dir) {
		t.Errorf("an idle mirror: got %v, there: %v", err, exists(m.Dir))
	}
	open(t, r, u.request(1, head))
}

func exists(path string) bool { _, err := os.Lstat(path); return err == nil }
