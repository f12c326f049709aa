package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/integration/bench/fill"
	"weir/integration/bench/night"
	"weir/integration/bench/stage"
	"weir/integration/sandbox"
)

// start measures how soon weir is ready, and its memory when it has nothing
// to do.
func (b *bench) start(ctx context.Context) error {
	w, err := b.newWorld()
	if err != nil {
		return err
	}
	if _, err := w.Repo("infra", newMany(1, "").files("first")); err != nil {
		return err
	}
	if err := w.Install(); err != nil {
		return err
	}
	full := filepath.Join(w.Dir, "full")
	if err := fill.Store(ctx, filepath.Join(full, "weir.db"), b.records); err != nil {
		return err
	}
	var floor, empty, again, filled []time.Duration
	for i := range b.starts {
		began := time.Now()
		version := exec.CommandContext(ctx, b.serve[0], "version")
		version.Env = w.Env
		if err := version.Run(); err != nil {
			return fmt.Errorf("floor: %w", err)
		}
		floor = append(floor, time.Since(began))
		fresh := filepath.Join(w.Dir, "fresh-"+strconv.Itoa(i))
		for _, one := range []struct {
			data string
			took *[]time.Duration
		}{{fresh, &empty}, {fresh, &again}, {full, &filled}} {
			took, err := w.Launch(ctx, one.data)
			if err != nil {
				return err
			}
			*one.took = append(*one.took, took)
			if err := w.Stop(); err != nil {
				return err
			}
		}
	}
	const budget = 150 * time.Millisecond
	for _, one := range []struct {
		what string
		took []time.Duration
	}{
		{"start to ready, new data directory", empty},
		{"start to ready, again", again},
		{fmt.Sprintf("start to ready, store of %d records", b.records), filled},
	} {
		r := atMost(one.what, budget, one.took)
		r.measured += ", worst " + seconds(slices.Max(one.took))
		r.floor, r.ratio = seconds(median(floor))+" (`weir version`)", fmt.Sprintf("%.1f", median(one.took).Seconds()/median(floor).Seconds())
		b.add(r)
	}
	for _, data := range []string{filepath.Join(w.Dir, "fresh-0"), full} {
		what := "idle memory"
		if data == full {
			what += fmt.Sprintf(", store of %d records", b.records)
		}
		if err := w.Start(ctx, data); err != nil {
			return err
		}
		if err := wait(ctx, b.idle); err != nil {
			return err
		}
		used, err := w.Memory()
		if err != nil {
			return err
		}
		b.add(row{what: what, budget: "≤ 40 MB", measured: used.String(), verdict: within(used.RSS <= 40<<20)})
		if err := w.Stop(); err != nil {
			return err
		}
	}
	return w.Close()
}

// memory plans a large project again and again.
func (b *bench) memory(ctx context.Context) error {
	w, err := b.newWorld()
	if err != nil {
		return err
	}
	state := filepath.Join(w.Dir, "large.tfstate")
	repo, err := w.Repo("infra", map[string]string{"large/main.tf": large(state, 0, b.resources)})
	if err != nil {
		return err
	}
	if err := w.Install(); err != nil {
		return err
	}
	if err := w.Fresh(ctx); err != nil {
		return err
	}
	if err := wait(ctx, b.idle); err != nil {
		return err
	}
	idle, err := w.Memory()
	if err != nil {
		return err
	}
	var p stage.Planned
	var took []time.Duration
	for i := range b.plans {
		files := map[string]string{"large/main.tf": large(state, i+1, b.resources)}
		if i == 0 {
			p, err = w.Change(ctx, repo, files)
		} else {
			p, err = w.Push(ctx, p.Pull, files)
		}
		if err != nil {
			return err
		}
		took = append(took, p.Took)
		now, err := w.Memory()
		if err != nil {
			return err
		}
		if i == 0 || (i+1)%10 == 0 {
			b.say("   after %d plans: %s", i+1, now)
		}
	}
	after, err := w.Memory()
	if err != nil {
		return err
	}
	if err := wait(ctx, b.rest); err != nil {
		return err
	}
	rested, err := w.Memory()
	if err != nil {
		return err
	}
	plans := fmt.Sprintf("memory after %d plans of %d resources", b.plans, b.resources)
	for _, one := range []struct {
		what string
		used stage.Usage
	}{{plans + ", at once", after}, {fmt.Sprintf("%s, %.0f s later", plans, b.rest.Seconds()), rested}} {
		grown := one.used.RSS - idle.RSS
		b.add(row{
			what: one.what, budget: "≤ idle + 25 MB", measured: fmt.Sprintf("%s: idle %+.1f MB", one.used, float64(grown)/(1<<20)),
			floor: megabytes(idle.RSS) + " (idle)", ratio: fmt.Sprintf("%.2f", float64(one.used.RSS)/float64(idle.RSS)), verdict: within(grown <= 25<<20),
		})
	}
	b.say("   a plan took %s", seconds(median(took)))
	return w.Close()
}

