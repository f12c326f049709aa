package night

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Values of a project: as its code says, and as it is deployed where that is
// another.
const (
	first    = "first"
	deployed = "something else"
)

// oneDiffersIn says of how many projects one is deployed with another value.
const oneDiffersIn = 50

// repo is a repository of small projects that are all deployed.
type repo struct {
	name, full string // full once it is made
	dirs       []string
	differ     map[string]bool // directories that are deployed with another value
}

func newRepo(name string, projects int) repo {
	r := repo{name: name, differ: map[string]bool{}}
	for i := range projects {
		dir := fmt.Sprintf("envs/p%03d", i)
		r.dirs = append(r.dirs, dir)
		if i%oneDiffersIn == 0 {
			r.differ[dir] = true
		}
	}
	return r
}

// state is the file that a project's state is in.
func (r repo) state(world, dir string) string {
	return filepath.Join(world, "states", r.name, strings.ReplaceAll(dir, "/", "-")+".tfstate")
}

// files are all projects with a value.
func (r repo) files(world, value string) map[string]string {
	files := map[string]string{}
	for _, dir := range r.dirs {
		files[dir+"/main.tf"] = fmt.Sprintf("terraform {\n  backend \"local\" {\n    path = %q\n  }\n}\n\n", r.state(world, dir)) + resource(value)
	}
	return files
}

// resource is what each project is made of.
func resource(value string) string {
	return fmt.Sprintf("resource \"terraform_data\" \"a\" {\n  input = %q\n}\n\noutput \"a\" {\n  value = terraform_data.a.output\n}\n", value)
}

// states are the states of a project, as terraform wrote them, by value.
type states map[string][]byte

// states applies a project with each value. All others get copies, which are
// as good: nothing in a state says which directory it is of.
func (s Setup) states(ctx context.Context) (states, error) {
	all := states{}
	for _, value := range []string{first, deployed} {
		dir, err := os.MkdirTemp(s.Dir, "deployed-")
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(resource(value)), 0o600); err != nil {
			return nil, err
		}
		if err := s.shell(ctx, dir, "", "sh", "-c", `"$T" init -input=false -no-color && "$T" apply -auto-approve -input=false -no-color`); err != nil {
			return nil, fmt.Errorf("deploy: %w", err)
		}
		if all[value], err = os.ReadFile(filepath.Join(dir, "terraform.tfstate")); err != nil {
			return nil, fmt.Errorf("deploy: %w", err)
		}
	}
	return all, nil
}

// fill makes repositories whose projects are deployed, and installs the App.
func (s *scene) fill(repos []repo, state states) error {
	for _, r := range repos {
		if err := os.MkdirAll(filepath.Dir(r.state(s.w.Dir, "one")), 0o700); err != nil {
			return err
		}
		for _, dir := range r.dirs {
			value := first
			if r.differ[dir] {
				value = deployed
			}
			if err := os.WriteFile(r.state(s.w.Dir, dir), state[value], 0o600); err != nil {
				return err
			}
		}
		var err error
		if r.full, err = s.w.Repo(r.name, r.files(s.w.Dir, first)); err != nil {
			return err
		}
		s.repos = append(s.repos, r)
	}
	return s.w.Install()
}

// floor plans all projects of a repository as a person would by hand, as many
// at once as weir may check, and returns how long that took. Nothing is
// initialised there before.
func (s *scene) floor(ctx context.Context, r repo, parallel int) (time.Duration, error) {
	checkout, err := os.MkdirTemp(s.Dir, "floor-")
	if err != nil {
		return 0, err
	}
	for name, text := range r.files(s.w.Dir, first) {
		file := filepath.Join(checkout, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	err = s.shell(ctx, checkout, strings.Join(r.dirs, "\n")+"\n", "xargs", "-P", fmt.Sprint(parallel), "-I", "{}", "sh", "-c", `cd "{}" &&
"$T" init -input=false -no-color >/dev/null && "$T" plan -lock=false -input=false -no-color -out=tfplan >/dev/null && "$T" show -json tfplan >tfplan.json`)
	if err != nil {
		return 0, fmt.Errorf("floor: %w", err)
	}
	took := time.Since(began)
	for _, dir := range r.dirs {
		if info, err := os.Stat(filepath.Join(checkout, dir, "tfplan.json")); err != nil || info.Size() == 0 {
			return 0, fmt.Errorf("floor: %s was not planned", dir)
		}
	}
	return took, nil
}

// shell runs a program to which $T is terraform.
func (s Setup) shell(ctx context.Context, dir, stdin string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	// Without the first of these terraform would ask for news of itself.
	cmd.Env = []string{"CHECKPOINT_DISABLE=1", "PATH=" + os.Getenv("PATH"), "HOME=" + s.Dir, "T=" + s.Terraform}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w\n%s", err, &stderr)
	}
	return nil
}
