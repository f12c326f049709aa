package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The test binary stands in for terraform when FAKE is set.
func TestMain(m *testing.M) {
	if kind := os.Getenv("FAKE"); kind != "" {
		os.Exit(fake(kind))
	}
	os.Exit(m.Run())
}

func fake(kind string) int {
	interrupted := make(chan os.Signal, 1)
	switch kind {
	case "environment":
		for _, entry := range os.Environ() {
			fmt.Println(entry)
		}
	case "streams":
		fmt.Println("to stdout")
		fmt.Fprintln(os.Stderr, "to stderr")
		return 3
	case "count": // how many run at once, by files in a directory
		dir := os.Args[1]
		mine := filepath.Join(dir, strconv.Itoa(os.Getpid()))
		if err := os.WriteFile(mine, nil, 0o600); err != nil {
			return 9
		}
		<-time.After(20 * time.Millisecond)
		entries, err := os.ReadDir(dir)
		if err != nil || os.Remove(mine) != nil {
			return 9
		}
		fmt.Println(len(entries))
	case "tree": // a parent that waits for a child, as terraform does for providers
		signal.Notify(interrupted, os.Interrupt)
		self := exec.Command(os.Args[0])
		self.Env = []string{"FAKE=leaf"}
		self.Stdout = os.Stdout
		if self.Start() != nil || self.Wait() != nil {
			return 9
		}
		<-interrupted
		fmt.Println("parent interrupted")
	case "leaf":
		signal.Notify(interrupted, os.Interrupt)
		fmt.Println("ready")
		<-interrupted
		fmt.Println("child interrupted")
	case "stubborn":
		signal.Ignore(os.Interrupt)
		self := exec.Command(os.Args[0])
		self.Env = []string{"FAKE=stubborn-leaf"}
		self.Stdout = os.Stdout
		if self.Start() != nil {
			return 9
		}
		_ = self.Wait()
	case "stubborn-leaf":
		signal.Ignore(os.Interrupt)
		fmt.Println("ready", os.Getpid())
		<-time.After(time.Minute)
	case "leaves-behind": // its own child keeps the pipes open
		self := exec.Command(os.Args[0])
		self.Env = []string{"FAKE=lingers"}
		self.Stdout = os.Stdout
		self.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if self.Start() != nil {
			return 9
		}
		fmt.Println("left", self.Process.Pid)
	case "lingers":
		<-time.After(20 * time.Second)
	}
	return 0
}

func command(t *testing.T, kind string, args ...string) Command {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Command{Verb: kind, Path: self, Args: args, Dir: t.TempDir(), Env: []string{"FAKE=" + kind}}
}

func limit(n int, grace time.Duration) *Limit {
	return &Limit{MaxParallel: n, Grace: grace, Log: slog.New(slog.DiscardHandler)}
}

func noLog() *Log { return NewLog(io.Discard, strings.NewReplacer()) }

func TestRunTellsOutcome(t *testing.T) {
	var out, log bytes.Buffer
	o, err := limit(1, 0).Run(t.Context(), command(t, "streams"), &out, false, NewLog(&log, strings.NewReplacer()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Outcome{Code: 3, Stderr: "to stderr\n"}, o); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	if out.String() != "to stdout\n" {
		t.Errorf("stdout: %q", out.String())
	}
	if got := log.String(); !strings.Contains(got, "to stdout\n") || !strings.Contains(got, "to stderr\n") {
		t.Errorf("log: %q, want both streams", got)
	}
	log.Reset()
	if _, err = limit(1, 0).Run(t.Context(), command(t, "streams"), &out, true, NewLog(&log, strings.NewReplacer())); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); got != "to stderr\n" {
		t.Errorf("log of a command whose output is data: %q", got)
	}
	c := command(t, "streams")
	c.Path = filepath.Join(c.Dir, "missing")
	if _, err := limit(1, 0).Run(t.Context(), c, io.Discard, false, noLog()); err == nil || !strings.Contains(err.Error(), "start streams") {
		t.Errorf("a program that is not there: %v", err)
	}
}

func TestRunNeverMoreThanMaxParallel(t *testing.T) {
	dir := t.TempDir()
	l := limit(3, 0)
	c := command(t, "count", dir)
	var wg sync.WaitGroup
	var mu sync.Mutex
	most := 0
	for range 30 {
		wg.Go(func() {
			var out bytes.Buffer
			o, err := l.Run(t.Context(), c, &out, true, noLog())
			n, convErr := strconv.Atoi(strings.TrimSpace(out.String()))
			if err != nil || o.Code != 0 || convErr != nil {
				t.Errorf("%v %v %v", o, err, convErr)
			}
			mu.Lock()
			defer mu.Unlock()
			most = max(most, n)
		})
	}
	wg.Wait()
	if most > 3 {
		t.Errorf("%d ran at once, want at most 3", most)
	}
}

