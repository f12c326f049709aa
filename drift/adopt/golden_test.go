package adopt

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"weir/planner/terraform"
)

var update = flag.Bool("update", false, "write what is got as what is wanted")

// needTerraform returns a Terraform to plan with.
func needTerraform(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"terraform", "tofu"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const why = "neither terraform nor tofu is there"
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip("!!! SKIPPED: " + why)
	return ""
}

// deployed is a project with real Terraform, whose state is what before/ comes
// to, and whose code is what in/ has.
type deployed struct {
	t      *testing.T
	runner *terraform.Runner
	target terraform.Target
	plans  int
}

func deploy(t *testing.T, before, in map[string]string) *deployed {
	t.Helper()
	home := t.TempDir()
	d := &deployed{t: t, runner: &terraform.Runner{
		Binary: needTerraform(t), TempDir: t.TempDir(), CacheDir: t.TempDir(), DigestKey: []byte("k"),
		Environ: func() []string { return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home} },
	}}
	d.target = terraform.Target{Root: t.TempDir(), Dir: ".", DataDir: filepath.Join(home, "data"), State: filepath.Join(home, "state", "terraform.tfstate")}
	if len(before) > 0 {
		d.write(before)
		out := filepath.Join(home, "plan")
		if _, failure, err := d.runner.Plan(t.Context(), d.target, terraform.Code{}, out); failure != nil || err != nil {
			t.Fatal(failure, err)
		}
		if output, failure, err := d.runner.Apply(t.Context(), d.target, out); failure != nil || err != nil {
			t.Fatal(output, failure, err)
		}
		for name := range before {
			if err := os.Remove(filepath.Join(d.target.Root, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.write(in)
	d.target.Look = true
	return d
}

func (d *deployed) write(files map[string]string) {
	d.t.Helper()
	for name, text := range files {
		path := filepath.Join(d.target.Root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			d.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *deployed) plan(ctx context.Context) (*terraform.Plan, string, error) {
	d.plans++
	plan, failure, err := d.runner.Plan(ctx, d.target, terraform.Code{}, filepath.Join(d.t.TempDir(), "plan"))
	if failure != nil {
		return nil, failure.Message, err
	}
	return plan, "", err
}

// TestGolden adopts what the archives of testdata ask for, with real Terraform:
// before/ is what was applied last, in/ the code now. The rest is what comes of
// it, and how many plans that took.
func TestGolden(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no archives", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var asked Asked
			before, in, want := map[string]string{}, map[string]string{}, map[string]string{}
			kept := &txtar.Archive{Comment: archive.Comment}
			for _, f := range archive.Files {
				dir, file, _ := strings.Cut(f.Name, "/")
				switch {
				case dir == "before":
					before[file] = string(f.Data)
				case dir == "in":
					in[file] = string(f.Data)
				case f.Name == "asked":
					if err := json.Unmarshal(f.Data, &asked); err != nil {
						t.Fatal(err)
					}
				default:
					want[f.Name] = string(f.Data)
					continue
				}
				kept.Files = append(kept.Files, f)
			}
			d := deploy(t, before, in)
			r, failure, err := Adopt(t.Context(), Project{Root: d.target.Root, Dir: ".", Plan: d.plan}, asked)
			if failure != "" || err != nil {
				t.Fatal(failure, err)
			}
			for file, text := range in {
				if data, err := os.ReadFile(filepath.Join(d.target.Root, file)); err != nil || string(data) != text {
					t.Errorf("%s is left as %q, %v", file, data, err)
				}
			}
			got := map[string]string{"result": fmt.Sprintf("%d plans\nstate %v\ngone %v\n\n# Done\n%s\n# Not\n%s",
				d.plans, r.State, r.Gone, items(r.Done), items(r.Not))}
			order := []string{"result"}
			for file := range in {
				if data, changed := r.Files[file]; changed {
					got["out/"+file] = string(data)
					order = append(order, "out/"+file)
				}
			}
			if len(order) != len(r.Files)+1 {
				t.Errorf("files that were not there: %d", len(r.Files))
			}
			if *update {
				for _, file := range order {
					kept.Files = append(kept.Files, txtar.File{Name: file, Data: []byte(got[file])})
				}
				if err := os.WriteFile(name, txtar.Format(kept), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func items(all []string) string {
	var b strings.Builder
	for _, item := range all {
		lines := strings.Split(item, "\n")
		if strings.HasSuffix(lines[0], "Terraform says:") { // in words that change with its version
			lines = append(lines[:4:4], lines[len(lines)-2:]...)
		}
		b.WriteString("- " + strings.Join(lines, "\n") + "\n")
	}
	return b.String()
}
