package terraform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"weir/planner/terraform/child"
	"weir/planner/terraform/plan"
	"weir/planner/terraform/source"
)

// Runner runs terraform or tofu. All its fields are set before its first use
// and not changed after; it may be used by many goroutines. There is to be one
// in a process, for its limits are its own.
type Runner struct {
	Binary      string          // name on the PATH or path of terraform or tofu
	Env         []string        // patterns of variables that children get of the server's environment; see child.Allowed
	CacheDir    string          // provider plugin cache shared by all projects, absolute; "": none
	TempDir     string          // for what children write and forget; "": the system's
	MaxParallel int             // processes at once; 0: one a CPU. Who waits longest is served first
	MaxLater    int             // of them at once for targets that can wait; 0: one
	Grace       time.Duration   // between SIGINT and SIGKILL; 0: 30 s
	DigestKey   []byte          // secret that keys change digests, so that they do not give sensitive values away to guessing
	Log         *slog.Logger    // nil: nothing is logged
	Environ     func() []string // the server's environment; nil: os.Environ
	Private     []string        // absolute paths of what no child may reach, but for what is its own; see child.Reach. Empty: children reach all files

	once     sync.Once
	children *child.Limit

	missingConfig sync.Once // that it is missing is told once

	busy      sync.Map // name to chan struct{}: see hold
	versions  sync.Map // identity of a binary to its version
	generated sync.Map // path of a lock file that weir had terraform write, to its content
}

func (r *Runner) limit() *child.Limit {
	r.once.Do(func() {
		log := r.Log
		if log == nil {
			log = slog.New(slog.DiscardHandler)
		}
		r.children = &child.Limit{MaxParallel: r.MaxParallel, MaxLater: r.MaxLater, Grace: r.Grace, Log: log}
	})
	return r.children
}

func (r *Runner) environ() []string {
	if r.Environ == nil {
		return os.Environ()
	}
	return r.Environ()
}

func (r *Runner) tempDir() string {
	if r.TempDir == "" {
		return os.TempDir()
	}
	return r.TempDir
}

// hold waits until nobody in this process holds the name and returns the
// function that lets go of it.
func (r *Runner) hold(ctx context.Context, name string) (func(), error) {
	place, _ := r.busy.LoadOrStore(name, make(chan struct{}, 1))
	held := place.(chan struct{}) //nolint:errcheck // nothing else is stored
	select {
	case held <- struct{}{}:
		return func() { <-held }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for %s: %w", name, context.Cause(ctx))
	}
}

// maxText bounds what is kept of a command's standard output.
const maxText = 4 << 20

// project is one target with all that its commands need.
type project struct {
	runner     *Runner
	target     Target
	dir        string // absolute
	binary     binary
	source     *source.Module
	state      string // absolute path to give to terraform; "": its own business
	inherited  map[string]string
	lockBefore []byte // the committed lock file; nil: none
	secrets    *strings.Replacer
	log        *child.Log
	notes      []string
	temp       string // of this run alone; open makes it, close removes it
	end        func() // what begin has begun
}

// begin keeps those that can wait from getting between the commands of a run
// that cannot. While such a run waits for something that one of those may have,
// it has to end that and begin anew.
func (p *project) begin() {
	p.end = func() {}
	if !p.target.Look {
		p.end = p.runner.limit().Begin()
	}
}