func TestRunWaitsInOrderAndCanBeCancelled(t *testing.T) {
	l := limit(1, 0)
	if err := l.slots().take(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := l.Run(ctx, command(t, "streams"), io.Discard, false, noLog()); !errors.Is(err, enough) {
		t.Errorf("got %v, want the cause of the cancellation", err)
	}
	l.slots().give(false)
	if _, err := l.Run(t.Context(), command(t, "streams"), io.Discard, false, noLog()); err != nil {
		t.Errorf("the place was not given back: %v", err)
	}
}

// until cancels as soon as a line says so, and keeps all lines.
type until struct {
	word   string
	cancel context.CancelFunc
	bytes.Buffer
}

func (u *until) Write(p []byte) (int, error) {
	n, err := u.Buffer.Write(p)
	if strings.Contains(u.String(), u.word) {
		u.cancel()
	}
	return n, err
}

func TestCancelInterruptsTheWholeGroup(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := &until{word: "ready", cancel: cancel}
	_, err := limit(1, 30*time.Second).Run(ctx, command(t, "tree"), out, true, noLog())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancellation", err)
	}
	for _, want := range []string{"child interrupted", "parent interrupted"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
}

func TestCancelKillsAfterGrace(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := &until{word: "ready", cancel: cancel}
	_, err := limit(1, 50*time.Millisecond).Run(ctx, command(t, "stubborn"), out, true, noLog())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancellation", err)
	}
	_, pid, _ := strings.Cut(strings.TrimSpace(out.String()), " ")
	child, convErr := strconv.Atoi(pid)
	if convErr != nil {
		t.Fatalf("output %q: %v", out.String(), convErr)
	}
	// The kernel may take a moment to end what was killed.
	for deadline := time.Now().Add(5 * time.Second); alive(child); {
		if time.Now().After(deadline) {
			t.Fatal("a grandchild outlived the cancellation")
		}
		<-time.After(time.Millisecond)
	}
}

// alive says whether a process runs; one that nobody waits for is dead too.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

// What a command leaves running must not hold up its result.
func TestRunDoesNotWaitForWhatIsLeftBehind(t *testing.T) {
	started := time.Now()
	var out bytes.Buffer
	o, err := limit(1, 0).Run(t.Context(), command(t, "leaves-behind"), &out, true, noLog())
	if err != nil || o.Code != 0 {
		t.Fatalf("%v %v", o, err)
	}
	_, pid, _ := strings.Cut(strings.TrimSpace(out.String()), " ")
	left, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatalf("output %q: %v", out.String(), err)
	}
	if !alive(left) {
		t.Error("what a command leaves behind on purpose is not ours to kill")
	}
	if err := syscall.Kill(left, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	if took := time.Since(started); took > 15*time.Second {
		t.Errorf("took %v", took)
	}
}

