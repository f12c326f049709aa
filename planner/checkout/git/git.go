// Package git runs git so that nothing but its arguments decides what it does,
// and no secret can be read anywhere but in its memory.
package git

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Program is the git that is run.
type Program struct {
	Path    string        // empty: git in the PATH
	Home    string        // absolute; a directory of git's own, for this user only
	Stall   time.Duration // a transfer that is silent for so long has failed; 0: 3 minutes
	Askpass bool          // give credentials by a program to ask, also where there is a better way

	wait time.Duration // for an interrupted git to end; 0: 10 seconds
}

// Call is one run of git.
type Call struct {
	Dir      string // the repository; empty: none
	WorkTree string
	Index    string
	Config   []string // further key=value
	Args     []string
	Stdin    string
	Env      []string
	Remote   *Remote // nil: the run may not use the network
	Limit    int64   // of output, in bytes; 0: none
}

// hardening is the configuration of every run. Neither the user's nor the
// system's configuration is read, so that no filter driver, hook, helper or
// rewritten URL exists but those that stand here.
var hardening = []string{
	"core.hooksPath=/dev/null",
	"core.attributesFile=/dev/null",
	"core.fsmonitor=false",
	"core.untrackedCache=false", // it trusts times that a plan can set
	"core.symlinks=true",
	"core.fileMode=true",
	"core.autocrlf=false",
	"core.protectHFS=true",
	"core.protectNTFS=true",
	"core.logAllRefUpdates=false",
	"core.quotePath=false",
	"submodule.recurse=false",
	"credential.helper=",
	"gc.auto=0",
	"maintenance.auto=false",
}

// passed are the variables of the server that a run which uses the network
// gets too: how to reach the outside, nothing else.
var passed = []string{
	"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH",
}

// command builds the arguments and the environment of a run.
func (p *Program) command(c Call) (args, env []string) {
	for _, kv := range hardening {
		args = append(args, "-c", kv)
	}
	env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.Home, "LC_ALL=C", "TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_ATTR_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_NO_REPLACE_OBJECTS=1",
	}
	if c.Dir != "" {
		env = append(env, "GIT_DIR="+c.Dir)
	}
	if c.WorkTree != "" {
		env = append(env, "GIT_WORK_TREE="+c.WorkTree)
	}
	if c.Index != "" {
		env = append(env, "GIT_INDEX_FILE="+c.Index)
	}
	allowed, global := "none", "GIT_CONFIG_GLOBAL=/dev/null"
	if c.Remote != nil {
		stall := max(cmp.Or(p.Stall, 3*time.Minute)/time.Second, 1)
		args = append(args,
			"-c", "http.followRedirects=false", // a redirect could lead the credentials, or us, to another host
			"-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime="+strconv.Itoa(int(stall)),
			"-c", "protocol.version=2",
		)
		allowed = c.Remote.Protocol
		for _, name := range passed {
			if v := os.Getenv(name); v != "" {
				env = append(env, name+"="+v)
			}
		}
		env = append(env, certificates()...)
		if c.Remote.secret != nil {
			for _, kv := range c.Remote.secret.env {
				if strings.HasPrefix(kv, "GIT_CONFIG_GLOBAL=") {
					global = ""
				}
				env = append(env, kv)
			}
		}
	}
	env = append(env, "GIT_ALLOW_PROTOCOL="+allowed)
	if global != "" {
		env = append(env, global)
	}
	for _, kv := range c.Config {
		args = append(args, "-c", kv)
	}
	return append(args, c.Args...), append(env, c.Env...)
}

// certificates translates Go's variables for own certificate authorities, so
// that whoever has made the server trust a host has made git trust it too.
func certificates() (env []string) {
	for from, to := range map[string]string{"SSL_CERT_FILE": "GIT_SSL_CAINFO", "SSL_CERT_DIR": "GIT_SSL_CAPATH"} {
		v := os.Getenv(from)
		if v != "" && os.Getenv(to) == "" && !strings.Contains(v, ":") {
			env = append(env, to+"="+v)
		}
	}
	return env
}

// Run runs git and returns what it printed. The end of ctx interrupts git and
// everything that it started, and kills what is still there ten seconds later.
// A failure of git itself is an *Error.
func (p *Program) Run(ctx context.Context, c Call) (string, error) {
	if c.Remote != nil {
		if err := p.authorise(ctx, c.Remote); err != nil {
			return "", err
		}
	}
	args, env := p.command(c)
	cmd := exec.CommandContext(ctx, cmp.Or(p.Path, "git"), args...)
	cmd.Env = env
	cmd.Dir = p.Home // never where somebody else's .git could be
	if c.WorkTree != "" {
		cmd.Dir = c.WorkTree
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &limited{to: &out, left: c.Limit, on: c.Limit > 0}, &head{to: &errs}
	if c.Stdin != "" {
		cmd.Stdin = strings.NewReader(c.Stdin)
	}
	if c.Remote != nil && c.Remote.secret != nil {
		file, err := c.Remote.secret.open()
		if err != nil {
			return "", err
		}
		defer file.Close() // nothing was written
		cmd.ExtraFiles = []*os.File{file}
	}
	cmd.SysProcAttr = processGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = cmp.Or(p.wait, 10*time.Second)

	// The kernel ends git when the thread that started it ends.
	runtime.LockOSThread()
	err := cmd.Run()
	runtime.UnlockOSThread()

	if ctx.Err() != nil {
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // none left is what we want
		}
		return "", fmt.Errorf("git %s: %w", c.Args[0], context.Cause(ctx))
	}
	if err == nil {
		return out.String(), nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return "", fmt.Errorf("git %s: %w", c.Args[0], err)
	}
	return out.String(), &Error{verb: c.Args[0], exit: exit.ExitCode(), text: c.Remote.redact(once(errs.String()))}
}

