// Package child runs one terraform process after another: a limit for the
// whole server, an environment built from nothing, a process group that can
// be ended, and output that is watched while it is written.
package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Command is one process, complete: Run adds nothing to it but pipes.
type Command struct {
	Verb string // for people and logs
	Path string
	Args []string // without the program's name
	Dir  string
	Env  []string

	Reach Reach
	Later bool // it can wait: every command that cannot goes first
}

// Outcome is how a process ended by itself.
type Outcome struct {
	Code   int    // exit code; -1 when a signal ended it
	Signal string // that signal
	Stderr string // its beginning and end
}

// Limit runs commands, never more than MaxParallel at once. There is to be
// one in a process. Its fields are not changed after its first use.
type Limit struct {
	MaxParallel int           // 0: one a CPU. Who waits longest is served first
	MaxLater    int           // of them at once that can wait; 0: one
	Grace       time.Duration // between SIGINT and SIGKILL; 0: 30 s
	Log         *slog.Logger  // never nil

	once   sync.Once
	places *places
	loose  sync.Once // that commands are not confined is told once
}

func (l *Limit) slots() *places {
	l.once.Do(func() {
		n := l.MaxParallel
		if n <= 0 {
			n = runtime.NumCPU()
		}
		l.places = &places{free: n, later: max(l.MaxLater, 1)}
	})
	return l.places
}

// StartError says that a command did not run at all.
type StartError struct {
	Verb string
	Err  error
}

func (e *StartError) Error() string { return "start " + e.Verb + ": " + e.Err.Error() }
func (e *StartError) Unwrap() error { return e.Err }

// Reason is what the system said, without paths.
func (e *StartError) Reason() string {
	if errno := syscall.Errno(0); errors.As(e.Err, &errno) {
		return errno.Error()
	}
	return e.Err.Error()
}

const (
	maxStderr    = 64 << 10
	defaultGrace = 30 * time.Second
	// leftOpen is how long output is still read after the process has ended,
	// when something that it left behind holds its pipes open.
	leftOpen = 2 * time.Second
)

// Begin says that commands follow that belong together and cannot wait: none
// that can gets a place between them. It returns what says that they are over,
// which may be called twice.
func (l *Limit) Begin() (end func()) { return l.slots().begin() }

// Run waits for a free place, starts the command in a process group of its
// own, and returns when it has ended. Both streams go to log line by line
// while it runs, stdout to out as well (and to out only when it is data).
//
// When ctx ends, the group is sent SIGINT and, after Grace, SIGKILL; Run
// returns the cause once the process is gone, and nothing of the group is
// left behind. An error means that the command did not run to its own end.
func (l *Limit) Run(ctx context.Context, c Command, out io.Writer, data bool, log *Log) (Outcome, error) {
	if err := l.slots().take(ctx, c.Later); err != nil {
		return Outcome{}, fmt.Errorf("wait to run %s: %w", c.Verb, err)
	}
	defer l.slots().give(c.Later)
	l.loose.Do(func() {
		if !Confines() {
			l.Log.Warn("this kernel does not keep terraform away from weir's own files and processes; Linux 5.19 or newer with Landlock does")
		}
	})
	started := time.Now()

	cmd := &exec.Cmd{
		Path: c.Path, Args: append([]string{c.Path}, c.Args...), Dir: c.Dir, Env: c.Env,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	said := &Clip{Max: maxStderr}
	logs := [2]*lines{log.lines(), log.lines()}
	sinks := [2][]io.Writer{{out}, {said, logs[1]}}
	if !data {
		sinks[0] = append(sinks[0], logs[0])
	}
	var readers, writers [2]*os.File
	var err error
	for i := range readers {
		if readers[i], writers[i], err = os.Pipe(); err != nil {
			closeAll(readers, writers)
			return Outcome{}, fmt.Errorf("run %s: %w", c.Verb, err)
		}
	}
	cmd.Stdout, cmd.Stderr = writers[0], writers[1]
	err = start(cmd, c.Reach)
	closeAll(writers)
	if err != nil {
		closeAll(readers)
		return Outcome{}, &StartError{Verb: c.Verb, Err: err}
	}
	var streams sync.WaitGroup
	for i, read := range readers {
		streams.Go(func() { drain(read, sinks[i]) })
	}

	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	cancelled, err := l.await(ctx, cmd.Process.Pid, ended)

	for _, read := range readers {
		// Pipes of the os package have deadlines; one that had none would
		// merely be read for longer.
		_ = read.SetReadDeadline(time.Now().Add(leftOpen))
	}
	streams.Wait()
	closeAll(readers)
	for _, log := range logs {
		log.flush()
	}
	l.Log.Debug("terraform ran", slog.String("verb", c.Verb), slog.Duration("took", time.Since(started)), slog.Any("error", err))

	if cancelled {
		return Outcome{}, fmt.Errorf("%s: %w", c.Verb, context.Cause(ctx))
	}
	o := Outcome{Stderr: said.String()}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		o.Code = exit.ExitCode()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			o.Signal = status.Signal().String()
		}
		return o, nil
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("wait for %s: %w", c.Verb, err)
	}
	return o, nil
}

