// Package server wires weir together and answers HTTP.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"weir/drift"
	"weir/drift/cloudtrail"
	"weir/drift/evidence"
	"weir/drift/origin"
	"weir/locks"
	"weir/planner"
	"weir/planner/artifact"
	"weir/planner/checkout"
	"weir/planner/gate"
	"weir/planner/live"
	"weir/planner/reconcile"
	"weir/planner/run"
	"weir/planner/tell"
	"weir/planner/terraform"
	"weir/planner/terraform/child"
	"weir/planner/work"
	"weir/planner/work/dispatch"
	"weir/server/config"
	"weir/server/control"
	"weir/server/desk"
	"weir/server/github"
	"weir/server/issues"
	"weir/server/meter"
	"weir/server/tidy"
	"weir/store"
	"weir/templates"
	"weir/webhook"
)

// Times that are not worth a key of the configuration.
const (
	workers      = 32               // jobs at once; terraform has a limit of its own
	lease        = 14 * time.Second // a worker that has not moved for so long is dead; its work goes on some seconds later
	drainPlans   = 20 * time.Second // how long a shutdown waits for running plans
	terraformEnd = 30 * time.Second // between SIGINT and SIGKILL of a cancelled terraform
	askSelfEvery = 5 * time.Minute
)

// Server is a running weir.
type Server struct {
	cfg       *config.Config
	log       *slog.Logger
	version   string
	store     store.Store
	locks     *locks.Locks
	queue     *work.Queue
	planner   *planner.Planner
	runs      *run.Runs
	github    *github.Client
	receiver  webhook.Receiver
	desk      desk.Desk
	self      atomic.Pointer[string] // weir's own login, once GitHub has told it
	metrics   *meter.Meter
	pending   *meter.Count // jobs
	dead      *meter.Count // letters; nil without a queue
	reconcile *reconcile.Reconciler
	drift     *drift.Drift
	pages     *templates.Pages
	listener  net.Listener
	http      *http.Server
	closers   []closer // ended last in, first out
}

type closer struct {
	name  string
	close func() error
}

// Main is `weir server`: it reads the configuration, serves until ctx ends and
// lets a running apply finish.
func Main(ctx context.Context, file string, environ []string, version string, stderr io.Writer) error {
	cfg, warnings, err := config.Load(file, environ)
	if err != nil {
		return misuse{err}
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: cfg.Level()}))
	for _, warning := range warnings {
		log.Warn("configuration", "warning", warning)
	}
	if _, err := fmt.Fprintln(stderr, "weir", version, "with this configuration:"); err != nil {
		return err
	}
	if err := cfg.Print(stderr); err != nil {
		return err
	}
	s, err := New(ctx, cfg, environ, version, log)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// misuse is an error of the person who started weir: exit code 2.
type misuse struct{ error }

func (misuse) Misused() bool   { return true }
func (m misuse) Unwrap() error { return m.error }

// Option is for tests: it changes what no configuration does.
type Option func(*settings)

type settings struct {
	wrap  func(store.Store) store.Store
	lease time.Duration
}

// WithStore has wrap stand between weir and its store.
func WithStore(wrap func(store.Store) store.Store) Option {
	return func(s *settings) { s.wrap = wrap }
}

// WithLease makes a worker dead that has not moved for so long.
func WithLease(d time.Duration) Option {
	return func(s *settings) { s.lease = d }
}

