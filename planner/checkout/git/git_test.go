package git

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCommandWithoutTheNetwork(t *testing.T) {
	t.Setenv("PATH", "/bin")
	t.Setenv("https_proxy", "http://proxy.example.com")
	p := &Program{Home: "/home/git"}
	args, env := p.command(Call{Dir: "/m.git", WorkTree: "/w", Index: "/i", Config: []string{"a.b=c"}, Args: []string{"read-tree", "x"}, Env: []string{"X=1"}})
	for _, kv := range []string{"core.hooksPath=/dev/null", "core.fsmonitor=false", "credential.helper=", "a.b=c"} {
		if i := slices.Index(args, kv); i < 1 || args[i-1] != "-c" {
			t.Errorf("%s is not configured: %q", kv, args)
		}
	}
	if got := args[len(args)-2:]; !slices.Equal(got, []string{"read-tree", "x"}) {
		t.Errorf("got %q at the end", got)
	}
	want := []string{
		"GIT_ALLOW_PROTOCOL=none", "GIT_ATTR_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_DIR=/m.git",
		"GIT_INDEX_FILE=/i", "GIT_NO_REPLACE_OBJECTS=1", "GIT_TERMINAL_PROMPT=0", "GIT_WORK_TREE=/w", "HOME=/home/git", "LC_ALL=C", "PATH=/bin", "TZ=UTC", "X=1",
	}
	slices.Sort(env)
	if d := cmp.Diff(want, env); d != "" {
		t.Errorf("environment (-want +got):\n%s", d)
	}
}

