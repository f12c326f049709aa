// Package stage sets the scene for measurements: a GitHub, a weir that serves it
// as a process of its own, and what people do there.
package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"weir/integration/sandbox"
)

// Secret signs deliveries.
const Secret = "a webhook secret"

// Patience is how long anything may take before it is called broken.
const Patience = 3 * time.Minute

// Config says what is measured.
type Config struct {
	Dir     string   // for all that is kept; the world makes a directory of its own below, and leaves it there
	Serve   []string // the command that serves
	Environ []string // of it, beside what the world sets
	Owner   string   // whose repositories there are
}

// World is a GitHub and, while it runs, a weir that serves it. It is for one
// goroutine.
type World struct {
	Box *sandbox.Sandbox
	Dir string   // removed by Close
	Env []string // of weir, at its next start
	URL string   // of weir

	owner string
	serve []string
	next  int // number of the next data directory or branch
	data  string
	proc  *exec.Cmd
	ended chan error // gets how the process ended
}

// New starts a sandbox with an App. weir does not run yet.
func New(c Config) (*World, error) {
	dir, err := os.MkdirTemp(c.Dir, "world-")
	if err != nil {
		return nil, err
	}
	w := &World{Dir: dir, serve: c.Serve, owner: c.Owner}
	if w.Box, err = sandbox.Start(sandbox.Config{Dir: filepath.Join(dir, "github"), App: &sandbox.App{}, MergeableAtOnce: true}); err != nil {
		return nil, err
	}
	key := filepath.Join(dir, "app.pem")
	if err := os.WriteFile(key, w.Box.AppKey(), 0o600); err != nil {
		return nil, err
	}
	app, _ := w.Box.App()
	w.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "WEIR_GITHUB_BASE_URL=" + w.Box.APIURL(), "WEIR_GITHUB_WEBHOOK_SECRET=" + Secret,
		"WEIR_REPOS=" + c.Owner + "/*",
		"WEIR_GITHUB_APP_ID=" + strconv.FormatInt(app.ID, 10), "WEIR_GITHUB_APP_PRIVATE_KEY_FILE=" + key,
	}, c.Environ...)
	return w, nil
}

// Beside returns a world with the same GitHub, in which another weir can run.
// Only the first world is to be closed, after the others were stopped.
func (w *World) Beside() *World {
	return &World{Box: w.Box, Dir: w.Dir, Env: slices.Clone(w.Env), owner: w.owner, serve: w.serve}
}

// Close ends weir and the sandbox. What they kept stays in Dir.
func (w *World) Close() error { return errors.Join(w.Stop(), w.Box.Close()) }

// Repo makes a repository whose people are alice, who writes, and bob, who
// reviews.
func (w *World) Repo(name string, files map[string]string) (string, error) {
	if _, err := w.Box.CreateRepo(w.owner, name, files); err != nil {
		return "", err
	}
	full := w.owner + "/" + name
	for _, login := range []string{"alice", "bob"} {
		if err := w.Box.Grant(full, login, "write"); err != nil {
			return "", err
		}
	}
	return full, nil
}

// Install installs the App, once the owner has a repository.
func (w *World) Install() error {
	_, err := w.Box.Install(w.owner)
	return err
}

// Fresh starts weir with nothing of an earlier time.
func (w *World) Fresh(ctx context.Context) error {
	w.next++
	return w.Start(ctx, filepath.Join(w.Dir, "weir-"+strconv.Itoa(w.next)))
}

// Start starts weir on a data directory, waits until it is ready, and has
// GitHub deliver to it.
func (w *World) Start(ctx context.Context, data string) error {
	if _, err := w.Launch(ctx, data); err != nil {
		return err
	}
	w.Hear()
	return w.Quiet(ctx)
}

// Hear has GitHub deliver to this weir from now on, and to no other.
func (w *World) Hear() { w.Box.SetHook(sandbox.Hook{URL: w.URL + "/webhook", Secret: Secret}) }