// New builds the server from its parts, in the order in which they depend on
// each other, and listens. Nobody else calls an adapter's constructor.
func New(ctx context.Context, cfg *config.Config, environ []string, version string, log *slog.Logger, options ...Option) (s *Server, err error) {
	o := settings{lease: lease}
	for _, option := range options {
		option(&o)
	}
	s = &Server{cfg: cfg, log: log, version: version}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return s, fmt.Errorf("data_dir: %w", err)
	}

	db, err := openStore(ctx, cfg.Store)
	if err != nil {
		return s, err
	}
	s.onClose("store", db.Close)
	if o.wrap != nil {
		db = o.wrap(db)
	}
	s.store = db
	s.queue = &work.Queue{Store: db, Worker: workerName(), Exclusive: !cfg.Shared(), Lease: o.lease, Drain: drainPlans, Log: log}
	var dead func(context.Context) (int, error)
	if cfg.Dispatch != "" {
		news, err := dispatch.Open(ctx, cfg.Dispatch)
		if err != nil {
			return s, err
		}
		news.Log = log
		s.onClose("dispatch", news.Close)
		s.queue.Dispatch, dead = news, news.Dead
	}
	s.locks = &locks.Locks{Store: db, Grant: s.grant}

	artifacts, err := artifact.Open(ctx, artifact.Config{Bucket: cfg.Artifacts, SealKey: cfg.SealKey})
	if err != nil {
		return s, err
	}
	s.onClose("artifacts", artifacts.Close)

	if s.github, err = github.New(s.githubConfig()); err != nil {
		return s, err
	}
	s.onClose("github", func() error { s.github.Close(); return nil })
	allow, err := checkout.AllowHost(cfg.GitHub.BaseURL)
	if err != nil {
		return s, err
	}
	logs, err := live.New(filepath.Join(cfg.DataDir, "live"))
	if err != nil {
		return s, err
	}
	logs.Log = log
	if cfg.Shared() {
		logs.Share = artifact.Parts{Artifacts: artifacts}
	}
	var shared store.Store
	if cfg.Shared() {
		shared = db
	}
	digestKey, err := digestKey(ctx, filepath.Join(cfg.DataDir, "digest.key"), shared, artifacts)
	if err != nil {
		return s, err
	}
	runner := &terraform.Runner{
		Binary: terraform.Find(cfg.Terraform.Binary), Env: cfg.Terraform.Env, Environ: func() []string { return environ },
		CacheDir: filepath.Join(cfg.DataDir, "providers"), TempDir: filepath.Join(cfg.DataDir, "tmp"),
		MaxParallel: cfg.Terraform.MaxParallel, MaxLater: cfg.Drift.MaxParallel, Grace: terraformEnd, DigestKey: digestKey, Log: log,
		Private: s.private(),
	}
	s.runs = &run.Runs{Terraform: runner, Artifacts: artifacts, Logs: logs, DataDir: cfg.DataDir, Shared: cfg.Shared()}
	// The store is open, so no other weir uses this directory.
	if err := s.runs.Prepare(); err != nil {
		return s, err
	}
	checkouts := &checkout.Repos{Dir: filepath.Join(cfg.DataDir, "git"), Token: s.github.Token, Allow: allow, Log: log}
	tells := &teller{github: s.github, names: cfg.CommandNames, log: log}
	facts := issues.Facts{Client: s.github, Store: db}
	s.planner = &planner.Planner{
		Store: db, Locks: s.locks, Queue: s.queue, Checkouts: checkouts, Runs: s.runs,
		Gate:   &gate.Gate{Facts: facts, Teams: s.github, Locks: s.locks, Checkouts: checkouts, Store: db, Bases: cfg.BaseBranches},
		Facts:  facts,
		Voice:  &tell.Voice{Teller: tells, Store: db, Text: s.runs.Text, PageURL: s.pullURL, RunURL: s.runURL},
		Merger: tells, Log: log, AllowForks: cfg.AllowForks,
		Origins: origin.Origins{Gatherer: evidence.Gatherer{Store: db, Checkouts: checkouts, Log: log}},
	}
	s.queue.GiveUp = s.giveUp
	s.reconcile = &reconcile.Reconciler{
		Store: db, Queue: s.queue, Locks: s.locks, GitHub: s.github, Serves: cfg.Serves, Log: log,
	}
	app := cfg.GitHub.App.ID != 0
	if app {
		s.reconcile.Hooks = s.github
	}
	s.drift = &drift.Drift{
		Store: db, Queue: s.queue, Locks: s.locks, Checkouts: checkouts, Looker: s.runs, GitHub: s.github, People: issues.People{GitHub: s.github},
		Teller: &issues.Teller{GitHub: s.github, Comments: s.github, Name: cfg.CommandNames[0], Page: func() string { return cfg.PublicURL + "/drift" }, Log: log, Pace: issues.Pace()},
		Serves: cfg.Serves, Cron: cfg.Drift.Schedule, Environ: cfg.Drift.Environ(environ), AtOnce: cfg.Drift.MaxParallel, Log: log,
	}
	s.drift.Page = func() string { return cfg.PublicURL + "/drift" }
	if s.drift.Targets, err = issues.Targets(cfg.Drift.Notify); err != nil {
		return s, err
	}
	if cfg.Drift.Attribution != "" {
		trail, err := cloudtrail.Open(ctx, cloudtrail.Options{Role: cfg.Drift.Role, Own: cfg.Drift.Own, Log: log})
		if err != nil {
			return s, err
		}
		s.drift.Witness = issues.Witness{Trail: trail, Log: log}
	}
	if named, all := cfg.NamedRepos(); all || !app { // else the App knows what a pattern means
		s.reconcile.Named, s.drift.Named = named, named
	}

	s.newMeter(dead)
	secrets := make([][]byte, 0, 2)
	for _, secret := range cfg.WebhookSecrets() {
		secrets = append(secrets, []byte(secret.Reveal()))
	}
	s.receiver = webhook.Receiver{Secrets: secrets}
	if s.pages, err = templates.NewPages(); err != nil {
		return s, err
	}
	s.desk = desk.Desk{Serves: cfg.Serves, Names: cfg.CommandNames}

	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen); err != nil {
		return s, fmt.Errorf("listen: %w", err)
	}
	if public, ok := strings.CutSuffix(cfg.PublicURL, ":0"); ok { // a port that was to be found
		_, port, err := net.SplitHostPort(s.listener.Addr().String())
		if err != nil {
			return s, fmt.Errorf("listen: %w", err)
		}
		cfg.PublicURL = public + ":" + port
	}
	s.onClose("listener", func() error { return ignoreClosed(s.listener.Close()) })
	s.http = &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