// open checks the target and prepares its commands. It starts no process
// unless a version is asked for that is not known yet.
func (r *Runner) open(ctx context.Context, t Target, stage string) (*project, *Failure, error) {
	if t.Workspace == "" {
		t.Workspace = "default"
	}
	if t.Log == nil {
		t.Log = io.Discard
	}
	refuse := func(format string, args ...any) (*project, *Failure, error) {
		return nil, &Failure{Stage: stage, Message: fmt.Sprintf(format, args...)}, nil
	}
	if url.PathEscape(t.Workspace) != t.Workspace || strings.HasPrefix(t.Workspace, "-") {
		return nil, &Failure{Stage: "workspace", Message: fmt.Sprintf("%q cannot be the name of a Terraform workspace", t.Workspace)}, nil
	}
	if problem := checkExtra(t.Extra); problem != "" {
		return refuse("%s", problem)
	}
	if !filepath.IsAbs(t.Root) || !filepath.IsAbs(t.DataDir) {
		return nil, nil, fmt.Errorf("open project %s: checkout %q and data directory %q must be absolute", t.Dir, t.Root, t.DataDir)
	}
	root, err := filepath.EvalSymlinks(t.Root)
	if err != nil {
		return nil, nil, fmt.Errorf("open checkout: %w", err)
	}
	if !filepath.IsLocal(filepath.FromSlash(t.Dir)) {
		return refuse("the directory %q is not inside the repository", t.Dir)
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(root, filepath.FromSlash(t.Dir)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse("the directory %s does not exist", t.Dir)
	case err != nil:
		return nil, nil, fmt.Errorf("open project %s: %w", t.Dir, err)
	case !source.Inside(root, dir):
		return refuse("the directory %s leads out of the repository", t.Dir)
	}
	for _, file := range append(varFiles(t.Extra), t.VarFiles...) {
		if problem := checkVarFile(root, dir, file); problem != "" {
			return refuse("%s", problem)
		}
	}
	problem, err := checkLinks(root, dir, t.Workspace)
	if err != nil {
		return nil, nil, fmt.Errorf("open project %s: %w", t.Dir, err)
	}
	if problem != "" {
		return refuse("%s", problem)
	}
	for _, d := range []string{t.DataDir, r.CacheDir, r.TempDir} {
		if d == "" {
			continue
		}
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, nil, fmt.Errorf("prepare terraform: %w", err)
		}
	}
	p := &project{runner: r, target: t, dir: dir, inherited: r.inherited(), end: func() {}}
	maps.Copy(p.inherited, t.Environ)
	if p.source, err = source.Read(root, dir); err != nil {
		return nil, nil, fmt.Errorf("read project %s: %w", t.Dir, err)
	}
	if p.source.Escapes != "" {
		return refuse("%s leads out of the repository by a symbolic link", p.source.Escapes)
	}
	p.secrets = child.Secrets(p.inherited, p.source.Sensitive)
	p.log = child.NewLog(t.Log, p.secrets)
	if err := p.placeState(); err != nil {
		return nil, nil, err
	}
	var failure *Failure
	if p.binary, failure, err = r.choose(ctx, p); failure != nil || err != nil {
		return nil, failure, err
	}
	if p.temp, err = os.MkdirTemp(r.tempDir(), "tf-"); err != nil {
		return nil, nil, fmt.Errorf("prepare terraform: %w", err)
	}
	return p, nil, nil
}

// close removes what children wrote and forgot. What cannot be removed is left
// to whoever sweeps TempDir.
func (p *project) close() { _ = os.RemoveAll(p.temp) }

// placeState decides where the state of a project without a backend is.
func (p *project) placeState() error {
	if p.source.LostState {
		p.notes = append(p.notes, `the backend "local" keeps the state in the checkout, which is removed with the pull request; give it an absolute path, or use another backend`)
	}
	if p.target.State == "" || p.source.Backend != "" {
		return nil
	}
	own := filepath.Join(p.dir, "terraform.tfstate")
	if p.target.Workspace != "default" {
		own = filepath.Join(p.dir, "terraform.tfstate.d", p.target.Workspace, "terraform.tfstate")
	}
	_, err := os.Lstat(p.target.State)
	if _, committed := os.Lstat(own); errors.Is(err, fs.ErrNotExist) && committed == nil {
		p.notes = append(p.notes, "the state is the file that is committed in the directory; what is applied changes it in weir's checkout only")
		return nil
	}
	p.state = p.target.State
	if err := os.MkdirAll(filepath.Dir(p.state), 0o700); err != nil {
		return fmt.Errorf("prepare state: %w", err)
	}
	return nil
}

// Plan initialises the directory where that is needed, plans, and reads the
// plan. The plan file is left at out, an absolute path outside of the
// checkout, readable by nobody else; there is none unless Plan returns a plan.
// Exactly one of the three results is not nil; an error is the server's
// matter, or ctx has ended. A server that has no terraform, or no room left
// on its disk, is a failure too: only people can help, and they look here.
func (r *Runner) Plan(ctx context.Context, t Target, code Code, out string) (*Plan, *Failure, error) {
	result, failure, err := r.plan(ctx, t, code, out)
	if trouble := r.trouble("plan", err); trouble != nil {
		return nil, trouble, nil
	}
	return result, failure, err
}

func (r *Runner) plan(ctx context.Context, t Target, code Code, out string) (*Plan, *Failure, error) {
	started := time.Now()
	p, failure, err := r.open(ctx, t, "plan")
	if failure != nil || err != nil {
		return nil, failure, err
	}
	defer p.close()
	release, err := r.hold(ctx, t.DataDir)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	p.begin()
	defer func() { p.end() }()
	result, failure, err := p.plan(ctx, code, out)
	if result == nil {
		if gone := os.Remove(out); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("remove plan file: %w", gone))
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("plan %s: %w", t.Dir, err)
	}
	if result != nil {
		result.Took = time.Since(started)
	}
	return result, failure, nil
}

