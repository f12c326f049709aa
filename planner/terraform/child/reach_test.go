package child

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOpenLeavesOutExactlyWhatIsHidden(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/b/secret", "a/b/secret-not", "a/x/y", "c/d", "e"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a/b", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name         string
		hidden, want []string
	}{
		{"nothing", nil, []string{""}},
		{"a file", []string{"a/b/secret"}, []string{"/a/b/secret-not", "/a/x", "/c", "/e"}},
		{"the same by a link", []string{"link/secret"}, []string{"/a/b/secret-not", "/a/x", "/c", "/e"}},
		{"a directory", []string{"a"}, []string{"/c", "/e"}},
		{"a prefix of a name", []string{"a/b/secre"}, []string{"/a/b/secret", "/a/b/secret-not", "/a/x", "/c", "/e"}},
		{"one within another", []string{"a/x/y", "a"}, []string{"/c", "/e"}},
		{"all", []string{"."}, nil},
	} {
		var hidden, want []string
		for _, name := range test.hidden {
			hidden = append(hidden, filepath.Join(root, name))
		}
		for _, name := range test.want {
			want = append(want, root+name)
		}
		if diff := cmp.Diff(want, open(root, Reach{Hidden: hidden}.hidden())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestFree(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	reach := Reach{Hidden: []string{filepath.Join(root, "a/b"), filepath.Join(root, "link/c")}}
	for path, want := range map[string]bool{
		"a/b": false, "a/b/x": false, "a": false, ".": false, "..": false, "link/b": false, "a/c/d": false, "a/b/../x": true,
		"a/bb": true, "a/x": true, "link/x": true, "x": true,
	} {
		if got := reach.Free(filepath.Join(root, "x") + "/../" + path); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}

// shell runs a line of sh within a reach and returns what it printed.
func shell(t *testing.T, reach Reach, line string) string {
	t.Helper()
	if !Confines() {
		if os.Getenv("CI") != "" {
			t.Fatal("this kernel has no Landlock")
		}
		t.Skip("SKIPPED, NOT TESTED: this kernel has no Landlock")
	}
	path, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := Command{Verb: "sh", Path: path, Args: []string{"-c", line}, Dir: "/", Env: []string{"PATH=" + os.Getenv("PATH")}, Reach: reach}
	if _, err := limit(1, 0).Run(t.Context(), c, &out, true, noLog()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestI8_HiddenFilesCannotBeReached(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"keys/seal.key", "weir.db", "work/1/main.tf", "work/2/main.tf", "cache/provider"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho ran "+name+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Symlink(at("keys/seal.key"), at("work/1/link")); err != nil {
		t.Fatal(err)
	}
	reach := Reach{
		Hidden: []string{at("keys"), at("weir.db"), at("work"), at("cache"), at("later")},
		Given:  []string{at("work/1"), at("missing")},
		Read:   []string{at("cache")},
	}
	for _, test := range []struct{ name, line, want string }{
		{"a hidden directory is not read", "cat %s/keys/seal.key", "no\n"},
		{"nor by a link", "cat %s/work/1/link", "no\n"},
		{"nor a hidden file", "cat %s/weir.db", "no\n"},
		{"nor written", "echo x >%s/weir.db", "no\n"},
		{"nor run", "%s/keys/seal.key", "no\n"},
		{"nor removed", "rm %s/weir.db", "no\n"},
		{"nor moved to where it can be read", "mv %s/keys/seal.key /tmp/", "no\n"},
		{"nor linked to from there", "ln %[1]s/weir.db %[1]s/work/1/hard", "no\n"},
		{"nor is anything made in it", "touch %s/keys/new", "no\n"},
		{"what is given is read", "cat %s/work/1/main.tf", "#!/bin/sh\necho ran work/1/main.tf\nyes\n"},
		{"and changed, moved within it, and removed", "cd %s/work/1 && echo x >new && mkdir d && mv new d/ && rm d/new && rmdir d", "yes\n"},
		{"what is beside it is not", "cat %s/work/2/main.tf", "no\n"},
		{"what is to be read is run", "%s/cache/provider", "ran cache/provider\nyes\n"},
		{"and not written", "echo x >%s/cache/provider", "no\n"},
		{"nor made more of", "echo x >%s/cache/new", "no\n"},
		{"what is hidden before it is there stays so", "echo x >%s/later", "no\n"},
	} {
		line := fmt.Sprintf("("+test.line+") 2>/dev/null && echo yes || echo no", dir)
		if got := shell(t, reach, line); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
	if got := shell(t, Reach{}, fmt.Sprintf("cat %s/weir.db && rm %[1]s/cache/provider && echo yes", dir)); got != "#!/bin/sh\necho ran weir.db\nyes\n" {
		t.Errorf("where nothing is hidden: %q", got)
	}
}

// What holds a secret of weir's, or is another pull request's plan.
func TestI8_OtherProcessesCannotBeReached(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for _, what := range []string{"environ", "mem", "maps", "root/etc/hostname", "cwd/reach_test.go", "fd/0"} {
		if got := shell(t, Reach{}, fmt.Sprintf("(head -c 1 /proc/%s/%s) 2>/dev/null && echo yes || echo no", self, what)); got != "no\n" {
			t.Errorf("/proc/%s/%s: got %q", self, what, got)
		}
	}
	if got := shell(t, Reach{}, "(head -c 4 /proc/self/environ) 2>/dev/null && echo yes || echo no"); got != "PATHyes\n" {
		t.Errorf("its own environment: got %q", got)
	}
	if got := shell(t, Reach{}, "sleep 60 & kill $! && echo yes || echo no"); got != "yes\n" {
		t.Errorf("a signal to its own child: got %q", got)
	}
	if got := shell(t, Reach{}, fmt.Sprintf("kill -0 %s 2>/dev/null && echo yes || echo no", self)); got != "no\n" {
		t.Errorf("a signal to us: got %q (Linux before 6.12 cannot tell)", got)
	}
}

// The thread that took its rights away is gone.
func TestConfinementStaysInTheChild(t *testing.T) {
	dir := t.TempDir()
	for range 50 {
		shell(t, Reach{Hidden: []string{dir}}, "true")
		done := make(chan error, 4)
		for range cap(done) {
			go func() { done <- os.WriteFile(filepath.Join(dir, "x"), nil, 0o600) }()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
}