func TestCommandWithTheNetwork(t *testing.T) {
	t.Setenv("https_proxy", "http://proxy.example.com")
	t.Setenv("SSL_CERT_FILE", "/ca.pem")
	t.Setenv("SSL_CERT_DIR", "/a:/b")
	t.Setenv("GIT_SSL_CAINFO", "")
	t.Setenv("GIT_SSL_CAPATH", "")
	for _, askpass := range []bool{false, true} {
		p := &Program{Home: t.TempDir(), Stall: time.Minute, Askpass: askpass}
		from, err := ParseRemote("acme/app", "https://github.com/acme/app.git", nil)
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		from.Token = func(context.Context) (string, error) { asked++; return "hunter2", nil }
		for range 2 {
			if err := p.authorise(t.Context(), from); err != nil {
				t.Fatal(err)
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times for a token, want once", asked)
		}
		args, env := p.command(Call{Args: []string{"fetch"}, Remote: from})
		for _, kv := range []string{"http.followRedirects=false", "http.lowSpeedTime=60"} {
			if !slices.Contains(args, kv) {
				t.Errorf("%s is not configured: %q", kv, args)
			}
		}
		for _, kv := range []string{"https_proxy=http://proxy.example.com", "GIT_SSL_CAINFO=/ca.pem", "GIT_ALLOW_PROTOCOL=https"} {
			if !slices.Contains(env, kv) {
				t.Errorf("%s is missing: %q", kv, env)
			}
		}
		all := strings.Join(append(args, env...), "\n")
		if strings.Contains(all, "hunter2") || strings.Contains(all, "GIT_SSL_CAPATH") || strings.Count(all, "GIT_CONFIG_GLOBAL") != 1 {
			t.Errorf("askpass %v: got %s", askpass, all)
		}
		file, err := from.secret.open()
		if err != nil {
			t.Fatal(err)
		}
		if !askpass {
			if _, err := file.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			if _, err := file.WriteString("x"); err == nil {
				t.Error("the credentials can be written to")
			}
		}
		content, err := io.ReadAll(file)
		if err != nil || len(content) == 0 {
			t.Errorf("got %q, %v", content, err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		if got := from.redact("a hunter2 b " + from.said[1]); got != "a *** b ***" {
			t.Errorf("redacted to %q", got)
		}
	}
}

func TestWantVersion(t *testing.T) {
	for out, ok := range map[string]bool{
		"git version 2.39.5\n": true, "git version 2.38.0": true, "git version 3.0": true, "git version 2.50.1 (Apple Git-155)": true,
		"git version 2.37.9": false, "git version 1.99": false, "hello": false, "": false,
	} {
		if err := wantVersion(out); (err == nil) != ok {
			t.Errorf("%q: got %v, want fine: %v", out, err, ok)
		}
	}
}

func TestIsDamage(t *testing.T) {
	for text, want := range map[string]bool{
		"fatal: not a git repository: '/m.git'":                                   true,
		"error: object file objects/ab/cd is empty":                               true,
		"fatal: loose object abcd (stored in objects/ab/cd) is corrupt":           true,
		"error: file /m/objects/pack/p.pack is far too short to be a packfile":    true,
		"fatal: bad object refs/weir/pull/1/head":                                 true,
		"fatal: unable to read tree 1234":                                         true,
		"error: https://x/y did not send all necessary objects":                   true,
		"fatal: couldn't find remote ref refs/heads/x":                            false,
		"fatal: remote error: upload-pack: not our ref 1234":                      false,
		"remote: fatal: bad object 1234\nfatal: the remote end hung up":           false,
		"fatal: Could not read from remote repository.":                           false,
		"fatal: unable to access 'https://x/': Could not resolve host: x":         false,
		"fatal: could not read Username for 'https://x': prompts disabled":        false,
		"error: unable to read /m/objects/ab: Permission denied":                  false,
		"error: file write error: No space left on device\nfatal: missing object": false,
		"fatal: unable to read tree 1234: Too many open files":                    false,
		"":                         false,
		"CONFLICT (content): x.tf": false,
	} {
		if got := IsDamage(&Error{verb: "x", exit: 128, text: text}); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	if IsDamage(&Error{exit: -1, text: "is corrupt"}) || IsDamage(nil) || IsDamage(os.ErrNotExist) {
		t.Error("what was killed, is fine or is not git's was taken for damage")
	}
}

func TestFailures(t *testing.T) {
	p := &Program{Home: t.TempDir()}
	_, err := p.Run(t.Context(), Call{Args: []string{"rev-parse", "--verify", "HEAD"}, Dir: "/nowhere"})
	if ExitCode(err) != 128 || !Says(err, "not a git repository") {
		t.Errorf("got %v", err)
	}
	_, err = p.Run(t.Context(), Call{Args: []string{"version"}, Limit: 3})
	if !errors.Is(err, errTooLarge) {
		t.Errorf("too much output: got %v", err)
	}
	if !errors.Is(&Error{text: "x: No space left on device"}, syscall.ENOSPC) {
		t.Error("a full disk is not told apart")
	}
	if got := (&Error{verb: "fetch", exit: 1}).Error(); got != "git fetch: exit status 1: no message" {
		t.Errorf("got %q", got)
	}
	if got := once("a\nb\na\n"); got != "a\nb\n" {
		t.Errorf("got %q", got)
	}
}

// What git starts ends with it, kindly if it can.
func TestCancelEndsTheWholeGroup(t *testing.T) {
	dir := t.TempDir()
	script := dir + "/git"
	pidFile := dir + "/pid"
	// The child of this git holds on to its output.
	if err := os.WriteFile(script, []byte("#!/bin/sh\nsh -c 'trap \"\" INT; echo $$ >"+pidFile+"; while :; do sleep 0.1; done' &\ntrap 'exit 3' INT\nwait\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if data, err := os.ReadFile(pidFile); err == nil && len(data) > 1 {
				cancel()
				return
			}
		}
	}()
	p := &Program{Path: script, Home: dir}
	p.wait = 100 * time.Millisecond
	_, err := p.Run(ctx, Call{Args: []string{"fetch"}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	data, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	stat := "/proc/" + strings.TrimSpace(string(data)) + "/stat"
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		content, err := os.ReadFile(stat)
		if err != nil || strings.Contains(string(content), ") Z ") {
			return // gone, or waiting for its parent to see that
		}
	}
	t.Error("what git had started is still there")
}