func (p *project) plan(ctx context.Context, code Code, out string) (*Plan, *Failure, error) {
	if failure, err := p.initialise(ctx, initOptions{}); failure != nil || err != nil {
		return nil, failure, err
	}
	var text *child.Clip
	var o child.Outcome
	for reinitialised, created := false, false; ; {
		if err := emptyFile(out); err != nil {
			return nil, nil, err
		}
		text = &child.Clip{Max: maxText}
		var err error
		if o, err = p.run(ctx, p.planCommand(out), text, false); err != nil {
			return nil, nil, err
		}
		failed := o.Code != 0 && o.Code != 2
		switch {
		case failed && !reinitialised && asksForInit(o.Stderr):
			reinitialised = true
			if failure, err := p.initialise(ctx, initOptions{force: true}); failure != nil || err != nil {
				return nil, failure, err
			}
			continue
		case failed && !created && !p.target.Look && lacksWorkspace(o.Stderr):
			created = true
			made, err := p.run(ctx, p.newWorkspaceCommand(), io.Discard, false)
			if err != nil {
				return nil, nil, err
			}
			if made.Code != 0 {
				return nil, p.failure("workspace", made), nil
			}
			continue
		case failed:
			return nil, p.failure("plan", o), nil
		}
		break
	}
	result := &Plan{Text: p.clean(planText(text.String())), Notes: p.notes}
	code = p.source.Fill(code)
	lock := p.lockFile()
	code.Versions, result.Providers = source.Versions(lock), source.LockedProviders(lock)
	var err error
	if code.Remote, err = p.downloaded(); err != nil {
		return nil, nil, err
	}
	if o.Code == 0 && strings.Contains(result.Text, "No changes.") {
		// Terraform itself says that there is nothing to read.
		result.Summary = plan.Summarise(nil, code, p.runner.DigestKey)
		result.Version, err = p.runner.version(ctx, p.binary, p.runner.environment(p.inherited))
		return result, nil, err
	}
	decoder := plan.NewDecoder()
	o, err = p.run(ctx, p.showCommand(out), decoder, true)
	shown, decodeErr := decoder.Plan()
	switch {
	case err != nil:
		return nil, nil, err
	case o.Code != 0:
		return nil, p.failure("show", o), nil
	case decodeErr != nil:
		return nil, nil, fmt.Errorf("read plan: %w", decodeErr)
	}
	result.Summary = plan.Summarise(shown, code, p.runner.DigestKey)
	result.Version = shown.TerraformVersion
	if p.target.Look {
		result.Values, result.Before = plan.Values(shown), plan.Before(shown)
	}
	p.runner.versions.Store(p.binary.identity, result.Version)
	return result, nil, nil
}

// Apply applies the plan file, which has to be one that Plan made for the same
// target, and returns what terraform said. It initialises the directory if
// this machine has not, with the providers that the plan was made with.
//
// A context that ends interrupts the apply (SIGINT, Grace, SIGKILL), which
// can leave things half done. Who wants applies to outlive a shutdown gives a
// context that does.
func (r *Runner) Apply(ctx context.Context, t Target, planFile string) (string, *Failure, error) {
	output, failure, err := r.apply(ctx, t, planFile)
	if trouble := r.trouble("apply", err); trouble != nil {
		return output, trouble, nil
	}
	return output, failure, err
}

func (r *Runner) apply(ctx context.Context, t Target, planFile string) (string, *Failure, error) {
	t.Extra = nil
	p, failure, err := r.open(ctx, t, "apply")
	if failure != nil || err != nil {
		return "", failure, err
	}
	defer p.close()
	release, err := r.hold(ctx, t.DataDir)
	if err != nil {
		return "", nil, err
	}
	defer release()
	p.begin()
	defer func() { p.end() }()
	if failure, err := p.initialise(ctx, initOptions{planFile: planFile}); failure != nil || err != nil {
		if err != nil {
			err = fmt.Errorf("apply %s: %w", t.Dir, err)
		}
		return "", failure, err
	}
	output, o, err := p.apply(ctx, planFile)
	if err == nil && o.Code != 0 && output == "" && asksForInit(o.Stderr) {
		// It has not begun: something that init had put there is gone.
		failure, err = p.initialise(ctx, initOptions{force: true, planFile: planFile})
		if failure != nil {
			return "", failure, nil
		}
		if err == nil {
			output, o, err = p.apply(ctx, planFile)
		}
	}
	if err != nil {
		return output, nil, fmt.Errorf("apply %s: %w", t.Dir, err)
	}
	if o.Code != 0 {
		failure := p.failure("apply", o)
		failure.Stale = saysStale(o.Stderr)
		return output, failure, nil
	}
	return output, nil, nil
}

func (p *project) apply(ctx context.Context, planFile string) (string, child.Outcome, error) {
	text := &child.Clip{Max: maxText}
	o, err := p.run(ctx, p.applyCommand(planFile), text, false)
	return p.clean(dropNoise(text.String())), o, err
}

func (p *project) run(ctx context.Context, c child.Command, out io.Writer, data bool) (child.Outcome, error) {
	p.log.Say("$ " + p.binary.name + " " + c.Verb)
	return p.runner.limit().Run(ctx, c, out, data, p.log)
}
