package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// floor plans directories as a person would by hand, and returns how long that
// took: a shell loop of init, plan and show on a plain checkout, as parallel
// as weir may be. The checkout itself is not counted.
func (b *bench) floor(ctx context.Context, gitDir, branch string, dirs []string) (time.Duration, error) {
	plain, err := os.MkdirTemp(b.dir, "plain-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(plain)
	checkout := filepath.Join(plain, "checkout")
	clone := exec.CommandContext(ctx, "git", "clone", "-q", "--branch", branch, gitDir, checkout)
	if out, err := clone.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("clone for the floor: %w\n%s", err, out)
	}
	cmd := exec.CommandContext(ctx, "xargs", "-P", fmt.Sprint(runtime.NumCPU()), "-I", "{}", "sh", "-c", `cd "{}" &&
"$T" init -input=false -no-color >/dev/null && "$T" plan -input=false -no-color -out=tfplan >/dev/null && "$T" show -json tfplan >tfplan.json`)
	cmd.Dir, cmd.Stdin = checkout, strings.NewReader(strings.Join(dirs, "\n")+"\n")
	// Without the first of these terraform would ask for news of itself.
	cmd.Env = []string{"CHECKPOINT_DISABLE=1", "PATH=" + os.Getenv("PATH"), "HOME=" + plain, "T=" + b.terraform}
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