// Launch starts weir, and returns how long it took from the start of the
// process to the first answer that it is ready.
func (w *World) Launch(ctx context.Context, data string) (time.Duration, error) {
	address, err := freeAddress()
	if err != nil {
		return 0, err
	}
	w.URL, w.data = "http://"+address, data
	out, err := os.OpenFile(data+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(w.serve[0], w.serve[1:]...) // ended by Stop, kindly
	cmd.Env = append(slices.Clone(w.Env), "WEIR_LISTEN="+address, "WEIR_DATA_DIR="+data)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, errors.Join(err, out.Close())
	}
	ended := make(chan error, 1)
	w.proc, w.ended = cmd, ended
	go func() { ended <- errors.Join(cmd.Wait(), out.Close()) }()
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for {
		if status, _, err := get(ctx, w.URL+"/readyz"); err == nil && status == http.StatusOK {
			return time.Since(began), nil
		}
		select {
		case err := <-ended:
			ended <- err
			return 0, fmt.Errorf("weir ended instead of starting: %w\n%s", err, w.Tail())
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-tick.C:
		}
		if time.Since(began) > Patience {
			return 0, fmt.Errorf("weir is not ready after %s\n%s", Patience, w.Tail())
		}
	}
}

// Stop ends weir kindly.
func (w *World) Stop() error { return w.end(syscall.SIGTERM) }

// Kill ends weir as a power cut does, and returns its data directory.
func (w *World) Kill() (data string, err error) { return w.data, w.end(syscall.SIGKILL) }

func (w *World) end(sig syscall.Signal) error {
	if w.proc == nil {
		return nil
	}
	_ = w.proc.Process.Signal(sig) // it may have ended
	err := <-w.ended
	w.proc = nil
	if sig == syscall.SIGKILL {
		return nil // how else should it have ended
	}
	if err != nil {
		return fmt.Errorf("weir ended: %w\n%s", err, w.Tail())
	}
	return nil
}

// Tail is the end of weir's log.
func (w *World) Tail() string {
	text, err := os.ReadFile(w.data + ".log")
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// Quiet waits until every delivery has been answered and no job is left.
func (w *World) Quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, Patience, fmt.Errorf("not quiet after %s", Patience))
	defer cancel()
	if err := w.Box.WaitDelivered(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, text, err := get(ctx, w.URL+"/metrics")
		if err == nil && bytes.Contains(text, []byte("\nweir_jobs_pending 0\n")) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for weir to be quiet: %w\n%s", context.Cause(ctx), w.Tail())
		}
	}
}

// Planned is a pull request and what its plan took.
type Planned struct {
	Pull  sandbox.Pull
	Head  string
	Took  time.Duration  // from the delivery that caused it to the comment
	Calls []sandbox.Call // from then until nothing was left to do
}

// Change pushes files to a new branch and opens a pull request of it, which is
// Planned.
func (w *World) Change(ctx context.Context, repo string, files map[string]string) (Planned, error) {
	branch, err := w.branch(repo, files)
	if err != nil {
		return Planned{}, err
	}
	return w.time(ctx, repo, func() (sandbox.Pull, error) {
		return w.Box.OpenPull("alice", sandbox.NewPull{Repo: repo, Head: branch, Title: "Change"})
	})
}

// Open pushes files to a new branch and opens a pull request of it, without
// waiting for anything.
func (w *World) Open(repo string, files map[string]string) (Planned, error) {
	branch, err := w.branch(repo, files)
	if err != nil {
		return Planned{}, err
	}
	pull, err := w.Box.OpenPull("alice", sandbox.NewPull{Repo: repo, Head: branch, Title: "Change"})
	return Planned{Pull: pull, Head: w.Box.Branch(repo, branch)}, err
}

func (w *World) branch(repo string, files map[string]string) (string, error) {
	w.next++
	branch := "change-" + strconv.Itoa(w.next)
	_, err := w.Box.Push(sandbox.Change{Repo: repo, Branch: branch, As: "alice", Message: "Change", Files: files})
	return branch, err
}

