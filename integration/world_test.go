package integration

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/integration/sandbox"
	"weir/server"
	"weir/server/config"
	"weir/store"
)

// serveEnv makes the test binary be the server: for tests that kill it.
const serveEnv = "INTEGRATION_SERVE"

// raceEnv gives the race detector of a process what ours was given, such as how
// long an end takes.
func raceEnv() string { return "GORACE=" + os.Getenv("GORACE") }

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err := dieServe(ctx)
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const (
	repo   = "acme/infra"
	secret = "a webhook secret"
)

// world is a sandbox and a weir that serves it.
type world struct {
	t       *testing.T
	box     *sandbox.Sandbox
	dir     string
	env     []string // of weir
	url     string
	log     *lockedBuffer
	stop    func() // ends weir kindly
	options []server.Option
	proc    *exec.Cmd
	config  string // file of the configuration
}

// setup says what differs from the usual world.
type setup struct {
	files    map[string]string // of acme/infra; nil: one project in prod
	config   []string          // further WEIR_ variables
	file     string            // configuration in YAML; not for a process
	token    bool              // speak to GitHub with a token rather than as an App
	gate     bool              // run terraform through a script that waits, see world.hold
	process  bool              // run weir as a process of its own
	noServer bool
	store    func(store.Store) store.Store // stands between weir and its store; not for a process
	sandbox  sandbox.Config
}

// appKey is the key of every App: making one takes as long as a plan.
var appKey = sync.OnceValue(func() []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // it never is
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
})

func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	needTerraform(t)
	w := &world{t: t, dir: t.TempDir(), log: &lockedBuffer{}}
	if s.store != nil {
		w.options = append(w.options, server.WithStore(s.store))
	}
	s.sandbox.Dir = filepath.Join(w.dir, "github")
	if !s.token {
		s.sandbox.App = &sandbox.App{Key: appKey()}
	}
	s.sandbox.MergeableAtOnce = true
	box, err := sandbox.Start(s.sandbox)
	if err != nil {
		t.Fatal(err)
	}
	w.box = box
	t.Cleanup(func() {
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	})
	if s.files == nil {
		s.files = map[string]string{"prod/main.tf": w.project("prod", `resource "terraform_data" "a" { input = "one" }`)}
	}
	w.createRepo("infra", s.files)
	if s.token {
		w.do(box.Grant(repo, "weir-machine", "admin"))
	} else {
		_, err := box.Install("acme")
		w.do(err)
	}
	w.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + t.TempDir(),
		"WEIR_LISTEN=127.0.0.1:0", "WEIR_DATA_DIR=" + filepath.Join(w.dir, "weir"), "WEIR_GITHUB_BASE_URL=" + box.APIURL(),
		"WEIR_GITHUB_WEBHOOK_SECRET=" + secret, "WEIR_REPOS=acme/infra", "WEIR_LOG_LEVEL=debug",
	}
	if s.token {
		w.env = append(w.env, "WEIR_GITHUB_TOKEN="+box.Token("weir-machine"))
	} else {
		key := filepath.Join(w.dir, "app.pem")
		w.do(os.WriteFile(key, box.AppKey(), 0o600))
		app, _ := box.App()
		w.env = append(w.env, "WEIR_GITHUB_APP_ID="+strconv.FormatInt(app.ID, 10), "WEIR_GITHUB_APP_PRIVATE_KEY_FILE="+key)
	}
	if s.gate {
		w.env = append(w.env, "WEIR_TERRAFORM_BINARY="+w.gateScript())
	}
	w.env = append(w.env, s.config...)
	if s.file != "" {
		w.config = filepath.Join(w.dir, "weir.conf")
		w.do(os.WriteFile(w.config, []byte(s.file), 0o600))
	}
	t.Cleanup(func() {
		w.raced(w.log)
		if t.Failed() {
			t.Logf("weir's log:\n%s", w.log)
		}
	})
	t.Cleanup(w.end)
	switch {
	case s.noServer:
	case s.process:
		w.startProcess()
	default:
		w.start()
	}
	return w
}