func (s *Server) githubConfig() github.Config {
	c := github.Config{
		BaseURL: s.cfg.GitHub.BaseURL, Log: s.log,
		OnCall: func(method, route string, status int, took time.Duration) {
			s.metrics.Call(method, route, status, took)
		},
	}
	if s.cfg.GitHub.App.ID != 0 {
		c.App = &github.App{ID: s.cfg.GitHub.App.ID, PrivateKey: []byte(s.cfg.GitHub.App.PrivateKey.Reveal())}
		return c
	}
	if s.cfg.GitHub.TokenFile != "" {
		c.Token = github.TokenFile(s.cfg.GitHub.TokenFile)
	} else {
		c.Token = github.StaticToken(s.cfg.GitHub.Token.Reveal())
	}
	return c
}

// workerName is this process, for people.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "weir"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// private names the files that terraform is kept from, see terraform.confine.
func (s *Server) private() []string {
	private := s.cfg.Private()
	switch s.cfg.Terraform.Confine {
	case "on":
		return private
	case "off":
		return nil
	}
	if lost := child.Lost(private); len(lost) > 0 {
		s.log.Info("terraform, and so the code of a pull request, can read weir's own files: keeping it from them would keep it from making files in these directories too; run weir as a user that may not write there, or set terraform.confine: on",
			"directories", lost)
		return nil
	}
	return private
}

// URL is where the server listens.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

func (s *Server) onClose(name string, f func() error) {
	s.closers = append(s.closers, closer{name, f})
}