// Push pushes a further commit to a pull request, which is planned.
func (w *World) Push(ctx context.Context, p sandbox.Pull, files map[string]string) (Planned, error) {
	repo := p.Repo.FullName()
	return w.time(ctx, repo, func() (sandbox.Pull, error) {
		if _, err := w.Box.Push(sandbox.Change{Repo: repo, Branch: p.HeadRef, As: "alice", Message: "Change", Files: files}); err != nil {
			return p, err
		}
		return w.Box.Pull(repo, p.Number)
	})
}

// time does what causes a plan and waits for its end, which is to be a success.
func (w *World) time(ctx context.Context, repo string, cause func() (sandbox.Pull, error)) (Planned, error) {
	if err := w.Quiet(ctx); err != nil {
		return Planned{}, err
	}
	w.Box.ResetCalls()
	before := len(w.Box.Deliveries())
	pull, err := cause()
	if err != nil {
		return Planned{}, err
	}
	result := Planned{Pull: pull, Head: w.Box.Branch(repo, pull.HeadRef)}
	if err := w.Success(ctx, result, "weir/plan"); err != nil {
		return Planned{}, err
	}
	if err := w.Quiet(ctx); err != nil {
		return Planned{}, err
	}
	result.Calls = ofJobs(w.Box.Calls())
	began, ended, err := span(w.Box.Deliveries()[before:], result.Calls)
	result.Took = ended.Sub(began)
	return result, err
}

// span finds when GitHub began to deliver the event that caused a plan, and
// when it had answered the last call that wrote a comment.
func span(deliveries []sandbox.Delivery, calls []sandbox.Call) (began, ended time.Time, err error) {
	i := slices.IndexFunc(deliveries, func(d sandbox.Delivery) bool { return d.Event == "pull_request" })
	if i < 0 {
		return began, ended, errors.New("nothing was delivered about the pull request")
	}
	began = deliveries[i].Delivered.Add(-deliveries[i].Duration)
	for _, c := range calls {
		if c.Status == http.StatusCreated && strings.HasSuffix(c.Route, "/issues/{number}/comments") {
			ended = c.At.Add(c.Took)
		}
	}
	if ended.IsZero() {
		return began, ended, errors.New("no comment was written")
	}
	return began, ended, nil
}

// Away closes a pull request and waits until its locks are free.
func (w *World) Away(ctx context.Context, p sandbox.Pull) error {
	if err := w.Box.ClosePull("alice", p.Repo.FullName(), p.Number); err != nil {
		return err
	}
	return w.Quiet(ctx)
}

// Apply approves what was planned and returns the calls that followed, and the
// time until all was applied.
func (w *World) Apply(ctx context.Context, p Planned) ([]sandbox.Call, time.Duration, error) {
	w.Box.ResetCalls()
	began := time.Now()
	if _, err := w.Box.Review("bob", p.Pull.Repo.FullName(), p.Pull.Number, "APPROVE", "Fine."); err != nil {
		return nil, 0, err
	}
	if err := w.Success(ctx, p, "weir/apply"); err != nil {
		return nil, 0, err
	}
	took := time.Since(began)
	err := w.Quiet(ctx)
	return ofJobs(w.Box.Calls()), took, err
}

// Success waits until a check of a pull request's head has succeeded.
func (w *World) Success(ctx context.Context, p Planned, check string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, Patience, fmt.Errorf("no success after %s", Patience))
	defer cancel()
	if _, err := w.Box.WaitCheck(ctx, p.Pull.Repo.FullName(), p.Head, check, "success"); err != nil {
		return fmt.Errorf("%w\n%s", err, w.Tail())
	}
	return nil
}

func get(ctx context.Context, url string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, errors.Join(err, resp.Body.Close())
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// ofJobs leaves out what weir asks when it compares itself with GitHub, at its
// start and now and again.
func ofJobs(calls []sandbox.Call) []sandbox.Call {
	return slices.DeleteFunc(calls, func(c sandbox.Call) bool {
		return strings.HasPrefix(c.Path, "/app/hook/") || c.Path == "/installation/repositories" ||
			c.Method == "GET" && strings.HasPrefix(c.Path, "/repos/") && strings.HasSuffix(c.Path, "/pulls")
	})
}