// raced fails the test if a process has logged a data race.
func (w *world) raced(log *lockedBuffer) {
	if _, race, found := strings.Cut(log.String(), "WARNING: DATA RACE"); found {
		w.t.Errorf("data race:%s", race[:min(len(race), 5000)])
	}
}

func (w *world) createRepo(name string, files map[string]string) {
	w.t.Helper()
	_, err := w.box.CreateRepo("acme", name, files)
	w.do(err)
	for login, right := range map[string]sandbox.Permission{"alice": "write", "bob": "write", "carol": "write", "eve": "read"} {
		w.do(w.box.Grant("acme/"+name, login, right))
	}
}

// project is the code of a project whose state is kept beside the world.
func (w *world) project(name, code string) string {
	return fmt.Sprintf("terraform {\n  backend \"local\" {\n    path = %q\n  }\n}\n\n%s\n", w.state(name), code)
}

func (w *world) state(name string) string {
	return filepath.Join(w.dir, "states", strings.ReplaceAll(name, "/", "-")+".tfstate")
}

// stateHolds waits until a state holds a text, and returns the state.
func (w *world) stateOf(name string) string {
	data, err := os.ReadFile(w.state(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	return string(data)
}

func (w *world) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// start runs weir in this process.
func (w *world) start() {
	w.t.Helper()
	cfg, _, err := config.Load(w.config, w.env)
	w.do(err)
	srv, err := server.New(w.t.Context(), cfg, w.env, "test", slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: cfg.Level()})), w.options...)
	w.do(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("weir ended with %v", err)
		}
	})
	w.serveAt(srv.URL())
}

// startProcess runs weir as a process of its own, which can be killed.
func (w *world) startProcess() {
	w.t.Helper()
	self, err := os.Executable()
	w.do(err)
	cmd := exec.Command(self)
	cmd.Env = append(slices.Clone(w.env), serveEnv+"=1", raceEnv())
	if w.url != "" { // the same port again, so that deliveries find it
		cmd.Env = append(cmd.Env, "WEIR_LISTEN="+strings.TrimPrefix(w.url, "http://"))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StderrPipe()
	w.do(err)
	w.do(cmd.Start())
	w.proc = cmd
	ready := make(chan string, 1)
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		w.log.copyFrom(out, ready)
	}()
	w.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		<-copied
		_ = cmd.Wait()
	})
	select {
	case address := <-ready:
		w.serveAt("http://" + address)
	case <-copied:
		w.t.Fatalf("weir did not start:\n%s", w.log)
	case <-time.After(30 * time.Second):
		w.t.Fatal("weir is not ready after 30 seconds")
	}
}

// kill ends weir as a power cut does, terraform with it if all is set.
func (w *world) kill(all bool) {
	w.t.Helper()
	if all {
		// It must not see that they die, which it would tell. Terraform runs in
		// process groups of its own.
		_ = syscall.Kill(w.proc.Process.Pid, syscall.SIGSTOP) // it is ours, and not waited for
		killChildren(w.t, w.proc.Process.Pid)
	}
	w.do(w.proc.Process.Kill())
	w.stop()
}

func (w *world) end() {
	if w.stop != nil {
		w.open("plan")
		w.open("apply")
		w.stop()
	}
}

func (w *world) serveAt(url string) {
	if w.url == url {
		return
	}
	w.url = url
	w.box.SetHook(sandbox.Hook{URL: url + "/webhook", Secret: secret})
}

// gateScript is a terraform that writes a line for each call and, while the
// file hold-VERB exists, waits before it does VERB.
func (w *world) gateScript() string {
	program, err := exec.LookPath("terraform")
	if err != nil {
		program, err = exec.LookPath("tofu")
	}
	w.do(err)
	// Terraform may make files only in a directory that holds nothing of
	// weir's own.
	w.do(os.MkdirAll(w.gateDir(), 0o700))
	name := filepath.Join(w.dir, "terraform")
	w.do(os.WriteFile(name, []byte(fmt.Sprintf(`#!/bin/sh
echo "$1" >> %[1]q/calls
if [ -e %[1]q/hold-"$1" ]; then
  touch %[1]q/held-"$1"
  while [ -e %[1]q/hold-"$1" ]; do sleep 0.02; done
fi
exec %[2]q "$@"
`, w.gateDir(), program)), 0o700))
	return name
}

