package terraform

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkFiftyProjects compares 50 small projects with the floor: the same
// number of init, plan and show by hand, as parallel.
//
//	go test -run '^$' -bench FiftyProjects -benchtime 1x ./planner/terraform
func BenchmarkFiftyProjects(b *testing.B) {
	binary := terraformBinary(b)
	for _, kind := range []struct{ name, text string }{
		{"bare", "resource \"terraform_data\" \"a\" {\n  input = \"v\"\n}\n"},
		{"backend", "terraform {\n  backend \"local\" {\n    path = \"%s\"\n  }\n}\nresource \"terraform_data\" \"a\" {\n  input = \"v\"\n}\n"},
	} {
		root := b.TempDir()
		var dirs []string
		for i := range 50 {
			dir := fmt.Sprintf("p%02d", i)
			dirs = append(dirs, dir)
			text := kind.text
			if strings.Contains(text, "%s") {
				text = fmt.Sprintf(text, filepath.Join(b.TempDir(), "state"))
			}
			if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
				b.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, dir, "main.tf"), []byte(text), 0o600); err != nil {
				b.Fatal(err)
			}
		}
		each := func(f func(dir string) error) time.Duration {
			started := time.Now()
			places := make(chan struct{}, runtime.NumCPU())
			var wg sync.WaitGroup
			for _, dir := range dirs {
				wg.Go(func() {
					places <- struct{}{}
					defer func() { <-places }()
					if err := f(dir); err != nil {
						b.Error(err)
					}
				})
			}
			wg.Wait()
			return time.Since(started)
		}
		for range b.N {
			floor := each(func(dir string) error {
				cmd := exec.Command("sh", "-c", `"$T" init -input=false -no-color >/dev/null && "$T" plan -input=false -no-color -out=plan >/dev/null && "$T" show -json plan >/dev/null; rm -rf .terraform plan`)
				cmd.Dir = filepath.Join(root, dir)
				cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + root, "T=" + binary, "CHECKPOINT_DISABLE=1"}
				return cmd.Run()
			})
			r := &Runner{Binary: binary, TempDir: b.TempDir(), CacheDir: b.TempDir(), Environ: func() []string { return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + root} }}
			data := b.TempDir()
			plan := func(dir string) error {
				_, failure, err := r.Plan(b.Context(), Target{
					Root: root, Dir: dir, DataDir: filepath.Join(data, dir), State: filepath.Join(data, dir, "state"),
				}, Code{}, filepath.Join(data, dir+".plan"))
				if failure != nil {
					err = fmt.Errorf("%s: %s", failure.Stage, failure.Message)
				}
				return err
			}
			cold, warm := each(plan), each(plan)
			b.ReportMetric(floor.Seconds(), kind.name+"-floor-s")
			b.ReportMetric(cold.Seconds()/floor.Seconds(), kind.name+"-cold/floor")
			b.ReportMetric(warm.Seconds()/floor.Seconds(), kind.name+"-warm/floor")
		}
	}
}
