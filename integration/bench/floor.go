package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"weir/integration/bench/stage"
)

// floor plans directories of a checkout as a person would by hand, and returns
// how long that took: a shell loop of init, plan and show, as parallel as weir
// may be. Nothing is initialised there before.
func (b *bench) floor(ctx context.Context, checkout string, dirs []string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, "xargs", "-P", fmt.Sprint(runtime.NumCPU()), "-I", "{}", "sh", "-c", `cd "{}" &&
"$T" init -input=false -no-color >/dev/null && "$T" plan -input=false -no-color -out=tfplan >/dev/null && "$T" show -json tfplan >tfplan.json`)
	cmd.Dir, cmd.Stdin = checkout, strings.NewReader(strings.Join(dirs, "\n")+"\n")
	// Without the first of these terraform would ask for news of itself.
	cmd.Env = []string{"CHECKPOINT_DISABLE=1", "PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "T=" + b.terraform}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("floor: %w\n%s", err, &stderr)
	}
	took := time.Since(began)
	for _, dir := range dirs {
		if info, err := os.Stat(filepath.Join(checkout, dir, "tfplan.json")); err != nil || info.Size() == 0 {
			return 0, fmt.Errorf("floor: %s was not planned", dir)
		}
	}
	return took, nil
}

// clone clones a repository as a person would, and returns where. It stays until all is measured: on ext4 a new file
// is expensive for minutes after many have been deleted, since inodes that are
// freshly deleted are not used again at once.
func (b *bench) clone(ctx context.Context, w *stage.World, repo string) (string, error) {
	dir, err := os.MkdirTemp(b.dir, "clone-")
	if err != nil {
		return "", err
	}
	login := base64.StdEncoding.EncodeToString([]byte("x-access-token:" + w.Box.Token("alice")))
	cmd := exec.CommandContext(ctx, "git", "-c", "http.extraHeader=Authorization: Basic "+login, "clone", "-q", w.Box.CloneURL(repo), dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("clone: %w\n%s", err, out)
	}
	return dir, nil
}