func (w *world) gateDir() string { return filepath.Join(w.dir, "gate") }

// hold makes terraform wait before it does verb; open lets it go on.
func (w *world) hold(verb string) {
	w.t.Helper()
	_ = os.Remove(filepath.Join(w.gateDir(), "held-"+verb)) // of an earlier time
	w.do(os.WriteFile(filepath.Join(w.gateDir(), "hold-"+verb), nil, 0o600))
}

func (w *world) open(verb string) {
	_ = os.Remove(filepath.Join(w.gateDir(), "hold-"+verb)) // it may not be held
}

// held waits until terraform stands before verb.
func (w *world) held(verb string) {
	w.t.Helper()
	w.until("terraform stands before "+verb, func() bool {
		_, err := os.Stat(filepath.Join(w.gateDir(), "held-"+verb))
		return err == nil
	})
}

// calls counts what terraform was asked to do.
func (w *world) calls(verb string) int {
	data, err := os.ReadFile(filepath.Join(w.gateDir(), "calls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		if strings.TrimSpace(line) == verb {
			n++
		}
	}
	return n
}

// until waits for something that announces itself to nobody.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			w.t.Fatalf("waited a minute in vain: %s", what)
		case <-tick.C:
		}
	}
}

// patience bounds a wait for an event.
func (w *world) patience() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), 60*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

// push commits files to a branch, which is made of main if it is new.
func (w *world) push(branch string, files map[string]string) string {
	w.t.Helper()
	sha, err := w.box.Push(sandbox.Change{Repo: repo, Branch: branch, As: "alice", Message: "Change " + branch, Files: files})
	w.do(err)
	return sha
}

// open1 pushes a branch and opens a pull request of it.
func (w *world) pull(branch string, files map[string]string) sandbox.Pull {
	w.t.Helper()
	w.push(branch, files)
	p, err := w.box.OpenPull("alice", sandbox.NewPull{Repo: repo, Head: branch, Title: "Change " + branch})
	w.do(err)
	return p
}

func (w *world) review(as string, p sandbox.Pull, state string) {
	w.t.Helper()
	_, err := w.box.Review(as, repo, p.Number, state, "Because.")
	w.do(err)
}

func (w *world) say(as string, p sandbox.Pull, body string) {
	w.t.Helper()
	_, err := w.box.Comment(as, repo, p.Number, body)
	w.do(err)
}

func (w *world) merge(p sandbox.Pull) {
	w.t.Helper()
	_, err := w.box.Merge("alice", repo, p.Number, "")
	w.do(err)
}

// comment waits for a comment of weir's of a kind that holds all of what.
func (w *world) comment(p sandbox.Pull, kind string, what ...string) sandbox.Comment {
	w.t.Helper()
	c, err := w.box.WaitComment(w.patience(), repo, p.Number, kind+" comment with "+strings.Join(what, ", "), func(c sandbox.Comment) bool {
		return isKind(c, kind) && !slices.ContainsFunc(what, func(s string) bool { return !strings.Contains(c.Body, s) })
	})
	if err != nil {
		for _, c := range w.comments(p) {
			w.t.Logf("comment of %s:\n%s", c.Author.Login, c.Body)
		}
		w.t.Fatal(err)
	}
	return c
}

func isKind(c sandbox.Comment, kind string) bool {
	return strings.HasPrefix(c.Body, "<!-- weir kind="+kind+" ")
}

func (w *world) comments(p sandbox.Pull) []sandbox.Comment {
	w.t.Helper()
	all, err := w.box.Comments(repo, p.Number)
	w.do(err)
	return all
}

// count says how many comments of a kind there are.
func (w *world) count(p sandbox.Pull, kind string) int {
	n := 0
	for _, c := range w.comments(p) {
		if isKind(c, kind) {
			n++
		}
	}
	return n
}