func (s *Server) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		c := s.closers[i]
		if err := c.close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", c.name, err))
		}
	}
	s.closers = nil
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Run serves and does jobs until ctx ends. Then it takes no more deliveries,
// gives running plans a bounded time (they are done again at the next start),
// waits for running applies, and closes the store.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	s.log.Info("ready", "listen", s.listener.Addr().String(), "public_url", s.cfg.PublicURL, "version", s.version)

	jobs, stopJobs := context.WithCancel(ctx)
	defer stopJobs()
	worked := make(chan error, 1)
	go func() { worked <- s.queue.Run(jobs, workers, s.do) }()
	go s.learnSelf(jobs)
	go s.namePrograms(jobs)
	go s.reconcile.Run(jobs)
	go s.drift.Run(jobs)
	go s.control(jobs)
	go (&tidy.Tidy{
		Store: s.store, Queue: s.queue, Checkouts: s.planner.Checkouts, Logs: s.runs.Logs, NeedsLog: s.needsLog, Log: s.log,
	}).Run(jobs)

	var err error
	select {
	case <-ctx.Done():
		s.log.Info("stopping: no more deliveries are taken; a running apply is waited for")
	case err = <-served:
		err = fmt.Errorf("serve: %w", err)
	}
	// The listener goes first, so that GitHub notes each delivery that
	// comes from now on as failed; answers that are under way are given.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if shutErr := s.http.Shutdown(end); shutErr != nil {
		_ = s.http.Close() // live logs that somebody still follows
	}
	stopJobs()
	if workErr := <-worked; workErr != nil && !errors.Is(workErr, context.Canceled) {
		err = errors.Join(err, workErr)
	}
	return errors.Join(err, s.close())
}

// do does one job and counts it.
func (s *Server) do(ctx context.Context, job work.Job) error {
	start := time.Now()
	do := s.planner.Do
	if job.Kind == work.Drift {
		do = s.drift.Do
	}
	err := do(ctx, job)
	s.metrics.Job(string(job.Kind), err, time.Since(start))
	return err
}

// control answers who is on this machine.
func (s *Server) control(ctx context.Context) {
	err := control.Serve(ctx, s.cfg.DataDir, func(ctx context.Context, r control.Request) (string, error) {
		err := s.drift.Ask(ctx, r.Repo, work.Command{Dir: r.Dir, Workspace: r.Workspace, Project: r.Project}, "command line")
		return "The check is queued. What it finds is on " + s.cfg.PublicURL + "/drift.", err
	})
	if err != nil {
		s.log.Error("weir drift check does not work on this machine", "err", err)
	}
}

// giveUp tells people that a job failed for good.
func (s *Server) giveUp(ctx context.Context, job work.Job, cause error) error {
	if job.Kind == work.Drift {
		return s.drift.GiveUp(ctx, job, cause)
	}
	return s.planner.GiveUp(ctx, job, cause)
}

// grant queues the plan of a pull request that is handed locks, in the commit
// that hands them over (I10).
func (s *Server) grant(ctx context.Context, repo string, pull int) ([]store.Write, error) {
	return s.queue.Writes(ctx, work.Job{Kind: work.Plan, Repo: repo, Pull: pull, Trigger: "lock passed on"})
}

// learnSelf asks GitHub who weir is, so that it never obeys itself and is
// known by @name. Until that is known its own comments are recognised by their
// marker.
func (s *Server) learnSelf(ctx context.Context) {
	for {
		login, _, err := s.github.Self(ctx)
		if err == nil {
			s.self.Store(&login)
			return
		}
		if ctx.Err() != nil {
			return
		}
		s.log.Warn("GitHub does not say who weir is; its own comments are recognised by their marker", "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(askSelfEvery):
		}
	}
}

// namePrograms says which programs weir runs, or that there is none: better at
// the start than on somebody's pull request.
func (s *Server) namePrograms(ctx context.Context) {
	if err := s.planner.Checkouts.Check(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("nothing can be checked out, and so nothing can be planned", "err", err)
	}
	name, version, err := s.runs.Terraform.Version(ctx)
	switch {
	case err == nil:
		s.log.Info("terraform", "program", name, "version", version)
	case ctx.Err() == nil:
		s.log.Error("terraform cannot be run, and so nothing can be planned; install terraform or tofu, or set terraform.binary", "err", err)
	}
}

func (s *Server) pullURL(repo string, pull int) string {
	return fmt.Sprintf("%s/pulls/%s/%d", s.cfg.PublicURL, repo, pull)
}

func (s *Server) runURL(id string) string { return s.cfg.PublicURL + "/runs/" + id }