// A log that breaks, such as on a full disk, must not break the command.
func TestRunSurvivesItsLog(t *testing.T) {
	var out bytes.Buffer
	o, err := limit(1, 0).Run(t.Context(), command(t, "streams"), &out, false, NewLog(brokenWriter{}, strings.NewReplacer()))
	if err != nil || o.Code != 3 || out.String() != "to stdout\n" {
		t.Errorf("got %v, %v, %q", o, err, out.String())
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestI8_ChildSeesOnlyWhatIsAllowed(t *testing.T) {
	server := []string{
		"PATH=/bin", "HOME=/home/weir", "TF_CLI_CONFIG_FILE=/etc/tofurc",
		"AWS_REGION=eu-west-1", "AWS_SECRET_ACCESS_KEY=x", "TF_VAR_region=eu", "HTTPS_PROXY=http://p", "ARM_X=1",
		"WEIR_GITHUB_TOKEN=ghp_1", "WEIR_AWS_X=1", "GITHUB_TOKEN=ghp_2", "GH_TOKEN=ghp_3", "GIT_ASKPASS=/x", "SSH_AUTH_SOCK=/s",
		"TF_LOG=trace", "TF_LOG_PATH=/x", "TF_CLI_ARGS=-destroy", "TF_CLI_ARGS_plan=-destroy", "TF_DATA_DIR=/x", "TF_WORKSPACE=w",
		"TF_REATTACH_PROVIDERS={}", "TF_PLUGIN_CACHE_DIR=/x", "TMPDIR=/x", "DATABASE_URL=postgres://u:p@h", "UNRELATED=1", "=odd", "odd",
	}
	always := []string{"PATH=/bin", "HOME=/home/weir", "TF_CLI_CONFIG_FILE=/etc/tofurc"}
	for _, test := range []struct {
		name     string
		patterns []string
		want     []string
	}{
		{"nothing configured", nil, always},
		{"the usual", []string{"AWS_*", "TF_VAR_*", "*_PROXY"}, append(always[:3:3], "AWS_REGION=eu-west-1", "AWS_SECRET_ACCESS_KEY=x", "TF_VAR_region=eu", "HTTPS_PROXY=http://p")},
		{"everything is never everything", []string{"*"}, append(always[:3:3], "AWS_REGION=eu-west-1", "AWS_SECRET_ACCESS_KEY=x", "TF_VAR_region=eu", "HTTPS_PROXY=http://p", "ARM_X=1", "DATABASE_URL=postgres://u:p@h", "UNRELATED=1")},
		{"weir's own cannot be named", []string{"WEIR_*", "WEIR_GITHUB_TOKEN", "TF_LOG", "TF_DATA_DIR", "TF_CLI_ARGS_plan"}, always},
		{"Git's credentials only by their full names", []string{"GITHUB_*", "GH_TOKEN", "SSH_AUTH_SOCK"}, append(always[:3:3], "GH_TOKEN=ghp_3", "SSH_AUTH_SOCK=/s")},
		{"a prefix of a name is not the name", []string{"AWS_REG", "ARM_XX"}, always},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := map[string]string{}
			for _, entry := range test.want {
				name, value, _ := strings.Cut(entry, "=")
				want[name] = value
			}
			if diff := cmp.Diff(want, Inherit(server, test.patterns)); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestI8_ChildEnvironmentIsBuiltFromNothing(t *testing.T) {
	t.Setenv("WEIR_GITHUB_TOKEN", "ghp_secret")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	var out bytes.Buffer
	if _, err := limit(1, 0).Run(t.Context(), command(t, "environment"), &out, true, noLog()); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "FAKE=environment\n"; got != want {
		t.Errorf("the child sees %q, want %q", got, want)
	}
}

func TestCheckEnv(t *testing.T) {
	if err := CheckEnv([]string{"AWS_*", "*_PROXY", "TF_VAR_[a-z]*"}); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "[", "A=B", "a/b"} {
		if err := CheckEnv([]string{bad}); err == nil {
			t.Errorf("%q passed as a pattern", bad)
		}
	}
}

func TestI8_SecretsAreCutOutOfLogs(t *testing.T) {
	env := map[string]string{
		"AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
		"GOOGLE_CREDENTIALS":    "{\n  \"private_key\": \"abcdef\"\n}",
		"TF_VAR_pin":            "314159",
		"TF_VAR_region":         "eu-west-1",
		"TF_VAR_api_token":      "short",
		"HTTPS_PROXY":           "http://user:prox-pass@proxy:3128",
		"AWS_REGION":            "eu-central-1",
	}
	var log bytes.Buffer
	l := NewLog(&log, Secrets(env, map[string]bool{"pin": true}))
	stream := l.lines()
	said := "key wJalrXUtnFEMI pin 314159 in eu-west-1 and eu-central-1, short\n  \"private_key\": \"abcdef\"\nby prox-pass and no end wJalrXUtnFEMI"
	for _, r := range said { // in the smallest pieces that a pipe may hold
		if _, err := io.WriteString(stream, string(r)); err != nil {
			t.Fatal(err)
		}
	}
	stream.flush()
	want := "key (sensitive) pin (sensitive) in eu-west-1 and eu-central-1, short\n(sensitive)\nby (sensitive) and no end (sensitive)"
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestClipKeepsBothEnds(t *testing.T) {
	for _, size := range []int{0, 10, 99, 100, 101, 1000, 10000} {
		c := &Clip{Max: 100}
		text := strings.Repeat("0123456789", size/10) + strings.Repeat("x", size%10)
		for rest := text; rest != ""; {
			n := min(7, len(rest))
			if _, err := io.WriteString(c, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		got := c.String()
		if size <= 100 {
			if got != text {
				t.Errorf("%d bytes: got %q", size, got)
			}
			continue
		}
		want := fmt.Sprintf("%s\n[… %d bytes left out …]\n%s", text[:50], size-100, text[size-50:])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d bytes (-want +got):\n%s", size, diff)
		}
	}
}