// once leaves out lines that were there before: git repeats some hundreds of
// times.
func once(text string) string {
	seen := map[string]bool{}
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !seen[line] {
			seen[line] = true
			b.WriteString(line)
		}
	}
	return b.String()
}

// Error is git's own word on why it failed, without secrets.
type Error struct {
	verb string
	exit int // -1: by a signal
	text string
}

func (e *Error) Error() string {
	text := strings.TrimSpace(e.text)
	if e.exit < 0 {
		return strings.TrimSpace(fmt.Sprintf("git %s was killed; the machine may be out of memory. %s", e.verb, text))
	}
	if text == "" {
		text = "no message"
	}
	return fmt.Sprintf("git %s: exit status %d: %s", e.verb, e.exit, text)
}

// Unwrap tells a full disk from other failures.
func (e *Error) Unwrap() error {
	if strings.Contains(e.text, "No space left on device") || strings.Contains(e.text, "Disk quota exceeded") {
		return syscall.ENOSPC
	}
	return nil
}

// ExitCode is git's exit status; 0 for errors that are not git's.
func ExitCode(err error) int {
	var g *Error
	if errors.As(err, &g) {
		return g.exit
	}
	return 0
}

// Says looks for any of the texts in what git said.
func Says(err error, texts ...string) bool {
	var g *Error
	if !errors.As(err, &g) {
		return false
	}
	for _, s := range texts {
		if strings.Contains(g.text, s) {
			return true
		}
	}
	return false
}

// damaged matches what git says of a repository that lacks or cannot decode
// something of its own, for which fetching it anew is the cure.
var damaged = regexp.MustCompile(`not a git repository|is corrupt|corrupt loose object|loose object .* is empty|object file .* is empty` +
	`|inflate: |unable to unpack|unable to read |unable to find |could not read |Could not read |bad object |bad tree object|missing (blob|tree|commit|object)` +
	`|hash mismatch|packfile .* (cannot be|does not match|claims)|far too short|is too small|/objects/|bad pack` +
	`|wrong index v|non-monotonic index|unresolved deltas|did not send all necessary objects|does not point to a valid object` +
	`|remote did not send|error in object|unable to parse|not valid: is this a git repository|bad config|invalid object|in .*packed-refs|failed to traverse parents|unable to load`)

// IsDamage says whether err comes from a broken mirror rather than from what
// surrounds it.
func IsDamage(err error) bool {
	var g *Error
	if !errors.As(err, &g) || g.exit < 0 || errors.Is(err, syscall.ENOSPC) {
		return false
	}
	for _, other := range []string{
		"Too many open files", "Cannot allocate memory", "Permission denied", "Read-only file system",
		"Username", "Password", "RPC failed", "remote error", "unable to access", "Out of memory", "out of memory",
	} {
		if strings.Contains(g.text, other) {
			return false
		}
	}
	for line := range strings.Lines(g.text) {
		if !strings.HasPrefix(line, "remote: ") && !strings.Contains(line, "from remote repository") && damaged.MatchString(line) {
			return true
		}
	}
	return false
}

// blocked matches what git says of a lock that it does not get, and of a
// reference that is not whole.
var blocked = regexp.MustCompile(`(\.lock'?|packed-refs\.new'?): File exists|unable to resolve reference .*: reference broken|gc is already running`)

// IsBlocked says whether git found a lock, which another git holds or has left
// when it was killed, or a reference that is broken.
func IsBlocked(err error) bool {
	var g *Error
	return errors.As(err, &g) && blocked.MatchString(g.text)
}

// limited fails the run that prints more than allowed.
type limited struct {
	to   io.Writer
	left int64
	on   bool
}

var errTooLarge = errors.New("it is too large")

func (l *limited) Write(p []byte) (int, error) {
	if l.on {
		if l.left -= int64(len(p)); l.left < 0 {
			return 0, errTooLarge
		}
	}
	return l.to.Write(p)
}

// head keeps the beginning of what a failing git says, and drops what a
// server adds without end.
type head struct{ to *bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	const most = 8 << 10
	if room := most - h.to.Len(); room > 0 {
		h.to.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// CheckVersion refuses a git that cannot merge without a worktree.
func (p *Program) CheckVersion(ctx context.Context) error {
	out, err := p.Run(ctx, Call{Args: []string{"version"}})
	if err != nil {
		return fmt.Errorf("find git: %w", err)
	}
	return wantVersion(out)
}

func wantVersion(out string) error {
	var major, minor int
	if _, err := fmt.Sscanf(out, "git version %d.%d", &major, &minor); err != nil {
		return fmt.Errorf("cannot read git's version from %q", strings.TrimSpace(out))
	}
	if major < 2 || major == 2 && minor < 38 {
		return fmt.Errorf("git %d.%d is too old: merging without a worktree needs git 2.38 or newer", major, minor)
	}
	return nil
}