// check waits for a check of a commit.
func (w *world) check(sha, name, conclusion string) sandbox.CheckRun {
	w.t.Helper()
	run, err := w.box.WaitCheck(w.patience(), repo, sha, name, conclusion)
	if err != nil {
		runs, _ := w.box.Checks(repo, sha)
		for _, r := range runs {
			w.t.Logf("check %s: %s %s %q", r.Name, r.Status, r.Conclusion, r.Title)
		}
		w.t.Fatal(err)
	}
	return run
}

// quiet waits until every delivery has been answered and no job is left.
func (w *world) quiet() {
	w.t.Helper()
	w.do(w.box.WaitDelivered(w.patience()))
	w.until("no job is pending", func() bool {
		return strings.Contains(w.get("/metrics"), "\nweir_jobs_pending 0\n")
	})
}

func (w *world) get(path string) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+path, nil)
	w.do(err)
	req.Header.Set("Accept-Encoding", "identity") // it is asked for often
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "" // killed in the middle of its answer
	}
	return string(body)
}

type lockRow struct {
	Repo, Dir, Workspace string
	Pull                 int
	Epoch                int64
	Waiters              []int
}

func (w *world) locks() []lockRow {
	w.t.Helper()
	var body struct{ Locks []lockRow }
	w.do(json.Unmarshal([]byte(w.get("/api/v1/locks")), &body))
	return body.Locks
}

// owner waits until a directory is owned by a pull request, 0 for nobody.
func (w *world) owner(dir string, pull int, waiters ...int) {
	w.t.Helper()
	var last []lockRow
	w.until(fmt.Sprintf("%s is owned by #%d, waited for by %v", dir, pull, waiters), func() bool {
		last = w.locks()
		i := slices.IndexFunc(last, func(l lockRow) bool { return l.Repo == repo && l.Dir == dir })
		if i < 0 {
			return pull == 0
		}
		return last[i].Pull == pull && slices.Equal(last[i].Waiters, waiters)
	})
}

// deliver posts a delivery of our own making and returns the answer's status.
func (w *world) deliver(id, event, signature string, payload []byte) int {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+"/webhook", bytes.NewReader(payload))
	w.do(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Delivery", id)
	req.Header.Set("X-GitHub-Event", event)
	req.Header.Set("X-Hub-Signature-256", signature)
	resp, err := http.DefaultClient.Do(req)
	w.do(err)
	defer resp.Body.Close()
	return resp.StatusCode
}

// lockedBuffer collects a log that several goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// copyFrom copies a server's log and sends where it listens once it says so.
func (b *lockedBuffer) copyFrom(r io.Reader, ready chan<- string) {
	var line []byte
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		_, _ = b.Write(buf[:n])
		line = append(line, buf[:n]...)
		if _, after, ok := strings.Cut(string(line), "msg=ready listen="); ok && strings.Contains(after, " ") && ready != nil {
			address, _, _ := strings.Cut(after, " ")
			ready <- address
			ready = nil
		}
		if err != nil {
			return
		}
	}
}

// needTerraform skips a test where there is no terraform, loudly; in CI that
// is a failure.
func needTerraform(t *testing.T) {
	t.Helper()
	for _, name := range []string{"terraform", "tofu"} {
		if _, err := exec.LookPath(name); err == nil {
			return
		}
	}
	missing(t, "terraform or tofu")
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("CI needs %s", what)
	}
	t.Skipf("SKIPPED, because there is no %s: this test shows nothing here", what)
}

// killChildren kills the processes that weir has started.
func killChildren(t *testing.T, parent int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Skip("SKIPPED: only where there is a /proc can children be found")
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			_ = syscall.Kill(-pid, syscall.SIGKILL) // its process group; it may have ended
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

type pullAPI struct {
	Head     string
	Closed   bool
	Projects []struct {
		ID, State, Run string
		PlanDigest     string `json:"plan_digest"`
		ChangeDigest   string `json:"change_digest"`
	}
}

// pullAPI is what weir's API says of a pull request.
func (w *world) pullAPI(number int) pullAPI {
	w.t.Helper()
	var body pullAPI
	w.do(json.Unmarshal([]byte(w.get(fmt.Sprintf("/api/v1/pulls/%s/%d", repo, number))), &body))
	return body
}