// await returns whether ctx ended first, and what Wait returned.
func (l *Limit) await(ctx context.Context, group int, ended <-chan error) (bool, error) {
	select {
	case err := <-ended:
		return false, err
	case <-ctx.Done():
	}
	grace := l.Grace
	if grace <= 0 {
		grace = defaultGrace
	}
	// A group that is gone already cannot be signalled, which is as well.
	_ = syscall.Kill(-group, syscall.SIGINT)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-ended:
		_ = syscall.Kill(-group, syscall.SIGKILL)
		return true, err
	case <-timer.C:
		_ = syscall.Kill(-group, syscall.SIGKILL)
		return true, <-ended
	}
}

// drain copies all there is to every writer, whatever they say: a log that
// cannot be written must not stop a terraform that is at work.
func drain(from io.Reader, to []io.Writer) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		for _, w := range to {
			_, _ = w.Write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

func closeAll(pipes ...[2]*os.File) {
	for _, pair := range pipes {
		for _, f := range pair {
			_ = f.Close() // nothing is buffered; closing a nil file is an error and nothing else
		}
	}
}

// Clip keeps the beginning and the end of what is written to it, each up to
// half of Max bytes.
type Clip struct {
	Max        int
	head, tail []byte
	lost       int
}

func (c *Clip) Write(p []byte) (int, error) {
	rest := p
	if room := c.Max/2 - len(c.head); room > 0 {
		n := min(room, len(rest))
		c.head = append(c.head, rest[:n]...)
		rest = rest[n:]
	}
	c.tail = append(c.tail, rest...)
	if over := len(c.tail) - c.Max/2; over > c.Max/2 {
		c.lost += over
		c.tail = append(c.tail[:0], c.tail[over:]...)
	}
	return len(p), nil
}

func (c *Clip) String() string {
	tail, lost := c.tail, c.lost
	if over := len(tail) - c.Max/2; over > 0 {
		tail, lost = tail[over:], lost+over
	}
	if lost == 0 {
		return string(c.head) + string(tail)
	}
	return fmt.Sprintf("%s\n[… %d bytes left out …]\n%s", c.head, lost, tail)
}

// Log is where the output of a project's commands goes while they run. No
// secret gets into it.
type Log struct {
	mu      sync.Mutex
	to      io.Writer
	secrets *strings.Replacer
}

// NewLog returns a log that writes to w what is left when the secrets are
// replaced. Errors of w are not looked at.
func NewLog(w io.Writer, secrets *strings.Replacer) *Log {
	return &Log{to: w, secrets: secrets}
}

// Say writes one line of our own.
func (l *Log) Say(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.to, line+"\n") // as promised by NewLog
}

func (l *Log) lines() *lines { return &lines{log: l} }

// lines passes on whole lines, so that the streams of a process do not mix
// within one and no secret is passed on in halves.
type lines struct {
	log     *Log
	partial []byte
}

// maxLine is where a line without an end is passed on all the same.
const maxLine = 64 << 10

func (l *lines) Write(p []byte) (int, error) {
	l.log.mu.Lock()
	defer l.log.mu.Unlock()
	l.partial = append(l.partial, p...)
	end := strings.LastIndexByte(string(l.partial), '\n') + 1
	if end == 0 && len(l.partial) > maxLine {
		end = len(l.partial)
	}
	l.pass(end)
	return len(p), nil
}

// flush passes on what has no end of line.
func (l *lines) flush() {
	l.log.mu.Lock()
	defer l.log.mu.Unlock()
	l.pass(len(l.partial))
}

func (l *lines) pass(end int) {
	if end == 0 {
		return
	}
	_, _ = l.log.secrets.WriteString(l.log.to, string(l.partial[:end])) // a log that fails is not the command's failure
	l.partial = append(l.partial[:0], l.partial[end:]...)
}
