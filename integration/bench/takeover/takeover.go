// Package takeover measures how long it takes until what a killed weir was
// doing is done by another.
package takeover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/integration/bench/stage"
)

// Pair is two weirs of one store, each a process with a data directory of its
// own.
type Pair struct {
	world   *stage.World
	weirs   [2]*stage.World
	data    [2]string
	repo    string
	code    func(value string) map[string]string
	changes int
}

// Took is how long it was from the kill.
type Took struct {
	Begun time.Duration // until the other began to plan
	Told  time.Duration // until its plan was a check on GitHub
}

// New starts a pair in a world that has no weir yet. terraform is the program
// that plans. environ is what both need to share a store. code is a repository
// whose changes touch one project.
func New(ctx context.Context, w *stage.World, terraform string, environ []string, code func(value string) map[string]string) (*Pair, error) {
	p := &Pair{world: w, weirs: [2]*stage.World{w.Beside(), w.Beside()}, code: code}
	var err error
	if p.repo, err = w.Repo("shared", code("first")); err != nil {
		return nil, err
	}
	if err := w.Install(); err != nil {
		return nil, err
	}
	for i, one := range p.weirs {
		name := fmt.Sprintf("replica-%d", i)
		script := filepath.Join(w.Dir, "terraform-"+name)
		// A plan says who plans. While there is a file for it, it takes
		// until its weir is said to be dead; a child cannot find that out.
		text := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = plan ]; then\n  echo %[1]d >> %[2]q\n  while [ -e %[3]q ]; do\n"+
			"    [ ! -e %[4]q ] || exit 1\n    sleep 0.1\n  done\nfi\nexec %[5]q \"$@\"\n", i, p.planned(), p.hold(i), p.grave(i), terraform)
		if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
			return nil, err
		}
		p.data[i] = filepath.Join(w.Dir, name)
		one.Env = append(slices.Clone(w.Env), environ...)
		one.Env = append(one.Env, "WEIR_TERRAFORM_BINARY="+script,
			"WEIR_ARTIFACTS=file://"+filepath.Join(w.Dir, "artifacts"), "WEIR_SEAL_KEY=file://"+filepath.Join(w.Dir, "seal.key"))
		if err := one.Start(ctx, p.data[i]); err != nil {
			return nil, errors.Join(err, p.Stop())
		}
	}
	return p, nil
}

// Stop ends both, and leaves the world.
func (p *Pair) Stop() error { return errors.Join(p.weirs[0].Stop(), p.weirs[1].Stop()) }

func (p *Pair) planned() string    { return filepath.Join(p.world.Dir, "planned-by") }
func (p *Pair) hold(i int) string  { return filepath.Join(p.world.Dir, fmt.Sprintf("hold-%d", i)) }
func (p *Pair) grave(i int) string { return filepath.Join(p.world.Dir, fmt.Sprintf("dead-%d", i)) }

// Kill opens a pull request, has one of the two plan it for so long, and ends
// that with SIGKILL as kill -9 does. The other is to plan it. Then both live
// again, and the pull request is closed.
func (p *Pair) Kill(ctx context.Context, after time.Duration) (Took, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, stage.Patience, fmt.Errorf("nobody takes over within %v", stage.Patience))
	defer cancel()
	before := len(p.plans())
	for i := range p.weirs {
		if err := os.WriteFile(p.hold(i), nil, 0o600); err != nil {
			return Took{}, err
		}
	}
	p.changes++
	p.weirs[p.changes%2].Hear()
	pull, err := p.world.Open(p.repo, p.code(fmt.Sprintf("change %d", p.changes)))
	if err != nil {
		return Took{}, err
	}
	if err := p.await(ctx, before+1); err != nil {
		return Took{}, err
	}
	dead := 0
	if p.plans()[before] == "1" {
		dead = 1
	}
	other := p.weirs[1-dead]
	other.Hear()
	if err := os.Remove(p.hold(1 - dead)); err != nil {
		return Took{}, err
	}
	if err := sleep(ctx, after); err != nil {
		return Took{}, err
	}
	var took Took
	began := time.Now()
	_, err = p.weirs[dead].Kill()
	if err := errors.Join(err, os.WriteFile(p.grave(dead), nil, 0o600)); err != nil {
		return Took{}, err
	}
	if err := p.await(ctx, before+2); err != nil {
		return Took{}, fmt.Errorf("%w\n%s", err, other.Tail())
	}
	took.Begun = time.Since(began)
	if err := other.Success(ctx, pull, "weir/plan"); err != nil {
		return Took{}, err
	}
	took.Told = time.Since(began)
	if err := other.Quiet(ctx); err != nil { // else the close ends the plan
		return Took{}, err
	}
	if err := other.Away(ctx, pull.Pull); err != nil {
		return Took{}, err
	}
	if plans := p.plans()[before:]; len(plans) != 2 || plans[0] == plans[1] {
		return Took{}, fmt.Errorf("planned by %v, not by the one that was killed and then once by the other", plans)
	}
	if err := errors.Join(os.Remove(p.hold(dead)), os.Remove(p.grave(dead))); err != nil {
		return Took{}, err
	}
	return took, p.weirs[dead].Start(ctx, p.data[dead])
}

// plans says who began each plan until now.
func (p *Pair) plans() []string {
	text, err := os.ReadFile(p.planned())
	if err != nil {
		return nil // nobody yet
	}
	return strings.Fields(string(text))
}

// await waits until so many plans have begun.
func (p *Pair) await(ctx context.Context, n int) error {
	for len(p.plans()) < n {
		if err := sleep(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("wait for a plan: %w", err)
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