// large is a project of n resources.
func large(state string, version, n int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "terraform {\n  backend \"local\" {\n    path = %q\n  }\n}\n", state)
	const each = 100
	for i := 0; i*each < n; i++ {
		fmt.Fprintf(&text, "\nresource \"terraform_data\" \"group_%02d\" {\n  count = %d\n  input = {\n    name    = \"thing-%02d-${count.index}\"\n"+
			"    version = %d\n    text    = %q\n  }\n}\n", i, min(each, n-i*each), i, version, strings.Repeat("lorem ipsum ", 10))
	}
	return text.String()
}

// processes counts how many terraforms run at once while several pull requests
// are planned and applied, through a program in terraform's place that counts
// itself.
func (b *bench) processes(ctx context.Context) error {
	for _, limit := range b.limits {
		if err := b.processesOf(ctx, limit); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) processesOf(ctx context.Context, limit int) error {
	w, err := b.newWorld()
	if err != nil {
		return err
	}
	running, counts := filepath.Join(w.Dir, "running"), filepath.Join(w.Dir, "counts")
	script := filepath.Join(w.Dir, "terraform")
	// The number is at its highest just after one has begun, so each
	// beginning is counted and none in between is missed.
	text := fmt.Sprintf("#!/bin/sh\n: > %[1]q/$$\nls %[1]q | wc -l >> %[2]q\n%[3]q \"$@\"\ncode=$?\nrm %[1]q/$$\nexit $code\n", running, counts, b.terraform)
	if err := errors.Join(os.Mkdir(running, 0o700), os.WriteFile(script, []byte(text), 0o700)); err != nil {
		return err
	}
	w.Env = append(w.Env, "WEIR_TERRAFORM_BINARY="+script, "WEIR_TERRAFORM_MAX_PARALLEL="+strconv.Itoa(limit))
	const pulls = 4
	m := newMany(pulls*max(1, b.projects/10), filepath.Join(w.Dir, "states"))
	repo, err := w.Repo("infra", m.files("first"))
	if err != nil {
		return err
	}
	if err := w.Install(); err != nil {
		return err
	}
	if err := w.Fresh(ctx); err != nil {
		return err
	}
	// All pull requests are opened while deliveries are held back, so that
	// they are planned side by side, and then approved in the same way.
	w.Box.HoldDeliveries()
	var all []stage.Planned
	for i := range pulls {
		part := many{states: m.states, dirs: m.dirs[i*len(m.dirs)/pulls : (i+1)*len(m.dirs)/pulls]}
		p, err := w.Open(repo, part.files("second"))
		if err != nil {
			return err
		}
		all = append(all, p)
	}
	if err := released(ctx, w, all, "weir/plan"); err != nil {
		return err
	}
	w.Box.HoldDeliveries()
	for _, p := range all {
		if _, err := w.Box.Review("bob", repo, p.Pull.Number, "APPROVE", "Fine."); err != nil {
			return err
		}
	}
	if err := released(ctx, w, all, "weir/apply"); err != nil {
		return err
	}
	list, err := os.ReadFile(counts)
	if err != nil {
		return err
	}
	peak, calls := 0, 0
	for field := range strings.FieldsSeq(string(list)) {
		n, err := strconv.Atoi(field)
		if err != nil {
			return err
		}
		peak, calls = max(peak, n), calls+1
	}
	b.add(row{
		what: fmt.Sprintf("terraform processes at once, %d pull requests planned and applied, max_parallel %d", pulls, limit), budget: fmt.Sprintf("≤ %d", limit),
		measured: fmt.Sprintf("at most %d (%d in all)", peak, calls), verdict: within(peak <= limit),
	})
	return w.Close()
}

// released delivers what was held back, and waits for a check of each pull
// request to succeed.
func released(ctx context.Context, w *stage.World, all []stage.Planned, check string) error {
	w.Box.ReleaseDeliveries(sandbox.Order{})
	for _, p := range all {
		if err := w.Success(ctx, p, check); err != nil {
			return err
		}
	}
	return w.Quiet(ctx)
}

// nights checks many projects for drift, see package night.
func (b *bench) nights(ctx context.Context) error {
	return night.Measure(ctx, night.Setup{
		World: b.newWorld, Terraform: b.terraform, Dir: b.dir,
		Projects: b.night, Parallel: b.atOnce, Samples: b.samples, Sizes: b.sizes, Repos: b.many, Held: b.held,
		Add: func(r night.Row) {
			v := told
			if r.Judged {
				v = within(r.Good)
			}
			b.add(row{what: r.What, budget: r.Budget, measured: r.Measured, floor: r.Floor, ratio: r.Ratio, verdict: v})
		},
		Say: b.say,
	})
}
